"""The solver as a child process: a small state machine, fed by reader threads through a queue. No bpy.

Nothing here blocks: `poll` is called from a timer (or a loop), and tells what is new since the last call.
"""

from __future__ import annotations

import json
import os
import queue
import subprocess
import sys
import threading
import time
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parent

IDLE, RUNNING, STOPPING, DONE, FAILED, CANCELLED = "IDLE", "RUNNING", "STOPPING", "DONE", "FAILED", "CANCELLED"
STATES = (IDLE, RUNNING, STOPPING, DONE, FAILED, CANCELLED)
# The solver promises to leave two seconds after its stdin closes; a little later it is killed.
STOP_GRACE_S = 2.3


@dataclass(frozen=True)
class Progress:
    stage: str
    done: int
    total: int
    text: str = ""
    picture: str = ""  # path of a new picture that shows how far it is


@dataclass(frozen=True)
class Warned:
    message: str


@dataclass(frozen=True)
class Result:
    take: str
    pieces: tuple = ()  # first and last frame of each, where the clip's cuts were asked for


@dataclass(frozen=True)
class Failed:
    message: str
    fix: str


@dataclass(frozen=True)
class _Ended:
    pass


def extract_command(python, clip, take, **options) -> list[str]:
    """Command line of `python -m solver extract`; options are its long flags, left out where None or False."""
    command = [str(python), "-m", "solver", "extract", str(clip), "--out", str(take), "--json"]
    for name, value in options.items():
        flag = "--" + name.replace("_", "-")
        if value is True:
            command.append(flag)
        elif isinstance(value, (tuple, list)):
            command += [flag, *(str(v) for v in value)]
        elif value is not None and value is not False:
            command += [flag, str(value)]
    return command


def command(python, words) -> list[str]:
    """Command line of the solver with these words, heard through the job protocol."""
    return [str(python), "-m", "solver", *words, "--json"]


def environment(packages: str = "", paths=()) -> dict[str, str]:
    """What a child of ours finds in its environment: `packages` is a folder of packages for its Python, beside its own."""
    found = [*paths, packages, os.environ.get("PYTHONPATH", "")]
    told = dict(os.environ, PYTHONIOENCODING="utf-8")
    if any(found):
        told["PYTHONPATH"] = os.pathsep.join(path for path in map(str, found) if path)
    return told


def parse(line: str):
    """The message in one line of the solver's stdout, or None where the line is none."""
    try:
        fields = json.loads(line)
        kind = fields["type"]
        if kind == "progress":
            return Progress(
                str(fields["stage"]),
                int(fields["done"]),
                max(int(fields["total"]), 1),
                str(fields.get("text", "")),
                str(fields.get("picture", "")),
            )
        if kind == "warning":
            return Warned(str(fields["message"]))
        if kind == "result":
            return Result(str(fields["take"]), tuple((int(a), int(b)) for a, b in fields.get("pieces", ())))
        if kind == "error":
            return Failed(str(fields["message"]), str(fields.get("fix", "")))
    except (ValueError, KeyError, TypeError):
        pass
    return None


