"""What the nets said of people's masks, kept in a small size from *track* to *masks*."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np

from ..take import write_image

LINES = 360  # of the pictures that are labelled


def small_size(width: int, height: int) -> tuple[int, int]:
    """Width and height of the pictures that are labelled."""
    lines = min(height, LINES)
    return round(width * lines / height), lines


def write_soft(path: Path, masks) -> None:
    """Keep what the nets said of one frame: masks (P, h, w) uint8 in the small size, over each other in one grey picture."""
    write_image(path, np.concatenate(masks))


def read_soft(path: Path, lines: int) -> np.ndarray | None:
    """What `write_soft` kept, (P, h, w) uint8; None where there is nothing."""
    stack = cv2.imread(str(path), cv2.IMREAD_GRAYSCALE) if Path(path).exists() else None
    return None if stack is None else stack.reshape(-1, lines, stack.shape[1])
