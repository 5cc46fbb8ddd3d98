"""Per-person masks: crops from the back end kept aside, then one picture of person indices per frame."""

from __future__ import annotations

import tempfile
import threading

import cv2
import numpy as np

from .nets import _centred

# Bones between COCO joints, for telling which piece of a mask hangs on whose skeleton.
BONES = (
    (5, 6), (5, 7), (7, 9), (6, 8), (8, 10), (5, 11), (6, 12), (11, 12), (11, 13), (13, 15), (12, 14), (14, 16),
    (0, 5), (0, 6), (0, 1), (0, 2), (1, 3), (2, 4),
)  # fmt: skip


class Store:
    """Crops (256, 256) uint8 in a temporary file, packed: a long shot does not fill the memory. For several threads."""

    def __init__(self, folder=None):
        self._file = tempfile.TemporaryFile(dir=folder)  # noqa: SIM115 - it lives as long as the store
        self._lock = threading.Lock()

    def put(self, crop) -> tuple[int, int]:
        data = cv2.imencode(".png", crop)[1].tobytes()
        with self._lock:
            start = self._file.seek(0, 2)
            self._file.write(data)
        return start, len(data)

    def get(self, key) -> np.ndarray:
        with self._lock:
            self._file.seek(key[0])
            data = self._file.read(key[1])
        return cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_GRAYSCALE)

    def close(self):
        self._file.close()


def place(crop, A, width, height) -> np.ndarray:
    """A crop's mask in the picture: (height, width) uint8 0..255. A (2, 3) from crop to picture, corner origin."""
    return cv2.warpAffine(crop, _centred(A), (width, height), flags=cv2.INTER_LINEAR)


def cut_out(mask, A, size=256) -> np.ndarray:
    """What `place` puts into a picture, cut out of it again: (size, size) uint8. mask: (height, width) uint8; A as there."""
    return cv2.warpAffine(mask, _centred(A), (size, size), flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP)


def skeleton(joints, width, height) -> np.ndarray:
    """(height, width) uint8, 255 on the bones between sure joints and on sure joints."""
    out = np.zeros((height, width), np.uint8)
    sure = joints[:, 2] > 0.25
    points = np.clip(np.nan_to_num(joints[:, :2]), -1e4, 1e4).astype(int)
    for a, b in BONES:
        if sure[a] and sure[b]:
            cv2.line(out, points[a].tolist(), points[b].tolist(), 255, 2)
    for p in points[sure]:
        cv2.circle(out, p.tolist(), 2, 255, -1)
    return out


def clean(mask, bones) -> np.ndarray:
    """Keep the pieces that the skeleton touches (the largest where it touches none), and close pinholes.

    mask: (H, W) bool; bones: (H, W) uint8. Returns bool.
    """
    count, labels, stats, _ = cv2.connectedComponentsWithStats(mask.astype(np.uint8), connectivity=4)
    if count <= 1:
        return mask
    touched = np.unique(labels[(bones > 0) & mask])
    areas = stats[:, cv2.CC_STAT_AREA].copy()
    areas[0] = 0
    # A speck under a stray joint is no limb.
    keep = [k for k in touched if k > 0 and areas[k] > 0.01 * areas.sum()] or [int(areas.argmax())]
    out = np.isin(labels, keep)
    count, labels, stats, _ = cv2.connectedComponentsWithStats((~out).astype(np.uint8), connectivity=4)
    for k in range(1, count):
        if stats[k, cv2.CC_STAT_AREA] < 0.002 * out.sum():
            out[labels == k] = True
    return out


def compose(people, width, height) -> np.ndarray:
    """Person indices (height, width) uint8 of one frame.

    people: list of (id, probability (height, width) uint8, joints (17, 3)). Where two masks overlap, the pixel goes to the
    person whose bones are nearer, measured in body sizes; elsewhere the skeleton has no say.
    """
    out = np.zeros((height, width), np.uint8)
    parts = []
    for ident, probability, joints in people:
        bones = skeleton(joints, width, height)
        parts.append((ident, clean(probability > 127, bones), bones))
    claims = np.zeros((height, width), np.uint8)
    for _, mask, _ in parts:
        claims += mask
    contested = claims > 1
    nearest = np.full((height, width), np.inf, np.float32)
    for ident, mask, bones in parts:
        out[mask & ~contested] = ident
        if contested.any():
            far = cv2.distanceTransform(255 - bones, cv2.DIST_L2, 3) / max(1.0, np.sqrt(mask.sum()))
            mine = mask & contested & (far < nearest)
            out[mine] = ident
            nearest[mine] = far[mine]
    return out
