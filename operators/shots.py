"""Many shots: a list of clips, kept with the scene, that the solver works through as one batch (docs/batch.md)."""

from __future__ import annotations

import json
import re
from pathlib import Path

import bpy

from .. import compat, preferences
from ..scene import batch, paths
from ..solver.protocol import ShotError
from ..solver.records import save_text
from ..translations import say
from .base import ShotOperator, absolute, redraw
from .files import MOVIES
from .solve import Plan, SolverRun, idle


class ReshootShot(bpy.types.PropertyGroup):
    """A clip of the list. `name` is that of its take, or what the names of its pieces begin with."""

    clip: bpy.props.StringProperty(name="Clip", description="Choose the movie", subtype="FILE_PATH", options=compat.PATH)
    frame_range: bpy.props.StringProperty(
        name="Range", description="Solve only these frames of the clip, as in 0-71. Empty: every shot between its cuts"
    )


class ReshootShots(bpy.types.PropertyGroup):
    """The shot list of a scene."""

    clips: bpy.props.CollectionProperty(type=ReshootShot)
    active: bpy.props.IntProperty(name="Clip", description="Choose a clip of the list")
    folder: bpy.props.StringProperty(
        name="Folder", description="Choose the folder for all takes and their index", subtype="DIR_PATH", options=compat.PATH
    )


def _listed(cls, context) -> bool:
    """Poll: there is a clip in the list."""
    if context.scene.reshoot_shots.clips:
        return True
    cls.poll_message_set("Add clips to the shot list first")
    return False


class SHOT_OT_add_clips(ShotOperator, bpy.types.Operator):
    bl_idname = "shot.add_clips"
    bl_label = "Add Clips…"
    bl_description = "Put movies into the shot list. Each becomes a take for every shot between its cuts"
    bl_options = {"REGISTER", "UNDO"}

    directory: bpy.props.StringProperty(subtype="DIR_PATH", options={"HIDDEN", "SKIP_SAVE"})
    files: bpy.props.CollectionProperty(type=bpy.types.OperatorFileListElement, options={"HIDDEN", "SKIP_SAVE"})
    filter_glob: bpy.props.StringProperty(default=";".join(f"*{end}" for end in MOVIES.split(";")), options={"HIDDEN"})

    def invoke(self, context, event):
        context.window_manager.fileselect_add(self)
        return {"RUNNING_MODAL"}

    def run(self, context):
        names = [file.name for file in self.files if file.name]
        if not names:
            raise ShotError("No clip is chosen.", "Choose one or more movies.")
        for name in names:
            _add(context, absolute(str(Path(self.directory) / name), "clip"))
        return say("{count} clips are in the shot list", count=len(names))


class SHOT_OT_add_strips(ShotOperator, bpy.types.Operator):
    bl_idname = "shot.add_strips"
    bl_label = "Add Strips"
    bl_description = "Put the movie strips of the sequencer into the shot list: the selected ones, or all. Each is a shot"
    bl_options = {"REGISTER", "UNDO"}

    @classmethod
    def poll(cls, context):
        if compat.strips(context.scene):
            return True
        cls.poll_message_set("The sequencer of this scene is empty")
        return False

    def run(self, context):
        movies = sorted((s for s in compat.strips(context.scene) if s.type == "MOVIE"), key=lambda s: (s.frame_final_start, s.channel))
        movies = [strip for strip in movies if strip.select] or movies
        if not movies:
            raise ShotError("There are no movie strips in the sequencer.", "Add a movie, and cut it where its shots are.")
        for strip in movies:
            first = int(strip.frame_offset_start + strip.animation_offset_start)
            _add(context, absolute(strip.filepath, "clip"), f"{first}-{first + strip.frame_final_duration - 1}", strip.name)
        return say("{count} strips are in the shot list", count=len(movies))


class SHOT_OT_remove_clip(ShotOperator, bpy.types.Operator):
    bl_idname = "shot.remove_clip"
    bl_label = "Remove Clip"
    bl_description = "Take the chosen clip out of the list. Its takes stay on disk"
    bl_options = {"REGISTER", "UNDO"}

    needs = (_listed,)

    def run(self, context):
        shots = context.scene.reshoot_shots
        name = shots.clips[shots.active].name
        shots.clips.remove(shots.active)
        shots.active = max(0, min(shots.active, len(shots.clips) - 1))
        return say("{name} is out of the list", name=name)


class SHOT_OT_extract_shots(SolverRun, bpy.types.Operator):
    bl_idname = "shot.extract_shots"
    bl_label = "Extract All"
    bl_description = "Find the camera and the people of every clip of the list, in the background. What is finished is left alone"

    needs = (_listed, idle)

    def plan(self, context):
        shots, settings = context.scene.reshoot_shots, context.scene.reshoot
        folder = absolute(shots.folder, "folder for the takes")
        listed = []
        for item in shots.clips:
            listed.append({"clip": str(absolute(item.clip, "clip")), "name": item.name})
            if item.frame_range.strip():
                listed[-1] |= {"range": item.frame_range.strip(), "cuts": "none"}
        try:
            folder.mkdir(parents=True, exist_ok=True)
            save_text(folder / batch.LIST, json.dumps({"shots": listed}, indent=1))
        except OSError as error:
            raise ShotError(f"Nothing can be written in {folder}.", "Choose a folder that you may write to.") from error
        words = ["batch", str(folder / batch.LIST), "--out", str(folder), "--quality", settings.quality]
        words += ["--max-height", str(settings.max_height)] * settings.use_max_height + ["--no-plate"] * (not settings.plate)
        smpl = preferences.smpl_folder(context)
        words += ["--smpl", str(smpl)] if smpl else []
        return Plan(folder, {}, _solved, words=tuple(words))


def _solved(context, done):
    rows = [row for rows in batch.rows(Path(done.take)).values() for row in rows]
    return say("{count} shots are solved in {path}", count=len(rows), path=done.take), []


def _add(context, clip: Path, frame_range="", name="") -> None:
    """A clip at the end of the list, under a name that no other has."""
    shots = context.scene.reshoot_shots
    wanted = re.sub(r"\W+", "_", name or clip.stem).strip("_") or "shot"
    taken, number, name = {item.name.lower() for item in shots.clips}, 2, wanted
    while name.lower() in taken:
        name, number = f"{wanted}_{number}", number + 1
    item = shots.clips.add()
    item.name, item.clip, item.frame_range = name, paths.kept(clip), frame_range
    if not shots.folder:
        shots.folder = paths.kept(clip.parent / "takes")
    shots.active = len(shots.clips) - 1
    redraw(context)


CLASSES = (
    ReshootShot,
    ReshootShots,
    SHOT_OT_add_clips,
    SHOT_OT_add_strips,
    SHOT_OT_remove_clip,
    SHOT_OT_extract_shots,
)
