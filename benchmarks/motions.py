"""Procedural motion for the characters of people.py: gaits, stands, crouches, dances; feet planted by inverse kinematics.

A motion is a set of curves over frames (`Motion`), made for one character and turned into bone rotations by `solve`.
Angles are radians in the body's own axes: the body faces -Y at heading 0, +X is its left, heading turns about +Z.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.interpolate import PchipInterpolator
from scipy.ndimage import gaussian_filter1d, minimum_filter1d
from scipy.optimize import least_squares
from scipy.spatial.transform import Rotation

from solver import fingers

from .people import Character, unit

SIDES = ("Left", "Right")
DUTY = 0.62  # of a walk's cycle: a foot stands
_SPINE, _NECK = ("LowerBack", "Spine", "Spine1"), ("Neck", "Neck1", "Head")
_DOWN, _FORWARD = np.array([0.0, 0, -1]), np.array([0.0, -1, 0])


_LEVEL = lambda xy: 0.0


@dataclass
class Feet:
    """Both feet over F frames, in the world."""

    ankle: np.ndarray  # (F, 2, 3) m
    yaw: np.ndarray  # (F, 2)
    pitch: np.ndarray  # (F, 2), > 0 lifts the heel
    planted: np.ndarray  # (F, 2) bool


@dataclass
class Motion:
    """Curves of one person over F frames. Euler triples are (forward pitch, roll to the left, yaw to the left)."""

    place: np.ndarray  # (F, 2) m, where the body is on the ground
    heading: np.ndarray  # (F,)
    lift: np.ndarray  # (F,) m, pelvis above or below the standing height
    pelvis: np.ndarray  # (F, 3)
    spine: np.ndarray  # (F, 3)
    head: np.ndarray  # (F, 3)
    arms: np.ndarray  # (F, 2, 4) forward pitch, abduction, inward twist, elbow flexion
    feet: Feet


class Path:
    """A walk's line on the ground by arc length: start (2,), heading, and curvature (1/m) as a function of arc length."""

    def __init__(self, start, heading, curvature=lambda s: 0 * s, length=40.0):
        self.s = np.arange(-4.0, length, 0.02)
        kappa = curvature(self.s)
        turn = np.cumsum(kappa) * 0.02
        self.heading = heading + turn - np.interp(0, self.s, turn)
        steps = np.stack([np.sin(self.heading), -np.cos(self.heading)], 1) * 0.02
        xy = np.cumsum(steps, 0)
        self.xy = xy + np.asarray(start) - [np.interp(0, self.s, xy[:, 0]), np.interp(0, self.s, xy[:, 1])]

    def at(self, s):
        """Places (..., 2) and headings (...,) at arc lengths s."""
        xy = np.stack([np.interp(s, self.s, self.xy[:, i]) for i in (0, 1)], -1)
        return xy, np.interp(s, self.s, self.heading)


@dataclass
class Steps:
    """Treads across a straight walk: edges (n,) by arc length, and heights (n + 1,) m before, between and behind them. stride: m, two of them are a tread."""

    edges: np.ndarray
    heights: np.ndarray
    stride: float

    def at(self, s):
        """Heights (...,) at arc lengths s."""
        return self.heights[np.searchsorted(self.edges, s)]


def about(axis, angle):
    """Rotation matrices (..., 3, 3) by angles (...,) about axis 0, 1 or 2."""
    angle = np.asarray(angle, float)
    return Rotation.from_rotvec(angle.reshape(-1, 1) * np.eye(3)[axis]).as_matrix().reshape(angle.shape + (3, 3))


def body_rotation(euler):
    """Rotation matrices (..., 3, 3) of (forward pitch, roll to the left, yaw to the left)."""
    e = np.asarray(euler, float)
    shape = e.shape[:-1]
    R = Rotation.from_euler("ZXY", np.stack([e[..., 2], e[..., 0], e[..., 1]], -1).reshape(-1, 3)).as_matrix()
    return R.reshape(shape + (3, 3))


