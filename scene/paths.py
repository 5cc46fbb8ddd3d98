"""Paths in a .blend: kept from its folder on, and found again where a project has moved."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterable
from pathlib import Path

import bpy

# How many folders up, and how many parts of the old path, are tried where something has moved.
_UP, _PARTS = 2, 3


def kept(path, blend: str | None = None) -> str:
    """A path as text for a .blend, by default the open one: from its folder on (`//`), absolute where that cannot be."""
    path = Path(path).resolve()
    blend = bpy.data.filepath if blend is None else blend
    if not blend:
        return str(path)
    folder = Path(blend).parent
    try:
        relative = Path(os.path.relpath(path, folder.resolve())).as_posix()
    except ValueError:  # on another drive
        return str(path)
    return "//" + relative if (folder / relative).resolve() == path else str(path)


def opened(text: str, blend: str | None = None) -> Path:
    """The absolute path of a text that was kept in a .blend, by default the open one."""
    blend = bpy.data.filepath if blend is None else blend
    if text.startswith("//"):
        text = os.path.join(os.path.dirname(blend), *re.split(r"[\\/]+", text[2:]))
    return Path(os.path.normpath(text))


def find(path, folders: Iterable[Path], fits: Callable[[Path], bool]) -> Path | None:
    """`path` where it fits, else the same ending of it in or above one of these folders; None where there is none.

    It may have been written by another system, with backslashes.
    """
    if fits(Path(path)):
        return Path(path)
    parts = [part for part in re.split(r"[\\/]+", str(path)) if part]
    bases = [base for folder in folders for base in (folder, *folder.parents[:_UP])]
    for count in range(min(_PARTS, len(parts)), 0, -1):  # the longest ending first: a name alone may be another's
        for base in bases:
            candidate = base.joinpath(*parts[-count:])
            if fits(candidate):
                return candidate
    return None


def beside_blend() -> list[Path]:
    """The folder of the open file, or nothing for one that was never saved."""
    return [Path(bpy.data.filepath).parent] if bpy.data.filepath else []
