"""Solve a take again after corrections: the same run, of which only what depends on them is done anew."""

from __future__ import annotations

from functools import partial

import bpy

from .. import preferences
from ..scene import plate
from ..scene import take as scene_take
from ..solver import corrections
from ..solver.protocol import ShotError
from ..solver.take import Take
from ..translations import say
from .base import chosen_take, has_take, how_many, take_name
from .solve import Plan, SolverRun, idle


class SHOT_OT_resolve(SolverRun, bpy.types.Operator):
    bl_idname = "shot.resolve"
    bl_label = "Solve Again"
    bl_description = "Run the solver on the take with its corrections and renew the take in the scene. Only what depends on them is solved anew"

    take: take_name()

    needs = (has_take, idle)

    def plan(self, context):
        collection = chosen_take(context, self.take)
        scene_take.refuse_unseen(collection)
        take = Take(scene_take.folder_of(collection))
        options = take.read().get("options")
        if not isinstance(options, dict) or not {"source", "plate"} <= options.keys():
            raise ShotError(
                "This take does not say how it was solved.", "Extract the shot again, and then use Load Take."
            )
        if str(options.get("backend", "")).lower().endswith(".py"):  # a take may come from anybody
            raise ShotError("This take was solved with a Python file of nets, which Blender does not run.", "Run extract again where it was solved.")
        named = options.get("inpainter")  # nor is a program run that it names
        options = {**options, "inpainter": preferences.inpainter(context) if options["plate"] else None}
        dropped = str(named) if named and options["plate"] and not options["inpainter"] else ""
        film = plate.find_film(options["source"], take.folder)
        if film is None:
            raise ShotError(
                f"The film {options['source']} was not found.", "Put it beside the take, or extract the shot again."
            )
        options = {**options, "source": str(film)}
        for name in ("masks", "joints", "camera", "people", "backend"):  # files of other programs, which may have moved as well
            if given := options.get(name):
                options[name] = [_moved(p, take) for p in given] if isinstance(given, list) else _moved(given, take)
        if corrections.load(take.folder).focal_mm:
            options = {**options, "focal_mm": None, "fov": None}  # the artist's word on the lens is the later one
        return Plan(take.folder, options, partial(_renew, name=collection.name, dropped=dropped))


def _moved(path, take):
    """A file where it is now; where it is gone, its old place, of which the solver says that it is not there."""
    found = plate.find_film(path, take.folder)
    return str(path if found is None or take.folder in found.parents else found)  # the take has a camera.npz of its own


def _renew(context, done, name, dropped=""):
    if context.mode != "OBJECT":
        raise ShotError(f"The take is ready in {done.take}.", "Go to Object Mode and use Load Take.")
    collection = chosen_take(context, name)
    warnings = [*scene_take.renew(collection, preferences.smpl_folder(context))]
    if dropped:
        warnings.append(say("The take names a program that painted its plate, {command}. What a take names is not run: give it as Inpainter under Bring Your Own.", command=dropped))
    return say("Renewed {name} with {people}", name=collection.name, people=how_many(len(scene_take.persons(collection)))), warnings


CLASSES = (SHOT_OT_resolve,)
