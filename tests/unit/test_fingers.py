"""Fingers as angles, hands in the picture, and what becomes of both over time."""

from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial.transform import Rotation

from solver import fingers
from solver.body.fit import palms_of
from solver.body.model import BodyModel
from solver.bundle.bodies import Bodies
from solver.bundle.parts import PALMS, directions
from solver.records import Tracks, load_record, save_record
from solver.report.drawing import Cast
from solver.take import Take, write_results
from solver.track import hands
from solver.track.nets import Hand
from solver.world.hands import FADE_S, fading, fingers_of, smoothed
from tests.unit.test_report import make_take

OPEN = np.tile([5.0, 5.0, 3.0, 0.0], (5, 1))
FIST = np.array([[65, 40, 45, 30], [75, 95, 55, 4], [80, 98, 55, 0], [82, 98, 55, -5], [82, 95, 55, -10.0]])


def palm(right, turn=(0.3, -1.2, 2.0), at=(0.1, -0.4, 2.0), length=0.09):
    """A palm anywhere."""
    axes = Rotation.from_rotvec(turn).as_matrix()
    return fingers.Palm(np.array(at), axes * [[1], [1], [-1 if right else 1]], np.array(length))


angles = st.tuples(
    *[st.tuples(st.floats(20, 80), st.floats(-10, 60), st.floats(-10, 70), st.floats(0, 60))],
    *[st.tuples(st.floats(-25, 88), st.floats(-5, 110), st.floats(-5, 80), st.floats(-25, 25))] * 4,
)


@settings(max_examples=60, deadline=None)
@given(wanted=angles, right=st.booleans(), turn=st.tuples(*[st.floats(-2, 2)] * 3))
def test_points_of_angles_have_these_angles(wanted, right, turn):
    points = fingers.points_of(np.array(wanted), palm(right, turn))
    np.testing.assert_allclose(fingers.angles_of(points, right), wanted, atol=1e-4)


def test_a_mirrored_hand_is_the_other_one_with_the_same_angles():
    left = fingers.points_of(FIST, palm(False))
    np.testing.assert_allclose(fingers.angles_of(left * [-1, 1, 1], True), FIST, atol=1e-6)
    assert np.abs(fingers.angles_of(left * [-1, 1, 1], False) - FIST).max() > 60  # told to be the other side, fingers bend backwards


def test_a_fist_is_short_and_closes_to_the_palm():
    hand = palm(False)
    open_, fist = (hand.to_local(fingers.points_of(a, hand) - hand.wrist) / hand.length for a in (OPEN, FIST))
    tips = fingers.CHAINS[1:, 3]
    assert (open_[tips, 0] > 1.5).all()
    assert (fist[tips, 0] < 1.1).all()
    assert (fist[fingers.CHAINS[1:, 1], 2] > 0.15).all()  # the first joints stand out of the palm's side


def test_turns_take_a_rest_to_angles():
    hand = palm(True)
    rest = hand.to_local(fingers.points_of(OPEN, hand) - hand.wrist)
    for n, chain in enumerate(fingers.CHAINS):
        towards = rest[fingers.PINKY] - rest[chain[0]] if n == fingers.THUMB else None
        turns = fingers.chain_turns(rest[chain], FIST[n], towards)
        bones = np.einsum("kij,kj->ki", turns, np.diff(rest[chain], axis=0))
        points = rest[chain[0]] + np.concatenate([np.zeros((1, 3)), np.cumsum(bones, 0)])
        np.testing.assert_allclose(fingers.chain_angles(points, rest[fingers.PINKY] if n == fingers.THUMB else None), FIST[n], atol=1e-6)
        still = fingers.chain_turns(rest[chain], fingers.chain_angles(rest[chain], rest[fingers.PINKY] if n == fingers.THUMB else None), towards)
        np.testing.assert_allclose(still, np.broadcast_to(np.eye(3), (3, 3, 3)), atol=1e-6)


# -- in the picture


def body_keypoints(zoom=1.0):
    """(25, 3): somebody upright, 400 px a metre, arms hanging, left on the right side of the picture."""
    k = np.zeros((25, 3))
    for pair, y, half in (((5, 6), 0, 0.18), ((7, 8), 0.28, 0.2), ((9, 10), 0.53, 0.2), ((11, 12), 0.49, 0.1)):
        for i, sign in zip(pair, (1, -1)):
            k[i] = 300 + sign * half * 400, 100 + y * 400, 0.8
    k[:, :2] *= zoom
    return k


