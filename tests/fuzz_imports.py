"""A fuzzer for every reader of other programs' files: damaged copies of small good ones must end in a camera, people, joints or masks, or in
one clear line; never in a traceback, a hang, much memory, or a file or process that nobody asked for.

    python -m tests.fuzz_imports [--mutations 10000] [--reader NAME] [--seed 0]     tells what it finds
    python -m tests.fuzz_imports --make                                             writes the corpus, tests/data/imports/, anew

tests/unit/test_imports_fuzz.py runs some hundred of each.
"""

from __future__ import annotations

import argparse
import base64
import json
import os
import pickle
import random
import resource
import signal
import sys
import tempfile
import time
import zlib
from pathlib import Path

import numpy as np

from solver.chan import write_chan
from solver.frames import intrinsics, invert
from solver.imports import read_camera, read_joints, read_masks, read_people, slam_from_camera
from solver.imports.people import in_camera
from solver.protocol import Reporter, ShotError
from tests.imports_cases import HEIGHT, WIDTH, body_track, camera_path, matrices, shot

CORPUS = Path(__file__).parent / "data" / "imports"
FRAMES, HANG_S, MEMORY = 4, 20, 2 << 30
SHOT = shot(FRAMES)


def _camera(path):
    slam_from_camera(read_camera(path, SHOT, None, Reporter()), SHOT)


def _people(path):
    for person in read_people([path], SHOT, None, Reporter()):
        if person.T_world_from_cam is not None or person.space == "camera":
            in_camera(person)


def _joints(path):
    read_joints(path, SHOT)


def _masks(path):
    masks = read_masks(path, SHOT)
    for index in range(FRAMES):
        masks.read(index)


# Folder of the corpus: what reads it, and what of the folder is handed to it (empty: the folder).
READERS = {
    "chan": (_camera, "cam.chan"), "syntheyes": (_camera, "path.txt"), "camera_npz": (_camera, "cam.npz"),
    "camera_json": (_camera, "cam.json"), "colmap_text": (_camera, ""), "colmap_binary": (_camera, ""), "phalp": (_people, "demo.pkl"),
    "slahmr": (_people, "a_000100_world_results.npz"), "wham": (_people, "wham_output.pkl"), "wham_packed": (_people, "wham_output.pkl"),
    "wham_joblib": (_people, "wham_output.pkl"),
    "tram": (_people, ""), "gvhmr": (_people, "hmr4d_results.pt"), "gvhmr_old": (_people, "hmr4d_results.pt"),
    "prompthmr": (_people, "results.pkl"), "amass": (_people, "walk.npz"), "take": (_people, ""), "joints_npz": (_joints, "joints.npz"),
    "coco": (_joints, "results.json"), "mmpose": (_joints, "results.json"), "openpose": (_joints, ""), "sam3d": (_joints, "out.pkl"),
    "masks": (_masks, ""),
}  # fmt: skip


# -- damage

_WORDS = (
    b"nan",
    b"inf",
    b"-1",
    b"0",
    b"1e999",
    b"1e308",
    b"99999999999",
    b"4294967296",
    b"9223372036854775807",
    b"[]",
    b"{}",
    b"null",
    b'""',
)
_NUMBERS = (
    b"\x00" * 8,
    b"\xff" * 8,
    b"\xff\xff\xff\x7f",
    b"\xff" * 7 + b"\x7f",
    b"\x00\x00\xf8\x7f",
    b"\x00" * 6 + b"\xf8\x7f",
    b"\x00\x00\x00\x80",
)


