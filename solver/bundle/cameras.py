"""Bundle adjustment: cameras, points and focal length from observations, by damped least squares.

One parametrisation serves all camera models. A point is a unit direction d from the origin of the world and an inverse
distance w >= 0; a camera is a rotation R (cam from world) and a centre c:

    y = R (d - w c),   pixel = f y_xy / y_z + picture centre.

A far point is w -> 0, without trouble; w = 0 everywhere is the rotation-only model, in which c has no effect. Points are
eliminated first (Schur complement), in dense blocks over the frames that a group of points spans. The principal point is the
picture's centre and there is no lens distortion. What is left couples frames that see a point together: a band in time, with a
border for what all frames share.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from itertools import pairwise

import numpy as np
import torch
from scipy import linalg, sparse
from scipy.spatial.transform import Rotation

from .. import frames as fr
from .rows import Kernel, banded

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
    rows, lasting = _prior_rows(T, priors, free), _lasting(obs, T, N, free)
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
            system = _normal_equations(model, obs, r, y, sigma, free, priors, by_frame, rows, lasting, others(model, True))
        move = _solve(system, damping, obs, free, lasting)
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
        system = _normal_equations(model, obs, r, y, sigma, free, priors, by_frame, rows, lasting, others(model, True))
        focal_sigma = _focal_sigma(system, obs, free, lasting)
    return Fit(model, sigma, error, focal_sigma, history)


def _columns(free: Free) -> list:
    """Which of a camera's seven parameters are unknowns of every frame; a focal length that all share is none of them."""
    return [*range(3)] * free.rotation + [*range(3, 6)] * free.centre + [6] * free.zoom


def _shared(free: Free) -> bool:
    return free.focal and not free.zoom


def _prior_rows(T, priors: Priors, free: Free):
    """(K, T n) sparse: what `_prior_residuals` changes by with the unknowns of the frames."""
    columns = _columns(free)
    blocks = [sparse.csr_matrix((0, T * len(columns)))]
    if T > priors.order and priors.smooth:
        for sigma, of, order in ((priors.turn, range(3), priors.order), (priors.travel, range(3, 6), priors.order), (priors.zoom, [6], 2)):
            which = np.eye(len(columns))[[columns.index(c) for c in of if c in columns]]
            if len(which) and sigma:
                blocks.append(sparse.kron(sparse.csr_matrix(np.diff(np.eye(T), order, axis=0)), which) / sigma)
    return sparse.vstack(blocks).tocsr()


def _prior_residuals(model: Model, priors: Priors, free: Free):
    """(K,) whitened: differences of rotation, centre and zoom."""
    parts = []
    if len(model.R) > priors.order and priors.smooth:
        if free.rotation and priors.turn:
            turn = Rotation.from_matrix(model.R[1:] @ np.swapaxes(model.R[:-1], 1, 2)).as_rotvec()
            parts.append(np.diff(turn, priors.order - 1, axis=0).ravel() / priors.turn)
        if free.centre and priors.travel:
            parts.append(np.diff(model.c, priors.order, axis=0).ravel() / priors.travel)
        if free.zoom and priors.zoom:
            parts.append(np.diff(model.log_f, 2) / priors.zoom)
    return np.concatenate(parts) if parts else np.zeros(0)


def _lens_prior(model: Model, priors: Priors, free: Free):
    """Mean log focal length about its prior, whitened; 0 where lenses are held."""
    return (model.log_f.mean() - priors.log_f) / priors.log_f_sigma if free.focal or free.zoom else 0.0


def _costs(model, r, sigma, priors, free, others) -> dict:
    """Cost of each kind of evidence, in sigma^2."""
    e = (r**2).sum(1) / (CAUCHY * sigma) ** 2
    depth = (((model.w - 1) / priors.depth) ** 2).sum() if priors.depth else 0.0
    own = {"points": CAUCHY**2 * np.log1p(e).sum(), "priors": (_prior_residuals(model, priors, free) ** 2).sum() + _lens_prior(model, priors, free) ** 2 + depth}
    return own | {term.name: term.cost() for term in others}


def _sum_by(values, keys, count):
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
    the log focal length, and once points are eliminated those that stay (`_lasting`). g (T, n), g_shared (k,): gradients. mean: weight of the mean log focal
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


