"""Given data against the film: does a camera carry the background, do people, joints and masks lie where people are seen?

Each file is held against what was followed and found in the picture before it is used. Where most of it does not fit, its likely other
readings are tried (`reading.choose`); one that fits far better is used and told, and what fits nowhere is told and used as it is.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from scipy.optimize import linear_sum_assignment

from ..frames import invert, project
from ..protocol import Reporter, ShotError
from ..records import Camera
from .background import NOTHING, Background, Fit, followed
from .camera import Known, read_as, too_short
from .camera_files import OPENGL
from .people import read_as as person_read_as
from .reading import Reading, axes, choose, natural, pace_of

FINE_PX = 0.5  # of a picture 640 px wide: a background that stands this still needs no other reading
NEAR = 0.25  # of the height of a person's box: joints farther off are not that person's
FINE = 0.4  # of NEAR, as a mean cost: what bodies of another build and joints of a network differ by
SURE = 0.2  # confidence of a joint that is compared
FEET = 0.4  # confidence of nose and ankles that tell a person's size
UPRIGHT, LYING = 30.0, 60.0  # degrees between people's up and a world's: fits, and does not
UNITS = (0.01, 0.001, 0.1, 0.3048, 0.0254, 10.0, 100.0)
UNIT_SPREAD = 1.35  # by how much the size of a person in the world may be off and still speak for a unit
SAMPLES = 6  # frames in which given joints and masks are compared with the embedded networks


@dataclass
class Given:
    """What was given, as it is used, and what `shot.json` says of it."""

    known: Known | None
    people: list
    facts: dict


def against_film(shot, frames, tracks, masks, known, people, model, report=None) -> Given:
    """Hold a known camera and imported people against the film, and read them as it shows.

    tracks: records.Tracks of the film; masks: index to instance mask (H, W); known: from `read_camera`, or None; people: from
    `read_people`. Raises ShotError where a camera covers less than half of the shot under every reading that fits.
    """
    report = report or Reporter()
    facts = {}
    scene = None
    if known is not None or any(p.T_world_from_cam is not None for p in people):
        scene = followed(shot, frames, masks, report)
    if known is not None:
        known, facts["camera"] = _camera(known, scene, tracks, shot, report)
    if people:
        people, facts["people"] = _people(people, scene, tracks, shot, model, known, report)
    return Given(known, people, facts)


def as_given(facts: dict, known, people, shot):
    """The camera and the people as `against_film` read them, from what it wrote down."""
    if known is not None and "camera" in facts:
        known = read_as(known.rows, Reading(**facts["camera"]["reading"]), shot)
    rows = facts.get("people", [])
    if people and len(rows) == len(people):
        people = [person_read_as(p.raw or p, Reading(**row["reading"]), shot) for p, row in zip(people, rows)]
    return known, people


# -- camera


def _camera(known: Known, scene: Background | None, tracks, shot, report):
    rows = known.rows
    if scene is None:
        if not known.enough:
            raise too_short(known)
        report.warn(f"{rows.name} could not be compared with the film: its background shows too little to follow.")
        _tell_rate(rows, Reading(), shot, report)
        tell_missing(known, report)
        return known, _fact(Reading(), NOTHING, rows.name)

    def fit(reading):
        try:
            read = read_as(rows, reading, shot)
        except ShotError:  # it has nothing in the frames of the shot
            return NOTHING
        return scene.fit(read.camera, ~read.held)

    own = fitted = fit(Reading())
    best, rival = Reading(), None
    span = int(rows.number.max(initial=0)) + 1
    told = span in natural(shot) or pace_of(rows.rate, span, shot) is not None  # how many rows a frame
    if not (own.fits and own.px < FINE_PX * shot.width / 640 and known.enough and told):
        best, fitted, own, rival = choose(fit, span, shot, axes(rows.turns, rows.lenses), rows.rate)
    if fitted.fits and rows.metric:
        best = _upright(rows, best, tracks, shot)
        best = _unit(rows, best, scene, tracks, shot)
    known = read_as(rows, best, shot)
    if not known.enough:
        raise too_short(known)
    if not best.own:
        before = f" ({own.px:.1f} px off, as it stands)" if best.step or best.turn or best.lens != 1 else ""
        report.warn(
            f"{rows.name} is read as {best.words()}: so it fits the background to {fitted.px:.1f} px{before}.{_as_well(rival)}"
        )
    elif not fitted.fits:
        report.warn(
            f"{rows.name} does not fit this film: half of the background is more than {fitted.px:.1f} px off, and no other rate, offset, "
            "axes or lens fit better. It is used as it is. Check that it belongs to this clip, uncut and uncropped."
        )
    _tell_rate(rows, best, shot, report)
    tell_missing(known, report)
    return known, _fact(best, fitted, rows.name)


def _tell_rate(rows, reading, shot, report):
    if reading.step is None and pace_of(rows.rate, int(rows.number.max(initial=0)) + 1, shot) is not None:
        report.warn(f"{rows.name} has {rows.rate:g} poses a second: they were resampled to the film's frames.")


def _as_well(rival) -> str:
    return (
        f" It would fit as well as {rival.words()}; where that is meant, export one pose for each frame."
        if rival
        else ""
    )


def _fact(reading, fit, name) -> dict:
    px = None if not np.isfinite(fit.px) else round(fit.px, 2)
    return {
        "name": name,
        "reading": reading.to_json(),
        "px": px,
        "share": round(fit.share, 3),
        "compared": fit.count,
    }


def tell_missing(known: Known, report) -> None:
    """Say in which frames the camera is not the file's."""
    between = int((~known.measured & ~known.held).sum())
    if between:
        report.warn(f"{known.rows.name} has no camera for {_many(between)} between others; there it is interpolated.")
    if known.held.any():
        report.warn(
            f"{known.rows.name} has no camera for {_many(int(known.held.sum()))} ({_runs(np.flatnonzero(known.held))} of the shot); there it stands still."
        )


