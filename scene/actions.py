"""Between Blender's armatures and `retarget`: read a character, write its motion. The rest pose is only read."""

from __future__ import annotations

import bpy
import numpy as np
from mathutils import Quaternion

from .. import compat
from ..retarget import Mapping, Motion, Rig, Track, match_named, transfer
from ..retarget.maps import rigify_controls
from ..retarget.matching import parts_from_vrm
from ..retarget.rig import REQUIRED, body_axes, toe_bones
from ..solver.protocol import ShotError
from . import rig_maps
from .animation import write_action


def retarget(
    armature, track: Track, frame_start=1, scale_path=False, keep_feet=True, world=None, name="Retarget", mapping=None
):
    """Give an armature object a new action that moves it as a person of a take moves.

    frame_start:  Blender frame of the take's first frame.
    world:        (4, 4) the take's world in the scene, where it was moved; None where it was not.
    mapping:      which bone is which, where it is known; else it is found out. Rigs made by Rigify are moved by their FK controls.
    Returns (action, Motion, Rig, Mapping); Motion is in the take's world. Raises ShotError.
    """
    bpy.context.view_layer.update()  # matrices of what a script has only just placed
    rig = read_rig(armature, world)
    settings, resting, feet = {}, [], None
    if mapping is None and is_control_rig(rig):
        settings = rigify_controls.SETTINGS
        feet = {
            f"{part}.{side}": [bone for bone in rig.names if bone.startswith(names) and f".{side}" in bone]
            for part, names in rigify_controls.FEET.items()
            for side in "LR"
        }
        resting = [bone for bone in rig.names if bone.startswith(rigify_controls.STILL)]
        rig, mapping = controls_of(rig)
    mapping = mapping or rig_maps.found(rig, match_given(rig, armature))
    refuse_constrained(armature, rig, mapping)
    rig.under = undersides(armature, rig, mapping, world, feet or feet_of(rig, mapping))
    motion = transfer(track, rig, mapping, scale_path=scale_path, keep_feet=keep_feet)
    return write_motion(armature, rig, motion, frame_start, name, resting, settings), motion, rig, mapping


def read_rig(armature, world=None) -> Rig:
    """An armature object's rest pose, placed as the object is, in the coordinates of `world` (4, 4)."""
    bones = armature.data.bones
    index = {bone.name: i for i, bone in enumerate(bones)}
    placed = np.array(armature.matrix_world)
    return Rig(
        names=[bone.name for bone in bones],
        parents=np.array([index[bone.parent.name] if bone.parent else -1 for bone in bones], int),
        heads=np.array([bone.head_local for bone in bones], float).reshape(-1, 3),
        tails=np.array([bone.tail_local for bone in bones], float).reshape(-1, 3),
        rotations=np.array([bone.matrix_local.to_3x3().normalized() for bone in bones], float).reshape(-1, 3, 3),
        T_world_from_rig=placed if world is None else np.linalg.inv(np.asarray(world)) @ placed,
        inherits_rotation=np.array([bone.use_inherit_rotation for bone in bones], bool),
        deforms=np.array([bone.use_deform for bone in bones], bool),
    )


def match_given(rig: Rig, armature) -> Mapping | None:
    """The mapping that the character's own file gives, where the VRM add-on has read one; None where there is none or it is not whole."""
    parts = parts_from_vrm(_vrm_bones(armature))
    whole = all(parts.get(part) in rig.names for part in REQUIRED)
    return match_named(rig, parts) if whole else None


def _vrm_bones(armature) -> dict[str, str]:
    """VRM's humanoid (leftUpperArm → bone name), as the VRM add-on for Blender keeps it on an armature."""
    kept = getattr(armature.data, "vrm_addon_extension", None)
    if kept is None:
        return {}
    bones = {item.bone: _node_name(item.node) for item in kept.vrm0.humanoid.human_bones}
    one = kept.vrm1.humanoid.human_bones
    for prop in one.bl_rna.properties:  # VRM 1: a pointer for each bone, left_upper_arm
        node = getattr(getattr(one, prop.identifier), "node", None)
        if node is not None and _node_name(node):
            first, *rest = prop.identifier.split("_")
            bones[first + "".join(word.title() for word in rest)] = _node_name(node)
    return {key: name for key, name in bones.items() if name}


