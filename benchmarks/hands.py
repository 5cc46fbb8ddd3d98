"""Wrists and fingers against the truth: of the solve with hands and without them, and of the hands' net by the size of a hand.

    python -m benchmarks.hands hands-test [--only NAME …] [--cache benchmarks/cache] [--heights 540 360 270 180] [--out FOLDER]

A shot is solved at 360 lines (no plate), once as it is and once with its hands forgotten; hands are looked for in the film's 540 lines. Then the
same tracks are given the film scaled down to each of --heights, without a least size.

found:  share of the hands that the picture shows whole which the net found.
wrist:  angle between the palms' axes (along, across, out), solved and true, as the camera sees them.
bends:  mean error of a finger's three bends, degrees, where the take knows them. Without hands: a character's fingers at rest (those of our own body).
"""

from __future__ import annotations

import argparse
from contextlib import suppress
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from types import SimpleNamespace

import cv2
import numpy as np

from solver import fingers
from solver.body.fit import palms_of
from solver.body.model import BodyModel
from solver.frames import invert, project
from solver.options import Options
from solver.pipeline import Run
from solver.protocol import Reporter, Stopped
from solver.records import Shot, Tracks, World, load_record
from solver.shot.shot import Frames
from solver.track import hands
from solver.world.hands import fingers_of
from solver.world.world import posed

from .shots import SETS, specs

# Bends and spreads of MakeHuman's hand at rest, degrees: what a character shows where nothing is known.
REST = np.array([[62, 17, 16, 41], [14, 12, 8, 12], [17, 6, 8, -4], [15, 7, 7, -14], [21, 9, -1, -21.0]])


class WithoutHands(Run):
    """The solve as if no hand had been seen."""

    def _edit(self, shot, frames, edited, labels):
        return replace(super()._edit(shot, frames, edited, labels), hands_2d=None, hands_3d=None)


def solve(clip: Path, out: Path, kind, until: str) -> Path:
    if not (out / f"stages/{until}.npz").exists():
        with suppress(Stopped):
            kind(Options(source=clip, take=out, max_height=360, plate=False, until=until), Reporter()).extract()
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


def wrists(take: Path, truth: Truth, stage: str):
    """Errors (F, 2) degrees of the solved palms. stage: whose result, "world" or "world_start"."""
    world = load_record(take / f"stages/{stage}.npz", World)
    joints, keypoints, _ = posed(world.people, BodyModel.load())
    axes = _axes(joints[0][:, [20, 21]], keypoints[0][:, [21, 22]], keypoints[0][:, [23, 24]])
    return turned_deg(np.einsum("fsai,fij->fsaj", axes, world.camera.T_world_from_cam[:, :3, :3]), truth.axes())


def bends(take: Path, truth: Truth):
    """Errors (F, 2) degrees of the fingers, NaN where they are not known; and those of fingers at rest."""
    shot, tracks = load_record(take / "stages/shot.npz", Shot), load_record(take / "stages/edits.npz", Tracks)
    angles, known = fingers_of(tracks, float(Fraction(shot.fps)))
    rest = _bend_error(REST, truth)
    return (np.where(known[0] == 1, _bend_error(angles[0], truth), np.nan) if angles is not None else np.full(rest.shape, np.nan)), rest


def _bend_error(angles, truth):
    return np.abs(angles - truth.angles)[..., :3].mean((-1, -2))


class Scaled:
    """The film, smaller."""

    def __init__(self, frames, height: int):
        self.frames, self.height = frames, height

    def read(self, index: int):
        rgb = self.frames.read(index)
        return cv2.resize(rgb, (round(rgb.shape[1] * self.height / rgb.shape[0]), self.height), interpolation=cv2.INTER_AREA)


def by_size(take: Path, truth: Truth, height: int):
    """Figures of the net alone in a film of so many lines; hands as found (F, 2), errors of the palm and of the bends (F, 2)."""
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
    directions = palms.directions[0].numpy()
    seen = (found.hands_2d[0, :, :, 0, 2] > 0) & truth.inside
    across = directions[:, :, 1] - (directions[:, :, 1] * directions[:, :, 0]).sum(-1, keepdims=True) * directions[:, :, 0]
    across /= np.maximum(np.linalg.norm(across, axis=-1, keepdims=True), 1e-9)
    out = np.cross(directions[:, :, 0], across) * np.array([1.0, -1.0])[:, None]
    palm = turned_deg(np.stack([directions[:, :, 0], across, out], 2), truth.axes())
    angles, known = fingers_of(found, float(Fraction(shot.fps)))
    bend = np.where(known[0] == 1, _bend_error(angles[0], truth), np.nan) if angles is not None else np.full(seen.shape, np.nan)
    return seen, palm, bend




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
    parser.add_argument("--first", action="store_true", help="stop after the first f_H, and measure that one")
    a = parser.parse_args()
    stage = "world_start" if a.first else "world"
    for spec in specs(a.set):
        if a.only and spec["move"] not in a.only and spec["name"] not in a.only:
            continue
        shot, takes = a.cache / a.set / spec["name"], (a.out or a.cache / "hands-takes")
        truth = Truth(shot / "truth", spec["width"], spec["height"])
        palms = truth.palm_px[truth.inside]
        print(f"{spec['name']}: {truth.inside.sum()} hands whole in the picture, palms {np.median(palms):.0f} px at {spec['height']} lines")
        takes = [solve(shot / "clip.mp4", takes / (spec["name"] + end), kind, stage) for end, kind in (("", Run), ("_without", WithoutHands))]
        for name, take in zip(("with", "without"), takes):
            known, rest = bends(take, truth)
            print(f"  {name}: {line('wrist', wrists(take, truth, stage), truth.inside)}; {line('bends', known if name == 'with' else rest, truth.inside)}")
        for height in a.heights:
            seen, palm, bend = by_size(takes[0], truth, height)
            print(
                f"  {height} lines, palms {np.median(palms) * height / spec['height']:.0f} px: found {seen.sum() / truth.inside.sum():.2f}; "
                f"{line('palm', palm, seen)}; {line('bends', bend, seen)}"
            )


if __name__ == "__main__":
    main()
