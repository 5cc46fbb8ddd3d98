"""The walk over the pictures with a back end made here, and the frames that a preview bridges."""

from __future__ import annotations

import threading
import time

import cv2
import numpy as np
import pytest

from solver import track
from solver.options import Options
from solver.protocol import Reporter, Stopped
from solver.records import Shot, Tracks
from solver.take import read_mask, write_mask
from solver.track.backend import Body, Pose
from solver.track.between import Thinned, bridge, halfway
from solver.track.tracker import DETECTED, INTERPOLATED
from tests.unit.test_tracker import STANDING

SIZE = (320, 180)


class Walker:
    """Pictures of one bright upright bar that goes to the right."""

    def __init__(self, count):
        self.count = count

    def __len__(self):
        return self.count

    def __iter__(self):
        return (self.read(index) for index in range(self.count))

    def read(self, index):
        out = np.zeros((*SIZE[::-1], 3), np.uint8)
        out[40:140, 30 + 3 * index : 80 + 3 * index] = 200
        return out


class Bars:
    """A back end that finds bright bars; earlier frames take it longer than later ones."""

    name = licence = "test"

    def __init__(self):
        self.seen, self.threads = [], set()

    def provenance(self):
        return {}

    def detect(self, rgb):
        ys, xs = np.nonzero(rgb[..., 0])
        self.seen.append(int(xs.min() - 30) // 3)
        self.threads.add(threading.get_ident())
        time.sleep(0.01 * (self.seen[-1] % 2 == 0))
        return np.array([[xs.min(), ys.min(), xs.max() + 1, ys.max() + 1]], float), np.array([0.9])

    def pose(self, rgb, box, turns=(0.0,)):
        return Pose(np.column_stack([STANDING * (box[2:] - box[:2]) + box[:2], np.full(17, 0.8)]))

    def body(self, rgb, pose, box):
        A = np.array([[SIZE[0] / 256, 0, 0], [0, SIZE[1] / 256, 0]])
        crop = cv2.resize(rgb[..., 0], (256, 256), interpolation=cv2.INTER_AREA)
        marks = np.tile([*(box[:2] + box[2:]) / 2, 0.9], (33, 1))
        return Body(marks, np.zeros((33, 3)), 1.0, np.where(crop > 100, 255, 0).astype(np.uint8), A)


def shot_of(frames, fps="24/1"):
    return Shot("", "", fps, *SIZE, *SIZE, 0, frames, [[0, frames]], np.arange(frames) / 24)


def run(frames, folder, quality, report=None):
    backend = Bars()
    options = Options("clip", "take", quality=quality)
    return track.run(shot_of(frames), Walker(frames), folder, options, report or Reporter(), backend), backend


def test_frames_are_looked_at_beside_each_other_and_stay_in_order(tmp_path):
    tracks, backend = run(14, tmp_path, "final")
    assert sorted(backend.seen) == list(range(14)) and len(backend.threads) > 1
    assert len(tracks.ids) == 1 and (tracks.source == DETECTED).all()
    assert np.allclose(tracks.boxes[0, :, 0], 30 + 3 * np.arange(14), atol=2)


def test_a_fault_in_a_thread_is_not_lost(tmp_path):
    class Broken(Bars):
        def detect(self, rgb):
            if len(self.seen) == 3:
                raise ValueError("broken")
            return super().detect(rgb)

    with pytest.raises(ValueError, match="broken"):
        track.run(shot_of(9), Walker(9), tmp_path, Options("clip", "take"), Reporter(), Broken())


def test_a_run_that_is_stopped_leaves_no_frame_being_looked_at(tmp_path):
    class Stops(Reporter):
        def progress(self, *_):
            raise Stopped

    backend = Bars()
    with pytest.raises(Stopped) as stopped:  # what holds the traceback must not hold the threads
        track.run(shot_of(40), Walker(40), tmp_path, Options("clip", "take"), Stops(), backend)
    seen = len(backend.seen)
    time.sleep(0.1)
    assert stopped.tb is not None and len(backend.seen) == seen <= track.AHEAD + 1


@pytest.mark.parametrize("frames", [13, 14])
def test_a_preview_looks_at_every_second_frame_and_bridges_the_others(tmp_path, frames):
    report = Reporter()
    tracks, backend = run(frames, tmp_path / "preview", "preview", report)
    looked = sorted({*range(0, frames, 2), frames - 1})
    assert sorted(backend.seen) == looked
    assert [int(s) for s in tracks.source[0]] == [DETECTED if f in looked else INTERPOLATED for f in range(frames)]
    final, _ = run(frames, tmp_path / "final", "final")
    assert np.allclose(tracks.boxes, final.boxes, atol=1.5)
    for ours, theirs in ((tracks.keypoints_2d, final.keypoints_2d), (tracks.keypoints_3d, final.keypoints_3d)):
        assert np.allclose(ours[..., -1], theirs[..., -1])
        sure = ours[..., -1] > 0  # elsewhere a position means nothing
        assert sure.any() and np.allclose(ours[sure], theirs[sure], atol=1.0)
    for f in range(frames):
        a, b = (read_mask(tmp_path / kind / "masks" / f"{f:06d}.png") for kind in ("preview", "final"))
        assert (a & b).sum() > 0.93 * (a | b).sum() > 0
    assert sum("second frame" in warning for warning in report.warnings) == 1


def test_thinned_keeps_the_pace_and_the_ends():
    thinned = Thinned(shot_of(8, "24000/1001"), Walker(8))
    assert thinned.indices.tolist() == [0, 2, 4, 6, 7] and len(thinned) == thinned.shot.frames == 5
    assert thinned.shot.fps == "12000/1001"
    assert np.array_equal(thinned.read(4), Walker(8).read(7))


def test_nobody_is_bridged_who_is_not_there_both_times(tmp_path):
    source = np.array([[1, 1, 0], [1, 2, 1]])
    joints = np.zeros((2, 3, 25, 3))
    joints[..., 0] = np.array([[10, 20, 0], [100, 110, 130]])[..., None]
    joints[..., 2] = np.array([[0.9, 0.5, 0], [0.8, 0.8, 0.8]])[..., None]
    boxes = np.where(source[..., None] > 0, np.repeat(joints[..., 0, :1], 4, -1) + [0, 0, 8, 40], np.nan)
    for f in (0, 2, 4):
        write_mask(tmp_path / f"{f:06d}.png", np.zeros(SIZE[::-1], np.uint8))
    thin = Tracks(np.array([1, 2]), boxes, source * 0.5, joints, np.zeros((2, 3, 25, 4)), source)
    out = bridge(thin, np.array([0, 2, 4]), tmp_path, Reporter())
    assert out.source.tolist() == [[1, 3, 1, 0, 0], [1, 3, 2, 3, 1]]
    assert np.allclose(out.keypoints_2d[0, 1], [15, 0, 0.5]) and np.allclose(out.keypoints_2d[1, 3], [120, 0, 0.8])
    assert (out.keypoints_2d[0, 3:] == 0).all() and np.isnan(out.boxes[0, 3:]).all() and out.score[0, 3] == 0
    assert np.allclose(out.boxes[1, 3], boxes[1, 1:].mean(0))
    assert not read_mask(tmp_path / "000003.png").any()


def test_a_limb_that_swings_is_bridged_where_it_is():
    """A trunk that stands and an arm that swings by more than its width: the arm is drawn half-way, and once."""

    def drawn(arm):
        out = np.zeros((200, 200), np.uint8)
        cv2.rectangle(out, (80, 40), (110, 180), 2, -1)
        cv2.line(out, (110, 60), (160, arm), 2, 9)
        return out

    places = np.array([[95, 60], [95, 110], [95, 170], [110, 60], [135, 80], [160, 100.0]])
    moves = np.array([[0, 0], [0, 0], [0, 0], [0, 0], [0, 15], [0, 30.0]])
    out, truth = halfway(drawn(85), drawn(115), [2], [(places, moves)]), drawn(100)
    iou = lambda a, b: (a & b).sum() / (a | b).sum()
    assert set(np.unique(out)) == {0, 2} and iou(out > 0, truth > 0) > 0.95
    arm = np.s_[:, 115:]
    assert iou(out[arm] > 0, truth[arm] > 0) > 0.8 > iou(drawn(85)[arm] > 0, truth[arm] > 0)
    assert not halfway(drawn(85), np.zeros_like(truth), [2], [(places, moves)]).any()
