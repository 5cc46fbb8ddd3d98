"""Given data against the film: does a camera carry the background, do people, joints and masks lie where people are seen?

Each file is held against what was followed and found in the picture before it is used. Where most of it does not fit, its likely other
readings are tried (`reading.choose`); one that fits far better is used and told, and what fits nowhere is told and used as it is.
"""

from __future__ import annotations

from dataclasses import dataclass

from ..protocol import Reporter
from .background import followed
from .camera import Known, read_as
from .evidence_camera import camera_against_film
from .evidence_people import people_against_film
from .people import read_as as person_read_as
from .reading import Reading


@dataclass
class Given:
    """What was given, as it is used, and what `shot.json` says of it."""

    known: Known | None
    people: list
    facts: dict


def against_film(shot, frames, tracks, masks, known, people, model, report=None) -> Given:
    """Hold a known camera and imported people against the film, and read them as it shows.

    tracks: records.Tracks of the film; masks: index to instance mask (H, W); known: from `read_camera`, or None; people: from
    `read_people`. Raises ShotError where a camera covers less than half of the shot under every reading that fits.
    """
    report = report or Reporter()
    facts = {}
    scene = None
    if known is not None or any(p.T_world_from_cam is not None for p in people):
        scene = followed(shot, frames, masks, report)
    if known is not None:
        known, facts["camera"] = camera_against_film(known, scene, tracks, shot, report)
    if people:
        people, facts["people"] = people_against_film(people, scene, tracks, shot, model, known, report)
    return Given(known, people, facts)


def as_given(facts: dict, known, people, shot):
    """The camera and the people as `against_film` read them, from what it wrote down."""
    if known is not None and "camera" in facts:
        known = read_as(known.rows, Reading(**facts["camera"]["reading"]), shot)
    rows = facts.get("people", [])
    if people and len(rows) == len(people):
        people = [person_read_as(p.raw or p, Reading(**row["reading"]), shot) for p, row in zip(people, rows)]
    return known, people
