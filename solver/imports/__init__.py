"""Bring your own people, masks, joints and camera: other programs' files as the records that the stages make (docs/imports.md)."""

from __future__ import annotations

import hashlib
from pathlib import Path

from .camera import Known, read_camera, slam_from_camera
from .evidence import against_film, as_given
from .joints import read_joints
from .masks import Masks, read_masks
from .people import in_camera, in_lens, overlay, read_people, world_camera
from .person import Person
from .tracks import add_people, tracks_from_imports

__all__ = [
    "Known", "Masks", "Person", "add_people", "against_film", "as_given", "digest", "in_camera", "in_lens", "overlay", "read_camera", "read_joints",
    "read_masks", "read_people", "slam_from_camera", "tracks_from_imports", "world_camera",
]  # fmt: skip

VERSION = 2  # raised when files are read otherwise, so that takes made from them are solved again


def digest(*paths) -> str:
    """What a stage's key needs to know of imported files: names, sizes and times of change, folders with all that is in them."""
    seen = [VERSION] if any(p is not None for p in paths) else []
    for path in (Path(p) for p in paths if p is not None):
        files = sorted(f for f in path.rglob("*") if f.is_file()) if path.is_dir() else [path]
        seen += [(str(f.resolve()), f.stat().st_size, f.stat().st_mtime_ns) for f in files if f.exists()]
    return hashlib.sha256(repr(seen).encode()).hexdigest() if seen else ""
