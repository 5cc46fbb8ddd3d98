"""Something that a batch is asked to solve."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path

MOVIES = (".mp4", ".mov", ".mkv", ".avi", ".webm", ".m4v", ".mxf", ".mpg", ".mpeg", ".mts", ".m2ts")


@dataclass(frozen=True)
class Ask:
    """Something to solve: all pieces of a film between its cuts, or one shot of it."""

    name: str  # unique; that of the take, or what its pieces' names begin with
    clip: Path
    options: dict = field(default_factory=dict)  # fields of Options that are set for it
    span_s: tuple[Fraction, Fraction] | None = None  # of a cut list: begin and end, seconds from the first picture of the film

    @property
    def one(self) -> bool:
        """Whether it is one shot, wherever the film is cut."""
        return self.span_s is not None or any(self.options.get(key) is not None for key in ("cut", "range"))


def movies_in(folder: Path) -> list[Path]:
    """Every movie below a folder: where the films of a cut list are looked for."""
    return sorted(path for path in folder.rglob("*") if path.suffix.lower() in MOVIES)


def slug(text: str) -> str:
    """A name that every file system takes."""
    return re.sub(r"[^\w.-]+", "_", text).strip("._") or "shot"
