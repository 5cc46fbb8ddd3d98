"""Camera moves around people: the paper's six, and static, zoom, hand-held, crossing. Poses are OpenCV, world Z-up, metres."""

from __future__ import annotations

import numpy as np
from scipy.ndimage import gaussian_filter1d

MOVES = ("push-in", "pull-out", "pan", "track", "follow", "arc", "static", "zoom", "handheld", "crossing")
_SENSOR_HEIGHT_MM = 36 * 9 / 16


def look_at(eye, target, roll=0.0):
    """T_world_from_cam (..., 4, 4) of cameras at eye (..., 3) that look at target (..., 3); roll (...,) radians."""
    eye, target, roll = np.broadcast_arrays(
        np.asarray(eye, float), np.asarray(target, float), np.asarray(roll, float)[..., None]
    )
    roll = roll[..., :1]
    z = target - eye
    z = z / np.linalg.norm(z, axis=-1, keepdims=True)
    x = np.cross(z, [0.0, 0, 1])
    x = x / np.linalg.norm(x, axis=-1, keepdims=True)
    y = np.cross(z, x)
    T = np.zeros(eye.shape[:-1] + (4, 4))
    T[..., :3, 0] = np.cos(roll) * x + np.sin(roll) * y
    T[..., :3, 1] = np.cos(roll) * y - np.sin(roll) * x
    T[..., :3, 2], T[..., :3, 3], T[..., 3, 3] = z, eye, 1
    return T


def shown(xy, masks, person):
    """Which points (F, J, 2) px of a person the picture shows: inside it, and the person within 2 px of there in masks (F, H, W)."""
    height, width = masks.shape[1:]
    inside = np.isfinite(xy).all(-1) & (xy >= 0).all(-1) & (xy < [width, height]).all(-1)
    cell = np.nan_to_num(xy, nan=0, posinf=0, neginf=0).clip(0, [width - 1, height - 1]).astype(int)
    seen = np.zeros(inside.shape, bool)
    for dx in (-2, 0, 2):
        for dy in (-2, 0, 2):
            x, y = (cell[..., 0] + dx).clip(0, width - 1), (cell[..., 1] + dy).clip(0, height - 1)
            seen |= masks[np.arange(len(masks))[:, None], y, x] == person
    return inside & seen


def ease(u):
    """From 0 to 1 with soft ends, but moving from the first frame to the last as film usually does."""
    return 0.55 * u + 0.45 * u * u * (3 - 2 * u)


def _wobble(rng, frames, fps, sigma, period_s):
    """Operator's unrest: smooth noise (frames, 3)."""
    width = period_s * fps / 4
    raw = gaussian_filter1d(rng.normal(size=(frames + int(8 * width), 3)), width, axis=0)[int(4 * width) :][:frames]
    return sigma * raw * np.sqrt(2 * np.sqrt(np.pi) * width)


def make(move, rng, subject, fps, reach=0.0):
    """A camera over time.

    subject: (F, 3) m, the middle of the people at hip height, who walk (if they do) along their mean direction.
    reach: m, how far from that middle anybody gets; beyond 1.6 m people may leave the frame.
    Returns T_world_from_cam (F, 4, 4) and the focal length (F,) in mm on a 36 mm sensor.
    """
    F = len(subject)
    u = ease(np.linspace(0, 1, F))[:, None]
    focal = np.full(F, float(rng.choice([24, 28, 32, 35])))
    reach = min(reach, 1.6)
    # From here a standing person fills the frame, and a group fits into it.
    near = max(2.35 * focal[0] / _SENSOR_HEIGHT_MM, (2 * reach + 0.9) * focal[0] / 36) + 0.7 * reach
    target = gaussian_filter1d(subject, 0.5 * fps, axis=0, mode="nearest") + [0, 0, rng.uniform(-0.1, 0.05)]
    middle, travel = target.mean(0), target[-1] - target[0]
    walking = np.arctan2(travel[1], travel[0]) if np.linalg.norm(travel[:2]) > 0.3 else rng.uniform(0, 2 * np.pi)
    height = rng.uniform(0.9, 1.7)
    side = rng.choice([-1.0, 1.0])

    def around(angle, distance, z=height):
        return np.concatenate([np.cos(angle) * distance, np.sin(angle) * distance, z + 0 * distance], -1)

    ones = np.ones((F, 1))
    angle = walking + side * rng.uniform(0.35, 1.2)
    if move in ("push-in", "pull-out"):
        far = near + rng.uniform(2.6, 3.6)
        distance = far + u * (near + 0.15 - far)
        distance = distance if move == "push-in" else distance[::-1]
        eye = middle * [1, 1, 0] + around(angle + 0.12 * u, distance, height + 0.25 * u)
        aim = middle + 0.5 * (target - middle)
    elif move in ("pan", "static", "zoom"):
        distance = near * {"pan": 1.25, "static": 1.3, "zoom": 1.75}[move]
        eye = np.repeat(
            (middle * [1, 1, 0] + around(np.array([walking + side * 1.4]), np.array([distance])))[None], F, 0
        )
        aim = target if move == "pan" else np.repeat(middle[None], F, 0)
        if move == "zoom":
            focal = focal * (1 + (0.55 * u[:, 0] if side > 0 else 0.55 * (1 - u[:, 0])))
    elif move == "track":
        distance = near * rng.uniform(1.05, 1.3)
        eye = target * [1, 1, 0] + around((walking + side * np.pi / 2) * ones, distance * ones)
        aim = target
    elif move == "follow":
        behind = walking + (np.pi if side > 0 else 0) + rng.uniform(-0.25, 0.25)
        eye = target * [1, 1, 0] + around(behind * ones, near * rng.uniform(1.05, 1.25) * ones)
        aim = target
    elif move == "arc":
        sweep = rng.uniform(0.9, 1.5)
        distance = near * rng.uniform(1.1, 1.3)
        eye = middle * [1, 1, 0] + around(angle + side * sweep * (u - 0.5), distance * ones, height + 0.2 * u)
        aim = middle + 0.6 * (target - middle)
    elif move == "crossing":
        along = np.array([np.cos(walking), np.sin(walking), 0])
        start = middle * [1, 1, 0] + around(np.array([walking + side * np.pi / 2]), np.array([near * 1.35]))
        eye = start + along * rng.uniform(1.6, 2.4) * (0.5 - u)
        aim = middle + 0.35 * (target - middle) + along * 0.4 * (0.5 - u)
    elif move == "handheld":
        distance = near * 1.25
        eye = middle * [1, 1, 0] + around(angle * ones, distance * ones) + _wobble(rng, F, fps, 0.07, 1.6)
        aim = middle + 0.7 * (target - middle) + _wobble(rng, F, fps, 0.06, 0.9)
        eye = eye + np.array([-np.sin(angle), np.cos(angle), 0]) * rng.uniform(0.5, 0.9) * (u - 0.5)
    else:
        raise ValueError(f"unknown move {move}")
    roll = np.zeros(F)
    if move == "handheld":
        roll = _wobble(rng, F, fps, 0.012, 1.2)[:, 0]
    elif move not in ("static", "pan", "zoom"):  # a dolly on real rails
        eye = eye + _wobble(rng, F, fps, 0.004, 0.8)
        aim = aim + _wobble(rng, F, fps, 0.008, 0.8)
    return look_at(eye, aim, roll), focal
