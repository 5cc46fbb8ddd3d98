"""How somebody walks whose feet no picture shows: how fast, and which leg is where.

Shoulders rise and fall with every step, the more the longer it is. A leg is an inverted pendulum: over a step of length s on legs of length l
the body rises by about s² / 8l, so a speed of f steps a second goes with f √(l a), a being the amplitude. Who walks faster also steps more often.
Each tells the speed to 12 % on 23 of CMU's walks (subjects 07 and 08), and their errors go against each other: the mean of both to 5 %.

Legs are functions of a phase, that of the left thigh's swing against the right one's, and of the speed (tools/build_gait.py). The phase is
sought in what can be seen: shoulders rise twice a stride and sway over the standing leg, wrists go against each other, and knees.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np
from scipy.ndimage import gaussian_filter1d

ASSET = Path(__file__).parent.parent / "assets" / "gait.npz"
G = 9.81
HARMONICS = 3
FASTEST = 0.7  # of speed over √(G leg): beyond it people run
WALKS, WALKS_RAMP = 0.4, 0.08  # m/s
BINS = 72  # of a phase
# What can be seen, of legs' length, at 0.5 of √(G leg), with its phase on CMU's 23 walks (± 12 degrees) and a spread that holds other people
BOB, BOB_PHASE, BOB_SIGMA = 0.02, np.deg2rad(145), 0.02  # shoulders' height goes with cos(2 phase + ...)
SWAY, SWAY_PHASE, SWAY_SIGMA = 0.02, np.deg2rad(-105), 0.02  # shoulders to the left, with cos(phase + ...) (± 20 degrees); not the more the faster
ARMS, ARMS_SIGMA = 0.5, 0.5  # right wrist ahead of the left, with cos(phase)
THIGHS, THIGHS_SIGMA = 0.9, 0.3  # sine of the left thigh less the right one's, with cos(phase)
REPEATS_S = 0.15  # s in which errors repeat
RATES, RATE_SIGMA = np.linspace(0.7, 1.4, 15), 0.12  # of the cadence that goes with the speed
HEEL, TOE = (5, 173), (15, 195)  # degrees of a leg's own phase in which heel and toe stand
FACTOR = 6.9
OFTEN, POWER = 1.67, 0.87  # speed over √(G leg) is OFTEN strides a second √(leg / G) to this power
SIGMA = 0.15  # of the mean of both, relative: bodies that are smoothed rise less
STEPS_HZ = np.arange(1.4, 2.61, 0.05)
LEAST = 0.006  # m, a tenth of CMU's walks have less; people who stand and talk, or bow, have 2-4 mm
LEAST_S = 1.2  # s that must be seen
SWINGS = 0.05  # m, of one ankle against the other across any line of sight: captured walks have 0.058-0.15, who stands, bows or waves up to 0.005


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
    by_height = FACTOR * STEPS_HZ[best] * np.sqrt(leg * amplitude[best])
    by_number = OFTEN * (STEPS_HZ[best] / 2 * np.sqrt(leg / G)) ** POWER * np.sqrt(G * leg)
    return float(np.sqrt(by_height * by_number))


def swing(apart, fps: float) -> float:
    """How far ankles swing against each other at the rates of strides, m. apart (T, 3): from one to the other."""
    t = np.arange(len(apart)) / fps
    rest = apart - np.polynomial.polynomial.polyval(t, np.polynomial.polynomial.polyfit(t, apart, 2)).T
    amplitude = 2 * np.abs(np.exp(-1j * np.pi * STEPS_HZ[:, None] * t) @ rest) / len(t)
    return float(np.linalg.norm(amplitude, axis=1).max())


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


@cache
def _asset():
    with np.load(ASSET) as file:
        return {name: file[name] for name in file.files}


def harmonics(phase, speed):
    """Rows (..., 14) of the legs' functions at phases (...), rad, and relative speeds (...)."""
    waves = [np.ones_like(phase)] + [wave(k * phase) for k in range(1, HARMONICS + 1) for wave in (np.cos, np.sin)]
    waves = np.stack(waves, -1)
    return np.concatenate([waves, waves * (speed - 0.5)[..., None]], -1)


