"""Motion-capture files (BVH) on the characters of people.py: joint positions of the file drive the bones, whatever its rest pose."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
from scipy.ndimage import gaussian_filter1d
from scipy.spatial.transform import Rotation, Slerp

from .motions import _DOWN, _FORWARD, _NECK, _SPINE, SIDES, _frame, _Limbs, _two_bones, about
from .people import Character, unit

# Joint names, lower case without sides and signs, of the files met so far: CMU's, Bandai's, PyMO's.
_NAMES = {
    "pelvis": ("hips", "hip", "pelvis"), "neck": ("neck", "neck1", "head"), "shoulder": ("arm", "upperarm"),
    "elbow": ("forearm", "lowerarm"), "wrist": ("hand",), "hip": ("upleg", "upperleg"), "knee": ("leg", "lowerleg"),
    "ankle": ("foot",), "toe": ("toebase", "toes", "toe"),
}  # fmt: skip


def read(path: Path):
    """A BVH file: joint names, world positions (F, J, 3) in the file's units and axes, seconds a frame."""
    header, motion = Path(path).read_text(encoding="utf-8", errors="replace").split("MOTION", 1)
    names, parents, offsets, channels, stack = [], [], [], [], []
    words = iter(header.split())
    for word in words:
        if word in ("ROOT", "JOINT", "End"):
            names.append(next(words) if word != "End" else next(words) and names[-1] + "_end")
            parents.append(stack[-1] if stack else -1)
            offsets.append(np.zeros(3))
            channels.append([])
        elif word == "{":
            stack.append(len(names) - 1)
        elif word == "}":
            stack.pop()
        elif word == "OFFSET":
            offsets[stack[-1]] = np.array([float(next(words)) for _ in range(3)])
        elif word == "CHANNELS":
            channels[stack[-1]] = [next(words) for _ in range(int(next(words)))]
    seconds = float(re.search(r"Frame Time:\s*(\S+)", motion).group(1))
    rows = np.array([line.split() for line in motion.strip().splitlines()[2:] if line.strip()], float)
    positions, rotations = np.zeros((len(rows), len(names), 3)), np.zeros((len(rows), len(names), 3, 3))
    column = 0
    for j, parent in enumerate(parents):
        place, R = np.tile(offsets[j], (len(rows), 1)), np.tile(np.eye(3), (len(rows), 1, 1))
        for channel in channels[j]:
            axis, value = "XYZ".index(channel[0]), rows[:, column]
            column += 1
            if channel.endswith("position"):
                place[:, axis] = value
            else:
                R = R @ about(axis, np.deg2rad(value))
        above = np.tile(np.eye(3), (len(rows), 1, 1)) if parent < 0 else rotations[:, parent]
        rotations[:, j] = above @ R
        positions[:, j] = (0 if parent < 0 else positions[:, parent]) + np.einsum("fij,fj->fi", above, place)
    return names, positions, seconds


def landmarks(names, positions):
    """The joints that drive a body, {name: (F, 3)} with left_ and right_, axes turned Z-up (BVH is Y-up)."""
    plain = {re.sub(r"[^a-z0-9]", "", n.lower()): i for i, n in reversed(list(enumerate(names)))}
    up = np.stack([positions[..., 0], -positions[..., 2], positions[..., 1]], -1)
    out = {}
    for joint, words in _NAMES.items():
        for side in ("",) if joint in ("pelvis", "neck") else ("left", "right"):
            keys = [k for w in words for k in (side + w, w + side[:1])]
            found = next((plain[k] for k in keys if k in plain), None)
            if found is None:
                raise ValueError(f"no {side} {joint} among {', '.join(names)}")
            out[f"{side}_{joint}" if side else joint] = up[:, found]
    return out


def load(path: Path, times):
    """Landmarks of a file at `times` (F,) seconds after its start; the last pose is held where the file ends."""
    names, positions, seconds = read(path)
    where = np.minimum(times / seconds, len(positions) - 1)
    low = np.minimum(where.astype(int), max(len(positions) - 2, 0))
    part = (where - low)[:, None, None]
    high = np.minimum(low + 1, len(positions) - 1)
    return landmarks(names, positions[low] * (1 - part) + positions[high] * part)


def _axes(left, up):
    """Rotations (F, 3, 3) whose columns are left, back, up of a trunk; `up` counts, `left` is made to fit."""
    up = unit(up)
    back = unit(np.cross(up, left))
    return np.stack([np.cross(back, up), back, up], -1)


