"""What people stand on over the ground: stairs, kerbs, boxes."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

OVER_M = 0.1  # over the ground: a foot that stands so high stands on something
WIDE_M, DEEP_M = 0.8, 0.34  # of a step that is drawn under a foot: nobody knows how far it goes on


@dataclass(frozen=True)
class Foothold:
    """A foot (0 left, 1 right) on something over the ground in frames first to end - 1: the middle of its sole (3,) m, and where it points, rad about z from x."""

    foot: int
    first: int
    end: int
    place: np.ndarray
    heading: float

    def corners(self) -> np.ndarray:
        """(4, 3) m of a step under it."""
        along = np.array([np.cos(self.heading), np.sin(self.heading), 0.0])
        across = np.array([-along[1], along[0], 0.0])
        return self.place + np.array([a * DEEP_M / 2 * along + b * WIDE_M / 2 * across for a, b in ((-1, -1), (1, -1), (1, 1), (-1, 1))])


def footholds(points, contact) -> list[Foothold]:
    """points (T, 4, 3) m, world: left heel, left ball or toe, right heel, right ball or toe. contact (T, 4) bool."""
    out = []
    for foot in (0, 1):
        at, touches = points[:, 2 * foot : 2 * foot + 2], contact[:, 2 * foot : 2 * foot + 2]
        edges = np.flatnonzero(np.diff(np.r_[0, touches.any(1).astype(int), 0])).reshape(-1, 2)
        for first, end in edges:
            height = float(np.median(at[first:end, :, 2][touches[first:end]]))
            if height > OVER_M:
                heel, ball = np.median(at[first:end], axis=0)
                out.append(Foothold(foot, int(first), int(end), np.r_[(heel + ball)[:2] / 2, height], float(np.arctan2(*(ball - heel)[1::-1]))))
    return out
