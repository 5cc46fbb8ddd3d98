"""A run of the solver: start it, show how far it is, take its result. Shared by what starts one."""

from __future__ import annotations

import tempfile
import time
from pathlib import Path

import bpy

from .. import jobs, preferences, previews
from ..solver.protocol import ShotError
from .base import redraw


class SolverRun:
    """Mix-in of operators. `plan(context)` gives the take folder and the solver's options, `done(context, job)` takes the result.

    Options are the long flags of `extract` with `source` for the clip; plan may raise ShotError, and so may done, which
    returns (a line for the artist, warnings).
    """

    _timer = None
    _job = None
    _take = None
    _options = None

    @classmethod
    def poll(cls, context):
        return idle(cls)

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
            redraw(context)
            return {"RUNNING_MODAL"}
        if event.type != "TIMER":
            return {"PASS_THROUGH"}
        self._listen(context)
        if self._job.running:
            return {"PASS_THROUGH"}
        return self._quit(context)

    # -- the steps of both

    def _start(self, context):
        self._take, self._options = self.plan(context)
        flags = {name: value for name, value in self._options.items() if name not in ("source", "plate")}
        command = jobs.extract_command(
            preferences.solver_python(context),
            self._options["source"],
            self._take,
            **flags,
            no_plate=not self._options["plate"],
        )
        log = Path(tempfile.gettempdir()) / f"reshoot-{self._take.name}.log"
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
        state.take = str(self._take)

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
                if message.picture:
                    previews.show(message.picture)
            elif isinstance(message, jobs.Warned):
                state.warnings = "\n".join(self._job.warnings)
        if news:
            redraw(context)

    def _refuse(self, context, error):
        state = context.window_manager.reshoot_job
        state.status, state.message, state.fix = jobs.FAILED, error.message, error.fix
        self.report({"ERROR"}, str(error))
        return {"CANCELLED"}

    def _quit(self, context):
        """The one way out: timer gone, state written, the result taken or the reason told."""
        if self._timer is not None:
            context.window_manager.event_timer_remove(self._timer)
            self._timer = None
        job, state = self._job, context.window_manager.reshoot_job
        jobs.current = None
        previews.clear()
        state.status = job.state
        redraw(context)
        if job.state == jobs.CANCELLED:
            state.unfinished = self.bl_label
            state.message = f"Extraction was cancelled; {self.bl_label} goes on from there."
            self.report({"WARNING"}, state.message)
            return {"CANCELLED"}
        if job.state == jobs.FAILED:
            return self._refuse(context, ShotError(job.error.message, job.error.fix))
        for warning in job.warnings:
            self.report({"WARNING"}, warning)
        try:
            said, warnings = self.done(context, job)
        except ShotError as error:
            return self._refuse(context, error)
        for warning in warnings:
            self.report({"WARNING"}, warning)
        self.report({"INFO"}, said)
        return {"FINISHED"}


def idle(cls) -> bool:
    """Poll: no run is under way."""
    if jobs.current is not None and jobs.current.running:
        cls.poll_message_set("A shot is being extracted")
        return False
    return True


def _in_words(seconds: float) -> str:
    return f"{seconds:.0f} s" if seconds < 90 else f"{seconds / 60:.0f} min"
