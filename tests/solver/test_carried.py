"""Nothing but people to follow: they carry the camera, and a camera that stands is told from it."""

from dataclasses import replace

import numpy as np
import pytest

from benchmarks.metrics import camera_metrics
from solver.body.model import BodyModel
from solver.frames import intrinsics
from solver.protocol import Reporter
from solver.records import Camera
from solver.world.carried import carried
from tests.synthetic import FPS, HEIGHT, WIDTH, shot

MODEL = BodyModel.load()


def behind_nothing(truth):
    """Slam's answer where there is no background: a camera that stands, with a 35 mm lens."""
    count = len(truth.camera.K)
    camera = Camera(np.tile(np.eye(4), (count, 1, 1)), np.repeat(intrinsics(35 / 36 * WIDTH, WIDTH, HEIGHT)[None], count, 0))
    return replace(truth.slam, camera=camera, verdict="static", focal_source="prior", focal_sigma=0.28, unknown=True)


def off_percent(camera, truth):
    return camera_metrics(camera.T_world_from_cam, truth.camera.T_world_from_cam)["ate_percent"]


def test_two_who_walk_carry_a_camera_that_goes_round_them():
    truth, report = shot(MODEL, "arc", people=2, frames=36, seed=3), Reporter()
    slam = behind_nothing(truth)
    found = carried(truth.tracks, slam, MODEL, FPS, None, report)
    assert found.kind == "full" and len(report.warnings) == 1 and "steps and standing feet" in report.warnings[0]
    stood = off_percent(slam.camera, truth)
    assert off_percent(found.camera, truth) < 0.5 * stood and stood > 25
    np.testing.assert_allclose(found.camera.T_world_from_cam[0], np.eye(4), atol=1e-12)
    assert found.people.trans.shape == truth.people.trans.shape


def test_a_camera_that_stands_is_told_to_stand():
    truth, report = shot(MODEL, "static", people=1, frames=36, seed=3), Reporter()
    assert carried(truth.tracks, behind_nothing(truth), MODEL, FPS, None, report) is None
    assert len(report.warnings) == 1 and "stands still" in report.warnings[0]


def test_an_artists_word_is_kept_and_a_known_lens_stays():
    truth, report = shot(MODEL, "pan", people=1, frames=24, seed=3), Reporter()
    assert carried(truth.tracks, behind_nothing(truth), MODEL, FPS, None, report, kind="static") is None and report.warnings == []
    given = replace(behind_nothing(truth), focal_source="given")
    found = carried(truth.tracks, given, MODEL, FPS, None, report, kind="rotation")
    assert found.kind == "rotation"
    assert np.ptp(found.camera.T_world_from_cam[:, :3, 3], axis=0) == pytest.approx(0, abs=1e-9)
    np.testing.assert_allclose(found.camera.K, given.camera.K)


@pytest.mark.parametrize("hidden", [slice(13, 25), slice(0, 0)])
def test_whose_feet_nobody_sees_and_who_does_not_walk_carries_nothing(hidden):
    truth, report = shot(MODEL, "static", people=1, frames=20, seed=3), Reporter()
    if hidden.stop:
        truth.tracks.keypoints_2d[:, :, hidden, 2] = 0
    else:
        for name in ("ids", "boxes", "score", "keypoints_2d", "keypoints_3d", "source"):
            setattr(truth.tracks, name, getattr(truth.tracks, name)[:0])
    assert carried(truth.tracks, behind_nothing(truth), MODEL, FPS, None, report) is None
    assert "cannot be known" in report.warnings[0]
