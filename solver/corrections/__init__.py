"""An artist's corrections of a take: who is who, sizes, lens, ground, and what the artist knows of the place. numpy only.

They lie in the take as `corrections.json`, in the order in which they were made; each speaks of people by the numbers that
the ones before it left. Stages ask for what concerns them, so only those run again:

    add, only → track (they speak of people by their numbers in seen.json)
    merge, split, delete, swap, outline, joint → stage edits (after track), and with it all that follows
    focal → slam      height → body, world      ground, upright, moved, stands → world
"""

from __future__ import annotations

import json
import math
import os
import shutil
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from ..protocol import ShotError
from ..records import Tracks, World, load_record, save_text
from ..skeleton import KEYPOINTS
from ..take import Take, read_mask, write_mask
from .on_tracks import apply_to_tracks

FILE = "corrections.json"
SCHEMA_VERSION = 1
# what every kind of correction says, beside "do"
KINDS = {
    "add": {"seen": int},
    "only": {"seen": [int]},
    "merge": {"keep": int, "other": int},
    "split": {"person": int, "frame": int, "new": int},
    "delete": {"person": int},
    "swap": {"a": int, "b": int, "frame": int},
    "height": {"person": int, "metres": float},
    "focal": {"mm": float},
    "ground": {"up": list, "height": float},
    "unlock": {},
    # a line in the picture that stands upright in the world; x and y are shares of the picture's width and height
    "upright": {"frame": int, "x1": float, "y1": float, "x2": float, "y2": float},
    "moved": {"first": int, "last": int, "metres": float},  # the camera, between two frames, as the crow flies
    "stands": {"person": int, "first": int, "last": int},  # with both feet on the ground, without a step
    # whose the pixels of one frame are; x and y are shares of the picture's width and height
    "outline": {"person": int, "frame": int, "new": bool, "polygons": "polygons"},
    "joint": {"person": int, "frame": int, "joint": str, "x": float, "y": float},
}
IDENTITY = ("merge", "split", "delete", "swap")
CHOICE = ("add", "only")
IN_THE_PICTURE = ("outline", "joint")
OF_THE_PLACE = ("upright", "moved", "stands")
# where the solver goes on after a correction; an identity is applied after the stage that it names
NEXT_STAGE = {
    **dict.fromkeys((*CHOICE, *IDENTITY, *IN_THE_PICTURE), "track"),
    "focal": "slam",
    "height": "body",
    "ground": "world",
    "unlock": "world",
    **dict.fromkeys(OF_THE_PLACE, "world"),
}
FEEDS = {
    "track": CHOICE, "edits": (*IDENTITY, *IN_THE_PICTURE), "slam": ("focal",), "body": ("height",), "world": ("height", "ground", "unlock", *OF_THE_PLACE),
}  # fmt: skip
LEAST_OUTLINE = 2e-4  # of the picture
OF_PEOPLE = ("height", "stands")  # numbers may pass on what was said of a person


