"""The generator of synthetic shots, as far as it needs neither Blender nor MakeHuman's data."""

from __future__ import annotations

import av
import numpy as np
import pytest
from scipy.sparse import csr_matrix

from benchmarks import cameras, motions, shots, video
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


def test_defocus_keeps_people_and_blurs_the_rest():
    rng = np.random.default_rng(0)
    frame = rng.integers(0, 255, (90, 160, 3), dtype=np.uint8)
    mask = np.zeros((90, 160), np.uint8)
    mask[20:70, 50:100] = 2
    out = video.defocus(frame, mask, 6, rng, grain=0).astype(float)
    np.testing.assert_allclose(out[25:65, 55:95], frame[25:65, 55:95], atol=1.01)
    assert out[:, 110:].std() < 0.25 * frame[:, 110:].std()
    assert video.disc(6).sum() == pytest.approx(1)


def test_encode(tmp_path):
    frames = [np.full((36, 64, 3), v, np.uint8) for v in (20, 120, 220)]
    video.encode(tmp_path / "a.mp4", frames, 24)
    with av.open(str(tmp_path / "a.mp4")) as file:
        read = [f.to_ndarray(format="rgb24").mean() for f in file.decode(video=0)]
        assert file.streams.video[0].average_rate == 24
    np.testing.assert_allclose(read, (20, 120, 220), atol=3)
