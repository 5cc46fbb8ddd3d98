"""Bundle adjustment: cameras, points and focal length from observations, by damped least squares.

One parametrisation serves all camera models. A point is a unit direction d from the origin of the world and an inverse
distance w >= 0; a camera is a rotation R (cam from world) and a centre c:

    y = R (d - w c),   pixel = f y_xy / y_z + picture centre.

A far point is w -> 0, without trouble; w = 0 everywhere is the rotation-only model, in which c has no effect. Points are
eliminated first, and what is left couples frames that see a point together (band.py). The principal point is the picture's
centre and there is no lens distortion.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import numpy as np
import torch
from scipy import sparse
from scipy.spatial.transform import Rotation

from .. import frames as fr
from .band import Equations, lasting_points, lens_sigma, solve, spans, sum_by
from .rows import Kernel

CAUCHY = 2.5  # width of the robust loss, in noise sigmas
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

    @property
    def columns(self) -> list:
        """Which of a camera's seven parameters are unknowns of every frame; a focal length that all share is none of them."""
        return [*range(3)] * self.rotation + [*range(3, 6)] * self.centre + [6] * self.zoom

    @property
    def shared(self) -> bool:
        """Whether all frames share one unknown focal length."""
        return self.focal and not self.zoom


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
    rows, lasting = _prior_rows(T, priors, free), lasting_points(obs, T, N, free)
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
        move = solve(system, damping, obs, free, lasting)
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
        told = lens_sigma(system, obs, free, lasting)
        focal_sigma = FOCAL_SPREAD if told is None else told
    return Fit(model, sigma, error, focal_sigma, history)


def _prior_rows(T, priors: Priors, free: Free):
    """(K, T n) sparse: what `_prior_residuals` changes by with the unknowns of the frames."""
    columns = free.columns
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


def _normal_equations(model, obs, r, y, sigma, free, priors, by_frame, rows, lasting, others=()) -> Equations:
    T, N = len(model.R), len(model.d)
    columns, shared = free.columns, free.shared
    n = len(columns)
    jacobian, point = jacobians(model, obs)
    cam, lens = jacobian[:, :, columns], jacobian[:, :, 6] * shared
    # Behind the camera nothing can be learnt from an observation.
    weight = np.where(y[:, 2] > 1e-3, 1 / (1 + (r**2).sum(1) / (CAUCHY * sigma) ** 2), 0) / sigma**2

    def by_frames(values):
        return sum_by(values[by_frame], obs.frame[by_frame], T)

    by_priors = (rows.T @ rows).tocoo()
    tied = by_priors.col // max(n, 1) - by_priors.row // max(n, 1)  # frames, of what the priors tie
    span = max(tied.max(initial=0), spans(obs, N)[~lasting].max(initial=0) if free.points else 0)
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
    out.V = sum_by(np.swapaxes(point * weight[:, None, None], 1, 2) @ point, obs.point, N)
    out.g_point = sum_by(np.einsum("mij,mi->mj", point * weight[:, None, None], r), obs.point, N)
    if priors.depth:
        out.V[:, 2, 2] += 1 / priors.depth**2
        out.g_point[:, 2] += (model.w - 1) / priors.depth**2
    out.W = np.swapaxes(np.concatenate([cam_w, (lens * weight[:, None])[..., None]], 2), 1, 2) @ point
    return out


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
