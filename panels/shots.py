"""The shot list: many clips, their states, and a button for each take that is finished. Drawing only."""

from __future__ import annotations

from pathlib import Path

import bpy

from ..operators.base import how_many
from ..scene import batch, paths
from ..translations import iface, say
from .sidebar import ReshootPanel, _lines

ICONS = {"waiting": "TIME", "running": "PLAY", "done": "CHECKMARK", "failed": "ERROR"}


def _rows(context) -> dict:
    """The rows of the list's folder, by clip. An unsaved file has no folder yet that `//` could mean."""
    folder = context.scene.reshoot_shots.folder
    unknown = not folder or (folder.startswith("//") and not bpy.data.filepath)
    return {} if unknown else batch.rows(paths.opened(folder))


class SHOT_UL_shots(bpy.types.UIList):
    bl_idname = "SHOT_UL_shots"

    def draw_item(self, context, layout, data, item, icon, active_data, active_property, index=0, flt_flag=0):
        rows = _rows(context).get(item.name, [])
        layout.label(text=item.name, icon=ICONS[batch.state(rows)] if rows else "FILE_MOVIE")
        if len(rows) > 1:
            layout.label(text=say("{done} of {count}", done=sum(row["state"] == "done" for row in rows), count=len(rows)))
        elif item.frame_range:
            layout.label(text=item.frame_range)


class SHOT_PT_shots(ReshootPanel, bpy.types.Panel):
    bl_idname = "SHOT_PT_shots"
    bl_label = "Shot List"
    bl_parent_id = "SHOT_PT_shot"
    bl_options = {"DEFAULT_CLOSED"}

    def draw(self, context):
        layout, shots = self.prepare(), context.scene.reshoot_shots
        row = layout.row()
        row.template_list(SHOT_UL_shots.bl_idname, "", shots, "clips", shots, "active", rows=4)
        column = row.column(align=True)
        column.operator("shot.add_clips", text="", icon="ADD")
        column.operator("shot.remove_clip", text="", icon="REMOVE")
        column.operator("shot.add_strips", text="", icon="SEQUENCE")
        layout.prop(shots, "folder")
        layout.operator("shot.extract_shots", icon="PLAY")
        if not 0 <= shots.active < len(shots.clips):
            return
        item = shots.clips[shots.active]
        layout.prop(item, "frame_range")
        for found in _rows(context).get(item.name, []):
            _draw_row(layout, found, paths.opened(shots.folder), context.scene.reshoot.match_scene)


def _draw_row(layout, found, folder: Path, match_scene):
    row = layout.row()
    people = found.get("people")
    facts = iface(found["state"]) if people is None else how_many(people)
    row.label(text=f"{found['name']}: {facts}", icon=ICONS.get(found["state"], "NONE"))
    if found["state"] == "done":
        load = row.operator("shot.load_take", text="", icon="IMPORT")
        load.directory, load.match_scene = str(folder / found["take"]), match_scene
        _lines(layout, found.get("verdict", ""), "NONE")
    elif found["state"] == "failed":
        _lines(layout, found.get("message", ""), "NONE")


CLASSES = (SHOT_UL_shots, SHOT_PT_shots)
