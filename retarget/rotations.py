"""Rotations in numpy (Blender ships no scipy). Quaternions are wxyz, rotation vectors radians, matrices act on columns."""

from __future__ import annotations

import numpy as np


def unit(v):
    """v (..., 3) with length one; zero vectors stay zero."""
    v = np.asarray(v, float)
    return v / np.maximum(np.linalg.norm(v, axis=-1, keepdims=True), 1e-12)


def matrix_from_rotvec(rotvec):
    """(..., 3) to (..., 3, 3), by Rodrigues' formula."""
    rotvec = np.asarray(rotvec, float)
    angle = np.linalg.norm(rotvec, axis=-1)
    x, y, z = np.moveaxis(rotvec, -1, 0)
    zero = np.zeros_like(x)
    W = np.stack([zero, -z, y, z, zero, -x, -y, x, zero], -1).reshape(rotvec.shape[:-1] + (3, 3))
    small = angle < 1e-6
    safe = np.where(small, 1.0, angle)
    a = np.where(small, 1 - angle**2 / 6, np.sin(safe) / safe)[..., None, None]
    b = np.where(small, 0.5 - angle**2 / 24, (1 - np.cos(safe)) / safe**2)[..., None, None]
    return np.eye(3) + a * W + b * (W @ W)


def quat_wxyz_from_matrix(R):
    """(..., 3, 3) to (..., 4), w >= 0. The largest component is found first, so that nothing is divided by about zero."""
    R = np.asarray(R, float)
    m = R.reshape(-1, 3, 3)
    xx, yy, zz = m[:, 0, 0], m[:, 1, 1], m[:, 2, 2]
    K = np.empty((len(m), 4, 4))  # 4 q q^T
    K[:, 0, 0], K[:, 1, 1] = 1 + xx + yy + zz, 1 + xx - yy - zz
    K[:, 2, 2], K[:, 3, 3] = 1 - xx + yy - zz, 1 - xx - yy + zz
    K[:, 0, 1] = K[:, 1, 0] = m[:, 2, 1] - m[:, 1, 2]
    K[:, 0, 2] = K[:, 2, 0] = m[:, 0, 2] - m[:, 2, 0]
    K[:, 0, 3] = K[:, 3, 0] = m[:, 1, 0] - m[:, 0, 1]
    K[:, 1, 2] = K[:, 2, 1] = m[:, 0, 1] + m[:, 1, 0]
    K[:, 1, 3] = K[:, 3, 1] = m[:, 0, 2] + m[:, 2, 0]
    K[:, 2, 3] = K[:, 3, 2] = m[:, 1, 2] + m[:, 2, 1]
    best = K[:, range(4), range(4)].argmax(1)
    q = K[np.arange(len(m)), best]
    q = q / np.linalg.norm(q, axis=-1, keepdims=True)
    q = np.where(q[:, :1] < 0, -q, q)
    return q.reshape(R.shape[:-2] + (4,))


def matrix_from_quat_wxyz(q):
    """(..., 4), not necessarily unit, to (..., 3, 3)."""
    w, x, y, z = np.moveaxis(unit(q), -1, 0)
    rows = [
        1 - 2 * (y * y + z * z), 2 * (x * y - z * w), 2 * (x * z + y * w),
        2 * (x * y + z * w), 1 - 2 * (x * x + z * z), 2 * (y * z - x * w),
        2 * (x * z - y * w), 2 * (y * z + x * w), 1 - 2 * (x * x + y * y),
    ]  # fmt: skip
    return np.stack(rows, -1).reshape(w.shape + (3, 3))


def continuous(q):
    """Quaternions over time (F, ..., 4), signs chosen so that neighbours are close: keys interpolate the short way."""
    flips = np.where((q[1:] * q[:-1]).sum(-1, keepdims=True) < 0, -1.0, 1.0)
    return q * np.concatenate([np.ones_like(q[:1, ..., :1]), np.cumprod(flips, 0)])


def slerp(R0, R1, u):
    """The rotation a share u (0..1) of the way from R0 to R1, both (..., 3, 3)."""
    q = quat_wxyz_from_matrix(np.swapaxes(R0, -1, -2) @ R1)
    sine = np.linalg.norm(q[..., 1:], axis=-1)
    angle = 2 * np.arctan2(sine, q[..., 0])
    axis = q[..., 1:] / np.maximum(sine, 1e-12)[..., None]
    return R0 @ matrix_from_rotvec(axis * (u * angle)[..., None])


def swing(a, b):
    """The shortest rotation (..., 3, 3) that turns direction a onto direction b, both (..., 3).

    For opposite directions, where no shortest one exists, a half turn about an axis across them."""
    a, b = np.broadcast_arrays(unit(a), unit(b))
    v, c = np.cross(a, b), (a * b).sum(-1)
    s = np.linalg.norm(v, axis=-1)
    helper = np.where(np.abs(a[..., :1]) < 0.9, np.array([1.0, 0, 0]), np.array([0, 1.0, 0]))
    axis = np.where((s < 1e-9)[..., None], unit(np.cross(a, helper)), v / np.maximum(s, 1e-12)[..., None])
    return matrix_from_rotvec(axis * np.arctan2(s, c)[..., None])


def frame(direction, reference):
    """Right-handed axes as columns (..., 3, 3): the direction, the part of the reference across it, and their product."""
    x = unit(direction)
    y = unit(reference - (reference * x).sum(-1, keepdims=True) * x)
    return np.stack([x, y, np.cross(x, y)], -1)