def _node_name(node) -> str:
    return node.bone_name if hasattr(node, "bone_name") else node.value  # as its earlier versions call it


def is_control_rig(rig: Rig) -> bool:
    """Whether this is a rig that Rigify generated, with its FK controls."""
    return set(rigify_controls.CONTROLS) <= set(rig.names) and "DEF-spine" in rig.names


def controls_of(rig: Rig) -> tuple[Rig, Mapping]:
    """Rigify's controls as a rig of their own, and which part of a human each moves."""
    table = rigify_controls.CONTROLS
    names = list(table)
    at = [rig.names.index(name) for name in names]
    controls = Rig(
        names=names,
        parents=np.array([-1 if above is None else names.index(above) for above, _ in table.values()]),
        heads=rig.heads[at],
        tails=rig.tails[at],
        rotations=rig.rotations[at],
        T_world_from_rig=rig.T_world_from_rig,
    )
    part_of = {part: names.index(name) for name, (_, part) in table.items() if part}
    spine, neck = [part_of.pop("spine")], [part_of.pop("neck")]
    return controls, Mapping(part_of, spine, neck, "rigify_controls")


def refuse_constrained(armature, rig: Rig, mapping: Mapping) -> None:
    """Raises ShotError where constraints would move the bones that are to be keyed."""
    bones = [*mapping.bones.values(), *mapping.spine, *mapping.neck]
    held = [
        rig.names[b]
        for b in bones
        if any(not c.mute and c.influence > 0 for c in armature.pose.bones[rig.names[b]].constraints)
    ]
    if held:
        raise ShotError(
            f"Constraints already move this character's bones ({', '.join(held[:3])}{' …' if len(held) > 3 else ''}).",
            "Retarget onto an armature without a control rig, such as the one that was exported for games.",
        )


def feet_of(rig: Rig, mapping: Mapping) -> dict[str, list[str]]:
    """Names of the bones that move with each foot and with its toes: part → bones."""
    parts = {mapping.bones[f"foot.{side}"]: f"foot.{side}" for side in "LR" if f"foot.{side}" in mapping.bones}
    parts |= {bone: f"toes.{side}" for side in "LR" for bone in toe_bones(rig, mapping, side)}
    out = {part: [] for part in parts.values()}
    for bone, name in enumerate(rig.names):
        nearest = next((parts[b] for b in rig.path_up(bone) if b in parts), None)
        if nearest:
            out[nearest].append(name)
    return out


def undersides(armature, rig: Rig, mapping: Mapping, world, feet: dict[str, list[str]]) -> dict[str, np.ndarray]:
    """The underside of the mesh of each foot and its toes in the rest pose, part → (P, 3) in the coordinates of `world`: for every
    direction that is more or less down, the vertex that lies furthest there. Parts without a mesh are left out."""
    found = {part: [] for part in feet}
    for item in bpy.data.objects:
        if item.type == "MESH" and len(item.data.vertices):
            for part, points in _rest_points(item, armature, feet):
                found[part].append(points)
    back = np.eye(4) if world is None else np.linalg.inv(np.asarray(world))
    directions = _DOWNWARD @ body_axes(rig, mapping).T
    out = {}
    for part, meshes in found.items():
        if meshes:
            points = np.concatenate(meshes) @ back[:3, :3].T + back[:3, 3]
            out[part] = points[np.unique((directions @ points.T).argmax(1))]
    return out


CARRIED = 0.7  # share of its weight from which a vertex is the foot's or the toes': what lies between them bends
# (100, 3) directions in a body's axes (left, up, forward), up to 80° away from down.
_turn, _down = np.pi * (3 - 5**0.5) * np.arange(100), np.linspace(1, np.cos(np.radians(80)), 100)
_DOWNWARD = np.stack([np.sqrt(1 - _down**2) * np.cos(_turn), -_down, np.sqrt(1 - _down**2) * np.sin(_turn)], 1)


