"""How fast somebody walks whose feet no picture shows: shoulders rise and fall with every step, the more the longer it is.

A leg is an inverted pendulum: over a step of length s on legs of length l the body rises by about s² / 8l, so a speed of f steps a second goes
with f √(l a), a being the amplitude. The factor and its spread are those of 37 stretches of CMU's walks (subjects 07-09).
"""

from __future__ import annotations

import numpy as np

FACTOR, SIGMA = 6.9, 0.25  # of the speed; SIGMA relative: quartiles of the factor are 6.2 and 7.8
STEPS_HZ = np.arange(1.4, 2.61, 0.05)
LEAST = 0.006  # m, a tenth of CMU's walks have less; people who stand and talk, or bow, have 2-4 mm
LEAST_S = 1.2  # s that must be seen


def speed(height, leg: float, fps: float) -> float:
    """Speed, m/s, of somebody whose shoulders are `height` (T,) m over anything level; NaN where no steps show. leg: m."""
    if len(height) < LEAST_S * fps:
        return np.nan
    t = np.arange(len(height)) / fps
    rest = height - np.polyval(np.polyfit(t, height, 4), t)
    amplitude = 2 * np.abs(np.exp(-2j * np.pi * STEPS_HZ[:, None] * t) @ rest) / len(t)
    best = int(amplitude.argmax())
    if amplitude[best] < LEAST:
        return np.nan
    return float(FACTOR * STEPS_HZ[best] * np.sqrt(leg * amplitude[best]))


def along(root, forward, up, fps: float) -> float:
    """Median speed, m/s, of a root (T, 3) m the way it faces, forward (T, 3), from half second to half second."""
    half = max(1, round(fps / 2))
    if len(root) <= half:
        return np.nan
    ahead = forward[half // 2 : len(forward) - (half - half // 2)]
    ahead = ahead - (ahead @ up)[:, None] * up
    ahead /= np.maximum(np.linalg.norm(ahead, axis=1, keepdims=True), 1e-6)
    return float(np.median(((root[half:] - root[:-half]) * ahead).sum(1)) * fps / half)


def unlike(along_mps: float, speed_mps: float) -> float:
    """0 where somebody goes as fast as they step, up to 1 where they do not."""
    return float(1 - np.exp(-0.5 * ((along_mps - speed_mps) / (SIGMA * speed_mps)) ** 2))
