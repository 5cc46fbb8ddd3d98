"""Kill a batch again and again, and hold what it leaves against one that nobody disturbed.

    python -m benchmarks.kills make WORK [FILM…]   30 small sources in WORK/sources, cut from these films and from tests/data
    python -m benchmarks.kills plain WORK          solve them undisturbed, into WORK/plain
    python -m benchmarks.kills killed WORK         solve them into WORK/killed, with kill -9 of the batch and of its workers, --times times
    python -m benchmarks.kills compare WORK        every file of both, byte for byte; of times only that they are there

One source is broken, one has nobody in it, one is solved in final quality, eight are pieces of one film. A step that was stopped goes on.
"""

from __future__ import annotations

import argparse
import csv
import json
import os
import random
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np

from solver.movie import write_movie
from solver.shot.video import Movie

ROOT = Path(__file__).resolve().parents[1]
HEIGHT, FRAMES, PIECES, SHOTS = 90, 8, 8, 30
OWN = ("examples/shot.mp4", "tests/data/near.mp4", "tests/data/wide.mp4")


def make(work: Path, films: list[Path]) -> None:
    folder = work / "sources"
    folder.mkdir(parents=True, exist_ok=True)
    rng = random.Random(19)
    films = [*(ROOT / name for name in OWN), *films]
    longs = {film: _small(film) for film in films}

    def part(n):
        pictures = longs[films[n % len(films)]]
        begin = rng.randrange(max(1, len(pictures) - FRAMES))
        return pictures[begin : begin + FRAMES]

    size = longs[films[0]][0].shape
    film = [picture for n in range(PIECES) for picture in part(n * len(films)) if picture.shape == size]
    write_movie(folder / "film.mp4", film, 24)
    quick = {"camera_kind": "locked", "no_plate": True}  # most are cheap: what is tried here is the batch
    shots = [{"clip": "film.mp4", "cuts": ",".join(str(n * FRAMES) for n in range(1, PIECES)), **quick}]
    for n in range(SHOTS - PIECES - 2):
        write_movie(folder / f"clip{n:02d}.mp4", part(n), 24)
        shots.append({"clip": f"clip{n:02d}.mp4", **({"quality": "final"} if n == 1 else quick if n % 5 else {})})
    wall = np.random.default_rng(0).integers(40, 200, (30, 50, 3), dtype=np.uint8)
    wall = np.repeat(np.repeat(wall, 8, 0), 8, 1)
    write_movie(folder / "nobody.mp4", [wall[10 : 10 + HEIGHT, 4 * i : 4 * i + 160] for i in range(FRAMES)], 24)
    (folder / "broken.mp4").write_bytes((folder / "clip00.mp4").read_bytes()[:700])
    shots[5:5] = [{"clip": "nobody.mp4"}, {"clip": "broken.mp4"}]
    (folder / "shots.json").write_text(json.dumps({"shots": shots}, indent=1))


def _small(film: Path) -> list:
    movie, pictures = Movie(film), []
    for _, frame in movie.decode():
        width, height = movie.size_of(frame)
        pictures.append(movie.rgb(frame, round(width * HEIGHT / height / 2) * 2, HEIGHT))
    return pictures


def start(work: Path, name: str, jobs: int) -> subprocess.Popen:
    words = [str(work / "sources" / "shots.json"), "--out", str(work / name), "--jobs", str(jobs), "--quality", "preview"]
    return subprocess.Popen(
        [sys.executable, "-m", "solver", "batch", *words], cwd=ROOT, stdin=subprocess.DEVNULL, start_new_session=True
    )


def finish(work: Path, name: str, jobs: int, limit_s: float | None) -> int:
    """Run a batch to its end, or until it has had so long. Exit status; 3 where it was stopped."""
    batch = start(work, name, jobs)
    try:
        return batch.wait(limit_s)
    except subprocess.TimeoutExpired:
        batch.send_signal(signal.SIGINT)
        return batch.wait()


