"""2D transfer: the film with people replaced."""

from __future__ import annotations

import bpy

from ..scene import compositor
from ..scene import render as scene_render
from ..scene import take as scene_take
from ..solver.protocol import ShotError
from ..translations import say
from .base import ShotOperator, chosen_take, has_take, person_ids, show_scene, take_name, text_once

ENGINE_ITEMS = tuple((e, e.title() if e != "EEVEE" else e, f"Render with {e.title()}") for e in scene_render.ENGINES)


def characters_called(name: str):
    """The collection to render by name, None for an empty name. Raises ShotError."""
    if not name:
        return None
    collection = bpy.data.collections.get(name)
    if collection is None:
        raise ShotError(f"There is no collection called {name}.", "Choose the collection of your characters.")
    return collection


class CompositeOptions:
    """Mix-in: what the panel keeps and the operator takes."""

    engine: bpy.props.EnumProperty(
        name="Engine", description="Choose what renders the characters", items=ENGINE_ITEMS, default="CYCLES"
    )
    samples: bpy.props.IntProperty(name="Samples", description="Set how often each pixel is sampled", default=64, min=1)
    film_light: bpy.props.FloatProperty(
        name="Film Light",
        description="Set how far the new light follows the film's. It stays on the new sun, under Custom Properties",
        default=1.0,
        min=0.0,
        max=1.0,
        subtype="FACTOR",
    )
    motion_blur: bpy.props.BoolProperty(
        name="Motion Blur", description="Blur the characters as half a frame's exposure does", default=False
    )
    output: bpy.props.EnumProperty(
        name="Output",
        description="Choose what the new scene writes",
        items=(("MOVIE", "Movie", "mp4"), ("PICTURES", "Pictures", "PNG"), ("LAYERS", "Layers", "Multi-layer EXR")),
        default="MOVIE",
    )

class ReshootComposite(CompositeOptions, bpy.types.PropertyGroup):
    """The options of the scene's next 2D transfer."""


COMPOSITE_OPTIONS = tuple(CompositeOptions.__annotations__)


class SHOT_OT_setup_composite(CompositeOptions, ShotOperator, bpy.types.Operator):
    bl_idname = "shot.setup_composite"
    bl_label = "Set Up 2D Transfer"
    bl_description = "Make a scene that erases the people you replace and lays your characters, with their shadows, into the film"
    bl_options = {"REGISTER", "UNDO"}

    take: take_name()
    replace: text_once("Replace", "List the people to replace, as in 1,2. Empty: all that are not kept")
    keep: text_once("Keep", "List the people to keep in the film. They hide the characters where they are nearer")
    characters: text_once(
        "Characters", "Name the collection to render. Empty: every animated character outside the take"
    )
    scene_name: text_once("Scene", "Name the new scene. Empty: after the take")

    needs = (has_take,)

    def run(self, context):
        collection = chosen_take(context, self.take)
        known = [o[scene_take.PERSON_KEY] for o in scene_take.persons(collection)]
        transfer = compositor.build(
            scene_take.home(collection),
            collection,
            replace=person_ids(self.replace, known),
            keep=person_ids(self.keep, known),
            characters=characters_called(self.characters),
            engine=self.engine,
            samples=self.samples,
            name=self.scene_name,
            film_light=self.film_light,
            motion_blur=self.motion_blur,
        )
        scene_render.set_output(transfer.scene, self.output)
        show_scene(context, transfer.scene)
        return say("The 2D transfer is the scene {scene}", scene=transfer.scene.name), transfer.warnings


CLASSES = (ReshootComposite, SHOT_OT_setup_composite,)
