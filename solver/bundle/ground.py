"""Terms of the ground: who stands on it keeps still and balanced, nobody sinks, and up is where bodies and cameras say."""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch

from ..skeleton import MASS
from .bodies import PER_FRAME, PLACE, Moves, Posed, turned
from .picture import trunk
from .rows import Far, Rows, Shared, holds_on, lets_go, plain

FEET = [17, 19, 18, 20]  # keypoints: left heel, left toe, right heel, right toe
BALLS = [10, 11]  # joints: left and right foot
SIGMA_SLIDE = 0.05  # m/s, a foot on the ground
SIGMA_HEIGHT = 0.015  # m, a foot on the ground above or below it
SIGMA_SUNK = 0.01  # m
SIGMA_FLOOR = 0.03  # m, a background point under a standing foot
FLOOR_POINTS = 60
SIGMA_HEADING = 0.2094  # rad (12 degrees), pelvis against the course of walking
WEIGHT_HEADING = 5.0
SIGMA_LEAN = 0.1396  # rad (8 degrees), the trunk of a bust against up
WEIGHT_BALANCE = 5.0
SIGMA_BALANCE = 0.05  # m, centre of mass from the middle of the feet, mean of a second
HIPS, SIGMA_HIPS = 0.97, 0.06  # of a leg's length over the ankles that stand: CMU's walks, runs, dances and games are 0.95-0.98 +- 0.04-0.11
SIGMA_ROLL = 0.1047  # rad (6 degrees): film cameras are mostly level
WEIGHT_ROLL = 3.0
SIGMA_UP = 0.1745  # rad (10 degrees): people are mostly upright
WEIGHT_UPRIGHTS = 20.0  # a guess: bodies' errors repeat from frame to frame, those of houses are counted once


@dataclass
class Ground:
    """A plane in W: up . x = height. up0 (3,) and basis (2, 3) across it; tilt (2,) and height () are the unknowns."""

    up0: torch.Tensor
    basis: torch.Tensor
    tilt: torch.Tensor
    height: torch.Tensor
    locked: bool = False

    def moved(self, by) -> Ground:
        """Moved by (3,): tilt and height."""
        return self if self.locked else replace(self, tilt=self.tilt + by[:2], height=self.height + by[2])

    def up(self):
        up = self.up0 + self.tilt @ self.basis
        return up / up.norm()

    def up_by(self):
        """(3, 3): of up by tilt and height."""
        up = self.up0 + self.tilt @ self.basis
        unit = up / up.norm()
        across = (torch.eye(3).to(up) - unit[:, None] * unit) / up.norm()
        return torch.cat([across @ self.basis.T, torch.zeros(3, 1).to(up)], 1)


def _above(ground: Ground, points):
    """Height (...,) of points (..., 3) in W over the ground, and its derivative (..., 3) by tilt and height."""
    by = points @ ground.up_by()
    by[..., 2] -= 1
    return points @ ground.up() - ground.height, by


def stand(evidence, posed: Posed, moves: Moves | None, centre, ground: Ground, contact, cut, still=None) -> list[Rows]:
    """Standing feet keep still and on the ground; no foot goes below it. Lengths count in body sizes.

    contact: (P, T, 4) in the order of FEET. cut: sigmas beyond which a contact counts as a mistake. centre: (T, 3) of the camera in W.
    still: (P, T, 4), feet that keep still, those on something over the ground too; None: those of contact.
    """
    still = contact if still is None else still
    rows_of_feet = [24 + k for k in FEET]
    feet = posed.points[:, :, rows_of_feet] + centre[:, None]
    size = posed.bodies.size()[:, None, None]
    step = (feet[:, 1:] - feet[:, :-1]) * (evidence.fps / SIGMA_SLIDE / size[..., None])
    slide = Rows("slide", step, torch.minimum(still[:, 1:], still[:, :-1]), lets_go(cut))
    above, by_ground = _above(ground, feet)
    height = Rows("stand", (above / size / SIGMA_HEIGHT)[..., None], contact, lets_go(cut))
    sunk = torch.relu(-above)
    below = Rows("sunk", (sunk / size / SIGMA_SUNK)[..., None], evidence.span[..., None].to(above).expand_as(above), plain())
    if moves:
        by, by_shape = moves.points[:, :, rows_of_feet], moves.points_shape[:, :, rows_of_feet]
        log_size = moves.log_size[:, None, None]
        unit = evidence.fps / SIGMA_SLIDE / size[..., None, None]
        slide.places, slide.differences = (by * unit).flatten(2, 3), {0: -1.0, 1: 1.0}
        slide.by_shape = ((by_shape[:, 1:] - by_shape[:, :-1]) * unit).flatten(2, 3) - step.flatten(2)[..., None] * log_size
        up = ground.up()
        lift, lift_shape = torch.einsum("c,ptncd->ptnd", up, by), torch.einsum("c,ptncd->ptnd", up, by_shape)
        for rows, sign in ((height, 1.0 / SIGMA_HEIGHT), (below, -(sunk > 0).to(above)[..., None] / SIGMA_SUNK)):
            unit = sign / size[..., None]
            rows.by = {0: lift * unit}
            rows.by_shape = lift_shape * unit - rows.r * log_size
            rows.by_ground = by_ground * unit
    return [slide, height, below]


