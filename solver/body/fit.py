"""SMPL fitted to detections over a whole shot: the variables and the energy that *body* (S_c) and *world* (f_H) share.

Everything lives in one frame W, in which the camera pose is known (up to the scale of its path, in *world*). All frames of all
people are solved in one call; terms are sums of squares over physical standard deviations, made robust where detectors err.
"""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np
import roma
import torch
from scipy.fft import dct

from .prior import PosePrior

# Standard deviations. Pixels are turned into metres at the person's depth, so that near and far people weigh the same.
SIGMA_2D = 0.025  # m, a keypoint's error in the image plane
SIGMA_3D = 0.2  # m, the network's 3D joints: a weak prior (PA error about 0.1 m, and wrong for long stretches)
SIGMA_ACCELERATION = 9.0  # m/s^2, joints about the root
SIGMA_ROOT_ACCELERATION = 3.5  # m/s^2
SIGMA_HEIGHT = 0.01  # m, standing height given by the artist
SIGMA_SPEED = 4.0  # rad/s, joints against their parents: what nobody sees keeps still and does not run on
SIGMA_BUST = 0.1  # rad, the trunk of a bust against the picture's vertical
SIGMA_TURN = 60.0  # rad/s^2, change of turning of every joint
ARMS = 17  # first of elbows, wrists and hands, SMPL's last six joints; the root not counted
# A shape is seen through errors that repeat from frame to frame (detector, clothes), so its prior counts once per frame.
WEIGHT_SHAPE = 0.5
WEIGHT_POSE = 2.0  # and so for the pose: errors of detections repeat from one joint and frame to the next
SLOW = 0.36  # 1/frame^2, curvature of the cosines in time from which on smoothness outweighs what the pictures say
SHARED = 0.3  # of a step: variables that all frames of a track, or all tracks, hang on


def trust(confidence):
    """A detector's score as a weight: steep at first, because a joint found at 0.3 lies where it should nearly as often as one at 0.8."""
    return confidence / (confidence + 0.25) * 1.25 * (confidence > 0.08)


def robust(squared, scale=3.0):
    """Geman-McClure on squared normalised residuals: grows as the square below `scale` sigmas, then levels at scale^2."""
    s2 = scale * scale
    return squared * s2 / (squared + s2)


def huber(squared, scale):
    """Pseudo-Huber on squared normalised residuals: as the square below `scale` sigmas, then a line. It never lets go: a body may
    not jump about in depth, however unsure its depth is."""
    return 2 * scale**2 * (torch.sqrt(1 + squared / scale**2) - 1)


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

    @classmethod
    def of(cls, tracks, T_w_from_cam, K, fps, dtype=torch.float32):
        visible = torch.as_tensor(tracks.visible)
        index = torch.arange(visible.shape[1])
        first = torch.where(visible, index, visible.shape[1]).amin(1, keepdim=True)
        last = torch.where(visible, index, -1).amax(1, keepdim=True)
        kp2, kp3 = torch.as_tensor(tracks.keypoints_2d, dtype=dtype), torch.as_tensor(tracks.keypoints_3d, dtype=dtype)
        kp2, kp3 = torch.nan_to_num(kp2), torch.nan_to_num(kp3)
        return cls(
            kp2[..., :2], trust(kp2[..., 2]) * visible[..., None], kp3[..., :3], kp3[..., 3] * visible[..., None],
            (index >= first) & (index <= last), torch.as_tensor(T_w_from_cam[:, :3, :3].copy(), dtype=dtype),
            torch.as_tensor(K, dtype=dtype), fps,
        )  # fmt: skip

    @property
    def bust(self):
        """(P, T) bool: within the span, and no hip is seen."""
        return self.span & (self.confidence[..., 11:13].amax(-1) < 0.1)


