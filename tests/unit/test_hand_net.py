"""The hands' net and the fitted hand on rendered hands, whose points are known."""

from pathlib import Path

import cv2
import numpy as np
import pytest

from solver import fingers
from solver.track.hand_fit import SIZE, fitted
from solver.track.hands import region_of
from solver.track.nets import HandNet

DATA = Path(__file__).parents[1] / "data"
NET = HandNet()


def stills():
    both = cv2.imread(str(DATA / "hands.jpg"))[..., ::-1]
    with np.load(DATA / "hands.npz") as truth:
        for k, (points, right) in enumerate(zip(truth["points"], truth["right"], strict=True)):
            picture = np.ascontiguousarray(both[:, 256 * k : 256 * (k + 1)])
            yield picture, points, bool(right), (points / points[:, 2:]) @ truth["K"][:2].T


def test_there_is_a_left_and_a_right_hand():
    assert [right for _, _, right, _ in stills()] == [False, True]


@pytest.mark.parametrize("k", [0, 1])
@pytest.mark.parametrize("turned", [0.0, 0.3])
def test_a_rendered_hand_is_found_and_fitted(k, turned):
    picture, points, right, pixels = list(stills())[k]
    centre, side, turn = region_of(pixels)
    palm = np.linalg.norm(pixels[9] - pixels[0])
    hand = NET(picture, centre + [0.1 * palm, 0], side, turn + turned)
    hand = NET(picture, *region_of(hand.points[:, :2]))
    assert hand.score > 0.9
    assert (hand.right > 0.5) == right
    assert np.linalg.norm(hand.points[:, :2] - pixels, axis=1).mean() < 0.15 * palm
    fit = fitted(hand.points[None], right)[0]
    a, b = (fingers.Palm.of(*at[[0, 5, 17]], np.array(right)) for at in (fit, points))
    assert a.length == pytest.approx(SIZE, rel=0.02)
    assert np.rad2deg(np.arccos(((a.axes * b.axes).sum() - 1) / 2)) < 20  # the camera looks at it
    assert np.abs(fingers.angles_of(fit, right) - fingers.angles_of(points, right))[:, :3].mean() < 15


def test_a_mirrored_hand_is_the_other_one():
    picture, _, right, pixels = next(iter(stills()))
    there = np.array([256, 0]) + pixels * [-1, 1]
    hand = NET(np.ascontiguousarray(picture[:, ::-1]), *region_of(there))
    assert (hand.right > 0.5) != right


def test_no_hand_is_no_hand():
    noise = np.random.default_rng(0).integers(0, 255, (256, 256, 3), np.uint8)
    assert NET(noise, (128, 128), 200.0).score < 0.5


@pytest.mark.parametrize("right", [False, True])
def test_a_fit_finds_bends_that_depth_does_not_show(right):
    """Points of a hand of usual build, their depth flattened to a third: turn and bends are found all the same."""
    rng = np.random.default_rng(4)
    axes = np.array([[0.1, -0.9, 0.4], [0.95, 0.2, 0.2]])
    along = axes[0] / np.linalg.norm(axes[0])
    across = axes[1] - (axes[1] @ along) * along
    across /= np.linalg.norm(across)
    palm = fingers.Palm(np.array([50.0, 80, 0]), np.stack([along, across, np.cross(along, across) * (-1 if right else 1)]), np.array(60.0))
    angles = np.array([[50, 20, 15, 35], [60, 70, 35, 4], [65, 75, 40, 0], [60, 70, 40, -6], [55, 65, 35, -12.0]])
    points = fingers.points_of(angles, palm)
    flat = (points - points[0]) * [1, 1, 0.33] + points[0] + rng.normal(size=(21, 3)) * 0.5
    fit = fitted(flat[None], right)
    found = fingers.angles_of(fit, right)[0]
    assert np.abs(found - angles)[:, :3].mean() < 0.6 * np.abs(fingers.angles_of(flat, right) - angles)[:, :3].mean()
    b = fingers.Palm.of(*fit[0][[0, 5, 17]], np.array(right))
    assert np.rad2deg(np.arccos(np.clip(((b.axes * palm.axes).sum() - 1) / 2, -1, 1))) < 12
    assert fitted(np.zeros((0, 21, 3)), right).shape == (0, 21, 3)
