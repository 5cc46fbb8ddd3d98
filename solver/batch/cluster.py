"""Tasks on a Ray cluster: one a shot, with its cores, its memory and its GPU declared; Ray finds the node, and another where one dies."""

from __future__ import annotations

import logging

from ..protocol import ShotError
from .work import FAILED, ROOT, Outcome, Task, concluded, perform

VERSION = "ray==2.60.0"
RETRIES = 5  # of a task whose node or worker dies


class Ray:
    """A room for `jobs` tasks, or for as many as the cluster takes. Reshoot, its Python and the batch lie at the same paths on every node."""

    def __init__(self, address: str, jobs: int | None):
        """Raises ShotError where there is no Ray, or no cluster."""
        try:
            import ray
        except ImportError as error:
            raise ShotError("Ray is not in this Python.", f'Install it on every node: python -m pip install "{VERSION}"') from error
        self._ray = ray
        try:
            ray.init(
                address=address, namespace="reshoot", log_to_driver=False, logging_level=logging.ERROR,
                runtime_env={"env_vars": {"PYTHONPATH": str(ROOT)}},
            )  # fmt: skip
        except (ConnectionError, RuntimeError, ValueError) as error:
            said = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
            raise ShotError(f"There is no Ray cluster at {address}: {said}", "Start one (ray start --head), or see its address.") from error
        self.jobs = jobs
        self.said: dict[str, dict] = {}
        self._tasks: dict = {}  # what Ray gave for each task
        self._do = ray.remote(perform)

    def room(self) -> bool:
        return self.jobs is None or len(self.said) < self.jobs

    def submit(self, task: Task) -> None:
        self.said[task.name] = {}
        asked = self._do.options(
            name=task.name, num_cpus=task.threads, num_gpus=task.gpus, memory=task.memory, max_retries=RETRIES, scheduling_strategy="SPREAD"
        )
        self._tasks[asked.remote(task)] = task

    def wait(self, seconds: float) -> list:
        """(task, outcome) of what ended, after no more than so many seconds."""
        ready, _ = self._ray.wait(list(self._tasks), num_returns=1, timeout=seconds) if self._tasks else ([], None)
        ended = []
        for reference in ready:
            task = self._tasks.pop(reference)
            self.said.pop(task.name)
            try:
                outcome = self._ray.get(reference)
            except self._ray.exceptions.RayError as error:
                said = str(error).strip().splitlines()[0]
                fix = "See the cluster's dashboard; the batch goes on from here when it is started again."
                outcome = concluded(task, Outcome(FAILED, f"The cluster lost {task.name} {RETRIES + 1} times: {said}", fix))
            ended.append((task, outcome))
        return ended

    def close(self) -> None:
        """End what runs. Its processes leave when their worker goes; finished stages stay."""
        for reference in self._tasks:
            self._ray.cancel(reference, force=True)
        self._tasks.clear()
        self.said.clear()
        self._ray.shutdown()