def killed(work: Path, jobs: int, times: int, longest_s: float, seed: int, limit_s: float | None) -> int:
    """Exit status of the last run. Each time one worker is killed alone, then the batch and, by lot, some of its workers; the next begins at once."""
    rng, orphans = random.Random(seed), []
    for number in range(1, times + 1):
        batch = start(work, "killed", jobs)
        while batch.poll() is None and not _workers(batch.pid):
            time.sleep(0.1)
        time.sleep(rng.uniform(0, longest_s))
        if workers := _workers(batch.pid):
            os.kill(rng.choice(workers), signal.SIGKILL)
        time.sleep(rng.uniform(0, longest_s))
        workers = _workers(batch.pid)
        chosen = [pid for pid in workers if rng.random() < 0.5]
        if batch.poll() is not None:
            print(f"the batch had ended before kill {number}: no more to kill", flush=True)
            break
        for pid in (batch.pid, *chosen):
            os.kill(pid, signal.SIGKILL)
        batch.wait()
        orphans += [pid for pid in workers if pid not in chosen]
        print(f"kill {number}: the batch and {len(chosen)} of its {len(workers)} workers; one worker alone before", flush=True)
    status = finish(work, "killed", jobs, limit_s)
    left = [pid for pid in orphans if Path(f"/proc/{pid}").exists()]
    print(f"exit status {status}; {len(orphans)} workers outlived their batch at first, {len(left)} are still there", flush=True)
    return status


def _workers(batch: int) -> list[int]:
    """Processes that a batch has started. Linux."""
    found = []
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            parent = int(stat.read_text().rpartition(")")[2].split()[1])
        except (OSError, IndexError, ValueError):
            continue
        if parent == batch:
            found.append(int(stat.parent.name))
    return found


def compare(work: Path) -> int:
    """Print what differs between the two folders, times aside; 0 where nothing does."""
    plain, other = ({p.relative_to(work / name): p for p in _results(work / name)} for name in ("plain", "killed"))
    differing = sorted(str(p) for p in plain.keys() ^ other.keys())
    differing += sorted(str(p) for p in plain.keys() & other.keys() if timeless(plain[p]) != timeless(other[p]))
    for name in differing[:40]:
        print(name)
    takes = len(list((work / "plain" / "takes").iterdir()))
    print(f"{takes} takes, {len(plain)} files, {len(differing)} of them differ")
    return 1 if differing else 0


def _results(folder: Path):
    """Files of a batch but what is said on the way and what holds a folder for a run."""
    for path in folder.rglob("*"):
        if path.is_file() and path.parent.name != "logs" and path.name not in ("run.lock", "film.jpg"):
            yield path


def timeless(path: Path):
    """What a file says, without how long it took."""
    if path.suffix == ".json":
        return _without_seconds(json.loads(path.read_text()))
    if path.name == "index.csv":
        rows = list(csv.DictReader(path.read_text().splitlines()))
        return [{k: v for k, v in row.items() if k != "seconds"} for row in rows]
    if path.suffix == ".html":
        bars = r'<div class="time">.*?</span></div>'  # of the stages that took any time at all
        times = r'\d+(\.\d+)? (s|hours of solving)|<td class="n">\d+</td></tr>'
        return re.sub(f"{bars}|{times}", "", path.read_text()).replace(path.parent.name, "")
    return path.read_bytes()


def _without_seconds(value):
    if isinstance(value, dict):
        return {k: _without_seconds(v) for k, v in value.items() if k != "seconds" and not (k == "stages" and _is_times(v))}
    return [_without_seconds(v) for v in value] if isinstance(value, list) else value


def _is_times(value) -> bool:
    """report.json's `stages`: seconds by name."""
    return isinstance(value, dict) and all(isinstance(v, float) for v in value.values())


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("step", choices=("make", "plain", "killed", "compare"))
    parser.add_argument("work", type=Path)
    parser.add_argument("films", type=Path, nargs="*")
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--times", type=int, default=5)
    parser.add_argument("--longest", type=float, default=60.0, metavar="SECONDS", help="before a kill")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--limit", type=float, metavar="SECONDS", help="stop after so long; the same step goes on from there")
    a = parser.parse_args(argv)
    if a.step == "make":
        make(a.work, a.films)
        return 0
    if a.step == "plain":
        return finish(a.work, "plain", a.jobs, a.limit)
    return compare(a.work) if a.step == "compare" else killed(a.work, a.jobs, a.times, a.longest, a.seed, a.limit)


if __name__ == "__main__":
    sys.exit(main())
