"""Stage *film*: differentiable filming. The camera that makes S_w look like the picture: C* (paper Sec. 3)."""

from __future__ import annotations

import numpy as np
import torch

from ..fit import one_thread
from ..options import Options
from ..protocol import Reporter
from ..records import Camera, Film, Shot, Slam, Tracks, World
from ..world import posed
from .chain import CameraChain
from .composition import Composition
from .field import BodyField
from .losses import CUT, SIGMA_POINT, Joints, Points, invert, triangulate

STEPS_FIRST, STEPS = 60, 500
STEPS_COMPOSITION = 60  # the last steps look at the picture too: L_c sees only a few pixels far
LEARNING_RATE = {"chain": 2e-3, "points": 1e-3, "focal": 1e-3}
HELD_OUT = 5  # every fifth track and joint judges and does not pull
WIDE = 16.0  # how much wider the robust cut is at first
SIGMA_JERK = 3.0  # m/s^2 and rad/s^2 from frame to frame: only what no film camera does is held back


def run(shot: Shot, tracks: Tracks, slam: Slam, start: World, masks, model, fps: float, options: Options, report: Reporter) -> Film:
    """Optimise the camera under L = L_c + L_j + L_b, then keep it only where held-out evidence says that it is better than Ĉ.

    masks: index -> (H, W) instance mask of the video.
    """
    torch.manual_seed(options.seed)
    device, dtype = torch.device(options.device), torch.float64
    camera = start.camera
    T0 = torch.as_tensor(camera.T_world_from_cam, dtype=dtype, device=device)
    K0 = torch.as_tensor(camera.K, dtype=dtype, device=device)
    xyz0 = torch.as_tensor(start.points_world, dtype=dtype, device=device)
    joints = observed_joints(tracks, start, model, dtype, device)
    points = Points(
        torch.as_tensor(slam.obs_frame, device=device).long(), torch.as_tensor(slam.obs_point, device=device).long(),
        torch.as_tensor(slam.obs_xy, dtype=dtype, device=device), SIGMA_POINT * shot.width / 640,
    )  # fmt: skip
    generator = torch.Generator().manual_seed(options.seed)
    joint_out = (torch.randint(HELD_OUT, (len(joints.frame),), generator=generator) == 0).to(device)
    point_out = (torch.randint(HELD_OUT, (len(xyz0),), generator=generator) == 0).to(device)[points.point]
    held = (joints.part(joint_out), points.part(point_out))
    if slam.verdict == "static" or (len(joints.frame) == 0 and len(points.frame) == 0):
        reason = heldout(held, T0, K0, xyz0)
        return Film(camera, start.points_world, "start", reason, reason, np.zeros((0, 0)), [])
    chain = CameraChain(T0, turning_only=slam.verdict == "rotation")
    fit = (joints.part(~joint_out), points.part(~point_out))
    focal_free = slam.focal_source != "given"
    composition = None
    if options.quality == "preview":
        report.warn("Preview quality: the camera was not compared with the people's silhouettes.")
    elif len(joints.frame):
        report.progress(0, STEPS, "Building the people's radiance field")
        composition = compose(start, masks, model, device, generator)
    with one_thread():
        history, xyz, log_focal = optimise(chain, fit, composition, K0, xyz0, focal_free, slam.focal_sigma, fps, report)
    with torch.no_grad():
        T, K = chain(), scaled_focal(K0, log_focal)
    before, after = heldout(held, T0, K0, xyz0), heldout(held, T, K, xyz)
    if composition is not None and len(composition):
        before["composition"], after["composition"] = composition.heldout(T0, K0), composition.heldout(T, K)
    if sum(after.values()) >= sum(before.values()):
        return Film(camera, start.points_world, "start", before, after, history, TERMS)
    return Film(Camera(T.cpu().numpy(), K.cpu().numpy()), xyz.cpu().numpy(), "optimised", before, after, history, TERMS)


