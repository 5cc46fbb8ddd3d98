"""What a file of a camera holds, before it is known which rows are which frames. numpy only."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from ..protocol import ShotError


@dataclass
class Rows:
    """N poses of a camera."""

    name: str  # the file, for messages
    T: np.ndarray  # (N, 4, 4) world from OpenCV camera
    K: np.ndarray  # (N, 3, 3) px of the shot's frames
    index: np.ndarray  # (N,) frame of the shot by the file's own numbers and rate, with fractions; below 0 before it
    number: np.ndarray  # (N,) int as the file counts, from 0 at its first row
    metric: bool  # metres, Z up
    rate: float | None = None  # poses a second, where the file says
    turns: dict = field(default_factory=dict)  # words: T read with other axes or another order of rotations
    other_up: np.ndarray | None = None  # (3, 3) to the Z-up world, if the file's other axis is the one that is up
    lenses: tuple = ()  # factors by which the focal length may have been meant
    points_world: np.ndarray = field(default_factory=lambda: np.zeros((0, 3)))
    colours: np.ndarray = field(default_factory=lambda: np.zeros((0, 3), np.uint8))
    obs_row: np.ndarray = field(default_factory=lambda: np.zeros(0, int))
    obs_point: np.ndarray = field(default_factory=lambda: np.zeros(0, int))
    obs_xy: np.ndarray = field(default_factory=lambda: np.zeros((0, 2)))


def counted(numbers) -> np.ndarray:
    """Numbers (N,) as they count from 0 at the lowest; their order, where two are the same."""
    numbers = np.asarray(numbers, int)
    if len(np.unique(numbers)) < len(numbers):
        return np.arange(len(numbers))
    return numbers - numbers.min(initial=numbers[0] if len(numbers) else 0)


def sized(K, width, height, shot, name):
    """K (..., 3, 3) of pictures width x height at the shot's size."""
    if not (width > 0 and height > 0):
        raise ShotError(
            f"{name} does not say how large its pictures are.", "Export the camera with the size of the clip."
        )
    if abs(width / height - shot.width / shot.height) > 0.02 * width / height:
        raise ShotError(
            f"{name} is for pictures of {width:g}x{height:g}, the shot is {shot.width}x{shot.height}.",
            "Use the camera of this clip, uncropped.",
        )
    return np.diag([shot.width / width, shot.height / height, 1.0]) @ np.asarray(K, float)


def refusal(path, error, fix: str) -> ShotError:
    """What to say of a file that is not what its name promises."""
    what = {
        "KeyError": f"{error} is missing", "UnicodeDecodeError": "it is no text", "JSONDecodeError": "it is no whole JSON",
        "BadZipFile": "it is damaged", "UnpicklingError": str(error), "EOFError": "it ends too early", "error": "it ends too early", "MemoryError": "it asks for too much memory",
    }.get(type(error).__name__, "numbers are missing or in the wrong place")  # fmt: skip
    return ShotError(f"{path.name} cannot be read: {what}.", fix)
