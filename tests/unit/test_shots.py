"""The generator of synthetic shots, as far as it needs neither Blender nor MakeHuman's data."""

from __future__ import annotations

import av
import numpy as np
import pytest
from scipy.sparse import csr_matrix

from benchmarks import cameras, film, metrics, motions, shots, video
from benchmarks.people import Character
from solver import frames as fr

TIMES = np.arange(48) / 24


def stick_figure():
    """A character of bones alone, with the names and tree of the rig that the motions drive, in its A pose."""
    half = {
        "UpLeg": (0.1, -0.02, 0.9), "Leg": (0.14, -0.05, 0.49), "Foot": (0.17, -0.03, 0.08), "ToeBase": (0.18, -0.16, 0.03),
        "Shoulder": (0.02, -0.02, 1.4), "Arm": (0.17, -0.02, 1.39), "ForeArm": (0.34, -0.03, 1.2), "Hand": (0.46, -0.17, 1.07),
        "FingerBase": (0.47, -0.2, 1.05), "HandFinger1": (0.49, -0.27, 1.02),
    }  # fmt: skip
    middle = {"Hips": 0.91, "LowerBack": 0.98, "Spine": 1.15, "Spine1": 1.32, "Neck": 1.48, "Neck1": 1.54, "Head": 1.59}
    tree = {"Hips": None, "LHipJoint": "Hips", "RHipJoint": "Hips", "LowerBack": "Hips", "Spine": "LowerBack", "Spine1": "Spine",
            "Neck": "Spine1", "Neck1": "Neck", "Head": "Neck1"}  # fmt: skip
    heads = {n: (0.0, 0.0, z) for n, z in middle.items()} | {"LHipJoint": (0.0, 0, 0.91), "RHipJoint": (0.0, 0, 0.91)}
    chain = {"UpLeg": None, "Leg": "UpLeg", "Foot": "Leg", "ToeBase": "Foot", "Shoulder": None, "Arm": "Shoulder", "ForeArm": "Arm",
             "Hand": "ForeArm", "FingerBase": "Hand", "HandFinger1": "FingerBase"}  # fmt: skip
    for side, sign in (("Left", 1), ("Right", -1)):
        for bone, parent in chain.items():
            root = "Spine1" if bone == "Shoulder" else f"{side[0]}HipJoint"
            tree[side + bone] = side + parent if parent else root
            heads[side + bone] = (sign * half[bone][0], *half[bone][1:])
        tree[side[0] + "Thumb"], heads[side[0] + "Thumb"] = side + "Hand", heads[side + "Hand"]
    names = list(tree)
    sole = {s: np.array([[x, 0.02, 0], [x, -0.15, 0]]) for s, x in (("Left", 0.17), ("Right", -0.17))}
    return Character(
        {"height_m": 1.75}, np.zeros((1, 3)), [], np.zeros(0, int), csr_matrix(np.eye(1, len(names))), names,
        [names.index(tree[n]) if tree[n] else -1 for n in names], np.array([heads[n] for n in names]),
        [0] * 24, np.zeros((24, 3)), sole, {},
    )  # fmt: skip


def some_motions(body, rng):
    path = motions.Path((1, 2), 0.7, lambda s: 0.3 * np.sin(s))
    yield "walk", motions.gait(body, TIMES, rng, path, 1.3)
    yield "run", motions.gait(body, TIMES, rng, path, 2.8, run=True)
    yield "talk", motions.stand(body, TIMES, rng, (0, 0), 1.0, motions.talk_arms(TIMES, rng))
    down = 0.4 * np.sin(np.pi * TIMES / 2)
    yield "crouch", motions.stand(body, TIMES, rng, (0, 0), 1.0, drop=down, lean=down, width=1.4)
    yield "dance", motions.dance(body, TIMES, rng, (0, 0), 2.0)
    yield "embrace", motions.embrace(body, TIMES, rng, (0, 0), 1.0, 0.3)
    yield "spin", motions.dance(body, TIMES, rng, (0, 0), 2.0, kind="turn")


