"""Motion transfer: a Track onto a Rig of any rest pose, scale and spine length.

For every bone of the character a constant rotation A takes its rest pose to SMPL's rest pose; then bone and SMPL joint turn
alike: its turn in the world is D(t) = G(t) A, where G is the joint's world rotation. A differs by part:
- limbs: the bone's direction goes onto SMPL's, and the hinge (elbow, knee) onto SMPL's hinge, so that nothing twists;
- torso, neck, head and clavicles: left, up and forward go onto SMPL's, so that the character keeps its own posture;
- feet: forward along the floor and up, so that a flat foot stays flat however high its ankle is.
Fingers bend by angles instead, each from the character's own rest (fingers.py).
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from . import feet
from .fingers import finger_turns
from .rig import Mapping, Rig, body_axes, toe_bones
from .rotations import continuous, frame, quat_wxyz_from_matrix, slerp, unit
from .source import Track

SMPL_AXES = np.eye(3)  # left x, up y, forward z in SMPL's rest pose
JOINT = {
    "clavicle.L": 13, "clavicle.R": 14, "upper_arm.L": 16, "upper_arm.R": 17, "lower_arm.L": 18, "lower_arm.R": 19,
    "hand.L": 20, "hand.R": 21, "upper_leg.L": 1, "upper_leg.R": 2, "lower_leg.L": 4, "lower_leg.R": 5,
    "foot.L": 7, "foot.R": 8, "toes.L": 10, "toes.R": 11,
}  # fmt: skip
LEGS_DIFFER = 1.25
# The joint that a limb's bone points to.
END = {"upper_arm": "lower_arm", "lower_arm": "hand", "upper_leg": "lower_leg", "lower_leg": "foot"}
END_JOINT = {16: 18, 17: 19, 18: 20, 19: 21, 20: 22, 21: 23, 1: 4, 2: 5, 4: 7, 5: 8, 7: 10, 8: 11}


@dataclass
class Motion:
    """What to key: by bone index, rotations (F, 4) wxyz and locations (F, 3) in pose-bone space; and how it looks in the world.

    The keyed bones are the mapped ones; `still` names ancestors and in-between bones that have to rest for it to hold.
    """

    frames: np.ndarray
    rotations: dict[int, np.ndarray]
    locations: dict[int, np.ndarray]
    still: list[int]
    heads_world: np.ndarray  # (F, N, 3) metres
    turns_world: np.ndarray  # (F, N, 3, 3) each bone's turn away from its rest, D
    contact: np.ndarray = field(default_factory=lambda: np.zeros((0, 4)))
    leg_ratio: float = 1.0  # how high the character's hips stand, against the person's
    path_scaled: bool = False

    @property
    def legs_differ(self) -> bool:
        """Whether the legs are so much shorter or longer that the person's own footsteps would bend them."""
        return max(self.leg_ratio, 1 / self.leg_ratio) > LEGS_DIFFER


def transfer(track: Track, rig: Rig, mapping: Mapping, scale_path: bool | None = False, keep_feet=True) -> Motion:
    """Move a character as a person moved.

    scale_path:  False keeps the person's path, so that the character stands where the person stood (2D transfer); True scales the
                 path about its start by the ratio of the legs, so that steps keep their proportion. None scales it where the legs
                 differ by more than a quarter.
    keep_feet:   put the feet on the floor (z = 0) and let them neither slide nor sink.
    """
    G, joints = track.forward()
    pose = _Pose(rig, mapping, len(G))
    A, parts = alignments(track, rig, mapping)
    for bone, (joint, turn) in _targets(G, mapping, parts).items():
        pose.D[:, bone] = turn @ A.get(bone, A[mapping.bones["hips"]])
        pose.driven[bone] = joint
    for side in "LR":
        for toe in toe_bones(rig, mapping, side)[1:]:
            toes = mapping.bones[f"toes.{side}"]
            pose.D[:, toe], pose.driven[toe] = pose.D[:, toes], pose.driven[toes]
        hand = mapping.bones.get(f"hand.{side}")
        for bone, turn in finger_turns(track, rig, mapping, side).items():
            pose.D[:, bone], pose.driven[bone] = pose.D[:, hand] @ turn, pose.driven[hand]
    ratio = feet.stand_height(rig, mapping) / feet.person_height(track)
    if scale_path is None:
        scale_path = max(ratio, 1 / ratio) > LEGS_DIFFER
    centre = joints[:, [1, 2]].mean(1)
    start = centre[:1] * [1, 1, 0]
    path_scale, stood = ratio if scale_path else 1.0, feet.stands(track, G, joints)
    under = stood.under(track.frames / track.fps)[:, None] * [0, 0, 1]  # stairs stay as high as they are, however long the character's legs
    goal = start + path_scale * under + (centre - start - under) * [path_scale, path_scale, ratio]
    pose.place(goal)
    contact = np.zeros((len(G), 4))
    if keep_feet and all(f"foot.{side}" in mapping.bones for side in "LR"):
        contact = feet.keep_on_floor(pose, track, G, stood, start, path_scale)
    motion = pose.motion(track.frames, contact)
    motion.leg_ratio, motion.path_scaled = ratio, scale_path
    return motion


