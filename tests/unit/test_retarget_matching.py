"""Which bone is which: spelling, rig families, structure, and refusals that say what is missing."""

from __future__ import annotations

import numpy as np
import pytest

from reshoot.retarget import Rig, match, match_named
from reshoot.retarget.maps import MAPS
from reshoot.retarget.matching import parts_from_vrm
from reshoot.retarget.names import canonical
from reshoot.retarget.rig import FINGERS, KNUCKLES, REQUIRED, SIDED
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
        assert set(names) <= {"hips", "head", *SIDED, *FINGERS}, name
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


# Names that were mapped wrongly or lost: {side} is l or r, {Side} L or R, {Word} Left or Right, {kanji} 左 or 右.
OTHERS = {
    "autorig": (
        "root.x spine_01.x neck.x head.x",
        "shoulder.{side} arm_stretch.{side} forearm_stretch.{side} hand.{side} thigh_stretch.{side} leg_stretch.{side} foot.{side} toes_01.{side}",
    ),
    "autorig, short": (
        "root.x spine_01.x neck.x head.x",
        "shoulder.{side} arm.{side} forearm.{side} hand.{side} thigh.{side} leg.{side} foot.{side} toes_01.{side}",
    ),
    "biped": (
        "Bip001_Pelvis Bip001_Spine Bip001_Neck Bip001_Head",
        " ".join(f"Bip001_{{Side}}_{part}" for part in ["Clavicle", "UpperArm", "Forearm", "Hand", "Thigh", "Calf", "Foot", "Toe0"]),
    ),
    "valve": (
        "ValveBiped.Bip01_Pelvis ValveBiped.Bip01_Spine ValveBiped.Bip01_Neck1 ValveBiped.Bip01_Head1",
        " ".join(f"ValveBiped.Bip01_{{Side}}_{part}" for part in ["Clavicle", "UpperArm", "Forearm", "Hand", "Thigh", "Calf", "Foot", "Toe0"]),
    ),
    "character creator": (
        "CC_Base_Hip CC_Base_Waist CC_Base_NeckTwist01 CC_Base_Head",
        " ".join(f"CC_Base_{{Side}}_{part}" for part in ["Clavicle", "Upperarm", "Forearm", "Hand", "Thigh", "Calf", "Foot", "ToeBase"]),
    ),
    "mmd": (
        "下半身 上半身 首 頭", "{kanji}肩 {kanji}腕 {kanji}ひじ {kanji}手首 {kanji}足 {kanji}ひざ {kanji}足首 {kanji}つま先"
    ),
    "mmd in blender": ("下半身 上半身 首 頭", "肩.{Side} 腕.{Side} ひじ.{Side} 手首.{Side} 足.{Side} ひざ.{Side} 足首.{Side} つま先.{Side}"),
    "vrchat": (
        "Hips Spine Neck Head",
        " ".join(f"{{Word}}_{part}" for part in ["shoulder", "arm", "elbow", "wrist", "leg", "knee", "ankle", "toe"]),
    ),
    "with a word too many": (
        "HipsBone SpineBone NeckBone HeadBone",
        " ".join(f"{{Word}}{part}Bone" for part in ["Shoulder", "UpperArm", "LowerArm", "Hand", "UpperLeg", "LowerLeg", "Foot", "Toes"]),
    ),
}  # fmt: skip


@pytest.mark.parametrize("family", OTHERS)
def test_names_that_were_lost_or_taken_for_another_bone(family):
    middle, parts = (words.split() for words in OTHERS[family])

    def rename(name):
        for word in ("Left", "Right"):
            if name.startswith(word):
                pattern = parts[MIXAMO_PARTS.index(name.removeprefix(word))]
                return pattern.format(side=word[0].lower(), Side=word[0], Word=word, kanji="左" if word == "Left" else "右")
        return dict(zip(("Hips", "Spine", "Neck", "Head"), middle, strict=True)).get(name, f"between_{name}")

    found, expected = match(rig(rename=rename)), match(rig())
    assert found.source != "structure" and found.bones == expected.bones
    assert found.spine == expected.spine and found.neck == expected.neck


@pytest.mark.parametrize("name, key", [("左人指１", ("人指1", "L")), ("左足ＩＫ", ("足ｉｋ", "L")), ("CC_Base_R_Mid1", ("mid1", "R")), ("Bone.001", ("bone1", ""))])
def test_spellings_of_other_languages_and_families(name, key):
    assert canonical(name) == key


