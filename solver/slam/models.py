"""Which camera the shot was taken with: locked off, turning, or travelling; with a fixed lens or a zoom.

Every model is fitted to the same tracks and judged by one criterion, a Bayesian information criterion with robust errors:

    sum over observations of min(e^2 / sigma^2, CAP) / kappa  +  sum over parameters of log(numbers that inform it)

- sigma, the noise of one coordinate, is the smallest robust noise that any model reaches, and never less than `FLOOR` or than
  what the tracker's steps were seen to stray: what a point wanders by itself cannot speak for a moving camera.
- kappa, by which errors along a track repeat each other (1 + 2 sum of their autocorrelation), turns the number of observations
  into that of independent ones. It is taken from the best camera that does not travel: a drifting track looks much like
  parallax, so what speaks for travelling must stand out from what drifts.
- a point costs two parameters as a direction and three with its depth, each informed by its own track; a camera costs none,
  three or six a frame, one more with a zoom, each informed by what is seen in that frame.

The lowest sum wins; but tracks of a blurred background wander in ways that depth can be made to explain, by a few per cent of the sum. Where
a travelling camera wins by no more than that, it must foretell too, or it is not chosen: with true parallax a point whose place was found in one
half of its track lies where the camera says in the other half.

A model whose parameters alone cost more than the best sum so far is not tried.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from functools import partial
from itertools import pairwise

import numpy as np

from ..bundle.cameras import FOCAL_SPREAD, Fit, Free, Observations, Priors, adjust, focal_prior, residuals
from ..frames import focal_px_from_mm
from .structure import errors, refine, travelling_model
from .turning import SETTLE, rotation_model, static_model

FLOOR = 0.3  # px at 640 px width
CAP = 12.0  # an outlier's share; the chance that noise exceeds it is 0.2 %
LAGS, KAPPA = 15, 10.0
DEPTH_SPREAD = 2.0  # of inverse distance about the usual one
CLEAR = 0.1  # of the score: by more no wandering track wins (test pan and zoom, defocused: 0.3 and 4 %; arcs on film: 15 and 29 %)
FORETOLD = 0.83  # what must speak for travelling (see `foretold`): true parallax 0.91 and more, blurred pans and zooms 0.75 and less
FORETOLD_TRACKS, FORETOLD_VIEWS = 400, 8  # tracks that are asked, each seen at least so often
FORETOLD_CAP = 10.0  # sigmas; an error beyond says no more
BIAS = 4.0  # errors repeat across tracks as well as along them: RMS error of the lens over its sigma without this, 13 shots of dev and passing
LENS_KNOWN = 0.05  # sigma of the lens' logarithm below which nothing else is asked about it
DOUBTED = 0.15  # of the lens' logarithm: lenses that are tried beside the one that was found
WORDS = {"full": "travels", "rotation": "turns on the spot", "static": "does not move"}
HYPOTHESES_MM = (24.0, 35.0, 55.0)  # lenses that the search starts from, 36 mm wide sensor


@dataclass
class Candidate:
    """A camera model fitted to the tracks."""

    name: str  # "static", "rotation", "rotation+zoom", "full", "full+zoom"
    fit: Fit
    parameters: float  # what the parameters cost
    score: float = np.inf

    @property
    def verdict(self):
        return self.name.split("+")[0]


def choose(obs: Observations, frames, points, size, focal_given, noise, report, kind=None):
    """Fit the models and choose. Returns (Candidate, scores: dict, kappa).

    obs:          thinned tracks, each seen at least three times.
    focal_given:  px, or None where it has to be found.
    noise:        px by which one step of a track strays; 0 where it is not known.
    kind:         the verdict that the artist gave, which then is not weighed; or None.
    """
    prior = Priors(np.log(focal_given) if focal_given else focal_prior(size), 1e-3 if focal_given else FOCAL_SPREAD)
    focals = [focal_given] if focal_given else [focal_px_from_mm(mm, *size) for mm in HYPOTHESES_MM]
    free_focal = focal_given is None
    floor = float(np.clip(noise, FLOOR * size[0] / 640, 1.5 * size[0] / 640))

    def candidate(name, fit, per_frame, per_point, shared=0):
        return Candidate(name, fit, penalty(obs, frames, points, per_frame, per_point, shared))

    model = static_model(obs, frames, points, size, prior.log_f)
    error = errors(model, obs, size)
    static = Fit(model, max(np.median(error) / 1.1774, 0.02), error, FOCAL_SPREAD)
    found = [candidate("static", static, 0, 2)]

    def judge(kappa=1.0):
        sigma = max(floor, min(c.fit.sigma for c in found))
        for c in found:
            c.score = float(np.minimum(c.fit.error**2 / sigma**2, CAP).sum() / kappa + c.parameters)
        return min(found, key=lambda c: c.score)

    def worth(per_frame, per_point):
        return penalty(obs, frames, points, per_frame, per_point, 1) < judge().score

    if kind == "rotation" or worth(3, 2):
        tick = partial(report.progress, 0, 3, "Trying a camera that turns")
        turning = partial(rotation_model, obs, frames, points, size, prior)
        with ThreadPoolExecutor(2) as pool:  # both cores: with one lens and with a zoom
            plain = pool.submit(turning, focals, False, free_focal, tick)
            zooms = not focal_given and (kind == "rotation" or worth(4, 2))
            zoom = pool.submit(turning, [np.exp(focal_prior(size))], True, True, tick) if zooms else None
            found.append(candidate("rotation", plain.result(), 3, 2, 1))
            if zoom and (kind == "rotation" or worth(4, 2)):
                found.append(candidate("rotation+zoom", zoom.result(), 4, 2))
    best = judge()
    kappa = repeat(best.fit, obs, size)
    # Where what is left is no more than a tracked point's own wander, a path would only be fitted to that.
    quiet = best.fit.sigma <= floor
    if kind == "full" or (kind is None and worth(6, 3) and not (quiet and best.name == "static")):
        tick = partial(report.progress, 1, 3, "Trying a camera that travels")
        if quiet and free_focal:
            focals = [float(best.fit.model.focal.mean())]
        # Weighed against independent observations: errors that repeat must not outvote what is known of lenses.
        prior = Priors(prior.log_f, prior.log_f_sigma / np.sqrt(kappa), depth=DEPTH_SPREAD / np.sqrt(kappa))
        fit = travelling_model(obs, frames, points, size, prior, focals, free_focal, tick)
        if fit is not None:
            found.append(candidate("full", fit, 6, 3, 1))
            judge()
            now = {c.name: c.score for c in found}
            if now.get("rotation+zoom", np.inf) < now["rotation"] and worth(7, 3):
                priors = replace(prior, travel=_travel(fit))
                fit = refine(fit.model, obs, size, Free(zoom=True), priors, tick, rounds=2, triangulated=True)
                if fit is not None:
                    found.append(candidate("full+zoom", fit, 7, 3))
    best, share = judge(kappa), None
    if kind is not None:
        allowed = [c for c in found if c.verdict == kind]
        if allowed:
            best = min(allowed, key=lambda c: c.score)
        else:
            report.warn(f"No camera that {WORDS[kind]} could be fitted to the background; the camera is taken as one that {WORDS[best.verdict]}.")
    elif best.verdict == "full":
        still = min((c for c in found if c.verdict != "full"), key=lambda c: c.score)
        if best.score > (1 - CLEAR) * still.score:
            share = foretold(best, still, obs, size, DEPTH_SPREAD / np.sqrt(kappa), max(floor, best.fit.sigma))
            if share is not None and share < FORETOLD:
                best = still
    tick = partial(report.progress, 2, 3, "Settling the lens")
    if free_focal and best.verdict == "rotation":
        best.fit = _settle(best, obs, size, kappa, tick)
    elif free_focal and best.name == "full" and (spread := _doubted(best, obs, size, kappa, floor, tick)) >= FOCAL_SPREAD:
        # So weak a trace of the lens is more likely a bias of the tracks: keep to the usual lens, and say so.
        priors = replace(prior, log_f_sigma=1e-3, travel=_travel(best.fit))
        pinned = refine(best.fit.model, obs, size, Free(), priors, tick, rounds=2, triangulated=True)
        if pinned is not None:
            pinned.focal_sigma = FOCAL_SPREAD
            best.fit = pinned
    elif free_focal and best.name == "full":
        best.fit.focal_sigma = spread / (BIAS * np.sqrt(kappa))
    others = [c for c in found if c.verdict != best.verdict]
    second = min(others, key=lambda c: c.score) if others else None
    other = [c for c in found if (c.verdict == "full") != (best.verdict == "full")]  # whether it travels is what a world hangs on
    least = min((c.score for c in other), default=None)
    scores = {c.name: round(c.score, 1) for c in found}
    scores |= {
        "chosen": best.name,
        "set_by": "artist" if kind else "tracks",
        "runner_up": second.verdict if second else None,
        "margin": round(second.score - best.score, 1) if second else None,
        "travel_margin": 1.0 if least is None else round((least - best.score) / least, 4),  # 1: no other was worth a try
        "criterion": "robust BIC over the same tracks, lowest wins; a travelling camera must foretell tracks better than one that stays",
        "foretold": None if share is None else round(share, 3),
        "sigma_px": round(max(floor, min(c.fit.sigma for c in found)), 3),
        "kappa": round(kappa, 2),
        "median_error_px": {c.name: round(float(np.median(c.fit.error)), 3) for c in found},
    }
    return best, scores, kappa


def _settle(best: Candidate, obs, size, kappa, tick):
    """A turning camera once more, with the focal prior weighed against independent observations."""
    free = Free(centre=False, depth=False, zoom=best.name.endswith("zoom"))
    return adjust(best.fit.model, obs, size, free, Priors(focal_prior(size), FOCAL_SPREAD / np.sqrt(kappa)), tick, iterations=SETTLE)


def with_lens(best: Candidate, obs, size, longer, tick) -> Candidate:
    """A candidate whose lens is e^longer times as long, all else fitted to it."""
    if best.verdict == "static":
        model = static_model(obs, len(best.fit.model.R), len(best.fit.model.d), size, float(best.fit.model.log_f.mean()) + longer)
        return replace(best, fit=replace(best.fit, model=model, error=errors(model, obs, size)))
    return replace(best, fit=_longer(best, obs, size, longer, tick) or best.fit)


def _longer(best: Candidate, obs, size, longer, tick) -> Fit | None:
    """A moving camera whose lens is e^longer times as long, all else fitted to it; None where too few points stay."""
    model, zoom = best.fit.model, best.name.endswith("zoom")
    start, priors = replace(model, log_f=model.log_f + longer), Priors(float(model.log_f.mean()) + longer, 1e-3)
    if best.verdict == "rotation":
        return adjust(start, obs, size, Free(centre=False, depth=False, zoom=zoom), priors, tick, iterations=SETTLE)
    free, priors = Free(zoom=zoom), replace(priors, travel=_travel(best.fit))
    first = adjust(start, obs, size, free, priors, tick, iterations=12)  # points far off at first must not be dropped for it
    return refine(first.model, obs, size, free, priors, tick, rounds=2, triangulated=True)


def _doubted(best: Candidate, obs, size, kappa, floor, tick) -> float:
    """`focal_spread` of a travelling camera; where that is no small one, no less than lenses a little shorter and longer bear out.

    Tracks of a blurred background leave many narrow valleys, and curvature knows but its own.
    """
    spread = focal_spread(best.fit, kappa)
    if not LENS_KNOWN < spread < FOCAL_SPREAD:
        return spread
    with ThreadPoolExecutor(2) as pool:
        others = [fit for fit in pool.map(lambda longer: _longer(best, obs, size, longer, tick), (-DOUBTED, DOUBTED)) if fit]
    sigma = max(floor, min(fit.sigma for fit in (best.fit, *others)))
    here, *there = (np.minimum(fit.error**2 / sigma**2, CAP).sum() / kappa for fit in (best.fit, *others))
    worse = min(there, default=np.inf) - here
    return float(max(spread, min(DOUBTED * BIAS / np.sqrt(max(worse, 1e-9)), FOCAL_SPREAD)))


def foretold(full: Candidate, still: Candidate, obs, size, depth_sigma, sigma):
    """Of the pixels by which two cameras foretell tracks differently, the share that speaks for the one that travels; a half where
    it knows nothing. None where too few tracks are long enough.

    Each track's point is found anew in one half of its frames, the cameras held, and judged by the median error in the other half.
    """
    points = np.flatnonzero(np.bincount(obs.point, minlength=len(full.fit.model.d)) >= FORETOLD_VIEWS)
    points = points[np.linspace(0, len(points) - 1, min(len(points), FORETOLD_TRACKS)).astype(int)]
    if len(points) < 30:
        return None
    number = np.full(len(full.fit.model.d), -1)
    number[points] = np.arange(len(points))
    part = obs.only(number[obs.point] >= 0)
    part = replace(part, point=number[part.point])
    starts = np.searchsorted(part.point, np.arange(len(points) + 1))
    late = np.arange(len(part)) - starts[part.point] >= (np.diff(starts) // 2)[part.point]
    medians = []
    for candidate in (full, still):
        model, travels = candidate.fit.model, candidate.verdict == "full"
        model = replace(model, d=model.d[points], w=model.w[points])
        free = Free(rotation=False, centre=False, focal=False, depth=travels)
        priors = Priors(0.0, smooth=False, depth=depth_sigma if travels else 0.0)
        error = np.empty(len(part))
        for half in (late, ~late):
            fit = adjust(model, part.only(half), size, free, priors, sigma=candidate.fit.sigma, iterations=12)
            error[~half] = errors(fit.model, part.only(~half), size)
        medians.append(np.minimum([np.median(error[a:b]) for a, b in pairwise(starts)], FORETOLD_CAP * sigma))
    gain = medians[1] - medians[0]
    return float(np.maximum(gain, 0).sum() / max(np.abs(gain).sum(), 1e-9))


def focal_spread(fit: Fit, kappa) -> float:
    """Sigma of the log focal length; where the tracks say less than is known of lenses, that of the prior."""
    return float(min(fit.focal_sigma * np.sqrt(kappa) * BIAS, FOCAL_SPREAD))


def penalty(obs, frames, points, per_frame, per_point, shared):
    """Cost of a model's parameters: log of how many numbers inform each."""
    views = np.bincount(obs.point, minlength=points)
    seen = np.bincount(obs.frame, minlength=frames)
    cost = per_point * np.log(2 * views[views > 0]).sum() + per_frame * np.log(2 * seen[1:][seen[1:] > 0]).sum()
    return float(cost + shared * np.log(2 * max(len(obs), 1)))


def repeat(fit: Fit, obs, size):
    """kappa: how many errors along a track say the same thing (1 + 2 sum of the autocorrelation, at most KAPPA)."""
    r, _ = residuals(fit.model, obs, size)
    inside = fit.error < max(4 * fit.sigma, 1.0 * size[0] / 640)
    total = 0.0
    for lag in range(1, LAGS + 1):
        pair = np.flatnonzero((obs.point[lag:] == obs.point[:-lag]) & inside[lag:] & inside[:-lag])
        if len(pair) < 200:
            break
        a, b = r[pair], r[pair + lag]
        rho = float((a * b).sum() / max(np.sqrt((a**2).sum() * (b**2).sum()), 1e-12))
        if rho < 0.05:
            break
        total += rho * (1 - lag / (LAGS + 1))
    return min(1 + 2 * total, KAPPA)


def _travel(fit):
    return float(max(np.median(np.linalg.norm(np.diff(fit.model.c, axis=0), axis=1)), 1e-6))
