"""Correct a take: who is who, sizes, the lens, the ground. Each correction is written into the take; Solve Again applies them."""

from __future__ import annotations

import bpy

from ..scene import take as scene_take
from ..solver import corrections
from ..solver.take import Take
from .base import ShotOperator, chosen_take, has_take, redraw, take_name
from .solve import idle


class Correction(ShotOperator):
    """Mix-in. `values(first_frame)` gives what the correction `do` says; first_frame is the Blender frame of the take's first."""

    do = ""

    take: take_name()

    needs = (has_take, idle)

    def values(self, first_frame):
        return {}

    def correct(self, take, first_frame):
        """Write the correction. Returns it, and what is put before its description."""
        return corrections.correct(take, self.do, first_frame, **self.values(first_frame)), ""

    def run(self, context):
        collection = chosen_take(context, self.take)
        take = Take(scene_take.folder_of(collection))
        first = int(collection[scene_take.START_KEY])
        item, before = self.correct(take, first)
        redraw(context)
        return f"{before}{corrections.describe(item, first)} Solve Again goes on {corrections.goes_on(item)}"


def person_number(name="Person", description="Choose the person of the take, by number", default=1):
    return bpy.props.IntProperty(name=name, description=description, default=default, min=1, max=255)


class SHOT_OT_merge_people(Correction, bpy.types.Operator):
    bl_idname = "shot.merge_people"
    bl_label = "Merge"
    bl_description = "Say that two numbers are one person, who keeps the first"

    do = "merge"
    person: person_number()
    other: person_number("Other", "Choose the number that is the same person", 2)

    def values(self, first_frame):
        return {"keep": self.person, "other": self.other}


class SHOT_OT_swap_people(Correction, bpy.types.Operator):
    bl_idname = "shot.swap_people"
    bl_label = "Swap"
    bl_description = "Let two people change numbers from a frame on"

    do = "swap"
    person: person_number()
    other: person_number("Other", "Choose whom to swap with", 2)
    frame: bpy.props.IntProperty(name="From Frame", description="Swap from this frame of the scene on", default=1)

    def values(self, first_frame):
        return {"a": self.person, "b": self.other, "frame": self.frame - first_frame}


class SHOT_OT_split_person(Correction, bpy.types.Operator):
    bl_idname = "shot.split_person"
    bl_label = "Split"
    bl_description = "Say that a number is somebody else from a frame on, who gets a new number"

    do = "split"
    person: person_number()
    frame: bpy.props.IntProperty(name="From Frame", description="Split at this frame of the scene", default=1)

    def values(self, first_frame):
        return {"person": self.person, "frame": self.frame - first_frame}


class SHOT_OT_delete_person(Correction, bpy.types.Operator):
    bl_idname = "shot.delete_person"
    bl_label = "Leave Out"
    bl_description = "Say that this is nobody to be solved"

    do = "delete"
    person: person_number()

    def values(self, first_frame):
        return {"person": self.person}


class SHOT_OT_add_person(Correction, bpy.types.Operator):
    bl_idname = "shot.add_person"
    bl_label = "Add"
    bl_description = "Follow somebody who was seen and left out, too"

    do = "add"
    seen: bpy.props.IntProperty(name="Number", description="Choose somebody who was left out, by number", default=1, min=1)

    def values(self, first_frame):
        return {"seen": self.seen}


class SHOT_OT_set_height(Correction, bpy.types.Operator):
    bl_idname = "shot.set_height"
    bl_label = "Set Height"
    bl_description = "Say how tall a person is, which also sets the size of the world"

    do = "height"
    person: person_number()
    metres: bpy.props.FloatProperty(
        name="Height", description="Set the height of the person", default=1.75, unit="LENGTH", precision=3
    )

    def values(self, first_frame):
        return {"person": self.person, "metres": round(self.metres, 4)}


class SHOT_OT_set_focal(Correction, bpy.types.Operator):
    bl_idname = "shot.set_focal"
    bl_label = "Set Lens"
    bl_description = "Say which focal length the film camera had, on a 36 mm wide sensor"

    do = "focal"
    mm: bpy.props.FloatProperty(name="Lens", description="Set the focal length", default=35.0, unit="CAMERA")

    def values(self, first_frame):
        return {"mm": round(self.mm, 4)}


class SHOT_OT_lock_ground(Correction, bpy.types.Operator):
    bl_idname = "shot.lock_ground"
    bl_label = "Lock Ground"
    bl_description = "Keep the ground where it was solved"

    do = "ground"


class SHOT_OT_unlock_ground(Correction, bpy.types.Operator):
    bl_idname = "shot.unlock_ground"
    bl_label = "Unlock Ground"
    bl_description = "Let the ground be solved again"

    do = "unlock"


class SHOT_OT_undo_correction(Correction, bpy.types.Operator):
    bl_idname = "shot.undo_correction"
    bl_label = "Undo Last Correction"
    bl_description = "Take the last correction of the take back"

    def correct(self, take, first_frame):
        return corrections.undo(take), "Undone: "


CLASSES = (
    SHOT_OT_merge_people,
    SHOT_OT_swap_people,
    SHOT_OT_split_person,
    SHOT_OT_delete_person,
    SHOT_OT_add_person,
    SHOT_OT_set_height,
    SHOT_OT_set_focal,
    SHOT_OT_lock_ground,
    SHOT_OT_unlock_ground,
    SHOT_OT_undo_correction,
)
