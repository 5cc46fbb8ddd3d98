"""The frames around the one being filled, decoded once, in order, within a bounded amount of memory."""

from __future__ import annotations

import cv2
import numpy as np

MEMORY_BYTES = 500e6
COARSE = 4  # holes are also kept at a quarter of the size, to look up quickly what a frame sees


class Window:
    """A ring of frames with their holes, and whose those are."""

    def __init__(self, frames, owners, count: int, width: int, height: int, memory_bytes: float = MEMORY_BYTES):
        """owners: index to person indices (H, W) uint8 of what is to be erased."""
        self._frames, self._owners = frames, owners
        self.count, self.width, self.height = count, width, height
        self.slots = int(np.clip(memory_bytes / (width * height * 4), min(count, 9), count))
        self._rgb = np.empty((self.slots, height, width, 3), np.uint8)
        self._owner = np.empty((self.slots, height, width), np.uint8)
        self._coarse = {}
        self._loaded = 0  # frames below this have been read

    def move_to(self, index: int) -> None:
        """Make `index` and as many frames on both sides as fit available."""
        end = min(self.count, max(index + 1, index + self.slots // 2 + 1, self.slots))
        while self._loaded < end:
            i, slot = self._loaded, self._loaded % self.slots
            self._rgb[slot] = self._frames.read(i)
            self._owner[slot] = self._owners(i)
            small = cv2.resize(self._owner[slot], None, fx=1 / COARSE, fy=1 / COARSE, interpolation=cv2.INTER_NEAREST)
            self._coarse[i] = small > 0
            self._coarse.pop(i - self.slots, None)
            self._loaded += 1

    @property
    def available(self) -> range:
        return range(max(0, self._loaded - self.slots), self._loaded)

    def rgb(self, index: int) -> np.ndarray:
        return self._rgb[index % self.slots]

    def hole(self, index: int) -> np.ndarray:
        return self._owner[index % self.slots] > 0

    def owner(self, index: int) -> np.ndarray:
        return self._owner[index % self.slots]

    def gray(self, index: int) -> np.ndarray:
        return cv2.cvtColor(self.rgb(index), cv2.COLOR_RGB2GRAY)

    def coarse_hole(self, index: int) -> np.ndarray:
        return self._coarse[index]


def grow_mask(mask: np.ndarray, radius: int) -> np.ndarray:
    """Every pixel within `radius` of the mask, (H, W) bool."""
    if not mask.any():
        return np.zeros(mask.shape, bool)
    distance = cv2.distanceTransform((~mask).astype(np.uint8), cv2.DIST_L2, 5)
    return distance <= radius
