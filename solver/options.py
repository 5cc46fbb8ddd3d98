"""What a run is asked to do. One dataclass, filled by the command line or by a test."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path


@dataclass
class Options:
    source: Path  # movie file, or folder or first file of an image sequence
    take: Path  # folder to write
    cut: int | None = None  # which piece between hard cuts, from 0; None = the longest
    range: tuple[int, int] | None = None  # first and last frame of the source, both included
    max_height: int | None = None  # solve at no more than this many pixels of height
    focal_mm: float | None = None  # known lens on a 36 mm wide sensor
    fov: float | None = None  # known horizontal field of view, degrees
    smpl: Path | None = None  # folder with the user's licensed SMPL file
    people: tuple[Path, ...] = ()  # SMPL tracks of other programs, or of a take
    masks: Path | None = None  # folder of instance masks
    joints: Path | None = None  # 2D joints of another program
    camera: Path | None = None  # known camera: COLMAP text model, .chan, npz or JSON
    quality: str = "final"  # "preview" skips what costs most, and says so
    plate: bool = True  # build the clean plate
    fps: float | None = None  # for image sequences
    device: str = "cpu"  # torch device of the film stage
    seed: int = 0
    restart: bool = False  # forget finished stages
    until: str | None = None  # stop after this stage
