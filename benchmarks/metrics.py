"""What is measured against exact truth, and how each figure is defined. numpy and scipy only.

Cameras are OpenCV poses T_world_from_cam (T, 4, 4); joints are SMPL's 24 in metres, (F, 24, 3), row i of estimate and truth being
the same moment. The estimate's world may differ from the true world by a rigid motion (no world is given in a film).
"""

from __future__ import annotations

import numpy as np
from scipy.optimize import linear_sum_assignment

from solver.frames import fit_similarity
from solver.skeleton import SMPL_JOINTS

FEET = tuple(SMPL_JOINTS.index(n) for n in ("left_ankle", "right_ankle", "left_foot", "right_foot"))
TOES = FEET[2:]
HEAD = SMPL_JOINTS.index("head")
# Hip, knee and ankle of either leg.
LEGS = tuple(tuple(SMPL_JOINTS.index(f"{side}_{n}") for n in ("hip", "knee", "ankle")) for side in ("left", "right"))


# ---- camera


def align_cameras(estimate, truth, with_scale=False):
    """The similarity or rigid motion (s, R, t) that brings estimated cameras onto the true ones.

    Least squares over camera centres and, with a tenth of the path's extent as lever, over the cameras' axes: the axes decide what
    the centres leave open (a straight path may turn about itself, a still camera in every way) and weigh next to nothing elsewhere.
    estimate, truth: (T, 4, 4). The scale comes from the centres alone; it is 1 where they do not move.
    """
    c, g = estimate[:, :3, 3], truth[:, :3, 3]
    c0, g0 = c.mean(0), g.mean(0)
    lever = max(0.1 * np.sqrt(((g - g0) ** 2).sum(1).mean()), 1e-3)
    own = np.sqrt(((c - c0) ** 2).sum(1).mean())
    unit = np.sqrt(((g - g0) ** 2).sum(1).mean()) / own if with_scale and own > 1e-9 else 1.0
    M = unit * (g - g0).T @ (c - c0) + lever**2 * np.einsum("tij,tkj->ik", truth[:, :3, :3], estimate[:, :3, :3])
    U, _, Vt = np.linalg.svd(M)
    R = U @ np.diag([1, 1, np.linalg.det(U @ Vt)]) @ Vt
    scale = 1.0
    if with_scale and own > 1e-9:
        scale = max(float(((g - g0) * ((c - c0) @ R.T)).sum() / ((c - c0) ** 2).sum()), 1e-9)
    return scale, R, g0 - scale * R @ c0


def path_length(T_world_from_cam):
    """Metres along the camera's way."""
    return float(np.linalg.norm(np.diff(T_world_from_cam[:, :3, 3], axis=0), axis=1).sum())


def rotation_angle_deg(A, B):
    """Angles between rotations (..., 3, 3), degrees."""
    trace = np.einsum("...ij,...ij->...", A, B)
    chord = np.linalg.norm(A - B, axis=(-2, -1)) / np.sqrt(8)  # sin(angle / 2): exact near zero, where arccos is not
    return np.rad2deg(
        np.where(trace > -0.9, 2 * np.arcsin(np.clip(chord, 0, 1)), np.arccos(np.clip((trace - 1) / 2, -1, 1)))
    )


def level_deg(T_world_from_cam):
    """Pitch (T,), up > 0, and roll (T,) of cameras against their own world's vertical, degrees."""
    up = T_world_from_cam[:, 2, :3]  # the world's up in the camera's axes
    return np.rad2deg(np.arcsin(np.clip(up[:, 2], -1, 1))), np.rad2deg(np.arctan2(up[:, 0], -up[:, 1]))


