"""shot.retarget in Blender, on characters from many sources. The rigs lie beside the project; without them those cases are skipped."""

from __future__ import annotations

import json
import shutil
import struct
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

bpy = pytest.importorskip("bpy")

from reshoot.retarget import match, match_named
from reshoot.retarget.evaluate import direction_errors_deg, foot_report
from reshoot.retarget.feet import floor_of
from reshoot.retarget.fingers import chain
from reshoot.retarget.matching import parts_from_vrm
from reshoot.retarget.rig import FINGERS
from reshoot.scene import actions
from reshoot.solver import fingers
from reshoot.solver.protocol import ShotError
from tests.retarget_cases import walk
from tests.unit.test_retarget_fingers import FIST

ROOT = Path(__file__).resolve().parents[2]
SHARED = ROOT.parent / "shared" / "data" / "rigs"
SHIPPED = [ROOT / "examples" / name for name in ("character_mixamo.glb", "character_game.glb")]
FOREIGN = [
    SHARED / name
    for name in (
        "anny_mixamo_male.glb", "anny_game_engine_female.glb", "Soldier.glb", "quaternius_modular_men_Casual.glb",
        "vrm_addon_Example.vrm", "RobotExpressive.glb",
    )
]  # fmt: skip


def imported(path, tmp_path):
    """A fresh file with one character; its armature."""
    if not path.is_file():
        pytest.skip(f"{path.name} is not beside the project")
    bpy.ops.wm.read_factory_settings(use_empty=True)
    copy = tmp_path / (path.stem + ".glb")  # a VRM file is a .glb
    shutil.copy(path, copy)
    bpy.ops.import_scene.gltf(filepath=str(copy))
    return next(o for o in bpy.data.objects if o.type == "ARMATURE")


def write_take(folder, track, person=1):
    """The part of a take that retargeting reads."""
    _, joints = track.forward()
    (folder / "people").mkdir(parents=True)
    np.savez(
        folder / "people" / f"{person:02d}.npz", poses=track.poses.reshape(-1, 72), trans=track.trans, frame=track.frames,
        joints_world=joints, mocap_frame_rate=track.fps,
    )  # fmt: skip
    return folder


def rest_of(armature):
    return [np.array(b.matrix_local) for b in armature.data.bones]


def shown(armature, names, frame):
    """Heads (N, 3) of bones in the scene, as Blender evaluates them."""
    bpy.context.scene.frame_set(frame)
    posed = armature.evaluated_get(bpy.context.evaluated_depsgraph_get())
    return np.array([posed.matrix_world @ posed.pose.bones[name].head for name in names])


@pytest.mark.parametrize("path", SHIPPED + FOREIGN, ids=lambda p: p.stem)
def test_every_rig_walks(path, tmp_path):
    armature = imported(path, tmp_path)
    rest, before = rest_of(armature), {a.name for a in bpy.data.actions}
    track = walk(heading_deg=40)
    action, motion, rig, mapping = actions.retarget(armature, track, frame_start=11)
    assert action.name not in before and before <= {a.name for a in bpy.data.actions}
    assert all(np.array_equal(a, b) for a, b in zip(rest, rest_of(armature), strict=True))
    keyed = list(motion.rotations)
    names = [rig.names[b] for b in keyed]
    for k in range(0, len(motion.frames), 9):
        error = np.abs(shown(armature, names, 11 + k) - motion.heads_world[k, keyed]).max()
        assert error < 1e-4, f"frame {11 + k}: Blender shows something else than was computed"
    errors = direction_errors_deg(motion, track, mapping)
    assert max(e.max() for part, e in errors.items() if "arm" in part) < 0.5
    report = foot_report(motion, track, rig, mapping)
    if path.stem != "RobotExpressive":  # its legs are twice a person's and its feet hang from the root
        assert max(e.mean() for part, e in errors.items() if "leg" in part) < 8
    assert report["worst_slide_mm"] < 2 and report["sunk_mm"] < 2


