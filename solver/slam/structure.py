"""A camera that travels: keyframes, a first pair, more frames one by one, then all of it in one bundle adjustment."""

from __future__ import annotations

from dataclasses import replace

import cv2
import numpy as np
from scipy.spatial.transform import Rotation, Slerp
from scipy.stats import spearmanr

from ..bundle.band import sum_by
from ..bundle.cameras import (
    Fit,
    Free,
    Model,
    Observations,
    Priors,
    adjust,
    change_origin,
    rescale,
    residuals,
    unit,
)
from .turning import rays

KEYFRAMES = 32  # at most, or every fourth frame of a long shot
ENOUGH = 12  # points that hold a frame
REVERSED = 3.0  # times the loss of the relief as it is: beyond, its reverse is not looked at closer
# Up to ALIKE times the least loss (by 4 % more it has told a relief from its reverse rightly) it is the ground that tells: what is further down is nearer. `rising` is 0.13 and more in 39 right worlds of
# rendered shots and on two clips, -0.3 and less in six wrong ones; but also -0.3 and -0.4 in a right one, where a camera looks up from the ground.
ALIKE, HOLLOW = 1.03, -0.2
MIN_ANGLE = np.deg2rad(0.8)  # between two rays that give a depth


def keyframes(obs: Observations, frames, size):
    """Frames between which the picture has moved by a few per cent of its width, or lost half of its points."""
    first = np.searchsorted(obs.frame[np.argsort(obs.frame, kind="stable")], np.arange(frames + 1))
    by_frame = np.argsort(obs.frame, kind="stable")
    seen = [by_frame[first[t] : first[t + 1]] for t in range(frames)]
    distance = 0.02 * size[0]
    while True:
        chosen = [0]
        for t in range(1, frames):
            a, b = seen[chosen[-1]], seen[t]
            _, ia, ib = np.intersect1d(obs.point[a], obs.point[b], assume_unique=True, return_indices=True)
            if len(b) < ENOUGH:
                continue
            if not len(ia):
                chosen.append(t)
                continue
            moved = np.median(np.linalg.norm(obs.xy[a[ia]] - obs.xy[b[ib]], axis=1))
            if moved > distance or len(ia) < 0.5 * len(a):
                chosen.append(t)
        if chosen[-1] != frames - 1 and len(seen[-1]) >= ENOUGH:
            chosen.append(frames - 1)
        if len(chosen) <= max(KEYFRAMES, frames // 4) or distance > 0.2 * size[0]:
            return np.array(chosen)
        distance *= 1.3


def triangulate(model: Model, obs: Observations, size, points):
    """Directions d (N, 3) and inverse distances w (N,) of points seen by posed cameras: linear, all points at once."""
    v = rays(obs, model.log_f, size)
    R, c = model.R[obs.frame], model.c[obs.frame]
    world = np.einsum("mji,mj->mi", R, v)
    across = np.eye(3) - world[:, :, None] * world[:, None, :]  # what is left of P - h c across the ray is zero
    A = np.concatenate([across, -across @ c[:, :, None]], 2)
    normal = sum_by(np.swapaxes(A, 1, 2) @ A, obs.point, points)
    X = np.linalg.eigh(normal)[1][:, :, 0]
    towards = sum_by(np.einsum("mi,mi->m", world, X[obs.point, :3] - X[obs.point, 3:] * c), obs.point, points)
    X *= np.where(towards < 0, -1, 1)[:, None]
    length = np.maximum(np.linalg.norm(X[:, :3], axis=1), 1e-12)
    return X[:, :3] / length[:, None], np.maximum(X[:, 3] / length, 1e-6)


def angles(model: Model, obs: Observations, size, points):
    """(N,) rad: how far apart the rays to each point are (largest angle from their mean, doubled)."""
    world = np.einsum("mji,mj->mi", model.R[obs.frame], rays(obs, model.log_f, size))
    mean = sum_by(world, obs.point, points)
    mean /= np.maximum(np.linalg.norm(mean, axis=1, keepdims=True), 1e-12)
    off = np.arccos(np.clip(np.einsum("mi,mi->m", world, mean[obs.point]), -1, 1))
    out = np.zeros(points)
    np.maximum.at(out, obs.point, off)
    return 2 * out


def travelling_model(obs: Observations, frames, points, size, prior: Priors, focals, free_focal, tick) -> Fit | None:
    """Poses, points and focal length of a camera that travels, or None where no start is found.

    focals:  focal lengths to try, px; the one that ends with least error is kept.
    """
    keys = keyframes(obs, frames, size)
    if len(keys) < 2:
        return None
    key_obs, _ = obs.of_frames(keys)
    starts = []
    for focal in focals:
        for pair in _pairs(key_obs, len(keys), size, focal)[:3]:
            start = _grow(key_obs, len(keys), points, size, focal, pair, prior, free_focal, tick)
            if start is not None and start[2].sum() >= max(2, 0.3 * len(keys)):
                starts.append(start)
                if start[2].mean() > 0.9:
                    break
    fits = []
    for _, model, posed, solid in _different(sorted(starts, key=lambda start: start[0])):
        model = Model(model.R[posed], model.c[posed], model.log_f[posed], model.d, model.w)
        fit = _all_frames(obs, frames, points, size, model, solid, keys[posed], prior, free_focal, tick)
        if fit is not None:
            fits.append(fit)
    if not fits:
        return None
    sigma = max(min(fit.sigma for fit in fits), 0.3 * size[0] / 640)

    def loss(fit):
        # Capped low: what moves by itself can be bent into almost any focal length, and must not vote.
        off = (fit.model.log_f[0] - prior.log_f) / prior.log_f_sigma
        return np.minimum(fit.error**2 / sigma**2, 4.0).sum() + off**2

    best = min(fits, key=loss)
    if other := _mirrored(best, obs, size, prior, free_focal, tick, loss):
        fits.append(other)
    least = min(map(loss, fits))
    return min((fit for fit in fits if loss(fit) < ALIKE * least), key=lambda fit: (rising(fit.model, obs) < HOLLOW, loss(fit)))


def rising(model: Model, obs: Observations) -> float:
    """-1..1: rank correlation of how far down things are in the picture with how near they are, a mean over frames. Nearly everything stands on a ground under the camera, unless that looks up."""
    found = []
    for frame in range(len(model.c)):
        rows = np.flatnonzero(obs.frame == frame)
        w = model.w[obs.point[rows]]
        ahead = (model.d[obs.point[rows]] - w[:, None] * model.c[frame]) @ model.R[frame, 2]
        rows, near = rows[ahead > 0], w[ahead > 0] / ahead[ahead > 0]
        if len(rows) >= ENOUGH:
            found.append(spearmanr(obs.xy[rows, 1], near)[0])
    return float(np.nan_to_num(found).mean()) if found else 0.0


def _mirrored(fit, obs, size, prior, free_focal, tick, loss) -> Fit | None:
    """The relief turned inside out, with a camera that goes the other way; None where that shows another picture.

    Through long lenses, and where depths differ little, both show nearly the same (Necker's reversal), and a search can end in either.
    """
    model = fit.model
    middle = np.median(model.w[np.bincount(obs.point, fit.error < max(4 * fit.sigma, 1.0 * size[0] / 640), minlength=len(model.d)) >= 3])
    axis = model.R[:, 2]
    # A camera on the other side is turned so that what lies in the middle of the depths stays where it is in the picture.
    about = np.cross(unit(axis + 2 * middle * model.c), axis)
    sine = np.linalg.norm(about, axis=1, keepdims=True).clip(1e-12, 1)
    turn = Rotation.from_rotvec(about / sine * np.arcsin(sine)).as_matrix()
    start = replace(model, R=model.R @ turn, c=-model.c, w=np.maximum(2 * middle - model.w, 1e-6))
    free, priors = Free(focal=free_focal), replace(prior, travel=_step(model.c))
    first = adjust(start, obs, size, free, priors, tick, iterations=12)
    return refine(first.model, obs, size, free, priors, tick, triangulated=True) if loss(first) < REVERSED * loss(fit) else None


def _different(starts):
    """The best start, and those nearly as good that found another focal length: a search can end in a wrong valley."""
    kept = []
    for start in starts:
        log_f = start[1].log_f[0]
        if start[0] < 1.4 * starts[0][0] and all(abs(log_f - other[1].log_f[0]) > 0.05 for other in kept):
            kept.append(start)
    return kept


def _common(obs, a, b):
    ra, rb = np.flatnonzero(obs.frame == a), np.flatnonzero(obs.frame == b)
    _, ia, ib = np.intersect1d(obs.point[ra], obs.point[rb], assume_unique=True, return_indices=True)
    return ra[ia], rb[ib]


def _pairs(obs, count, size, focal):
    """First pairs of keyframes (score, a, b, R, t, rows a, rows b), best first: many inliers, wide angle."""
    found = []
    K = np.array([[focal, 0, size[0] / 2], [0, focal, size[1] / 2], [0, 0, 1.0]])
    tries = [(a, a + gap) for gap in (1, 2, 3, 5, 8, 12, 18) for a in range(0, count - gap, max(1, (count - gap) // 6))]
    for a, b in tries:
        ra, rb = _common(obs, a, b)
        if len(ra) < 30:
            continue
        E, mask = cv2.findEssentialMat(obs.xy[ra], obs.xy[rb], K, cv2.USAC_MAGSAC, 0.999, 1.0 * size[0] / 640, 500)
        if E is None or E.shape != (3, 3):
            continue
        good, R, t, mask = cv2.recoverPose(E, obs.xy[ra], obs.xy[rb], K, mask=mask)
        inside = mask[:, 0] > 0
        if good < 20:
            continue
        va, vb = (unit(np.c_[(obs.xy[rows] - np.asarray(size) / 2) / focal, np.ones(len(rows))]) for rows in (ra[inside], rb[inside]))
        angle = np.median(np.arccos(np.clip((va @ R.T * vb).sum(1), -1, 1)))
        found.append((good**0.5 * min(angle, np.deg2rad(8)), a, b, R, t[:, 0]))
    return sorted(found, key=lambda item: -item[0])


def _grow(obs, count, points, size, focal, pair, prior, free_focal, tick):
    """Keyframes posed one by one from a first pair.

    Returns (score, Model in which unposed frames mean nothing, posed (K,), solid points (N,)), or None.
    """
    _, a, b, R, t = pair
    limit = 2.5 * size[0] / 640
    model = Model(
        np.tile(np.eye(3), (count, 1, 1)),
        np.zeros((count, 3)),
        np.full(count, np.log(focal)),
        np.tile([0.0, 0, 1], (points, 1)),
        np.full(points, 1e-6),
    )
    model.R[b], model.c[b] = R, -R.T @ t
    posed = np.zeros(count, bool)
    posed[[a, b]] = True
    solid = _renew(model, obs.only(posed[obs.frame]), size, points, limit)
    if solid.sum() < 15:
        return None
    failed = np.zeros(count, bool)
    K = np.array([[0, 0, size[0] / 2], [0, 0, size[1] / 2], [0, 0, 1.0]])
    while not posed.all():
        votes = np.bincount(obs.frame[solid[obs.point]], minlength=count).astype(float)
        votes[posed | failed] = -1
        k = int(votes.argmax())
        if votes[k] < ENOUGH:
            break
        rows = np.flatnonzero((obs.frame == k) & solid[obs.point])
        X = model.d[obs.point[rows]] / model.w[obs.point[rows], None]
        near = np.flatnonzero(posed)[np.abs(np.flatnonzero(posed) - k).argmin()]
        K[0, 0] = K[1, 1] = np.exp(model.log_f[near])
        rvec = Rotation.from_matrix(model.R[near]).as_rotvec()[:, None].copy()
        tvec = -(model.R[near] @ model.c[near])[:, None].copy()
        ok, rvec, tvec, inliers = cv2.solvePnPRansac(
            X, obs.xy[rows], K, None, rvec, tvec, True, 200, 2 * limit, flags=cv2.SOLVEPNP_ITERATIVE
        )
        if not ok or inliers is None or len(inliers) < max(ENOUGH, 0.25 * len(rows)):
            ok, rvec, tvec, inliers = cv2.solvePnPRansac(X, obs.xy[rows], K, None, None, None, False, 300, 2 * limit, flags=cv2.SOLVEPNP_EPNP)
            if not ok or inliers is None or len(inliers) < max(ENOUGH, 0.25 * len(rows)):
                failed[k] = True
                continue
        model.R[k] = Rotation.from_rotvec(rvec[:, 0]).as_matrix()
        model.c[k] = -model.R[k].T @ tvec[:, 0]
        model.log_f[k] = model.log_f[near]
        posed[k] = True
        solid = _renew(model, obs.only(posed[obs.frame]), size, points, limit)
        if posed.sum() % max(3, posed.sum() // 6) == 0 or posed.sum() <= 4:
            model, solid = _polish(model, obs, posed, solid, size, prior, free_focal and posed.sum() >= 4, 5, tick)
            failed[:] = False
    model, solid = _polish(model, obs, posed, solid, size, prior, free_focal, 15, tick)
    # Once more with every point that now finds a place: which points count must not depend on how the search went.
    placed = obs.only(posed[obs.frame])
    solid = _renew(model, placed, size, points, limit)
    model, solid = _polish(model, obs, posed, solid, size, prior, free_focal, 15, tick)
    d, w = triangulate(model, placed, size, points)
    model.d[~solid], model.w[~solid] = d[~solid], w[~solid]
    error = np.where(posed[obs.frame], errors(model, obs, size), np.inf)
    return float(np.minimum(error, 2 * limit).sum()), model, posed, solid


def _renew(model, obs, size, points, limit):
    """Triangulate every point anew (in place) and tell which are solid: seen twice, apart, in front and near where seen."""
    d, w = triangulate(model, obs, size, points)
    model.d[:], model.w[:] = d, w
    r, y = residuals(model, obs, size)
    bad = (np.linalg.norm(r, axis=1) > 2 * limit) | (y[:, 2] < 1e-3)
    views = np.bincount(obs.point, minlength=points)
    wrong = np.bincount(obs.point[bad], minlength=points)
    solid = (views >= 2) & (wrong == 0) & (angles(model, obs, size, points) > MIN_ANGLE) & (w > 1e-4)
    return solid


def _polish(model, obs, posed, solid, size, prior, free_focal, iterations, tick):
    """Bundle adjustment of the posed keyframes over the solid points."""
    chosen, points = np.flatnonzero(posed), np.flatnonzero(solid)
    part, _ = obs.only(solid[obs.point]).of_frames(chosen)
    if len(part) < 20:
        return model, solid
    number = np.full(len(solid), -1)
    number[points] = np.arange(len(points))
    part = Observations(part.frame, number[part.point], part.xy)
    small = Model(model.R[chosen], model.c[chosen], model.log_f[chosen], model.d[points], model.w[points])
    priors = Priors(prior.log_f, prior.log_f_sigma, smooth=False)
    fit = adjust(small, part, size, Free(focal=free_focal), priors, tick, iterations=iterations)
    model.R[chosen], model.c[chosen], model.log_f[:] = fit.model.R, fit.model.c, fit.model.log_f[0]
    model.d[points], model.w[points] = fit.model.d, fit.model.w
    limit = max(4 * fit.sigma, 1.5 * size[0] / 640)
    wrong = np.bincount(part.point[fit.error > limit], minlength=len(points)) > 0.34 * np.bincount(part.point, minlength=len(points))
    solid = solid.copy()
    solid[points[wrong]] = False
    return model, solid


def _all_frames(obs, frames, points, size, key_model, solid, keys, prior, free_focal, tick):
    """From posed keyframes to every frame and every point: place the other frames, triangulate, adjust, drop outliers."""
    t = np.clip(np.arange(frames), keys[0], keys[-1])
    R = Slerp(keys, Rotation.from_matrix(key_model.R))(t).as_matrix()
    c = np.stack([np.interp(t, keys, key_model.c[:, k]) for k in range(3)], 1)
    model = Model(R, c, np.full(frames, key_model.log_f[0]), key_model.d, key_model.w)
    model = change_origin(model, 0)
    model = rescale(model, np.median(model.w[solid]))
    priors = replace(prior, travel=_step(model.c))
    held, chosen = _subset(obs, solid)
    points_held = Model(model.R, model.c, model.log_f, model.d[chosen], model.w[chosen])
    fit = adjust(points_held, held, size, Free(focal=False, points=False), priors, tick, iterations=15)
    model = Model(fit.model.R, fit.model.c, fit.model.log_f, model.d, model.w)
    return refine(model, obs, size, Free(focal=free_focal), priors, tick)


def _step(c):
    return float(max(np.median(np.linalg.norm(np.diff(c, axis=0), axis=1)), 1e-6))


def _subset(obs, keep):
    """Observations of the kept points, renumbered, and the kept points."""
    chosen = np.flatnonzero(keep)
    number = np.cumsum(keep) - 1
    part = obs.only(keep[obs.point])
    return Observations(part.frame, number[part.point], part.xy), chosen


def refine(model: Model, obs: Observations, size, free: Free, priors: Priors, tick, rounds=8, triangulated=False) -> Fit | None:
    """Bundle adjustment over all frames, with observations dropped and taken back between rounds until no more come back.

    Returns a Fit whose errors (M,) cover every observation given; inf where its point has no place.
    """
    points, limit = len(model.d), 6.0 * size[0] / 640
    fit, before = None, 0
    for step in range(rounds):
        if fit is None and not triangulated:
            d, w = triangulate(model, obs, size, points)
            model = Model(model.R, model.c, model.log_f, d, w)
        error = errors(model, obs, size)
        good = error < limit
        enough = np.bincount(obs.point[good], minlength=points) >= 3
        used, chosen = _subset(obs.only(good), enough)
        if len(used) < 50:
            return None
        small = Model(model.R, model.c, model.log_f, model.d[chosen], model.w[chosen])
        fit = adjust(small, used, size, free, priors, tick, iterations=(12, 12, 20)[min(step, 2)])
        model = Model(fit.model.R, fit.model.c, fit.model.log_f, model.d.copy(), model.w.copy())
        # What was left out is seen anew from the better cameras.
        d, w = triangulate(model, obs, size, points)
        model.d[:], model.w[:] = d, w
        model.d[chosen], model.w[chosen] = fit.model.d, fit.model.w
        floor = max(4 * fit.sigma, 1.0 * size[0] / 640)
        if step > 0 and limit < 1.1 * floor and len(used) < 1.01 * before:
            break
        limit, before = max(floor, limit / 3), len(used)
    error = errors(model, obs, size)
    return Fit(model, fit.sigma, error, fit.focal_sigma)


def errors(model: Model, obs: Observations, size):
    """(M,) px; inf behind the camera."""
    r, y = residuals(model, obs, size)
    return np.where(y[:, 2] > 1e-3, np.linalg.norm(r, axis=1), np.inf)
