"""A batch by the solver itself, as it is typed: killed on the way, it gives the takes that `extract` gives."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np

from benchmarks.kills import timeless
from solver.movie import write_movie

ROOT = Path(__file__).resolve().parents[2]


def solver(*words):
    return [sys.executable, "-m", "solver", *map(str, words)]


def test_a_killed_batch_goes_on_to_the_takes_of_extract(tmp_path):
    rng = np.random.default_rng(0)
    walls = [np.kron(rng.integers(40, 200, (14, 24, 3), dtype=np.uint8), np.ones((8, 8, 1), np.uint8)) for _ in range(2)]
    film, out = tmp_path / "film.mp4", tmp_path / "out"
    write_movie(film, [wall[10:100, 4 * i : 4 * i + 160] for wall in walls for i in range(8)], 24)
    (tmp_path / "broken.mp4").write_text("no film")
    how = ("--quality", "preview", "--no-plate", "--cuts", 8)
    asked = solver("batch", film, tmp_path / "broken.mp4", "--out", out, "--jobs", 2, *how)
    batch = subprocess.Popen(asked, cwd=ROOT, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True)
    begun = out / "takes" / "film+001" / "shot.json"
    until = time.monotonic() + 300
    while not begun.exists() and time.monotonic() < until:
        time.sleep(0.05)
    os.kill(batch.pid, signal.SIGKILL)
    batch.communicate()
    run = subprocess.run(asked, cwd=ROOT, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=600, check=False)
    assert run.returncode == 1 and "Traceback" not in run.stderr
    assert run.stderr.splitlines()[-1].startswith("error: 1 of 3 shots failed: broken.") and "film+002" in run.stdout
    rows = {row["name"]: row for row in json.loads((out / "batch.json").read_text())["shots"]}
    assert {name: (row["state"], row["people"]) for name, row in rows.items()} == {
        "film+001": ("done", 0), "film+002": ("done", 0), "broken": ("failed", None),
    }  # fmt: skip
    assert (out / "pictures" / "film+001.jpg").stat().st_size > 1000
    alone = tmp_path / "alone"
    subprocess.run(solver("extract", film, "--out", alone, "--cut", 1, *how), cwd=ROOT, check=True, capture_output=True)
    files = sorted(p.relative_to(alone) for p in alone.rglob("*") if p.is_file() and p.name != "run.lock")
    assert len(files) > 20 and [str(p) for p in files if timeless(alone / p) != timeless(out / "takes" / "film+002" / p)] == []