class Bodies:
    """The variables: one shape a person, a rotation per joint and a root position per frame, in W.

    Root rotations are kept as a fixed rotation times exp of a small variable, so that no track meets the wrap of rotvecs.
    """

    def __init__(self, model, betas, R_root, body_pose, root):
        """betas (P, 10), R_root (P, T, 3, 3), body_pose (P, T, 23, 3) rotvec, root (P, T, 3) pelvis from the camera's centre, m, in W's axes.

        Counting the root from the camera lets the scale of the camera's path change without moving anybody in the picture.
        """
        self.model = model
        self.R_root = R_root.detach().clone()
        self.betas = betas.detach().clone().contiguous().requires_grad_()
        self.turn = torch.zeros(root.shape).requires_grad_()
        self.body_pose = body_pose.detach().clone().contiguous().requires_grad_()
        self.place = root.detach().clone().contiguous().requires_grad_()
        self.reach = torch.zeros(len(root)).requires_grad_()  # log factor on a whole track's distance: one fast way out of a slow valley

    def parameters(self):
        return [self.betas, self.turn, self.body_pose, self.place, self.reach]

    @property
    def root(self):
        """Pelvis (P, T, 3) from the camera's centre, m, in W's axes."""
        return self.place * self.reach.exp()[:, None, None]

    def size(self):
        """Size (P,) against the mean body: head to pelvis to ankle along the rest skeleton."""
        def length(betas):
            rest, _ = self.model.rest(betas)
            return (rest[..., 15, :] - rest[..., 0, :]).norm(dim=-1) + (rest[..., 1, :] - rest[..., 7, :]).norm(dim=-1)

        return length(self.betas) / length(torch.zeros_like(self.betas))

    def rotations(self):
        """(P, T, 24, 3, 3)."""
        root = rotvec_to_matrix(self.turn) @ self.R_root
        return torch.cat([root[:, :, None], rotvec_to_matrix(self.body_pose)], 2)

    def forward(self):
        """Where the pelvis faces (P, T, 3), in W: SMPL's +z."""
        return (rotvec_to_matrix(self.turn) @ self.R_root)[..., 2]

    def pose(self, centre):
        """Bones (P, T, 24, 4, 4) from the rest body, joints (P, T, 24, 3), keypoints (P, T, K, 3) and rotations (P, T, 24, 3, 3), in W.

        centre: (T, 3) of the camera in W.
        """
        R = self.rotations()
        rest, _ = self.model.rest(self.betas)
        betas = self.betas[:, None].expand(-1, R.shape[1], -1)
        bones, joints, keypoints = self.model.fk_matrices(betas, R, self.root + centre - rest[:, None, 0])
        return bones, joints, keypoints, R


def rotvec_to_matrix(v):
    """Rodrigues' formula (..., 3) -> (..., 3, 3), smooth at zero."""
    t2 = (v * v).sum(-1)[..., None, None]
    small = t2 < 1e-6
    t2s = torch.where(small, torch.ones_like(t2), t2)
    t = t2s.sqrt()
    a = torch.where(small, 1 - t2 / 6, torch.sin(t) / t)
    b = torch.where(small, 0.5 - t2 / 24, (1 - torch.cos(t)) / t2s)
    x, y, z = v.unbind(-1)
    o = torch.zeros_like(x)
    W = torch.stack([o, -z, y, z, o, -x, -y, x, o], -1).reshape(v.shape[:-1] + (3, 3))
    return torch.eye(3, dtype=v.dtype, device=v.device) + a * W + b * (W @ W)


def to_camera(points, R_w_from_cam, centre):
    """Points (P, T, N, 3) of W into camera axes; centre (T, 3) of the camera in W."""
    return torch.einsum("tji,ptnj->ptni", R_w_from_cam, points - centre[:, None])


def pixels(points_cam, K):
    """Camera points (P, T, N, 3) to px; depths are kept from the camera's plane so that gradients stay finite."""
    z = points_cam[..., 2:].clamp_min(0.1)
    uv = torch.einsum("tij,ptnj->ptni", K, points_cam / z)
    return uv[..., :2]


def term_2d(evidence, keypoints_cam, widen=1.0):
    """Reprojection against the detected joints, robust, weighted by confidence; in units of SIGMA_2D at the person's depth."""
    residual = (pixels(keypoints_cam, evidence.K) - evidence.xy) * (evidence.metres_per_px / SIGMA_2D)[..., None, None]
    return (evidence.confidence * robust((residual**2).sum(-1), 10.0 * widen)).sum()


