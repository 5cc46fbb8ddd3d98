"""What a terminal shows of a batch: a line a shot that has ended, and below them, where it is a terminal, those that run."""

from __future__ import annotations

import shutil
import sys
import time

from .index import DONE, FAILED, RUNNING, WAITING, Row


class Lines:
    """A line for every shot that has ended: for logs and pipes."""

    def __init__(self, out=None):
        self._out = out or sys.stdout
        self._begun, self._frames_before = time.monotonic(), None
        self.summary = ""

    def count(self, rows: list[Row]) -> None:
        """Take note of how far the batch is."""
        number = {state: sum(row.state == state for row in rows) for state in (DONE, FAILED, RUNNING, WAITING)}
        done = sum(row.frames or 0 for row in rows if row.state in (DONE, FAILED))
        left = sum(row.frames or 0 for row in rows) - done
        if self._frames_before is None:
            self._frames_before = done
        said = [f"{number[DONE]} of {len(rows)} done"] + [f"{number[s]} {s}" for s in (FAILED, RUNNING, WAITING) if number[s]]
        new = done - self._frames_before
        if new > 0 and left > 0:
            said.append(f"about {_in_words((time.monotonic() - self._begun) * left / new)} left")
        self.summary = " · ".join(said)

    def ended(self, row: Row) -> None:
        self._say(line(row))

    def show(self, said: dict) -> None:
        pass

    def clear(self) -> None:
        """Make way for something else that is said."""

    def close(self, rows: list[Row]) -> None:
        self._say(self.summary)

    def _say(self, text: str) -> None:
        print(text, file=self._out, flush=True)


class Table(Lines):
    """The same at a terminal, with the running shots and a summary kept below."""

    EVERY_S = 0.2

    def __init__(self, out=None):
        super().__init__(out)
        self._drawn, self._at = 0, 0.0

    def show(self, said: dict) -> None:
        if time.monotonic() - self._at < self.EVERY_S:
            return
        self._at = time.monotonic()
        width, height = shutil.get_terminal_size()
        rows = [_progress(name, fields) for name, fields in list(said.items())[: max(1, height - 3)]]
        self.clear()
        text = "\n".join(row[: width - 1] for row in [*rows, self.summary])
        self._out.write(text + "\n")
        self._out.flush()
        self._drawn = len(rows) + 1

    def close(self, rows: list[Row]) -> None:
        self.clear()
        super().close(rows)

    def _say(self, text: str) -> None:
        self.clear()
        super()._say(text)

    def clear(self) -> None:
        if self._drawn:
            self._out.write(f"\x1b[{self._drawn}A\x1b[J")
            self._drawn = 0


class Messages(Lines):
    """The same as messages of the protocol, for Blender."""

    def __init__(self, report):
        super().__init__(None)
        self._report, self._share = report, (0, 1)
        report.begin("batch")

    def count(self, rows: list[Row]) -> None:
        super().count(rows)
        self._share = sum(row.state in (DONE, FAILED) for row in rows), max(len(rows), 1)
        self._report.progress(*self._share, self.summary)

    def show(self, said: dict) -> None:
        at_work = ", ".join(f"{name} {fields.get('stage', '')}".strip() for name, fields in list(said.items())[:3])
        self._report.progress(*self._share, f"{self.summary} · {at_work}" if at_work else self.summary)

    def _say(self, text: str) -> None:
        pass


def line(row: Row) -> str:
    """A shot that has ended, as one line."""
    if row.state != DONE:
        return f"{row.name:32s} {row.state:8s} {row.message}".rstrip()
    people = "1 person" if row.people == 1 else f"{row.people} people"
    return f"{row.name:32s} {row.colour:8s} {row.frames:5d} frames  {people:10s} {row.camera:18s} {row.seconds:7.0f} s  {row.verdict}"


def _progress(name: str, fields: dict) -> str:
    if not fields:
        return f"{name:32s} starting"
    share = min(1.0, fields["done"] / max(fields["total"], 1))
    bar = "█" * round(20 * share)
    return f"{name:32s} {fields['stage']:12s} {bar:░<20s} {100 * share:3.0f} %  {fields.get('text', '')}"


def _in_words(seconds: float) -> str:
    for size, unit in ((3600, "h"), (60, "min")):
        if seconds > 1.5 * size:
            return f"{seconds / size:.0f} {unit}"
    return f"{seconds:.0f} s"
