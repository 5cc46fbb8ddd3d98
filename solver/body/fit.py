"""What the pictures say of people, as tensors, and first guesses from it alone."""

from __future__ import annotations

from dataclasses import dataclass

import roma
import torch

from ..bundle.parts import Heads, Turned
from ..fingers import INDEX, PINKY, WRIST


def trust(confidence):
    """A detector's score as a weight: steep at first, because a joint found at 0.3 lies where it should nearly as often as one at 0.8."""
    return confidence / (confidence + 0.25) * 1.25 * (confidence > 0.08)


@dataclass
class Evidence:
    """What the pictures say, as tensors. P people, T frames, K keypoints."""

    xy: torch.Tensor  # (P, T, K, 2) px
    confidence: torch.Tensor  # (P, T, K)
    xyz: torch.Tensor  # (P, T, K, 3) m about the mid hip, camera axes
    confidence_3d: torch.Tensor  # (P, T, K)
    span: torch.Tensor  # (P, T) bool: between a person's first and last frame
    R_w_from_cam: torch.Tensor  # (T, 3, 3)
    K: torch.Tensor  # (T, 3, 3)
    fps: float
    metres_per_px: torch.Tensor | None = None  # (P, T) at the people's depth, fixed before the fit: a body must not gain by shrinking
    palms: Turned | None = None  # where hands are seen
    heads: Heads | None = None  # where faces are seen

    @classmethod
    def of(cls, tracks, T_w_from_cam, K, fps, dtype=torch.float64):
        visible = torch.as_tensor(tracks.visible)
        index = torch.arange(visible.shape[1])
        first = torch.where(visible, index, visible.shape[1]).amin(1, keepdim=True)
        last = torch.where(visible, index, -1).amax(1, keepdim=True)
        kp2, kp3 = torch.as_tensor(tracks.keypoints_2d, dtype=dtype), torch.as_tensor(tracks.keypoints_3d, dtype=dtype)
        kp2, kp3 = torch.nan_to_num(kp2), torch.nan_to_num(kp3)
        return cls(
            kp2[..., :2], trust(kp2[..., 2]) * visible[..., None], kp3[..., :3], kp3[..., 3] * visible[..., None],
            (index >= first) & (index <= last), torch.as_tensor(T_w_from_cam[:, :3, :3].copy(), dtype=dtype),
            torch.as_tensor(K, dtype=dtype), fps, palms=palms_of(tracks, K, dtype), heads=heads_of(tracks, K, dtype),
        )  # fmt: skip

    @property
    def legless(self):
        """(P, T) bool: within the span, and no ankle is seen."""
        return self.span & (self.confidence[..., 15:17].amax(-1) < 0.1)

    @property
    def bust(self):
        """(P, T) bool: within the span, and no hip is seen."""
        return self.span & (self.confidence[..., 11:13].amax(-1) < 0.1)


def palms_of(tracks, K, dtype=torch.float64) -> Turned | None:
    """How the palms that are seen are turned, in camera axes: their landmarks are those of a camera that looks straight at the hand. K: (T, 3, 3)."""
    if tracks.hands_3d is None:
        return None
    two, three = (torch.as_tensor(a, dtype=dtype) for a in (tracks.hands_2d, tracks.hands_3d))
    wrist, index, pinky = (three[..., k, :] for k in (WRIST, INDEX, PINKY))
    ways = torch.stack([(index + pinky) / 2 - wrist, index - pinky], -2)  # (P, T, 2, 2, 3)
    ways = ways @ _turn_to(_rays(two[..., :2].mean(-2), K)).mT
    weight = two[..., 0, 2] * torch.as_tensor(tracks.visible)[..., None]
    return Turned(ways / ways.norm(dim=-1, keepdim=True).clamp_min(1e-9), weight)


def heads_of(tracks, K, dtype=torch.float64) -> Heads | None:
    """How the heads whose faces are seen are turned, from SMPL's rest axes to the camera's. K: (T, 3, 3)."""
    if tracks.faces_3d is None:
        return None
    two, three = (torch.as_tensor(a, dtype=dtype) for a in (tracks.faces_2d, tracks.faces_3d))
    return Heads(_turn_to(_rays(two[..., :2], K)) @ three, two[..., 2] * torch.as_tensor(tracks.visible))


def _rays(xy, K):
    """Unit vectors (P, T, ..., 3) in camera axes through pixels (P, T, ..., 2). K: (T, 3, 3)."""
    inverse = torch.linalg.inv(torch.as_tensor(K, dtype=xy.dtype))
    ray = torch.einsum("tij,pt...j->pt...i", inverse, torch.cat([xy, torch.ones_like(xy[..., :1])], -1))
    return ray / ray.norm(dim=-1, keepdim=True)


def _turn_to(ray):
    """The shortest turn (..., 3, 3) of the axis z onto unit vectors (..., 3) before the camera."""
    x, y, z = ray.unbind(-1)
    a = 1 / (1 + z)
    rows = [1 - a * x * x, -a * x * y, x, -a * x * y, 1 - a * y * y, y, -x, -y, z]
    return torch.stack(rows, -1).unflatten(-1, (3, 3))


def to_camera(points, R_w_from_cam, centre):
    """Points (P, T, N, 3) of W into camera axes; centre (T, 3) of the camera in W."""
    return torch.einsum("tji,ptnj->ptni", R_w_from_cam, points - centre[:, None])


def pixels(points_cam, K):
    """Camera points (P, T, N, 3) to px; depths are kept from the camera's plane so that gradients stay finite."""
    z = points_cam[..., 2:].clamp_min(0.1)
    uv = torch.einsum("tij,ptnj->ptni", K, points_cam / z)
    return uv[..., :2]


def root_from_2d(keypoints_cam_about_root, xy, confidence, K):
    """Camera-frame root position that best explains the pixels of a rigid set of keypoints (linear least squares).

    keypoints_cam_about_root: (P, T, K, 3) m, xy (P, T, K, 2) px, confidence (P, T, K), K (T, 3, 3). Returns (P, T, 3).
    """
    n = torch.einsum("tij,ptkj->ptki", torch.linalg.inv(K), torch.cat([xy, torch.ones_like(xy[..., :1])], -1))[..., :2]
    X = keypoints_cam_about_root
    w = confidence[..., None]
    zero, one = torch.zeros_like(n[..., 0]), torch.ones_like(n[..., 0])
    A = torch.stack([torch.stack([one, zero, -n[..., 0]], -1), torch.stack([zero, one, -n[..., 1]], -1)], -2)
    b = n * X[..., 2:] - X[..., :2]
    A, b = (A * w[..., None]).flatten(2, 3), (b * w).flatten(2, 3)
    M = A.mT @ A + 1e-6 * torch.eye(3, dtype=A.dtype)
    return torch.linalg.solve(M, (A.mT @ b[..., None]))[..., 0]


def torso_rotation(rest_keypoints, xyz, confidence):
    """Rotation (…, 3, 3) that turns the rest torso (hips, shoulders) onto observed 3D keypoints (…, K, 3), by Kabsch."""
    torso = [5, 6, 11, 12]
    source = rest_keypoints[..., torso, :] - rest_keypoints[..., torso, :].mean(-2, keepdim=True)
    target = xyz[..., torso, :] - xyz[..., torso, :].mean(-2, keepdim=True)
    w = confidence[..., torso, None].clamp_min(1e-3)
    return roma.special_procrustes((target * w).mT @ source)
