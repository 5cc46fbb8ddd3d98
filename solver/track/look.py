"""People in one picture of which nothing else is known: what the detectors and the joints' net both take for somebody."""

from __future__ import annotations

import numpy as np

from .crowd import QUARTERS
from .tracker import PLAIN


def people(backend, rgb) -> tuple[np.ndarray, np.ndarray]:
    """Boxes (N, 4) px and the detector's scores (N,) of people in a picture (H, W, 3) uint8."""
    boxes, scores = backend.detect(rgb)
    sure = np.array([backend.pose(rgb, box).score >= PLAIN or backend.pose(rgb, box, QUARTERS[1:]).score >= PLAIN for box in boxes], bool)
    return np.reshape(boxes, (-1, 4))[sure], np.asarray(scores)[sure]
