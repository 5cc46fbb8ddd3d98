"""`blender --command reshoot …`: the solver's command line, with the Python of the preferences."""

from __future__ import annotations

import sys
from pathlib import Path

import bpy

from .. import jobs, preferences
from ..solver.protocol import ShotError
from .base import take_beside

NAME = "reshoot"


def run(argv: list[str]) -> int:
    """Run the solver with these words and return its exit status. A take that `extract` does not name goes beside the clip."""
    try:
        python = preferences.solver_python(bpy.context)
    except ShotError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    words = list(argv)
    named = any(word.partition("=")[0] == "--out" for word in words)
    if words[:1] == ["extract"] and len(words) > 1 and not words[1].startswith("-") and not named:
        words += ["--out", str(take_beside(Path(words[1])))]
    return jobs.call(python, words, preferences.packages(bpy.context))
