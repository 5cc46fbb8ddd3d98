"""What the scripts in a windowed Blender share: the extension installed with a stand-in for the solver, the mouse and the keys, a story.

blender --enable-event-simulate --python in_….py -- FOLDER    (FOLDER: reshoot.zip, fake_solver.py, and what the script needs)
"""

import json
import sys
import time
import traceback
from pathlib import Path

import bpy

FOLDER = Path(sys.argv[sys.argv.index("--") + 1])
NAME = "bl_ext.user_default.reshoot"
WAIT_S = 30  # for what has to come; a step that waits longer has failed

bpy.context.preferences.view.show_splash = False
bpy.ops.extensions.package_install_files(
    filepath=str(FOLDER / "reshoot.zip"), repo="user_default", enable_on_install=True
)
jobs, solve = sys.modules[f"{NAME}.jobs"], sys.modules[f"{NAME}.operators.solve"]
jobs.extract_command = lambda _, clip, take, **__: ["/usr/bin/python3", str(FOLDER / "fake_solver.py"), clip, str(take)]
bpy.context.preferences.addons[NAME].preferences.python = "/usr/bin/python3"


def window():
    return bpy.context.window_manager.windows[0]


def area(kind):
    return next(a for a in window().screen.areas if a.type == kind)


def state():
    return bpy.context.window_manager.reshoot_job


def press(operator, **arguments):
    """An operator as a button of the sidebar starts it."""
    view = area("VIEW_3D")
    with bpy.context.temp_override(
        window=window(), area=view, region=next(r for r in view.regions if r.type == "WINDOW")
    ):
        return operator("INVOKE_DEFAULT", **arguments)


def key(shown, item, kind):
    """Press a key with the mouse over an area of a window."""
    region = next(r for r in item.regions if r.type == "WINDOW")
    at = {"x": region.x + region.width // 2, "y": region.y + region.height // 2}
    shown.event_simulate(type="MOUSEMOVE", value="NOTHING", **at)
    yield
    for value in ("PRESS", "RELEASE"):
        shown.event_simulate(type=kind, value=value, **at)
    yield
    yield


def run(story):
    """Play a story, `story(seen)`: each yield lets Blender work; a yielded function is waited for. Then write down what was seen."""
    seen = {}
    steps = story(seen)
    waiting = [None, 0.0]

    def step():
        try:
            wanted, since = waiting
            if wanted is not None and not wanted():
                if time.monotonic() - since > WAIT_S:
                    raise TimeoutError(f"waited for line {wanted.__code__.co_firstlineno}")
                return 0.2
            waiting[:] = next(steps), time.monotonic()
            return 0.5
        except StopIteration:
            pass
        except (RuntimeError, TimeoutError, LookupError, AttributeError, TypeError, ValueError):
            seen["fault"] = traceback.format_exc()
        (FOLDER / "seen.json").write_text(json.dumps(seen))
        bpy.ops.wm.quit_blender()

    bpy.app.timers.register(step, first_interval=2, persistent=True)

