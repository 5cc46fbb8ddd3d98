"""Fingers of a person on characters with fingers, with some, and with none."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from reshoot.retarget import load_track, match, transfer
from reshoot.retarget.fingers import gathered
from reshoot.solver.fingers import angles_of
from tests.retarget_cases import BENT, random_motion, rig
from tests.unit.test_retarget import posed_by_blender_rule

FIST = np.array([[65, 40, 45, 30], [75, 95, 55, 4], [80, 98, 55, 0], [82, 98, 55, -5], [82, 95, 55, -10.0]])
OPEN = np.array([[45, 10, 5, 45], [5, 5, 3, 12], [5, 5, 3, 0], [5, 5, 3, -10], [5, 5, 3, -20.0]])


def told(known_left=1.0, known_right=1.0, count=20):
    """Somebody who turns every joint at random; the left hand closes, the right one opens."""
    share = np.linspace(0, 1, count)[:, None, None]
    fingers = np.stack([OPEN + share * (FIST - OPEN), FIST + share * (OPEN - FIST)], 1)
    known = np.tile([known_left, known_right], (count, 1))
    return replace(random_motion(3, count), fingers=fingers, fingers_known=known)


def points(character, heads, side):
    """Points (F, 21, 3) of a hand of three bones and an end a finger."""
    word = {"L": "Left", "R": "Right"}[side]
    names = [f"{word}Hand", *(f"{word}Hand{f}{k}" for f in ("Thumb", "Index", "Middle", "Ring", "Pinky") for k in (1, 2, 3, 4))]
    return heads[:, [character.names.index("mixamorig:" + n) for n in names]]


@pytest.mark.parametrize("case", [{}, {"arms_down_deg": 50.0, "seed": 5, "scale": 0.01}, {"size": 1.4, "facing_deg": 120.0, "seed": 1}])
def test_a_character_has_the_persons_fingers(case):
    character, track = rig(fingers=3, **case), told()
    motion = transfer(track, character, match(character), keep_feet=False)
    heads = posed_by_blender_rule(character, motion)
    for row, side in enumerate("LR"):
        found = angles_of(points(character, heads, side), side == "R")
        np.testing.assert_allclose(found, track.fingers[:, row], atol=0.05)


def test_unknown_fingers_rest_and_are_not_keyed():
    character, mapping = rig(fingers=3), match(rig(fingers=3))
    fingers = {i for i, n in enumerate(character.names) if any(f in n for f in ("Thumb", "Index", "Middle", "Ring", "Pinky"))}
    motion = transfer(told(0.0, 1.0), character, mapping, keep_feet=False)
    left = {i for i in fingers if "Left" in character.names[i]}
    assert not left & set(motion.rotations)
    heads = posed_by_blender_rule(character, motion)
    np.testing.assert_allclose(angles_of(points(character, heads, "L"), False), np.broadcast_to(BENT, (20, 5, 4)), atol=0.05)
    plain = transfer(random_motion(3), character, mapping, keep_feet=False)
    assert not fingers & set(plain.rotations)


def test_half_known_fingers_lie_half_way_from_rest():
    character, track = rig(fingers=3), told(0.5, 0.5)
    heads = posed_by_blender_rule(character, transfer(track, character, match(character), keep_feet=False))
    np.testing.assert_allclose(angles_of(points(character, heads, "L"), False), (track.fingers[:, 0] + BENT) / 2, atol=0.05)


@pytest.mark.parametrize("bones", [1, 2])
def test_fingers_of_fewer_bones_close_too(bones):
    character, track = rig(fingers=bones), told()
    motion = transfer(track, character, match(character), keep_feet=False)
    index = character.names.index("mixamorig:LeftHandIndex1")
    assert index in motion.rotations
    turn = motion.turns_world[:, index].swapaxes(-1, -2) @ motion.turns_world[:, character.names.index("mixamorig:LeftHand")]
    angle = np.rad2deg(np.arccos(np.clip((np.trace(turn, axis1=-2, axis2=-1) - 1) / 2, -1, 1)))
    assert angle[-1] > 50  # against its rest, as the fist closes
    assert angle[0] < 25
    np.testing.assert_allclose(gathered(np.array([[10.0, 20, 30, 4]]), 2), [[10, 35, 0, 4]])


def test_a_character_without_fingers_moves_as_before():
    character = rig()
    a, b = (transfer(track, character, match(character)) for track in (told(), random_motion(3)))
    assert a.rotations.keys() == b.rotations.keys()
    assert all(np.array_equal(a.rotations[k], b.rotations[k]) for k in a.rotations)


def test_a_take_with_fingers_is_read(tmp_path):
    track, folder = told(), tmp_path / "people"
    folder.mkdir()
    _, joints = track.forward()
    plain = {
        "poses": track.poses.reshape(-1, 72), "trans": track.trans, "joints_world": joints, "mocap_frame_rate": 24.0, "frame": track.frames,
    }  # fmt: skip
    np.savez(folder / "01.npz", **plain, fingers=track.fingers, fingers_known=track.fingers_known)
    np.savez(folder / "02.npz", **plain)
    np.testing.assert_array_equal(load_track(tmp_path, 1).fingers, track.fingers)
    assert load_track(tmp_path, 2).fingers is None
