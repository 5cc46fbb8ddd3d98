"""People near the camera whom the picture's lower edge cuts off, as cinema mostly frames them: what the net that sees the whole picture adds.

BlazePose was made for whole people: of a bust it shows the head, or the half that is lit, and of who is seen from behind little. The other net was made for who sits before
a camera, and is no good for whoever stands further away: trees and posters are somebody to it then. So it is heard about busts alone.
"""

from __future__ import annotations

import cv2
import numpy as np

PLAIN = 0.75  # of what the net says: somebody
TALL = 0.3  # of the picture's height, at least, is who stands at its lower edge
HELD = 0.5  # share of a person's own mask in what the net shows, from which it shows them
REACH = 0.3  # of a person's size: as far beyond their own mask it is heard


def busts(near) -> list[np.ndarray]:
    """What stands on the picture's lower edge, tall enough to be somebody: (h, w) bool each. near: (h, w) uint8, 255 is somebody."""
    count, labels, stats, _ = cv2.connectedComponentsWithStats((near > PLAIN * 255).astype(np.uint8), connectivity=4)
    least = TALL * len(near)
    return [labels == k for k in range(1, count) if stats[k, cv2.CC_STAT_HEIGHT] >= least and (labels[-1] == k).any()]


def completed(mask, near, legless) -> np.ndarray:
    """Person indices (h, w) uint8 with the parts of busts that nobody had: they are the nearest one's whom `near` shows, in sizes of each.

    mask: person indices (h, w) uint8; near: as in `busts`; legless: indices of those of whom no foot is seen.
    """
    out = mask.copy()
    for bust in busts(near):
        nearest = np.full(mask.shape, REACH, np.float32)
        for person in legless:
            mine = mask == person
            size = np.sqrt(mine.sum())
            if (mine & bust).sum() < HELD * max(1, mine.sum()):
                continue
            far = cv2.distanceTransform((~mine).astype(np.uint8), cv2.DIST_L2, 3) / size
            taken = bust & (mask == 0) & (far < nearest)
            out[taken], nearest[taken] = person, far[taken]
    return out