def _normal_equations(model, obs, r, y, sigma, free, priors, by_frame, rows, lasting, others=()) -> Equations:
    T, N = len(model.R), len(model.d)
    columns, shared = _columns(free), _shared(free)
    n = len(columns)
    jacobian, point = jacobians(model, obs)
    cam, lens = jacobian[:, :, columns], jacobian[:, :, 6] * shared
    # Behind the camera nothing can be learnt from an observation.
    weight = np.where(y[:, 2] > 1e-3, 1 / (1 + (r**2).sum(1) / (CAUCHY * sigma) ** 2), 0) / sigma**2

    def by_frames(values):
        return _sum_by(values[by_frame], obs.frame[by_frame], T)

    by_priors = (rows.T @ rows).tocoo()
    tied = by_priors.col // max(n, 1) - by_priors.row // max(n, 1)  # frames, of what the priors tie
    span = max(tied.max(initial=0), _spans(obs, N)[~lasting].max(initial=0) if free.points else 0)
    cam_w = cam * weight[:, None, None]
    out = Equations(
        blocks=np.zeros((span + 1, T, n, n)),
        border=by_frames(np.einsum("mij,mi->mj", cam_w, lens))[..., None],
        corner=(weight[:, None] * lens**2).sum().reshape(1, 1),
        g=by_frames(np.einsum("mij,mi->mj", cam_w, r)),
        g_shared=(weight[:, None] * lens * r).sum().reshape(1),
        mean=0.0,
    )
    out.blocks[0] = by_frames(np.swapaxes(cam_w, 1, 2) @ cam)
    for term in others:
        curvature = term.curvature()[:, None, None]
        own, by_lens = term.J[:, :, columns], term.J[:, :, 6] * shared
        np.add.at(out.blocks[0], term.frame, np.swapaxes(own * curvature, 1, 2) @ own)
        np.add.at(out.border[..., 0], term.frame, np.einsum("mij,mi->mj", own * curvature, by_lens))
        np.add.at(out.g, term.frame, np.einsum("mij,mi->mj", own * curvature, term.r))
        out.corner += (curvature[..., 0] * by_lens**2).sum()
        out.g_shared += (curvature[..., 0] * by_lens * term.r).sum()
    at, to = by_priors.row[tied >= 0], by_priors.col[tied >= 0]
    out.blocks[tied[tied >= 0], at // max(n, 1), at % max(n, 1), to % max(n, 1)] += by_priors.data[tied >= 0]
    out.g += (rows.T @ _prior_residuals(model, priors, free)).reshape(T, n)
    about = _lens_prior(model, priors, free) / priors.log_f_sigma
    if shared:
        out.corner += 1 / priors.log_f_sigma**2
        out.g_shared += about
    elif free.zoom:
        out.mean = 1 / priors.log_f_sigma**2
        out.g[:, columns.index(6)] += about / T
    if not free.points:
        return out
    dims = 3 if free.depth else 2
    point = point[:, :, :dims]
    out.V = _sum_by(np.swapaxes(point * weight[:, None, None], 1, 2) @ point, obs.point, N)
    out.g_point = _sum_by(np.einsum("mij,mi->mj", point * weight[:, None, None], r), obs.point, N)
    if priors.depth:
        out.V[:, 2, 2] += 1 / priors.depth**2
        out.g_point[:, 2] += (model.w - 1) / priors.depth**2
    out.W = np.swapaxes(np.concatenate([cam_w, (lens * weight[:, None])[..., None]], 2), 1, 2) @ point
    return out


def _spans(obs, N):
    """(N,) frames from the first to the last observation of each point."""
    out = np.zeros(N, int)
    starts = np.flatnonzero(np.r_[True, np.diff(obs.point) > 0][: len(obs)])
    if len(starts):
        out[obs.point[starts]] = np.maximum.reduceat(obs.frame, starts) - np.minimum.reduceat(obs.frame, starts)
    return out


def _lasting(obs, T, N, free: Free):
    """(N,) bool: points that are seen for so long that it takes less to keep them as unknowns beside the lens than to have a band as wide as they last."""
    n, spans = len(_columns(free)), _spans(obs, N)
    if not n or not free.points:
        return np.zeros(N, bool)
    reach = np.unique(np.maximum(spans, 3))
    width, kept = n * (reach + 1.0), 3.0 * (spans[:, None] > reach).sum(0)
    work = T * n * (width**2 + 4 * width * kept + 2 * kept**2) + kept**3 / 3
    return spans > reach[work.argmin()]


def _eliminate(equations: Equations, damping, obs, lasting):
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
    lens = _sum_by(E[:, -1], obs.point, N)
    at = 1 + dims * np.arange(lasting.sum())[:, None] + np.arange(dims)
    size = 1 + at.size
    border, corner = np.zeros((T, n, size)), np.zeros((size, size))
    border[..., :1], corner[0, 0] = equations.border, equations.corner[0, 0] - (lens**2).sum()
    rows = np.flatnonzero(lasting[obs.point])
    mine = at[np.cumsum(lasting)[obs.point[rows]] - 1]
    border[obs.frame[rows, None], :, mine] = np.swapaxes(equations.W[rows, :-1], 1, 2)
    corner[0, at] = corner[at, 0] = _sum_by(equations.W[:, -1], obs.point, N)[lasting]
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


def _answer(reduced: Equations, damped, free: Free, right, right_shared):
    """Unknowns (T, n) and (k,) for right-hand sides (T, n) and (k,). Raises LinAlgError.

    damped: (T, n) and of the lens, added to the equations' own. The pose of frame 0 is the gauge, unless it is free.
    """
    T, n = right.shape
    k = len(right_shared)
    columns, blocks, border, right = _columns(free), reduced.blocks.copy(), reduced.border, right.copy()
    corner, definite = reduced.corner.copy(), "pos"
    corner[0, 0] += damped[1] if _shared(free) else 1.0
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


def _solve(equations: Equations, damping, obs, free, lasting):
    """Increments (T, 7), (N, 3), or None where the system cannot be solved."""
    T, N = len(equations.g), len(lasting)
    own, lens = np.diagonal(equations.blocks[0], axis1=1, axis2=2), equations.corner[0, 0]
    least = 1e-9 * max(own.max(initial=0), lens)
    reduced = equations
    try:
        if free.points:
            reduced, L_inv, E, b = _eliminate(equations, damping, obs, lasting)
        # Damped by the diagonal before elimination: the reduced one can vanish along the gauge.
        own, shared = _answer(reduced, (damping * own + least, damping * lens + least), free, -reduced.g, -reduced.g_shared)
    except linalg.LinAlgError:
        return None
    lens = shared[0] * _shared(free)
    d_cam = np.zeros((T, 7))
    d_cam[:, _columns(free)] = own
    d_cam[:, 6] += lens
    d_point = np.zeros((N, 3))
    if free.points:
        moved = np.concatenate([own, np.full((T, 1), lens)], 1)
        back = b + _sum_by(np.einsum("mij,mi->mj", E, moved[obs.frame]), obs.point, N)
        d_point[:, : b.shape[1]] = -np.einsum("nji,nj->ni", L_inv, back)
        d_point[lasting, : b.shape[1]] = shared[1:].reshape(-1, b.shape[1])
    if not (np.isfinite(d_cam).all() and np.isfinite(d_point).all()):
        return None
    return d_cam, d_point


def _focal_sigma(equations: Equations, obs, free, lasting):
    """1 sigma of the mean log focal, everything else marginalised."""
    reduced = _eliminate(equations, 0, obs, lasting)[0] if free.points else equations
    mean, mean_shared = np.zeros_like(reduced.g), np.zeros_like(reduced.g_shared)
    if free.zoom:
        mean[:, _columns(free).index(6)] = 1 / len(mean)
    else:
        mean_shared[0] = 1.0
    ridge = 1e-9 * np.diagonal(equations.blocks[0], axis1=1, axis2=2)  # the scale of the scene is free
    try:
        own, shared = _answer(reduced, (ridge, 0.0), free, mean, mean_shared)
    except linalg.LinAlgError:
        return FOCAL_SPREAD
    return float(np.sqrt(max((own * mean).sum() + shared @ mean_shared, 0)))


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
