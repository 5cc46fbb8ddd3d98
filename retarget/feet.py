"""Feet that stay where they step: contact, footprints, and two-bone IK of the legs. World Z-up, the floor at z = 0."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ..solver.stairs import footholds
from .rig import Mapping, Rig, body_axes, toe_bones
from .rotations import frame, matrix_from_rotvec, swing, unit
from .source import HEEL_BEHIND_ANKLE, SOLE_UNDER_BALL, Track

CONTACT_HEIGHT_M = 0.06
CONTACT_SPEED_M_S = 0.35
CLIMB_S = 0.3  # over which what is under a person goes from one step to the next
# A foot that moved further than this during one contact was not standing: it follows the person instead of being pinned.
STANDING_M = 0.12
TOES_AHEAD_OF_BALL = 0.4  # share of ankle to ball
HEEL_STRIKE = 0.3  # slope of a foot that comes down on its heel: what is lowest then is the heel
ON_HEEL = 0.1  # slope from which a foot rolls over its heel: more than a flat one trembles
# A contact corrects the foot for this long before and after it, and fades out over as long again: longer than half a stride.
CONTACT_REACH_S = 0.4


@dataclass
class Sole:
    """One foot in the rest pose, world: ankle and ball joints, heel and ball on the floor, and the underside that foot and toes carry."""

    ankle: np.ndarray
    ball_joint: np.ndarray
    heel: np.ndarray
    ball: np.ndarray
    under_foot: np.ndarray  # (P, 3)
    under_toes: np.ndarray  # (Q, 3)


def person_soles(track: Track) -> list[Sole]:
    """Left and right, in SMPL's rest axes (Y-up)."""
    return [_sole(track.rest_joints[a], track.rest_joints[b], np.eye(3)[1], track.rest_floor_m) for a, b in ((7, 10), (8, 11))]


def rig_soles(rig: Rig, mapping: Mapping, person_ball_share: float) -> list[Sole]:
    """Left and right, world. A foot without toes gets a ball as far ahead, against its leg, as the person's (a share of the leg).

    Heel and underside are the mesh's; without a mesh they are a person's: heel, ball, and the tip of the toes.
    """
    axes = body_axes(rig, mapping)
    out = []
    for side in "LR":
        ankle, toes = rig.heads_world[mapping.bones[f"foot.{side}"]], mapping.bones.get(f"toes.{side}")
        ball = ankle + axes[:, 2] * person_ball_share * leg_m(rig, mapping) if toes is None else rig.heads_world[toes]
        sole = _sole(ankle, ball, axes[:, 1], floor_of(rig, mapping))
        if len(points := rig.under.get(f"foot.{side}", ())):
            sole.heel = points[(points @ (axes[:, 1] + HEEL_STRIKE * axes[:, 2])).argmin()]
            sole.under_foot = np.concatenate([points, [sole.ball]])
        if len(points := rig.under.get(f"toes.{side}", ())):
            sole.under_toes = points
        out.append(sole)
    return out


def _sole(ankle, ball, up, floor):
    ahead = ball - ankle
    ahead = ahead - (ahead @ up) * up

    def on_floor(p):
        return p + (floor - p @ up) * up

    heel, below_ball = on_floor(ankle - HEEL_BEHIND_ANKLE * ahead), on_floor(ball)
    return Sole(ankle, ball, heel, below_ball, np.array([heel, below_ball]), on_floor(ball + TOES_AHEAD_OF_BALL * ahead)[None])


def leg_m(rig: Rig, mapping: Mapping) -> float:
    """Thigh and shin of the character, the mean of both sides, metres."""
    total = 0.0
    for side in "LR":
        thigh, shin = mapping.bones[f"upper_leg.{side}"], mapping.bones[f"lower_leg.{side}"]
        foot = mapping.bones.get(f"foot.{side}")
        ankle = rig.tails_world[shin] if foot is None else rig.heads_world[foot]
        points = np.array([rig.heads_world[thigh], rig.heads_world[shin], ankle])
        total += np.linalg.norm(np.diff(points, axis=0), axis=1).sum() / 2
    return float(total)


def floor_of(rig: Rig, mapping: Mapping) -> float:
    """Height of the soles in the rest pose, along the character's up, from the world's origin.

    What the mesh says, else the armature's origin where it lies a little below the feet, else a little below the lowest joint.
    """
    up = body_axes(rig, mapping)[:, 1]
    if rig.under:
        return min(float((points @ up).min()) for points in rig.under.values())
    feet = [b for part, b in mapping.bones.items() if part.startswith(("foot", "toes", "lower_leg"))]
    lowest = float((rig.heads_world[feet] @ up).min())
    origin = float(np.asarray(rig.T_world_from_rig)[:3, 3] @ up)
    leg = leg_m(rig, mapping)
    return origin if 0 <= lowest - origin < 0.2 * leg else lowest - SOLE_UNDER_BALL * leg


