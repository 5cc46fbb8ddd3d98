"""People whom an artist outlines: two textured figures in one mask are told apart from there on, in both directions of time."""

from types import SimpleNamespace

import cv2
import numpy as np
import pytest

from solver.protocol import Reporter
from solver.records import Tracks
from solver.track import outlined
from solver.track.backend import Body, Pose

W, H, T = 160, 120, 12
COLOURS = {1: (200, 60, 50), 2: (40, 90, 190)}


def place(person, index):
    """Left and top of a figure 24 x 60: both go to the right, held together."""
    return (30 + 4 * index + (20 if person == 2 else 0), 30)


def truth(index):
    out = np.zeros((H, W), np.uint8)
    for person in (1, 2):
        x, y = place(person, index)
        out[y : y + 60, x : x + 24] = person
    return out


class Film:
    def __init__(self):
        rng = np.random.default_rng(1)
        blurred = lambda shape: cv2.GaussianBlur(rng.integers(0, 255, shape).astype(np.float32), (0, 0), 1.5)
        self.ground = 110 + 0.5 * (blurred((H, W)) - 127)
        self.coats = {person: np.array(COLOURS[person]) + (blurred((60, 24)) - 127)[..., None] for person in (1, 2)}

    def read(self, index):
        out = np.repeat(self.ground[..., None], 3, 2)
        for person in (1, 2):
            x, y = place(person, index)
            out[y : y + 60, x : x + 24] = self.coats[person]
        return np.clip(out, 0, 255).astype(np.uint8)


class Net:
    """Sees one person in a box, wherever red or blue is."""

    def __init__(self):
        self.asked = []

    def pose(self, rgb, box, turns=(0.0,)):
        self.asked.append((rgb, box))
        x, y = (box[:2] + box[2:]) / 2
        return Pose(np.tile([x, y, 0.9], (17, 1)))

    def body(self, rgb, pose, box):
        return Body(np.tile([*pose.joints[0, :2], 1.0], (33, 1)), np.zeros((33, 3)), 0.1, np.zeros((256, 256), np.uint8), np.eye(2, 3))


def empty(row_of_one):
    """Tracks of person 1, whose mask holds both, and of person 2, whom nobody saw."""
    source = np.array([row_of_one, np.zeros(T, int)])
    boxes = np.full((2, T, 4), np.nan)
    boxes[0] = [30, 30, 80, 90]
    return Tracks(np.array([1, 2]), boxes, 0.8 * (source > 0), np.zeros((2, T, 25, 3)), np.zeros((2, T, 25, 4)), source, {})


def rectangle(person, index):
    x, y = place(person, index)
    return np.array([[x, y], [x + 24, y], [x + 24, y + 60], [x, y + 60]], float)


def iou(a, b):
    return (a & b).sum() / (a | b).sum()


@pytest.fixture(scope="module")
def followed():
    film, net = Film(), Net()
    shot = SimpleNamespace(width=W, height=H, frames=T, fps="24")
    drawn = lambda index: (truth(index) > 0).astype(np.uint8)  # one person, as the nets say
    outlines = [outlined.Outline(person, 6, [rectangle(person, 6)]) for person in (1, 2)]
    tracks, masks = outlined.follow(shot, film, empty(np.ones(T, int)), drawn, outlines, net, Reporter())
    return tracks, masks, net


def test_one_outline_tells_two_people_apart_in_all_frames(followed):
    tracks, masks, _ = followed
    assert sorted(masks) == list(range(T))
    for index, mask in masks.items():
        for person in (1, 2):
            assert iou(mask == person, truth(index) == person) > 0.85, (index, person)
    assert (tracks.source > 0).all() and (tracks.source[:, 6] == 1).all() and tracks.source[1, 0] == 2
    centres = (tracks.boxes[1, :, 0] + tracks.boxes[1, :, 2]) / 2
    np.testing.assert_allclose(centres, [place(2, i)[0] + 12 for i in range(T)], atol=3)
    assert (tracks.keypoints_2d[1, :, 5, 2] > 0.3).all()


def test_the_outline_itself_stands(followed):
    _, masks, _ = followed
    for person in (1, 2):
        assert iou(masks[6] == person, truth(6) == person) > 0.93  # half a pixel more all round


def test_the_net_sees_each_alone(followed):
    _, _, net = followed
    for rgb, box in net.asked:
        x = (box[0] + box[2]) / 2
        red, blue = ((rgb.astype(int)[..., c] - rgb[..., 2 - c] > 60).sum() for c in (0, 2))
        kept, gone = (red, blue) if any(abs(x - place(1, i)[0] - 12) < 4 and red > blue for i in range(T)) else (blue, red)
        assert kept > 800 and gone < 0.1 * kept


