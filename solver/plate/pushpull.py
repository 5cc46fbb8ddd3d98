"""Smooth filling of holes by a pyramid (push-pull, after Gortler et al. 1996)."""

from __future__ import annotations

import cv2
import numpy as np


def push_pull(values: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Interpolate weighted samples smoothly over a whole picture.

    values:  (H, W) or (H, W, C) float32; what stands where the weight is 0 is ignored.
    weights: (H, W) float32 in 0..1.
    Returns the same shape as values: the samples where the weight is 1, a smooth membrane elsewhere.
    """
    flat = values.ndim == 2
    values = np.ascontiguousarray(values[..., None] if flat else values, np.float32)
    out = _level(values, np.ascontiguousarray(weights, np.float32))
    return out[..., 0] if flat else out


def _level(values, weights):
    height, width = weights.shape
    if height * width <= 4:
        total = weights.sum()
        mean = (values * weights[..., None]).sum((0, 1)) / total if total > 1e-6 else np.zeros(values.shape[2])
        return weights[..., None] * values + (1 - weights[..., None]) * mean.astype(np.float32)
    size = ((width + 1) // 2, (height + 1) // 2)
    small_weight = _resize(weights, size, cv2.INTER_AREA)
    small = _resize(values * weights[..., None], size, cv2.INTER_AREA) / np.maximum(small_weight, 1e-6)[..., None]
    # a coarse cell with any sample in it is known; half-empty cells are no less true than full ones
    coarse = _level(small, np.minimum(small_weight * 4, 1))
    coarse = _resize(coarse, (width, height), cv2.INTER_LINEAR)
    return weights[..., None] * values + (1 - weights[..., None]) * coarse


def _resize(image, size, how):
    out = cv2.resize(image, size, interpolation=how)
    return out[..., None] if image.ndim == 3 and out.ndim == 2 else out
