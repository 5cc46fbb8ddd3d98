"""Motions and characters with known answers for the retargeting tests: a walk that does not slide, and rigs in any rest pose."""

from __future__ import annotations

import numpy as np
from scipy.spatial.transform import Rotation

from reshoot.retarget import Rig, Track
from reshoot.retarget.rotations import unit
from reshoot.solver.fingers import Palm, points_of
from reshoot.solver.frames import R_zup_from_yup

# A person of 1.75 m in SMPL's rest pose (Y-up, facing +z): legs straight down, arms to the sides.
REST = np.array([
    [0, .95, 0], [.09, .88, 0], [-.09, .88, 0], [0, 1.06, -.02], [.09, .47, 0], [-.09, .47, 0], [0, 1.19, -.01],
    [.09, .08, 0], [-.09, .08, 0], [0, 1.25, .01], [.10, .024, .13], [-.10, .024, .13], [0, 1.46, -.03], [.08, 1.37, -.02],
    [-.08, 1.37, -.02], [0, 1.55, .01], [.18, 1.40, -.03], [-.18, 1.40, -.03], [.44, 1.39, -.05], [-.44, 1.39, -.05],
    [.69, 1.40, -.05], [-.69, 1.40, -.05], [.77, 1.39, -.06], [-.77, 1.39, -.06],
])  # fmt: skip


def walk(seconds=2.2, fps=25.0, heading_deg=30.0, step_m=0.5, size=1.0, arms_down_deg=65.0, rolls=True, rise_m=0.0) -> Track:
    """A straight walk in SMPL's parameters: heel strike, flat foot, toe-off about a fixed ball, arms swinging. rise_m: of every step, up stairs; then who stands is told."""
    rest = REST * size
    count = round(seconds * fps)
    t = np.arange(count) / fps
    period, step = 1.1, step_m * size
    speed = 2 * step / period
    poses = np.zeros((count, 24, 3))
    foot_z, foot_y = rest[10, 2], rest[7, 1]
    pelvis_z = speed * t
    contact = np.zeros((count, 4))
    pelvis_y = rise_m * 2 * (t / period - 0.6) + 0.95 * rest[1, 1] + 0.01 * np.cos(4 * np.pi * t / period) + (rest[0, 1] - rest[1, 1])
    for k, (hip, knee, ankle) in enumerate(((1, 4, 7), (2, 5, 8))):
        phase = t / period + 0.5 * k
        stride, u = np.floor(phase), phase % 1.0
        planted = (stride - 0.5 * k + 0.3) * 2 * step + 0.5 * foot_z  # the ball's place, a little ahead of the pelvis at mid-stance
        swing = np.clip((u - 0.6) / 0.4, 0, 1)
        ease = swing * swing * (3 - 2 * swing)
        ball_z = planted + ease * 2 * step
        ball_y = 0.06 * size * np.sin(np.pi * swing) ** 2 + rise_m * (2 * stride - k + 2 * ease)
        contact[:, 2 * k : 2 * k + 2] = (u < 0.6)[:, None]
        toe_off = np.clip((u - 0.4) / 0.2, 0, 1) ** 2 * 30
        pitch = np.where(u < 0.6, toe_off, 30 * (1 - ease))
        if rolls:
            pitch = pitch - np.where(u < 0.1, 15 * (1 - u / 0.1), 15 * np.clip((swing - 0.5) / 0.5, 0, 1) ** 2)
        down = np.radians(pitch)
        # The ankle about the ball's sole; before the foot is flat the heel is down and the ball in the air.
        back, up = -foot_z, foot_y
        heel = np.where(down < 0, np.abs(np.sin(down)) * foot_z * 1.35, 0)
        ankle_z = ball_z + np.cos(down) * back + np.sin(down) * up
        ankle_y = ball_y + heel - np.sin(down) * back + np.cos(down) * up
        dy, dz = rest[hip, 1] - rest[0, 1] + pelvis_y - ankle_y, ankle_z - pelvis_z
        l1, l2 = rest[hip, 1] - rest[knee, 1], rest[knee, 1] - rest[ankle, 1]
        far = np.hypot(dy, dz)
        assert far.max() < l1 + l2, "the walk is out of the legs' reach"
        at_hip = np.arccos(np.clip((l1**2 + far**2 - l2**2) / (2 * l1 * far), -1, 1))
        at_knee = np.pi - np.arccos(np.clip((l1**2 + l2**2 - far**2) / (2 * l1 * l2), -1, 1))
        thigh = -np.arctan2(dz, dy) - at_hip  # about x; positive is backward
        poses[:, hip, 0], poses[:, knee, 0] = thigh, at_knee
        poses[:, ankle, 0] = down - thigh - at_knee
        sign, swing_arm = (1, -1)[k], np.radians(20) * np.sin(2 * np.pi * (phase + 0.5))
        down_arm = Rotation.from_rotvec([0, 0, -sign * np.radians(arms_down_deg)])
        poses[:, 16 + k] = (Rotation.from_rotvec(np.stack([swing_arm, 0 * t, 0 * t], 1)) * down_arm).as_rotvec()
        poses[:, 18 + k, 1] = -sign * np.radians(15 + 10 * np.sin(2 * np.pi * phase))
    poses[:, 3, 1] = np.radians(5) * np.sin(2 * np.pi * t / period)
    poses[:, 9, 1] = np.radians(6) * np.sin(2 * np.pi * t / period)
    poses[:, 15, 1] = np.radians(10) * np.sin(np.pi * t / period)
    heading = Rotation.from_euler("z", heading_deg, degrees=True).as_matrix() @ R_zup_from_yup
    poses[:, 0] = Rotation.from_matrix(heading).as_rotvec()
    along = np.stack([0 * t, pelvis_y, pelvis_z], 1) @ heading.T
    return Track(rest, poses, along - rest[0], np.arange(count), fps, contact if rise_m else None)


