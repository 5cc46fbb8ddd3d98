"""A hand of usual build, bent and turned to fit a net's points: bones keep their lengths, so that depth follows from the picture.

The net's third coordinate is weak: taken as it is, fingers bend by less than half of what they do, and its "world" points are worse (docs/tried.md).
"""

from __future__ import annotations

import numpy as np
from scipy.spatial.transform import Rotation

from ..fingers import INDEX, PINKY, WRIST, Palm, angles_of, points_of

# In lengths of the palm: the net's points in the picture, and in depth.
SIGMA_PICTURE, SIGMA_DEPTH = 0.07, 0.35
# Degrees: how hands are held, a row a finger, and how far from it. The last joint bends with the one before it.
USUAL = np.array([[55, 25, 20, 35], [30, 35, 18, 5], [35, 40, 20, 0], [35, 40, 20, -8], [35, 38, 20, -14.0]])
SPREADS = np.array([[15, 18, 20, 12], *[[32, 35, 20, 9]] * 4], float)
TIP, SIGMA_TIP = 0.55, 12.0
STEPS = 12
AT_ONCE = 256  # hands, for the memory
SIZE = 0.094  # m, a palm from the wrist to between the knuckles


def fitted(points, right):
    """Points (N, 21, 3) m of hands that fit the net's (N, 21, 3), px px px, about their wrists. right: bool.

    Begun twice, as the net sees depth and the other way round; what costs less is kept.
    """
    points = np.asarray(points, float)
    parts = [points[k : k + AT_ONCE] for k in range(0, len(points), AT_ONCE)]
    return np.concatenate([np.zeros((0, 21, 3)), *(_fitted(part, right) for part in parts)])


def _fitted(points, right):
    best, least = None, None
    for sign in (1.0, -1.0):
        begun = points * [1, 1, sign]
        state = _State.of(begun, right)
        cost = None
        for _ in range(STEPS):
            state, cost = _step(state, points, right)
        if best is None:
            best, least = state, cost
        else:
            better = cost < least
            best, least = best.mixed(state, better), np.where(better, cost, least)
    out = best.points(right) / best.size[:, None, None] * SIZE
    return out - out[:, :1]


class _State:
    """Axes (N, 3, 3), place (N, 3) and size (N,) px of palms, angles (N, 5, 4) degrees."""

    def __init__(self, axes, place, size, angles):
        self.axes, self.place, self.size, self.angles = axes, place, size, angles

    @classmethod
    def of(cls, points, right):
        palm = Palm.of(points[:, WRIST], points[:, INDEX], points[:, PINKY], np.array(right))
        angles = np.clip(angles_of(points, right), USUAL - 1.5 * SPREADS, USUAL + 1.5 * SPREADS)
        return cls(palm.axes, palm.wrist, palm.length, 0.5 * (angles + USUAL))

    def moved(self, by):
        """By (..., N, 27): a turn (3), the log of the size, the place in sizes (3), angles in SPREADS (20)."""
        turn = _turns(by[..., :3])
        size = self.size * np.exp(by[..., 3])
        return _State(
            self.axes @ np.swapaxes(turn, -1, -2), self.place + by[..., 4:7] * self.size[..., None], size, self.angles + by[..., 7:].reshape(*by.shape[:-1], 5, 4) * SPREADS,
        )  # fmt: skip

    def points(self, right):
        return points_of(self.angles, Palm(self.place, self.axes, self.size))

    def mixed(self, other, where):
        pick = lambda a, b: np.where(where.reshape(-1, *[1] * (a.ndim - 1)), b, a)
        return _State(*(pick(getattr(self, k), getattr(other, k)) for k in ("axes", "place", "size", "angles")))


def _residuals(state, points, right):
    """(..., N, 63 + 20 + 4)."""
    size = np.linalg.norm(points[:, 9] - points[:, 0], axis=-1)[:, None, None]
    off = (state.points(right) - points) / size / [SIGMA_PICTURE, SIGMA_PICTURE, SIGMA_DEPTH]
    usual = (state.angles - USUAL) / SPREADS
    tips = (state.angles[..., 1:, 2] - TIP * state.angles[..., 1:, 1]) / SIGMA_TIP
    return np.concatenate([off.reshape(*off.shape[:-2], -1), usual.reshape(*usual.shape[:-2], -1), tips], -1)


def _step(state, points, right, h=1e-4):
    """One Levenberg-Marquardt step of every hand: the best of a few dampings, or none. Returns the state and its cost (N,)."""
    N = len(points)
    r = _residuals(state, points, right)
    by = np.zeros((27, N, 27))
    by[np.arange(27), :, np.arange(27)] = h
    J = np.moveaxis((_residuals(state.moved(by), points, right) - r) / h, 0, -1)  # (N, R, 27)
    A, g = np.swapaxes(J, -1, -2) @ J, (np.swapaxes(J, -1, -2) @ r[..., None])[..., 0]
    least, step = (r**2).sum(-1), np.zeros((N, 27))
    for damping in (1e-3, 1e-1, 3.0):
        damped = A + damping * np.eye(27) * np.einsum("nii->ni", A)[:, None]
        trial = np.linalg.solve(damped, -g[..., None])[..., 0]
        cost = (_residuals(state.moved(trial), points, right) ** 2).sum(-1)
        better = cost < least
        least, step = np.where(better, cost, least), np.where(better[:, None], trial, step)
    return state.moved(step), least


def _turns(v):
    """Rotation vectors (..., 3) to matrices."""
    return Rotation.from_rotvec(v.reshape(-1, 3)).as_matrix().reshape(*v.shape[:-1], 3, 3)