@dataclass
class Corrections:
    """corrections.json. items: dicts {"do": kind, ...} of KINDS, oldest first."""

    items: list = field(default_factory=list)

    def with_item(self, do: str, **values) -> Corrections:
        """These and one more. Raises ShotError where a value makes no sense."""
        item = {"do": do, **values}
        _check(item)
        return Corrections([*self.items, item])

    def key(self, stage: str) -> str:
        """What a stage's key needs: "" where nothing concerns that stage."""
        mine = [item for item in self.items if item["do"] in FEEDS.get(stage, ())]
        if any(item["do"] in OF_PEOPLE for item in mine):
            mine = [item for item in self.items if item["do"] in (*FEEDS[stage], *IDENTITY)]
        return json.dumps(mine, sort_keys=True) if mine else ""

    def chosen(self, only=()) -> tuple[tuple, tuple]:
        """Numbers of seen.json: who alone is followed (nobody: whoever is prominent), and who is as well.

        only: what holds where no correction says it.
        """
        added: tuple = ()
        for item in self.items:
            if item["do"] == "only":
                only, added = tuple(item["seen"]), ()
            elif item["do"] == "add":
                added += (item["seen"],)
        return tuple(only), added

    @property
    def focal_mm(self) -> float | None:
        """Lens in mm on a 36 mm wide sensor, or None."""
        given = [item["mm"] for item in self.items if item["do"] == "focal"]
        return given[-1] if given else None

    @property
    def ground(self) -> tuple[np.ndarray, float] | None:
        """The locked ground as unit up (3,) and height: up . x = height for x in metres in SLAM's axes; None if not locked."""
        last = [item for item in self.items if item["do"] in ("ground", "unlock")][-1:]
        if not last or last[0]["do"] == "unlock":
            return None
        up = np.asarray(last[0]["up"], float)
        return up / np.linalg.norm(up), last[0]["height"]

    def heights(self) -> dict[int, float]:
        """Metres by person number as it is after all corrections."""
        out: dict[int, float] = {}
        for item in self.items:
            if item["do"] == "height":
                out[item["person"]] = item["metres"]
            elif item["do"] == "merge" and item["other"] in out:
                height = out.pop(item["other"])
                out.setdefault(item["keep"], height)
            elif item["do"] == "split" and item["person"] in out:
                out[item["new"]] = out[item["person"]]
            elif item["do"] == "delete":
                out.pop(item["person"], None)
        return out

    def uprights(self, width: int, height: int) -> np.ndarray:
        """Lines that stand upright, (n, 5): frame, x1, y1, x2, y2 in px of a picture of that size."""
        given = [item for item in self.items if item["do"] == "upright"]
        lines = np.array([[item[name] for name in ("frame", "x1", "y1", "x2", "y2")] for item in given], float).reshape(-1, 5)
        return lines * [1, width, height, width, height]

    def path_scale(self, centres) -> float | None:
        """Metres per unit of the camera's path (T, 3) by the distances that it went, least squares; None where none was given."""
        given = [item for item in self.items if item["do"] == "moved" and max(item["first"], item["last"]) < len(centres)]
        metres = np.array([item["metres"] for item in given])
        units = np.array([np.linalg.norm(centres[item["last"]] - centres[item["first"]]) for item in given])
        return float(metres @ units / (units @ units)) if (units > 0).any() else None

    def standing(self, ids, frames: int) -> np.ndarray:
        """Who stands still with both feet on the ground, (P, frames) bool, by person numbers as they are after all corrections."""
        told = set()
        for item in self.items:
            if item["do"] == "stands":
                told |= {(item["person"], frame) for frame in range(item["first"], item["last"] + 1)}
            else:
                told = {(_renamed(person, frame, item), frame) for person, frame in told}
        return np.array([[(int(i), frame) in told for frame in range(frames)] for i in ids], bool).reshape(len(ids), frames)

    def settled(self) -> set[int]:
        """People of whom the artist said who they are: nobody looks for them where somebody else is now."""
        who = {"split": ("person", "new"), "swap": ("a", "b")}
        return {item[key] for item in self.items for key in who.get(item["do"], ())}

    def in_the_picture(self, do: str, frames: int) -> list[dict]:
        """Items of this kind, "outline" or "joint", of a shot's frames, with the numbers that their people have after all corrections."""
        told: list = []
        for item in self.items:
            told = [(_renamed(person, said["frame"], item), said) for person, said in told]
            if item["do"] == do:
                told.append((item["person"], item))
        return [{**said, "person": person} for person, said in told if person and said["frame"] < frames]

    def height_prior(self, ids) -> np.ndarray:
        """(P,) metres, NaN where no height was given."""
        heights = self.heights()
        return np.array([heights.get(int(i), np.nan) for i in ids], float)


def _renamed(person, frame, item):
    """The number that a person of one frame has after a correction; None where they are nobody any more, or were."""
    do = item["do"]
    if do == "merge" and person == item["other"]:
        return item["keep"]
    if do == "delete" and person == item["person"]:
        return None
    if do == "split" and person == item["person"] and frame >= item["frame"]:
        return item["new"]
    if do == "swap" and frame >= item["frame"]:
        return {item["a"]: item["b"], item["b"]: item["a"]}.get(person, person)
    return person


def _check(item) -> None:
    kind = item.get("do")
    if kind not in KINDS:
        raise ShotError(f"{FILE} holds an unknown correction ({kind}).", "Update Reshoot, or delete the file.")
    wanted = KINDS[kind]
    right = set(item) == {"do", *wanted}
    for name, type_ in wanted.items():
        value = item.get(name)
        number = isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value)
        if type_ == "polygons":
            right &= _polygons(value)
        elif type_ in (str, bool):
            right &= isinstance(value, type_)
        elif type_ == [int]:
            right &= isinstance(value, list) and len(value) > 0 and all(type(v) is int for v in value)
        elif type_ is list:
            right &= (
                isinstance(value, list)
                and len(value) == 3
                and all(isinstance(v, (int, float)) and math.isfinite(v) for v in value)
            )
        else:
            right &= number and (type_ is float or isinstance(value, int))
    if not right:
        raise ShotError(f"A correction in {FILE} is damaged ({kind}).", "Undo it, or delete the file.")
    if kind == "height" and not 0.3 <= item["metres"] <= 2.6:
        raise ShotError(f"{item['metres']:g} m is no height of a person.", "Give metres, for instance 1.82.")
    if kind == "focal" and not 4 <= item["mm"] <= 2000:
        raise ShotError(f"{item['mm']:g} mm is no lens.", "Give millimetres on a 36 mm wide sensor, for instance 35.")
    if kind == "ground" and np.linalg.norm(item["up"]) < 0.5:
        raise ShotError(f"A correction in {FILE} is damaged (ground).", "Undo it, or delete the file.")
    if kind == "upright" and np.hypot(item["x2"] - item["x1"], item["y2"] - item["y1"]) < 0.02:
        raise ShotError("That line is too short to tell a direction.", "Draw it along something upright, a tenth of the picture or more.")
    if kind == "moved" and not (item["metres"] > 0 and item["first"] != item["last"]):
        raise ShotError("That is no way for a camera to go.", "Name two frames and the metres between the camera's places.")
    if kind == "stands" and not 0 <= item["first"] <= item["last"]:
        raise ShotError(f"There are no frames from {item['first']} to {item['last']}.", "Name the first and the last frame.")
    if kind == "outline" and sum(map(_area, item["polygons"])) < LEAST_OUTLINE:
        raise ShotError("That outline is too small to be a person.", "Draw it round all that is seen of them.")
    if kind == "joint" and item["joint"] not in KEYPOINTS:
        raise ShotError(f"{item['joint']} is no joint.", f"Joints are {', '.join(KEYPOINTS)}.")
    if kind in ("merge", "swap") and len({v for k, v in item.items() if k in ("keep", "other", "a", "b")}) < 2:
        raise ShotError("That is one and the same person.", "Name two people.")


