"""Who stands where, and which background points lie under their feet. P people, T frames, in W."""

from __future__ import annotations

import numpy as np
import torch

from ..body.fit import pixels, to_camera
from ..bundle.ground import FEET
from ..records import Slam
from ..stairs import OVER_M

SIGMA_TRACK = 1 / 640  # of the picture's width, a background track
UNSEEN = 0.3  # weight of a contact that only its owner's standing speaks for
STILL, ON_GROUND = 0.45, OVER_M  # m/s, m: what a standing foot may seem to move, and to float
LASTS_S, CARRIES, LOWEST = 0.2, 0.3, 0.05  # a foot on something over the ground is still for so long, and for that share of it within so many metres of its owner's lowest


def foot_velocity(points, fps):
    """Central differences (P, T, N, 3) of positions, m/s; one-sided at the ends."""
    v = torch.zeros_like(points)
    v[:, 1:-1] = (points[:, 2:] - points[:, :-2]) * (fps / 2)
    if points.shape[1] > 1:
        v[:, 0], v[:, -1] = (points[:, 1] - points[:, 0]) * fps, (points[:, -1] - points[:, -2]) * fps
    return v


def contacts(joints, keypoints, up, height, evidence, centre, along=1.0, gate=ON_GROUND, walks=None):
    """How likely each of the four foot points (P, T, 4) stands: slow and near the ground.

    A foot that no picture shows stands, at UNSEEN of the weight, while its owner does: its own place is only what the others left it.
    joints (P, T, 24, 3), keypoints (P, T, K, 3), centre (T, 3) of the camera: in W. along: share of the speed along the line of sight
    that counts. A body that only its own pixels hold wanders in depth far more than it does across the picture. gate: m above
    the ground that still count as on it. walks: (share (P, T), stands (P, T, 4)) of gait.Walk for feet that nobody sees, or None.
    """
    feet = keypoints[:, :, FEET]
    ray = torch.nn.functional.normalize(feet - centre[:, None], dim=-1)
    above = feet @ up - height
    stood = torch.sigmoid((0.3 - _speed(joints[:, :, :1].expand_as(feet), ray, along, evidence.fps)) / 0.08)
    if walks is not None:
        share, stands = walks
        stood = torch.where(share[..., None] > 0.5, stands, stood)
    p = torch.where(
        seen_feet(evidence),
        _still(feet, ray, along, evidence.fps) * torch.sigmoid((gate - above) / (0.2 * gate)),
        UNSEEN * stood * torch.sigmoid((0.5 - above) / 0.1),
    )
    return p * evidence.span[..., None]


def _speed(points, ray, along, fps):
    velocity = foot_velocity(points, fps)
    return (velocity - (1 - along) * (velocity * ray).sum(-1, keepdim=True) * ray).norm(dim=-1)


def _still(feet, ray, along, fps):
    return torch.sigmoid((STILL - _speed(feet, ray, along, fps)) / 0.08)


def upstairs(feet, up, height, evidence, centre, along=1.0, gate=ON_GROUND):
    """How likely each of the foot points (P, T, 4, 3) stands on something over the ground, a stair or a kerb: seen, still, and for a while the lowest of its owner's.

    Other arguments as of `contacts`.
    """
    above = feet @ up - height
    still = _still(feet, torch.nn.functional.normalize(feet - centre[:, None], dim=-1), along, evidence.fps)
    may = ((still > 0.5) & (above > gate) & seen_feet(evidence) & evidence.span[..., None]).numpy()
    lowest = (above < above.amin(-1, keepdim=True) + LOWEST).numpy()
    stands = np.zeros(may.shape, bool)
    for p, k in np.ndindex(may.shape[0], may.shape[2]):
        edges = np.flatnonzero(np.diff(np.r_[0, may[p, :, k].astype(int), 0]))
        for first, end in edges.reshape(-1, 2):
            if end - first >= LASTS_S * evidence.fps and lowest[p, first:end, k].mean() >= CARRIES:
                stands[p, first:end, k] = True
    return still * torch.as_tensor(stands)


def seen_feet(evidence):
    """Whether a picture shows the foot or its ankle (P, T, 4), in the order of FEET."""
    return torch.maximum(evidence.confidence[..., FEET], evidence.confidence[..., [15, 15, 16, 16]]) > 0.1


def points_underfoot(slam: Slam, points, off, evidence, feet, contact, centre) -> np.ndarray:
    """Background points that the picture shows around standing feet: most of them lie on the ground.

    off: (N, 3), see uncertain. Returns (n, 2, 3), in SLAM's frame and unit: each point, and how far off it may be (one sigma along its ray).
    """
    cam = to_camera(feet, evidence.R_w_from_cam, centre)
    xy, metres_per_px = pixels(cam, evidence.K).numpy(), evidence.metres_per_px.numpy()
    near = np.zeros(len(points), bool)
    for p, t, foot in zip(*np.nonzero(contact.numpy() > 0.5)):
        seen = slam.obs_frame == t
        offset = (slam.obs_xy[seen] - xy[p, t, foot]) * metres_per_px[p, t]
        near[slam.obs_point[seen][(np.abs(offset[:, 0]) < 0.8) & (offset[:, 1] > -0.05) & (offset[:, 1] < 0.4)]] = True
    return np.stack([points, off], 1)[near]


def uncertain(slam: Slam, points, K) -> np.ndarray:
    """How far points (N, 3) may be off along their mean ray (N, 3): the wider apart the rays that met there, the less."""
    to = points[slam.obs_point] - slam.camera.T_world_from_cam[slam.obs_frame, :3, 3]
    far = np.linalg.norm(to, axis=1, keepdims=True)
    count = np.bincount(slam.obs_point, minlength=len(points)).clip(1)[:, None]
    ray, distance = np.zeros((len(points), 3)), np.zeros((len(points), 1))
    np.add.at(ray, slam.obs_point, to / far)
    np.add.at(distance, slam.obs_point, far)
    ray /= np.linalg.norm(ray, axis=1, keepdims=True).clip(1e-9)
    apart = np.zeros((len(points), 1))
    np.maximum.at(apart, slam.obs_point, np.linalg.norm(to / far - ray[slam.obs_point], axis=1, keepdims=True))
    noise = SIGMA_TRACK * 2 * K[0, 0, 2] / K[0, 0, 0]  # rad
    return distance / count * noise / (2 * apart).clip(1e-6) * ray
