"""Which bone of a rig is which part of a human: found out, corrected by the artist, and kept as JSON, a file for each kind of rig.

Rigs with the same bones share a file, so that a character that is imported again, or another of its family, needs no new table.
"""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import bpy

from ..retarget import Mapping, Rig, match, match_named
from ..retarget.rig import FINGERS, REQUIRED, SIDED
from ..solver.protocol import ShotError

# Rows of the table, in the order in which they are shown.
PARTS = ("hips", "head", *(f"{part}.{side}" for side in "LR" for part in (*SIDED, *FINGERS)))


def words(part: str) -> str:
    """A part as an artist reads it: "Left Upper Arm"."""
    base, _, side = part.partition(".")
    return {"L": "Left ", "R": "Right "}.get(side, "") + base.replace("_", " ").title()


def folder() -> Path:
    """Where the tables are: the extension's user folder; Blender's configuration while this is no extension, as in tests."""
    package = __package__.rpartition(".")[0]
    try:
        return Path(bpy.utils.extension_path_user(package, path="rigs"))
    except ValueError:
        return Path(bpy.utils.user_resource("CONFIG", path="reshoot")) / "rigs"


def file_of(rig: Rig) -> Path:
    """The file of a rig, named after its bones."""
    key = hashlib.sha256("\n".join(sorted(rig.names)).encode()).hexdigest()[:16]
    return folder() / f"{key}.json"


def kept(rig: Rig) -> dict[str, str] | None:
    """Part → bone name as the artist saved it; None where there is no table, or one that cannot be read."""
    try:
        bones = json.loads(file_of(rig).read_text(encoding="utf-8"))["bones"]
        known = set(rig.names)
        return {part: bone for part, bone in bones.items() if part in PARTS and bone in known}
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return None


def keep(rig: Rig, name: str, bones: dict[str, str]) -> Path:
    """Save a table, part → bone name. Raises ShotError where it is not a person's, before anything is written."""
    checked(rig, bones)
    path = file_of(rig)
    path.parent.mkdir(parents=True, exist_ok=True)
    new = path.with_suffix(".new")
    new.write_text(json.dumps({"rig": name, "bones": bones}, indent=1, ensure_ascii=False), encoding="utf-8")
    new.replace(path)
    return path


def forget(rig: Rig) -> bool:
    """Delete the table of a rig; whether there was one."""
    path = file_of(rig)
    there = path.exists()
    path.unlink(missing_ok=True)
    return there


def checked(rig: Rig, bones: dict[str, str]) -> Mapping:
    """The mapping of a table. Raises ShotError that names what is missing, given twice, or not in the rig."""
    bones = {part: bone for part, bone in bones.items() if bone}
    unknown = sorted(set(bones.values()) - set(rig.names))
    if unknown:
        raise ShotError(f"There is no bone called {unknown[0]} in this rig.", "Choose another in the table of bones.")
    missing = [words(part) for part in REQUIRED if part not in bones]
    if missing:
        raise ShotError(f"The table of bones lacks {', '.join(missing)}.", "Choose a bone for each.")
    for bone in bones.values():
        parts = [words(part) for part, other in bones.items() if other == bone]
        if len(parts) > 1:
            raise ShotError(f"{bone} stands for {' and '.join(parts)}.", "Choose another bone for one of them.")
    return match_named(rig, bones)


def table(rig: Rig, mapping: Mapping) -> dict[str, str]:
    """Part → bone name of a mapping."""
    return {part: rig.names[mapping.bones[part]] for part in PARTS if part in mapping.bones}


def found(rig: Rig, given: Mapping | None = None) -> Mapping:
    """The mapping of a rig: the artist's table, else `given`, else by names or structure. Raises ShotError."""
    if saved := kept(rig):
        mapping = checked(rig, saved)
        mapping.source = "table"
        return mapping
    return given or match(rig)
