"""One shot with many characters, sets or lights, and a sheet of pictures of them."""

from __future__ import annotations

from pathlib import Path

import bpy

from ..scene import characters, sets, variations
from ..scene import take as scene_take
from ..solver.protocol import ShotError
from ..translations import say
from .base import ShotOperator, absolute, chosen_take, has_take, path_once, take_name, text_once
from .setup_composite import ENGINE_ITEMS, characters_called

MADE_KEY = "reshoot_variation"  # on a scene that is one of several


class VariationOptions:
    """Mix-in: what the panel keeps and the operator takes."""

    vary: bpy.props.EnumProperty(
        name="Vary",
        description="Choose what differs from scene to scene",
        items=(
            ("FILM", "Characters in the Film", "Put each character in turn into the film, in one person's place"),
            ("CHARACTERS", "Characters in a Set", "Put each character in turn into the set"),
            ("SETS", "Sets and Lights", "Put the same characters into each set, under each light"),
        ),
        default="FILM",
    )
    surroundings: bpy.props.EnumProperty(
        name="Sets",
        description="Choose the sets. Hold Shift for several",
        items=[(c, c.title(), "") for c in sets.SETS],
        default={"STREET"},
        options={"ENUM_FLAG"},
    )
    light: bpy.props.EnumProperty(
        name="Lights",
        description="Choose the lights. Hold Shift for several",
        items=[(c, c.replace("_", " ").title(), "") for c in sets.LIGHTS],
        default={"DAY"},
        options={"ENUM_FLAG"},
    )


class ReshootVariations(VariationOptions, bpy.types.PropertyGroup):
    """The options of the scene's next variations."""


VARIATION_OPTIONS = tuple(VariationOptions.__annotations__)


class SHOT_OT_variations(VariationOptions, ShotOperator, bpy.types.Operator):
    bl_idname = "shot.variations"
    bl_label = "Set Up Variations"
    bl_description = "Make a scene for each character, or for each set and light, of the same shot"
    bl_options = {"REGISTER", "UNDO"}

    take: take_name()
    person: bpy.props.IntProperty(name="Person", description="Choose whose place the characters take, by number", default=1, min=1)
    characters: text_once("Characters", "Name the collection of the characters. Empty: all outside the take")
    engine: bpy.props.EnumProperty(name="Engine", description="Choose what renders", items=ENGINE_ITEMS, default="CYCLES")
    samples: bpy.props.IntProperty(name="Samples", description="Set how often each pixel is sampled", default=64, min=1)

    needs = (has_take,)

    def run(self, context):
        collection = chosen_take(context, self.take)
        home = scene_take.home(collection)
        chosen = characters_called(self.characters)
        options = {"engine": self.engine, "samples": self.samples}
        if self.vary == "SETS":
            kinds, lights = ([n for n in table if n in picked] for table, picked in ((sets.SETS, self.surroundings), (sets.LIGHTS, self.light)))
            if not kinds or not lights:
                raise ShotError("No set or no light is chosen.", "Choose at least one of each.")
            made, warnings = variations.over_sets(home, collection, kinds, lights, characters=chosen, **options)
        else:
            rigs = [o for o in characters.rigs(home) if chosen is None or o.name in chosen.all_objects]
            if self.vary == "CHARACTERS":
                options.update(surroundings=next(iter(self.surroundings), "HALL"), light=next(iter(self.light), "DAY"))
            made, warnings = variations.over_characters(home, collection, self.person, rigs, self.vary == "FILM", **options)
        for scene in made:
            scene[MADE_KEY] = collection.name
        return say("{count} scenes: {names}", count=len(made), names=", ".join(scene.name for scene in made)), warnings


class SHOT_OT_contact_sheet(ShotOperator, bpy.types.Operator):
    bl_idname = "shot.contact_sheet"
    bl_label = "Render Contact Sheet"
    bl_description = "Render a few small pictures of each variation onto one sheet. Blender waits while it renders"
    bl_options = {"REGISTER"}

    filepath: path_once("File", "Choose the PNG to write")
    scenes: text_once("Scenes", "List the scenes, separated by semicolons. Empty: all variations of the file")
    moments: bpy.props.IntProperty(name="Moments", description="Set how many moments of each are shown", default=3, min=1, max=12)
    width: bpy.props.IntProperty(name="Width", description="Set how wide each picture is, in pixels", default=320, min=64, max=1920)

    needs = (has_take,)

    def invoke(self, context, event):
        self.filepath = self.filepath or "contact_sheet.png"
        context.window_manager.fileselect_add(self)
        return {"RUNNING_MODAL"}

    def run(self, context):
        path = absolute(self.filepath, "contact sheet")
        if self.scenes:
            names = [name.strip() for name in self.scenes.split(";") if name.strip()]
            gone = [name for name in names if name not in bpy.data.scenes]
            if gone:
                raise ShotError(f"There is no scene called {gone[0]}.", "Choose scenes that are in the file.")
            chosen = [bpy.data.scenes[name] for name in names]
        else:
            chosen = [scene for scene in bpy.data.scenes if MADE_KEY in scene]
        if not chosen:
            raise ShotError("There are no variations in this file.", "Make them with Set Up Variations, or list scenes.")
        written = variations.contact_sheet(chosen, Path(path).with_suffix(".png"), self.moments, self.width)
        return say("Wrote {path}", path=written)


CLASSES = (ReshootVariations, SHOT_OT_variations, SHOT_OT_contact_sheet)