def test_rigify_is_moved_by_its_controls(tmp_path):
    path = SHARED / "anny_rigify.blend"
    if not path.is_file():
        pytest.skip(f"{path.name} is not beside the project")
    bpy.ops.wm.open_mainfile(filepath=str(path))
    armature = bpy.data.objects["RIG-rfy_rig"]
    armature.pose.bones["hips"].rotation_mode = "QUATERNION"
    armature.pose.bones["hips"].rotation_quaternion = (0.7, 0.7, 0, 0)  # left over; to be put to rest
    armature.pose.bones["thigh_parent.R"]["IK_FK"] = 0.0
    track = walk(heading_deg=-60, seconds=1)
    _, motion, rig, mapping = actions.retarget(armature, track)
    assert mapping.source == "rigify_controls" and abs(floor_of(rig, mapping)) < 0.02
    frame = 13
    for control, deforming in (("thigh_fk.R", "DEF-thigh.R"), ("shin_fk.R", "DEF-shin.R"), ("foot_fk.L", "DEF-foot.L")):
        ours = motion.heads_world[frame - 1, rig.names.index(control)]
        assert np.abs(shown(armature, [deforming], frame)[0] - ours).max() < 2e-3, control
    names = ["DEF-upper_arm.L", "DEF-forearm.L", "DEF-hand.L"]
    a, b, c = shown(armature, names, frame)
    _, joints = track.forward()
    for ours, joint, end in ((b - a, 16, 18), (c - b, 18, 20)):
        theirs = joints[frame - 1, end] - joints[frame - 1, joint]
        assert ours @ theirs > np.cos(np.radians(1)) * np.linalg.norm(ours) * np.linalg.norm(theirs)
    report = foot_report(motion, track, rig, mapping)
    assert report["worst_slide_mm"] < 2 and report["sunk_mm"] < 2


def test_vrm_humanoid_from_the_file(tmp_path):
    path = SHARED / "vrm_addon_Example.vrm"
    armature = imported(path, tmp_path)
    data = path.read_bytes()
    header = json.loads(data[20 : 20 + struct.unpack("<I", data[12:16])[0]])
    bones = header["extensions"]["VRMC_vrm"]["humanoid"]["humanBones"]
    humanoid = parts_from_vrm({key: header["nodes"][bone["node"]]["name"] for key, bone in bones.items()})
    rig = actions.read_rig(armature)
    assert match_named(rig, humanoid).bones == match(rig).bones


@pytest.fixture
def vrm_addon():
    """What the VRM add-on for Blender adds to armatures, as far as a humanoid goes."""

    def group(name, **props):
        cls = type(name, (bpy.types.PropertyGroup,), {"__annotations__": props})
        bpy.utils.register_class(cls)
        made.append(cls)
        return cls

    made, P = [], bpy.props
    node = group("FakeNode", bone_name=P.StringProperty())
    zero_bone = group("FakeZeroBone", bone=P.StringProperty(), node=P.PointerProperty(type=node))
    zero = group("FakeZeroHumanoid", human_bones=P.CollectionProperty(type=zero_bone))
    one_bone = group("FakeOneBone", node=P.PointerProperty(type=node))
    theirs = ("shoulder", "upper_arm", "lower_arm", "hand", "upper_leg", "lower_leg", "foot", "toes")
    names = ["hips", "head", *(f"{side}_{name}" for side in ("left", "right") for name in theirs)]
    one_bones = group("FakeOneBones", **{name: P.PointerProperty(type=one_bone) for name in names})
    one = group("FakeOneHumanoid", human_bones=P.PointerProperty(type=one_bones))
    vrm0 = group("FakeVrm0", humanoid=P.PointerProperty(type=zero))
    vrm1 = group("FakeVrm1", humanoid=P.PointerProperty(type=one))
    kept = group("FakeExtension", vrm0=P.PointerProperty(type=vrm0), vrm1=P.PointerProperty(type=vrm1))
    bpy.types.Armature.vrm_addon_extension = P.PointerProperty(type=kept)
    yield names
    del bpy.types.Armature.vrm_addon_extension
    for cls in reversed(made):
        bpy.utils.unregister_class(cls)