def balls(evidence, posed: Posed, moves: Moves | None, centre, ground: Ground) -> Rows:
    """The ball of a foot stays above the ground by what is under it in the rest pose: toes that bend up would let it sink."""
    bodies = posed.bodies
    rest_joints, rest_keypoints = bodies.model.rest(bodies.betas.detach())
    sole = rest_joints[:, BALLS, 1] - rest_keypoints[:, FEET[::2], 1]
    above, by_ground = _above(ground, posed.joints[:, :, BALLS] + centre[:, None])
    sunk = torch.relu(sole[:, None] - above)
    rows = Rows("balls", (sunk / SIGMA_SUNK)[..., None], evidence.span[..., None].to(above).expand_as(above), plain())
    if moves:
        unit, up = -(sunk > 0).to(above)[..., None] / SIGMA_SUNK, ground.up()
        rows.by = {0: torch.einsum("c,ptncd->ptnd", up, moves.points[:, :, BALLS]) * unit}
        rows.by_shape = torch.einsum("c,ptncd->ptnd", up, moves.points_shape[:, :, BALLS]) * unit
        rows.by_ground = by_ground * unit
    return rows


def heading(evidence, posed: Posed, moves: Moves | None, centre, ground: Ground) -> Rows | None:
    """People mostly face where they walk: hips against the root's course, the faster the surer; who walks otherwise is an outlier."""
    if posed.points.shape[1] < 3:
        return None
    root, up = posed.joints[:, :, 0] + centre, ground.up()
    flat = torch.eye(3).to(up) - up[:, None] * up
    velocity, forward = (root[:, 2:] - root[:, :-2]) * (evidence.fps / 2), posed.forward()[:, 1:-1]
    course, ahead = velocity @ flat, forward @ flat
    speed, length = course.norm(dim=-1, keepdim=True).clamp_min(1e-3), ahead.norm(dim=-1, keepdim=True).clamp_min(1e-3)
    a, b = course / speed, ahead / length
    sure = torch.sigmoid((speed[..., 0].detach() - 0.6) / 0.1) * evidence.span[:, 1:-1]
    rows = Rows("heading", ((a - b) / SIGMA_HEADING)[:, :, None], WEIGHT_HEADING * sure[..., None], lets_go(3.0))
    if moves:
        across = lambda unit, norm: (torch.eye(3).to(up) - unit[..., None] * unit[..., None, :]) / norm[..., None] / SIGMA_HEADING
        of_course, of_ahead = across(a, speed), across(b, length)
        pad = lambda block, at: torch.nn.functional.pad(block, (at, PER_FRAME - at - 3))
        turn = turned(torch.eye(3).to(up), forward)
        by_root = of_course @ flat * (evidence.fps / 2)
        rows.by = {0: pad(-by_root, PLACE.start), 1: pad(-of_ahead @ flat @ turn, 0), 2: pad(by_root, PLACE.start)}
        rows.by_ground = of_course @ _flat_by_ground(velocity, ground) - of_ahead @ _flat_by_ground(forward, ground)
    return rows


def upright(evidence, posed: Posed, moves: Moves | None, ground: Ground) -> Rows:
    """Where no hip is seen, no picture tells how far a trunk leans: it is upright."""
    unit, by, by_shape = trunk(posed, moves)
    rows = Rows("upright", ((unit - ground.up()) / SIGMA_LEAN)[:, :, None], evidence.bust[..., None].to(unit), holds_on(2.0))
    if moves:
        rows.by, rows.by_shape = {0: by / SIGMA_LEAN}, by_shape / SIGMA_LEAN
        rows.by_ground = (-ground.up_by() / SIGMA_LEAN).expand(unit.shape + (3,))
    return rows


def legs(evidence, posed: Posed, moves: Moves | None, centre, ground: Ground) -> Rows:
    """Whose legs no picture shows stands or walks: the hips are over the ground as far as legs carry them; who sits or lies is an outlier.

    The legs' length is that of the bodies as they are.
    """
    rest_joints, rest_keypoints = posed.bodies.model.rest(posed.bodies.betas.detach())
    leg = (rest_joints[:, 1] - rest_joints[:, 4]).norm(dim=-1) + (rest_joints[:, 4] - rest_joints[:, 7]).norm(dim=-1)
    ankle = rest_joints[:, 7, 1] - rest_keypoints[:, FEET[0], 1]  # over the sole
    hips = posed.joints[:, :, [1, 2]].mean(2) + centre
    above, by_ground = _above(ground, hips)
    unit = 1 / (SIGMA_HIPS * leg)[:, None]
    r = (above - ankle[:, None] - HIPS * leg[:, None]) * unit
    rows = Rows("legs", r[..., None, None], evidence.legless[..., None].to(r), lets_go(3.0))
    if moves:
        mean = lambda x: torch.einsum("c,ptcd->ptd", ground.up(), x[:, :, [1, 2]].mean(2))
        rows.by = {0: (mean(moves.points) * unit[..., None])[:, :, None]}
        rows.by_shape = (mean(moves.points_shape) * unit[..., None])[:, :, None]
        rows.by_ground = (by_ground * unit[..., None])[:, :, None]
    return rows


