"""Command line: python -m solver take TAKE merge | split | delete | swap | height | focal | ground | show | undo."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from .corrections import IDENTITY, Corrections, apply_to_tracks, ground_of, load, next_number, save
from .protocol import ShotError
from .records import Tracks, load_record
from .take import Take

_NEXT = {
    "merge": "track", "split": "track", "delete": "track", "swap": "track", "focal": "slam", "height": "body", "ground": "world",
    "unlock": "world",
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
    take.read()
    corrections = load(take.folder)
    if arguments.action == "show":
        return "\n".join(describe(item) for item in corrections.items) or "No corrections."
    if arguments.action == "undo":
        if not corrections.items:
            raise ShotError("There is no correction to undo.")
        last = corrections.items[-1]
        save(take.folder, Corrections(corrections.items[:-1]))
        return f"Undone: {describe(last)} {_then(last['do'])}"
    corrections = correct(take, corrections, arguments)
    save(take.folder, corrections)
    return f"{describe(corrections.items[-1])} {_then(corrections.items[-1]['do'])}"


def correct(take: Take, corrections: Corrections, arguments) -> Corrections:
    """The corrections with one more, tried on the take's tracks. Raises ShotError where it does not fit."""
    do, values = arguments.action, {}
    if do == "ground":
        if arguments.ground == "lock":
            up, height = ground_of(take)
            values = {"up": up, "height": height}
        else:
            do = "unlock"
    elif do == "focal":
        values = {"mm": arguments.mm}
    else:
        if not take.stage("track").exists():
            raise ShotError("The take has no people yet.", "Run Extract Shot first.")
        tracks = load_record(take.stage("track"), Tracks)
        names = {"merge": ("keep", "other"), "split": ("person", "frame"), "delete": ("person",), "swap": ("a", "b", "frame"),
                 "height": ("person", "metres")}[do]  # fmt: skip
        values = {name: getattr(arguments, name) for name in names}
        if do == "split":
            values["new"] = next_number(tracks, corrections)
        more = corrections.with_item(do, **values)
        there, _ = apply_to_tracks(tracks, more)
        if do == "height" and values["person"] not in there.ids:
            apply_to_tracks(tracks, corrections.with_item("delete", person=values["person"]))  # says who there is
        return more
    return corrections.with_item(do, **values)


def describe(item) -> str:
    """One correction in an artist's words."""
    return {
        "merge": "{other} is person {keep}.", "split": "From frame {frame} on person {person} is somebody else: {new}.",
        "delete": "Person {person} is left out.", "swap": "Persons {a} and {b} change numbers from frame {frame} on.",
        "height": "Person {person} is {metres} m tall.", "focal": "The lens is {mm} mm.", "ground": "The ground is locked.",
        "unlock": "The ground is free.",
    }[item["do"]].format(**item)  # fmt: skip


def _then(kind) -> str:
    stage = _NEXT[kind]
    return (
        f"Run extract again: it goes on after {stage}."
        if kind in IDENTITY
        else f"Run extract again: it goes on from {stage}."
    )
