"""What of a frame belongs to whom: each person as the masks have them, grown, with what the masks left out, and their cast shadow."""

from __future__ import annotations

import functools
import zlib

import cv2
import numpy as np

from ..raster import instance_mask
from .light import Light

SHADOW_GROW = 0.8  # shadows grow by this part of what people grow by, for their soft edges


class Erase:
    """What is erased of each frame, and whose it is."""

    def __init__(self, masks, grow_px: int, shadows=None):
        """masks, shadows: index to person indices (H, W) uint8; shadows None where none are known."""
        self._masks, self._shadows, self.grow = masks, shadows, grow_px

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
        return nearest_owner(self._masks(index), self.grow) == 0, soft


def nearest_owner(people: np.ndarray, radius: float) -> np.ndarray:
    """Person indices (H, W) uint8 grown by `radius` px; where two meet, each pixel goes to the nearer one."""
    out, best = people.copy(), np.full(people.shape, radius, np.float32)
    for person in np.unique(people[people > 0]):
        distance = cv2.distanceTransform((people != person).astype(np.uint8), cv2.DIST_L2, 5)
        nearer = (people == 0) & (distance <= best)
        out[nearer], best[nearer] = person, distance[nearer]
    return out


def cast_shadows(light: Light, bodies, camera, width: int, height: int):
    """index -> whose shadow lies on the ground, (H, W) uint8.

    bodies(i): vertices (list of (V, 3) m), their ids, and faces (F, 3). camera: Camera in the world.
    """
    shift = np.asarray(light.shift)

    @functools.cache
    def packed(index):
        vertices, ids, faces = bodies(index)
        flat = []
        for v in vertices:
            on_ground = v.copy()
            on_ground[:, :2] += np.maximum(v[:, 2:], 0) * shift
            on_ground[:, 2] = 0
            flat.append(on_ground)
        return zlib.compress(instance_mask(flat, faces, ids, camera.T_world_from_cam[index], camera.K[index], width, height), 1)

    return lambda index: np.frombuffer(zlib.decompress(packed(index)), np.uint8).reshape(height, width)
