"""A take with an exactly known camera, two exactly posed people, points, plate, masks and film."""

from __future__ import annotations

import json
from pathlib import Path

import cv2
import numpy as np
from scipy.spatial.transform import Rotation

from solver import frames
from solver.plate.erase import nearest_owner
from solver.raster import instance_mask
from solver.skeleton import SMPL_PARENTS, colour_of
from solver.take import SCHEMA_VERSION, write_mask

WIDTH, HEIGHT, FRAMES = 320, 180, 10
BODY = Path(__file__).resolve().parents[2] / "solver" / "assets" / "body.npz"
PLATE_RGB, FILM_RGB = (30, 190, 60), (150, 20, 200)


def camera_path():
    """Poses (T, 4, 4) of a camera that travels, turns and zooms off centre, and its K (T, 3, 3)."""
    t = np.linspace(0, 1, FRAMES)
    centre = np.stack([-1.5 + 3 * t, -5 + 0.5 * t, 1.4 + 0.3 * t], 1)
    forward = np.array([0.2, 0, 0.9]) - centre
    forward /= np.linalg.norm(forward, axis=1, keepdims=True)
    right = np.cross(forward, [0, 0, 1.0])
    right /= np.linalg.norm(right, axis=1, keepdims=True)
    R = np.stack([right, np.cross(forward, right), forward], -1)
    R = R @ Rotation.from_rotvec(np.outer(0.09 * np.sin(3 * t), [0, 0, 1])).as_matrix()  # a little roll
    K = frames.intrinsics(330 + 60 * t, WIDTH, HEIGHT)
    K[:, 0, 2] += 7.0
    K[:, 1, 2] -= 4.0 * t
    return frames.compose(R, centre), K


def person(number, second=(1.1, 0.4, 0)):
    """betas (10,), poses (T, 24, 3) rotvec, trans (T, 3) of a person who turns, waves and bends the knees."""
    t = np.linspace(0, 1, FRAMES)[:, None]
    betas = np.zeros(10)
    betas[:3] = (0.8, -0.5, 0.3) if number == 1 else (-0.9, 0.4, 0.0)
    poses = np.zeros((FRAMES, 24, 3))
    facing = Rotation.from_matrix(frames.R_zup_from_yup)
    turn = Rotation.from_rotvec(np.deg2rad(20 + 140 * t) * [0, 0, 1 if number == 1 else -1])
    poses[:, 0] = (turn * facing).as_rotvec()
    poses[:, 16] = t * [0.2, 0.1, -1.1]
    poses[:, 17] = t * [0.0, -0.4, 0.9]
    poses[:, 18] = t * [0.0, -0.8, 0.2]
    poses[:, 4] = (1 - t) * [0.7, 0.0, 0.0]
    poses[:, 1] = (1 - t) * [-0.5, 0.1, 0.0]
    poses[:, 12] = t * [0.2, 0.3, 0.1]
    trans = np.concatenate([-0.2 + 0.5 * t, 0.3 * t, 1.2 + 0 * t], 1) + ([0, 0, 0] if number == 1 else list(second))
    return betas, poses, trans


def lbs(betas, poses, trans):
    """Vertices (T, V, 3), joints (T, 24, 3) and faces of the body, by the plainest loop there is."""
    with np.load(BODY) as file:
        body = {name: file[name].astype(float) for name in ("v_template", "shapedirs", "J_regressor", "weights")}
        faces = file["f"].astype(int)
    rest = body["v_template"] + body["shapedirs"] @ betas
    J = body["J_regressor"] @ rest
    vertices, joints = [], []
    for pose, t in zip(poses, trans):
        G = []
        for j, parent in enumerate(SMPL_PARENTS):
            local = frames.compose(Rotation.from_rotvec(pose[j]).as_matrix(), J[j] - (J[parent] if j else 0))
            G.append(local if j == 0 else G[parent] @ local)
        G = np.stack(G)
        joints.append(G[:, :3, 3] + t)
        A = G.copy()
        A[:, :3, 3] -= np.einsum("jab,jb->ja", G[:, :3, :3], J)
        T = np.einsum("vj,jab->vab", body["weights"], A)
        vertices.append(np.einsum("vab,vb->va", T[:, :3, :3], rest) + T[:, :3, 3] + t)
    return np.stack(vertices), np.stack(joints), faces


