"""What belongs to a person though no mask has it: a leg that is a blur, a skirt, a bag, a shadow that no light explains, or all of them in a frame in which they were lost.

Once the camera is known the background is: what other frames, from which the person is away, do not show in its place, and what hangs on the
person's mask, is theirs.
"""

from __future__ import annotations

from types import SimpleNamespace

import cv2
import numpy as np

from .erase import Shadows, nearest_owner
from .missed import SCRAP
from .register import Registration, scaled, scaled_slam
from .shade import shaded
from .sources import Patch, Source, Target, choose_sources
from .window import Window, grow_mask, regions

REACH = 0.35  # of a person's size in the picture: how far from the mask something may still be theirs
LEAST_REACH_PX = 8
LINES = 240  # of the pictures that are compared
SOURCES = 5  # frames that are asked, and how many must know a pixel
KNOW = 2
GROUND_SOURCES, GROUND_PX = 3, 50  # frames that are asked about a shadow, where so many pixels are not known yet
SHIFT_PX = 2  # by which registration may be off
LEVELS = 20.0  # grey levels beyond the grain by which something differs from the background
BORNE_OUT = 0.3  # of the foretold shadows that other frames can tell of: if less is darker, the light is not as it was thought
SPECK = 0.004  # of a person's area: less is noise
LEAST_PIECE_PX = 25
NOBODY = 255  # whose a place is at which somebody is, where it is not known who


def around(people: np.ndarray, shadows: np.ndarray | None = None, reach: float = REACH) -> np.ndarray:
    """Person indices (H, W) uint8 grown by `reach` of their size, and their shadows, where they are known, a little."""
    out = people if shadows is None else np.where(people == 0, nearest_owner(shadows, LEAST_REACH_PX), people)
    for person in np.unique(people[people > 0]):
        ys, xs = np.nonzero(people == person)
        size = max(np.ptp(ys), np.ptp(xs)) + 1
        grown = nearest_owner(np.where(people == person, person, 0).astype(np.uint8), max(LEAST_REACH_PX, reach * size))
        out = np.where(out == 0, grown, out)
    return out


