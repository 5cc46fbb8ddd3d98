"""3D transfer: the camera, the characters or both in a new set."""

from __future__ import annotations

import bpy

from ..scene import retime, sets, stage
from ..scene import take as scene_take
from ..solver.protocol import ShotError
from ..translations import say
from .base import ShotOperator, camera_shake, chosen_take, has_take, object_called, show_scene, take_name, text_once
from .setup_composite import ENGINE_ITEMS, characters_called


class SHOT_OT_setup_scene(ShotOperator, bpy.types.Operator):
    bl_idname = "shot.setup_scene"
    bl_label = "Set Up 3D Transfer"
    bl_description = "Make a scene with a small set, and put the camera, the characters or both into it"
    bl_options = {"REGISTER", "UNDO"}

    take: take_name()
    content: bpy.props.EnumProperty(
        name="Use",
        description="Choose what of the take goes into the set",
        items=[(c, c.title(), "") for c in stage.CONTENTS],
        default="BOTH",
    )
    characters: text_once("Characters", "Name the collection to show. Empty: every animated character outside the take")
    retime: bpy.props.FloatProperty(
        name="Retime", description="Stretch the time: 2 is half speed", default=1.0, min=0.05, max=20.0
    )
    time: bpy.props.EnumProperty(
        name="Time",
        description="Choose whether the time of camera and people is a curve, to be held, slowed or turned back. Retime makes one",
        items=[(t, t.title(), "") for t in retime.TIMES],
        default="FILM",
    )
    place: text_once("Placed By", "Name an empty that places the action. Empty: a new one")
    surroundings: bpy.props.EnumProperty(
        name="Set",
        description="Choose what stands around the action",
        items=[(c, c.title(), "") for c in sets.SETS],
        default="HALL",
    )
    into: text_once(
        "Own Set", "Name a collection or scene of your own to use as the set. Empty: the one chosen under Set"
    )
    light: bpy.props.EnumProperty(
        name="Light",
        description="Choose the sun and the sky",
        items=[(c, c.replace("_", " ").title(), "") for c in (*sets.LIGHTS, "NONE")],
        default="DAY",
    )
    snap: bpy.props.BoolProperty(
        name="Snap to Floor", description="Put the ground of the take onto the floor under it", default=True
    )
    shake: camera_shake()
    frame_on: text_once("Frame On", "Name an object that the camera, alone, frames as it framed the person, whatever its height")
    person: bpy.props.IntProperty(name="Person", description="Choose whom the camera framed, by number", default=1, min=1)
    engine: bpy.props.EnumProperty(
        name="Engine", description="Choose what renders the set", items=ENGINE_ITEMS, default="CYCLES"
    )
    samples: bpy.props.IntProperty(name="Samples", description="Set how often each pixel is sampled", default=64, min=1)
    scene_name: text_once("Scene", "Name the new scene. Empty: after the take")

    needs = (has_take,)

    def run(self, context):
        collection = chosen_take(context, self.take)
        scene, warnings = stage.build(
            scene_take.home(collection),
            collection,
            content=self.content,
            characters=characters_called(self.characters),
            stretch=self.retime,
            time=self.time,
            place=object_called(self.place, "", "object") if self.place else None,
            engine=self.engine,
            samples=self.samples,
            name=self.scene_name,
            surroundings=self.surroundings,
            into=self._own_set(),
            light=self.light,
            snap=self.snap,
            shake=self.shake,
            frame_on=object_called(self.frame_on, "", "object") if self.frame_on else None,
            person=self.person,
        )
        show_scene(context, scene)
        return say("The 3D transfer is the scene {scene}", scene=scene.name), warnings

    def _own_set(self):
        if not self.into:
            return None
        own = bpy.data.collections.get(self.into) or bpy.data.scenes.get(self.into)
        if own is None:
            raise ShotError(f"There is no collection or scene called {self.into}.", "Choose one that is in the file.")
        return own


CLASSES = (SHOT_OT_setup_scene,)