def _rest_points(item, armature, feet):
    """Yields (part, vertices (V, 3) in the scene) of a mesh that hangs on the armature, in the rest pose."""
    co = np.empty(len(item.data.vertices) * 3, np.float32)
    item.data.vertices.foreach_get("co", co)
    co = co.reshape(-1, 3).astype(float)
    if any(m.type == "ARMATURE" and m.object == armature for m in item.modifiers):
        part_of = {g.index: n for g in item.vertex_groups for n, bones in enumerate(feet.values()) if g.name in bones}
        if not part_of:
            return
        weights = np.zeros((len(co), len(feet)))
        for v in item.data.vertices:
            for g in v.groups:
                if g.group in part_of:
                    weights[v.index, part_of[g.group]] += g.weight
        total = weights.sum(1)
        mine = np.where((total > 0.5) & (weights.max(1) > CARRIED * total), weights.argmax(1), -1)
        matrix = np.array(item.matrix_world)
    elif item.parent == armature and item.parent_type == "BONE":
        mine = np.full(len(co), next((n for n, bones in enumerate(feet.values()) if item.parent_bone in bones), -1))
        bone = armature.data.bones[item.parent_bone]
        at_tail = np.array(bone.matrix_local)
        at_tail[:3, 3] = bone.tail_local
        matrix = np.array(armature.matrix_world) @ at_tail @ np.array(item.matrix_parent_inverse @ item.matrix_basis)
    else:
        return
    for n, part in enumerate(feet):
        if (mine == n).any():
            yield part, co[mine == n] @ matrix[:3, :3].T + matrix[:3, 3]


def write_motion(armature, rig: Rig, motion: Motion, frame_start: int, name: str, resting=(), settings=None):
    """Key a Motion as a new action, and stash the one before. Bones keep their own rotation mode. Returns the action.

    What the old animation may have left on the keyed bones and on those between them (a place, a size, a turn) is keyed once, at rest;
    so are the bones named in `resting`, and custom properties, (bone, property) → value, as `settings` says.
    """
    keyed = {rig.names[b]: b for b in sorted({*motion.rotations, *motion.still})}
    channels = {}
    for bone_name in [*keyed, *(n for n in resting if n not in keyed)]:
        bone, b = armature.pose.bones[bone_name], keyed.get(bone_name)
        path = f'pose.bones["{bpy.utils.escape_identifier(bone_name)}"]'
        prop, values = _in_mode(bone.rotation_mode, motion.rotations.get(b, np.array([[1.0, 0, 0, 0]])))
        channels[f"{path}.{prop}"] = (values, bone_name)
        channels[f"{path}.location"] = (motion.locations.get(b, np.zeros((1, 3))), bone_name)
        channels[f"{path}.scale"] = (np.ones((1, 3)), bone_name)
    for (bone_name, prop), value in (settings or {}).items():
        if prop in armature.pose.bones[bone_name]:
            channels[f'pose.bones["{bone_name}"]["{prop}"]'] = (np.array([value]), bone_name)
    compat.stash(armature)
    return write_action(armature, name, frame_start + motion.frames, channels)


def _in_mode(mode, quats_wxyz):
    """The property of a rotation mode, and quaternions (F, 4) as its values."""
    if mode == "QUATERNION":
        return "rotation_quaternion", quats_wxyz
    turns = [Quaternion(q) for q in quats_wxyz]
    if mode == "AXIS_ANGLE":
        return "rotation_axis_angle", np.array([(angle, *axis) for axis, angle in (q.to_axis_angle() for q in turns)])
    out = []
    for q in turns:  # each nearest to the one before: no jumps by whole turns
        out.append(q.to_euler(mode, out[-1]) if out else q.to_euler(mode))
    return "rotation_euler", np.array(out)
