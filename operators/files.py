"""Small things: choose a clip (also by dropping it), cancel, look through the film camera, open the report."""

from __future__ import annotations

from pathlib import Path

import bpy

from .. import jobs
from ..scene import take as scene_take
from ..solver.protocol import ShotError
from ..translations import say
from . import solve
from .base import ShotOperator, chosen_take, has_take, path_once

MOVIES = ".mp4;.mov;.mkv;.avi;.webm;.m4v;.mxf;.mpg;.mpeg;.mts;.m2ts"


class SHOT_OT_choose_clip(ShotOperator, bpy.types.Operator):
    bl_idname = "shot.choose_clip"
    bl_label = "Use as Reshoot Clip"
    bl_description = "Make this movie the clip of the Shot panel"
    bl_options = {"REGISTER", "UNDO"}

    filepath: path_once("Clip", "Choose the movie")

    def invoke(self, context, event):
        space = context.space_data
        if space is not None and space.type == "VIEW_3D":
            space.show_region_ui = True
        return self.execute(context)

    def run(self, context):
        path = Path(bpy.path.abspath(self.filepath))
        if not path.exists():
            raise ShotError(f"{path} was not found.", "Choose another clip.")
        settings = context.scene.reshoot
        settings.filepath = self.filepath
        settings.take_dir = ""
        return say("{name} is ready: press Extract Shot in the Reshoot tab", name=path.name)


class SHOT_FH_movie(bpy.types.FileHandler):
    bl_idname = "SHOT_FH_movie"
    bl_label = "Reshoot Clip"
    bl_import_operator = "shot.choose_clip"
    bl_file_extensions = MOVIES

    @classmethod
    def poll_drop(cls, context):
        return context.area is not None and context.area.type == "VIEW_3D"


class SHOT_OT_cancel(bpy.types.Operator):
    bl_idname = "shot.cancel"
    bl_label = "Cancel Extraction"
    bl_description = "Stop the solver and keep the stages that are finished"

    @classmethod
    def poll(cls, context):
        if solve.current is None or solve.current.job.state != jobs.RUNNING:
            cls.poll_message_set("No shot is being extracted")
            return False
        return True

    def invoke(self, context, event):
        if event.type == "ESC" and context.screen.is_animation_playing:
            return {"PASS_THROUGH"}  # this Esc is meant for the playback
        return self.execute(context)

    def execute(self, context):
        solve.stop(context)
        return {"FINISHED"}


class SHOT_OT_view_camera(ShotOperator, bpy.types.Operator):
    bl_idname = "shot.view_camera"
    bl_label = "View Through Film Camera"
    bl_description = "Make the take's camera the camera of this scene, and look through it"
    bl_options = {"REGISTER", "UNDO"}

    needs = (has_take,)

    def run(self, context):
        camera = scene_take.part(chosen_take(context), "camera")
        if camera is None or camera.name not in context.scene.objects:
            raise ShotError("The camera of the take is not in this scene.", "Go to the scene into which the take was loaded.")
        context.scene.camera = camera
        if context.area is not None and context.area.type == "VIEW_3D":
            context.space_data.region_3d.view_perspective = "CAMERA"
        return say("You look through {name}", name=camera.name)


class SHOT_OT_open_report(ShotOperator, bpy.types.Operator):
    bl_idname = "shot.open_report"
    bl_label = "Open Report"
    bl_description = "Show the report of the take in the web browser"

    needs = (has_take,)

    def run(self, context):
        report = scene_take.folder_of(chosen_take(context)) / "report.html"
        if not report.exists():
            raise ShotError("This take has no report.", "Run Extract Shot to the end.")
        if not bpy.app.background:
            bpy.ops.wm.url_open(url=report.as_uri())
        return say("The report is {path}", path=report)


CLASSES = (SHOT_OT_choose_clip, SHOT_FH_movie, SHOT_OT_cancel, SHOT_OT_view_camera, SHOT_OT_open_report)
