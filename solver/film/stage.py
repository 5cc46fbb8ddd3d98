"""Stage *film*: differentiable filming. The camera that makes S_w look like the picture: C* (paper Sec. 3)."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import torch

from ..bundle.solve import threads
from ..options import Options
from ..protocol import Reporter
from ..records import Camera, Film, Shot, Slam, Tracks, World
from ..world.world import posed
from .chain import CameraChain
from .composition import Composition
from .field import BodyField
from .losses import CUT, SIGMA_POINT, Joints, Points, invert, triangulate
from .watch import Watch

STEPS_FIRST, STEPS = 60, 500
STEPS_COMPOSITION = 60  # the last steps look at the picture too: L_c sees only a few pixels far
LEARNING_RATE = {"chain": 2e-3, "points": 1e-3, "focal": 1e-3}
HELD_OUT = 5  # every fifth joint and pixel judges and does not pull
WIDE = 16.0  # how much wider the robust cut is at first
SIGMA_JERK = 3.0  # m/s^2 and rad/s^2 from frame to frame: only what no film camera does is held back
TERMS = ["joints", "points", "smooth", "focal", "composition"]
SHOWN = {"joints": "joints", "points": "points", "composition": "silhouettes"}  # the evidence, as an artist calls it


@dataclass
class Problem:
    """A start camera and the evidence that may move it. Tensors on the device of the solve; the camera in float64."""

    T0: torch.Tensor  # (T, 4, 4) Ĉ, world from camera
    K0: torch.Tensor  # (T, 3, 3) px
    xyz0: torch.Tensor  # (N, 3) m, background points
    joints: Joints
    points: Points
    judging_joints: Joints
    judging_points: Points
    composition: Composition | None
    turning_only: bool
    focal_sigma: float  # of the log focal length; 0 where it was given
    fps: float


@dataclass
class Solution:
    """A camera that was found, its points, and how the loss fell."""

    T: torch.Tensor
    K: torch.Tensor
    xyz: torch.Tensor
    history: np.ndarray = field(default_factory=lambda: np.zeros((0, len(TERMS))))


def run(
    shot: Shot, tracks: Tracks, slam: Slam, start: World, masks, model, fps: float, options: Options, report: Reporter,
    watch: Watch | None = None,
) -> Film:  # fmt: skip
    """Optimise the camera under L = L_c + L_j + L_b, then keep it only where the judging evidence says that it is better than Ĉ.

    masks: index -> (H, W) instance mask of the video.
    """
    problem = pose_problem(shot, tracks, slam, start, masks, model, fps, options, report)
    if slam.verdict == "static" or (len(problem.joints.frame) == 0 and len(problem.points.frame) == 0):
        return judge(problem, None, start)
    chain = CameraChain(problem.T0, turning_only=problem.turning_only)
    with threads(1):
        solution = optimise(problem, chain, report, watch)
    return judge(problem, solution, start)


def pose_problem(shot, tracks, slam, start, masks, model, fps, options, report) -> Problem:
    """Gather the evidence: a fifth of it is put aside to judge, but for tracks that Ĉ was fitted to.

    Ĉ has fitted itself to its own tracks' errors, the more so where windows overlap. Put aside, they would favour it by that; so all
    of them pull on C* too, and all judge. A known camera comes from elsewhere: there a fifth of the tracks pulls on neither.
    """
    torch.manual_seed(options.seed)
    device, dtype = torch.device(options.device), torch.float64
    pick = lambda a: torch.as_tensor(a, dtype=dtype, device=device)
    joints = observed_joints(tracks, start, model, dtype, device)
    points = Points(
        torch.as_tensor(slam.obs_frame, device=device).long(), torch.as_tensor(slam.obs_point, device=device).long(),
        pick(slam.obs_xy), SIGMA_POINT * shot.width / 640,
    )  # fmt: skip
    generator = torch.Generator().manual_seed(options.seed)
    joint_out = (torch.randint(HELD_OUT, (len(joints.frame),), generator=generator) == 0).to(device)
    judging = points
    if "T_known_from_slam" in slam.verdict_scores:
        out = (torch.randint(HELD_OUT, (len(start.points_world),), generator=generator) == 0).to(device)[points.point]
        points, judging = points.part(~out), points.part(out)
    composition = None
    if slam.verdict != "static" and len(joints.frame):
        if options.quality == "preview":
            report.warn("Preview quality: neither camera nor people were compared with the people's silhouettes.")
        else:
            report.progress(0, STEPS, "Building the people's radiance field")
            composition = compose(start, masks, model, device, generator)
    return Problem(
        pick(start.camera.T_world_from_cam), pick(start.camera.K), pick(start.points_world),
        joints.part(~joint_out), points, joints.part(joint_out), judging,
        composition, slam.verdict == "rotation", 0.0 if slam.focal_source == "given" else max(slam.focal_sigma, 1e-3), fps,
    )  # fmt: skip


def judge(problem: Problem, solution: Solution | None, start: World) -> Film:
    """C*, or Ĉ where the judging evidence does not prefer C*."""
    before = weigh(problem, problem.T0, problem.K0, problem.xyz0)
    if solution is None:
        return Film(start.camera, start.points_world, "start", before, before, np.zeros((0, 0)), [])
    after = weigh(problem, solution.T, solution.K, solution.xyz)
    if sum(after.values()) >= sum(before.values()):
        return Film(start.camera, start.points_world, "start", before, after, solution.history, TERMS)
    camera = Camera(solution.T.cpu().numpy(), solution.K.cpu().numpy())
    return Film(camera, solution.xyz.cpu().numpy(), "optimised", before, after, solution.history, TERMS)


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


def optimise(problem: Problem, chain: CameraChain, report: Reporter, watch: Watch | None = None) -> Solution:
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
            terms.append(composition.loss(T, K, 3 * looked // STEPS_COMPOSITION))
        else:
            terms.append(torch.zeros_like(terms[0]))
        loss = torch.stack(terms).sum()
        loss.backward()
        optimiser.step()
        schedule.step()
        history.append([t.item() for t in terms])
        picture = watch.look(composition.field, T, K) if watch and composition is not None else ""
        report.progress(index, STEPS, _in_words(history[-1]), picture)
    with torch.no_grad():
        return Solution(chain(), scaled_focal(K0, log_focal), xyz0 + move * depth, np.array(history))


def _in_words(terms) -> str:
    """The loss terms that speak of the picture, of those that have something to say at this step."""
    return " · ".join(f"{SHOWN[name]} {value:.0f}" for name, value in zip(TERMS, terms) if name in SHOWN and value)


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


def weigh(problem: Problem, T_world_from_cam, K, xyz) -> dict:
    """Mean robust residual of the evidence that judges, in sigma^2: joints against S_w, points after their own triangulation,
    pixels against the render."""
    joints, points, composition = problem.judging_joints, problem.judging_points, problem.composition
    T_cam = invert(T_world_from_cam)
    out = {}
    with torch.no_grad():
        if len(joints.frame):
            out["joints"] = float(joints.loss(T_cam, K) / len(joints.frame))
        if len(points.frame):
            out["points"] = float(points.loss(T_cam, K, triangulate(points, T_cam, K, xyz)) / len(points.frame))
        if composition is not None and len(composition):
            out["composition"] = composition.heldout(T_world_from_cam, K)
    return out
