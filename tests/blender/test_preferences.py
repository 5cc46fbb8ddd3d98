"""The solver's Python: what is accepted, what is refused in words, and how the panel helps."""

import sys
import venv

import pytest

from tests.blender.test_registration import Ink, draw_all


def solver_python(bpy):
    from reshoot import preferences

    return preferences.solver_python(bpy.context)


def test_the_folder_of_an_environment_is_accepted(blender, monkeypatch, tmp_path):
    venv.create(tmp_path / "env", with_pip=False)
    monkeypatch.setenv("RESHOOT_PYTHON", str(tmp_path / "env"))
    assert solver_python(blender).startswith(str(tmp_path / "env"))


@pytest.mark.parametrize(
    "name, says", [("blender", "is Blender itself, not a Python"), ("empty", "no Python in the folder"), ("none", "was not found")]
)  # fmt: skip
def test_what_is_no_python_is_refused_in_words(blender, monkeypatch, tmp_path, name, says):
    (tmp_path / "blender").write_bytes(b"")
    (tmp_path / "empty").mkdir()
    monkeypatch.setenv("RESHOOT_PYTHON", str(tmp_path / name))
    with pytest.raises(RuntimeError, match=says):
        blender.ops.shot.check_solver()
    (tmp_path / "shot.mp4").write_bytes(b"")
    with pytest.raises(RuntimeError, match=says):
        blender.ops.shot.extract(filepath=str(tmp_path / "shot.mp4"))
    assert "shot.open_preferences" in draw_all(blender)["Shot"]  # the error's fix, as a button


def test_packages_that_are_missing_are_told_and_the_line_can_be_copied(blender, monkeypatch, tmp_path):
    from types import SimpleNamespace

    from reshoot import preferences

    venv.create(tmp_path / "env", with_pip=False)
    monkeypatch.setenv("RESHOOT_PYTHON", str(tmp_path / "env"))
    with pytest.raises(RuntimeError, match="not ready. The solver's Python lacks torch, numpy"):
        blender.ops.shot.check_solver()
    (tmp_path / "shot.mp4").write_bytes(b"")
    with pytest.raises(RuntimeError, match="lacks torch, numpy.*Check Solver"):
        blender.ops.shot.extract(filepath=str(tmp_path / "shot.mp4"))
    assert "shot.check_solver" in draw_all(blender)["Shot"] and not (tmp_path / "shot_take").exists()
    drawn = []
    page = SimpleNamespace(
        layout=Ink(blender, drawn), python="", smpl_folder="", bl_rna=preferences.ReshootPreferences.bl_rna
    )
    preferences.ReshootPreferences.draw(page, blender.context)
    assert "shot.copy_text" in drawn and any("pip install torch" in line for line in drawn)


def test_the_solver_here_is_ready(blender, monkeypatch):
    monkeypatch.setenv("RESHOOT_PYTHON", sys.executable)
    assert blender.ops.shot.check_solver() == {"FINISHED"}
    assert blender.context.window_manager.reshoot_job.check.startswith("ready: ")