def _many(count: int) -> str:
    return "1 frame" if count == 1 else f"{count} frames"


def _runs(frames) -> str:
    parts = np.split(frames, np.flatnonzero(np.diff(frames) > 1) + 1)
    return ", ".join(f"{p[0]}-{p[-1]}" if len(p) > 1 else f"{p[0]}" for p in parts)


def _upright(rows, reading, tracks, shot) -> Reading:
    """The reading with the other axis up, if only so people stand."""
    off = {}
    for up in (False, True):
        T = read_as(rows, replace(reading, up=up), shot).camera.T_world_from_cam
        off[up] = _tilt(T, tracks)
    if off[False] is None or not (off[False] > LYING and off[True] < UPRIGHT):
        return reading
    return replace(reading, up=True)


def _tilt(T_world_from_cam, tracks) -> float | None:
    """Median angle in the picture, degrees, between people's backs and the world's up; None where nobody is seen."""
    two = tracks.keypoints_2d
    ends = two[:, :, [5, 6, 11, 12]]
    seen = (ends[..., 2] > SURE).all(-1)
    back = (ends[:, :, :2, :2].mean(2) - ends[:, :, 2:, :2].mean(2))[seen]
    up = np.broadcast_to(T_world_from_cam[None, :, 2, :2], (*seen.shape, 2))[
        seen
    ]  # world's z in the camera, its x and y
    level = np.linalg.norm(up, axis=1) > 0.3  # else the camera looks straight up or down
    if level.sum() < 3:
        return None
    cos = (back * up).sum(1) / np.maximum(np.linalg.norm(back, axis=1) * np.linalg.norm(up, axis=1), 1e-9)
    return float(np.rad2deg(np.median(np.arccos(np.clip(cos[level], -1, 1)))))


def _unit(rows, reading, scene, tracks, shot) -> Reading:
    """The reading in the unit in which people are as tall as people: the ground at their feet is as far away as they are."""
    ratio = _size(read_as(rows, reading, shot).camera, scene, tracks)
    if ratio is None or 1 / 2.5 < ratio < 2.5:
        return reading
    unit = min(UNITS, key=lambda u: abs(np.log(u / ratio)))
    return replace(reading, unit=unit) if abs(np.log(unit / ratio)) < np.log(UNIT_SPREAD) else reading


