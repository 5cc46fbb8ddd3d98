"""The table of bones: which bone of the character is which part of a person."""

from __future__ import annotations

import bpy

from ..scene import actions, rig_maps
from ..solver.protocol import ShotError
from ..translations import say
from .base import ShotOperator, has_character, text_once
from .retarget import character, chosen_bones


class BonesOperator(ShotOperator):
    bl_options = {"REGISTER", "UNDO"}

    needs = (has_character,)

    def run(self, context):
        armature = character(context, self.armature)
        rig = actions.read_rig(armature)
        if actions.is_control_rig(rig):
            raise ShotError(f"{armature.name} is moved by Rigify's controls, which are known.", "There is nothing to choose.")
        return self.on(context.scene.reshoot, armature, rig)


def fill(settings, armature, rig, bones: dict[str, str]) -> list[str]:
    """Show a table in the panel. Returns the parts that it lacks, in words."""
    settings.bones.clear()
    settings.bones_of = armature.name
    for part in rig_maps.PARTS:
        row = settings.bones.add()
        row.name, row.bone = part, bones.get(part, "")
    return [rig_maps.words(part) for part in rig_maps.PARTS if part not in bones]


class SHOT_OT_find_bones(BonesOperator, bpy.types.Operator):
    bl_idname = "shot.find_bones"
    bl_label = "Find Bones"
    bl_description = "Show which bone of the character is taken for which part of a person, to be corrected"

    armature: text_once("Rig", "Name the character's armature. Empty: the active object")

    def on(self, settings, armature, rig):
        try:
            bones = rig_maps.table(rig, rig_maps.found(rig, actions.match_given(rig, armature)))
        except ShotError as error:
            fill(settings, armature, rig, rig_maps.kept(rig) or {})
            return f"No bones were found by themselves: {error.message}", [f"{error.message} Choose them in the table."]
        lacking = fill(settings, armature, rig, bones)
        said = f"{len(bones)} parts of {armature.name} were found"
        return said + (f"; not found: {', '.join(lacking)}" if lacking else "")


class SHOT_OT_save_bones(BonesOperator, bpy.types.Operator):
    bl_idname = "shot.save_bones"
    bl_label = "Save Bones"
    bl_description = "Keep the table of bones for this rig and for others with the same bones"

    armature: text_once("Rig", "Name the character's armature. Empty: the active object")

    def on(self, settings, armature, rig):
        bones = chosen_bones(settings, armature)
        if bones is None:
            raise ShotError(f"There is no table of bones for {armature.name} yet.", "Press Find Bones first.")
        path = rig_maps.keep(rig, armature.name, bones)
        return say("The bones of {name} are kept in {path}", name=armature.name, path=path)


class SHOT_OT_forget_bones(BonesOperator, bpy.types.Operator):
    bl_idname = "shot.forget_bones"
    bl_label = "Forget Bones"
    bl_description = "Delete the saved table of bones of this rig, and find them again"

    armature: text_once("Rig", "Name the character's armature. Empty: the active object")

    def on(self, settings, armature, rig):
        there = rig_maps.forget(rig)
        SHOT_OT_find_bones.on(self, settings, armature, rig)
        return say("The table of {name} is deleted" if there else "No table was saved for {name}", name=armature.name)


CLASSES = (SHOT_OT_find_bones, SHOT_OT_save_bones, SHOT_OT_forget_bones)