def term_3d(evidence, keypoints_cam, widen=1.0):
    """The network's 3D joints about the mid hip, as a weak prior on depth order; their size, one factor a person, says nothing.

    Where no hip is seen they are taken about the middle of the shoulders.
    """
    hips = (evidence.confidence_3d[..., 11:13].amax(-1) > 0)[..., None, None]

    def centred(points):
        return points - torch.where(hips, points[..., 11:13, :].mean(-2, keepdim=True), points[..., 5:7, :].mean(-2, keepdim=True))

    about, seen = centred(keypoints_cam), centred(evidence.xyz)
    w = evidence.confidence_3d[..., None]
    size = (w * about * seen).sum((1, 2, 3)) / (w * about**2).sum((1, 2, 3)).clamp_min(1e-6)
    squared = ((size[:, None, None, None] * about - seen) ** 2).sum(-1) / SIGMA_3D**2
    return (evidence.confidence_3d * robust(squared, 3.0 * widen)).sum()


def term_smooth(evidence, joints, R, size):
    """Accelerations of the joints about the root, of the root, and of the joints' turning, within each person's span.

    Beyond a cut, trunk and legs are let go, as who runs goes there; arms are not, for what goes there is a jump between two guesses of
    their depth. size (P,): the body's size against the mean body's. Metres count in body sizes, so that no one gets smoother by shrinking.
    """
    joints = joints / size[:, None, None, None]
    both = (evidence.span[:, 2:] & evidence.span[:, :-2]).to(joints.dtype)
    fps2 = evidence.fps**2
    about = joints[:, :, 1:] - joints[:, :, :1]
    acceleration = (about[:, 2:] - 2 * about[:, 1:-1] + about[:, :-2]) * (fps2 / SIGMA_ACCELERATION)
    limbs = (acceleration**2).sum(-1)
    root = joints[:, :, 0]
    root_acceleration = (root[:, 2:] - 2 * root[:, 1:-1] + root[:, :-2]) * (fps2 / SIGMA_ROOT_ACCELERATION)
    turning = (R[:, 2:] - 2 * R[:, 1:-1] + R[:, :-2]) * (fps2 / SIGMA_TURN)
    return (
        (both[..., None] * torch.cat([robust(limbs[..., :ARMS], 4.0), huber(limbs[..., ARMS:], 2.0)], -1)).sum()
        + (both * huber((root_acceleration**2).sum(-1), 4.0)).sum() * 3
        + 0.5 * (both[..., None] * (turning**2).sum((-1, -2))).sum()
    )


def term_quiet(evidence, body_pose):
    """Speed of every joint against its parent, (P, T, 23, 3) rotvec."""
    both = (evidence.span[:, 1:] & evidence.span[:, :-1]).to(body_pose.dtype)
    speed = (body_pose[:, 1:] - body_pose[:, :-1]) * (evidence.fps / SIGMA_SPEED)
    return 0.5 * (both[..., None] * robust((speed**2).sum(-1), 3.0)).sum()


def term_bust(evidence, joints):
    """Where no hip is seen, the trunk stands upright in the picture: how it leans towards the camera cannot be seen."""
    trunk = torch.nn.functional.normalize(joints[..., 12, :] - joints[..., 0, :], dim=-1)
    cosine = -torch.einsum("ptj,tj->pt", trunk, evidence.R_w_from_cam[..., 1])
    return (evidence.bust * huber(2 * (1 - cosine) / SIGMA_BUST**2, 2.0)).sum()


def bend_limits(body_pose):
    """Knees do not bend forward, elbows not backward: squared radians past the limit, in units of 0.1 rad."""
    knees = torch.relu(-body_pose[:, :, [3, 4], 0] - 0.05)
    left, right = torch.relu(body_pose[:, :, 17, 1] - 0.05), torch.relu(-body_pose[:, :, 18, 1] - 0.05)
    return ((knees**2).sum() + (left**2).sum() + (right**2).sum()) / 0.1**2


