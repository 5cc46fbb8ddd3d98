"""`blender --command reshoot …` runs the solver's command line. (pip's Blender has no command line: the function is called.)"""

import sys

import pytest


@pytest.fixture
def command(blender, monkeypatch, tmp_path):
    """The function that Blender calls; this test's folder is the terminal's."""
    from reshoot.operators import command

    monkeypatch.setenv("RESHOOT_PYTHON", sys.executable)
    monkeypatch.chdir(tmp_path)
    return command.run


def test_it_is_registered_with_blender_and_taken_back(blender, monkeypatch):
    import reshoot
    from reshoot.operators import command

    reshoot.unregister()
    given, taken = [], []
    monkeypatch.setattr(blender.utils, "register_cli_command", lambda *words: given.append(words) or "handle")
    monkeypatch.setattr(blender.utils, "unregister_cli_command", taken.append)
    reshoot.register()
    assert given == [("reshoot", command.run)]
    reshoot.unregister()
    assert taken == ["handle"]
    monkeypatch.undo()
    reshoot.register()


def test_words_and_status_are_the_solvers(command, capfd):
    assert command(["check"]) == 0
    assert capfd.readouterr().out.startswith("ready: ")
    assert command(["nonsense"]) == 2
    assert "invalid choice" in capfd.readouterr().err


def test_paths_are_those_of_the_terminal_and_the_take_goes_beside_the_clip(command, capfd, tmp_path, monkeypatch):
    from reshoot import jobs

    (tmp_path / "notes.mp4").write_text("this is no film")
    assert command(["extract", "notes.mp4"]) == 1
    said = capfd.readouterr().err
    assert "notes.mp4" in said and "Traceback" not in said
    assert "error: the following arguments are required" not in said
    asked = []
    monkeypatch.setattr(jobs, "call", lambda python, words, packages: asked.append(words) or 0)
    command(["extract", "films/a.mp4", "--no-plate"])
    command(["extract", "a.mp4", "--out=here"])
    assert asked == [
        ["extract", "films/a.mp4", "--no-plate", "--out", "films/a_take"],
        ["extract", "a.mp4", "--out=here"],
    ]


def test_a_solver_that_is_not_there_is_one_line(command, capfd, monkeypatch, tmp_path):
    monkeypatch.setenv("RESHOOT_PYTHON", str(tmp_path / "none"))
    assert command(["check"]) == 1
    assert capfd.readouterr().err.startswith("error: The solver's Python was not found")
