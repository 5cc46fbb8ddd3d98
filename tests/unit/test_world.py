"""Terms of f_H by themselves: who stands, and who would fall."""

from types import SimpleNamespace

import numpy as np
import pytest
import torch

from solver.body.fit import Evidence
from solver.body.model import BodyModel
from solver.bundle import ground as on
from solver.bundle import motion
from solver.bundle.bodies import Bodies, Moves, Posed
from solver.bundle.solve import Equations, State
from solver.protocol import Reporter
from solver.records import Camera
from solver.world import contacts, placement, size, world
from solver.world.steps import paces, steppers
from tests import synthetic

T, FPS = 25, 24.0
F64 = torch.float64
UP, GROUND = torch.tensor([0.0, 0.0, 1.0]), torch.tensor(0.0)
MODEL = BodyModel.load(dtype=F64)
CAMERA = torch.tensor([[0.0, -5.0, 0.0]]).repeat(T, 1)  # at the feet's height, looking along +y


def evidence(seen):
    """Of one person in every frame, all keypoints with confidence `seen`."""
    ones = torch.full((1, T, 25), float(seen))
    eye = torch.eye(3).repeat(T, 1, 1)
    return Evidence(torch.zeros(1, T, 25, 2), ones, torch.zeros(1, T, 25, 3), ones, torch.ones(1, T, dtype=torch.bool), eye, eye, FPS)


def moving(velocity, height=0.0):
    """Joints (1, T, 24, 3) and keypoints (1, T, 25, 3), all in one place that moves at `velocity` m/s."""
    path = torch.arange(T)[:, None] / FPS * torch.tensor(velocity) + torch.tensor([0.0, 0.0, height])
    return path[None, :, None].expand(1, T, 24, 3), path[None, :, None].expand(1, T, 25, 3)


def standing(velocity, seen=1.0, height=0.0, **how):
    joints, keypoints = moving(velocity, height)
    return float(contacts.contacts(joints, keypoints, UP, GROUND, evidence(seen), CAMERA, **how).mean())


def test_a_foot_on_the_ground_that_keeps_still_stands():
    assert standing((0.0, 0.0, 0.0)) > 0.95
    assert standing((1.0, 0.0, 0.0)) < 0.01
    assert standing((0.0, 0.0, 0.0), height=0.25) < 0.01
    assert standing((0.0, 0.0, 0.0), height=0.25, gate=0.4) > 0.8


def test_speed_along_the_line_of_sight_counts_as_it_is_told():
    assert standing((0.0, 1.0, 0.0)) < 0.01
    assert standing((0.0, 1.0, 0.0), along=0.3) > 0.8
    assert standing((1.0, 0.0, 0.0), along=0.3) < 0.01


def test_a_foot_on_a_stair_is_still_for_a_while_and_the_lowest():
    def upstairs(velocity=(0.0, 0.0, 0.0), height=0.3, seen=1.0, frames=slice(None), other=0.6):
        _, keypoints = moving(velocity)
        keypoints = keypoints.clone()
        keypoints[:, :, contacts.FEET[:2], 2] = 1.0
        keypoints[:, frames, contacts.FEET[:2], 2] = height
        keypoints[:, :, contacts.FEET[2:], 2] = other
        return contacts.upstairs(keypoints[:, :, contacts.FEET], UP, GROUND, evidence(seen), CAMERA)[0, :, 0]

    assert upstairs().min() > 0.95
    assert upstairs(height=0.05).max() == 0  # on the ground
    assert upstairs((1.0, 0.0, 0.0)).max() == 0 and upstairs(seen=0.0).max() == 0
    assert upstairs(other=0.0).max() == 0  # the other foot carries
    assert upstairs(frames=slice(10, 14)).max() == 0 and (upstairs(frames=slice(8, 18))[9:17] > 0.9).all()


def test_unseen_feet_stand_while_their_owner_does():
    assert standing((0.0, 0.0, 0.0), seen=0.0) == pytest.approx(contacts.UNSEEN, rel=0.1)
    assert standing((1.0, 0.0, 0.0), seen=0.0) < 0.01


def plane(up=(0.0, 0.0, 1.0), height=0.0):
    """A ground that is not tilted."""
    up = torch.tensor(up, dtype=F64)
    return on.Ground(up, torch.linalg.svd(up[None])[2][1:], torch.zeros(2, dtype=F64), torch.as_tensor(height, dtype=F64))


class Free:
    """Moves of a body whose first 25 points each go where three numbers of the frame say: residuals by places of points."""

    def __init__(self, P, frames):
        self.points = torch.zeros(P, frames, 49, 3, 75, dtype=F64)
        for point in range(25):
            self.points[:, :, point, :, 3 * point : 3 * point + 3] = torch.eye(3, dtype=F64)
        self.points_shape, self.log_size = torch.zeros(P, frames, 49, 3, 10, dtype=F64), torch.zeros(P, 10, dtype=F64)


