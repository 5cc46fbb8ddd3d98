"""Motion transfer on synthetic rigs, where the right answer is known."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from reshoot.retarget import Rig, feet, load_track, match, transfer
from reshoot.retarget.evaluate import direction_errors_deg, foot_report, sole_points
from reshoot.retarget.rotations import (
    matrix_from_quat_wxyz,
    matrix_from_rotvec,
    quat_wxyz_from_matrix,
    slerp,
    swing,
)
from reshoot.retarget.source import rest_joints_of
from reshoot.solver.protocol import ShotError
from tests.retarget_cases import REST, random_motion, rig, walk

angles = st.floats(-40, 80)
rigs = st.builds(
    rig,
    arms_down_deg=st.floats(-20, 75),
    legs_apart_deg=st.floats(0, 20),
    scale=st.sampled_from([0.01, 1.0, 100.0]),
    size=st.floats(0.6, 1.6),
    seed=st.integers(0, 999),
    facing_deg=st.floats(-180, 180),
    spine=st.integers(1, 5),
)


def posed_by_blender_rule(character: Rig, motion):
    """Heads in the world by Blender's own rule, from the keys alone: matrix = parent matrix, rest offset, then local rotation."""
    N, F = len(character.names), len(motion.frames)
    rest = np.zeros((N, 4, 4))
    rest[:, :3, :3], rest[:, :3, 3], rest[:, 3, 3] = character.rotations, character.heads, 1
    pose = np.zeros((F, N, 4, 4))
    for b in range(N):
        basis = np.broadcast_to(np.eye(4), (F, 4, 4)).copy()
        if b in motion.rotations:
            basis[:, :3, :3] = matrix_from_quat_wxyz(motion.rotations[b])
        if b in motion.locations:
            basis[:, :3, 3] = motion.locations[b]
        parent = character.parents[b]
        offset = rest[b] if parent < 0 else np.linalg.inv(rest[parent]) @ rest[b]
        pose[:, b] = (offset if parent < 0 else pose[:, parent] @ offset) @ basis
    return character.to_world(pose[..., :3, 3])


@settings(max_examples=40, deadline=None)
@given(character=rigs, seed=st.integers(0, 999))
def test_limbs_point_where_the_persons_do(character, seed):
    track, mapping = random_motion(seed), match(character)
    motion = transfer(track, character, mapping, keep_feet=False)
    for part, error in direction_errors_deg(motion, track, mapping).items():
        assert error.max() < 0.05, part


@settings(max_examples=25, deadline=None)
@given(character=rigs, seed=st.integers(0, 999), scale_path=st.booleans())
def test_keys_give_the_pose_by_blenders_rule(character, seed, scale_path):
    motion = transfer(random_motion(seed), character, match(character), scale_path=scale_path)
    size = np.ptp(character.heads_world, axis=0).max()
    assert np.abs(posed_by_blender_rule(character, motion) - motion.heads_world).max() < 1e-6 * size


@settings(max_examples=25, deadline=None)
@given(character=rigs, heading=st.floats(-180, 180), scale_path=st.booleans())
def test_walking_feet_neither_slide_nor_sink(character, heading, scale_path):
    track, mapping = walk(heading_deg=heading), match(character)
    motion = transfer(track, character, mapping, scale_path=scale_path)
    report = foot_report(motion, track, character, mapping)
    assert motion.contact.any(0).all()
    # A much smaller character cannot reach a tall person's footprints: only then may a foot be dragged.
    if scale_path or 0.85 < np.ptp(character.heads_world[:, 2]) / np.ptp(REST[:, 1]):
        assert report["worst_slide_mm"] < 2
    assert report["sunk_mm"] < 2


@pytest.mark.parametrize("size", [0.8, 1.0, 1.3])
def test_the_character_stands_where_the_person_stood(size):
    track, character = walk(), rig(size=size, seed=3)
    mapping = match(character)
    motion = transfer(track, character, mapping)
    _, joints = track.forward()
    thighs = motion.heads_world[:, [mapping.bones["upper_leg.L"], mapping.bones["upper_leg.R"]]].mean(1)
    assert np.abs(thighs[:, :2] - joints[:, [1, 2], :2].mean(1)).max() < 1e-6
    scaled = transfer(track, character, mapping, scale_path=True)
    path = np.linalg.norm(np.diff(scaled.heads_world[[0, -1], mapping.bones["hips"], :2], axis=0))
    assert path == pytest.approx(size * np.linalg.norm(np.diff(joints[[0, -1], 0, :2], axis=0)), rel=0.02)


