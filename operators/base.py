"""What the operators share: errors in an artist's words, and finding the take."""

from __future__ import annotations

from pathlib import Path

import bpy

from .. import compat
from ..scene import take as scene_take
from ..solver.protocol import ShotError
from ..translations import say


def text_once(name: str, description: str):
    """A text that holds for one call: Blender would bring the last one again, unasked."""
    return bpy.props.StringProperty(name=name, description=description, options={"SKIP_SAVE"})


def path_once(name: str, description: str, subtype: str = "FILE_PATH"):
    """A path that holds for one call, so that a button without one asks for it each time."""
    return bpy.props.StringProperty(
        name=name, description=description, subtype=subtype, options={"SKIP_SAVE"} | compat.PATH
    )


def take_name():
    """The name of a loaded take, for scripts."""
    return text_once("Take", "Name the take. Empty: the one chosen in the panel")


def camera_shake():
    """How much of the film camera's shake a baked camera has."""
    return bpy.props.FloatProperty(
        name="Shake",
        description="Set how much of the film camera's shake is kept: 0 glides, 1 is as filmed, more is a nervous hand",
        default=1.0,
        min=0.0,
        soft_max=3.0,
    )


class Polled:
    """Mix-in. `needs`: what an operator cannot do without, functions of (cls, context) that say what is missing."""

    needs = ()

    @classmethod
    def poll(cls, context):
        return all(there(cls, context) for there in cls.needs)


class ShotOperator(Polled):
    """Mix-in. `run(context)` does the work and may raise ShotError; it returns a line for the artist."""

    def execute(self, context):
        try:
            said = self.run(context)
        except ShotError as error:
            self.report({"ERROR"}, str(error))
            return {"CANCELLED"}
        self.tell(*said) if isinstance(said, tuple) else self.tell(said)
        return {"FINISHED"}

    def tell(self, text, warnings=()):
        """Report that it is done, with its caveats if there are any."""
        for warning in warnings:
            self.report({"WARNING"}, warning)
        if not warnings:
            self.report({"INFO"}, text)


def absolute(path: str, what: str) -> Path:
    """An absolute path; `//` is beside the .blend. Raises ShotError where there is no path, or no .blend yet."""
    if not path.strip():
        raise ShotError(f"No {what} is chosen.", "Choose one in the Shot panel.")
    if path.startswith("//") and not bpy.data.filepath:
        raise ShotError(
            f"The path of the {what} begins beside the .blend file, which is not saved yet.", "Save the file first."
        )
    return Path(bpy.path.abspath(path)).resolve()


def absolute_list(paths: str, what: str) -> list[str]:
    """Absolute paths of files or folders that are there, from one text with semicolons between. Raises ShotError."""
    found = [absolute(path.strip(), what) for path in paths.split(";") if path.strip()]
    for path in found:
        if not path.exists():
            raise ShotError(f"The {what} {path} was not found.", "Choose another, or leave it empty.")
    return [str(path) for path in found]


def take_beside(clip: Path) -> Path:
    """The folder of a take whose place nobody named."""
    return clip.with_name(clip.stem + "_take")


def has_take(cls, context) -> bool:
    """Poll: there is a take in this file."""
    if scene_take.take_collections():
        return True
    cls.poll_message_set("Extract a shot or load a take first")
    return False


def in_object_mode(cls, context) -> bool:
    """Poll: nothing is being edited, so that objects may come and go."""
    if context.mode == "OBJECT":
        return True
    cls.poll_message_set("Go to Object Mode first")
    return False


def has_character(cls, context) -> bool:
    """Poll: there is an armature in this scene."""
    if any(item.type == "ARMATURE" for item in context.scene.objects):
        return True
    cls.poll_message_set("Add or import a character with an armature first")
    return False


def chosen_take(context, name: str = ""):
    """The take's collection by name, else the one chosen in the panel, else the last one. Raises ShotError."""
    takes = scene_take.take_collections()
    if name:
        for collection in takes:
            if collection.name == name:
                return collection
        raise ShotError(f"There is no take called {name} in this file.", "Load it, or choose another.")
    chosen = context.scene.reshoot.take
    if chosen in takes:
        return chosen
    if not takes:
        raise ShotError("There is no take in this scene.", "Extract a shot or load a take first.")
    return takes[-1]


def object_called(name: str, kind: str, what: str):
    """An object by name and type. Raises ShotError."""
    item = bpy.data.objects.get(name)
    if item is None or (kind and item.type != kind):
        raise ShotError(f"There is no {what} called {name}.", "Choose one that is in the file.")
    return item


def person_ids(text: str, known) -> list[int]:
    """Ids in a text like "1, 3". Raises ShotError for what is no number, or nobody in the take."""
    ids = []
    for word in text.replace(",", " ").replace(";", " ").split():
        if not word.isdigit() or int(word) not in known:
            people = ", ".join(str(i) for i in known) or "nobody"
            raise ShotError(f"“{word}” is not a person of this take.", f"It has {people}.")
        ids.append(int(word))
    return ids


def show_scene(context, scene) -> None:
    """Make a scene the one that the artist looks at, with the same film and take chosen. Scripts stay where they are."""
    for name in ("take", "filepath", "take_dir"):
        setattr(scene.reshoot, name, getattr(context.scene.reshoot, name))
    if context.window is not None and not bpy.app.background:
        context.window.scene = scene


def how_many(people: int) -> str:
    """So many people, in words."""
    return say("1 person") if people == 1 else say("{count} people", count=people)


def redraw(context) -> None:
    """Let the panels show what has changed."""
    for window in context.window_manager.windows:
        for area in window.screen.areas:
            if area.type == "VIEW_3D":
                area.tag_redraw()
