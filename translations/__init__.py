"""Texts in other languages: a file LANGUAGE.json for each, English → translated. What a file lacks stays English.

Blender translates labels of panels, buttons and properties by itself; sentences are looked up with `iface` before they are drawn.
"""

from __future__ import annotations

import json
from pathlib import Path

import bpy

CONTEXTS = (bpy.app.translations.contexts.default, bpy.app.translations.contexts.operator_default)
iface = bpy.app.translations.pgettext_iface


def tables() -> dict[str, dict[tuple[str, str], str]]:
    """Language → (context, English) → translated, as Blender takes it."""
    found = {}
    for path in sorted(Path(__file__).parent.glob("*.json")):
        texts = json.loads(path.read_text(encoding="utf-8"))
        found[path.stem] = {(context, text): said for text, said in texts.items() for context in CONTEXTS}
    return found


def register():
    bpy.app.translations.register(__package__, tables())


def unregister():
    bpy.app.translations.unregister(__package__)