def with_more(character, extra):
    """A rig with more bones, (parent's name, head), called Bone.000 …, so that only its structure tells what is what."""
    names = [name.removeprefix("mixamorig:") for name in character.names]
    parents, heads = list(character.parents), list(character.heads)
    for name, parent, head in extra:
        names.append(name)
        parents.append(names.index(parent))
        heads.append(head)
    count = len(names)
    heads = np.array(heads)
    nameless = [f"Bone.{i:03d}" for i in range(count)]
    return Rig(nameless, np.array(parents), heads, heads + [0, 0, 0.02], np.broadcast_to(np.eye(3), (count, 3, 3)))


def more_bones(character, twists, fingers, pauldron):
    """Twist bones beside the next joint, fingers (or one bone at the tip, for 0.5), and armour on the shoulder."""
    at = {name.removeprefix("mixamorig:"): head for name, head in zip(character.names, character.heads, strict=True)}
    for side in ("Left", "Right"):
        limbs = [("Arm", "ForeArm"), ("ForeArm", "Hand"), ("UpLeg", "Leg")] if twists else []
        for above, below in limbs:
            for share in (0.0, 0.5):
                start, end = at[side + above], at[side + below]
                yield f"{side}{above} twist {share}", side + above, start + share * (end - start)
        if pauldron:
            yield f"{side} pauldron", f"{side}Shoulder", at[f"{side}Shoulder"] + [0, 0, 0.15]
        ahead = at[f"{side}Hand"] - at[f"{side}ForeArm"]
        ahead = ahead / np.linalg.norm(ahead)
        if fingers == 0.5:
            yield f"{side} tip", f"{side}Hand", at[f"{side}Hand"] + 0.1 * ahead
            continue
        for finger in range(fingers):
            across = (finger - 1.5) * 0.022 * np.cross(ahead, [0, 0, 1.0])
            parent = f"{side}Hand"
            for joint in range(3):
                name = f"{side} {finger} {joint}"
                yield name, parent, at[f"{side}Hand"] + (0.09 + 0.035 * joint) * ahead + across
                parent = name


@pytest.mark.parametrize("pauldron", [False, True])
@pytest.mark.parametrize("fingers", [0, 0.5, 1, 4])
@pytest.mark.parametrize("twists", [False, True])
@pytest.mark.parametrize("arms_down", [0, 50])
def test_structure_tells_clavicles_from_arms(arms_down, twists, fingers, pauldron):
    plain = rig(arms_down_deg=arms_down)
    found = match(with_more(plain, more_bones(plain, twists, fingers, pauldron)))
    expected = match(plain)
    assert found.source == "structure"
    assert {part: found.bones.get(part) for part in expected.bones} == expected.bones


def test_hips_that_carry_the_arms_alone_turn_with_the_bone_above():
    """As in RobotExpressive: the legs hang from Body, beside Hips."""
    plain = rig(rename=lambda name: name)
    names = ["Body", *plain.names]
    parents = np.array([-1, *(p + 1 for p in plain.parents)])
    for side in ("Left", "Right"):
        parents[names.index(f"{side}UpLeg")] = 0
    heads = np.concatenate([plain.heads[:1], plain.heads])
    axes = np.broadcast_to(np.eye(3), (len(names), 3, 3))
    found = match(Rig(names, parents, heads, heads + [0, 0, 0.05], axes))
    assert names[found.bones["hips"]] == "Body"
    assert [names[b] for b in found.spine] == ["Spine", "Spine1", "Spine2"]


@pytest.mark.parametrize("above", ["Body", "Root", "Pelvis", "root", "Armature_Root"])
def test_hips_are_the_bone_called_hips_beside_another_that_could_be(above):
    """The other bone carries all limbs too, as a root does."""
    plain = rig(rename=lambda name: name)
    parents = np.array([-1, *(p + 1 for p in plain.parents)])
    heads = np.concatenate([plain.heads[:1] * [1, 1, 0], plain.heads])
    axes = np.broadcast_to(np.eye(3), (len(parents), 3, 3))
    names = [above, *plain.names]
    found = match(Rig(names, parents, heads, heads + [0, 0, 0.05], axes))
    assert names[found.bones["hips"]] == "Hips" and [names[b] for b in found.spine] == ["Spine", "Spine1", "Spine2"]



