"""Values over frames: between frames, and smoothed. numpy only."""

from __future__ import annotations

import numpy as np


def sample_linear(values, times):
    """Values (T, ...) at fractional indices (N,), linear, held at the ends."""
    values = np.asarray(values, float)
    times = np.clip(times, 0, len(values) - 1)
    low = np.minimum(np.floor(times).astype(int), max(len(values) - 2, 0))
    high = np.minimum(low + 1, len(values) - 1)
    t = (times - low).reshape((-1,) + (1,) * (values.ndim - 1))
    return values[low] * (1 - t) + values[high] * t


def smooth(values, sigma):
    """Gaussian over the first axis, sigma in frames, ends reflected; sigma 0 changes nothing."""
    values = np.asarray(values, float)
    if sigma <= 0 or len(values) < 2:
        return values
    radius = max(1, int(np.ceil(3 * sigma)))
    kernel = np.exp(-0.5 * (np.arange(-radius, radius + 1) / sigma) ** 2)
    kernel /= kernel.sum()
    # Odd reflection about the end values: a straight move stays straight up to its ends.
    period = len(values) - 1
    index = np.arange(-radius, len(values) + radius)
    wrapped = np.abs((index + period) % (2 * period) - period) if period else np.zeros_like(index)
    padded = values[wrapped]
    before, after = index < 0, index > period
    padded[before] = 2 * values[0] - padded[before]
    padded[after] = 2 * values[-1] - padded[after]
    return sum(k * padded[i : i + len(values)] for i, k in enumerate(kernel))
