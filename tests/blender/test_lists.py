"""The lists of the sidebar: people of a take, and takes of the file. A chosen row drives what stands below it."""

import numpy as np
import pytest

from tests.blender import synthetic_take
from tests.blender.synthetic_take import FRAMES
from tests.blender.test_load_take import part
from tests.blender.test_registration import draw_all


def row_of(take, armature):
    return take.all_objects[:].index(armature)


def test_people_have_facts_that_are_those_of_the_take(loaded):
    from reshoot.scene import take as scene_take

    bpy, collection, _ = loaded
    for person in (1, 2):
        armature, body = part(collection, "person", person), part(collection, "body", person)
        facts = scene_take.facts_of(armature)
        assert (facts.first, facts.last) == (1, FRAMES)
        keys = body.data.shape_keys
        points = np.array([p.co for p in (keys.reference_key.data if keys else body.data.vertices)])
        assert facts.height_m == pytest.approx(np.ptp(points, axis=0).max(), abs=0.15)  # arms may reach further than the head
        assert 1.4 < facts.height_m < 2.1
    drawn = draw_all(bpy)["People"]
    words = "\n".join(map(str, drawn))
    assert "1" in drawn and "2" in drawn and f"1–{FRAMES}" in words and " m" in words


def test_confidence_is_that_of_the_frames_in_which_the_person_is_seen(blender, tmp_path):
    from reshoot.scene import take as scene_take

    folder = tmp_path / "sure"
    synthetic_take.write(folder)
    for person in (1, 2):
        path = folder / "people" / f"{person:02d}.npz"
        with np.load(path) as file:
            data = dict(file)
        data["visible"][3:] = False
        data["joints_2d"][:3, :, 2], data["joints_2d"][3:, :, 2] = 0.75, 0.1
        if person == 2:  # as people of another program may come
            del data["joints_2d"]
        np.savez_compressed(path, **data)
    assert blender.ops.shot.load_take(directory=str(folder)) == {"FINISHED"}
    first, second = scene_take.persons(blender.context.scene.reshoot.take)
    assert scene_take.facts_of(first).confidence == pytest.approx(0.75)
    assert scene_take.facts_of(second).confidence is None
    assert "75 %" in "\n".join(draw_all(blender)["People"])


def test_each_row_has_the_picture_of_its_person(blender, tmp_path, monkeypatch):
    from pathlib import Path

    from reshoot import previews
    from reshoot.scene import take as scene_take

    synthetic_take.write(tmp_path / "walk")
    (tmp_path / "walk" / "people" / "02.jpg").write_bytes(b"")
    blender.ops.shot.load_take(directory=str(tmp_path / "walk"))
    asked = []
    monkeypatch.setattr(previews, "person_icon", lambda path: asked.append(path) or (7 if Path(path).exists() else 0))
    drawn = draw_all(blender)["People"]
    assert [Path(path) for path in asked] == [tmp_path / "walk" / "people" / name for name in ("01.jpg", "02.jpg")]
    assert drawn[drawn.index("2") + 1] == "icon 7" and drawn[drawn.index("1") + 1] != "icon 7"
    (tmp_path / "walk").rename(tmp_path / "elsewhere")
    first, _ = scene_take.persons(blender.context.scene.reshoot.take)
    assert scene_take.portrait(blender.context.scene.reshoot.take, first) == ""
    draw_all(blender)


def test_a_person_of_an_earlier_reshoot_has_frames_alone(loaded):
    from reshoot.scene import take as scene_take

    bpy, collection, _ = loaded
    armature = part(collection, "person", 1)
    del armature[scene_take.FACTS_KEY]
    facts = scene_take.facts_of(armature)
    assert (facts.first, facts.last, facts.confidence, facts.height_m) == (1, FRAMES, None, None)
    assert "1" in draw_all(bpy)["People"]


def test_a_chosen_row_selects_the_person_and_drives_corrections_and_retarget(loaded):
    from reshoot.scene import take as scene_take

    bpy, collection, _ = loaded
    settings = bpy.context.scene.reshoot
    second = part(collection, "person", 2)
    settings.person_row = row_of(collection, second)
    assert settings.person == 2 and settings.person_row == row_of(collection, second)
    assert bpy.context.view_layer.objects.active == second and bpy.context.selected_objects == [second]
    assert settings.height == pytest.approx(scene_take.facts_of(second).height_m)
    settings.person_row = row_of(collection, part(collection, "camera"))  # no row of the list
    assert settings.person == 2 and bpy.context.view_layer.objects.active == second
    settings.person = 1
    assert settings.person_row == row_of(collection, part(collection, "person", 1))


def test_the_person_in_the_list_stays_where_another_mode_forbids_selecting(loaded):
    bpy, collection, _ = loaded
    first, second = (part(collection, "person", n) for n in (1, 2))
    bpy.context.view_layer.objects.active = first
    bpy.ops.object.mode_set(mode="POSE")
    bpy.context.scene.reshoot.person_row = row_of(collection, second)
    assert bpy.context.scene.reshoot.person == 2 and bpy.context.view_layer.objects.active == first
    bpy.ops.object.mode_set(mode="OBJECT")


def test_takes_are_a_list_as_soon_as_there_are_two(loaded, tmp_path, capfd):
    bpy, first, _ = loaded
    settings = bpy.context.scene.reshoot
    assert "people" not in "\n".join(map(str, draw_all(bpy)["Shot"]))
    synthetic_take.write(tmp_path / "other", people=(1,))
    bpy.ops.shot.load_take(directory=str(tmp_path / "other"))
    assert capfd.readouterr().out.splitlines()[-1].endswith("Loaded other with 1 person")
    second = settings.take
    bpy.data.collections.new("Furniture")
    words = "\n".join(map(str, draw_all(bpy)["Shot"]))
    assert first.name in words and second.name in words and "Furniture" not in words
    assert words.count("\nfilm\n") == 2 and ".png" not in words  # a sequence is told by its folder
    assert "2 people" in words and "1 people" not in words and "1 person" in words
    assert settings.take_row == bpy.data.collections.find(second.name)
    settings.take_row = bpy.data.collections.find(first.name)
    assert settings.take == first
    settings.take_row = bpy.data.collections.find("Furniture")
    assert settings.take == first
    assert "2" in draw_all(bpy)["People"]
    settings.take = second
    assert "2" not in draw_all(bpy)["People"]


def test_a_take_whose_folder_is_gone_is_marked(loaded, tmp_path):
    import shutil

    from reshoot.scene import take as scene_take

    bpy, _, _ = loaded
    synthetic_take.write(tmp_path / "other", people=(1,))
    bpy.ops.shot.load_take(directory=str(tmp_path / "other"))
    shutil.rmtree(tmp_path / "other")
    assert scene_take.gone(bpy.context.scene.reshoot.take) is not None
    assert bpy.context.scene.reshoot.take.name in "\n".join(map(str, draw_all(bpy)["Shot"]))
