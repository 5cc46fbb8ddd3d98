"""Characters as other programs make them: an armature with the bone names of a family, and a pair of boxy shoes."""

from __future__ import annotations

from dataclasses import dataclass

import bpy
import numpy as np
from mathutils import Matrix, Vector
from scipy.spatial.transform import Rotation

from reshoot.solver.frames import R_zup_from_yup
from tests.retarget_cases import REST

SIDES = (("L", 0), ("R", 1))


@dataclass
class Family:
    """Bone names in order from the hips outwards: {s} l or r, {S} L or R, {W} Left or Right, {w} left or right.

    more: "name<parent:from>to:share" …, bones that lie between two joints. legs, arms: which middle bone they hang from, where not the
    hips and the last of the spine. toes: all bones that carry the toes of the shoes, where not the mapped one alone.
    """

    middle: str  # hips spine … neck … head
    spine: int  # how many of these are the spine's
    arm: str  # clavicle, upper arm, forearm, hand
    leg: str  # thigh, shin, foot, toes
    fingers: str = ""  # index, middle, pinky
    root: str = ""
    more: str = ""
    legs: str = ""
    toes: str = ""
    object_scale: float = 1.0


FAMILIES = {
    "Mixamo": Family(
        "mixamorig:Hips mixamorig:Spine mixamorig:Spine1 mixamorig:Spine2 mixamorig:Neck mixamorig:Head", 3,
        "mixamorig:{W}Shoulder mixamorig:{W}Arm mixamorig:{W}ForeArm mixamorig:{W}Hand",
        "mixamorig:{W}UpLeg mixamorig:{W}Leg mixamorig:{W}Foot mixamorig:{W}ToeBase",
        "mixamorig:{W}HandIndex1 mixamorig:{W}HandMiddle1 mixamorig:{W}HandPinky1",
        more="mixamorig:{W}Toe_End<mixamorig:{W}ToeBase:ball>tip:1", object_scale=0.01,
    ),
    "Unreal 4": Family(
        "pelvis spine_01 spine_02 spine_03 neck_01 head", 3, "clavicle_{s} upperarm_{s} lowerarm_{s} hand_{s}",
        "thigh_{s} calf_{s} foot_{s} ball_{s}", "index_01_{s} middle_01_{s} pinky_01_{s}", "root",
        "upperarm_twist_01_{s}<upperarm_{s}:shoulder>elbow:0 lowerarm_twist_01_{s}<lowerarm_{s}:elbow>wrist:.6 "
        "thigh_twist_01_{s}<thigh_{s}:hip>knee:0 calf_twist_01_{s}<calf_{s}:knee>ankle:.5 ik_foot_root<root:floor>floor:0 "
        "ik_foot_{s}<ik_foot_root:ankle>ankle:0 ik_hand_root<root:floor>floor:0 ik_hand_gun<ik_hand_root:wrist>wrist:0 "
        "ik_hand_{s}<ik_hand_gun:wrist>wrist:0",
    ),
    "Unreal 5": Family(
        "pelvis spine_01 spine_02 spine_03 spine_04 spine_05 neck_01 neck_02 head", 5,
        "clavicle_{s} upperarm_{s} lowerarm_{s} hand_{s}", "thigh_{s} calf_{s} foot_{s} ball_{s}",
        "index_01_{s} middle_01_{s} pinky_01_{s}", "root",
        "upperarm_correctiveRoot_{s}<upperarm_{s}:shoulder>elbow:0 upperarm_twist_01_{s}<upperarm_{s}:shoulder>elbow:.3 "
        "upperarm_twist_02_{s}<upperarm_{s}:shoulder>elbow:.6 lowerarm_twist_02_{s}<lowerarm_{s}:elbow>wrist:.3 "
        "lowerarm_twist_01_{s}<lowerarm_{s}:elbow>wrist:.6 lowerarm_correctiveRoot_{s}<lowerarm_{s}:elbow>elbow:0 "
        "thigh_correctiveRoot_{s}<thigh_{s}:hip>hip:0 thigh_twist_01_{s}<thigh_{s}:hip>knee:.3 calf_twist_01_{s}<calf_{s}:knee>ankle:.6 "
        "index_metacarpal_{s}<hand_{s}:wrist>index:.3 ik_foot_root<root:floor>floor:0 ik_foot_{s}<ik_foot_root:ankle>ankle:0 "
        "ik_hand_root<root:floor>floor:0 ik_hand_gun<ik_hand_root:wrist>wrist:0 ik_hand_{s}<ik_hand_gun:wrist>wrist:0 "
        "interaction<root:floor>floor:0 center_of_mass<root:hips>hips:0", object_scale=0.01,
    ),
    "Auto-Rig Pro": Family(
        "root.x spine_01.x spine_02.x spine_03.x neck.x head.x", 3, "shoulder.{s} arm_stretch.{s} forearm_stretch.{s} hand.{s}",
        "thigh_stretch.{s} leg_stretch.{s} foot.{s} toes_01.{s}", "index1.{s} middle1.{s} pinky1.{s}",
        more="arm_twist.{s}<shoulder.{s}:shoulder>elbow:0 forearm_twist.{s}<forearm_stretch.{s}:elbow>wrist:.5 "
        "thigh_twist.{s}<root.x:hip>knee:0 leg_twist.{s}<leg_stretch.{s}:knee>ankle:.5",
    ),
    "VRM 0": Family(
        "J_Bip_C_Hips J_Bip_C_Spine J_Bip_C_Chest J_Bip_C_UpperChest J_Bip_C_Neck J_Bip_C_Head", 3,
        "J_Bip_{S}_Shoulder J_Bip_{S}_UpperArm J_Bip_{S}_LowerArm J_Bip_{S}_Hand",
        "J_Bip_{S}_UpperLeg J_Bip_{S}_LowerLeg J_Bip_{S}_Foot J_Bip_{S}_ToeBase",
        "J_Bip_{S}_Index1 J_Bip_{S}_Middle1 J_Bip_{S}_Little1", "Root",
        "J_Adj_{S}_FaceEye<J_Bip_C_Head:head>top:.5 J_Sec_Hair1_01<J_Bip_C_Head:head>top:1 J_Sec_{S}_Bust1<J_Bip_C_UpperChest:chest>chest:0",
    ),
    "VRM 1": Family(
        "hips spine chest upperChest neck head", 3, "{w}Shoulder {w}UpperArm {w}LowerArm {w}Hand", "{w}UpperLeg {w}LowerLeg {w}Foot {w}Toes",
        "{w}IndexProximal {w}MiddleProximal {w}LittleProximal", more="{w}Eye<head:head>top:.5",
    ),
    "MPFB": Family(
        "root spine05 spine04 spine03 spine02 spine01 neck01 neck02 neck03 head", 5, "clavicle.{S} upperarm01.{S} lowerarm01.{S} wrist.{S}",
        "upperleg01.{S} lowerleg01.{S} foot.{S} toe2-1.{S}", "finger2-1.{S} finger3-1.{S} finger5-1.{S}",
        more="upperarm02.{S}<upperarm01.{S}:shoulder>elbow:.5 lowerarm02.{S}<lowerarm01.{S}:elbow>wrist:.5 "
        "upperleg02.{S}<upperleg01.{S}:hip>knee:.5 lowerleg02.{S}<lowerleg01.{S}:knee>ankle:.5 "
        + " ".join(f"toe{n}-1.{{S}}<foot.{{S}}:ball>tip:0" for n in (1, 3, 4, 5)),
        toes="toe1-1.{S} toe2-1.{S} toe3-1.{S} toe4-1.{S} toe5-1.{S}",
    ),
    "Ready Player Me": Family(
        "Hips Spine Spine1 Spine2 Neck Head", 3, "{W}Shoulder {W}Arm {W}ForeArm {W}Hand", "{W}UpLeg {W}Leg {W}Foot {W}ToeBase",
        "{W}HandIndex1 {W}HandMiddle1 {W}HandPinky1",
        more="HeadTop_End<Head:head>top:1 {W}Eye<Head:head>top:.5 {W}Toe_End<{W}ToeBase:ball>tip:1",
    ),
    "Daz Genesis 8": Family(
        "hip abdomenLower abdomenUpper chestLower chestUpper neckLower neckUpper head", 4, "{s}Collar {s}ShldrBend {s}ForearmBend {s}Hand",
        "{s}ThighBend {s}Shin {s}Foot {s}Toe", "{s}Index1 {s}Mid1 {s}Pinky1",
        more="pelvis<hip:hips>hips:0 {s}ShldrTwist<{s}ShldrBend:shoulder>elbow:.5 {s}ForearmTwist<{s}ForearmBend:elbow>wrist:.5 "
        "{s}ThighTwist<{s}ThighBend:hip>knee:.5 {s}Metatarsals<{s}Foot:ankle>ball:.5 {s}Carpal1<{s}Hand:wrist>index:.3 {s}BigToe<{s}Toe:ball>tip:.3",
        legs="pelvis", object_scale=0.01,
    ),
    "Daz Genesis 9": Family(
        "hip spine1 spine2 spine3 spine4 neck1 neck2 head", 4, "{s}_shoulder {s}_upperarm {s}_forearm {s}_hand",
        "{s}_thigh {s}_shin {s}_foot {s}_toes", "{s}_index1 {s}_mid1 {s}_pinky1",
        more="pelvis<hip:hips>hips:0 {s}_upperarmtwist1<{s}_upperarm:shoulder>elbow:.3 {s}_forearmtwist1<{s}_forearm:elbow>wrist:.3 "
        "{s}_thightwist1<{s}_thigh:hip>knee:.3 {s}_metatarsal<{s}_foot:ankle>ball:.5",
        legs="pelvis",
    ),
    "Character Creator 3": Family(
        "CC_Base_Hip CC_Base_Waist CC_Base_Spine01 CC_Base_Spine02 CC_Base_NeckTwist01 CC_Base_NeckTwist02 CC_Base_Head", 3,
        "CC_Base_{S}_Clavicle CC_Base_{S}_Upperarm CC_Base_{S}_Forearm CC_Base_{S}_Hand",
        "CC_Base_{S}_Thigh CC_Base_{S}_Calf CC_Base_{S}_Foot CC_Base_{S}_ToeBase",
        "CC_Base_{S}_Index1 CC_Base_{S}_Mid1 CC_Base_{S}_Pinky1", "CC_Base_BoneRoot",
        "CC_Base_Pelvis<CC_Base_Hip:hips>hips:0 CC_Base_{S}_UpperarmTwist01<CC_Base_{S}_Upperarm:shoulder>elbow:.3 "
        "CC_Base_{S}_ForearmTwist01<CC_Base_{S}_Forearm:elbow>wrist:.3 CC_Base_{S}_ThighTwist01<CC_Base_{S}_Thigh:hip>knee:.3 "
        "CC_Base_{S}_CalfTwist01<CC_Base_{S}_Calf:knee>ankle:.3 CC_Base_{S}_ToeBaseShareBone<CC_Base_{S}_Foot:ball>ball:0 "
        "CC_Base_{S}_BigToe1<CC_Base_{S}_ToeBase:ball>tip:.3",
        legs="CC_Base_Pelvis", toes="CC_Base_{S}_ToeBase CC_Base_{S}_ToeBaseShareBone", object_scale=0.01,
    ),
    "CMU": Family(
        "Hips LowerBack Spine Spine1 Neck Neck1 Head", 3, "{W}Shoulder {W}Arm {W}ForeArm {W}Hand", "{W}UpLeg {W}Leg {W}Foot {W}ToeBase",
        more="{S}HipJoint<Hips:hips>hips:0 {W}FingerBase<{W}Hand:wrist>middle:.9 {S}Thumb<{W}Hand:wrist>index:.3",
    ),
}  # fmt: skip


