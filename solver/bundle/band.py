"""The linear algebra of cameras that see points together: a band in time, with a border for what all frames share.

Points are eliminated first (Schur complement), in dense blocks over the frames that a group of them spans. `free` is a cameras.Free, `obs` cameras.Observations.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from itertools import pairwise

import numpy as np
from scipy import linalg

from .rows import banded

GROUP = 192  # points eliminated together


def sum_by(values, keys, count):
    """Sum rows of values (M, ...) with sorted keys into (count, ...)."""
    out = np.zeros((count,) + values.shape[1:])
    if len(keys):
        starts = np.flatnonzero(np.r_[True, np.diff(keys) > 0])
        out[keys[starts]] = np.add.reduceat(values, starts, axis=0)
    return out


@dataclass
class Equations:
    """Normal equations of cameras, banded in time with a border, and of points.

    blocks (K, T, n, n): of the unknowns of frames t (rows) and t + k. border (T, n, k), corner (k, k): of them and what all frames share, and of that alone:
    the log focal length, and once points are eliminated those that stay (`lasting_points`). g (T, n), g_shared (k,): gradients. mean: weight of the mean log focal
    length, where every frame has its own. V (N, d, d), g_point (N, d): of points. W (M, n + 1, d): of observations; the last row is the shared focal length's.
    Without points the last three are None.
    """

    blocks: np.ndarray
    border: np.ndarray
    corner: np.ndarray
    g: np.ndarray
    g_shared: np.ndarray
    mean: float
    V: np.ndarray | None = None
    g_point: np.ndarray | None = None
    W: np.ndarray | None = None


def spans(obs, N):
    """(N,) frames from the first to the last observation of each point."""
    out = np.zeros(N, int)
    starts = np.flatnonzero(np.r_[True, np.diff(obs.point) > 0][: len(obs)])
    if len(starts):
        out[obs.point[starts]] = np.maximum.reduceat(obs.frame, starts) - np.minimum.reduceat(obs.frame, starts)
    return out


def lasting_points(obs, T, N, free):
    """(N,) bool: points that are seen for so long that it takes less to keep them as unknowns beside the lens than to have a band as wide as they last."""
    n, lasts = len(free.columns), spans(obs, N)
    if not n or not free.points:
        return np.zeros(N, bool)
    reach = np.unique(np.maximum(lasts, 3))
    width, kept = n * (reach + 1.0), 3.0 * (lasts[:, None] > reach).sum(0)
    work = T * n * (width**2 + 4 * width * kept + 2 * kept**2) + kept**3 / 3
    return lasts > reach[work.argmin()]


def eliminate(equations: Equations, damping, obs, lasting):
    """Schur complement: the cameras' equations without points but those that last, and what is needed to get the others back."""
    V = equations.V.copy()
    eye = np.eye(V.shape[-1], dtype=bool)
    diagonal = V[:, eye]
    V[:, eye] = diagonal * (1 + damping) + 1e-12 * diagonal.max(1, keepdims=True) + 1e-12
    L_inv = np.linalg.inv(np.linalg.cholesky(V))
    L_inv[lasting] = 0.0
    E = equations.W @ np.swapaxes(L_inv, 1, 2)[obs.point]  # (M, n + 1, dims), so that S = H - sum E E^T
    b = np.einsum("nij,nj->ni", L_inv, equations.g_point)
    N, dims = b.shape
    T, n = equations.g.shape
    lens = sum_by(E[:, -1], obs.point, N)
    at = 1 + dims * np.arange(lasting.sum())[:, None] + np.arange(dims)
    size = 1 + at.size
    border, corner = np.zeros((T, n, size)), np.zeros((size, size))
    border[..., :1], corner[0, 0] = equations.border, equations.corner[0, 0] - (lens**2).sum()
    rows = np.flatnonzero(lasting[obs.point])
    mine = at[np.cumsum(lasting)[obs.point[rows]] - 1]
    border[obs.frame[rows, None], :, mine] = np.swapaxes(equations.W[rows, :-1], 1, 2)
    corner[0, at] = corner[at, 0] = sum_by(equations.W[:, -1], obs.point, N)[lasting]
    corner[at[:, :, None], at[:, None, :]] = V[lasting]
    g_shared = np.r_[equations.g_shared[0] - (lens * b).sum(), equations.g_point[lasting].ravel()]
    out = replace(equations, blocks=equations.blocks.copy(), border=border, corner=corner, g=equations.g.copy(), g_shared=g_shared)
    near = np.flatnonzero(~lasting[obs.point])
    bounds = np.searchsorted(obs.point[near], np.arange(0, N + GROUP, GROUP))
    for k, (lo, hi) in enumerate(pairwise(bounds)):
        if lo == hi or not n:
            continue
        rows, group = near[lo:hi], slice(k * GROUP, k * GROUP + GROUP)
        frame, local = obs.frame[rows], obs.point[rows] - k * GROUP
        first, frames = frame.min(), np.ptp(frame) + 1
        block = np.zeros((frames, n, min(GROUP, N - k * GROUP), dims))
        block[frame - first, :, local] = E[rows, :-1]
        block = block.reshape(frames * n, -1)
        out.g[first : first + frames] -= (block @ b[group].ravel()).reshape(frames, n)
        out.border[first : first + frames, :, 0] -= (block @ lens[group].ravel()).reshape(frames, n)
        square = (block @ block.T).reshape(frames, n, frames, n)
        for ahead in range(min(frames, len(out.blocks))):
            out.blocks[ahead, first : first + frames - ahead] -= np.moveaxis(np.diagonal(square, ahead, 0, 2), -1, 0)
    return out, L_inv, E, b


