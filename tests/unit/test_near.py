"""Busts: who is near the camera and cut off by the lower edge is found and masked by a net that sees the whole picture."""

from pathlib import Path
from types import SimpleNamespace

import cv2
import numpy as np
import pytest
import torch

from solver.body.body import initial
from solver.body.fit import Evidence
from solver.body.model import BodyModel
from solver.body.prior import PosePrior
from solver.take import read_mask
from solver.track.backend import Body, Embedded, Pose
from solver.track.crowd import Survey
from solver.track.masks import Store, cut_out, place
from solver.track.near import busts, completed, shoulders, unclaimed, within
from solver.track.nets import SelfieNet, iou
from solver.track.tracker import DETECTED, PLAIN, PROPAGATED, Sighting
from tests.unit.test_tracker import STANDING, a_walk

DATA = Path(__file__).parents[1] / "data"
LEFT, RIGHT = slice(10, 40), slice(50, 90)  # columns of two people in a picture of 100 x 100


def picture(*places):
    """(100, 100) uint8, 255 at places (rows, columns)."""
    out = np.zeros((100, 100), np.uint8)
    for rows, columns in places:
        out[rows, columns] = 255
    return out


TWO = picture((slice(40, 100), LEFT), (slice(20, 100), RIGHT), (slice(90, 100), slice(40, 50)))  # their arms touch


def back():
    rgb = np.ascontiguousarray(cv2.imread(str(DATA / "back.jpg"))[..., ::-1])
    return rgb, read_mask(DATA / "back.png")


def test_who_is_seen_from_behind_and_by_no_detector_is_found_and_has_a_mask():
    rgb, truth = back()
    boxes, _ = Embedded().detect(rgb)
    y, x = np.nonzero(truth == 1)
    true = np.array([x.min(), y.min(), x.max(), y.max()])
    assert len(boxes) and iou(true, boxes).max() < 0.3
    near = SelfieNet()(rgb)
    found, sure = unclaimed(near, boxes, *rgb.shape[1::-1])
    assert len(found) == 1 and iou(true, found[0])[0, 0] > 0.5 and sure[0] > 0.8
    mask = np.where(truth == 2, 2, 0).astype(np.uint8)
    whole = completed(mask, cv2.resize(near, rgb.shape[1::-1]), {1: found[0]}) == 1
    assert (whole & (truth == 1)).sum() > 0.6 * (whole | (truth == 1)).sum()


def test_nobody_is_seen_in_noise_or_in_a_grey_picture():
    for rgb in (np.random.default_rng(0).integers(0, 255, (216, 384, 3), np.uint8), np.full((216, 384, 3), 128, np.uint8)):
        assert not len(unclaimed(SelfieNet()(rgb), np.zeros((0, 4)), 384, 216)[0])


def test_a_bust_stands_on_the_lower_edge_and_is_tall():
    tree, shoe = picture((slice(0, 80), LEFT)), picture((slice(80, 100), LEFT))
    assert not busts(tree) and not busts(shoe) and len(busts(TWO)) == 1
    assert len(busts(picture((slice(40, 98), LEFT)))) == 1  # the net is unsure along the edge


def test_what_no_detector_has_is_somebody_unless_it_is_a_shoulder():
    found, sure = unclaimed(TWO, [[10, 40, 40, 98]], 200, 100)
    assert len(found) == 1 and sure == 1
    np.testing.assert_allclose(unclaimed(TWO, [[20, 40, 80, 98]], 200, 100)[0][0][[1, 2, 3]], [20, 180, 100])
    assert not len(unclaimed(TWO, [[0, 0, 170, 98]], 200, 100)[0])  # a strip beside a large box
    assert not len(unclaimed(TWO, [[20, 40, 80, 98], [100, 20, 180, 98]], 200, 100)[0])


def test_within_a_box_is_who_fills_it_beside_the_others():
    other = picture((slice(40, 100), slice(10, 50))) > 0
    found = within(TWO, [45, 15, 95, 100], other)
    assert found is not None and found[:, RIGHT].sum() == found.sum() == 80 * 40
    assert within(TWO, [45, 15, 95, 98], other) is not None  # boxes end a little above the edge
    assert within(TWO, [0, 0, 100, 100], TWO > 0) is None
    assert within(picture((slice(40, 100), LEFT)), [0, 0, 100, 100], np.zeros((100, 100), bool)) is None


def test_the_rest_of_a_bust_is_the_nearest_ones():
    mask = np.zeros((100, 100), np.uint8)
    mask[45:80, 15:35], mask[25:90, 55:85] = 1, 2
    out = completed(mask, TWO, {1: np.array([10, 40, 40, 100.0]), 2: np.array([50, 20, 90, 100.0])})
    np.testing.assert_array_equal(out > 0, TWO > 0)
    assert (out[40:, LEFT] == 1).mean() > 0.98 and (out[20:, RIGHT] == 2).mean() > 0.98
    np.testing.assert_array_equal(completed(mask, TWO, {}), mask)  # whose knees are seen are whole
    far = completed(np.where(mask == 1, mask, 0), TWO, {1: np.array([10, 40, 40, 100.0])})
    assert far[:, 60:].max() == 0  # nobody reaches so far


def test_who_has_no_mask_is_what_stands_in_their_box():
    mask = np.zeros((100, 100), np.uint8)
    mask[40:, 10:50] = 1
    out = completed(mask, TWO, {2: np.array([45, 15, 95, 100.0])})
    assert (out[20:, RIGHT] == 2).all() and (out[40:, 10:50] == 1).all()


