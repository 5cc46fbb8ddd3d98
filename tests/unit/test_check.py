"""What the solver says of a Python that lacks what it needs; nothing but the standard library is there then."""

import json
import os
import re
import subprocess
import sys
import tomllib
import venv
from pathlib import Path

import pytest

from reshoot import jobs
from solver import check

ROOT = Path(__file__).resolve().parents[2]
NAMES = ["torch", "numpy", "scipy", "opencv-python-headless", "av", "onnxruntime", "scenedetect-headless", "pillow", "roma", "tqdm"]


@pytest.fixture(scope="module")
def bare(tmp_path_factory):
    """Folder of an environment with nothing in it, whose name has a space."""
    folder = tmp_path_factory.mktemp("a bare one")
    venv.create(folder, with_pip=False, symlinks=os.name != "nt")
    return folder


def run(python, *words):
    return subprocess.run([str(python), "-m", "solver", *words], check=False, capture_output=True, text=True, cwd=ROOT)


def test_verdict_first_then_one_line_to_copy(bare):
    python = jobs.python_of(bare)
    done = run(python, "check")
    lines = done.stdout.splitlines()
    assert done.returncode == 1 and done.stderr == "" and len(lines) == 2
    assert lines[0] == f"not ready: The solver's Python lacks {', '.join(NAMES)}."
    kind, _, command = lines[1].partition(" ")
    assert kind == "copy" and command.strip().startswith(f"'{python}' -m pip install torch==")
    assert "'numpy>=1.26,<3'" in command  # a terminal would read < as a file


def test_blender_hears_the_verdict_and_no_traceback(bare):
    fine, said = jobs.check(jobs.python_of(bare))
    assert not fine and said.startswith("not ready: The solver's Python lacks torch, numpy")
    assert "Traceback" not in said


def test_a_whole_environment_is_ready():
    fine, said = jobs.check(sys.executable)
    assert fine and said.splitlines()[0] == "ready: everything the solver needs is here" and "ok       torch" in said


def test_what_is_no_python_is_one_line(tmp_path):
    fine, said = jobs.check("/bin/true")
    assert not fine and said == "not ready: /bin/true cannot run the solver: it said nothing"


@pytest.mark.parametrize("words", [("extract", "film.mp4", "--out", "take"), ("take", "take", "undo"), ("--help",)])
def test_nothing_ends_in_a_traceback_where_packages_are_missing(bare, words):
    done = run(jobs.python_of(bare), *words)
    assert done.returncode == 1 and not done.stdout
    (line,) = done.stderr.splitlines()
    assert line.startswith("error: The solver's Python lacks torch, numpy") and "--debug" not in line
    assert not (ROOT / "take").exists()


def test_blender_is_told_in_its_own_protocol(bare):
    done = run(jobs.python_of(bare), "extract", "film.mp4", "--out", "take", "--json")
    message = jobs.parse(done.stdout.strip())
    assert isinstance(message, jobs.Failed) and "lacks torch" in message.message and "Check Solver" in message.fix
    assert json.loads(done.stdout)["type"] == "error"


def test_a_package_that_cannot_be_loaded_is_one_clear_line(tmp_path):
    """A package may be there and yet fail: here one whose library is missing."""
    (tmp_path / "av").mkdir()
    (tmp_path / "av" / "__init__.py").write_text("raise ImportError('libGL.so.1: cannot open shared object file')")
    (tmp_path / "film.mp4").write_bytes(b"")
    command = [sys.executable, "-m", "solver"]
    environment = dict(os.environ, PYTHONPATH=str(tmp_path))
    extract = [*command, "extract", str(tmp_path / "film.mp4"), "--out", str(tmp_path / "take")]
    done = subprocess.run(extract, check=False, capture_output=True, text=True, cwd=ROOT, env=environment)
    assert done.returncode == 1 and "libGL.so.1" in done.stderr and "--debug" not in done.stderr
    assert "Traceback" not in done.stderr and "A package of the solver cannot be loaded" in done.stderr
    done = subprocess.run([*command, "check"], check=False, capture_output=True, text=True, cwd=ROOT, env=environment)
    assert done.returncode == 1 and done.stdout.splitlines()[0] == "not ready: av cannot be used"
    assert "broken   av: libGL.so.1" in done.stdout


def test_packages_are_those_of_the_project():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    assert set(check.PACKAGES.values()) == set(project["dependencies"])
    assert project["requires-python"] == ">=" + ".".join(str(n) for n in check.OLDEST_PYTHON)


def test_a_system_python_is_left_alone(monkeypatch, tmp_path):
    monkeypatch.setattr(check.sys, "base_prefix", check.sys.prefix)
    monkeypatch.setattr(check.sys, "executable", "/usr/bin/python3")
    monkeypatch.setattr(check.Path, "home", lambda: tmp_path)
    make, install = check.install_lines(["torch"])
    assert make == f"/usr/bin/python3 -m venv {tmp_path}/reshoot-solver"
    assert install.startswith(f"{tmp_path}/reshoot-solver/bin/python -m pip install ")
    assert all(re.escape(name.split("=")[0].rstrip("<>")) in re.escape(install) for name in check.PACKAGES.values())


def test_the_line_fits_the_terminal_of_windows(monkeypatch):
    monkeypatch.setattr(check, "os", type("os", (), {"name": "nt"}))
    monkeypatch.setattr(check.sys, "executable", r"C:\My Tools\python.exe")
    (line,) = check.install_lines(["numpy", "roma"])
    assert line == r'& "C:\My Tools\python.exe" -m pip install "numpy>=1.26,<3" roma==1.8.0'


def test_too_old_a_python_is_told_so(monkeypatch, capsys):
    monkeypatch.setattr(check, "OLDEST_PYTHON", (99, 0))
    assert check.check() == 1
    assert capsys.readouterr().out.startswith("not ready: The solver's Python is 3.")


@pytest.mark.parametrize(
    "inside", ["bin/python3", "bin/python", "Scripts/python.exe", "python.exe"]
)  # venvs of Linux, macOS and Windows, conda's and the embedded one
def test_an_environments_folder_stands_for_its_python(tmp_path, inside):
    assert jobs.python_of(tmp_path) is None
    (tmp_path / inside).parent.mkdir(exist_ok=True)
    (tmp_path / inside).touch()
    assert jobs.python_of(tmp_path) == tmp_path / inside == jobs.python_of(tmp_path / inside)


@pytest.mark.parametrize(
    "path, is_it",
    [
        ("/usr/bin/blender", True), ("/opt/b/blender-launcher.exe", True), ("/opt/b/Blender.exe", True), ("/Applications/Blender.app", True),
        ("/Applications/Blender.app/Contents/MacOS/Blender", True), ("/opt/blender-4.2/4.2/python/bin/python3.11", False),
        ("/usr/bin/python3", False),
    ],
)  # fmt: skip
def test_blender_itself_is_recognised(path, is_it):
    assert jobs.is_blender(path) == is_it
