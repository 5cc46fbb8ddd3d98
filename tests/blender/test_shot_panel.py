"""What the Shot panel says of a clip and a take, and what it hands to the solver."""

import shutil
from pathlib import Path
from types import SimpleNamespace

import pytest

from tests.blender.synthetic_take import FRAMES, HEIGHT, WIDTH
from tests.blender.test_load_take import part
from tests.blender.test_registration import draw_all

EXAMPLE = Path(__file__).resolve().parents[2] / "examples" / "shot.mp4"


def handed(bpy):
    from reshoot.panels import sidebar

    extract = SimpleNamespace()
    sidebar._hand_over(bpy.context.scene.reshoot, extract)
    return vars(extract)


def test_only_what_is_known_is_handed_to_the_solver(blender):
    settings = blender.context.scene.reshoot
    settings.focal_mm, settings.max_height, settings.first_frame, settings.cuts = 50, 360, 24, "24, 80"
    assert handed(blender)["cuts"] == "24, 80"
    assert not {"focal_mm", "max_height", "frame_range"} & set(handed(blender))
    settings.use_focal_mm = settings.use_max_height = settings.use_range = True
    given = handed(blender)
    assert (given["focal_mm"], given["max_height"], given["frame_range"]) == (50, 360, "0-24")


def test_no_number_stands_for_what_is_found_out(blender):
    for owner in (blender.types.Scene.bl_rna.properties["reshoot"].fixed_type, blender.ops.shot.extract.get_rna_type()):
        for name in ("focal_mm", "max_height"):
            assert owner.properties[name].hard_min > 0
        assert not [p.identifier for p in owner.properties if "0:" in p.description or "-1:" in p.description]


def test_the_clip_is_described(blender, tmp_path):
    settings = blender.context.scene.reshoot
    settings.filepath = str(EXAMPLE)
    assert settings.facts == "72 frames at 24 fps, 640×360"
    assert "72 frames at 24 fps, 640×360" in draw_all(blender)["Shot"]
    assert not blender.data.movieclips  # it was only looked at
    (tmp_path / "notes.mp4").write_text("this is no film")
    for path in ("", str(tmp_path / "none.mp4"), str(tmp_path / "notes.mp4")):
        settings.filepath = path
        assert settings.facts == ""


def test_pictures_are_described_without_a_rate(blender, take):
    blender.ops.shot.choose_clip(filepath=str(take[0] / "film" / "000000.png"))
    assert blender.context.scene.reshoot.facts == f"{FRAMES} frames, {WIDTH}×{HEIGHT}"


def test_where_film_and_scene_differ_the_panel_says_so_and_matches_them(loaded):
    bpy, collection, _ = loaded
    scene = bpy.context.scene
    scene.render.fps, scene.frame_end = 30, 250
    drawn = draw_all(bpy)["Shot"]
    said = " ".join(drawn)
    assert f"Film: 23.976 fps, {WIDTH}×{HEIGHT}, frames 1–{FRAMES}" in said and "Scene: 30 fps, 1920×1080" in said
    assert "shot.match_scene" in drawn
    assert bpy.ops.shot.match_scene() == {"FINISHED"}
    assert (scene.render.resolution_x, scene.render.resolution_y) == (WIDTH, HEIGHT)
    assert scene.render.fps / scene.render.fps_base == pytest.approx(24000 / 1001, rel=1e-6)
    assert (scene.frame_start, scene.frame_end) == (1, FRAMES)
    drawn = draw_all(bpy)["Shot"]
    assert "shot.match_scene" not in drawn and "Film:" not in " ".join(drawn)
    assert part(collection, "camera") is not None


def test_match_scene_of_a_take_that_starts_later(blender, take, tmp_path):
    shutil.copytree(take[0], tmp_path / "later")
    blender.ops.shot.load_take(directory=str(tmp_path / "later"), frame_start=101)
    blender.ops.shot.match_scene()
    assert (blender.context.scene.frame_start, blender.context.scene.frame_end) == (101, 100 + FRAMES)
