"""Terms of f_H by themselves: who stands, and who would fall."""

from types import SimpleNamespace

import numpy as np
import pytest
import torch

from solver.body.fit import Bodies, Evidence
from solver.body.model import BodyModel
from solver.protocol import Reporter
from solver.records import Camera
from solver.world import terms, world
from tests import synthetic

T, FPS = 25, 24.0
UP, GROUND = torch.tensor([0.0, 0.0, 1.0]), torch.tensor(0.0)
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
    return float(terms.contacts(joints, keypoints, UP, GROUND, evidence(seen), CAMERA, **how).mean())


def test_a_foot_on_the_ground_that_keeps_still_stands():
    assert standing((0.0, 0.0, 0.0)) > 0.95
    assert standing((1.0, 0.0, 0.0)) < 0.01
    assert standing((0.0, 0.0, 0.0), height=0.25) < 0.01
    assert standing((0.0, 0.0, 0.0), height=0.25, gate=0.4) > 0.8


def test_speed_along_the_line_of_sight_counts_as_it_is_told():
    assert standing((0.0, 1.0, 0.0)) < 0.01
    assert standing((0.0, 1.0, 0.0), along=0.3) > 0.8
    assert standing((1.0, 0.0, 0.0), along=0.3) < 0.01


def test_unseen_feet_stand_while_their_owner_does():
    assert standing((0.0, 0.0, 0.0), seen=0.0) == pytest.approx(terms.UNSEEN, rel=0.1)
    assert standing((1.0, 0.0, 0.0), seen=0.0) < 0.01


def test_a_lean_is_pulled_upright_and_a_stride_is_not():
    feet = torch.zeros(1, T, 4, 3)
    joints = torch.zeros(1, T, 24, 3)
    joints[..., 2] = torch.linspace(0.1, 1.6, 24)
    assert float(terms.balance_term(joints, feet, UP, evidence(1.0))) == pytest.approx(0, abs=1e-6)
    leaning = joints.clone()
    leaning[..., 0] = 0.1 * joints[..., 2]
    leaning.requires_grad_()
    terms.balance_term(leaning, feet, UP, evidence(1.0)).backward()
    assert (leaning.grad[..., list(terms.MASS), 0] > 0).all() and leaning.grad[..., 2].abs().max() < 1e-6
    step = 0.15 * torch.sin(torch.arange(T) / FPS * 2 * torch.pi * 2)  # two strides a second: to and fro within the window
    striding = joints + torch.stack([step, 0 * step, 0 * step], -1)[None, :, None]
    assert terms.balance_term(striding, feet, UP, evidence(1.0)) < 0.2 * terms.balance_term(leaning.detach(), feet, UP, evidence(1.0))


def test_people_seen_from_their_camera_are_who_they_were():
    model = BodyModel.load()
    truth = synthetic.shot(model, "arc", frames=6, people=2)
    seen = world.seen_from(truth.camera, truth.people, model)
    T = truth.camera.T_world_from_cam
    bodies = world.from_people(seen, T[:, :3, :3], model)
    with torch.no_grad():
        joints = bodies.pose(torch.as_tensor(T[:, :3, 3], dtype=torch.float32))[1].numpy()
    np.testing.assert_allclose(joints, world.posed(truth.people, model)[0], atol=1e-4)


def test_a_foot_that_stands_flat_is_free_and_a_sunken_ball_is_pushed_up():
    bodies = Bodies(BodyModel.load(), torch.zeros(1, 10), torch.eye(3).expand(1, T, 3, 3), torch.zeros(1, T, 23, 3), torch.zeros(1, T, 3))
    joints, keypoints = (a.detach() for a in bodies.pose(torch.zeros(T, 3))[1:3])
    up = torch.tensor([0.0, 1.0, 0.0])  # the rest pose's
    ground = (keypoints[0, 0, terms.FEET] @ up).min()
    assert float(terms.ball_term(joints, bodies, up, ground, evidence(1.0))) < 1.0
    sunk = joints.clone()
    sunk[:, :, terms.BALLS] -= 0.03 * up
    sunk.requires_grad_()
    terms.ball_term(sunk, bodies, up, ground, evidence(1.0)).backward()
    assert (sunk.grad[:, :, terms.BALLS, 1] < 0).all() and sunk.grad[:, :, :10].abs().max() == 0