@pytest.mark.parametrize("version", [0, 1])
def test_the_humanoid_of_a_vrm_file_is_heard_where_names_say_nothing(vrm_addon, tmp_path, version):
    armature = imported(SHIPPED[0], tmp_path)
    expected = match(actions.read_rig(armature))
    names = actions.read_rig(armature).names
    for i, name in enumerate(names):
        armature.data.bones[name].name = f"Z{i}"
    kept = armature.data.vrm_addon_extension
    parts = parts_from_vrm({name: name for name in (_camel(n) for n in vrm_addon)})
    for part, theirs in parts.items():
        bone = f"Z{expected.bones[part]}"
        if version == 0:
            item = kept.vrm0.humanoid.human_bones.add()
            item.bone, item.node.bone_name = theirs, bone
        else:
            snake = next(n for n in vrm_addon if _camel(n) == theirs)
            getattr(kept.vrm1.humanoid.human_bones, snake).node.bone_name = bone
    _, _, _, mapping = actions.retarget(armature, walk(seconds=0.2))
    assert mapping.source == "given"
    body = {part: bone for part, bone in expected.bones.items() if part.split(".")[0] not in FINGERS}
    assert mapping.bones == body and mapping.spine == expected.spine


@pytest.mark.parametrize("path", SHIPPED, ids=lambda p: p.stem)
def test_fingers_close_on_the_shipped_characters(path, tmp_path):
    armature, track = imported(path, tmp_path), walk(seconds=0.3)
    count = len(track.frames)
    track = replace(track, fingers=np.broadcast_to(FIST, (count, 2, 5, 4)), fingers_known=np.tile([1.0, 0.0], (count, 1)))
    _, motion, rig, mapping = actions.retarget(armature, track, frame_start=1)
    chains = {part: chain(rig, mapping.bones[part]) for part in mapping.bones if part.split(".")[0] in FINGERS}
    assert len(chains) == 10
    for row, side in enumerate("LR"):
        hand, index, pinky = shown(armature, [rig.names[mapping.bones[f"{part}.{side}"]] for part in ("hand", "index", "pinky")], 3)
        palm = fingers.Palm.of(hand, index, pinky, np.array(side == "R"))
        for n, name in enumerate(fingers.NAMES):
            assert all((bone in motion.rotations) == (side == "L") for bone in chains[f"{name}.{side}"])
            points = palm.to_local(shown(armature, [rig.names[bone] for bone in chains[f"{name}.{side}"]], 3) - hand)
            points = np.concatenate([points, [2 * points[2] - points[1]]])
            found = fingers.chain_angles(points, palm.to_local(pinky - hand) if name == "thumb" else None)
            if row == 0:
                np.testing.assert_allclose(found[[0, 1, 3]], FIST[n][[0, 1, 3]], atol=0.5)
            else:
                assert found[1] < 30  # at rest


def test_an_unfilled_vrm_humanoid_is_passed_over(vrm_addon, tmp_path):
    armature = imported(SHIPPED[0], tmp_path)
    _, _, _, mapping = actions.retarget(armature, walk(seconds=0.2))
    assert mapping.source == "mixamo"


def _camel(name):
    first, *rest = name.split("_")
    return first + "".join(word.title() for word in rest)


def test_the_operator(blender, tmp_path):
    armature = imported(SHIPPED[0], tmp_path)
    take = write_take(tmp_path / "take", walk())
    mine = bpy.data.actions.new("Mine")
    armature.animation_data_create().action = mine
    done = bpy.ops.shot.retarget(person=1, armature=armature.name, take_dir=str(take), frame_start=5)
    assert done == {"FINISHED"}
    animation = armature.animation_data
    assert animation.action != mine and "Person 1" in animation.action.name
    assert [(t.name, t.mute, t.strips[0].action) for t in animation.nla_tracks] == [("Mine", True, mine)]
    assert tuple(animation.action.frame_range) == (5, 5 + len(walk().frames) - 1)
    first = animation.action
    assert bpy.ops.shot.retarget(person=1, armature=armature.name, take_dir=str(take), path="SCALE") == {"FINISHED"}
    assert animation.action != first and first.name in bpy.data.actions