def smooth_noise(rng, frames, fps, sigma, period_s=1.5, channels=1):
    """Band-limited noise (frames, channels) with standard deviation sigma: the small movements of a living body."""
    width = period_s * fps / 4
    raw = rng.normal(size=(frames + int(8 * width) + 1, channels))
    out = gaussian_filter1d(raw, width, axis=0, mode="wrap")[:frames]
    return sigma * out * np.sqrt(2 * np.sqrt(np.pi) * width)


def keyed(times, keys):
    """Curves (F, C) through keys [(time, values)], held at both ends, without overshoot."""
    t, v = np.array([k[0] for k in keys], float), np.array([k[1] for k in keys], float)
    return PchipInterpolator(t, v, axis=0)(np.clip(times, t[0], t[-1]))


def step_feet(body: Character, phase, plant, duty, heel_off, toe_up, clearance, floor=_LEVEL):
    """Feet of a gait.

    phase: (F, 2) cycles of each foot; foot j stands from every whole number for `duty` of a cycle, then swings.
    plant(foot, k): ((2,) place of the ankle on the ground, yaw) of its k-th stand. heel_off, toe_up: radians at the end and the
    start of a stand. clearance: m, height of the swing. floor(xy): height of the ground.
    """
    frames = len(phase)
    feet = Feet(np.zeros((frames, 2, 3)), np.zeros((frames, 2)), np.zeros((frames, 2)), np.zeros((frames, 2), bool))
    for j, side in enumerate(SIDES):
        ankle = body.heads[body.names.index(side + "Foot")]
        heel, ball = (p - ankle for p in body.sole[side])

        def stand(k, u, j=j, ankle=ankle, heel=heel, ball=ball):
            """Ankle, yaw and pitch at fraction u of stand k."""
            (x, y), yaw = plant(j, k)
            flat, R = np.array([x, y, floor((x, y)) + ankle[2]]), about(2, yaw)
            if u < 0.18:
                pitch, pivot = -toe_up * (1 - u / 0.18) ** 2, heel
            elif u > 0.6:
                pitch, pivot = heel_off * ((u - 0.6) / 0.4) ** 1.7, ball
            else:
                pitch, pivot = 0.0, ball
            turned = R @ about(0, pitch) @ -pivot
            return flat + R @ pivot + turned, yaw, pitch

        def swing(k, u, lift, heel=heel, ball=ball, stand=stand):
            """Ankle, yaw and pitch at fraction u between stands k and k + 1, and how far the lowest point is over the ground."""
            rate = (1 - duty) / duty
            (a0, yaw0, p0), (b0, _, q0) = stand(k, 1.0), stand(k, 0.98)
            (a1, yaw1, p1), (b1, _, q1) = stand(k + 1, 0.0), stand(k + 1, 0.02)
            # Ankle and pitch leave and meet the ground with the speed they have there.
            a = _hermite(u, a0, a1, (a0 - b0) / 0.02 * rate, (b1 - a1) / 0.02 * rate)
            pitch = _hermite(u, p0, p1, (p0 - q0) / 0.02 * rate * 0.6, (q1 - p1) / 0.02 * rate)
            yaw = yaw0 + u * u * (3 - 2 * u) * ((yaw1 - yaw0 + np.pi) % (2 * np.pi) - np.pi)
            a[2] += lift * np.sin(np.pi * u) ** 2
            R = about(2, yaw) @ about(0, pitch)
            low = min(p[2] - floor(p[:2]) for p in (a + R @ heel, a + R @ ball))
            return a, yaw, pitch, low

        lifts = {}
        for f in range(frames):
            k = int(np.floor(phase[f, j]))
            u = (phase[f, j] - k) / duty
            if u <= 1:
                feet.ankle[f, j], feet.yaw[f, j], feet.pitch[f, j] = stand(k, u)
                feet.planted[f, j] = True
                continue
            if k not in lifts:  # high enough to step over edges
                over = np.linspace(0.1, 0.9, 17) if floor is not _LEVEL else ()
                lifts[k] = clearance + max([0.0, *((0.02 - swing(k, u, clearance)[3]) / np.sin(np.pi * u) ** 2 for u in over)])
            u = (phase[f, j] - k - duty) / (1 - duty)
            a, yaw, pitch, low = swing(k, u, lifts[k])
            a[2] += max(0.0, 0.012 * np.sin(np.pi * u) - low)
            feet.ankle[f, j], feet.yaw[f, j], feet.pitch[f, j] = a, yaw, pitch
    return feet


