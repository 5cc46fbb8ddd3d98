"""Which frames of the clip are solved: the pieces between its cuts as a list, and the scene's range."""

import sys
from pathlib import Path

import pytest

from tests.blender.test_registration import draw_all
from tests.blender.test_shot_panel import EXAMPLE, handed
from tests.unit.test_batch import film


@pytest.fixture
def clip(blender, tmp_path, monkeypatch):
    """The panel's settings, with a clip of three scenes."""
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    settings = blender.context.scene.reshoot
    settings.filepath = str(film(tmp_path / "three.mp4", 20, 32, 14))
    return settings


def chosen(settings):
    return settings.use_range, settings.first_frame, settings.last_frame


def test_the_pieces_of_a_clip_are_listed_and_the_longest_is_chosen(blender, clip):
    assert chosen(clip) == (False, 0, 65) and "20–51" not in draw_all(blender)["Frames"]
    assert blender.ops.shot.find_cuts() == {"FINISHED"}
    assert [(piece.first, piece.last) for piece in clip.pieces] == [(0, 19), (20, 51), (52, 65)]
    assert clip.piece == 1 and chosen(clip) == (True, 20, 51)
    drawn = draw_all(blender)["Frames"]
    assert ["20–51", "32 frames"] == drawn[drawn.index("20–51") :][:2] and {"0–19", "52–65"} <= set(drawn)
    clip.piece = 2
    assert handed(blender)["frame_range"] == "52-65"
    clip.piece = 0
    assert handed(blender)["frame_range"] == "0-19"
    clip.use_range = False
    assert "frame_range" not in handed(blender)


def test_cuts_that_the_artist_names_are_heard(blender, clip):
    clip.cuts = "10, 40"
    blender.ops.shot.find_cuts()
    assert [(piece.first, piece.last) for piece in clip.pieces] == [(0, 9), (10, 39), (40, 65)]


def test_a_clip_without_cuts_is_whole(blender, clip, tmp_path):
    clip.filepath = str(film(tmp_path / "one.mp4", 24))
    blender.ops.shot.find_cuts()
    assert blender.context.window_manager.reshoot_job.message == "The clip has no cuts"
    assert chosen(clip) == (False, 0, 23)


def test_another_clip_forgets_the_pieces(blender, clip):
    blender.ops.shot.find_cuts()
    clip.filepath = str(EXAMPLE)
    assert not clip.pieces and chosen(clip) == (False, 0, 71)


def test_pieces_of_a_clip_that_was_changed_meanwhile_are_not_shown(blender, clip):
    from reshoot import jobs
    from reshoot.operators import frames

    done = jobs.Result(clip.filepath, ((0, 9), (10, 65)))
    clip.filepath = str(EXAMPLE)
    assert "Another clip" in frames._found(blender.context, done)[0] and not clip.pieces


def test_a_search_that_is_stopped_keeps_nothing_and_promises_nothing(blender, clip, monkeypatch):
    from reshoot import jobs
    from reshoot.operators import solve

    monkeypatch.setattr(jobs, "command", lambda *_: [sys.executable, "-c", "import sys; sys.stdin.read(); sys.exit(3)"])
    solve.begin(blender.context, "Find Cuts", solve.Plan(Path(clip.filepath), {}, None, words=("cuts",), looks=True))
    assert blender.ops.shot.cancel() == {"FINISHED"}
    while solve.tick() is not None:
        pass
    state = blender.context.window_manager.reshoot_job
    assert (state.status, state.message, state.unfinished) == ("CANCELLED", "Find Cuts was cancelled.", "")


def test_first_and_last_frame_may_be_given_in_any_order(blender, clip):
    clip.use_range, clip.first_frame, clip.last_frame = True, 40, 9
    assert handed(blender)["frame_range"] == "9-40"


def test_the_scene_says_which_frames(blender, clip):
    scene = blender.context.scene
    scene.frame_start, scene.frame_end = 11, 40
    assert blender.ops.shot.use_scene_range() == {"FINISHED"} and chosen(clip) == (True, 10, 39)
    scene.use_preview_range, scene.frame_preview_start, scene.frame_preview_end = True, 21, 250
    blender.ops.shot.use_scene_range()
    assert chosen(clip) == (True, 20, 65)  # no more than the clip has
    scene.frame_preview_start = 100
    with pytest.raises(RuntimeError, match="no frames in the range of the scene. Give the scene a range within 1 to 66"):
        blender.ops.shot.use_scene_range()


def test_without_a_clip_there_is_nothing_to_look_at(blender):
    for operator in (blender.ops.shot.find_cuts, blender.ops.shot.use_scene_range):
        with pytest.raises(RuntimeError, match="No clip is chosen"):
            operator()
