"""Which frame of the shot a row of somebody else's file belongs to."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np

from ..protocol import ShotError


def to_shot(numbers, total: int | None, shot, name: str) -> np.ndarray:
    """Indices into the shot (F,), -1 outside it, for frame numbers (F,) that count from 0.

    The other program was given either the whole source or just this shot. `total`, the frames it was given (None if the file
    does not say), tells which. Raises ShotError if it fits neither.
    """
    numbers = np.asarray(numbers, int)
    last = int(numbers.max(initial=-1)) + 1 if total is None else int(total)
    own = frames_of_pictures(shot)
    if len({picture - frame for picture, frame in own.items()}) > 1 and last != shot.frames:
        # Holes or repeats: other programs count pictures, of the source or of this shot.
        pictures = list(own) if last > max(own) else range(len(own))
        frame = dict(zip(pictures, own.values()))
        numbers, last = np.array([frame.get(int(n), -1) for n in numbers], int), shot.frames
    elif last > shot.frames and last > shot.start_frame:
        numbers = numbers - shot.start_frame
    elif total is not None and shot.start_frame and last < shot.frames:
        raise ShotError(
            f"{name} has {last} frames, the shot has {shot.frames} from frame {shot.start_frame} on.",
            "Run the other program on the same clip, or on just this shot.",
        )
    out = np.where((numbers >= 0) & (numbers < shot.frames), numbers, -1)
    if not (out >= 0).any():
        raise ShotError(f"{name} has nothing in the frames of this shot.", "Choose results of the same clip.")
    return out


def frames_of_pictures(shot) -> dict[int, int]:
    """The frame of the shot that shows each picture of the source, for those that are its own."""
    return {int(shot.picture[i]): int(i) for i in np.flatnonzero(shot.fresh)}


def count_from(numbers, shot) -> np.ndarray:
    """Like `to_shot`, for numbers of an unknown base (0, 1, 1001 ...), each one present only where there is a frame.

    As many numbers as the shot has frames, or without gaps as many as the source: in order. Else the lowest number is the
    first frame of the source, unless only counting from 1 or from 0 covers the shot.
    """
    numbers = np.asarray(numbers, int)
    if len(numbers) == shot.frames:
        return np.argsort(np.argsort(numbers, kind="stable"), kind="stable")
    best = None
    for base in (int(numbers.min()), 1, 0):
        for start in dict.fromkeys((shot.start_frame, 0)):
            index = numbers - base - start
            inside = (index >= 0) & (index < shot.frames)
            covered = len(np.unique(index[inside]))
            if best is None or covered > best[0]:
                best = (covered, np.where(inside, index, -1))
    return best[1]


def number_of(path) -> int | None:
    """The last number in a file's name, or None."""
    found = re.findall(r"\d+", Path(path).stem)
    return int(found[-1]) if found else None


def files_of_frames(files, shot, name: str) -> dict[int, Path]:
    """Frame of the shot for each of some files: by the names of the source's pictures, else by their numbers, else in order."""
    files = sorted(files, key=lambda f: (number_of(f) is None, number_of(f) or 0, Path(f).name))
    source = Path(shot.path)
    if source.is_dir():
        stems = {p.stem: i for i, p in enumerate(sorted(source.iterdir(), key=lambda f: (number_of(f) or 0, f.name)))}
        frame = frames_of_pictures(shot)
        matched = {frame[stems[Path(f).stem]]: f for f in files if stems.get(Path(f).stem) in frame}
        if len(matched) >= 0.5 * min(len(files), shot.frames):
            return matched
    numbers = [number_of(f) for f in files]
    index = np.arange(len(files)) if None in numbers or len(set(numbers)) < len(numbers) else count_from(numbers, shot)
    out = {int(i): f for i, f in zip(index, files) if 0 <= i < shot.frames}
    if not out:
        raise ShotError(f"{name} has nothing in the frames of this shot.", "Choose files of the same clip.")
    return out