def test_short_legs_are_said_and_the_path_follows_them(blender, tmp_path, capfd):
    armature = imported(SHIPPED[0], tmp_path)
    take = write_take(tmp_path / "take", walk())
    arguments = {"person": 1, "armature": armature.name, "take_dir": str(take)}

    def travelled():
        hips = "mixamorig:Hips"
        return float(np.linalg.norm(shown(armature, [hips], len(walk().frames))[0] - shown(armature, [hips], 1)[0]))

    assert bpy.ops.shot.retarget(**arguments) == {"FINISHED"}
    assert "times as long" not in capfd.readouterr().out
    whole = travelled()
    armature.scale *= 0.5
    assert bpy.ops.shot.retarget(**arguments) == {"FINISHED"}
    assert "times as long as the person's, so the path was scaled" in capfd.readouterr().out
    assert travelled() < 0.6 * whole  # half the legs it had, which are a tenth longer than the person's
    assert bpy.ops.shot.retarget(path="KEEP", **arguments) == {"FINISHED"}
    assert "try the path Scaled to the Character" in capfd.readouterr().out
    assert travelled() == pytest.approx(whole, rel=0.02)


@pytest.mark.parametrize(
    "wrong, said",
    [
        ({"person": 7}, "no person 7"),
        ({"armature": "Nobody"}, "no armature called Nobody"),
        ({"take_dir": "/nowhere/at/all"}, "nobody"),
        ({"take_dir": ""}, "no take in this scene"),
    ],
)
def test_bad_input_is_one_line_and_changes_nothing(blender, tmp_path, wrong, said):
    armature = imported(SHIPPED[0], tmp_path)
    take = write_take(tmp_path / "take", walk(seconds=0.2))
    arguments = {"person": 1, "armature": armature.name, "take_dir": str(take)} | wrong
    with pytest.raises(RuntimeError, match=said) as error:
        bpy.ops.shot.retarget(**arguments)
    assert "Traceback" not in str(error.value)
    assert armature.animation_data is None and not bpy.data.actions


def test_poll_says_what_is_missing(blender):
    with pytest.raises(RuntimeError, match="Add or import a character"):
        bpy.ops.shot.retarget()


def test_every_rotation_mode(tmp_path):
    track = walk(seconds=1)
    armature = imported(SHIPPED[1], tmp_path)
    for i, bone in enumerate(armature.pose.bones):
        bone.rotation_mode = ("QUATERNION", "XYZ", "ZXY", "AXIS_ANGLE")[i % 4]
    modes = [b.rotation_mode for b in armature.pose.bones]
    _, motion, rig, _ = actions.retarget(armature, track)
    assert [b.rotation_mode for b in armature.pose.bones] == modes
    keyed = list(motion.rotations)
    error = shown(armature, [rig.names[b] for b in keyed], 13) - motion.heads_world[12, keyed]
    assert np.abs(error).max() < 1e-4


def test_left_over_pose_does_not_show_through(tmp_path):
    """A pose from the character's old animation, also on bones between the keyed ones, is put to rest."""
    armature = imported(SHIPPED[1], tmp_path)
    for name in ("Root", "pelvis", "upperarm_l", "calf_r"):
        armature.pose.bones[name].location = (0.1, 0.2, 0.3)
        armature.pose.bones[name].scale = (2, 2, 2)
        armature.pose.bones[name].rotation_quaternion = (0.5, 0.5, 0.5, 0.5)
    _, motion, rig, _ = actions.retarget(armature, walk(seconds=1))
    keyed = list(motion.rotations)
    error = shown(armature, [rig.names[b] for b in keyed], 7) - motion.heads_world[6, keyed]
    assert np.abs(error).max() < 1e-4


def test_where_the_take_was_moved_the_character_follows(tmp_path):
    armature = imported(SHIPPED[0], tmp_path)
    turned = np.array([[0, -1, 0, 3], [1, 0, 0, -2], [0, 0, 1, 0.5], [0, 0, 0, 1.0]])
    _, motion, rig, mapping = actions.retarget(armature, walk(seconds=1), world=turned)
    hips = mapping.bones["hips"]
    expected = turned[:3, :3] @ motion.heads_world[5, hips] + turned[:3, 3]
    assert np.abs(shown(armature, [rig.names[hips]], 6)[0] - expected).max() < 1e-4


def test_constrained_bones_are_refused(tmp_path):
    armature = imported(SHIPPED[0], tmp_path)
    armature.pose.bones["mixamorig:LeftArm"].constraints.new("COPY_ROTATION")
    with pytest.raises(ShotError, match="Constraints already move"):
        actions.retarget(armature, walk(seconds=0.2))
    assert armature.animation_data is None
