"""A synthetic shot with exact truth, as records: a walking body, a moving camera, detections and background tracks with known noise."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from scipy.spatial.transform import Rotation

from solver.frames import R_zup_from_yup, compose, intrinsics, invert, project
from solver.records import Camera, People, Slam, Tracks

WIDTH, HEIGHT, FPS = 640, 360, 24.0


@dataclass
class Truth:
    """World of the truth: Z-up, metres, ground z = 0."""

    camera: Camera
    people: People
    points_world: np.ndarray
    tracks: Tracks
    slam: Slam  # the true camera in a frame and unit of its own, unless noise was asked for


def walk(model, frames, start, heading_deg, betas, phase=0.0):
    """A walk whose standing foot does not slide: poses (T, 24, 3), trans (T, 3)."""
    t = np.arange(frames) / FPS
    swing = 2 * np.pi * 0.95 * t + phase
    poses = np.zeros((frames, 24, 3))
    poses[:, 1, 0], poses[:, 2, 0] = -0.45 * np.sin(swing) - 0.1, 0.45 * np.sin(swing) - 0.1
    poses[:, 4, 0] = 0.15 + 0.75 * np.clip(np.cos(swing), 0, None)
    poses[:, 5, 0] = 0.15 + 0.75 * np.clip(-np.cos(swing), 0, None)
    poses[:, 16, 2], poses[:, 17, 2] = -1.25, 1.25
    poses[:, 16, 1], poses[:, 17, 1] = -0.4 * np.sin(swing), -0.4 * np.sin(swing)
    poses[:, 18, 1], poses[:, 19, 1] = -0.4, 0.4
    R = Rotation.from_matrix(Rotation.from_euler("z", heading_deg, degrees=True).as_matrix() @ R_zup_from_yup)
    poses[:, 0] = R.as_rotvec()
    b = torch.as_tensor(betas, dtype=torch.float32)
    _, _, keypoints = model.fk(b.expand(frames, 10), torch.as_tensor(poses, dtype=torch.float32), torch.zeros(frames, 3))
    feet = keypoints.double().numpy()[:, [17, 18, 19, 20]]
    trans = np.zeros((frames, 3))
    trans[:, 2] = -feet[..., 2].min(1)
    lowest = feet[..., 2].argmin(1)
    for i in range(1, frames):
        trans[i, :2] = trans[i - 1, :2] - (feet[i, lowest[i], :2] - feet[i - 1, lowest[i], :2])
    trans[:, :2] += np.asarray(start, float) - trans[0, :2]
    return poses, trans


def climb(model, frames, start, heading_deg, betas, phase=0.0, rise=0.2, tread=0.3, every=12):
    """Somebody who stands on one step after the other, a few frames from each to the next: poses (T, 24, 3), trans (T, 3)."""
    poses, trans = walk(model, frames, start, heading_deg, betas)
    poses[:], trans[:] = poses[frames // 2], trans[0] * [1, 1, 0] + trans[frames // 2] * [0, 0, 1]
    step, on = np.divmod(np.arange(frames), every)
    done = step + np.clip((on - every + 4) / 4, 0, 1)
    a = np.deg2rad(heading_deg)
    return poses, trans + done[:, None] * [tread * np.sin(a), -tread * np.cos(a), rise]


def look_at(position, target):
    """Camera-to-world poses (T, 4, 4), level, from positions to targets (T, 3)."""
    z = target - position
    z /= np.linalg.norm(z, axis=1, keepdims=True)
    x = np.cross(z, [0, 0, 1.0])
    x /= np.linalg.norm(x, axis=1, keepdims=True)
    return compose(np.stack([x, np.cross(z, x), z], -1), position)


def shot(model, move="arc", frames=48, people=1, noise_px=1.5, seed=0, slam_noise=0.0, motion=walk) -> Truth:
    """move: arc | track | static | pan. noise_px: of every detected joint; slam_noise: drift of the start camera, share of its path."""
    rng = np.random.default_rng(seed)
    betas = rng.normal(size=(people, 10)) * 0.5
    poses, trans = zip(*[motion(model, frames, (-1.0 + 0.9 * p, 4.5 + 0.8 * p), 90 - 30 * p, betas[p], p) for p in range(people)])
    poses, trans = np.stack(poses), np.stack(trans)
    u = np.linspace(0, 1, frames)[:, None]
    centre = trans[0] * [1, 1, 0] + [0, 0, 1.0]
    if move == "arc":
        angle = np.deg2rad(-20 + 50 * u)
        position = np.concatenate([4.5 * np.sin(angle), 4.5 - 4.5 * np.cos(angle), 1.5 + 0 * u], 1)
        target = centre
    elif move == "track":
        position = np.concatenate([-1.5 + 2.5 * u, 0 * u, 1.4 + 0.1 * u], 1)
        target = position + [0, 5, -0.3]
    else:
        position = np.repeat([[0, 0, 1.6]], frames, 0)
        target = np.repeat(centre[frames // 2 : frames // 2 + 1], frames, 0) if move == "static" else centre * [1.5, 1, 1]
    camera = Camera(look_at(position.astype(float), target.astype(float)), np.repeat(intrinsics(620.0, WIDTH, HEIGHT)[None], frames, 0))
    points = rng.uniform([-6, 5, 0], [6, 12, 4], (300, 3))
    points[:100, 2] = 0
    record = People(
        np.arange(1, people + 1), betas, poses[:, :, 0], poses[:, :, 1:], trans, np.ones((people, frames), bool), np.ones((people, frames, 24))
    )
    tracks = detections(model, record, camera, noise_px, rng)
    return Truth(camera, record, points, tracks, start_camera(camera, points, move, rng, slam_noise))


def detections(model, people, camera, noise_px, rng) -> Tracks:
    """What a detector with this noise would say: 2D joints, coarse 3D joints, boxes."""
    P, T = people.visible.shape
    _, _, keypoints = model.fk(
        *(torch.as_tensor(a, dtype=torch.float32) for a in (people.betas[:, None].repeat(T, 1), people.poses, people.trans))
    )
    keypoints = keypoints.double().numpy()
    T_cam = invert(camera.T_world_from_cam)
    xy = np.stack([project(k, T_cam, camera.K) for k in keypoints])
    xy = xy + rng.normal(size=xy.shape) * noise_px
    inside = (xy > 0).all(-1) & (xy < [WIDTH, HEIGHT]).all(-1)
    cam = np.einsum("tij,ptkj->ptki", T_cam[:, :3, :3], keypoints)
    about = cam - cam[:, :, 11:13].mean(2, keepdims=True)
    about = about * [1, 1, 0.85] + rng.normal(size=about.shape) * 0.05
    boxes = np.concatenate([xy.min(2), xy.max(2)], -1)
    return Tracks(
        people.ids, boxes, np.ones((P, T)), np.concatenate([xy, 0.8 * inside[..., None]], -1),
        np.concatenate([about, 0.8 * inside[..., None]], -1), np.ones((P, T), int),
    )  # fmt: skip


def start_camera(camera, points, move, rng, drift) -> Slam:
    """The camera as SLAM would give it: first pose at the origin, a unit of its own, smooth drift if asked for."""
    T0 = invert(camera.T_world_from_cam[0])
    unit = 0.4  # SLAM units a metre
    T = T0 @ camera.T_world_from_cam
    local = points @ T0[:3, :3].T + T0[:3, 3]
    verdict = {"static": "static", "pan": "rotation"}.get(move, "full")
    xy = project(np.repeat(points[None], len(T), 0), invert(camera.T_world_from_cam), camera.K)
    frame, point = np.nonzero(((xy > 0) & (xy < [WIDTH, HEIGHT])).all(-1))
    observed = xy[frame, point] + rng.normal(size=(len(frame), 2)) * 0.3
    if drift:
        path = np.linalg.norm(np.diff(T[:, :3, 3], axis=0), axis=1).sum()
        u = np.linspace(0, 1, len(T))
        T[:, :3, 3] += drift * path * np.stack([np.sin(3 * u), np.sin(4 * u + 1) - np.sin(1), u**2], 1)
        T[:, :3, :3] = Rotation.from_rotvec(drift * np.stack([u**2, np.sin(2 * u), u * 0], 1)).as_matrix() @ T[:, :3, :3]
    T[:, :3, 3] *= unit
    local = local * unit if verdict == "full" else local / np.linalg.norm(local, axis=1, keepdims=True) * 10
    return Slam(
        Camera(T, camera.K.copy()), verdict, {}, "estimated", 0.05, np.ones(len(T), bool), local, np.full((len(points), 3), 128, np.uint8),
        frame, point, observed,
    )  # fmt: skip
