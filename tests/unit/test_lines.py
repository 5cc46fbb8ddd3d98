"""Up and the lens by straight edges: rooms whose edges are known, and clutter that tells nothing."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from solver import slam
from solver.bundle.cameras import FOCAL_SPREAD, Observations
from solver.frames import focal_px_from_mm, intrinsics, invert, project
from solver.protocol import Reporter
from solver.records import Camera
from solver.slam import lines
from tests.synthetic import look_at

SIZE = (640, 360)
UP = np.array([0, 0, 1.0])


def room(rng, count=70, turn=0.0, share=1.0):
    """Edges (n, 3), (n, 3) of a room about the origin: upright ones, and level ones along two directions at right angles."""
    count = int(count * share)
    a = np.c_[rng.uniform(-4, 4, count), rng.uniform(2, 9, count), rng.uniform(0, 3, count)]
    along = [np.array([np.cos(turn), np.sin(turn), 0]), np.array([-np.sin(turn), np.cos(turn), 0]), UP]
    return a, a + np.array([along[i % 3] for i in range(count)]) * rng.uniform(0.5, 1.5, (count, 1))


def clutter(rng, count):
    a = np.c_[rng.uniform(-4, 4, count), rng.uniform(3, 9, count), rng.uniform(0, 3, count)]
    way = rng.normal(size=(count, 3))
    return a, a + way / np.linalg.norm(way, axis=1, keepdims=True)


def looking(mm, pitch, yaw=0.0, frames=1):
    """A camera that looks down by `pitch` into the middle of the room and turns by `yaw` degrees from frame to frame."""
    angle, down = np.deg2rad(20 + yaw * np.arange(frames)), np.deg2rad(pitch)
    way = np.stack([np.cos(down) * np.sin(angle), np.cos(down) * np.cos(angle), 0 * angle - np.sin(down)], 1)
    eye = np.array([0, 5, 1.5]) - 7 * way[:1] + 0 * way
    return Camera(look_at(eye, eye + way), np.repeat(intrinsics(focal_px_from_mm(mm, *SIZE), *SIZE)[None], frames, 0))


def shown(camera, parts, rng, noise=0.4):
    """(E, 5): edges as they lie in the pictures."""
    a, b = (np.concatenate([part[i] for part in parts]) for i in (0, 1))
    out = []
    for t, T in enumerate(camera.T_world_from_cam):
        seen = invert(T)
        depth = np.minimum(*(x @ seen[2, :3] + seen[2, 3] for x in (a, b)))
        p, q = (project(x, seen, camera.K[t]) + rng.normal(size=(len(x), 2)) * noise for x in (a, b))
        keep = (depth > 0.5) & ((p > 0) & (p < SIZE) & (q > 0) & (q < SIZE)).all(1) & (np.hypot(*(q - p).T) > 0.03 * SIZE[0])
        out.append(np.c_[np.full(keep.sum(), t), p[keep], q[keep]])
    return np.concatenate(out)


def with_lens(camera, mm):
    K = camera.K.copy()
    K[:, 0, 0] = K[:, 1, 1] = focal_px_from_mm(mm, *SIZE)
    return Camera(camera.T_world_from_cam, K)


@pytest.mark.parametrize("mm", [22.0, 50.0])
def test_a_room_tells_the_lens(mm):
    rng = np.random.default_rng(3)
    camera = looking(mm, 8.0)
    found = shown(camera, [room(rng, 200), room(rng, 200, 0.5, 0.5), clutter(rng, 120)], rng)
    longer, sigma = lines.posterior(found, with_lens(camera, 35.0), SIZE, FOCAL_SPREAD)
    assert sigma < 0.12 and abs(longer + np.log(35 / mm)) < 2.5 * sigma


def test_clutter_tells_neither_lens_nor_up():
    rng = np.random.default_rng(4)
    camera = looking(22.0, 8.0)
    found = shown(camera, [clutter(rng, 160)], rng)
    _, sigma = lines.posterior(found, with_lens(camera, 35.0), SIZE, FOCAL_SPREAD)
    assert sigma > 0.25
    assert lines.up(found, camera, SIZE, UP) is None
    assert lines.posterior(np.zeros((0, 5)), camera, SIZE, 0.1) == (0.0, 0.1) and lines.up(np.zeros((0, 5)), camera, SIZE, UP) is None


def test_edges_along_the_picture_tell_no_lens():
    rng = np.random.default_rng(5)
    a = np.c_[rng.uniform(50, 590, 80), rng.uniform(30, 330, 80)]
    way = np.where(np.arange(80)[:, None] % 2, [40.0, 0], [0, 40.0])
    camera = Camera(np.eye(4)[None], intrinsics(focal_px_from_mm(35.0, *SIZE), *SIZE)[None])
    _, sigma = lines.posterior(np.c_[np.zeros(80), a, a + way + rng.normal(size=(80, 2)) * 0.4], camera, SIZE, FOCAL_SPREAD)
    assert sigma > 0.25


def test_one_edge_tells_nothing_and_breaks_nothing():
    camera = looking(35.0, 5.0)
    one = np.array([[0, 100.0, 100, 200, 100]])
    assert lines.up(one, camera, SIZE, UP) is None and lines.posterior(one, camera, SIZE, FOCAL_SPREAD)[1] > 0.25
    assert lines.up(np.repeat(one, 5, 0), camera, SIZE, UP) is None


@pytest.mark.parametrize("pitch", [3.0, 35.0])
def test_a_room_tells_up_also_through_a_camera_that_turns(pitch):
    rng = np.random.default_rng(6)
    camera = looking(28.0, pitch, yaw=2.0, frames=12)
    mean, covariance, axes = lines.up(shown(camera, [room(rng, 500), clutter(rng, 60)], rng), camera, SIZE, UP)
    off = axes @ UP
    assert np.rad2deg(np.arccos(mean @ UP)) < 1.0 and off @ np.linalg.solve(covariance, off) < 9
    sure = np.linalg.norm(lines.up(shown(camera, [room(rng, 500)], rng), camera, SIZE, UP, 0.2)[1])
    assert sure > np.linalg.norm(covariance), "a lens that is not known moves what is up"


@pytest.mark.parametrize("pitch, wrong", [(75.0, 15.0), (4.0, 40.0)])
def test_people_say_which_of_a_rooms_directions_is_up(pitch, wrong):
    """From above a floor's boards look like posts and sills; and people whose legs nobody sees are far off."""
    rng = np.random.default_rng(8)
    camera = looking(28.0, pitch)
    guess = Rotation.from_euler("x", wrong, degrees=True).apply(UP)
    mean, _, _ = lines.up(shown(camera, [room(rng, 900)], rng), camera, SIZE, guess)
    assert np.rad2deg(np.arccos(mean @ UP)) < 1.5


