"""What a batch's folder says of its shots, read again when it has changed. Nothing is written."""

from __future__ import annotations

import json
from pathlib import Path

LIST = "shots.json"  # what the shot list of a scene asks for
_read: dict[Path, tuple] = {}  # by folder: when batch.json was written, and what it says


def rows(folder: Path) -> dict[str, list[dict]]:
    """The rows of batch.json by the name of the clip: one, or one a piece of it. Empty where there is no batch."""
    file = folder / "batch.json"
    try:
        written = file.stat().st_mtime_ns
        if _read.get(folder, (0,))[0] != written:
            _read.clear()
            _read[folder] = written, _grouped(json.loads(file.read_text(encoding="utf-8"))["shots"])
        return _read[folder][1]
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return {}


def state(rows: list[dict]) -> str:
    """The state of a clip, told from its rows: waiting, running, done, failed."""
    states = {row["state"] for row in rows}
    for one in ("running", "failed"):
        if one in states:
            return one
    return "done" if states == {"done"} else "running" if "done" in states else "waiting"


def _grouped(listed) -> dict[str, list[dict]]:
    grouped: dict[str, list[dict]] = {}
    for row in listed:
        grouped.setdefault(str(row["name"]).partition("+")[0], []).append({"state": "waiting", "take": "", **row})
    return grouped
