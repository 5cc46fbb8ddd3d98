"""Fingers over time, from the landmarks of the frames that show a hand: smoothed, held from one sighting to the next, and let go outside of them."""

from __future__ import annotations

import numpy as np
from scipy.linalg import solveh_banded

from ..fingers import angles_of
from ..records import Tracks

SIGMA = 12.0  # degrees, of a sighting's angle
PACE = 120.0  # degrees, one sigma of how far a joint goes in a second
NEAR = 2  # frames on either side whose median a sighting must not leave
FADE_S = 0.5  # in which a hand that is no longer seen comes to rest


def fingers_of(tracks: Tracks, fps: float):
    """Angles (P, T, 2, 5, 4) degrees and how much they are known (P, T, 2); None and None where no hand is seen."""
    if tracks.hands_3d is None or not (tracks.hands_2d[..., 2] > 0).any():
        return None, None
    score = tracks.hands_2d[..., 0, 2] * tracks.visible[..., None]
    P, T = score.shape[:2]
    angles, known = np.zeros((P, T, 2, 5, 4)), np.zeros((P, T, 2))
    for p, side in np.argwhere((score > 0).any(1)):
        weight = score[p, :, side]
        seen = np.flatnonzero(weight)
        raw = np.zeros((T, 20))
        raw[seen] = angles_of(tracks.hands_3d[p, seen, side], side == 1).reshape(-1, 20)
        angles[p, :, side] = smoothed(steady(raw, seen), weight, fps).reshape(T, 5, 4)
        known[p, :, side] = fading(seen, T, fps)
    return angles, known


def steady(values, seen):
    """Values (T, C) with the median of up to 2 NEAR + 1 sightings about each of the frames `seen`."""
    out = values.copy()
    for t in seen:
        out[t] = np.median(values[seen[np.abs(seen - t) <= NEAR]], 0)
    return out


def smoothed(values, weight, fps: float):
    """Values (T, C) that wander by PACE and were seen with SIGMA in the frames of weight (T,) > 0: straight from one sighting to the next, and held at the ends."""
    if len(values) < 2:
        return values
    tie = SIGMA**2 * fps / PACE**2
    band = np.zeros((2, len(values)))
    band[0, 1:] = -tie
    band[1] = weight + tie * np.r_[1, np.full(len(values) - 2, 2.0), 1]
    return solveh_banded(band, weight[:, None] * values)


def fading(seen, frames: int, fps: float):
    """1 from the first of the frames `seen` to the last, and away from them down to 0 in FADE_S, (T,)."""
    index = np.arange(frames)
    away = np.maximum(0, np.maximum(seen[0] - index, index - seen[-1]))
    return np.clip(1 - away / (FADE_S * fps), 0, 1)
