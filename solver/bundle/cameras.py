"""Bundle adjustment: cameras, points and focal length from observations, by damped least squares.

One parametrisation serves all camera models. A point is a unit direction d from the origin of the world and an inverse
distance w >= 0; a camera is a rotation R (cam from world) and a centre c:

    y = R (d - w c),   pixel = f y_xy / y_z + picture centre.

A far point is w -> 0, without trouble; w = 0 everywhere is the rotation-only model, in which c has no effect. Points are
eliminated first (Schur complement), in dense blocks over the frames that a group of points spans. The principal point is the
picture's centre and there is no lens distortion.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from itertools import pairwise

import numpy as np
import torch
from scipy import linalg, sparse
from scipy.spatial.transform import Rotation

from .. import frames as fr
from .rows import Kernel

CAUCHY = 2.5  # width of the robust loss, in noise sigmas
GROUP = 192  # points eliminated together
FOCAL_SPREAD = 0.28  # prior of log focal length about a 35 mm lens: 26-46 mm is one sigma


@dataclass
class Observations:
    """Where points were seen, sorted by point; one row per point and frame."""

    frame: np.ndarray  # (M,) int
    point: np.ndarray  # (M,) int
    xy: np.ndarray  # (M, 2) px, corner origin

    def __len__(self):
        return len(self.frame)

    def only(self, keep) -> Observations:
        return Observations(self.frame[keep], self.point[keep], self.xy[keep])

    def of_frames(self, chosen) -> tuple[Observations, np.ndarray]:
        """Observations in the chosen frames, renumbered to 0..len(chosen)-1, and the mask that picks them."""
        number = np.full(int(max(self.frame.max(initial=0), max(chosen))) + 1, -1)
        number[chosen] = np.arange(len(chosen))
        keep = number[self.frame] >= 0
        return Observations(number[self.frame[keep]], self.point[keep], self.xy[keep]), keep


@dataclass
class Model:
    """Cameras and points. R (T,3,3) cam from world, c (T,3), log_f (T,), d (N,3) unit, w (N,)."""

    R: np.ndarray
    c: np.ndarray
    log_f: np.ndarray
    d: np.ndarray
    w: np.ndarray

    @property
    def focal(self):
        return np.exp(self.log_f)


@dataclass
class Free:
    """Which parameters may move."""

    rotation: bool = True
    centre: bool = True
    focal: bool = True  # one value for all frames ...
    zoom: bool = False  # ... or one per frame
    points: bool = True
    depth: bool = True  # w too; without it points stay directions
    first: bool = False  # the pose of frame 0 too: where something else than the points says where the world is


@dataclass
class Priors:
    """Weak beliefs, in the parameters' own units; they carry frames and focal lengths that no picture pins down."""

    log_f: float  # mean of log focal, px
    log_f_sigma: float = FOCAL_SPREAD
    smooth: bool = True  # second differences over consecutive frames; off for keyframes, which are not evenly spaced
    turn: float = 0.03  # rad/frame^2
    travel: float = 0.0  # distance units/frame^2; 0 = off
    zoom: float = 0.01  # log focal/frame^2
    order: int = 2  # of the differences of turn and travel: 3 holds the jerk, rad/frame^3 and units/frame^3
    depth: float = 0.0  # inverse distance about 1 (the scene is scaled so that this is the usual one); 0 = off


@dataclass
class Fit:
    """Outcome of `adjust`."""

    model: Model
    sigma: float  # px, robust noise of one coordinate
    error: np.ndarray  # (M,) px, length of the reprojection error; inf behind the camera
    focal_sigma: float  # 1 sigma of log focal from the curvature (mean over frames for a zoom)
    history: list = field(default_factory=list)  # after every step: cost of each kind of evidence, in sigma^2


