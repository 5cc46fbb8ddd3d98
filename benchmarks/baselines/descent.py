"""The camera trajectory in the paper's own parameters, by first-order descent: two networks over time and one theta (Eqs. 4-8).

The product solves for a screw a frame by least squares (solver/film/stage.py); this is what it is compared with.
"""

from __future__ import annotations

import math

import numpy as np
import torch
from torch import nn

from solver.film import stage
from solver.film.chain import se3_exp
from solver.film.losses import CUT, invert
from solver.film.stage import SIGMA_JERK
from solver.protocol import Reporter

INIT_SIGMA = 1e-6  # every camera parameter starts from N(0, INIT_SIGMA), paper Sec. 3.2
OCTAVES = 5  # Fourier features of t; the finest has a period of 2^-4 of the shot
STEPS_FIRST, STEPS = 60, 500
STEPS_COMPOSITION = 60  # the last steps look at the picture too: L_c sees only a few pixels far
LEARNING_RATE = {"chain": 2e-3, "points": 1e-3, "focal": 1e-3}
WIDE = 16.0  # how much wider the robust cut is at first
RAYS = 800  # a step


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


def few(composition, level):
    """A draw of RAYS pixels."""
    drawn = composition.draw(level)
    drawn.rows = drawn.rows[torch.randint(len(drawn.rows), (RAYS,), generator=composition.generator).to(drawn.rows.device)]
    return drawn


def scaled_focal(K, log_focal):
    """K (T, 3, 3) with its focal lengths times exp(log_focal)."""
    out = K.clone()
    out[:, [0, 1], [0, 1]] = K[:, [0, 1], [0, 1]] * log_focal.exp()
    return out


def optimise(problem: stage.Problem, chain, report: Reporter) -> stage.Solution:
    """First frame alone (Eq. 5), then the whole trajectory (Eq. 8)."""
    joints, points, composition = problem.joints, problem.points, problem.composition
    K0, xyz0 = problem.K0, problem.xyz0
    depth = (xyz0 - chain.origin).norm(dim=-1, keepdim=True) if len(xyz0) else xyz0[:, :1]
    move = torch.zeros_like(xyz0).requires_grad_()
    log_focal = torch.zeros((), dtype=K0.dtype, device=K0.device, requires_grad=True)
    first = joints.part(joints.frame == 0), points.part(points.frame == 0)
    optimiser = torch.optim.Adam([chain.w_first, chain.v_first], lr=LEARNING_RATE["chain"])
    for _ in range(STEPS_FIRST if len(first[0].frame) + len(first[1].frame) >= 6 else 0):
        optimiser.zero_grad()
        T_cam = invert(chain.first_pose()[None] + _shift(chain))
        loss = first[0].loss(T_cam, K0[:1]) + first[1].loss(T_cam, K0[:1], xyz0)
        loss.backward()
        optimiser.step()
    groups = [
        {"params": chain.parameters(), "lr": LEARNING_RATE["chain"]},
        {"params": [move], "lr": LEARNING_RATE["points"]},
        {"params": [log_focal] if problem.focal_sigma else [], "lr": LEARNING_RATE["focal"]},
    ]
    groups = [g for g in groups if g["params"]]
    optimiser = torch.optim.Adam(groups, betas=(0.9, 0.99))
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, [g["lr"] for g in groups], total_steps=STEPS, pct_start=0.2)
    history = []
    for index in range(STEPS):
        optimiser.zero_grad()
        T = chain()
        T_cam, K = invert(T), scaled_focal(K0, log_focal)
        cut = CUT * max(1.0, WIDE ** (1 - 2 * index / STEPS))  # coarse to fine: at first nothing counts as wrong
        terms = [
            joints.loss(T_cam, K, cut),
            points.loss(T_cam, K, xyz0 + move * depth, cut),
            smooth(T, problem.fps),
            (log_focal / max(problem.focal_sigma, 1e-3)) ** 2,
        ]
        looked = index - (STEPS - STEPS_COMPOSITION)
        if composition is not None and len(composition) and looked >= 0:
            terms.append(composition.loss(few(composition, 3 * looked // STEPS_COMPOSITION), T, K))
        else:
            terms.append(torch.zeros_like(terms[0]))
        loss = torch.stack(terms).sum()
        loss.backward()
        optimiser.step()
        schedule.step()
        history.append([t.item() for t in terms])
        report.progress(index, STEPS)
    with torch.no_grad():
        return stage.Solution(chain(), scaled_focal(K0, log_focal), xyz0 + move * depth, np.array(history))


def _shift(chain):
    out = torch.zeros(1, 4, 4, dtype=chain.origin.dtype, device=chain.origin.device)
    out[0, :3, 3] = chain.origin
    return out


def smooth(T, fps):
    """Change of acceleration of centre and axes, (T, 4, 4) -> scalar, in units of SIGMA_JERK a frame."""
    if len(T) < 4:
        return T.sum() * 0
    jerk = (T[3:, :3] - 3 * T[2:-1, :3] + 3 * T[1:-2, :3] - T[:-3, :3]) * (fps**2 / SIGMA_JERK)
    return (jerk**2).sum() / 2