def _hermite(u, a, b, speed_a, speed_b):
    """Cubic from a to b, u in 0..1, with given ends' speeds per unit of u."""
    v = u * u * (3 - 2 * u)
    return a + v * (b - a) + u * (1 - u) ** 2 * speed_a - u * u * (1 - u) * speed_b


def gait(body: Character, times, rng, path: Path, speed, run=False, start=0.0, arms=None, steps: Steps | None = None):
    """Walk or run along a path at `speed` m/s. start: m already walked. arms: overrides, {0 or 1: (F, 4)}. steps: on a straight path."""
    fps = 1 / (times[1] - times[0])
    F, k = len(times), body.height / 1.75
    stride = (2 * (0.40 + 0.24 * speed) if not run else 2 * (0.35 + 0.25 * speed)) * k
    duty = 0.34 if run else DUTY
    stride = steps.stride if steps else stride
    s = start + speed * times + smooth_noise(rng, F, fps, 0.01)[:, 0]
    phase = np.stack([s / stride, s / stride + 0.5], 1)
    half = 0.75 * abs(body.heads[body.names.index("LeftUpLeg")][0]) * (0.6 if run else 1)

    def plant(j, n):
        xy, yaw = path.at(stride * (n + 0.43 * duty - 0.5 * j))
        side = 1 if j == 0 else -1
        return xy + side * half * np.array([np.cos(yaw), np.sin(yaw)]), yaw + side * 0.04

    toes, heels, floor = 0.95 if run else 0.75, 0.12 if run else 0.3, _LEVEL
    if steps:
        (start_xy, turn), toes, heels = path.at(0.0), 0.45, 0.05
        ahead = np.array([np.sin(turn), -np.cos(turn)])
        floor = lambda xy: steps.at((np.asarray(xy) - start_xy) @ ahead)
    feet = step_feet(body, phase, plant, duty, toes, heels, 0.24 * k if run else 0.035 * k, floor)
    place, heading = path.at(s)
    heading = gaussian_filter1d(heading, 0.1 * fps, mode="nearest")
    c, w = np.cos(2 * np.pi * phase[:, 0]), np.sin(2 * np.pi * phase[:, 0])  # c = 1 when the left foot lands
    late = np.sin(2 * np.pi * (phase[:, 0] - duty / 2 + 0.25))  # 1 in the middle of the left stand
    side = np.stack([np.cos(heading), np.sin(heading)], 1)
    place = place + (0.012 if run else 0.024) * k * late[:, None] * side
    twice = np.cos(4 * np.pi * (phase[:, 0] - duty / 2))  # 1 in the middle of each stand
    lift = (-0.05 - 0.04 * twice) * k if run else (-0.012 + 0.018 * twice) * k
    if steps:
        treads = s[0] + np.arange(-8.0, 60.0) * stride / 2  # a body rises from stand to stand
        treads = np.floor(treads / (stride / 2)) * stride / 2 + 0.43 * duty * stride
        lift = lift + gaussian_filter1d(np.interp(s, treads, steps.at(treads)), 0.1 * fps, mode="nearest")
    swing = min(0.75, (0.22 + 0.14 * speed) if not run else 0.7) * rng.uniform(0.85, 1.15)
    lean = 0.17 if run else 0.035
    noise = smooth_noise(rng, F, fps, 0.03, channels=6)
    zero = np.zeros(F)
    pelvis = np.stack([zero + lean * 0.5, 0.05 * late, -0.11 * c], 1)
    spine = np.stack([zero + lean + 0.015 * twice, -0.05 * late, 0.22 * c], 1) + noise[:, :3] * 0.4
    head = np.stack([zero - lean, zero, -0.11 * c], 1) + noise[:, 3:] * [1, 0.6, 2]
    arm = np.zeros((F, 2, 4))
    for j, sign in ((0, -1), (1, 1)):
        a = sign * c * swing
        bent = 1.45 + 0.25 * sign * c if run else 0.14 + 0.2 * (1 + sign * c) + 0.06 * speed
        arm[:, j] = np.stack(
            [a + (0.1 if run else -0.06), zero + 0.13 + 0.05 * np.abs(w), zero + (0.35 if run else 0.15), bent + zero],
            1,
        )
    for j, value in (arms or {}).items():
        arm[:, j] = value
    return Motion(place, heading, lift, pelvis, spine, head, arm, feet)


