"""Wrists and fingers against the truth: of the solve with hands and without them, and of the hands' net by the size of a hand.

    python -m benchmarks.hands hands-test [--only NAME …] [--cache benchmarks/cache] [--heights 540 360 270 180] [--out FOLDER]

A shot is solved at 360 lines (no plate), once as it is and once with its hands forgotten; hands are looked for in the film's 540 lines. Then the
same tracks are given the film scaled down to each of --heights, without a least size.

found:  share of the hands that the picture shows whole which the net found.
wrist:  angle between the palms' axes (along, across, out), solved and true, as the camera sees them.
bends:  mean error of a finger's three bends, degrees, where the take knows them. Without hands: a character's fingers at rest (those of our own body).
sigma:  spread (1.48 of the median deviation) of the net's directions along and across the palm, in the picture's plane and in depth, rad.
"""

from __future__ import annotations

import argparse
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from types import SimpleNamespace

import cv2
import numpy as np
import torch

from solver import fingers
from solver.body.fit import palms_of
from solver.body.model import BodyModel
from solver.frames import invert, project
from solver.options import Options
from solver.pipeline import Run
from solver.protocol import Reporter
from solver.records import Shot, Tracks, load_record
from solver.shot.shot import Frames
from solver.track import hands
from solver.world.hands import fingers_of

from .shots import SETS, specs

# Bends and spreads of MakeHuman's hand at rest, degrees: what a character shows where nothing is known.
REST = np.array([[62, 17, 16, 41], [14, 12, 8, 12], [17, 6, 8, -4], [15, 7, 7, -14], [21, 9, -1, -21.0]])


class WithoutHands(Run):
    """The solve as if no hand had been seen."""

    def _edit(self, shot, frames, edited, labels):
        return replace(super()._edit(shot, frames, edited, labels), hands_2d=None, hands_3d=None)


def solve(clip: Path, out: Path, kind=Run) -> Path:
    if not (out / "report.json").exists():
        kind(Options(source=clip, take=out, max_height=360, plate=False), Reporter()).extract()
    return out


class Truth:
    """The one person's hands: points (F, 2, 21, 3) in the camera's axes, and which of them the picture shows whole (F, 2)."""

    def __init__(self, folder: Path, width: int, height: int):
        with np.load(folder / "camera.npz") as camera, np.load(folder / "people/01.npz") as person:
            T, self.K = invert(camera["T_world_from_cam"]), camera["K"]
            points = person["hands_world"]
        pixels = np.stack([project(points[:, side], T, self.K) for side in (0, 1)], 1)
        self.inside = ((pixels > 0) & (pixels < [width, height])).all((-1, -2))
        self.points = np.einsum("fij,fspj->fspi", T[:, :3, :3], points) + T[:, None, None, :3, 3]
        self.pixels = pixels
        self.angles = np.stack([fingers.angles_of(points[:, side], side == 1) for side in (0, 1)], 1)
        self.palm_px = self.K[:, None, 0, 0] * np.linalg.norm(points[:, :, 9] - points[:, :, 0], axis=-1) / self.points[:, :, 0, 2]

    def axes(self):
        return _axes(*(self.points[:, :, k] for k in (0, 5, 17)))


def _axes(wrist, index, pinky):
    """Rows along, across, out (F, 2, 3, 3) of both palms."""
    return fingers.Palm.of(wrist, index, pinky, np.array([False, True])).axes


def turned_deg(a, b):
    """Angle between axes (..., 3, 3) whose rows are unit vectors; both may be mirrored alike."""
    return np.rad2deg(np.arccos(np.clip(((a * b).sum((-1, -2)) - 1) / 2, -1, 1)))


def wrists(take: Path, truth: Truth):
    """Errors (F, 2) degrees of the solved palms; NaN where the take does not have the person."""
    out = np.full(truth.inside.shape, np.nan)
    with np.load(take / "people/01.npz") as person, np.load(take / "camera.npz") as camera:
        frame, model = person["frame"], BodyModel.load(dtype=torch.float64)
        poses = torch.as_tensor(person["poses"]).reshape(-1, 24, 3)
        _, joints, keypoints = model.fk(torch.as_tensor(person["betas"]).expand(len(poses), -1), poses, torch.as_tensor(person["trans"]))
        R = camera["T_world_from_cam"][frame, :3, :3]
    axes = _axes(joints[:, [20, 21]].numpy(), keypoints[:, [21, 22]].numpy(), keypoints[:, [23, 24]].numpy())
    out[frame] = turned_deg(np.einsum("fsai,fij->fsaj", axes, R), truth.axes()[frame])
    return out


def bends(take: Path, truth: Truth):
    """Errors (F, 2) degrees of the take's fingers, NaN where they are not known; and those of fingers at rest."""
    out = np.full(truth.inside.shape, np.nan)
    with np.load(take / "people/01.npz") as person:
        if "fingers" in person:
            error = np.abs(person["fingers"] - truth.angles[person["frame"]])[..., :3].mean((-1, -2))
            out[person["frame"]] = np.where(person["fingers_known"] == 1, error, np.nan)
    return out, np.abs(REST - truth.angles)[..., :3].mean((-1, -2))