def extended(shot, frames, masks, shadows, verdict, camera, slam, tick=lambda index: None, missed=None):
    """The masks and the shadows with what they left out, two functions, index -> person indices (H, W) uint8; and whether other frames bear
    the shadows out, on the ground and on walls; and the frames in which somebody whom no mask has may still show.

    shot: its frames, width and height. frames: read(i) gives RGB uint8. masks, shadows: index -> person indices; shadows may be None, and are left where they prove wrong.
    verdict, camera, slam: as of `Registration`. tick(i) is called before each frame. missed: {i: [Somebody]}, places of people whom no mask has there.
    """
    missed = missed or {}
    height = min(shot.height, LINES)
    width = round(shot.width * height / shot.height)
    x, y = width / shot.width, height / shot.height
    small = lambda picture: cv2.resize(picture, (width, height), interpolation=cv2.INTER_NEAREST)
    read = lambda index: cv2.resize(frames.read(index), (width, height), interpolation=cv2.INTER_AREA)
    people = lambda index: small(masks(index))
    whose = lambda index: small(_whose(missed.get(index, ()), (shot.height, shot.width)))

    def wide(index):
        about = around(people(index), small(shadows(index)) if shadows is not None else None)
        return np.where(about == 0, whose(index), about) if index in missed else about

    window = Window(SimpleNamespace(read=read), wide, shot.frames, width, height)
    registration = Registration(window, verdict, scaled(camera, x, y), scaled_slam(slam, x, y))
    found, lost, dark, doubted, borne_out = {}, {}, {}, [], np.zeros((2, 2), int)
    for index in range(shot.frames):
        tick(index)
        window.move_to(index)
        here, theirs = people(index), whose(index)
        clean = np.zeros(here.shape, bool)
        strange, shade = np.zeros(here.shape, bool), np.zeros(here.shape, bool)
        foretold = small(shadows(index)) > 0 if shadows is not None else None
        upright = small(shadows.on_walls(index)) > 0 if isinstance(shadows, Shadows) else None
        for box, part in regions(window.hole(index)):
            x0, y0, x1, y1 = box
            at = np.s_[y0:y1, x0:x1]
            told = Comparison(window, registration, index, box, part[at])
            strange[at] |= _strange(told, choose_sources(window, registration, index, box, part[at]), part[at], here[at] > 0, theirs[at] > 0)
            clean[at] |= (told.known >= KNOW) & (told.least <= LEVELS + 3 * told.noise)
            if foretold is not None:  # the ground about a shadow may be known by other frames than what is about the person
                asked = {source.index for source, _ in told.found}
                about = grow_mask(foretold[at], LEAST_REACH_PX) & (here[at] == 0) & (told.known < KNOW)
                for source in choose_sources(window, registration, index, box, about)[:GROUND_SOURCES] if about.sum() > GROUND_PX else ():
                    if source not in asked:
                        told.add(source)
            darker, counts = shaded(told.target, told.patches, here[at] > 0, *(None if part is None else part[at] for part in (foretold, upright)))
            shade[at] |= darker
            borne_out += counts
        if (theirs > 0).any():
            alone = np.where(_solid(strange & (theirs > 0)), theirs, 0)
            alone[alone == NOBODY] = 0  # in the plate they stay whole
            if alone.any():
                lost[index] = alone
            unsure = (theirs > 0) & (here == 0) & (alone == 0) & ~clean
            if unsure.sum() > SCRAP * (theirs > 0).sum():
                doubted.append(index)
        added = _hanging(strange & (theirs == 0), here > 0)
        if added.any():
            found[index] = added
        if shade.any():
            dark[index] = shade

    def owned(where, index):
        """Whose what was found at `index` is (H, W) uint8."""
        people = masks(index)
        if index not in where:
            return np.zeros_like(people)
        large = cv2.resize(where[index].astype(np.float32), (shot.width, shot.height), interpolation=cv2.INTER_LINEAR) > 0.5
        return np.where(large, nearest_owner(people, float(np.hypot(*people.shape))), 0)

    def over(first, second):
        return np.where(first > 0, first, second)

    def whole(index):
        own = masks(index)
        if index in lost:
            own = over(own, cv2.resize(lost[index], (shot.width, shot.height), interpolation=cv2.INTER_NEAREST))
        return over(own, owned(found, index))

    right, right_on_walls = borne_out[:, 1] >= BORNE_OUT * borne_out[:, 0]
    if not right:
        shadows = None
    elif not right_on_walls:
        shadows = shadows.without_walls()
    if not dark:
        return whole, shadows, right, right_on_walls, doubted
    return whole, lambda index: owned(dark, index) if shadows is None else over(shadows(index), owned(dark, index)), right, right_on_walls, doubted


