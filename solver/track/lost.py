"""People whom the nets lost behind somebody: the tracker's own mask of where they were last plainly seen is their outline, and `outlined` follows it."""

from __future__ import annotations

from itertools import pairwise

import cv2
import numpy as np

from ..masks.soft import small_size
from ..records import Tracks
from .outlined import Outline, near_others
from .tracker import DETECTED, PROPAGATED

MISSING = 3  # frames in a row without a sighting: shorter gaps are bridged
BEFORE = 24  # sightings before a gap that say how somebody looks who is plainly seen
SCORE, AREA = 0.8, 0.7  # of the median of those: who scores less, or shows less (or as much more), is half hidden or half somebody else already
LATEST = 12  # sightings, of which one has to be plain: later somebody may have gone anywhere


def outlines(tracks: Tracks, drawn, width: int, height: int, told=()) -> list[Outline]:
    """Outlines from which the people of `tracks` can be followed through the gaps that begin or end beside somebody else.

    drawn: index -> person indices (H, W) uint8. width, height: of the shot. told: people whom the artist outlined; they are left alone.
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
