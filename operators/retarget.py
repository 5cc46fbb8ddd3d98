"""Move a character as a person of the take moves."""

from __future__ import annotations

import bpy
import numpy as np

from ..retarget import load_track
from ..scene import actions, rig_maps
from ..scene import take as scene_take
from ..solver.protocol import ShotError
from ..translations import say
from .base import (
    ShotOperator,
    absolute,
    chosen_take,
    has_character,
    has_take,
    object_called,
    path_once,
    take_name,
    text_once,
)


class RetargetOptions:
    """Mix-in: how a character moves, whoever it is."""

    path: bpy.props.EnumProperty(
        name="Path",
        description="Choose where the character walks",
        items=(
            ("AUTO", "As Fits", "Stand where the person did, unless the legs differ by more than a quarter"),
            ("KEEP", "Where the Person Walked", "Stand where the person did, and step as the legs reach"),
            ("SCALE", "Scaled to the Character", "Make the path as much shorter or longer as the character's legs are"),
        ),
    )
    keep_feet: bpy.props.BoolProperty(
        name="Keep Feet on Floor", description="Keep feet that touch the floor from sliding and sinking", default=True
    )
    hide_person: bpy.props.BoolProperty(
        name="Hide Person", description="Hide the solved bones and body, which the character now stands for", default=True
    )

    def move(self, context, armature, person: int, collection):
        """Retarget a person of a loaded take. Returns a line for the artist, and warnings. Raises ShotError."""
        if armature in collection.all_objects[:]:
            raise ShotError("This armature is a solved person of the take itself.", "Choose your character's armature.")
        root = scene_take.part(collection, "world")
        world = np.array(root.matrix_world) if root else None
        start = int(collection[scene_take.START_KEY])
        said = self.give(context, armature, person, scene_take.folder_of(collection), start, world, collection.name)
        solved = scene_take.person_of(collection, person)
        if self.hide_person and solved is not None:
            scene_take.show(solved, False)
        return said

    def give(self, context, armature, person: int, folder, start: int, world, label: str):
        """Give an armature the motion of a person of a take folder. Returns a line for the artist, and warnings. Raises ShotError."""
        track = load_track(folder, person)
        scale_path = {"AUTO": None, "KEEP": False, "SCALE": True}[self.path]
        chosen = chosen_bones(context.scene.reshoot, armature)
        mapping = rig_maps.checked(actions.read_rig(armature, world), chosen) if chosen else None
        name = f"{label} Person {person} on {armature.name}"
        action, motion, _, mapping = actions.retarget(
            armature, track, start, scale_path, self.keep_feet, world, name, mapping
        )
        said = say("{name} now moves as person {number}, in the action {action}", name=armature.name, number=person, action=action.name)
        warnings = []
        if motion.legs_differ and self.path != "SCALE":
            legs = f"{armature.name}'s legs are {motion.leg_ratio:.2g} times as long as the person's"
            warnings.append(
                f"{legs}, so the path was scaled to them: it no longer stands where the person stood."
                if motion.path_scaled
                else f"{legs} and bend to step where the person stepped: try the path Scaled to the Character."
            )
        lacking = [rig_maps.words(part) for part in ("head", "toes.L", "toes.R") if part not in mapping.bones]
        if lacking and mapping.source != "rigify_controls":
            warnings.append(
                f"Not found on {armature.name}, and so not moved: {', '.join(lacking)}. Bones in the Retarget panel corrects that."
            )
        if mapping.source == "structure":
            warnings.append(
                f"The bones of {armature.name} were told apart by their shape, not by name: look the result over."
            )
        if self.keep_feet and not all(f"foot.{side}" in mapping.bones for side in "LR"):
            warnings.append(f"No feet were found on {armature.name}, so they are not kept on the floor.")
        return said, warnings


class SHOT_OT_retarget(RetargetOptions, ShotOperator, bpy.types.Operator):
    bl_idname = "shot.retarget"
    bl_label = "Retarget"
    bl_description = "Give a character the motion of a person of the take, as a new action"
    bl_options = {"REGISTER", "UNDO"}

    person: bpy.props.IntProperty(
        name="Person", description="Choose the person of the take, by number", default=1, min=1
    )
    armature: text_once("Rig", "Name the character's armature. Empty: the active object")
    take: take_name()
    take_dir: path_once("Take Folder", "Read this take folder instead of one that is loaded", "DIR_PATH")
    frame_start: bpy.props.IntProperty(
        name="Start Frame", description="Set the frame on which a take read from a folder starts", default=1
    )

    needs = (has_character,)

    def run(self, context):
        armature = character(context, self.armature)
        if self.take_dir:
            folder = absolute(self.take_dir, "take folder")
            return self.give(context, armature, self.person, folder, self.frame_start, None, "Take")
        return self.move(context, armature, self.person, chosen_take(context, self.take))


class SHOT_OT_retarget_all(RetargetOptions, ShotOperator, bpy.types.Operator):
    bl_idname = "shot.retarget_all"
    bl_label = "Retarget All"
    bl_description = "Give each character that was chosen for a person of the take the motion of that person"
    bl_options = {"REGISTER", "UNDO"}

    take: take_name()

    needs = (has_take, has_character)

    def run(self, context):
        collection = chosen_take(context, self.take)
        pairs = [(p[scene_take.PERSON_KEY], p.reshoot.character) for p in scene_take.persons(collection)]
        pairs = [(person, rig) for person, rig in pairs if rig is not None]
        if not pairs:
            raise ShotError("No character is chosen for anybody.", "Choose one for each person in the Retarget panel.")
        for person, rig in pairs:
            others = [other for other, theirs in pairs if theirs == rig and other != person]
            if others:
                raise ShotError(
                    f"{rig.name} is chosen for person {person} and person {others[0]}.", "Choose another character for one of them."
                )
        moved, warnings = [], []
        for person, rig in pairs:
            try:
                warnings += self.move(context, character(context, rig.name), person, collection)[1]
                moved.append(rig.name)
            except ShotError as error:
                warnings.append(f"Person {person}: {error}")
        if not moved:
            raise ShotError(" ".join(warnings))
        return say("{names} now move as the people of {take}", names=", ".join(moved), take=collection.name), warnings


def chosen_bones(settings, armature) -> dict[str, str] | None:
    """Part → bone name of the table in the panel; None where it is not of this armature."""
    if settings.bones_of != armature.name or not len(settings.bones):
        return None
    return {row.name: row.bone for row in settings.bones if row.bone}


def character(context, name: str = ""):
    """The armature object of that name, else of the active object: itself, or what deforms this mesh. Raises ShotError."""
    if name:
        armature = object_called(name, "ARMATURE", "armature")
    else:
        armature = context.object
        if armature is not None and armature.type == "MESH":
            armature = armature.find_armature()
        if armature is None or armature.type != "ARMATURE":
            raise ShotError("No character is chosen.", "Choose its armature in the Retarget panel.")
    if armature.library is not None:
        raise ShotError(f"{armature.name} is linked from another file.", "Make a library override, or append it.")
    if armature.mode == "EDIT":
        raise ShotError(f"{armature.name} is in Edit Mode.", "Leave Edit Mode first.")
    return armature


CLASSES = (SHOT_OT_retarget, SHOT_OT_retarget_all)