def alignments(track: Track, rig: Rig, mapping: Mapping):
    """A (3, 3) by bone, from the character's rest pose in the world to SMPL's rest axes; and the joint of each bone."""
    axes = body_axes(rig, mapping)
    torso = SMPL_AXES @ axes.T
    J = track.rest_joints
    forward = axes[:, 2]
    A, joint_of = {mapping.bones["hips"]: torso}, {}
    for part, bone in mapping.bones.items():
        base, _, side = part.partition(".")
        joint = JOINT.get(part)
        if joint is None:
            continue
        joint_of[bone] = joint
        if base == "clavicle":
            A[bone] = torso
        elif base == "toes":
            A[bone] = A[mapping.bones[f"foot.{side}"]] if f"foot.{side}" in mapping.bones else torso
        elif base == "foot":
            ahead = foot_forward(rig, mapping, side, axes)
            ahead_smpl = (J[END_JOINT[joint]] - J[joint]) * [1, 0, 1]
            A[bone] = frame(ahead_smpl, SMPL_AXES[:, 1]) @ frame(ahead, axes[:, 1]).T
        elif base == "hand":
            A[bone] = _hand(rig, mapping, side, A[mapping.bones[f"lower_arm.{side}"]], J[END_JOINT[joint]] - J[joint])
        else:
            sign = 1.0 if base.endswith("arm") else -1.0
            direction = _direction(rig, mapping, base, side)
            limb = [_direction(rig, mapping, b, side) for b in (f"upper_{base[6:]}", f"lower_{base[6:]}")]
            hinge = _hinge(limb, direction, sign * np.cross(direction, forward))
            direction_smpl = J[END_JOINT[joint]] - J[joint]
            hinge_smpl = sign * np.cross(direction_smpl, SMPL_AXES[:, 2])
            A[bone] = frame(direction_smpl, hinge_smpl) @ frame(direction, hinge).T
    return A, joint_of


def _direction(rig, mapping, base, side):
    """Where a limb's bone points in the rest pose: to the next mapped bone, else to its only child, else along the bone."""
    bone = mapping.bones[f"{base}.{side}"]
    end = mapping.bones.get(f"{END[base]}.{side}")
    if end is None:
        children = rig.children(bone)
        end = children[0] if len(children) == 1 else None
    tip = rig.tails_world[bone] if end is None else rig.heads_world[end]
    return unit(tip - rig.heads_world[bone])


def _hinge(limb, direction, usual):
    """Axis about which elbow or knee flexes: across a clearly bent rest pose, else the usual one."""
    bend = np.cross(*limb)
    if np.linalg.norm(bend) < np.sin(np.radians(20)) or unit(bend) @ unit(usual) < 0.5:
        return usual
    return bend - (bend @ direction) * direction


def _hand(rig, mapping, side, forearm, direction_smpl):
    """The hand by its knuckles where it has fingers, else as straight as the forearm."""
    hand = mapping.bones[f"hand.{side}"]
    knuckles = [mapping.bones.get(f"{finger}.{side}") for finger in ("index", "middle", "pinky")]
    index, middle, pinky = (None if k is None else rig.heads_world[k] for k in knuckles)
    if middle is None or index is None or pinky is None:
        return forearm
    thumbward = index - pinky
    return frame(direction_smpl, SMPL_AXES[:, 2]) @ frame(middle - rig.heads_world[hand], thumbward).T


