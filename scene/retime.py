"""Time of a 3D transfer as curves: an empty says which frame of the film is shown, and camera and people follow it.

What moved by an action moves by drivers: each has the action's values over the frames of the film, and reads its frame from the empty.
(A driver with keys of its own looks its value up in them.) So a hold, a return or a ramp is drawn in one curve, and all stay in step.
"""

from __future__ import annotations

import bpy
import numpy as np

from .. import compat
from .animation import fill
from .characters import parts_of

PEOPLE, CAMERA = "Shot Frame", "Camera Frame"  # custom properties of the empty
TIMES = ("FILM", "CURVE", "CURVES")  # no curve, one for all, one for people and one for the camera


def add_time(scene, first: int, last: int, factor: float, apart: bool):
    """The empty, with the film's frames first..last spread over `factor` times as many, and the scene's range set to those.

    apart: the camera's time is a curve of its own; else a driver, which an artist may delete, keeps it on the people's.
    """
    time = bpy.data.objects.new(f"{scene.name} Time", None)
    time.empty_display_type, time.empty_display_size = "CIRCLE", 0.3
    scene.collection.objects.link(time)
    end = first + (last - first) * factor  # a key may lie between frames
    scene.frame_start, scene.frame_end = first, max(first, int(end + 1e-6))
    for name in (PEOPLE, CAMERA):
        time[name] = float(first)
        time.id_properties_ui(name).update(description="Frame of the film that is shown")
    _, new_curve = compat.new_curves(time, time.name)
    for name in (PEOPLE, CAMERA) if apart else (PEOPLE,):
        fill(new_curve(f'["{name}"]', 0), [first, end], [first, last], "LINEAR")
    if not apart:
        _read(time.driver_add(f'["{CAMERA}"]').driver, time, PEOPLE)
    return time


def follow(item, time, name: str, first: int, last: int) -> bool:
    """Let an object, its data and its shape keys follow a property of the empty in place of their actions, which held frames first..last.

    Returns whether all of it does: what moves by NLA strips does not.
    """
    frames = np.arange(first, last + 1)
    moved = [part for part in parts_of(item) if part.animation_data is not None]
    for part in moved:
        for curve in compat.curves_of(part):
            _drive(part, curve, frames, time, name)
        part.animation_data.action = None
    return not any(track.strips and not track.mute for part in moved for track in part.animation_data.nla_tracks)


def _drive(part, curve, frames, time, name):
    path = curve.data_path
    try:
        many = hasattr(part.path_resolve(path), "__len__")
    except ValueError:
        return  # a curve of something that is no longer there
    values = np.array([curve.evaluate(frame) for frame in frames])
    if np.ptp(values) == 0:
        frames, values = frames[:1], values[:1]
    steps = all(point.interpolation == "CONSTANT" for point in curve.keyframe_points)
    driven = part.driver_add(path, curve.array_index) if many else part.driver_add(path)
    for modifier in list(driven.modifiers):  # 4.2 has one that says "as it is"
        driven.modifiers.remove(modifier)
    driven.keyframe_points.clear()
    driven.extrapolation = "CONSTANT"
    fill(driven, frames, values, "CONSTANT" if steps else "LINEAR")
    _read(driven.driver, time, name)


def _read(driver, time, name):
    driver.type = "SUM"  # of one value: no expression, which a file may not be trusted with
    variable = driver.variables.new()
    variable.name = "frame"
    variable.targets[0].id, variable.targets[0].data_path = time, f'["{name}"]'
