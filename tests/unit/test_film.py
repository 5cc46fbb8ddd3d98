"""The camera chain and its losses: the maths exactly, and a tiny film solve that must mend a bent camera."""

import dataclasses

import numpy as np
import pytest
import torch
from scipy.linalg import expm

from benchmarks.baselines.descent import CameraChain
from solver.body import body
from solver.body.model import BodyModel
from solver.bundle.solve import threads
from solver.film import stage
from solver.film.chain import carried, se3_exp, skew
from solver.film.losses import Joints, Points, invert, project, transform, triangulate
from solver.frames import fit_similarity
from solver.options import Options
from solver.protocol import Reporter
from solver.records import Camera
from solver.world import world
from tests.synthetic import FPS, WIDTH, shot

torch.manual_seed(0)


@pytest.mark.parametrize("size", [0.0, 1e-9, 1e-4, 0.3, 3.0])
def test_exponential_is_the_matrix_exponential(size):
    w, v = torch.randn(2, 3, dtype=torch.float64)
    S = torch.zeros(4, 4, dtype=torch.float64)
    S[:3, :3], S[:3, 3] = skew(w), v
    assert np.allclose(se3_exp(w, v, size).numpy(), expm(S.numpy() * size), atol=1e-10)


def test_exponential_of_a_unit_screw_is_eq_4_put_right():
    w = torch.nn.functional.normalize(torch.randn(3, dtype=torch.float64), dim=0)
    v, a = torch.randn(3, dtype=torch.float64), 0.7
    W, eye = skew(w), torch.eye(3, dtype=torch.float64)
    G = eye * a + (1 - np.cos(a)) * W + (a - np.sin(a)) * W @ W
    T = se3_exp(w, v, a)
    assert torch.allclose(T[:3, :3], eye + np.sin(a) * W + (1 - np.cos(a)) * W @ W)
    assert torch.allclose(T[:3, 3], G @ v)


