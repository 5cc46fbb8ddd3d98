"""Runs inside a windowed Blender: does what an artist does, with real events, and writes down what came of it. Needs the take walk."""

import json
import sys
from pathlib import Path

import bpy

sys.path.insert(0, str(Path(__file__).parent))
from in_room import FOLDER, NAME, area, key, press, run, state, window


def browser():
    """Window and area of an open file browser, or None."""
    return next(
        ((w, a) for w in bpy.context.window_manager.windows for a in w.screen.areas if a.type == "FILE_BROWSER"), None
    )


def choose(folder, name=None):
    """Accept a folder or file in the open file browser, with Return."""
    shown, item = browser()
    parameters = item.spaces.active.params
    parameters.directory = str(folder).encode() + b"/"
    if name:
        parameters.filename = name
    yield
    yield from key(shown, item, "RET")
    yield lambda: browser() is None


def names():
    return sorted(o.name for o in bpy.data.objects)


def takes():
    return sorted(c.name for c in bpy.data.collections if "reshoot_take" in c)


def story(seen):
    for clip in ("slow", "gate"):
        (FOLDER / f"{clip}.mp4").touch()
    yield
    press(bpy.ops.shot.extract, filepath=str(FOLDER / "slow.mp4"), take_dir=str(FOLDER / "walk"))
    yield lambda: state().stage == "Film"
    with bpy.context.temp_override(window=window()):
        bpy.ops.wm.read_homefile()
    yield
    seen["after File > New"] = [state().status, state().stage]
    yield from key(window(), area("OUTLINER"), "ESC")
    seen["Esc over the outliner"] = state().status
    yield from key(window(), area("VIEW_3D"), "ESC")
    yield lambda: state().status == "CANCELLED"
    seen["Esc over the 3D view"] = [state().status, bpy.ops.shot.extract.poll()]

    before = names()
    press(bpy.ops.shot.extract, filepath=str(FOLDER / "gate.mp4"), take_dir=str(FOLDER / "walk"))
    (FOLDER / "go").touch()
    yield lambda: state().status == "DONE"
    seen["loaded"] = [state().message, takes()]
    yield
    with bpy.context.temp_override(window=window(), area=area("VIEW_3D")):
        bpy.ops.ed.undo()
    yield
    seen["one undo takes it back"] = names() == before

    # Keys start an operator as buttons do, with what Blender remembers of the last time; a call from Python does not.
    keys = bpy.context.window_manager.keyconfigs.addon.keymaps.new("3D View", space_type="VIEW_3D").keymap_items
    keys.new("shot.load_take", "F5", "PRESS")
    keys.new("shot.export", "F6", "PRESS").properties.format = "NPZ"
    yield
    for _ in range(2):
        yield from key(window(), area("VIEW_3D"), "F5")
        yield browser
        yield from choose(FOLDER / "walk")
        yield
    seen["Load Take asks each time"] = takes()
    for name in ("one.npz", "two.npz"):
        yield from key(window(), area("VIEW_3D"), "F6")
        yield browser
        yield from choose(FOLDER, name)
        yield
    seen["Export asks each time"] = sorted(path.name for path in FOLDER.glob("*_camera.npz"))

    view = area("VIEW_3D")
    region = next(r for r in view.regions if r.type == "WINDOW")
    bpy.context.scene.camera = next(o for o in bpy.data.collections["walk"].all_objects if o.type == "CAMERA")
    view.spaces.active.region_3d.view_perspective = "CAMERA"
    yield
    press(bpy.ops.shot.set_upright)
    yield
    middle = region.x + region.width // 2, region.y + region.height // 2
    for kind, value, up in (
        ("MOUSEMOVE", "NOTHING", 40), ("LEFTMOUSE", "PRESS", 40), ("MOUSEMOVE", "NOTHING", 0), ("MOUSEMOVE", "NOTHING", -40),
        ("LEFTMOUSE", "RELEASE", -40),
    ):  # fmt: skip
        window().event_simulate(type=kind, value=value, x=middle[0], y=middle[1] + up)
        yield
    press(bpy.ops.shot.outline_person)
    yield
    for kind, value, x, y in (
        ("MOUSEMOVE", "NOTHING", -30, 40), ("LEFTMOUSE", "PRESS", -30, 40), ("MOUSEMOVE", "NOTHING", 30, 40), ("MOUSEMOVE", "NOTHING", 30, -40),
        ("MOUSEMOVE", "NOTHING", -30, -40), ("LEFTMOUSE", "RELEASE", -30, -40),
    ):  # fmt: skip
        window().event_simulate(type=kind, value=value, x=middle[0] + x, y=middle[1] + y)
        yield
    language = bpy.context.preferences.view
    language.language = "de_DE"
    language.use_translate_interface = language.use_translate_tooltips = language.use_translate_reports = True
    say, fill = bpy.app.translations.pgettext_iface, sys.modules[f"{NAME}.translations"].say
    seen["in German"] = [say("Extract Shot", "Operator"), say("Shot"), say("Known Lens"), fill("{count} people", count=3)]
    seen["in German"].append(bpy.app.translations.pgettext_tip("Keep the ground where it was solved"))
    language.language = "en_US"
    told = json.loads((FOLDER / "walk" / "corrections.json").read_text())["corrections"]
    seen["an upright line"], seen["an outline"] = told[:1], told[1:]


run(story)