def joints(arms_down_deg=0.0, size=1.0, legs=1.0, head=1.0) -> dict[str, np.ndarray]:
    """Joint → (3,) metres, Z-up, facing -y; sided ones end in .L or .R. legs and head: their length against the rest of the body."""
    J = REST.copy()
    drop = (J[1, 1] - J[7, 1]) * (1 - legs)
    for k, ((hip, knee, ankle, ball), arm) in enumerate((((1, 4, 7, 10), (16, 18, 20, 22)), ((2, 5, 8, 11), (17, 19, 21, 23)))):
        J[knee, 1] += 0.5 * drop
        J[[ankle, ball], 1] += drop
        down = Rotation.from_euler("z", -arms_down_deg if k == 0 else arms_down_deg, degrees=True).as_matrix()
        J[arm[1:], :] = J[arm[0]] + (J[arm[1:], :] - J[arm[0]]) @ down.T
    J[:, 1] -= drop
    J = size * J @ R_zup_from_yup.T
    out = {"hips": J[0], "neck": J[12], "head": J[15], "top": J[15] + [0, 0, 0.2 * size * head], "floor": np.zeros(3), "chest": J[9]}
    for side, k in SIDES:
        for name, joint in (
            ("clavicle", 13), ("shoulder", 16), ("elbow", 18), ("wrist", 20), ("hip", 1), ("knee", 4), ("ankle", 7), ("ball", 10)
        ):  # fmt: skip
            out[f"{name}.{side}"] = J[joint + k]
        ahead = J[10 + k] - J[7 + k]
        out[f"tip.{side}"] = J[10 + k] + 0.5 * ahead * [1, 1, 0]
        along = (J[20 + k] - J[18 + k]) / np.linalg.norm(J[20 + k] - J[18 + k])
        for n, finger in enumerate(("index", "middle", "pinky")):
            out[f"{finger}.{side}"] = J[20 + k] + size * (0.09 * along + (0.025 - 0.025 * n) * np.array([0, -1.0, 0]))
    return out


