"""Stage *slam*: the start camera, from background points alone.

Points are followed through the shot with people masked out (`features`), camera models are fitted to them (`turning`,
`structure`, on `bundle`) and one is chosen (`models`). The principal point is the picture's centre, without lens distortion.
The first camera is the origin; the unit is such that the median background point lies at 5 from it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import partial

import cv2
import numpy as np

from .. import frames as fr
from ..bundle.cameras import FOCAL_SPREAD, Model, Observations, focal_prior, rescale
from ..records import Camera, Shot, Slam, Tracks
from . import edges, lines, models, overlay
from .features import follow
from .turning import static_model

PER_FRAME = 320  # tracks kept in a frame for the fit ...
BUDGET = 45_000  # ... and observations altogether
OUT_POINTS, OUT_OBSERVATIONS = 4000, 60_000
DISTANCE = 5.0  # median distance of the points, in units of the answer
VERDICT_OF_KIND = {"travels": "full", "turns": "rotation", "locked": "static"}
BELIEVED_MM = 9.0, 300.0  # lenses that people are filmed with, 36 mm wide sensor
LEAST_PAINTED = 3  # tracks on what is painted on the screen before it is believed
FOLLOWED = 0.5  # of the frames, before a turn is believed: the points of a plain backdrop are grain and edges of people
# A plain backdrop, too: tracks that last are in few of the cells away from people (0.00 of them on seven plain shots, 0.53-1.00 on six with a
# background), and stray by much (2.3-5.5 px at 640 against 0.0-0.6).
LASTING, COVERED, STRAY = 8, 0.25, 1.0  # frames; of the cells; px at 640
LOOKED_AT, FINE, NEAR = 24, 8, 0.05  # frames whose cells are counted, in so many parts each way; of the picture's width: what is near people
SPHERE = 10.0  # distance of directions without depth
# Sigma of the lens' logarithm below which what edges make of it is believed (nearer than 35 mm on dev stills of benchmarks.lens_stills); and from
# which that is said to be rough.
LENS_TOLD, LENS_ROUGH = 0.25, 0.2


def run(shot: Shot, frames, tracks: Tracks | None, masks: Callable[[int], np.ndarray] | None, options, report) -> Slam:
    """Ĉ: poses, focal length and background points of a shot. One or two frames, or nothing to follow, give a static camera.

    tracks:  not used so far: the masks say where people are.
    frames:  `read(i)` gives RGB uint8 at Shot.width x Shot.height.
    masks:   index to instance mask (H, W), or None.
    """
    size, count = (shot.width, shot.height), shot.frames
    given = focal_given(options, size)
    followed = follow_background(shot, frames, masks, report)
    kind = VERDICT_OF_KIND.get(options.camera_kind)
    straight = edges.straight(shot, frames, masks)
    found = solve(followed.obs, followed.colours, count, size, given, report, followed.noise, kind, shot.fresh, masks, straight)
    return replace(found, edges=straight)


def follow_background(shot: Shot, frames, masks, report):
    """Tracks of the background; what is painted on the screen is found by its tracks and left out in a second walk.

    Only frames with a picture of their own are looked at: the others show the one before, and following would find that nothing moved.
    Arguments as of `run`. Returns features.Followed.
    """
    size, own = (shot.width, shot.height), np.flatnonzero(shot.fresh)
    frames = Own(frames, own)
    people = masks and (lambda index: masks(int(own[index])))
    followed = follow(frames, len(own), size, people, report)
    still = overlay.painted(followed.obs, size, followed.noise)
    if still.sum() >= LEAST_PAINTED:
        report.warn("A title, time code or logo stands still on the screen while the picture moves; it is left out of the background.")
        screen = overlay.area(followed.obs, still, size)
        followed = follow(frames, len(own), size, lambda index: screen if people is None else screen | (people(index) > 0), report)
        still = overlay.painted(followed.obs, size, followed.noise)  # its outermost rim
        followed = replace(followed, obs=followed.obs.only(~still[followed.obs.point]))
    if seam := overlay.seam(followed.obs, size):
        where = f"{'left and right' if seam[0] == 'x' else 'above and below'} of {round(100 * seam[1] / size[seam[0] == 'y'])}%"
        report.warn(
            f"The picture moves in two ways, {where} of its {'width' if seam[0] == 'x' else 'height'}: a split screen or a mirror. "
            "Mark the part that is not the film's with 255 in masks, or crop it away."
        )
    obs = followed.obs
    return replace(followed, obs=Observations(own[obs.frame], obs.point, obs.xy))


class Own:
    """The frames of a shot that have a picture of their own, one after the other."""

    def __init__(self, frames, own):
        self._frames, self._own = frames, own

    def read(self, index):
        return self._frames.read(int(self._own[index]))


def focal_given(options, size) -> float | None:
    """The artist's lens in px, if there is one."""
    if getattr(options, "focal_mm", None):
        return float(fr.focal_px_from_mm(options.focal_mm, *size))
    if getattr(options, "fov", None):
        return float(fr.focal_px_from_fov(options.fov, size[0]))
    return None


