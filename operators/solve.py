"""A run of the solver: start it, show how far it is, take its result. Shared by what starts one.

A run belongs to Blender, neither to the operator that began it nor to a file: a persistent timer hears it, and files come and go.
"""

from __future__ import annotations

import contextlib
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import bpy

from .. import jobs, preferences, previews
from ..solver.protocol import ShotError
from ..translations import iface, say
from .base import Polled, redraw

TICK_S = 0.1
ESCAPE_KEYMAP = "3D View Generic"  # heard over every region of the 3D view, and nowhere else


@dataclass(frozen=True)
class Plan:
    """What is to be solved, and what becomes of it."""

    take: Path
    options: dict  # the long flags of `extract`, with `source` for the clip and `plate`
    finish: Callable  # (context, jobs.Result) -> a line for the artist, warnings; may raise ShotError
    words: tuple = ()  # of another command of the solver, which `take` then is the folder of, instead of options
    installs: bool = False  # these words are for Blender's own Python, bring the solver, and have to do with no file
    looks: bool = False  # these words only look at a clip: there is nothing to keep


@dataclass
class Run:
    """The run under way."""

    label: str  # of the button that began it
    plan: Plan
    job: jobs.Job
    scene: str  # name of the scene it was begun in
    blend: str  # file it was begun in; empty where it was never saved
    at_home: bool = True  # that file is still the open one
    stage: str = "Starting"
    text: str = ""
    fraction: float = 0.0


@dataclass(frozen=True)
class Outcome:
    """How a run ended, or why it did not begin."""

    status: str  # one of jobs.STATES
    message: str
    fix: str = ""
    warnings: tuple = ()
    ready: str = ""  # take folder that is solved but not in the scene
    button: str = ""  # operator that mends it


# There is one at a time.
current: Run | None = None


def idle(cls, _context) -> bool:
    """Poll: no run is under way."""
    if current is not None:
        cls.poll_message_set("A shot is being extracted")
        return False
    return True


class SolverRun(Polled):
    """Mix-in of operators with two front doors: `execute` blocks, `invoke` leaves the run to the timer.

    `plan(context)` gives the Plan and may raise ShotError.
    """

    needs = (idle,)

    def execute(self, context):
        """Blocks until the solver is done: for scripts and for Blender without a window."""
        try:
            begin(context, self.bl_label, self.plan(context))
        except ShotError as error:
            return self._tell(_refuse(context, error))
        try:
            self._wait(context)
        except KeyboardInterrupt:
            current.job.stop()
            self._wait(context)
        return self._tell(conclude(context))

    def invoke(self, context, event):
        if bpy.app.background:
            return self.execute(context)
        try:
            begin(context, self.bl_label, self.plan(context))
        except ShotError as error:
            return self._tell(_refuse(context, error))
        watch(context)
        return {"FINISHED"}

    def _wait(self, context):
        while current.job.running:
            hear(context)
            time.sleep(TICK_S / 2)

    def _tell(self, outcome: Outcome):
        if outcome.status == jobs.FAILED:
            self.report({"ERROR"}, f"{outcome.message} {outcome.fix}".strip())
            return {"CANCELLED"}
        if outcome.status == jobs.CANCELLED:
            self.report({"WARNING"}, outcome.message)
            return {"CANCELLED"}
        for warning in outcome.warnings:
            self.report({"WARNING"}, warning)
        self.report({"INFO"}, outcome.message)
        return {"FINISHED"}


# -- the steps of a run


def begin(context, label: str, plan: Plan) -> None:
    """Start the solver. Raises ShotError."""
    global current
    own = plan.installs
    command = _command(sys.executable if own else preferences.solver_python(context), plan)
    packages = "" if own else preferences.packages(context)
    try:
        job = jobs.Job(command, Path(tempfile.gettempdir()) / f"reshoot-{plan.take.name}.log", packages=packages)
    except OSError as error:
        raise preferences.SolverError(
            f"The solver cannot be started: {error}.", "Choose it in the preferences."
        ) from error
    current = Run(label, plan, job, context.scene.name, bpy.data.filepath)
    _show(context)


def _command(python, plan: Plan) -> list[str]:
    if plan.words:
        return jobs.command(python, plan.words)
    flags = {name: value for name, value in plan.options.items() if name not in ("source", "plate")}
    return jobs.extract_command(python, plan.options["source"], plan.take, **flags, no_plate=not plan.options["plate"])


def hear(context) -> None:
    """Take up what the solver said since the last call, and show it."""
    news = current.job.poll()
    for message in news:
        if isinstance(message, jobs.Progress):
            current.stage = message.stage.replace("_", " ").capitalize()
            current.fraction = min(message.done / message.total, 1.0)
            current.text = f"{message.done}/{message.total} {message.text}".rstrip()
            left = current.job.seconds_left(message)
            if left is not None:
                current.text += " · " + say("{time} left", time=_in_words(left))
            if message.picture:
                previews.show(message.picture)
    if news:
        _show(context)


