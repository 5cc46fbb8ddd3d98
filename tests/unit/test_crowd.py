"""Everybody in the shot as boxes made here: who is one person, who is prominent, who is chosen, and whose boxes are looked at."""

from __future__ import annotations

import numpy as np
import pytest

from solver.protocol import ShotError
from solver.records import Seen
from solver.track.backend import Pose
from solver.track.crowd import FEW, MOST, Box, Survey, choose, followed, prominence, sharpness, wanted
from solver.track.tracker import Track

SIZE = (640, 360)
PAN = np.array([[1.0, 0, -8], [0, 1, 0]])
STILL = np.eye(2, 3)


def boxes_of(spots):
    """(N, 4) boxes of people at x, y of their feet, of a height."""
    return np.array([[x - h / 4, y - h, x + h / 4, y] for x, y, h in spots], float)


def picture(boxes, seed=0):
    """A textured place with people in it, each of one colour with stripes."""
    rng = np.random.default_rng(seed)
    out = rng.integers(90, 130, (*SIZE[::-1], 3), np.uint8)
    for k, (x0, y0, x1, y1) in enumerate(boxes.astype(int)):
        out[max(0, y0) : y1, max(0, x0) : x1] = np.array([40 + 37 * k, 200 - 29 * k, 17 * k], int) % 256
        out[max(0, y0) : y1 : 6, max(0, x0) : x1] = 20
    return out


def surveyed(frames, score=0.8, scores=None):
    """What is seen in frames of boxes (N, 4)."""
    survey = Survey(*SIZE)
    for boxes in frames:
        survey.step(picture(boxes), boxes, np.full(len(boxes), 0.7) if scores is None else scores)
    return survey.result(24.0, range(len(frames)), lambda rgb, box, turns=(0.0,): Pose(np.full((17, 3), score)))


def test_everybody_gets_one_number_by_prominence_and_a_picture():
    frames = [boxes_of([(60 + 2 * t, 200, 60), (300, 340, 260), (600 - 3 * t, 210, 70)]) for t in range(20)]
    seen, pictures = surveyed(frames)
    assert len(seen.prominence) == 3 and seen.prominence[0] == 1 and (np.diff(seen.prominence) <= 0).all()
    assert [(seen.who == n).sum() for n in (0, 1, 2, 3)] == [0, 20, 20, 20]
    assert np.ptp(seen.boxes[seen.who == 1], axis=0).max() == 0  # the one who stands near
    assert len(pictures) == 3 and all(max(p.shape) == 160 for p in pictures)


def test_who_is_there_for_a_moment_or_is_nobody_has_no_number():
    frames = [boxes_of([(300, 340, 260)] + [(100, 200, 80)] * (t < 3)) for t in range(24)]
    seen, _ = surveyed(frames)
    assert len(seen.prominence) == 1 and (seen.who == 0).sum() == 3
    seen, pictures = surveyed(frames, score=0.1)
    assert len(seen.prominence) == 0 and not seen.who.any() and not pictures
    assert wanted(seen, []).all()  # and all is looked at as ever


def test_a_bust_is_no_second_person():
    """The detectors also see the upper half of somebody, now and then."""
    whole = boxes_of([(300, 340, 260)])[0]
    bust = whole - [0, 0, 0, 120]
    frames = [np.array([whole, bust][: 1 + (t % 3 > 0)]) for t in range(24)]
    seen, _ = surveyed(frames)
    assert len(seen.prominence) == 1 and (seen.who == 1).all()


def track_of(spots, sharp=0.5):
    out = Track()
    for f, spot in spots:
        box = boxes_of([spot])[0]
        out.sightings[f] = Box(f, box, Pose(np.zeros((17, 3))), weight=float((box[2:] - box[:2]).prod()), sharp=sharp)
    return out


