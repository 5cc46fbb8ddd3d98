"""The track stage on real clips, which lie beside the project and not in it: skipped where they are missing."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from types import SimpleNamespace

import cv2
import numpy as np
import pytest

from benchmarks.masks_iou import truths
from solver import track
from solver.protocol import Reporter
from solver.records import Shot
from solver.shot.shot import Frames
from solver.shot.shot import run as read_shot
from solver.take import read_mask

CLIPS = Path(__file__).resolve().parents[3] / "shared" / "data" / "clips"


class Sparse:
    """Some frames of a shot, as if they were the shot."""

    def __init__(self, shot, indices):
        self._frames, self._indices = Frames(shot), indices
        self.shot = dataclasses.replace(shot, frames=len(indices), time_s=shot.time_s[indices])

    def __len__(self):
        return len(self._indices)

    def __iter__(self):
        return (self.read(k) for k in range(len(self)))

    def read(self, index):
        return self._frames.read(int(self._indices[index]))


def tracked(name, indices, take):
    path = CLIPS / name
    if not path.exists():
        pytest.skip(f"{name} is not here")
    frames = Sparse(read_shot(path, SimpleNamespace(), Reporter()), indices)
    tracks = track.run(frames.shot, frames, take, SimpleNamespace(), Reporter())
    masks = [read_mask(take / "masks" / f"{k:06d}.png") for k in range(len(indices))]
    return tracks, masks


def test_parkour_masks_fit_and_one_man_stays_one(tmp_path):
    indices = np.arange(0, 100, 4)
    tracks, masks = tracked("parkour.mp4", indices, tmp_path)
    assert len(tracks.ids) == 1 and tracks.visible.all()
    expected = truths(CLIPS / "parkour.masks.zip")
    scores = []
    for k, index in enumerate(indices):
        truth, mask = expected[index], masks[k] == 1
        scores.append((truth & mask).sum() / (truth | mask).sum())
        # The joints that are sure lie on the man, or within a hand's breadth.
        near = cv2.dilate(truth.astype(np.uint8), np.ones((25, 25), np.uint8))
        sure = tracks.keypoints_2d[0, k][tracks.keypoints_2d[0, k, :, 2] > 0.4].astype(int)
        assert near[sure[:, 1].clip(0, 479), sure[:, 0].clip(0, 853)].mean() > 0.85
    assert np.mean(scores) > 0.88 and np.min(scores) > 0.6
    # Upright or not, the 3D joints turn with the picture: head above feet in camera axes where it is so in 2D.
    two, three = tracks.keypoints_2d[0], tracks.keypoints_3d[0]
    sure = (two[:, [0, 15], 2] > 0.3).all(1) & (three[:, [0, 15], 3] > 0.2).all(1)
    assert sure.sum() > 5
    assert (np.sign(two[sure, 0, 1] - two[sure, 15, 1]) == np.sign(three[sure, 0, 1] - three[sure, 15, 1])).mean() > 0.9


def test_enter_and_leave_is_one_person_between_empty_frames(tmp_path):
    tracks, masks = tracked("tripod_enter_leave.mp4", np.r_[0:160:8, 159], tmp_path)
    assert len(tracks.ids) == 1
    visible = tracks.visible[0]
    assert not visible[[0, -1]].any() and visible[4:17].all()
    assert [bool(m.any()) for m in masks] == visible.tolist()
    assert np.isnan(tracks.boxes[0, ~visible]).all() and np.isfinite(tracks.boxes[0, visible]).all()
    assert (tracks.keypoints_2d[0, ~visible, :, 2] == 0).all() and (tracks.score[0, ~visible] == 0).all()


def test_nobody_there(tmp_path):
    """An empty picture gives empty masks and a warning, not a ghost and not a crash."""
    rng = np.random.default_rng(0)
    wall = cv2.resize(rng.integers(80, 160, (9, 16, 3), np.uint8), (320, 180), interpolation=cv2.INTER_CUBIC)
    shot = Shot("", "", "24/1", 320, 180, 320, 180, 0, 3, [[0, 3]], np.arange(3) / 24)
    report = Reporter()
    tracks = track.run(shot, [wall] * 3, tmp_path, SimpleNamespace(), report)
    assert tracks.ids.shape == (0,) and tracks.boxes.shape == (0, 3, 4)
    assert tracks.keypoints_2d.shape == (0, 3, 25, 3) and tracks.keypoints_3d.shape == (0, 3, 25, 4)
    assert all(not read_mask(tmp_path / "masks" / f"{k:06d}.png").any() for k in range(3))
    assert any("No people" in w for w in report.warnings)
    assert len(tracks.provenance["weights_sha256"]) == 4