def stand_height(rig: Rig, mapping: Mapping) -> float:
    """How high the character's hip joints are when it stands straight, metres."""
    up = body_axes(rig, mapping)[:, 1]
    ankles = [rig.heads_world[b] @ up for part, b in mapping.bones.items() if part.startswith("foot")]
    return leg_m(rig, mapping) + (float(np.mean(ankles)) - floor_of(rig, mapping) if ankles else 0.0)


def person_height(track: Track) -> float:
    """The same for the person."""
    return track.leg_m + float(track.rest_joints[[7, 8], 1].mean()) - track.rest_floor_m


def estimate_contact(points, frames, fps):
    """Contact (F, 4) bool of left heel, left ball, right heel, right ball at points (F, 4, 3): low and slow, for at least 3 frames."""
    if len(points) < 3:
        return points[..., 2] < CONTACT_HEIGHT_M
    padded = np.pad(points, ((2, 2), (0, 0), (0, 0)), mode="edge")  # a mean over five frames: solved motion trembles
    points = np.lib.stride_tricks.sliding_window_view(padded, 5, axis=0).mean(-1)
    speed = np.linalg.norm(np.gradient(points, frames / fps, axis=0), axis=-1)
    touching = (points[..., 2] < CONTACT_HEIGHT_M) & (speed < CONTACT_SPEED_M_S)
    for k in range(4):
        for value in (True, False):  # close gaps first, then drop what is too short
            for start, end in _runs(touching[:, k] != value):
                if end - start < 3 and start > 0 and end < len(points):
                    touching[start:end, k] = value
    return touching


def _runs(flags):
    """[(start, end)] of the runs of True."""
    edges = np.flatnonzero(np.diff(np.concatenate([[0], flags.astype(int), [0]])))
    return list(zip(edges[::2], edges[1::2], strict=True))


@dataclass(frozen=True)
class Stands:
    """How a person stands. points (F, 4, 3): left heel, left ball, right heel, right ball, world; contact (F, 4) bool of them; level (F, 4) m: how high what they
    stand on is over the floor, 0 where they do not."""

    points: np.ndarray
    contact: np.ndarray
    level: np.ndarray

    def under(self, time_s):
        """(F,) m: height of what is under the person: of what they stand on, and on the way from one step to the next between the two."""
        known = self.contact.any(1)
        if not self.level.any():
            return np.zeros(len(known))
        mean = (self.level * self.contact).sum(1) / np.maximum(self.contact.sum(1), 1)
        height = np.interp(time_s, time_s[known], mean[known])
        radius = max(1, round(CLIMB_S / 2 / np.median(np.diff(time_s)))) if len(time_s) > 1 else 1
        padded = np.pad(height, 2 * radius, mode="edge")
        for _ in range(2):
            padded = np.lib.stride_tricks.sliding_window_view(padded, 2 * radius + 1).mean(-1)
        return padded


def stands(track: Track, G, joints) -> Stands:
    """G (F, 24, 3, 3), joints (F, 24, 3): the person."""
    points = []
    for k, sole in enumerate(person_soles(track)):
        ankle, R = joints[:, 7 + k], G[:, 7 + k]
        points += [ankle + R @ (sole.heel - sole.ankle), ankle + R @ (sole.ball - sole.ankle)]
    points = np.stack(points, 1)
    contact = estimate_contact(points, track.frames, track.fps) if track.contact is None else track.contact > 0.5
    level = np.zeros(contact.shape)
    for step in footholds(points, contact):
        level[step.first : step.end, 2 * step.foot : 2 * step.foot + 2] = step.place[2]
    return Stands(points, contact, level * contact)


