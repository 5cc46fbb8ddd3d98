"""People who are lost for some frames: masks of theirs from before and after are outlines that `outlined` follows.

For the tracks (`outlines`) a mask has to be believed: it counts as far as the nets see somebody in it. For the plate (`remains`) a person who may be there
is no background: all that can be carried on counts, and the room that they usually take.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import cv2
import numpy as np

from ..masks.soft import small_size
from ..records import Tracks
from .outlined import BESIDE_PX, Outline, Walk, box_of, near_others
from .tracker import DETECTED, PROPAGATED

MISSING = 3  # frames in a row without a sighting: shorter gaps are bridged
BEFORE = 24  # sightings before a gap that say how somebody looks who is plainly seen
SCORE, AREA = 0.8, 0.7  # of the median of those: who scores less, or shows less (or as much more), is half hidden or half somebody else already
LATEST = 12  # sightings, of which one has to be plain: later somebody may have gone anywhere
# Of somebody's usual mask: with less of it something of them is hidden, or lost; and with so little all of them is.
WHOLE, GONE = 0.75, 0.2
SHORT = 3  # frames of a whole mask between scraps that are a moment
MEMORY = 24  # frames, as the tracker remembers people


def outlines(tracks: Tracks, drawn, width: int, height: int, told=()) -> list[Outline]:
    """Outlines from which the people of `tracks` can be followed through the gaps that begin or end beside somebody else.

    drawn: index -> person indices (H, W) uint8. width, height: of the shot. told: people of whom the artist said who or where they are; they are left alone.
    """
    size, gaps = small_size(width, height), {}
    small = lambda index: cv2.resize(drawn(index), size, interpolation=cv2.INTER_NEAREST)
    for row, person in enumerate(int(i) for i in tracks.ids):
        seen = np.isin(tracks.source[row], (DETECTED, PROPAGATED))
        if person in told or not seen.any():
            continue
        for gap in _gaps(seen):
            edge = gap.start - gap.step
            frames = [f for f in range(edge, edge - gap.step * BEFORE, -gap.step) if 0 <= f < len(seen) and seen[f]]
            masks = {f: small(f) for f in frames}
            if not near_others(masks[edge], person):
                continue
            area = np.array([(masks[f] == person).sum() for f in frames])
            score = tracks.score[row, frames]
            plain = (score >= SCORE * np.median(score)) & (area >= AREA * np.median(area)) & (area * AREA <= np.median(area)) & (area > 0)
            latest = np.flatnonzero(plain[:LATEST])
            if len(latest):
                gaps.setdefault((person, frames[latest[0]]), []).append(gap)
    return [Outline(person, frame, _polygons(drawn(frame) == person), tuple(found)) for (person, frame), found in gaps.items()]


def _gaps(seen):
    """Ranges of MISSING and more frames without a sighting, each from both sides: away from the sighting beside it."""
    at = np.flatnonzero(seen)
    for a, b in pairwise([-1, *at, len(seen)]):
        if b - a > MISSING:
            if a >= 0:
                yield range(int(a) + 1, int(b))
            if b < len(seen):
                yield range(int(b) - 1, int(a), -1)


def _polygons(mask) -> list[np.ndarray]:
    """Outlines (n, 2) px of a mask (H, W) bool, corner origin."""
    contours, _ = cv2.findContours(mask.astype(np.uint8), cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
    return [contour[:, 0] + 0.5 for contour in contours]


@dataclass
class Lost:
    """Somebody in a frame in which the masks lost them."""

    person: int
    mask: np.ndarray  # (H, W) bool: what could be carried on of them from frames before and after; none of it where they are hidden
    box: np.ndarray  # (4,) px, the room that they usually take there


def remains(shot, frames, tracks: Tracks, masks, report) -> dict[int, list[Lost]]:
    """People in frames in which they were lost: their own masks of the frames before and after, carried on as outlines are.

    masks: index -> person indices (H, W) uint8. A run of frames in which somebody has less than WHOLE of what they mostly have, and somewhere hardly
    anything, is taken for a loss. Who has left the picture soon has nothing left that could be carried on; who is hidden by somebody is believed
    to be where they were for MEMORY frames more.
    """
    sizes = np.zeros((len(tracks.ids), shot.frames))
    for index in range(shot.frames):
        sizes[:, index] = np.bincount(masks(index).ravel(), minlength=256)[tracks.ids]
    found = []
    for person, size in zip((int(i) for i in tracks.ids), sizes):
        for first, last in _losses(size):
            gap = range(first, last)
            for frame, way in ((first - 1, gap), (last, gap[::-1])):
                if 0 <= frame < shot.frames:
                    found.append(Outline(person, frame, _polygons(masks(frame) == person), (way,)))
    if not found:
        return {}
    walk = Walk(shot, frames, tracks, masks, found, report)
    try:
        walk.carry(range(shot.frames))
        walk.carry(range(shot.frames - 1, -1, -1))
        return _rooms(walk)
    finally:
        walk.store.close()


def _losses(size):
    """(first, last + 1) of the runs of frames in which a mask of sizes (T,) is lost."""
    usual = np.percentile(size[size > 0], 75) if (size > 0).any() else 0
    whole = (size >= WHOLE * usual) & (usual > 0)
    for first, last in _runs(whole):
        if 0 < first and last < len(size) and last - first < SHORT:
            whole[first:last] = False
    return [(first, last) for first, last in _runs(~whole) if whole.any() and (size[first:last] < GONE * usual).any()]


def _runs(where):
    """(first, last + 1) of each run of True in (T,) bool."""
    edges = np.flatnonzero(np.diff(np.r_[False, where, False].astype(int)))
    return list(zip(edges[::2].tolist(), edges[1::2].tolist()))


def _rooms(walk) -> dict[int, list[Lost]]:
    """What was carried on of everybody, and their usual room."""
    out, boxes, hidden = {}, {}, {}
    ids, (width, height) = walk.tracks.ids, (walk.shot.width, walk.shot.height)
    for index in sorted({index for row, index in walk.carried if walk.in_gap(row, index)}):
        masks = {row: mask for row, mask in walk.mean(index).items() if walk.in_gap(row, index)}
        drawn = walk.drawn(index)
        owner = cv2.resize(drawn, walk.size, interpolation=cv2.INTER_NEAREST)
        decided = walk.decided(walk.rgb(index), masks, owner)
        for row in masks:
            mine = decided == ids[row]
            if not mine.any():
                continue
            more = cv2.resize((mine & (owner == 0)).astype(np.uint8), drawn.shape[::-1], interpolation=cv2.INTER_NEAREST) > 0
            boxes[row, index] = _room(walk, row, index, box_of(mine) / walk.scale)
            beside = cv2.dilate(mine.astype(np.uint8), np.ones((2 * BESIDE_PX + 1,) * 2)) > 0
            hidden[row, index] = bool((beside & (owner != 0) & (owner != ids[row])).any())
            out.setdefault(index, []).append(Lost(int(ids[row]), more, boxes[row, index]))
    for row, gaps in walk.gaps.items():
        for gap in {(min(gap), max(gap)) for gap in gaps}:
            run = range(gap[0], gap[1] + 1)
            known = [index for index in run if (row, index) in boxes]
            for index in set(run) - set(known) if known else ():
                near = min(known, key=lambda other, index=index: abs(other - index))
                at_border = (boxes[row, near][:2] <= 1).any() or (boxes[row, near][2:] >= [width - 1, height - 1]).any()
                if hidden[row, near] and abs(near - index) <= MEMORY and not at_border:
                    out.setdefault(index, []).append(Lost(int(ids[row]), np.zeros((height, width), bool), boxes[row, near]))
    return out


def _room(walk, row, index, box) -> np.ndarray:
    """A box about what was found of somebody, no smaller than they were in the nearest frame with their whole mask."""
    nearest = min(walk.keys[row], key=lambda frame: abs(frame - index))
    whole = box_of(walk.keys[row][nearest].mask(walk.size, walk.scale) > 0) / walk.scale
    more = np.maximum(0, (whole[2:] - whole[:2]) - (box[2:] - box[:2])) / 2
    return np.concatenate([box[:2] - more, box[2:] + more])