KNUCKLE_NAMES = {
    "mixamo": "{Word}HandIndex1 {Word}HandMiddle1 {Word}HandPinky1",
    "unreal": "index_01_{side} middle_01_{side} pinky_01_{side}",
    "unreal 5": "index_01_{side} middle_01_{side} pinky_01_{side} index_metacarpal_{side} middle_metacarpal_{side}",
    "character creator": "CC_Base_{Side}_Index1 CC_Base_{Side}_Mid1 CC_Base_{Side}_Pinky1",
    "biped": "Bip001_{Side}_Finger1 Bip001_{Side}_Finger2 Bip001_{Side}_Finger4 Bip001_{Side}_Finger0",
    "auto-rig pro": "index1.{side} middle1.{side} pinky1.{side} index1_base.{side}",
    "rigify": "f_index.01.{Side} f_middle.01.{Side} f_pinky.01.{Side} palm.01.{Side}",
    "mmd": "{kanji}人指１ {kanji}中指１ {kanji}小指１ {kanji}親指１",
    "vrm": "J_Bip_{Side}_Index1 J_Bip_{Side}_Middle1 J_Bip_{Side}_Little1",
    "daz": "{side}Index1 {side}Mid1 {side}Pinky1",
}
LIMBS_OF_KNUCKLES = {  # the limbs that these fingers come with
    "unreal 5": "unreal", "auto-rig pro": "autorig", "mmd": "mmd", "biped": "biped", "character creator": "character creator",
}  # fmt: skip


@pytest.mark.parametrize("family", KNUCKLE_NAMES)
def test_knuckles_are_found_by_name(family):
    plain, words = rig(), KNUCKLE_NAMES[family].split()
    other = LIMBS_OF_KNUCKLES.get(family, family)

    def rename(name):
        side = next((word for word in ("Left", "Right") if name.startswith(word)), None)
        if side is None:
            return name
        plain_name = name.removeprefix(side)
        if other in OTHERS:
            pattern = OTHERS[other][1].split()[MIXAMO_PARTS.index(plain_name)]
            return in_side(pattern, side)
        if other in FAMILIES:
            part = FAMILIES[other].split()[4:][MIXAMO_PARTS.index(plain_name)]
            return side[0].lower() + part if other == "daz" else f"{part}.{side[0]}"
        return name

    def in_side(pattern, side):
        return pattern.format(side=side[0].lower(), Side=side[0], Word=side, kanji="左" if side == "Left" else "右")

    original = [name.removeprefix("mixamorig:") for name in plain.names]
    names, parents, heads = [rename(name) for name in original], list(plain.parents), list(plain.heads)
    for side in ("Left", "Right"):
        for pattern in words:
            names.append(in_side(pattern, side))
            parents.append(original.index(f"{side}Hand"))
            heads.append(plain.heads[original.index(f"{side}Hand")])
    heads = np.array(heads)
    found = match(Rig(names, np.array(parents), heads, heads + [0, 0, 0.02], np.broadcast_to(np.eye(3), (len(names), 3, 3))))
    for knuckle, pattern in zip(KNUCKLES, words, strict=False):
        for side in ("Left", "Right"):
            assert names[found.bones[f"{knuckle}.{side[0]}"]] == in_side(pattern, side)
    assert {p: b for p, b in found.bones.items() if p.partition(".")[0] in SIDED} == {
        p: b for p, b in match(plain).bones.items() if p.partition(".")[0] in SIDED
    }


def test_auto_rig_pro_with_its_twist_bones():
    """As it exports: twist bones hang beside the halves that stretch, and the root carries both."""
    middle, parts = (words.split() for words in OTHERS["autorig"])
    plain = rig()
    original = [name.removeprefix("mixamorig:") for name in plain.names]

    def rename(name):
        for word in ("Left", "Right"):
            if name.startswith(word):
                return parts[MIXAMO_PARTS.index(name.removeprefix(word))].format(side=word[0].lower())
        return dict(zip(("Hips", "Spine", "Neck", "Head"), middle, strict=True)).get(name, f"{name.lower()}.x")

    names, parents, heads = [rename(name) for name in original], list(plain.parents), list(plain.heads)
    for side in ("Left", "Right"):
        for limb, twist in (("Arm", "arm_twist"), ("ForeArm", "forearm_twist"), ("UpLeg", "thigh_twist"), ("Leg", "leg_twist")):
            names.append(f"{twist}.{side[0].lower()}")
            parents.append(original.index(side + limb))
            heads.append(plain.heads[original.index(side + limb)])
    heads = np.array(heads)
    found = match(Rig(names, np.array(parents), heads, heads + [0, 0, 0.02], np.broadcast_to(np.eye(3), (len(names), 3, 3))))
    assert found.source == "autorig" and found.bones == match(plain).bones
