"""Preferences: where the solver's Python and its packages are, and which program of the artist's it may run."""

from __future__ import annotations

import importlib.util
import os
from pathlib import Path

import bpy

from . import compat, jobs
from .solver import install
from .solver.protocol import ShotError


class SolverError(ShotError):
    """The solver's Python is not what it should be."""

    button = "shot.open_preferences"  # what the panel offers


class ReshootPreferences(bpy.types.AddonPreferences):
    bl_idname = __package__

    python: bpy.props.StringProperty(
        name="Solver Python",
        description="Python that has the solver's packages: the program, or the folder of its environment. Empty: Blender's own Python, with the packages that Set Up Solver or a bundle brought",
        subtype="FILE_PATH",
        options=compat.PATH,
    )
    smpl_folder: bpy.props.StringProperty(
        name="SMPL Folder",
        description="Folder with your own licensed SMPL_NEUTRAL file. Empty: the body that comes with Reshoot",
        subtype="DIR_PATH",
        options=compat.PATH,
    )
    inpainter: bpy.props.StringProperty(
        name="Inpainter",
        description="Command of a program of your own that paints what no frame shows of the clean plate, with its options. It is kept in the preferences and runs with your rights; what a take or a file names is never run. Empty: it is guessed",
    )

    def draw(self, context):
        layout = self.layout
        layout.use_property_split = True
        job = context.window_manager.reshoot_job
        mine, theirs = own_packages(), bundled_packages()
        if mine:
            layout.label(text=f"The solver is set up in {mine}", icon="CHECKMARK")
        elif theirs:
            layout.label(text=f"The solver's packages are in {theirs}", icon="CHECKMARK")
        elif not named_python(context):
            layout.label(text="The solver is not set up yet", icon="ERROR")
        if job.status in (jobs.RUNNING, jobs.STOPPING):
            layout.progress(factor=job.fraction, text=f"{job.stage} {100 * job.fraction:.0f} %")
            layout.label(text=job.text)
        else:
            row = layout.row()
            row.operator("shot.setup_solver", icon="IMPORT")
            if mine:
                row.operator("shot.remove_solver", icon="TRASH")
        layout.operator("shot.check_solver", icon="CHECKMARK")
        layout.separator()
        layout.prop(self, "python")
        if not self.python:
            layout.label(text=f"Now: {jobs.default_python()}", icon="INFO")
        layout.prop(self, "smpl_folder")
        layout.prop(self, "inpainter")
        for line in job.check.splitlines():
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


def named_python(context) -> str:
    """The Python that the artist, or RESHOOT_PYTHON, has named; empty where Blender's own is to run the solver."""
    mine = of(context)
    return (mine.python if mine else "") or os.environ.get("RESHOOT_PYTHON", "")


def setup_folder() -> Path | None:
    """Where Set Up Solver puts the packages: the extension's own user folder. None while this is no extension, as in tests."""
    try:
        return Path(bpy.utils.extension_path_user(__package__, path="solver"))
    except ValueError:
        return None


def own_packages() -> str:
    """Folder of the packages that Set Up Solver has brought; empty where it has not, or not for this Blender's Python."""
    folder = setup_folder()
    return str(folder / install.PACKAGES) if folder and install.is_ready(folder) else ""


def bundled_packages() -> str:
    """Folder where Blender has put the wheels of a bundle, or where its Python finds torch otherwise. Nothing is imported."""
    found = importlib.util.find_spec("torch")
    return str(Path(found.origin).parents[1]) if found and found.origin else ""


def packages(context) -> str:
    """Folder of the solver's packages for Blender's own Python; empty where another Python was named, which has its own."""
    return "" if named_python(context) else own_packages() or bundled_packages()


def is_set_up(context) -> bool:
    """Whether there is something that could run the solver. Cheap: nothing is started."""
    return bool(named_python(context) or packages(context))


def smpl_folder(context) -> str | None:
    """The artist's SMPL folder, or None."""
    mine = of(context)
    return bpy.path.abspath(mine.smpl_folder) if mine and mine.smpl_folder else None


def inpainter(context) -> str | None:
    """The command of the artist's inpainter, or None. From the preferences alone: a take and a .blend may come from anybody."""
    mine = of(context)
    return (mine.inpainter.strip() if mine else "") or None


class SHOT_OT_check_solver(bpy.types.Operator):
    bl_idname = "shot.check_solver"
    bl_label = "Check Solver"
    bl_description = "Start the solver's Python and ask whether everything it needs is there"

    def execute(self, context):
        job = context.window_manager.reshoot_job
        try:
            fine, said = jobs.check(solver_python(context), packages=packages(context))
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
