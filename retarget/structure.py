"""Limbs from the shape of a skeleton alone, for rigs whose bones are called Bone.001.

A person standing: the two lowest chains are the legs, they meet at the hips; the two that reach furthest to the sides are the
arms, they meet at the chest; what is left above the chest is the head; the feet point forward, which tells left from right.
"""

from __future__ import annotations

import numpy as np

from .rig import Rig
from .rotations import unit


def limbs_from_structure(rig: Rig) -> dict[str, int] | None:
    """Bone index by part, or None where the skeleton is not a standing person's. Up is the world's z."""
    tips = [i for i in range(len(rig.names)) if not rig.children(i)]
    heads = rig.heads_world
    if len(tips) < 5:
        return None
    middle = np.median(heads[:, :2], axis=0)
    # Across the body: the horizontal direction along which the bones lie furthest apart (arms and legs do).
    flat = heads[:, :2] - middle
    across = np.array([*np.linalg.svd(flat, full_matrices=False)[2][0], 0.0])
    side = (heads - [*middle, 0]) @ across
    height = np.ptp(heads[:, 2])
    low = [i for i in tips if heads[i, 2] < heads[:, 2].min() + 0.2 * height]
    legs = _pair(low, side, key=lambda i: -heads[i, 2])
    arms = _pair([i for i in tips if i not in low], side, key=lambda i: abs(side[i]))
    if legs is None or arms is None:
        return None
    hips, chest = rig.common(legs), rig.common(arms)
    if hips < 0 or chest < 0 or (hips not in rig.path_up(chest)):
        return None
    bones = {"hips": hips}
    joints = []
    for leg, arm in zip(legs, arms, strict=True):
        if side[leg] * side[arm] < 0:
            return None
        joints.append((_leg(rig, leg, hips), _arm(rig, arm, chest)))
    if any(leg is None or arm is None for leg, arm in joints):
        return None
    toward_toes = sum(heads[tip] - heads[leg[2]] for tip, (leg, _) in zip(legs, joints, strict=True))
    left = np.cross([0, 0, 1.0], unit(toward_toes * [1, 1, 0])) @ across
    order = "LR" if (left > 0) == (side[legs[0]] > 0) else "RL"
    if np.linalg.norm(toward_toes[:2]) < 0.02 * height:
        return None  # nothing tells front from back
    for letter, (leg, arm) in zip(order, joints, strict=True):
        for part, bone in zip(("upper_leg", "lower_leg", "foot", "toes"), leg, strict=False):
            bones[f"{part}.{letter}"] = bone
        for part, bone in zip(("clavicle", "upper_arm", "lower_arm", "hand"), arm, strict=True):
            if bone >= 0:
                bones[f"{part}.{letter}"] = bone
    above = [i for i in tips if chest in rig.path_up(i) and heads[i, 2] > heads[chest, 2] and i not in arms]
    above = [i for i in above if abs(side[i]) < 0.1 * height]
    if above:
        path = rig.path_up(max(above, key=lambda i: heads[i, 2]))
        path = path[: path.index(chest)]
        named = [b for b in path if len(rig.children(b)) != 1]  # the head is where the face's bones meet, or the tip itself
        bones["head"] = named[-1] if named else path[0]
    return bones


def _pair(tips, side, key):
    """The best tip on each side, or None."""
    out = []
    for sign in (1, -1):
        here = [i for i in tips if sign * side[i] > 0]
        if not here:
            return None
        out.append(max(here, key=key))
    return out


def _leg(rig, tip, hips):
    """Thigh, shin, foot and, where there is one, toes: the knee and ankle that give two long bones of about one length."""
    path = rig.path_up(tip)
    path = path[: path.index(hips)][::-1]
    best = _two_segments(rig.heads_world, path)
    if best is None:
        return None
    thigh, shin, foot = best
    rest = path[path.index(foot) + 1 :]
    return [thigh, shin, foot, *rest[:1]]


def _arm(rig, tip, chest):
    """Clavicle (or -1), upper arm, forearm and hand. Fingers meet at the hand."""
    path = rig.path_up(tip)
    path = path[: path.index(chest)][::-1]
    forks = [b for b in path if len(rig.children(b)) > 1]
    ends = path[: path.index(forks[-1]) + 1] if forks else path
    best = _two_segments(rig.heads_world, ends)
    if best is None:
        return None
    first = path.index(best[0])
    return [path[first - 1] if first else -1, *best]


def _two_segments(heads, path):
    """(a, b, c) on a path for which a-b and b-c are both long: the product of the two lengths is greatest."""
    best, value = None, 0.0
    for i in range(len(path)):
        for j in range(i + 1, len(path)):
            for k in range(j + 1, len(path)):
                a, b, c = (heads[path[n]] for n in (i, j, k))
                product = np.linalg.norm(b - a) * np.linalg.norm(c - b)
                if product > 1.001 * value:
                    best, value = (path[i], path[j], path[k]), product
    return best