def stand(body: Character, times, rng, place, heading, arms=None, drop=None, lean=None, look=None, width=1.0):
    """Stand in one place with both feet planted, breathing and shifting weight.

    arms: {0 or 1: (F, 4)}, drop: (F,) m lower, lean: (F,) forward pitch of the back, look: (F, 3) head.
    """
    fps = 1 / (times[1] - times[0])
    F, k = len(times), body.height / 1.75
    half = width * abs(body.heads[body.names.index("LeftUpLeg")][0]) * 1.05
    axis = np.array([np.cos(heading), np.sin(heading)])
    stance = rng.uniform(-0.06, 0.06)  # one foot a little ahead
    ahead = np.array([np.sin(heading), -np.cos(heading)])

    def plant(j, n):
        side = 1 if j == 0 else -1
        return np.asarray(place) + side * (half * axis + stance * ahead), heading + side * 0.12 * width

    feet = step_feet(body, np.full((F, 2), 0.3), plant, 0.8, 0, 0, 0)
    drop = np.zeros(F) if drop is None else drop
    lean = np.zeros(F) if lean is None else lean
    shift = smooth_noise(rng, F, fps, 0.018, 2.5)[:, 0]
    noise = smooth_noise(rng, F, fps, 0.03, 1.8, 9)
    # A crouching body keeps its weight over its feet: the hips go back as the back leans forward.
    where = np.asarray(place) + shift[:, None] * axis - (0.32 * drop)[:, None] * ahead
    zero = np.zeros(F)
    pelvis = np.stack([0.55 * lean, 1.2 * shift, zero], 1) + noise[:, :3] * 0.6
    spine = np.stack([0.6 * lean, -1.4 * shift, zero], 1) + noise[:, 3:6]
    head = (
        (np.zeros((F, 3)) if look is None else look)
        + np.stack([-0.6 * lean, zero, zero], 1)
        + noise[:, 6:] * [1, 0.7, 2]
    )
    arm = np.zeros((F, 2, 4)) + [0.03, 0.12, 0.15, 0.25]
    arm += smooth_noise(rng, F, fps, 0.03, 2, 8).reshape(F, 2, 4)
    for j, value in (arms or {}).items():
        arm[:, j] = value
    return Motion(where, np.full(F, float(heading)), -0.012 * k - drop, pelvis, spine, head, arm, feet)


def look_about(times, rng):
    """A head that turns to one side, to the other and down, staying a moment each time: (F, 3)."""
    far = np.array([0.4, 0.25, 1.15])  # rad: down or up, to a shoulder, to a side
    t = np.arange(-0.4, times[-1] + 1.8, 0.7) + rng.uniform(-0.1, 0.1)
    ways = rng.uniform(-1, 1, (len(t), 3)) * far
    ways[:, 2] = np.abs(ways[:, 2]) * np.where(np.arange(len(t)) % 2, 1, -1) * rng.choice([-1, 1])
    return keyed(times, list(zip(t, ways)))


