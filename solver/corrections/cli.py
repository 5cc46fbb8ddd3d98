"""Command line: python -m solver take TAKE seen | add | only | merge | split | delete | swap | height | focal | ground | upright | moved | stands |
outline | joint | show | undo."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from ..protocol import ShotError
from ..take import Take
from . import correct, describe, goes_on, load, undo

# what of each correction stands in the command line
_GIVEN = {
    "merge": ("keep", "other"), "split": ("person", "frame"), "delete": ("person",), "swap": ("a", "b", "frame"),
    "height": ("person", "metres"), "focal": ("mm",), "upright": ("frame", "x1", "y1", "x2", "y2"), "moved": ("first", "last", "metres"),
    "stands": ("person", "first", "last"), "joint": ("person", "frame", "joint", "x", "y"), "outline": ("person", "frame"), "add": ("seen",), "only": ("seen",),
}  # fmt: skip


def add_parser(commands) -> None:
    """`commands`: the subparsers of the solver's command line."""
    take = commands.add_parser("take", help="correct a take: who is who, heights, lens, ground")
    take.add_argument("take", type=Path, metavar="TAKE", help="folder that extract wrote")
    actions = take.add_subparsers(dest="action", required=True, metavar="CORRECTION")

    def action(name, help, *people):
        parser = actions.add_parser(name, help=help)
        for person in people:
            parser.add_argument(person, type=int, metavar=person.upper())
        return parser

    action("seen", "list who was seen, followed or left out; seen/ in the take has a picture of each")
    action("add", "follow somebody who was left out", "seen")
    action("only", "follow these people and nobody else").add_argument("seen", type=int, nargs="+", metavar="SEEN", help="numbers that `seen` lists")
    action("merge", "two numbers are one person; the first number stays", "keep", "other")
    action("split", "from a frame on it is somebody else, who gets a new number", "person", "frame")
    action("delete", "this is nobody", "person")
    swap = action("swap", "two people change numbers", "a", "b")
    swap.add_argument(
        "--from", dest="frame", type=int, default=0, metavar="FRAME", help="from this frame of the shot on (first: 0)"
    )
    action("height", "how tall a person is", "person").add_argument("metres", type=float, metavar="METRES")
    action("focal", "the lens").add_argument("mm", type=float, metavar="MM", help="on a 36 mm wide sensor")
    action("ground", "keep the ground where it is now, or let it be solved again").add_argument(
        "ground", choices=("lock", "unlock")
    )
    upright = action("upright", "a line in the picture that stands upright: a post, a door frame, the corner of a house", "frame")
    for end in ("x1", "y1", "x2", "y2"):
        upright.add_argument(end, type=float, metavar=end.upper(), help="px of the film")
    action("moved", "how far the camera is from its place in one frame in another", "first", "last").add_argument(
        "metres", type=float, metavar="METRES", help="as the crow flies"
    )
    action("stands", "a person keeps both feet on the ground in these frames, without a step", "person", "first", "last")
    outline = action("outline", "whose the pixels of a frame are: this is carried on to other frames")
    outline.add_argument("person", type=lambda text: None if text == "new" else int(text), metavar="PERSON", help="number, or `new` for somebody nobody saw")
    outline.add_argument("frame", type=int, metavar="FRAME")
    how = outline.add_mutually_exclusive_group(required=True)
    how.add_argument("--points", type=float, nargs="+", metavar="PX", help="X Y X Y … round the person, px of the film")
    how.add_argument("--mask", type=Path, metavar="FILE", help="a picture of the film's shape, white where the person is")
    joint = action("joint", "where a joint of a person is in a frame", "person", "frame")
    joint.add_argument("joint", metavar="JOINT", help="left_wrist, right_knee, …; a wrong name lists them")
    for name in ("x", "y"):
        joint.add_argument(name, type=float, metavar=name.upper(), help="px of the film")
    action("show", "list the corrections")
    action("undo", "take the last correction back")


def run(arguments: argparse.Namespace) -> int:
    """Exit status: 0 done, 1 cannot be done (one line says why)."""
    try:
        print(_run(arguments))
    except ShotError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    return 0


def _run(arguments) -> str:
    take = Take(arguments.take)
    do = arguments.action
    if do == "show":
        take.read()
        return "\n".join(describe(item) for item in load(take.folder).items) or "No corrections."
    if do == "seen":
        take.read()
        return "\n".join(map(_seen, take.read_seen())) or "Nobody was seen, or the take does not say so."
    if do == "undo":
        last = undo(take)
        return f"Undone: {describe(last)} {_then(last)}"
    if do == "ground" and arguments.ground == "unlock":
        do = "unlock"
    values = {name: getattr(arguments, name) for name in _GIVEN.get(do, ())}
    if do in ("upright", "joint", "outline"):
        clip = take.read()["source"]
    if do == "joint":
        values["x"], values["y"] = values["x"] / clip["original_width"], values["y"] / clip["original_height"]
    if do == "outline":
        size = clip["original_width"], clip["original_height"]
        values["polygons"] = polygons_of_mask(arguments.mask) if arguments.mask else [_pairs(arguments.points, size)]
    if do == "upright":
        for name in ("x1", "y1", "x2", "y2"):
            values[name] /= clip["original_width" if name[0] == "x" else "original_height"]
    item = correct(take, do, **values)
    return f"{describe(item)} {_then(item)}"


def _pairs(points, size) -> list:
    if len(points) < 6 or len(points) % 2:
        raise ShotError("An outline needs X and Y of three places or more.", "Give pairs of px: --points X Y X Y X Y …")
    return [[round(x / size[0], 5), round(y / size[1], 5)] for x, y in zip(points[::2], points[1::2])]


def polygons_of_mask(path) -> list:
    """Outlines of the white parts of a picture, in shares of its width and height. Raises ShotError where there are none."""
    import cv2

    mask = cv2.imread(str(path), cv2.IMREAD_GRAYSCALE)
    if mask is None:
        raise ShotError(f"{path} is no picture that can be read.", "Give a PNG that is white where the person is.")
    found, _ = cv2.findContours((mask > 127).astype("uint8"), cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
    contours = [cv2.approxPolyDP(contour, 1.0, True)[:, 0] for contour in found]
    out = [((contour + 0.5) / mask.shape[::-1]).round(5).tolist() for contour in contours if len(contour) > 2]
    if not out:
        raise ShotError(f"{path} is white nowhere.", "Give a PNG that is white where the person is.")
    return out


def _seen(person) -> str:
    number = f", person {person['person']}" if person["person"] else ""
    state = f"followed{number}" if person["chosen"] else "left out"
    return f"{person['seen']:3d}  {state}; {person['frames']} frames from {person['first']} to {person['last']}; {person['picture']}"


def _then(item) -> str:
    return f"Run extract again: it goes on {goes_on(item)}."
