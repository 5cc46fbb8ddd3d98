"""What an artist sees in the picture and the nets do not: whose the pixels are, and where a joint is. Each is a correction of the take."""

from __future__ import annotations

import bpy

from ..scene.corrections import JOINTS
from .correct import Correction, person_number
from .on_film import PLACE, WAY, OnFilm


class SHOT_OT_outline_person(OnFilm, Correction, bpy.types.Operator):
    bl_idname = "shot.outline_person"
    bl_label = "Outline"
    bl_description = "Draw round a person in the film, seen through the film's camera. It is carried on to other frames; draw again where it goes astray"

    do = "outline"
    keeps, hint = WAY, "Draw round all that is seen of the person.  Esc or right mouse: leave it"
    person: bpy.props.IntProperty(name="Person", description="Choose the person of the take, by number; 0 is somebody whom nobody saw", default=0, min=0, max=255)
    frame: bpy.props.IntProperty(name="Frame", description="Draw in this frame of the scene", default=1)
    points: bpy.props.StringProperty(name="Points", description="X Y X Y … round the person, shares of width and height from the top left", options={"SKIP_SAVE"})

    def values(self, first_frame):
        try:
            places = [round(float(word), 5) for word in self.points.split()]
        except ValueError:
            places = []
        polygon = [list(place) for place in zip(places[::2], places[1::2])]
        return {"person": self.person or None, "frame": self.frame - first_frame, "polygons": [polygon]}

    def placed(self, places):
        self.points = " ".join(f"{x:.5f} {y:.5f}" for x, y in places)


class SHOT_OT_show_joint(OnFilm, Correction, bpy.types.Operator):
    bl_idname = "shot.show_joint"
    bl_label = "Joint Is Here"
    bl_description = "Click where a joint of the person is in the film, seen through the film's camera"

    do = "joint"
    keeps, hint = PLACE, "Click where the joint is.  Esc or right mouse: leave it"
    person: person_number()
    frame: bpy.props.IntProperty(name="Frame", description="Show it in this frame of the scene", default=1)
    joint: bpy.props.EnumProperty(name="Joint", description="Choose which joint", items=JOINTS, default="left_wrist")
    x: bpy.props.FloatProperty(name="X", description="It is at this share of the width", options={"SKIP_SAVE"})
    y: bpy.props.FloatProperty(name="Y", description="It is at this share of the height, from the top", options={"SKIP_SAVE"})

    def values(self, first_frame):
        return {"person": self.person, "frame": self.frame - first_frame, "joint": self.joint, "x": round(self.x, 5), "y": round(self.y, 5)}

    def placed(self, places):
        self.x, self.y = places[-1]


CLASSES = (SHOT_OT_outline_person, SHOT_OT_show_joint)
