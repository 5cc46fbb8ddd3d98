"""Limbs from the shape of a skeleton alone, for rigs whose bones are called Bone.001.

A person standing: the two lowest chains are the legs, they meet at the hips; the two that reach furthest to the sides are the
arms, they meet at the chest; what is left above the chest is the head; the feet point forward, which tells left from right.
"""

from __future__ import annotations

import itertools

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
        named = [
            b for b in path if len(rig.children(b)) != 1
        ]  # the head is where the face's bones meet, or the tip itself
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
    """Thigh, shin, foot and, where there is one, toes. The foot is where the chain turns from down to ahead."""
    path = rig.path_up(tip)
    path = path[: path.index(hips)][::-1]
    p = rig.heads_world[path]
    steps = np.diff(p, axis=0)
    level = np.abs(steps[:, 2]) < 0.75 * np.linalg.norm(steps, axis=1)
    low = p[:-1, 2] < p[-1, 2] + 0.25 * (p[0, 2] - p[-1, 2])
    turns = np.flatnonzero(level & low)
    ends = path[: turns[0] + 1] if len(turns) else path
    best = _two_segments(rig.heads_world, ends)
    if best is None:
        return None
    rest = path[path.index(best[2]) + 1 :]
    return [*best, *rest[:1]]


def _arm(rig, tip, chest):
    """Clavicle (or -1), upper arm, forearm and hand. Fingers meet at the hand."""
    path = rig.path_up(tip)
    path = path[: path.index(chest)][::-1]
    forks = [
        i for i, bone in enumerate(path) if i > 1 and any(not _is_twist(rig, c, bone, path) for c in rig.children(bone))
    ]
    ends = path[: forks[-1] + 1] if forks else path
    best = _two_segments(rig.heads_world, ends)
    if best is None:
        return None
    first = path.index(best[0])
    return [path[first - 1] if first else -1, *best]


def _is_twist(rig, child, bone, path):
    """Whether a child is the next bone of a path, or a helper without children that lies along the way there, as twist bones do."""
    at = path.index(bone)
    if at + 1 == len(path) or child == path[at + 1]:
        return child in path
    if rig.children(child):
        return False
    start, along = rig.heads_world[bone], rig.heads_world[path[at + 1]] - rig.heads_world[bone]
    offset = rig.heads_world[child] - start
    share = offset @ along / max(along @ along, 1e-12)
    return -0.1 < share < 1.05 and np.linalg.norm(offset - share * along) < 0.1 * np.linalg.norm(along)


def _two_segments(heads, path):
    """(a, b, c) on a path for which a-b and b-c are both long and of about one length, or None.

    A segment may be several bones, as where an arm twists, if they are about equal: a clavicle and an arm are not.
    """
    best, value = None, 0.0
    for i, j, k in itertools.combinations(range(len(path)), 3):
        one, two = (np.linalg.norm(heads[path[n]] - heads[path[m]]) for m, n in ((i, j), (j, k)))
        worth = (one + two) * (min(one, two) / max(one, two, 1e-9)) ** 2
        worth *= _evenness(heads[path[i : j + 1]]) * _evenness(heads[path[j : k + 1]])
        if worth > 1.001 * value:
            best, value = (path[i], path[j], path[k]), worth
    return best


def _evenness(points):
    """1 for points (N, 3) at about equal distances, less where one step is under half of another; none at all do not count."""
    steps = np.linalg.norm(np.diff(points, axis=0), axis=1)
    steps = steps[steps > 0.05 * steps.sum()]
    share = steps.min() / steps.max() if len(steps) else 1.0
    return 1.0 if share > 0.55 else share