class Comparison:
    """How far a frame is from the background that other frames show, over one box."""

    def __init__(self, window, registration, index, box, inner):
        self._window, self._registration, self._index = window, registration, index
        self.target = Target(window.rgb(index), window.hole(index), box)
        self.least = np.full(inner.shape, 255, np.float32)  # grey levels of the least different one, within SHIFT_PX
        self.known = np.zeros(inner.shape, int)  # how many show each pixel
        self.noise = 0.0  # grain of the noisiest
        self.found: list[tuple[Source, Patch]] = []

    @property
    def patches(self) -> list[Patch]:
        return [patch for _, patch in self.found]

    def add(self, index) -> None:
        """Compare with one more frame."""
        source = Source(index, self._window.rgb(index), self._window.hole(index))
        bend = self._registration.pairs(self._index, index, self.target.box) if self._registration.verdict != "static" else None
        patch = self.target.align(source, self._registration.homography(self._index, index, self.target.box), bend)
        if patch is not None:
            self.found.append((source, patch))
            self._compare(patch, np.s_[:, :])
            self.known += patch.valid
            self.noise = max(self.noise, patch.noise)

    def over_planes(self, where) -> None:
        """Compare once more with each, over the planes of solved points, about where (h, w) bool."""
        planes, standing = self._registration.planes(self._index, self.target.box)
        ys, xs = np.flatnonzero(where.any(1)), np.flatnonzero(where.any(0))
        at = tuple(slice(max(v[0] - SHIFT_PX, 0), v[-1] + SHIFT_PX + 1) for v in (ys, xs))
        for plane in (*planes, *(plane for plane, _ in standing)):
            for source, patch in self.found:
                over = self.target.over(source, self._registration.over_plane(self._index, source.index, plane), patch.exposure, at)
                self._compare(over, at)

    def _compare(self, patch, at):
        size = np.ones((2 * SHIFT_PX + 1, 2 * SHIFT_PX + 1), np.uint8)
        picture = self.target.picture[at]
        off = np.maximum(cv2.subtract(cv2.erode(patch.rgb, size), picture), cv2.subtract(picture, cv2.dilate(patch.rgb, size))).max(-1)
        np.copyto(self.least[at], np.minimum(self.least[at], off), where=patch.valid)


def _whose(places, shape) -> np.ndarray:
    """Person indices (H, W) uint8 of places at which somebody is; NOBODY where it is not known who."""
    out = np.zeros(shape, np.uint8)
    for somebody in places:
        out[somebody.mask(shape) & (out == 0)] = somebody.person or NOBODY
    return out


def _strange(told, sources, inner, here, theirs) -> np.ndarray:
    """Where the background is known and the frame shows something else (h, w) bool. told: a fresh Comparison. here: (h, w) bool, people; theirs:
    places of those whom no mask has."""
    strange = lambda count: inner & ~here & (told.known >= count) & (told.least > LEVELS + 3 * told.noise)
    for number, source in enumerate(sources[:SOURCES], 1):
        told.add(source)
        if number > KNOW and not _hanging(strange(1), here).any() and not _solid(strange(1) & theirs).any():  # no question is left
            return np.zeros(inner.shape, bool)
    question = strange(KNOW)
    if question.any():  # what bends no single plane explains: asked only where there is a question
        told.over_planes(question)
    return strange(KNOW)


def _solid(strange) -> np.ndarray:
    """The pieces of `strange` that are no specks beside the rest of it (H, W) bool."""
    solid = cv2.morphologyEx(strange.astype(np.uint8), cv2.MORPH_OPEN, np.ones((3, 3), np.uint8))
    solid = cv2.morphologyEx(solid, cv2.MORPH_CLOSE, np.ones((5, 5), np.uint8))
    _, labels, stats, _ = cv2.connectedComponentsWithStats(solid, connectivity=8)
    keep = stats[:, cv2.CC_STAT_AREA] > max(LEAST_PIECE_PX, 0.05 * solid.sum())
    keep[0] = False
    return keep[labels]


def _hanging(strange, people) -> np.ndarray:
    """The pieces of `strange` that touch a person's mask and are no specks (H, W) bool."""
    solid = cv2.morphologyEx(strange.astype(np.uint8), cv2.MORPH_OPEN, np.ones((3, 3), np.uint8))
    solid = cv2.morphologyEx(solid | people, cv2.MORPH_CLOSE, np.ones((5, 5), np.uint8)) & ~people
    _, labels, stats, _ = cv2.connectedComponentsWithStats(solid.astype(np.uint8), connectivity=8)
    touched = np.unique(labels[grow_mask(people, 2) & (solid > 0)])
    least = SPECK * people.sum()
    return np.isin(labels, [k for k in touched if k > 0 and stats[k, cv2.CC_STAT_AREA] > least])