def _size(camera: Camera, scene: Background, tracks) -> float | None:
    """Metres per unit of the camera, as people of 1.7 m say it; None where no ground is seen at anybody's feet."""
    from ..slam import structure
    from .background import place

    obs, size = scene.obs, scene.size
    points = int(obs.point.max(initial=0)) + 1
    model, centred, error = place(camera, obs, size, points, True)
    angle = structure.angles(model, centred, size, points)
    good = (error < scene.limit) & (angle[obs.point] > structure.MIN_ANGLE)
    depth = np.einsum(
        "mj,mj->m",
        model.R[obs.frame, 2],
        model.d[obs.point] / np.maximum(model.w[obs.point], 1e-9)[:, None] - model.c[obs.frame],
    )
    ratios = []
    for p, f in zip(*np.nonzero(tracks.visible)):
        joints = tracks.keypoints_2d[p, f]
        if not (joints[[0, 15, 16], 2] > FEET).all():
            continue
        feet = joints[[15, 16], :2]
        tall = feet[:, 1].mean() - joints[0, 1]
        if tall < 0.1 * size[1]:
            continue
        here = good & (obs.frame == f) & (np.abs(obs.xy[:, 0] - feet[:, 0].mean()) < 0.5 * tall)
        here &= np.abs(obs.xy[:, 1] - feet[:, 1].max()) < 0.1 * tall
        if here.sum() >= 3:
            # nose to ankles is 1.5 of 1.7 m
            ratios.append(1.5 * camera.K[f, 1, 1] / tall / np.median(depth[here]))
    if len(ratios) < 3 or np.median(np.abs(np.log(ratios / np.median(ratios)))) > np.log(UNIT_SPREAD) / 2:
        return None  # few, or not of one mind: whoever sits, or stands behind something
    return float(np.median(ratios))


# -- people


def _people(people, scene, tracks, shot, model, known, report):
    out, facts = list(people), [None] * len(people)
    for file in dict.fromkeys(p.file for p in people):
        which = [k for k, p in enumerate(people) if p.file == file]
        raws, name = [people[k].raw or people[k] for k in which], Path(file).name
        if known is None and any(raw.space == "world" and raw.T_world_from_cam is None for raw in raws):
            for k in which:  # without a camera nothing can be compared; who places them says so
                facts[k] = _fact(Reading(), NOTHING, people[k].name)
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
                f"{name} is read as {best.words()}: so it fits the film to {fitted.px:.1f} px ({_px(own.px)} as it stands).{_as_well(rival)}"
            )
        for k, raw, one in zip(which, raws, each):
            out[k] = person_read_as(raw, best, shot)
            facts[k] = _fact(best, one, raw.name)
            if fitted.asked and not one.fits:
                where = f"the nearest is {one.px:.0f} px off" if one.count else "it is never in the picture with them"
                report.warn(
                    f"{raw.name} fits nobody who is seen in the film: {where}, under every reading that was tried. "
                    "It is used as somebody of their own; check that it belongs to this clip."
                )
        camera = fitted.camera
        if camera is not None and camera.count and not camera.fits:
            report.warn(
                f"The camera in {name} does not fit the film's background ({_px(camera.px)} off); only its people are used."
            )
    return out, facts


def _px(px: float) -> str:
    return f"{px:.1f} px" if np.isfinite(px) else "far"


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


# -- joints and masks


def joints_against_film(joints, found: dict, shot, report):
    """Joints (P, T, 25, 3) as the film shows them, and what `shot.json` says of it.

    found: joints of the embedded networks, frame: (N, 17, 3).
    """
    rows = np.flatnonzero((joints[..., 2] > 0).any((0, 2)))

    def fit(reading):
        off, tall = [], []
        at = reading.times(rows, rows)
        for f, people in found.items():
            near = int(np.argmin(np.abs(at - f)))
            theirs = joints[:, rows[near], :17] * [reading.size, reading.size, 1]
            there = abs(at[near] - f) <= max(1.0, reading.step or 1.0) / 2
            for mine in people:
                both = (mine[None, :, 2] > SURE) & (theirs[..., 2] > SURE)
                apart = np.where(both, np.linalg.norm(theirs[..., :2] - mine[None, :, :2], axis=-1), np.nan)
                apart = [np.nanmedian(a) for a, b in zip(apart, both) if b.sum() >= 3 and there]
                off.append(min(apart, default=np.inf))
                tall.append(max(np.ptp(mine[mine[:, 2] > SURE, 1]), 8.0))
        heights = np.array(off) / tall
        seen = np.isfinite(heights)
        return Fit(
            float(np.median(np.array(off)[seen])) if seen.any() else float("nan"), float((heights < NEAR).mean()),
            float(np.minimum(heights / NEAR, 1).mean()), int(seen.sum()),
        )  # fmt: skip

    if not len(rows) or not sum(map(len, found.values())):
        report.warn(
            "The given joints could not be compared with the film: nobody is found in the frames that were looked at."
        )
        return joints, _fact(Reading(), NOTHING, "joints")
    best, fitted = Reading(), fit(Reading())
    own = fitted
    if own.cost >= FINE:
        best, fitted, own, _ = choose(
            fit, int(rows[-1]) + 1, shot, [Reading(size=s) for s in (2.0, 0.5, 1.5, 2 / 3, 3.0, 4.0)]
        )
    if not best.own:
        report.warn(
            f"The given joints are read as {best.words()}: so they are {_px(fitted.px)} from the people in the film ({_px(own.px)} as they stand)."
        )
        joints = _joints_as(joints, rows, best)
    elif not fitted.fits:
        report.warn(
            f"The given joints do not lie on the people in the film ({_px(fitted.px)} off), under every reading that was tried. They are used "
            "as they are; check that they belong to this clip and its size."
        )
    return joints, _fact(best, fitted, "joints")


