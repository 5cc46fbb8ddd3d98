"""Presets of how a shot is solved, kept as Blender keeps its own: files below the user's scripts/presets."""

from __future__ import annotations

import bpy
from bl_operators.presets import AddPresetBase

# Of the scene's settings. The clip, its frames and the files that belong to it are not among them.
OPTIONS = ("quality", "camera_kind", "use_focal_mm", "focal_mm", "use_max_height", "max_height", "plate", "match_scene")
FOLDER = "reshoot/extract"


class SHOT_MT_presets(bpy.types.Menu):
    bl_idname = "SHOT_MT_presets"
    bl_label = "Presets"
    preset_subdir = FOLDER
    preset_operator = "script.execute_preset"
    draw = bpy.types.Menu.draw_preset


class SHOT_OT_add_preset(AddPresetBase, bpy.types.Operator):
    bl_idname = "shot.add_preset"
    bl_label = "Add Preset"
    bl_description = "Keep these options under a name, for other shots and files, or delete the chosen preset"

    preset_menu = SHOT_MT_presets.bl_idname
    preset_subdir = FOLDER
    preset_defines = ["settings = bpy.context.scene.reshoot"]
    preset_values = [f"settings.{name}" for name in OPTIONS]


CLASSES = (SHOT_MT_presets, SHOT_OT_add_preset)
