"""Walls behind the people: upright planes through the solved points, on which shadows fall as they do on the ground."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from ..frames import invert
from .register import MIN_POINTS, PLANE_MISFIT

MOST = 4
SHARE = 0.05  # of the points that stand upright somewhere, which a wall has at least
CLEAR = 0.5  # of a wall's points there are at most so many just before and behind it together, in twice the room: leaves of a tree are all about
SPREAD_M = 0.5  # a wall's points reach this far across and up at least: fewer may lie on any plane
ABOVE_M = 0.1  # over the ground; what is lower is ground
TRIES = 300
NEAR_M = 0.1  # in front of the camera


@dataclass(frozen=True)
class Wall:
    """A piece of an upright plane, in the world."""

    normal: np.ndarray  # (3,) unit, level, towards the camera
    offset: float  # m; points x of the plane have normal . x = offset
    corners: np.ndarray  # (N, 3) m, around its points and down to the ground

    def hides(self, eyes, points) -> np.ndarray:
        """(N,) bool: points (N, 3) m that eyes (3,) or (N, 3) m would not see if this wall were there, as they are well behind it."""
        rays = points - eyes
        with np.errstate(divide="ignore", invalid="ignore"):
            share = (self.offset - eyes @ self.normal) / (rays @ self.normal)
            met = (eyes + share[:, None] * rays) @ self._axes().T
        behind = (share > 0) & (share < 1 - 3 * PLANE_MISFIT)
        corners = self.corners @ self._axes().T
        edges, out = np.roll(corners, -1, 0) - corners, met[:, None] - corners
        turns = edges[:, 0] * out[..., 1] - edges[:, 1] * out[..., 0]
        return behind & ((turns >= 0).all(1) | (turns <= 0).all(1))

    def _axes(self) -> np.ndarray:
        """(2, 3): across, and up."""
        return np.array([[-self.normal[1], self.normal[0], 0.0], [0.0, 0.0, 1.0]])

    def project(self, points, shift) -> np.ndarray:
        """Where the light carries points (N, 3) m onto the plane, (N, 3) m; NaN for those that are behind it, and where the light goes along it.

        shift: (2,) m on the ground for each metre of height, away from the light.
        """
        away = np.array([*shift, -1.0])
        speed = self.normal @ away
        before = points @ self.normal - self.offset
        if speed > -1e-6:  # the light comes from behind the wall, or along it
            return np.full_like(points, np.nan)
        out = points - (before / speed)[:, None] * away
        out[before < 0] = np.nan
        return out


def find(points, cameras, people=None) -> list[Wall]:
    """The walls of solved points (N, 3) m in the world, those with most points first.

    cameras: (T, 3) m, centres. people: (M, 3) and (M, 3) m, who is seen and the camera's centre then; or None. Nothing is seen through a wall. RANSAC again and again on what is left. A point lies on a wall when its distance from the camera does within PLANE_MISFIT.
    """
    centre = np.median(cameras, 0)
    points = points[points[:, 2] > ABOVE_M]
    rng, found, everything = np.random.default_rng(0), [], points
    enough = max(4 * MIN_POINTS, SHARE * len(points))
    for _ in range(2 * MOST):
        if len(found) == MOST or len(points) < enough:
            break
        pairs = points[rng.integers(0, len(points), (TRIES, 2)), :2]
        along = pairs[:, 1] - pairs[:, 0]
        length = np.linalg.norm(along, axis=1)
        normals = np.stack([along[:, 1], -along[:, 0]], 1)[length > SPREAD_M] / length[length > SPREAD_M, None]
        if not len(normals):
            break
        offsets = (normals * pairs[length > SPREAD_M, 0]).sum(1)
        on = _on(points, centre, normals, offsets)
        best = on[np.argmax(on.sum(1))]
        if best.sum() < enough:
            break
        for _ in range(2):  # fitted to all of its points
            middle = points[best, :2].mean(0)
            normal = np.linalg.svd(points[best, :2] - middle)[2][1]
            best = _on(points, centre, normal[None], np.array([normal @ middle]))[0]
            if best.sum() < enough:
                break
        if not best.any():
            break
        near = _on(everything, centre, normal[None], np.array([normal @ middle]), 3 * PLANE_MISFIT)[0].sum()
        if best.sum() >= enough and near - best.sum() <= CLEAR * best.sum():
            found += [wall for wall in _wall(points[best], normal, float(normal @ middle), centre) if not _seen_through(wall, best.sum(), everything, centre, people)]
        points = points[~best]
    return found


def _seen_through(wall, count, points, centre, people) -> bool:
    """Whether points that a wall of `count` points would hide are half as many, or people whom it would hide are a tenth of those who are seen."""
    return wall.hides(centre, points).sum() > CLEAR * count or (people is not None and len(people[0]) > 0 and wall.hides(people[1], people[0]).mean() > 0.1)


def _on(points, centre, normals, offsets, misfit=PLANE_MISFIT):
    """(M, N) bool: which points lie on which planes, by where the camera's rays to them meet the plane."""
    before = normals @ centre[:2] - offsets
    rays = (points[:, :2] - centre[:2]) @ normals.T  # (N, M)
    with np.errstate(divide="ignore", invalid="ignore"):
        share = -before / rays  # of the ray to the point, at which the plane is met
    return (np.abs(share - 1) < misfit).T


