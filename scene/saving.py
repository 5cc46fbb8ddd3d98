"""Keeps the paths of takes and settings right when a file is saved somewhere else: Blender does that for its own only."""

from __future__ import annotations

import bpy

from . import paths
from .take import TAKE_KEY


@bpy.app.handlers.persistent
def before_save(target, *_):
    """In the file on disk, paths start from where it lies."""
    if target:
        _rebase(bpy.data.filepath, target)


@bpy.app.handlers.persistent
def after_save(target, *_):
    """In Blender, paths start from the file that is open now: the saved one, or the old one where a copy was saved."""
    if target:
        _rebase(target, bpy.data.filepath)


def _rebase(old: str, new: str) -> None:
    for collection in bpy.data.collections:
        if TAKE_KEY in collection and collection.library is None:
            moved = paths.kept(paths.opened(collection[TAKE_KEY], old), new)
            if moved != collection[TAKE_KEY]:
                collection[TAKE_KEY] = moved
    for scene in bpy.data.scenes:
        if scene.library is None:
            _rebase_settings(scene.reshoot, old, new)


def _rebase_settings(settings, old, new):
    for prop in settings.bl_rna.properties:
        if prop.type == "STRING" and prop.subtype in ("FILE_PATH", "DIR_PATH"):
            texts = [text.strip() for text in getattr(settings, prop.identifier).split(";")]
            moved = [paths.kept(paths.opened(t, old), new) if t.startswith("//") else t for t in texts]
            if moved != texts:
                setattr(settings, prop.identifier, "; ".join(moved))