@dataclass
class Walk:
    """How a person's legs step.

    share: (T,) how surely somebody walks, 0..1. sines: (T, 2, 3) of the left and the right leg: thigh and shank to the front, ankle to ball
    upward, against what it is in a standing foot. stands: (T, 4) how likely left heel and toe, right heel and toe stand.
    """

    share: np.ndarray
    sines: np.ndarray
    stands: np.ndarray


def walk(speed_mps, leg, fps, shoulders, sway, wrists, thighs) -> Walk:
    """The steps that suit what can be seen.

    speed_mps (T,), smooth. leg: m. shoulders, sway (T,): how high the shoulders are and how far to the left, m. wrists (T,): how far the right one is ahead of the left, m; thighs (T,): sine of
    the left one less the right one's; NaN where a picture does not show them.
    """
    asset = _asset()
    share = 1 / (1 + np.exp(-(speed_mps - WALKS) / WALKS_RAMP))
    relative = np.clip(speed_mps / np.sqrt(G * leg), 0.1, FASTEST)
    cadence = np.polyval(asset["cadence"], relative) * np.sqrt(G / leg)  # strides a second
    t = np.arange(len(share)) / fps
    about = lambda x: (x - np.polyval(np.polyfit(t, x, min(4, len(t) - 1)), t)) / leg
    bob, to_left = about(shoulders), about(sway) if np.isfinite(sway).all() else sway
    angle = np.arange(BINS) * (2 * np.pi / BINS)
    size = (relative / 0.5)[:, None]

    def fits(seen, wave, sigma):
        return np.nan_to_num(-0.5 * ((seen[:, None] - size * wave) / sigma) ** 2)

    evidence = fits(bob, BOB * np.cos(2 * angle + BOB_PHASE), BOB_SIGMA)
    evidence = evidence + np.nan_to_num(-0.5 * ((to_left[:, None] - SWAY * np.cos(angle + SWAY_PHASE)) / SWAY_SIGMA) ** 2)
    evidence = evidence + fits(wrists / leg, ARMS * np.cos(angle), ARMS_SIGMA) + fits(thighs, THIGHS * np.cos(angle), THIGHS_SIGMA)
    evidence *= share[:, None] * min(1.0, 1 / (REPEATS_S * fps))
    found = [_path(evidence, rate * cadence / fps * BINS) for rate in RATES]
    best = int(np.argmax([value - 0.5 * ((rate - 1) / RATE_SIGMA) ** 2 * max(1.0, t[-1]) for rate, (_, value) in zip(RATES, found)]))
    phase = gaussian_filter1d(found[best][0] * (2 * np.pi / BINS), 0.08 * fps, mode="nearest")
    own = np.stack([phase, phase + np.pi], -1)
    sines = harmonics(own, np.repeat(relative[:, None], 2, 1)) @ asset["legs"]
    degrees = np.rad2deg(own) % 360
    stands = np.stack([(first < degrees) & (degrees < last) for first, last in (HEEL, TOE)], -1)  # (T, leg, heel and toe)
    return Walk(share, sines, stands.reshape(len(t), 4).astype(float))


def _path(evidence, step):
    """The best way through bins (T, BINS) that goes on by about step (T,) bins a frame: unwrapped bins (T,), and its value. Viterbi."""
    T = len(evidence)
    value, came, way = evidence[0].copy(), np.zeros((T, BINS), int), np.zeros(T)
    exact = np.cumsum(np.r_[0, step[1:]])
    whole = np.diff(np.round(exact), prepend=0).astype(int)
    for t in range(1, T):
        options = np.stack([np.roll(value, whole[t] + jump) - 0.5 * jump**2 for jump in (-1, 0, 1)])
        pick = options.argmax(0)
        came[t] = whole[t] + pick - 1
        value = np.take_along_axis(options, pick[None], 0)[0] + evidence[t]
    bin_, best = int(value.argmax()), float(value.max())
    way[-1] = bin_
    for t in range(T - 1, 0, -1):
        way[t - 1] = way[t] - came[t, int(way[t]) % BINS]
    return way, best