def keep_on_floor(pose, track: Track, G, stood: Stands, start, path_scale):
    """Pin the feet of a `_Pose` to the person's footprints while these touch the floor, or a step of the same height over it; returns the contact (F, 4) bool.

    G (F, 24, 3, 3): the person. start (1, 3), path_scale: footprints scale about it as the path did.
    Between two contacts the correction goes over from one to the next, so that a swing stays a swing. The hips sink where a leg is
    too short for its footprint.
    """
    rig, mapping = pose.rig, pose.mapping
    theirs = person_soles(track)
    share = np.linalg.norm((theirs[0].ball_joint - theirs[0].ankle)[[0, 2]]) / track.leg_m
    ours = rig_soles(rig, mapping, share)
    contact = stood.contact
    prints = start[:, None] + (stood.points - start[:, None]) * path_scale
    goals, levels = [], path_scale * stood.level.reshape(-1, 2, 2).max(-1)
    for k, (side, sole) in enumerate(zip("LR", ours, strict=True)):
        foot = mapping.bones[f"foot.{side}"]
        heel = pose.D[:, foot] @ (sole.heel - sole.ankle)
        stands = -(pose.D[:, foot, 2] @ (sole.under_foot - sole.ankle).T).min(1)
        if (toes := mapping.bones.get(f"toes.{side}")) is None:
            ball = pose.D[:, foot] @ (sole.ball - sole.ankle)
        else:  # the foot rolls about the joint of its toes, which lie flat meanwhile
            joint = pose.D[:, foot] @ (sole.ball_joint - sole.ankle)
            stands = np.maximum(stands, np.linalg.norm(sole.ball_joint - sole.ball) - joint[:, 2])
            turned = _lifted(pose.D[:, toes], pose.D[:, foot], sole, stands + joint[:, 2])
            lowest = joint[:, 2] + (turned[:, 2] @ (sole.under_toes - sole.ball_joint).T).min(1)
            stands = np.maximum(stands, -lowest)
            ball = joint + turned @ (sole.ball - sole.ball_joint)
        both = slice(2 * k, 2 * k + 2)
        mine = standing(contact[:, both], pose.D[:, foot] @ (sole.ball - sole.heel))
        goal = pose.heads[:, foot] + _offsets(
            pose.heads[:, foot], heel, ball, stands + levels[:, k], prints[:, both], mine, track.frames / track.fps
        )
        goal[:, 2] = np.maximum(goal[:, 2], stands)
        goals.append(goal)
    _sink_hips(pose, goals, contact)
    for k, side in enumerate("LR"):
        _two_bone_ik(pose, side, goals[k], G[:, 1 + k, :, 0])
    pose.place()
    for k, (side, sole) in enumerate(zip("LR", ours, strict=True)):
        _bend_toes(pose, side, sole, levels[:, k])
    pose.place()
    return contact


def standing(contact, heel_to_ball):
    """(F, 2) bool: whether a foot stands on its heel, or on its ball. contact (F, 2) of both; heel_to_ball (F, 3), world."""
    heel, ball = np.asarray(contact, bool).T
    ball = ball & ~(heel & (unit(heel_to_ball)[:, 2] > ON_HEEL))
    return np.stack([heel & ~ball, ball], 1)


def _offsets(ankle, heel, ball, stands, prints, stands_on, time_s):
    """Correction (F, 3) of an ankle. heel, ball (F, 3): sole points from the ankle as the foot is turned; stands (F,): the ankle's height
    where the foot touches what it stands on; prints (F, 2, 3): heel and ball of the person; stands_on (F, 2): see `standing`; time_s (F,)."""
    known = stands_on.any(1)
    offset = np.zeros_like(ankle)
    for first, end in _runs(known):
        span = np.arange(first, end)
        on_ball = stands_on[span, 1]
        goal = np.empty((len(span), 3))
        if on_ball.any():
            at = span[on_ball]
            goal[on_ball] = _footprint(prints[at, 1], ankle[at] + ball[at]) - ball[at]
            for a, b in _runs(~on_ball):  # roll about where the heel is once the ball is down
                n = b if b < len(span) else a - 1
                goal[a:b] = goal[n] + heel[span[n]] - heel[span[a:b]]
        else:
            goal[:] = _footprint(prints[span, 0], ankle[span] + heel[span]) - heel[span]
        goal[:, 2] = stands[span]
        offset[span] = goal - ankle[span]
    if not known.any():
        return offset
    at = np.flatnonzero(known)
    every = np.arange(len(ankle))
    after = np.clip(np.searchsorted(at, every), 0, len(at) - 1)
    left, right = at[np.maximum(after - 1, 0)], at[after]
    left = np.where(every < at[0], at[0], np.where(every > at[-1], at[-1], left))
    u = np.clip((every - left) / np.maximum(right - left, 1), 0, 1)[:, None]
    u = u * u * (3 - 2 * u)
    away = np.minimum(np.abs(time_s - time_s[left]), np.abs(time_s - time_s[right]))[:, None]
    fade = np.clip(2 - away / CONTACT_REACH_S, 0, 1)
    return np.where(known[:, None], offset, fade * ((1 - u) * offset[left] + u * offset[right]))


def _footprint(points, own):
    """Where a contact stands: one place, or, for a foot that travelled meanwhile, its own path.

    points (F, 3): the person's sole; own (F, 3): the character's, where its legs would bring it of themselves.
    """
    centre = np.median(points, axis=0)
    shift = np.median(own - points, axis=0) * [1, 1, 0]
    return shift + (centre if np.linalg.norm((points - centre)[:, :2], axis=1).max() < STANDING_M else points)


