"""What belongs to a person though no mask has it: a leg that is a blur, a skirt, a bag, a shadow that no light explains.

Once the camera is known the background is: what other frames, from which the person is away, do not show in its place, and what hangs on the
person's mask, is theirs.
"""

from __future__ import annotations

from types import SimpleNamespace

import cv2
import numpy as np

from .erase import nearest_owner
from .register import Registration, scaled, scaled_slam
from .sources import Patch, Source, Target, choose_sources
from .window import Window, grow_mask, regions

REACH = 0.35  # of a person's size in the picture: how far from the mask something may still be theirs
LEAST_REACH_PX = 8
LINES = 240  # of the pictures that are compared
SOURCES = 5  # frames that are asked, and how many must know a pixel
KNOW = 2
SHIFT_PX = 2  # by which registration may be off
LEVELS = 20.0  # grey levels beyond the grain by which something differs from the background
SPECK = 0.004  # of a person's area: less is noise


def around(people: np.ndarray, shadows: np.ndarray | None = None, reach: float = REACH) -> np.ndarray:
    """Person indices (H, W) uint8 grown by `reach` of their size, and their shadows, where they are known, a little."""
    out = people if shadows is None else np.where(people == 0, nearest_owner(shadows, LEAST_REACH_PX), people)
    for person in np.unique(people[people > 0]):
        ys, xs = np.nonzero(people == person)
        size = max(np.ptp(ys), np.ptp(xs)) + 1
        grown = nearest_owner(np.where(people == person, person, 0).astype(np.uint8), max(LEAST_REACH_PX, reach * size))
        out = np.where(out == 0, grown, out)
    return out


def extended(shot, frames, masks, shadows, verdict, camera, slam, tick=lambda index: None):
    """The masks with what they left out: index -> person indices (H, W) uint8.

    shot: its frames, width and height. frames: read(i) gives RGB uint8. masks, shadows: index -> person indices; shadows may be None.
    verdict, camera, slam: as of `Registration`. tick(i) is called before each frame.
    """
    height = min(shot.height, LINES)
    width = round(shot.width * height / shot.height)
    x, y = width / shot.width, height / shot.height
    small = lambda picture: cv2.resize(picture, (width, height), interpolation=cv2.INTER_NEAREST)
    read = lambda index: cv2.resize(frames.read(index), (width, height), interpolation=cv2.INTER_AREA)
    people = lambda index: small(masks(index))
    wide = lambda index: around(people(index), small(shadows(index)) if shadows is not None else None)
    window = Window(SimpleNamespace(read=read), wide, shot.frames, width, height)
    registration = Registration(window, verdict, scaled(camera, x, y), scaled_slam(slam, x, y))
    found = {}
    for index in range(shot.frames):
        tick(index)
        window.move_to(index)
        here = people(index)
        strange = np.zeros(here.shape, bool)
        for box, part in regions(window.hole(index)):
            x0, y0, x1, y1 = box
            strange[y0:y1, x0:x1] |= _strange(window, registration, index, box, part[y0:y1, x0:x1], here[y0:y1, x0:x1] > 0)
        added = _hanging(strange, here > 0)
        if added.any():
            found[index] = added

    def masked(index):
        here = masks(index)
        if index not in found:
            return here
        added = cv2.resize(found[index].astype(np.float32), (shot.width, shot.height), interpolation=cv2.INTER_LINEAR) > 0.5
        return np.where(added & (here == 0), nearest_owner(here, float(np.hypot(*here.shape))), here)

    return masked


class Comparison:
    """How far a frame is from the background that other frames show, over one box."""

    def __init__(self, window, registration, index, box, inner):
        self._window, self._registration, self._index = window, registration, index
        self._target = Target(window.rgb(index), window.hole(index), box)
        self.least = np.full(inner.shape, 255, np.float32)  # grey levels of the least different one, within SHIFT_PX
        self.known = np.zeros(inner.shape, int)  # how many show each pixel
        self.noise = 0.0  # grain of the noisiest
        self._found: list[tuple[Source, Patch]] = []

    def add(self, index) -> None:
        """Compare with one more frame."""
        source = Source(index, self._window.rgb(index), self._window.hole(index))
        bend = self._registration.pairs(self._index, index, self._target.box) if self._registration.verdict != "static" else None
        patch = self._target.align(source, self._registration.homography(self._index, index, self._target.box), bend)
        if patch is not None:
            self._found.append((source, patch))
            self._compare(patch, np.s_[:, :])
            self.known += patch.valid
            self.noise = max(self.noise, patch.noise)

    def over_planes(self, where) -> None:
        """Compare once more with each, over the planes of solved points, about where (h, w) bool."""
        planes, standing = self._registration.planes(self._index, self._target.box)
        ys, xs = np.flatnonzero(where.any(1)), np.flatnonzero(where.any(0))
        at = tuple(slice(max(v[0] - SHIFT_PX, 0), v[-1] + SHIFT_PX + 1) for v in (ys, xs))
        for plane in (*planes, *(plane for plane, _ in standing)):
            for source, patch in self._found:
                over = self._target.over(source, self._registration.over_plane(self._index, source.index, plane), patch.exposure, at)
                self._compare(over, at)

    def _compare(self, patch, at):
        size = np.ones((2 * SHIFT_PX + 1, 2 * SHIFT_PX + 1), np.uint8)
        picture = self._target.picture[at]
        off = np.maximum(cv2.subtract(cv2.erode(patch.rgb, size), picture), cv2.subtract(picture, cv2.dilate(patch.rgb, size))).max(-1)
        np.copyto(self.least[at], np.minimum(self.least[at], off), where=patch.valid)


def _strange(window, registration, index, box, inner, here) -> np.ndarray:
    """Where the background is known and the frame shows something else (h, w) bool. here: (h, w) bool, people."""
    told = Comparison(window, registration, index, box, inner)
    strange = lambda count: inner & ~here & (told.known >= count) & (told.least > LEVELS + 3 * told.noise)
    for number, source in enumerate(choose_sources(window, registration, index, box, inner)[:SOURCES], 1):
        told.add(source)
        if number >= KNOW and not _hanging(strange(1), here).any():  # no question is left
            return np.zeros(inner.shape, bool)
    question = strange(KNOW)
    if question.any():  # what bends no single plane explains: asked only where there is a question
        told.over_planes(question)
    return strange(KNOW)


def _hanging(strange, people) -> np.ndarray:
    """The pieces of `strange` that touch a person's mask and are no specks (H, W) bool."""
    solid = cv2.morphologyEx(strange.astype(np.uint8), cv2.MORPH_OPEN, np.ones((3, 3), np.uint8))
    solid = cv2.morphologyEx(solid | people, cv2.MORPH_CLOSE, np.ones((5, 5), np.uint8)) & ~people
    _, labels, stats, _ = cv2.connectedComponentsWithStats(solid.astype(np.uint8), connectivity=8)
    touched = np.unique(labels[grow_mask(people, 2) & (solid > 0)])
    least = SPECK * people.sum()
    return np.isin(labels, [k for k in touched if k > 0 and stats[k, cv2.CC_STAT_AREA] > least])