class Scaled:
    """The film, smaller."""

    def __init__(self, frames, height: int):
        self.frames, self.height = frames, height

    def read(self, index: int):
        rgb = self.frames.read(index)
        return cv2.resize(rgb, (round(rgb.shape[1] * self.height / rgb.shape[0]), self.height), interpolation=cv2.INTER_AREA)


def by_size(take: Path, truth: Truth, height: int):
    """Figures of the net alone in a film of so many lines; hands as found (F, 2), errors of the palm and of the bends, and parts of the directions' errors."""
    shot, tracks = load_record(take / "stages/shot.npz", Shot), load_record(take / "stages/track.npz", Tracks)
    film = Scaled(Frames(replace(shot, width=shot.original_width, height=shot.original_height)), height)
    opened, least = hands.Frames, hands.LEAST
    hands.Frames, hands.LEAST = lambda _: film, 0.0
    try:
        smaller = replace(shot, original_height=height, original_width=round(shot.width * height / shot.height))
        found = hands.run(smaller, film, tracks, SimpleNamespace(progress=lambda *a: None))
    finally:
        hands.Frames, hands.LEAST = opened, least
    K = truth.K * [[[shot.width / shot.original_width], [shot.height / shot.original_height], [1]]]
    palms = palms_of(found, K)
    directions, ray = palms.directions[0].numpy(), palms.ray[0].numpy()
    true = np.stack([(truth.points[:, :, 5] + truth.points[:, :, 17]) / 2 - truth.points[:, :, 0], truth.points[:, :, 5] - truth.points[:, :, 17]], 2)
    true /= np.linalg.norm(true, axis=-1, keepdims=True)
    off = directions - true
    deep = (off * ray[:, :, None]).sum(-1)
    plane = np.linalg.norm(off - deep[..., None] * ray[:, :, None], axis=-1)
    seen = (found.hands_2d[0, :, :, 0, 2] > 0) & truth.inside
    across = directions[:, :, 1] - (directions[:, :, 1] * directions[:, :, 0]).sum(-1, keepdims=True) * directions[:, :, 0]
    across /= np.maximum(np.linalg.norm(across, axis=-1, keepdims=True), 1e-9)
    out = np.cross(directions[:, :, 0], across) * np.array([1.0, -1.0])[:, None]
    palm = turned_deg(np.stack([directions[:, :, 0], across, out], 2), truth.axes())
    angles, known = fingers_of(found, float(Fraction(shot.fps)))
    bend = np.where(known[0] == 1, np.abs(angles[0] - truth.angles)[..., :3].mean((-1, -2)), np.nan) if angles is not None else np.full(seen.shape, np.nan)
    return seen, palm, bend, deep, plane




def spread(values):
    """1.48 of the median deviation from 0."""
    return 1.48 * np.median(np.abs(values)) if len(values) else np.nan


def line(name, values, where):
    chosen = values[where & np.isfinite(values)]
    return f"{name} {np.mean(chosen):.1f} (median {np.median(chosen):.1f}, {len(chosen)})" if len(chosen) else f"{name} -"


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("set", choices=[name for name in SETS if name.startswith("hands")])
    parser.add_argument("--only", action="append")
    parser.add_argument("--cache", type=Path, default=Path(__file__).parent / "cache")
    parser.add_argument("--heights", type=int, nargs="*", default=[540, 360, 270, 180])
    parser.add_argument("--out", type=Path, help="folder of the takes; CACHE/hands-takes by default")
    a = parser.parse_args()
    for spec in specs(a.set):
        if a.only and spec["move"] not in a.only and spec["name"] not in a.only:
            continue
        shot, takes = a.cache / a.set / spec["name"], (a.out or a.cache / "hands-takes")
        truth = Truth(shot / "truth", spec["width"], spec["height"])
        palms = truth.palm_px[truth.inside]
        print(f"{spec['name']}: {truth.inside.sum()} hands whole in the picture, palms {np.median(palms):.0f} px at {spec['height']} lines")
        takes = [solve(shot / "clip.mp4", takes / (spec["name"] + end), kind) for end, kind in (("", Run), ("_without", WithoutHands))]
        for name, take in zip(("with", "without"), takes):
            known, rest = bends(take, truth)
            print(f"  {name}: {line('wrist', wrists(take, truth), truth.inside)}; {line('bends', known if name == 'with' else rest, truth.inside)}")
        for height in a.heights:
            seen, palm, bend, deep, plane = by_size(takes[0], truth, height)
            sigma = [spread(part[seen][:, way]) for way in (0, 1) for part in (plane, deep)]
            print(
                f"  {height} lines, palms {np.median(palms) * height / spec['height']:.0f} px: found {seen.sum() / truth.inside.sum():.2f}; "
                f"{line('palm', palm, seen)}; {line('bends', bend, seen)}; sigma along {sigma[0]:.3f} {sigma[1]:.3f} across {sigma[2]:.3f} {sigma[3]:.3f}"
            )


if __name__ == "__main__":
    main()
