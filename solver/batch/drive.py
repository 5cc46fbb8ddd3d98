"""What is next: the cuts of films first, then their shots, long ones first. Everything that matters is on disk, so a batch that was killed goes on."""

from __future__ import annotations

import hashlib
import math
import time
from dataclasses import dataclass, replace
from pathlib import Path

from .. import corrections
from ..options import Options
from ..protocol import Reporter, ShotError, Stopped, TakeHeld
from ..shot import shot as stage
from ..shot.video import open_source
from ..take import Take, held
from . import index, work
from .ask import Ask
from .sources import piece_name
from .work import FAILED, STOPPED, Outcome, Task, concluded

SHORTEST = 5  # frames; a piece between two cuts of a film that is shorter is no shot
REWRITE_S = 2.0  # between two writings of the index
OWN = {"shots.json", "batch.json", "batch.json.part", "run.lock", "takes", "films", "logs", "failed", "pictures"}  # what a batch makes first


@dataclass(frozen=True)
class Shot:
    """One take to be made, or a film whose cuts are not known yet."""

    name: str
    clip: Path
    options: Options
    note: Path  # file that says why it failed, while it has
    frames: int = 0
    sha256: str = ""

    @property
    def take(self) -> Path:
        return self.options.take

    def finished(self) -> bool:
        """Whether the take holds what is asked for: of this film, with these options and its corrections."""
        try:
            state = Take(self.take).read()
            made = (self.take / "report.json").stat().st_mtime_ns
        except (ShotError, OSError):
            return False
        corrected = self.take / corrections.FILE
        fresh = not corrected.exists() or corrected.stat().st_mtime_ns <= made
        return bool(state.get("complete") and fresh and state["options"] == self.options.to_json() and state["source"]["sha256"] == self.sha256)