def test_who_drifts_in_depth_is_kept_on_course_but_not_who_stands_or_bobs():
    time, size = torch.arange(2 * T) / FPS, torch.ones(1)
    seen, loose = evidence(1.0), torch.zeros(1, 2 * T, 4)
    seen.span = torch.ones(1, 2 * T, dtype=torch.bool)
    walk = torch.stack([1.4 * time, 0 * time, 0.03 * torch.cos(2 * torch.pi * 2 * time)], -1)[None]  # bobs twice a second
    assert float(terms.course_term(walk, loose, size, seen)) < 0.01
    drifting = walk + torch.stack([0 * time, 0.1 * torch.cos(2 * torch.pi * time), 0 * time], -1)
    drifting.requires_grad_()
    terms.course_term(drifting, loose, size, seen).backward()
    middle = slice(T - 6, T + 6)
    assert ((drifting.grad * (drifting - walk).detach())[0, middle, 1] > 0).all()
    assert float(terms.course_term(drifting.detach(), torch.ones(1, 2 * T, 4), size, seen)) == 0  # somebody who bows on standing feet
    assert float(terms.course_term(walk[:, :20], loose[:, :20], size, evidence(1.0))) == 0  # too short to tell


@pytest.mark.parametrize("truth", [0.3, 0.95, 1.3, 3.0, 20.0])
def test_the_scale_that_costs_least_is_found_between_those_tried(truth):
    class Tried:
        def __init__(self, scale):
            self.scale, self.rounds = scale, 0

        def improve(self, *turn, steps):
            self.rounds += 1
            self.cost = 100 * (np.log(self.scale) - np.log(2 * truth)) ** 2
            if self.rounds <= world.ROUNDS_TRIED:  # in short, it seems smaller than it is
                self.cost = 100 * (np.log(self.scale) - np.log(2 * 0.93 * truth)) ** 2

    best = world.sized(2.0, Tried, Reporter())
    most = world.SCALES[-1] * world.SCALE_STEP ** (world.MOST_TRIED - len(world.SCALES))  # what is beyond that is not looked for
    assert best.scale == pytest.approx(2 * min(truth, most), rel=1e-4) and best.rounds == len(world.ROUNDS)


def test_a_point_is_off_as_far_as_a_pixel_turns_its_rays():
    K = np.tile(np.array([[500.0, 0, 320], [0, 500.0, 180], [0, 0, 1]]), (2, 1, 1))
    T = np.tile(np.eye(4), (2, 1, 1))
    T[1, 0, 3] = 1.0  # a metre aside
    points = np.array([[0.5, 0.0, 3.0], [0.2, 1.0, 5.0], [0.4, -1.0, 40.0]])
    slam = SimpleNamespace(camera=Camera(T, K), obs_frame=np.repeat([0, 1], 3), obs_point=np.tile(np.arange(3), 2))
    off = terms._off(slam, points, K)

    def between(point):
        rays = point - T[:, :3, 3]
        rays /= np.linalg.norm(rays, axis=1, keepdims=True)
        return np.arccos(rays[0] @ rays[1])

    for point, by in zip(points[:2], off[:2]):  # near enough that the angle is nearly linear in depth
        assert between(point) - between(point + by) == pytest.approx(1 / 500, rel=0.1)
    assert np.linalg.norm(off[2]) > 50 * np.linalg.norm(off[0])


def test_points_that_may_be_far_off_say_little_about_the_ground():
    up, height = torch.tensor([0.0, 0, 1]), torch.tensor(0.0, requires_grad=True)

    def floor(sure, unsure, off):
        points = torch.zeros(sure + unsure, 2, 3)
        points[sure:, 0, 2], points[sure:, 1, 2] = -0.05, off
        return points

    pull = lambda points: float(torch.autograd.grad(terms.floor_term(points, 1.0, up, height), height)[0])
    assert abs(pull(floor(0, 40, 0.5))) < 0.02 * abs(pull(floor(0, 40, 0.0)))
    lifted = torch.tensor(0.02, requires_grad=True)  # and the sure ones still hold it, however many there are of the others
    held = lambda unsure: float(torch.autograd.grad(terms.floor_term(floor(20, unsure, 5.0), 1.0, up, lifted), lifted)[0])
    assert held(0) > 100 and held(400) == pytest.approx(held(0), rel=0.02)
