"""People of a take: an armature with SMPL's 24 bones and a skinned body for each.

Bones lie along the limbs, so a bone's rest orientation B (columns: its axes in the armature's Z-up space) is not SMPL's.
With Z the turn from SMPL's Y-up to Z-up, R a joint's SMPL rotation and G the root's, the pose of a Blender bone is
    other bones:  (Bᵀ Z) R (Bᵀ Z)ᵀ        root:  Bᵀ G Zᵀ B
"""

from __future__ import annotations

import bpy
import numpy as np
from mathutils import Matrix

from .. import compat
from ..retarget import rotations
from ..solver.frames import R_zup_from_yup
from ..solver.skeleton import SMPL_JOINTS, SMPL_PARENTS
from .animation import write_action
from .read import Body, PersonTrack, rest_joints

# The child a bone points to, where it has several or none worth pointing to.
_TOWARDS = {0: 3, 9: 12}
_TIP_M = {10: 0.08, 11: 0.08, 15: 0.18, 22: 0.08, 23: 0.08}


def rest_bones(rest):
    """Heads (24, 3), tails (24, 3) and orientations (24, 3, 3) in Z-up axes, for rest joints (24, 3) in SMPL's axes.

    The orientation's second column is the bone's direction, as in Blender.
    """
    heads = rest @ R_zup_from_yup.T
    tails = heads.copy()
    for joint, parent in enumerate(SMPL_PARENTS):
        children = [c for c, p in enumerate(SMPL_PARENTS) if p == joint]
        child = _TOWARDS.get(joint, children[0] if children else None)
        if child is not None:
            tails[joint] = heads[child]
        else:
            along = heads[joint] - heads[parent]
            if joint == 15:
                along = np.array([0.0, 0.0, 1.0])
            tails[joint] = heads[joint] + along / max(np.linalg.norm(along), 1e-9) * _TIP_M[joint]
        if np.linalg.norm(tails[joint] - heads[joint]) < 0.01:
            tails[joint] = heads[joint] + np.array([0.0, 0.0, 0.05])
    y = tails - heads
    y /= np.linalg.norm(y, axis=1, keepdims=True)
    front = np.where(np.abs(y[:, 1:2]) > 0.9, np.array([[0.0, 0.0, 1.0]]), np.array([[0.0, -1.0, 0.0]]))
    x = np.cross(y, front)
    x /= np.linalg.norm(x, axis=1, keepdims=True)
    return heads, tails, np.stack([x, y, np.cross(x, y)], -1)


def pose_channels(person: PersonTrack, rest, orientation) -> dict:
    """RNA paths and values that pose the armature of `rest_bones` as the track says."""
    channels = {}
    for joint, name in enumerate(SMPL_JOINTS):
        bone = f'pose.bones["{name}"]'
        B = orientation[joint]
        if joint == 0:
            G = rotations.matrix_from_rotvec(person.poses[:, 0])
            quat = rotations.quat_wxyz_from_matrix(B.T @ G @ R_zup_from_yup.T @ B)
            # SMPL turns the root about its rest pelvis, in SMPL's own axes, and then adds trans.
            location = (rest[0] + person.trans - R_zup_from_yup @ rest[0]) @ B
            channels[bone + ".location"] = (location, name)
        else:
            rotvec = person.poses[:, joint] @ (B.T @ R_zup_from_yup).T
            quat = rotations.quat_wxyz_from_matrix(rotations.matrix_from_rotvec(rotvec))
        channels[bone + ".rotation_quaternion"] = (rotations.continuous(quat), name)
    return channels


def build(person: PersonTrack, frame_start: int, collection, parent, body: Body | None, name: str):
    """Armature and body of one person, animated. Returns the armature and the body object (None without a Body)."""
    rest = rest_joints(person)
    heads, tails, orientation = rest_bones(rest)
    armature = _armature(name, heads, tails, orientation, collection)
    armature.parent = parent
    frames = frame_start + person.frame
    write_action(armature, name, frames, pose_channels(person, rest, orientation))
    colour = linear_rgba(person.colour)
    if body is None:
        paint(armature, None, colour)
        return armature, None
    skin = _skin(name + " Body", body, person, collection, armature)
    paint(armature, skin, colour)
    _key_visibility(skin, name + " Visible", person, frames)
    return armature, skin