def embrace(body: Character, times, rng, place, heading, apart):
    """Stand before somebody who stands `apart` m ahead, put the arms around them and sway a little, heads beside each other."""
    shift = 0.075  # each stands that far to their left of the common line
    arms = {}
    for j, (sign, lower) in enumerate(((1, 0.1), (-1, 0.38))):  # one arm over, one under
        z = body.heads[body.names.index(SIDES[j] + "Arm")][2] - lower * body.height / 1.75
        around = [(sign * 0.25 - 2 * shift, 0.1 - apart, z + 0.02), (sign * 0.04 - 2 * shift, -0.01 - apart, z)]
        closed = reach(body, j, *np.array(around))
        opened = closed * [0.9, 1, 0.7, 0.8] + [0, 0.15, 0, 0]
        arms[j] = keyed(times, [(0, opened), (0.9, closed), (9, closed)])
    lean = keyed(times, [(0, [0.0]), (0.9, [0.1])])[:, 0]
    look = keyed(times, [(0, (0, 0.05, 0)), (0.9, (0.05, 0.22, -0.1)), (3, (0.05, 0.25, -0.2))])
    left = np.array([np.cos(heading), np.sin(heading)])
    return stand(body, times, rng, np.asarray(place) + shift * left, heading, arms, lean=lean, look=look)


def reach(body: Character, j, elbow, wrist):
    """The four angles of arm j that bring its wrist, and as far as it can its elbow, to places (3,) of the upright body's own axes."""
    (neutral, axis, rest_flexion), sign = _Limbs(body).arms[j], (1, -1)[j]
    bones = np.array([body.heads[body.names.index(SIDES[j] + b)] for b in ("Arm", "ForeArm", "Hand")])
    upper, lower = neutral @ (bones[1] - bones[0]), neutral @ (bones[2] - bones[1])

    def missed(angles):
        pitch, out, twist, flexion = angles
        lift = about(0, -pitch) @ about(1, -sign * out) @ about(2, -sign * twist)
        at = bones[0] + lift @ upper
        bent = at + lift @ Rotation.from_rotvec(axis * (flexion - rest_flexion)).as_matrix() @ lower
        return np.concatenate([bent - wrist, 0.5 * (at - elbow)])

    return least_squares(missed, (0.9, 0.4, 0.8, 1.0), bounds=((-0.3, 0, -0.3, 0.1), (2.0, 1.3, 1.7, 2.2))).x


def dance(body: Character, times, rng, place, heading, beat_hz=1.0, kind="sway"):
    """Steps from side to side on the beat (sway) or steps on the spot with a turning body (turn), arms moving along."""
    F, k = len(times), body.height / 1.75
    cycle = times * beat_hz * 0.5 + rng.random()
    phase = np.stack([cycle, cycle + 0.5], 1)
    hip = abs(body.heads[body.names.index("LeftUpLeg")][0])

    def facing(c):
        return heading + (0.35 * np.sin(np.pi * c) if kind == "sway" else 0.9 * np.sin(0.5 * np.pi * c))

    def plant(j, n):
        c = n + 0.5 - 0.5 * j
        yaw = facing(c)
        axis = np.array([np.cos(yaw), np.sin(yaw)])
        side = 1 if j == 0 else -1
        across = (0.16 if n % 2 else -0.10) * k if kind == "sway" else 0.0
        ahead = 0.10 * k * np.sin(2.1 * n + j) * np.array([np.sin(yaw), -np.cos(yaw)])
        return np.asarray(place) + side * hip * 1.3 * axis + across * axis + ahead, yaw + side * 0.15

    feet = step_feet(body, phase, plant, 0.68, 0.5, 0.05, 0.06 * k)
    over = feet.ankle[:, :, :2].mean(1)
    load = np.cos(2 * np.pi * (phase[:, 0] - 0.34))  # +1 on the left foot
    yaw = facing(cycle)
    axis = np.stack([np.cos(yaw), np.sin(yaw)], 1)
    fps = 1 / (times[1] - times[0])
    where = gaussian_filter1d(over, 0.12 * fps, axis=0, mode="nearest") + 0.05 * k * load[:, None] * axis
    beat = 2 * np.pi * cycle * 2
    zero = np.zeros(F)
    pelvis = np.stack([0.04 + zero, 0.10 * load, 0.15 * np.sin(beat / 2)], 1)
    spine = np.stack([0.05 * np.sin(beat), -0.16 * load, -0.25 * np.sin(beat / 2)], 1)
    head = np.stack([0.10 * np.sin(beat), 0.05 * load, 0.1 * np.sin(beat / 2)], 1)
    arm = np.zeros((F, 2, 4))
    for j, sign in ((0, 1), (1, -1)):
        a = 0.55 + 0.45 * np.sin(beat / 2 + sign * 0.9)
        arm[:, j] = np.stack(
            [a, 0.35 + 0.25 * np.sin(beat / 2 + 0.6 * sign), 0.3 + zero, 1.25 + 0.45 * np.sin(beat + sign)], 1
        )
    return Motion(where, yaw, (-0.05 - 0.025 * np.cos(beat)) * k, pelvis, spine, head, arm, feet)


