"""Set Up Solver: asks for the network's permission, brings packages by a process beside Blender, and takes them away again."""

from __future__ import annotations

import sys

import pytest

from tests.blender.test_registration import draw_all
from tests.unit.test_install import NAMES, make_wheel, write_list

# The child reads the same list as this process does here.
CHILD = "import sys; from pathlib import Path; from solver import install; install.LIST = Path({!r}); sys.exit(install.main(sys.argv[1:]))"


@pytest.fixture
def setup(blender, monkeypatch, tmp_path):
    """bpy, the folder that the packages go to, and a folder of three small wheels that are all there is to bring."""
    from reshoot import jobs, preferences
    from reshoot.solver import install

    folder, wheels = tmp_path / "user" / "solver", tmp_path / "wheels"
    wheels.mkdir()
    entries = [make_wheel(wheels, name) for name in NAMES]
    write_list(tmp_path, monkeypatch, entries)
    monkeypatch.setattr(install, "LIST", tmp_path / "wheels.json")
    monkeypatch.setattr(preferences, "setup_folder", lambda: folder)
    monkeypatch.setattr(preferences, "bundled_packages", lambda: "")
    monkeypatch.delenv("RESHOOT_PYTHON", raising=False)
    code = CHILD.format(str(tmp_path / "wheels.json"))
    monkeypatch.setattr(jobs, "command", lambda python, words: [python, "-c", code, *words[1:], "--json"])
    return blender, folder, wheels


def test_without_a_solver_the_tab_offers_one_thing(setup):
    bpy, _, _ = setup
    drawn = draw_all(bpy)["Shot"]
    assert "shot.setup_solver" in drawn and "shot.extract" not in drawn


def test_without_permission_nothing_is_fetched(setup, monkeypatch):
    bpy, folder, _ = setup
    assert not bpy.app.online_access
    with pytest.raises(RuntimeError, match="may not use the network.*Allow Online Access.*folder with the solver's wheels"):
        bpy.ops.shot.setup_solver()
    assert not folder.exists()


def test_it_says_how_much_from_where_and_to_where(setup):
    from reshoot.operators import setup_solver
    from reshoot.solver import install

    _, folder, _ = setup
    said = " ".join(setup_solver.said())
    size = sum(wheel.bytes for wheel in install.wanted(install.target()))
    assert f"3 packages, {size / 1e6:.0f} MB, from pypi.org" in said and str(folder) in said and "SHA-256" in said


def test_from_a_folder_it_is_set_up_offline_found_and_removed(setup, monkeypatch, tmp_path):
    from reshoot import jobs, preferences

    bpy, folder, wheels = setup
    asked = []
    monkeypatch.setattr(jobs, "check", lambda python, packages: asked.append((python, packages)) or (True, "ready: all"))
    assert bpy.ops.shot.setup_solver(wheels=str(wheels)) == {"FINISHED"}
    packages = str(folder / "packages")
    assert asked == [(preferences.solver_python(bpy.context), packages)]
    assert preferences.own_packages() == packages == preferences.packages(bpy.context)
    drawn = draw_all(bpy)["Shot"]
    assert "shot.extract" in drawn and "shot.setup_solver" not in drawn
    assert jobs.environment(packages)["PYTHONPATH"].split(";" if sys.platform == "win32" else ":")[0] == packages
    monkeypatch.setenv("RESHOOT_PYTHON", sys.executable)  # another Python has packages of its own
    assert preferences.packages(bpy.context) == ""
    monkeypatch.delenv("RESHOOT_PYTHON")
    assert bpy.ops.shot.remove_solver() == {"FINISHED"}
    assert not preferences.own_packages() and not list(folder.iterdir())
    assert "shot.setup_solver" in draw_all(bpy)["Shot"]


def test_a_folder_that_lacks_a_package_is_refused_with_the_button_to_try_again(setup):
    bpy, folder, wheels = setup
    (wheels / "two-1.0-py3-none-any.whl").write_bytes(b"another")
    with pytest.raises(RuntimeError, match="lacks two-1.0"):
        bpy.ops.shot.setup_solver(wheels=str(wheels))
    assert not folder.exists()
    job = bpy.context.window_manager.reshoot_job
    assert job.status == "FAILED" and job.button == "shot.setup_solver"


def test_packages_that_do_not_run_are_told_of(setup, monkeypatch):
    from reshoot import jobs

    bpy, _, wheels = setup
    monkeypatch.setattr(jobs, "check", lambda python, packages: (False, "not ready: numpy cannot be used\nbroken numpy"))
    with pytest.raises(RuntimeError, match="numpy cannot be used. Check Solver says more"):
        bpy.ops.shot.setup_solver(wheels=str(wheels))


def test_a_system_without_a_list_is_told_what_else_can_be_done(setup, monkeypatch):
    from reshoot.solver import install

    bpy, _, wheels = setup
    monkeypatch.setattr(install, "target", lambda: "haiku-x64 3.13")
    with pytest.raises(RuntimeError, match="no list of packages for haiku-x64 3.13.*Solver Python"):
        bpy.ops.shot.setup_solver(wheels=str(wheels))