def camera_metrics(estimate, truth, K=None, K_true=None, placed=None):
    """Errors of a camera path.

    ate_m, ate_percent: RMS distance of camera centres after rigid alignment, in metres and per cent of the true path's length.
    ate_similarity_m, ate_similarity_percent: the same after alignment with a scale. scale: that scale (true over estimated size).
    size_percent: how much longer or shorter than the true one the path is, |1 / scale - 1|.
    up_deg: angle between the two worlds' verticals after the rigid alignment. pitch_deg, roll_deg: mean error of the cameras' pitch and
    roll, each against its own world's vertical, whatever the alignment.
    rotation_deg: mean angle between camera orientations after the rigid alignment.
    step_mm, step_deg: mean error of the motion from each frame to the next after the rigid alignment (jitter, and nothing else
    of the slow drift). drift_m: largest distance of two estimated centres, what a tripod shows.
    focal_percent: mean of |f / f_true - 1|. Percentages of a path shorter than 0.1 m are None.
    placed: (T,) bool, frames that a method gave a pose at all; the others take no part in the alignment and count as its worst frame.
    """
    estimate, truth = np.asarray(estimate, float), np.asarray(truth, float)
    length = path_length(truth)
    placed = np.ones(len(truth), bool) if placed is None else np.asarray(placed)

    def worst(errors):
        return np.where(placed, errors, errors[placed].max())

    out = {"path_m": length}
    for name, with_scale in (("ate", False), ("ate_similarity", True)):
        s, R, t = align_cameras(estimate[placed], truth[placed], with_scale)
        centres = s * estimate[:, :3, 3] @ R.T + t
        ate = float(np.sqrt((worst(np.linalg.norm(centres - truth[:, :3, 3], axis=1)) ** 2).mean()))
        out[f"{name}_m"] = ate
        out[f"{name}_percent"] = 100 * ate / length if length > 0.1 else None
        if with_scale:
            out["scale"] = s
            out["size_percent"] = 100 * abs(1 / s - 1) if length > 0.1 else None
            continue
        out["up_deg"] = float(np.rad2deg(np.arctan2(np.hypot(*R[:2, 2]), R[2, 2])))
        turned = R @ estimate[:, :3, :3]
        out["rotation_deg"] = float(worst(rotation_angle_deg(turned, truth[:, :3, :3])).mean())
        steps = np.diff(centres, axis=0) - np.diff(truth[:, :3, 3], axis=0)
        out["step_mm"] = float(1e3 * np.linalg.norm(steps, axis=1).mean())
        step_est = np.swapaxes(estimate[:-1, :3, :3], 1, 2) @ estimate[1:, :3, :3]
        step_true = np.swapaxes(truth[:-1, :3, :3], 1, 2) @ truth[1:, :3, :3]
        out["step_deg"] = float(rotation_angle_deg(step_est, step_true).mean())
    for name, own, true in zip(("pitch_deg", "roll_deg"), level_deg(estimate), level_deg(truth)):
        out[name] = float(worst(np.abs((own - true + 180) % 360 - 180)).mean())
    centres = estimate[:, :3, 3]
    out["drift_m"] = float(np.linalg.norm(centres[:, None] - centres[None], axis=-1).max())
    if K is not None:
        out["focal_percent"] = float(100 * np.abs(np.asarray(K)[:, 0, 0] / np.asarray(K_true)[:, 0, 0] - 1).mean())
    return out


# ---- people


def _aligned_error(estimate, truth, fit_frames, with_scale):
    s, R, t = fit_similarity(estimate[fit_frames].reshape(-1, 3), truth[fit_frames].reshape(-1, 3), with_scale)
    return np.linalg.norm(s * estimate @ R.T + t - truth, axis=-1)


def w_mpjpe(estimate, truth, segment=100, with_scale=True):
    """W-MPJPE, mm: world joint error, each segment of 100 frames aligned by a similarity on its first two frames (SLAHMR, WHAM).

    with_scale=False aligns rigidly: the metric variant.
    """
    parts = [slice(a, a + segment) for a in range(0, len(truth), segment)]
    return 1e3 * float(
        np.concatenate([_aligned_error(estimate[p], truth[p], slice(0, 2), with_scale) for p in parts]).mean()
    )


def wa_mpjpe(estimate, truth, segment=100, with_scale=True):
    """WA-MPJPE, mm: the same, each segment aligned on all its frames."""
    parts = [slice(a, a + segment) for a in range(0, len(truth), segment)]
    return 1e3 * float(
        np.concatenate([_aligned_error(estimate[p], truth[p], slice(None), with_scale) for p in parts]).mean()
    )


def pa_mpjpe(estimate, truth):
    """PA-MPJPE, mm: every frame aligned by a similarity of its own; the pose alone."""
    return 1e3 * float(
        np.mean([_aligned_error(e[None], t[None], slice(None), True).mean() for e, t in zip(estimate, truth)])
    )


def rte_percent(estimate, truth):
    """Root trajectory error: mean distance of pelvises after rigid alignment of the whole track, in per cent of the true way.

    None where the person walks less than 0.5 m.
    """
    way = np.linalg.norm(np.diff(truth[:, 0], axis=0), axis=1).sum()
    if way < 0.5:
        return None
    return 100 * float(_aligned_error(estimate[:, 0], truth[:, 0], slice(None), False).mean() / way)


