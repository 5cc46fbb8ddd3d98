"""What each term of the people's bundle is worth: S_c and both calls of f_H anew, with a term left out, or its sigma halved or doubled.

    python -m benchmarks.terms TAKE … [--only TERM …] [--factor 0 --factor 0.5 --factor 2]

Takes are those of `table1` (SET/NAME/LOOK/ours): tracks and Ĉ are theirs, the film stage is left out. A factor is one of the sigma; 0 leaves
the term out. Figures: metrics.py; size is that of the camera's path, per cent off.
"""

from __future__ import annotations

import argparse
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import numpy as np

from solver import frames as fr
from solver.body import body
from solver.body.model import BodyModel
from solver.bundle import solve
from solver.protocol import Reporter
from solver.records import Shot, Slam, Tracks, load_record
from solver.take import Take, read_mask
from solver.world import background, placement, world

from . import evaluate, metrics

TERMS = (
    "joints", "depth", "bust", "palm", "head", "outline", "likely", "quiet", "limits", "shape", "limbs", "arms", "root", "turning", "course", "slide", "stand",
    "sunk", "balls", "heading", "upright", "legs", "balance", "floor", "level", "tilt", "uprights",
    "steps", "apart", "behind",
)  # fmt: skip
FIGURES = {"joint_px_1920": "joints px", "wa_mpjpe_mm": "WA", "pa_mpjpe_mm": "PA-MPJPE", "foot_slide_mm": "slide mm", "jitter": "jitter",
           "floor_penetration_mm": "under floor mm", "root_distance_m": "apart m", "size": "size %", "up": "up °"}  # fmt: skip


def changed(term, factor):
    """A term with `factor` times its sigma."""
    if not factor:
        return None
    scaled = lambda x: None if x is None else x / factor
    out = replace(term, r=term.r / factor, by_shape=scaled(term.by_shape), by_ground=scaled(term.by_ground))
    if hasattr(term, "by_lens"):
        out.by_lens = scaled(term.by_lens)
    if hasattr(term, "by"):
        out.by, out.by_joint = ({at: J / factor for at, J in part.items()} for part in (term.by, term.by_joint))
        out.places = scaled(term.places)
        out.squares = None if term.squares is None else term.squares / factor**2
    elif hasattr(term, "forth") and term.forth is not None:
        out.forth, out.back = (lambda x: term.forth(x) / factor), (lambda r: term.back(r) / factor)
    return out


class Variant:
    """The solver with one term changed, while it is entered."""

    def __init__(self, name, factor):
        self.name, self.factor = name, factor

    def __enter__(self):
        self.whole, self.cost = solve.minimise, background.Background.cost

        def minimise(state, terms, *args, **kwargs):
            def mine(*point):
                found = (changed(term, self.factor) if term.name == self.name else term for term in terms(*point))
                return [term for term in found if term is not None]

            return self.whole(state, mine, *args, **kwargs)

        body.minimise = placement.minimise = minimise
        if self.name == "behind":
            background.Background.cost = lambda *_: 0.0

    def __exit__(self, *_):
        body.minimise = placement.minimise = self.whole
        background.Background.cost = self.cost


def measured(folder: Path) -> dict:
    """Figures of a take's people and path, solved anew."""
    take, model, quiet = Take(folder), BodyModel.load(), Reporter()
    shot, tracks, slam = (load_record(take.stage(name), cls) for name, cls in (("shot", Shot), ("edits", Tracks), ("slam", Slam)))
    fps, masks = float(Fraction(shot.fps)), lambda index: read_mask(take.mask(index))
    people = body.run(tracks, slam, model, fps, quiet)
    start = world.run(tracks, slam, people, slam.camera, slam.points_world, model, fps, masks, quiet)
    final = world.run(tracks, slam, people, slam.camera, slam.points_world, model, fps, masks, quiet, start)
    truth = folder.parents[1] / "truth"
    with np.load(truth / "camera.npz") as file:
        T_true, K_true = file["T_world_from_cam"][: shot.frames], file["K"][: shot.frames]
    truths = evaluate._people(truth, 0, shot.frames)
    joints, _, _ = world.posed(final.people, model)
    estimates = {
        int(i): {"frame": np.flatnonzero(seen), "joints": j[seen], "visible": np.ones(seen.sum(), bool)}
        for i, j, seen in zip(final.people.ids, joints, final.people.visible)
    }
    camera = final.camera
    place = lambda p, T, K: evaluate._place(p, fr.project(p["joints"], fr.invert(T[p["frame"]]), K[p["frame"]]), shot.frames)
    drawn = {i: place(p, camera.T_world_from_cam, camera.K) for i, p in estimates.items()}
    true_xy = {i: place(p, T_true, K_true) for i, p in truths.items()}
    for i, xy in true_xy.items():
        xy[~evaluate._mask_of(truths[i], shot.frames)] = np.nan
    gate = 0.15 * shot.width
    size = np.array([shot.width, shot.height])
    matched = metrics.match_people(drawn, true_xy, gate, size)
    out = evaluate._people_metrics(estimates, truths, drawn, true_xy, matched, size, fps, gate)
    true_up = T_true[:, 2, :3]
    out["up"] = np.rad2deg(np.arccos(np.clip((camera.T_world_from_cam[:, 2, :3] * true_up).sum(1), -1, 1))).mean()
    if slam.verdict == "full":
        out["size"] = 100 * abs(metrics.align_cameras(camera.T_world_from_cam, T_true, with_scale=True)[0] - 1)
    return out


def line(name, figures) -> str:
    """A row of the table: means over the takes."""
    cells = []
    for key in FIGURES:
        values = [f[key] for f in figures if f.get(key) is not None]
        cells.append(f"{np.mean(values):.3g}" if values else "-")
    return f"| {name} | " + " | ".join(cells) + " |"


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("take", type=Path, nargs="+")
    parser.add_argument("--only", action="append", choices=TERMS)
    parser.add_argument("--factor", action="append", type=float, help="of the sigma; default: 0, 0.5 and 2")
    a = parser.parse_args()
    print("| | " + " | ".join(FIGURES.values()) + " |\n" + "|---" * (len(FIGURES) + 1) + "|")
    print(line("as it is", [measured(folder) for folder in a.take]), flush=True)
    for name in a.only or TERMS:
        for factor in a.factor or (0.0, 0.5, 2.0):
            if name == "behind" and factor:
                continue
            with Variant(name, factor):
                what = f"σ × {factor:g}" if factor else "left out"
                print(line(f"{name}, {what}", [measured(folder) for folder in a.take]), flush=True)


if __name__ == "__main__":
    main()
