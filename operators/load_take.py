"""Load a take into the scene."""

from __future__ import annotations

import bpy

from .. import preferences
from ..scene import take as scene_take
from ..translations import say
from .base import ShotOperator, absolute, chosen_take, has_take, how_many, in_object_mode, path_once, redraw, take_name


class SHOT_OT_load_take(ShotOperator, bpy.types.Operator):
    bl_idname = "shot.load_take"
    bl_label = "Load Take"
    bl_description = "Bring the camera, the people, the ground and the background points of a take into this scene"
    bl_options = {"REGISTER", "UNDO"}

    directory: path_once("Take", "Choose the folder that Extract Shot wrote", "DIR_PATH")
    frame_start: bpy.props.IntProperty(
        name="First Frame", description="Put the first frame of the shot here", default=1
    )
    film_numbers: bpy.props.BoolProperty(
        name="Film's Numbers",
        description="Begin at the number of the film's first picture, or at its timecode, instead of at First Frame",
        default=False,
    )
    match_scene: bpy.props.BoolProperty(
        name="Match Scene to Shot",
        description="Give this scene the size, frame rate and range of the shot",
        default=False,
    )

    needs = (in_object_mode,)

    def invoke(self, context, event):
        if self.directory:
            return self.execute(context)
        context.window_manager.fileselect_add(self)
        return {"RUNNING_MODAL"}

    def run(self, context):
        folder = absolute(self.directory, "take")
        loaded = scene_take.load(
            context.scene,
            folder,
            None if self.film_numbers else self.frame_start,
            self.match_scene,
            preferences.smpl_folder(context),
        )
        context.scene.reshoot.take = loaded.collection
        return say("Loaded {name} with {people}", name=loaded.collection.name, people=how_many(len(loaded.armatures))), loaded.warnings


class SHOT_OT_match_scene(ShotOperator, bpy.types.Operator):
    bl_idname = "shot.match_scene"
    bl_label = "Match Scene"
    bl_description = "Give this scene the size, frame rate and range of the take's film"
    bl_options = {"REGISTER", "UNDO"}

    take: take_name()

    needs = (has_take,)

    def run(self, context):
        collection = chosen_take(context, self.take)
        scene_take.match(context.scene, scene_take.data_of(collection), int(collection[scene_take.START_KEY]))
        return say("{scene} now is as the film of {name}", scene=context.scene.name, name=collection.name)


class SHOT_OT_relink_take(ShotOperator, bpy.types.Operator):
    bl_idname = "shot.relink_take"
    bl_label = "Relink Take…"
    bl_description = "Say where the folder of the take is now"
    bl_options = {"REGISTER", "UNDO"}

    directory: path_once("Take Folder", "Choose the folder of the take", "DIR_PATH")
    take: take_name()

    needs = (has_take,)

    def invoke(self, context, event):
        if self.directory:
            return self.execute(context)
        context.window_manager.fileselect_add(self)
        return {"RUNNING_MODAL"}

    def run(self, context):
        collection = chosen_take(context, self.take)
        warnings = scene_take.relink(collection, absolute(self.directory, "take"))
        redraw(context)
        return say("{name} is linked to {path}", name=collection.name, path=scene_take.folder_of(collection)), warnings


CLASSES = (SHOT_OT_load_take, SHOT_OT_match_scene, SHOT_OT_relink_take)
