"""Tasks on this machine: so many at a time, each in a process."""

from __future__ import annotations

import os
import queue
import threading

from .work import FAILED, Outcome, Task, perform

SPARE_BYTES = 1 << 30  # left to everything else


class Local:
    """A room for `jobs` tasks."""

    def __init__(self, jobs: int):
        self.jobs = jobs
        self.said: dict[str, dict] = {}  # by the name of a task: the last progress of those that run
        self._ended: queue.SimpleQueue = queue.SimpleQueue()
        self._stop = threading.Event()

    def room(self) -> bool:
        return len(self.said) < self.jobs

    def submit(self, task: Task) -> None:
        self.said[task.name] = {}
        threading.Thread(target=self._work, args=(task,), daemon=True).start()

    def wait(self, seconds: float) -> list:
        """(task, outcome) of what ended, after no more than so many seconds."""
        ended = []
        try:
            ended.append(self._ended.get(timeout=seconds))
            while True:
                ended.append(self._ended.get_nowait())
        except queue.Empty:
            pass
        for task, _ in ended:
            self.said.pop(task.name)
        return ended

    def close(self) -> None:
        """Ask everything to save and leave, and wait until it has."""
        self._stop.set()
        while self.said:
            self.wait(0.1)

    def _work(self, task):
        def hear(fields):
            if fields.get("type") == "progress":
                self.said[task.name] = fields

        try:
            outcome = perform(task, self._stop, hear)
        except OSError as error:
            outcome = Outcome(FAILED, f"{task.name} could not be run: {error}.", "Check the disk of the batch.")
        self._ended.put((task, outcome))


def cores() -> int:
    """Cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def free_bytes() -> int | None:
    """Memory that new processes could have; None where the system does not tell."""
    try:
        with open("/proc/meminfo", encoding="ascii") as file:
            facts = dict(line.split(":") for line in file)
        return int(facts["MemAvailable"].split()[0]) * 1024
    except (OSError, KeyError, ValueError):
        pass
    try:
        return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") // 2
    except (AttributeError, ValueError, OSError):
        return None


def jobs_for(memory: int) -> int:
    """How many tasks of so many bytes this machine takes at a time: one a core, where the memory is there."""
    free = free_bytes()
    fitting = cores() if free is None else (free - SPARE_BYTES) // max(memory, 1)
    return max(1, min(cores(), fitting))
