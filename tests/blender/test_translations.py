"""Every label, description and sentence has its German; nothing else has. (pip's Blender knows no language: tests/gui switches it and
reads some.)"""

import ast
import string
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
UNSEEN = {"Facts", "Piece", "Pieces", "Loaded Take", "Rig of the Bones", "clips", "Reshoot Clip"}  # names that nobody reads
NAMES = {"Cycles", "EEVEE", "Workbench", "BVH (.bvh)", "FBX (.fbx)", "glTF (.glb)", "USD (.usdc)", "Alembic (.abc)", "Nuke Camera (.chan)"}
BLENDERS = {"Name of the preset, used to make the path name"}  # Blender's own words, which it translates itself


def _own(cls):
    """Names of the properties that a class and its mix-ins add."""
    return set().union(*(getattr(base, "__annotations__", {}) for base in cls.__mro__))


def properties(bpy):
    """(property, whether its name is read) of what panels keep and what operators and preferences offer."""
    from reshoot import properties, registration

    groups = [group for _, name, group in registration.POINTERS if name != "reshoot_job"]
    for group in (*groups, properties.ReshootBone):
        yield from ((p, group in groups) for p in group.bl_rna.properties if p.identifier not in ("rna_type", "name"))
    for cls in registration.CLASSES:
        if issubclass(cls, bpy.types.Operator):
            group, name = cls.bl_idname.split(".")
            rna = getattr(getattr(bpy.ops, group), name).get_rna_type()
        elif issubclass(cls, bpy.types.AddonPreferences):
            rna = cls.bl_rna
        else:
            continue
        yield from ((p, False) for p in rna.properties if p.identifier in _own(cls))


def labels(bpy):
    """Labels of operators, panels and menus, and names of what the panels keep."""
    from reshoot import registration

    kinds = (bpy.types.Operator, bpy.types.Panel, bpy.types.Menu)
    found = {cls.bl_label for cls in registration.CLASSES if issubclass(cls, kinds) and cls.bl_idname != "SHOT_MT_presets"}
    for prop, read in properties(bpy):
        if read:
            found.add(prop.name)
            found |= {item.name for item in prop.enum_items} if prop.type == "ENUM" else set()
    return found | {"Presets"}


def descriptions(bpy):
    """What is read where the mouse rests."""
    from reshoot import registration

    found = {cls.bl_description for cls in registration.CLASSES if issubclass(cls, bpy.types.Operator)}
    for prop, _ in properties(bpy):
        found.add(prop.description)
        found |= {item.description for item in prop.enum_items} if prop.type == "ENUM" else set()
    return found - {""} - BLENDERS


def sentences():
    """What the code says: patterns of `say`, and what the panels draw, as text that stands in the code."""
    found = set()
    for path in sorted(path for folder in ("operators", "panels") for path in (ROOT / folder).glob("*.py")):
        for call in (node for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))) if isinstance(node, ast.Call)):
            name = getattr(call.func, "attr", getattr(call.func, "id", ""))
            spoken = call.args[:1] if name in ("say", "iface") else call.args[1:2] if name == "_lines" else []
            spoken += [word.value for word in call.keywords if word.arg == "text" and path.parent.name == "panels"]
            parts = [part for node in spoken for part in ((node.body, node.orelse) if isinstance(node, ast.IfExp) else (node,))]
            found |= {part.value for part in parts if isinstance(part, ast.Constant) and isinstance(part.value, str)}
    return found - {""}


@pytest.mark.parametrize("language", [path.stem for path in (ROOT / "translations").glob("*.json")])
def test_everything_is_translated_and_nothing_that_is_gone(blender, language):
    from reshoot import translations

    table = translations.tables()[language]
    texts = {text for _, text in table}
    read = labels(blender) | descriptions(blender) | sentences()
    assert read - UNSEEN - NAMES - texts == set()
    code = "".join(path.read_text(encoding="utf-8") for folder in ("operators", "panels") for path in (ROOT / folder).glob("*.py"))
    assert {text for text in texts - read - {"Bone"} if f'"{text}"' not in code} == set()
    assert all(said.strip() == said and said for said in table.values())
    assert {context for context, _ in table} == {"*", "Operator"}


def fields(pattern):
    return sorted((name, spec) for _, name, spec, _ in string.Formatter().parse(pattern) if name is not None)


@pytest.mark.parametrize("language", [path.stem for path in (ROOT / "translations").glob("*.json")])
def test_translated_sentences_are_about_the_same(blender, language):
    from reshoot import translations

    for (_, text), said in translations.tables()[language].items():
        assert fields(text) == fields(said), text


def test_sentences_are_filled_in_whatever_a_name_is_called(blender):
    from reshoot.translations import say

    assert say("Baked {count} frames onto {name}", count=72, name="{odd} 100 %") == "Baked 72 frames onto {odd} 100 %"
