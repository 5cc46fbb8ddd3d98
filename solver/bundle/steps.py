"""Legs that no picture shows step as legs do, and who walks goes as fast as they step."""

from __future__ import annotations

import torch

from .bodies import PER_FRAME, PLACE, Moves, Posed
from .rows import Far, Rows, lets_go

BONES = ((1, 4), (4, 7), (7, 10)), ((2, 5), (5, 8), (8, 11))  # thigh, shank and foot of the left and the right leg
SIGMAS = (0.15, 0.15, 0.2)  # sines; two people of CMU's are 0.07, 0.09 and 0.11 off their common mean


def steps(posed: Posed, moves: Moves | None, ahead, up, sines, share) -> Rows:
    """Thighs and shanks swing to the front, and feet lift, by the sines (P, T, 2, 3) of world.gait.Walk.

    ahead: (P, T, 3) where people go, unit and level; held. up: (3,). share: (P, T) how surely they walk so. Feet count from a standing one.
    """
    a, b = (torch.tensor([[bone[end] for bone in leg] for leg in BONES]) for end in (0, 1))
    way = posed.joints[:, :, b] - posed.joints[:, :, a]  # (P, T, 2, 3, 3)
    length = way.norm(dim=-1, keepdim=True)
    unit = way / length
    axis = torch.stack([ahead, ahead, up.expand_as(ahead)], 2)[:, :, None].expand_as(unit)
    rest = posed.bodies.model.rest(posed.bodies.betas.detach())[0]
    flat = rest[:, b[:, 2]] - rest[:, a[:, 2]]
    wanted = sines.clone()
    wanted[..., 2] += (flat[..., 1] / flat.norm(dim=-1))[:, None]
    sigma = torch.tensor(SIGMAS, dtype=unit.dtype, device=unit.device)
    r = ((unit * axis).sum(-1) - wanted) / sigma
    weight = share.to(unit)[..., None].expand(-1, -1, 6)
    rows = Rows("steps", r.flatten(2)[..., None], weight, lets_go(3.0))
    if moves:
        across = (axis - unit * (unit * axis).sum(-1, keepdim=True)) / length / sigma[:, None]
        turn = lambda points: torch.einsum("ptlbc,ptlbcd->ptlbd", across, points[:, :, b] - points[:, :, a]).flatten(2, 3)
        rows.by, rows.by_shape = {0: turn(moves.points)}, turn(moves.points_shape)
    return rows


def pace(evidence, posed: Posed, moves: Moves | None, centre, ahead, speed, sigma) -> Far | None:
    """Who walks goes as fast as they step, from half second to half second, the way they face.

    centre: (T, 3) of the camera. ahead: (P, T, 3), unit and level; held. speed: (P,) m/s, NaN for those who do not walk. sigma: relative.
    """
    half, T = max(1, round(evidence.fps / 2)), ahead.shape[1]
    walks = torch.isfinite(speed)
    if T <= half or not walks.any():
        return None
    way = torch.nn.functional.normalize(ahead[:, half // 2 : T - (half - half // 2)], dim=-1)
    unit = evidence.fps / half / (sigma * torch.where(walks, speed, 1.0))[:, None]
    root = posed.joints[:, :, 0] + centre
    r = ((root[:, half:] - root[:, :-half]) * way).sum(-1) * unit - 1 / sigma
    weight = (evidence.span[:, half:] & evidence.span[:, :-half] & walks[:, None]).to(r)

    def forth(by):
        return (((by[:, half:, PLACE] - by[:, :-half, PLACE]) * way).sum(-1) * unit)[..., None]

    def back(r):
        out, pull = r.new_zeros(r.shape[0], T, PER_FRAME), way * (r * unit[..., None])
        out[:, half:, PLACE] += pull
        out[:, :-half, PLACE] -= pull
        return out

    return Far("pace", r[:, :, None, None], weight[..., None], lets_go(4.0), forth, back)
