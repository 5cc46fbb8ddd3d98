"""A character's skeleton as plain arrays, and which of its bones are a human's."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from ..solver.protocol import ShotError
from .rotations import unit

# A human in names of our own; sided ones end in .L or .R. Spine and neck are chains of any length, found from the tree.
SIDED = ("clavicle", "upper_arm", "lower_arm", "hand", "upper_leg", "lower_leg", "foot", "toes")
KNUCKLES = ("index", "middle", "pinky")
FINGERS = (*KNUCKLES, "ring", "thumb")  # the first bone of each; a thumb's is its metacarpal
REQUIRED = tuple(f"{part}.{side}" for part in ("upper_arm", "lower_arm", "upper_leg", "lower_leg") for side in "LR")
# What each part hangs from; "chest" is the last bone of the spine.
CARRIER = {
    "clavicle": "chest", "upper_arm": "clavicle", "lower_arm": "upper_arm", "hand": "lower_arm",
    "upper_leg": "hips", "lower_leg": "upper_leg", "foot": "lower_leg", "toes": "foot",
}  # fmt: skip


@dataclass
class Rig:
    """N bones, parents before children.

    heads, tails:      (N, 3) rest, armature space. Tails of imported rigs mean little, so only leaves without children use them.
    rotations:         (N, 3, 3) rest axes of the bones in armature space (`Bone.matrix_local`).
    T_world_from_rig:  (4, 4) the armature object's matrix: rotation, translation and one scale.
    under:             "foot.L", "toes.L" … → (P, 3) world: the underside of the mesh that the part carries, in the rest pose. Empty: guessed.
    """

    names: list[str]
    parents: np.ndarray
    heads: np.ndarray
    tails: np.ndarray
    rotations: np.ndarray
    T_world_from_rig: np.ndarray = field(default_factory=lambda: np.eye(4))
    inherits_rotation: np.ndarray | None = None
    deforms: np.ndarray | None = None
    under: dict[str, np.ndarray] = field(default_factory=dict)

    def __post_init__(self):
        if any(p >= i for i, p in enumerate(self.parents)):
            raise ValueError("parents must come before their children")
        if self.inherits_rotation is None:
            self.inherits_rotation = np.ones(len(self.names), bool)
        if self.deforms is None:
            self.deforms = np.ones(len(self.names), bool)
        linear = np.asarray(self.T_world_from_rig, float)[:3, :3]
        sizes = np.linalg.norm(linear, axis=0)
        self.scale = float(sizes.mean())
        if sizes.min() < 1e-9 or sizes.max() / sizes.min() > 1.01:
            raise ShotError(
                "The character's armature is stretched unevenly.", "Select it and apply its scale with Ctrl+A, Scale."
            )
        self.R_world = linear / self.scale
        if np.linalg.det(self.R_world) < 0:
            raise ShotError("The character's armature is mirrored.", "Give it a positive scale and apply it.")
        self.heads_world = self.to_world(self.heads)
        self.tails_world = self.to_world(self.tails)
        self.axes_world = self.R_world @ self.rotations

    def to_world(self, points):
        """Armature space (..., 3) to world (..., 3)."""
        return points @ np.asarray(self.T_world_from_rig)[:3, :3].T + np.asarray(self.T_world_from_rig)[:3, 3]

    def path_up(self, bone):
        """The bone and its ancestors, nearest first."""
        out = []
        while bone >= 0:
            out.append(int(bone))
            bone = self.parents[bone]
        return out

    def children(self, bone):
        return [i for i, p in enumerate(self.parents) if p == bone]

    def common(self, bones):
        """The nearest common ancestor of some bones, themselves included; -1 where there is none."""
        paths = [self.path_up(b) for b in bones]
        return next((b for b in paths[0] if all(b in p for p in paths[1:])), -1)


@dataclass
class Mapping:
    """Bone indices of a human: `bones` by part ("hips", "head", "upper_arm.L" …), `spine` up to the chest, `neck` below the head."""

    bones: dict[str, int]
    spine: list[int]
    neck: list[int]
    source: str  # the map's name, or "structure"

    @property
    def chest(self):
        return self.spine[-1] if self.spine else self.bones["hips"]

    def carrier(self, part):
        """The mapped bone that a part hangs from."""
        base, _, side = part.partition(".")
        while True:
            base = CARRIER[base]
            if base == "chest":
                return self.chest
            if base == "hips":
                return self.bones["hips"]
            if f"{base}.{side}" in self.bones:
                return self.bones[f"{base}.{side}"]


def toe_bones(rig: Rig, mapping: Mapping, side: str) -> list[int]:
    """The bones that bend as the toes: the mapped one first, then what lies beside it on the same foot. Empty where there are no toes."""
    toes = mapping.bones.get(f"toes.{side}")
    if toes is None:
        return []
    heads, foot = rig.heads_world, mapping.bones.get(f"foot.{side}", rig.parents[toes])
    near = 0.5 * np.linalg.norm(heads[toes] - heads[foot])
    mapped = {*mapping.bones.values()}
    beside = [b for b in rig.children(rig.parents[toes]) if b not in mapped and np.linalg.norm(heads[b] - heads[toes]) < near]
    return [toes, *beside]


def body_axes(rig: Rig, mapping: Mapping):
    """Columns left, up, forward (3, 3) of the character in its rest pose, world.

    Up is the armature axis nearest to the torso, for characters stand along one; the torso itself where none is near.
    """
    hips = [rig.heads_world[mapping.bones[f"upper_leg.{s}"]] for s in "LR"]
    arms = [rig.heads_world[mapping.bones[f"upper_arm.{s}"]] for s in "LR"]
    torso = unit(np.mean(arms, 0) - np.mean(hips, 0))
    axes = np.concatenate([rig.R_world.T, -rig.R_world.T])
    best = axes[(axes @ torso).argmax()]
    up = best if best @ torso > np.cos(np.radians(35)) else torso
    left = hips[0] - hips[1] + arms[0] - arms[1]
    left = unit(left - (left @ up) * up)
    return np.stack([left, up, np.cross(left, up)], -1)
