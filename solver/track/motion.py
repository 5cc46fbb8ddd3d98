"""How the background moves from frame to frame, so that a box can be carried along with the camera."""

from __future__ import annotations

import cv2
import numpy as np


class CameraMotion:
    """Feed pictures in order; get the affine (2, 3) from the previous picture's pixels to this one's."""

    _WIDTH = 426  # half of what people shoot at least; sub-pixel flow is finer than boxes need

    def __init__(self):
        self._previous = None

    def step(self, rgb, boxes=()) -> np.ndarray:
        """boxes: people in this picture, left out of what may serve as background next time."""
        scale = min(1.0, self._WIDTH / rgb.shape[1])
        small = cv2.resize(rgb, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
        gray = cv2.cvtColor(small, cv2.COLOR_RGB2GRAY)
        A = np.eye(2, 3)
        if self._previous is not None and len(self._previous[1]) > 8:
            before, points = self._previous
            moved, ok, _ = cv2.calcOpticalFlowPyrLK(before, gray, points, None)
            ok = ok[:, 0] > 0
            if ok.sum() > 8:
                M, _ = cv2.estimateAffinePartial2D(points[ok], moved[ok], ransacReprojThreshold=2)
                if M is not None and 0.5 < np.hypot(M[0, 0], M[1, 0]) < 2:
                    A = M.copy()
                    A[:, 2] /= scale
        background = np.full(gray.shape, 255, np.uint8)
        for x0, y0, x1, y1 in np.asarray(boxes).reshape(-1, 4) * scale:
            background[max(0, int(y0)) : int(y1) + 1, max(0, int(x0)) : int(x1) + 1] = 0
        if (background > 0).mean() < 0.15:  # people fill the picture: all of it is better than nothing
            background[:] = 255
        points = cv2.goodFeaturesToTrack(gray, 300, 0.01, 7, mask=background)
        self._previous = gray, points if points is not None else np.zeros((0, 1, 2), np.float32)
        return A


def carry(A, points):
    """Points (N, 2) through an affine (2, 3)."""
    return np.asarray(points) @ A[:, :2].T + A[:, 2]


def carry_box(A, box):
    """A box (4,) through an affine: centre moved, size scaled, still upright."""
    box = np.asarray(box, float)
    centre, half = carry(A, ((box[:2] + box[2:]) / 2)[None])[0], (box[2:] - box[:2]) / 2 * np.hypot(A[0, 0], A[1, 0])
    return np.concatenate([centre - half, centre + half])