def mutate(data: bytes, draw: random.Random) -> bytes:
    """A damaged copy: a few bytes, numbers or stretches changed, put in, left out, doubled or swapped; or the end is missing."""
    out = bytearray(data)
    for _ in range(draw.choice((1, 1, 1, 2, 3, 8))):
        if not out:
            break
        at = draw.randrange(len(out))
        kind = draw.randrange(8)
        if kind == 0:
            out[at] = draw.randrange(256)
        elif kind == 1:
            out[at] ^= 1 << draw.randrange(8)
        elif kind == 2:
            del out[at : at + draw.choice((1, 4, 8, 64))]
        elif kind == 3:
            out[at:at] = bytes(draw.randrange(256) for _ in range(draw.choice((1, 4, 16))))
        elif kind == 4:
            del out[at:]
        elif kind == 5:
            piece = out[at : at + draw.choice((8, 64, 512))]
            to = draw.randrange(len(out))
            out[to:to] = piece
        elif kind == 6:
            number = draw.choice(_NUMBERS)
            out[at : at + len(number)] = number
        else:  # a number of a text
            end = at
            while end < len(out) and chr(out[end]) in "0123456789.-+e":
                end += 1
            out[at:end] = draw.choice(_WORDS)
    return bytes(out)


def damaged(name: str, folder: Path, draw: random.Random) -> Path:
    """The files of a reader in `folder`, one of them damaged; returns what is to be read."""
    files = sorted(f for f in (CORPUS / name).rglob("*") if f.is_file())
    hurt = draw.choice(files)
    for file in files:
        to = folder / file.relative_to(CORPUS / name)
        to.parent.mkdir(parents=True, exist_ok=True)
        data = file.read_bytes()
        to.write_bytes(mutate(data, draw) if file == hurt else data)
    return folder / READERS[name][1] if READERS[name][1] else folder


# -- watching

_watching: list = []  # what happened while a reader ran that should not


def _hook(event, arguments):
    if not _watching or _watching[0] is None:
        return
    if event == "open":
        path, mode, flags = arguments
        writes = (isinstance(mode, str) and set(mode) & set("wax+")) or (
            isinstance(flags, int) and flags & (os.O_WRONLY | os.O_RDWR | os.O_CREAT)
        )
        if writes and os.fspath(path) != os.devnull if isinstance(path, (str, bytes, os.PathLike)) else writes:
            _watching.append(f"opened {path} to write")
    elif event in (
        "os.system",
        "subprocess.Popen",
        "os.exec",
        "os.posix_spawn",
        "socket.connect",
        "os.remove",
        "os.rename",
        "os.mkdir",
        "os.rmdir",
    ):
        _watching.append(event)


def _rang(*_):
    _watching.append(f"hung for {HANG_S} s")
    raise TimeoutError


def run(read, path: Path) -> list[str]:
    """What a reader did wrong with a path; empty where it read or refused it as it should."""
    if not getattr(run, "hooked", False):
        sys.addaudithook(_hook)
        run.hooked = True
    with open("/proc/self/statm", encoding="ascii") as file:
        now = int(file.read().split()[0]) * resource.getpagesize()
    before = resource.getrlimit(resource.RLIMIT_AS)
    handler = signal.signal(signal.SIGALRM, _rang)
    resource.setrlimit(resource.RLIMIT_AS, (now + MEMORY, before[1]))
    signal.alarm(HANG_S)
    _watching[:] = [path]
    try:
        read(path)
    except ShotError as error:
        cause = error
        while cause is not None:
            if isinstance(cause, MemoryError):
                _watching.append(f"asked for {MEMORY >> 30} GB")
            cause = cause.__cause__
        if "\n" in str(error) or len(str(error)) > 600 or not error.message:
            _watching.append(f"a message that is no line: {str(error)[:200]!r}")
    except BaseException as error:
        if isinstance(error, KeyboardInterrupt):
            raise
        _watching.append(f"{type(error).__name__}: {error}")
    finally:
        signal.alarm(0)
        wrong = _watching[1:]
        _watching[:] = []
        signal.signal(signal.SIGALRM, handler)
        resource.setrlimit(resource.RLIMIT_AS, before)
    return wrong


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--mutations", type=int, default=10_000, help="of each reader's files")
    parser.add_argument("--reader", choices=READERS)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--make", action="store_true")
    a = parser.parse_args()
    if a.make:
        make()
        return 0
    np.seterr(all="ignore")
    found = 0
    for name in [a.reader] if a.reader else READERS:
        begun, slowest, kinds = time.monotonic(), 0.0, {}
        for n in range(a.mutations):
            draw = random.Random(f"{a.seed} {name} {n}")
            with tempfile.TemporaryDirectory() as folder:
                path = damaged(name, Path(folder), draw)
                start = time.monotonic()
                for wrong in run(READERS[name][0], path):
                    kinds.setdefault(wrong[:120], []).append(n)
                slowest = max(slowest, time.monotonic() - start)
        found += len(kinds)
        print(
            f"{name}: {a.mutations} in {time.monotonic() - begun:.0f} s, slowest {slowest:.2f} s, {len(kinds)} kinds of failure",
            flush=True,
        )
        for wrong, numbers in kinds.items():
            print(f"   {len(numbers)} x {wrong}   (first: --seed {a.seed}, number {numbers[0]})", flush=True)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(f"{found} kinds of failure; at most {peak:.0f} MB were held")
    return 1 if found else 0


