"""Extract a shot: start the solver, show how far it is, load what it made."""

from __future__ import annotations

import tempfile
import time
from pathlib import Path

import bpy

from .. import compat, jobs, preferences
from ..properties import QUALITY
from ..scene import take as scene_take
from ..solver.protocol import ShotError
from .base import absolute


class SHOT_OT_extract(bpy.types.Operator):
    bl_idname = "shot.extract"
    bl_label = "Extract Shot"
    bl_description = "Find the camera and the people of the clip, in the background. A take that was begun goes on"
    bl_options = {"UNDO"}

    filepath: bpy.props.StringProperty(
        name="Clip", description="Choose a movie, or a picture of a sequence", subtype="FILE_PATH", options=compat.PATH
    )
    take_dir: bpy.props.StringProperty(
        name="Take", description="Choose the folder for the result", subtype="DIR_PATH", options=compat.PATH
    )
    quality: bpy.props.EnumProperty(
        name="Quality", description="Choose how thoroughly to solve", items=QUALITY, default="final"
    )
    max_height: bpy.props.IntProperty(
        name="Max Height", description="Solve at no more than this height. 0: as filmed", min=0
    )
    focal_mm: bpy.props.FloatProperty(
        name="Lens", description="Set the focal length if it is known. 0: find it", min=0.0
    )
    cut: bpy.props.IntProperty(
        name="Cut", description="Choose the piece between hard cuts. -1: the longest", default=-1, min=-1
    )
    frame_range: bpy.props.StringProperty(name="Range", description="Solve only these frames of the clip, as in 0-71")
    plate: bpy.props.BoolProperty(name="Clean Plate", description="Build the background without people", default=True)
    restart: bpy.props.BoolProperty(name="Restart", description="Forget what was finished before", default=False)
    load: bpy.props.BoolProperty(name="Load Take", description="Bring the result into the scene", default=True)
    match_scene: bpy.props.BoolProperty(
        name="Match Scene to Shot",
        description="Give this scene the size, frame rate and range of the shot",
        default=False,
    )

    _timer = None
    _job = None

    @classmethod
    def poll(cls, context):
        if jobs.current is not None and jobs.current.running:
            cls.poll_message_set("A shot is being extracted")
            return False
        return True

    # -- the two front doors

    def execute(self, context):
        """Blocks until the solver is done: for scripts and for Blender without a window."""
        try:
            self._start(context)
        except ShotError as error:
            return self._refuse(context, error)
        try:
            while self._job.running:
                self._listen(context)
                time.sleep(0.05)
        except KeyboardInterrupt:
            self._job.stop()
            while self._job.running:
                self._listen(context)
                time.sleep(0.05)
        return self._quit(context)

    def invoke(self, context, event):
        if bpy.app.background:
            return self.execute(context)
        try:
            self._start(context)
        except ShotError as error:
            return self._refuse(context, error)
        self._timer = context.window_manager.event_timer_add(0.1, window=context.window)
        context.window_manager.modal_handler_add(self)
        return {"RUNNING_MODAL"}

    def modal(self, context, event):
        if event.type == "ESC" and event.value == "PRESS" and self._job.state == jobs.RUNNING:
            self._job.stop()
            context.window_manager.reshoot_job.status = jobs.STOPPING
            _redraw(context)
            return {"RUNNING_MODAL"}
        if event.type != "TIMER":
            return {"PASS_THROUGH"}
        self._listen(context)
        if self._job.running:
            return {"PASS_THROUGH"}
        return self._quit(context)

    # -- the steps of both

    def _start(self, context):
        clip = absolute(self.filepath or context.scene.reshoot.filepath, "clip")
        if not clip.exists():
            raise ShotError(f"{clip} was not found.", "Choose another clip.")
        take = absolute(self.take_dir, "take") if self.take_dir else clip.with_name(clip.stem + "_take")
        command = jobs.extract_command(
            preferences.solver_python(context),
            clip,
            take,
            quality=self.quality,
            max_height=self.max_height or None,
            focal_mm=self.focal_mm or None,
            cut=self.cut if self.cut >= 0 else None,
            range=self.frame_range or None,
            smpl=preferences.smpl_folder(context),
            no_plate=not self.plate,
            restart=self.restart,
        )
        log = Path(tempfile.gettempdir()) / f"reshoot-{take.name}.log"
        try:
            self._job = jobs.current = jobs.Job(command, log)
        except OSError as error:
            raise ShotError(
                f"The solver cannot be started: {error}.", "Check the solver in Reshoot's preferences."
            ) from error
        state = context.window_manager.reshoot_job
        state.status = jobs.RUNNING
        state.stage, state.text, state.fraction = "Starting", "", 0.0
        state.message = state.fix = state.warnings = ""
        state.take = str(take)

    def _listen(self, context):
        state = context.window_manager.reshoot_job
        news = self._job.poll()
        for message in news:
            if isinstance(message, jobs.Progress):
                state.stage = message.stage.replace("_", " ").capitalize()
                state.fraction = min(message.done / message.total, 1.0)
                state.text = f"{message.done}/{message.total} {message.text}".rstrip()
                left = self._job.seconds_left(message)
                if left is not None:
                    state.text += f" · {_in_words(left)} left"
            elif isinstance(message, jobs.Warned):
                state.warnings = "\n".join(self._job.warnings)
        if news:
            _redraw(context)

    def _refuse(self, context, error):
        state = context.window_manager.reshoot_job
        state.status, state.message, state.fix = jobs.FAILED, error.message, error.fix
        self.report({"ERROR"}, str(error))
        return {"CANCELLED"}

    def _quit(self, context):
        """The one way out: timer gone, state written, the take loaded or the reason told."""
        if self._timer is not None:
            context.window_manager.event_timer_remove(self._timer)
            self._timer = None
        job, state = self._job, context.window_manager.reshoot_job
        jobs.current = None
        state.status = job.state
        _redraw(context)
        if job.state == jobs.CANCELLED:
            state.message = "Extraction was cancelled; Extract Shot goes on from there."
            self.report({"WARNING"}, state.message)
            return {"CANCELLED"}
        if job.state == jobs.FAILED:
            return self._refuse(context, ShotError(job.error.message, job.error.fix))
        for warning in job.warnings:
            self.report({"WARNING"}, warning)
        if not self.load:
            self.report({"INFO"}, f"The take is {job.take}")
            return {"FINISHED"}
        try:
            if context.mode != "OBJECT":
                raise ShotError(f"The take is ready in {job.take}.", "Go to Object Mode and use Load Take.")
            loaded = scene_take.load(
                context.scene, job.take, match_scene=self.match_scene, smpl_folder=preferences.smpl_folder(context)
            )
        except ShotError as error:
            return self._refuse(context, error)
        context.scene.reshoot.take = loaded.collection
        for warning in loaded.warnings:
            self.report({"WARNING"}, warning)
        self.report({"INFO"}, f"Loaded {loaded.collection.name} with {len(loaded.armatures)} people")
        return {"FINISHED"}


def _in_words(seconds: float) -> str:
    return f"{seconds:.0f} s" if seconds < 90 else f"{seconds / 60:.0f} min"


def _redraw(context):
    for window in context.window_manager.windows:
        for area in window.screen.areas:
            if area.type == "VIEW_3D":
                area.tag_redraw()


CLASSES = (SHOT_OT_extract,)