class Batch:
    """Everything that was asked for, in one folder.

    asks:      what to solve. options: how, but for source, take, cut, range and scan.
    room:      where tasks run: `local.Local` or `cluster.Ray`.
    task:      (cores, bytes) that a shot gets. view: shows it (`table`).
    """

    def __init__(self, asks: list[Ask], folder: Path, options: Options, shortest: int, room, task, view, report: Reporter):
        self.asks, self.folder, self.options, self.shortest = asks, Path(folder), options, shortest
        self.room, self.threads, self.memory, self.view, self.report = room, *task, view, report
        self.index = index.Index(self.folder)
        self.shots: dict[str, list[Shot]] = {}  # by the name of what was asked for
        self.waiting: list[Task] = []
        self.films: dict[str, list[Ask]] = {}  # by the name of the task that looks for the cuts of their film
        self._written = -math.inf

    def run(self) -> list[index.Row]:
        """Solve what is not solved. Returns a row a shot. Raises ShotError, Stopped."""
        self._open()
        try:
            with held(self.folder):
                return self._run()
        except TakeHeld as error:
            raise ShotError(f"Another batch is at work in {self.folder}.", "Wait until it ends, or choose another folder.") from error

    def _open(self) -> None:
        if self.folder.exists() and not self.folder.is_dir():
            raise ShotError(f"{self.folder} is a file.", "Choose a folder for the batch.")
        if self.folder.is_dir() and not (self.folder / "batch.json").exists() and {p.name for p in self.folder.iterdir()} - OWN:
            raise ShotError(f"{self.folder} is not empty and not a batch.", "Choose a new folder for the batch.")
        for name in ("", "takes", "films", "logs", "failed", "pictures"):
            (self.folder / name).mkdir(parents=True, exist_ok=True)

    def _run(self):
        for note in (self.folder / "failed").iterdir():
            note.unlink(missing_ok=True)  # what failed is tried again
        by_film: dict[Path, list[Ask]] = {}
        for ask in self.asks:
            by_film.setdefault(ask.clip.resolve(), []).append(ask)
        for clip, asks in by_film.items():
            self._look_for_cuts(clip, asks)
        self._write()
        try:
            while self.waiting or self.room.said:
                while self.waiting and self.room.room():
                    self.room.submit(self.waiting.pop(0))
                for task, outcome in self.room.wait(0.2):
                    self._end(task, outcome)
                if self.report.stop.is_set():
                    raise Stopped
                self._show()
        except BaseException:
            self.room.close()
            self._write()
            raise
        rows = self._write()
        self.view.close(rows)
        return rows

    # -- the cuts of films

    def _scan(self, clip: Path) -> Path:
        """Where the cuts of a film are kept."""
        return self.folder / "films" / f"{clip.stem}-{hashlib.sha256(str(clip).encode()).hexdigest()[:12]}.npz"

    def _look_for_cuts(self, clip: Path, asks: list[Ask]) -> None:
        scan = self._scan(clip)
        for ask in asks:
            self.shots[ask.name] = [self._shot(ask, ask.name)]
        try:
            known = stage.known(open_source(clip, self._fps(asks)), scan)
        except (ShotError, OSError):
            known = None  # the task says what is wrong
        if known is not None:
            self._found(asks)
            return
        name = f"the cuts of {asks[0].name}"
        self.films[name] = asks
        words = ["cuts", str(clip), "--scan", str(scan.absolute())]
        fps = self._fps(asks)
        if fps is not None:
            words += ["--fps", str(fps)]
        self._wait_for(Task(name, (*work.SOLVER, *words), self._log(asks[0].name), str(self._note(asks[0].name)), self.threads, self.memory))

    def _fps(self, asks):
        return asks[0].options.get("fps", self.options.fps)

    def _found(self, asks: list[Ask]) -> None:
        """The cuts of a film are known: its shots wait."""
        for ask in asks:
            try:
                self.shots[ask.name] = shots = self._shots(ask)
            except (ShotError, OSError) as error:
                message, fix = (error.message, error.fix) if isinstance(error, ShotError) else (str(error), "Check the film's disk.")
                self._fail(ask.name, message, fix)
                continue
            for shot in shots:
                if self.options.restart or not shot.finished():
                    words = shot.options.words() + ["--restart"] * self.options.restart
                    gpus = int(shot.options.device.startswith("cuda"))
                    self._wait_for(
                        Task(shot.name, (*work.SOLVER, *words), self._log(shot.name), str(shot.note), self.threads, self.memory, gpus, shot.frames)
                    )

    def _shots(self, ask: Ask) -> list[Shot]:
        clip = ask.clip.resolve()
        scan = self._scan(clip)
        options = replace(self.options, source=clip, scan=scan, **ask.options)
        pieces, rate = stage.pieces(clip, options, Reporter())
        sha256 = stage.known(open_source(clip, options.fps), scan).sha256
        end = pieces[-1][1]
        if ask.span_s is not None:
            first, last = (round(s * rate) for s in ask.span_s)
            if first < 0 or first >= end:
                raise ShotError(f"The cut list asks for frames {first} to {last - 1} of {clip.name}, which has 0 to {end - 1}.", "Is this the right film?")
            return [self._shot(ask, ask.name, min(last, end) - first, sha256, range=(first, max(first, min(last, end) - 1)))]
        if ask.one or len(pieces) == 1:
            first, last = ask.options.get("range") or (pieces[0][0], end - 1)
            return [self._shot(ask, ask.name, last + 1 - first, sha256)]
        kept = [(n, b - a) for n, (a, b) in enumerate(pieces) if b - a >= self.shortest]
        if len(kept) < len(pieces):
            self.view.clear()
            self.report.warn(f"{len(pieces) - len(kept)} of {len(pieces)} pieces of {clip.name} are shorter than {self.shortest} frames and left out.")
        return [self._shot(ask, piece_name(ask.name, n), frames, sha256, cut=n) for n, frames in kept]

    def _shot(self, ask: Ask, name: str, frames=0, sha256="", **options) -> Shot:
        clip = ask.clip.resolve()
        whole = replace(
            self.options, **{**ask.options, **options}, source=clip, take=(self.folder / "takes" / name).absolute(), scan=self._scan(clip)
        )
        return Shot(name, clip, whole, self._note(name), frames, sha256)

    # -- tasks

    def _wait_for(self, task: Task) -> None:
        """Take up a task: films first, then long shots before short ones, for the last to end alone should be short."""
        self.waiting.append(task)
        self.waiting.sort(key=lambda t: (t.name not in self.films, -t.frames))

    def _end(self, task: Task, outcome: Outcome) -> None:
        asks = self.films.pop(task.name, None)
        if outcome.status == STOPPED:
            return
        if asks is not None and outcome.status == FAILED:
            for ask in asks:
                self._fail(ask.name, outcome.message, outcome.fix)
        elif asks is not None:
            self._found(asks)
        else:
            self.view.ended(self._row(next(s for shots in self.shots.values() for s in shots if s.name == task.name)))

    def _fail(self, name: str, message: str, fix: str) -> None:
        shot = self.shots[name][0]
        concluded(Task(name, (), "", str(shot.note)), Outcome(FAILED, message, fix))
        self.view.ended(self._row(shot))

    def _note(self, name: str) -> Path:
        return self.folder.absolute() / "failed" / f"{name}.json"

    def _log(self, name: str) -> str:
        return str(self.folder.absolute() / "logs" / f"{name}.log")

    # -- what is shown

    def _row(self, shot: Shot) -> index.Row:
        row = self.index.row(shot)
        running = shot.name in self.room.said or any(a.name == shot.name for n in self.room.said for a in self.films.get(n, ()))
        return replace(row, state=index.RUNNING) if running else row

    def rows(self) -> list[index.Row]:
        """In the order of what was asked for."""
        return [self._row(shot) for ask in self.asks for shot in self.shots.get(ask.name, [])]

    def _show(self) -> None:
        if time.monotonic() - self._written > REWRITE_S:
            self._write()
        self.view.show(self.room.said)

    def _write(self) -> list[index.Row]:
        rows = self.rows()
        self.index.write(rows)
        self.view.count(rows)
        self._written = time.monotonic()
        return rows