def balance(evidence, posed: Posed, moves: Moves | None, ground: Ground) -> Far:
    """Nobody falls: over a second, the centre of mass is above the middle of the feet. What one camera sees worst is a lean towards it.

    Who hangs, swims or rides is an outlier.
    """
    points, up = posed.points, ground.up()
    mass = points.new_zeros(49)
    mass[list(MASS)] = torch.tensor(list(MASS.values()), dtype=points.dtype, device=points.device)
    mass[[24 + k for k in FEET]] -= 0.25
    flat = torch.eye(3).to(up) - up[:, None] * up
    width = 2 * round(evidence.fps / 2) + 1
    span = evidence.span.to(points)
    share = _window(span[..., None], width).clamp_min(1e-3)
    mean = lambda x: _window(x * span[..., None], width) / share / SIGMA_BALANCE
    off = torch.einsum("n,ptnc->ptc", mass, points)
    out = Far("balance", (mean(off) @ flat)[:, :, None], WEIGHT_BALANCE * span[..., None], lets_go(4.0))
    if moves:
        by = flat @ torch.einsum("n,ptncd->ptcd", mass, moves.points)
        by_shape = flat @ torch.einsum("n,ptncd->ptcd", mass, moves.points_shape)
        out.forth = lambda x: mean((by @ x[..., None])[..., 0])
        out.back = lambda r: (by.mT @ (_window(r / share / SIGMA_BALANCE, width) * span[..., None])[..., None])[..., 0]
        out.by_shape = mean(by_shape.flatten(2)).unflatten(-1, (3, 10))
        out.by_ground = _flat_by_ground(mean(off), ground)
    return out


def _flat_by_ground(vectors, ground: Ground):
    """How what lies across up of vectors (..., 3) changes (..., 3, 3) with tilt and height."""
    up, by = ground.up(), ground.up_by()
    return -(up[:, None] * (vectors @ by)[..., None, :] + (vectors @ up)[..., None, None] * by)


def _window(x, width):
    """Means (P, T, C) over `width` frames, zeros beyond the ends."""
    return torch.nn.functional.avg_pool1d(x.mT, width, 1, width // 2).mT


def floor(points, scale, ground: Ground) -> Shared | None:
    """Points under standing feet lie on the ground, at the scale of the camera's path. Many points count as FLOOR_POINTS.

    points: (n, 2, 3), see world.terms.points_underfoot.
    """
    if len(points) < 4:
        return None
    above, by = _above(ground, scale * points[:, 0])
    variance = SIGMA_FLOOR**2 + ((scale * points[:, 1]) @ ground.up().detach()) ** 2
    count = float((SIGMA_FLOOR**2 / variance).sum())
    weight = torch.full_like(above, min(1.0, FLOOR_POINTS / max(count, 1e-9)))
    sigma = variance.sqrt()
    return Shared("floor", (above / sigma)[:, None], weight, lets_go(3.0), by_ground=(by / sigma[:, None])[:, None])


def level(evidence, ground: Ground) -> Shared:
    """The camera's x axis is level, as far as its frames agree."""
    across = evidence.R_w_from_cam[:, :, 0]
    weight = torch.full((len(across),), WEIGHT_ROLL / len(across)).to(across)
    return Shared(
        "level", (across @ ground.up() / SIGMA_ROLL)[:, None], weight, lets_go(3.0),
        by_ground=(across @ ground.up_by() / SIGMA_ROLL)[:, None],
    )  # fmt: skip


def tilt(ground: Ground, count) -> Shared:
    """Up keeps to the first guess of it, by bodies that stand; count: how often it says so."""
    by = torch.nn.functional.pad(torch.eye(2).to(ground.tilt) / SIGMA_UP, (0, 1))[None]
    return Shared("tilt", (ground.tilt / SIGMA_UP)[None], torch.full((1,), float(count)).to(ground.tilt), plain(), by_ground=by)


def uprights(ground: Ground, seen, sure=False) -> Shared:
    """Up is where upright edges of the background say, or, unless they are sure, lets them go. seen: mean (3,) in W, covariance (2, 2) rad² and the axes across it (2, 3) it is of."""
    mean, covariance, axes = (torch.as_tensor(part).to(ground.tilt) for part in seen)
    unit = torch.linalg.cholesky(torch.linalg.inv(covariance)).mT @ axes
    r = unit @ (ground.up() - mean)
    return Shared("uprights", r[None], torch.full((1,), WEIGHT_UPRIGHTS).to(r), plain() if sure else lets_go(3.0), by_ground=(unit @ ground.up_by())[None])
