"""The faces' net on rendered heads, whose turns are known; and a close-up, whose joints are too few for a person."""

from pathlib import Path

import cv2
import numpy as np
import pytest

from benchmarks.heads import turned_deg
from solver.track import faces
from solver.track.backend import Embedded, Pose
from solver.track.nets import FaceNet

DATA = Path(__file__).parents[1] / "data"
NET = FaceNet()


def stills():
    """(picture, true turn of the head (3, 3), px of the face's middle, px of a face's size)."""
    row = cv2.imread(str(DATA / "faces.jpg"))[..., ::-1]
    with np.load(DATA / "faces.npz") as truth:
        for k, (turn, middle) in enumerate(zip(truth["turn"], truth["middle"], strict=True)):
            at = (truth["K"] @ (middle / middle[2]))[:2]
            yield np.ascontiguousarray(row[:, 256 * k : 256 * (k + 1)]), turn, at, truth["K"][0, 0] * faces.FACE / middle[2]


@pytest.mark.parametrize("k", [0, 1, 2])
@pytest.mark.parametrize("zoom", [1.0, 0.5])
def test_a_rendered_face_is_found_and_its_turn_read(k, zoom):
    picture, turn, at, size = list(stills())[k]
    picture, at, size = cv2.resize(picture, None, fx=zoom, fy=zoom, interpolation=cv2.INTER_AREA), at * zoom, size * zoom
    face = NET(picture, at + [0.1 * size, 0], faces.SIDE * 1.2 * size, 0.15)
    face = NET(picture, *faces.region_of(face.points))
    assert face.score > 0.9
    assert np.linalg.norm(face.points[:, :2].mean(0) - at) < 0.3 * size
    assert 0.6 < face.size / size < 1.6
    assert turned_deg(faces.turn_of(face.points), turn) < (12 if k == 0 else 22)


def test_the_back_of_a_head_and_noise_are_no_faces():
    picture, _, at, size = list(stills())[3]
    assert NET(picture, at, faces.SIDE * 1.2 * size).score < faces.PRESENT
    noise = np.random.default_rng(0).integers(0, 255, (256, 256, 3), np.uint8)
    assert NET(noise, (128, 128), 150.0).score < faces.PRESENT


def test_a_close_up_is_somebody_by_the_face():
    """A face that fills the picture: the joints alone begin no track, the face does, and its eyes are where they are."""
    picture, _, at, size = next(iter(stills()))
    x, y = np.round(at - 0.9 * size).astype(int)
    side = int(1.8 * size)
    close = np.ascontiguousarray(cv2.resize(picture[y : y + side, x : x + side], (360, 360), interpolation=cv2.INTER_CUBIC))
    pose = Embedded().pose(close, np.array([0.0, 0, 360, 360]))
    found = faces.with_face(NET, close, pose)
    assert pose.score < 0.3
    assert found.score == found.face > faces.PLAIN
    assert (found.joints[:3, 2] > faces.PLAIN).all()
    middle = (at - [x, y]) * 360 / side
    assert np.linalg.norm(found.joints[:3, :2].mean(0) - middle) < 0.35 * size * 360 / side
    np.testing.assert_array_equal(found.joints[3:7], pose.joints[3:7])
    assert ((found.joints[7:, 2] == 0) == (pose.joints[7:, 2] < faces.ALONE)).all()  # nobody's hips are at their eyes


def test_a_pose_without_a_face_stays_as_it_is():
    picture, _, at, _ = list(stills())[3]
    pose = Pose(np.column_stack([np.tile(at, (17, 1)) + np.random.default_rng(0).normal(size=(17, 2)) * 30, np.full(17, 0.25)]))
    assert faces.with_face(NET, picture, pose) is pose
