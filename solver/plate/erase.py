"""What of a frame belongs to whom: each person as the masks have them, grown, with what the masks left out, and their cast shadow."""

from __future__ import annotations

import functools
import zlib

import cv2
import numpy as np

from ..raster import instance_mask
from .light import Light
from .walls import seen

SHADOW_GROW = 0.8  # shadows grow by this part of what people grow by, for their soft edges


class Erase:
    """What is erased of each frame, and whose it is."""

    def __init__(self, masks, grow_px: int, shadows=None, on_walls=None):
        """masks, shadows: index to person indices (H, W) uint8; shadows None where none are known. on_walls: those of them on walls, or None."""
        self._masks, self._shadows, self.grow = masks, shadows, grow_px
        self._on_walls = on_walls

    def owners(self, index) -> np.ndarray:
        """Person indices (H, W) uint8 of the holes, 0 where nothing is erased."""
        people = self._masks(index)
        owners = nearest_owner(people, self.grow)
        if self._shadows is not None:
            shade = nearest_owner(self._shadows(index), max(2, round(SHADOW_GROW * self.grow)))
            owners = np.where(owners > 0, owners, shade)
        return owners

    def only_darker(self, index):
        """Where a shadow, and no person, hides the picture (H, W) bool, and how deep in it each pixel is (H, W) 0..1. None without shadows."""
        if self._shadows is None:
            return None
        shadow = (self._shadows(index) > 0).astype(np.float32)
        soft = cv2.GaussianBlur(shadow, (0, 0), max(1.0, 0.5 * SHADOW_GROW * self.grow))
        where = nearest_owner(self._masks(index), self.grow) == 0
        if self._on_walls is not None:  # how much light is left was measured on the ground
            where &= self._on_walls(index) == 0
        return where, soft


def nearest_owner(people: np.ndarray, radius: float) -> np.ndarray:
    """Person indices (H, W) uint8 grown by `radius` px; where two meet, each pixel goes to the nearer one."""
    out, best = people.copy(), np.full(people.shape, radius, np.float32)
    for person in np.unique(people[people > 0]):
        distance = cv2.distanceTransform((people != person).astype(np.uint8), cv2.DIST_L2, 5)
        nearer = (people == 0) & (distance <= best)
        out[nearer], best[nearer] = person, distance[nearer]
    return out


class Shadows:
    """Whose shadow lies where, on the ground and on walls: index -> (H, W) uint8."""

    def __init__(self, light: Light, bodies, camera, width: int, height: int, walls=()):
        """bodies(i): vertices (list of (V, 3) m), their ids, and faces (F, 3). camera: Camera in the world. walls: of `walls.find`."""
        self._light, self._bodies, self._camera, self._size, self._walls = light, bodies, camera, (width, height), walls
        self._packed = functools.cache(self._drawn)

    def __call__(self, index) -> np.ndarray:
        return self._unpacked(index)[0]

    def on_walls(self, index) -> np.ndarray:
        """Those on walls alone."""
        return self._unpacked(index)[1]

    def without_walls(self) -> Shadows:
        return Shadows(self._light, self._bodies, self._camera, *self._size)

    def _unpacked(self, index):
        return np.frombuffer(zlib.decompress(self._packed(index)), np.uint8).reshape(2, *self._size[::-1])

    def _drawn(self, index) -> bytes:
        vertices, ids, faces = self._bodies(index)
        shift = np.asarray(self._light.shift)
        T, K = self._camera.T_world_from_cam[index], self._camera.K[index]
        out = np.zeros((2, *self._size[::-1]), np.uint8)

        def drawn(people):
            return instance_mask(people, faces, ids, T, K, *self._size)

        flat = []
        for v in vertices:
            on_ground = v.copy()
            on_ground[:, :2] += np.maximum(v[:, 2:], 0) * shift
            on_ground[:, 2] = 0
            flat.append(on_ground)
        out[0] = drawn(flat)
        which = seen(self._walls, T, K, *self._size)
        for number, wall in enumerate(self._walls, 1):
            where = which == number
            if where.any():  # what stands there hides the ground, and its shadows
                fallen = [wall.project(v, shift) for v in vertices]
                out[1][where] = drawn([np.where(np.isfinite(v), v, T[:3, 3]) for v in fallen])[where]  # nothing is seen at the camera's own place
                out[0][where] = out[1][where]
        return zlib.compress(out.tobytes(), 1)
