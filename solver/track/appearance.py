"""What somebody looks like: colours of the upper and of the lower body. Enough to tell apart two people dressed differently."""

from __future__ import annotations

import cv2
import numpy as np

from .backend import HIPS, SURE


def look_of(rgb, mask, joints) -> np.ndarray:
    """(2, 144) colour histograms above and below the hips; a row of NaN where too little is seen.

    rgb: (H, W, 3) uint8; mask: (H, W) uint8, not 0 inside; joints: (17, 3).
    """
    out = np.full((2, 144), np.nan)
    ys, xs = np.nonzero(mask)
    if len(ys) < 20:
        return out
    x0, x1, y0, y1 = xs.min(), xs.max() + 1, ys.min(), ys.max() + 1
    hips = joints[HIPS][joints[HIPS, 2] > SURE]
    waist = int(np.clip(hips[:, 1].mean(), y0, y1)) if len(hips) else y1
    hsv = cv2.cvtColor(rgb[y0:y1, x0:x1], cv2.COLOR_RGB2HSV)
    inside = (mask[y0:y1, x0:x1] > 0).astype(np.uint8)
    for row, part in enumerate((slice(None, waist - y0), slice(waist - y0, None))):
        if inside[part].sum() > 20:
            crop = np.ascontiguousarray(hsv[part])
            h = cv2.calcHist(
                [crop], [0, 1, 2], np.ascontiguousarray(inside[part]), [12, 4, 3], [0, 180, 0, 256, 0, 256]
            )
            out[row] = (h / h.sum()).ravel()
    return out


def similarity(a, b) -> float:
    """0..1, Bhattacharyya coefficient of two looks, over the halves that both show; 0.6 where nothing can be said."""
    rows = _shown(a, b)
    return float(np.sqrt(a[rows] * b[rows]).sum(1).mean()) if rows.any() else 0.6


def unlike(a, b, limit) -> bool:
    """Whether two looks show something in common and are less similar there than `limit`. Who is hardly seen is unlike nobody."""
    return bool(_shown(a, b).any()) and similarity(a, b) < limit


def _shown(a, b):
    """(2,) bool: the halves that both looks show."""
    if a is None or b is None:
        return np.zeros(2, bool)
    return np.isfinite(a[:, 0]) & np.isfinite(b[:, 0])


def mean_look(looks):
    """Mean of looks (2, 144), half by half; None where there is none."""
    looks = [look for look in looks if look is not None]
    if not looks:
        return None
    stack = np.array(looks)
    known = np.isfinite(stack[:, :, :1])
    total = np.where(known, stack, 0).sum(0)
    count = known.sum(0)
    return np.where(count > 0, total / np.maximum(count, 1), np.nan)