# -- the corpus


def make() -> None:
    """Write a small good file of every layout."""
    import torch

    rng = np.random.default_rng(0)
    poses, trans, betas = body_track(FRAMES)
    poses, betas = poses.astype(np.float32), betas.astype(np.float32)
    T, K = camera_path(FRAMES), np.repeat(intrinsics(600.0, WIDTH, HEIGHT)[None], FRAMES, 0)
    cam, R = invert(T), matrices(poses).astype(np.float32)

    def to(name, file=""):
        folder = CORPUS / name
        (folder / file).parent.mkdir(parents=True, exist_ok=True)
        return folder / file

    def put(name, data, file=None):
        to(name, file or READERS[name][1]).write_bytes(data)

    write_chan(to("chan", "cam.chan"), T, K, HEIGHT)
    write_chan(to("syntheyes", "path.txt"), T, K, HEIGHT, 1001)
    np.savez(to("camera_npz", "cam.npz"), T_world_from_cam=T, K=K, width=WIDTH, height=HEIGHT, frame=np.arange(FRAMES))
    rows = [{"frame": i, "matrix_world": T[i].round(6).tolist(), "lens_mm": 30.0} for i in range(FRAMES)]
    put("camera_json", json.dumps({"width": WIDTH, "height": HEIGHT, "fps": 24, "frames": rows}).encode())
    _make_colmap(to, T, K, cam)
    rows = {}
    for f in range(FRAMES):
        body = {"global_orient": R[f, :1], "body_pose": R[f, 1:], "betas": betas}
        rows[f"{f}.jpg"] = {
            "time": f,
            "tid": [7],
            "tracked_time": [0],
            "smpl": [body],
            "camera": [trans[f]],
            "size": [[360, 640]],
        }
    put("phalp", pickle.dumps(rows))
    np.savez(
        to("slahmr", "a_000100_world_results.npz"), root_orient=poses[None, :, 0], pose_body=poses[None, :, 1:22].reshape(1, FRAMES, 63),
        trans=trans[None], betas=betas[None], track_mask=np.ones((1, FRAMES), bool), cam_R=cam[None, :, :3, :3], cam_t=cam[None, :, :3, 3],
        intrins=np.array([600.0, 600, 320, 180]),
    )  # fmt: skip
    track = {
        "pose": poses.reshape(FRAMES, 72),
        "trans": trans,
        "betas": np.tile(betas, (FRAMES, 1)),
        "frame_ids": np.arange(FRAMES),
    }
    put("wham", pickle.dumps({0: track}))
    put("wham_packed", zlib.compress(pickle.dumps({0: track})))
    from tests.unit.test_imports_people import WHAM_BY_JOBLIB

    put("wham_joblib", zlib.decompress(base64.b85decode(WHAM_BY_JOBLIB)))
    track = {
        "pred_rotmat": R,
        "pred_trans": trans[:, None],
        "pred_shape": np.tile(betas, (FRAMES, 1)),
        "frame": np.arange(FRAMES),
    }
    np.save(to("tram", "hps/hps_track_0.npy"), track, allow_pickle=True)
    camera = {
        "pred_cam_R": T[:, :3, :3],
        "pred_cam_T": T[:, :3, 3],
        "img_focal": 600.0,
        "img_center": np.array([320.0, 180]),
    }
    np.save(to("tram", "camera.npy"), camera, allow_pickle=True)
    local = {
        "body_pose": torch.as_tensor(poses[:, 1:22].reshape(FRAMES, 63)), "betas": torch.as_tensor(np.tile(betas, (FRAMES, 1))),
        "global_orient": torch.as_tensor(poses[:, 0]), "transl": torch.as_tensor(trans.astype(np.float32)),
    }  # fmt: skip
    there = local | {"transl": local["transl"] + 1}
    data = {"smpl_params_incam": local, "smpl_params_global": there, "K_fullimg": torch.as_tensor(K.astype(np.float32))}
    for name, zipped in (("gvhmr", True), ("gvhmr_old", False)):
        torch.save(data, to(name, "hmr4d_results.pt"), _use_new_zipfile_serialization=zipped)
    wide = np.zeros((FRAMES, 165), np.float32)
    wide[:, :66] = poses.reshape(FRAMES, 72)[:, :66]
    person = {
        "frames": np.arange(FRAMES),
        "smplx_world": {"pose": wide, "shape": np.tile(betas, (FRAMES, 1)), "trans": trans},
    }
    world = {"pred_cam_R": T[:, :3, :3], "Rcw": cam[:, :3, :3], "Tcw": cam[:, :3, 3]}
    lens = {"img_focal": 600.0, "img_center": np.array([320.0, 180])}
    put("prompthmr", pickle.dumps({"people": {1: person}, "camera": lens, "camera_world": world}))
    np.savez(to("amass", "walk.npz"), poses=wide[:, :156], trans=trans, betas=np.zeros(16), mocap_framerate=24.0)
    np.savez(
        to("take", "people/01.npz"),
        poses=poses.reshape(FRAMES, 72),
        trans=trans,
        betas=betas,
        frame=np.arange(FRAMES),
        body="smpl",
    )
    np.savez(to("take", "camera.npz"), T_world_from_cam=T, K=K)
    _make_tracks(to, put, rng)