def talk_arms(times, rng, sides=(0, 1)):
    """Hands that talk: each arm moves between open, pointing and resting poses."""
    poses = [
        (0.45, 0.22, 0.25, 1.35),
        (0.75, 0.32, 0.0, 1.0),
        (0.10, 0.15, 0.2, 0.4),
        (0.55, 0.10, 0.55, 1.5),
        (1.1, 0.25, 0.1, 0.5),
    ]
    out = {}
    for j in sides:
        t = np.arange(-0.5, times[-1] + 1.6, 0.55) + rng.uniform(-0.12, 0.12)
        out[j] = keyed(times, [(x, poses[rng.integers(len(poses))]) for x in t])
    return out


def wave_arm(times, rng, start_s=0.2):
    """One arm raised, the forearm waving: (F, 4)."""
    raised = keyed(times, [(start_s - 0.2, (0.05, 0.12, 0.15, 0.3)), (start_s + 0.5, (0.55, 1.75, -0.9, 1.3))])
    raised[:, 3] += 0.38 * np.sin(2 * np.pi * 1.6 * times) * np.clip((times - start_s) / 0.5, 0, 1)
    raised[:, 1] += 0.12 * np.sin(2 * np.pi * 1.6 * times + 0.6) * np.clip((times - start_s) / 0.5, 0, 1)
    return raised


# Hands that talk: a row a finger, three bends and the spread, degrees (solver.fingers).
_HANDS = {
    "open": ((45, 10, 5, 42), (5, 5, 3, 12), (5, 5, 3, 0), (5, 5, 3, -10), (5, 5, 3, -20)),
    "loose": ((60, 20, 15, 35), (25, 30, 15, 6), (32, 38, 20, -2), (38, 42, 22, -8), (42, 45, 25, -14)),
    "fist": ((70, 40, 45, 30), (75, 95, 55, 4), (80, 98, 55, 0), (82, 98, 55, -5), (82, 95, 55, -10)),
    "point": ((65, 35, 40, 32), (8, 6, 4, 6), (75, 90, 50, 0), (80, 95, 52, -5), (80, 92, 52, -10)),
    "pinch": ((72, 25, 25, 25), (48, 48, 25, 3), (30, 30, 18, -2), (25, 25, 15, -10), (20, 20, 12, -18)),
    "spread": ((40, 5, 0, 52), (0, 3, 2, 20), (0, 3, 2, 4), (0, 3, 2, -16), (0, 3, 2, -30)),
}  # fmt: skip
_WRIST = (0.55, 0.25, 0.9)  # rad, one sigma of bending, leaning aside, and turning about the forearm