@dataclass
class CameraRows:
    """Residuals of single frames' cameras, of what is held while the cameras move.

    frame: (M,). r: (M, m) in sigmas. J: (M, m, 7) by rotation, centre and log focal as in `jacobians`, or None. weight: (M,).
    kernel: rows.Kernel of the squared length of each r.
    """

    name: str
    frame: np.ndarray
    r: np.ndarray
    J: np.ndarray | None
    weight: np.ndarray
    kernel: Kernel

    def cost(self) -> float:
        return float((self.weight * self._of(self.kernel.value)).sum())

    def curvature(self):
        """Weights (M,) of iteratively reweighted least squares."""
        return self.weight * self._of(self.kernel.slope)

    def _of(self, function):
        return function(torch.from_numpy((self.r**2).sum(-1))).numpy()


def hat(v):
    """(..., 3) to skew matrices (..., 3, 3)."""
    out = np.zeros(v.shape[:-1] + (3, 3))
    out[..., 0, 1], out[..., 0, 2], out[..., 1, 2] = -v[..., 2], v[..., 1], -v[..., 0]
    return out - np.swapaxes(out, -1, -2)


def exp_rotation(v):
    return Rotation.from_rotvec(v).as_matrix()


def tangents(d):
    """(N, 3, 2) orthonormal bases of the planes across unit directions d (N, 3)."""
    helper = np.eye(3)[np.abs(d).argmin(1)]
    a = np.cross(d, helper)
    a /= np.linalg.norm(a, axis=1, keepdims=True)
    return np.stack([a, np.cross(d, a)], -1)


def unit(v):
    return v / np.linalg.norm(v, axis=-1, keepdims=True)


def residuals(model: Model, obs: Observations, size):
    """Reprojection errors (M, 2) px and camera-frame rays y (M, 3). Points behind the camera get large, finite errors."""
    R, p = model.R[obs.frame], obs.point
    y = np.einsum("mij,mj->mi", R, model.d[p] - model.w[p, None] * model.c[obs.frame])
    z = np.maximum(y[:, 2:], 1e-3)
    f = model.focal[obs.frame, None]
    return f * y[:, :2] / z + np.asarray(size) / 2 - obs.xy, y


def jacobians(model: Model, obs: Observations):
    """d residual / d (rotation 3, centre 3, log f 1) as (M, 2, 7), and / d (tangent 2, w 1) as (M, 2, 3).

    Rotations move as exp(delta) R, directions as unit(d + B delta)."""
    R, p = model.R[obs.frame], obs.point
    w, c = model.w[p], model.c[obs.frame]
    y = np.einsum("mij,mj->mi", R, model.d[p] - w[:, None] * c)
    z = np.maximum(y[:, 2], 1e-3)
    f = model.focal[obs.frame]
    proj = np.zeros((len(obs), 2, 3))
    proj[:, 0, 0] = proj[:, 1, 1] = f / z
    proj[:, :, 2] = -(f / z**2)[:, None] * y[:, :2]
    proj_R = proj @ R
    cam = np.empty((len(obs), 2, 7))
    cam[:, :, :3] = -proj @ hat(y)
    cam[:, :, 3:6] = -w[:, None, None] * proj_R
    cam[:, :, 6] = (f / z)[:, None] * y[:, :2]
    point = np.empty((len(obs), 2, 3))
    point[:, :, :2] = proj_R @ tangents(model.d)[p]
    point[:, :, 2] = -np.einsum("mij,mj->mi", proj_R, c)
    return cam, point


def step(model: Model, d_cam, d_point) -> Model:
    """Move a model by increments (T, 7) and (N, 3)."""
    d = unit(model.d + np.einsum("nij,nj->ni", tangents(model.d), d_point[:, :2]))
    return Model(
        exp_rotation(d_cam[:, :3]) @ model.R,
        model.c + d_cam[:, 3:6],
        model.log_f + d_cam[:, 6],
        d,
        np.maximum(model.w + d_point[:, 2], 1e-7),
    )


def robust_sigma(r, floor=0.05):
    """Noise of one coordinate from errors r (M, 2), by the median."""
    return max(float(np.sqrt(np.median((r**2).sum(1)) / 1.386)), floor) if len(r) else floor