TERMS = ["joints", "points", "smooth", "focal", "composition"]


def compose(world: World, masks, model, device, generator) -> Composition:
    """f_D of S_w and the pixels to compare it by."""
    people = world.people
    field = BodyField.from_people(model, people.betas, people.poses, people.trans, people.visible, device=device)
    joints, _, _ = posed(people, model)
    cam = np.einsum("tji,ptj->pti", world.camera.T_world_from_cam[:, :3, :3], joints[:, :, 0] - world.camera.T_world_from_cam[:, :3, 3])
    metres_per_px = np.clip(cam[..., 2], 0.3, None) / world.camera.K[:, 0, 0]
    return Composition(field, masks, people.ids, people.visible, metres_per_px, generator, HELD_OUT)


def observed_joints(tracks: Tracks, world: World, model, dtype, device) -> Joints:
    """Every detected keypoint beside its place on the solved body."""
    _, keypoints, _ = posed(world.people, model)
    confidence = tracks.keypoints_2d[..., 2] * tracks.visible[..., None]
    p, t, k = np.nonzero(confidence > 0.1)
    pick = lambda a: torch.as_tensor(a, dtype=dtype, device=device)
    return Joints(
        torch.as_tensor(t, device=device), pick(keypoints[p, t, k]), pick(tracks.keypoints_2d[p, t, k, :2]), pick(confidence[p, t, k])
    )


def scaled_focal(K, log_focal):
    """K (T, 3, 3) with its focal lengths times exp(log_focal)."""
    out = K.clone()
    out[:, [0, 1], [0, 1]] = K[:, [0, 1], [0, 1]] * log_focal.exp()
    return out


def optimise(chain: CameraChain, fit, composition, K0, xyz0, focal_free, focal_sigma, fps, report):
    """First frame alone (Eq. 5), then the whole trajectory (Eq. 8). Returns the loss history (steps, terms), points and log focal."""
    joints, points = fit
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
        {"params": [log_focal] if focal_free else [], "lr": LEARNING_RATE["focal"]},
    ]
    optimiser = torch.optim.Adam([g for g in groups if g["params"]], betas=(0.9, 0.99))
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, [g["lr"] for g in groups if g["params"]], total_steps=STEPS, pct_start=0.2)
    history = []
    for index in range(STEPS):
        optimiser.zero_grad()
        T = chain()
        T_cam, K = invert(T), scaled_focal(K0, log_focal)
        cut = CUT * max(1.0, WIDE ** (1 - 2 * index / STEPS))  # coarse to fine: at first nothing counts as wrong
        terms = [
            joints.loss(T_cam, K, cut),
            points.loss(T_cam, K, xyz0 + move * depth, cut),
            smooth(T, fps),
            (log_focal / max(focal_sigma, 1e-3)) ** 2,
        ]
        looked = index - (STEPS - STEPS_COMPOSITION)
        if composition is not None and len(composition) and looked >= 0:
            terms.append(composition.loss(T, K, 3 * looked // STEPS_COMPOSITION))
        else:
            terms.append(torch.zeros_like(terms[0]))
        loss = torch.stack(terms).sum()
        loss.backward()
        optimiser.step()
        schedule.step()
        history.append([t.item() for t in terms])
        report.progress(index, STEPS, f"loss {loss.item():.0f}")
    with torch.no_grad():
        return np.array(history), xyz0 + move * depth, log_focal.detach()


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


def heldout(held, T_world_from_cam, K, xyz) -> dict:
    """Mean robust residual of evidence that did not pull, in sigma^2: joints against S_w, points after their own triangulation."""
    joints, points = held
    T_cam = invert(T_world_from_cam)
    out = {}
    with torch.no_grad():
        if len(joints.frame):
            out["joints"] = float(joints.loss(T_cam, K) / len(joints.frame))
        if len(points.frame):
            out["points"] = float(points.loss(T_cam, K, triangulate(points, T_cam, K, xyz)) / len(points.frame))
    return out
