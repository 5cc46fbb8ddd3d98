"""Who is who, on boxes and joints made here: crossings, gaps, a moving camera, duplicates, ghosts, swapped sides, jumps."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest

from solver.protocol import Reporter
from solver.skeleton import COCO_JOINTS
from solver.track import _Walk
from solver.track.appearance import unlike
from solver.track.backend import Pose, body_region
from solver.track.keypoints import ARMS, LEGS, disown, join, lone, reject_jumps, repair_sides, swap
from solver.track.masks import Store, clean, compose, place, skeleton
from solver.track.motion import carry_box
from solver.track.nets import iou, square_crop, suppress
from solver.track.tracker import (
    CHANGED,
    PROPAGATED,
    Sighting,
    Track,
    Tracker,
    drop_duplicates,
    drop_strangers,
    link,
    merge_duplicates,
    part,
    restore,
    select,
    trim,
)

STILL = np.eye(2, 3)
# A standing person in a box of 1 x 1: x, y of COCO's joints.
STANDING = np.array(
    [[.5, .08], [.55, .06], [.45, .06], [.6, .08], [.4, .08], [.7, .22], [.3, .22], [.8, .38], [.2, .38], [.85, .5],
     [.15, .5], [.62, .52], [.38, .52], [.62, .75], [.38, .75], [.62, .97], [.38, .97]]
)  # fmt: skip
RED, BLUE = np.zeros((2, 144)), np.zeros((2, 144))
RED[:, 3] = BLUE[:, 90] = 0.8
RED[:, 140] = BLUE[:, 140] = 0.2


def person(frame, x, y=100.0, height=120.0, look=RED, confidence=0.7, noise=0.0, seed=0):
    width = height * 0.5
    joints = np.column_stack([STANDING * [width, height] + [x, y], np.full(17, confidence)])
    joints[:, :2] += np.random.default_rng(seed + frame).normal(0, noise, (17, 2))
    return Sighting(frame, np.array([x, y, x + width, y + height]), Pose(joints), look=look)


def walk(seen, steps=None):
    """Tracks after frames of sightings (list of lists)."""
    tracker = Tracker()
    for frame, sightings in enumerate(seen):
        tracker.predict(frame, STILL if steps is None else steps[frame])
        matched = tracker.match(frame, sightings)
        for k, s in enumerate(sightings):
            tracker.add(s, matched.get(k))
    return tracker.tracks


def test_two_people_who_cross_keep_their_tracks():
    seen = [[person(t, 20 + 6 * t, look=RED), person(t, 320 - 6 * t, y=104, look=BLUE)] for t in range(50)]
    tracks = walk(seen)
    assert len(tracks) == 2
    for track in tracks:
        assert len(track) == 50
        assert len({s.look is RED for s in track.sightings.values()}) == 1


def test_same_clothes_crossing_are_told_apart_by_motion():
    seen = [[person(t, 20 + 8 * t), person(t, 420 - 8 * t, y=112)] for t in range(50)]
    tracks = walk(seen)
    assert len(tracks) == 2
    assert all(np.ptp([s.box[1] for s in track.sightings.values()]) == 0 for track in tracks)


def test_fast_pan_is_carried_along():
    """The camera moves by a body width a frame; without its motion every frame would begin somebody new."""
    pan = np.array([[1.0, 0, 70], [0, 1, 0]])
    seen = [[person(t, 70 * t)] for t in range(12)]
    assert len(walk(seen, [pan] * 12)) == 1
    assert len(walk(seen)) > 1


def test_lost_behind_a_tree_and_found_again():
    seen = [[person(t, 5 * t)] if not 15 <= t < 25 else [] for t in range(40)]
    assert [len(track) for track in walk(seen)] == [30]


def test_a_stranger_in_the_place_of_the_lost_is_somebody_new():
    seen = [[person(t, 100)] if t < 15 else [] if t < 25 else [person(t, 100, look=BLUE)] for t in range(40)]
    assert len(walk(seen)) == 2


def test_who_comes_near_and_fills_the_picture_is_kept_to_the_end():
    """Their looks change by and by: the last frames are unlike the whole, and like the ones before."""
    change = lambda t: max(0, t - 40) / 59
    track = Track({t: person(t, 100, look=(1 - change(t)) * RED + change(t) * BLUE) for t in range(100)})
    assert unlike(track.sightings[99].look, track.mean_look(), CHANGED)
    assert [(piece.first, piece.last) for piece in part([track])] == [(0, 99)]


def test_link_over_a_short_gap_follows_the_camera():
    pan = np.array([[1.0, 0, 10], [0, 1, 0]])
    a = walk([[person(t, 10 * t)] for t in range(10)], [pan] * 10)[0]
    b = walk([[]] * 30 + [[person(t, 10 * t)] for t in range(30, 40)], [pan] * 40)[0]
    assert len(link([a, b], np.array([pan] * 40), 24)) == 1


def test_link_after_a_long_absence_goes_by_looks():
    def pieces(second_look):
        away = walk([[person(t, 10)] for t in range(20)])[0]
        stays = walk([[person(t, 300, look=BLUE)] for t in range(200)])[0]
        back = walk([[]] * 150 + [[person(t, 500, look=second_look)] for t in range(150, 180)])[0]
        return link([away, stays, back], np.array([STILL] * 200), 24)

    joined = pieces(RED)
    assert sorted(len(t) for t in joined) == [50, 200]
    other = np.zeros((2, 144))
    other[:, 60] = 1
    assert sorted(len(t) for t in pieces(other)) == [20, 30, 200]


def test_link_leaves_twins_alone():
    """Two alike people leave, one returns: nobody can say which."""
    first = walk([[person(t, 10)] for t in range(20)])[0]
    second = walk([[person(t, 600)] for t in range(20)])[0]
    back = walk([[]] * 150 + [[person(t, 300)] for t in range(150, 180)])[0]
    assert len(link([first, second, back], np.array([STILL] * 180), 24)) == 3


def looked(track):
    """How often a track shows each person: (red, blue)."""
    return tuple(sum(s.look is look for s in track.sightings.values()) for look in (RED, BLUE))


def test_tracks_that_exchanged_their_people_are_put_right():
    def walker(t, right):
        return person(t, 20 + 4 * t if right else 220 - 4 * t, look=RED if right else BLUE)

    a = Track({t: walker(t, t < 25) for t in range(50)})
    b = Track({t: walker(t, t >= 25) for t in range(50) if not 20 < t < 30})
    people = select(link(part([a, b]), np.array([STILL] * 50), 24), 50)
    red, blue = sorted(map(looked, people), reverse=True)
    assert red[0] > 35 and red[1] == 0
    assert blue[1] > 35 and blue[0] == 0


def test_pieces_that_lie_on_each_other_are_one_person():
    first = Track({t: person(t, 20 + 2 * t) for t in range(30)})
    then = Track({t: person(t, 21 + 2 * t) for t in range(26, 60)})
    assert [len(t) for t in link([first, then], np.array([STILL] * 60), 24)] == [60]
    elsewhere = Track({t: person(t, 400) for t in range(26, 60)})
    assert len(link([first, elsewhere], np.array([STILL] * 60), 24)) == 2


def test_sightings_of_somebody_else_go():
    a = Track({t: person(t, 100, look=BLUE if t in (20, 21) else RED) for t in range(40)})
    b = Track({t: person(t, 300, look=BLUE) for t in range(40)})
    twin = Track({t: person(t, 400, look=0.95 * RED + 0.05 * BLUE) for t in range(40)})
    drop_strangers([a, b, twin])
    assert [len(t) for t in (a, b, twin)] == [38, 40, 40]


def test_who_is_hardly_seen_is_nobody_else():
    unknown = np.full((2, 144), np.nan)
    far = Track({t: person(t, 100, look=unknown if 10 < t < 30 or t > 36 else RED) for t in range(40)})
    nobody = Track({t: person(t, 300, look=unknown) for t in range(40)})
    assert [len(t) for t in part([far, nobody])] == [40, 40]
    drop_strangers([far, nobody])
    assert [len(t) for t in (far, nobody)] == [40, 40]


def test_light_that_changes_slowly_cuts_no_track():
    blend = lambda w: (1 - w) * RED + w * BLUE
    assert len(part([Track({t: person(t, 100, look=blend(t / 99)) for t in range(100)})])) == 1


def test_duplicates_in_a_frame_and_over_time():
    a, b = person(0, 100, confidence=0.8), person(0, 102, confidence=0.6)
    assert drop_duplicates([b, a]) == [a]
    assert len(drop_duplicates([a, person(0, 150)])) == 2
    long = walk([[person(t, 100)] for t in range(20)])[0]
    short = walk([[]] * 10 + [[person(t, 101)] for t in range(10, 24)])[0]
    merged = merge_duplicates([short, long])
    assert len(merged) == 1 and merged[0].last == 23


def test_ghosts_go_and_the_prominent_come_first():
    main = walk([[person(t, 100, height=200)] for t in range(60)])[0]
    small = walk([[person(t, 400, height=80)] for t in range(60)])[0]
    blink = walk([[person(t, 300)] for t in range(3)])[0]
    faint = walk([[person(t, 500, confidence=0.33)] for t in range(60)])[0]
    carried = walk([[person(t, 600)] for t in range(60)])[0]
    for t, s in carried.sightings.items():
        s.source = PROPAGATED if t > 5 else s.source
    assert select([small, blink, faint, carried, main], 60) == [main, small]


def test_trim_takes_doubtful_ends_only():
    track = walk([[person(t, 100, confidence=c)] for t, c in enumerate([0.2, 0.7, 0.7, 0.2, 0.7, 0.25])])[0]
    for t, c in enumerate([0.2, 0.7, 0.7, 0.2, 0.7, 0.25]):
        track.sightings[t] = person(t, 100, confidence=c)
    assert sorted(trim([track])[0].sightings) == [1, 2, 3, 4]
    track.aside[0].box = track.aside[0].box + 200  # astray; the other end is where the person goes on
    restore([track])
    assert list(track.sightings) == [1, 2, 3, 4, 5]


# -- joints over time


def striding(frames):
    """(T, 17, 3) of somebody who walks to the right and swings arms and legs, and (T,) sizes."""
    out = np.array([person(t, 30 + 4 * t).pose.joints for t in range(frames)])
    swing = np.sin(np.arange(frames) / 5)[:, None]
    for (a, b), reach in zip((*ARMS[1:], *LEGS[1:]), (10, 20, 12, 25)):
        out[:, [a], 0] += reach * swing
        out[:, [b], 0] -= reach * swing
    return out, np.full(frames, 120.0)


def marks(joints):
    """(T, 33, 3) landmarks of a second network that agrees."""
    from solver.skeleton import BLAZEPOSE_OF_KEYPOINT

    out = np.zeros((len(joints), 33, 3))
    out[:, list(BLAZEPOSE_OF_KEYPOINT[:17])] = joints
    for extra, carrier in zip(BLAZEPOSE_OF_KEYPOINT[17:], (15, 16, 15, 16, 9, 10, 9, 10)):
        out[:, extra] = joints[:, carrier] + [0, 3, 0]
    out[..., 2] = 0.9
    return out


@pytest.mark.parametrize("second_network_errs_too", [False, True])
def test_swapped_sides_are_put_right(second_network_errs_too):
    joints, size = striding(40)
    broken = joints.copy()
    broken[10:13] = swap(joints[10:13], LEGS)
    broken[20] = swap(joints[20], ARMS)
    landmarks = marks(broken if second_network_errs_too else joints)
    fixed = repair_sides(broken, landmarks, size, np.array([STILL] * 40))
    assert np.allclose(fixed, joints)


def test_sides_that_are_right_stay():
    joints, size = striding(40)
    joints[15] = np.nan
    assert np.array_equal(repair_sides(joints, marks(joints), size, np.array([STILL] * 40)), joints, equal_nan=True)


@pytest.mark.parametrize("length", [1, 2])
def test_jumps_lose_their_confidence(length):
    joints, size = striding(40)
    wrist = COCO_JOINTS.index("left_wrist")
    broken = joints.copy()
    broken[18 : 18 + length, wrist, :2] += [70, -50]
    out = reject_jumps(broken, size, np.array([STILL] * 40))
    assert (out[18 : 18 + length, wrist, 2] == 0).all()
    out[18 : 18 + length, wrist, 2] = broken[18 : 18 + length, wrist, 2]
    assert np.array_equal(out, broken)  # nothing else lost its


def test_borrowed_joints_go_back_to_their_owner():
    front, hidden = person(0, 100).pose.joints, person(0, 130, confidence=0.5).pose.joints
    hidden[15, :2] = front[16, :2] + 1  # the net took the other's leg, and the wrong one
    joints = np.stack([front, hidden])[:, None]
    out = disown(joints, np.full((2, 1), 120.0))
    assert out[1, 0, 15, 2] == 0
    out[1, 0, 15, 2] = hidden[15, 2]
    assert np.array_equal(out, joints)


def test_joined_keypoints_hide_what_is_unseen():
    joints, size = striding(5)
    joints[3] = np.nan
    joints[:, COCO_JOINTS.index("right_ankle"), 2] = 0.05  # unseen
    joints[1, COCO_JOINTS.index("nose"), :2] = [-30, 50]  # out of the picture
    landmarks = marks(joints)
    world = np.tile(np.linspace(-1, 1, 33)[None, :, None], (5, 1, 3))
    two, three = join(joints, landmarks, world, np.array([1, 1, 1, np.nan, 0.0]), size, 400, 300)
    assert two.shape == (5, 25, 3) and three.shape == (5, 25, 4)
    assert np.isfinite(two).all() and np.isfinite(three).all()
    right_foot, left_foot = [16, 18, 20], [15, 17, 19]
    assert (two[:, right_foot, 2] == 0).all() and (three[:, right_foot, 3] == 0).all()
    assert (two[[0, 1, 2]][:, left_foot, 2] > 0.2).all()
    assert two[1, 0, 2] == 0 and two[0, 0, 2] > 0.5
    assert (two[3, :, 2] == 0).all() and (three[3, :, 3] == 0).all()
    assert (three[4, :, 3] == 0).all()  # the second network saw nobody
    assert (two[..., 2] <= 1).all()


def test_second_network_with_swapped_legs_is_turned_round():
    joints, size = striding(3)
    landmarks = marks(swap(joints, LEGS))
    world = landmarks.copy()
    _, three = join(joints, landmarks, world, np.ones(3), size, 400, 300)
    assert np.allclose(three[:, 13, :2], joints[:, 13, :2])


def test_joints_pinned_to_the_edge_are_no_evidence():
    """The net puts knees that lie below the picture onto its edge, and ankles anywhere near: legs go, arms keep their depth."""
    joints, size = striding(3)
    landmarks = marks(joints)
    height = joints[0, 13:15, 1].max() + 0.02 * size[0]
    joints[:, 15:17, 1] = joints[:, 13:15, 1] - 0.1 * size[0]
    joints[:, 13:15, 1], joints[:, 7, 1] = height - 0.01 * size[0], height - 0.01 * size[0]
    world = np.tile(np.linspace(-1, 1, 33)[None, :, None], (3, 1, 3))
    two, three = join(joints, landmarks, world, np.ones(3), size, 400, height)
    assert (two[:, [7, 13, 14, 15, 16], 2] == 0).all() and (two[:, 17:21, 2] == 0).all()
    assert (two[:, [5, 6, 11, 12], 2] > 0.3).all()
    assert (three[:, 13:17, 3] == 0).all() and (three[:, 7, 3] > 0).all()


def test_a_bust_has_no_depth_of_its_face():
    joints, size = striding(3)
    world = np.tile(np.linspace(-1, 1, 33)[None, :, None], (3, 1, 3))
    _, whole = join(joints, marks(joints), world, np.ones(3), size, 400, 300)
    hidden = joints.copy()
    hidden[:, 11:, 2] = 0
    _, bust = join(hidden, marks(joints), world, np.ones(3), size, 400, 300)
    assert (whole[:, :5, 3] > 0).all() and (bust[:, :5, 3] == 0).all() and (bust[:, 5:7, 3] > 0).all()


# -- regions and masks


def test_region_turns_with_the_spine():
    upright = person(0, 100)
    centre, side, turn = body_region(upright.pose.joints, upright.box)
    assert turn == pytest.approx(0, abs=0.02) and side > 120
    lying = upright.pose.joints.copy()
    lying[:, :2] = (lying[:, :2] - centre) @ np.array([[0, 1], [-1, 0]]) + centre  # the head to the right
    box = np.concatenate([lying[:, :2].min(0), lying[:, :2].max(0)])
    assert body_region(lying, box)[2] == pytest.approx(np.pi / 2, abs=0.02)


def test_bust_gets_room_for_the_unseen_body():
    joints = person(0, 100).pose.joints
    joints[11:, 2] = 0.05
    assert body_region(joints, np.array([100, 100, 160, 160]))[1] == pytest.approx(2.2 * 60)


@pytest.mark.parametrize("turn", [0.0, 0.7, np.pi])
def test_crop_and_place_are_inverse(turn):
    rng = np.random.default_rng(0)
    import cv2

    image = cv2.resize(rng.integers(0, 255, (8, 8), np.uint8), (160, 120), interpolation=cv2.INTER_CUBIC)
    crop, A = square_crop(image[..., None].repeat(3, 2), (80, 60), 200, turn)
    back = place(crop[..., 0].copy(), A, 160, 120)
    assert np.abs(back[10:-10, 10:-10].astype(float) - image[10:-10, 10:-10]).mean() < 2
    # Corner origin: the middle of the crop is the centre asked for.
    assert np.allclose(A @ [128, 128, 1], [80, 60])


def test_store_gives_back_what_it_took():
    store = Store()
    crops = [np.random.default_rng(k).integers(0, 255, (256, 256), np.uint8) for k in range(3)]
    keys = [store.put(c) for c in crops]
    assert all(np.array_equal(store.get(key), crop) for key, crop in reversed(list(zip(keys, crops))))
    store.close()


def test_overlap_goes_to_the_nearer_skeleton():
    a, b = person(0, 100), person(0, 160)
    probability = np.zeros((300, 400), np.uint8)
    probability[100:220, 100:220] = 255  # both nets claim both people
    out = compose([(1, probability, a.pose.joints), (2, probability, b.pose.joints)], 400, 300)
    assert out[150, 130] == 1 and out[150, 190] == 2
    assert (out > 0).sum() == (probability > 0).sum()
    alone = compose([(2, probability, b.pose.joints)], 400, 300)
    assert (alone == 2).sum() == (probability > 0).sum()  # where nobody disputes it, the skeleton has no say


def test_clean_drops_islands_and_closes_pinholes():
    mask = np.zeros((300, 400), bool)
    mask[95:225, 95:165] = True
    mask[150, 130] = False
    mask[20:30, 300:310] = True
    out = clean(mask, skeleton(person(0, 100).pose.joints, 400, 300))
    assert out[150, 130] and not out[25, 305] and out[95:225, 95:165].all()


def test_boxes():
    assert iou([0, 0, 10, 10], [[0, 0, 10, 10], [5, 0, 15, 10], [20, 20, 30, 30]])[0] == pytest.approx([1, 1 / 3, 0])
    assert suppress(np.array([[0, 0, 10, 10], [0, 0, 10, 9], [30, 0, 40, 10]]), np.array([0.5, 0.9, 0.3])) == [1, 2]
    assert carry_box(np.array([[2.0, 0, 5], [0, 2, 0]]), [10, 10, 20, 20]) == pytest.approx([25, 20, 45, 40])


def test_a_knee_at_a_shoulder_is_imagined():
    """Hips, knees, ankles, left and right: lone ones are imagined, what hangs together and what is sure is not."""
    legs = np.array([
        [0, 0, 0, 0.3, 0, 0], [0, 0, 0, 0.8, 0, 0], [0, 0.3, 0, 0.3, 0, 0], [0, 0, 0.3, 0, 0.3, 0], [0, 0, 0, 0, 0.2, 0], [0.15, 0, 0, 0, 0, 0],
        [0.15, 0.15, 0, 0, 0, 0], [0.5, 0.5, 0.5, 0.5, 0.5, 0.5],
    ])  # fmt: skip
    expected = np.zeros(legs.shape, bool)
    expected[0, 3] = expected[4, 4] = expected[5, 0] = True
    np.testing.assert_array_equal(lone(legs), expected)


def test_of_two_boxes_about_a_face_the_larger_stays():
    joints = np.zeros((17, 3))
    joints[:3] = [[300, 200, 1], [330, 170, 1], [270, 170, 1]]
    strip, whole = (Sighting(0, np.array(box, float), Pose(joints, face=1.0)) for box in ([220, 105, 430, 200], [50, 0, 600, 360]))
    assert drop_duplicates([strip, whole]) == [whole]


def a_walk(width=1000, height=1000):
    """A walk that was not begun, in a picture of this size."""
    walk = _Walk.__new__(_Walk)
    walk.shot, walk.total, walk.boxes, walk.report = SimpleNamespace(width=width, height=height), 0, [], Reporter()
    return walk


@pytest.mark.parametrize("company, pieces", [(False, 1), (True, 2)])
def test_who_is_alone_may_change_their_looks(company, pieces):
    track = Track({t: person(t, 100, look=RED if t < 30 else BLUE) for t in range(60)})
    other = Track({t: person(t, 130, look=BLUE) for t in range(20, 25)})
    assert len(part([track, other] if company else [track])) == pieces + company


class Turned:
    """A net that is surest of a person when the picture is turned by `best`."""

    def __init__(self, upright, best, surest):
        self.scores = {0.0: upright, best: surest}

    def pose(self, rgb, box, turns=(0.0,)):
        poses = [Pose(np.tile([1.0, 1.0, self.scores.get(turn, 0.1)], (17, 1)), turn) for turn in turns]
        return max(poses, key=lambda pose: pose.score)


@pytest.mark.parametrize("upright, surest, turn", [(0.5, 0.8, np.pi), (0.5, 0.55, 0.0), (0.7, 0.9, 0.0)])
def test_who_hangs_upside_down_is_seen_so_from_the_first_frame(upright, surest, turn):
    walk = a_walk()
    walk.backend, walk.face = Turned(upright, np.pi, surest), None  # a head of no size is not asked for a face
    assert walk._posed(None, np.array([0, 0, 10, 10.0])).turn_rad == turn


def test_who_shows_a_face_upright_does_not_hang_upside_down(monkeypatch):
    walk = a_walk()
    walk.backend, walk.face = Turned(0.2, np.pi, 0.5), None
    monkeypatch.setattr("solver.track.with_face", lambda net, rgb, pose: replace(pose, face=0.95))
    pose = walk._posed(None, np.array([0, 0, 10, 10.0]))
    assert pose.turn_rad == 0 and pose.score == 0.95
    box = np.array([0, 0, 10, 10.0])
    assert walk._tight(pose, box) is box  # and not the box about its few joints


def test_nobody_lies_in_a_tall_box():
    walk = a_walk()
    walk.backend, walk.face = Turned(0.4, np.pi / 2, 0.8), None
    assert walk._posed(None, np.array([0, 0, 10, 30.0])).turn_rad == 0 and walk._posed(None, np.array([0, 0, 30, 10.0])).turn_rad == np.pi / 2