def _polygons(value) -> bool:
    """Whether these are lists of three places (x, y) or more."""
    number = lambda v: isinstance(v, (int, float)) and not isinstance(v, bool) and math.isfinite(v)
    place = lambda v: isinstance(v, list) and len(v) == 2 and all(map(number, v))
    return isinstance(value, list) and len(value) > 0 and all(isinstance(p, list) and len(p) > 2 and all(map(place, p)) for p in value)


def _area(polygon) -> float:
    """Of a closed polygon (n, 2), whichever way it goes round."""
    x, y = np.asarray(polygon, float).T
    return abs(float(x @ np.roll(y, -1) - y @ np.roll(x, -1))) / 2


def load(folder: Path) -> Corrections:
    """The corrections of a take, none where it has no file. Raises ShotError where the file is damaged."""
    path = Path(folder) / FILE
    if not path.exists():
        return Corrections()
    try:
        data = json.loads(path.read_text(encoding="utf-8"))
        version, items = data["schema_version"], data["corrections"]
        if not isinstance(items, list) or not all(isinstance(item, dict) for item in items):
            raise TypeError("no list")
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ShotError(f"{FILE} of the take is damaged.", "Delete the file to be rid of all corrections.") from error
    if version != SCHEMA_VERSION:
        raise ShotError("The corrections were made by a newer Reshoot.", "Update Reshoot.")
    for item in items:
        _check(item)
    return Corrections(items)


def save(folder: Path, corrections: Corrections) -> None:
    """Write corrections.json, whole or not at all."""
    for item in corrections.items:
        _check(item)
    save_text(
        Path(folder) / FILE, json.dumps({"schema_version": SCHEMA_VERSION, "corrections": corrections.items}, indent=1)
    )


# -- on the take


def next_number(tracks: Tracks, corrections: Corrections) -> int:
    """A number for a person who is made by a split or an outline: above all that there ever were."""
    given = [item["new"] if item["do"] == "split" else item["person"] for item in corrections.items if item["do"] in ("split", "outline")]
    return int(max([0, *tracks.ids, *given])) + 1


def relabel_masks(take: Take, labels: np.ndarray) -> None:
    """Bring the take's masks/ in line with labels (T, 256). What the track stage drew is kept in stages/masks."""
    raw, masks = take.stages / "masks", take.folder / "masks"
    if not raw.is_dir():
        beside = raw.with_name("masks.part")
        shutil.rmtree(beside, ignore_errors=True)
        shutil.copytree(masks, beside)
        os.replace(beside, raw)
    for index, table in enumerate(labels):
        write_mask(take.mask(index), table[read_mask(take.drawn(index))])


def forget_masks(take: Take) -> None:
    """Before the track stage draws its masks anew: the old ones are no source any more."""
    for folder in (take.stages / "masks", take.outlined, take.nets):
        shutil.rmtree(folder, ignore_errors=True)


def ground_of(take: Take) -> tuple[list, float]:
    """The ground that the take was solved with, as `Corrections.ground` has it. Raises ShotError where there is none yet."""
    path = take.stage("world") if take.stage("world").exists() else take.stage("world_start")
    if not path.exists():
        raise ShotError("The take has no ground yet.", "Run Extract Shot first.")
    T = load_record(path, World).T_world_from_slam
    return T[2, :3].tolist(), float(-T[2, 3])


