"""Stage *film*: differentiable filming. The camera that makes S_w look like the picture: C* (paper Sec. 3)."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import torch

from .. import frames as fr
from ..bundle.cameras import Free, Model, Observations, Priors, adjust
from ..bundle.solve import threads
from ..options import Options
from ..protocol import Reporter
from ..records import Camera, Film, Shot, Slam, Tracks, World
from ..world.world import posed
from .chain import carried
from .composition import Composition
from .field import BodyField
from .losses import CUT, SIGMA_POINT, Joints, Points, invert, triangulate
from .watch import Watch

STEPS, STEPS_COMPOSITION, MOST_STEPS = 6, 3, 21  # of Gauss-Newton at each width, those that look at the picture, and altogether
SIGMA_PX = 1.0  # pixels are counted in sigmas of a track
HELD_OUT = 5  # every fifth joint and pixel judges and does not pull
WIDE = 4.0  # how much wider the robust cut is at first
SIGMA_JERK = 3.0  # m/s^2 and rad/s^2 from frame to frame: only what no film camera does is held back
TERMS = ["joints", "points", "priors", "composition"]
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
    with threads(1):
        solution = optimise(problem, report, watch)
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
            report.progress(0, MOST_STEPS, "Building the people's radiance field")
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


def optimise(problem: Problem, report: Reporter, watch: Watch | None = None) -> Solution:
    """The first frame alone (Eq. 5), the chain behind it (Eq. 6), then the whole trajectory (Eq. 8), by damped least squares.

    The screws S_t have a value a frame here, held by the jerk of the whole: a network over time, as the paper has f_W and f_V, is
    one more way to write such a function, and too smooth for the shake of a camera in a hand (benchmarks/baselines has it).
    """
    camera = Cameras(problem)
    joints, composition = problem.joints, problem.composition
    history, told = [], ""

    def tick():
        report.progress(len(history), MOST_STEPS, told or "Refining the camera")

    model = camera.model(carried(problem.T0, camera.first_alone(joints, tick)))
    looks = [None] * 2 + ([0, 1, 2] if composition is not None and len(composition) else [])
    for level, cut in zip(looks, [CUT * WIDE] + [CUT] * 4):
        pixels = composition.draw(level) if level is not None else None

        def more(model, moves, cut=cut, pixels=pixels):
            T, K = camera.poses(model)
            terms = [joints.rows(T, K, cut, moves)]
            return terms + ([composition.rows(pixels, T, K, moves)] if pixels else [])

        fit = adjust(model, camera.obs, camera.size, camera.free, camera.priors, tick, SIGMA_PX, STEPS_COMPOSITION if pixels else STEPS, more=more)
        model = fit.model
        for costs in fit.history:
            history.append([costs.get(name, 0.0) for name in TERMS])
        told = _in_words(history[-1]) if history else told
        T, K = camera.poses(model)
        picture = watch.look(composition.field, T, K) if watch and composition is not None else ""
        report.progress(len(history), MOST_STEPS, told, picture)
    T, K = camera.poses(model)
    return Solution(T, K, camera.points(model), np.array(history).reshape(-1, len(TERMS)))


class Cameras:
    """The problem's cameras and points as `bundle.cameras` has them: Ĉ's first centre as the origin, an ideal picture, one focal length.

    Pixels become those of a picture SIGMA_PX = 1 a sigma wide whose centre is the principal point.
    """

    def __init__(self, problem: Problem):
        numpy = lambda tensor: tensor.detach().cpu().numpy().astype(np.float64)
        self.problem, self.origin = problem, numpy(problem.T0[0, :3, 3])
        self.K0, points = numpy(problem.K0), problem.points
        self.focal0 = self.K0[:, 0, 0] / points.sigma  # px of a sigma
        self.size = (0.0, 0.0)  # pixels are counted from the principal point
        frame, point = (tensor.cpu().numpy() for tensor in (points.frame, points.point))
        order = np.lexsort((frame, point))
        K = self.K0[frame]
        xy = (numpy(points.xy) - K[:, :2, 2]) / K[:, [0, 1], [0, 1]] * self.focal0[frame, None]
        self.obs = Observations(frame[order], point[order], xy[order])
        log_f = np.log(self.focal0)
        self.free = Free(centre=not problem.turning_only, focal=problem.focal_sigma > 0, depth=not problem.turning_only, first=True)
        jerk = SIGMA_JERK / problem.fps**2
        self.priors = Priors(float(log_f.mean()), max(problem.focal_sigma, 1e-3), turn=jerk, travel=jerk, order=3)

    def model(self, T) -> Model:
        """Cameras T (T, 4, 4), and the points as they were."""
        T = T.cpu().numpy()
        way = self.problem.xyz0.cpu().numpy() - self.origin
        length = np.maximum(np.linalg.norm(way, axis=1), 1e-6)
        return Model(np.swapaxes(T[:, :3, :3], 1, 2), T[:, :3, 3] - self.origin, np.log(self.focal0), way / length[:, None], 1 / length)

    def poses(self, model: Model):
        """World from camera (T, 4, 4) and K (T, 3, 3)."""
        pick = lambda a: torch.as_tensor(a, dtype=self.problem.T0.dtype, device=self.problem.T0.device)
        K = self.K0.copy()
        K[:, [0, 1], [0, 1]] *= (model.focal / self.focal0)[:, None]
        return pick(fr.compose(np.swapaxes(model.R, 1, 2), model.c + self.origin)), pick(K)

    def points(self, model: Model):
        """(N, 3) m."""
        return torch.as_tensor(model.d / model.w[:, None] + self.origin).to(self.problem.xyz0)

    def first_alone(self, joints: Joints, tick):
        """World from camera (4, 4) of the first frame by itself: points where Ĉ has them."""
        one = joints.part(joints.frame == 0)
        if not len(one.frame):
            return self.problem.T0[0]
        model = self.model(self.problem.T0)
        start = Model(model.R[:1], model.c[:1], model.log_f[:1], model.d, model.w)
        more = lambda model, moves: [one.rows(*self._one(model), CUT, moves)]
        obs = self.obs.only(self.obs.frame == 0)
        free = Free(centre=self.free.centre, focal=False, points=False, first=True)
        fit = adjust(start, obs, self.size, free, self.priors, tick, SIGMA_PX, STEPS, more=more)
        return self._one(fit.model)[0][0]

    def _one(self, model: Model):
        T = self.problem.T0[:1].clone()
        T[0, :3, :3] = torch.as_tensor(model.R[0].T)
        T[0, :3, 3] = torch.as_tensor(model.c[0] + self.origin)
        return T, self.problem.K0[:1]


def _in_words(terms) -> str:
    """The loss terms that speak of the picture, of those that have something to say at this step."""
    return " · ".join(f"{SHOWN[name]} {value:.0f}" for name, value in zip(TERMS, terms) if name in SHOWN and value)


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
