"""Up by what stands upright in the background: segments found, and the direction that they agree on."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest
import torch
from scipy.spatial.transform import Rotation

from solver.bundle import ground
from solver.frames import intrinsics, invert, project
from solver.records import Camera
from solver.slam import edges
from solver.world.uprights import across, planes, upright
from tests.synthetic import look_at

SIZE = (640, 360)


def panning(frames=16, pitch=6.0):
    """A camera in the world that pans by 40 degrees and looks down by `pitch`."""
    angle = np.deg2rad(np.linspace(-20, 20, frames))
    target = np.stack([np.sin(angle), np.cos(angle), 0 * angle - np.tan(np.deg2rad(pitch))], 1)
    position = np.tile([0.0, 0, 1.6], (frames, 1))
    return Camera(look_at(position, position + target), np.repeat(intrinsics(500.0, *SIZE)[None], frames, 0))


def seen(camera, a, b, rng, noise=0.5):
    """Edges from a to b (n, 3) as every frame shows them, (E, 5)."""
    out = []
    for t, T in enumerate(camera.T_world_from_cam):
        ends = [project(x, invert(T), camera.K[t]) + rng.normal(size=(len(x), 2)) * noise for x in (a, b)]
        inside = [((xy > 0) & (xy < SIZE)).all(1) for xy in ends]
        keep = inside[0] & inside[1]
        out.append(np.c_[np.full(keep.sum(), t), ends[0][keep], ends[1][keep]])
    return np.concatenate(out)


def posts(rng, count, lean=(0.0, 0.0)):
    foot = np.c_[rng.uniform(-6, 6, count), rng.uniform(6, 14, count), rng.uniform(0, 1, count)]
    return foot, foot + np.array([*lean, 1.0]) * rng.uniform(1, 2, (count, 1))


def anyhow(rng, count):
    a = np.c_[rng.uniform(-6, 6, count), rng.uniform(6, 14, count), rng.uniform(0, 3, count)]
    way = rng.normal(size=(count, 3))
    return a, a + way / np.linalg.norm(way, axis=1, keepdims=True)


def degrees(a, b):
    return np.rad2deg(np.arccos(np.clip(a @ b, -1, 1)))


def test_posts_among_other_edges_tell_up_where_people_are_wrong_by_15_degrees():
    rng, camera = np.random.default_rng(1), panning()
    found = np.concatenate([seen(camera, *posts(rng, 24), rng), seen(camera, *anyhow(rng, 60), rng)])
    guess = Rotation.from_euler("xy", [12, -9], degrees=True).apply([0, 0, 1.0])
    up, covariance, axes = upright(found, camera, guess)
    assert degrees(up, np.array([0, 0, 1.0])) < 1
    assert np.rad2deg(np.sqrt(np.linalg.eigvalsh(covariance)[-1])) < 1.5
    np.testing.assert_allclose(axes @ guess, 0, atol=1e-12)


def test_edges_that_go_anywhere_tell_nothing():
    rng, camera = np.random.default_rng(2), panning()
    _, covariance, _ = upright(seen(camera, *anyhow(rng, 60), rng), camera, np.array([0, 0, 1.0]))
    assert np.rad2deg(np.sqrt(np.linalg.eigvalsh(covariance)[-1])) > 3


def test_two_directions_that_are_as_likely_make_it_unsure():
    rng, camera = np.random.default_rng(3), panning()
    foot, top = posts(rng, 12)
    sideways = np.array([np.tan(np.deg2rad(14.0)), 0, 0])
    found = seen(camera, np.r_[foot, foot + [0.3, 0, 0]], np.r_[top + sideways / 2, top - sideways / 2 + [0.3, 0, 0]], rng)
    spread = lambda edges: np.rad2deg(np.sqrt(np.linalg.eigvalsh(upright(edges, camera, np.array([0, 0, 1.0]))[1])[-1]))
    assert spread(found) > 2 > spread(seen(camera, np.r_[foot, foot + [0.3, 0, 0]], np.r_[top, top + [0.3, 0, 0]], rng))


def test_an_edge_counts_once_however_often_it_is_seen():
    rng = np.random.default_rng(4)
    camera, longer = panning(4), panning(64)
    foot, top = posts(rng, 3)
    spread = [upright(seen(c, foot, top, rng), c, np.array([0, 0, 1.0]))[1] for c in (camera, longer)]
    assert np.trace(spread[1]) > 0.4 * np.trace(spread[0])


def test_without_edges_there_is_no_answer():
    assert upright(np.zeros((0, 5)), panning(), np.array([0, 0, 1.0])) is None


def test_planes_hold_their_edges():
    rng, camera = np.random.default_rng(5), panning()
    foot, top = posts(rng, 4)
    normal, sigma = planes(seen(camera, foot, top, rng, 0.0), camera)
    assert np.abs(normal @ [0, 0, 1.0]).max() < 1e-6
    assert (sigma > np.deg2rad(0.3)).all()


def test_the_term_is_zero_at_its_mean_and_its_derivative_is_autograds():
    up0 = torch.tensor([0.1, -0.2, 0.97], dtype=torch.float64)
    up0 = up0 / up0.norm()
    axes = across(up0.numpy())
    mean = (up0 + 0.05 * torch.as_tensor(axes[0])).numpy()
    told = mean / np.linalg.norm(mean), np.diag([0.01, 0.04]) ** 2, axes

    def residual(x):
        plane = ground.Ground(up0, torch.as_tensor(axes), x[:2], x[2])
        return ground.uprights(plane, told)

    x = torch.tensor([0.03, -0.02, 0.5], dtype=torch.float64)
    by = torch.autograd.functional.jacobian(lambda x: residual(x).r[0], x)
    torch.testing.assert_close(residual(x).by_ground[0], by)
    at = torch.tensor([0.05, 0.0, 0.0], dtype=torch.float64)
    assert residual(at).r.abs().max() < 1e-9


@pytest.mark.parametrize("width", [640, 1920])
def test_straight_edges_are_found_and_those_of_people_left_out(width):
    unit = width // 640
    picture = np.full((360 * unit, width, 3), 90, np.uint8)
    picture[60 * unit : 300 * unit, 100 * unit : 130 * unit] = 220  # a post
    picture[60 * unit : 300 * unit, 400 * unit : 440 * unit] = 220  # somebody
    mask = np.zeros(picture.shape[:2], np.uint8)
    mask[60 * unit : 300 * unit, 398 * unit : 442 * unit] = 1
    shot = SimpleNamespace(width=width, height=360 * unit, fresh=np.array([True, False, True]))
    found = edges.straight(shot, SimpleNamespace(read=lambda t: picture), lambda t: mask)
    assert set(found[:, 0]) == {0, 2}
    across_x = np.abs(found[:, 1] - found[:, 3])
    tall = found[across_x < 3 * unit]
    assert len(tall) >= 4  # two sides in two frames
    assert ((tall[:, [1, 3]] > 95 * unit) & (tall[:, [1, 3]] < 135 * unit)).all()