class Energy:
    """Sum of the terms that hold in any frame W. Call it with the camera centres (T, 3) in W."""

    def __init__(self, evidence: Evidence, prior: PosePrior, heights=None):
        """heights: (P,) m, standing heights that the artist gave, NaN where none; or None."""
        self.evidence = evidence
        self.prior = prior
        self.heights = torch.as_tensor(heights if heights is not None else [], dtype=torch.float32)

    def __call__(self, bodies: Bodies, centre, weight_3d=1.0, widen=1.0):
        """widen: factor on the robust terms' cuts; far from the solution nothing should count as an outlier."""
        bones, joints, keypoints, R = bodies.pose(centre)
        e = self.evidence
        cam = to_camera(keypoints, e.R_w_from_cam, centre)
        in_front = torch.relu(0.3 - cam[..., 2]).sum() * 1e3
        total = (
            term_2d(e, cam, widen)
            + weight_3d * term_3d(e, cam, widen)
            + term_smooth(e, joints, R, bodies.size())
            + WEIGHT_POSE * (self.prior(bodies.body_pose) * e.span).sum()
            + term_quiet(e, bodies.body_pose)
            + term_bust(e, joints)
            + bend_limits(bodies.body_pose)
            + (bodies.betas**2).sum() * (WEIGHT_SHAPE * len(e.K))
            + in_front
            + self.term_height(bodies)
        )
        return total, bones, joints, keypoints

    def term_height(self, bodies):
        """A height that was given holds to SIGMA_HEIGHT, as often as there are frames."""
        known = torch.isfinite(self.heights)
        if not known.any():
            return 0.0
        off = bodies.model.height_m(bodies.betas[known]) - self.heights[known]
        return ((off / SIGMA_HEIGHT) ** 2).sum() * len(self.evidence.K)


@contextmanager
def one_thread():
    """The tensors of a fit are small: a second thread only waits."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(threads)


def descend(parameters, closure, steps, tick, lr=0.04):
    """Adam with one cycle of learning rates: from a rough start it has rolled out of valleys in which L-BFGS ended."""
    optimiser = torch.optim.Adam(parameters, lr=lr, betas=(0.9, 0.98))
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, lr, total_steps=steps, pct_start=0.2)
    with one_thread():
        for index in range(steps):
            tick(index)
            optimiser.zero_grad()
            closure().backward()
            optimiser.step()
            schedule.step()


def minimise(parameters, closure, steps, tick, history=100):
    """L-BFGS with a strong Wolfe line search over cosines in time; `tick(i)` is called after each outer step (progress and stops).

    parameters: tensors to change in place; those of three and more axes have frames as their second. closure: () -> scalar loss.

    Smoothness holds a track's cosines by the fourth power of their frequency, and what a whole track or world hangs on counts in every
    frame. In the units of `_units` the loss is more evenly steep: 8 steps end lower than 32 without (benchmarks/RESULTS.md).
    """
    start = [p.detach().clone() for p in parameters]
    change = [torch.zeros_like(p).requires_grad_() for p in parameters]
    units = [_units(p) for p in parameters]
    optimiser = torch.optim.LBFGS(change, lr=1.0, max_iter=10, history_size=history, line_search_fn="strong_wolfe",
                                  tolerance_change=1e-7, tolerance_grad=1e-6)  # fmt: skip

    @torch.no_grad()
    def put():
        for p, at, unit, by in zip(parameters, start, units, change):
            p.copy_(at + unit(by))

    def step():
        put()
        loss = closure()
        for by, unit, gradient in zip(change, units, torch.autograd.grad(loss, parameters)):
            by.grad = unit(gradient).contiguous()  # units are symmetric
        return loss

    before = None
    with one_thread():
        for index in range(steps):
            tick(index)
            loss = optimiser.step(step).item()
            if before is not None and before - loss < 1e-4 * abs(before):
                break
            before = loss
        put()


def _units(parameter):
    """Symmetric linear map from a variable's change in units that suit L-BFGS to its change."""
    if parameter.dim() < 2:
        return lambda by: SHARED * by
    if parameter.dim() == 2:
        return lambda by: by
    frames = parameter.shape[1]
    cosines = torch.as_tensor(dct(np.eye(frames), norm="ortho", axis=0), dtype=parameter.dtype)
    curvature = 2 - 2 * torch.cos(torch.pi * torch.arange(frames) / frames)  # of a cosine, per frame^2
    smooth = cosines.T @ (cosines / torch.sqrt(1 + (curvature / SLOW) ** 2)[:, None])
    return lambda by: torch.einsum("ts,ps...->pt...", smooth, by)


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
