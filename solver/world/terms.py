"""Terms of f_H: who stands where, and what people do who stand, walk and keep their balance.

P people, T frames, in W. Weights are in units of fit.Energy's: one for a deviation of a sigma.
"""

from __future__ import annotations

import numpy as np
import torch

from ..body.fit import huber, pixels, robust, to_camera
from ..records import Slam

FEET = [17, 19, 18, 20]  # keypoints: left heel, left toe, right heel, right toe
BALLS = [10, 11]  # joints: left and right foot
SIGMA_SLIDE = 0.05  # m/s, a foot on the ground
SIGMA_HEIGHT = 0.015  # m, a foot on the ground above or below it
SIGMA_FLOOR = 0.03  # m, a background point under a standing foot
FLOOR_POINTS = 60
SIGMA_TRACK = 1 / 640  # of the picture's width, a background track
SIGMA_HEADING = np.deg2rad(12)  # pelvis against the course of walking
HEADING_WEIGHT = 5.0
SIGMA_LEAN = np.deg2rad(8)  # the trunk of a bust against up
UNSEEN = 0.3  # weight of a contact that only its owner's standing speaks for
SIGMA_COURSE = 0.25  # m/s^2, change of the root's velocity from half second to half second
BALANCE_WEIGHT = 5.0
SIGMA_BALANCE = 0.05  # m, centre of mass from the middle of the feet, mean of a second
# Shares of the body's mass at SMPL's joints: trunk, head, thighs, shanks, arms (after Winter, Biomechanics and Motor Control, table 4.1).
MASS = {3: 0.15, 6: 0.15, 9: 0.2, 15: 0.08, 1: 0.05, 2: 0.05, 4: 0.08, 5: 0.08, 7: 0.03, 8: 0.03, 18: 0.05, 19: 0.05}
STILL, ON_GROUND = 0.45, 0.1  # m/s, m: what a standing foot may seem to move, and to float


def foot_velocity(points, fps):
    """Central differences (P, T, N, 3) of positions, m/s; one-sided at the ends."""
    v = torch.zeros_like(points)
    v[:, 1:-1] = (points[:, 2:] - points[:, :-2]) * (fps / 2)
    if points.shape[1] > 1:
        v[:, 0], v[:, -1] = (points[:, 1] - points[:, 0]) * fps, (points[:, -1] - points[:, -2]) * fps
    return v


def contacts(joints, keypoints, up, height, evidence, centre, along=1.0, gate=ON_GROUND):
    """How likely each of the four foot points (P, T, 4) stands: slow and near the ground.

    A foot that no picture shows stands, at UNSEEN of the weight, while its owner does: its own place is only what the others left it.
    joints (P, T, 24, 3), keypoints (P, T, K, 3), centre (T, 3) of the camera: in W. along: share of the speed along the line of sight
    that counts. A body that only its own pixels hold wanders in depth far more than it does across the picture. gate: m above
    the ground that still count as on it.
    """
    feet = keypoints[:, :, FEET]
    ray = torch.nn.functional.normalize(feet - centre[:, None], dim=-1)

    def speed(points):
        velocity = foot_velocity(points, evidence.fps)
        return (velocity - (1 - along) * (velocity * ray).sum(-1, keepdim=True) * ray).norm(dim=-1)

    above = feet @ up - height
    p = torch.where(
        seen_feet(evidence),
        torch.sigmoid((STILL - speed(feet)) / 0.08) * torch.sigmoid((gate - above) / (0.2 * gate)),
        UNSEEN * torch.sigmoid((0.3 - speed(joints[:, :, :1].expand_as(feet))) / 0.08) * torch.sigmoid((0.5 - above) / 0.1),
    )
    return p * evidence.span[..., None]


def seen_feet(evidence):
    """Whether a picture shows the foot or its ankle (P, T, 4), in the order of FEET."""
    return torch.maximum(evidence.confidence[..., FEET], evidence.confidence[..., [15, 15, 16, 16]]) > 0.1


def contact_terms(feet, contact, up, height, size, evidence, cut=6.0):
    """Standing feet keep still and on the ground; no foot goes below it. Lengths count in body sizes (P,), see fit.term_smooth.

    cut: deviations beyond which a contact counts as a mistake.
    """
    size = size[:, None, None]
    step = (feet[:, 1:] - feet[:, :-1]) * evidence.fps / size[..., None]
    both = torch.minimum(contact[:, 1:], contact[:, :-1])
    above = (feet @ up - height) / size
    sunk = torch.relu(-above) * evidence.span[..., None]
    return (
        (both * robust((step**2).sum(-1) / SIGMA_SLIDE**2, cut)).sum()
        + (contact * robust(above**2 / SIGMA_HEIGHT**2, cut)).sum()
        + (sunk**2).sum() / 0.01**2
    )


def ball_term(joints, bodies, up, height, evidence):
    """The ball of a foot stays above the ground by what is under it in the rest pose: toes that bend up would let it sink."""
    rest_joints, rest_keypoints = bodies.model.rest(bodies.betas.detach())
    sole = rest_joints[:, BALLS, 1] - rest_keypoints[:, FEET[::2], 1]
    sunk = torch.relu(sole[:, None] + height - joints[:, :, BALLS] @ up)
    return (evidence.span[..., None] * sunk**2).sum() / 0.01**2


