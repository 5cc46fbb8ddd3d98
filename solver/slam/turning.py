"""Cameras that do not travel: locked off, or turning (and zooming) on the spot."""

from __future__ import annotations

import cv2
import numpy as np

from ..bundle.band import sum_by
from ..bundle.cameras import Free, Model, Observations, Priors, adjust, unit

SETTLE = 80  # iterations at most: of a small pan by a long lens, angle and lens creep together along a flat valley


def rays(obs: Observations, log_f, size):
    """Unit camera-frame directions (M, 3) of observations, for log focal lengths per frame (T,)."""
    f = np.exp(log_f[obs.frame])[:, None]
    return unit(np.concatenate([(obs.xy - np.asarray(size) / 2) / f, np.ones((len(obs), 1))], 1))


def static_model(obs: Observations, frames, points, size, log_f) -> Model:
    """A camera that does not move: each point is the robust mean of where it was seen (a few Cauchy-weighted means)."""
    log_f = np.full(frames, log_f)
    weight, width = np.ones(len(obs)), 0.5 * size[0] / 640
    for _ in range(8):
        total = np.maximum(sum_by(weight, obs.point, points), 1e-9)[:, None]
        mean = sum_by(weight[:, None] * obs.xy, obs.point, points) / total
        weight = 1 / (1 + ((obs.xy - mean[obs.point]) ** 2).sum(1) / width**2)
    d = unit(np.concatenate([(mean - np.asarray(size) / 2) / np.exp(log_f[0]), np.ones((points, 1))], 1))
    return Model(np.tile(np.eye(3), (frames, 1, 1)), np.zeros((frames, 3)), log_f, d, np.zeros(points))


def links(obs: Observations, frames):
    """For each frame, rows (a, b) of the same points there (b) and in the frame that shares most of them just before (a)."""
    same = np.flatnonzero(np.diff(obs.point) == 0)
    to = obs.frame[same + 1]
    order = np.argsort(to, kind="stable")
    bounds = np.searchsorted(to[order], np.arange(frames + 1))
    out = []
    for t in range(frames):
        rows = same[order[bounds[t] : bounds[t + 1]]]
        if len(rows):
            rows = rows[obs.frame[rows] == np.bincount(obs.frame[rows]).argmax()]
        out.append((rows, rows + 1))
    return out


def rotation_model(obs: Observations, frames, points, size, prior: Priors, focals, zoom, free_focal, tick):
    """Rotations, directions and focal length of a camera on the spot; the best of several focal hypotheses.

    focals:  focal lengths to start from, px.
    Returns a Fit.
    """
    chain = links(obs, frames)
    relative = _zoom_chain(obs, chain, size) if zoom else np.zeros(frames)
    best = None
    for focal in focals:
        log_f = np.log(focal) + relative
        v = rays(obs, log_f, size)
        R = _chain(obs, chain, v, frames, 2.0 * size[0] / 640 / focal)
        d = sum_by(np.einsum("mji,mj->mi", R[obs.frame], v), obs.point, points)
        length = np.linalg.norm(d, axis=1, keepdims=True)
        d = np.where(length > 1e-9, d / np.maximum(length, 1e-9), [0.0, 0.0, 1.0])
        model = Model(R, np.zeros((frames, 3)), log_f, d, np.zeros(points))
        free = Free(centre=False, depth=False, focal=free_focal and not zoom, zoom=zoom)
        fit = adjust(model, obs, size, free, prior, tick, iterations=SETTLE if len(focals) == 1 else 12)
        score = np.minimum(fit.error, 4 * size[0] / 640).sum()
        if best is None or score < best[0]:
            best = score, fit, free
    fit, free = best[1:]
    if len(focals) > 1:
        fit = adjust(fit.model, obs, size, free, prior, tick, iterations=SETTLE)
    return fit


def _zoom_chain(obs, chain, size):
    """(T,) log focal relative to frame 0, from the growth of the picture between linked frames."""
    log_f = np.zeros(len(chain))
    centre = np.asarray(size) / 2
    for t, (a, b) in enumerate(chain):
        log_f[t] = log_f[t - 1] if t else 0.0
        if len(a) < 8:
            continue
        A, _ = cv2.estimateAffinePartial2D(obs.xy[a] - centre, obs.xy[b] - centre, ransacReprojThreshold=1.5 * size[0] / 640)
        if A is not None:
            log_f[t] = log_f[obs.frame[a[0]]] + np.log(max(np.hypot(A[0, 0], A[1, 0]), 1e-3))
    return log_f


def _chain(obs, chain, v, frames, tolerance):
    """Rotations (T, 3, 3) by adding up those between linked frames."""
    R = np.tile(np.eye(3), (frames, 1, 1))
    random = np.random.default_rng(0)
    for t, (a, b) in enumerate(chain):
        if t:
            R[t] = R[t - 1]
        if len(a) >= 4:
            R[t] = _turn(v[a], v[b], tolerance, random) @ R[obs.frame[a[0]]]
    return R


def _turn(a, b, tolerance, random):
    """Rotation with b ~ R a, robust (two-point samples, then least squares on the inliers)."""
    best, inside = -1, None
    for i, j in random.integers(0, len(a), (40, 2)):
        if i == j:
            continue
        R = _kabsch(a[[i, j]], b[[i, j]])
        near = np.linalg.norm(a @ R.T - b, axis=1) < tolerance
        if near.sum() > best:
            best, inside = near.sum(), near
    for _ in range(3):
        if inside.sum() < 3:
            return np.eye(3)
        R = _kabsch(a[inside], b[inside])
        off = np.linalg.norm(a @ R.T - b, axis=1)
        inside = off < max(tolerance, 2 * np.median(off[inside]))
    return R


def _kabsch(a, b):
    U, _, Vt = np.linalg.svd(b.T @ a)
    return U @ np.diag([1, 1, np.sign(np.linalg.det(U @ Vt))]) @ Vt
