"""Straight edges of the background: posts, corners of houses, door frames. Many of them stand upright."""

from __future__ import annotations

import cv2
import numpy as np

FRAMES = 24  # looked at, evenly over the shot
WIDTH = 960  # px, no wider picture is searched
SHORTEST = 0.03  # of the picture's width
RIM = 4  # px about people that count as theirs


def straight(shot, frames, masks) -> np.ndarray:
    """Line segments by von Gioi's detector, (E, 5): frame and both ends x1, y1, x2, y2 in px of the shot's pictures.

    frames: `read(i)` gives RGB uint8 at Shot.width x Shot.height. masks: index -> (H, W), not 0 where no background is; or None.
    """
    shown, found = np.flatnonzero(shot.fresh), [np.zeros((0, 5))]
    shrink = min(1.0, WIDTH / shot.width)
    detector = cv2.createLineSegmentDetector(cv2.LSD_REFINE_STD)
    for t in np.unique(shown[np.linspace(0, len(shown) - 1, min(FRAMES, len(shown))).round().astype(int)]):
        grey = cv2.cvtColor(frames.read(int(t)), cv2.COLOR_RGB2GRAY)
        if shrink < 1:
            grey = cv2.resize(grey, None, fx=shrink, fy=shrink, interpolation=cv2.INTER_AREA)
        lines = detector.detect(grey)[0]
        if lines is None:
            continue
        lines = lines[:, 0].astype(float) / shrink
        lines = lines[np.hypot(lines[:, 2] - lines[:, 0], lines[:, 3] - lines[:, 1]) > SHORTEST * shot.width]
        if masks is not None:
            people = cv2.dilate((masks(int(t)) > 0).astype(np.uint8), np.ones((2 * RIM + 1, 2 * RIM + 1), np.uint8)) > 0
            along = np.linspace(0, 1, 9)[:, None, None]
            x, y = np.moveaxis(((1 - along) * lines[:, :2] + along * lines[:, 2:]).astype(int), -1, 0)
            lines = lines[~people[np.clip(y, 0, shot.height - 1), np.clip(x, 0, shot.width - 1)].any(0)]
        found.append(np.c_[np.full(len(lines), t), lines])
    return np.concatenate(found)
