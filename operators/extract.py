"""Extract a shot: start the solver, load what it made."""

from __future__ import annotations

from functools import partial

import bpy

from .. import preferences
from ..properties import CAMERA_KINDS, QUALITY
from ..scene import take as scene_take
from ..solver.protocol import ShotError
from ..translations import say
from .base import absolute, absolute_list, how_many, path_once, take_beside, text_once
from .solve import Plan, SolverRun


class SHOT_OT_extract(SolverRun, bpy.types.Operator):
    bl_idname = "shot.extract"
    bl_label = "Extract Shot"
    bl_description = "Find the camera and the people of the clip, in the background. A take that was begun goes on"

    filepath: path_once("Clip", "Choose a movie, or a picture of a sequence")
    take_dir: path_once("Take", "Choose the folder for the result", "DIR_PATH")
    quality: bpy.props.EnumProperty(
        name="Quality", description="Choose how thoroughly to solve", items=QUALITY, default="final"
    )
    camera_kind: bpy.props.EnumProperty(
        name="Camera", description="Say what the camera does, where you know it", items=CAMERA_KINDS, default="found"
    )
    max_height: bpy.props.IntProperty(
        name="Max Height",
        description="Solve at no more than this height. Not given: as filmed",
        default=720,
        min=64,
        options={"SKIP_SAVE"},
    )
    focal_mm: bpy.props.FloatProperty(
        name="Lens",
        description="Set the focal length if it is known. Not given: it is found",
        default=35.0,
        min=4.0,
        options={"SKIP_SAVE"},
    )
    cut: bpy.props.IntProperty(
        name="Cut",
        description="Choose the piece between hard cuts, from 0. Not given: the longest",
        min=0,
        options={"SKIP_SAVE"},
    )
    cuts: text_once("Cuts", "Say where the clip is cut: none, or the frames that begin a piece, as in 24, 80. Not given: found")
    frame_range: text_once("Range", "Solve only these frames of the clip, as in 0-71")
    people: path_once("People", "Take the people from files of other programs. Several are parted by semicolons")
    masks: path_once("Masks", "Take the people's masks from this folder", "DIR_PATH")
    joints: path_once("Joints", "Take the joints in the picture from this file")
    known_camera: path_once("Camera", "Take the camera from this file")
    plate: bpy.props.BoolProperty(name="Clean Plate", description="Build the background without people", default=True)
    restart: bpy.props.BoolProperty(
        name="Restart", description="Forget what was finished before", default=False, options={"SKIP_SAVE"}
    )
    load: bpy.props.BoolProperty(
        name="Load Take", description="Bring the result into the scene", default=True, options={"SKIP_SAVE"}
    )
    match_scene: bpy.props.BoolProperty(
        name="Match Scene to Shot",
        description="Give this scene the size, frame rate and range of the shot",
        default=False,
    )

    def _if_given(self, name):
        """A setting that the caller gave, or None: no number stands for what is found out."""
        return getattr(self, name) if self.properties.is_property_set(name) else None

    def plan(self, context):
        clip = absolute(self.filepath or context.scene.reshoot.filepath, "clip")
        if not clip.exists():
            raise ShotError(f"{clip} was not found.", "Choose another clip.")
        take = absolute(self.take_dir, "take") if self.take_dir else take_beside(clip)
        options = {
            "source": str(clip),
            "quality": self.quality,
            "camera_kind": None if self.camera_kind == "found" else self.camera_kind,
            **{name: self._if_given(name) for name in ("max_height", "focal_mm", "cut")},
            "cuts": self.cuts.replace(" ", "") or None,
            "range": self.frame_range or None,
            "people": absolute_list(self.people, "people file") or None,
            "masks": _given(self.masks, "folder of masks"),
            "joints": _given(self.joints, "joints file"),
            "camera": _given(self.known_camera, "camera file"),
            "smpl": preferences.smpl_folder(context),
            "plate": self.plate,
            "inpainter": preferences.inpainter(context) if self.plate else None,
            "restart": self.restart,
        }
        return Plan(take, options, partial(_load, match_scene=self.match_scene) if self.load else _leave)


def _load(context, done, match_scene):
    if context.mode != "OBJECT":
        raise ShotError(f"The take is ready in {done.take}.", "Go to Object Mode and use Load Take.")
    smpl_folder = preferences.smpl_folder(context)
    loaded = scene_take.load(context.scene, done.take, match_scene=match_scene, smpl_folder=smpl_folder)
    context.scene.reshoot.take = loaded.collection
    return say("Loaded {name} with {people}", name=loaded.collection.name, people=how_many(len(loaded.armatures))), loaded.warnings


def _leave(context, done):
    return say("The take is {path}", path=done.take), []


def _given(path: str, what: str):
    """An absolute path of something that is there, or None for no path. Raises ShotError."""
    return absolute_list(path, what)[0] if path.strip() else None


CLASSES = (SHOT_OT_extract,)