def correct(take: Take, do: str, first_frame: int = 0, **values) -> dict:
    """Try one more correction on the take's tracks and write it down; returns it. Raises ShotError where it does not fit.

    values: those of KINDS; a split and an outline of somebody new (person: None) find their own new number, and "ground" is the ground that the
    take was solved with.
    first_frame: what errors call frame 0 of the take.
    """
    take.read()
    corrections = load(take.folder)
    if do == "ground":
        values["up"], values["height"] = ground_of(take)
    if do in CHOICE:
        more = _choice(take, corrections, do, values["seen"])
    elif do in (*IDENTITY, *OF_PEOPLE, *IN_THE_PICTURE):
        if not take.stage("track").exists():
            raise ShotError("The take has no people yet.", "Run Extract Shot first.")
        tracks = load_record(take.stage("track"), Tracks)
        if do == "split":
            values["new"] = next_number(tracks, corrections)
        if do == "outline":
            values["new"] = values["person"] is None
            if values["new"]:
                values["person"] = next_number(tracks, corrections)
        more = corrections.with_item(do, **values)
        there, _ = apply_to_tracks(tracks, more, first_frame)
        if do in OF_PEOPLE and values["person"] not in there.ids:
            apply_to_tracks(tracks, corrections.with_item("delete", person=values["person"]))  # says who there is
    else:
        more = corrections.with_item(do, **values)
    if do in (*OF_THE_PLACE, *IN_THE_PICTURE):
        frames = int(take.read()["source"]["frames"])
        for frame in (values[name] for name in ("first", "last", "frame") if name in values):
            if not 0 <= frame < frames:
                last = first_frame + frames - 1
                raise ShotError(f"The shot has no frame {frame + first_frame}.", f"Name a frame from {first_frame} to {last}.")
    save(take.folder, more)
    return more.items[-1]


def _choice(take, corrections, do, seen) -> Corrections:
    """The corrections and one more that chooses among those who were seen."""
    people = {person["seen"]: person for person in take.read_seen()}
    if not people:
        raise ShotError("The take does not say who was seen.", "Run Extract Shot first, without masks or joints of another program.")
    for number in seen if do == "only" else [seen]:
        if number not in people:
            raise ShotError(f"Nobody who was seen has the number {number}.", f"Those who were seen have the numbers 1 to {len(people)}.")
    _, added = corrections.chosen()
    if do == "add" and (people[seen]["chosen"] or seen in added):
        raise ShotError(f"Number {seen} is chosen already.", "Run Extract Shot again, or undo a correction.")
    if do == "add" and any(item["do"] == "split" or item.get("new") is True for item in corrections.items):
        raise ShotError("Somebody was split off or outlined, who may have the number that this person gets.", "Undo that, add the person, and do it again.")
    if do == "only" and any(item["do"] in (*IDENTITY, *OF_PEOPLE, *IN_THE_PICTURE) for item in corrections.items):
        raise ShotError("Other corrections speak of people by numbers that this would change.", "Undo them first, or leave people out one by one.")
    return corrections.with_item(do, seen=seen)


def undo(take: Take) -> dict:
    """Take the last correction back; returns it. Raises ShotError where there is none."""
    take.read()
    corrections = load(take.folder)
    if not corrections.items:
        raise ShotError("There is no correction to undo.")
    save(take.folder, Corrections(corrections.items[:-1]))
    return corrections.items[-1]


def describe(item, first_frame: int = 0) -> str:
    """One correction in an artist's words. first_frame: what to call frame 0 of the take."""
    shown = {**item, **{name: item.get(name, 0) + first_frame for name in ("frame", "first", "last")}}
    shown["seen"] = ", ".join(map(str, np.atleast_1d(item.get("seen", 0))))
    return {
        "add": "Number {seen} of those seen is followed too.", "only": "Of those seen these alone are followed: {seen}.",
        "merge": "{other} is person {keep}.", "split": "From frame {frame} on person {person} is somebody else: {new}.",
        "delete": "Person {person} is left out.", "swap": "Persons {a} and {b} change numbers from frame {frame} on.",
        "height": "Person {person} is {metres} m tall.", "focal": "The lens is {mm} mm.", "ground": "The ground is locked.",
        "unlock": "The ground is free.", "upright": "A line of frame {frame} stands upright.",
        "moved": "From frame {first} to {last} the camera goes {metres} m.", "stands": "Person {person} stands from frame {first} to {last}.",
        "outline": "Person {person} is outlined in frame {frame}.", "joint": "Person {person}'s {joint} is shown in frame {frame}.",
    }[item["do"]].format(**shown)  # fmt: skip


def goes_on(item) -> str:
    """Where the solver goes on because of a correction, made or undone: "after track" or "from slam"."""
    return f"{'after' if item['do'] in (*IDENTITY, *IN_THE_PICTURE) else 'from'} {NEXT_STAGE[item['do']]}"
