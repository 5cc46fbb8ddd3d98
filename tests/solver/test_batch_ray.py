"""A batch on a Ray cluster of two nodes on this machine, one of which dies in the middle of a shot. Skips where there is no Ray."""

import io
import os
import signal
import threading
import time
from pathlib import Path

import pytest

from solver.batch import drive, local, sources, table, work
from solver.options import Options
from solver.protocol import Reporter
from tests.unit.test_batch import FAKE, film, start, wait_for

ray = pytest.importorskip("ray", reason='Ray is not installed: python -m pip install "ray==2.60.0"')


@pytest.fixture
def cluster(monkeypatch):
    """Two nodes of one core each. Their workers run the stand-in for the solver."""
    from ray.cluster_utils import Cluster

    monkeypatch.setattr(work, "SOLVER", FAKE)
    made = Cluster(initialize_head=True, head_node_args={"num_cpus": 0, "include_dashboard": False})
    nodes = [made.add_node(num_cpus=1) for _ in range(2)]
    yield made, nodes
    ray.shutdown()
    made.shutdown()


def batch(folder, clips, address, threads=1):
    from solver.batch.cluster import Ray

    asks = sources.read([clips], dict)
    view = table.Lines(io.StringIO())
    room = Ray(address, None)
    try:
        return drive.Batch(asks, folder, Options(Path(), Path()), 5, room, (threads, 1 << 20), view, Reporter()).run()
    finally:
        ray.shutdown()


def test_a_node_dies_in_mid_shot_and_nothing_is_lost(cluster, tmp_path):
    made, nodes = cluster
    for n in range(3):
        film(tmp_path / "in" / f"good{n}.mp4", 12, seed=n)
    film(tmp_path / "in" / "bad.mp4", 9, seed=9)
    film(tmp_path / "in" / "gate.mp4", 40, seed=8)  # the longest, so the first; it waits for the sign
    out = tmp_path / "out"

    def kill_the_node():
        wait_for(out / "tries-gate")
        pid = int((out / "pid-gate").read_text())
        victim = next(node for node in nodes if _below(node.all_processes["raylet"][0].process.pid, pid))
        made.remove_node(victim, allow_graceful=False)
        for _ in range(300):  # a worker outlives its node for a moment, and would see the sign
            if not Path(f"/proc/{pid}").exists():
                break
            time.sleep(0.1)
        (tmp_path / "in" / "go").touch()

    threading.Thread(target=kill_the_node, daemon=True).start()
    rows = {row.name: row for row in batch(out, tmp_path / "in", made.address)}
    assert {name: row.state for name, row in rows.items()} == {"bad": "failed", "gate": "done", **{f"good{n}": "done" for n in range(3)}}
    assert (out / "tries-gate").read_text() == "xx" and rows["bad"].message == "It rained. Film it again."
    alone = {row.name: row for row in _on_this_machine(tmp_path)}
    assert {n: (r.state, r.frames, r.lights) for n, r in alone.items()} == {n: (r.state, r.frames, r.lights) for n, r in rows.items()}


def _on_this_machine(tmp_path):
    asks = sources.read([tmp_path / "in"], dict)
    return drive.Batch(asks, tmp_path / "alone", Options(Path(), Path()), 5, local.Local(2), (1, 0), table.Lines(io.StringIO()), Reporter()).run()


def _below(ancestor: int, pid: int) -> bool:
    """Whether a process was started by another, or by one that it started."""
    while pid > 1:
        if pid == ancestor:
            return True
        pid = int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])
    return False


def test_the_driver_dies_and_the_next_goes_on(cluster, tmp_path):
    made, _ = cluster
    film(tmp_path / "in" / "good.mp4", 30)
    film(tmp_path / "in" / "gate.mp4", 12, seed=1)
    out = tmp_path / "out"
    driver = start(str(tmp_path / "in"), "--out", str(out), "--ray", made.address, "--memory", "0.01")
    wait_for(out / "tries-gate", out / "takes" / "good" / "shot.json")
    os.kill(driver.pid, signal.SIGKILL)
    driver.wait()
    (tmp_path / "in" / "go").touch()
    rows = batch(out, tmp_path / "in", made.address)
    assert {row.name: row.state for row in rows} == {"gate": "done", "good": "done"}
    assert (out / "tries-good").read_text() == "x"  # what was finished is left alone
