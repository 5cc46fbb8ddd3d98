"""Drawing over the film, in the view through its camera: a line, the way of the mouse, or a place."""

from __future__ import annotations

import bpy
import gpu
from bpy_extras.view3d_utils import location_3d_to_region_2d
from gpu_extras.batch import batch_for_shader

LINE, WAY, PLACE = "LINE", "WAY", "PLACE"  # what is kept of a drag: its ends, all of it, its end
COLOUR = (1.0, 0.75, 0.1, 1.0)
LEAST_PX = 3  # between two places of a way


def share_of_frame(corners, x, y):
    """Where region px (x, y) lie in the picture, shares of its width and height from the top left corner.

    corners: the camera's frame in the region, any two opposite corners among them, (n, 2) px.
    """
    left, right = min(c[0] for c in corners), max(c[0] for c in corners)
    low, high = min(c[1] for c in corners), max(c[1] for c in corners)
    return (x - left) / (right - left), (high - y) / (high - low)


class OnFilm:
    """Mix-in of a correction that is drawn with the mouse. `placed(places)` takes what was drawn, in shares of the picture, before `execute`."""

    keeps, hint = PLACE, ""

    def invoke(self, context, event):
        area = context.area
        if area is None or area.type != "VIEW_3D" or area.spaces.active.region_3d.view_perspective != "CAMERA":
            self.report({"ERROR"}, "Look through the film's camera first (Numpad 0), and draw there.")
            return {"CANCELLED"}
        self.region = next(r for r in area.regions if r.type == "WINDOW")
        self.frame, self.places = context.scene.frame_current, []
        camera = context.scene.camera
        world = [camera.matrix_world @ corner for corner in camera.data.view_frame(scene=context.scene)]
        self.corners = [location_3d_to_region_2d(self.region, area.spaces.active.region_3d, corner) for corner in world]
        self.drawn = bpy.types.SpaceView3D.draw_handler_add(self.draw_places, (), "WINDOW", "POST_PIXEL")
        context.window.cursor_modal_set("CROSSHAIR")
        context.workspace.status_text_set(self.hint)
        context.window_manager.modal_handler_add(self)
        return {"RUNNING_MODAL"}

    def modal(self, context, event):
        at = event.mouse_x - self.region.x, event.mouse_y - self.region.y
        if event.type in {"ESC", "RIGHTMOUSE"}:
            self.end(context)
            return {"CANCELLED"}
        if event.type == "LEFTMOUSE" and event.value == "PRESS":
            self.places = [at]
        elif self.places and event.type == "MOUSEMOVE":
            self.go_to(at)
            self.region.tag_redraw()
        elif self.places and event.type == "LEFTMOUSE" and event.value == "RELEASE":
            self.end(context)
            self.placed([share_of_frame(self.corners, *place) for place in self.places])
            return self.execute(context)
        return {"RUNNING_MODAL"}

    def go_to(self, at):
        """The mouse has come here."""
        if self.keeps == WAY:
            if max(abs(a - b) for a, b in zip(at, self.places[-1])) >= LEAST_PX:
                self.places.append(at)
        else:
            self.places = [*self.places[: self.keeps == LINE], at]

    def draw_places(self):
        shader = gpu.shader.from_builtin("UNIFORM_COLOR")
        shader.uniform_float("color", COLOUR)
        kind = "POINTS" if self.keeps == PLACE else "LINE_STRIP"
        batch_for_shader(shader, kind, {"pos": [(*place, 0.0) for place in self.places]}).draw(shader)

    def end(self, context):
        bpy.types.SpaceView3D.draw_handler_remove(self.drawn, "WINDOW")
        context.window.cursor_modal_restore()
        context.workspace.status_text_set(None)
        self.region.tag_redraw()
