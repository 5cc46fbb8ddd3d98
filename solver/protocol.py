"""What the solver says to whoever started it: messages, progress, errors. No torch, no bpy."""

from __future__ import annotations

import json
import sys
import threading
import time
from typing import TextIO


class ShotError(Exception):
    """Something an artist can act on.

    message:  what happened, in one line.
    fix:      what to do about it, in one line.
    """

    def __init__(self, message: str, fix: str = ""):
        super().__init__(message)
        self.message = message
        self.fix = fix

    def __str__(self) -> str:
        return f"{self.message} {self.fix}".strip()


class TakeHeld(ShotError):
    """Another run is at work on the take."""


class Stopped(Exception):
    """The caller asked to stop; finished stages stay on disk."""


class Reporter:
    """Progress and warnings of a run. The base class stays silent, for tests and scripts.

    A stage calls `progress` at least once a second: that is also where a stop request takes effect.
    """

    def __init__(self):
        self.stage = ""
        self.warnings: list[str] = []
        self.stop = threading.Event()

    def begin(self, stage: str) -> None:
        self.stage = stage

    def progress(self, done: int, total: int, text: str = "", picture: str = "") -> None:
        """picture: path of a picture that shows how far it is, where there is a new one. Raises Stopped once a stop was asked for."""
        if self.stop.is_set():
            raise Stopped
        self._progress(done, total, text, picture)

    def warn(self, message: str) -> None:
        if message not in self.warnings:
            self.warnings.append(message)
            self._say("warning", message=message)

    def result(self, take: str, **more) -> None:
        self._say("result", take=take, **more)

    def error(self, message: str, fix: str) -> None:
        self._say("error", message=message, fix=fix)

    def _progress(self, done: int, total: int, text: str, picture: str) -> None:
        pass

    def _say(self, kind: str, **fields) -> None:
        pass


class JsonLines(Reporter):
    """One JSON object a line: progress | warning | result | error. Closing stdin means stop."""

    INTERVAL_S = 0.1

    def __init__(self, out: TextIO = sys.stdout, stdin: TextIO | None = sys.stdin):
        super().__init__()
        self._out = out
        self._last = (None, 0.0)
        if stdin is not None:
            threading.Thread(target=self._watch, args=(stdin,), daemon=True).start()

    def _watch(self, stdin: TextIO) -> None:
        while stdin.readline():
            pass
        self.stop.set()

    def _progress(self, done: int, total: int, text: str, picture: str) -> None:
        now = time.monotonic()
        if self._last[0] == self.stage and done < total and not picture and now - self._last[1] < self.INTERVAL_S:
            return
        self._last = (self.stage, now)
        new = {"picture": picture} if picture else {}
        self._say("progress", stage=self.stage, done=done, total=total, text=text, **new)

    def error(self, message: str, fix: str) -> None:
        super().error(message, fix)
        print(f"error: {message} {fix}".rstrip(), file=sys.stderr)

    def _say(self, kind: str, **fields) -> None:
        try:
            print(json.dumps({"type": kind, **fields}), file=self._out, flush=True)
        except (BrokenPipeError, ValueError):
            self.stop.set()


class Terminal(Reporter):
    """A bar per stage for people at a terminal."""

    def __init__(self):
        super().__init__()
        self._bar = None

    def begin(self, stage: str) -> None:
        super().begin(stage)
        self.close()

    def close(self) -> None:
        if self._bar is not None:
            self._bar.close()
            self._bar = None

    def _progress(self, done: int, total: int, text: str, picture: str) -> None:
        from tqdm import tqdm

        if self._bar is None:
            self._bar = tqdm(total=total, desc=self.stage, file=sys.stderr, dynamic_ncols=True)
        self._bar.total = total
        self._bar.set_postfix_str(text, refresh=False)
        self._bar.update(done - self._bar.n)

    def _say(self, kind: str, **fields) -> None:
        if kind == "warning":
            self.close()
            print(f"warning: {fields['message']}", file=sys.stderr)
        elif kind == "error":
            self.close()
            print(f"error: {fields['message']} {fields['fix']}".rstrip(), file=sys.stderr)
        elif kind == "result":
            self.close()
            print(fields["take"])
