"""The frames around the one being filled, decoded once, in order, within a bounded amount of memory."""

from __future__ import annotations

import cv2
import numpy as np

MEMORY_BYTES = 500e6
COARSE = 4  # holes are also kept at a quarter of the size, to look up quickly what a frame sees


class Window:
    """A ring of frames with their holes, and whose those are; and the same in a smaller size, in which frames are compared."""

    def __init__(self, frames, owners, count: int, width: int, height: int, memory_bytes: float = MEMORY_BYTES, factor: int = 1, missed=None):
        """owners: index to person indices (H, W) uint8 of what is to be erased. factor: by which the smaller size is smaller.
        missed: index to where somebody is whom no mask has (H, W) bool, or None where nobody is."""
        self._frames, self._owners, self._missed = frames, owners, missed or (lambda index: None)
        self.count, self.width, self.height = count, max(1, round(width / factor)), max(1, round(height / factor))
        self.slots = int(np.clip(memory_bytes / (width * height * 4), min(count, 9), count))
        self._full = np.empty((self.slots, height, width, 3), np.uint8)
        self._owner = np.empty((self.slots, height, width), np.uint8)
        self._rgb = self._full if factor == 1 else np.empty((self.slots, self.height, self.width, 3), np.uint8)
        self._hole = np.empty((self.slots, self.height, self.width), bool)
        self._hidden = np.empty((self.slots, self.height, self.width), bool)
        self._nobody = np.ones(self.slots, bool)
        self.anybody_missed = False  # in the frames read so far
        self._coarse = {}
        self._loaded = 0  # frames below this have been read

    def move_to(self, index: int) -> None:
        """Make `index` and as many frames on both sides as fit available."""
        end = min(self.count, max(index + 1, index + self.slots // 2 + 1, self.slots))
        while self._loaded < end:
            i, slot = self._loaded, self._loaded % self.slots
            self._full[slot] = self._frames.read(i)
            self._owner[slot] = self._owners(i)
            self._rgb[slot] = self.smaller(self._full[slot])
            self._hole[slot] = self.smaller((self._owner[slot] > 0).astype(np.uint8) * 255) > 0
            missed = self._missed(i)
            self._nobody[slot] = missed is None
            self.anybody_missed |= missed is not None
            self._hidden[slot] = self._hole[slot] if missed is None else self._hole[slot] | (self.smaller(missed.astype(np.uint8) * 255) > 0)
            self._coarse[i] = tuple(
                cv2.resize(part.view(np.uint8), None, fx=1 / COARSE, fy=1 / COARSE, interpolation=cv2.INTER_NEAREST) > 0
                for part in (self._hidden[slot], self._hole[slot])
            )
            self._coarse.pop(i - self.slots, None)
            self._loaded += 1

    def smaller(self, picture: np.ndarray) -> np.ndarray:
        """A picture of the film's size in the smaller one."""
        if picture.shape[:2] == (self.height, self.width):
            return picture
        return cv2.resize(picture, (self.width, self.height), interpolation=cv2.INTER_AREA)

    @property
    def available(self) -> range:
        return range(max(0, self._loaded - self.slots), self._loaded)

    def full(self, index: int) -> np.ndarray:
        """RGB uint8 in the film's size."""
        return self._full[index % self.slots]

    def owner(self, index: int) -> np.ndarray:
        """Person indices of what is erased, in the film's size."""
        return self._owner[index % self.slots]

    def rgb(self, index: int) -> np.ndarray:
        return self._rgb[index % self.slots]

    def hole(self, index: int) -> np.ndarray:
        """What is to be erased (H, W) bool, in the smaller size."""
        return self._hole[index % self.slots]

    def hidden(self, index: int) -> np.ndarray:
        """Where a frame shows no background (H, W) bool, in the smaller size: the hole, and who is in no mask."""
        return self._hidden[index % self.slots]

    def missed(self, index: int) -> np.ndarray | None:
        """Who is in no mask (H, W) bool, in the smaller size; None where nobody is."""
        return None if self._nobody[index % self.slots] else self.hidden(index) & ~self.hole(index)

    def gray(self, index: int) -> np.ndarray:
        return cv2.cvtColor(self.rgb(index), cv2.COLOR_RGB2GRAY)

    def coarse(self, index: int, doubtful: bool = False) -> np.ndarray:
        """Where a frame shows no background, at a quarter of the smaller size; doubtful: where somebody is whom no mask has counts as background."""
        return self._coarse[index][doubtful]


def grow_mask(mask: np.ndarray, radius: int) -> np.ndarray:
    """Every pixel within `radius` of the mask, (H, W) bool."""
    if not mask.any():
        return np.zeros(mask.shape, bool)
    distance = cv2.distanceTransform((~mask).astype(np.uint8), cv2.DIST_L2, 5)
    return distance <= radius


def regions(hole):
    """Holes whose surroundings overlap are filled together. Yields (x0, y0, x1, y1), with what tells how to fill them, and the holes (H, W) bool."""
    height, width = hole.shape
    margin = int(max(40, 0.08 * width))
    count, labels, stats, _ = cv2.connectedComponentsWithStats(hole.astype(np.uint8))
    groups = []
    for label in range(1, count):
        x, y, w, h, _ = stats[label]
        pad = max(margin, (w + h) // 8)
        groups.append([max(0, x - pad), max(0, y - pad), min(width, x + w + pad), min(height, y + h + pad), {label}])
    merged = True
    while merged:
        merged = False
        for i in range(len(groups)):
            for j in range(len(groups) - 1, i, -1):
                a, b = groups[i], groups[j]
                if a[0] < b[2] and b[0] < a[2] and a[1] < b[3] and b[1] < a[3]:
                    groups[i] = [min(a[0], b[0]), min(a[1], b[1]), max(a[2], b[2]), max(a[3], b[3]), a[4] | b[4]]
                    del groups[j]
                    merged = True
    for x0, y0, x1, y1, members in groups:
        yield (int(x0), int(y0), int(x1), int(y1)), np.isin(labels, list(members))
