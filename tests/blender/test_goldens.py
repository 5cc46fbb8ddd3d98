"""One small picture of every mode of both transfers against goldens (tests/blender/goldens.py), and that goldens notice what matters."""

import json

import numpy as np
import pytest

from tests.blender import goldens

GOLDENS = json.loads(goldens.FILE.read_text(encoding="utf-8"))


@pytest.fixture(scope="module")
def takes(tmp_path_factory):
    """People of a take → its folder and its truth."""
    folder = tmp_path_factory.mktemp("goldens")
    groups = {people for people, *_ in goldens.MODES.values()}
    return {people: (folder / f"take{len(people)}", goldens.write_take(folder / f"take{len(people)}", people)) for people in groups}


class Picture:
    """A mode's scene, whose regions are fixed before a test breaks it."""

    def __init__(self, bpy, takes, folder, mode, engine="CYCLES"):
        self.bpy, self.mode, self.engine, self.file = bpy, mode, engine, folder / "picture.png"
        take, truth = takes[goldens.MODES[mode][0]]
        assert bpy.ops.shot.load_take(directory=str(take)) == {"FINISHED"}
        self.scene, self.frame = goldens.set_up(bpy, mode, engine)
        self.masks = goldens.regions(bpy, self.scene, self.frame, truth)

    def differs(self):
        picture = goldens.render(self.bpy, self.scene, self.frame, self.file)
        return goldens.differences(goldens.measure(picture, self.masks), GOLDENS[self.mode], self.engine)

    def regions_that_differ(self):
        return {line.split(":")[0] for line in self.differs()}


@pytest.mark.parametrize("mode", goldens.MODES)
def test_picture_is_as_its_golden(blender, takes, tmp_path, mode):
    assert Picture(blender, takes, tmp_path, mode).differs() == []


def test_eevee_shows_people_shadows_and_who_is_in_front_as_cycles_does(blender, takes, tmp_path):
    assert Picture(blender, takes, tmp_path, "one", "EEVEE").differs() == []


def test_goldens_notice_a_shadow_that_falls_the_other_way(blender, takes, tmp_path):
    film = Picture(blender, takes, tmp_path, "one")
    sun = next(o for o in film.scene.objects if o.type == "LIGHT")
    sun.rotation_euler.z += np.pi
    assert {"shadow", "across"} <= film.regions_that_differ()


def test_goldens_notice_who_is_in_front_a_missing_person_and_a_wrong_view(blender, takes, tmp_path):
    film = Picture(blender, takes, tmp_path, "one")
    assert "crossing" in film.masks
    kept = [o for o in film.scene.objects if o.type == "MESH" and o.get("reshoot_person") == 2]
    for body in kept:  # for its depth, and for the shadows on it
        body.delta_location.y = 3.0
    assert len(kept) == 2 and "crossing" in film.regions_that_differ()
    for body in kept:
        body.delta_location.y = 0.0
    film.scene.view_settings.view_transform = "AgX"
    assert {"sky", "person 1", "person 2"} <= film.regions_that_differ()
    film.scene.view_settings.view_transform = "Standard"
    for item in film.scene.collection.children[0].objects:
        item.hide_render = True
        if item.animation_data:
            item.animation_data.action = None
    missing = film.regions_that_differ()
    assert {"person 1", "shadow"} <= missing and not missing & {"sky", "floor", "person 2"}


def test_goldens_notice_a_camera_or_people_out_of_step(blender, takes, tmp_path):
    timed = Picture(blender, takes, tmp_path, "retimed")
    timed.frame += 1
    assert timed.regions_that_differ() & {"person 1", "person 2"}
