"""Who is cut off by the picture's edge: busts from behind, beside somebody whom the net has an eye for; knees beyond the edge."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest

from solver.track.backend import Pose
from solver.track.keypoints import join, with_bust
from solver.track.masks import Store
from solver.track.tracker import PROPAGATED, Sighting, Track
from tests.unit.test_tracker import STANDING, STILL, a_walk, person


def bust(shoulders, others=0.1):
    """Joints (17, 3) of head, shoulders and an elbow over the lower edge of a picture of 100 x 100, by how sure they are."""
    joints = np.column_stack([STANDING * [60, 180] + [20, 20], np.full(17, others)])
    joints[[5, 6], 2] = shoulders
    return joints


@pytest.mark.parametrize("bottom, shoulders, plain", [(99, (0.5, 0.7), True), (80, (0.5, 0.7), False), (99, (0.2, 0.9), False)])
def test_who_is_seen_from_behind_over_the_edge_is_known_by_the_shoulders(bottom, shoulders, plain):
    pose = Pose(bust(shoulders))
    found = with_bust(pose, np.array([10, 10, 90, bottom]), 100)
    assert pose.score < 0.3
    if not plain:
        assert found is pose
        return
    assert found.score == found.bust == pytest.approx(0.6)
    assert (found.joints[:, 2] > 0).sum() == 2 and pose.joints[0, 2] == 0.1  # what the net imagines below the edge is gone


class EyeForOne:
    """A net that answers with the one in front while they are in the picture, wherever it is asked; then with a bust."""

    def __init__(self):
        self.front = person(0, 200).pose.joints

    def pose(self, rgb, box, turns=(0.0,)):
        return Pose(self.front if rgb.max() > 200 else bust((0.8, 0.8), 0.5) * [1, 1, 1] + [200, 0, 0])

    def body(self, rgb, pose, box):
        return SimpleNamespace(presence=1.0, mask=np.full((256, 256), 255, np.uint8), A=np.array([[0.2, 0, 210], [0, 0.2, 45]]))


def test_who_is_beside_somebody_whom_the_net_has_an_eye_for_is_looked_for_without_them(monkeypatch, tmp_path):
    walk = a_walk(400, 100)
    walk.backend, walk.face, walk.store = EyeForOne(), None, Store()
    walk.near = {0: walk.store.put(np.zeros((256, 256), np.uint8))}
    picture = np.full((100, 400, 3), 50, np.uint8)
    front = Sighting(0, np.array([10, 0, 240, 100.0]), Pose(walk.backend.front), body=SimpleNamespace(mask=walk.store.put(np.full((256, 256), 255, np.uint8)), A=np.array([[0.2, 0, 150], [0, 0.2, 20]])))
    picture[22:68, 152:198] = 255
    walk.frames = SimpleNamespace(read=lambda index: picture)
    box = np.array([200, 10, 300, 99.0])
    behind, other = Track({1: Sighting(1, box, Pose(bust((0.8, 0.8), 0.5) + [200, 0, 0]))}), Track({0: front})
    assert walk._look_again(0, behind, box, [behind, other])
    found = behind.sightings[0]
    assert found.pose.joints[5, 0] > 200 and found.source == PROPAGATED
    alone = Track({1: behind.sightings[1]})
    monkeypatch.setattr("solver.track.without", lambda rgb, owner, person: rgb)
    assert not walk._look_again(0, alone, box, [alone, other])


def test_frames_in_which_the_detectors_alone_see_somebody_are_looked_at_again():
    walk = a_walk()
    walk.total, box = 6, np.array([0, 0, 10, 10.0])
    walk.boxes = [[(box, 1)], [(box, 1)], [(box, 2)], [(box, 1)], [], []]
    asked = []
    walk._look_again = lambda frame, track, box, tracks: asked.append(frame if box[0] == 0 else -frame)
    walk._backward = lambda *_: None
    walk._interpolated = lambda track, a, b, frame, motions: track.sightings[a]
    track = Track({f: Sighting(f, box, Pose(bust((1, 1))), who=1) for f in (3, 4)})
    walk.fill([track], np.tile(STILL, (6, 1, 1)))
    assert asked == [0, 1]
    # In a gap the place between the sightings comes first: a detector's box may be about two people there.
    walk.boxes[4], gap = [(box + 5, 1)], Track({f: Sighting(f, box, Pose(bust((1, 1))), who=1) for f in (3, 5)})
    asked.clear()
    walk.fill([gap], np.tile(STILL, (6, 1, 1)))
    assert asked == [0, 1, 4]
    rival = Track({2: Sighting(2, box, Pose(bust((1, 1))), who=1)})
    asked.clear()
    walk.fill([track, rival], np.tile(STILL, (6, 1, 1)))
    assert asked == []


@pytest.mark.parametrize("y, knee, ankle, kept", [(340, 0.25, 0, False), (250, 0.25, 0, True), (250, 0.15, 0, False), (250, 0.15, 0.8, True), (340, 0.4, 0, True)])
def test_doubtful_knees_at_the_edge_are_beyond_it(y, knee, ankle, kept):
    joints = np.column_stack([STANDING * [100, 200] + [100, 100], np.full(17, 0.8)])[None]
    joints[0, [13, 14], 1], joints[0, [13, 14], 2], joints[0, [15, 16], 2] = y, knee, ankle
    nothing = np.full((1, 33, 3), np.nan)
    two, _ = join(joints, nothing, nothing, np.ones(1), np.array([200.0]), 400, 360)
    assert ((two[0, 13:15, 2] > 0) == kept).all() and (two[0, 11:13, 2] > 0).all()
