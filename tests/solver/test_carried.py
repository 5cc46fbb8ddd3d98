"""Nothing but people to follow: they carry the camera, and a camera that stands is told from it."""

import json
from dataclasses import replace

import numpy as np
import pytest

from benchmarks.metrics import camera_metrics
from solver.body.model import BodyModel
from solver.frames import intrinsics
from solver.options import Options
from solver.pipeline import Run
from solver.protocol import Reporter
from solver.records import Camera, Seen
from solver.report.lights import AMBER, lights
from solver.take import write_mask
from solver.world.carried import carried
from tests.solver.test_extract import write_movie
from tests.synthetic import FPS, HEIGHT, WIDTH, shot

MODEL = BodyModel.load()


def behind_nothing(truth):
    """Slam's answer where there is no background: a camera that stands, with a 35 mm lens."""
    count = len(truth.camera.K)
    camera = Camera(np.tile(np.eye(4), (count, 1, 1)), np.repeat(intrinsics(35 / 36 * WIDTH, WIDTH, HEIGHT)[None], count, 0))
    return replace(truth.slam, camera=camera, verdict="static", focal_source="prior", focal_sigma=0.28, unknown=True)


def off_percent(camera, truth):
    return camera_metrics(camera.T_world_from_cam, truth.camera.T_world_from_cam)["ate_percent"]


class Known(Run):
    """A run whose people were followed, before a background that says nothing."""

    def __init__(self, options, truth):
        super().__init__(options, Reporter())
        self.truth = truth

    def _seen(self, shot, frames):
        return Seen(*(np.zeros(n) for n in ((0,), (0, 4), (0,), (0,), (0,), (0, 2, 3), (0,), (0,))))

    def _track(self, shot, frames, model, seen):
        (self.take.folder / "masks").mkdir(exist_ok=True)
        for index in range(shot.frames):
            write_mask(self.take.mask(index), np.zeros((HEIGHT, WIDTH), np.uint8))
        return self.truth.tracks

    def _slam(self, shot, frames, tracks):
        return behind_nothing(self.truth)


def solved(tmp_path, truth):
    """shot.json, report.json and camera of a whole run."""
    film = write_movie(tmp_path / "grey.mp4", [np.full((HEIGHT, WIDTH, 3), 128, np.uint8)] * len(truth.camera.K))
    folder = Known(Options(film, tmp_path / "take", plate=False, quality="preview"), truth).extract()
    with np.load(folder / "camera.npz") as file:
        camera = Camera(file["T_world_from_cam"], file["K"])
    return *(json.loads((folder / name).read_text()) for name in ("shot.json", "report.json")), camera


def kind_light(report):
    return next(light.colour for light in lights(report) if light.name == "Kind of camera")


def test_two_who_walk_carry_a_camera_that_goes_round_them(tmp_path):
    truth = shot(MODEL, "arc", people=2, frames=36, seed=3)
    state, report, camera = solved(tmp_path, truth)
    assert state["verdict"] == report["camera"]["movement"] == "full" and kind_light(report) == AMBER
    assert sum("steps and standing feet" in line for line in state["warnings"]) == 1
    stood = off_percent(behind_nothing(truth).camera, truth)
    assert off_percent(camera, truth) < 0.5 * stood and stood > 25


def test_a_camera_that_stands_is_told_to_stand(tmp_path):
    truth = shot(MODEL, "static", people=1, frames=36, seed=3)
    state, report, camera = solved(tmp_path, truth)
    assert state["verdict"] == "static" and kind_light(report) == AMBER
    assert np.ptp(camera.T_world_from_cam, axis=0) == pytest.approx(0, abs=1e-9)
    assert sum("camera stands still" in line for line in state["warnings"]) == 1


def test_an_artists_word_is_kept_and_a_known_lens_stays():
    truth, report = shot(MODEL, "pan", people=1, frames=24, seed=3), Reporter()
    assert carried(truth.tracks, behind_nothing(truth), MODEL, FPS, None, report, kind="static") is None and report.warnings == []
    given = replace(behind_nothing(truth), focal_source="given")
    found = carried(truth.tracks, given, MODEL, FPS, None, report, kind="rotation")
    assert found.kind == "rotation"
    assert np.ptp(found.camera.T_world_from_cam[:, :3, 3], axis=0) == pytest.approx(0, abs=1e-9)
    np.testing.assert_allclose(found.camera.T_world_from_cam[0], np.eye(4), atol=1e-12)
    np.testing.assert_allclose(found.camera.K, given.camera.K)
    assert found.people.trans.shape == truth.people.trans.shape


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
