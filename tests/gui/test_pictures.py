"""The pictures of docs/manual.md, taken in a real window. RESHOOT_PICTURES=docs/pictures puts them there."""

from __future__ import annotations

import os
import shutil
import struct
import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image

from tests.gui import room

SIZE = (1240, 840)
TAKE = os.environ.get("RESHOOT_TAKE", "")  # a take of the example shot, where there is one; else it is solved, which takes minutes


def picture(path: Path) -> Image.Image:
    """A screen's picture as Xvfb keeps it (XWD, 32 bits a pixel)."""
    data = path.read_bytes()
    head = struct.unpack(">25I", data[:100])
    size, width, height, stride, colours = head[0], head[4], head[5], head[12], head[19]
    pixels = np.frombuffer(data, np.uint8, stride * height, size + 12 * colours).reshape(height, stride)[:, : 4 * width]
    return Image.fromarray(np.ascontiguousarray(pixels.reshape(height, width, 4)[..., 2::-1]))


@pytest.fixture(scope="module")
def taken(tmp_path_factory):
    """Name → picture."""
    folder = room.fill(tmp_path_factory.mktemp("dist"))
    for name in ("shot.mp4", "character_mixamo.glb", "character_game.glb"):
        shutil.copy(room.ROOT / "examples" / name, folder)
    if TAKE:
        shutil.copytree(TAKE, folder / "shot_take")
    else:
        command = [sys.executable, "-m", "solver", "extract", str(folder / "shot.mp4"), "--out", str(folder / "shot_take")]
        subprocess.run(command, check=True, cwd=room.ROOT, stdin=subprocess.DEVNULL, capture_output=True)
    film = cv2.VideoCapture(str(folder / "shot_take" / "preview.mp4"))
    cv2.imwrite(str(folder / "nothing.jpg"), film.read()[1])  # what the stand-in for the solver shows of its run
    room.play(folder, "in_pictures.py", 78, SIZE)
    return {path.stem: picture(path) for path in sorted(folder.glob("*.xwd"))}


def test_pictures(taken):
    assert {"preferences", "clip", "running", "people", "retarget", "film", "set"} == set(taken)
    out = os.environ.get("RESHOOT_PICTURES")
    for name, shown in taken.items():
        assert np.asarray(shown).std() > 10, name  # something is drawn
        if out:
            shown.save(Path(out) / f"manual_{name}.jpg", quality=70, optimize=True)
