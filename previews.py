"""The picture that the running solver sends, as an icon for the panel."""

from __future__ import annotations

import bpy
import bpy.utils.previews

NAME = "film"

_collection = None


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


def clear() -> None:
    """Forget the picture; Blender complains of collections that are left at its end."""
    global _collection
    if _collection is not None:
        bpy.utils.previews.remove(_collection)
        _collection = None