def foot_forward(rig, mapping, side, axes):
    """Direction (3,) of a foot along the floor in the rest pose."""
    foot, toes = mapping.bones[f"foot.{side}"], mapping.bones.get(f"toes.{side}")
    if toes is None:
        return axes[:, 2]
    ahead = rig.heads_world[toes] - rig.heads_world[foot]
    ahead = ahead - (ahead @ axes[:, 1]) * axes[:, 1]
    return unit(ahead) if unit(ahead) @ axes[:, 2] > 0.5 else axes[:, 2]


def _targets(G, mapping, parts):
    """(joint, G (F, 3, 3)) by bone. The turns of SMPL's three spine joints are spread over a spine of any length, those of neck and
    head over the neck."""
    out = {mapping.bones["hips"]: (0, G[:, 0])}

    def spread(chain, stations):
        for i, bone in enumerate(chain):
            u = (i + 1) / len(chain) * (len(stations) - 1)
            low = min(int(u), len(stations) - 2)
            out[bone] = (stations[low + 1], slerp(G[:, stations[low]], G[:, stations[low + 1]], u - low))

    spread(mapping.spine, (0, 3, 6, 9))
    if "head" in mapping.bones:
        spread([*mapping.neck, mapping.bones["head"]], (9, 12, 15))
    out |= {bone: (joint, G[:, joint]) for bone, joint in parts.items()}
    return out


class _Pose:
    """The character over F frames in the world: turns D (F, N, 3, 3) away from the rest, and heads (F, N, 3)."""

    def __init__(self, rig: Rig, mapping: Mapping, count: int):
        self.rig, self.mapping = rig, mapping
        self.D = np.broadcast_to(np.eye(3), (count, len(rig.names), 3, 3)).copy()
        self.heads = np.broadcast_to(rig.heads_world, (count, len(rig.names), 3)).copy()
        self.driven: dict[int, int] = {}
        # Who carries whose head: the parent, or, for feet that an IK rig has hung from the root, the shin.
        self.carrier = np.array(rig.parents)
        self.detached = []
        for part, bone in mapping.bones.items():
            if part.partition(".")[0] in ("lower_arm", "hand", "lower_leg", "foot", "toes"):
                above = mapping.carrier(part)
                if above not in rig.path_up(bone)[1:]:
                    self.carrier[bone] = above
                    self.detached.append(bone)
        self.order = []
        while len(self.order) < len(rig.names):
            ready = set(self.order)
            self.order += [i for i, c in enumerate(self.carrier) if i not in ready and (c < 0 or c in ready)]

    def place(self, hip_centre=None):
        """Heads from turns. hip_centre (F, 3): where the middle between the thighs' heads goes; None keeps the hips in place."""
        rest, hips = self.rig.heads_world, self.mapping.bones["hips"]
        if hip_centre is not None:
            thighs = rest[[self.mapping.bones["upper_leg.L"], self.mapping.bones["upper_leg.R"]]].mean(0)
            self.heads[:, hips] = hip_centre - self.D[:, hips] @ (thighs - rest[hips])
        for bone in self.order:
            above = self.carrier[bone]
            if above < 0 or bone == hips:
                continue
            if bone not in self.driven:
                self.D[:, bone] = self.D[:, above] if self.rig.inherits_rotation[bone] else np.eye(3)
            self.heads[:, bone] = self.heads[:, above] + self.D[:, above] @ (rest[bone] - rest[above])

    def motion(self, frames, contact) -> Motion:
        """Local rotations and locations: D of a bone against D of its parent, in the bone's rest axes."""
        rig, hips = self.rig, self.mapping.bones["hips"]
        rotations, locations = {}, {}
        for bone in self.driven:
            B, parent = rig.axes_world[bone], rig.parents[bone]
            inherited = self.D[:, parent] if parent >= 0 else np.broadcast_to(np.eye(3), self.D[:, 0].shape)
            turned = inherited if rig.inherits_rotation[bone] else np.eye(3)
            local = B.T @ np.swapaxes(turned, -1, -2) @ self.D[:, bone] @ B
            rotations[bone] = continuous(quat_wxyz_from_matrix(local))
            if bone == hips or bone in self.detached:
                above, rest = (self.heads[:, parent], rig.heads_world[parent]) if parent >= 0 else (0.0, np.zeros(3))
                away = self.heads[:, bone] - above - inherited @ (rig.heads_world[bone] - rest)
                locations[bone] = np.einsum("...ji,...j->...i", inherited @ B, away) / rig.scale
        still = {b for bone in self.driven for b in rig.path_up(bone)} - set(self.driven)
        return Motion(frames, rotations, locations, sorted(still), self.heads, self.D, contact)