def test_the_same_body_repeats_the_motion():
    """A character with the person's own joints, in another rest pose, comes out at the person's joints."""
    track, character = walk(), rig(arms_down_deg=45, seed=5)
    motion = transfer(track, character, match(character), keep_feet=False)
    _, joints = track.forward()
    index = {name.removeprefix("mixamorig:"): i for i, name in enumerate(character.names)}
    for name, joint in (("LeftFoot", 7), ("RightLeg", 5), ("LeftUpLeg", 1)):
        assert np.abs(motion.heads_world[:, index[name]] - joints[:, joint]).max() < 2e-3, name


@pytest.mark.parametrize("size", [0.7, 1.0, 1.4])
def test_feet_that_need_no_help_are_left_alone(size):
    """The same proportions at another size, the path scaled with them: keeping the feet changes next to nothing."""
    track, character = walk(), rig(size=size, arms_down_deg=30, seed=2)
    motion = transfer(track, character, match(character), scale_path=True)
    assert motion.contact.any(0).all()
    for part, error in direction_errors_deg(motion, track, match(character)).items():
        assert error.max() < 2, part  # this walk rolls over its soles, a character over the joints of its toes


@pytest.mark.parametrize("scale_path", [False, True])
@pytest.mark.parametrize("size", [0.85, 1.0, 1.2])
def test_stairs_stay_as_high_as_they_are(size, scale_path):
    """Feet stand on the steps that the person stood on, or on steps as much larger as the path, and the hips climb with them."""
    track, character = walk(rise_m=0.1, step_m=0.35), rig(size=size, seed=2)
    track.trans[:, 2] += 0.1  # the lowest step is the floor
    mapping = match(character)
    motion = transfer(track, character, mapping, scale_path=scale_path)
    G, joints = track.forward()
    stood = feet.stands(track, G, joints)
    steps = (motion.leg_ratio if scale_path else 1.0) * stood.level
    soles = sole_points(motion, track, character, mapping)
    lowest = np.minimum(soles[:, [0, 2], 2] - steps[:, [0, 2]], soles[:, [1, 3], 2] - steps[:, [1, 3]])
    assert stood.level.max() > 0.25
    assert np.abs(lowest[stood.contact[:, [0, 2]]]).max() < 0.004
    assert foot_report(motion, track, character, mapping)["worst_slide_mm"] < 2
    hips = motion.heads_world[:, mapping.bones["hips"], 2]
    climbed = (hips[-1] - hips[0]) / (joints[-1, 0, 2] - joints[0, 0, 2])
    assert climbed == pytest.approx(motion.leg_ratio if scale_path else 1.0, abs=0.12)


def test_trembling_feet_stand_still():
    rng = np.random.default_rng(4)
    track, character = walk(seconds=4), rig(size=1.1, seed=6)
    track.poses[:, 1:] += np.radians(1) * rng.normal(size=track.poses[:, 1:].shape)
    track.trans += 0.005 * rng.normal(size=track.trans.shape)
    mapping = match(character)
    report = foot_report(transfer(track, character, mapping), track, character, mapping)
    loose = transfer(track, character, mapping, keep_feet=False)
    loose.contact = transfer(track, character, mapping).contact
    assert foot_report(loose, track, character, mapping)["slide_mm"] > 5
    assert report["worst_slide_mm"] < 2


def test_a_jump_is_left_alone():
    """Far from any contact the legs are the person's again, whatever the last footprint asked for."""
    track, character = walk(seconds=4), rig(size=0.85)
    track.trans[55:, 2] += 1.0
    motion = transfer(track, character, match(character))
    assert motion.contact[:50].any() and not motion.contact[55:].any()
    for error in direction_errors_deg(motion, track, match(character)).values():
        assert error[80:].max() < 0.05


