"""Small films that went wrong, each for its kind. All but the running background are made of the first frames of the example shot."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import cv2
import numpy as np
import pytest

from solver import slam
from solver.bundle.cameras import Observations
from solver.protocol import Reporter
from solver.shot.shot import Frames, run
from solver.take import read_mask
from tests.unit.test_shot import options

ROOT = Path(__file__).resolve().parents[2]
CASES, TRUTH = ROOT / "tests" / "data" / "cases", ROOT / "examples" / "truth"


def opened(name):
    report = Reporter()
    return run(CASES / f"{name}.mp4", options(max_height=240), report), report


def solved(shot, report, masks=None):
    return slam.run(shot, Frames(shot), None, masks, SimpleNamespace(camera_kind=None, focal_mm=None, fov=None), report)


def off_the_truth(answer, frames):
    """(T,) m between the camera's places and those of the example's truth at some of its frames, after a similarity."""
    with np.load(TRUTH / "camera.npz") as file:
        there = file["T_world_from_cam"][frames, :3, 3]
    here = answer.camera.T_world_from_cam[:, :3, 3]
    a, b = here - here.mean(0), there - there.mean(0)
    U, S, V = np.linalg.svd(a.T @ b)
    turn = np.diag([1, 1, np.sign(np.linalg.det(U @ V))])
    return np.linalg.norm(a @ (U @ turn @ V) * (S @ np.diag(turn)) / (a**2).sum() - b, axis=1)


def masks_of(shot, frames):
    return lambda i: cv2.resize(
        read_mask(TRUTH / "masks" / f"{frames[i]:06d}.png"), (shot.width, shot.height), interpolation=cv2.INTER_NEAREST
    )


def test_holes_keep_their_time_and_the_camera_is_bridged_over_them():
    """48 pictures in 67 frames of 24 a second: none of the keys is off its time, and the camera is right also where there is no picture."""
    shot, report = opened("vfr")
    assert (shot.fps, shot.frames, int(shot.fresh.sum())) == ("24/1", 67, 48)
    assert np.allclose(shot.time_s[shot.fresh], shot.shown_s[shot.fresh], atol=1e-3)
    assert any("20-27" in w for w in report.warnings)
    answer = solved(shot, report, masks_of(shot, np.arange(67)))
    off = off_the_truth(answer, np.arange(67))
    assert answer.verdict == "full" and not answer.measured[~shot.fresh].any() and answer.measured[shot.fresh].all()
    assert off.max() < 0.015  # of a path of 4 m


def test_film_laid_into_thirty_moves_without_a_stutter():
    shot, report = opened("dup30")
    assert (shot.fps, shot.source_fps, shot.picture.tolist()) == ("24/1", "30/1", [k for k in range(24) if k % 5 != 2])
    answer = solved(shot, report, masks_of(shot, np.arange(19)))
    steps = np.linalg.norm(np.diff(answer.camera.T_world_from_cam[:, :3, 3], axis=0), axis=1)
    assert np.abs(np.diff(np.log(steps))).max() < 0.15  # with repeats in it every fifth would be nothing, and bridged half
    assert off_the_truth(answer, np.arange(19)).max() < 0.005


def test_a_whip_is_one_piece():
    shot, report = opened("whip")
    assert shot.pieces == [[0, 24]] and report.warnings == []


def test_hlg_is_shown_as_a_screen_would():
    """The levels of this file are those of the plain film, only tagged: a screen shows its bright parts brighter, and nothing else moved."""
    shot, report = opened("hlg")
    assert any("HLG" in w for w in report.warnings)
    plain = run(ROOT / "examples" / "shot.mp4", options(max_height=240), Reporter())
    shown, film = (Frames(s).gray(5).astype(float) for s in (shot, plain))
    assert np.corrcoef(shown.ravel(), film.ravel())[0, 1] > 0.95
    assert shown[film > 150].mean() > film[film > 150].mean() + 15


def test_a_running_background_is_not_believed():
    shot, report = opened("running_bg")
    answer = solved(shot, report)
    assert answer.focal_source == "prior" and answer.camera.K[0, 0, 0] * 36 / shot.width == pytest.approx(35, rel=0.01)
    assert any("hard to believe" in w for w in report.warnings)


@pytest.mark.parametrize("step", [(-9.0, 0.0), (5.0, -3.0)])
def test_nor_is_another_that_runs_another_way(step):
    """A flat picture that is pulled by: tracks that all move alike tell of no lens, and a lens of a metre is no answer."""
    count, size, rng = 20, (640, 360), np.random.default_rng(4)
    start = rng.uniform((-300, -300), (940, 660), (900, 2))
    xy = start[:, None] + np.arange(count)[None, :, None] * step + rng.normal(0, 0.08, (900, count, 2))
    inside = ((xy > 4) & (xy < np.array(size) - 4)).all(2)
    point, frame = np.nonzero(inside)
    report = Reporter()
    obs = Observations(frame, point, xy[inside])
    answer = slam.solve(obs, np.zeros((900, 3), np.uint8), count, size, None, report, 0.1)
    mm = float(np.median(answer.camera.K[:, 0, 0])) * 36 / 640
    assert 15 < mm < 100 and (answer.focal_source == "prior" or answer.focal_sigma > 0.05)


def test_a_long_lens_that_the_turn_tells_is_believed():
    """A tripod's pan with 150 mm over 40 degrees: seen from edge to edge, the lens is told."""
    rng, count, size = np.random.default_rng(6), 40, (640, 360)
    focal, angle = 150 / 36 * 640, np.linspace(0, 0.7, count)
    d = np.stack([rng.uniform(-0.2, 0.9, 3000), rng.uniform(-0.08, 0.08, 3000)], 1)
    rows = []
    for f, a in enumerate(angle):
        x, y, z = np.sin(d[:, 0] - a) * np.cos(d[:, 1]), np.sin(d[:, 1]), np.cos(d[:, 0] - a) * np.cos(d[:, 1])
        xy = np.stack([focal * x / z + 320, focal * y / z + 180], 1) + rng.normal(0, 0.05, (3000, 2))
        seen = np.flatnonzero((xy > 0).all(1) & (xy < size).all(1) & (z > 0))
        rows.append((np.full(len(seen), f), seen, xy[seen]))
    frame, point, xy = (np.concatenate(v) for v in zip(*rows))
    order = np.lexsort((frame, point))
    report = Reporter()
    slam.solve(Observations(frame[order], point[order], xy[order]), np.zeros((3000, 3), np.uint8), count, size, None, report, 0.05)
    assert not any("hard to believe" in w for w in report.warnings)
