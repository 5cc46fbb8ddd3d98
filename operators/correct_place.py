"""What an artist knows of the place: something upright, how far the camera goes, who stands. Each is a correction of the take."""

from __future__ import annotations

import bpy
import gpu
from bpy_extras.view3d_utils import location_3d_to_region_2d
from gpu_extras.batch import batch_for_shader

from .correct import Correction, person_number

LINE = (1.0, 0.75, 0.1, 1.0)


def share_of_frame(corners, x, y):
    """Where region px (x, y) lie in the picture, shares of its width and height from the top left corner.

    corners: the camera's frame in the region, any two opposite corners among them, (n, 2) px.
    """
    left, right = min(c[0] for c in corners), max(c[0] for c in corners)
    low, high = min(c[1] for c in corners), max(c[1] for c in corners)
    return (x - left) / (right - left), (high - y) / (high - low)


class SHOT_OT_set_upright(Correction, bpy.types.Operator):
    bl_idname = "shot.set_upright"
    bl_label = "Line Is Upright"
    bl_description = "Draw a line along something upright in the film, seen through the film's camera: a post, a door frame, the corner of a house"

    do = "upright"
    frame: bpy.props.IntProperty(name="Frame", description="Draw in this frame of the scene", default=1)
    x1: bpy.props.FloatProperty(name="X", description="Begin at this share of the width", options={"SKIP_SAVE"})
    y1: bpy.props.FloatProperty(name="Y", description="Begin at this share of the height, from the top", options={"SKIP_SAVE"})
    x2: bpy.props.FloatProperty(name="X", description="End at this share of the width", options={"SKIP_SAVE"})
    y2: bpy.props.FloatProperty(name="Y", description="End at this share of the height, from the top", options={"SKIP_SAVE"})

    def values(self, first_frame):
        ends = {name: round(getattr(self, name), 5) for name in ("x1", "y1", "x2", "y2")}
        return {"frame": self.frame - first_frame, **ends}

    def invoke(self, context, event):
        area = context.area
        if area is None or area.type != "VIEW_3D" or area.spaces.active.region_3d.view_perspective != "CAMERA":
            self.report({"ERROR"}, "Look through the film's camera first (Numpad 0), and draw there.")
            return {"CANCELLED"}
        self.region = next(r for r in area.regions if r.type == "WINDOW")
        self.frame, self.begun, self.ends = context.scene.frame_current, False, [(0, 0), (0, 0)]
        camera = context.scene.camera
        world = [camera.matrix_world @ corner for corner in camera.data.view_frame(scene=context.scene)]
        self.corners = [location_3d_to_region_2d(self.region, area.spaces.active.region_3d, corner) for corner in world]
        self.drawn = bpy.types.SpaceView3D.draw_handler_add(self.draw_line, (), "WINDOW", "POST_PIXEL")
        context.window.cursor_modal_set("CROSSHAIR")
        context.workspace.status_text_set("Drag along something upright.  Esc or right mouse: leave it")
        context.window_manager.modal_handler_add(self)
        return {"RUNNING_MODAL"}

    def modal(self, context, event):
        at = event.mouse_x - self.region.x, event.mouse_y - self.region.y
        if event.type in {"ESC", "RIGHTMOUSE"}:
            self.end(context)
            return {"CANCELLED"}
        if event.type == "LEFTMOUSE" and event.value == "PRESS":
            self.begun, self.ends = True, [at, at]
        elif self.begun and event.type == "MOUSEMOVE":
            self.ends[1] = at
            self.region.tag_redraw()
        elif self.begun and event.type == "LEFTMOUSE" and event.value == "RELEASE":
            self.end(context)
            (self.x1, self.y1), (self.x2, self.y2) = (share_of_frame(self.corners, *end) for end in self.ends)
            return self.execute(context)
        return {"RUNNING_MODAL"}

    def draw_line(self):
        shader = gpu.shader.from_builtin("UNIFORM_COLOR")
        shader.uniform_float("color", LINE)
        batch_for_shader(shader, "LINES", {"pos": [(*end, 0.0) for end in self.ends]}).draw(shader)

    def end(self, context):
        bpy.types.SpaceView3D.draw_handler_remove(self.drawn, "WINDOW")
        context.window.cursor_modal_restore()
        context.workspace.status_text_set(None)
        self.region.tag_redraw()


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
