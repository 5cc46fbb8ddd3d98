"""The solved camera as a Blender camera: matrix and lens, frame by frame."""

from __future__ import annotations

from dataclasses import dataclass

import bpy
import numpy as np

from ..retarget import rotations
from ..solver.frames import blender_from_camera, focal_mm_from_px
from . import sampling
from .animation import write_action
from .read import TakeData

SENSOR_MM = 36.0


@dataclass
class CameraPath:
    """A camera over N Blender frames, in Blender's own camera axes."""

    frames: np.ndarray  # (N,)
    location: np.ndarray  # (N, 3) m
    quat_wxyz: np.ndarray  # (N, 4)
    lens_mm: np.ndarray  # (N,) on a sensor whose longer side is SENSOR_MM
    shift: np.ndarray  # (N, 2) in units of the longer side


def path_of_take(take: TakeData, frame_start: int = 1) -> CameraPath:
    """The camera of a take, frame i of the take at Blender frame frame_start + i."""
    matrices = blender_from_camera(take.T_world_from_cam)
    side = max(take.width, take.height)
    shift = np.stack([(take.width / 2 - take.K[:, 0, 2]) / side, (take.K[:, 1, 2] - take.height / 2) / side], 1)
    return CameraPath(
        frames=frame_start + np.arange(take.frames),
        location=matrices[:, :3, 3],
        quat_wxyz=rotations.continuous(rotations.quat_wxyz_from_matrix(matrices[:, :3, :3])),
        lens_mm=focal_mm_from_px(take.K[:, 0, 0], take.width, take.height, SENSOR_MM),
        shift=shift,
    )


SHAKE_S = 0.5  # sigma of the Gaussian that tells the move from its shake


def adjusted(path: CameraPath, scale=1.0, retime=1.0, smoothing=0.0, shake=1.0, fps=24.0) -> CameraPath:
    """A changed copy of a path.

    scale:      factor on distances: a camera for a set `scale` times as large.
    retime:     factor on duration; 2 is half speed. The first frame stays where it is.
    smoothing:  sigma in frames of a Gaussian over movement and zoom.
    shake:      factor on what of place and turn is quicker than SHAKE_S: 0 is a dolly, 1 as filmed, more a nervous hand. fps is the film's.
    """
    values = {
        "location": path.location * scale,
        "quat_wxyz": path.quat_wxyz,
        "lens_mm": path.lens_mm,
        "shift": path.shift,
    }
    values = {name: sampling.smooth(v, smoothing) for name, v in values.items()}
    if shake != 1.0:
        for name in ("location", "quat_wxyz"):
            calm = sampling.smooth(values[name], SHAKE_S * fps)
            values[name] = calm + shake * (values[name] - calm)
    frames = path.frames
    if retime != 1.0 and len(frames) > 1:
        count = round((len(frames) - 1) * retime) + 1
        times = np.minimum(np.arange(count) / retime, len(frames) - 1)
        values = {name: sampling.sample_linear(v, times) for name, v in values.items()}
        frames = frames[0] + np.arange(count)
    q = values.pop("quat_wxyz")
    return CameraPath(frames=frames, quat_wxyz=q / np.linalg.norm(q, axis=1, keepdims=True), **values)


def write(camera, path: CameraPath, name: str) -> None:
    """Animate a camera object with a path, as new actions; sets its rotation mode and its sensor to those of the path."""
    camera.rotation_mode = "QUATERNION"
    camera.scale = (1, 1, 1)
    camera.delta_location = (0, 0, 0)
    camera.delta_rotation_quaternion = (1, 0, 0, 0)
    camera.delta_scale = (1, 1, 1)
    data = camera.data
    data.type = "PERSP"
    data.sensor_fit = "AUTO"
    data.sensor_width = SENSOR_MM
    data.lens_unit = "MILLIMETERS"
    write_action(camera, name, path.frames, {"location": path.location, "rotation_quaternion": path.quat_wxyz})
    lens = {"lens": path.lens_mm}
    for axis, prop in enumerate(("shift_x", "shift_y")):
        values = path.shift[:, axis]
        setattr(data, prop, float(values[0]))
        if np.ptp(values) > 1e-9:
            lens[prop] = values
    write_action(data, name + " Lens", path.frames, lens)


def new_camera(name: str, path: CameraPath, collection, parent=None):
    """A new camera object with a path."""
    data = bpy.data.cameras.new(name)
    data.clip_start, data.clip_end = 0.02, 1000.0
    data.display_size = 0.3
    camera = bpy.data.objects.new(name, data)
    collection.objects.link(camera)
    camera.parent = parent
    write(camera, path, name)
    return camera


def bake(camera, path: CameraPath, name: str, parent=None) -> list[str]:
    """Put a path onto a camera of the scene, under a parent that places the whole path, or under none.

    What would fight the path is switched off, and named in the answer: constraints, muted, and another parent.
    """
    off = [c.name for c in camera.constraints if c.enabled]
    for constraint in camera.constraints:
        constraint.enabled = False
    if camera.parent is not None and camera.parent != parent:
        off.append(f"parent {camera.parent.name}")
    camera.parent = parent
    camera.parent_type = "OBJECT"
    camera.matrix_parent_inverse.identity()
    write(camera, path, name)
    return off
