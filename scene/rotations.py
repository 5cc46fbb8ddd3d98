"""Rotations over arrays of frames. numpy only; quaternions are wxyz, unit, and (..., 4)."""

from __future__ import annotations

import numpy as np


def quat_wxyz_from_rotvec(rotvec):
    """Rotation vectors (..., 3) rad to quaternions (..., 4)."""
    rotvec = np.asarray(rotvec, float)
    angle = np.linalg.norm(rotvec, axis=-1, keepdims=True)
    return np.concatenate([np.cos(angle / 2), 0.5 * np.sinc(angle / (2 * np.pi)) * rotvec], -1)


def quat_wxyz_from_matrix(R):
    """Rotation matrices (..., 3, 3) to quaternions (..., 4), by the largest of the four components (Shepperd)."""
    R = np.asarray(R, float)
    m = R.reshape(-1, 3, 3)
    d = np.stack([m[:, 0, 0], m[:, 1, 1], m[:, 2, 2]], 1)
    trace = d.sum(1)
    # Each row of `options` is 4 q_k q for one k; the row with the largest q_k is the stable one.
    options = np.empty((len(m), 4, 4))
    options[:, 0, 0] = 1 + trace
    for k in range(3):
        options[:, k + 1, k + 1] = 1 + 2 * d[:, k] - trace
    antisymmetric = np.stack([m[:, 2, 1] - m[:, 1, 2], m[:, 0, 2] - m[:, 2, 0], m[:, 1, 0] - m[:, 0, 1]], 1)
    options[:, 0, 1:] = options[:, 1:, 0] = antisymmetric
    for a, b in ((0, 1), (0, 2), (1, 2)):
        options[:, a + 1, b + 1] = options[:, b + 1, a + 1] = m[:, a, b] + m[:, b, a]
    best = np.argmax(options[:, range(4), range(4)], 1)
    q = options[np.arange(len(m)), best]
    return (q / np.linalg.norm(q, axis=1, keepdims=True)).reshape(R.shape[:-2] + (4,))


def matrix_from_quat_wxyz(q):
    """Quaternions (..., 4), not necessarily unit, to rotation matrices (..., 3, 3)."""
    q = np.asarray(q, float)
    w, x, y, z = np.moveaxis(q / np.linalg.norm(q, axis=-1, keepdims=True), -1, 0)
    R = np.stack(
        [
            1 - 2 * (y * y + z * z), 2 * (x * y - w * z), 2 * (x * z + w * y),
            2 * (x * y + w * z), 1 - 2 * (x * x + z * z), 2 * (y * z - w * x),
            2 * (x * z - w * y), 2 * (y * z + w * x), 1 - 2 * (x * x + y * y),
        ],
        -1,
    )  # fmt: skip
    return R.reshape(q.shape[:-1] + (3, 3))


def matrix_from_rotvec(rotvec):
    """Rotation vectors (..., 3) rad to matrices (..., 3, 3)."""
    return matrix_from_quat_wxyz(quat_wxyz_from_rotvec(rotvec))


def continuous(q):
    """Quaternions (T, ..., 4) with the sign chosen so that no step flips to the far side of the sphere."""
    q = np.array(q, float)
    flips = np.where((q[1:] * q[:-1]).sum(-1, keepdims=True) < 0, -1.0, 1.0)
    q[1:] *= np.cumprod(flips, 0)
    return q


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