def _sink_hips(pose, goals, contact):
    """Lower the hips, smoothly and no more than needed, where a standing leg would have to be longer than it is."""
    rig, mapping = pose.rig, pose.mapping
    leg = leg_m(rig, mapping)
    need = np.zeros(len(pose.D))
    for k, side in enumerate("LR"):
        away = goals[k] - pose.heads[:, mapping.bones[f"upper_leg.{side}"]]
        flat = np.linalg.norm(away[:, :2], axis=1)
        reach = 0.9995 * _lengths(rig, mapping, side).sum()
        short = -away[:, 2] - np.sqrt(np.maximum(reach**2 - flat**2, 0.0))
        need = np.maximum(need, np.where(contact[:, 2 * k : 2 * k + 2].any(1), short, 0.0))
    if need.max() <= 0:
        return
    radius = 3
    padded = np.pad(np.minimum(need, 0.2 * leg), 2 * radius, mode="edge")
    widest = np.lib.stride_tricks.sliding_window_view(padded, 2 * radius + 1).max(-1)
    sunk = np.lib.stride_tricks.sliding_window_view(widest, 2 * radius + 1).mean(-1)
    pose.heads[:, mapping.bones["hips"], 2] -= sunk
    pose.place()


def _lengths(rig, mapping, side):
    p, k, a = (rig.heads_world[mapping.bones[f"{part}.{side}"]] for part in ("upper_leg", "lower_leg", "foot"))
    return np.array([np.linalg.norm(k - p), np.linalg.norm(a - k)])


def _two_bone_ik(pose, side, goal, hinge):
    """Turn thigh and shin so that the ankle comes to goal (F, 3). hinge (F, 3): the knee's axis, pointing to the person's left; it
    decides where the knee goes when the leg is straight."""
    bones = pose.mapping.bones
    thigh, shin, foot = bones[f"upper_leg.{side}"], bones[f"lower_leg.{side}"], bones[f"foot.{side}"]
    p, k, a = pose.heads[:, thigh], pose.heads[:, shin], pose.heads[:, foot]
    l1, l2 = _lengths(pose.rig, pose.mapping, side)
    away = unit(a - p)
    bend = np.cross(unit(k - p), unit(a - k))
    sure = np.clip((bend * hinge).sum(-1, keepdims=True) / 0.12, 0, 1)
    normal = sure * unit(bend) + (1 - sure) * hinge
    normal = unit(normal - (normal * away).sum(-1, keepdims=True) * away)
    far = np.linalg.norm(goal - p, axis=1)
    reach = np.clip(far, abs(l1 - l2) + 1e-6, (l1 + l2) * (1 - 1e-7))
    toward = unit(goal - p)
    turned = (swing(away, toward) @ normal[..., None])[..., 0]
    cosine = (l1**2 + reach**2 - l2**2) / (2 * l1 * reach)
    sine = np.sqrt(np.maximum(1 - cosine**2, 0))
    knee = p + l1 * (cosine[:, None] * toward + sine[:, None] * np.cross(toward, turned))
    ankle = p + reach[:, None] * toward
    pose.D[:, thigh] = frame(knee - p, turned) @ np.swapaxes(frame(k - p, normal), -1, -2) @ pose.D[:, thigh]
    pose.D[:, shin] = frame(ankle - knee, turned) @ np.swapaxes(frame(a - k, normal), -1, -2) @ pose.D[:, shin]


def _bend_toes(pose, side, sole, level):
    """Lift toes that would go through what they stand on, level (F,) m over the floor."""
    bones = toe_bones(pose.rig, pose.mapping, side)
    if bones:
        foot = pose.D[:, pose.mapping.bones[f"foot.{side}"]]
        pose.D[:, bones] = _lifted(pose.D[:, bones[0]], foot, sole, pose.heads[:, bones[0], 2] - level)[:, None]


def _lifted(toes, foot, sole, height):
    """Turns (F, 3, 3) of toes, bent up about the ball's joint as far as the floor asks. foot (F, 3, 3); height (F,) of the joint."""
    points = np.einsum("fij,pj->fpi", toes, sole.under_toes - sole.ball_joint)
    flat = unit((foot @ (sole.ball_joint - sole.ankle)) * [1, 1, 0])
    ahead, up = np.einsum("fpi,fi->fp", points, flat), points[..., 2]
    touching = np.arcsin(np.clip(-height[:, None] / np.maximum(np.hypot(ahead, up), 1e-9), -1, 1))
    far = ahead > 0.5 * ahead.max(1, keepdims=True).clip(0)  # what lies at the hinge no bend can lift
    need = np.where(far, touching - np.arctan2(up, ahead), 0.0).max(1).clip(0, np.pi / 2)
    return matrix_from_rotvec(np.cross(flat, [0, 0, 1.0]) * need[:, None]) @ toes
