"""What Blender is told about, in order; taken back in the exact reverse."""

from __future__ import annotations

import bpy

from . import preferences, properties, translations
from .operators import (
    bake_camera,
    bones,
    command,
    correct,
    correct_picture,
    correct_place,
    export,
    extract,
    files,
    frames,
    load_take,
    presets,
    resolve,
    retarget,
    setup_composite,
    setup_scene,
    setup_solver,
    shots,
    solve,
    variations,
)
from .panels import shots as shots_panel
from .panels import sidebar
from .scene import saving

CLASSES = (
    *preferences.CLASSES,
    *properties.CLASSES,
    *setup_solver.CLASSES,
    *extract.CLASSES,
    *frames.CLASSES,
    *presets.CLASSES,
    *load_take.CLASSES,
    *correct.CLASSES,
    *correct_picture.CLASSES,
    *correct_place.CLASSES,
    *resolve.CLASSES,
    *bake_camera.CLASSES,
    *retarget.CLASSES,
    *bones.CLASSES,
    *setup_composite.CLASSES,
    *setup_scene.CLASSES,
    *variations.CLASSES,
    *export.CLASSES,
    *files.CLASSES,
    *shots.CLASSES,
    *sidebar.CLASSES,
    *shots_panel.CLASSES,
)
# (owner, name, property group) of every pointer added to Blender's own types.
POINTERS = (
    (bpy.types.Scene, "reshoot", properties.ReshootSettings),
    (bpy.types.Scene, "reshoot_shots", shots.ReshootShots),
    (bpy.types.Scene, "reshoot_composite", setup_composite.ReshootComposite),
    (bpy.types.Scene, "reshoot_variations", variations.ReshootVariations),
    (bpy.types.Object, "reshoot", properties.ReshootPerson),
    (bpy.types.WindowManager, "reshoot_job", properties.ReshootJob),
)
# (list of Blender's, function) of every handler.
HANDLERS = (
    (bpy.app.handlers.load_pre, solve.before_load),
    (bpy.app.handlers.load_post, solve.after_load),
    (bpy.app.handlers.save_pre, saving.before_save),
    (bpy.app.handlers.save_post, saving.after_save),
    (bpy.app.handlers.save_post_fail, saving.after_save),
)
_commands = []  # what Blender gave for the registered command


def register():
    for cls in CLASSES:
        bpy.utils.register_class(cls)
    for owner, name, group in POINTERS:
        setattr(owner, name, bpy.props.PointerProperty(type=group))
    for handlers, function in HANDLERS:
        handlers.append(function)
    translations.register()
    _commands.append(bpy.utils.register_cli_command(command.NAME, command.run))


def unregister():
    solve.abandon()
    bpy.utils.unregister_cli_command(_commands.pop())
    translations.unregister()
    for handlers, function in reversed(HANDLERS):
        handlers.remove(function)
    for owner, name, _ in reversed(POINTERS):
        delattr(owner, name)
    for cls in reversed(CLASSES):
        bpy.utils.unregister_class(cls)
