"""A known camera against the film: does it carry the background, do people stand upright in it and have their size?"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from ..protocol import ShotError
from ..records import Camera
from .background import NOTHING, Background
from .camera import Known, read_as, too_short
from .reading import SURE, Reading, as_well, axes, choose, fact, natural, pace_of

FINE_PX = 0.5  # of a picture 640 px wide: a background that stands this still needs no other reading
FEET = 0.4  # confidence of nose and ankles that tell a person's size
UPRIGHT, LYING = 30.0, 60.0  # degrees between people's up and a world's: fits, and does not
UNITS = (0.01, 0.001, 0.1, 0.3048, 0.0254, 10.0, 100.0)
UNIT_SPREAD = 1.35  # by how much the size of a person in the world may be off and still speak for a unit


def camera_against_film(known: Known, scene: Background | None, tracks, shot, report):
    """The camera as the film shows it, and what `shot.json` says of it. Arguments as of `evidence.against_film`; scene: what was followed, or None."""
    rows = known.rows
    if scene is None:
        if not known.enough:
            raise too_short(known)
        report.warn(f"{rows.name} could not be compared with the film: its background shows too little to follow.")
        _tell_rate(rows, Reading(), shot, report)
        tell_missing(known, report)
        return known, fact(Reading(), NOTHING, rows.name)

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
            f"{rows.name} is read as {best.words()}: so it fits the background to {fitted.px:.1f} px{before}.{as_well(rival)}"
        )
    elif not fitted.fits:
        report.warn(
            f"{rows.name} does not fit this film: half of the background is more than {fitted.px:.1f} px off, and no other rate, offset, "
            "axes or lens fit better. It is used as it is. Check that it belongs to this clip, uncut and uncropped."
        )
    _tell_rate(rows, best, shot, report)
    tell_missing(known, report)
    return known, fact(best, fitted, rows.name)


def _tell_rate(rows, reading, shot, report):
    if reading.step is None and pace_of(rows.rate, int(rows.number.max(initial=0)) + 1, shot) is not None:
        report.warn(f"{rows.name} has {rows.rate:g} poses a second: they were resampled to the film's frames.")


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