def test_who_has_a_mask_of_their_own_again_is_left_to_it():
    """Far from the outline the tracker is right: there its masks and joints stay."""
    shot = SimpleNamespace(width=W, height=H, frames=T, fps="24")
    drawn = lambda index: (truth(index) > 0).astype(np.uint8) if index < 3 else truth(index)
    tracks = empty(np.ones(T, int))
    tracks.source[1, 3:], tracks.score[1, 3:] = 1, 0.7
    for index in range(3, T):
        tracks.boxes[1, index] = [*place(2, index), place(2, index)[0] + 24, 90]
    tracks.keypoints_2d[1, 3:] = [7, 7, 0.5]
    found, masks = outlined.follow(shot, Film(), tracks, drawn, [outlined.Outline(2, 0, [rectangle(2, 0)])], Net(), Reporter())
    assert max(masks) < 7 and (found.source[1] > 0).all()
    assert (found.keypoints_2d[1, 8:, :, :2] == 7).all() and (found.keypoints_2d[1, 1, 5, :2] != 7).any()


def test_an_outline_of_somebody_half_hidden_gives_way_to_the_whole_mask():
    """The outline has the upper half; where the tracker has all of the person, and nobody else, that stays."""
    shot = SimpleNamespace(width=W, height=H, frames=T, fps="24")
    tracks = empty(np.ones(T, int))
    tracks.boxes[0] = [[*place(1, i), place(1, i)[0] + 24, 90] for i in range(T)]
    tracks.keypoints_2d[0] = [7, 7, 0.5]
    x, y = place(1, 0)
    half = outlined.Outline(1, 0, [np.array([[x, y], [x + 24, y], [x + 24, y + 30], [x, y + 30]], float)])
    _, masks = outlined.follow(shot, Film(), tracks, lambda i: np.where(truth(i) == 1, 1, 0).astype(np.uint8), [half], Net(), Reporter())
    assert max(masks) < 4
    _, masks = outlined.follow(shot, Film(), tracks, lambda i: (truth(i) > 0).astype(np.uint8), [half], Net(), Reporter())
    assert max(masks) == T - 1  # that mask holds somebody else, too


def test_who_leaves_the_picture_is_lost():
    shot = SimpleNamespace(width=W, height=H, frames=T, fps="24")

    class Leaves(Film):
        def read(self, index):
            out = np.repeat(self.ground[..., None], 3, 2)
            if index < 6:
                x, y = place(1, index)
                out[y : y + 60, x : x + 24] = self.coats[1]
            return np.clip(out, 0, 255).astype(np.uint8)

    nobody = lambda index: np.zeros((H, W), np.uint8)
    tracks = empty(np.zeros(T, int))
    tracks.boxes[:] = np.nan
    found, _ = outlined.follow(shot, Leaves(), tracks, nobody, [outlined.Outline(1, 2, [rectangle(1, 2)])], Net(), Reporter())
    assert (found.source[0, :6] > 0).all() and not (found.source[0, 8:] > 0).any()


# -- who is lost without anybody saying so


def found_again(masks):
    tracks = empty(np.ones(T, int))
    shot = SimpleNamespace(frames=T, width=W, height=H)
    return outlined.lost(shot, Film(), tracks, lambda index: masks[index], Reporter())


def test_who_was_lost_is_carried_on_from_their_own_masks():
    masks = [truth(index) for index in range(T)]
    assert found_again(masks) == {}
    for index in range(3, 9):  # nothing of them, and scraps before and after, also once for a moment nearly all
        masks[index][(masks[index] == 2) & (np.arange(W) > (0 if 4 <= index < 8 else place(2, index)[0] + 8))] = 0
    masks[6] = truth(6)
    masks[6][:40][masks[6][:40] == 2] = 0
    found = found_again(masks)
    assert sorted(found) == list(range(3, 9))
    for index in range(3, 9):
        (lost,) = found[index]
        x, y = place(2, index)
        assert lost.person == 2 and not (lost.mask & (masks[index] > 0)).any()
        assert iou(lost.mask | (masks[index] == 2), truth(index) == 2) > 0.75
        assert (lost.box[:2] <= [x + 3, y + 3]).all() and (lost.box[2:] >= [x + 21, y + 57]).all()


def test_who_left_the_picture_is_not_looked_for_there_for_ever():
    """They walk out on the right, and the last frames have none of them."""
    film, masks = Film(), []
    pictures = []
    for index in range(2 * T):
        picture, mask = np.repeat(film.ground[..., None], 3, 2), np.zeros((H, W), np.uint8)
        x = 60 + 8 * index
        picture[30:90, x : x + 24] = film.coats[2][:, : max(0, min(24, W - x))]
        mask[30:90, x : x + 24] = 2
        pictures.append(np.clip(picture, 0, 255).astype(np.uint8)), masks.append(mask)
    shot = SimpleNamespace(frames=2 * T, width=W, height=H)
    tracks = empty(np.ones(T, int))
    found = outlined.lost(shot, SimpleNamespace(read=lambda i: pictures[i]), tracks, lambda i: masks[i], Reporter())
    assert all(index < 14 for index in found)  # from 13 on nothing of them is in the picture