def gesture(body: Character, times, rng, R, positions):
    """Hands that talk on arms that are posed already, as `solve` gives them: fingers go from one of _HANDS to the next, wrists turn."""
    R, root = R.copy(), positions[:, 0]
    index = {n: i for i, n in enumerate(body.names)}
    poses = np.array(list(_HANDS.values()), float)
    for j, side in enumerate(SIDES):
        t = np.arange(-0.6, times[-1] + 1.4, 0.6) + rng.uniform(-0.15, 0.15)
        order = rng.integers(len(poses), size=len(t))
        angles = keyed(times, [(x, poses[n].ravel()) for x, n in zip(t, order)]).reshape(-1, 5, 4)
        angles = angles + smooth_noise(rng, len(times), 1 / (times[1] - times[0]), 3.0, 1.0, 20).reshape(-1, 5, 4)
        bend, aside, roll = keyed(times, [(x, rng.normal(size=3).clip(-1.3, 1.3) * _WRIST) for x in t]).T
        rest = body.hand_rest[j]
        palm = fingers.Palm.of(rest[0], rest[5], rest[17], j == 1)
        along, _, out = palm.axes
        axis = lambda a, angle: Rotation.from_rotvec(angle[:, None] * a).as_matrix()
        arm = unit(rest[0] - body.heads[index[side + "ForeArm"]])
        # The forearm carries half of the turn about itself.
        R[:, index[side + "ForeArm"]] = R[:, index[side + "ForeArm"]] @ axis(arm, 0.5 * roll)
        hand = R[:, index[side + "Hand"]] @ axis(arm, roll) @ axis(np.cross(along, out), bend) @ axis(out, aside)
        for bone in (side + "Hand", side + "FingerBase", side + "HandFinger1", side[0] + "Thumb"):
            R[:, index[bone]] = hand
        local = palm.to_local(rest - rest[0])
        for n, chain in enumerate(fingers.CHAINS):
            towards = local[fingers.PINKY] - local[chain[0]] if n == fingers.THUMB else None
            turns = fingers.chain_turns(local[chain], angles[:, n], towards)
            for k in range(3):
                R[:, body.hand_bone[j, chain[k]]] = hand @ palm.axes.T @ turns[:, k] @ palm.axes
    return R, np.array([body.positions(r, at) for r, at in zip(R, root)])


def _frame(first, second):
    """Orthonormal axes (3, 3), columns: first, second made orthogonal to it, their cross product."""
    e1 = unit(first)
    e2 = unit(second - (second @ e1) * e1)
    return np.stack([e1, e2, np.cross(e1, e2)], 1)


class _Limbs:
    """What `solve` needs of the rest pose: lengths, and the frames that limbs turn from."""

    def __init__(self, body: Character):
        head = dict(zip(body.names, body.heads))
        self.legs, self.arms = [], []
        for side in SIDES:
            hip, knee, ankle = head[side + "UpLeg"], head[side + "Leg"], head[side + "Foot"]
            frames = _frame(knee - hip, _FORWARD), _frame(ankle - knee, _FORWARD)
            self.legs.append((np.linalg.norm(knee - hip), np.linalg.norm(ankle - knee), frames))
            shoulder, elbow, wrist = head[side + "Arm"], head[side + "ForeArm"], head[side + "Hand"]
            upper, lower = unit(elbow - shoulder), unit(wrist - elbow)
            neutral = _frame(_DOWN, _FORWARD)
            R = neutral @ _frame(upper, lower - (lower @ upper) * upper).T
            self.arms.append((R, neutral[:, 2], np.arccos(np.clip(upper @ lower, -1, 1))))


