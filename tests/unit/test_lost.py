"""People whom the nets lose behind somebody are followed from the tracker's own mask, as far as the nets see them again."""

from types import SimpleNamespace

import numpy as np
import pytest

from solver.protocol import Reporter
from solver.track import lost, outlined
from solver.track.backend import Body, Pose

from .test_outlined import Film, H, Net, T, W, empty, iou, place, truth

GAP = range(4, 9)


class Sees(Net):
    """Sees somebody in the boxes of some frames of the gap, told by where the box is."""

    def __init__(self, frames):
        super().__init__()
        self.places = [place(2, f)[0] + 12 for f in frames]

    def body(self, rgb, pose, box):
        near = any(abs((box[0] + box[2]) / 2 - x) < 2 for x in self.places)
        return Body(np.tile([*pose.joints[0, :2], 1.0], (33, 1)), np.zeros((33, 3)), 0.9 if near else 0.1, np.zeros((256, 256), np.uint8), np.eye(2, 3))


def drawn(index):
    """Person 1 has both in the gap."""
    return (truth(index) > 0).astype(np.uint8) if index in GAP else truth(index)


@pytest.fixture
def tracks():
    out = empty(np.ones(T, int))
    for index in set(range(T)) - set(GAP):
        x, y = place(2, index)
        out.boxes[1, index], out.score[1, index], out.source[1, index] = [x, y, x + 24, y + 60], 0.7, 1
    out.keypoints_2d[1] = [7, 7, 0.5]
    out.keypoints_2d[1, GAP] = 0
    return out


def follow(tracks, net, way=None):
    shot = SimpleNamespace(width=W, height=H, frames=T, fps="24")
    found = lost.outlines(tracks, drawn, W, H)
    if way:
        found = [outline for outline in found if outline.goes(way)]
    return outlined.follow(shot, Film(), tracks, drawn, found, net, Reporter())


def test_both_ends_of_a_gap_are_outlined(tracks):
    found = lost.outlines(tracks, drawn, W, H)
    assert [(outline.person, outline.frame, outline.gaps) for outline in found] == [(2, GAP[0] - 1, (GAP,)), (2, GAP[-1] + 1, (GAP[::-1],))]
    assert all(iou(outline.mask((W, H)) > 0, truth(outline.frame) == 2) > 0.93 for outline in found)
    assert lost.outlines(tracks, drawn, W, H, told=[2]) == []


def test_who_shows_less_at_the_end_is_outlined_before(tracks):
    half = lambda index: np.where((drawn(index) == 2) & (np.arange(H)[:, None] > 55) & (index in (2, 3)), 0, drawn(index)).astype(np.uint8)
    assert next(outline.frame for outline in lost.outlines(tracks, half, W, H)) == 1


def test_who_is_lost_beside_nobody_is_not_followed(tracks):
    alone = lambda index: np.where(truth(index) == 2, 2, 0).astype(np.uint8) * (index not in GAP)
    assert lost.outlines(tracks, alone, W, H) == []


def test_the_gap_is_filled_and_the_rest_stays(tracks):
    found, masks = follow(tracks, Sees(GAP))
    assert sorted(masks) == list(GAP)
    for index, mask in masks.items():
        for person in (1, 2):
            assert iou(mask == person, truth(index) == person) > 0.8, (index, person)
    assert (found.source[1, GAP] == 2).all() and (found.keypoints_2d[1, GAP, 5, 2] > 0.3).all()
    before = sorted(set(range(T)) - set(GAP))
    assert (found.keypoints_2d[1, before, :, :2] == 7).all() and (found.keypoints_2d[0] == tracks.keypoints_2d[0]).all()


def test_what_is_carried_on_beyond_the_last_frame_with_somebody_in_it_is_nobody(tracks):
    seen = GAP[1]
    found, masks = follow(tracks, Sees([seen]), way=1)
    assert sorted(masks) == [GAP[0], seen]
    # the frame between has a mask, and joints that say nothing
    assert found.source[1, GAP].tolist() == [3, 2, 0, 0, 0]
    assert (found.keypoints_2d[1, GAP[0], :, 2] == 0).all() and np.isfinite(found.boxes[1, GAP[0]]).all()
    assert follow(tracks, Sees([]))[1] == {}


def test_a_sure_pose_of_nobody_is_nobody():
    assert not outlined._is_seen(Pose(np.tile([0, 0, 0.9], (17, 1))), SimpleNamespace(presence=0.1))
    assert not outlined._is_seen(Pose(np.tile([0, 0, 0.1], (17, 1))), SimpleNamespace(presence=0.9))
    assert outlined._is_seen(Pose(np.tile([0, 0, 0.4], (17, 1))), SimpleNamespace(presence=0.9))

# -- for the plate


def found_again(masks):
    tracks = empty(np.ones(T, int))
    shot = SimpleNamespace(frames=T, width=W, height=H)
    return lost.remains(shot, Film(), tracks, lambda index: masks[index], Reporter())


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
        (one,) = found[index]
        x, y = place(2, index)
        assert one.person == 2 and not (one.mask & (masks[index] > 0)).any()
        assert iou(one.mask | (masks[index] == 2), truth(index) == 2) > 0.75
        assert (one.box[:2] <= [x + 3, y + 3]).all() and (one.box[2:] >= [x + 21, y + 57]).all()


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
    found = lost.remains(shot, SimpleNamespace(read=lambda i: pictures[i]), tracks, lambda i: masks[i], Reporter())
    assert all(index < 14 for index in found)  # from 13 on nothing of them is in the picture
