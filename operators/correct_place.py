"""What an artist knows of the place: something upright, how far the camera goes, who stands. Each is a correction of the take."""

from __future__ import annotations

import bpy

from .correct import Correction, person_number
from .on_film import LINE, OnFilm


class SHOT_OT_set_upright(OnFilm, Correction, bpy.types.Operator):
    bl_idname = "shot.set_upright"
    bl_label = "Line Is Upright"
    bl_description = "Draw a line along something upright in the film, seen through the film's camera: a post, a door frame, the corner of a house"

    do = "upright"
    keeps, hint = LINE, "Drag along something upright.  Esc or right mouse: leave it"
    frame: bpy.props.IntProperty(name="Frame", description="Draw in this frame of the scene", default=1)
    x1: bpy.props.FloatProperty(name="X", description="Begin at this share of the width", options={"SKIP_SAVE"})
    y1: bpy.props.FloatProperty(name="Y", description="Begin at this share of the height, from the top", options={"SKIP_SAVE"})
    x2: bpy.props.FloatProperty(name="X", description="End at this share of the width", options={"SKIP_SAVE"})
    y2: bpy.props.FloatProperty(name="Y", description="End at this share of the height, from the top", options={"SKIP_SAVE"})

    def values(self, first_frame):
        ends = {name: round(getattr(self, name), 5) for name in ("x1", "y1", "x2", "y2")}
        return {"frame": self.frame - first_frame, **ends}

    def placed(self, places):
        (self.x1, self.y1), (self.x2, self.y2) = places[0], places[-1]


class SHOT_OT_set_moved(Correction, bpy.types.Operator):
    bl_idname = "shot.set_moved"
    bl_label = "Camera Goes"
    bl_description = "Say how far the camera is from its first place in the last frame, as the crow flies: this sets the size of the world"

    do = "moved"
    first: bpy.props.IntProperty(name="From Frame", description="Measure from this frame of the scene", default=1)
    last: bpy.props.IntProperty(name="To Frame", description="Measure to this frame of the scene", default=2)
    metres: bpy.props.FloatProperty(name="Distance", description="Set how far it is", default=1.0, min=0.01, unit="LENGTH", precision=3)

    def values(self, first_frame):
        return {"first": self.first - first_frame, "last": self.last - first_frame, "metres": round(self.metres, 4)}

    def invoke(self, context, event):
        self.first, self.last = context.scene.frame_start, context.scene.frame_end
        return context.window_manager.invoke_props_dialog(self)


class SHOT_OT_set_stands(Correction, bpy.types.Operator):
    bl_idname = "shot.set_stands"
    bl_label = "Stands"
    bl_description = "Say that a person keeps both feet on the ground in these frames, without a step"

    do = "stands"
    person: person_number()
    first: bpy.props.IntProperty(name="From Frame", description="Let them stand from this frame of the scene on", default=1)
    last: bpy.props.IntProperty(name="To Frame", description="Let them stand up to this frame of the scene", default=2)

    def values(self, first_frame):
        return {"person": self.person, "first": self.first - first_frame, "last": self.last - first_frame}

    def invoke(self, context, event):
        self.first, self.last = context.scene.frame_start, context.scene.frame_end
        return context.window_manager.invoke_props_dialog(self)


CLASSES = (SHOT_OT_set_upright, SHOT_OT_set_moved, SHOT_OT_set_stands)
