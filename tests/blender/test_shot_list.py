"""The shot list: clips and strips into it, one batch out of it, its states and its takes."""

import json
import sys
from types import SimpleNamespace

import pytest

from tests.blender.test_registration import Ink
from tests.unit.test_batch import FAKE, film


@pytest.fixture
def clips(tmp_path):
    return [film(tmp_path / "in" / f"{name}.mp4", 12, seed=n) for n, name in enumerate(("good", "bad"))]


class ListInk(Ink):
    """The stand-in of a layout, which draws every item of a list too."""

    def template_list(self, kind, name, data, items, active_data, active, **_):
        for item in getattr(data, items):
            shots_panel().SHOT_UL_shots.draw_item(None, self.bpy.context, self, data, item, 0, active_data, active)

    def row(self, **_):
        return ListInk(self.bpy, self.drawn)

    column = box = row


def shots_panel():
    from reshoot.panels import shots

    return shots


def drawn(bpy):
    """What the Shot List shows."""
    ink = ListInk(bpy, [])
    shots_panel().SHOT_PT_shots.draw(SimpleNamespace(layout=ink, prepare=lambda: ink), bpy.context)
    return ink.drawn


def listed(bpy):
    return [(item.name, item.frame_range) for item in bpy.context.scene.reshoot_shots.clips]


def add(bpy, *paths):
    files = [{"name": path.name} for path in paths]
    return bpy.ops.shot.add_clips(directory=str(paths[0].parent), files=files)


def test_clips_get_names_of_their_own_and_a_folder_beside_them(blender, clips):
    bpy = blender
    assert add(bpy, *clips) == {"FINISHED"} and add(bpy, clips[0]) == {"FINISHED"}
    assert listed(bpy) == [("good", ""), ("bad", ""), ("good_2", "")]
    assert bpy.context.scene.reshoot_shots.folder == str(clips[0].parent / "takes")
    assert bpy.ops.shot.remove_clip() == {"FINISHED"} and len(listed(bpy)) == 2
    with pytest.raises(RuntimeError, match="No clip is chosen"):
        bpy.ops.shot.add_clips(directory=str(clips[0].parent))


def test_each_strip_of_the_sequencer_is_a_shot(blender, clips):
    bpy = blender
    assert not bpy.ops.shot.add_strips.poll()
    scene = bpy.context.scene
    editor = scene.sequence_editor_create()
    strips = editor.strips if hasattr(editor, "strips") else editor.sequences
    strip = strips.new_movie("Film", str(clips[0]), 1, 10)
    strip.split(14, "SOFT")
    assert bpy.ops.shot.add_strips() == {"FINISHED"}
    assert [span for _, span in listed(bpy)] == ["0-3", "4-11"]
    assert len({name for name, _ in listed(bpy)}) == 2


def test_extract_all_runs_the_list_and_says_what_failed(blender, clips, tmp_path, monkeypatch):
    from reshoot import jobs
    from reshoot.scene import batch

    bpy = blender
    code = f"import sys\nfrom solver.batch import work\nwork.SOLVER = {FAKE!r}\nfrom solver.__main__ import main\nsys.exit(main(sys.argv[1:]))"
    monkeypatch.setattr(jobs, "command", lambda python, words: [sys.executable, "-c", code, *words, "--json"])
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    assert not bpy.ops.shot.extract_shots.poll()
    add(bpy, *clips)
    shots, settings = bpy.context.scene.reshoot_shots, bpy.context.scene.reshoot
    shots.clips[0].frame_range, settings.quality, settings.plate = "2-9", "preview", False
    assert drawn(bpy)[:3] == ["good", "2-9", "bad"]
    with pytest.raises(RuntimeError, match="1 of 2 shots failed: bad"):
        bpy.ops.shot.extract_shots()
    folder = clips[0].parent / "takes"
    rows = batch.rows(folder)
    assert {name: batch.state(found) for name, found in rows.items()} == {"good": "done", "bad": "failed"}
    assert (rows["good"][0]["first_frame"], rows["good"][0]["frames"]) == (2, 8)
    options = json.loads((folder / "takes" / "good" / "shot.json").read_text())["options"]
    assert options["quality"] == "preview" and options["plate"] is False and options["cuts"] == "none"
    shots.active = 0
    assert "good: 1 person" in drawn(bpy) and "shot.load_take" in drawn(bpy)
    shots.active = 1
    assert "bad: failed" in drawn(bpy) and "It rained. Film it again." in drawn(bpy) and "shot.load_take" not in drawn(bpy)
    bpy.ops.shot.remove_clip()
    assert bpy.ops.shot.extract_shots() == {"FINISHED"}


def test_no_batch_and_a_damaged_one_have_no_rows(tmp_path):
    from reshoot.scene import batch

    assert batch.rows(tmp_path) == {}
    for text in ("", "[]", '{"shots": 3}', '{"shots": [{}]}'):
        (tmp_path / "batch.json").write_text(text)
        assert batch.rows(tmp_path) == {}


def test_the_state_of_a_clip_is_told_from_its_pieces(tmp_path):
    from reshoot.scene.batch import state

    def of(*states):
        return state([{"state": one} for one in states])

    assert [of("done", "done"), of("done", "waiting"), of("waiting"), of("done", "failed"), of("running", "failed")] == [
        "done", "running", "waiting", "failed", "running",
    ]  # fmt: skip
