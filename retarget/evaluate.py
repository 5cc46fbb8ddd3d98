"""How well a transfer went: limb directions against the person's, and what the feet do on the floor."""

from __future__ import annotations

import numpy as np

from . import feet
from .rig import Mapping, Rig
from .rotations import unit
from .source import Track
from .transfer import END, END_JOINT, JOINT, Motion


def direction_errors_deg(motion: Motion, track: Track, mapping: Mapping) -> dict[str, np.ndarray]:
    """Angle (F,) between each limb of the character and the person's, by part."""
    _, joints = track.forward()
    out = {}
    for base, end in END.items():
        for side in "LR":
            part, tip = f"{base}.{side}", mapping.bones.get(f"{end}.{side}")
            if tip is None:
                continue
            ours = unit(motion.heads_world[:, tip] - motion.heads_world[:, mapping.bones[part]])
            joint = JOINT[part]
            theirs = unit(joints[:, END_JOINT[joint]] - joints[:, joint])
            sine = np.linalg.norm(np.cross(ours, theirs), axis=-1)
            out[part] = np.degrees(np.arctan2(sine, (ours * theirs).sum(-1)))
    return out


def sole_points(motion: Motion, track: Track, rig: Rig, mapping: Mapping):
    """Left heel, left ball, right heel, right ball of the character (F, 4, 3), world. The ball is on the toes where there are any."""
    theirs = feet.person_soles(track)[0]
    share = np.linalg.norm((theirs.ball_joint - theirs.ankle)[[0, 2]]) / track.leg_m
    points = []
    for side, sole in zip("LR", feet.rig_soles(rig, mapping, share), strict=True):
        foot = mapping.bones[f"foot.{side}"]
        ankle, D = motion.heads_world[:, foot], motion.turns_world[:, foot]
        toes = mapping.bones.get(f"toes.{side}")
        ball = ankle + D @ (sole.ball - sole.ankle)
        if toes is not None:
            ball = motion.heads_world[:, toes] + motion.turns_world[:, toes] @ (sole.ball - sole.ball_joint)
        points += [ankle + D @ (sole.heel - sole.ankle), ball]
    return np.stack(points, 1)


def foot_report(motion: Motion, track: Track, rig: Rig, mapping: Mapping) -> dict[str, float]:
    """Slide of what the feet stand on, heel or ball (mm a frame, mean and worst), and depth of both below the floor (mm, worst)."""
    points = sole_points(motion, track, rig, mapping)
    steps = np.linalg.norm(np.diff(points[..., :2], axis=0), axis=-1) * 1000
    stands = np.concatenate([feet.standing(motion.contact[:, k : k + 2], points[:, k + 1] - points[:, k]) for k in (0, 2)], 1)
    both = stands[1:] & stands[:-1]
    slides = steps[both] if both.any() else np.zeros(1)
    sunk = max(0.0, -points[..., 2].min() * 1000)
    return {"slide_mm": float(slides.mean()), "worst_slide_mm": float(slides.max()), "sunk_mm": float(sunk)}
