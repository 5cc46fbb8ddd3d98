"""Command line: python -m solver batch SOURCE… --out FOLDER | cuts CLIP."""

from __future__ import annotations

import argparse
import sys
from dataclasses import fields
from pathlib import Path

from ..options import Options
from ..protocol import JsonLines

GIB = 1 << 30


def add_parsers(commands, solving, reading) -> None:
    """commands: the subparsers of the solver's command line. solving, reading: parsers of options that are shared with `extract`."""
    batch = commands.add_parser("batch", help="solve many shots: films, folders, cut lists", parents=solving)
    batch.add_argument("sources", type=Path, nargs="+", metavar="SOURCE", help="movie, folder, cut list (.otio, .edl, …), or list of shots (.json)")
    batch.add_argument("--out", type=Path, required=True, metavar="FOLDER", help="folder of takes and their index; a batch that was stopped goes on")
    batch.add_argument("--jobs", type=_positive, metavar="N", help="shots at a time (default: what cores and memory take)")
    batch.add_argument("--threads", type=_positive, metavar="N", help="cores for each shot (default: its share; 1 on a cluster)")
    batch.add_argument("--memory", type=float, metavar="GIB", help="memory that a shot may need (default: by its size)")
    batch.add_argument("--shortest", type=_positive, default=5, metavar="FRAMES", help="leave out pieces of a film that are shorter (default 5)")
    batch.add_argument("--ray", metavar="ADDRESS", help="run on this Ray cluster: auto, or host:port")
    batch.add_argument("--restart", action="store_true", help="solve also what is solved")
    cuts = commands.add_parser("cuts", help="say where a film is cut", parents=reading)
    cuts.add_argument("source", type=Path, metavar="CLIP", help="movie file, or a folder of pictures")
    cuts.add_argument("--scan", type=Path, metavar="FILE", help="keep here what is found on the pass over the clip")
    cuts.set_defaults(out=Path())


def run(arguments, report, given) -> int:
    """Exit status: 0 done, 1 some shot failed. Raises ShotError, Stopped. given: see `sources.read`."""
    return _cuts(arguments, report) if arguments.command == "cuts" else _batch(arguments, report, given)


def _cuts(a, report) -> int:
    from ..shot import shot

    found, rate = shot.pieces(a.source, Options(a.source, a.out, fps=a.fps, cuts=a.cuts, scan=a.scan), report)
    if isinstance(report, JsonLines):
        report.result(str(a.source), pieces=[[first, end - 1] for first, end in found])
        return 0
    for number, (first, end) in enumerate(found):
        print(f"piece {number:3d}  frames {first}-{end - 1}  {float(first / rate):9.2f} s to {float(end / rate):9.2f} s")
    return 0


def _batch(a, report, given) -> int:
    from . import local, sources, table
    from .drive import Batch
    from .work import FAILED

    known = {f.name for f in fields(Options)}
    options = Options(source=Path(), take=Path(), **{k: v for k, v in vars(a).items() if k in known})
    asks = sources.read(a.sources, given)
    memory = round(a.memory * GIB) if a.memory else memory_of(options.max_height)
    if a.ray:
        from .cluster import Ray

        room, threads = Ray(a.ray, a.jobs), a.threads or 1
    else:
        jobs = a.jobs or local.jobs_for(memory)
        room, threads = local.Local(jobs), a.threads or max(1, local.cores() // jobs)
    if isinstance(report, JsonLines):
        view = table.Messages(report)
    else:
        view = table.Table() if sys.stdout.isatty() else table.Lines()
    rows = Batch(asks, a.out, options, a.shortest, room, (threads, memory), view, report).run()
    report.result(str(a.out))
    failed = [row.name for row in rows if row.state == FAILED]
    if not failed:
        return 0
    names = ", ".join(failed[:6]) + (f" and {len(failed) - 6} more" if len(failed) > 6 else "")
    report.error(f"{len(failed)} of {len(rows)} shots failed: {names}.", f"{a.out / 'index.html'} says why; run it again when that is mended.")
    return 1


def memory_of(max_height: int | None) -> int:
    """Bytes that a shot may need, solved at this height; as filmed is taken for 1080 lines. At 360 lines 1.2 GiB was the most; the rest is a guess."""
    height = max_height or 1080
    return round(1.1 * GIB + 600 * height * height * 16 / 9)


def _positive(text: str) -> int:
    value = int(text)
    if value < 1:
        raise argparse.ArgumentTypeError("must be at least 1")
    return value


