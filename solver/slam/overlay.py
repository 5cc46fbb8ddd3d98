"""What is painted on the screen and is no background: titles, time code, logos, the edges of bars.

It stands still to a fraction of a pixel while most of the picture moves, and borders on what moves. The middle of a straight dolly stands
still too, but there speed falls to nothing by and by.
"""

from __future__ import annotations

import cv2
import numpy as np
from scipy.spatial import cKDTree

from ..bundle.cameras import Observations

LIFE = 8  # frames in which a point is seen before its stillness means anything
STILL = 0.8  # px, and at 640 px width: what a still point's track spans at most; more where the tracker strays more
AMID = 6.0  # what is painted is left behind by the picture by so many times that
MOST = 0.6  # of the screen must move
CELLS = (16, 9)
REACH = 20  # px at 640 px width: letters whose points stand so near to each other are one text
BORDER = 8  # tracks next to it that are asked
STRIP = 0.1  # of the screen, on either side of a seam
SPLIT, OVER = 0.8, 0.01  # of the frames in which the sides part (splits 0.92 and more, film 0.67 and less); of the steps that may cross
PARTS = 8.0  # a step across the seam differs so many times more than one along it
WHOLE = 0.5  # of the screen's length, along which tracks on both sides show the seam: the edge of somebody's hair is shorter


def painted(obs: Observations, size, noise: float) -> np.ndarray:
    """Which points are painted on the screen, (N,) bool.

    obs:    tracks, px of pictures of `size` (width, height).
    noise:  px by which one step of a track strays.
    """
    points = int(obs.point.max(initial=-1)) + 1
    life = np.bincount(obs.point, minlength=points)
    low, high = np.full((points, 2), np.inf), np.full((points, 2), -np.inf)
    np.minimum.at(low, obs.point, obs.xy)
    np.maximum.at(high, obs.point, obs.xy)
    span = np.linalg.norm(high - low, axis=1)
    first, last = np.full(points, np.iinfo(int).max), np.full(points, -1)
    np.minimum.at(first, obs.point, obs.frame)
    np.maximum.at(last, obs.point, obs.frame)
    limit = max(STILL, STILL * size[0] / 640, 4 * noise)
    long = life >= LIFE
    still = long & (span < limit)
    if not still.any():
        return still
    travel = _travel(obs, still, noise)
    passed = np.zeros(points)
    passed[long] = travel[last[long]] - travel[first[long]]
    still &= passed > AMID * limit
    movers = np.flatnonzero(long & (span > 2 * limit))
    if not still.any() or len(movers) < BORDER:
        return np.zeros(points, bool)
    with np.errstate(invalid="ignore"):  # points without observations
        middle = (low + high) / 2
    cell = _cells(middle[long], size)
    all_of, moving = np.bincount(cell), np.bincount(cell, span[long] > 2 * limit)
    if np.mean(moving[all_of > 0] > all_of[all_of > 0] / 2) < MOST:
        return np.zeros(points, bool)
    # The nearest that move, at their speed a frame, for as long as the still one was there.
    speed = span[movers] / np.maximum(last[movers] - first[movers], 1)
    _, near = cKDTree(middle[movers]).query(middle[still], BORDER)
    still[still] = np.median(speed[near], axis=1) * (last - first)[still] > AMID * limit
    return still


def area(obs: Observations, which, size) -> np.ndarray:
    """(H, W) bool: the part of the screen about some points, (N,) bool, gaps between letters closed."""
    out = np.zeros(size[::-1], np.uint8)
    at = np.clip(obs.xy[which[obs.point]].astype(int), 0, np.array(size) - 1)
    out[at[:, 1], at[:, 0]] = 1
    reach = max(2, round(REACH * size[0] / 640))
    disc = [cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * r + 1,) * 2) for r in (reach, reach // 2)]
    return cv2.erode(cv2.dilate(out, disc[0]), disc[1]) > 0


def _travel(obs, still, noise):
    """(T,) px by which the picture has moved up to each frame: the median way of the tracks that do not stand still."""
    frames = int(obs.frame.max()) + 1
    order = np.lexsort((obs.frame, obs.point))
    frame, point, xy = obs.frame[order], obs.point[order], obs.xy[order]
    step = (np.diff(point) == 0) & ~still[point[1:]]
    way, at = np.linalg.norm(np.diff(xy, axis=0), axis=1)[step], frame[1:][step]
    order = np.argsort(at, kind="stable")
    out = np.zeros(frames)
    for part in np.split(order, np.flatnonzero(np.diff(at[order])) + 1):
        if len(part):
            out[at[part[0]]] = max(np.median(way[part]) - 2 * noise, 0)
    return np.cumsum(out)


def _cells(xy, size):
    """The cell of the screen in which each point lies."""
    cell = np.clip(xy / np.asarray(size) * CELLS, 0, np.array(CELLS) - 1).astype(int)
    return cell[:, 1] * CELLS[0] + cell[:, 0]


def seam(obs: Observations, size) -> tuple[str, float] | None:
    """Where the screen is split in two pictures that move each in its own way: ("x" or "y", px), or None.

    On the two sides of a seam the picture moves differently in most frames, each side by itself alike, no track passes over it, and it is as long as
    the screen.
    """
    order = np.lexsort((obs.frame, obs.point))
    frame, point, xy = obs.frame[order], obs.point[order], obs.xy[order]
    step = np.flatnonzero((np.diff(point) == 0) & (np.diff(frame) == 1))
    before, after, when = xy[step], xy[step + 1], frame[step + 1]
    best = None
    for axis in (0, 1):
        for at in np.arange(0.15, 0.86, 1 / 48) * size[axis]:
            off = before[:, axis] - at
            near = np.abs(off) < STRIP * size[axis]
            over = (off < 0) != (after[:, axis] < at)
            if near.sum() < 50 or over[near].mean() > OVER:
                continue
            along = [np.ptp(np.quantile(before[near & side, 1 - axis], [0.05, 0.95])) if (near & side).any() else 0.0 for side in (off < 0, off >= 0)]
            if min(along) < WHOLE * size[1 - axis]:
                continue
            apart = _apart(before[near], after[near] - before[near], off[near] < 0, when[near], 2 * STRIP * size[axis], size[0] / 640)
            if apart is not None and apart > SPLIT and (best is None or apart > best[0]):
                best = apart, "xy"[axis], float(at)
    return best[1:] if best else None


def _apart(at, way, left, when, reach, unit):
    """Share of the frames in which steps (n, 2) px on the left differ clearly from those that begin (n, 2) px beside them on the right;
    None where few can tell."""
    told = []
    for f in np.unique(when):
        sides = [np.flatnonzero((when == f) & side) for side in (left, ~left)]
        if min(map(len, sides)) < BORDER:
            continue
        trees = [cKDTree(at[side]) for side in sides]
        far, across = trees[1].query(at[sides[0]])
        close = far < reach
        if close.sum() < BORDER:
            continue
        _, own = trees[0].query(at[sides[0]], 2)
        over, along = (np.linalg.norm(way[sides[0]] - other, axis=1)[close] for other in (way[sides[1]][across], way[sides[0]][own[:, 1]]))
        told.append(np.median(over) > max(unit, PARTS * np.median(along)))
    return float(np.mean(told)) if len(told) >= LIFE else None