def standing_still(frames=T):
    """One person in the rest pose, and where they are."""
    zero = lambda *shape: torch.zeros(*shape, dtype=F64)
    return Bodies(MODEL, zero(1, 10), torch.eye(3, dtype=F64).expand(1, frames, 3, 3), zero(1, frames, 23, 3), zero(1, frames, 3)).posed()


def with_points(points):
    """A Posed whose points (1, T, 49, 3) are these."""
    posed = standing_still(points.shape[1])
    return Posed(posed.bodies, posed.R, posed.bones, points)


def test_a_lean_is_pulled_upright_and_a_stride_is_not():
    points = torch.zeros(1, T, 49, 3, dtype=F64)
    points[:, :, :24, 2] = torch.linspace(0.1, 1.6, 24, dtype=F64)
    cost = lambda points: float(on.balance(evidence(1.0), with_points(points), None, plane()).cost())
    assert cost(points) == pytest.approx(0, abs=1e-6)
    leaning = points.clone()
    leaning[:, :, :24, 0] = 0.1 * points[:, :, :24, 2]
    back = on.balance(evidence(1.0), with_points(leaning), Free(1, T), plane())
    pull = back.back((back.curvature()[..., None] * back.r).flatten(2)).unflatten(-1, (25, 3))
    assert (pull[0, :, list(on.MASS), 0] > 0).all() and pull[..., 2].abs().max() < 1e-6
    step = 0.15 * torch.sin(torch.arange(T) / FPS * 2 * torch.pi * 2)  # two strides a second: to and fro within the window
    striding = points.clone()
    striding[:, :, :24, 0] += step[:, None]
    assert cost(striding) < 0.2 * cost(leaning)


def test_a_leg_that_is_thrown_is_let_go_and_an_arm_that_jumps_is_not():
    def pull(joint, metres):
        points = standing_still(9).points.clone()
        points[0, 4, joint, 2] += metres
        seen = evidence(1.0)
        seen.span = torch.ones(1, 9, dtype=torch.bool)
        posed, zero = with_points(points), torch.zeros(9, 3, dtype=F64)
        equations = Equations(motion.smooth(seen, posed, Free(1, 9), zero)[:2], State(posed.bodies))
        return float(equations.g[0, 4, 3 * joint + 2])

    ankle, wrist = 7, 20
    assert 0 < pull(ankle, 0.5) < 0.3 * pull(ankle, 0.04)
    assert pull(wrist, 0.5) > pull(wrist, 0.04) > 0


def test_people_seen_from_their_camera_are_who_they_were():
    truth = synthetic.shot(BodyModel.load(), "arc", frames=6, people=2)
    seen = world.seen_from(truth.camera, truth.people, MODEL)
    T = truth.camera.T_world_from_cam
    joints = world.from_people(seen, T[:, :3, :3], MODEL).posed().joints.numpy() + T[:, None, :3, 3]
    np.testing.assert_allclose(joints, world.posed(truth.people, BodyModel.load())[0], atol=1e-4)


def test_a_foot_that_stands_flat_is_free_and_a_sunken_ball_is_pushed_up():
    posed, up = standing_still(), (0.0, 1.0, 0.0)  # the rest pose's
    ground = plane(up, (posed.keypoints[0, 0, on.FEET, 1]).min())
    zero = torch.zeros(T, 3, dtype=F64)
    assert float(on.balls(evidence(1.0), posed, None, zero, ground).cost()) < 1.0
    points = posed.points.clone()
    points[:, :, on.BALLS, 1] -= 0.03
    sunk = with_points(points)
    pull = Equations([on.balls(evidence(1.0), sunk, Free(1, T), zero, ground)], State(sunk.bodies)).g.unflatten(-1, (25, 3))
    assert (pull[:, :, on.BALLS, 1] < 0).all() and pull[:, :, :10].abs().max() == 0


def test_who_drifts_in_depth_is_kept_on_course_but_not_who_stands_or_bobs():
    time = torch.arange(2 * T, dtype=F64) / FPS
    seen, loose, zero = evidence(1.0), torch.zeros(1, 2 * T, 4, dtype=F64), torch.zeros(2 * T, 3, dtype=F64)
    seen.span = torch.ones(1, 2 * T, dtype=torch.bool)

    def course(root, contact, moves=None):
        return motion.course(seen, with_points(root[:, :, None].expand(-1, -1, 49, -1)), moves, zero[: root.shape[1]], contact)

    walk = torch.stack([1.4 * time, 0 * time, 0.03 * torch.cos(2 * torch.pi * 2 * time)], -1)[None]  # bobs twice a second
    assert float(course(walk, loose).cost()) < 0.01
    drifting = walk + torch.stack([0 * time, 0.1 * torch.cos(2 * torch.pi * time), 0 * time], -1)
    far = course(drifting, loose, Moves(standing_still(2 * T)))
    pull = far.back((far.curvature()[..., None] * far.r).flatten(2))[..., 72:]
    middle = slice(T - 6, T + 6)
    assert ((pull * (drifting - walk))[0, middle, 1] > 0).all()
    assert float(course(drifting, torch.ones_like(loose)).cost()) == 0  # somebody who bows on standing feet
    assert course(walk[:, :20], loose[:, :20]) is None  # too short to tell


