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
from .sources import Source, Target, choose_sources
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
            strange[y0:y1, x0:x1] |= _strange(window, registration, index, box, part[y0:y1, x0:x1])
        added = _hanging(strange & (here == 0), here)
        if added.any():
            found[index] = added

    def masked(index):
        here = masks(index)
        if index not in found:
            return here
        added = cv2.resize(found[index].astype(np.float32), (shot.width, shot.height), interpolation=cv2.INTER_LINEAR) > 0.5
        return np.where(added & (here == 0), nearest_owner(here, float(np.hypot(*here.shape))), here)

    return masked


def differences(window, registration, index, box, inner, sources):
    """How far a frame is from the background that others show: grey levels (h, w) float32 of the least different one, within SHIFT_PX; how many
    know each pixel (h, w); the grain of the noisiest; and a function that compares with one more, (source, homography, bend) -> Patch or None."""
    target = Target(window.rgb(index), window.hole(index), box)
    least = np.full(inner.shape, 255, np.float32)
    known = np.zeros(inner.shape, int)
    size = np.ones((2 * SHIFT_PX + 1, 2 * SHIFT_PX + 1), np.uint8)
    noise = 0.0

    def compare(source, H, bend):
        patch = target.align(Source(source, window.rgb(source), window.hole(source)), H, bend)
        if patch is not None:
            off = np.maximum(cv2.erode(patch.rgb, size) - target.rgb, target.rgb - cv2.dilate(patch.rgb, size)).max(-1)
            np.copyto(least, np.minimum(least, off), where=patch.valid)
        return patch

    for source in sources:
        bend = registration.pairs(index, source, box) if registration.verdict != "static" else None
        patch = compare(source, registration.homography(index, source, box), bend)
        if patch is not None:
            known += patch.valid
            noise = max(noise, patch.noise)
    return least, known, noise, compare


def _strange(window, registration, index, box, inner) -> np.ndarray:
    """Where the background is known and the frame shows something else (h, w) bool."""
    sources = choose_sources(window, registration, index, box, inner)[:SOURCES]
    least, known, noise, compare = differences(window, registration, index, box, inner, sources)
    strange = inner & (known >= KNOW) & (least > LEVELS + 3 * noise)
    if strange.sum() <= SPECK * inner.sum():
        return strange
    planes, standing = registration.planes(index, box)  # what bends no single plane explains: asked only where there is a question
    for plane in (*planes, *(plane for plane, _ in standing)):
        for source in sources:
            compare(source, registration.over_plane(index, source, plane), None)
    return strange & (least > LEVELS + 3 * noise)


def _hanging(strange, people) -> np.ndarray:
    """The pieces of `strange` that touch a person's mask and are no specks (H, W) bool."""
    solid = cv2.morphologyEx(strange.astype(np.uint8), cv2.MORPH_OPEN, np.ones((3, 3), np.uint8))
    solid = cv2.morphologyEx(solid | (people > 0), cv2.MORPH_CLOSE, np.ones((5, 5), np.uint8)) & (people == 0)
    _, labels, stats, _ = cv2.connectedComponentsWithStats(solid.astype(np.uint8), connectivity=8)
    touched = np.unique(labels[grow_mask(people > 0, 2) & (solid > 0)])
    least = SPECK * (people > 0).sum()
    return np.isin(labels, [k for k in touched if k > 0 and stats[k, cv2.CC_STAT_AREA] > least])
