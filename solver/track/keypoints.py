"""One person's joints over time: swapped sides and wild jumps repaired, then both networks joined to the 25 keypoints."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from ..skeleton import BLAZEPOSE_OF_KEYPOINT, KEYPOINT_MIRROR
from .backend import HIPS, SHOULDERS, SURE, Pose

ARMS = ((5, 6), (7, 8), (9, 10))
LEGS = ((11, 12), (13, 14), (15, 16))
# The COCO joint that must be seen for a foot or hand keypoint (17..24) to be believed.
_CARRIER = (15, 16, 15, 16, 9, 10, 9, 10)
KNEES, ANKLES = slice(13, 15), slice(15, 17)
RIM = 0.04  # of a person's size, two cells of the first network: what is nearer to the picture's edge may as well lie beyond it
LONE = 0.5
BORDER = 0.15  # of a person's size: knees so near to the picture's edge that are less sure than IMAGINED lie beyond it (37 of 40 on rendered shots); elsewhere those below SURE (14 of 18), if no ankle is seen
EDGE, IMAGINED = 0.03, 0.3  # of the picture's height: a box that comes so near to its lower edge is cut off; joints of a bust below this are guesses
_BLAZE = np.array(BLAZEPOSE_OF_KEYPOINT)
# Landmarks of BlazePose, left and right, that go with each group.
_BLAZE_ARMS = ((11, 12), (13, 14), (15, 16), (17, 18), (19, 20), (21, 22))
_BLAZE_LEGS = ((23, 24), (25, 26), (27, 28), (29, 30), (31, 32))


def swap(values, pairs):
    """A copy of (..., J, C) with the joints of each pair exchanged."""
    out = values.copy()
    for a, b in pairs:
        out[..., a, :], out[..., b, :] = values[..., b, :], values[..., a, :]
    return out


def repair_sides(joints, landmarks, size, steps) -> np.ndarray:
    """Find where left and right are exchanged, for arms and legs apart, by the smoothest path through time.

    joints: (T, 17, 3), NaN where absent; landmarks: (T, 33, 3) of the second network; size: (T,) px of the person;
    steps: (T, 2, 3) camera motion. Returns joints with sides exchanged where that is likelier.
    """
    joints = joints.copy()
    for group in (ARMS, LEGS):
        frames = np.flatnonzero(np.isfinite(joints[:, 0, 0]))
        if len(frames) < 3:
            continue
        flat = [k for pair in group for k in pair]
        options = np.stack([joints[frames], swap(joints[frames], group)])  # (2, F, 17, 3)
        # An exchange must be worth something, and the second network has a vote.
        unary = np.zeros((len(frames), 2))
        unary[:, 1] = 0.25
        for n, f in enumerate(frames):
            other = landmarks[f][_BLAZE[flat]]
            for state in (0, 1):
                unary[n, state] += 0.5 * _distance(options[state, n][flat], other, size[f])
        path = np.zeros((len(frames), 2), int)
        best = unary[0].copy()
        for n in range(1, len(frames)):
            gap = frames[n] - frames[n - 1]
            here, before = options[:, n][:, flat], options[:, n - 1][:, flat].copy()
            for f in range(frames[n - 1] + 1, frames[n] + 1):
                before[..., :2] = before[..., :2] @ steps[f][:, :2].T + steps[f][:, 2]
            weight = 3.0 if gap == 1 else 1.0 if gap < 6 else 0.0
            cost = np.array(
                [[best[p] + weight * _distance(before[p], here[s], size[frames[n]]) for p in (0, 1)] for s in (0, 1)]
            )
            path[n] = cost.argmin(1)
            best = cost.min(1) + unary[n]
        state = int(best.argmin())
        for n in range(len(frames) - 1, -1, -1):
            if state:
                joints[frames[n]] = options[1, n]
            state = path[n, state]
    return joints


def _distance(a, b, size) -> float:
    """Mean distance of joints (J, 3) in body sizes, weighted by confidence; bounded, so that one stray joint cannot decide."""
    w = a[:, 2] * b[:, 2]
    d = np.minimum(np.linalg.norm(a[:, :2] - b[:, :2], axis=1) / size, 0.2)
    return float((w * d).sum() / max(w.sum(), 0.3) / 0.2)


def reject_jumps(joints, size, steps) -> np.ndarray:
    """Take away the confidence of joints that leave and come back within one or two frames.

    joints: (T, J, 3); size: (T,); steps: (T, 2, 3). A joint is compared with the line between its neighbours.
    """
    out = joints.copy()
    seen = np.isfinite(joints[:, 0, 0])
    for length in (1, 2):
        for a in range(len(joints) - length - 1):
            b = a + length + 1
            if not seen[a : b + 1].all():
                continue
            known = (out[a, :, 2] > SURE) & (out[b, :, 2] > SURE)
            start, wild = [out[a, :, :2]], []
            for t in range(a + 1, b + 1):
                start.append(start[-1] @ steps[t][:, :2].T + steps[t][:, 2])
            drift = out[b, :, :2] - start[-1]  # what the joint itself moved, beside the camera
            for n in range(1, length + 1):
                off = np.linalg.norm(joints[a + n, :, :2] - start[n] - drift * n / (length + 1), axis=1)
                wild.append(known & (off > 0.12 * size[a + n] + np.linalg.norm(drift, axis=1)))
            for n, stray in enumerate(wild, 1):
                out[a + n, stray, 2] = 0
    return out


def disown(joints, size) -> np.ndarray:
    """Take away joints that one person borrowed from another who stands in front.

    joints: (P, T, 17, 3), NaN where absent; size: (P, T). Where the same joint of two people (or its mirror) falls together,
    the person who is seen better over all keeps it.
    """
    out = joints.copy()
    total = np.nan_to_num(joints[..., 2]).mean(-1)  # (P, T)
    mirror = list(KEYPOINT_MIRROR[:17])
    for p in range(len(joints)):
        for q in range(len(joints)):
            weaker = total[p] < total[q] if p != q else np.zeros(len(total[p]), bool)
            for t in np.flatnonzero(weaker & (total[p] > 0)):
                near = np.zeros(17, bool)
                for other in (joints[q, t], joints[q, t][mirror]):
                    apart = np.linalg.norm(joints[p, t, :, :2] - other[:, :2], axis=1)
                    near |= (apart < 0.03 * size[q, t]) & (other[:, 2] > joints[p, t, :, 2])
                out[p, t, near, 2] = 0
    return out


def join(joints, landmarks, world, presence, size, width, height):
    """The 25 keypoints of one person.

    joints: (T, 17, 3) first network; landmarks (T, 33, 3) px, px, visibility; world (T, 33, 3) m; presence (T,); size (T,).
    NaN where absent. Returns keypoints_2d (T, 25, 3) and keypoints_3d (T, 25, 4); what is unseen has confidence 0.
    """
    landmarks, world = _agree_on_sides(joints, landmarks, world)
    T = len(joints)
    two, three = np.zeros((T, 25, 3)), np.zeros((T, 25, 4))
    seen = np.isfinite(joints[:, 0, 0])
    mapped = np.nan_to_num(landmarks[:, _BLAZE])
    body = mapped[..., 2] * np.nan_to_num(presence)[:, None]
    scale = np.where(np.isfinite(size), size, 1)[:, None]
    first = np.nan_to_num(joints)
    apart = np.linalg.norm(first[..., :2] - mapped[:, :17, :2], axis=-1) / scale
    agree = np.exp(-((apart / 0.1) ** 2))
    two[:, :17] = first
    # Where the second network is sure of another place, the first is believed less; it never adds belief.
    two[:, :17, 2] *= 1 - 0.5 * body[:, :17] * (1 - agree)
    two[:, 17:, :2] = mapped[:, 17:, :2]
    carrier = list(_CARRIER)
    trust = np.clip((first[:, carrier, 2] - SURE) / 0.3, 0, 1) * np.exp(-((apart[:, carrier] / 0.06) ** 2))
    two[:, 17:, 2] = 0.5 * body[:, 17:] * trust
    # What lies outside the picture is pinned to its edge, and an ankle below such a knee somewhere near it.
    margin = np.minimum(two[..., :2], [width, height] - two[..., :2]).min(-1)
    inside = margin > RIM * scale
    inside[:, ANKLES] &= inside[:, KNEES]
    inside[:, 17:] &= inside[:, carrier]
    # Arms that leave the picture come back: the depth of their joints is worth something even where their place is not.
    near = two[:, :17, 2] * inside[:, :17]
    near[:, 5:11] = two[:, 5:11, 2] * (margin[:, 5:11] >= 0)
    two[..., 2] *= inside & seen[:, None]
    two[..., 2][two[..., 2] < 0.1] = 0
    legs = two[:, 11:17, 2]
    ends = legs[:, 4:].max(1, keepdims=True) < IMAGINED
    legs[:, 2:4] *= legs[:, 2:4] >= np.where(margin[:, KNEES] < BORDER * scale, IMAGINED, SURE * ends)
    legs[lone(legs)] = 0
    three[..., :3] = np.nan_to_num(world[:, _BLAZE])
    three[:, :17, 3] = body[:, :17] * np.clip(near / 0.3, 0, 1) * (near >= 0.1) * seen[:, None]
    three[:, 17:, 3] = body[:, 17:] * (two[:, 17:, 2] > 0)
    three[:, 11:17, 3] *= legs > 0
    # A bust is folded up by the second network until its hips come into the picture; between shoulders and hands it stays sound.
    bust = (two[:, HIPS, 2] == 0).all(1)
    three[bust, :5, 3] = 0
    return two, three


def with_bust(pose: Pose, box, height) -> Pose:
    """A doubtful pose in a box that the picture's lower edge cuts off, with shoulders that are no guess; else the pose as it is.

    Who is seen from behind, head and shoulders, shows too few joints to be plainly a person, and the net imagines the others.
    """
    if box[3] < (1 - EDGE) * height or pose.joints[SHOULDERS, 2].min() < IMAGINED:
        return pose
    joints = pose.joints.copy()
    joints[:, 2] *= joints[:, 2] >= IMAGINED
    return replace(pose, joints=joints, bust=float(joints[SHOULDERS, 2].mean()))


def lone(legs):
    """Which joints of legs (T, 6), confidences of hips, knees and ankles, are imagined: less sure than LONE, and nothing beside them in the leg is seen.

    In a close-up the net finds a knee at a shoulder and an ankle at an eye.
    """
    out = np.zeros(legs.shape, bool)
    for hip, knee, ankle in ((0, 2, 4), (1, 3, 5)):
        seen, doubtful = legs > 0, legs < LONE
        out[:, knee] = doubtful[:, knee] & ~seen[:, hip] & ~seen[:, ankle]
        out[:, ankle] = doubtful[:, ankle] & (~seen[:, knee] | out[:, knee])
        out[:, hip] = (legs[:, hip] < 0.5 * LONE) & ~seen[:, knee] & ~seen[:, 1 - hip]  # two hips at the picture's edge are a waist
    return out & (legs > 0)


def _agree_on_sides(joints, landmarks, world):
    """Exchange the second network's sides where that brings it clearly nearer to the first's."""
    landmarks, world = landmarks.copy(), world.copy()
    for group, pairs in ((ARMS, _BLAZE_ARMS), (LEGS, _BLAZE_LEGS)):
        flat = [k for pair in group for k in pair]
        for t in np.flatnonzero(np.isfinite(joints[:, 0, 0]) & np.isfinite(landmarks[:, 0, 0])):
            mine, theirs = joints[t, flat], landmarks[t]
            weight = mine[:, 2] * theirs[_BLAZE[flat], 2]
            exchanged = swap(theirs, pairs)
            as_is, other = [
                (weight * np.linalg.norm(mine[:, :2] - x[_BLAZE[flat], :2], axis=1)).sum() for x in (theirs, exchanged)
            ]
            if other < 0.6 * as_is:
                landmarks[t], world[t] = exchanged, swap(world[t], pairs)
    return landmarks, world
