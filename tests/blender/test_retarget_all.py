"""Every person of a take onto the character that was chosen for them, at one go."""

import shutil

import numpy as np
import pytest

from tests.blender import synthetic_take
from tests.blender.test_load_take import part
from tests.blender.test_registration import draw_all
from tests.blender.test_retarget import SHIPPED


@pytest.fixture
def two(loaded, tmp_path):
    """bpy, the take's collection, its two people, and a character for each."""
    bpy, collection, _ = loaded
    rigs = []
    for path in SHIPPED:
        copy = tmp_path / path.name
        shutil.copy(path, copy)
        before = set(bpy.data.objects)
        bpy.ops.import_scene.gltf(filepath=str(copy))
        rigs.append(next(o for o in set(bpy.data.objects) - before if o.type == "ARMATURE"))
    return bpy, collection, [part(collection, "person", n) for n in (1, 2)], rigs


def heads(bpy, armature, words, frame):
    bpy.context.scene.frame_set(frame)
    posed = armature.evaluated_get(bpy.context.evaluated_depsgraph_get())
    return np.array([posed.matrix_world @ next(b for b in posed.pose.bones if b.name.endswith(word)).head for word in words])


def test_every_character_moves_as_its_person_and_the_solved_ones_are_hidden(two):
    bpy, _, people, rigs = two
    for person, rig in zip(people, reversed(rigs), strict=True):
        person.reshoot.character = rig
    mine = bpy.data.actions.new("Mine")
    rigs[0].animation_data_create().action = mine
    drawn = draw_all(bpy)["Retarget"]
    assert drawn.count("character") == 2 and "shot.retarget_all" in drawn
    assert bpy.ops.shot.retarget_all() == {"FINISHED"}
    for person, rig, words in zip((1, 2), reversed(rigs), (("thigh_l", "thigh_r"), ("LeftUpLeg", "RightUpLeg")), strict=True):
        assert f"Person {person} on" in rig.animation_data.action.name
        ours = heads(bpy, rig, words, 5).mean(0)
        solved = heads(bpy, people[person - 1], ("left_hip", "right_hip"), 5).mean(0)
        assert np.linalg.norm((ours - solved)[:2]) < 0.02  # it stands where the person stands
    assert [t.name for t in rigs[0].animation_data.nla_tracks] == ["Mine"] and mine.users
    assert all(person.hide_get() for person in people)


def test_who_has_no_character_stays_as_they_are(two):
    bpy, _, people, rigs = two
    people[1].reshoot.character = rigs[0]
    assert bpy.ops.shot.retarget_all(hide_person=False) == {"FINISHED"}
    assert "Person 2 on" in rigs[0].animation_data.action.name and rigs[1].animation_data is None
    assert not any(person.hide_get() for person in people)


def test_what_is_missing_is_said_before_anything_is_changed(two):
    bpy, _, people, rigs = two
    with pytest.raises(RuntimeError, match="No character is chosen for anybody"):
        bpy.ops.shot.retarget_all()
    for person in people:
        person.reshoot.character = rigs[0]
    with pytest.raises(RuntimeError, match="is chosen for person 1 and person 2"):
        bpy.ops.shot.retarget_all()
    assert not any(rig.animation_data and rig.animation_data.action for rig in rigs)


def test_one_that_cannot_be_moved_does_not_stop_the_other(two, capfd):
    bpy, _, people, rigs = two
    for person, rig in zip(people, rigs, strict=True):
        person.reshoot.character = rig
    rigs[0].pose.bones["mixamorig:LeftArm"].constraints.new("COPY_ROTATION")
    assert bpy.ops.shot.retarget_all() == {"FINISHED"}
    assert "Person 1: Constraints already move" in capfd.readouterr().out
    assert rigs[1].animation_data.action and [p.hide_get() for p in people] == [False, True]


def test_the_choice_outlives_solve_again(blender, tmp_path):
    from reshoot.scene import take as scene_take

    synthetic_take.write(tmp_path / "walk")
    blender.ops.shot.load_take(directory=str(tmp_path / "walk"))
    collection = blender.context.scene.reshoot.take
    rig = blender.data.objects.new("Hero", blender.data.armatures.new("Hero"))
    blender.context.scene.collection.objects.link(rig)
    part(collection, "person", 2).reshoot.character = rig
    scene_take.renew(collection)
    assert part(collection, "person", 2).reshoot.character == rig and part(collection, "person", 1).reshoot.character is None


def test_the_active_character_is_taken_where_none_is_chosen(two):
    from reshoot.panels import sidebar

    bpy, _, people, rigs = two
    mesh = next(o for o in bpy.data.objects if o.type == "MESH" and o.find_armature() == rigs[1])
    bpy.context.view_layer.objects.active = mesh
    assert sidebar._character(bpy.context) == rigs[1]
    people[0].reshoot.character = rigs[0]
    assert sidebar._character(bpy.context) == rigs[0]
    people[0].reshoot.character = None
    bpy.context.view_layer.objects.active = people[0]  # a solved person is nobody's character
    assert sidebar._character(bpy.context) is None
