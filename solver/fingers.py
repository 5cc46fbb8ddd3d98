"""Fingers as angles: from points of a hand to degrees, and back. numpy only.

A hand is 21 points in MediaPipe's order: the wrist, then thumb, index, middle, ring and little finger, four points each from the
palm outwards. Its angles are (5, 4) degrees, a row a finger: three bends from the palm outwards (0 straight, positive closes the hand) and the
spread of the finger's first bone in the plane of the palm (positive towards the thumb). The first bone of the thumb is its metacarpal.

Everything is counted in the palm: x along it, from the wrist to the middle between the knuckles of index and little finger; y across it, towards the
index; z out of it, where the fingers close to. A right hand's palm is a left one's in a mirror, so both have the same numbers.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

NAMES = ("thumb", "index", "middle", "ring", "pinky")
CHAINS = np.arange(1, 21).reshape(5, 4)
WRIST, INDEX, MIDDLE, PINKY = 0, 5, 9, 17
THUMB = 0
# The palm of the default body's makers (MakeHuman's joint cubes, the mean person of tools/build_body.py): where each finger's first bone
# begins, and how long its three bones are, both in lengths of the palm (wrist to the middle between the knuckles of index and little finger).
BASES = np.array([[0.374, 0.279, 0.022], [1.063, 0.339, 0.0], [1.069, 0.066, -0.052], [1.021, -0.14, -0.054], [0.937, -0.339, 0.0]])
LENGTHS = np.array([[0.323, 0.38, 0.294], [0.271, 0.242, 0.283], [0.354, 0.29, 0.283], [0.312, 0.26, 0.28], [0.223, 0.164, 0.208]])


def unit(v):
    return v / np.maximum(np.linalg.norm(v, axis=-1, keepdims=True), 1e-12)


@dataclass
class Palm:
    """The palm's place, axes and length. Any leading shape."""

    wrist: np.ndarray  # (..., 3)
    axes: np.ndarray  # (..., 3, 3): rows along, across, out of the palm
    length: np.ndarray  # (...,)

    @classmethod
    def of(cls, wrist, index, pinky, right) -> Palm:
        """From the wrist and two knuckles (..., 3). right: (...,) bool, whether it is a right hand."""
        way = (index + pinky) / 2 - wrist
        along = unit(way)
        across = index - pinky
        across = unit(across - (across * along).sum(-1, keepdims=True) * along)
        out = np.cross(along, across) * np.where(right, -1.0, 1.0)[..., None]
        return cls(wrist, np.stack([along, across, out], -2), np.linalg.norm(way, axis=-1))

    def to_local(self, directions):
        """Directions (..., N, 3) in the palm's axes."""
        return directions @ np.swapaxes(self.axes, -1, -2)

    def to_world(self, directions):
        return directions @ self.axes


def angles_of(points, right):
    """Angles (..., 5, 4) degrees of hands (..., 21, 3), in any unit and axes. right: (...,) bool."""
    points = np.asarray(points, float)
    palm = Palm.of(points[..., WRIST, :], points[..., INDEX, :], points[..., PINKY, :], np.asarray(right))
    local = palm.to_local(points - points[..., :1, :])
    return np.stack([chain_angles(local[..., chain, :], local[..., PINKY, :] if n == THUMB else None) for n, chain in enumerate(CHAINS)], -2)


def chain_angles(points, pinky=None):
    """Angles (..., 4) of one finger by its four points (..., 4, 3) in the palm. pinky: the little finger's knuckle (..., 3), for a thumb: it bends towards there."""
    bones = unit(np.diff(points, axis=-2))
    first = bones[..., 0, :]
    spread = np.arcsin(np.clip(first[..., 1], -1, 1))
    out = [np.arctan2(first[..., 2], first[..., 0])]
    hinge = hinge_of(first, None if pinky is None else pinky - points[..., 0, :])
    for before, after in ((first, bones[..., 1, :]), (bones[..., 1, :], bones[..., 2, :])):
        hinge = unit(hinge - (hinge * before).sum(-1, keepdims=True) * before)
        out.append(np.arctan2((np.cross(before, after) * hinge).sum(-1), (before * after).sum(-1)))
    return np.rad2deg(np.stack([*out, spread], -1))


def hinge_of(first, towards=None):
    """Axis (..., 3) in the palm about which a finger closes whose first bone points along `first` (..., 3). towards: where a thumb bends to, from its base."""
    if towards is not None:
        return unit(np.cross(first, towards))
    axis = np.broadcast_to([0.0, -1.0, 0.0], first.shape)
    return unit(axis - (axis * first).sum(-1, keepdims=True) * first)


def chain_directions(angles, towards=None):
    """A finger's bones in the palm: directions (..., 3, 3), a row a bone, and the hinge (..., 3) that all of them bend about; of angles (..., 4) degrees.

    towards: as in `hinge_of`.
    """
    bend, spread = np.deg2rad(angles[..., :3]), np.deg2rad(angles[..., 3])
    first = np.stack([np.cos(spread) * np.cos(bend[..., 0]), np.sin(spread), np.cos(spread) * np.sin(bend[..., 0])], -1)
    hinge = hinge_of(first, None if towards is None else np.broadcast_to(towards, first.shape))
    ahead = np.cross(hinge, first)
    turned = [np.cos(a)[..., None] * first + np.sin(a)[..., None] * ahead for a in (bend[..., 1], bend[..., 1] + bend[..., 2])]
    return np.stack([first, *turned], -2), hinge


def chain_turns(rest, angles, towards=None):
    """Turns (..., 3, 3, 3) in the palm, one a bone, that take a finger from its rest, points (4, 3) in the palm, to angles (..., 4) degrees. towards: as in `hinge_of`."""
    bones = unit(np.diff(rest, axis=-2))
    hinge, begun = hinge_of(bones[0], towards), []
    for bone in bones:
        hinge = unit(hinge - (hinge @ bone) * bone)
        begun.append(_frame(bone, hinge))
    ended, hinge = chain_directions(np.asarray(angles, float), towards)
    return _frame(ended, np.broadcast_to(hinge[..., None, :], ended.shape)) @ np.swapaxes(np.stack(begun), -1, -2)


def _frame(first, second):
    """Columns (..., 3, 3): two unit vectors square to each other, and their cross product."""
    return np.stack([first, second, np.cross(first, second)], -1)


def points_of(angles, palm: Palm):
    """Points (..., 21, 3) of a hand of usual build with angles (..., 5, 4) degrees and this palm."""
    out = np.zeros((*angles.shape[:-2], 21, 3))
    for n, chain in enumerate(CHAINS):
        towards = BASES[NAMES.index("pinky")] - BASES[n] if n == THUMB else None
        bones = chain_directions(angles[..., n, :], towards)[0] * LENGTHS[n][:, None]
        out[..., chain[0], :] = BASES[n]
        out[..., chain[1:], :] = BASES[n] + np.cumsum(bones, -2)
    return palm.wrist[..., None, :] + palm.to_world(out * palm.length[..., None, None])
