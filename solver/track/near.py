"""People near the camera whom the picture's lower edge cuts off, as cinema mostly frames them: what the net that sees the whole picture adds.

BlazePose was made for whole people: of a bust it shows the head, or the half that is lit, and of who is seen from behind little. The other net was made for who sits before
a camera, and is no good for whoever stands further away: trees and posters are somebody to it then. So it is heard about busts alone.
"""

from __future__ import annotations

import cv2
import numpy as np

from .keypoints import EDGE
from .outlined import box_of

PLAIN = 0.75  # of what the net says: somebody
TALL = 0.3  # of the picture's height, at least, is who stands at its lower edge
HELD = 0.5  # share of a person's own mask in what the net shows, from which it shows them
REACH = 0.3  # of a person's size: as far beyond their own mask it is heard
NEW = 1 / 3  # share of a bust, at least, that is in no detector's box, if somebody else is there: the shoulders under a face are not
# Of the width of shoulders: how wide the first row is that is theirs; how far their joints lie within the outline (0.06 of the width either side) and below that row (0.05), on eight people in
# rendered shots; arms thinner than LIMB (of the root of the outline's area) are taken away before.
BROAD, INWARDS, BELOW, LIMB = 0.8, 0.055, 0.17, 0.12
FILLED = 0.4  # share of a box, at least, that is somebody


def busts(near) -> list[np.ndarray]:
    """What stands on the picture's lower edge, tall enough to be somebody: (h, w) bool each. near: (h, w) uint8, 255 is somebody."""
    _, labels, stats, _ = cv2.connectedComponentsWithStats((near > PLAIN * 255).astype(np.uint8), connectivity=4)
    least, reached = TALL * len(near), np.unique(labels[int((1 - EDGE) * len(near)) :])
    return [labels == k for k in reached[reached > 0] if stats[k, cv2.CC_STAT_HEIGHT] >= least]


def unclaimed(near, boxes, width, height) -> tuple[np.ndarray, np.ndarray]:
    """Boxes (N, 4) px of who stands at the lower edge and is in none of the detectors' boxes (M, 4), and how sure that is (N,). near: as in `busts`, of the whole picture."""
    scale = np.array([near.shape[1] / width, near.shape[0] / height] * 2)
    free, found, sure = np.ones(near.shape, bool), [], []
    for x0, y0, x1, y1 in np.round(np.reshape(boxes, (-1, 4)) * scale).astype(int):
        y1 = len(near) if y1 >= (1 - EDGE) * len(near) else max(0, y1)  # boxes end a little above the edge that cuts somebody off
        free[max(0, y0) : y1, max(0, x0) : max(0, x1)] = False
    for bust in busts(near):
        for part in busts(np.where(bust & free, near, 0)):
            if part.sum() >= NEW * bust.sum():
                found.append(box_of(part) / scale)
                sure.append(near[part].mean() / 255)
    return np.reshape(found, (-1, 4)), np.array(sure)


def within(near, box, others) -> np.ndarray | None:
    """(h, w) bool of who stands at the lower edge in a box, beside the `others` (h, w) bool; None where that is hardly anybody. near: as in `busts`; box: (4,) px of it."""
    x0, y0, x1, y1 = np.clip(np.round(box).astype(int), 0, [*near.shape[::-1]] * 2)
    inside = np.zeros_like(near)
    inside[y0:y1, x0:x1] = near[y0:y1, x0:x1]
    found = max(busts(np.where(others, 0, inside)), key=np.sum, default=None)
    return None if found is None or found.sum() < FILLED * (x1 - x0) * (y1 - y0) else found


def shoulders(bust) -> np.ndarray:
    """(2, 2) px of the joints of both shoulders, from left to right in the picture, by the outline alone. bust: (h, w) bool, as of `within`."""
    size = int(LIMB * np.sqrt(bust.sum()))
    whole = np.pad(bust.astype(np.uint8), ((0, 4 * size), (0, 0)), mode="edge")  # it goes on below the picture
    whole = cv2.morphologyEx(whole, cv2.MORPH_OPEN, cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * size + 1, 2 * size + 1)))[: len(bust)] > 0
    rows = np.flatnonzero(whole.any(1))
    left, right = whole[rows].argmax(1), whole.shape[1] - whole[rows, ::-1].argmax(1)
    wide = np.percentile(right - left, 80)
    k = np.flatnonzero(right - left >= BROAD * wide)[0]
    y = rows[k] + BELOW * wide
    return np.array([[left[k] + INWARDS * wide, y], [right[k] - INWARDS * wide, y]])


def completed(mask, near, cut) -> np.ndarray:
    """Person indices (h, w) uint8 with the parts of busts that nobody had: they are the nearest one's whom `near` shows, in sizes of each. Who has hardly a mask is what stands in
    their box.

    mask: person indices (h, w) uint8; near: as in `busts`, of the same size; cut: index -> box (4,) px of those of whom no knee is seen; the others' own masks are better.
    """
    mask = mask.copy()
    for person, box in cut.items():
        part = within(near, box, (mask != 0) & (mask != person))
        if part is not None and 2 * (mask == person).sum() < part.sum():
            mask[part] = person
    out = mask.copy()
    for bust in busts(near):
        nearest = np.full(mask.shape, REACH, np.float32)
        for person in cut:
            mine = mask == person
            if (mine & bust).sum() < HELD * max(1, mine.sum()):
                continue
            far = cv2.distanceTransform((~mine).astype(np.uint8), cv2.DIST_L2, 3) / np.sqrt(mine.sum())
            taken = bust & (mask == 0) & (far < nearest)
            out[taken], nearest[taken] = person, far[taken]
    return out
