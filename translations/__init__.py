"""Texts in other languages: a file LANGUAGE.json for each, English → translated. What a file lacks stays English.

Blender translates labels and descriptions of panels, buttons and properties by itself. Sentences that are drawn in lines are looked up with
`iface`, and those about something, a name or a number, are made by `say`.
"""

from __future__ import annotations

import json
from pathlib import Path

import bpy

CONTEXTS = (bpy.app.translations.contexts.default, bpy.app.translations.contexts.operator_default)
iface = bpy.app.translations.pgettext_iface


def say(pattern: str, **values) -> str:
    """A sentence in the artist's language: the translated pattern, as in "{count} frames", filled in."""
    return bpy.app.translations.pgettext_rpt(pattern).format(**values)


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
