"""Preferences: where the solver's Python is."""

from __future__ import annotations

from pathlib import Path

import bpy

from . import compat, jobs
from .solver.protocol import ShotError


class SolverError(ShotError):
    """The solver's Python is not what it should be."""

    button = "shot.open_preferences"  # what the panel offers


class ReshootPreferences(bpy.types.AddonPreferences):
    bl_idname = __package__

    python: bpy.props.StringProperty(
        name="Solver Python",
        description="Python that has the solver's packages: the program, or the folder of its environment. Empty: the RESHOOT_PYTHON variable, or Blender's own",
        subtype="FILE_PATH",
        options=compat.PATH,
    )
    smpl_folder: bpy.props.StringProperty(
        name="SMPL Folder",
        description="Folder with your own licensed SMPL_NEUTRAL file. Empty: the body that comes with Reshoot",
        subtype="DIR_PATH",
        options=compat.PATH,
    )

    def draw(self, context):
        layout = self.layout
        layout.use_property_split = True
        layout.prop(self, "python")
        if not self.python:
            layout.label(text=f"Now: {jobs.default_python()}", icon="INFO")
        layout.operator("shot.check_solver", icon="CHECKMARK")
        layout.prop(self, "smpl_folder")
        for line in context.window_manager.reshoot_job.check.splitlines():
            row = layout.row()
            row.label(text=line)
            kind, _, command = line.partition(" ")
            if kind == "copy":
                row.operator("shot.copy_text", text="", icon="COPYDOWN").text = command.strip()


def of(context):
    """The preferences, or None while the package is not enabled as an extension, as in tests."""
    addon = context.preferences.addons.get(__package__)
    return addon.preferences if addon else None


def solver_python(context) -> str:
    """The Python that runs the solver. Raises SolverError where it is none."""
    mine = of(context)
    path = bpy.path.abspath(mine.python) if mine and mine.python else jobs.default_python()
    if jobs.is_blender(path) or (path and path == bpy.app.binary_path):
        raise SolverError(f"{path} is Blender itself, not a Python.", "Choose the folder of the solver's environment.")
    python = jobs.python_of(path) if path else None
    if python is None and Path(path).is_dir():
        raise SolverError(f"There is no Python in the folder {path}.", "Choose the folder of the solver's environment.")
    if python is None:
        raise SolverError(
            f"The solver's Python was not found: {path or 'none is set'}.", "Choose it in the preferences."
        )
    return str(python)


def smpl_folder(context) -> str | None:
    """The artist's SMPL folder, or None."""
    mine = of(context)
    return bpy.path.abspath(mine.smpl_folder) if mine and mine.smpl_folder else None


class SHOT_OT_check_solver(bpy.types.Operator):
    bl_idname = "shot.check_solver"
    bl_label = "Check Solver"
    bl_description = "Start the solver's Python and ask whether everything it needs is there"

    def execute(self, context):
        job = context.window_manager.reshoot_job
        try:
            fine, said = jobs.check(solver_python(context))
        except ShotError as error:
            fine, said = False, f"not ready: {error}"
        job.check = said
        if fine:
            self.report({"INFO"}, "The solver is ready")
            return {"FINISHED"}
        verdict = said.splitlines()[0].removeprefix("not ready: ")
        self.report({"ERROR"}, f"The solver is not ready. {verdict}")
        return {"CANCELLED"}


class SHOT_OT_copy_text(bpy.types.Operator):
    bl_idname = "shot.copy_text"
    bl_label = "Copy"
    bl_description = "Put this command onto the clipboard, for a terminal"

    text: bpy.props.StringProperty(name="Text", description="Give the text", options={"SKIP_SAVE"})

    def execute(self, context):
        context.window_manager.clipboard = self.text
        return {"FINISHED"}


class SHOT_OT_open_preferences(bpy.types.Operator):
    bl_idname = "shot.open_preferences"
    bl_label = "Open Preferences"
    bl_description = "Show Reshoot's preferences, where the solver is chosen"

    @classmethod
    def poll(cls, context):
        if of(context) is None:
            cls.poll_message_set("Reshoot is not enabled as an extension")
            return False
        return True

    def execute(self, context):
        if not bpy.app.background:
            bpy.ops.preferences.addon_show(module=__package__)
        return {"FINISHED"}


CLASSES = (ReshootPreferences, SHOT_OT_check_solver, SHOT_OT_copy_text, SHOT_OT_open_preferences)
