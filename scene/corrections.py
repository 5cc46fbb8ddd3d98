"""The corrections that a take in the scene holds, for the panels."""

from __future__ import annotations

from ..solver import corrections
from ..solver.protocol import ShotError
from . import take as scene_take


def lines(collection) -> list[str]:
    """Each correction of a take in an artist's words, in frames of the scene, oldest first; the reason where they cannot be read."""
    first = int(collection[scene_take.START_KEY])
    try:
        made = corrections.load(scene_take.folder_of(collection)).items
    except ShotError as error:
        return [str(error)]
    return [corrections.describe(item, first) for item in made]