def test_planted_feet_neither_slide_nor_sink():
    body = stick_figure()
    heels = {s: body.sole[s][0] - body.heads[body.names.index(s + "Foot")] for s in motions.SIDES}
    balls = {s: body.sole[s][1] - body.heads[body.names.index(s + "Foot")] for s in motions.SIDES}
    for name, motion in some_motions(body, np.random.default_rng(0)):
        R, positions = motions.solve(body, motion)
        for j, side in enumerate(motions.SIDES):
            foot = body.names.index(side + "Foot")
            heel, ball = (positions[:, foot] + R[:, foot] @ p[side] for p in (heels, balls))
            planted = motion.feet.planted[:, j]
            together = planted[1:] & planted[:-1]
            # One of the two always rests: the heel at the start of a stand, the ball at its end.
            slid = np.minimum(*(np.linalg.norm(np.diff(p, axis=0)[:, :2], axis=1) for p in (heel, ball)))
            assert slid[together].max() < 0.004, name
            assert min(heel[:, 2].min(), ball[:, 2].min()) > -0.002, name
            np.testing.assert_allclose(np.minimum(heel[:, 2], ball[:, 2])[planted], 0, atol=2e-3, err_msg=name)


def test_bodies_keep_their_bones_and_move_smoothly():
    body = stick_figure()
    parents = np.array(body.parents)
    rest = np.linalg.norm(body.heads[1:] - body.heads[parents[1:]], axis=1)
    for name, motion in some_motions(body, np.random.default_rng(1)):
        R, positions = motions.solve(body, motion)
        np.testing.assert_allclose(np.linalg.det(R), 1, atol=1e-9)
        length = np.linalg.norm(positions[:, 1:] - positions[:, parents[1:]], axis=-1)
        np.testing.assert_allclose(length, np.tile(rest, (48, 1)), atol=1e-9, err_msg=name)
        assert np.linalg.norm(np.diff(positions, 2, axis=0), axis=-1).max() < 0.09, name
        assert 0.45 < positions[:, 0, 2].min() and positions[:, 0, 2].max() < 0.97, name


def test_a_walker_goes_where_the_path_goes():
    body = stick_figure()
    path = motions.Path((0, 0), 0.0)
    _, positions = motions.solve(body, motions.gait(body, TIMES, np.random.default_rng(0), path, 1.2))
    way = positions[-1, 0] - positions[0, 0]
    assert way[1] == pytest.approx(-1.2 * TIMES[-1], abs=0.08) and abs(way[0]) < 0.08  # heading 0 faces -Y


def test_look_at():
    T = cameras.look_at(np.array([3.0, -2, 1.5]), np.array([0.0, 0, 1]))
    np.testing.assert_allclose(T[:3, :3] @ T[:3, :3].T, np.eye(3), atol=1e-12)
    assert np.linalg.det(T[:3, :3]) == pytest.approx(1)
    K = fr.intrinsics(500.0, 640, 360)
    points = np.array([[0.0, 0, 1], [0, 0, 1.5]])
    centre, above = fr.project(points, fr.invert(T), K)
    np.testing.assert_allclose(centre, [320, 180], atol=1e-9)
    assert above[1] < 180 and above[0] == pytest.approx(320)


def test_joints_out_of_the_picture_are_not_shown():
    masks = np.zeros((1, 36, 64), np.uint8)
    masks[0, 10:, 20:40], masks[0, 10:20, 30:40] = 1, 2  # the person goes on below the picture, another one is before them
    xy = np.array([[(25.0, 15), (25, 35.5), (25, 36.5), (-0.5, 20), (35, 15), (35, 30), (60, 5), (np.nan, np.nan)]])
    assert cameras.shown(xy, masks, 1)[0].tolist() == [True, True, False, False, False, True, False, False]
    assert cameras.shown(xy, masks, 2)[0].tolist() == [False, False, False, False, True, False, False, False]


