"""Which bone is which: spelling, rig families, structure, and refusals that say what is missing."""

from __future__ import annotations

import numpy as np
import pytest

from reshoot.retarget import Rig, match, match_named
from reshoot.retarget.maps import MAPS
from reshoot.retarget.matching import parts_from_vrm
from reshoot.retarget.names import canonical
from reshoot.retarget.rig import KNUCKLES, REQUIRED, SIDED
from reshoot.solver.protocol import ShotError
from tests.retarget_cases import BONES, rig


@pytest.mark.parametrize(
    "name, key",
    [
        ("mixamorig:LeftUpLeg", ("upleg", "L")), ("mixamorig1:RightHandIndex1", ("handindex1", "R")),
        ("DEF-upper_arm.L", ("upperarm", "L")), ("upperarm_r", ("upperarm", "R")), ("UpperArm.L", ("upperarm", "L")),
        ("spine_01", ("spine1", "")), ("J_Bip_L_UpperLeg", ("upperleg", "L")), ("J_Bip_C_Hips", ("hips", "")),
        ("ValveBiped.Bip01_L_Thigh", ("thigh", "L")), ("CC_Base_R_Calf", ("calf", "R")), ("LHipJoint", ("hipjoint", "L")),
        ("lShldrBend", ("shldrbend", "L")), ("leftHand", ("hand", "L")), ("lefthand", ("hand", "L")), ("Head", ("head", "")),
        ("DEF-thigh.L.001", ("thigh1", "L")),
    ],
)  # fmt: skip
def test_spellings(name, key):
    assert canonical(name) == key


def test_maps_are_data():
    for name, names in MAPS.items():
        assert set(names) <= {"hips", "head", *SIDED, *KNUCKLES}, name
        assert {part.partition(".")[0] for part in REQUIRED} <= set(names), name
        for spellings in names.values():
            assert all(canonical(s) == (s, "") for s in spellings), (name, spellings)


# The same skeleton under each family's names, in the order of retarget_cases.BONES' parts.
FAMILIES = {
    "unreal": "pelvis {} neck_01 head clavicle upperarm lowerarm hand thigh calf foot ball",
    "vrm": "hips {} neck head shoulder upper_arm lower_arm hand upper_leg lower_leg foot toes",
    "rigify": "spine {} spine.005 spine.006 shoulder upper_arm forearm hand thigh shin foot toe",
    "daz": "hip {} neckLower head Collar ShldrBend ForearmBend Hand ThighBend Shin Foot Toe",
    "smpl": "pelvis {} neck head collar shoulder elbow wrist hip knee ankle foot",
}
PARTS = ("clavicle", "upper_arm", "lower_arm", "hand", "upper_leg", "lower_leg", "foot", "toes")
MIXAMO_PARTS = ("Shoulder", "Arm", "ForeArm", "Hand", "UpLeg", "Leg", "Foot", "ToeBase")


@pytest.mark.parametrize("family", FAMILIES)
def test_families(family):
    hips, _, neck, head, *parts = FAMILIES[family].split()

    def rename(name):
        side = "L" if name.startswith("Left") else "R" if name.startswith("Right") else ""
        plain = name.removeprefix("Left").removeprefix("Right")
        if side:
            part = parts[MIXAMO_PARTS.index(plain)]
            return side.lower() + part if family == "daz" else f"{part}.{side}"
        return {"Hips": hips, "Neck": neck, "Head": head}.get(name, f"{name}_x")

    found, expected = match(rig(rename=rename)), match(rig())
    assert found.source == family
    assert found.bones == expected.bones
    assert found.spine == expected.spine and found.neck == expected.neck


@pytest.mark.parametrize("facing", [0, 90, 200])
@pytest.mark.parametrize("arms_down", [0, 50])
def test_nameless_bones_are_told_apart_by_structure(facing, arms_down):
    order = {name: i for i, (name, _, _) in enumerate(BONES)}
    nameless = rig(arms_down_deg=arms_down, facing_deg=facing, rename=lambda n: f"Bone.{order[n] * 7 % 29:03d}")
    found, expected = match(nameless), match(rig())
    assert found.source == "structure"
    assert {p: b for p, b in found.bones.items() if p != "head"} == {p: b for p, b in expected.bones.items() if p != "head"}
    assert found.bones["head"] == expected.bones["head"]


def test_vrm_names_its_bones():
    plain = rig(rename=lambda n: "x" + n)
    given = {"hips": "xHips", "head": "xHead"}
    for side in ("Left", "Right"):
        theirs = ("Shoulder", "UpperArm", "LowerArm", "Hand", "UpperLeg", "LowerLeg", "Foot", "Toes")
        given |= {side.lower() + t: f"x{side}{m}" for t, m in zip(theirs, MIXAMO_PARTS, strict=True)}
    assert match_named(plain, parts_from_vrm(given)).bones == match(rig()).bones
    del given["leftLowerArm"]
    with pytest.raises(ShotError, match="left lower arm"):
        match_named(plain, parts_from_vrm(given))


def chain(count):
    heads = np.stack([np.zeros(count), np.zeros(count), np.arange(count) * 0.1], 1)
    axes = np.broadcast_to(np.eye(3), (count, 3, 3))
    return Rig([f"Bone.{i:03d}" for i in range(count)], np.arange(count) - 1, heads, heads + [0, 0, 0.1], axes)


@pytest.mark.parametrize("count", [1, 4, 12])
def test_what_is_no_person_is_refused_with_what_is_missing(count):
    with pytest.raises(ShotError, match="left upper arm.*right lower leg") as error:
        match(chain(count))
    assert error.value.fix


def test_arms_on_the_wrong_side_are_refused():
    def swap(name):
        if "Arm" in name or "Hand" in name or "Shoulder" in name:
            return name.replace("Left", "#").replace("Right", "Left").replace("#", "Right")
        return name

    with pytest.raises(ShotError, match="different sides"):
        match(rig(rename=swap))