def test_prominence_counts_size_time_sharpness_and_the_camera():
    still, pan = np.array([STILL] * 20), np.array([PAN] * 20)
    stays = track_of([(t, (300, 300, 200)) for t in range(20)])
    whole = prominence(stays, still, 0.5)
    assert prominence(track_of([(t, (300, 300, 100)) for t in range(20)]), still, 0.5) == pytest.approx(whole / 4)
    assert prominence(track_of([(t, (300, 300, 200)) for t in range(5)]), still, 0.5) == pytest.approx(whole / 2)
    assert prominence(track_of([(t, (300, 300, 200)) for t in range(20)], 0.25), still, 0.5) == pytest.approx(whole / 2)
    assert followed(stays, still) == 1
    assert followed(stays, pan) == pytest.approx(2)  # the background goes by
    assert followed(track_of([(t, (300 - 8 * t, 300, 200)) for t in range(20)]), pan) == pytest.approx(1)


def test_sharpness_does_not_depend_on_size():
    import cv2

    rng = np.random.default_rng(0)
    body = cv2.resize(rng.integers(0, 255, (64, 32, 3), np.uint8), (128, 256), interpolation=cv2.INTER_CUBIC)
    small, blurred = cv2.resize(body, (64, 128), interpolation=cv2.INTER_AREA), cv2.GaussianBlur(body, (0, 0), 8)
    assert sharpness(small) == pytest.approx(sharpness(body), rel=0.25)
    assert sharpness(blurred) < 0.5 * sharpness(body)


def test_choosing():
    assert choose([]) == []
    assert choose([1, 0.01]) == [1, 2] and choose([1] + [0.01] * (FEW - 1)) == list(range(1, FEW + 1))
    assert choose([1, 0.8] + [0.03] * 10) == [1, 2]  # two before a crowd
    assert choose([1, 0.8, 0.5] + [0.03] * 10) == [1, 2, 3]
    assert choose([1 - 0.02 * k for k in range(20)]) == list(range(1, MOST + 1))  # nobody leads
    assert choose([1, 0.8, 0.02], most=3) == [1, 2, 3] and choose([1, 0.8], most=1) == [1] and choose([1], most=5) == [1]
    assert choose([1, 0.8] + [0.03] * 10, added=(9, 1, 5)) == [1, 2, 9, 5]
    assert choose([1, 0.8, 0.1], only=(3, 1)) == [1, 3]
    for wrong in ({"only": (4,)}, {"added": (0,)}):
        with pytest.raises(ShotError) as caught:
            choose([1, 0.8, 0.1], **wrong)
        assert caught.value.fix


def test_boxes_near_the_chosen_are_looked_at_too():
    """Somebody of their size who touches them, and who stands where they are lost; a small one before them or a large one beside them is not."""
    lead, beside, touching, small = boxes_of([(300, 300, 200), (500, 300, 200), (360, 300, 190), (300, 280, 60)])
    frames = [[lead, beside], [lead, touching], [lead, small], [touching, beside], [lead]]
    who = [[1, 2], [1, 3], [1, 4], [3, 2], [1]]
    seen = Seen(
        np.arange(5), np.concatenate(frames), np.ones(9), np.repeat(np.arange(5), [2, 2, 2, 2, 1]), np.concatenate(who),
        np.array([STILL] * 5), np.array([1, 0.5, 0.1, 0.1]), np.zeros(4, int),
    )  # fmt: skip
    assert wanted(seen, [1]).tolist() == [True, False, True, True, True, False, True, False, True]
    assert wanted(seen, [1, 2, 3, 4]).all()


def test_boxes_without_an_area_are_nobody():
    seen, pictures = surveyed([np.array([[20.0, 30, 20, 90], [0, 0, 0, 0]])] * 8)
    assert len(seen.prominence) == 0 and len(seen.boxes) == 16 and not pictures
    seen, _ = surveyed([np.zeros((0, 4))] * 3)
    assert seen.boxes.shape == (0, 4) and seen.motions.shape == (3, 2, 3)