def solve(obs: Observations, colours, count, size, given, report, noise=0.0, kind=None, own=True, people=None, straight=()) -> Slam:
    """The start camera from tracks.

    colours:  (N, 3) uint8.
    given:    focal length in px, or None.
    noise:    px by which one step of a track strays, where it was measured.
    kind:     the verdict, where the artist gave it; or None.
    people:   index -> mask (H, W), not 0 on people, or None.
    own:      (T,) bool, False for frames without a picture of their own, of which the artist knows already.
    straight: (E, 5) edges of the background, see edges.straight.
    """
    points, own = len(colours), np.broadcast_to(own, count)
    used, chosen = thin(obs, points, count, size)
    if count < 3 or len(chosen) < 12 or len(used) < 40:
        plain = _plain(obs, colours, points, count, size, given, own, straight)
        told = {"set_by": "artist", "criterion": "the artist's word"} if kind == "static" else {}
        return replace(plain, verdict_scores=plain.verdict_scores | told, unknown=count > 2 and kind != "static")
    if kind != "static" and noise > STRAY * size[0] / 640 and covered(obs, size, people) < COVERED:
        return replace(_plain(used, colours[chosen], len(chosen), count, size, given, own, straight), unknown=True)
    best, scores, kappa = models.choose(used, count, len(chosen), size, given, noise, report, kind)
    assumed = None
    if given is None and not BELIEVED_MM[0] < (mm := _lens_mm(best.fit, size)) < BELIEVED_MM[1]:
        assumed = float(np.exp(focal_prior(size)))
        report.warn(
            f"The background moves as through a lens of {mm:.0f} mm, which is hard to believe: is it a painted, projected or running "
            "background? A 35 mm lens is assumed. Enter the focal length if you know it."
        )
        best, scores, kappa = models.choose(used, count, len(chosen), size, assumed, noise, report, kind)
    fit, verdict = best.fit, best.verdict
    limit = max(3.5 * fit.sigma, 0.8 * size[0] / 640)
    inlier = fit.error < limit
    measured = np.bincount(used.frame[inlier], minlength=count) >= 12
    if verdict == "static":
        measured[:] = True
    elif verdict == "rotation" and kind is None and (measured & own).sum() < FOLLOWED * own.sum():
        plain = _plain(used, colours[chosen], len(chosen), count, size, given, own, straight)
        return replace(plain, measured=measured & own, verdict_scores=scores | {"chosen": "static", "criterion": "too little to follow"}, unknown=True)
    if missing := int((~measured & own).sum()):
        report.warn(f"In {missing} of {count} frames the background could not be followed; the camera is bridged there.")
    measured &= own
    spread = FOCAL_SPREAD if verdict == "static" else models.focal_spread(fit, kappa)
    if given:
        source, spread = "given", 0.0
    elif assumed:
        source, spread = "prior", FOCAL_SPREAD
    else:
        source, spread = "prior" if spread >= FOCAL_SPREAD else "estimated", max(spread, 0.002)
        if spread > models.LENS_KNOWN:
            longer, told = lines.posterior(straight, _camera(fit.model, verdict, size), size, spread)
            if told < min(spread, LENS_TOLD):
                best = models.with_lens(best, used, size, longer, partial(report.progress, 2, 3, "Settling the lens"))
                fit, source, spread = best.fit, "estimated", told
                if told >= LENS_ROUGH:
                    report.warn(f"Straight edges tell the lens only roughly: {_lens_mm(fit, size):.0f} mm ± {100 * told:.0f}%. Enter the focal length if you know it.")
        if source == "prior" and best.name.endswith("zoom"):
            growth = float(fit.model.focal[-1] / fit.model.focal[0])
            report.warn(f"The lens zooms by a factor of {growth:.2f}, but the picture does not tell from which focal length: one about 35 mm is assumed.")
        elif source == "prior":
            report.warn("The picture does not tell which lens was used; a 35 mm lens is assumed. Enter the focal length if you know it.")
    model = fit.model
    if verdict == "full":
        near = np.bincount(used.point[inlier], minlength=len(chosen)) >= 3
        model = rescale(model, DISTANCE * np.median(model.w[near]))
        world = model.d / np.maximum(model.w, 1e-3 / DISTANCE)[:, None]
    else:
        world = model.d * SPHERE
    return _answer(model, world, verdict, scores, source, spread, measured, used.only(inlier), colours[chosen], size)