@pytest.mark.parametrize("move", cameras.MOVES)
def test_every_move_keeps_the_person_in_frame(move):
    travels = move in ("pan", "track", "follow", "crossing")
    for seed in range(12):
        subject = np.zeros((48, 3)) + [0, 0, 0.95]
        if travels:
            subject = subject + TIMES[:, None] * [0, -1.3, 0] + [0, 1.3, 0]
        T, focal_mm = cameras.make(move, np.random.default_rng(seed), subject, 24)
        K = fr.intrinsics(fr.focal_px_from_mm(focal_mm, 640, 360), 640, 360)
        xy = fr.project(subject[:, None], fr.invert(T), K)[:, 0]
        assert (xy > [20, 60]).all() and (xy < [620, 300]).all()
        path = np.linalg.norm(np.diff(T[:, :3, 3], axis=0), axis=1).sum()
        if move in ("pan", "static", "zoom"):
            assert path == 0
        elif move != "handheld":
            assert path > 1.2
        assert (np.ptp(focal_mm) > 5) == (move == "zoom")


def test_sets_are_fixed_and_apart():
    a, b, test = shots.specs("dev"), shots.specs("dev"), shots.specs("test")
    assert [s["people"] for s in a] == [s["people"] for s in b]
    assert not {s["seed"] for s in a} & {s["seed"] for s in test}
    assert {s["move"] for s in a} == {s["move"] for s in test} == set(cameras.MOVES)
    assert {len(s["people"]) for s in a} == {1, 2, 3}


OTHERS = ("close", "close-up", "choker")  # which the sets of hands and faces have
FILM_MOVES = [move for move in film.MOVES if move not in OTHERS]


def test_film_sets_are_apart_and_leave_the_old_ones_as_they_were():
    dev, test = shots.specs("film-dev"), shots.specs("film-test")
    assert {s["move"] for s in dev} == {s["move"] for s in test} == set(FILM_MOVES)
    assert {s["move"] for s in shots.specs("faces-dev")} == {s["move"] for s in shots.specs("faces-test")} == {"medium", "close-up", "choker"}
    assert {s["move"] for s in shots.specs("hands-dev")} == {s["move"] for s in shots.specs("hands-test")} == {"medium", "close"}
    seeds = [s["seed"] for name in shots.SETS if not name.endswith("-alone") for s in shots.specs(name)]  # a crowd and the same people alone are a pair
    assert len(seeds) == len(set(seeds))
    assert [s["seed"] for s in shots.specs("test")] == list(range(9000, 9010))  # a set's seeds hang on the order of its moves
    assert {s["frames"] for s in dev} == {48} and {s["frames"] for s in test} == {60}


def people_of(spec, body):
    """Joints (P, F, 24, 3) of a shot's people, all with the bones of `body`."""
    times, bones = np.arange(spec["frames"]) / spec["fps"], [body.names.index(n) for n in _JOINT_BONES]
    out = []
    for i, motion in enumerate(spec["motions"]):
        _, positions = motion(body, times, np.random.default_rng([spec["seed"], 7, i]))
        out.append(positions[:, bones])
    return np.array(out)


# The stick figure's bone at each of SMPL's joints.
_JOINT_BONES = (
    "Hips", "LeftUpLeg", "RightUpLeg", "LowerBack", "LeftLeg", "RightLeg", "Spine", "LeftFoot", "RightFoot", "Spine1", "LeftToeBase",
    "RightToeBase", "Neck", "LeftShoulder", "RightShoulder", "Head", "LeftArm", "RightArm", "LeftForeArm", "RightForeArm", "LeftHand",
    "RightHand", "LeftFingerBase", "RightFingerBase",
)  # fmt: skip


@pytest.mark.parametrize("name", ("film-dev", "film-test"))
@pytest.mark.parametrize("move", FILM_MOVES)
def test_film_moves_frame_people_as_film_does(name, move):
    spec = next(s for s in shots.specs(name) if s["move"] == move)
    joints = people_of(spec, stick_figure())
    T, focal_mm = film.make(move, np.random.default_rng([spec["seed"], 11]), joints, 24)
    K = fr.intrinsics(fr.focal_px_from_mm(focal_mm, 640, 360), 640, 360)
    xy = fr.project(joints, fr.invert(T), K)
    heads = xy[:, :, 15]
    assert ((heads > [10, 0]) & (heads < [630, 330])).all(), (heads.min((0, 1)), heads.max((0, 1)))
    assert (focal_mm >= 24).all() and (focal_mm <= 135).all()
    nearest = np.linalg.norm(joints - T[:, None, :3, 3], axis=-1).min()
    assert nearest > 0.5  # through nobody
    pitch, roll = metrics.level_deg(T)
    assert np.abs(roll).max() < 2.5
    step = np.linalg.norm(np.diff(T[:, :3, 3], axis=0), axis=1)
    assert step.sum() > 0.25 and np.linalg.norm(np.diff(T[:, :3, 3], 2, axis=0), axis=1).max() < 0.02
    if move == "low":
        assert pitch.min() > 8 and T[:, 2, 3].max() < 0.8
    elif move == "high":
        assert pitch.max() < -20 and T[:, 2, 3].min() > 2.5
    else:
        assert np.abs(pitch).max() < 12
        assert (heads[..., 1] < 200).all()
        ankles = xy[:, :, [7, 8]]
        assert (ankles[..., 1] > 360).mean() > 0.6  # legs out of the frame, most of them


