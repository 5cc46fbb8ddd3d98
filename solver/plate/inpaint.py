"""A program of the artist's own for what no frame shows (docs/inpainters.md): COMMAND FRAMES MASKS OUT, three folders."""

from __future__ import annotations

import os
import shlex
import shutil
import subprocess
import tempfile
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np

from ..protocol import ShotError
from ..take import write_image
from .paint import GUESSED

POLL_S = 0.2


def parts(command: str) -> list[str]:
    """The words of a command, its program looked up. Raises ShotError where there is none of that name."""
    try:
        words = [word.strip('"') if os.name == "nt" else word for word in shlex.split(command, posix=os.name != "nt")]  # Windows' paths have backslashes
    except ValueError as error:
        raise ShotError(f"The inpainter's command cannot be read: {error}.", "Close its quotes.") from error
    program = shutil.which(words[0]) if words else None
    if program is None:
        raise ShotError(f"The inpainter {words[0] if words else command!r} was not found.", "Give the full path of a program, with its options.")
    return [program, *words[1:]]


def inpaint(command: str, plate: Path, count: int, tick: Callable[[], None]) -> None:
    """Let a command paint what the plate in a folder guesses: plate/%06d.png, where unseen/%06d.png says so; all other pixels stay.

    tick is called five times a second, and may raise: the command is then ended. Raises ShotError where the command fails or leaves something
    else than it should; nothing of the plate has changed then.
    """
    with tempfile.TemporaryDirectory(dir=plate, prefix="inpaint-") as folder:
        frames, masks, out = (Path(folder, name) for name in ("frames", "masks", "out"))
        for made in (frames, masks, out):
            made.mkdir()
        names = [f"{index:06d}.png" for index in range(count)]
        for name in names:
            shutil.copyfile(plate / name, frames / name)
            write_image(masks / name, np.where(_guessed(plate, name), 255, 0).astype(np.uint8))
        _run([*parts(command), str(frames), str(masks), str(out)], Path(folder, "log.txt"), tick)
        found = sorted(path.name for path in out.iterdir())
        if found != names:
            raise ShotError(f"The inpainter left {len(found)} files of {len(names)}, or other names.", "It has to write OUT/000000.png and so on, one a frame.")
        for name in names:  # all are looked at before any is taken
            picture = cv2.imread(str(out / name), cv2.IMREAD_COLOR)
            here = cv2.imread(str(plate / name), cv2.IMREAD_COLOR)
            if picture is None or picture.shape != here.shape:
                size = "no picture" if picture is None else f"{picture.shape[1]}x{picture.shape[0]}"
                raise ShotError(f"The inpainter's {name} is {size}, not {here.shape[1]}x{here.shape[0]}.", "It has to keep the size of the frames.")
            tick()
        for name in names:
            picture, here = (cv2.imread(str(path), cv2.IMREAD_COLOR) for path in (out / name, plate / name))
            write_image(plate / name, np.where(_guessed(plate, name)[..., None], picture, here)[..., ::-1])


def _guessed(plate, name):
    return cv2.imread(str(plate / "unseen" / name), cv2.IMREAD_GRAYSCALE) >= GUESSED


def _run(words, log: Path, tick) -> None:
    """Run to the end; what it says goes to a file. Raises ShotError with the last line where it fails."""
    try:
        with open(log, "wb") as said:
            child = subprocess.Popen(words, stdin=subprocess.DEVNULL, stdout=said, stderr=subprocess.STDOUT)
    except OSError as error:
        raise ShotError(f"The inpainter cannot be run: {error.strerror}.", "Try its command in a terminal.") from error
    try:
        while True:
            try:
                status = child.wait(POLL_S)
                break
            except subprocess.TimeoutExpired:
                tick()
    finally:
        if child.poll() is None:
            child.kill()
            child.wait()
    if status:
        lines = log.read_text(encoding="utf-8", errors="replace").split("\n")
        last = next((line.strip() for line in reversed(lines) if line.strip()), "it said nothing")
        raise ShotError(f"The inpainter failed with status {status}: {last[:200]}", "Try its command in a terminal.")
