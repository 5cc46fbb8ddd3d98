"""Terms of what the networks saw: joints in the picture, weak joints in depth, and trunks whose hips nobody sees."""

from __future__ import annotations

import torch

from .bodies import Moves, Posed
from .rows import Rows, holds_on, lets_go

# Pixels are turned into metres at the person's depth, so that near and far people weigh the same.
SIGMA_2D = 0.025  # m, a keypoint's error in the image plane
SIGMA_3D = 0.2  # m, the network's 3D joints: a weak prior (PA error about 0.1 m, and wrong for long stretches)
SIGMA_BUST = 0.1  # rad, the trunk of a bust against the picture's vertical
NEAREST = 0.1  # m from the camera's plane at which points are held for their projection
KEYPOINTS, SHOULDERS, HIPS = slice(24, 49), [24 + 5, 24 + 6], [24 + 11, 24 + 12]


def in_camera(evidence, points):
    """Points (P, T, N, 3) from the camera's centre in W's axes, turned into the camera's."""
    return torch.einsum("tji,ptnj->ptni", evidence.R_w_from_cam, points)


def project(evidence, cam):
    """Pixels (P, T, N, 2) of camera points (P, T, N, 3), and their derivatives (P, T, N, 2, 3) by those points' places in W."""
    z = cam[..., 2:].clamp_min(NEAREST)
    xy = torch.einsum("tij,ptnj->ptni", evidence.K, cam / z)[..., :2]
    f = evidence.K[:, [0, 1], [0, 1]][None, :, None]  # (1, T, 1, 2)
    by_cam = torch.zeros(cam.shape[:-1] + (2, 3), dtype=cam.dtype, device=cam.device)
    by_cam[..., 0, 0], by_cam[..., 1, 1] = (f / z).unbind(-1)
    by_cam[..., 2] = -(f * cam[..., :2] / z**2) * (cam[..., 2:] > NEAREST)
    return xy, by_cam @ evidence.R_w_from_cam.mT[None, :, None]


def joints(evidence, posed: Posed, moves: Moves | None, widen=1.0) -> Rows:
    """Reprojection against the detected joints, in units of SIGMA_2D at the person's depth. widen: factor on the kernel's cut."""
    xy, by_place = project(evidence, in_camera(evidence, posed.keypoints))
    unit = (evidence.metres_per_px / SIGMA_2D)[..., None, None]
    rows = Rows("joints", (xy - evidence.xy) * unit, evidence.confidence, lets_go(10.0 * widen), picture=True)
    if moves:
        rows.by_lens = ((xy - evidence.K[:, None, :2, 2]) * unit).flatten(2)
        by_place = by_place * unit[..., None]
        rows.by = {0: (by_place @ moves.points[:, :, KEYPOINTS]).flatten(2, 3)}
        rows.by_shape = (by_place @ moves.points_shape[:, :, KEYPOINTS]).flatten(2, 3)
    return rows


def depth(evidence, posed: Posed, moves: Moves | None, weight=1.0, widen=1.0) -> Rows:
    """The network's 3D joints about the mid hip, as a weak prior on depth order; their size, one factor a person, says nothing.

    Where no hip is seen they are taken about the middle of the shoulders. The factor is the best one for the bodies as they are.
    """
    hips = (evidence.confidence_3d[..., 11:13].amax(-1) > 0)[..., None, None]

    def centred(points, first):  # first: index of keypoint 0 in the third axis
        shape = (...,) + (None,) * (points.dim() - 4)
        at = lambda pair: points[:, :, [first + pair[0], first + pair[1]]].mean(2, keepdim=True)
        return points[:, :, first : first + 25] - torch.where(hips[shape], at((11, 12)), at((5, 6)))

    about, seen = centred(in_camera(evidence, posed.points), 24), centred(evidence.xyz, 0)
    w = evidence.confidence_3d[..., None]
    size = (w * about * seen).sum((1, 2, 3)) / (w * about**2).sum((1, 2, 3)).clamp_min(1e-6)
    size = size.detach()[:, None, None, None]
    rows = Rows("depth", (size * about - seen) / SIGMA_3D, weight * evidence.confidence_3d, lets_go(3.0 * widen), picture=True)
    if moves:
        back = evidence.R_w_from_cam.mT[None, :, None] * (size[..., None] / SIGMA_3D)
        rows.by = {0: (back @ centred(moves.points, 24)).flatten(2, 3)}
        rows.by_shape = (back @ centred(moves.points_shape, 24)).flatten(2, 3)
    return rows


def trunk(posed: Posed, moves: Moves | None):
    """Unit vectors (P, T, 3) from pelvis to neck, and their derivatives by (75) and by the shape (10)."""
    way = posed.joints[:, :, 12] - posed.joints[:, :, 0]
    length = way.norm(dim=-1, keepdim=True)
    unit = way / length
    if not moves:
        return unit, None, None
    across = (torch.eye(3, dtype=unit.dtype, device=unit.device) - unit[..., None] * unit[..., None, :]) / length[..., None]
    return (
        unit,
        across @ (moves.points[:, :, 12] - moves.points[:, :, 0]),
        across @ (moves.points_shape[:, :, 12] - moves.points_shape[:, :, 0]),
    )


def bust(evidence, posed: Posed, moves: Moves | None) -> Rows:
    """Where no hip is seen, the trunk stands upright in the picture: how it leans towards the camera cannot be seen."""
    unit, by, by_shape = trunk(posed, moves)
    rows = Rows("bust", ((unit + evidence.R_w_from_cam[..., 1]) / SIGMA_BUST)[:, :, None], evidence.bust[..., None].to(unit), holds_on(2.0), picture=True)
    if moves:
        rows.by, rows.by_shape = {0: by / SIGMA_BUST}, by_shape / SIGMA_BUST
    return rows
