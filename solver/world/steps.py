"""Who walks whose legs no picture shows, and how, by what is seen of them."""

from __future__ import annotations

import numpy as np
import torch
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
        if legless.sum() <= 0.5 * span.sum() or not _shows_shoulders(evidence, p):
            continue
        steps = gait.speed(shoulders[p, span] @ up.numpy(), float(legs[p]), evidence.fps)
        if np.isfinite(steps):
            out[p] = steps, int(legless.sum())
    return out


def _shows_shoulders(evidence, p) -> bool:
    """Whether both shoulders of a person are seen in most frames: how they rise is noise where they are guessed, or taken from an outline."""
    return bool((evidence.confidence[p, evidence.span[p], 5:7] > SEEN).all(-1).float().mean() > 0.5)


def unlike(walkers: dict, posed: Posed, evidence: Evidence, centre, up) -> float:
    """In how many frames people go slower or faster than they step. walkers: see steppers."""
    out = 0.0
    for p, (steps, count) in walkers.items():
        span = evidence.span[p].numpy()
        pace = gait.along((posed.joints[p, :, 0] + centre).numpy()[span], posed.forward()[p].numpy()[span], up.numpy(), evidence.fps)
        out += count * gait.unlike(pace, steps) if np.isfinite(pace) else 0.0
    return out


def stepping(posed: Posed, evidence: Evidence, centre, up, paces=None):
    """How people step: where they go (P, T, 3), unit and level, and world.gait.Walk's sines (P, T, 2, 3), share (P, T) and stands (P, T, 4).

    centre (T, 3), up (3,): W. paces: (P,) how fast people are known to walk, m/s, NaN for those who do not; None: as fast as they go.
    """
    ahead = posed.forward() - (posed.forward() @ up)[..., None] * up
    ahead = torch.nn.functional.normalize(ahead, dim=-1)
    joints, keypoints = ((part + centre[:, None]).numpy() for part in (posed.joints, posed.keypoints))
    legs, found = leg_lengths(posed.bodies), []
    for p, (span, legless) in enumerate(zip(evidence.span.numpy(), evidence.legless.numpy())):
        walk = gait.Walk(np.zeros(len(span)), np.zeros((len(span), 2, 3)), np.zeros((len(span), 4)))
        pace = None if paces is None else float(paces[p])
        if (legless.any() if pace is None else np.isfinite(pace)) and span.sum() >= 0.5 * evidence.fps:
            sure = evidence.confidence[p, span].numpy() > SEEN
            ray = joints[p, span, 0] - centre[span].numpy()
            one = _walk(joints[p, span], keypoints[p, span], sure, ahead[p, span].numpy(), up.numpy(), ray, float(legs[p]), evidence.fps, pace)
            walk.share[span], walk.sines[span], walk.stands[span] = one.share, one.sines, one.stands
        found.append(walk)
    return (ahead, *(torch.as_tensor(np.stack(part)) for part in zip(*((w.sines, w.share, w.stands) for w in found))))


def _walk(joints, keypoints, sure, ahead, up, ray, leg, fps, pace) -> gait.Walk:
    """Of one person: joints (T, 24, 3), keypoints (T, K, 3), which of them are seen (T, K); ray (T, 3) from the camera to them.

    With a pace, the camera's way is not known: nobody is seen to sway, and thighs swing as far as that pace asks, since those of bodies that
    nothing else holds swing too little in depth.
    """
    smooth = lambda x: gaussian_filter1d(x, SMOOTH_S * fps, axis=0, mode="nearest")
    forward = lambda way: (way * ahead).sum(1)
    thigh = lambda hip, knee: forward(joints[:, knee] - joints[:, hip]) / np.linalg.norm(joints[:, knee] - joints[:, hip], axis=1)
    speed = forward(np.gradient(smooth(joints[:, 0]), axis=0) * fps)
    wrists = forward(keypoints[:, WRISTS[1]] - keypoints[:, WRISTS[0]])
    shoulders, left = joints[:, SHOULDERS].mean(1), np.cross(up, np.median(ahead, 0))
    left /= max(np.linalg.norm(left), 1e-6)
    sideways = np.abs(ray @ left) < ACROSS * np.linalg.norm(ray, axis=1)
    sway = shoulders @ left if sideways.all() and pace is None else np.full(len(ray), np.nan)
    known = lambda points, value: np.where(sure[:, points].all(1), value, np.nan)
    thighs, speed = thigh(1, 4) - thigh(2, 5), smooth(speed) if pace is None else np.full(len(ray), pace)
    if pace is not None:
        thighs = (thighs - thighs.mean()) / max(np.sqrt(2) * thighs.std(), 1e-6) * gait.THIGHS * pace / np.sqrt(gait.G * leg) / 0.5
    return gait.walk(speed, leg, fps, shoulders @ up, sway, known(WRISTS, wrists), known(KNEES, thighs))


def paces(posed: Posed, evidence: Evidence, up) -> np.ndarray:
    """How fast people walk by their steps (P,), m/s; NaN for those who do not: whose legs are seen, and do not swing against each other.

    up (3,): W. A camera that nobody knows is left out: it sways and climbs more slowly than people step.
    """
    shoulders, legs = (posed.joints[:, :, SHOULDERS].mean(2) @ up).numpy(), leg_lengths(posed.bodies)
    apart = posed.joints[:, :, 7] - posed.joints[:, :, 8]
    ray = torch.nn.functional.normalize(posed.joints[:, :, 0], dim=-1)
    apart = (apart - (apart * ray).sum(-1, keepdim=True) * ray).numpy()  # depth is what the picture tells least
    out = np.full(len(legs), np.nan)
    for p, (span, legless) in enumerate(zip(evidence.span.numpy(), evidence.legless.numpy())):
        if span.sum() < 3 or not _shows_shoulders(evidence, p) or (legless.sum() <= 0.5 * span.sum() and gait.swing(apart[p, span], evidence.fps) < gait.SWINGS):
            continue
        out[p] = gait.speed(shoulders[p, span], float(legs[p]), evidence.fps)
    return out
