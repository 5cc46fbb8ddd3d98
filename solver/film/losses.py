"""L_j and L_b: what pulls the camera besides the picture's composition. All terms are robust sums over physical deviations."""

from __future__ import annotations

from dataclasses import dataclass

import torch

from ..bundle.cameras import CameraRows
from ..bundle.rows import lets_go
from .chain import skew

SIGMA_JOINT = 0.06  # m in the image plane at the person's depth: detector, body and its place in the world together
SIGMA_POINT = 0.7  # px at 640 wide, a background track
CUT = 4.0  # sigmas beyond which an observation counts as wrong


def transform(T_cam_from_world, points):
    """Points (..., 3) through (..., 4, 4)."""
    return (T_cam_from_world[..., :3, :3] @ points[..., None])[..., 0] + T_cam_from_world[..., :3, 3]


def project(points_cam, K):
    """Camera points (..., 3) to px (..., 2) with K (..., 3, 3); depth is kept off the camera's plane so that gradients stay finite."""
    z = points_cam[..., 2:].clamp_min(0.05)
    return points_cam[..., :2] / z * torch.stack([K[..., 0, 0], K[..., 1, 1]], -1) + K[..., :2, 2]


def invert(T):
    """Inverse of rigid transforms (..., 4, 4)."""
    R = T[..., :3, :3].mT
    t = -R @ T[..., :3, 3:]
    return torch.cat([torch.cat([R, t], -1), T[..., 3:, :]], -2)


@dataclass
class Joints:
    """2D joints and the 3D joints of S_w that they observe, flattened over people and frames."""

    frame: torch.Tensor  # (N,)
    xyz: torch.Tensor  # (N, 3) world
    xy: torch.Tensor  # (N, 2) px
    weight: torch.Tensor  # (N,)

    def loss(self, T_cam_from_world, K, scale=CUT):
        """L_j: weighted sum of robust distances, in units of SIGMA_JOINT."""
        cam = transform(T_cam_from_world[self.frame], self.xyz)
        metres_per_px = cam[:, 2].detach().clamp_min(0.3) / K[self.frame, 0, 0].detach()
        residual = (project(cam, K[self.frame]) - self.xy) * (metres_per_px / SIGMA_JOINT)[:, None]
        return (self.weight * lets_go(scale).value((residual**2).sum(-1))).sum()

    def rows(self, T_world_from_cam, K, scale, moves) -> CameraRows:
        """The same residuals, and with `moves` their derivatives by the cameras, the metres a pixel held."""
        T_cam = invert(T_world_from_cam)
        cam, f = transform(T_cam[self.frame], self.xyz), K[self.frame][:, [0, 1], [0, 1]]
        unit = (cam[:, 2].clamp_min(0.3) / f[:, 0] / SIGMA_JOINT)[:, None]
        residual = (project(cam, K[self.frame]) - self.xy) * unit
        numpy = lambda tensor: tensor.cpu().numpy()
        out = CameraRows("joints", numpy(self.frame), numpy(residual), None, numpy(self.weight), lets_go(scale))
        if moves:
            z = cam[:, 2].clamp_min(0.05)
            by_cam = torch.zeros(len(cam), 2, 3, dtype=cam.dtype, device=cam.device)
            by_cam[:, 0, 0], by_cam[:, 1, 1] = (f / z[:, None]).unbind(-1)
            by_cam[:, :, 2] = -f * cam[:, :2] / z[:, None] ** 2
            by_cam *= unit[..., None]
            turn = -by_cam @ skew(cam)
            away = -by_cam @ T_cam[self.frame, :3, :3]
            zoom = f * cam[:, :2] / z[:, None] * unit
            out.J = numpy(torch.cat([turn, away, zoom[..., None]], -1))
        return out

    def part(self, keep):
        return Joints(self.frame[keep], self.xyz[keep], self.xy[keep], self.weight[keep])


@dataclass
class Points:
    """Tracks of static background points."""

    frame: torch.Tensor  # (M,)
    point: torch.Tensor  # (M,) row of the points
    xy: torch.Tensor  # (M, 2) px
    sigma: float  # px

    def loss(self, T_cam_from_world, K, xyz, scale=CUT):
        """L_b: sum over observations of the robust distance in units of `sigma`. xyz (N, 3) world."""
        cam = transform(T_cam_from_world[self.frame], xyz[self.point])
        residual = (project(cam, K[self.frame]) - self.xy) / self.sigma
        return lets_go(scale).value((residual**2).sum(-1)).sum()

    def part(self, keep):
        return Points(self.frame[keep], self.point[keep], self.xy[keep], self.sigma)


def triangulate(points: Points, T_cam_from_world, K, xyz, steps=8):
    """Points (N, 3) moved to their best place for fixed cameras: Levenberg-Marquardt, every point at once with a damping of its own,
    robustly weighted. A new place must beat the old one, else the old one stays.
    """
    best, best_cost = xyz, _cost(points, T_cam_from_world, K, xyz)
    R, f = T_cam_from_world[points.frame, :3, :3], K[points.frame, 0, 0]
    damping = torch.full_like(best_cost, 1e-4)
    for _ in range(steps):
        cam = transform(T_cam_from_world[points.frame], best[points.point])
        z = cam[:, 2:].clamp_min(0.05)
        residual = (project(cam, K[points.frame]) - points.xy) / points.sigma
        squared = (residual**2).sum(-1)
        weight = (CUT**2 / (squared + CUT**2)) ** 2
        dproj = torch.zeros(len(cam), 2, 3, dtype=cam.dtype, device=cam.device)
        dproj[:, 0, 0] = dproj[:, 1, 1] = f / z[:, 0]
        dproj[:, :, 2] = -cam[:, :2] / z**2 * f[:, None]
        J = dproj @ R / points.sigma
        H = torch.zeros(len(xyz), 3, 3, dtype=cam.dtype, device=cam.device)
        g = torch.zeros(len(xyz), 3, dtype=cam.dtype, device=cam.device)
        H.index_add_(0, points.point, weight[:, None, None] * (J.mT @ J))
        g.index_add_(0, points.point, weight[:, None] * (J.mT @ residual[..., None])[..., 0])
        damp = damping * torch.diagonal(H, dim1=-2, dim2=-1).amax(-1) + 1e-9
        moved = best - torch.linalg.solve(H + damp[:, None, None] * torch.eye(3, dtype=cam.dtype, device=cam.device), g)
        cost = _cost(points, T_cam_from_world, K, moved)
        better = cost < best_cost
        best = torch.where(better[:, None], moved, best)
        best_cost = torch.where(better, cost, best_cost)
        damping = damping * torch.where(better, 0.1, 10.0).to(damping)
    return best


def _cost(points, T_cam_from_world, K, xyz):
    cam = transform(T_cam_from_world[points.frame], xyz[points.point])
    residual = (project(cam, K[points.frame]) - points.xy) / points.sigma
    cost = torch.zeros(len(xyz), dtype=xyz.dtype, device=xyz.device)
    return cost.index_add_(0, points.point, lets_go(CUT).value((residual**2).sum(-1)) + 1e3 * (cam[:, 2] < 0.05))
