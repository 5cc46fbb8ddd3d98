"""Shots with a known camera, made out of the small films in tests/data: a camera that stands still can be turned and zoomed afterwards.

Pixels of a camera on the spot move by the homography K_v R K^-1 and nothing else, so these shots are exact, people included.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import av
import cv2
import numpy as np
from scipy.spatial.transform import Rotation

from solver.frames import compose, intrinsics, invert, project

DATA = Path(__file__).parent / "data"
_HALF = np.array([[1, 0, 0.5], [0, 1, 0.5], [0, 0, 1.0]])  # OpenCV counts from the middle of the first pixel, we from its corner


@dataclass
class Film:
    """A film and the truth about it. T frames."""

    pictures: list  # RGB uint8
    T_world_from_cam: np.ndarray  # (T, 4, 4) m
    K: np.ndarray  # (T, 3, 3) px
    joints_world: np.ndarray | None = None  # (T, 24, 3) m
    height_m: float | None = None

    @property
    def size(self):
        """(width, height) px."""
        return self.pictures[0].shape[1::-1]

    @property
    def joints_2d(self):
        """(T, 24, 2) px."""
        return project(self.joints_world, invert(self.T_world_from_cam), self.K)

    def part(self, start, end):
        joints = None if self.joints_world is None else self.joints_world[start:end]
        return Film(self.pictures[start:end], self.T_world_from_cam[start:end], self.K[start:end], joints, self.height_m)


def read(name) -> Film:
    """tests/data/NAME.mp4 and its truth."""
    with av.open(str(DATA / f"{name}.mp4")) as movie:
        pictures = [frame.to_ndarray(format="rgb24") for frame in movie.decode(video=0)]
    with np.load(DATA / f"{name}.npz") as truth:
        n = len(pictures)
        return Film(
            pictures, np.repeat(truth["T_world_from_cam"][None], n, 0), np.repeat(truth["K"][None], n, 0),
            truth["joints_world"][:n].astype(float), float(truth["height_m"]),
        )  # fmt: skip


def plate() -> Film:
    """The street of `wide` without anybody, as a film of one frame."""
    wide = read("wide")
    picture = cv2.cvtColor(cv2.imread(str(DATA / "wide_plate.jpg")), cv2.COLOR_BGR2RGB)
    return Film([picture], wide.T_world_from_cam[:1], wide.K[:1])


def reframed(film: Film, size, focal_px, yaw_deg=0.0, pitch_deg=0.0, frames=None) -> Film:
    """The film as a camera at the same place takes it, turned right by yaw and up by pitch, with another lens.

    size:     (width, height) px of the new pictures. focal_px, yaw_deg, pitch_deg: numbers, or one a frame.
    frames:   how many, where one picture stands for all.
    """
    count = frames or len(film.pictures)
    focal, yaw, pitch = (np.broadcast_to(np.asarray(v, float), count) for v in (focal_px, yaw_deg, pitch_deg))
    at = np.arange(count) % len(film.pictures)
    K = intrinsics(focal, *size)
    # New camera axes in the old ones: right about the vertical first, then up.
    R = Rotation.from_euler("YX", np.stack([yaw, pitch], 1), degrees=True).as_matrix()
    pictures = []
    for t in range(count):
        H = K[t] @ R[t].T @ np.linalg.inv(film.K[at[t]])
        corners = cv2.perspectiveTransform(np.array([[[0.0, 0], [size[0], 0], [0, size[1]], size]]), np.linalg.inv(H))[0]
        if (corners < -0.5).any() or (corners > np.array(film.size) + 0.5).any():
            raise ValueError(f"frame {t} looks beyond the picture it is made from: {corners.round(1).tolist()}")
        shrink = film.K[at[t], 0, 0] / focal[t]
        source = film.pictures[at[t]]
        if shrink > 1.2:  # no finer detail than the new pixels can show
            source = cv2.GaussianBlur(source, (0, 0), 0.4 * shrink)
        H = np.linalg.inv(_HALF) @ H @ _HALF
        pictures.append(cv2.warpPerspective(source, H, size, flags=cv2.INTER_CUBIC, borderMode=cv2.BORDER_REPLICATE))
    T = film.T_world_from_cam[at] @ compose(R, np.zeros(3))
    joints = None if film.joints_world is None else film.joints_world[at]
    return Film(pictures, T, K, joints, film.height_m)


def aim_at(film: Film, target):
    """Yaw and pitch (T,) degrees that put points (T, 3) m of the world into the middle of the picture."""
    x, y, z = np.einsum("tij,tj->ti", invert(film.T_world_from_cam)[:, :3], np.c_[target, np.ones(len(target))]).T
    return np.rad2deg(np.arctan2(x, z)), np.rad2deg(np.arctan2(-y, np.hypot(x, z)))


def corridor(T_world_from_cam, focal_px, size, seed=0) -> Film:
    """A long room of painted planes, nobody in it, drawn exactly: the floor, the end wall, two side walls and free-standing screens.

    The world is Z-up in metres; the room reaches from y = -2 to 9, x = -4 to 4, z = 0 to 4.
    """
    walls = [  # corner, and the two edges from there (m); back to front
        ([-4, 9, 4], [8, 0, 0], [0, 0, -4]),
        ([-4, -2, 0], [8, 0, 0], [0, 11, 0]),
        ([-4, -2, 4], [0, 11, 0], [0, 0, -4]),
        ([4, 9, 4], [0, -11, 0], [0, 0, -4]),
        ([-2.6, 7, 1.9], [1.5, 0, 0], [0, 0, -1.9]),
        ([1.2, 5.5, 2.2], [1.2, 0.5, 0], [0, 0, -2.2]),
        ([-1.9, 4.2, 1.3], [1.1, -0.2, 0], [0, 0, -1.3]),
    ]
    random = np.random.default_rng(seed)
    paint = [_paint(np.linalg.norm(u), np.linalg.norm(v), random) for _, u, v in np.array(walls, float)]
    K = intrinsics(np.broadcast_to(np.asarray(focal_px, float), len(T_world_from_cam)), *size)
    fine = np.diag([2.0, 2, 1])  # drawn twice as large, against jagged edges
    pictures = []
    for T_cam, k in zip(invert(T_world_from_cam), fine @ K):
        picture = np.zeros((2 * size[1], 2 * size[0], 3), np.uint8)
        for (corner, u, v), texture in zip(np.array(walls, float), paint):
            h, w = texture.shape[:2]
            P = k @ T_cam[:3]
            H = np.stack([P[:, :3] @ u / w, P[:, :3] @ v / h, P @ [*corner, 1]], 1)
            rows, columns = np.mgrid[: 2 * size[1], : 2 * size[0]] + 0.5
            at = np.linalg.inv(H) @ np.stack([columns.ravel(), rows.ravel(), np.ones(rows.size)])
            s, t = (at[:2] / at[2]).reshape(2, *rows.shape).astype(np.float32)
            # The homography would also draw what lies behind the camera, mirrored.
            inside = (s >= 0) & (s <= w) & (t >= 0) & (t <= h) & (H[2, 0] * s + H[2, 1] * t + H[2, 2] > 0)
            drawn = cv2.remap(texture, s - 0.5, t - 0.5, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
            picture[inside] = drawn[inside]
        pictures.append(cv2.resize(picture, size, interpolation=cv2.INTER_AREA))
    return Film(pictures, np.asarray(T_world_from_cam), K)


def _paint(width_m, height_m, random):
    """Blots of several sizes, 80 px a metre."""
    w, h = round(80 * width_m), round(80 * height_m)
    out = np.zeros((h, w, 3), np.float32)
    for step, weight in ((64, 40), (20, 35), (7, 25)):
        noise = random.normal(size=(h // step + 3, w // step + 3, 3)).astype(np.float32)
        out += weight * cv2.resize(noise, (w, h), interpolation=cv2.INTER_CUBIC)
    return np.clip(110 + out, 0, 255).astype(np.uint8)
