"""The nets look at some frames of a shot, and those between are bridged: frames without a picture of their own, and in a preview every
second one."""

from __future__ import annotations

import dataclasses
from fractions import Fraction
from itertools import pairwise

import cv2
import numpy as np

from ..records import Tracks
from ..take import read_mask, write_mask
from .masks import BONES
from .tracker import INTERPOLATED

STEP = 2


class Thinned:
    """Some frames of a shot as if they were the shot: those that have a picture of their own, of these every `step`th and the last.
    `indices` (K,): which frames these are."""

    def __init__(self, shot, frames, step=STEP):
        own = np.flatnonzero(shot.fresh)
        self.indices = np.unique([*own[::step], *own[-1:]])
        self.shot = dataclasses.replace(
            shot, frames=len(self.indices), fps=str(Fraction(shot.fps) / step * len(own) / shot.frames),
            **{name: getattr(shot, name)[self.indices] for name in ("time_s", "picture", "fresh", "shown_s")},
        )  # fmt: skip
        self._frames = frames

    def __len__(self):
        return len(self.indices)

    def __iter__(self):
        return (self.read(k) for k in range(len(self)))

    def read(self, index):
        return self._frames.read(int(self.indices[index]))


def bridge(tracks: Tracks, indices, masks_dir, report) -> Tracks:
    """Tracks of the frames `indices` (K,) for the whole shot: who is there before and after is there between, on the straight way.

    Joints are as sure as the less sure of the two. Reads the masks of `indices`, writes those between.
    """
    total = int(indices[-1]) + 1

    def spread(values, empty):
        out = np.full((len(values), total, *values.shape[2:]), empty, values.dtype)
        out[:, indices] = values
        return out

    boxes, score, source = spread(tracks.boxes, np.nan), spread(tracks.score, 0), spread(tracks.source, 0)
    two, three = spread(tracks.keypoints_2d, 0), spread(tracks.keypoints_3d, 0)
    for a, b in pairwise(indices):
        for f in range(a + 1, b):
            there = (source[:, a] > 0) & (source[:, b] > 0)
            share = (f - a) / (b - a)
            boxes[there, f] = (1 - share) * boxes[there, a] + share * boxes[there, b]
            score[there, f], source[there, f] = np.minimum(score[there, a], score[there, b]), INTERPOLATED
            for joints in (two, three):
                joints[there, f] = (1 - share) * joints[there, a] + share * joints[there, b]
                joints[there, f, :, -1] = np.minimum(joints[there, a, :, -1], joints[there, b, :, -1])
            before, after = (read_mask(masks_dir / f"{k:06d}.png") for k in (a, b))
            moves = [_moves(two[p, a], two[p, b], boxes[p, a], boxes[p, b], share) for p in np.flatnonzero(there)]
            write_mask(masks_dir / f"{f:06d}.png", halfway(before, after, tracks.ids[there], moves, share))
            report.progress(f + 1, total, "Masks between")
    return Tracks(tracks.ids, boxes, score, two, three, source, tracks.provenance)


def _moves(before, after, box_before, box_after, share):
    """Where somebody was after this share of the way and how they moved, (n, 2) px each: joints that were seen both times and the middles of bones
    between them, else the box."""
    both = (before[:, 2] > 0) & (after[:, 2] > 0)
    if both.sum() < 3:
        before, after = box_before.reshape(2, 2).mean(0)[None], box_after.reshape(2, 2).mean(0)[None]
    else:
        bones = np.array([bone for bone in BONES if both[list(bone)].all()], int).reshape(-1, 2)
        before, after = (np.concatenate([j[both, :2], j[bones, :2].mean(1)]) for j in (before, after))
    return (1 - share) * before + share * after, after - before


def _field(at, moves, shape, size):
    """Motion (H, W, 2) float32 px of a body from that of some of its places: of those near by, where `size` px is near."""
    small = np.maximum(1, np.array(shape) // 8)
    y, x = ((np.arange(n) + 0.5) * m / n for n, m in zip(small, shape))
    near = (x[None, :, None] - at[:, 0]) ** 2 + (y[:, None, None] - at[:, 1]) ** 2
    weight = 1 / (near + size**2) ** 2
    field = (weight / weight.sum(2, keepdims=True)) @ moves
    return cv2.resize(field.astype(np.float32), shape[::-1], interpolation=cv2.INTER_LINEAR)


def halfway(before, after, ids, moves, share=0.5) -> np.ndarray:
    """Mask (H, W) uint8 between two: the mean of the signed distances from each person's outline, both carried towards each other to
    the place in between. Who is deepest inside owns a pixel.

    moves: for each of `ids`, places (n, 2) px in between and what they moved by, (n, 2) px.
    share: of the way from `before` to `after`.
    """
    out, best = np.zeros_like(before), np.zeros(before.shape, np.float32)
    y, x = np.mgrid[: before.shape[0], : before.shape[1]].astype(np.float32)
    for ident, (at, moved) in zip(ids, moves):
        inside = [(mask == ident).astype(np.uint8) for mask in (before, after)]
        if not all(part.any() for part in inside):
            continue
        field = _field(at, moved, before.shape, 0.05 * max(np.ptp(at, axis=0).max(), 1.0))
        depth = np.zeros(before.shape, np.float32)
        for part, way, weight in zip(inside, (-share, 1 - share), (1 - share, share)):
            # To the outline between two pixels, so that neither side is half a pixel thicker.
            out_of, into = (cv2.distanceTransform(side, cv2.DIST_L2, 5) - 0.5 for side in (1 - part, part))
            signed = np.where(part, into, -out_of)
            depth += weight * cv2.remap(signed, x + way * field[..., 0], y + way * field[..., 1], cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
        mine = depth > best
        out[mine], best[mine] = ident, depth[mine]
    return out