def random_motion(seed, count=20, amount=0.6) -> Track:
    """Every joint turning at random; the path wanders."""
    rng = np.random.default_rng(seed)
    poses = amount * rng.normal(size=(1, 24, 3)) + 0.3 * np.cumsum(rng.normal(size=(count, 24, 3)), 0) / np.sqrt(count)
    trans = np.cumsum(rng.normal(scale=0.03, size=(count, 3)), 0)
    return Track(REST, poses, trans, np.arange(count), 25.0)


BENT = np.tile([12.0, 14.0, 8.0, 3.0], (5, 1)) + [[40, 0, 0, 30], *[[0, 0, 0, 0]] * 4]  # degrees, fingers of a character at rest


def hand_points(side):
    """Points (21, 3) of a hand at rest in SMPL's axes: palms down."""
    row = "LR".index(side)
    axes = np.array([[1 - 2 * row, 0, 0], [0, 0, 1.0], [0, -1, 0]])
    return points_of(BENT, Palm(REST[20 + row], axes, np.array(0.09)))


BONES = (  # Mixamo name, parent, SMPL joint of its head
    ("Hips", None, 0), ("Spine", "Hips", 3), ("Spine1", "Spine", 6), ("Spine2", "Spine1", 9), ("Neck", "Spine2", 12),
    ("Head", "Neck", 15),
    *((f"{s}{b}", p if p in ("Hips", "Spine2") else f"{s}{p}", j + k) for k, s in enumerate(("Left", "Right")) for b, p, j in (
        ("Shoulder", "Spine2", 13), ("Arm", "Shoulder", 16), ("ForeArm", "Arm", 18), ("Hand", "ForeArm", 20),
        ("UpLeg", "Hips", 1), ("Leg", "UpLeg", 4), ("Foot", "Leg", 7), ("ToeBase", "Foot", 10))),
)  # fmt: skip


def rig(arms_down_deg=0.0, legs_apart_deg=0.0, scale=1.0, size=1.0, seed=None, facing_deg=0.0, spine=3, rename=None, fingers=0) -> Rig:
    """A Mixamo-named character. seed rolls every bone's axes at random; facing turns its rest pose; the armature object has `scale`
    and its bones the inverse; `spine` bones between hips and neck; `size` against the person of REST; `fingers` bones in each finger, a little bent."""
    rng = np.random.default_rng(seed)
    turn = {16: -arms_down_deg, 17: arms_down_deg, 1: legs_apart_deg, 2: -legs_apart_deg}
    below = {16: (18, 20, 22), 17: (19, 21, 23), 1: (4, 7, 10), 2: (5, 8, 11)}
    J = np.concatenate([REST, *(hand_points(side) for side in "LR")]) * size
    for arm, first in ((16, 24), (17, 45)):
        below[arm] += tuple(range(first, first + 21))
    for joint, degrees in turn.items():
        R = Rotation.from_euler("z", degrees, degrees=True).as_matrix()
        for j in below[joint]:
            J[j] = J[joint] + R @ (J[j] - J[joint])
    J = J @ (Rotation.from_euler("z", facing_deg, degrees=True).as_matrix() @ R_zup_from_yup).T
    listed = [*BONES]
    for side, first in (("Left", 24), ("Right", 45)):
        for n, finger in enumerate(("Thumb", "Index", "Middle", "Ring", "Pinky")):
            words = [f"{side}Hand", *(f"{side}Hand{finger}{k + 1}" for k in range(fingers + 1))]
            listed += [(words[k + 1], words[k], first + 1 + 4 * n + k) for k in range(fingers + 1) if fingers]
    bones = [(n, p, J[j]) for n, p, j in listed if not n.startswith("Spine")]
    chain = [(f"Spine{i}" if i else "Spine", f"Spine{i - 1}" if i > 1 else ("Spine" if i else "Hips")) for i in range(spine)]
    top = chain[-1][0] if chain else "Hips"
    steps = np.linspace(J[0], J[12], spine + 2)[1:-1]
    others = [(n, top if p == "Spine2" else p, at) for n, p, at in bones[1:]]
    bones = [bones[0], *((n, p, at) for (n, p), at in zip(chain, steps, strict=True)), *others]
    index = {n: i for i, (n, _, _) in enumerate(bones)}
    heads = np.array([at for _, _, at in bones])
    parents = np.array([-1 if p is None else index[p] for _, p, _ in bones])
    tails = heads + 0.05 * size * unit(heads - np.where(parents[:, None] < 0, heads - [0, 0, 1], heads[parents]))
    axes = Rotation.random(len(bones), random_state=rng.integers(1 << 30)).as_matrix() if seed is not None else None
    axes = np.broadcast_to(np.eye(3), (len(bones), 3, 3)) if axes is None else axes
    T = np.diag([scale, scale, scale, 1.0])
    if seed is not None:  # armature axes of their own, as of a Y-up file
        R = Rotation.from_euler("x", 90, degrees=True).as_matrix()
        T[:3, :3] = scale * R
        heads, tails, axes = heads @ R, tails @ R, R.T @ axes
    names = [rename(n) if rename else "mixamorig:" + n for n, _, _ in bones]
    return Rig(names, parents, heads / scale, tails / scale, np.array(axes), T)
