"""The table of bones: shown, corrected, kept for each kind of rig as JSON, used by Retarget."""

from __future__ import annotations

import json

import pytest

bpy = pytest.importorskip("bpy")

from reshoot import compat
from tests.blender.test_registration import draw_all
from tests.blender.test_retarget import SHIPPED, imported, write_take
from tests.retarget_cases import walk


@pytest.fixture
def rigged(blender, tmp_path, monkeypatch):
    """A character with Mixamo's names in the panel, and a folder for tables of the test's own."""
    from reshoot.scene import rig_maps

    monkeypatch.setattr(rig_maps, "folder", lambda: tmp_path / "rigs")
    armature = imported(SHIPPED[0], tmp_path)
    bpy.context.view_layer.objects.active = armature
    return armature, blender.context.scene.reshoot


def row(settings, part):
    return next(item for item in settings.bones if item.name == part)


def test_the_table_shows_what_retarget_would_take(rigged):
    from reshoot.retarget import match
    from reshoot.scene import actions, rig_maps

    armature, settings = rigged
    assert "shot.find_bones" in draw_all(bpy)["Bones"] and "shot.save_bones" not in draw_all(bpy)["Bones"]
    assert bpy.ops.shot.find_bones(armature=armature.name) == {"FINISHED"}
    mapping = match(actions.read_rig(armature))
    rig = actions.read_rig(armature)
    shown = {item.name: item.bone for item in settings.bones if item.bone}
    assert shown == {part: rig.names[bone] for part, bone in mapping.bones.items()}
    assert [item.name for item in settings.bones] == list(rig_maps.PARTS)
    assert "shot.save_bones" in draw_all(bpy)["Bones"]


def test_a_mesh_of_the_character_may_be_the_active_object(rigged):
    armature, settings = rigged
    mesh = next(o for o in bpy.data.objects if o.type == "MESH" and o.find_armature() == armature)
    bpy.context.view_layer.objects.active = mesh
    assert bpy.ops.shot.find_bones() == {"FINISHED"}
    assert settings.bones_of == armature.name


def test_a_corrected_table_is_kept_and_found_for_another_rig_with_the_same_bones(rigged, tmp_path):
    from reshoot.scene import actions, rig_maps

    armature, settings = rigged
    bpy.ops.shot.find_bones(armature=armature.name)
    row(settings, "head").bone = ""
    row(settings, "toes.L").bone = ""
    assert bpy.ops.shot.save_bones(armature=armature.name) == {"FINISHED"}
    (path,) = (tmp_path / "rigs").glob("*")
    kept = json.loads(path.read_text(encoding="utf-8"))
    assert path.suffix == ".json" and "head" not in kept["bones"] and kept["bones"]["hips"] == "mixamorig:Hips"
    twin = armature.copy()
    twin.data = armature.data.copy()
    bpy.context.scene.collection.objects.link(twin)
    mapping = rig_maps.found(actions.read_rig(twin))
    assert mapping.source == "table" and "head" not in mapping.bones and "toes.L" not in mapping.bones
    bpy.ops.shot.find_bones(armature=twin.name)
    assert settings.bones_of == twin.name and row(settings, "head").bone == ""
    assert bpy.ops.shot.forget_bones(armature=twin.name) == {"FINISHED"}
    assert not path.exists() and row(settings, "head").bone == "mixamorig:Head"


def test_retarget_moves_by_the_table_saved_or_not_and_names_what_is_missing(rigged, tmp_path, capfd):
    armature, settings = rigged
    take = str(write_take(tmp_path / "take", walk()))

    def moved():
        assert bpy.ops.shot.retarget(person=1, armature=armature.name, take_dir=take) == {"FINISHED"}
        curves = compat.curves_of(armature)
        return {c.data_path.split('"')[1] for c in curves if len({round(k.co.y, 4) for k in c.keyframe_points}) > 1}

    assert "mixamorig:Head" in moved()
    bpy.ops.shot.find_bones(armature=armature.name)
    row(settings, "head").bone = ""
    capfd.readouterr()
    assert "mixamorig:Head" not in moved()
    assert "and so not moved: Head." in capfd.readouterr().out
    bpy.ops.shot.save_bones(armature=armature.name)
    settings.bones.clear()
    assert "mixamorig:Head" not in moved()  # now from the file
    bpy.ops.shot.forget_bones(armature=armature.name)
    settings.bones.clear()
    assert "mixamorig:Head" in moved()


@pytest.mark.parametrize(
    "change, said",
    [
        ({"upper_arm.L": ""}, "lacks Left Upper Arm"),
        ({"lower_leg.R": "", "lower_arm.R": ""}, "lacks Right Lower Arm, Right Lower Leg"),
        ({"lower_arm.L": "mixamorig:LeftArm"}, "mixamorig:LeftArm stands for Left Upper Arm and Left Lower Arm"),
        ({"hand.L": "Nothing"}, "no bone called Nothing"),
    ],
)
def test_a_table_that_is_no_persons_is_refused_and_not_kept(rigged, tmp_path, change, said):
    armature, settings = rigged
    bpy.ops.shot.find_bones(armature=armature.name)
    for part, bone in change.items():
        row(settings, part).bone = bone
    with pytest.raises(RuntimeError, match=said):
        bpy.ops.shot.save_bones(armature=armature.name)
    assert not (tmp_path / "rigs").exists()
    take = str(write_take(tmp_path / "take", walk()))
    with pytest.raises(RuntimeError, match=said):
        bpy.ops.shot.retarget(person=1, armature=armature.name, take_dir=take)
    assert armature.animation_data is None or armature.animation_data.action is None


def test_bones_that_nothing_tells_apart_can_be_chosen_by_hand(rigged, tmp_path):
    armature, settings = rigged
    bpy.ops.shot.find_bones(armature=armature.name)
    right = {item.name: item.bone for item in settings.bones if item.bone}
    order = {bone.name: f"b{n}" for n, bone in enumerate(armature.data.bones)}
    for name, new in order.items():
        armature.data.bones[name].name = new
    for bone in armature.data.bones:  # nothing of the shape is left either: all bones are asked by name
        assert bone.name.startswith("b")
    settings.bones.clear()
    bpy.ops.shot.find_bones(armature=armature.name)
    for part, bone in right.items():
        row(settings, part).bone = order[bone]
    bpy.ops.shot.save_bones(armature=armature.name)
    take = str(write_take(tmp_path / "take", walk()))
    settings.bones.clear()
    assert bpy.ops.shot.retarget(person=1, armature=armature.name, take_dir=take) == {"FINISHED"}


@pytest.mark.parametrize("text", ["", "{", "[]", '{"bones": 3}', '{"bones": {"hips": "gone"}}', '{"bones": {"hips": ["x"]}}'])
def test_a_file_that_cannot_be_read_or_is_of_other_bones_is_passed_over(rigged, text):
    from reshoot.scene import actions, rig_maps

    armature, _ = rigged
    rig = actions.read_rig(armature)
    path = rig_maps.file_of(rig)
    path.parent.mkdir(parents=True)
    path.write_text(text, encoding="utf-8")
    assert rig_maps.found(rig).source == "mixamo"


def test_save_without_a_table_and_a_scene_without_a_character(rigged):
    armature, _ = rigged
    with pytest.raises(RuntimeError, match="no table of bones.*Find Bones first"):
        bpy.ops.shot.save_bones(armature=armature.name)
    bpy.data.objects.remove(armature)
    for name in ("find_bones", "save_bones", "forget_bones"):
        with pytest.raises(RuntimeError, match="Add or import a character"):
            getattr(bpy.ops.shot, name)()
