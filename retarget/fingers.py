"""Finger bones of a character by the angles of a person's fingers. Where nothing is known of a hand, its bones keep their rest."""

from __future__ import annotations

import numpy as np

from ..solver.fingers import NAMES, Palm, chain_angles, chain_turns
from .rig import Mapping, Rig
from .source import Track


def finger_turns(track: Track, rig: Rig, mapping: Mapping, side: str) -> dict[int, np.ndarray]:
    """Turns (F, 3, 3) in the world's axes, against the hand's own turn, by finger bone. Empty where the hand was never seen, or the rig has no fingers there.

    side: "L" or "R". A palm is known by the hand and the first bones of index and little finger.
    """
    row = "LR".index(side)
    hand, index, pinky = (mapping.bones.get(f"{part}.{side}") for part in ("hand", "index", "pinky"))
    if track.fingers is None or not track.fingers_known[:, row].any() or None in (hand, index, pinky):
        return {}
    palm = Palm.of(*rig.heads_world[[hand, index, pinky]], np.array(side == "R"))
    knuckle = palm.to_local(rig.heads_world[pinky] - palm.wrist)
    known = track.fingers_known[:, row, None]
    out = {}
    for n, name in enumerate(NAMES):
        if f"{name}.{side}" not in mapping.bones:
            continue
        bones = chain(rig, mapping.bones[f"{name}.{side}"])
        rest = palm.to_local(_points(rig, bones) - palm.wrist)
        towards = knuckle - rest[0] if name == "thumb" else None
        own = chain_angles(rest, knuckle if name == "thumb" else None)
        angles = own + known * (gathered(track.fingers[:, row, n], len(bones)) - own)
        turns = palm.axes.T @ chain_turns(rest, angles, towards) @ palm.axes
        out |= {bone: turns[:, k] for k, bone in enumerate(bones)}
    return out


def chain(rig: Rig, first: int) -> list[int]:
    """Up to three bones of a finger, from its first one outwards: the child that leads straightest on. A bone without children and of no length is an end, not a joint."""
    out = [first]
    while len(out) < 3 and (children := rig.children(out[-1])):
        here = rig.heads_world[out[-1]]
        before = here - rig.heads_world[out[-2]] if len(out) > 1 else here - rig.heads_world[rig.parents[first]]
        ways = [rig.heads_world[c] - here for c in children]
        out.append(children[int(np.argmax([w @ before / (np.linalg.norm(w) + 1e-9) for w in ways]))])
    if len(out) > 1 and not rig.children(out[-1]) and not rig.deforms[out[-1]]:
        out.pop()
    return out


def _points(rig: Rig, bones):
    """Four points (4, 3) of a finger of one to three bones, in the world: where joints are missing, they lie on the last bone."""
    children = rig.children(bones[-1])
    tip = rig.heads_world[children[0]] if len(children) == 1 else rig.tails_world[bones[-1]]
    heads = rig.heads_world[bones]
    extra = [heads[-1] + (tip - heads[-1]) * k / (4 - len(bones)) for k in range(1, 4 - len(bones))]
    return np.array([*heads, *extra, tip])


def gathered(angles, bones: int):
    """Angles (F, 4) for a finger of so many bones: the last one stands for those that it has no bones for, and bends by half of what they add."""
    out = np.array(angles)
    for k in range(2, bones - 1, -1):
        out[:, k - 1] += out[:, k] / 2
        out[:, k] = 0
    return out
