"""Faces: from a net's points to how a head is turned, and whose they are. Stand-in nets; the net itself is tested on a rendered shot."""

from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from scipy.spatial.transform import Rotation

from solver.body.fit import heads_of
from solver.records import Tracks, load_record, save_record
from solver.track import faces
from solver.track.nets import Face
from tests.unit.test_fingers import FRAMES, REPORT, shot_of, tracks_of

STRAIGHT = np.diag([1.0, -1, -1])  # a head that looks into the camera


def face_at(middle, size=60.0, turn=STRAIGHT, score=0.95):
    """A face as the net gives it: only its rigid points and the outer corners of its eyes are in their place, all others in the middle."""
    points = np.tile([*middle, 0.0], (468, 1))
    points[faces.NUMBERS] += (faces.PLACES - np.average(faces.PLACES, 0, faces.WEIGHTS)) @ turn.T * size / 15
    for number, ahead in ((151, [0, 9, 2]), (152, [0, -6, 2])):  # forehead and chin: the points' height is the face's
        points[number] += turn @ np.array(ahead) * size / 15
    return Face(points, score)


def head(x=300.0, y=100.0, size=60.0):
    """(25, 3) of somebody who looks into the camera: a face of `size` px at (x, y), shoulders under it."""
    out = np.zeros((25, 3))
    unit = size / faces.FACE
    for joint, (dx, dy) in {0: (0, 0.02), 1: (0.032, -0.02), 2: (-0.032, -0.02), 3: (0.077, 0), 4: (-0.077, 0), 5: (0.18, 0.25), 6: (-0.18, 0.25)}.items():
        out[joint] = x + dx * unit, y + dy * unit, 0.9
    return out


class FakeNet:
    """Finds the same faces wherever it looks, those near the middle of the region."""

    net = SimpleNamespace(file="fake", sha256="0")

    def __init__(self, *found):
        self.found, self.looks = found, 0

    def __call__(self, rgb, centre, side, turn_rad=0.0):
        self.looks += 1
        near = [f for f in self.found if np.abs(f.points[:, :2].mean(0) - centre).max() < side / 2]
        return near[0] if near else face_at(centre, side / 1.5, score=0.01)


@pytest.mark.parametrize("turn", [(0, 0, 0), (0, 60, 0), (25, -40, 15)])
def test_a_turned_face_is_read_as_it_is_turned(turn):
    R = STRAIGHT @ Rotation.from_euler("xyz", turn, degrees=True).as_matrix()
    np.testing.assert_allclose(faces.turn_of(face_at((200, 100), turn=R).points), R, atol=1e-6)


def test_the_region_lies_on_the_face_and_turns_with_it():
    centre, side, turn = faces.region_of_head(head(), 60)
    np.testing.assert_allclose(centre, [300, 100], atol=5)
    assert side == pytest.approx(60 * 1.8)
    assert turn == pytest.approx(0, abs=1e-6)
    tilted = head()
    R = Rotation.from_euler("z", 30, degrees=True).as_matrix()[:2, :2]
    tilted[:, :2] = (tilted[:, :2] - [300, 100]) @ R.T + [300, 100]
    assert np.rad2deg(faces.region_of_head(tilted, 60)[2]) == pytest.approx(30, abs=1)
    tilted[1, 2] = 0  # one eye is hidden: the neck tells
    assert np.rad2deg(faces.region_of_head(tilted, 60)[2]) == pytest.approx(30, abs=1)
    again = faces.region_of(face_at((300, 100), turn=R3(30) @ STRAIGHT).points)
    assert np.rad2deg(again[2]) == pytest.approx(30, abs=1)


def R3(degrees):
    return Rotation.from_euler("z", degrees, degrees=True).as_matrix()


def test_small_faces_cost_nothing():
    read = SimpleNamespace(read=lambda index: pytest.fail("a picture was read"))
    out = faces.run(shot_of(), read, tracks_of(head(size=15)), REPORT, FakeNet())
    assert out.faces_2d is None
    assert out.faces_3d is None


def test_a_face_is_kept_with_its_turn():
    turn = STRAIGHT @ Rotation.from_euler("y", 30, degrees=True).as_matrix()
    out = faces.run(shot_of(), FRAMES, tracks_of(head()), REPORT, FakeNet(face_at((302, 101), turn=turn)))
    np.testing.assert_allclose(out.faces_2d[0, 0, :2], [302, 101], atol=8)
    np.testing.assert_allclose(out.faces_3d[0, 0], faces.turn_of(face_at((0, 0), turn=turn).points), atol=1e-6)
    assert out.provenance["weights_sha256"] == {"fake": "0"}


@pytest.mark.parametrize("bad", [face_at((302, 101), score=0.3), face_at((350, 101)), face_at((302, 101), size=20)])
def test_a_doubtful_face_one_beside_the_head_and_one_of_another_size_are_none(bad):
    out = faces.run(shot_of(), FRAMES, tracks_of(head()), REPORT, FakeNet(bad))
    assert not out.faces_2d.any()


def test_a_face_is_one_persons():
    """Two heads, one behind the other: the face is that of the head it lies on."""
    out = faces.run(shot_of(), FRAMES, tracks_of(head(322), head(302)), REPORT, FakeNet(face_at((300, 101))))
    assert not out.faces_2d[0].any()
    assert out.faces_2d[1, 0, 2] > 0


def test_faces_survive_the_record(tmp_path):
    tracks = replace(tracks_of(head()), faces_2d=np.ones((1, 1, 3)), faces_3d=np.ones((1, 1, 3, 3)))
    save_record(tmp_path / "t.npz", tracks)
    np.testing.assert_array_equal(load_record(tmp_path / "t.npz", Tracks).faces_3d, tracks.faces_3d)


def test_heads_are_those_of_a_camera_that_looks_straight_at_the_face():
    """A face at the picture's edge that is seen straight looks at the camera, and not along its axis."""
    K = np.array([[[500.0, 0, 320], [0, 500, 180], [0, 0, 1]]])
    tracks = replace(tracks_of(head()), faces_2d=np.array([[[620.0, 180, 0.9]]]), faces_3d=STRAIGHT[None, None])
    heads = heads_of(tracks, K)
    ray = np.array([300 / 500, 0, 1])
    np.testing.assert_allclose(heads.turn[0, 0].numpy() @ [0, 0, -1], ray / np.linalg.norm(ray), atol=1e-9)
    assert torch.det(heads.turn[0, 0]).item() == pytest.approx(1)
    assert heads.weight[0, 0].item() == pytest.approx(0.9)
    assert heads_of(tracks_of(head()), K) is None
