"""What people stand on over the ground."""

from __future__ import annotations

import numpy as np
import pytest

from solver.stairs import OVER_M, footholds


def feet(heights, frames=6):
    """Points (T, 4, 3) of feet that point along +y, `frames` on each height, the left one a little aside of the right one."""
    points = np.zeros((len(heights) * frames, 4, 3))
    points[..., 2] = np.repeat(heights, frames)[:, None]
    points[:, [1, 3], 1] = 0.2
    points[:, :2, 0] = -0.1
    return points


def test_each_stand_over_the_ground_is_a_foothold():
    points, contact = feet([0.0, 0.3, 0.6]), np.zeros((18, 4), bool)
    contact[1:5, :2] = contact[7:11, :2] = contact[13:17, 2:] = True
    first, second = footholds(points, contact)
    assert (first.foot, first.first, first.end) == (0, 7, 11) and (second.foot, second.first, second.end) == (1, 13, 17)
    assert first.place == pytest.approx([-0.1, 0.1, 0.3]) and second.place == pytest.approx([0.0, 0.1, 0.6])
    assert np.rad2deg(first.heading) == pytest.approx(90)
    corners = first.corners()
    assert corners.mean(0) == pytest.approx(first.place) and np.ptp(corners[:, 1]) < np.ptp(corners[:, 0])


def test_who_stands_on_the_ground_or_nowhere_has_none():
    points = feet([0.9 * OVER_M, 0.4])
    contact = np.zeros((12, 4), bool)
    contact[:6] = True
    assert footholds(points, contact) == []
