"""Which frames of the clip are solved: a piece between its cuts, or the range of the scene."""

from __future__ import annotations

import bpy

from ..scene import plate
from ..solver.protocol import ShotError
from ..translations import say
from .base import ShotOperator, absolute
from .solve import Plan, SolverRun


class SHOT_OT_find_cuts(SolverRun, bpy.types.Operator):
    bl_idname = "shot.find_cuts"
    bl_label = "Find Cuts"
    bl_description = "Look in the background for where the clip is cut, and list the pieces in between to choose from"

    def plan(self, context):
        settings = context.scene.reshoot
        clip = absolute(settings.filepath, "clip")
        if not clip.exists():
            raise ShotError(f"{clip} was not found.", "Choose another clip.")
        told = settings.cuts.replace(" ", "")
        return Plan(clip, {}, _found, words=("cuts", str(clip), *(("--cuts", told) if told else ())), looks=True)


def _found(context, done):
    settings = context.scene.reshoot
    if str(absolute(settings.filepath, "clip")) != done.take:
        return say("Another clip was chosen meanwhile: press Find Cuts again"), []
    settings.pieces.clear()
    for first, last in done.pieces:
        piece = settings.pieces.add()
        piece.first, piece.last = first, last
    lengths = [last - first for first, last in done.pieces]
    settings.piece = lengths.index(max(lengths))
    if len(lengths) == 1:
        return say("The clip has no cuts"), []
    return say("{count} pieces were found; the longest is chosen", count=len(lengths)), []


class SHOT_OT_use_scene_range(ShotOperator, bpy.types.Operator):
    bl_idname = "shot.use_scene_range"
    bl_label = "Use Scene Range"
    bl_description = "Solve the frames that the scene plays, its frame 1 being the clip's first picture"
    bl_options = {"REGISTER", "UNDO"}

    def run(self, context):
        scene, settings = context.scene, context.scene.reshoot
        count = plate.facts(absolute(settings.filepath, "clip")).frames
        first, last = (scene.frame_preview_start, scene.frame_preview_end) if scene.use_preview_range else (scene.frame_start, scene.frame_end)
        first, last = max(first - 1, 0), min(last, count) - 1
        if first > last:
            raise ShotError("The clip has no frames in the range of the scene.", f"Give the scene a range within 1 to {count}.")
        settings.use_range, settings.first_frame, settings.last_frame = True, first, last
        return say("Frames {first} to {last} of the clip are solved", first=first, last=last)


CLASSES = (SHOT_OT_find_cuts, SHOT_OT_use_scene_range)
