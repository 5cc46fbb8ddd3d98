"""The camera trajectory as the paper writes it: screw axes from two MLPs over time, one constant theta, frames chained (Eqs. 4-8)."""

from __future__ import annotations

import math

import torch
from torch import nn

INIT_SIGMA = 1e-6  # every camera parameter starts from N(0, INIT_SIGMA), paper Sec. 3.2
OCTAVES = 5  # Fourier features of t; the finest has a period of 2^-4 of the shot


def skew(w):
    """Cross-product matrices (..., 3, 3) of (..., 3)."""
    x, y, z = w.unbind(-1)
    o = torch.zeros_like(x)
    return torch.stack([o, -z, y, z, o, -x, -y, x, o], -1).reshape(w.shape[:-1] + (3, 3))


def se3_exp(w, v, theta):
    """SE(3) exponential exp([S] theta) of screw axes S = (w, v); the standard form, which corrects the misprint of Eq. 4.

    w, v: (..., 3); |w| need not be 1: its norm is folded into theta (and v scaled with it). theta: scalar tensor or (...,).
    Returns (..., 4, 4) = [[R, G v], [0, 1]] with R = I + sin [w] + (1 - cos) [w]^2 and G = I theta + (1 - cos) [w] + (theta - sin) [w]^2.
    Written in the products w theta and v theta, whose series are smooth at zero.
    """
    theta = torch.as_tensor(theta, dtype=w.dtype, device=w.device)[..., None]
    phi, rho = w * theta, v * theta
    a2 = (phi * phi).sum(-1)[..., None, None]
    small = a2 < 1e-4
    safe = torch.where(small, torch.ones_like(a2), a2)
    a = safe.sqrt()
    A = torch.where(small, 1 - a2 / 6 + a2**2 / 120, torch.sin(a) / a)
    B = torch.where(small, 0.5 - a2 / 24 + a2**2 / 720, (1 - torch.cos(a)) / safe)
    C = torch.where(small, 1 / 6 - a2 / 120 + a2**2 / 5040, (a - torch.sin(a)) / (safe * a))
    W = skew(phi)
    W2 = W @ W
    eye = torch.eye(3, dtype=w.dtype, device=w.device)
    R = eye + A * W + B * W2
    t = (eye + B * W + C * W2) @ rho[..., None]
    bottom = torch.tensor([0, 0, 0, 1.0], dtype=w.dtype, device=w.device).expand(R.shape[:-2] + (1, 4))
    return torch.cat([torch.cat([R, t], -1), bottom], -2)


class TimeMLP(nn.Module):
    """f_W or f_V: time in [0, 1] to a 3-vector. The last layer starts at N(0, INIT_SIGMA), so the start camera is where it begins."""

    def __init__(self, hidden=64):
        super().__init__()
        self.layers = nn.Sequential(
            nn.Linear(1 + 2 * OCTAVES, hidden), nn.Softplus(beta=10), nn.Linear(hidden, hidden), nn.Softplus(beta=10), nn.Linear(hidden, 3)
        )
        nn.init.normal_(self.layers[-1].weight, std=INIT_SIGMA)
        nn.init.normal_(self.layers[-1].bias, std=INIT_SIGMA)

    def forward(self, t):
        """t (T,) -> (T, 3)."""
        octaves = math.pi * 2.0 ** torch.arange(OCTAVES, dtype=t.dtype, device=t.device)
        angle = t[:, None] * octaves
        return self.layers(torch.cat([t[:, None], torch.sin(angle), torch.cos(angle)], -1))


class CameraChain(nn.Module):
    """c_1 = exp([S_1] theta) ĉ_1 (Eq. 5); c_t = exp([S_t] theta) Â_t c_{t-1} with S_t = S_1' + (f_W(t), f_V(t)) (Eqs. 6-8).

    The paper chains from the frame before and so forgets Ĉ after its first frame: Â_t = I. With `follow_start` the step of the start
    camera Â_t = ĉ_t ĉ_{t-1}^-1 stays in the chain and the MLPs hold what corrects it; the chain then begins exactly at Ĉ.
    What the MLPs are too smooth for, the shake of a start camera that was fitted frame by frame, a twist upon each frame mends, in the
    camera's own axes; only the jerk of the whole (`stage.smooth`) holds it.
    Poses are T_world_from_cam with the origin moved to ĉ_1's centre, so that turning does not move the camera through a long lever.

    turning_only: the camera keeps its centre (a tripod pan): f_V and every v are left out.
    """

    def __init__(self, start, turning_only=False, follow_start=True, theta=0.1):
        """start: (T, 4, 4) Ĉ, float64."""
        super().__init__()
        self.register_buffer("origin", start[0, :3, 3].clone())
        local = start.clone()
        local[:, :3, 3] -= self.origin
        self.register_buffer("first", local[0])
        steps = local[1:] @ torch.linalg.inv(local[:-1])
        if not follow_start:
            steps = torch.eye(4, dtype=start.dtype).expand(len(start) - 1, 4, 4).clone()
        self.register_buffer("steps", steps)
        self.register_buffer("t", torch.linspace(0, 1, len(start), dtype=start.dtype))
        self.turning_only = turning_only
        self.theta = nn.Parameter(torch.tensor(theta, dtype=start.dtype))
        normal = lambda: nn.Parameter(torch.randn(3, dtype=start.dtype) * INIT_SIGMA)
        self.w_first, self.v_first = normal(), normal()  # Eq. 5: ĉ_1 to c_1
        self.w1, self.v1 = normal(), normal()  # Eq. 7
        self.f_w, self.f_v = TimeMLP().to(start.dtype), TimeMLP().to(start.dtype)
        twists = lambda: nn.Parameter(torch.zeros(len(start), 3, dtype=start.dtype)) if follow_start else None
        self.w_frame, self.v_frame = twists(), twists()

    def first_pose(self):
        """c_1 (4, 4) in the recentred world."""
        v = torch.zeros_like(self.v_first) if self.turning_only else self.v_first
        return se3_exp(self.w_first, v, self.theta) @ self.first

    def screws(self):
        """w_t, v_t (T - 1, 3) of frames 2..T (Eq. 7)."""
        t = self.t[1:]
        w, v = self.w1 + self.f_w(t), self.v1 + self.f_v(t)
        return w, torch.zeros_like(v) if self.turning_only else v

    def forward(self):
        """T_world_from_cam (T, 4, 4)."""
        pose = self.first_pose()
        poses = [pose]
        if len(self.steps):
            w, v = self.screws()
            for step in (se3_exp(w, v, self.theta) @ self.steps).unbind(0):
                pose = step @ pose
                poses.append(pose)
        out = torch.stack(poses)
        if self.w_frame is not None:
            out = out @ se3_exp(self.w_frame, torch.zeros_like(self.v_frame) if self.turning_only else self.v_frame, 1.0)
        shift = torch.zeros_like(out)
        shift[:, :3, 3] = self.origin
        return out + shift
