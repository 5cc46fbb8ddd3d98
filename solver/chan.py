"""Nuke's .chan: one line a frame, `frame tx ty tz rx ry rz vfov`, in a Y-up world, degrees. numpy only.

Nuke's cameras turn about Z first, then X, then Y (its default order, ZXY), look along -z and have +y up, as Blender's.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from .frames import R_zup_from_yup, blender_from_camera, camera_from_blender, compose
from .protocol import ShotError
from .records import save_text

_FIX = "Export the camera again as .chan: frame tx ty tz rx ry rz vfov on each line, rotation order ZXY."


ORDERS = ("ZXY", "XYZ", "XZY", "YXZ", "YZX", "ZYX")  # Nuke's six, its default first


def matrix_from_angles(degrees, order: str = "ZXY"):
    """Rotations (..., 3, 3) of angles (..., 3) about x, y, z, turned in that order: ZXY is Ry Rx Rz."""
    angles = np.deg2rad(np.asarray(degrees, float))
    out = np.eye(3)
    for axis in ("XYZ".index(letter) for letter in order):
        c, s = np.cos(angles[..., axis]), np.sin(angles[..., axis])
        j, k = (axis + 1) % 3, (axis + 2) % 3
        turn = np.zeros((*angles.shape[:-1], 3, 3))
        turn[..., axis, axis] = 1
        turn[..., j, j] = turn[..., k, k] = c
        turn[..., j, k], turn[..., k, j] = -s, s
        out = turn @ out
    return out


def zxy_from_matrix(R):
    """Angles (T, 3) in degrees about x, y, z of rotations (T, 3, 3), without jumps of a full turn from frame to frame."""
    R = np.asarray(R, float)
    up = np.hypot(R[:, 1, 0], R[:, 1, 1])
    x = np.arctan2(-R[:, 1, 2], up)
    plain = up > 1e-7  # straight up or down, only y - z or y + z is defined
    y = np.where(plain, np.arctan2(R[:, 0, 2], R[:, 2, 2]), np.arctan2(-R[:, 2, 0], R[:, 0, 0]))
    z = np.where(plain, np.arctan2(R[:, 1, 0], R[:, 1, 1]), 0.0)
    return np.rad2deg(np.unwrap(np.stack([x, y, z], -1), axis=0))


def write_chan(path: Path, T_world_from_cam, K, height: int, first_frame: int = 1) -> None:
    """Write camera poses (T, 4, 4), Z-up world, and lenses K (T, 3, 3) px of pictures `height` px high."""
    T = np.asarray(T_world_from_cam, float)
    matrix = blender_from_camera(T)
    angles = zxy_from_matrix(R_zup_from_yup.T @ matrix[:, :3, :3])
    place = matrix[:, :3, 3] @ R_zup_from_yup
    vfov = 2 * np.rad2deg(np.arctan(height / 2 / np.asarray(K, float)[:, 1, 1]))
    lines = [
        f"{first_frame + i}\t" + "\t".join(f"{v:.9f}" for v in (*place[i], *angles[i], vfov[i])) for i in range(len(T))
    ]
    save_text(Path(path), "\n".join(lines) + "\n")


def read_chan(path: Path):
    """The numbers of a .chan: frame (N,) int, place (N, 3), angles (N, 3) degrees, and vfov (N,) degrees or None. Raises ShotError."""
    path = Path(path)
    try:
        text = path.read_text(encoding="utf-8-sig")
        rows = [
            [float(v) for v in line.replace(",", " ").split()]
            for line in text.splitlines()
            if line.strip() and line.lstrip()[0] not in "#;"
        ]
        widths = {len(row) for row in rows}
        if not rows or len(widths) != 1 or not widths <= {7, 8}:
            raise ValueError("not 7 or 8 numbers on every line")
        table = np.array(rows)
        if not np.isfinite(table).all() or np.abs(table).max() > 1e12:
            raise ValueError("a number is missing or far too large")
    except (OSError, ValueError) as error:
        raise ShotError(f"{path.name} is not a .chan camera ({_plain(error)}).", _FIX) from error
    return table[:, 0].astype(int), table[:, 1:4], table[:, 4:7], table[:, 7] if table.shape[1] == 8 else None


def _plain(error) -> str:
    if isinstance(error, UnicodeDecodeError):
        return "it is no text"
    return "a word where a number should be" if "could not convert" in str(error) else " ".join(str(error).split())


def poses_from_chan(place, degrees, order: str = "ZXY"):
    """T_world_from_cam (N, 4, 4) in a Z-up world of places (N, 3) and angles (N, 3) in the file's, which is Y-up."""
    R = R_zup_from_yup
    return camera_from_blender(compose(R @ matrix_from_angles(degrees, order), np.asarray(place, float) @ R.T))
