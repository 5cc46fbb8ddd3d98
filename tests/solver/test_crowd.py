"""The track stage before a crowd, with a back end that counts what it is asked."""

from __future__ import annotations

import json
from types import SimpleNamespace

import cv2
import numpy as np
import pytest

from solver import track
from solver.protocol import Reporter, ShotError
from solver.records import Shot
from solver.take import read_mask
from solver.track.backend import Body, Pose
from tests.unit.test_crowd import SIZE, boxes_of, picture
from tests.unit.test_tracker import STANDING

FRAMES, EXTRAS = 24, 18


def spots(frame, extras):
    """Two people who pass each other in front, and extras behind, some of whom walk."""
    leads = [(220 + 7 * frame, 350, 260), (420 - 7 * frame, 340, 240)]
    return leads + [(20 + 34 * k + (k % 3 - 1) * 2 * frame, 190 + 3 * (k % 5), 52 + 2 * (k % 7)) for k in range(extras)]


class Film:
    """Pictures of people; the first pixel tells which frame it is."""

    def __init__(self, extras):
        self.extras = extras

    def __len__(self):
        return FRAMES

    def __iter__(self):
        return map(self.read, range(FRAMES))

    def read(self, index):
        out = picture(boxes_of(spots(index, self.extras))[::-1])
        out[0, 0] = index
        return out


class Counting:
    """A back end that knows the boxes, and counts."""

    name = licence = "test"

    def __init__(self, extras):
        self.extras, self.calls = extras, {"detect": 0, "pose": 0, "body": 0}

    def provenance(self):
        return {}

    def detect(self, rgb):
        self.calls["detect"] += 1
        boxes = boxes_of(spots(int(rgb[0, 0, 0]), self.extras))
        return boxes, np.full(len(boxes), 0.8)

    def pose(self, rgb, box, turns=(0.0,)):
        self.calls["pose"] += 1
        return Pose(np.column_stack([STANDING * (box[2:] - box[:2]) + box[:2], np.full(17, 0.8)]))

    def body(self, rgb, pose, box):
        self.calls["body"] += 1
        x0, y0, x1, y1 = box
        A = np.array([[(x1 - x0) / 256, 0, x0], [0, (y1 - y0) / 256, y0]])
        marks = np.tile([*(box[:2] + box[2:]) / 2, 0.9], (33, 1))
        mask = np.full((256, 256), 255, np.uint8)
        return Body(marks, np.zeros((33, 3)), 1.0, cv2.ellipse(mask * 0, (128, 128), (120, 120), 0, 0, 360, 255, -1), A)


def run(extras, folder, most=None, **choice):
    shot = Shot("", "", "24/1", *SIZE, *SIZE, 0, FRAMES, [[0, FRAMES]], np.arange(FRAMES) / 24)
    backend, report = Counting(extras), Reporter()
    tracks = track.run(shot, Film(extras), folder, SimpleNamespace(most=most), report, backend, **choice)
    return tracks, backend.calls, report.warnings, json.loads((folder / "seen.json").read_text())["people"]


def test_cost_grows_with_the_chosen_and_not_with_the_crowd(tmp_path):
    alone, few, quiet, _ = run(0, tmp_path / "alone")
    tracks, calls, warnings, seen = run(EXTRAS, tmp_path / "crowd")
    assert len(alone.ids) == len(tracks.ids) == 2 and not quiet
    assert calls["detect"] == few["detect"] == FRAMES  # boxes are computed once and kept
    # each of the crowd is asked about once, whether they are somebody
    assert calls["pose"] - len(seen) <= 1.3 * few["pose"] and calls["body"] <= 1.3 * few["body"]
    assert np.allclose(tracks.boxes, alone.boxes, atol=2) and tracks.visible.all()
    left = sum(not person["chosen"] for person in seen)
    assert warnings == [f"{left} more people were seen and left out."] and 14 <= left <= EXTRAS
    assert [(p["seen"], p["person"], p["chosen"]) for p in seen[:3]] == [(1, seen[0]["person"], True), (2, 3 - seen[0]["person"], True), (3, None, False)]
    for person in seen:
        assert max(cv2.imread(str(tmp_path / "crowd" / person["picture"])).shape) == 160


def test_who_was_left_out_is_added_and_the_others_keep_their_numbers(tmp_path):
    before, _, _, seen = run(EXTRAS, tmp_path)
    number = next(p["seen"] for p in seen if not p["chosen"])
    tracks, _, _, seen = run(EXTRAS, tmp_path, added=(number,))
    assert tracks.ids.tolist() == [1, 2, 3] and np.allclose(tracks.boxes[:2], before.boxes, atol=2)
    assert seen[number - 1]["chosen"] and seen[number - 1]["person"] == 3
    assert (read_mask(tmp_path / "masks" / "000005.png") == 3).any()
    tracks, calls, _, _ = run(EXTRAS, tmp_path, only=(number,))
    assert tracks.ids.tolist() == [1] and calls["body"] <= 3 * FRAMES
    with pytest.raises(ShotError):
        run(EXTRAS, tmp_path, only=(99,))


def test_as_many_as_are_asked_for(tmp_path):
    assert len(run(EXTRAS, tmp_path, most=1)[0].ids) == 1
    assert len(run(EXTRAS, tmp_path, most=12)[0].ids) == 12