def _make_colmap(to, T, K, cam):
    from tests.unit.test_imports_camera import colmap_itself

    points = np.random.default_rng(0).uniform([-3, 4, 0], [3, 8, 3], (3, 3))
    with tempfile.TemporaryDirectory() as folder:
        colmap_itself(T, K, points, Path(folder))
        for name, ending in (("colmap_text", "txt"), ("colmap_binary", "bin")):
            for part in ("cameras", "images", "points3D"):
                to(name, f"{part}.{ending}").write_bytes((Path(folder) / ending / f"{part}.{ending}").read_bytes())


def _make_tracks(to, put, rng):
    from solver.take import write_mask

    two = np.concatenate([rng.uniform(50, 300, (1, FRAMES, 25, 2)), np.full((1, FRAMES, 25, 1), 0.9)], -1).round(2)
    np.savez(to("joints_npz", "joints.npz"), keypoints_2d=two.astype(np.float32), width=WIDTH, height=HEIGHT)
    rows = [{"image_id": f, "track_id": 1, "keypoints": two[0, f, :17].ravel().tolist()} for f in range(FRAMES)]
    put("coco", json.dumps(rows).encode())
    frames = [
        {
            "frame_id": f,
            "instances": [{"keypoints": two[0, f, :17, :2].tolist(), "keypoint_scores": two[0, f, :17, 2].tolist()}],
        }
        for f in range(FRAMES)
    ]
    put("mmpose", json.dumps({"instance_info": frames}).encode())
    for f in range(FRAMES):
        person = {"person_id": [-1], "pose_keypoints_2d": two[0, f].ravel().tolist()}
        put("openpose", json.dumps({"people": [person]}).encode(), f"clip_{f:06d}_keypoints.json")
    put(
        "sam3d",
        pickle.dumps(
            [[{"pred_keypoints_2d": rng.uniform(50, 300, (70, 2)).astype(np.float32)}] for _ in range(FRAMES)]
        ),
    )
    for f in range(FRAMES):
        mask = np.zeros((18, 32), np.uint8)
        mask[4:12, 5 + f : 12 + f] = 1
        to("masks", "x").parent.mkdir(parents=True, exist_ok=True)
        write_mask(to("masks", f"{f:03d}.png"), mask)


if __name__ == "__main__":
    sys.exit(main())