class FakeNet:
    """Answers with a hand whose wrist is where it is told to be, and remembers where it looked."""

    def __init__(self, *hands):
        self.hands, self.asked = list(hands), []
        self.net = SimpleNamespace(file="fake", sha256="0")

    def __call__(self, rgb, centre, side, turn=0.0):
        self.asked.append((np.array(centre), side, turn))
        return min(self.hands, key=lambda h: np.linalg.norm(h.points[:, :2].mean(0) - centre))


def hand_at(wrist, size=38.0, right=0.1, score=0.9):
    """An open hand that hangs down in the picture."""
    axes = np.array([[0, 1.0, 0], [1, 0, 0], [0, 0, -1]])
    points = fingers.points_of(OPEN, fingers.Palm(np.array([*wrist, 0.0]), axes, np.array(size)))
    return Hand(points, score, right)


def tracks_of(*people):
    two = np.stack(people)[:, None]
    P = len(people)
    box = np.tile([0.0, 0, 600, 400], (P, 1, 1))
    return Tracks(np.arange(1, P + 1), box, np.ones((P, 1)), two, np.zeros((P, 1, 25, 4)), np.ones((P, 1), int))


def shot_of(height=360, film=360):
    return SimpleNamespace(width=640, height=height, original_width=640, original_height=film, fresh=np.ones(1, bool))


FRAMES = SimpleNamespace(read=lambda index: np.zeros((360, 640, 3), np.uint8))
REPORT = SimpleNamespace(progress=lambda *a: None, warn=lambda *a: None)


def test_palms_are_measured_by_the_limb_that_is_foreshortened_least():
    person = body_keypoints()
    assert hands.palm_px(tracks_of(person))[0, 0] == pytest.approx(400 * hands.PALM, rel=0.05)
    person[[7, 8], 1], person[[9, 10], 1] = 110, 150  # arms towards the camera
    assert hands.palm_px(tracks_of(person))[0, 0] == pytest.approx(400 * hands.PALM, rel=0.05)
    person[9, :2] += 200  # one wrist is taken for something else
    assert hands.palm_px(tracks_of(person))[0, 0] == pytest.approx(400 * hands.PALM, rel=0.05)
    person[:, 2] = 0
    assert hands.palm_px(tracks_of(person))[0, 0] == 0


def test_small_hands_cost_nothing():
    read = SimpleNamespace(read=lambda index: pytest.fail("a picture was read"))
    out = hands.run(shot_of(), read, tracks_of(body_keypoints(0.45)), REPORT, FakeNet())
    assert out.hands_2d is None
    assert out.hands_3d is None


def test_the_films_own_size_decides(monkeypatch):
    """17 px in the solved picture are 34 in a film twice as large; points come back in solved pixels."""
    opened = []
    monkeypatch.setattr(hands, "Frames", lambda shot: opened.append(shot.original_height) or FRAMES)
    monkeypatch.setattr(hands, "replace", lambda record, **to: SimpleNamespace(**{**record.__dict__, **to}) if isinstance(record, SimpleNamespace) else replace(record, **to))
    person = body_keypoints(0.45)
    out = hands.run(shot_of(film=720), None, tracks_of(person), REPORT, FakeNet(hand_at(2 * person[9, :2], 34)))
    assert opened == [720]
    np.testing.assert_allclose(out.hands_2d[0, 0, 0, 0, :2], person[9, :2])
    assert out.hands_2d[0, 0, 0, 0, 2] == pytest.approx(0.9)
    assert out.hands_2d[0, 0, 1, 0, 2] == 0  # the other arm ends nowhere near that hand


def test_regions_lie_before_the_wrist_and_turn_with_the_arm():
    person = body_keypoints()
    ((centre, side, turn),) = hands.regions_of_arm(person, 0, 38)
    assert centre[1] > person[9, 1] + 25
    assert side > 2.5 * 38
    assert abs(abs(turn) - np.pi) < 0.2  # the arm hangs: the picture is turned upside down, fingers upwards
    centre, side, turn = hands.region_of(hand_at((100, 100), 40).points[:, :2])
    assert abs(abs(turn) - np.pi) < 0.1
    assert abs(centre[0] - 100) < 15
    assert centre[1] > 130
    assert 2.5 * 40 < side < 4.5 * 40


