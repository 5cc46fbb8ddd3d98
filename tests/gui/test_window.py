"""In a real window: what no Blender without one can show. Skipped where there is no windowed Blender (see make_blender.sh)."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
ROOM = os.environ.get("RESHOOT_WINDOW", "")
DISPLAY = 79


@pytest.fixture(scope="module")
def seen(tmp_path_factory):
    """What in_window.py wrote down."""
    if not (ROOM and Path(ROOM, "usr/bin/blender").exists()):
        pytest.skip("RESHOOT_WINDOW names no folder with a windowed Blender; make one with tests/gui/make_blender.sh")
    from tests.blender import synthetic_take

    folder = Path(ROOM, "reshoot_test")
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    dist = tmp_path_factory.mktemp("dist")
    subprocess.run(
        [sys.executable, "-m", "tools.build_zip", "--out", str(dist)], check=True, cwd=ROOT, capture_output=True
    )
    (zipped,) = dist.glob("*.zip")
    shutil.copy(zipped, folder / "reshoot.zip")
    shutil.copy(ROOT / "tests" / "blender" / "fake_solver.py", folder)
    shutil.copy(HERE / "in_window.py", folder)
    synthetic_take.write(folder / "walk")
    inside = "/reshoot_test"
    screen = subprocess.Popen(
        ["chroot", ROOM, "Xvfb", f":{DISPLAY}", "-screen", "0", "1600x900x24", "-nolisten", "tcp"]
    )
    try:
        socket = Path(ROOM, f"tmp/.X11-unix/X{DISPLAY}")
        until = time.monotonic() + 20
        while not socket.exists() and time.monotonic() < until:
            time.sleep(0.1)
        home = ["HOME=/reshoot_test/home", f"DISPLAY=:{DISPLAY}", "LIBGL_ALWAYS_SOFTWARE=1", "XDG_RUNTIME_DIR=/tmp"]
        blender = [
            "blender",
            "-p",
            "0",
            "0",
            "1600",
            "900",
            "--enable-event-simulate",
            "--python",
            f"{inside}/in_window.py",
        ]
        (folder / "home").mkdir()
        done = subprocess.run(
            ["chroot", ROOM, "env", *home, *blender, "--", inside],
            check=False,
            capture_output=True,
            text=True,
            timeout=400,
        )
    finally:
        screen.terminate()
        screen.wait()
    assert (folder / "seen.json").exists(), done.stdout + done.stderr
    found = json.loads((folder / "seen.json").read_text())
    assert "fault" not in found, found["fault"]
    return found


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
    assert seen["in German"] == ["Einstellung auswerten", "Einstellung", "Brennweite bekannt"]


def test_a_line_is_drawn_along_something_upright(seen):
    (told,) = seen["an upright line"]
    assert told["do"] == "upright" and told["frame"] == 0
    assert abs(told["x1"] - told["x2"]) < 0.002 and told["y1"] < 0.5 < told["y2"]
    assert abs((told["y1"] + told["y2"]) / 2 - 0.5) < 0.1 and 0.02 < told["y2"] - told["y1"] < 0.9
