"""Shadows of people where no light foretells them: darker than the same background in other frames, by much the same share in all colours, and
hanging on the person or on a shadow that the light foretells."""

from __future__ import annotations

import cv2
import numpy as np

from .light import linear
from .window import grow_mask

SMOOTH_PX = 5
DARK, SOFT = 0.25, 0.1  # logarithm of the light that is missing in the core of a shadow and at its soft edge
DARKEST = 1.6
GRAIN = 4.0, 2.0  # and how many standard deviations of what differs beside people, core and edge
COLOURED = 0.1, 0.5  # how far colours may differ in what they lack, and what share of it besides
NEAR_PX = 3  # of the person, or of a foretold shadow
LEAST, MOST = 0.01, 1.5  # of the person's area
KNOW = 2  # frames that must know a pixel


def shaded(target, patches, people: np.ndarray, foretold: np.ndarray | None = None, upright: np.ndarray | None = None) -> tuple[np.ndarray, np.ndarray]:
    """Where somebody's shadow lies in a box (h, w) bool; and how many pixels of what was foretold can be told (2, 2): on the ground and on walls, all
    and those that are darker.

    target: Target of the frame. patches: of frames in which the people are well away. people, foretold, upright: (h, w) bool; the last what of `foretold` is on walls.
    """
    none = np.zeros(people.shape, bool), np.zeros((2, 2), int)
    if len(patches) < KNOW or not people.any():
        return none
    here = _light(target.picture)
    missing = np.stack([np.where(p.valid[..., None], _light(p.rgb) - here, np.inf) for p in patches])
    known = np.isfinite(missing[..., 0]).sum(0)
    missing = np.sort(missing, 0)
    # the lower median: shadows of others in the other frames make little less than is missing here, not more
    missing = np.take_along_axis(missing, (np.maximum(known - 1, 0) // 2)[None, ..., None], 0)[0]
    missing[known < KNOW] = 0
    dark, spread = missing.mean(-1), np.ptp(missing, axis=-1)
    beside = (known >= KNOW) & ~target.hole
    if beside.sum() < 200:
        return none
    middle = float(np.median(dark[beside]))
    sigma = 1.48 * float(np.median(np.abs(dark[beside] - middle)))
    dark = dark - middle
    like_shadow = (known >= KNOW) & ~people & (dark < DARKEST) & (spread < COLOURED[0] + COLOURED[1] * dark)
    darker = dark > max(SOFT, GRAIN[1] * sigma)
    soft = like_shadow & darker
    told = np.zeros((2, 2), int)
    if foretold is not None:
        on_walls = np.zeros_like(foretold) if upright is None else upright
        told[:] = [[(part & ~people & (known >= KNOW) & here).sum() for here in (True, darker)] for part in (foretold & ~on_walls, on_walls)]
    core = like_shadow & (dark > max(DARK, GRAIN[0] * sigma))
    soft = cv2.morphologyEx(soft.astype(np.uint8), cv2.MORPH_OPEN, np.ones((3, 3), np.uint8))
    _, labels, stats, _ = cv2.connectedComponentsWithStats(soft, connectivity=8)
    anchor = grow_mask(people if foretold is None else people | foretold, NEAR_PX)
    area = people.sum()
    touched, cores = np.bincount(labels[anchor], minlength=len(stats)), np.bincount(labels[core], minlength=len(stats))
    size = stats[:, cv2.CC_STAT_AREA]
    take = (touched > 0) & (cores > 0.2 * size) & (size > LEAST * area) & (size < MOST * area)
    take[0] = False
    return take[labels], told


def _light(picture) -> np.ndarray:
    """Logarithm of the light about each pixel (h, w, 3)."""
    return np.log(cv2.blur(linear(picture), (SMOOTH_PX, SMOOTH_PX)) + 0.004)