@pytest.mark.parametrize("change", [{"score": 0.3}, {"right": 0.97}, {"size": 12.0}])
def test_what_is_no_hand_of_this_arm_is_left_out(change):
    person = body_keypoints(1.1)
    good, bad = hand_at(person[9, :2], 42), hand_at(person[9, :2], **{"size": 42, **change})
    assert hands.run(shot_of(), FRAMES, tracks_of(person), REPORT, FakeNet(good)).hands_2d[0, 0, 0, 0, 2] > 0
    assert not hands.run(shot_of(), FRAMES, tracks_of(person), REPORT, FakeNet(bad)).hands_2d[0, 0, 0].any()


def test_a_hand_belongs_to_the_nearest_wrist():
    """Two people's wrists are near one hand: one of them has it, the other has none."""
    mine, other = body_keypoints(1.1), body_keypoints(1.1)
    other[9, :2] += [20, 8]
    out = hands.run(shot_of(), FRAMES, tracks_of(other, mine), REPORT, FakeNet(hand_at(mine[9, :2] + [3, 2], 42)))
    assert out.hands_2d[1, 0, 0, 0, 2] > 0
    assert not out.hands_2d[0, 0, 0].any()


def test_a_hand_is_looked_for_where_it_was():
    person = body_keypoints(1.1)
    two = np.stack([person, person])[None]
    two[0, 1, 9, :2] += [10, 0]
    tracks = Tracks(np.array([1]), np.zeros((1, 2, 4)), np.ones((1, 2)), two, np.zeros((1, 2, 25, 4)), np.ones((1, 2), int))
    tracks.keypoints_2d[:, :, [8, 10], 2] = 0
    net = FakeNet(hand_at(person[9, :2], 42), hand_at(person[9, :2] + [10, 0], 42))
    shot = SimpleNamespace(**{**shot_of().__dict__, "fresh": np.ones(2, bool)})
    hands.run(shot, FRAMES, tracks, REPORT, net)
    before = hands.region_of(hand_at(person[9, :2], 42).points[:, :2])
    np.testing.assert_allclose(net.asked[-1][0], before[0] + [10, 0], atol=1e-6)
    assert len(net.asked) == 3  # by the arm and straight at it; then once where it was


def test_a_hand_that_comes_and_goes_is_none():
    wanted = np.ones(20, bool)
    seen = np.zeros(20, bool)
    seen[[2, 9, 10, 11, 13, 17]] = True
    assert np.flatnonzero(hands.lasting(seen, wanted)).tolist() == [9, 10, 11]
    wanted[:17] = wanted[18:] = False
    assert hands.lasting(seen, wanted)[17]  # it was looked for in no other frame


# -- over time


def test_smoothed_is_straight_between_sightings_and_held_outside():
    weight = np.zeros(30)
    weight[[8, 20]] = 1.0
    values = np.zeros((30, 1))
    values[20] = 60.0
    out = smoothed(values, weight, 24.0)[:, 0]
    assert np.ptp(out[:9]) < 1e-9
    assert np.ptp(out[20:]) < 1e-9
    np.testing.assert_allclose(np.diff(out[8:21]), (out[20] - out[8]) / 12, atol=1e-9)


def test_hands_that_are_not_seen_come_to_rest():
    known = fading(np.arange(20, 31), 100, 24.0)
    assert (known[20:31] == 1).all()
    assert known[31 + int(FADE_S * 24) :].max() == 0
    assert 0 < known[33] < 1


def test_fingers_of_tracks():
    T = 6
    three, two = np.zeros((1, T, 2, 21, 3)), np.zeros((1, T, 2, 21, 3))
    for t in (1, 2, 3, 4):
        three[0, t, 1], two[0, t, 1, :, 2] = fingers.points_of(FIST, palm(True)), 0.9
    one = tracks_of(body_keypoints())
    tracks = replace(one, source=np.ones((1, T), int), hands_2d=two, hands_3d=three)
    found, known = fingers_of(tracks, 24.0)
    np.testing.assert_allclose(found[0, :, 1], np.broadcast_to(FIST, (T, 5, 4)), atol=1e-6)
    assert (known[0, 1:5, 1] == 1).all()
    assert not known[0, :, 0].any()
    assert fingers_of(replace(tracks, hands_2d=0 * two), 24.0) == (None, None)
    assert fingers_of(one, 24.0) == (None, None)