def adjust(
    model: Model, obs: Observations, size, free: Free, priors: Priors, tick=None, sigma=None, iterations=20, tolerance=1e-4, more=None
) -> Fit:
    """Robust bundle adjustment (Levenberg-Marquardt, Cauchy loss). Frame 0 keeps its pose unless it is free.

    size:   (width, height) px.
    tick:   called before every iteration; may raise to stop.
    sigma:  noise of one coordinate, px; None estimates it and lets it shrink as the fit improves.
    more:   (Model, whether with derivatives) -> list of CameraRows: what else tells where the cameras are; or None.
    """
    T, N = len(model.R), len(model.d)
    tie, rows = _tie(T, free), _prior_rows(T, priors, free)
    by_frame = np.argsort(obs.frame, kind="stable")
    fixed_sigma = sigma is not None
    r, y = residuals(model, obs, size)
    priors = replace(priors, depth=priors.depth if free.points and free.depth else 0.0)
    if not fixed_sigma:
        sigma = robust_sigma(r)
    others = more or (lambda model, moves: [])
    costs = _costs(model, r, sigma, priors, free, others(model, False))
    damping, cost, history = 1e-5, sum(costs.values()), []
    system = None
    for _ in range(iterations):
        if tick:
            tick()
        if system is None:
            system = _normal_equations(model, obs, r, y, sigma, free, priors, by_frame, rows, others(model, True))
        move = _solve(system, tie, damping, obs, free, T, N)
        trial = step(model, *move) if move is not None else None
        if trial is not None:
            r_new, y_new = residuals(trial, obs, size)
            costs_new = _costs(trial, r_new, sigma, priors, free, others(trial, False))
            cost_new = sum(costs_new.values())
        if trial is None or not cost_new < cost:
            damping *= 8
            if damping > 1e6:
                break
            continue
        gain = (cost - cost_new) / cost
        model, r, y, system, damping = trial, r_new, y_new, None, max(damping / 10, 1e-9)
        history.append(costs_new)
        cost = cost_new
        if not fixed_sigma:
            sigma = min(sigma, robust_sigma(r))
            cost = sum(_costs(model, r, sigma, priors, free, others(model, False)).values())
        if gain < tolerance:
            break
    error = np.linalg.norm(r, axis=1)
    error[y[:, 2] <= 1e-3] = np.inf
    focal_sigma = 0.0
    if free.focal or free.zoom:
        system = _normal_equations(model, obs, r, y, sigma, free, priors, by_frame, rows, others(model, True))
        focal_sigma = _focal_sigma(system, tie, obs, free, T, N)
    return Fit(model, sigma, error, focal_sigma, history)


def _tie(T, free: Free):
    """Sparse (7T, n): free parameters to all camera parameters. Frame 0's pose is the gauge, unless it is free; a shared focal is one column."""
    rows = np.arange(7 * T).reshape(T, 7)
    single, first = [], 0 if free.first else 1
    if free.rotation:
        single.append(rows[first:, :3].ravel())
    if free.centre:
        single.append(rows[first:, 3:6].ravel())
    if free.zoom:
        single.append(rows[:, 6])
    single = np.concatenate(single) if single else np.zeros(0, int)
    columns = np.arange(len(single))
    if free.focal and not free.zoom:
        columns = np.concatenate([columns, np.full(T, len(single))])
        single = np.concatenate([single, rows[:, 6]])
    n = int(columns.max(initial=-1)) + 1
    return sparse.csr_matrix((np.ones(len(single)), (single, columns)), (7 * T, n))


def _prior_rows(T, priors: Priors, free: Free):
    """(K, 7T) sparse: what `_prior_residuals` changes by with the camera parameters."""
    blocks = [sparse.csr_matrix((0, 7 * T))]
    if free.focal or free.zoom:
        blocks.append(sparse.csr_matrix((np.full(T, 1 / T), (np.zeros(T, int), 7 * np.arange(T) + 6)), (1, 7 * T)) / priors.log_f_sigma)
    if T > priors.order and priors.smooth:
        for wanted, sigma, first, count, order in (
            (free.rotation, priors.turn, 0, 3, priors.order),
            (free.centre, priors.travel, 3, 3, priors.order),
            (free.zoom, priors.zoom, 6, 1, 2),
        ):
            if wanted and sigma:
                differences = sparse.csr_matrix(np.diff(np.eye(T), order, axis=0))
                blocks.append(sparse.kron(differences, np.eye(7)[first : first + count]) / sigma)
    return sparse.vstack(blocks).tocsr()