def _joints_as(joints, rows, reading):
    out, at = np.zeros_like(joints), reading.times(rows, rows)
    for f in range(joints.shape[1]):
        b = min(int(np.searchsorted(at, f - 1e-9)), len(at) - 1)
        a = b if abs(at[b] - f) < 1e-9 or b == 0 else b - 1
        if not at[0] - 0.5 <= f <= at[-1] + 0.5 or at[b] - at[a] > 1.5 * max(1.0, reading.step or 1.0):
            continue
        share = np.clip((f - at[a]) / max(at[b] - at[a], 1e-9), 0, 1) if b > a else 0.0
        first, second = joints[:, rows[a]], joints[:, rows[b]]
        both = (first[..., 2:] > 0) & (second[..., 2:] > 0)
        mixed = np.concatenate(
            [first[..., :2] * (1 - share) + second[..., :2] * share, np.minimum(first, second)[..., 2:]], -1
        )
        out[:, f] = np.where(both, mixed, 0)
    out[..., :2] *= reading.size
    return out


def masks_against_film(masks, found: dict, shot, report):
    """Masks with their pictures at the frames that the film shows, and what `shot.json` says of it. found: as in `joints_against_film`."""

    def fit(reading):
        inside, count = [], 0
        pictures = masks.read_as(reading)
        there = np.array(pictures.frames)
        for f, people in found.items():
            near = int(there[np.argmin(np.abs(there - f))]) if len(there) else f
            if abs(near - f) > (reading.step or 1.0) / 2:
                near = f
            mask = pictures.read(near) > 0
            for mine in people:
                sure = mine[mine[:, 2] > SURE, :2]
                at = np.clip(sure.astype(int), 0, [shot.width - 1, shot.height - 1])
                # a mask that is everywhere says nothing
                inside.append(mask[at[:, 1], at[:, 0]].mean() - mask.mean() if len(at) else 0.0)
                count += len(at)
        share = float(np.mean(inside))
        return Fit(float("nan"), max(share, 0.0), float(1 - max(share, 0.0)), count)

    if not sum(map(len, found.values())):
        report.warn(
            "The given masks could not be compared with the film: nobody is found in the frames that were looked at."
        )
        return masks, _fact(Reading(), NOTHING, "masks")
    best, fitted = Reading(), fit(Reading())
    own = fitted
    if own.cost >= FINE:
        best, fitted, own, _ = choose(fit, masks.span, shot)
    if not best.own:
        report.warn(
            f"The given masks are read as {best.words('mask')}: so they hold {100 * fitted.share:.0f} % of the joints of the people in the film "
            f"({100 * own.share:.0f} % as they stand). In frames without a mask nobody is seen."
        )
    elif not fitted.fits:
        report.warn(
            f"The given masks hold only {100 * fitted.share:.0f} % of the joints of the people in the film, under every reading that was tried. "
            "They are used as they are; check that they belong to this clip and that people are white."
        )
    return masks.read_as(best), _fact(best, fitted, "masks")


def found_people(shot, frames, backend) -> dict:
    """Joints (N, 17, 3) of the people whom the embedded networks see in a few frames of the shot."""
    out = {}
    for f in np.unique(np.linspace(0, shot.frames - 1, SAMPLES).round().astype(int)).tolist():
        rgb = frames.read(f)
        poses = [backend.pose(rgb, box) for box, score in zip(*backend.detect(rgb)) if score > 0.4]
        out[f] = [pose.joints for pose in poses if pose.score > 0.35]
    return out
