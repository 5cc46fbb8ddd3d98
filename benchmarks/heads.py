"""Heads against the truth: how they are turned, of the solve with the term of faces and without it.

    python -m benchmarks.heads faces-test [--only NAME …] [--look sharp] [--cache benchmarks/cache] [--out FOLDER]

A shot of `benchmarks.shots` is solved at 360 lines (no plate), once as it is and once with how its faces are turned forgotten (who is found by a face is found in both).
head: angle between the solved and the true head, as the camera sees them, degrees, over the frames in which somebody is there. The other figures are those of table1.
"""

from __future__ import annotations

import argparse
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch

from solver.body.model import BodyModel
from solver.pipeline import Run
from solver.records import World, load_record
from solver.skeleton import SMPL_JOINTS

from .evaluate import evaluate
from .hands import solve
from .shots import LOOKS, SETS, specs
from .table1 import FIGURES

HEAD = SMPL_JOINTS.index("head")
# From SMPL's rest axes (left, up, ahead) to those of our characters at rest, who face -Y with Z up.
AT_REST = np.array([[1.0, 0, 0], [0, 0, -1], [0, 1, 0]])
SHOWN = ("focal %", "pitch °", "roll °", "IoU", "joints px", "WA", "PA-MPJPE", "jitter", "recall")


class WithoutFaces(Run):
    """The solve as if no face had been seen."""

    def _edit(self, shot, frames, edited, labels):
        return replace(super()._edit(shot, frames, edited, labels), faces_2d=None, faces_3d=None)


def true_heads(truth: Path, person: int):
    """(F, 3, 3) from SMPL's rest axes to the camera's."""
    with np.load(truth / "camera.npz") as camera, np.load(truth / f"people/{person + 1:02d}.npz") as file:
        return np.swapaxes(camera["T_world_from_cam"][:, :3, :3], -1, -2) @ file["heads_world"] @ AT_REST


def solved_heads(take: Path, stage: str):
    """(P, T, 3, 3) as `true_heads`, and in which frames each is there (P, T)."""
    world, model = load_record(take / f"stages/{stage}.npz", World), BodyModel.load()
    people = world.people
    T = model.fk(*(torch.as_tensor(a, dtype=torch.float32) for a in (people.betas[:, None], people.poses, people.trans)))[0]
    return np.swapaxes(world.camera.T_world_from_cam[:, :3, :3], -1, -2) @ T[:, :, HEAD, :3, :3].numpy(), people.visible


def turned_deg(a, b):
    """Angle between rotations (..., 3, 3)."""
    return np.rad2deg(np.arccos(np.clip((np.einsum("...ij,...ij->...", a, b) - 1) / 2, -1, 1)))


def measured(take: Path, truth: Path, stage: str):
    """Errors of the first person's head, degrees, in the frames in which they are seen."""
    heads, seen = solved_heads(take, stage)
    return turned_deg(heads[0], true_heads(truth, 0))[seen[0]]


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("set", choices=[name for name in SETS if name.startswith("faces")])
    parser.add_argument("--only", action="append")
    parser.add_argument("--look", choices=LOOKS, default="sharp")
    parser.add_argument("--cache", type=Path, default=Path(__file__).parent / "cache")
    parser.add_argument("--out", type=Path, help="folder of the takes; CACHE/heads-takes by default")
    a = parser.parse_args()
    print("| shot | head °, mean, median, worst | " + " | ".join(SHOWN) + " |\n" + "|---" * (2 + len(SHOWN)) + "|")
    for spec in specs(a.set):
        if a.only and spec["move"] not in a.only and spec["name"] not in a.only:
            continue
        shot, takes = a.cache / a.set / spec["name"], (a.out or a.cache / "heads-takes")
        for end, kind in (("", Run), ("_without", WithoutFaces)):
            take = solve(shot / LOOKS[a.look], takes / f"{spec['name']}_{a.look}{end}", kind, "world")
            off = measured(take, shot / "truth", "world")
            figures = evaluate(take, shot / "truth")
            values = [(figures.get(group, {}).get(key), form) for (group, key), form in (FIGURES[name] for name in SHOWN)]
            cells = [form.format(value) if value is not None else "-" for value, form in values]
            print(f"| {spec['move']}, {a.look}{end.replace('_', ', ')} | {off.mean():.1f}, {np.median(off):.1f}, {off.max():.0f} | " + " | ".join(cells) + " |", flush=True)


if __name__ == "__main__":
    main()
