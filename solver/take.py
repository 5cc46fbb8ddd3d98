"""The take folder: the contract between the solver, Blender and everything else (docs/take.md). No torch, no bpy."""

from __future__ import annotations

import os
from pathlib import Path

import cv2
import numpy as np

from .protocol import ShotError
from .skeleton import COLOURS

SCHEMA_VERSION = 1


def _palette() -> bytes:
    table = np.zeros((256, 3), np.uint8)
    for index in range(1, 256):
        table[index] = COLOURS[(index - 1) % len(COLOURS)]
    return table.tobytes()


def write_mask(path: Path, mask: np.ndarray) -> None:
    """Write person indices (H, W) uint8 as an 8-bit palette PNG, each person in their colour."""
    from PIL import Image

    image = Image.fromarray(np.ascontiguousarray(mask, np.uint8), "P")
    image.putpalette(_palette())
    beside = Path(path).with_name(Path(path).name + ".part")
    image.save(beside, "PNG")
    os.replace(beside, path)


def read_mask(path: Path) -> np.ndarray:
    """Person indices (H, W) uint8 of a palette PNG. Raises ShotError where the file is missing or not a palette PNG."""
    from PIL import Image

    try:
        with Image.open(path) as image:
            if image.mode not in ("P", "L"):
                raise ShotError(f"{Path(path).name} is not a palette picture.", "Run Extract Shot again with Restart.")
            return np.asarray(image, np.uint8).copy()
    except OSError as error:
        raise ShotError(f"The mask {Path(path).name} cannot be read.", "Run Extract Shot again with Restart.") from error


def write_image(path: Path, rgb: np.ndarray) -> None:
    """Write an RGB or grey uint8 picture; the format follows the extension."""
    beside = Path(path).with_name(".part-" + Path(path).name)
    data = rgb if rgb.ndim == 2 else rgb[..., ::-1]
    if not cv2.imwrite(str(beside), data):
        raise ShotError(f"The picture {path} cannot be written.", "Check the free space and the rights of the take folder.")
    os.replace(beside, path)
