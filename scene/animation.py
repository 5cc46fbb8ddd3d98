"""Keyframes from arrays: one new action an ID, written at once. No existing action is changed."""

from __future__ import annotations

import numpy as np

from .. import compat

_INTERPOLATION = {"CONSTANT": 0, "LINEAR": 1}


def write_action(datablock, name: str, frames, channels: dict):
    """Give an ID a new action.

    frames:    (N,) Blender frames.
    channels:  RNA path -> values (N,) or (N, k); a (values, group) pair puts the curves into a group.
               bool values are held until the next key, numbers are linear between keys. A single row makes one key.
    Returns the action.
    """
    animation = datablock.animation_data
    if animation is not None and animation.action is not None:
        animation.action.use_fake_user = True  # the artist's own animation stays in the file
    action, new_curve = compat.new_curves(datablock, name)
    frames = np.asarray(frames, np.float32)
    for path, values in channels.items():
        values, group = values if isinstance(values, tuple) else (values, "")
        values = np.asarray(values)
        kind = "CONSTANT" if values.dtype == bool else "LINEAR"
        columns = values.reshape(len(values), -1)
        for index in range(columns.shape[1]):
            fill(new_curve(path, index, group), frames[: len(columns)], columns[:, index], kind)
    return action


def fill(curve, frames, values, kind: str) -> None:
    """Give an empty curve keys at frames (N,), of one of the kinds of interpolation."""
    points = curve.keyframe_points
    points.add(len(frames))
    points.foreach_set("co", np.column_stack([frames, values]).astype(np.float32).ravel())
    points.foreach_set("interpolation", np.full(len(frames), _INTERPOLATION[kind], np.int32))
    curve.update()
