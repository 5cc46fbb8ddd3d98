"""Runs inside a windowed Blender: walks the manual's path, and keeps a picture of the screen at each step.

Needs shot.mp4, its take, character_mixamo.glb and character_game.glb in the folder.
"""

import shutil
import sys
from pathlib import Path

import bpy

sys.path.insert(0, str(Path(__file__).parent))
from in_room import FOLDER, NAME, area, press, run, state, window

RETARGET = 570  # pixels from the sidebar's top to the header of Retarget, with a take loaded
CHARACTERS = ("character_mixamo.glb", "character_game.glb")


def shoot(name):
    """Keep what the screen shows, once it is drawn."""
    for _ in range(3):
        view().tag_redraw()
        yield
    shutil.copy(FOLDER / "Xvfb_screen0", FOLDER / f"{name}.xwd")


def view():
    return area("VIEW_3D")


def region(kind):
    return next(r for r in view().regions if r.type == kind)


def unfold(below):
    """Open the panel whose header lies so far below the sidebar's top: A with the mouse over it."""
    side = region("UI")
    at = {"x": side.x + 60, "y": side.y + side.height - below}
    window().event_simulate(type="MOUSEMOVE", value="NOTHING", **at)
    yield
    for value in ("PRESS", "RELEASE"):
        window().event_simulate(type="A", value=value, **at)
    for _ in range(3):  # a panel takes its time to open
        yield


def sidebar():
    view().spaces.active.show_region_ui = True
    yield
    region("UI").active_panel_category = "Reshoot"
    yield


def through_the_camera():
    space = view().spaces.active
    space.region_3d.view_perspective = "CAMERA"
    yield
    with bpy.context.temp_override(window=window(), area=view(), region=region("WINDOW")):
        bpy.ops.view3d.view_center_camera()
        bpy.ops.object.select_all(action="DESELECT")
    yield


def without_points():
    """Hide what stands in the picture's way."""
    for item in bpy.context.scene.objects:
        if item.get("reshoot_role") == "points":
            item.hide_set(True)


def character(name):
    """Import a character beside the scene's middle. Returns its armature."""
    before = set(bpy.data.objects)
    with bpy.context.temp_override(window=window(), area=view(), region=region("WINDOW")):
        bpy.ops.import_scene.gltf(filepath=str(FOLDER / name), disable_bone_shape=True)
    rig = next(o for o in set(bpy.data.objects) - before if o.type == "ARMATURE")
    rig.name = name.removesuffix(".glb").replace("_", " ").title()
    return rig


def story(seen):
    preferences = bpy.context.preferences
    preferences.system.use_region_overlap = False
    bpy.data.batch_remove(bpy.data.objects)
    with bpy.context.temp_override(window=window(), area=view()):
        bpy.ops.screen.screen_full_area()
    yield
    mine = preferences.addons[NAME].preferences
    mine.python, python = "", mine.python
    item = view()
    item.type, preferences.active_section = "PREFERENCES", "ADDONS"
    bpy.context.window_manager.addon_search = "Reshoot"
    with bpy.context.temp_override(window=window(), area=item):
        bpy.ops.preferences.addon_expand(module=NAME)
    for _ in range(3):
        item.tag_redraw()
        yield
    shutil.copy(FOLDER / "Xvfb_screen0", FOLDER / "preferences.xwd")
    mine.python, item.type = python, "VIEW_3D"
    yield
    yield from sidebar()

    scene = bpy.context.scene
    scene.reshoot.filepath = str(FOLDER / "shot.mp4")
    yield
    yield from shoot("clip")
    (FOLDER / "gate.mp4").touch()
    press(bpy.ops.shot.extract, filepath=str(FOLDER / "gate.mp4"), take_dir=str(FOLDER / "shot_take"))
    yield lambda: state().stage == "Film"
    yield from shoot("running")
    (FOLDER / "go").touch()
    yield lambda: state().status == "DONE"
    press(bpy.ops.shot.match_scene)

    scene.frame_set(30)
    scene.camera = next(o for o in scene.reshoot.take.all_objects if o.type == "CAMERA")
    without_points()
    yield from through_the_camera()
    yield from shoot("people")

    people = [o for o in scene.reshoot.take.all_objects if o.get("reshoot_role") == "person"]
    for person, name in zip(people, CHARACTERS, strict=False):
        person.reshoot.character = character(name)
    view().spaces.active.overlay.show_bones = False
    yield from unfold(RETARGET)
    press(bpy.ops.shot.retarget_all)
    scene.frame_set(31)
    without_points()
    yield from through_the_camera()
    yield from shoot("retarget")

    press(bpy.ops.shot.setup_composite)
    without_points()
    yield from through_the_camera()
    yield from shoot("film")
    window().scene = scene
    press(bpy.ops.shot.setup_scene, surroundings="STREET")
    without_points()
    yield from through_the_camera()
    yield from shoot("set")


run(story)