@pytest.mark.parametrize("truth", [0.3, 0.95, 1.3, 3.0, 20.0])
def test_the_scale_that_costs_least_is_found_between_those_tried(truth):
    class Tried:
        def __init__(self, scale):
            self.scale, self.done, self.rounds = scale, 0, placement.ROUNDS

        def improve(self, *turn, steps):
            self.done += 1
            self.cost = 100 * (np.log(self.scale) - np.log(2 * truth)) ** 2
            if self.done <= size.ROUNDS_TRIED:  # in short, it seems smaller than it is
                self.cost = 100 * (np.log(self.scale) - np.log(2 * 0.93 * truth)) ** 2

    best, sigma = size.sized(2.0, Tried, Reporter())
    most = size.SCALES[-1] * size.SCALE_STEP ** (size.MOST_TRIED - len(size.SCALES))  # what is beyond that is not looked for
    assert best.scale == pytest.approx(2 * min(truth, most), rel=1e-4) and best.done == len(placement.ROUNDS)
    if truth <= most:
        assert sigma == pytest.approx(0.1, rel=1e-3)  # 100 squared logs


def test_a_point_is_off_as_far_as_a_pixel_turns_its_rays():
    K = np.tile(np.array([[500.0, 0, 320], [0, 500.0, 180], [0, 0, 1]]), (2, 1, 1))
    T = np.tile(np.eye(4), (2, 1, 1))
    T[1, 0, 3] = 1.0  # a metre aside
    points = np.array([[0.5, 0.0, 3.0], [0.2, 1.0, 5.0], [0.4, -1.0, 40.0]])
    slam = SimpleNamespace(camera=Camera(T, K), obs_frame=np.repeat([0, 1], 3), obs_point=np.tile(np.arange(3), 2))
    off = contacts.uncertain(slam, points, K)

    def between(point):
        rays = point - T[:, :3, 3]
        rays /= np.linalg.norm(rays, axis=1, keepdims=True)
        return np.arccos(rays[0] @ rays[1])

    for point, by in zip(points[:2], off[:2]):  # near enough that the angle is nearly linear in depth
        assert between(point) - between(point + by) == pytest.approx(1 / 500, rel=0.1)
    assert np.linalg.norm(off[2]) > 50 * np.linalg.norm(off[0])


def test_points_that_may_be_far_off_say_little_about_the_ground():
    def floor(sure, unsure, off):
        points = torch.zeros(sure + unsure, 2, 3, dtype=F64)
        points[sure:, 0, 2], points[sure:, 1, 2] = -0.05, off
        return points

    def pull(points, height=0.0):
        rows = on.floor(points, 1.0, plane(height=height))
        return float((rows.by_ground[:, 0, 2] * rows.r[:, 0] * rows.curvature()).sum())

    assert abs(pull(floor(0, 40, 0.5))) < 0.02 * abs(pull(floor(0, 40, 0.0)))
    held = lambda unsure: pull(floor(20, unsure, 5.0), 0.02)  # and the sure ones still hold it, however many there are of the others
    assert held(0) > 50 and held(400) == pytest.approx(held(0), rel=0.02)


@pytest.mark.parametrize("seen, walks", [(0.8, True), (0.58, False)])
def test_shoulders_that_are_guesses_take_no_steps(seen, walks):
    """Whoever is known by their outline alone jitters, and was taken for one who walks at 2 m/s."""
    N, eye = 60, torch.eye(3).repeat(60, 1, 1)
    confidence = torch.full((1, N, 25), seen)
    confidence[..., 15:17] = 0
    told = Evidence(torch.zeros(1, N, 25, 2), confidence, torch.zeros(1, N, 25, 3), confidence, torch.ones(1, N, dtype=torch.bool), eye, eye, FPS)
    joints = torch.zeros(1, N, 24, 3, dtype=F64)
    joints[..., 2] = 1.4 + 0.02 * torch.sin(2 * np.pi * 2.0 * torch.arange(N, dtype=F64)[:, None] / FPS)
    posed = SimpleNamespace(joints=joints, bodies=Bodies(MODEL, torch.zeros(1, 10, dtype=F64), None, None, None))
    assert bool(steppers(posed, told, torch.zeros(N, 3, dtype=F64), UP.to(F64))) == walks
    assert bool(np.isfinite(paces(posed, told, UP.to(F64))[0])) == walks