def named(text: str, side: str) -> list[str]:
    word = {"L": "Left", "R": "Right"}[side]
    return [part.format(s=side.lower(), S=side, W=word, w=word.lower()) for part in text.split()]


def parts_of(family: Family) -> dict[str, str]:
    """Part of a human → the bone that should be found for it."""
    middle = family.middle.split()
    out = {"hips": middle[0], "head": middle[-1]}
    for side, _ in SIDES:
        out |= dict(zip([f"{p}.{side}" for p in ("clavicle", "upper_arm", "lower_arm", "hand")], named(family.arm, side), strict=True))
        out |= dict(zip([f"{p}.{side}" for p in ("upper_leg", "lower_leg", "foot", "toes")], named(family.leg, side), strict=True))
    return out


def bones_of(family: Family, at) -> dict[str, tuple[str, np.ndarray]]:
    """Bone → (parent or "", head (3,))."""
    out = {}

    def chain(names, parent, places):
        for name, place in zip(names, places, strict=True):
            out[name] = (parent, place)
            parent = name
        return parent

    root = chain([family.root] if family.root else [], "", [at["floor"]] if family.root else [])
    middle = family.middle.split()
    neck = middle[1 + family.spine : -1]
    up = np.linspace(0, 1, family.spine + 2)[1:-1, None]
    chest = chain(middle[: 1 + family.spine], root, [at["hips"], *(at["hips"] + up * (at["neck"] - at["hips"]))])
    between = np.linspace(0, 1, len(neck) + 1)[:-1, None]
    chain([*neck, middle[-1]], chest, [*(at["neck"] + between * (at["head"] - at["neck"])), at["head"]])
    later = []
    for side, _ in SIDES:
        places = [at[f"{p}.{side}"] for p in ("clavicle", "shoulder", "elbow", "wrist")]
        hand = chain(named(family.arm, side), chest, places)
        for finger, place in zip(named(family.fingers, side), ("index", "middle", "pinky"), strict=False):
            out[finger] = (hand, at[f"{place}.{side}"])
        places = [at[f"{p}.{side}"] for p in ("hip", "knee", "ankle", "ball")]
        chain(named(family.leg, side), family.legs or middle[0], places)
        for text in named(family.more, side):
            name, rest = text.split("<")
            parent, ends, share = rest.rsplit(":", 2)
            a, b = (at[p] if p in at else at[f"{p}.{side}"] for p in ends.split(">"))
            later.append((name, parent, a + float(share) * (b - a)))
    return out | {name: (parent, place) for name, parent, place in later}


