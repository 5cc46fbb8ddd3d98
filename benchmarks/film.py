"""Cameras framed as cinema is: how much of a person the picture holds, from where, and how the camera goes.

A film move is described by the metres of a person that the picture's height holds (its extent), by lenses and by the place of the eye;
the distance follows. Poses are OpenCV, world Z-up, metres.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.ndimage import gaussian_filter1d

from solver.skeleton import SMPL_JOINTS

from .cameras import _SENSOR_HEIGHT_MM, _wobble, ease, look_at

_HEAD, _LEFT_HIP, _RIGHT_HIP = (SMPL_JOINTS.index(n) for n in ("head", "left_hip", "right_hip"))
_CROWN = 0.17  # m from the head's joint to the top of the hair


@dataclass
class Framing:
    """How a move looks at people. Angles are radians about the people, 0 in front of the first one."""

    lenses: tuple  # mm, one is drawn
    extent: tuple  # (least, most) m of the picture's height at the people in the first frame, drawn
    closer: float = 1.0  # the last frame's extent over the first one's
    angle: tuple = (-0.4, 0.4)  # where the middle of the way lies, drawn; either side
    sweep: tuple = (0.0, 0.0)  # how far it goes around, drawn; either direction
    eye: tuple = (-0.15, 0.0)  # m, the eye over the heads (or over the ground, if `ground`), drawn
    ground: bool = False
    rise: float = 0.0  # m, how much higher the eye is in the last frame
    slide: tuple = (0.0, 0.0)  # m to the side from the first frame to the last, drawn
    goes_along: float = 0.0  # 1: the camera keeps its distance to people who walk; 0: it stays where it is; between: it gives way
    hand: float = 0.0  # 1 for a camera on the shoulder, 0 for one on rails


FRAMINGS = {
    # waist up, by a camera on the shoulder
    "medium": Framing((35, 50), (1.0, 1.15), angle=(0.1, 0.5), slide=(0.25, 0.4), hand=1.0),
    # somebody comes towards a dolly that goes towards them: knees up to head and shoulders
    "push-walker": Framing((65, 75, 85), (0.72, 0.85), angle=(-0.12, 0.12), eye=(-0.12, 0.0)),
    # around one person, around a couple, far things behind them
    "arc-one": Framing((28, 35, 50), (1.2, 1.6), 0.9, (-0.3, 0.3), (1.1, 2.05), (-0.45, -0.1)),
    "arc-couple": Framing((28, 35, 50), (1.3, 1.5), 0.95, (1.4, 1.75), (1.65, 1.85), (-0.3, 0.0)),
    # through a passage, behind or before those who walk
    "walk-away": Framing((28, 35), (1.45, 1.7), 0.95, (np.pi - 0.08, np.pi + 0.08), eye=(-0.45, -0.2), goes_along=1.0, hand=0.35),
    "walk-towards": Framing((28, 35, 40), (1.15, 1.4), 0.9, (-0.1, 0.1), eye=(-0.35, -0.1), goes_along=0.93, hand=0.35),
    "shoulder": Framing((50, 65), (0.95, 1.05), eye=(-0.08, 0.06), slide=(0.3, 0.45), hand=0.15),
    "embrace": Framing((50, 85, 135), (0.95, 1.1), 0.8, (1.2, 1.6), (0.45, 0.7), (-0.15, 0.0)),
    "low": Framing((24, 28), (1.45, 1.7), 0.85, (0.1, 0.6), (0.3, 0.5), (0.3, 0.5), True, slide=(0.3, 0.5)),
    "high": Framing((35, 50), (1.9, 2.2), 0.9, (0.5, 1.1), (0.4, 0.6), (3.0, 3.5), True, rise=0.5, goes_along=0.5),
    # head to waist, by a camera on the shoulder: hands that talk
    "close": Framing((40, 50), (0.78, 0.9), angle=(0.0, 0.45), eye=(-0.25, -0.05), slide=(0.1, 0.2), hand=0.6),
    # head and shoulders
    "close-up": Framing((50, 65, 85), (0.5, 0.6), angle=(0.0, 0.6), eye=(-0.12, 0.02), slide=(0.1, 0.2), hand=0.5),
    # a head alone
    "choker": Framing((65, 85, 100), (0.3, 0.36), angle=(0.0, 0.6), eye=(-0.1, 0.0), slide=(0.05, 0.1), hand=0.3),
}  # fmt: skip
MOVES = tuple(FRAMINGS)


def _smooth(values, frames):
    """Values (F, 3) without the bobbing of steps; what goes on evenly is left as it is, up to both ends."""
    n = min(int(3 * frames), len(values) - 1)
    longer = np.pad(values, ((n, n), (0, 0)), mode="reflect", reflect_type="odd")
    return gaussian_filter1d(longer, frames, axis=0)[n:-n]


def facing(joints):
    """Angle about Z into which a person (F, 24, 3) looks on the whole."""
    left = (joints[:, _LEFT_HIP] - joints[:, _RIGHT_HIP]).mean(0)
    return np.arctan2(-left[0], left[1])


def make(move, rng, joints, fps):
    """A camera over time. joints: (P, F, 24, 3) m. Returns T_world_from_cam (F, 4, 4) and the focal length (F,) mm on a 36 mm sensor."""
    framing, F = FRAMINGS[move], joints.shape[1]
    u = ease(np.linspace(0, 1, F))[:, None]
    lens, extent = float(rng.choice(framing.lenses)), rng.uniform(*framing.extent)
    side = rng.choice([-1.0, 1.0])
    angle, sweep, slide = rng.uniform(*framing.angle), rng.uniform(*framing.sweep), rng.uniform(*framing.slide)
    over = rng.uniform(*framing.eye)
    heads = joints[:, :, _HEAD]
    track = _smooth(heads.mean(0), 0.5 * fps) * [1, 1, 0]
    crown = heads[..., 2].max(0).mean() + _CROWN
    still = track.mean(0)
    front = facing(joints[0])
    extent = extent * (1 + u * (framing.closer - 1))
    distance = extent * lens / _SENSOR_HEIGHT_MM
    height = (0 if framing.ground else crown - 0.1) + over + framing.rise * u
    # The crown stands a tenth of the picture below its upper edge.
    aim_z = crown + 0.1 * extent - 0.5 * extent
    if move == "shoulder":
        eye, aim = _shoulder(heads, front, lens, distance, side)
    else:
        around = front + side * (angle + sweep * (u - 0.5))
        level = np.sqrt(np.maximum(distance**2 - (height - aim_z) ** 2, (0.4 * distance) ** 2))
        out = np.concatenate([np.cos(around), np.sin(around), 0 * u], 1)
        if move == "push-walker":  # the distance of the last frame; before it both come from further away
            eye = track[-1] + level[-1] * out + rng.uniform(1.2, 1.6) * (1 - u) * out
            aim = track
        else:
            eye = still + framing.goes_along * (track - still) + level * out
            aim = still + max(framing.goes_along, 0.7) * (track - still)
    across = np.array([-np.sin(front + side * angle), np.cos(front + side * angle), 0])
    eye = eye * [1, 1, 0] + [0, 0, 1] * height + side * slide * (u - 0.5) * across
    aim = aim * [1, 1, 0] + [0, 0, 1] * aim_z
    # Rails and arms of dollies give a little; an operator's shoulder gives more, and turns.
    far = distance.mean() / 3
    eye = eye + _wobble(rng, F, fps, 0.003, 0.8) + framing.hand * _wobble(rng, F, fps, 0.035, 1.5)
    aim = aim + far * (_wobble(rng, F, fps, 0.005, 0.8) + framing.hand * _wobble(rng, F, fps, 0.03, 1.0))
    roll = framing.hand * _wobble(rng, F, fps, 0.009, 1.2)[:, 0]
    return look_at(eye, aim, roll), np.full(F, lens)


def _shoulder(heads, front, lens, distance, side):
    """Eye and aim (F, 3) past the first person, who is seen from behind at one side of the picture, at the second, who faces us."""
    near, far = heads.mean(1)
    apart = np.linalg.norm((far - near)[:2])
    ahead, left = np.array([np.cos(front), np.sin(front), 0]), np.array([-np.sin(front), np.cos(front), 0])
    # In the picture the two heads are 0.46 of its width apart.
    aside = 0.46 * 36 / lens / (1 / (distance - apart) - 1 / distance)
    eye = far - distance * ahead + side * aside * left
    gaze = np.arctan2(aside, distance) + 0.1 * 36 / lens  # the second person stands a tenth off the middle
    return eye, eye + distance * (np.cos(gaze) * ahead - side * np.sin(gaze) * left)
