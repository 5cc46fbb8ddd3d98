"""What a person hides lies behind them."""

from types import SimpleNamespace

import numpy as np
import pytest

from solver.frames import intrinsics
from solver.records import Camera
from solver.world import behind

SIZE = (160, 120)
CAMERA = Camera(np.tile(np.eye(4), (3, 1, 1)), np.tile(intrinsics(100.0, *SIZE), (3, 1, 1)))


def mask(index):
    """Person 1 fills the middle of the picture."""
    out = np.zeros(SIZE[::-1], np.uint8)
    out[20:100, 50:110] = 1
    return out


POINTS = np.array([[0.0, 0, 8], [0.1, 0, 2], [-3.5, 0, 5], [0, 0, -4]])  # behind, in front, beside, behind the camera


def test_points_inside_a_mask_are_found_with_their_depths():
    p, t, point, depth = behind.hidden(POINTS, CAMERA, mask, [1], np.ones((1, 3), bool))
    assert set(zip(t, point)) == {(frame, row) for frame in range(3) for row in (0, 1)} and not p.any()
    assert depth[point == 0] == pytest.approx(8) and depth[point == 1] == pytest.approx(2)


def test_the_share_in_front_is_told():
    people = SimpleNamespace(ids=[1], visible=np.ones((1, 3), bool))
    joints = np.zeros((1, 3, 24, 3))
    joints[..., 2] = 4.0
    assert behind.share_in_front(POINTS, CAMERA, mask, people, joints) == pytest.approx(0.5)
    joints[..., 2] = 1.0
    assert behind.share_in_front(POINTS, CAMERA, mask, people, joints) == 0
    people.visible[:] = False
    assert behind.share_in_front(POINTS, CAMERA, mask, people, joints) is None


def test_nearness_counts_a_point_once_and_less_where_it_may_be_off():
    point = np.array([4, 4, 9])
    sigmas = behind.nearness(np.array([2.0, 2.0, 6.0]), np.full(3, 4.0), point)
    assert sigmas == pytest.approx([(4 - behind.BEFORE - 2) / behind.SIGMA, 0])
    assert behind.nearness(np.array([2.0]), np.array([4.0]), np.array([0]), 3.0)[0] < 0.6
    assert behind.cost(np.full(400, 9.0)) == pytest.approx(behind.cost(np.full(behind.POINTS, 9.0)))
    assert behind.cost(np.zeros(5)) == 0 and behind.cost(np.zeros(0)) == 0