def solve(body: Character, motion: Motion):
    """Bone rotations (F, B, 3, 3) and positions (F, B, 3) in the world; planted feet stay where they are planted."""
    F, index = len(motion.place), {n: i for i, n in enumerate(body.names)}
    limbs = _Limbs(body)
    R = np.tile(np.eye(3), (F, len(body.names), 1, 1))
    base = about(2, motion.heading)
    pelvis = base @ body_rotation(motion.pelvis)
    for name in ("Hips", "LHipJoint", "RHipJoint"):
        R[:, index[name]] = pelvis
    previous = pelvis
    for i, name in enumerate(_SPINE):  # the back bends a third at each joint
        previous = previous @ body_rotation(motion.spine / 3)
        R[:, index[name]] = previous
    chest = previous
    for name in _NECK:
        previous = previous @ body_rotation(motion.head / 3)
        R[:, index[name]] = previous
    for j, side in enumerate(SIDES):
        _pose_arm(R, index, chest, side, 1 if j == 0 else -1, motion.arms[:, j], limbs.arms[j])

    root_z = _pelvis_height(body, motion, R[:, index["Hips"]], limbs, index)
    root = np.concatenate([motion.place, root_z[:, None]], 1)
    positions = np.zeros((F, len(body.names), 3))
    for f in range(F):
        for j, side in enumerate(SIDES):
            hip = root[f] + R[f, index["Hips"]] @ (body.heads[index[side + "UpLeg"]] - body.heads[index["Hips"]])
            toe_yaw = about(2, motion.feet.yaw[f, j])
            pole = unit(toe_yaw @ _FORWARD + R[f, index["Hips"]] @ _FORWARD)
            thigh, shin = _two_bones(motion.feet.ankle[f, j] - hip, pole, limbs.legs[j])
            pitch = motion.feet.pitch[f, j]
            R[f, index[side + "UpLeg"]], R[f, index[side + "Leg"]] = thigh, shin
            R[f, index[side + "Foot"]] = toe_yaw @ about(0, pitch)
            bend = min(pitch, 0.0) if motion.feet.planted[f, j] else 0.6 * pitch  # toes stay flat while the heel lifts
            R[f, index[side + "ToeBase"]] = toe_yaw @ about(0, bend)
        positions[f] = body.positions(R[f], root[f])
    return R, positions


def _pose_arm(R, index, chest, side, sign, curves, limb):
    neutral, axis, rest_flexion = limb
    pitch, out, twist, flexion = curves.T
    shoulder = chest @ about(1, -sign * 0.25 * np.clip(out - 0.6, 0, None))
    lift = about(0, -pitch) @ about(1, -sign * out) @ about(2, -sign * twist)
    elbow = Rotation.from_rotvec(axis * (flexion - rest_flexion)[:, None]).as_matrix()
    R[:, index[side + "Shoulder"]] = shoulder
    R[:, index[side + "Arm"]] = chest @ lift @ neutral
    forearm = chest @ lift @ elbow @ neutral
    for bone in (side + "ForeArm", side + "Hand", side + "FingerBase", side + "HandFinger1", side[0] + "Thumb"):
        R[:, index[bone]] = forearm


def _pelvis_height(body, motion, R_hips, limbs, index):
    """Root heights (F,): standing height plus the wanted lift, lowered where a leg could not reach its foot."""
    heads, allowed = body.heads, np.full(len(R_hips), np.inf)
    standing = np.inf
    for j, side in enumerate(SIDES):
        hip = heads[index[side + "UpLeg"]] - heads[index["Hips"]]
        length = limbs.legs[j][0] + limbs.legs[j][1]
        standing = min(standing, heads[index[side + "Foot"]][2] + 0.98 * length - hip[2])
        offset = R_hips @ hip
        gap = motion.feet.ankle[:, j] - np.concatenate([motion.place, np.zeros((len(R_hips), 1))], 1) - offset
        reach = gap[:, 2] + np.sqrt(np.maximum((0.985 * length) ** 2 - (gap[:, :2] ** 2).sum(1), 0.01))
        allowed = np.minimum(allowed, reach)
    wanted = np.minimum(standing + motion.lift, allowed)
    return gaussian_filter1d(minimum_filter1d(wanted, 5, mode="nearest"), 1.2, mode="nearest")


def _two_bones(to_ankle, pole, leg):
    """World rotations of thigh and shin that bring the ankle to `to_ankle` (3,) from the hip, the knee towards `pole`."""
    upper, lower, (thigh_rest, shin_rest) = leg
    distance = np.clip(np.linalg.norm(to_ankle), abs(upper - lower) + 1e-3, (upper + lower) * 0.9995)
    along = unit(to_ankle)
    side = unit(pole - (pole @ along) * along)
    cosine = np.clip((upper**2 + distance**2 - lower**2) / (2 * upper * distance), -1, 1)
    thigh = cosine * along + np.sqrt(1 - cosine**2) * side
    shin = unit(along * distance - thigh * upper)
    return _frame(thigh, pole) @ thigh_rest.T, _frame(shin, pole) @ shin_rest.T