def _prior_residuals(model: Model, priors: Priors, free: Free):
    """(K,) whitened: focal length about its prior, differences of rotation, centre and zoom."""
    parts = []
    if free.focal or free.zoom:
        parts.append(np.array([model.log_f.mean() - priors.log_f]) / priors.log_f_sigma)
    if len(model.R) > priors.order and priors.smooth:
        if free.rotation and priors.turn:
            turn = Rotation.from_matrix(model.R[1:] @ np.swapaxes(model.R[:-1], 1, 2)).as_rotvec()
            parts.append(np.diff(turn, priors.order - 1, axis=0).ravel() / priors.turn)
        if free.centre and priors.travel:
            parts.append(np.diff(model.c, priors.order, axis=0).ravel() / priors.travel)
        if free.zoom and priors.zoom:
            parts.append(np.diff(model.log_f, 2) / priors.zoom)
    return np.concatenate(parts) if parts else np.zeros(0)


def _costs(model, r, sigma, priors, free, others) -> dict:
    """Cost of each kind of evidence, in sigma^2."""
    e = (r**2).sum(1) / (CAUCHY * sigma) ** 2
    depth = (((model.w - 1) / priors.depth) ** 2).sum() if priors.depth else 0.0
    own = {"points": CAUCHY**2 * np.log1p(e).sum(), "priors": (_prior_residuals(model, priors, free) ** 2).sum() + depth}
    return own | {term.name: term.cost() for term in others}


def _sum_by(values, keys, count):
    """Sum rows of values (M, ...) with sorted keys into (count, ...)."""
    out = np.zeros((count,) + values.shape[1:])
    if len(keys):
        starts = np.flatnonzero(np.r_[True, np.diff(keys) > 0])
        out[keys[starts]] = np.add.reduceat(values, starts, axis=0)
    return out


def _normal_equations(model, obs, r, y, sigma, free, priors, by_frame, rows, others=()):
    T, N = len(model.R), len(model.d)
    cam, point = jacobians(model, obs)
    # Behind the camera nothing can be learnt from an observation.
    weight = np.where(y[:, 2] > 1e-3, 1 / (1 + (r**2).sum(1) / (CAUCHY * sigma) ** 2), 0) / sigma**2
    cam_w = cam * weight[:, None, None]
    frames_sorted = obs.frame[by_frame]
    U = _sum_by((np.swapaxes(cam_w, 1, 2) @ cam)[by_frame], frames_sorted, T)
    g_cam = _sum_by(np.einsum("mij,mi->mj", cam_w, r)[by_frame], frames_sorted, T)
    H = np.zeros((7 * T, 7 * T))
    for k in range(T):
        H[7 * k : 7 * k + 7, 7 * k : 7 * k + 7] = U[k]
    for term in others:
        weighted = term.J * term.curvature()[:, None, None]
        np.add.at(H.reshape(T, 7, T, 7), (term.frame, slice(None), term.frame), np.swapaxes(weighted, 1, 2) @ term.J)
        np.add.at(g_cam, term.frame, np.einsum("mij,mi->mj", weighted, term.r))
    g_cam = g_cam.ravel()
    H += (rows.T @ rows).toarray()
    g_cam += rows.T @ _prior_residuals(model, priors, free)
    if not free.points:
        return H, g_cam, None, None, None
    dims = 3 if free.depth else 2
    point = point[:, :, :dims]
    V = _sum_by(np.swapaxes(point * weight[:, None, None], 1, 2) @ point, obs.point, N)
    g_point = _sum_by(np.einsum("mij,mi->mj", point * weight[:, None, None], r), obs.point, N)
    if priors.depth:
        V[:, 2, 2] += 1 / priors.depth**2
        g_point[:, 2] += (model.w - 1) / priors.depth**2
    W = np.swapaxes(cam_w, 1, 2) @ point
    return H, g_cam, V, g_point, W


