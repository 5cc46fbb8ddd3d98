"""Set up the solver: bring its packages into the extension's own folder, by a process beside Blender."""

from __future__ import annotations

import bpy

from .. import jobs, preferences
from ..solver import install
from ..solver.protocol import ShotError
from ..translations import say
from .base import Polled, absolute, path_once
from .solve import Plan, SolverRun, idle


def refused(wheels: str) -> ShotError | None:
    """Why the packages cannot be brought; None where they can."""
    if preferences.setup_folder() is None:
        return ShotError("Reshoot is not enabled as an extension.", "Enable it in the preferences.")
    try:
        install.wanted(install.target())
    except ShotError as error:
        return preferences.SolverError(error.message, error.fix)
    if not wheels and not bpy.app.online_access:
        return ShotError(
            "Blender may not use the network.",
            "Allow Online Access in Preferences, System, or give a folder with the solver's wheels.",
        )
    return None


def said() -> list[str]:
    """What Set Up Solver would do, in lines for the artist."""
    try:
        entries = install.wanted(install.target())
    except ShotError as error:
        return [error.message, error.fix]
    size = sum(wheel.bytes for wheel in entries)
    hosts = ["pypi.org", *(["download.pytorch.org"] if any(wheel.url_index for wheel in entries) else [])]
    return [
        f"Fetches {len(entries)} packages, {size / 1e6:.0f} MB, from {' and '.join(hosts)}",
        f"into {preferences.setup_folder()}",
        f"where they take {size * install.UNPACKED / 1e9:.1f} GB. Each is checked against its SHA-256.",
        "Or takes them from a folder of wheels, without the network:",
    ]


class SHOT_OT_setup_solver(SolverRun, bpy.types.Operator):
    bl_idname = "shot.setup_solver"
    bl_label = "Set Up Solver"
    bl_description = "Bring the solver's packages into a folder of Reshoot's own, after asking. What was begun goes on"

    wheels: path_once("Wheels", "Take the packages from this folder instead of fetching them", "DIR_PATH")

    def invoke(self, context, event):
        if bpy.app.background:
            return self.execute(context)
        return context.window_manager.invoke_props_dialog(self, width=480)

    def draw(self, context):
        column = self.layout.column(align=True)
        for line in said():
            column.label(text=line)
        self.layout.prop(self, "wheels")
        if not self.wheels and not bpy.app.online_access:
            self.layout.label(text="Blender may not use the network: allow it in Preferences, System", icon="ERROR")

    def execute(self, context):
        """The dialog's OK comes here in a window; there the run is left to the timer."""
        return super().execute(context) if bpy.app.background else SolverRun.invoke(self, context, None)

    def plan(self, context):
        wheels = str(absolute(self.wheels, "folder of wheels")) if self.wheels else ""
        if error := refused(wheels):
            raise error
        folder = preferences.setup_folder()
        words = ("install", str(folder), *(("--wheels", wheels) if wheels else ()))
        return Plan(folder, {}, _done, words=words, installs=True)


def _done(context, done):
    fine, verdict = jobs.check(preferences.solver_python(context), packages=preferences.packages(context))
    context.window_manager.reshoot_job.check = verdict
    if not fine:
        raise preferences.SolverError(verdict.splitlines()[0].removeprefix("not ready: ").rstrip(".") + ".", "Check Solver says more.")
    return say("The solver is set up: choose a clip and press Extract Shot"), []


class SHOT_OT_remove_solver(Polled, bpy.types.Operator):
    bl_idname = "shot.remove_solver"
    bl_label = "Remove Solver"
    bl_description = "Delete the packages that Set Up Solver has brought"

    needs = (idle,)

    def invoke(self, context, event):
        return context.window_manager.invoke_confirm(self, event)

    def execute(self, context):
        folder = preferences.setup_folder()
        if folder is None or not folder.is_dir():
            self.report({"WARNING"}, "There is nothing to remove")
            return {"CANCELLED"}
        install.remove(folder)
        context.window_manager.reshoot_job.check = ""
        self.report({"INFO"}, say("The solver's packages are removed from {path}", path=folder))
        return {"FINISHED"}


CLASSES = (SHOT_OT_setup_solver, SHOT_OT_remove_solver)
