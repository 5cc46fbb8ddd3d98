"""Extraction without a window, with a solver that is a script of a few lines."""

import os
import sys
import threading
import time
from pathlib import Path

import pytest

FAKE = Path(__file__).with_name("fake_solver.py")


@pytest.fixture
def fake(blender, monkeypatch, tmp_path):
    """bpy, and a function that makes a clip of a name; the solver is the fake one. Logs go to tmp_path."""
    from reshoot import jobs

    commands = []

    def command(python, clip, take, **options):
        commands.append(options)
        return [sys.executable, str(FAKE), str(clip), str(take)]

    monkeypatch.setattr(jobs, "extract_command", command)
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))

    def clip(name):
        path = tmp_path / f"{name}.mp4"
        path.write_bytes(b"")
        return str(path)

    clip.commands = commands
    return blender, clip


def alive(pid):
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


def test_result_is_loaded(fake, take):
    bpy, clip = fake
    assert bpy.ops.shot.extract(filepath=clip("fine"), take_dir=str(take[0]), quality="preview", focal_mm=35, camera_kind="turns") == {
        "FINISHED"
    }
    assert bpy.context.scene.reshoot.take.name == take[0].name
    state = bpy.context.window_manager.reshoot_job
    assert state.status == "DONE" and state.stage == "Report" and state.warnings == "The lens was guessed."
    assert clip.commands[0]["quality"] == "preview" and clip.commands[0]["focal_mm"] == 35
    assert clip.commands[0]["camera_kind"] == "turns"
    assert clip.commands[0]["cut"] is None and clip.commands[0]["max_height"] is None


def test_the_inpainter_comes_from_the_preferences_and_from_nothing_in_a_file(fake, monkeypatch, take):
    from types import SimpleNamespace

    from reshoot import preferences

    bpy, clip = fake
    for inpainter, plate, asked in (("", True, None), ("python paint.py --fast", True, "python paint.py --fast"), ("python paint.py", False, None)):
        monkeypatch.setattr(preferences, "of", lambda context: SimpleNamespace(inpainter=inpainter, smpl_folder="", python=""))  # noqa: B023
        bpy.ops.shot.extract(filepath=clip("fine"), take_dir=str(take[0]), plate=plate, load=False)
        assert clip.commands[-1]["inpainter"] == asked
    assert "inpainter" not in bpy.context.scene.reshoot.bl_rna.properties
    assert "inpainter" not in bpy.ops.shot.extract.get_rna_type().properties


def test_errors_of_the_solver_are_told_in_its_words(fake, tmp_path):
    bpy, clip = fake
    with pytest.raises(RuntimeError, match="The film has no pictures. Choose another clip."):
        bpy.ops.shot.extract(filepath=clip("error"))
    state = bpy.context.window_manager.reshoot_job
    assert (state.status, state.message, state.fix) == ("FAILED", "The film has no pictures.", "Choose another clip.")
    with pytest.raises(RuntimeError, match="stopped without a result"):
        bpy.ops.shot.extract(filepath=clip("crash"))
    assert "and on stderr" in (tmp_path / "reshoot-crash_take.log").read_text()


@pytest.mark.parametrize("name", ["slow", "deaf"])
def test_cancel_ends_the_child(fake, tmp_path, name):
    from reshoot import jobs
    from reshoot.operators import solve

    bpy, clip = fake
    begun = []

    def press_cancel():
        while not (tmp_path / "pid").exists() or solve.current is None:
            time.sleep(0.02)
        begun.append(time.monotonic())
        solve.current.job.stop()

    threading.Thread(target=press_cancel).start()
    assert bpy.ops.shot.extract(filepath=clip(name)) == {"CANCELLED"}
    assert time.monotonic() - begun[0] < jobs.STOP_GRACE_S + 2  # a promise to the artist, not a speed
    assert not alive(int((tmp_path / "pid").read_text()))
    state = bpy.context.window_manager.reshoot_job
    assert (state.status, state.unfinished) == ("CANCELLED", "Extract Shot") and solve.current is None


def test_wrong_arguments_never_start_anything(fake, tmp_path, monkeypatch):
    bpy, clip = fake
    with pytest.raises(RuntimeError, match="was not found"):
        bpy.ops.shot.extract(filepath=str(tmp_path / "none.mp4"))
    with pytest.raises(RuntimeError, match="No clip is chosen"):
        bpy.ops.shot.extract()
    with pytest.raises(RuntimeError, match="not saved yet"):
        bpy.ops.shot.extract(filepath="//shot.mp4")
    monkeypatch.setenv("RESHOOT_PYTHON", str(tmp_path / "no_python"))
    with pytest.raises(RuntimeError, match="solver's Python was not found"):
        bpy.ops.shot.extract(filepath=clip("fine"))
    assert not clip.commands


def test_a_take_that_cannot_be_loaded_is_an_error(fake, tmp_path):
    bpy, clip = fake
    with pytest.raises(RuntimeError, match="has no shot.json"):
        bpy.ops.shot.extract(filepath=clip("fine"), take_dir=str(tmp_path / "nothing"))
    assert bpy.ops.shot.extract(filepath=clip("fine"), take_dir=str(tmp_path / "nothing"), load=False) == {"FINISHED"}


def test_real_solver_says_what_is_wrong_with_a_text_file(blender, tmp_path):
    clip = tmp_path / "notes.mp4"
    clip.write_text("this is no film")
    with pytest.raises(RuntimeError) as error:
        blender.ops.shot.extract(filepath=str(clip))
    assert "Traceback" not in str(error.value) and "notes.mp4" in str(error.value)
    assert not (tmp_path / "notes_take").exists()


def test_imports_are_handed_on(fake, take, tmp_path):
    bpy, clip = fake
    given = [tmp_path / name for name in ("a b.pkl", "c.npz", "joints.json", "cam.chan")]
    for path in given:
        path.write_bytes(b"")
    (tmp_path / "masks").mkdir()
    bpy.ops.shot.extract(
        filepath=clip("fine"), take_dir=str(take[0]), people=f"{given[0]}; {given[1]}", masks=str(tmp_path / "masks"),
        joints=str(given[2]), known_camera=str(given[3]), load=False,
    )  # fmt: skip
    options = clip.commands[0]
    assert options["people"] == [str(given[0]), str(given[1])] and options["masks"] == str(tmp_path / "masks")
    assert options["joints"] == str(given[2]) and options["camera"] == str(given[3])
    with pytest.raises(RuntimeError, match="masks .*nowhere was not found"):
        bpy.ops.shot.extract(filepath=clip("fine"), take_dir=str(take[0]), masks=str(tmp_path / "nowhere"))
    assert len(clip.commands) == 1


def test_the_solver_understands_every_option():
    """The command line that Blender makes is one that the solver takes."""
    from reshoot import jobs
    from solver.__main__ import _parser

    command = jobs.extract_command(
        "python", "clip.mp4", "take", quality="preview", max_height=360, focal_mm=35.0, cut=1, range="0-9", cuts="24,80", people=["a.pkl", "b c.npz"],
        masks="masks", joints="joints.json", camera="cam.chan", fps=24.0, restart=True, smpl="smpl", no_plate=True,
    )  # fmt: skip
    read = _parser().parse_args(command[3:])
    assert (
        [str(p) for p in read.people] == ["a.pkl", "b c.npz"]
        and str(read.camera) == "cam.chan"
        and str(read.source) == "clip.mp4"
    )
    assert read.range == (0, 9) and read.cuts == (24, 80) and not read.plate and read.restart and read.focal_mm == 35.0
