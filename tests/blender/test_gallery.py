"""`make gallery` on takes that are there, and `make demo` from a clip to its films."""

import json
import subprocess
import sys

import cv2
import numpy as np

from solver.movie import MovieWriter
from tests.blender.synthetic_take import FRAMES
from tools import demo, gallery

STRIPS = ("camera", "one", "both", "street", "night", "stage", "slow")


def test_gallery_shows_every_mode(blender, take, tmp_path, monkeypatch):
    folder, _ = take
    monkeypatch.setattr(gallery, "MOMENTS", (0.5,))
    monkeypatch.setattr(gallery, "load_extension", lambda: blender)
    monkeypatch.setattr(gallery, "solved", lambda bpy, clip, take, say: folder)
    monkeypatch.setattr(sys, "argv", ["gallery", "--out", str(tmp_path), "--engine", "WORKBENCH", "--samples", "1"])
    assert "-m tools.gallery" in (demo.ROOT / "Makefile").read_text(encoding="utf-8")
    assert gallery.main() == 0
    out = tmp_path / "gallery"
    strips = [cv2.imread(str(out / f"{name}.jpg")).astype(int) for name in STRIPS]
    assert {s.shape for s in strips} == {(360, gallery.WIDTH, 3)}
    for n, a in enumerate(strips):
        for b in strips[:n]:
            assert np.abs(a - b).mean() > 0.5  # no mode looks like another
    assert all((out / name).exists() for name in ("alone.jpg", "cast.png", "sets.png", "gallery.blend"))
    movie = cv2.VideoCapture(str(out / "side_by_side.mp4"))
    assert (movie.get(cv2.CAP_PROP_FRAME_COUNT), movie.get(cv2.CAP_PROP_FRAME_WIDTH)) == (FRAMES, 3 * gallery.WIDTH // 2)


def test_demo_makes_two_films_of_a_clip(tmp_path):
    """Eight small frames of the example, through the command that `make demo` runs."""
    rate, frames = gallery._frames(demo.EXAMPLE)
    with MovieWriter(tmp_path / "clip.mp4", rate) as movie:
        for frame in frames[20:28]:
            movie.write(np.ascontiguousarray(cv2.resize(frame, (320, 180), interpolation=cv2.INTER_AREA)[..., ::-1]))
    assert "-m tools.demo" in (demo.ROOT / "Makefile").read_text(encoding="utf-8")
    words = [sys.executable, "-m", "tools.demo", str(tmp_path / "clip.mp4"), "--out", str(tmp_path / "out"), "--samples", "1"]
    run = subprocess.run(words, cwd=demo.ROOT, capture_output=True, text=True, stdin=subprocess.DEVNULL, check=False)
    assert run.returncode == 0, run.stdout[-2000:] + run.stderr[-2000:]
    out = tmp_path / "out"
    assert len(json.loads((out / "take" / "shot.json").read_text())["people"]) == 1
    for name in ("transfer_2d.mp4", "transfer_3d.mp4"):
        movie = cv2.VideoCapture(str(out / name))
        assert (movie.get(cv2.CAP_PROP_FRAME_COUNT), movie.get(cv2.CAP_PROP_FRAME_WIDTH)) == (8, 320)
    assert (out / "report.html").exists() and (out / "reshoot.blend").exists()
