"""One task in a process of its own: a shot, or the cuts of a film. Needs the standard library alone: it also runs on the nodes of a cluster."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
import time
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
SOLVER = (sys.executable, "-m", "solver")  # the same on every node
DONE, FAILED, STOPPED = "done", "failed", "stopped"
ATTEMPTS = 3  # of a process that ends without a word: killed, or out of memory
HELD_S = 30.0  # how long a take may be held by a run whose batch has died: such a run leaves within two seconds
HELD = 4  # exit status of a run that finds its take held
GRACE_S = 2.5  # the solver leaves two seconds after its stdin closes; a little later it is killed


@dataclass(frozen=True)
class Task:
    name: str
    command: tuple[str, ...]  # of the process
    log: str  # file that gets what the process says on stderr
    note: str  # file that says why it failed, while it has
    threads: int = 1  # cores it may use
    memory: int = 0  # bytes it may need
    gpus: int = 0
    frames: int = 0  # how long it is: long ones go first


@dataclass(frozen=True)
class Outcome:
    status: str  # DONE, FAILED or STOPPED
    message: str = ""
    fix: str = ""


def perform(task: Task, stop: threading.Event | None = None, hear=lambda fields: None) -> Outcome:
    """Do a task to its end, whatever kills its process. Its note stays behind where it fails, and nothing where it does not.

    stop:  asks it to save and leave.
    hear:  gets every message of the solver, as a dict.
    """
    stop = stop or threading.Event()
    attempts, until = 0, time.monotonic() + HELD_S
    while not stop.is_set():
        status, error = _run(task, stop, hear)
        if stop.is_set():
            break
        if status == HELD and time.monotonic() < until:
            stop.wait(1.0)
            continue
        attempts += 1
        if status == 0:
            return concluded(task, Outcome(DONE))
        if error or attempts == ATTEMPTS:
            killed = f"The solver was ended from outside {attempts} times, for want of memory perhaps."
            message, fix = error or (killed, f"Give fewer --jobs, or a --max-height. Its last words are in {task.log}.")
            return concluded(task, Outcome(FAILED, message, fix))
    return Outcome(STOPPED)


def concluded(task: Task, outcome: Outcome) -> Outcome:
    """Write or remove the note of a task that has ended."""
    if outcome.status == FAILED:
        part = f"{task.note}.{os.getpid()}.part"
        with open(part, "w", encoding="utf-8") as file:
            json.dump(asdict(outcome), file)
        os.replace(part, task.note)
    else:
        with suppress(FileNotFoundError):
            os.unlink(task.note)
    return outcome


def environment(threads: int) -> dict:
    """Variables that hold a process to this many cores."""
    share = {"OMP_NUM_THREADS": str(threads), "OPENCV_FOR_THREADS_NUM": str(threads)}
    return dict(os.environ, PYTHONIOENCODING="utf-8", PYTHONUNBUFFERED="1", **share)


def _run(task, stop, hear):
    """Exit status of one process, and (message, fix) where it said what is wrong."""
    error = None
    with open(task.log, "w", encoding="utf-8") as log:
        child = subprocess.Popen(
            [*task.command, "--json"], cwd=ROOT, env=environment(task.threads),
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=log,
            start_new_session=True,  # Ctrl-C is for the batch, which closes the pipe; so does its death
        )  # fmt: skip
    over = threading.Event()
    threading.Thread(target=_end, args=(child, stop, over), daemon=True).start()
    try:
        for line in child.stdout:
            with suppress(ValueError, AttributeError):
                fields = json.loads(line)
                hear(fields)
                if fields.get("type") == "error":
                    error = (str(fields["message"]), str(fields.get("fix", "")))
        return child.wait(), error
    finally:
        over.set()
        with suppress(OSError):
            child.stdin.close()


def _end(child, stop, over) -> None:
    """Close the stdin of a process when asked to, and kill it where that does not help."""
    while not over.wait(0.1):
        if stop.is_set():
            with suppress(OSError):
                child.stdin.close()
            if not over.wait(GRACE_S):
                child.kill()
            return
