"""A folder with a windowed Blender in it, and a screen: what the tests here have in common. See make_blender.sh."""

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
INSIDE = "/reshoot_test"


def fill(dist: Path) -> Path:
    """A fresh folder in the room with the extension's zip, built in `dist`, and a stand-in for the solver. Skips where there is no room."""
    if not (ROOM and Path(ROOM, "usr/bin/blender").exists()):
        pytest.skip("RESHOOT_WINDOW names no folder with a windowed Blender; make one with tests/gui/make_blender.sh")
    folder = Path(ROOM + INSIDE)
    shutil.rmtree(folder, ignore_errors=True)
    (folder / "home").mkdir(parents=True)
    subprocess.run(
        [sys.executable, "-m", "tools.build_zip", "--out", str(dist)], check=True, cwd=ROOT, capture_output=True
    )
    (zipped,) = dist.glob("*.zip")
    shutil.copy(zipped, folder / "reshoot.zip")
    shutil.copy(ROOT / "tests" / "blender" / "fake_solver.py", folder)
    for script in HERE.glob("in_*.py"):
        shutil.copy(script, folder)
    return folder


def play(folder: Path, script: str, display: int, size: tuple[int, int]) -> dict:
    """Run a script in Blender in a window of this size, on a screen whose picture is `Xvfb_screen0`. Returns what it wrote down."""
    width, height = size
    screen = subprocess.Popen(
        ["chroot", ROOM, "Xvfb", f":{display}", "-screen", "0", f"{width}x{height}x24", "-nolisten", "tcp", "-fbdir", INSIDE]
    )
    try:
        socket = Path(ROOM, f"tmp/.X11-unix/X{display}")
        until = time.monotonic() + 20
        while not socket.exists() and time.monotonic() < until:
            time.sleep(0.1)
        home = [f"HOME={INSIDE}/home", f"DISPLAY=:{display}", "LIBGL_ALWAYS_SOFTWARE=1", "XDG_RUNTIME_DIR=/tmp"]
        blender = ["blender", "-p", "0", "0", str(width), str(height), "--enable-event-simulate", "--python", f"{INSIDE}/{script}"]
        done = subprocess.run(
            ["chroot", ROOM, "env", *home, *blender, "--", INSIDE], check=False, capture_output=True, text=True, timeout=600
        )
    finally:
        screen.terminate()
        screen.wait()
    assert (folder / "seen.json").exists(), done.stdout + done.stderr
    found = json.loads((folder / "seen.json").read_text())
    assert "fault" not in found, found["fault"]
    return found