def paint(armature, body, colour) -> None:
    """Give a person a linear colour (4,), in the viewport and in renders. body: None where there is no skin."""
    armature.color = colour
    if body is None:
        return
    body.color = colour
    for material in body.data.materials:
        if material is None or material.library is not None:
            continue
        material.diffuse_color = colour
        shader = material.node_tree.nodes.get("Principled BSDF") if material.node_tree else None
        if shader is not None:
            shader.inputs["Base Color"].default_value = colour


def show(items, shown: bool) -> None:
    """Show or hide objects in the view layer at work. Their keyed visibility stays as it is."""
    layer = bpy.context.view_layer
    for item in items:
        if item is not None and item.name in layer.objects:
            item.hide_set(not shown)


def _armature(name, heads, tails, orientation, collection):
    data = bpy.data.armatures.new(name)
    armature = bpy.data.objects.new(name, data)
    collection.objects.link(armature)
    # Bones can only be made in Edit Mode: of this new armature, never of one that the artist has.
    layer = bpy.context.view_layer
    active, selected = layer.objects.active, [o for o in layer.objects if o.select_get()]
    if active is not None and active.mode != "OBJECT":
        bpy.ops.object.mode_set(mode="OBJECT")
    layer.objects.active = armature
    bpy.ops.object.mode_set(mode="EDIT")
    try:
        for joint, joint_name in enumerate(SMPL_JOINTS):
            bone = data.edit_bones.new(joint_name)
            bone.head, bone.tail = heads[joint], tails[joint]
            bone.align_roll(orientation[joint][:, 2])
            if SMPL_PARENTS[joint] >= 0:
                bone.parent = data.edit_bones[SMPL_JOINTS[SMPL_PARENTS[joint]]]
                bone.use_connect = False
    finally:
        bpy.ops.object.mode_set(mode="OBJECT")
        armature.select_set(False)
        layer.objects.active = active
        for other in selected:
            other.select_set(True)
    data.display_type = "STICK"
    armature.show_in_front = True
    for bone in armature.pose.bones:
        bone.rotation_mode = "QUATERNION"
    return armature


def _skin(name, body: Body, person: PersonTrack, collection, armature):
    vertices = body.vertices(person.betas) @ R_zup_from_yup.T
    mesh = bpy.data.meshes.new(name)
    mesh.from_pydata(vertices.tolist(), [], body.faces.tolist())
    mesh.shade_smooth()
    mesh.materials.append(_material(person))
    skin = bpy.data.objects.new(name, mesh)
    collection.objects.link(skin)
    skin.parent = armature
    skin.matrix_parent_inverse = Matrix.Identity(4)
    for joint, joint_name in enumerate(SMPL_JOINTS):
        group = skin.vertex_groups.new(name=joint_name)
        weights = body.weights[:, joint]
        for vertex in np.flatnonzero(weights > 1e-6):
            group.add([int(vertex)], float(weights[vertex]), "REPLACE")
    modifier = skin.modifiers.new("Armature", "ARMATURE")
    modifier.object = armature
    return skin


def linear_rgba(srgb_255):
    """Blender's linear colour, with alpha 1, of an sRGB colour 0..255."""
    srgb = np.array(srgb_255) / 255
    linear = np.where(srgb <= 0.04045, srgb / 12.92, ((srgb + 0.055) / 1.055) ** 2.4)
    return (*linear.tolist(), 1.0)


def _material(person: PersonTrack):
    material = bpy.data.materials.new(f"Person {person.id}")
    compat.use_nodes(material)
    material.node_tree.nodes["Principled BSDF"].inputs["Roughness"].default_value = 0.6
    return material


def _key_visibility(skin, name, person: PersonTrack, frames):
    """Hide the body before its first frame, after its last, and where the person is not seen."""
    hidden = ~person.visible
    keys = [0, *(np.flatnonzero(np.diff(hidden.astype(int))) + 1)]
    at = [frames[0] - 1, *frames[keys], frames[-1] + 1]
    values = np.array([True, *hidden[keys], True])
    write_action(skin, name, at, {"hide_viewport": values, "hide_render": values})
