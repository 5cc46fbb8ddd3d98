"""Put the solved camera onto a camera of the scene."""

from __future__ import annotations

import bpy

from ..scene import camera as scene_camera
from ..scene import take as scene_take
from ..solver.protocol import ShotError
from ..translations import say
from .base import ShotOperator, camera_shake, chosen_take, has_take, object_called, take_name, text_once


class SHOT_OT_bake_camera(ShotOperator, bpy.types.Operator):
    bl_idname = "shot.bake_camera"
    bl_label = "Bake Camera"
    bl_description = "Animate a camera of the scene with the solved move and lens"
    bl_options = {"REGISTER", "UNDO"}

    camera: text_once("Camera", "Name the camera. Empty: the scene's camera")
    take: take_name()
    offset: text_once("Placed By", "Name an empty that moves the whole path. Empty: the take's own")
    scale: bpy.props.FloatProperty(name="Scale", description="Scale the camera's distances", default=1.0, min=0.001)
    retime: bpy.props.FloatProperty(
        name="Retime", description="Stretch the time: 2 is half speed", default=1.0, min=0.05, max=20.0
    )
    smoothing: bpy.props.FloatProperty(
        name="Smoothing", description="Smooth the move over this many frames", min=0.0, max=50.0
    )
    shake: camera_shake()

    needs = (has_take,)

    def run(self, context):
        collection = chosen_take(context, self.take)
        camera = object_called(self.camera, "CAMERA", "camera") if self.camera else context.scene.camera
        if camera is None:
            raise ShotError("The scene has no camera to bake onto.", "Add a camera, or choose one in the Camera panel.")
        if camera.library is not None or (camera.data and camera.data.library is not None):
            raise ShotError(f"{camera.name} is linked from another file.", "Make it local, or choose another camera.")
        if camera == scene_take.part(collection, "camera"):
            raise ShotError("This is the take's own camera.", "Choose another, so that the solved one stays as it is.")
        parent = scene_take.part(collection, "world")
        if self.offset:
            parent = object_called(self.offset, "", "object")
        if parent is camera or (parent is not None and camera in _ancestors(parent)):
            raise ShotError(f"{parent.name} hangs on the camera itself.", "Choose an empty that does not.")
        take = scene_take.data_of(collection)
        path = scene_camera.path_of_take(take, collection[scene_take.START_KEY])
        path = scene_camera.adjusted(path, self.scale, self.retime, self.smoothing, self.shake, take.fps)
        off = scene_camera.bake(camera, path, f"{camera.name} {collection.name}", parent)
        warnings = [f"Switched off on {camera.name}, to follow the film: {', '.join(off)}"] if off else []
        return say("Baked {count} frames onto {name}", count=len(path.frames), name=camera.name), warnings


def _ancestors(item):
    while item.parent is not None:
        item = item.parent
        yield item


CLASSES = (SHOT_OT_bake_camera,)
