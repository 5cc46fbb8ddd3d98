"""Given joints and masks against the film: do they lie on the people whom the embedded networks see?"""

from __future__ import annotations

import numpy as np

from .background import NOTHING, Fit
from .reading import FINE, NEAR, SURE, Reading, choose, fact, in_px

SAMPLES = 6  # frames in which given joints and masks are compared with the embedded networks


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
        return joints, fact(Reading(), NOTHING, "joints")
    best, fitted = Reading(), fit(Reading())
    own = fitted
    if own.cost >= FINE:
        best, fitted, own, _ = choose(
            fit, int(rows[-1]) + 1, shot, [Reading(size=s) for s in (2.0, 0.5, 1.5, 2 / 3, 3.0, 4.0)]
        )
    if not best.own:
        report.warn(
            f"The given joints are read as {best.words()}: so they are {in_px(fitted.px)} from the people in the film ({in_px(own.px)} as they stand)."
        )
        joints = _joints_as(joints, rows, best)
    elif not fitted.fits:
        report.warn(
            f"The given joints do not lie on the people in the film ({in_px(fitted.px)} off), under every reading that was tried. They are used "
            "as they are; check that they belong to this clip and its size."
        )
    return joints, fact(best, fitted, "joints")


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
        return masks, fact(Reading(), NOTHING, "masks")
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
    return masks.read_as(best), fact(best, fitted, "masks")


def found_people(shot, frames, backend) -> dict:
    """Joints (N, 17, 3) of the people whom the embedded networks see in a few frames of the shot."""
    out = {}
    for f in np.unique(np.linspace(0, shot.frames - 1, SAMPLES).round().astype(int)).tolist():
        rgb = frames.read(f)
        poses = [backend.pose(rgb, box) for box, score in zip(*backend.detect(rgb)) if score > 0.4]
        out[f] = [pose.joints for pose in poses if pose.score > 0.35]
    return out