def answer(reduced: Equations, damped, free, right, right_shared):
    """Unknowns (T, n) and (k,) for right-hand sides (T, n) and (k,). Raises LinAlgError.

    damped: (T, n) and of the lens, added to the equations' own. The pose of frame 0 is the gauge, unless it is free.
    """
    T, n = right.shape
    k = len(right_shared)
    columns, blocks, border, right = free.columns, reduced.blocks.copy(), reduced.border, right.copy()
    corner, definite = reduced.corner.copy(), "pos"
    corner[0, 0] += damped[1] if free.shared else 1.0
    if reduced.mean:  # as an unknown of its own it leaves a band of what it ties
        tied = np.zeros((T, n, 1))
        tied[:, columns.index(6)] = np.sqrt(reduced.mean) / T
        border, corner, definite = np.concatenate([border, tied], 2), linalg.block_diag(corner, -1.0), "sym"
        right_shared = np.r_[right_shared, 0.0]
    if not n:
        return right, linalg.solve(corner, right_shared, assume_a=definite, check_finite=False)
    blocks[0, :, range(n), range(n)] += damped[0].T
    if not free.first:
        held = [at for at, column in enumerate(columns) if column < 6]
        border = border.copy()
        blocks[:, 0, held] = blocks[0, 0, :, held] = border[0, held] = right[0, held] = 0.0
        blocks[0, 0, held, held] = 1.0
    border = border.reshape(T * n, -1)
    factor = linalg.cholesky_banded(banded(blocks), lower=True, overwrite_ab=True, check_finite=False)
    inner = linalg.cho_solve_banded((factor, True), np.column_stack([right.ravel(), border]), check_finite=False)
    shared = linalg.solve(corner - border.T @ inner[:, 1:], right_shared - border.T @ inner[:, 0], assume_a=definite, check_finite=False)
    return (inner[:, 0] - inner[:, 1:] @ shared).reshape(T, n), shared[:k]


def solve(equations: Equations, damping, obs, free, lasting):
    """Increments (T, 7), (N, 3), or None where the system cannot be solved."""
    T, N = len(equations.g), len(lasting)
    own, lens = np.diagonal(equations.blocks[0], axis1=1, axis2=2), equations.corner[0, 0]
    least = 1e-9 * max(own.max(initial=0), lens)
    reduced = equations
    try:
        if free.points:
            reduced, L_inv, E, b = eliminate(equations, damping, obs, lasting)
        # Damped by the diagonal before elimination: the reduced one can vanish along the gauge.
        own, shared = answer(reduced, (damping * own + least, damping * lens + least), free, -reduced.g, -reduced.g_shared)
    except linalg.LinAlgError:
        return None
    lens = shared[0] * free.shared
    d_cam = np.zeros((T, 7))
    d_cam[:, free.columns] = own
    d_cam[:, 6] += lens
    d_point = np.zeros((N, 3))
    if free.points:
        moved = np.concatenate([own, np.full((T, 1), lens)], 1)
        back = b + sum_by(np.einsum("mij,mi->mj", E, moved[obs.frame]), obs.point, N)
        d_point[:, : b.shape[1]] = -np.einsum("nji,nj->ni", L_inv, back)
        d_point[lasting, : b.shape[1]] = shared[1:].reshape(-1, b.shape[1])
    if not (np.isfinite(d_cam).all() and np.isfinite(d_point).all()):
        return None
    return d_cam, d_point


def lens_sigma(equations: Equations, obs, free, lasting) -> float | None:
    """One sigma of the mean log focal, everything else marginalised; None where the equations have no answer."""
    reduced = eliminate(equations, 0, obs, lasting)[0] if free.points else equations
    mean, mean_shared = np.zeros_like(reduced.g), np.zeros_like(reduced.g_shared)
    if free.zoom:
        mean[:, free.columns.index(6)] = 1 / len(mean)
    else:
        mean_shared[0] = 1.0
    ridge = 1e-9 * np.diagonal(equations.blocks[0], axis1=1, axis2=2)  # the scale of the scene is free
    try:
        own, shared = answer(reduced, (ridge, 0.0), free, mean, mean_shared)
    except linalg.LinAlgError:
        return None
    return float(np.sqrt(max((own * mean).sum() + shared @ mean_shared, 0)))