def foot_slide_mm(estimate, truth, still_mm=3.0, frame=None):
    """Mean way of ankles and feet from frame to frame, mm, wherever the true joint moves less than `still_mm`; None without contact.

    frame: (F,) which frames these are, where some are missing.
    """
    moved = np.linalg.norm(np.diff(truth[:, FEET], axis=0), axis=-1) * 1e3
    slid = np.linalg.norm(np.diff(estimate[:, FEET], axis=0), axis=-1) * 1e3
    still = (moved < still_mm) & (np.ones(len(moved), bool) if frame is None else np.diff(frame) == 1)[:, None]
    return float(slid[still].mean()) if still.any() else None


def jitter(joints, fps, frame=None):
    """Mean length of the joints' third derivative, in 10 m/s^3 (WHAM). frame: (F,) which frames these are, where some are missing."""
    frame = np.arange(len(joints)) if frame is None else np.asarray(frame)
    together = frame[3:] - frame[:-3] == 3
    if not together.any():
        return None
    return float(np.linalg.norm(np.diff(joints, 3, axis=0)[together], axis=-1).mean() * fps**3 / 10)


def floor_penetration_mm(estimate, truth):
    """How far the estimated foot joints sink, mm, at most: below the height at which the true ones stand (both above z = 0)."""
    standing = truth[:, TOES, 2].min()
    return 1e3 * float(max(0.0, standing - estimate[:, TOES, 2].min()))


def head_cm(estimate, truth):
    """Mean error of the head's height over the ground, cm, each in its own world with the ground at z = 0."""
    return 1e2 * float(np.abs(estimate[:, HEAD, 2] - truth[:, HEAD, 2]).mean())


def knee_bend_deg(joints):
    """Angles (F, 2) between thigh and shin, 0 for a straight leg."""
    out = []
    for hip, knee, ankle in LEGS:
        thigh, shin = joints[:, knee] - joints[:, hip], joints[:, ankle] - joints[:, knee]
        across = np.linalg.norm(np.cross(thigh, shin), axis=-1)
        out.append(np.rad2deg(np.arctan2(across, (thigh * shin).sum(-1))))
    return np.stack(out, 1)


def unseen_knee_deg(estimate, truth, inside):
    """Mean error of the knees' bend, degrees, wherever the true knee or ankle is out of the frame; None where all are inside.

    inside: (F, 24) bool, true joints within the frame.
    """
    unseen = np.stack([~(inside[:, knee] & inside[:, ankle]) for _, knee, ankle in LEGS], 1)
    error = np.abs(knee_bend_deg(estimate) - knee_bend_deg(truth))
    return float(error[unseen].mean()) if unseen.any() else None


def float_and_sink_cm(estimate, truth, still_mm=3.0, frame=None):
    """How far the lowest foot is above and below the height of the true lowest foot, cm, each a mean over the frames that stand.

    A frame stands if a true foot joint moves less than `still_mm` to the next one. Each in its own world with the ground at z = 0, so a
    foot joint's own height over the sole does not count. (None, None) where nobody stands. frame: (F,) which frames these are.
    """
    moved = np.linalg.norm(np.diff(truth[:, TOES], axis=0), axis=-1) * 1e3
    stands = (moved < still_mm).any(1) & (np.ones(len(moved), bool) if frame is None else np.diff(frame) == 1)
    if not stands.any():
        return None, None
    gap = 1e2 * (estimate[:-1, TOES, 2].min(1) - truth[:-1, TOES, 2].min(1))[stands]
    return float(np.maximum(gap, 0).mean()), float(np.maximum(-gap, 0).mean())


def person_metrics(estimate, truth, fps, frame=None, inside=None):
    """All of the above for one person, over the frames (F,) that both have. inside: (F, 24) bool, true joints within the frame."""
    above, below = float_and_sink_cm(estimate, truth, frame=frame)
    return {
        "frames": len(truth),
        "w_mpjpe_mm": w_mpjpe(estimate, truth),
        "w_mpjpe_metric_mm": w_mpjpe(estimate, truth, with_scale=False),
        "wa_mpjpe_mm": wa_mpjpe(estimate, truth),
        "pa_mpjpe_mm": pa_mpjpe(estimate, truth),
        "rte_percent": rte_percent(estimate, truth),
        "foot_slide_mm": foot_slide_mm(estimate, truth, frame=frame),
        "foot_slide_truth_mm": foot_slide_mm(truth, truth, frame=frame),
        "jitter": jitter(estimate, fps, frame),
        "jitter_truth": jitter(truth, fps, frame),
        "floor_penetration_mm": floor_penetration_mm(estimate, truth),
        "head_cm": head_cm(estimate, truth),
        "unseen_knee_deg": None if inside is None else unseen_knee_deg(estimate, truth, inside),
        "float_cm": above,
        "sink_cm": below,
    }


