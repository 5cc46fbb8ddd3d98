"""Terms of how people move: smoothly, and where nothing holds them, on a course. Metres count in body sizes, so that no one gets smoother
by shrinking."""

from __future__ import annotations

import torch

from .bodies import PLACE, Moves, Posed, hat
from .rows import Far, Rows, holds_on, lets_go, plain

SIGMA_ACCELERATION = 9.0  # m/s^2, joints about the root
SIGMA_ROOT_ACCELERATION = 3.5  # m/s^2
WEIGHT_ROOT = 3.0
SIGMA_TURN = 60.0  # rad/s^2, change of turning of every joint
ARMS = 17  # first of elbows, wrists and hands, SMPL's last six joints; the root not counted
SIGMA_COURSE = 0.25  # m/s^2, change of the root's velocity from half second to half second
BEND = {0: 1.0, 1: -2.0, 2: 1.0}  # of three frames


def bend(x):
    """Second differences (P, T - 2, ...) over the second axis."""
    return x[:, 2:] - 2 * x[:, 1:-1] + x[:, :-2]


def _three(evidence, like):
    return (evidence.span[:, 2:] & evidence.span[:, :-2]).to(like)[..., None]


def _accelerations(name, places, by_places, by_shape, unit, size, log_size, weight, kernel):
    """Rows of accelerations (P, T - 2, G, 3) of places (P, T, G, 3), in units of sigma and body sizes."""
    r = bend(places) * (unit / size[:, None, None, None])
    rows = Rows(name, r, weight, kernel)
    if by_places is not None:
        rows.places, rows.differences = (by_places * (unit / size[:, None, None, None, None])).flatten(2, 3), BEND
        rows.by_shape = (bend(by_shape) * (unit / size[:, None, None, None, None])).flatten(2, 3)
        rows.by_shape = rows.by_shape - r.flatten(2)[..., None] * log_size[:, None, None]
    return rows


def smooth(evidence, posed: Posed, moves: Moves | None, centre) -> list[Rows]:
    """Accelerations of the joints about the root, and of the root, within each person's span.

    Beyond a cut, trunk and legs are let go, as who runs goes there; arms are not, for what goes there is a jump between two guesses of
    their depth. centre: (T, 3) of the camera in W, m.
    """
    joints, size = posed.joints, posed.bodies.size()
    both = _three(evidence, joints)
    about = joints[:, :, 1:] - joints[:, :, :1]
    by = by_shape = None
    log_size = moves.log_size if moves else None
    if moves:
        by = moves.points[:, :, 1:24] - moves.points[:, :, :1]
        by_shape = moves.points_shape[:, :, 1:24] - moves.points_shape[:, :, :1]
    unit = evidence.fps**2 / SIGMA_ACCELERATION
    out = []
    for name, part, kernel in (("limbs", slice(0, ARMS), lets_go(4.0)), ("arms", slice(ARMS, None), holds_on(2.0))):
        derivatives = (by[:, :, part], by_shape[:, :, part]) if moves else (None, None)
        weight = both.expand(-1, -1, about[:, :, part].shape[2])
        out.append(_accelerations(name, about[:, :, part], *derivatives, unit, size, log_size, weight, kernel))
    root = joints[:, :, :1] + centre[:, None]
    derivatives = (moves.points[:, :, :1], moves.points_shape[:, :, :1]) if moves else (None, None)
    unit = evidence.fps**2 / SIGMA_ROOT_ACCELERATION
    out.append(_accelerations("root", root, *derivatives, unit, size, log_size, WEIGHT_ROOT * both, holds_on(4.0)))
    return out


def turning(evidence, posed: Posed, moves: Moves | None) -> Rows:
    """Accelerations of every joint's turning, as differences of rotation matrices."""
    unit = evidence.fps**2 / SIGMA_TURN
    R = posed.R
    r = (bend(R) * unit).flatten(-2)
    rows = Rows("turning", r, 0.5 * _three(evidence, R).expand(-1, -1, 24), plain())
    if moves:
        eye = torch.eye(3, dtype=R.dtype, device=R.device)
        about = hat(eye)  # (3 axes, 3, 3)
        root = torch.einsum("iab,ptbc->ptaci", about, R[:, :, 0])
        rest = torch.einsum("ptjab,ibc->ptjaci", R[:, :, 1:], about)
        rest = torch.einsum("ptjaci,ptjik->ptjack", rest, moves.turn)
        by = unit * torch.cat([root[:, :, None], rest], 2).flatten(3, 4)  # (P, T, 24, 9, 3)
        frames = by.shape[1] - 2
        rows.by_joint = {at: factor * by[:, at : at + frames] for at, factor in BEND.items()}
    return rows


def course(evidence, posed: Posed, moves: Moves | None, centre, contact) -> Far | None:
    """Whom no standing foot holds keeps their course: the root's velocity hardly changes from one half second to the next, while what it
    does within a step, which takes about as long, cancels out. By itself one camera sees depth too badly to hold it.

    contact: (P, T, 4).
    """
    half = max(1, round(evidence.fps / 2))
    T = contact.shape[1]
    if T <= 2 * half:
        return None
    size = posed.bodies.size()[:, None, None]
    unit = (evidence.fps / half) ** 2 / SIGMA_COURSE / size
    jump = lambda x: x[:, 2 * half :] - 2 * x[:, half:-half] + x[:, : -2 * half]
    both = (evidence.span[:, 2 * half :] & evidence.span[:, : -2 * half]).to(unit)
    loose = 1 - contact.amax(-1)
    loose = torch.maximum(torch.maximum(loose[:, 2 * half :], loose[:, half:-half]), loose[:, : -2 * half])

    def forth(by):
        return jump(by[..., PLACE]) * unit

    def back(r):
        out = r.new_zeros(r.shape[0], T, 75)
        r = r * unit
        out[:, 2 * half :, PLACE] += r
        out[:, half:-half, PLACE] -= 2 * r
        out[:, : -2 * half, PLACE] += r
        return out

    r = jump(posed.joints[:, :, 0] + centre) * unit
    out = Far("course", r[:, :, None], (both * loose)[..., None], holds_on(2.0), forth, back)
    if moves:
        out.by_shape = -r[..., None] * moves.log_size[:, None, None]
    return out
