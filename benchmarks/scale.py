"""Shots an hour against jobs, what a batch costs beside its shots, and what a film would take on many cores.

    python -m benchmarks.scale measure SOURCE… [--jobs 1 2] [--ray ADDRESS] [options of extract]
    python -m benchmarks.scale overhead
    python -m benchmarks.scale dispatch [--tasks 20] [--seconds 5]
    python -m benchmarks.scale film [--fixed S] [--frame S] [--cores 16 256 4096] [--shots 2000]

`measure` solves the sources afresh for each number of jobs: shots an hour, how that compares with the first, the peak of all its processes'
memory together. `overhead` measures what is beside the shots: starting the solver, the pass over a film, writing the index of 2,000 shots.
`dispatch` gives
tasks that only sleep to this machine and to two Ray nodes of one core each on it: what is beyond the sleep is overhead, and so is the processor time of
Ray's own processes, which both say the same on a machine that does other things too. `film` lays 2,000 shots of drawn lengths, `fixed + frame x frames` core seconds each, on cores as `solver.batch.drive` would: cuts first,
then long shots first, one core a shot. It knows no slow disk and no failing node. The same person in several shots is several people.
"""

from __future__ import annotations

import argparse
import heapq
import json
import os
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

import numpy as np

ROOT = Path(__file__).resolve().parents[1]
MEDIAN, SPREAD, LONGEST = 72, 0.7, 1440  # frames of a shot: log-normal, 3 s at 24 frames a second, none over a minute
REELS = 8  # files that a film comes in


def measure(argv: list[str]) -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.scale measure")
    parser.add_argument("sources", nargs="+")
    parser.add_argument("--jobs", type=int, nargs="+", default=[1, 2])
    parser.add_argument("--threads", type=int, help="cores of each shot (default: its share of the cores)")
    parser.add_argument("--ray", metavar="ADDRESS", help="the last number of jobs once more, on this cluster")
    a, options = parser.parse_known_args(argv)
    runs = [(jobs, None) for jobs in a.jobs] + ([(a.jobs[-1], a.ray)] if a.ray else [])
    first = None
    print("| jobs | shots | s | shots an hour | against the first | sum of the shots' seconds | peak GiB |\n|---|---|---|---|---|---|---|")
    for jobs, address in runs:
        with tempfile.TemporaryDirectory() as folder:
            command = [sys.executable, "-m", "solver", "batch", *a.sources, "--out", f"{folder}/out", "--jobs", str(jobs), *options]
            command += ["--ray", address] if address else []
            command += ["--threads", str(a.threads)] if a.threads else []
            begun = time.monotonic()
            with open(Path(folder) / "said.txt", "w") as said:
                batch = subprocess.Popen(command, cwd=ROOT, stdin=subprocess.DEVNULL, stdout=said, stderr=said)
                peak = Peak(batch.pid)
                batch.wait()
            wall = time.monotonic() - begun
            if batch.returncode < 0 or not (Path(folder) / "out" / "batch.json").exists():
                print((Path(folder) / "said.txt").read_text())
                return 1
            rows = json.loads((Path(folder) / "out" / "batch.json").read_text())["shots"]
        done = [row for row in rows if row["state"] == "done"]
        rate = 3600 * len(done) / wall
        first = first or rate
        name = f"{jobs}, Ray" if address else str(jobs)
        total = sum(row["seconds"] for row in done)
        print(f"| {name} | {len(done)} | {wall:.0f} | {rate:.0f} | {rate / first:.2f} | {total:.0f} | {peak.stop() / 2**30:.2f} |", flush=True)
    return 0