def root_distance_m(estimate_a, estimate_b, truth_a, truth_b):
    """Mean error of the distance between two people's pelvises, metres."""
    est = np.linalg.norm(estimate_a[:, 0] - estimate_b[:, 0], axis=-1)
    return float(np.abs(est - np.linalg.norm(truth_a[:, 0] - truth_b[:, 0], axis=-1)).mean())


def match_people(estimates, truths, gate, size):
    """Assign estimated people to true ones in the picture of `size` (2,) px.

    estimates, truths: {id: (T, 24, 2) px, NaN where absent}. True joints outside of the picture count in frames that show none: legs under a close-up say nothing of who is who. The cost of a pair is the mean joint distance over the frames they share,
    raised where they share few; pairs further apart than `gate` px stay unmatched. Returns {true id: estimated id}.
    """
    rows, columns = list(truths), list(estimates)
    cost = np.full((len(rows), len(columns)), 1e6)
    for i, a in enumerate(rows):
        inside = ((truths[a] >= 0) & (truths[a] < size)).all(-1)
        counted = inside | ~inside.any(1, keepdims=True)
        for j, b in enumerate(columns):
            distance = np.where(counted, np.linalg.norm(truths[a] - estimates[b], axis=-1), np.nan)
            seen = np.isfinite(distance).any(1)
            if seen.any():
                wanted = np.isfinite(truths[a]).all(-1).any(1).sum()
                cost[i, j] = np.nanmean(np.minimum(distance[seen], 3 * gate)) + gate * (1 - seen.sum() / max(wanted, 1))
    return {rows[i]: columns[j] for i, j in zip(*linear_sum_assignment(cost)) if cost[i, j] < gate}


def identity_switches(estimates, truths, gate, size):
    """How often a true person changes the estimated identity: frame by frame assignment in the picture, changes counted."""
    last, switches = {}, 0
    for f in range(len(next(iter(truths.values()), []))):
        now = match_people(
            {i: e[f : f + 1] for i, e in estimates.items()}, {i: t[f : f + 1] for i, t in truths.items()}, gate, size
        )
        switches += sum(1 for person, identity in now.items() if last.get(person, identity) != identity)
        last.update(now)
    return switches


# ---- pictures


def mask_metrics(estimates, truths, matched):
    """Pixel accuracy and IoU of instance masks, as the paper's Table 1.

    estimates, truths: iterables of (H, W) uint8 person indices; matched: {true id: estimated id}. A pixel is right if its class is:
    background, or the same person. pa: share of right pixels. iou: mean over frames of the mean over the classes that either picture
    shows, background among them. iou_people: the same over people only. Estimated people without a match are wrong everywhere.
    """
    pa, iou, people = [], [], []
    for estimate, truth in zip(estimates, truths):
        renamed = np.where(estimate > 0, 255, 0).astype(np.uint8)
        for person, identity in matched.items():
            renamed[estimate == identity] = person
        pa.append((renamed == truth).mean())
        classes = np.union1d(np.unique(renamed), np.unique(truth))
        each = {c: ((renamed == c) & (truth == c)).sum() / ((renamed == c) | (truth == c)).sum() for c in classes}
        iou.append(np.mean(list(each.values())))
        if any(c > 0 for c in each):
            people.append(np.mean([v for c, v in each.items() if c > 0]))
    if not pa:
        return {"pa": None, "iou": None, "iou_people": None}
    return {
        "pa": float(np.mean(pa)),
        "iou": float(np.mean(iou)),
        "iou_people": float(np.mean(people)) if people else None,
    }


def joint_error_px(estimate_xy, truth_xy, inside, width):
    """Mean distance in the picture of joints (F, 24, 2), px of a picture 1920 wide, over true joints inside the frame."""
    distance = np.linalg.norm(estimate_xy - truth_xy, axis=-1)
    use = inside & np.isfinite(distance)
    return float(distance[use].mean() * 1920 / width) if use.any() else None
