"""Solve a take again after corrections: the same run, of which only what depends on them is done anew."""

from __future__ import annotations

from pathlib import Path

import bpy

from .. import preferences
from ..scene import take as scene_take
from ..scene.read import read_take
from ..solver import corrections
from ..solver.protocol import ShotError
from ..solver.records import Slam, Tracks, load_record
from ..solver.take import Take
from .base import chosen_take, has_take
from .solve import SolverRun, idle


class SHOT_OT_resolve(SolverRun, bpy.types.Operator):
    bl_idname = "shot.resolve"
    bl_label = "Solve Again"
    bl_description = "Run the solver on the take with its corrections and renew the take in the scene. Only what depends on them is solved anew"
    bl_options = {"UNDO"}

    take: bpy.props.StringProperty(name="Take", description="Name the take. Empty: the one chosen in the panel")

    _name = ""

    @classmethod
    def poll(cls, context):
        return has_take(cls, context) and idle(cls)

    def plan(self, context):
        collection = chosen_take(context, self.take)
        scene_take.refuse_unseen(collection)
        self._name = collection.name
        take = Take(Path(bpy.path.abspath(collection[scene_take.TAKE_KEY])))
        shot = take.read()
        options = shot.get("options") or _options_of(take, shot, preferences.smpl_folder(context))
        if not Path(options["source"]).exists():
            raise ShotError(f"The film {options['source']} was not found.", "Put it back, or extract the shot again.")
        if corrections.load(take.folder).focal_mm:
            options = {**options, "focal_mm": None, "fov": None}  # the artist's word on the lens is the later one
        return take.folder, options

    def done(self, context, job):
        if context.mode != "OBJECT":
            raise ShotError(f"The take is ready in {job.take}.", "Go to Object Mode and use Load Take.")
        collection = chosen_take(context, self._name)
        warnings = scene_take.renew(collection, preferences.smpl_folder(context))
        return f"Renewed {collection.name} with {len(scene_take.persons(collection))} people", warnings


def _options_of(take: Take, shot: dict, smpl_folder) -> dict:
    """What a take that does not list its options was solved with, as far as it says. Raises ShotError where it must not be guessed."""
    try:
        source, stages = shot["source"], shot["stages"]
        first, frames = int(source["start_frame"]), int(source["frames"])
        options = {
            "source": source["path"],
            "quality": shot["quality"],
            "range": f"{first}-{first + frames - 1}",
            "plate": "plate" in stages,
        }
        if source["height"] < source["original_height"]:
            options["max_height"] = int(source["height"])
        if Path(source["path"]).is_dir():
            numerator, _, denominator = source["fps"].partition("/")
            options["fps"] = int(numerator) / int(denominator or 1)
    except (KeyError, TypeError, ValueError, ZeroDivisionError) as error:
        raise ShotError("The shot.json of this take is damaged.", "Run Extract Shot again with Restart.") from error
    if any(person.body == "smpl" for person in read_take(take.folder).people):
        if not smpl_folder:
            raise ShotError("This take was solved with your own SMPL file.", "Set its folder in Reshoot's preferences.")
        options["smpl"] = smpl_folder
    told = load_record(take.stage("track"), Tracks).provenance
    imported = "imported_people" in told or "imported" in (told.get("masks"), told.get("joints"))
    lens_given = load_record(take.stage("slam"), Slam).focal_source == "given"
    if imported or (lens_given and not corrections.load(take.folder).focal_mm):
        raise ShotError(
            "This take was solved with imports or a lens that it does not name.",
            "Extract the shot again, and then use Load Take.",
        )
    return options


CLASSES = (SHOT_OT_resolve,)