def conclude(context) -> Outcome:
    """The one way out of a run: take the result or say why there is none. Everything is enabled again."""
    global current
    run, current = current, None
    _set_escape(context, False)
    previews.clear()
    job, warnings = run.job, tuple(run.job.warnings)
    if job.state == jobs.CANCELLED and run.plan.looks:
        outcome = Outcome(job.state, say("{what} was cancelled.", what=iface(run.label)), warnings=warnings)
    elif job.state == jobs.CANCELLED:
        what = iface(run.label if run.plan.installs else "Extraction")
        outcome = Outcome(job.state, say("{what} was cancelled; {label} goes on from there.", what=what, label=iface(run.label)), warnings=warnings)
        context.window_manager.reshoot_job.unfinished = run.label
    elif job.state == jobs.FAILED:
        button = "shot.setup_solver" if run.plan.installs else "" if run.plan.words else "shot.check_solver"
        outcome = Outcome(job.state, job.error.message, job.error.fix, warnings, button=button)
    elif not run.at_home and run.plan.looks:
        outcome = Outcome(job.state, say("{what} is done, but another file was opened meanwhile.", what=iface(run.label)))
    elif not run.at_home and not run.plan.installs:
        outcome = Outcome(
            job.state, say("The take is ready in {path}.", path=job.take), say("Another file was opened meanwhile."), warnings, job.take
        )
    else:
        try:
            said, more = run.plan.finish(context, job.result)
            outcome = Outcome(job.state, said, warnings=(*warnings, *more))
        except ShotError as error:
            outcome = Outcome(jobs.FAILED, error.message, error.fix, warnings, job.take, _button(error))
        except Exception:
            message = f"The take is ready in {job.take}, but it could not be put into this file."
            _put(context, Outcome(jobs.FAILED, message, "Blender's console says why.", warnings, job.take))
            raise
    return _put(context, outcome)


def stop(context) -> None:
    """Ask the solver to save and leave; the timer hears when it has."""
    current.job.stop()
    _show(context)


# -- the front door with a window: a timer of the application


def watch(context) -> None:
    """Leave the run to a timer that outlives operators and files."""
    _set_escape(context, True)
    bpy.app.timers.register(tick, first_interval=TICK_S, persistent=True)


def tick():
    """Timer: hear the solver, and take its result at the end. Returns seconds to the next call, or None for the last."""
    if current is None:
        return None
    try:
        hear(bpy.context)
    except Exception:
        abandon()  # Blender drops a timer that fails, and nobody would hear the solver
        raise
    if current.job.running:
        return TICK_S
    with _in_a_window(bpy.context, current.scene):
        label = current.label
        of_the_file = not current.plan.installs
        done = conclude(bpy.context).status == jobs.DONE
        if done and of_the_file and not bpy.app.background:
            bpy.ops.ed.undo_push(message=label)
    return None


@bpy.app.handlers.persistent
def before_load(*_):
    """A file is about to be closed: remember under which name, for it may be opened again."""
    if current is not None and current.at_home:
        current.blend = bpy.data.filepath


@bpy.app.handlers.persistent
def after_load(*_):
    """Another file is open: the window manager is new, so the run is shown again."""
    if current is not None:
        current.at_home = bool(current.blend) and current.blend == bpy.data.filepath
        _set_escape(bpy.context, True)
        _show(bpy.context)


def abandon() -> None:
    """Nobody will hear the run any more: end it at once."""
    global current
    if bpy.app.timers.is_registered(tick):
        bpy.app.timers.unregister(tick)
    if current is not None:
        _set_escape(bpy.context, False)
        current.job.kill()
        current = None
        bpy.context.window_manager.reshoot_job.status = jobs.IDLE
    previews.clear()


def _in_a_window(context, scene: str):
    """Override with a window, best one that shows the scene of this name: a timer has none of its own."""
    windows = sorted(context.window_manager.windows, key=lambda window: window.scene.name != scene)
    return context.temp_override(window=windows[0]) if windows else contextlib.nullcontext()


def _set_escape(context, on: bool) -> None:
    """Let Esc over a 3D view cancel the run, for as long as there is one. Without a window there are no keys."""
    config = context.window_manager.keyconfigs.addon
    if config is None:
        return
    items = config.keymaps.new(ESCAPE_KEYMAP, space_type="VIEW_3D").keymap_items
    for item in [item for item in items if item.idname == "shot.cancel"]:
        items.remove(item)
    if on:
        items.new("shot.cancel", "ESC", "PRESS")


# -- what the panels read


def _show(context) -> None:
    """Write the run's state to the window manager."""
    state = context.window_manager.reshoot_job
    state.status = current.job.state
    state.stage, state.text, state.fraction = current.stage, current.text, current.fraction
    state.message = state.fix = state.ready = state.button = ""
    state.warnings = "\n".join(current.job.warnings)
    state.take = str(current.plan.take)
    redraw(context)


def _put(context, outcome: Outcome) -> Outcome:
    """Write how a run ended to the window manager."""
    state = context.window_manager.reshoot_job
    state.status, state.message, state.fix = outcome.status, outcome.message, outcome.fix
    state.ready, state.button, state.warnings = outcome.ready, outcome.button, "\n".join(outcome.warnings)
    redraw(context)
    return outcome


def _refuse(context, error: ShotError) -> Outcome:
    return _put(context, Outcome(jobs.FAILED, error.message, error.fix, button=_button(error)))


def _button(error: ShotError) -> str:
    """The operator that mends an error, where it names one."""
    return getattr(error, "button", "")


def _in_words(seconds: float) -> str:
    return f"{seconds:.0f} s" if seconds < 90 else f"{seconds / 60:.0f} min"
