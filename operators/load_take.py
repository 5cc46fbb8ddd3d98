"""Load a take into the scene."""

from __future__ import annotations

import bpy

from .. import preferences
from ..scene import take as scene_take
from .base import ShotOperator, absolute, path_once


class SHOT_OT_load_take(ShotOperator, bpy.types.Operator):
    bl_idname = "shot.load_take"
    bl_label = "Load Take"
    bl_description = "Bring the camera, the people, the ground and the background points of a take into this scene"
    bl_options = {"REGISTER", "UNDO"}

    directory: path_once("Take", "Choose the folder that Extract Shot wrote", "DIR_PATH")
    frame_start: bpy.props.IntProperty(
        name="First Frame", description="Put the first frame of the shot here", default=1
    )
    match_scene: bpy.props.BoolProperty(
        name="Match Scene to Shot",
        description="Give this scene the size, frame rate and range of the shot",
        default=False,
    )

    @classmethod
    def poll(cls, context):
        if context.mode != "OBJECT":
            cls.poll_message_set("Go to Object Mode first")
            return False
        return True

    def invoke(self, context, event):
        if self.directory:
            return self.execute(context)
        context.window_manager.fileselect_add(self)
        return {"RUNNING_MODAL"}

    def run(self, context):
        folder = absolute(self.directory, "take")
        loaded = scene_take.load(
            context.scene, folder, self.frame_start, self.match_scene, preferences.smpl_folder(context)
        )
        context.scene.reshoot.take = loaded.collection
        return f"Loaded {loaded.collection.name} with {len(loaded.armatures)} people", loaded.warnings


CLASSES = (SHOT_OT_load_take,)