class Job:
    """One run of the solver."""

    def __init__(self, command: list[str], log: Path, cwd: Path = ROOT, packages: str = ""):
        """Starts the child. log: file that gets its stderr; packages: see `environment`. Raises OSError where it cannot be started."""
        self.state = RUNNING
        self.log = Path(log)
        self.result: Result | None = None
        self.error: Failed | None = None
        self.warnings: list[str] = []
        self._messages: queue.SimpleQueue = queue.SimpleQueue()
        self._kill_at: float | None = None
        self._times = {}
        self.log.parent.mkdir(parents=True, exist_ok=True)
        with open(self.log, "w", encoding="utf-8") as stderr:
            self._child = subprocess.Popen(
                command,
                cwd=cwd,
                env=environment(packages),
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=stderr,
                creationflags=getattr(subprocess, "CREATE_NO_WINDOW", 0),
            )
        threading.Thread(target=self._read, name="reshoot-solver", daemon=True).start()

    def _read(self):
        for line in self._child.stdout:
            message = parse(line.decode("utf-8", "replace"))
            if message is not None:
                self._messages.put(message)
        self._child.wait()
        self._messages.put(_Ended())

    @property
    def take(self) -> str | None:
        return self.result and self.result.take

    @property
    def running(self) -> bool:
        return self.state in (RUNNING, STOPPING)

    def stop(self) -> None:
        """Ask the solver to save and leave; `poll` kills it if it does not."""
        if self.state != RUNNING:
            return
        self.state = STOPPING
        self._kill_at = time.monotonic() + STOP_GRACE_S
        try:
            self._child.stdin.close()
        except OSError:
            pass

    def poll(self) -> list:
        """What the solver said since the last call; moves `state` on."""
        if self._kill_at is not None and self.running and time.monotonic() > self._kill_at:
            self._child.kill()
            self._kill_at = None
        news = []
        while not self._messages.empty():
            message = self._messages.get()
            if isinstance(message, _Ended):
                self._end()
                continue
            if isinstance(message, Result):
                self.result = message
            elif isinstance(message, Failed):
                self.error = message
            elif isinstance(message, Warned):
                self.warnings.append(message.message)
            news.append(message)
        return news

    def _end(self):
        if not self._child.stdin.closed:
            try:
                self._child.stdin.close()
            except OSError:
                pass
        self._child.stdout.close()
        if self.result is not None and self._child.returncode == 0:
            self.state = DONE
        elif self.state == STOPPING:
            self.state = CANCELLED
        else:
            self.state = FAILED
            if self.error is None:
                self.error = Failed("The solver stopped without a result.", f"Its last words are in {self.log}.")

    def seconds_left(self, progress: Progress) -> float | None:
        """Rough time left in the current stage, or None while too little of it is done."""
        now = time.monotonic()
        first_done, first_time = self._times.setdefault(progress.stage, (progress.done, now))
        done = progress.done - first_done
        if done <= 0 or now - first_time < 1:
            return None
        return (now - first_time) / done * max(progress.total - progress.done, 0)

    def kill(self) -> None:
        """End the child at once, for when Blender itself is leaving."""
        if self._child.poll() is None:
            self._child.kill()


def call(python, words: list[str], packages: str = "") -> int:
    """Run the solver's own command line in the caller's folder and terminal. Returns its exit status."""
    command = [str(python), "-m", "solver", *words]
    return subprocess.run(command, check=False, env=environment(packages, [ROOT])).returncode


def check(python, timeout_s: float = 120.0, packages: str = "") -> tuple[bool, str]:
    """Run `python -m solver check`. Returns whether it passed, and what it said, for people, the verdict first."""
    try:
        done = subprocess.run(
            [str(python), "-m", "solver", "check"],
            check=False,
            cwd=ROOT,
            env=environment(packages),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            encoding="utf-8",
            errors="replace",
            timeout=timeout_s,
            creationflags=getattr(subprocess, "CREATE_NO_WINDOW", 0),
        )
    except OSError as error:
        return False, f"not ready: {python} cannot be started: {error.strerror or error}"
    except subprocess.TimeoutExpired:
        return False, f"not ready: {python} gave no answer in {timeout_s:.0f} s"
    said = done.stdout.strip()
    if said.startswith(("ready", "not ready")):
        return done.returncode == 0, said
    last = (done.stderr.strip().splitlines() or ["it said nothing"])[-1]
    return False, f"not ready: {python} cannot run the solver: {last}"


def python_of(path) -> Path | None:
    """The Python program of a path: itself, or that of an environment's folder; None where there is none."""
    path = Path(path)
    if path.is_file():
        return path
    inside = ("bin/python3", "bin/python", "Scripts/python.exe", "python.exe", "bin/python.exe")
    return next((path / name for name in inside if (path / name).is_file()), None)


def is_blender(path) -> bool:
    """Whether a path names Blender itself, which would open a window where it is asked to run the solver."""
    name = Path(path).name.lower()
    return name.startswith("blender") and (name.endswith(".app") or not Path(path).is_dir())


def default_python() -> str:
    """RESHOOT_PYTHON, or the Python that runs Blender: right for pip's bpy, and `check` says so where it is not."""
    return os.environ.get("RESHOOT_PYTHON") or sys.executable
