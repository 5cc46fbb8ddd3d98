"""Synthetic tracks with exact truth: points in a room, a camera that moves, noise, outliers, tracks that come and go."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.ndimage import gaussian_filter1d
from scipy.spatial.transform import Rotation

from solver.bundle.cameras import Observations
from solver.frames import compose, fit_similarity, intrinsics, invert, project

SIZE = (640, 360)


@dataclass
class Scene:
    obs: Observations
    colours: np.ndarray
    T_world_from_cam: np.ndarray
    focal: np.ndarray  # (T,) px


def look(position, target):
    """OpenCV camera pose in a Z-up world."""
    z = target - position
    z = z / np.linalg.norm(z)
    x = np.cross(z, [0, 0, 1.0])
    x /= np.linalg.norm(x)
    return compose(np.stack([x, np.cross(z, x), z], 1), position)


def path(move, frames, random):
    """Poses (T, 4, 4) and focal lengths (T,) px of one camera move in a room of 10 x 12 x 4 m."""
    s = np.linspace(0, 1, frames)[:, None]
    start, target, focal = np.array([0.0, -4.0, 1.6]), np.array([0.0, 3.0, 1.2]), np.full(frames, 640 * 32 / 36)
    position, at = np.tile(start, (frames, 1)), np.tile(target, (frames, 1))
    if move == "dolly":
        position = start + s * [0.2, 2.0, 0]
    elif move == "arc":
        angle = np.deg2rad(-70 + 40 * s)
        position = np.concatenate([4 * np.cos(angle), 4 * np.sin(angle), np.full_like(s, 1.6)], 1)
        at = np.tile([0, 0, 1.0], (frames, 1))
    elif move == "follow":
        position = start + s * [0, 5.0, 0] + [-1.5, -1, 0]
        at = position + [2.5, 2.5, -0.2]
    elif move == "pan":
        at = start + np.concatenate([np.sin(0.6 * s - 0.2), np.cos(0.6 * s - 0.2), np.full_like(s, -0.1)], 1)
    elif move == "zoom":
        focal = 640 * np.exp(np.linspace(np.log(28), np.log(50), frames)) / 36
        at = start + np.concatenate([np.sin(0.25 * s), np.cos(0.25 * s), np.full_like(s, -0.1)], 1)
    elif move == "dolly zoom":
        position = start + s * [0.4, 2.5, 0]
        focal = 640 * 45 / 36 * (1 - 0.3 * s[:, 0])
    elif move == "handheld":
        position = start + s * [0.8, 0, 0] + gaussian_filter1d(random.normal(0, 0.25, (frames, 3)), 6, axis=0)
        at = target + gaussian_filter1d(random.normal(0, 0.8, (frames, 3)), 5, axis=0)
    elif move == "slide":  # a long lens, a little to the side
        focal = np.full(frames, 640 * 85 / 36)
        position = start + s * [0.8, 0, 0]
        at = target + s * [1.4, 0, 0.1]
    elif move != "static":
        raise ValueError(move)
    return np.stack([look(p, q) for p, q in zip(position, at)]), focal


def scene(move, frames=60, seed=0, noise=0.3, outliers=0.15, count=1500) -> Scene:
    """Tracks of 5 to 30 frames on the walls and the things of a room; some jump, some move by themselves."""
    random = np.random.default_rng(seed)
    T, focal = path(move, frames, random)
    side = random.integers(0, 5, count)
    X = random.uniform([-5, -6, 0], [5, 6, 4], (count, 3))
    X[side == 0, 2] = 0
    X[side == 1, 1] = 6
    X[side == 2, 0] = 5
    X[side == 3, 0] = -5
    K = intrinsics(focal, *SIZE)
    pixels = project(X, invert(T), K)
    rows = []
    for n in range(count):
        visible = np.isfinite(pixels[:, n, 0]) & (pixels[:, n] > 2).all(1) & (pixels[:, n] < np.array(SIZE) - 2).all(1)
        born = random.integers(-15, frames)
        alive = visible & (np.arange(frames) >= born) & (np.arange(frames) < born + random.integers(5, 40))
        t = np.flatnonzero(alive)
        if len(t) < 2:
            continue
        t = t[: np.flatnonzero(np.diff(t) > 1)[0] + 1] if (np.diff(t) > 1).any() else t
        xy = pixels[t, n] + random.normal(0, noise, (len(t), 2))
        if random.random() < outliers:
            drift = random.normal(0, 2.0, 2)
            xy = xy + drift * np.arange(len(t))[:, None] + random.normal(0, 1, (len(t), 2)).cumsum(0)
        rows.append((t, xy))
    obs = Observations(
        np.concatenate([t for t, _ in rows]),
        np.concatenate([np.full(len(t), i) for i, (t, _) in enumerate(rows)]),
        np.concatenate([xy for _, xy in rows]),
    )
    return Scene(obs, np.zeros((len(rows), 3), np.uint8), T, focal)


def compare(T, truth):
    """ATE after similarity in % of the path, and mean rotation error in degrees after aligning the first cameras."""
    p, q = T[:, :3, 3], truth[:, :3, 3]
    length = np.linalg.norm(np.diff(q, axis=0), axis=1).sum()
    s, R, t = fit_similarity(p, q)
    ate = np.sqrt((((s * p @ R.T + t) - q) ** 2).sum(1).mean()) / max(length, 1e-9) * 100
    A = truth[:, :3, :3] @ np.swapaxes(T[:, :3, :3], 1, 2)
    mean = Rotation.from_matrix(A).mean().as_matrix()
    turn = np.rad2deg(Rotation.from_matrix(mean.T @ A).magnitude()).mean()
    return ate, turn
