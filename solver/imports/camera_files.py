"""Cameras in one file: Nuke's .chan, SynthEyes' text of the same layout, and poses exported as npz or JSON."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np

from ..chan import ORDERS, poses_from_chan, read_chan
from ..frames import R_zup_from_yup, camera_from_blender, focal_px_from_fov, focal_px_from_mm, intrinsics, invert
from ..protocol import ShotError
from .numbering import count_from
from .reading import at_pace, pace_of
from .rows import Rows, counted, refusal, sized
from .safe import read_npz

_FIX = "Choose a COLMAP folder, a Nuke .chan, or a camera .npz or .json (docs/imports.md)."
_SCENES = (
    ".fbx",
    ".abc",
    ".usd",
    ".usda",
    ".usdc",
    ".usdz",
    ".gltf",
    ".glb",
    ".ma",
    ".mb",
    ".hip",
    ".nk",
    ".3de",
    ".sni",
)
_SCENE_FIX = "Import it in Blender and run scene/camera_to_json.py of Reshoot there (docs/imports.md); then choose the JSON that it writes."
LENSES = (0.5, 2.0)  # of pictures half or twice the size
INVERSE, OPENGL = "poses from world to camera", "a camera that looks along its -z"


def read(path: Path, shot, options=None, report=None) -> Rows:
    """The rows of a file. Raises ShotError."""
    ending = path.suffix.lower()
    if ending in _SCENES:
        raise ShotError(f"{path.name} is a scene, and Reshoot reads cameras as numbers.", _SCENE_FIX)
    reader = {".chan": _chan, ".txt": _chan, ".npz": _npz, ".json": _json}.get(ending)
    if reader is None or path.is_dir():
        raise ShotError(f"{path.name} is no camera that Reshoot reads.", _FIX)
    try:
        return reader(path, shot, options, report)
    except ShotError:
        raise
    except Exception as error:  # somebody else's file may lack or hold anything
        raise refusal(path, error, _FIX) from error


def _chan(path, shot, options, report) -> Rows:
    frame, place, degrees, zoom = read_chan(path)
    mm, fov = getattr(options, "focal_mm", None), getattr(options, "fov", None)
    given = focal_px_from_mm(mm, shot.width, shot.height) if mm else focal_px_from_fov(fov, shot.width) if fov else None
    if zoom is None:
        if given is None:
            raise ShotError(f"{path.name} has no field of view.", "Export it with one, or give the focal length too.")
        focal, lenses = np.full(len(frame), float(given)), ()
    elif not ((zoom > 0) & (zoom < 179)).all():
        raise ShotError(
            f"{path.name} has fields of view that no lens has.", "Export the vertical field of view in degrees."
        )
    else:
        focal = shot.height / 2 / np.tan(np.deg2rad(zoom) / 2)
        # the number may have been the horizontal field of view, or a focal length in mm; the artist may know better
        meant = [
            focal_px_from_fov(np.median(zoom), shot.width),
            focal_px_from_mm(np.median(zoom), shot.width, shot.height),
            given,
        ]
        lenses = tuple(float(f / np.median(focal)) for f in meant if f is not None)
    turns = {f"rotation order {order}": poses_from_chan(place, degrees, order) for order in ORDERS[1:]}
    return Rows(
        path.name, poses_from_chan(place, degrees), intrinsics(focal, shot.width, shot.height), count_from(frame, shot), counted(frame),
        metric=True, turns=turns, other_up=R_zup_from_yup.T, lenses=lenses,
    )  # fmt: skip


def _turns(T) -> dict:
    """Other axes that matrices may have been written in."""
    with np.errstate(all="ignore"):
        flipped = camera_from_blender(T)
        return {OPENGL: flipped, INVERSE: invert(T), f"{INVERSE}, {OPENGL}": invert(flipped)}


def _npz(path, shot, options, report) -> Rows:
    file = read_npz(path)
    T, K = np.asarray(file["T_world_from_cam"], float), np.asarray(file["K"], float)
    if T.shape[1:] != (4, 4) or K.shape != (len(T), 3, 3) or not len(T):
        raise ShotError(f"{path.name} holds no poses (T, 4, 4) with lenses (T, 3, 3).", _FIX)
    numbers = np.ravel(file["frame"]) if "frame" in file else np.arange(len(T))
    # a take's camera.npz does not name its size: the principal point is the middle there
    size = [file[side] if side in file else 2 * K[0, i, 2] for i, side in enumerate(("width", "height"))]
    rate = float(file["fps"]) if "fps" in file else None
    if len(numbers) != len(T):
        raise ShotError(f"{path.name} holds no poses (T, 4, 4) with lenses (T, 3, 3).", _FIX)
    return _rows(path, shot, T, K, numbers, [float(n) for n in size], rate)


def _json(path, shot, options, report) -> Rows:
    data = json.loads(path.read_text(encoding="utf-8"))
    width, height = float(data["width"]), float(data["height"])
    numbers, poses, lenses = [], [], []
    for order, row in enumerate(data["frames"]):
        numbers.append(int(row.get("frame", order)))
        if "T_world_from_cam" in row:
            poses.append(np.reshape(np.asarray(row["T_world_from_cam"], float), (4, 4)))
        else:  # Blender's camera object: looks along -z
            poses.append(camera_from_blender(np.reshape(np.asarray(row["matrix_world"], float), (4, 4))))
        lens = {**data, **row}
        if "K" in lens:
            lenses.append(np.reshape(np.asarray(lens["K"], float), (3, 3)))
        else:
            focal = focal_px_from_mm(float(lens["lens_mm"]), width, height, float(lens.get("sensor_mm", 36.0)))
            lenses.append(intrinsics(focal, width, height))
    if not poses:
        raise ShotError(f"{path.name} holds no frames.", _FIX)
    rate = float(data["fps"]) if data.get("fps") else None
    return _rows(path, shot, np.array(poses), np.array(lenses), numbers, (width, height), rate)


def _rows(path, shot, T, K, numbers, size, rate) -> Rows:
    K = sized(K, *size, shot, path.name)
    rate, number = rate if rate and rate > 0 else None, counted(numbers)
    step = pace_of(rate, int(number.max(initial=-1)) + 1, shot)
    index = count_from(numbers, shot) if step is None else at_pace(step, number, shot)
    return Rows(
        path.name, T, K, index, number, metric=True, rate=rate, turns=_turns(T), other_up=R_zup_from_yup, lenses=LENSES
    )  # fmt: skip