def test_arms_reach_what_they_are_sent_to():
    body = stick_figure()
    for j, sign in ((0, 1), (1, -1)):
        wrist = np.array([sign * 0.1, -0.35, 1.2])
        pose = motions.reach(body, j, np.array([sign * 0.3, -0.15, 1.2]), wrist)
        motion = motions.stand(body, TIMES, np.random.default_rng(0), (0, 0), 0.0, {j: np.tile(pose, (48, 1))})
        for curve in (motion.pelvis, motion.spine, motion.place):
            curve[:] = 0
        _, positions = motions.solve(body, motion)
        lower = positions[:, body.names.index("Hips"), 2] - body.heads[body.names.index("Hips"), 2]
        there = positions[:, body.names.index(motions.SIDES[j] + "Hand")] - lower[:, None] * [0, 0, 1]
        assert np.linalg.norm(there - wrist, axis=1).max() < 0.06


def test_plain_leaves_nothing_but_people():
    rng = np.random.default_rng(0)
    frame = rng.integers(0, 255, (90, 160, 3), dtype=np.uint8)
    mask = np.zeros((90, 160), np.uint8)
    mask[20:70, 50:100] = 2
    backdrop = video.backdrop(rng, 160, 90)
    out = video.plain(frame, mask, backdrop, rng, grain=0).astype(float)
    np.testing.assert_allclose(out[26:64, 56:94], frame[26:64, 56:94], atol=1.01)
    other = video.plain(np.roll(frame, 7, 1), mask, backdrop, rng, grain=0)
    np.testing.assert_array_equal(out[:, 110:], other[:, 110:])  # what was behind leaves no trace, from frame to frame the same
    assert np.abs(np.diff(out[:, 110:], axis=1)).max() <= 2
    assert video.plain(frame, mask, backdrop, rng)[:15].std() > 2  # grain


def test_defocus_keeps_people_and_blurs_the_rest():
    rng = np.random.default_rng(0)
    frame = rng.integers(0, 255, (90, 160, 3), dtype=np.uint8)
    mask = np.zeros((90, 160), np.uint8)
    mask[20:70, 50:100] = 2
    out = video.defocus(frame, mask, 6, rng, grain=0).astype(float)
    np.testing.assert_allclose(out[25:65, 55:95], frame[25:65, 55:95], atol=1.01)
    assert out[:, 110:].std() < 0.25 * frame[:, 110:].std()
    assert video.disc(6).sum() == pytest.approx(1)


def test_defocus_of_a_black_night_is_a_number():
    frame, mask = np.zeros((90, 160, 3), np.uint8), np.zeros((90, 160), np.uint8)
    frame[:20] = 255  # the blur rings below zero beside it
    mask[40:70, 50:100] = 1
    with np.errstate(invalid="raise"):
        assert video.defocus(frame, mask, 7, np.random.default_rng(0), grain=0)[60:].max() <= 2


def test_encode(tmp_path):
    frames = [np.full((36, 64, 3), v, np.uint8) for v in (20, 120, 220)]
    video.encode(tmp_path / "a.mp4", frames, 24)
    with av.open(str(tmp_path / "a.mp4")) as file:
        read = [f.to_ndarray(format="rgb24").mean() for f in file.decode(video=0)]
        assert file.streams.video[0].average_rate == 24
    np.testing.assert_allclose(read, (20, 120, 220), atol=3)