def build(family: Family, at, roll_deg=None, seed=None, parent=None):
    """The armature object. roll_deg: of every bone; seed: random rolls; parent: (4, 4) of an empty that it hangs on."""
    rng = np.random.default_rng(seed)
    scale = family.object_scale
    data = bpy.data.armatures.new("Rig")
    armature = bpy.data.objects.new("Rig", data)
    bpy.context.scene.collection.objects.link(armature)
    armature.scale = [scale] * 3
    bpy.context.view_layer.objects.active = armature
    bpy.ops.object.mode_set(mode="EDIT")
    bones = bones_of(family, at)
    for name, (_, head) in bones.items():
        bone = data.edit_bones.new(name)
        bone.head = Vector(head / scale)
    for name, (above, head) in bones.items():
        bone = data.edit_bones[name]
        below = [h for p, h in bones.values() if p == name and np.linalg.norm(h - head) > 1e-3]
        bone.tail = Vector((below[0] if below else head + [0, -0.02, 0.04]) / scale)
        bone.roll = rng.uniform(-3, 3) if seed is not None else np.radians(roll_deg or 0.0)
        bone.parent = data.edit_bones[above] if above else None
    bpy.ops.object.mode_set(mode="OBJECT")
    shoes(armature, {joint: place / scale for joint, place in at.items()}, {f"foot.{s}": [parts_of(family)[f"foot.{s}"]] for s, _ in SIDES} | {
        f"toes.{s}": named(family.toes, s) or [parts_of(family)[f"toes.{s}"]] for s, _ in SIDES
    })  # fmt: skip
    if parent is not None:
        empty = bpy.data.objects.new("Parent", None)
        bpy.context.scene.collection.objects.link(empty)
        empty.matrix_world = Matrix(parent)
        armature.parent = empty
    bpy.context.view_layer.update()
    return armature


