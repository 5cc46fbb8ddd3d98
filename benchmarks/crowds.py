"""What a crowd costs the tracking, and whether the leading people are the ones who are followed.

    python -m benchmarks.crowds crowd-test [--only NAME …] [--cache benchmarks/cache]
    python -m benchmarks.crowds --clips CLIP…

A set is tracked as it is and without its extras (SET-alone), the one after the other: seconds of *seen* and *track* together, also of processor time,
calls of the nets for joints and for masks, people followed and left out, and of each leading person: recall (frames in which a mask covers the true
one with an IoU of 0.3 or more), changes of number, IoU of masks. CLIPs have no truth.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import time
from pathlib import Path
from types import SimpleNamespace

import numpy as np

from solver import track
from solver.protocol import Reporter
from solver.shot.shot import Frames
from solver.shot.shot import run as read_shot
from solver.take import read_mask
from solver.track.backend import Embedded

from .shots import SETS, specs

LEADS = 2


class Counted(Embedded):
    """The embedded nets, which count what they are asked."""

    def __init__(self):
        super().__init__()
        self.calls = {"pose": 0, "body": 0}

    def pose(self, rgb, box, turns=(0.0,)):
        self.calls["pose"] += len(turns)
        return super().pose(rgb, box, turns)

    def body(self, rgb, pose, box):
        self.calls["body"] += 1
        return super().body(rgb, pose, box)


def measure(clip: Path, truth: Path | None, folder: Path) -> dict:
    """Track a clip into a folder. Figures as the module says."""
    shot, backend = read_shot(clip, SimpleNamespace(), Reporter()), Counted()
    wall, processor = time.monotonic(), time.process_time()
    tracks = track.run(shot, Frames(shot), folder, SimpleNamespace(), Reporter(), backend)
    out = {"wall_s": time.monotonic() - wall, "processor_s": time.process_time() - processor, **backend.calls, "people": len(tracks.ids)}
    out["left"] = sum(not person["chosen"] for person in json.loads((folder / "seen.json").read_text(encoding="utf-8"))["people"])
    if truth is None:
        return out
    visible, ious, owners = (np.zeros((LEADS, shot.frames)) for _ in range(3))
    for f in range(shot.frames):
        mask, true = read_mask(folder / f"masks/{f:06d}.png"), read_mask(truth / f"masks/{f:06d}.png")
        for p in range(LEADS):
            wanted = true == p + 1
            visible[p, f] = wanted.sum() > 150
            fits = {int(i): (wanted & (mask == i)).sum() / max(1, (wanted | (mask == i)).sum()) for i in tracks.ids}
            best = max(fits, key=fits.get, default=0)
            ious[p, f] = fits.get(best, 0.0)
            owners[p, f] = best if ious[p, f] >= 0.3 else 0
    there = visible > 0
    out["recall"] = float((owners[there] > 0).mean())
    out["switches"] = int(sum((np.diff(o[(o > 0) & t]) != 0).sum() for o, t in zip(owners, there)))
    out["iou"] = float(ious[there].mean())
    return out


def _line(name, found) -> str:
    figures = [f"{found[key]:.1f}" for key in ("wall_s", "processor_s")] + [str(found[key]) for key in ("pose", "body", "people", "left")]
    figures += [f"{found['recall']:.3f}", str(found["switches"]), f"{found['iou']:.3f}"] if "recall" in found else ["-"] * 3
    return f"| {name} | {' | '.join(figures)} |"


def main(argv: list[str]) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("set", nargs="?", choices=[name for name in SETS if f"{name}-alone" in SETS])
    parser.add_argument("--only", action="append", metavar="NAME", help="this shot, or this move (may be given again)")
    parser.add_argument("--clips", type=Path, nargs="+", default=(), metavar="CLIP")
    parser.add_argument("--cache", type=Path, default=Path(__file__).parent / "cache")
    a = parser.parse_args(argv)
    jobs = [(clip.stem, clip, None) for clip in a.clips]
    for spec in specs(a.set) if a.set else ():
        if not a.only or spec["name"] in a.only or spec["move"] in a.only:
            for name in (a.set, f"{a.set}-alone"):
                folder = a.cache / name / f"{name}_{spec['move']}"
                jobs.append((folder.name, folder / "clip.mp4", folder / "truth"))
    print("| shot | wall s | processor s | joints | masks | followed | left out | recall | switches | IoU |\n" + "|---" * 10 + "|")
    for name, clip, truth in jobs:
        with tempfile.TemporaryDirectory() as folder:
            print(_line(name, measure(clip, truth, Path(folder))), flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