@pytest.mark.parametrize("size", [0.0, 1e-3, 0.8])
def test_exponential_gradient(size):
    w, v = (size * torch.randn(2, 3, dtype=torch.float64)).requires_grad_().unbind(0)
    theta = torch.tensor(0.5, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(se3_exp, (w.detach().requires_grad_(), v.detach().requires_grad_(), theta))


def poses(frames=12):
    steps = se3_exp(torch.randn(frames, 3, dtype=torch.float64) * 0.05, torch.randn(frames, 3, dtype=torch.float64) * 0.1, 1.0)
    out = [torch.eye(4, dtype=torch.float64)]
    for step in steps[1:]:
        out.append(step @ out[-1])
    return torch.stack(out)


def test_chain_begins_at_the_start_camera_and_stays_rigid():
    start = poses()
    assert torch.allclose(CameraChain(start)(), start, atol=1e-5)
    paper = CameraChain(start, follow_start=False)()
    assert torch.allclose(paper, start[:1].expand_as(paper), atol=1e-4)  # A_t = I: the first camera, held
    R = CameraChain(start)()[:, :3, :3]
    assert torch.allclose(R @ R.mT, torch.eye(3, dtype=torch.float64).expand_as(R), atol=1e-12)


def test_a_twist_moves_its_own_frame_in_the_cameras_axes():
    start = poses()
    chain = CameraChain(start)
    before = chain().detach()
    w, v = torch.tensor([0, 0.02, 0], dtype=torch.float64), torch.tensor([0, 0, 0.3], dtype=torch.float64)
    chain.w_frame.data[5], chain.v_frame.data[5] = w, v
    after = chain().detach()
    after[5], moved = before[5], torch.linalg.inv(before[5]) @ after[5]
    assert torch.allclose(moved, se3_exp(w, v, 1.0), atol=1e-12) and torch.allclose(after, before, atol=1e-12)
    assert not any(name.endswith("_frame") for name, _ in CameraChain(start, follow_start=False).named_parameters())  # the paper has none


def test_turning_chain_keeps_its_centre():
    start = poses()
    start[:, :3, 3] = start[0, :3, 3]
    chain = CameraChain(start, turning_only=True)
    for p in chain.parameters():
        p.data.add_(0.1 * torch.randn_like(p))
    assert torch.allclose(chain()[:, :3, 3], start[:, :3, 3], atol=1e-12)


def test_losses_gradient():
    T = invert(poses(4))
    K = torch.eye(3, dtype=torch.float64).repeat(4, 1, 1)
    K[:, 0, 0] = K[:, 1, 1] = 500.0
    xyz = torch.randn(6, 3, dtype=torch.float64) + torch.tensor([0, 0, 6.0])
    frame = torch.tensor([0, 1, 2, 3, 0, 1])
    xy = torch.randn(6, 2, dtype=torch.float64) * 100
    points = Points(frame, torch.arange(6), xy, 40.0)
    assert torch.autograd.gradcheck(lambda T, X: points.loss(T, K, X), (T.requires_grad_(), xyz.requires_grad_()), atol=1e-5)
    joints = Joints(frame, xyz.detach(), xy, torch.ones(6, dtype=torch.float64))
    moved = T.detach().clone().requires_grad_()
    joints.loss(moved, K).backward()
    assert moved.grad.abs().sum() > 0


def test_triangulation_finds_exact_points():
    T_cam = invert(poses(6))
    K = torch.eye(3, dtype=torch.float64).repeat(6, 1, 1)
    K[:, 0, 0] = K[:, 1, 1] = 500.0
    true = torch.randn(20, 3, dtype=torch.float64) + torch.tensor([0, 0, 6.0])
    frame, point = torch.meshgrid(torch.arange(6), torch.arange(20), indexing="ij")
    frame, point = frame.reshape(-1), point.reshape(-1)
    cam = (T_cam[frame, :3, :3] @ true[point][..., None])[..., 0] + T_cam[frame, :3, 3]
    points = Points(frame, point, cam[:, :2] / cam[:, 2:] * 500.0, 1.0)
    found = triangulate(points, T_cam, K, true + 0.03 * torch.randn_like(true), steps=30)
    assert (found - true).norm(dim=1).max() < 1e-3


class Frame:
    width = WIDTH


@pytest.fixture(scope="module")
def bent():
    """A shot whose start camera drifts by a few percent of its path, and its first world."""
    model = BodyModel.load()
    truth = shot(model, "arc", frames=24, slam_noise=0.03)
    people = body.run(truth.tracks, truth.slam, model, FPS, Reporter())
    start = world.run(truth.tracks, truth.slam, people, truth.slam.camera, truth.slam.points_world, model, FPS, None, Reporter())
    return model, truth, start


def ate(camera, true):
    a, b = camera.T_world_from_cam[:, :3, 3], true.T_world_from_cam[:, :3, 3]
    s, R, t = fit_similarity(a, b)
    return np.linalg.norm(s * a @ R.T + t - b, axis=1).mean()


def fit_camera(camera, onto):
    """A camera moved by the similarity that brings its centres next to those of another."""
    s, R, t = fit_similarity(camera.T_world_from_cam[:, :3, 3], onto.T_world_from_cam[:, :3, 3])
    T = camera.T_world_from_cam.copy()
    T[:, :3, :3], T[:, :3, 3] = R @ T[:, :3, :3], s * T[:, :3, 3] @ R.T + t
    return Camera(T, camera.K.copy())


def test_film_mends_a_bent_camera(bent):
    model, truth, start = bent
    report = Reporter()
    options = Options("clip", "take", quality="preview")
    film = stage.run(Frame, truth.tracks, truth.slam, start, None, model, FPS, options, report)
    assert film.used == "optimised"
    assert sum(film.heldout_final.values()) < sum(film.heldout_start.values())
    assert ate(film.camera, truth.camera) < 0.6 * ate(start.camera, truth.camera)
    assert any("Preview" in w for w in report.warnings)


def test_guard_keeps_a_start_camera_that_is_better(bent, monkeypatch):
    model, truth, start = bent

    def spoil(problem, report, watch):
        turn = se3_exp(torch.tensor([0, 0.02, 0]).double(), torch.zeros(3).double(), 1.0)
        return stage.Solution(problem.T0 @ turn, problem.K0, problem.xyz0)

    monkeypatch.setattr(stage, "optimise", spoil)
    film = stage.run(Frame, truth.tracks, truth.slam, start, None, model, FPS, Options("c", "t", quality="preview"), Reporter())
    assert film.used == "start" and np.array_equal(film.camera.T_world_from_cam, start.camera.T_world_from_cam)
    assert sum(film.heldout_final.values()) > sum(film.heldout_start.values())


def test_film_stills_a_camera_that_shakes(bent):
    """Every frame off by itself, as tracks leave a start camera: too quick for the chain, held by nothing but the jerk."""
    model, truth, start = bent
    rng = np.random.default_rng(0)
    camera = fit_camera(truth.camera, start.camera)
    T = camera.T_world_from_cam.copy()
    T[:, :3, 3] += 0.004 * rng.normal(size=(len(T), 3))
    shaken = dataclasses.replace(start, camera=Camera(T, camera.K))
    film = stage.run(Frame, truth.tracks, truth.slam, shaken, None, model, FPS, Options("c", "t", quality="preview"), Reporter())
    shake = lambda c: np.linalg.norm(np.diff(c.T_world_from_cam[:, :3, 3] - camera.T_world_from_cam[:, :3, 3], 2, axis=0), axis=1).mean()
    assert film.used == "optimised" and shake(film.camera) < 0.5 * shake(shaken.camera)


def test_tracks_judge_where_they_pulled_on_both_cameras_or_on_neither(bent):
    model, truth, start = bent
    options = Options("c", "t", quality="preview")
    pose = lambda slam: stage.pose_problem(Frame, truth.tracks, slam, start, None, model, FPS, options, Reporter())
    fitted, known = pose(truth.slam), pose(dataclasses.replace(truth.slam, verdict_scores={"T_known_from_slam": np.eye(4).tolist()}))
    assert len(fitted.points.frame) == len(fitted.judging_points.frame) == len(truth.slam.obs_frame)
    assert not set(known.points.point.tolist()) & set(known.judging_points.point.tolist())
    assert len(known.points.frame) + len(known.judging_points.frame) == len(truth.slam.obs_frame)
    assert 0.1 < len(known.judging_points.frame) / len(truth.slam.obs_frame) < 0.3


def test_composition_pulls_the_camera_back(bent):
    """L_c alone: turned a little off the masks' people, its gradient points back."""
    from solver.film.composition import Composition
    from solver.film.field import BodyField
    from solver.raster import instance_mask

    model, truth, _ = bent
    people, camera = truth.people, truth.camera
    _, _, vertices = world.posed(people, model)
    keep = [0, 12]
    T, K = torch.as_tensor(camera.T_world_from_cam), torch.as_tensor(camera.K)
    seen = {
        t: instance_mask([vertices(0, t)], model.faces.numpy(), [1], camera.T_world_from_cam[t], camera.K[t], WIDTH, 360) for t in keep
    }
    visible = np.zeros_like(people.visible)
    visible[:, keep] = True
    field = BodyField.from_people(model, people.betas, people.poses, people.trans, visible)
    generator = torch.Generator().manual_seed(0)
    composition = Composition(field, lambda t: seen[t], people.ids, visible, np.full(visible.shape, 0.0075), generator, 5)
    exact = composition.heldout(T, K)
    turn = torch.zeros(3, dtype=torch.float64).requires_grad_()
    turn.data[1] = 0.004  # about 2.5 px
    turned = T @ se3_exp(turn, torch.zeros(3, dtype=torch.float64), 1.0)
    assert composition.heldout(turned.detach(), K) > 1.5 * exact
    drawn = composition.draw(0)
    composition.loss(drawn, turned, K).backward()
    assert turn.grad[1] > 0
    # The same as residuals for least squares: their cost, and what their derivatives say of the slope.
    rows = composition.rows(drawn, turned.detach(), K, True)
    assert rows.cost() == pytest.approx(float(composition.loss(drawn, turned.detach(), K)), rel=1e-5)
    slope = 2 * (rows.J * (rows.weight[:, None] * rows.r)[..., None]).sum((0, 1))
    assert slope[1] == pytest.approx(-float(turn.grad[1]), rel=0.02)  # rows turn the world about the camera


def test_derivatives_of_joints_and_of_the_render_by_the_camera(bent):
    """Against central differences, in each of a camera's seven numbers."""
    model, truth, start = bent
    T, K = torch.as_tensor(start.camera.T_world_from_cam), torch.as_tensor(start.camera.K)
    joints = stage.observed_joints(truth.tracks, start, model, torch.float64, "cpu")
    J = joints.rows(T, K, stage.CUT, True).J
    unit = joints.rows(T, K, stage.CUT, False).r / (project(transform(invert(T)[joints.frame], joints.xyz), K[joints.frame]) - joints.xy).numpy()
    for number in range(7):
        pixels = []
        for by in (1e-5, -1e-5):
            move = torch.zeros(7, dtype=torch.float64)
            move[number] = by
            moved = T.clone()
            moved[:, :3, :3] = T[:, :3, :3] @ se3_exp(-move[:3], torch.zeros(3).double(), 1.0)[:3, :3]
            moved[:, :3, 3] = T[:, :3, 3] + move[3:6]
            zoomed = K.clone()
            zoomed[:, [0, 1], [0, 1]] *= move[6].exp()
            pixels.append(project(transform(invert(moved)[joints.frame], joints.xyz), zoomed[joints.frame]).numpy())
        assert np.allclose(J[..., number], unit * (pixels[0] - pixels[1]) / 2e-5, rtol=1e-4, atol=1e-4 * np.abs(J[..., number]).max())


def test_the_chain_carries_the_first_frames_correction_through():
    start = poses()
    move = se3_exp(torch.tensor([0, 0.02, 0.01]).double(), torch.tensor([0.1, 0, 0.2]).double(), 1.0)
    moved = carried(start, move @ start[0])
    assert torch.allclose(moved[0], move @ start[0])
    steps = lambda T: T[1:] @ torch.linalg.inv(T[:-1])
    assert torch.allclose(steps(moved), steps(start), atol=1e-12)  # every step of Ĉ is kept


@pytest.fixture(scope="module")
def posed_problem(bent):
    """The bent shot with its true masks, ready for L_c; and a Watch's arguments but for the path."""
    from types import SimpleNamespace

    from solver.raster import instance_mask

    model, truth, start = bent
    _, _, vertices = world.posed(truth.people, model)
    T, K = truth.camera.T_world_from_cam, truth.camera.K
    seen = [instance_mask([vertices(0, t)], model.faces.numpy(), [1], T[t], K[t], WIDTH, 360) for t in range(len(T))]
    problem = stage.pose_problem(
        Frame, truth.tracks, truth.slam, start, lambda t: seen[t], model, FPS, Options("clip", "take"), Reporter()
    )
    frames = SimpleNamespace(read=lambda t: np.full((360, WIDTH, 3), 10 * t, np.uint8))
    return problem, (frames, lambda t: seen[t], start.people.ids, start.people.visible)


def test_watching_changes_nothing_and_tells_the_terms(posed_problem, monkeypatch, tmp_path):
    problem, watched = posed_problem
    monkeypatch.setattr("solver.film.watch.INTERVAL_S", 0.0)
    before = problem.composition.generator.get_state()
    told = []

    class Listener(Reporter):
        def _progress(self, done, total, text, picture):
            told.append((text, picture))

    solutions = []
    for watch in (None, stage.Watch(tmp_path / "film.jpg", *watched)):
        problem.composition.generator.set_state(before)
        torch.manual_seed(0)
        with threads(1):  # as `run` does: sums of several threads differ in their last digit
            solutions.append(stage.optimise(problem, Listener(), watch))
    blind, seen = solutions
    assert torch.equal(blind.T, seen.T) and np.array_equal(blind.history, seen.history)
    pictures = [picture for _, picture in told if picture]
    assert pictures == [str(tmp_path / "film.jpg")] * 5  # after each width, of the joints' cut and of the band
    assert [p.name for p in tmp_path.iterdir()] == ["film.jpg"]
    last = dict(zip(stage.TERMS, seen.history[-1]))
    assert told[-1][0] == "joints {joints:.0f} · points {points:.0f} · silhouettes {composition:.0f}".format(**last)


def test_the_watched_render_lies_where_the_camera_puts_it(posed_problem, tmp_path):
    problem, watched = posed_problem
    watch = stage.Watch(tmp_path / "film.jpg", *watched)
    index = len(problem.T0) // 2
    picture = watch.draw(problem.composition.field, problem.T0[index], problem.K0[index])
    height = 320 * 360 // WIDTH
    assert picture.shape == (2 * height + 4, 320, 3)  # a wide frame: one above the other
    film, bodies = picture[:height], picture[-height:]
    assert np.median(film) == 10 * index  # the film's own frame, but for the outline
    mask = np.asarray(watched[1](index))[1::2, 1::2] > 0
    drawn = bodies.min(-1) < 128
    assert (mask & drawn).sum() / (mask | drawn).sum() > 0.7
    turned = problem.T0[index] @ se3_exp(torch.tensor([0, 0.1, 0.0]).double(), torch.zeros(3).double(), 1.0)  # to the right
    away = watch.draw(problem.composition.field, turned, problem.K0[index])[-height:]
    middle = lambda part: np.nonzero((part[..., 0] > 180) & (part[..., 2] < 120))[1].mean()
    shift = float(problem.K0[index, 0, 0]) * np.tan(0.1) * 320 / WIDTH
    assert middle(bodies) - middle(away) == pytest.approx(shift, rel=0.15)  # more off the axis than on it
    look = lambda: watch.look(problem.composition.field, problem.T0, problem.K0)
    assert look() and not look()  # the second would come too soon


def test_a_camera_that_was_optimised_goes_back_to_slams_frame(bent):
    _, truth, start = bent
    camera, points = world.to_slam(start.camera, start.points_world, start)
    assert np.allclose(camera.T_world_from_cam, truth.slam.camera.T_world_from_cam, atol=1e-6)
    assert np.allclose(points, truth.slam.points_world, atol=1e-6)
    assert isinstance(camera, Camera)