def test_elbows_and_knees_flex_about_their_hinge():
    """Rolled bones, A-pose: bending the person's elbow turns the character's forearm about one axis of its own, without twist."""
    track = random_motion(0, count=9, amount=0)
    track.poses[:] = 0
    track.poses[:, 18, 1] = -np.linspace(0, 1.2, 9)
    character = rig(arms_down_deg=50, seed=8)
    mapping = match(character)
    motion = transfer(track, character, mapping, keep_feet=False)
    fore = motion.turns_world[:, mapping.bones["lower_arm.L"]] @ character.axes_world[mapping.bones["lower_arm.L"]]
    upper = motion.turns_world[:, mapping.bones["upper_arm.L"]] @ character.axes_world[mapping.bones["upper_arm.L"]]
    relative = np.swapaxes(upper, -1, -2) @ fore
    steps = quat_wxyz_from_matrix(np.swapaxes(relative[:-1], -1, -2) @ relative[1:])
    axes = steps[:, 1:] / np.linalg.norm(steps[:, 1:], axis=1, keepdims=True)
    assert np.abs(np.abs(axes @ axes[0]) - 1).max() < 1e-6
    hinge = motion.turns_world[0, mapping.bones["upper_arm.L"]] @ np.cross(
        character.heads_world[mapping.bones["lower_arm.L"]] - character.heads_world[mapping.bones["upper_arm.L"]],
        [0, -1, 0],
    )  # across the arm and the character's front, carried into the pose: SMPL's y for a straight T-pose arm
    assert abs(hinge / np.linalg.norm(hinge) @ [0, 1, 0]) > 0.999


def test_one_frame_and_no_contact():
    track = walk(seconds=0.04)
    assert len(transfer(track, rig(), match(rig())).frames) == 1
    track = walk()
    track.trans[:, 2] += 1.0  # in the air
    assert not transfer(track, rig(), match(rig())).contact.any()


def test_rotations_against_scipy():
    from scipy.spatial.transform import Rotation

    R = Rotation.random(200, random_state=1)
    assert np.allclose(matrix_from_rotvec(R.as_rotvec()), R.as_matrix())
    assert np.allclose(matrix_from_quat_wxyz(quat_wxyz_from_matrix(R.as_matrix())), R.as_matrix())
    assert np.allclose(swing([1, 0, 0], [-1, 0, 0]) @ [1, 0, 0], [-1, 0, 0])
    half = slerp(np.eye(3), R.as_matrix(), 0.5)
    assert np.allclose(half @ half, R.as_matrix())


def test_rest_joints_come_back_from_the_track(tmp_path):
    track = walk()
    _, joints = track.forward()
    assert np.abs(rest_joints_of(track.poses, track.trans, joints) - REST).max() < 1e-9
    (tmp_path / "people").mkdir()
    np.savez(
        tmp_path / "people" / "02.npz", poses=track.poses.reshape(-1, 72), trans=track.trans, joints_world=joints,
        frame=track.frames, mocap_frame_rate=track.fps,
    )  # fmt: skip
    again = load_track(tmp_path, 2)
    assert np.allclose(again.rest_joints, REST) and again.fps == 25
    with pytest.raises(ShotError, match="no person 1 .it has 2"):
        load_track(tmp_path, 1)
    (tmp_path / "people" / "03.npz").write_bytes(b"not an archive")
    with pytest.raises(ShotError, match="cannot be read"):
        load_track(tmp_path, 3)


def test_an_uneven_scale_is_refused():
    plain = rig()
    with pytest.raises(ShotError, match="stretched unevenly"):
        Rig(plain.names, plain.parents, plain.heads, plain.tails, plain.rotations, np.diag([1, 1, 2.0, 1]))


@pytest.mark.parametrize("size, scaled", [(0.5, True), (0.75, True), (0.9, False), (1.1, False), (1.4, True)])
def test_the_path_is_scaled_by_itself_where_the_legs_differ_by_a_quarter(size, scaled):
    track, character = walk(seconds=1), rig(size=size)
    mapping = match(character)
    motion = transfer(track, character, mapping, scale_path=None)
    same = transfer(track, character, mapping, scale_path=scaled)
    assert motion.path_scaled == motion.legs_differ == scaled and motion.leg_ratio == pytest.approx(size, rel=0.05)
    assert np.array_equal(motion.heads_world, same.heads_world)


def test_short_legs_keep_their_steps_where_the_path_is_scaled():
    """In the person's own footsteps they would bend far: the limbs tell."""
    track, character = walk(), rig(size=0.5)
    mapping = match(character)
    worst = {}
    for scale_path in (None, False):
        motion = transfer(track, character, mapping, scale_path=scale_path)
        errors = direction_errors_deg(motion, track, mapping)
        worst[scale_path] = max(errors[f"{part}.{side}"].max() for part in ("upper_leg", "lower_leg") for side in "LR")
    assert worst[None] < 12 and worst[False] > 2 * worst[None], worst
