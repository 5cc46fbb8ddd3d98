"""Write a take's camera and people to a file for another program."""

from __future__ import annotations

import bpy

from ..properties import EXPORT_FORMATS
from ..scene import export as scene_export
from ..scene import take as scene_take
from ..solver.protocol import ShotError
from ..translations import say
from .base import ShotOperator, absolute, chosen_take, has_take, in_object_mode, path_once, take_name


class SHOT_OT_export(ShotOperator, bpy.types.Operator):
    bl_idname = "shot.export"
    bl_label = "Export"
    bl_description = "Write the camera and the people of the take to a file for another program"

    filepath: path_once("File", "Choose the file to write")
    format: bpy.props.EnumProperty(name="Format", description="Choose the format", items=EXPORT_FORMATS, default="FBX")
    take: take_name()
    check_existing: bpy.props.BoolProperty(
        name="Check Existing", description="Warn before a file is overwritten", default=True, options={"HIDDEN"}
    )
    filter_glob: bpy.props.StringProperty(
        name="Filter", description="Show only these files", default="*", options={"HIDDEN"}
    )

    needs = (has_take, in_object_mode)

    def invoke(self, context, event):
        if self.filepath:
            return self.execute(context)
        ending = scene_export.ENDINGS[self.format]
        try:
            folder = scene_take.folder_of(chosen_take(context, self.take))
        except ShotError as error:
            self.report({"ERROR"}, str(error))
            return {"CANCELLED"}
        self.filepath = str(folder.with_name(folder.name + ending))
        self.filter_glob = "*" + ending
        context.window_manager.fileselect_add(self)
        return {"RUNNING_MODAL"}

    def check(self, context):
        """In the file browser the name follows the format."""
        named = str(scene_export.with_ending(self.filepath, self.format)) if self.filepath else ""
        changed, self.filepath = named != self.filepath, named
        return changed

    def run(self, context):
        collection = chosen_take(context, self.take)
        files, warnings = scene_export.export(context, collection, self.format, absolute(self.filepath, "file"))
        if len(files) == 1:
            return say("Wrote {path}", path=files[0]), warnings
        return say("Wrote {count} files to {path}", count=len(files), path=files[0].parent), warnings


CLASSES = (SHOT_OT_export,)
