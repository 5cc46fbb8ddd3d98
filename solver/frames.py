"""Coordinate frames, once for the whole project (see docs/conventions.md). numpy only.

World: Z-up, right-handed, metres, ground z = 0, as Blender's. Camera: OpenCV (+x right, +y down, +z forward).
Pixels: corner origin, the centre of the first pixel is (0.5, 0.5). `T_a_from_b` takes points of b to a.
"""

from __future__ import annotations

import numpy as np

# OpenCV camera axes to Blender camera axes (+x right, +y up, -z forward); its own inverse.
_FLIP = np.diag([1.0, -1.0, -1.0, 1.0])

# SMPL's Y-up axes to the Z-up world: the body that faces +z in SMPL's rest pose faces -y, as Blender's front view expects.
R_zup_from_yup = np.array([[1.0, 0.0, 0.0], [0.0, 0.0, -1.0], [0.0, 1.0, 0.0]])


def invert(T):
    """Inverse of rigid transforms (..., 4, 4)."""
    T = np.asarray(T)
    R = np.swapaxes(T[..., :3, :3], -1, -2)
    out = np.zeros_like(T)
    out[..., :3, :3] = R
    out[..., :3, 3] = -(R @ T[..., :3, 3:])[..., 0]
    out[..., 3, 3] = 1
    return out


def compose(R, t):
    """Rigid transforms (..., 4, 4) from rotations (..., 3, 3) and translations (..., 3)."""
    R, t = np.asarray(R, float), np.asarray(t, float)
    shape = np.broadcast_shapes(R.shape[:-2], t.shape[:-1])
    T = np.zeros(shape + (4, 4))
    T[..., :3, :3] = R
    T[..., :3, 3] = t
    T[..., 3, 3] = 1
    return T


def apply(T, points):
    """Points (..., N, 3) through transforms (..., 4, 4)."""
    return np.einsum("...ij,...nj->...ni", T[..., :3, :3], points) + T[..., None, :3, 3]


def blender_from_camera(T_world_from_cam):
    """Matrix of Blender's camera object for an OpenCV camera pose, both (..., 4, 4) in the same world."""
    return np.asarray(T_world_from_cam) @ _FLIP


def camera_from_blender(matrix_world):
    """OpenCV camera pose for the matrix of Blender's camera object, both (..., 4, 4)."""
    return np.asarray(matrix_world) @ _FLIP


def intrinsics(focal_px, width, height):
    """K (..., 3, 3) in pixels with the principal point in the middle; focal_px is a number or (...,)."""
    focal = np.asarray(focal_px, float)
    K = np.zeros(focal.shape + (3, 3))
    K[..., 0, 0] = K[..., 1, 1] = focal
    K[..., 0, 2], K[..., 1, 2], K[..., 2, 2] = width / 2, height / 2, 1
    return K


def focal_px_from_mm(focal_mm, width, height, sensor_mm=36.0):
    """Focal length in pixels for a lens in mm on a sensor whose longer side is `sensor_mm`, as Blender's AUTO fit."""
    return np.asarray(focal_mm, float) * max(width, height) / sensor_mm


def focal_mm_from_px(focal_px, width, height, sensor_mm=36.0):
    """Inverse of focal_px_from_mm."""
    return np.asarray(focal_px, float) * sensor_mm / max(width, height)


def focal_px_from_fov(fov_deg, width):
    """Focal length in pixels for a horizontal field of view in degrees."""
    return width / (2 * np.tan(np.deg2rad(fov_deg) / 2))


def project(points_world, T_cam_from_world, K):
    """Project world points to pixels.

    points_world:      (..., N, 3) metres, world.
    T_cam_from_world:  (..., 4, 4) into the OpenCV camera frame.
    K:                 (..., 3, 3) pixels, corner origin.
    Returns (..., N, 2) pixels; points at or behind the camera are NaN, not mirrored.
    """
    cam = apply(np.asarray(T_cam_from_world), np.asarray(points_world, float))
    z = np.where(cam[..., 2:] > 1e-6, cam[..., 2:], np.nan)
    pixels = np.einsum("...ij,...nj->...ni", K, cam / z)
    return pixels[..., :2]


def unproject(pixels, depth, K):
    """Camera-frame points (..., N, 3) of pixels (..., N, 2) at depth z (..., N)."""
    rays = np.concatenate([pixels, np.ones_like(pixels[..., :1])], -1)
    rays = np.einsum("...ij,...nj->...ni", np.linalg.inv(K), rays)
    return rays * np.asarray(depth)[..., None]


def fit_similarity(source, target, with_scale=True):
    """Least-squares s, R, t with target ~ s R source + t (Umeyama 1991). source, target: (N, 3)."""
    mu_s, mu_t = source.mean(0), target.mean(0)
    a, b = source - mu_s, target - mu_t
    U, D, Vt = np.linalg.svd(b.T @ a)
    S = np.diag([1, 1, np.sign(np.linalg.det(U @ Vt))])
    R = U @ S @ Vt
    scale = float((D * np.diag(S)).sum() / max((a**2).sum(), 1e-12)) if with_scale else 1.0
    return scale, R, mu_t - scale * R @ mu_s
