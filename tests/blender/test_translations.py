"""Every label has its German; nothing else has. (pip's Blender knows no language: tests/gui switches it and reads a label.)"""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
UNSEEN = {"Facts", "Piece", "Pieces", "Loaded Take", "Rig of the Bones", "clips", "Reshoot Clip"}  # names that nobody reads
NAMES = {"Cycles", "EEVEE", "Workbench", "BVH (.bvh)", "FBX (.fbx)", "glTF (.glb)", "USD (.usdc)", "Alembic (.abc)", "Nuke Camera (.chan)"}


def labels(bpy):
    """Labels of operators, panels and menus, and names of what the panels keep."""
    from reshoot import registration

    kinds = (bpy.types.Operator, bpy.types.Panel, bpy.types.Menu)
    found = {cls.bl_label for cls in registration.CLASSES if issubclass(cls, kinds) and cls.bl_idname != "SHOT_MT_presets"}
    for _, pointer, group in registration.POINTERS:
        for prop in group.bl_rna.properties if pointer != "reshoot_job" else ():
            if prop.identifier not in ("rna_type", "name"):
                found.add(prop.name)
                found |= {item.name for item in prop.enum_items} if prop.type == "ENUM" else set()
    return found | {"Presets"}


@pytest.mark.parametrize("language", [path.stem for path in (ROOT / "translations").glob("*.json")])
def test_every_label_is_translated_and_nothing_that_is_gone(blender, language):
    from reshoot import translations

    table = translations.tables()[language]
    texts = {text for _, text in table}
    assert labels(blender) - UNSEEN - NAMES - texts == set()
    code = "".join(path.read_text(encoding="utf-8") for folder in ("operators", "panels") for path in (ROOT / folder).glob("*.py"))
    sentences = set(re.findall(r'"([^"\n]+)"', code))
    assert texts - labels(blender) - sentences - {"Bone"} == set()
    assert all(said.strip() == said and said for said in table.values())
    assert {context for context, _ in table} == {"*", "Operator"}

