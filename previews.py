"""Pictures as icons for the panels: the one that the running solver sends, and those of people."""

from __future__ import annotations

import os

import bpy
import bpy.utils.previews

NAME = "film"

_collection = None
_people = None


def show(path: str) -> None:
    """Make the picture at `path` the one that is shown. Without a window nothing is loaded."""
    global _collection
    if bpy.app.background:
        return
    if _collection is None:
        _collection = bpy.utils.previews.new()
    _collection.clear()
    # Its size is asked for so that it is read now: else the panel would blink until Blender finds the time.
    _collection.load(NAME, path, "IMAGE").image_size[:]


def icon_id() -> int:
    """Number of the icon, or 0 where there is nothing to show."""
    return _collection[NAME].icon_id if _collection else 0


def person_icon(path: str) -> int:
    """Number of the icon of a picture of somebody, or 0 where there is none or no window. One that was written anew is read anew."""
    global _people
    if bpy.app.background or not os.path.exists(path):
        return 0
    if _people is None:
        _people = bpy.utils.previews.new()
    name = f"{path} {os.path.getmtime(path)}"
    if name not in _people:
        _people.load(name, path, "IMAGE")
    return _people[name].icon_id


def clear() -> None:
    """Forget all pictures; Blender complains of collections that are left at its end."""
    global _collection, _people
    for collection in (_collection, _people):
        if collection is not None:
            bpy.utils.previews.remove(collection)
    _collection = _people = None
