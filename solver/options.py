"""What a run is asked to do. One dataclass, filled by the command line or by a test."""

from __future__ import annotations

import os
from dataclasses import dataclass, fields
from pathlib import Path


@dataclass
class Options:
    source: Path  # movie file, or folder or first file of an image sequence
    take: Path  # folder to write
    cut: int | None = None  # which piece between hard cuts, from 0; None = the longest
    range: tuple[int, int] | None = None  # first and last frame of the source, both included
    cuts: str | tuple[int, ...] = "auto"  # "auto", "none", or the frames that begin a piece
    max_height: int | None = None  # solve at no more than this many pixels of height
    focal_mm: float | None = None  # known lens on a 36 mm wide sensor
    fov: float | None = None  # known horizontal field of view, degrees
    camera_kind: str | None = None  # "travels", "turns" or "locked", where the artist knows; None: the tracks decide
    smpl: Path | None = None  # folder with the user's licensed SMPL file
    people: tuple[Path, ...] = ()  # SMPL tracks of other programs, or of a take
    most: int | None = None  # how many people are followed, the most prominent; None: up to 8, and nobody who is background beside them
    only: tuple[int, ...] = ()  # numbers of seen.json: these people and nobody else
    masks: Path | None = None  # folder of instance masks
    joints: Path | None = None  # 2D joints of another program
    camera: Path | None = None  # known camera: COLMAP model or workspace, .chan, npz or JSON
    backend: Path | None = None  # nets of the artist's own: a folder, or a Python file
    quality: str = "final"  # "preview" skips what costs most, and says so
    plate: bool = True  # build the clean plate
    inpainter: str | None = None  # command of a program of the artist's own that paints what no frame shows
    fps: float | None = None  # for image sequences
    device: str = "cpu"  # torch device of the film stage
    seed: int = 0
    scan: Path | None = None  # file that keeps what was found on the first pass over the source
    restart: bool = False  # forget finished stages
    until: str | None = None  # stop after this stage

    def to_json(self) -> dict:
        """What would ask for the same take again: long flags of `extract`, `source` for the clip, and `plate`. Paths are absolute."""
        given = {f.name: getattr(self, f.name) for f in fields(self) if f.name not in ("take", "scan", "restart", "until")}
        if self.range:
            given["range"] = "{}-{}".format(*self.range)
        if not isinstance(self.cuts, str):
            given["cuts"] = ",".join(map(str, self.cuts))
        return {name: _plain(value) for name, value in given.items() if value is not None and value != ()}

    def words(self) -> list[str]:
        """The command line of `python -m solver` that asks for this, but for `restart`."""
        given = self.to_json()
        words = ["extract", given.pop("source"), "--out", os.path.abspath(self.take)]
        if not given.pop("plate"):
            words.append("--no-plate")
        if self.scan:
            given["scan"] = os.path.abspath(self.scan)
        for name, value in given.items():
            words += ["--" + name.replace("_", "-"), *(map(str, value) if isinstance(value, list) else [str(value)])]
        return words


def _plain(value):
    """A value as JSON has it. The solver may run in another folder next time."""
    if isinstance(value, (tuple, list)):
        return [_plain(v) for v in value]
    return os.path.abspath(value) if isinstance(value, Path) else value