def test_hands_survive_the_record(tmp_path):
    tracks = replace(tracks_of(body_keypoints()), hands_2d=np.ones((1, 1, 2, 21, 3)), hands_3d=np.zeros((1, 1, 2, 21, 3)))
    save_record(tmp_path / "t.npz", tracks)
    np.testing.assert_array_equal(load_record(tmp_path / "t.npz", Tracks).hands_2d, tracks.hands_2d)
    save_record(tmp_path / "u.npz", tracks_of(body_keypoints()))
    assert load_record(tmp_path / "u.npz", Tracks).hands_2d is None


# -- as evidence


def test_palms_are_those_of_a_camera_that_looks_straight_at_the_hand():
    """A body's own palm at the picture's edge, told as the net tells it, is the body's palm again."""
    model = BodyModel.load(dtype=torch.float64)
    zeros = torch.zeros
    bodies = Bodies(model, zeros(1, 10, dtype=torch.float64), torch.diag(torch.tensor([1.0, -1, -1], dtype=torch.float64))[None, None],
                    zeros(1, 1, 23, 3, dtype=torch.float64), torch.tensor([[[0.6, 0.1, 2.0]]], dtype=torch.float64))  # fmt: skip
    points = bodies.posed().points
    ways = directions(PALMS, points)
    K = np.array([[[500.0, 0, 320], [0, 500, 180], [0, 0, 1]]])
    wrist = points[0, 0, 20].numpy()
    ray = wrist / np.linalg.norm(wrist)
    turn = Rotation.align_vectors([[0, 0, 1], np.cross([0, 0, 1], ray)], [ray, np.cross([0, 0, 1], ray)])[0].as_matrix()  # from the camera to one that looks at the hand
    three, two = np.zeros((1, 1, 2, 21, 3)), np.zeros((1, 1, 2, 21, 3))
    for point, at in ((0, 20), (5, 24 + 21), (17, 24 + 23)):
        three[0, 0, 0, point] = turn @ (points[0, 0, at].numpy() - wrist)
    two[0, 0, 0] = [*(wrist[:2] / wrist[2] * 500 + [320, 180]), 0.8]
    palms = palms_of(replace(tracks_of(body_keypoints()), hands_2d=two, hands_3d=three), K)
    expected = (ways / ways.norm(dim=-1, keepdim=True))[0, 0, 0]
    np.testing.assert_allclose(palms.directions[0, 0, 0].numpy(), expected.numpy(), atol=1e-9)
    assert float(palms.weight[0, 0, 0]) == pytest.approx(0.8)
    assert float(palms.weight[0, 0, 1]) == 0


# -- in the take and in the preview


@pytest.fixture
def take(tmp_path):
    """A take of one person whose left hand is a fist, known in all frames but the first."""
    take = make_take(tmp_path / "take", people=1)
    T = take.shot.frames
    known = np.zeros((1, T, 2))
    known[0, 1:, 0] = 1
    take.world.people.fingers, take.world.people.fingers_known = np.broadcast_to(FIST, (1, T, 2, 5, 4)).copy(), known
    return take


def test_a_take_keeps_fingers(take, tmp_path):
    T = take.shot.frames
    write = lambda: write_results(
        Take(tmp_path), take.world, take.tracks, take.start.camera, "reshoot", take.shot, np.zeros((1, T, 24, 3)), np.zeros((50, 3), np.uint8)
    )
    write()
    with np.load(tmp_path / "people" / "01.npz") as person:
        np.testing.assert_array_equal(person["fingers"][:, 0], np.broadcast_to(FIST, (T, 5, 4)))
        np.testing.assert_array_equal(person["fingers_known"], take.world.people.fingers_known[0])
    take.world.people.fingers_known[:] = 0
    write()
    with np.load(tmp_path / "people" / "01.npz") as person:
        assert "fingers" not in person


def test_the_preview_draws_fingers_that_are_known(take):
    cast = Cast(take.world, BodyModel.load())
    assert cast.hands(0) == []
    ((lines, person),) = cast.hands(2)
    assert person == 1
    drawn = np.concatenate([lines[0][:1], *(line[1:] for line in lines)])
    np.testing.assert_allclose(fingers.angles_of(drawn, False), FIST, atol=1e-4)
    wrist = cast.joints[0, 2, 20]
    np.testing.assert_allclose(drawn[0], wrist)
    np.testing.assert_allclose(drawn[5] - wrist, cast.keypoints[0, 2, 21] - wrist, atol=0.02)  # the body's own knuckle