def test_shoulders_of_a_back_are_where_its_outline_says():
    _, truth = back()
    left, right = shoulders(truth == 1)
    np.testing.assert_allclose(left, [216, 117], atol=10)  # projected from the shot's truth
    np.testing.assert_allclose(right, [307, 112], atol=10)


def test_what_is_cut_out_is_placed_where_it_was():
    A = np.array([[0.4, 0, 20], [0, 0.4, 10]])
    again = place(cut_out(TWO, A), A, 100, 100)
    np.testing.assert_array_equal(again[15:95, 25:95] > 127, TWO[15:95, 25:95] > 127)


@pytest.mark.parametrize("there, people", [(24, 1), (3, 0)])
def test_the_survey_lists_who_is_seen_by_their_outline_alone_if_they_stay(there, people):
    survey, box = Survey(200, 100), np.array([[100, 20, 180, 100.0]])
    for t in range(24):
        survey.step(np.zeros((100, 200, 3), np.uint8), np.zeros((0, 4)), np.zeros(0), *((box, [0.9]) if t < there else ()))
    seen, _ = survey.result(24.0, np.arange(24), lambda *_: Pose(np.zeros((17, 3))))
    assert len(seen.prominence) == people and (seen.who > 0).sum() == people * there


@pytest.mark.parametrize("sees, known, nose, found", [(True, False, 0.4, True), (False, False, 0.4, False), (False, True, 0.4, True), (True, False, 0.6, True)])
def test_who_is_outlined_has_to_be_seen_by_the_second_net_unless_they_are_known(sees, known, nose, found):
    """The joints are no evidence, those that are guesses count for nothing; the mask is the outline."""
    walk = a_walk(100, 100)
    walk.store, A = Store(), np.array([[100 / 256, 0, 0], [0, 100 / 256, 0]])
    walk.near = {3: walk.store.put(TWO)}
    sight = cut_out(picture((slice(20, 100), RIGHT)) if sees else picture((slice(0, 30), LEFT)), A)
    joints = np.column_stack([STANDING * [40, 160] + [50, 20], np.full(17, 0.1)])
    joints[9, 2], joints[0, 2] = 0.6, nose
    walk.backend = SimpleNamespace(pose=lambda *_: Pose(joints.copy()), body=lambda *_: Body(np.ones((33, 3)), np.zeros((33, 3)), 0.9, sight, A))
    mask = cut_out(picture((slice(40, 100), slice(10, 50))), A)
    other = Sighting(3, np.array([10, 40, 50, 100.0]), Pose(joints), body=Body(None, None, 0.9, walk.store.put(mask), A))
    s = walk._outlined(np.zeros((100, 100, 3), np.uint8), 3, np.array([45, 15, 95, 100.0]), [other], PROPAGATED if known else DETECTED, 2, known)
    assert (s is not None) == found
    if not found:
        return
    assert s.score > PLAIN and s.who == 2 and s.pose.joints[9, 2] == 0.6 and np.delete(s.pose.joints[:, 2], [0, 5, 6, 9]).max() == 0
    if nose > 0.5:  # who has a nose faces us
        assert s.pose.joints[0, 2] == nose and not s.pose.joints[5:7, 2].any()
        return
    left, right = s.pose.joints[5:7, 0]
    assert 50 < left < 60 and 80 < right < 90  # a back has its left shoulder on the left
    shown = place(walk.store.get(s.body.mask), A, 100, 100) > 127
    assert (shown & (picture((slice(20, 100), RIGHT)) > 0)).sum() > 0.95 * (80 * 40) and shown[:, LEFT].sum() < 50
    assert not s.body.landmarks[:, 2].any()  # a back is a front to it


@pytest.mark.parametrize("side, frames", [(-1, 20), (1, 20), (-1, 1)])
def test_who_shows_their_shoulders_alone_is_begun_as_they_are_turned(side, frames):
    """Two shoulders 100 px apart through a lens of 1000 px: a body 3 to 4 m away, its back to the camera where the left one is on the left."""
    T, F64 = 20, torch.float64
    eye = torch.eye(3, dtype=F64).repeat(T, 1, 1)
    K = eye * torch.tensor([1000.0, 1000, 1], dtype=F64)
    xy, seen, nothing = torch.zeros(1, T, 25, 2, dtype=F64), torch.zeros(1, T, 25, dtype=F64), torch.zeros(1, T, 25, dtype=F64)
    xy[..., 5, 0], xy[..., 6, 0], seen[:, :frames, 5:7] = side * 50, -side * 50, 0.8
    seen[0, 7, 7:11] = 0.5 * (frames > 1)  # guesses in one frame say nothing of the others
    bodies = initial(Evidence(xy, seen, torch.zeros(1, T, 25, 3, dtype=F64), nothing, torch.ones(1, T, dtype=torch.bool), eye, K, 24.0), BodyModel.load(dtype=F64), PosePrior(F64))
    joints = bodies.posed().joints[0]
    assert ((joints[:, 16, 0] - joints[:, 17, 0]) * side > 0.2).all() and (joints[:, 12, 1] < joints[:, 0, 1]).all()
    assert (2.5 < joints[torch.arange(T) != 7, 0, 2]).all() and (joints[torch.arange(T) != 7, 0, 2] < 4.5).all()
