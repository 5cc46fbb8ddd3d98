"""The corrections that a take in the scene holds, for the panels."""

from __future__ import annotations

from ..solver import corrections
from ..solver.protocol import ShotError
from ..solver.skeleton import KEYPOINTS
from ..solver.take import Take
from . import take as scene_take

JOINTS = [(name, name.replace("_", " ").capitalize(), "Show where this joint is") for name in KEYPOINTS]  # items of an enumeration


def lines(collection) -> list[str]:
    """Each correction of a take in an artist's words, in frames of the scene, oldest first; the reason where they cannot be read."""
    first = int(collection[scene_take.START_KEY])
    try:
        made = corrections.load(scene_take.folder_of(collection)).items
    except ShotError as error:
        return [str(error)]
    return [corrections.describe(item, first) for item in made]


def left_out(collection) -> list[dict]:
    """Who was seen in a take and is neither followed nor added: rows of its seen.json, `first` and `last` in frames of the scene, `picture` a path.

    None where the take or the file cannot be read.
    """
    first = int(collection[scene_take.START_KEY])
    try:
        take = Take(scene_take.folder_of(collection))
        _, added = corrections.load(take.folder).chosen()
        people = [person for person in take.read_seen() if not person["chosen"] and person["seen"] not in added]
        return [{**p, "first": p["first"] + first, "last": p["last"] + first, "picture": str(take.folder / p["picture"])} for p in people]
    except (ShotError, KeyError, TypeError):
        return []