def covered(obs: Observations, size, people=None) -> float:
    """Of the picture's cells, 8 x 6 of them, that are away from people, the share that tracks which last are in; mean of the frames looked at.

    people: index -> mask (H, W), not 0 on people, or None. Tracks near them may be of their outlines: those last before any backdrop.
    """
    hit = free = 0
    last = np.bincount(obs.point)[obs.point] >= LASTING
    frames = np.unique(obs.frame)
    for index in frames[np.unique(np.linspace(0, len(frames) - 1, min(len(frames), LOOKED_AT)).astype(int))] if len(frames) else ():
        near = np.zeros((6 * FINE, 8 * FINE), np.uint8)
        if people is not None and (mask := people(int(index))) is not None:
            near = cv2.resize((np.asarray(mask) > 0).astype(np.float32), near.shape[::-1], interpolation=cv2.INTER_AREA) > 0
            near = cv2.dilate(near.astype(np.uint8), np.ones((2 * round(NEAR * 8 * FINE) + 1,) * 2))
        x, y = np.clip(obs.xy[last & (obs.frame == index)] / np.asarray(size) * near.shape[::-1], 0, np.array(near.shape[::-1]) - 1).astype(int).T
        there = near[y, x] == 0
        away = 1 - near.reshape(6, FINE, 8, FINE).mean((1, 3)) >= 0.5
        seen = np.zeros((6, 8), bool)
        seen[y[there] // FINE, x[there] // FINE] = True
        hit, free = hit + int((seen & away).sum()), free + int(away.sum())
    return hit / free if free else float(len(frames) > 0)  # where people fill every cell, nobody can tell


def _lens_mm(fit, size) -> float:
    """The middle focal length of a fit on a sensor 36 mm wide."""
    return float(fr.focal_mm_from_px(np.median(fit.model.focal), *size))


def _plain(obs, colours, points, count, size, given, own, straight=()) -> Slam:
    """A camera that does not move, whatever the tracks say. Edges of one picture may tell its lens."""
    log_f, source, spread = (np.log(given), "given", 0.0) if given else (focal_prior(size), "prior", FOCAL_SPREAD)
    model = static_model(obs, count, points, size, log_f)
    if not given and len(straight):
        middle = straight[straight[:, 0] == straight[len(straight) // 2, 0]]
        longer, told = lines.posterior(middle, _camera(model, "static", size), size, spread)
        if told < LENS_TOLD:
            model, source, spread = static_model(obs, count, points, size, log_f + longer), "estimated", told
    scores = {"chosen": "static", "criterion": "too few tracks to compare models"}
    return _answer(model, model.d * SPHERE, "static", scores, source, spread, np.ones(count, bool) & own, obs, colours, size)


def _camera(model: Model, verdict, size) -> Camera:
    T = fr.compose(np.swapaxes(model.R, 1, 2), model.c if verdict == "full" else np.zeros_like(model.c))
    if verdict == "static":
        T[:] = np.eye(4)
    return Camera(T, fr.intrinsics(model.focal, *size))


def _answer(model: Model, world, verdict, scores, source, spread, measured, obs, colours, size) -> Slam:
    obs, chosen = _output(obs, len(world))
    return Slam(
        camera=_camera(model, verdict, size),
        verdict=verdict,
        verdict_scores=scores,
        focal_source=source,
        focal_sigma=spread,
        measured=measured,
        points_world=world[chosen],
        colours=colours[chosen],
        obs_frame=obs.frame,
        obs_point=obs.point,
        obs_xy=obs.xy,
    )


def thin(obs: Observations, points, count, size):
    """Tracks worth fitting: seen three times or more, long ones first, evenly over the picture. Returns (Observations
    renumbered, chosen (K,))."""
    length = np.bincount(obs.point, minlength=points)
    per_frame = int(np.clip(BUDGET / max(count, 1), 100, PER_FRAME))
    columns, rows = 8, 6
    quota = max(1, round(per_frame / (columns * rows) * 1.5))
    cell = np.clip(obs.xy / np.asarray(size) * [columns, rows], 0, [columns - 1, rows - 1]).astype(int)
    group = (obs.frame * rows + cell[:, 1]) * columns + cell[:, 0]
    order = np.lexsort((obs.point, -length[obs.point], group))
    first = np.r_[True, np.diff(group[order]) != 0][: len(order)]
    rank = np.arange(len(order)) - np.maximum.accumulate(np.where(first, np.arange(len(order)), 0))
    top = np.zeros(len(obs), bool)
    top[order] = rank < quota
    share = np.bincount(obs.point[top], minlength=points) / np.maximum(length, 1)
    keep = (length >= 3) & (share >= 0.5)
    number = np.cumsum(keep) - 1
    part = obs.only(keep[obs.point])
    return Observations(part.frame, number[part.point], part.xy), np.flatnonzero(keep)


def _output(obs: Observations, points):
    """At most OUT_POINTS points and OUT_OBSERVATIONS observations, longest tracks first; renumbered."""
    length = np.bincount(obs.point, minlength=points)
    order = np.argsort(-length, kind="stable")[:OUT_POINTS]
    order = order[(length[order] >= 2) & (np.cumsum(length[order]) <= OUT_OBSERVATIONS)]
    keep = np.zeros(points, bool)
    keep[order] = True
    number = np.cumsum(keep) - 1
    part = obs.only(keep[obs.point])
    return Observations(part.frame, number[part.point], part.xy), np.flatnonzero(keep)
