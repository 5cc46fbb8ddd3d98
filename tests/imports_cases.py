"""What the tests of imports share: a shot, and one S_c track with a camera, to be written in every layout."""

import numpy as np
from scipy.spatial.transform import Rotation

from solver.frames import compose
from solver.records import Shot

WIDTH, HEIGHT, FRAMES = 640, 360, 6


def shot(frames=FRAMES, start=0, path="/nowhere/clip.mp4", width=WIDTH, height=HEIGHT, original=(1280, 720)):
    return Shot(
        path=path, sha256="0", fps="24/1", width=width, height=height, original_width=original[0], original_height=original[1],
        start_frame=start, frames=frames, pieces=[[0, start + frames]], time_s=np.arange(frames) / 24.0,
    )  # fmt: skip


def body_track(frames=FRAMES, seed=0):
    """poses (F, 24, 3) rotvec, trans (F, 3) in front of a camera, betas (10,)."""
    rng = np.random.default_rng(seed)
    poses = rng.normal(size=(frames, 24, 3)) * 0.4
    poses[:, 0] = [2.9, 0.3, -0.2] + rng.normal(size=(frames, 3)) * 0.1
    trans = np.array([0.2, 0.4, 4.0]) + np.cumsum(rng.normal(size=(frames, 3)) * 0.05, 0)
    return poses, trans, rng.normal(size=10) * 0.5


def camera_path(frames=FRAMES, seed=1):
    """T_world_from_cam (T, 4, 4), OpenCV camera in a Z-up world, metres."""
    rng = np.random.default_rng(seed)
    level = np.array([[1.0, 0, 0], [0, 0, 1], [0, -1, 0]])  # looks along +y
    turn = Rotation.from_rotvec(np.cumsum(rng.normal(size=(frames, 3)) * 0.05, 0)).as_matrix()
    return compose(turn @ level, [0.0, -3, 1.5] + np.cumsum(rng.normal(size=(frames, 3)) * 0.2, 0))


def same_rotation(a, b, degrees=0.01):
    """Whether rotation vectors (..., 3) turn alike."""
    a, b = np.asarray(a).reshape(-1, 3), np.asarray(b).reshape(-1, 3)
    return np.rad2deg((Rotation.from_rotvec(a).inv() * Rotation.from_rotvec(b)).magnitude()).max() < degrees


def matrices(rotvec):
    rotvec = np.asarray(rotvec)
    return Rotation.from_rotvec(rotvec.reshape(-1, 3)).as_matrix().reshape(*rotvec.shape, 3)
