"""In a real window: what no Blender without one can show. Skipped where there is no windowed Blender (see make_blender.sh)."""

from __future__ import annotations

import pytest

from tests.gui import room


@pytest.fixture(scope="module")
def seen(tmp_path_factory):
    """What in_window.py wrote down."""
    folder = room.fill(tmp_path_factory.mktemp("dist"))
    from tests.blender import synthetic_take, test_corrections

    synthetic_take.write(folder / "walk")
    test_corrections.write_stages(folder / "walk")
    return room.play(folder, "in_window.py", 79, (1600, 900))


def test_a_run_outlives_the_file(seen):
    assert seen["after File > New"] == ["RUNNING", "Film"]


def test_escape_cancels_over_the_3d_view_only(seen):
    assert seen["Esc over the outliner"] == "RUNNING"
    assert seen["Esc over the 3D view"] == ["CANCELLED", True]


def test_the_take_is_loaded_and_one_undo_takes_it_back(seen):
    assert seen["loaded"] == ["Loaded walk with 2 people", ["walk"]]
    assert seen["one undo takes it back"]


def test_buttons_with_a_file_browser_ask_each_time(seen):
    assert seen["Load Take asks each time"] == ["walk", "walk.001"]
    assert seen["Export asks each time"] == ["one_camera.npz", "two_camera.npz"]


def test_blender_in_german_shows_german_labels(seen):
    assert seen["in German"] == ["Einstellung auswerten", "Einstellung", "Brennweite bekannt", "3 Personen", "Den Boden lassen, wo er gelöst wurde"]


def test_a_line_is_drawn_along_something_upright(seen):
    (told,) = seen["an upright line"]
    assert told["do"] == "upright" and told["frame"] == 0
    assert abs(told["x1"] - told["x2"]) < 0.002 and told["y1"] < 0.5 < told["y2"]
    (outline,) = seen["an outline"]
    (polygon,) = outline["polygons"]
    assert outline["person"] == 3 and outline["new"] and len(polygon) > 3 and all(0.2 < x < 0.8 and 0.1 < y < 0.9 for x, y in polygon)
    assert abs((told["y1"] + told["y2"]) / 2 - 0.5) < 0.1 and 0.02 < told["y2"] - told["y1"] < 0.9