def points_underfoot(slam: Slam, points, evidence, feet, contact, centre) -> np.ndarray:
    """Background points that the picture shows around standing feet: most of them lie on the ground.

    Returns (n, 2, 3), in SLAM's frame and unit: each point, and how far off it may be (one sigma along its ray).
    """
    cam = to_camera(feet, evidence.R_w_from_cam, centre)
    xy, metres_per_px = pixels(cam, evidence.K).numpy(), evidence.metres_per_px.numpy()
    near = np.zeros(len(points), bool)
    for p, t, foot in zip(*np.nonzero(contact.numpy() > 0.5)):
        seen = slam.obs_frame == t
        offset = (slam.obs_xy[seen] - xy[p, t, foot]) * metres_per_px[p, t]
        near[slam.obs_point[seen][(np.abs(offset[:, 0]) < 0.8) & (offset[:, 1] > -0.05) & (offset[:, 1] < 0.4)]] = True
    return np.stack([points, _off(slam, points, evidence.K.numpy())], 1)[near]


def _off(slam: Slam, points, K) -> np.ndarray:
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


def heading_term(joints, forward, up, evidence):
    """People mostly face where they walk: hips against the root's course, the faster the surer; who walks otherwise is an outlier.

    joints (P, T, 24, 3), forward (P, T, 3) of the pelvis, both in W.
    """
    course = foot_velocity(joints[:, :, :1], evidence.fps)[:, :, 0]
    course = course - (course @ up)[..., None] * up
    ahead = forward - (forward @ up)[..., None] * up
    speed = course.norm(dim=-1)
    cosine = (course * ahead).sum(-1) / (speed * ahead.norm(dim=-1)).clamp_min(1e-3)
    sure = torch.sigmoid((speed.detach() - 0.6) / 0.1) * evidence.span
    return HEADING_WEIGHT * (sure * robust(2 * (1 - cosine) / SIGMA_HEADING**2, 3.0)).sum()


def course_term(root, contact, size, evidence):
    """Whom no standing foot holds keeps their course: the root's velocity hardly changes from one half second to the next, while what it
    does within a step, which takes about as long, cancels out. By itself one camera sees depth too badly to hold it.

    root (P, T, 3) in W, contact (P, T, 4), size (P,).
    """
    half = max(1, round(evidence.fps / 2))
    root = root / size[:, None, None]
    change = root[:, 2 * half :] - 2 * root[:, half:-half] + root[:, : -2 * half]
    both = (evidence.span[:, 2 * half :] & evidence.span[:, : -2 * half]).to(root.dtype)
    loose = 1 - contact.amax(-1)
    loose = torch.maximum(torch.maximum(loose[:, 2 * half :], loose[:, half:-half]), loose[:, : -2 * half])
    acceleration = change * (evidence.fps / half) ** 2
    return (both * loose * huber((acceleration**2).sum(-1) / SIGMA_COURSE**2, 2.0)).sum()


def bust_term(joints, up, evidence):
    """Where no hip is seen, no picture tells how far a trunk leans: it is upright. joints (P, T, 24, 3) and up (3,) in W."""
    trunk = torch.nn.functional.normalize(joints[..., 12, :] - joints[..., 0, :], dim=-1)
    return (evidence.bust * huber(2 * (1 - trunk @ up) / SIGMA_LEAN**2, 2.0)).sum()


def balance_term(joints, feet, up, evidence):
    """Nobody falls: over a second, the centre of mass is above the middle of the feet. What one camera sees worst is a lean towards it.

    joints (P, T, 24, 3), feet (P, T, 4, 3), in W. Who hangs, swims or rides is an outlier.
    """
    mass = torch.zeros(24, dtype=joints.dtype)
    mass[list(MASS)] = torch.tensor(list(MASS.values()), dtype=joints.dtype)
    off = torch.einsum("j,ptjk->ptk", mass, joints) - feet.mean(2)
    off = off - (off @ up)[..., None] * up
    width = 2 * round(evidence.fps / 2) + 1
    span = evidence.span.to(joints.dtype)[:, None]
    mean = lambda x: torch.nn.functional.avg_pool1d(x, width, 1, width // 2)
    off = mean(off.mT * span) / mean(span).clamp_min(1e-3)
    return BALANCE_WEIGHT * (evidence.span * robust((off**2).sum(1) / SIGMA_BALANCE**2, 4.0)).sum()


def floor_term(floor, scale, up, height):
    """Points under standing feet lie on the ground, at the scale of the camera's path. Many points count as FLOOR_POINTS.

    floor: (n, 2, 3), see points_underfoot.
    """
    if len(floor) < 4:
        return height * 0
    above = (scale * floor[:, 0]) @ up - height
    variance = SIGMA_FLOOR**2 + ((scale * floor[:, 1]) @ up).detach() ** 2
    count = float((SIGMA_FLOOR**2 / variance).sum())
    return robust(above**2 / variance, 3.0).sum() * min(1.0, FLOOR_POINTS / max(count, 1e-9))