def shoes(armature, at, carriers):
    """A mesh of two boxes a foot, down to the floor: from heel to ball, and the toes in slices, one for each bone that carries them. at: in
    the space of the armature.

    carriers: "foot.L" … → bones. Returns the mesh's object; its vertices in order foot L, toes L, foot R, toes R.
    """
    vertices, faces, groups = [], [], []
    for side, _ in SIDES:
        ankle, ball, tip = (at[f"{p}.{side}"] for p in ("ankle", "ball", "tip"))
        foot = np.linalg.norm((ball - ankle)[:2])
        heel, high = ankle + 0.4 * (ankle - ball), 0.05 * foot / 0.13
        for part, ends, top in (("foot", (heel, ball), ankle[2]), ("toes", (ball, tip), high)):
            bones = carriers[f"{part}.{side}"]
            across = np.linspace(-0.35, 0.35, len(bones) + 1) * foot
            for bone, left, right in zip(bones, across[:-1], across[1:], strict=True):
                first = len(vertices)
                groups.append((bone, range(first, first + 8), 1.0))
                if part == "foot":  # the sole bends where it meets the toes
                    groups += [(b, range(first + 4, first + 8), w) for b, w in ((bone, 0.5), (carriers[f"toes.{side}"][0], 0.5))]
                vertices += [(p[0] + x, p[1], z) for p in ends for x in (left, right) for z in (0.0, top)]
                faces += [[first + i for i in f] for f in ((0, 1, 3, 2), (4, 6, 7, 5), (0, 4, 5, 1), (2, 3, 7, 6), (0, 2, 6, 4), (1, 5, 7, 3))]
    mesh = bpy.data.meshes.new("Shoes")
    mesh.from_pydata(np.array(vertices), [], faces)
    item = bpy.data.objects.new("Shoes", mesh)
    bpy.context.scene.collection.objects.link(item)
    for bone, which, weight in groups:
        (item.vertex_groups.get(bone) or item.vertex_groups.new(name=bone)).add(which, weight, "REPLACE")
    item.modifiers.new("Armature", "ARMATURE").object = armature
    item.parent = armature
    return item