def test_a_camera_that_stands_takes_its_lens_from_edges(monkeypatch):
    rng = np.random.default_rng(7)
    camera = looking(24.0, 10.0)
    straight = shown(camera, [room(rng, 240)], rng)
    count, points = 20, 300
    xy = rng.uniform((20, 20), (620, 340), (points, 2))
    obs = Observations(np.tile(np.arange(count), points), np.repeat(np.arange(points), count), np.repeat(xy, count, 0) + rng.normal(size=(count * points, 2)) * 0.05)
    tell = lambda straight, report: slam.solve(obs, np.zeros((points, 3), np.uint8), count, SIZE, None, report, straight=straight)
    report = Reporter()
    found = tell(straight, report)
    assert found.verdict == "static" and found.focal_source == "estimated" and not report.warnings
    assert found.camera.K[0, 0, 0] == pytest.approx(camera.K[0, 0, 0], rel=0.12) and found.focal_sigma < 0.15
    with monkeypatch.context() as patch:
        patch.setattr(lines, "posterior", lambda *_: (0.1, 0.22))
        report = Reporter()
        found = tell(straight, report)
        assert found.focal_source == "estimated" and found.focal_sigma == 0.22 and any("only roughly: 39 mm ± 22%" in text for text in report.warnings)
    report = Reporter()
    assert tell(np.zeros((0, 5)), report).focal_source == "prior" and any("35 mm" in text for text in report.warnings)
