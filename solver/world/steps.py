"""Who walks whose legs no picture shows, and how, by what is seen of them."""

from __future__ import annotations

import numpy as np
from scipy.ndimage import gaussian_filter1d

from ..body.fit import Evidence
from ..bundle.bodies import Bodies, Posed
from . import gait

WRISTS, KNEES = [9, 10], [13, 14]  # keypoints
SHOULDERS = [16, 17]  # joints
SEEN = 0.6  # trust in a detected joint from which on it tells something: a score of 0.25
ACROSS = 0.5  # of a unit vector along the line of sight, up to which a camera sees how far it goes
SMOOTH_S = 0.25  # s, a course


def leg_lengths(bodies: Bodies) -> np.ndarray:
    """Hip to knee to ankle (P,), m."""
    rest = bodies.model.rest(bodies.betas)[0]
    return ((rest[:, 1] - rest[:, 4]).norm(dim=-1) + (rest[:, 4] - rest[:, 7]).norm(dim=-1)).numpy()


def steppers(posed: Posed, evidence: Evidence, centre, up) -> dict:
    """Who walks though no picture shows their feet: row -> (speed by their steps, m/s, and frames). centre (T, 3), up (3,): W."""
    shoulders = (posed.joints[:, :, SHOULDERS].mean(2) + centre).numpy()
    legs, out = leg_lengths(posed.bodies), {}
    for p, (span, legless) in enumerate(zip(evidence.span.numpy(), evidence.legless.numpy())):
        if legless.sum() <= 0.5 * span.sum():
            continue
        steps = gait.speed(shoulders[p, span] @ up.numpy(), float(legs[p]), evidence.fps)
        if np.isfinite(steps):
            out[p] = steps, int(legless.sum())
    return out


def unlike(walkers: dict, posed: Posed, evidence: Evidence, centre, up) -> float:
    """In how many frames people go slower or faster than they step. walkers: see steppers."""
    out = 0.0
    for p, (steps, count) in walkers.items():
        span = evidence.span[p].numpy()
        pace = gait.along((posed.joints[p, :, 0] + centre).numpy()[span], posed.forward()[p].numpy()[span], up.numpy(), evidence.fps)
        out += count * gait.unlike(pace, steps) if np.isfinite(pace) else 0.0
    return out


def stepping(posed: Posed, evidence: Evidence, centre, ahead, up) -> list[gait.Walk]:
    """How each person steps. ahead (P, T, 3): where they face, level; centre (T, 3), up (3,): W."""
    joints, keypoints = ((part + centre[:, None]).numpy() for part in (posed.joints, posed.keypoints))
    legs, out = leg_lengths(posed.bodies), []
    for p, (span, legless) in enumerate(zip(evidence.span.numpy(), evidence.legless.numpy())):
        walk = gait.Walk(np.zeros(len(span)), np.zeros((len(span), 2, 3)), np.zeros((len(span), 4)))
        if legless.any() and span.sum() >= 0.5 * evidence.fps:
            sure = evidence.confidence[p, span].numpy() > SEEN
            ray = joints[p, span, 0] - centre[span].numpy()
            found = _walk(joints[p, span], keypoints[p, span], sure, ahead[p, span], up, ray, float(legs[p]), evidence.fps)
            walk.share[span], walk.sines[span], walk.stands[span] = found.share, found.sines, found.stands
        out.append(walk)
    return out


def _walk(joints, keypoints, sure, ahead, up, ray, leg, fps) -> gait.Walk:
    """Of one person: joints (T, 24, 3), keypoints (T, K, 3), which of them are seen (T, K); ray (T, 3) from the camera to them."""
    smooth = lambda x: gaussian_filter1d(x, SMOOTH_S * fps, axis=0, mode="nearest")
    forward = lambda way: (way * ahead).sum(1)
    thigh = lambda hip, knee: forward(joints[:, knee] - joints[:, hip]) / np.linalg.norm(joints[:, knee] - joints[:, hip], axis=1)
    speed = forward(np.gradient(smooth(joints[:, 0]), axis=0) * fps)
    wrists = forward(keypoints[:, WRISTS[1]] - keypoints[:, WRISTS[0]])
    shoulders, left = joints[:, SHOULDERS].mean(1), np.cross(up, np.median(ahead, 0))
    left /= max(np.linalg.norm(left), 1e-6)
    sideways = np.abs(ray @ left) < ACROSS * np.linalg.norm(ray, axis=1)
    sway = shoulders @ left if sideways.all() else np.full(len(ray), np.nan)
    known = lambda points, value: np.where(sure[:, points].all(1), value, np.nan)
    return gait.walk(
        smooth(speed), leg, fps, shoulders @ up, sway, known(WRISTS, wrists), known(KNEES, thigh(1, 4) - thigh(2, 5)),
    )  # fmt: skip
