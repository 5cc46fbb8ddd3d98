"""Imported people against the film: do they and their camera lie where people are seen?"""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from scipy.optimize import linear_sum_assignment

from ..frames import invert, project
from ..records import Camera
from .background import NOTHING, Fit
from .camera_files import OPENGL
from .people import read_as as person_read_as
from .reading import FINE, NEAR, SURE, Reading, as_well, axes, choose, fact, in_px, natural


def people_against_film(people, scene, tracks, shot, model, known, report):
    """The people as the film shows them, and for each what `shot.json` says. Arguments as of `evidence.against_film`; scene: what was followed, or None."""
    out, facts = list(people), [None] * len(people)
    for file in dict.fromkeys(p.file for p in people):
        which = [k for k, p in enumerate(people) if p.file == file]
        raws, name = [people[k].raw or people[k] for k in which], Path(file).name
        if known is None and any(raw.space == "world" and raw.T_world_from_cam is None for raw in raws):
            for k in which:  # without a camera nothing can be compared; who places them says so
                facts[k] = fact(Reading(), NOTHING, people[k].name)
            continue
        bodies = [_keypoints(raw, model) for raw in raws]

        def fit(reading, raws=raws, bodies=bodies):
            return _fit_people(raws, bodies, reading, scene, tracks, shot, known)[0]

        best, own, rival = Reading(), fit(Reading()), None
        fitted = own
        span = max(int(raw.number.max(initial=0)) + 1 for raw in raws)
        if not own.fine or (span > shot.frames and span not in natural(shot) and raws[0].rate is None):
            lenses = dict.fromkeys((0.5, 2.0, *_lens_of_joints(raws, bodies, tracks, shot, known)))
            placed = all(
                raw.space == "world" and raw.T_world_from_cam is None for raw in raws
            )  # in the known camera's world
            variants = [Reading(up=True)] if placed else axes((OPENGL,), lenses)
            best, fitted, own, rival = choose(fit, span, shot, variants, raws[0].rate)
            if not fitted.joints.fits and fitted.camera is not None and fitted.camera.count:
                # people whom nobody sees say nothing of the time; the camera beside them does
                best, _, _, rival = choose(
                    lambda r: fit(r).camera or NOTHING, span, shot, axes((OPENGL,)), raws[0].rate
                )
                fitted = fit(best)
        _, each = _fit_people(raws, bodies, best, scene, tracks, shot, known)
        if not best.own:
            report.warn(
                f"{name} is read as {best.words()}: so it fits the film to {fitted.px:.1f} px ({in_px(own.px)} as it stands).{as_well(rival)}"
            )
        for k, raw, one in zip(which, raws, each):
            out[k] = person_read_as(raw, best, shot)
            facts[k] = fact(best, one, raw.name)
            if fitted.asked and not one.fits:
                where = f"the nearest is {one.px:.0f} px off" if one.count else "it is never in the picture with them"
                report.warn(
                    f"{raw.name} fits nobody who is seen in the film: {where}, under every reading that was tried. "
                    "It is used as somebody of their own; check that it belongs to this clip."
                )
        camera = fitted.camera
        if camera is not None and camera.count and not camera.fits:
            report.warn(
                f"The camera in {name} does not fit the film's background ({in_px(camera.px)} off); only its people are used."
            )
    return out, facts


@dataclass(frozen=True)
class _PeopleFit:
    """Joints and camera of a file's people together."""

    joints: Fit
    camera: Fit | None
    asked: bool  # whether anybody is seen to compare with

    @property
    def cost(self):
        parts = [self.joints.cost] * self.asked + [f.cost for f in (self.camera,) if f is not None and f.count]
        return float(np.mean(parts)) if parts else 1.0

    @property
    def px(self):
        return self.joints.px if self.joints.fits or self.camera is None else self.camera.px

    @property
    def fine(self):
        """Whether no other reading needs a trial."""
        joints = not self.asked or self.joints.cost < FINE
        camera = self.camera is None or not self.camera.count or (self.camera.fits and self.camera.cost < FINE)
        return joints and camera


def _keypoints(raw, model):
    """Keypoints (F, 25, 3) m of every row, in the track's own space."""
    import torch

    from .people import on_body

    betas, trans = on_body(raw, model)
    arrays = (np.repeat(betas[None], len(trans), 0), raw.poses, trans)
    return (
        model.fk(*(torch.as_tensor(a, dtype=model.dtype, device=model.device) for a in arrays))[2]
        .double()
        .cpu()
        .numpy()
    )


