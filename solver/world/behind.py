"""What a person hides lies behind them: evidence of the size of the camera's path that every shot has which shows people before a background."""

from __future__ import annotations

import cv2
import numpy as np

from ..records import Camera

FRAMES = 24  # that are looked at
RIM = 0.04  # of a person's size in the picture: nearer to the outline a mask may be wrong
BEFORE = 0.3  # m that a body reaches before its root
SIGMA = 0.3  # m, how well a body's depth is known
POINTS = 60  # so many points speak, however many there are
CUT = 3.0  # sigmas


def hidden(points, camera: Camera, masks, ids, visible):
    """Where the picture shows somebody in front of static points.

    points: (N, 3) in the camera's frame and unit. masks: index -> (H, W) instance mask. visible: (P, T).
    Returns person (M,), frame (M,), point (M,) rows, and the points' depths (M,) before the camera.
    """
    found = []
    shown = np.flatnonzero(visible.any(0))
    for t in np.unique(shown[np.linspace(0, len(shown) - 1, min(FRAMES, len(shown))).round().astype(int)]) if len(shown) else ():
        mask, T, K = masks(int(t)), camera.T_world_from_cam[t], camera.K[t]
        cam = (points - T[:3, 3]) @ T[:3, :3]
        z = np.maximum(cam[:, 2], 1e-9)
        at = np.floor(cam[:, :2] / z[:, None] * K[[0, 1], [0, 1]] + K[:2, 2])
        inside = (cam[:, 2] > 0) & (at >= 0).all(1) & (at[:, 0] < mask.shape[1]) & (at[:, 1] < mask.shape[0])
        rows = np.flatnonzero(inside)
        at = at[rows].astype(int)
        for p in np.flatnonzero(visible[:, t]):
            own = (mask == ids[p]).astype(np.uint8)
            rim = 2 * max(2, round(RIM * np.sqrt(own.sum()))) + 1
            own = cv2.erode(own, np.ones((rim, rim), np.uint8))
            behind = rows[own[at[:, 1], at[:, 0]] > 0]
            found.append((np.full(len(behind), p), np.full(len(behind), t), behind, cam[behind, 2]))
    if not found:
        none = np.zeros(0, int)
        return none, none, none, np.zeros(0)
    return tuple(np.concatenate(part) for part in zip(*found))


def nearness(depth_m, depth_root, point, off=0.0):
    """By how many sigmas each point that somebody hides lies before them, the mean over its frames; 0 behind them.

    depth_m (M,) of points, depth_root (M,) of who hides them, off (M,) how far the points may be off: m. point: (M,) rows.
    Returns (n,) for the n points there are.
    """
    before = np.maximum(depth_root - BEFORE - depth_m, 0) / np.sqrt(SIGMA**2 + off**2)
    _, row = np.unique(point, return_inverse=True)
    return np.bincount(row, before) / np.bincount(row) if len(row) else np.zeros(0)


def cost(sigmas) -> float:
    """Of points that lie before who hides them: robust squares, in all no more than those of POINTS."""
    squares = sigmas**2 * CUT**2 / (sigmas**2 + CUT**2)
    return float(squares.sum() * min(1.0, POINTS / max(len(sigmas), 1)))


def share_in_front(points, camera: Camera, masks, people, joints) -> float | None:
    """Share of the background points that somebody hides which would lie before them; None where nobody hides any.

    points (N, 3) and joints (P, T, 24, 3): world, m.
    """
    p, t, point, depth = hidden(points, camera, masks, people.ids, people.visible)
    if not len(point):
        return None
    T = camera.T_world_from_cam[t]
    root = np.einsum("mj,mj->m", joints[p, t, 0] - T[:, :3, 3], T[:, :3, 2])
    return float((nearness(depth, root, point) > 0).mean())