class Peak:
    """The most memory that a process and all below it held together. Linux; pages that they share count once for each."""

    def __init__(self, pid: int):
        self._pid, self._most, self._over = pid, 0, threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)
        self._thread.start()

    def stop(self) -> int:
        self._over.set()
        self._thread.join()
        return self._most

    def _watch(self):
        while not self._over.wait(0.5):
            parents, sizes = {}, {}
            for stat in Path("/proc").glob("[0-9]*/stat"):
                try:
                    fields = stat.read_text().rpartition(")")[2].split()
                except OSError:
                    continue
                parents[int(stat.parent.name)], sizes[int(stat.parent.name)] = int(fields[1]), int(fields[21]) * 4096
            ours = {self._pid}
            while more := {pid for pid, parent in parents.items() if parent in ours} - ours:
                ours |= more
            self._most = max(self._most, sum(sizes.get(pid, 0) for pid in ours))


def overhead(argv: list[str]) -> int:
    from benchmarks.kills import HEIGHT
    from solver.batch.index import Index, Row
    from solver.movie import write_movie

    with tempfile.TemporaryDirectory() as folder:
        folder = Path(folder)
        rng = np.random.default_rng(0)
        wall = np.kron(rng.integers(40, 200, (HEIGHT // 8 + 2, 80, 3), dtype=np.uint8), np.ones((8, 8, 1), np.uint8))
        write_movie(folder / "film.mp4", [np.roll(wall, n, 1) for n in range(480)], 24)
        command = [sys.executable, "-m", "solver"]
        begun = time.monotonic()
        subprocess.run([*command, "cuts", str(folder / "film.mp4")], cwd=ROOT, check=True, capture_output=True)
        scan = time.monotonic() - begun
        subprocess.run([*command, "extract", str(folder / "film.mp4"), "--out", str(folder / "t"), "--range", "0-0"], cwd=ROOT, capture_output=True, check=True)
        begun = time.monotonic()
        subprocess.run([*command, "extract", str(folder / "film.mp4"), "--out", str(folder / "t"), "--range", "0-0"], cwd=ROOT, capture_output=True, check=True)
        print(f"starting the solver and finding a take finished: {time.monotonic() - begun:.1f} s")
        print(f"cuts of 480 frames of {wall.shape[1]}x{wall.shape[0]}: {scan:.1f} s")
        lights = {f"Light {n}": "green" for n in range(14)}
        rows = [Row(f"film+{n:03d}", "done", "/film.mp4", 72 * n, 72, "green", "Ready to use.", "travels", 2, 120.0, "", f"takes/{n}", lights) for n in range(2000)]
        begun = time.monotonic()
        Index(folder).write(rows)
        print(f"writing the index of 2,000 shots: {time.monotonic() - begun:.2f} s")
    return 0


def dispatch(argv: list[str]) -> int:
    from solver.batch.local import Local
    from solver.batch.work import Task

    parser = argparse.ArgumentParser(prog="python -m benchmarks.scale dispatch")
    parser.add_argument("--tasks", type=int, default=20)
    parser.add_argument("--seconds", type=float, default=5.0)
    a = parser.parse_args(argv)
    sleep = (sys.executable, "-c", f"import time; time.sleep({a.seconds})")

    def run(room, folder) -> float:
        begun = time.monotonic()
        waiting = [Task(f"t{n}", sleep, f"{folder}/{n}.log", f"{folder}/{n}.json", 1, 1 << 20) for n in range(a.tasks)]
        while waiting or room.said:
            while waiting and room.room():
                room.submit(waiting.pop())
            room.wait(0.2)
        return time.monotonic() - begun

    ideal = a.seconds * -(-a.tasks // 2)
    with tempfile.TemporaryDirectory() as folder:
        own = run(Local(2), folder)
        print(f"{a.tasks} tasks of {a.seconds:g} s, two at a time: {ideal:g} s; this machine alone {own:.1f} s", flush=True)
        from ray.cluster_utils import Cluster

        from solver.batch.cluster import Ray

        nodes = Cluster(initialize_head=True, head_node_args={"num_cpus": 0, "include_dashboard": False})
        for _ in range(2):
            nodes.add_node(num_cpus=1)
        room = Ray(nodes.address, None)
        for name in ("first", "second"):  # the second time its workers are there
            before = _processor_s()
            wall = run(room, folder)
            used = _processor_s() - before
            share = 100 * used / (2 * wall)
            print(f"Ray, {name} time: {wall:.1f} s, {100 * (wall / own - 1):.1f} % more; its own processes {used:.1f} s of the two cores' {2 * wall:.0f}, {share:.1f} %", flush=True)
        room.close()
        nodes.shutdown()
    return 0


def _processor_s() -> float:
    """Processor seconds so far of Ray's processes, without those of their children."""
    total = 0
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            words = (stat.parent / "cmdline").read_text()
            if words.startswith("ray::") or "/site-packages/ray/" in words:
                total += sum(map(int, stat.read_text().rpartition(")")[2].split()[11:13]))
        except OSError:
            continue
    return total / os.sysconf("SC_CLK_TCK")


def schedule(films: list[tuple[float, list[float]]], cores: int, start_s: float = 0.0) -> tuple[float, float]:
    """Lay films on cores: (seconds of the pass that finds its cuts, core seconds of each of its shots).

    A shot waits for its film's cuts; of those that wait the longest goes first. start_s: between two starts, all by one driver.
    Returns the end of the last task and the sum of all work, seconds.
    """
    waiting = [(-1, -scan, number) for number, (scan, _) in enumerate(films)]  # cuts before shots
    heapq.heapify(waiting)
    free, running, now, next_start, work = cores, [], 0.0, 0.0, 0.0
    while waiting or running:
        while waiting and free:
            kind, negative, number = heapq.heappop(waiting)
            begin = max(now, next_start)
            next_start = begin + start_s
            heapq.heappush(running, (begin - negative, kind, number))
            free, work = free - 1, work - negative
        now, kind, number = heapq.heappop(running)
        free += 1
        if kind == -1:
            for seconds in films[number][1]:
                heapq.heappush(waiting, (0, -seconds, number))
    return now, work


def film(argv: list[str]) -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.scale film")
    parser.add_argument("--fixed", type=float, default=10.0, metavar="S", help="core seconds of a shot, however long")
    parser.add_argument("--frame", type=float, default=2.5, metavar="S", help="core seconds of a frame")
    parser.add_argument("--scan", type=float, default=0.02, metavar="S", help="seconds of the pass over the film, a frame")
    parser.add_argument("--start", type=float, default=0.01, metavar="S", help="the driver's seconds to start a shot")
    parser.add_argument("--cores", type=int, nargs="+", default=[2, 16, 256, 4096])
    parser.add_argument("--shots", type=int, default=2000)
    a = parser.parse_args(argv)
    rng = np.random.default_rng(0)
    frames = np.clip(np.exp(rng.normal(np.log(MEDIAN), SPREAD, a.shots)), 8, LONGEST).round()
    seconds = a.fixed + a.frame * frames
    films = [(a.scan * part.sum(), list(a.fixed + a.frame * part)) for part in np.array_split(frames, REELS)]
    print(f"{a.shots} shots, {frames.sum() / 24 / 60:.0f} min of film in {REELS} files, the longest shot {frames.max() / 24:.0f} s and {seconds.max() / 60:.0f} min of solving")
    print("| cores | hours | shots an hour | of the cores busy | hours at the least |\n|---|---|---|---|---|")
    for cores in a.cores:
        end, work = schedule(films, cores, a.start)
        least = max(work / cores, max(scan + max(shots) for scan, shots in films))
        print(f"| {cores} | {end / 3600:.2f} | {3600 * a.shots / end:.0f} | {100 * work / cores / end:.0f} % | {least / 3600:.2f} |")
    return 0


def main(argv: list[str]) -> int:
    steps = {"measure": measure, "overhead": overhead, "dispatch": dispatch, "film": film}
    if not argv or argv[0] not in steps:
        print(__doc__)
        return 2
    return steps[argv[0]](argv[1:])


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
