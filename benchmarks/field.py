"""Fidelity and cost of f_D against the rasterised bodies: python -m benchmarks.field [--dnerf SECONDS] [--pictures FOLDER]

IoU is per person, over cameras that nothing was trained on, of the render's mask (`render.mask_of`) with the rasterised one.
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path

import cv2
import numpy as np
import torch
from scipy.spatial.transform import Rotation

from benchmarks.baselines.clothes import fit_residual
from benchmarks.baselines.dnerf import DynamicNerf, camera_around, train
from solver.body.model import BodyModel
from solver.film.field import BodyField
from solver.film.render import mask_of, render, render_image
from solver.raster import instance_mask
from solver.skeleton import colour_of

SIZE = (160, 90)
FRAMES = 24


def runners(people: int, frames: int, speed: float, seed: int = 0):
    """Shapes (P, 10), poses (P, T, 24, 3) and places (P, T, 3) of people who walk (speed 0) to sprint (1), arms swinging wide."""
    rng = np.random.default_rng(seed)
    t = np.arange(frames) / 24
    poses, trans = np.zeros((people, frames, 24, 3)), np.zeros((people, frames, 3))
    for p in range(people):
        phase = 2 * np.pi * (1 + 0.5 * speed) * t + rng.uniform(0, 2 * np.pi)
        s, c, swing = np.sin(phase), np.cos(phase), 0.45 + 0.35 * speed
        heading = rng.uniform(-np.pi, np.pi) + 0.8 * speed * t
        poses[p, :, 0] = (
            Rotation.from_rotvec(heading[:, None] * [0, 0, 1]) * Rotation.from_rotvec([np.pi / 2, 0, 0])
        ).as_rotvec()
        poses[p, :, 1, 0], poses[p, :, 2, 0] = -swing * s, swing * s  # hips
        poses[p, :, 4, 0], poses[p, :, 5, 0] = swing * (1.1 + c), swing * (1.1 - c)  # knees
        poses[p, :, 3, 1], poses[p, :, 9, 1], poses[p, :, 6, 0], poses[p, :, 15, 1] = 0.2 * s, 0.2 * s, 0.15, 0.3 * c
        lift = 0.5 * speed
        left = np.stack((-1.15 + lift * np.maximum(0, c), swing * s), 1)
        right = np.stack((1.15 - lift * np.maximum(0, s), -swing * s), 1)
        poses[p, :, 16] = Rotation.from_euler("zx", left).as_rotvec()
        poses[p, :, 17] = Rotation.from_euler("zx", right).as_rotvec()
        poses[p, :, 18, 1] = -(0.4 + 0.9 * speed * (0.5 + 0.5 * s))
        poses[p, :, 19, 1] = 0.4 + 0.9 * speed * (0.5 - 0.5 * c)
        place = (
            1.1 * (p - (people - 1) / 2) + 0.3 * np.sin(t),
            rng.uniform(-0.5, 0.5) + 0.4 * np.sin(2 * t),
            1.1 + 0 * t,
        )
        trans[p] = np.stack(place, 1)
    return rng.normal(0, 1, (people, 10)), poses, trans


def posed_vertices(body, betas, poses, trans):
    """(T, P, V, 3) m."""
    betas, poses, trans = (torch.as_tensor(x, dtype=torch.float32) for x in (betas, poses, trans))
    return np.stack([body.vertices(betas, poses[:, k], trans[:, k]).numpy() for k in range(poses.shape[1])])


def fidelity(field, vertices, faces, views: int = 12, seed: int = 99, pictures=None, size=SIZE):
    """Mean and worst IoU over people and views, and seconds a picture."""
    rng = np.random.default_rng(seed)
    scores, seconds = [], []
    ids = list(range(1, vertices.shape[1] + 1))
    for k in range(views):
        frame = int(rng.integers(len(vertices)))
        low, high = vertices[frame].reshape(-1, 3).min(0), vertices[frame].reshape(-1, 3).max(0)
        T, K = camera_around((low + high) / 2, np.linalg.norm(high - low) / 2, *size, rng)
        truth = instance_mask(list(vertices[frame]), faces, ids, T, K, *size)
        started = time.perf_counter()
        device = field.box.device if isinstance(field, DynamicNerf) else field.origin.device
        T, K = (torch.tensor(x, dtype=torch.float32, device=device) for x in (T, K))
        mask = mask_of(render_image(field, T, K, frame, *size), ids).cpu().numpy()
        seconds.append(time.perf_counter() - started)
        for i in ids:
            union = ((truth == i) | (mask == i)).sum()
            if union > 30:
                scores.append(((truth == i) & (mask == i)).sum() / union)
        if pictures and k < 2:
            colours = np.array([(255, 255, 255), *(colour_of(i) for i in ids)], np.uint8)[:, ::-1]
            wrong = np.where((truth != mask)[..., None], np.uint8(0), np.uint8(255)) * np.ones(3, np.uint8)
            row = np.hstack([colours[truth], colours[mask], wrong])
            cv2.imwrite(f"{pictures}_{k}.png", cv2.resize(row, None, fx=3, fy=3, interpolation=cv2.INTER_NEAREST))
    return np.mean(scores), np.min(scores), np.median(seconds)


def step_seconds(field, vertices, rays: int = 2000, repeats: int = 5):
    """Median seconds of forward and backward of rays near people, mixed frames, to camera twist."""
    rng = np.random.default_rng(5)
    device = field.origin.device
    seconds = []
    for _ in range(repeats):
        frame = torch.tensor(rng.integers(len(vertices), size=rays), device=device)
        aim = vertices[frame.cpu().numpy(), rng.integers(vertices.shape[1], size=rays)]
        aim = aim[np.arange(rays), rng.integers(aim.shape[1], size=rays)] + rng.normal(0, 0.02, (rays, 3))
        eye = np.array([0.5, -5.0, 1.4])
        eye_t = torch.tensor(eye, dtype=torch.float32, device=device, requires_grad=True)
        d = torch.nn.functional.normalize(torch.tensor(aim - eye, dtype=torch.float32, device=device), dim=-1)
        started = time.perf_counter()
        out = render(field, eye_t.expand_as(d), d, frame)
        out.opacity.square().sum().backward()
        float(eye_t.grad.sum())  # wait for the device
        seconds.append(time.perf_counter() - started)
    return np.median(seconds)


def inflated(body, betas, poses, trans):
    """Posed vertices of bodies that wear something: up to 3 cm on the trunk and thighs, along the rest normals."""
    w = body.weights
    amount = 0.03 * w[:, [0, 1, 2, 3, 6, 9]].sum(1) + 0.015 * w[:, [16, 17]].sum(1)
    v, f = body.v_template, body.faces
    face = torch.linalg.cross(v[f[:, 1]] - v[f[:, 0]], v[f[:, 2]] - v[f[:, 0]])
    normal = torch.zeros_like(v)
    for c in range(3):
        normal.index_add_(0, f[:, c], face)
    dressed = BodyModel.load()
    dressed.v_template = v + amount[:, None] * torch.nn.functional.normalize(normal, dim=-1)
    return posed_vertices(dressed, betas, poses, trans)


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--dnerf", type=float, default=0, help="also train the paper's D-NeRF for so many seconds")
    parser.add_argument("--clothes", action="store_true", help="also learn clothes from masks")
    parser.add_argument("--pictures", type=Path, help="folder for truth | render | difference")
    parser.add_argument("--device", default="cpu")
    options = parser.parse_args()
    body = BodyModel.load()
    faces = body.faces.numpy()
    print("people  motion  set-up s  IoU mean  worst  picture s  step of 2000 rays s")
    for people, speed in ((1, 0), (1, 1), (2, 0), (2, 1), (3, 0), (3, 1)):
        shot = runners(people, FRAMES, speed, seed=people)
        vertices = posed_vertices(body, *shot)
        started = time.perf_counter()
        field = BodyField.from_people(body, *shot, device=options.device)
        setup = time.perf_counter() - started
        pictures = options.pictures / f"field_{people}_{speed}" if options.pictures else None
        mean, worst, seconds = fidelity(field, vertices, faces, pictures=pictures)
        motion = "sprint" if speed else "walk"
        step = step_seconds(field, vertices)
        print(
            f"{people:6}  {motion:6}  {setup:8.1f}  {mean:8.4f}  {worst:5.3f}  {seconds:9.3f}  {step:8.3f}", flush=True
        )

    shot = runners(2, FRAMES, 1, seed=2)
    if options.clothes:
        field = BodyField.from_people(body, *shot, device=options.device)
        vertices = inflated(body, *shot)
        rng = np.random.default_rng(1)
        # One moving camera, as in a shot; judged from other cameras.
        T, K = camera_around(vertices.reshape(-1, 3).mean(0), 1.6, 320, 180, rng)
        cameras = np.repeat(T[None], FRAMES, 0)
        cameras[:, :3, 3] += np.linspace(-0.5, 0.5, FRAMES)[:, None] * T[:3, 0]
        masks = [instance_mask(list(v), faces, (1, 2), c, K, 320, 180) for v, c in zip(vertices, cameras, strict=True)]
        before = fidelity(field, vertices, faces)[0]
        started = time.perf_counter()
        losses = fit_residual(field, cameras, np.repeat(K[None], FRAMES, 0), lambda k: masks[k], (1, 2))
        seconds = time.perf_counter() - started
        after = fidelity(field, vertices, faces)[0]
        print(f"clothes: IoU {before:.4f} -> {after:.4f} in {seconds:.1f} s, loss {losses[0]:.4f} -> {losses[-1]:.4f}")
    if options.dnerf:
        vertices = posed_vertices(body, *shot)
        box = np.stack((vertices.reshape(-1, 3).min(0), vertices.reshape(-1, 3).max(0))) + np.array([[-0.1], [0.1]])
        torch.manual_seed(0)
        model = DynamicNerf(box, FRAMES, 2).to(options.device)
        colours = np.array([colour_of(i) for i in (1, 2)]) / 255
        steps, loss = train(model, vertices, faces, colours, options.dnerf)
        pictures = options.pictures / "dnerf" if options.pictures else None
        mean, worst, seconds = fidelity(model, vertices, faces, pictures=pictures)
        print(
            f"D-NeRF: {steps} steps in {options.dnerf:.0f} s, loss {loss:.4f}, IoU {mean:.4f} worst {worst:.3f}, picture {seconds:.2f} s"
        )


if __name__ == "__main__":
    main()