def _wall(points, normal, offset, centre) -> list[Wall]:
    """The piece of a plane around its points, and from there to the ground, or [] where they say too little of it."""
    towards = np.sign(normal @ centre[:2] - offset) or 1.0
    normal, offset = towards * np.array([*normal, 0.0]), towards * offset
    across = np.array([-normal[1], normal[0], 0.0])
    flat = np.stack([points @ across, points[:, 2]], 1)
    low, high = np.percentile(flat, [5, 95], axis=0)
    if (high - low < SPREAD_M).any():
        return []
    inner = flat[((flat >= low) & (flat <= high)).all(1)]
    hull = cv2.convexHull(inner.astype(np.float32))[:, 0].astype(float)
    around = np.concatenate([hull, [[hull[:, 0].min(), 0.0], [hull[:, 0].max(), 0.0]]])
    around = cv2.convexHull(around.astype(np.float32))[:, 0].astype(float)
    return [Wall(normal, offset, normal * offset + around[:, :1] * across + around[:, 1:] * [0, 0, 1.0])]


def seen(walls, T_world_from_cam, K, width: int, height: int) -> np.ndarray:
    """Which wall each pixel of a frame shows (H, W) uint8, from 1; 0: none. Where two lie over each other it is the one whose middle is nearer."""
    out, T = np.zeros((height, width), np.uint8), invert(T_world_from_cam)
    corners = [wall.corners @ T[:3, :3].T + T[:3, 3] for wall in walls]
    for number in sorted(range(len(walls)), key=lambda k: -np.median(corners[k][:, 2])):
        inside = _before_camera(corners[number])
        if len(inside) >= 3:
            pixels = inside @ K.T
            at = np.clip(pixels[:, :2] / pixels[:, 2:] - 0.5, -8 * width, 8 * width)
            cv2.fillPoly(out, [np.round(at * 16).astype(np.int32)], number + 1, shift=4)
    return out


def _before_camera(corners):
    """The part of a polygon (N, 3) m, in the camera's axes, that is not behind the camera."""
    kept = []
    for a, b in zip(corners, np.roll(corners, -1, 0)):
        if a[2] >= NEAR_M:
            kept.append(a)
        if (a[2] >= NEAR_M) != (b[2] >= NEAR_M):
            kept.append(a + (NEAR_M - a[2]) / (b[2] - a[2]) * (b - a))
    return np.array(kept).reshape(-1, 3)