def write(folder: Path, people=(1, 2), seen=None, second=(1.1, 0.4, 0)) -> dict:
    """Write a take. seen: {person id: (first, last)} frames, all of them by default. second: where person 2 stands from person 1, m.
    Returns the truth."""
    folder = Path(folder)
    for name in ("people", "masks", "plate", "plate/erase", "film"):
        (folder / name).mkdir(parents=True, exist_ok=True)
    T, K = camera_path()
    rng = np.random.default_rng(0)
    points = np.concatenate(
        [rng.uniform([-4, 1, 0], [4, 4, 3], (150, 3)), rng.uniform([-3, -2, 0], [3, 3, 0.01], (50, 3))]
    )
    truth = {"T": T, "K": K, "points": points, "vertices": {}, "joints": {}, "masks": []}
    np.savez_compressed(folder / "camera.npz", T_world_from_cam=T, K=K, start_T_world_from_cam=T, start_K=K)
    np.savez_compressed(
        folder / "points.npz", points_world=points, colours=rng.integers(0, 255, (200, 3)).astype(np.uint8)
    )
    listing, faces = [], None
    for number in people:
        betas, poses, trans = person(number, second)
        vertices, joints, faces = lbs(betas, poses, trans)
        truth["vertices"][number], truth["joints"][number] = vertices, joints
        first, last = (seen or {}).get(number, (0, FRAMES - 1))
        at = np.arange(first, last + 1)
        np.savez_compressed(
            folder / "people" / f"{number:02d}.npz",
            poses=poses[at].reshape(len(at), 72), trans=trans[at], betas=betas, gender="neutral",
            mocap_framerate=24.0, mocap_frame_rate=24.0, frame=at, visible=np.ones(len(at), bool),
            joints_world=joints[at], joints_2d=np.zeros((len(at), 24, 3)), contact=np.zeros((len(at), 4)), body="reshoot",
        )  # fmt: skip
        listing.append({"id": number, "colour": list(colour_of(number)), "first": first, "last": last})
    for i in range(FRAMES):
        mask = np.zeros((HEIGHT, WIDTH), np.uint8)
        if people:
            mask = instance_mask(
                [truth["vertices"][p][i] for p in people], faces, list(people), T[i], K[i], WIDTH, HEIGHT
            )
        truth["masks"].append(mask)
        write_mask(folder / "masks" / f"{i:06d}.png", mask)
        write_mask(folder / "plate" / "erase" / f"{i:06d}.png", nearest_owner(mask, 4))
        plate = np.full((HEIGHT, WIDTH, 3), PLATE_RGB, np.uint8)
        plate[:, :, 0] += np.uint8(8 * i)  # so that a test can tell one frame from another
        film = np.full((HEIGHT, WIDTH, 3), FILM_RGB, np.uint8)
        film[:, :, 1] += np.uint8(8 * i)
        cv2.imwrite(str(folder / "plate" / f"{i:06d}.png"), plate[..., ::-1])
        cv2.imwrite(str(folder / "film" / f"{i:06d}.png"), film[..., ::-1])
    shot = {
        "schema_version": SCHEMA_VERSION,
        "source": {
            "path": str(folder / "film"), "sha256": "0" * 64, "fps": "24000/1001", "width": WIDTH, "height": HEIGHT,
            "original_width": WIDTH, "original_height": HEIGHT, "start_frame": 0, "frames": FRAMES,
        },
        "verdict": "full", "people": listing, "stages": {}, "warnings": [], "quality": "final",
        "options": {"source": str(folder / "film"), "quality": "final", "fps": 24000 / 1001, "plate": True},
    }  # fmt: skip
    (folder / "shot.json").write_text(json.dumps(shot))
    truth["faces"] = faces
    return truth
