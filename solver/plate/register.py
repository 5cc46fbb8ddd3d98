"""How the background of one frame maps into another: a homography for the neighbourhood of one hole.

All homographies here take OpenCV pixels (first centre at (0, 0)) of the target frame to those of the source frame.
"""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise

import cv2
import numpy as np

from ..frames import invert, project
from .window import Window

MIN_POINTS = 8
MOST_PLANES = 3
PLANE_MISFIT = 0.02  # a point lies on a plane when its inverse depth does within this part of it
POST = 0.03  # half the width that something which stands before a plane may have, of the picture's
NEIGHBOUR_FRAMES = 15  # a point counts as visible this many frames before its first and after its last observation
_TO_CORNER = np.array([[1, 0, 0.5], [0, 1, 0.5], [0, 0, 1.0]])


class Registration:
    """First guess of the background's motion: from the solved camera where there is one, else chained from frame to frame."""

    def __init__(self, window: Window, verdict: str, camera, slam):
        self._window = window
        self.verdict = verdict
        self._camera = slam.camera if slam is not None else camera
        self._steps = {}
        self._tracks = self._points = None
        if verdict == "full" and slam is not None and len(slam.points_world) >= MIN_POINTS and len(slam.obs_frame):
            self._tracks = _project_tracks(slam, window.count)
            self._points = slam.points_world

    def homography(self, target: int, source: int, box) -> np.ndarray:
        """(3, 3), for the background around box = (x0, y0, x1, y1)."""
        if self.verdict == "static" or target == source:
            return np.eye(3)
        if self.verdict == "rotation" and self._camera is not None:
            return self._from_rotation(target, source)
        if self._tracks is not None:
            H = self._from_points(target, source, box)
            if H is not None:
                return H
        return self.chained(target, source)

    def _from_rotation(self, target, source):
        R, K = self._camera.T_world_from_cam[:, :3, :3], self._camera.K
        H = K[source] @ R[source].T @ R[target] @ np.linalg.inv(K[target])
        return np.linalg.inv(_TO_CORNER) @ H @ _TO_CORNER

    def pairs(self, target: int, source: int, box):
        """Solved static points around the box in both frames, two arrays (N, 2); empty where there are none."""
        if self._tracks is None:
            return np.zeros((0, 2)), np.zeros((0, 2))
        pixels, first, last = self._tracks
        a, b = pixels[:, target] - 0.5, pixels[:, source] - 0.5
        usable = np.isfinite(a).all(1) & np.isfinite(b).all(1)
        usable &= (first - NEIGHBOUR_FRAMES <= target) & (target <= last + NEIGHBOUR_FRAMES)
        x0, y0, x1, y1 = box
        near = usable & (a[:, 0] > x0) & (a[:, 0] < x1) & (a[:, 1] > y0) & (a[:, 1] < y1)
        if near.sum() < 2 * MIN_POINTS:
            near = usable
        every = max(1, int(near.sum()) // 300)
        return a[near][::every], b[near][::every]

    def _from_points(self, target, source, box):
        """The main plane through the solved static points around the hole."""
        a, b = self.pairs(target, source, box)
        if len(a) < MIN_POINTS:
            return None
        every = 1 + len(a) // 150  # it is bent to all of them later
        H, _ = cv2.findHomography(a[::every], b[::every], cv2.RANSAC, 2.0, maxIters=200)
        return H if H is not None and _plausible(H, self._window.width, self._window.height) else None

    def planes(self, target: int, box) -> tuple[list[np.ndarray], list[tuple]]:
        """Planes through the solved points around the hole, the one with most points first, [] without points; and what stands before them.

        Each is n (3,) with 1 / depth = n . (x, y, 1), x and y in OpenCV pixels of the target: any plane is linear in inverse depth. What stands
        before them, posts and trees, are planes that face the camera and the columns (first, last) of their points.
        """
        if self._points is None:
            return [], []
        T = invert(self._camera.T_world_from_cam[target])
        depth = self._points @ T[2, :3] + T[2, 3]
        pixels = self._tracks[0][:, target] - 0.5
        x0, y0, x1, y1 = box
        near = (pixels > (x0, y0)).all(1) & (pixels < (x1, y1)).all(1) & (depth > 0.1)  # NaN compares false
        points = np.concatenate([pixels[near], np.ones((near.sum(), 1))], 1)
        planes = _fit_planes(points, 1 / depth[near])
        return planes, _before(planes, points, 1 / depth[near], POST * self._window.width)

    def over_plane(self, target: int, source: int, plane) -> np.ndarray:
        """(3, 3): how what lies on `plane` (of planes(target, ...)) maps from target to source by the solved camera."""
        T = invert(self._camera.T_world_from_cam[source]) @ self._camera.T_world_from_cam[target]
        K_target, K_source = (np.linalg.inv(_TO_CORNER) @ self._camera.K[i] for i in (target, source))
        return K_source @ (T[:3, :3] @ np.linalg.inv(K_target) + np.outer(T[:3, 3], plane))

    def chained(self, target: int, source: int) -> np.ndarray:
        """Product of frame-to-frame homographies; drifts slowly, needs nothing but the pictures."""
        H = np.eye(3)
        if source >= target:
            for i in range(target, source):
                H = self._step(i) @ H
        else:
            for i in range(source, target):
                H = H @ np.linalg.inv(self._step(i))
        return H / H[2, 2]

    def _step(self, index):
        """Homography of the background from frame index to index + 1."""
        if index not in self._steps:
            ends = [self._window.gray(index), self._window.gray(index + 1)]
            background = ~self._window.hole(index)
            found = track_points(ends[0], ends[1], background, 600)
            H = None
            if len(found[0]) >= MIN_POINTS:
                H, _ = cv2.findHomography(found[0], found[1], cv2.RANSAC, 1.5)
            if H is None or not _plausible(H, self._window.width, self._window.height):
                H = np.eye(3)
            self._steps[index] = H
        return self._steps[index]


def scaled(camera, x, y):
    """A camera whose pixels are x and y times as many."""
    return camera and replace(camera, K=camera.K * np.array([[x, 1, x], [1, y, y], [1, 1, 1]]))


def scaled_slam(slam, x, y):
    """What *slam* found, for pictures whose pixels are x and y times as many."""
    return slam and replace(slam, camera=scaled(slam.camera, x, y), obs_xy=slam.obs_xy * [x, y])


def _fit_planes(points, inverse_depth):
    """RANSAC, again and again on what is left: list of n (3,) with inverse_depth ~ points (N, 3) @ n."""
    rng = np.random.default_rng(0)
    planes, enough = [], max(2 * MIN_POINTS, 0.05 * len(points))
    while len(planes) < MOST_PLANES and len(points) >= enough:
        three = rng.integers(0, len(points), (200, 3))
        three = three[np.abs(np.linalg.det(points[three])) >= 100]  # twice their triangle's area, px^2
        if len(three) == 0:
            break
        n = np.linalg.solve(points[three], inverse_depth[three][..., None])[..., 0]
        on = np.abs(n @ points.T - inverse_depth) < PLANE_MISFIT * inverse_depth
        best = on[np.argmax(on.sum(1))]
        if best.sum() < enough:
            break
        planes.append(np.linalg.lstsq(points[best], inverse_depth[best], rcond=None)[0])
        points, inverse_depth = points[~best], inverse_depth[~best]
    return planes


def _before(planes, points, inverse_depth, reach):
    """Planes (0, 0, w) that face the camera, each through points nearer than all of `planes` that stand over each other, within `reach` px, and
    the columns (first, last) of those; most points first."""
    behind = np.max([points @ n for n in planes], 0) if planes else np.zeros(len(points))
    near = inverse_depth > (1 + 5 * PLANE_MISFIT) * behind
    x, w = points[near, 0], inverse_depth[near]
    found = []
    while len(x) >= MIN_POINTS:
        with_it = (np.abs(w / w[:, None] - 1) < 2 * PLANE_MISFIT) & (np.abs(x - x[:, None]) < reach)
        on = with_it[np.argmax(with_it.sum(1))]
        if on.sum() < MIN_POINTS:
            break
        found.append((np.array([0, 0, np.median(w[on])]), (float(x[on].min()), float(x[on].max()))))
        x, w = x[~on], w[~on]
    return found


def _project_tracks(slam, count):
    """Where every solved point lies in every frame, (N, T, 2) px corner origin, and its first and last observed frame."""
    T_cam_from_world = invert(slam.camera.T_world_from_cam)[:count]
    with np.errstate(invalid="ignore"):
        pixels = np.stack([project(slam.points_world, T, K) for T, K in zip(T_cam_from_world, slam.camera.K)], 1)
    first = np.full(len(slam.points_world), np.iinfo(np.int64).max)
    last = np.full(len(slam.points_world), -NEIGHBOUR_FRAMES - 1)
    np.minimum.at(first, slam.obs_point, slam.obs_frame)
    np.maximum.at(last, slam.obs_point, slam.obs_frame)
    # what was measured is better than what was modelled
    seen = slam.obs_frame < count
    pixels[slam.obs_point[seen], slam.obs_frame[seen]] = slam.obs_xy[seen]
    return pixels.astype(np.float32), first, last


def _plausible(H, width, height):
    """No mirror, no fold, no explosion inside the picture."""
    if not np.isfinite(H).all() or abs(H[2, 2]) < 1e-9:
        return False
    corners = np.array([[0, 0, 1], [width, 0, 1], [0, height, 1], [width, height, 1.0]])
    w = corners @ (H / H[2, 2])[2]
    A = (H / H[2, 2])[:2, :2]
    return bool((w > 0.2).all() and (w < 5).all() and 0.1 < np.linalg.det(A) < 10)


def track_points(gray_a, gray_b, allowed, count):
    """Corners of a that are found in b and back again (KLT). Returns two float32 arrays (N, 2), OpenCV pixels."""
    return follow(gray_a, gray_b, corners(gray_a, allowed, count), None)


def follow(gray_a, gray_b, found, allowed):
    """Corners `found` (N, 1, 2) of a, where `allowed` (H, W), that are found in b and back again (KLT). Returns two float32 arrays (N, 2), OpenCV pixels."""
    if allowed is not None:
        x, y = found[:, 0].astype(int).T
        found = found[allowed[y, x] > 0]
    if len(found) == 0:
        return found[:, 0], found[:, 0]
    window = {"winSize": (17, 17), "maxLevel": 3}
    there, ok, _ = cv2.calcOpticalFlowPyrLK(gray_a, gray_b, found, None, **window)
    back, ok_back, _ = cv2.calcOpticalFlowPyrLK(gray_b, gray_a, there, None, **window)
    good = (ok[:, 0] > 0) & (ok_back[:, 0] > 0) & (np.linalg.norm(back - found, axis=2)[:, 0] < 0.7)
    return found[good, 0], there[good, 0]


def corners(gray, allowed, count):
    """Corners (N, 1, 2) spread over 4 x 4 tiles: a dull floor gets its share beside a bright wall."""
    found = [np.zeros((0, 1, 2), np.float32)]
    height, width = gray.shape
    ys, xs = np.linspace(0, height, 5).astype(int), np.linspace(0, width, 5).astype(int)
    for y0, y1 in pairwise(ys):
        for x0, x1 in pairwise(xs):
            mask = allowed[y0:y1, x0:x1]
            if mask.sum() < 30:
                continue
            some = cv2.goodFeaturesToTrack(gray[y0:y1, x0:x1], count // 16, 0.03, 5, mask=mask.astype(np.uint8))
            if some is not None:
                found.append(some + np.array([x0, y0], np.float32))
    return np.concatenate(found)