def _seen_as(raw, body, reading, shot, known):
    """Where a reading puts a body: (T, 25, 2) px, NaN where it has none; and its camera and (T,) bool where it has one, or None."""
    if raw.space == "world" and raw.T_world_from_cam is None and known is None:
        return np.full((shot.frames, body.shape[1], 2), np.nan), None
    # times, camera and lens as person_read_as has them, without the pose, which would cost the most
    mark = replace(raw, poses=raw.poses[:, :1], trans=np.zeros_like(raw.trans))
    track = person_read_as(mark, reading, shot)
    out = np.full((shot.frames, body.shape[1], 2), np.nan)
    if not len(track.frame):
        return out, None
    points = _between(raw, body, reading, shot, track.frame)
    if reading.up:
        points = points @ np.array([[1.0, 0, 0], [0, 0, -1], [0, 1, 0]]).T
    elif reading.turn:
        points = points * [1.0, -1.0, -1.0]
    own = track.T_world_from_cam
    T, K = own, track.K
    if raw.space == "camera":
        T = np.broadcast_to(np.eye(4), (len(track.frame), 4, 4))
    elif own is None:
        T = known.camera.T_world_from_cam[track.frame]
    if K is None:
        if known is None:
            return out, None
        K = known.camera.K[track.frame]
    out[track.frame] = project(points, invert(T), K)
    if own is None:
        return out, None
    camera = Camera(np.tile(np.eye(4), (shot.frames, 1, 1)), np.tile(K[:1], (shot.frames, 1, 1)))
    camera.T_world_from_cam[track.frame], camera.K[track.frame] = own, K
    covered = np.zeros(shot.frames, bool)
    covered[track.frame] = True
    return out, (camera, covered)


def _between(raw, body, reading, shot, frame):
    """Bodies (len(frame), 25, 3) at frames of the shot, straight between rows."""
    times = reading.times(raw.number, raw.frame)
    order = np.argsort(times, kind="stable")
    at = times[order]
    after = np.clip(np.searchsorted(at, frame - 1e-9), 0, len(at) - 1)
    before = np.where(np.abs(at[after] - frame) < 1e-9, after, np.maximum(after - 1, 0))
    share = np.where(after > before, (frame - at[before]) / np.maximum(at[after] - at[before], 1e-9), 0)[:, None, None]
    return body[order[before]] * (1 - share) + body[order[after]] * share


def _apart(places, tracks, p):
    """Median distance of the joints of a body from track p in each frame: (T,) px and (T,) heights of the box, NaN where not both are seen."""
    sure = (tracks.keypoints_2d[p, :, :, 2] > SURE) & np.isfinite(places[..., 0])
    height = tracks.boxes[p, :, 3] - tracks.boxes[p, :, 1]
    off = np.where(sure, np.linalg.norm(tracks.keypoints_2d[p, :, :, :2] - places, axis=-1), np.nan)
    good = (sure.sum(-1) >= 3) & tracks.visible[p] & (height > 4)
    px = np.full(len(off), np.nan)
    px[good] = np.nanmedian(off[good], axis=1)
    return px, px / np.where(good, height, np.nan)


def _fit_people(raws, bodies, reading, scene, tracks, shot, known):
    """_PeopleFit of a file's people under a reading, and the joints' Fit of each person."""
    P = len(tracks.ids)
    cost = np.ones((len(raws), max(P, 1)))
    table, camera, seen = {}, None, []
    for k, (raw, body) in enumerate(zip(raws, bodies)):
        places, own = _seen_as(raw, body, reading, shot, known)
        seen.append(places)
        if camera is None and own is not None and scene is not None:
            camera = scene.fit(*own)
        for p in range(P):
            px, heights = _apart(places, tracks, p)
            both = np.isfinite(heights)
            asked = tracks.visible[p].sum()
            if not both.any():
                continue
            near = np.minimum(np.nan_to_num(heights, nan=9.0) / NEAR, 1.0)
            cost[k, p] = near[tracks.visible[p]].mean()
            table[k, p] = Fit(
                float(np.median(px[both])), float((heights[both] < NEAR).mean()), float(cost[k, p]), int(asked)
            )
    each = [NOTHING] * len(raws)
    for k, p in zip(*linear_sum_assignment(cost)) if P else ():
        each[k] = table.get((k, p), NOTHING)
    for k in range(len(raws)):  # who fits nobody: how far from the nearest
        if not each[k].count or not each[k].fits:
            each[k] = min((f for (j, _), f in table.items() if j == k), key=lambda f: f.px, default=NOTHING)
    counted = [f for f in each if f.count]
    if not counted:
        return _PeopleFit(NOTHING, camera, bool(tracks.visible.any())), each
    joints = Fit(
        float(np.median([f.px for f in counted])), float(np.mean([f.share for f in counted])), float(np.mean([f.cost for f in counted])),
        sum(f.count for f in counted),
    )  # fmt: skip
    return _PeopleFit(joints, camera, True), each


def _lens_of_joints(raws, bodies, tracks, shot, known) -> list[float]:
    """The factor on the focal length under which the bodies are as large as the people who are seen."""
    factors = []
    for raw, body in zip(raws, bodies):
        places, _ = _seen_as(raw, body, Reading(), shot, known)
        for p in range(len(tracks.ids)):
            sure = (tracks.keypoints_2d[p, :, :, 2] > SURE) & np.isfinite(places[..., 0]) & tracks.visible[p][:, None]
            for f in np.flatnonzero(sure.sum(-1) >= 6):
                there, here = tracks.keypoints_2d[p, f, sure[f], :2], places[f, sure[f]]
                factors.append(np.sqrt(there.var(0).sum() / max(here.var(0).sum(), 1e-9)))
    factor = float(np.median(factors)) if factors else 1.0
    return [round(factor, 3)] if 0.25 < factor < 4 and abs(factor - 1) > 0.02 else []
