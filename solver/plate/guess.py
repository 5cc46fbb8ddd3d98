"""Pictures for places that no frame ever shows: smooth light from around, texture copied from the neighbourhood."""

from __future__ import annotations

import cv2
import numpy as np

from .pushpull import push_pull

PATCH = 3  # radius of the compared patches, px
LEVELS_MIN_PX = 24
SMALL_HOLE_PX = 150  # smaller holes need no texture


def complete(rgb: np.ndarray, missing: np.ndarray, allowed: np.ndarray, seed: int = 0) -> np.ndarray:
    """Fill `missing` so that it looks like its surroundings (patch voting over a pyramid, after Wexler et al. 2007 and
    the random search of Barnes et al. 2009).

    rgb:     (H, W, 3) float32, any content where missing.
    missing: (H, W) bool. allowed: (H, W) bool, where texture may be copied from.
    """
    base = push_pull(rgb, (~missing).astype(np.float32))
    allowed = allowed & ~missing
    if missing.sum() < SMALL_HOLE_PX or cv2.erode(allowed.astype(np.uint8), np.ones((2 * PATCH + 1,) * 2)).sum() < 300:
        return base
    rng = np.random.default_rng(seed)
    # the coarsest level makes the hole a dozen pixels wide: structure is decided there
    distance = cv2.distanceTransform(missing.astype(np.uint8), cv2.DIST_L2, 3).max()
    levels = int(np.clip(np.ceil(np.log2(max(distance / 5, 1))), 0, np.log2(min(rgb.shape[:2]) / LEVELS_MIN_PX)))
    field = None
    image = None
    for level in range(levels, -1, -1):
        scale = 0.5**level
        size = (max(1, round(rgb.shape[1] * scale)), max(1, round(rgb.shape[0] * scale)))
        known = cv2.resize((~missing).astype(np.float32), size, interpolation=cv2.INTER_AREA)
        hole = known < 0.999
        free = cv2.resize(allowed.astype(np.float32), size, interpolation=cv2.INTER_AREA) > 0.999
        small = cv2.resize(np.where(missing[..., None], base, rgb), size, interpolation=cv2.INTER_AREA)
        if image is not None:
            small = np.where(hole[..., None], cv2.resize(image, size, interpolation=cv2.INTER_LINEAR), small)
        result = _level(small, hole, free, field, rng, rounds=6 if level else 2)
        if result is None:
            continue
        image, field = result
    return np.where(missing[..., None], image, rgb) if image is not None else base


def _level(image, hole, free, field, rng, rounds):
    """One pyramid level. field: (h', w', 2) float offsets of the level above or None. Returns picture and offsets."""
    height, width = hole.shape
    kernel = np.ones((2 * PATCH + 1, 2 * PATCH + 1), np.uint8)
    centres = cv2.erode(free.astype(np.uint8), kernel, borderValue=0).astype(bool)
    sources = np.argwhere(centres)
    if len(sources) < 50:
        return None
    wide = cv2.dilate(hole.astype(np.uint8), kernel)
    wide[:PATCH], wide[-PATCH:], wide[:, :PATCH], wide[:, -PATCH:] = 0, 0, 0, 0
    targets = np.argwhere(wide > 0)  # every patch that touches the hole
    if len(targets) == 0:
        return image, np.zeros((height, width, 2), np.float32)
    index = np.full((height, width), -1)
    index[targets[:, 0], targets[:, 1]] = np.arange(len(targets))
    if field is None:
        match = sources[rng.integers(len(sources), size=len(targets))]
    else:
        offset = cv2.resize(field, (width, height), interpolation=cv2.INTER_NEAREST) * 2
        match = _legal(targets + np.round(offset[targets[:, 0], targets[:, 1]]).astype(int), centres, sources, rng)
    window = [(dy, dx) for dy in range(-PATCH, PATCH + 1) for dx in range(-PATCH, PATCH + 1)]
    dy, dx = np.array(window).T
    reach0 = max(height, width) / 2
    for _ in range(rounds):
        patches = image[targets[:, :1] + dy, targets[:, 1:] + dx]
        cost = _cost(image, patches, match, dy, dx)
        for step in ((0, 1), (1, 0), (0, -1), (-1, 0)):  # neighbours are probably copied from neighbours
            for jump in (1, 4):
                near = targets + np.array(step) * jump
                near = np.clip(near, 0, [height - 1, width - 1])
                neighbour = index[near[:, 0], near[:, 1]]
                proposal = np.where((neighbour >= 0)[:, None], match[neighbour] - np.array(step) * jump, match)
                match, cost = _better(image, patches, match, cost, proposal, centres, dy, dx)
        reach = reach0
        while reach > 1:
            proposal = match + np.round(rng.uniform(-reach, reach, match.shape)).astype(int)
            match, cost = _better(image, patches, match, cost, proposal, centres, dy, dx)
            reach /= 2.5
        image = _vote(image, hole, targets, match, cost, dy, dx)
    offsets = np.zeros((height, width, 2), np.float32)
    offsets[targets[:, 0], targets[:, 1]] = match - targets
    return image, offsets


def _legal(match, centres, sources, rng):
    height, width = centres.shape
    inside = (match >= 0).all(1) & (match[:, 0] < height) & (match[:, 1] < width)
    safe = np.where(inside[:, None], match, 0)
    good = inside & centres[safe[:, 0], safe[:, 1]]
    return np.where(good[:, None], match, sources[rng.integers(len(sources), size=len(match))])


def _cost(image, patches, match, dy, dx):
    other = image[match[:, :1] + dy, match[:, 1:] + dx]
    return ((patches - other) ** 2).sum((1, 2))


def _better(image, patches, match, cost, proposal, centres, dy, dx):
    height, width = centres.shape
    inside = (proposal >= 0).all(1) & (proposal[:, 0] < height) & (proposal[:, 1] < width)
    safe = np.where(inside[:, None], proposal, match)
    try_ = np.nonzero(centres[safe[:, 0], safe[:, 1]] & (safe != match).any(1))[0]
    if len(try_) == 0:
        return match, cost
    new = _cost(image, patches[try_], safe[try_], dy, dx)
    win = new < cost[try_]
    match, cost = match.copy(), cost.copy()
    match[try_[win]], cost[try_[win]] = safe[try_[win]], new[win]
    return match, cost


def _vote(image, hole, targets, match, cost, dy, dx):
    """Every patch votes for the pixels it covers; well-matched patches count more."""
    scale = np.percentile(cost, 50) + 1e-3
    weight = np.exp(-cost / (2 * scale)) + 1e-4
    total = np.zeros(image.shape, np.float64)
    norm = np.zeros(hole.shape, np.float64)
    flat_total, flat_norm = total.reshape(-1, 3), norm.reshape(-1)
    width = hole.shape[1]
    for y, x in zip(dy, dx):
        place = (targets[:, 0] + y) * width + targets[:, 1] + x  # distinct places: targets are distinct
        flat_total[place] += weight[:, None] * image[match[:, 0] + y, match[:, 1] + x]
        flat_norm[place] += weight
    use = hole & (norm > 0)
    out = image.copy()
    out[use] = (total[use] / norm[use][:, None]).astype(image.dtype)
    return out