def _eliminate(system, damping, obs, T, N):
    """Schur complement: reduced H and g, and what is needed to get the points back."""
    H, g_cam, V, g_point, W = system
    dims = V.shape[-1]
    eye = np.eye(dims, dtype=bool)
    diagonal = V[:, eye]
    V = V.copy()
    V[:, eye] = diagonal * (1 + damping) + 1e-12 * diagonal.max(1, keepdims=True) + 1e-12
    L = np.linalg.cholesky(V)
    L_inv = np.linalg.inv(L)
    E = W @ np.swapaxes(L_inv, 1, 2)[obs.point]  # (M, 7, dims), so that S = H - sum E E^T
    b = np.einsum("nij,nj->ni", L_inv, g_point)
    S, g = H.copy(), g_cam.copy()
    bounds = np.searchsorted(obs.point, np.arange(0, N + GROUP, GROUP))
    for k, (lo, hi) in enumerate(pairwise(bounds)):
        if lo == hi:
            continue
        frame, local = obs.frame[lo:hi], obs.point[lo:hi] - k * GROUP
        first, last = frame.min(), frame.max() + 1
        block = np.zeros((last - first, 7, min(GROUP, N - k * GROUP), dims))
        block[frame - first, :, local] = E[lo:hi]
        block = block.reshape(7 * (last - first), -1)
        span = slice(7 * first, 7 * last)
        S[span, span] -= block @ block.T
        g[span] -= block @ b[k * GROUP : k * GROUP + GROUP].ravel()
    return S, g, L_inv, E, b


def _solve(system, tie, damping, obs, free, T, N):
    """Increments (T, 7), (N, 3), or None where the system cannot be solved."""
    if free.points:
        S, g, L_inv, E, b = _eliminate(system, damping, obs, T, N)
    else:
        S, g = system[:2]
    d_cam = np.zeros(7 * T)
    if tie.shape[1]:
        A = tie.T @ (tie.T @ S).T
        # Damp by the diagonal before elimination: the reduced one can vanish along the gauge.
        D = tie.T @ (tie.T @ sparse.diags(system[0].diagonal())).T
        A[np.diag_indices(len(A))] += damping * D.diagonal() + 1e-9 * D.diagonal().max()
        try:
            d_cam = tie @ linalg.solve(A, -(tie.T @ g), assume_a="pos", overwrite_a=True, check_finite=False)
        except linalg.LinAlgError:
            return None
    d_point = np.zeros((N, 3))
    if free.points:
        back = b + _sum_by(np.einsum("mij,mi->mj", E, d_cam.reshape(T, 7)[obs.frame]), obs.point, N)
        d_point[:, : b.shape[1]] = -np.einsum("nji,nj->ni", L_inv, back)
    if not (np.isfinite(d_cam).all() and np.isfinite(d_point).all()):
        return None
    return d_cam.reshape(T, 7), d_point


def _focal_sigma(system, tie, obs, free, T, N):
    """1 sigma of the mean log focal, everything else marginalised."""
    S = _eliminate(system, 0, obs, T, N)[0] if free.points else system[0]
    A = tie.T @ (tie.T @ S).T
    A[np.diag_indices(len(A))] += 1e-12 * np.abs(A.diagonal()).max()  # the scale of the scene is free
    mean = np.zeros(7 * T)
    mean[6::7] = 1 / T
    v = tie.T @ mean
    try:
        return float(np.sqrt(max(v @ linalg.solve(A, v, assume_a="sym", check_finite=False), 0)))
    except linalg.LinAlgError:
        return FOCAL_SPREAD


def change_origin(model: Model, index) -> Model:
    """The same scene with frame `index` as the origin; points behind infinity stay out of reach."""
    R0, c0 = model.R[index], model.c[index]
    q = model.d - model.w[:, None] * c0
    length = np.maximum(np.linalg.norm(q, axis=1), 1e-12)
    R = model.R @ R0.T
    c = (model.c - c0) @ R0.T
    return replace(model, R=R, c=c, d=(q / length[:, None]) @ R0.T, w=model.w / length)


def rescale(model: Model, factor) -> Model:
    """All distances times `factor`."""
    return replace(model, c=model.c * factor, w=model.w / factor)


def focal_prior(size):
    """log of a 35 mm lens in pixels."""
    return float(np.log(fr.focal_px_from_mm(35.0, *size)))