def perform(body: Character, marks, place, heading):
    """A body that follows landmarks: bone rotations (F, B, 3, 3) and positions (F, B, 3), as motions.solve.

    The action is scaled to the body's legs, its middle put at `place` (2,), its way (or its first facing, where it stays) turned to
    `heading`.
    """
    index, limbs, heads = {n: i for i, n in enumerate(body.names)}, _Limbs(body), body.heads
    ours = np.mean([leg[0] + leg[1] for leg in limbs.legs])
    theirs = np.mean([np.linalg.norm(marks[f"{s}_hip"] - marks[f"{s}_knee"], axis=1).mean() +
                      np.linalg.norm(marks[f"{s}_knee"] - marks[f"{s}_ankle"], axis=1).mean() for s in ("left", "right")])  # fmt: skip
    way = marks["pelvis"][-1] - marks["pelvis"][0]
    if np.linalg.norm(way[:2]) * ours / theirs < 0.5:
        way = -_axes(marks["left_hip"] - marks["right_hip"], marks["neck"] - marks["pelvis"])[0, :, 1]
    R0 = about(2, heading - np.arctan2(way[0], -way[1]))
    m = {k: (v * ours / theirs) @ R0.T for k, v in marks.items()}
    shift = np.append(np.asarray(place) - 0.5 * (m["pelvis"][0] + m["pelvis"][-1])[:2], 0)
    shift[2] = (
        -np.percentile(np.minimum(m["left_ankle"][:, 2], m["right_ankle"][:, 2]), 5) + heads[index["LeftFoot"]][2]
    )
    m = {k: v + shift for k, v in m.items()}

    F = len(m["pelvis"])
    R = np.tile(np.eye(3), (F, len(body.names), 1, 1))
    up = m["neck"] - 0.5 * (m["left_hip"] + m["right_hip"])
    pelvis, chest = _axes(m["left_hip"] - m["right_hip"], up), _axes(m["left_shoulder"] - m["right_shoulder"], up)
    for name in ("Hips", "LHipJoint", "RHipJoint"):
        R[:, index[name]] = pelvis
    for i, name in enumerate(_SPINE + _NECK):
        part = min((i + 1) / 3, 1.0)
        R[:, index[name]] = [
            Slerp([0, 1], Rotation.from_matrix([a, b]))(part).as_matrix() for a, b in zip(pelvis, chest)
        ]
    neutral = _frame(_DOWN, _FORWARD)
    hips = 0.5 * (heads[index["LeftUpLeg"]] + heads[index["RightUpLeg"]]) - heads[index["Hips"]]
    root = 0.5 * (m["left_hip"] + m["right_hip"]) - pelvis @ hips
    root[:, 2] -= _too_high(body, root, pelvis, m, limbs, index)
    positions = np.zeros((F, len(body.names), 3))
    for f in range(F):
        for j, (side, word) in enumerate(zip(SIDES, ("left", "right"))):
            upper, lower = (
                unit(m[f"{word}_elbow"][f] - m[f"{word}_shoulder"][f]),
                unit(m[f"{word}_wrist"][f] - m[f"{word}_elbow"][f]),
            )
            bend = (
                lower - (lower @ upper) * upper + 0.1 * (chest[f] @ _FORWARD)
            )  # a straight arm bends forward, if at all
            arm = _frame(upper, bend) @ neutral.T @ limbs.arms[j][0]
            turn = np.arccos(np.clip(upper @ lower, -1, 1)) - limbs.arms[j][2]
            forearm = Rotation.from_rotvec(_frame(upper, bend)[:, 2] * turn).as_matrix() @ arm
            R[f, index[side + "Shoulder"]], R[f, index[side + "Arm"]] = chest[f], arm
            for bone in (side + "ForeArm", side + "Hand", side + "FingerBase", side + "HandFinger1", side[0] + "Thumb"):
                R[f, index[bone]] = forearm
            hip = root[f] + pelvis[f] @ (heads[index[side + "UpLeg"]] - heads[index["Hips"]])
            ankle, knee = m[f"{word}_ankle"][f], m[f"{word}_knee"][f]
            pole = unit(unit(knee - 0.5 * (hip + ankle)) + 0.5 * (pelvis[f] @ _FORWARD))
            R[f, index[side + "UpLeg"]], R[f, index[side + "Leg"]] = _two_bones(ankle - hip, pole, limbs.legs[j])
            toe, rest = m[f"{word}_toe"][f] - ankle, heads[index[side + "ToeBase"]] - heads[index[side + "Foot"]]
            yaw = np.arctan2(toe[0], -toe[1]) - np.arctan2(rest[0], -rest[1])
            pitch = np.arctan2(-toe[2], np.hypot(*toe[:2])) - np.arctan2(-rest[2], np.hypot(*rest[:2]))
            foot = about(2, yaw) @ about(0, np.clip(pitch, -0.6, 1.2))
            R[f, index[side + "Foot"]] = R[f, index[side + "ToeBase"]] = foot
        positions[f] = body.positions(R[f], root[f])
    return R, positions


def _too_high(body, root, pelvis, m, limbs, index):
    """How far the pelvis must come down for the legs to reach the ankles, smooth over time: (F,)."""
    need = np.zeros(len(root))
    for j, (side, word) in enumerate(zip(SIDES, ("left", "right"))):
        length = 0.985 * (limbs.legs[j][0] + limbs.legs[j][1])
        gap = root + pelvis @ (body.heads[index[side + "UpLeg"]] - body.heads[index["Hips"]]) - m[f"{word}_ankle"]
        need = np.maximum(need, gap[:, 2] - np.sqrt(np.maximum(length**2 - (gap[:, :2] ** 2).sum(1), 0.01)))
    return gaussian_filter1d(need, 1.2, mode="nearest")
