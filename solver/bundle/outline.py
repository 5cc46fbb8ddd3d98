"""The masks' outlines: what no joint tells of limbs, feet and heads. Pairs of skin and outline come from world.outline."""

from __future__ import annotations

import torch

from .bodies import ANCESTORS, Moves, Posed
from .rows import Rows, lets_go

SIGMA = 0.03  # m in the image plane: clothes and hair stand out
SIGMA_PX = 2.0  # px at 640 wide: masks are coarse
CUT = 4.0  # sigmas beyond which a pair counts as a mistake: something in front, a mask that misses a limb
NEAREST = 0.1


def outline(evidence, pairs, skin, posed: Posed, moves: Moves | None) -> Rows:
    """Distances of pairs across the outline.

    pairs: world.outline.Pairs, M of them in (P, T) lists of equal length L, empty places with weight 0. skin: world.outline.Skin.
    """
    bodies, bones = posed.bodies, posed.bones
    P, T = pairs.skin.shape[:2]
    rest = skin.rest(bodies.betas)  # (P, S, 3)
    person = torch.arange(P)[:, None, None]
    bone, weight = skin.bones[pairs.skin], skin.weights[pairs.skin]  # (P, T, L, 4)
    point = rest[person, pairs.skin]  # (P, T, L, 3)
    at = bones[person[..., None], torch.arange(T)[:, None, None], bone]  # (P, T, L, 4, 4, 4)
    under = (at[..., :3, :3] @ point[..., None, :, None])[..., 0] + at[..., :3, 3]  # (P, T, L, 4, 3) as each bone has it
    place = (weight[..., None] * under).sum(3)
    cam = torch.einsum("tji,ptlj->ptli", evidence.R_w_from_cam, place)
    z = cam[..., 2:].clamp_min(NEAREST)
    uv = torch.einsum("tij,ptlj->ptli", evidence.K, cam / z)[..., :2]
    metres_per_px = evidence.metres_per_px[..., None]
    sigma = (SIGMA**2 + (SIGMA_PX / 320 * evidence.K[0, 0, 2] * metres_per_px) ** 2).sqrt()  # 320: half the picture's width
    off = ((pairs.xy - uv) * pairs.normal).sum(-1) * metres_per_px
    inside = (off > 0) & (off <= pairs.slack)
    off = torch.where(off > 0, torch.relu(off - pairs.slack), off)
    rows = Rows("outline", (off / sigma)[..., None], pairs.weight, lets_go(CUT), picture=True)
    if moves:
        f = evidence.K[:, [0, 1], [0, 1]][None, :, None]
        n = pairs.normal * f * (-metres_per_px / sigma * ~inside)[..., None]  # of the row by cam x/z, y/z
        rows.by_lens = (n * cam[..., :2] / z).sum(-1)
        by_cam = torch.cat([n / z, -(n * cam[..., :2]).sum(-1, keepdim=True) / z**2 * (cam[..., 2:] > NEAREST)], -1)
        by_place = torch.einsum("tij,ptlj->ptli", evidence.R_w_from_cam, by_cam)  # (P, T, L, 3) in W
        hangs = ANCESTORS[bone].to(weight)  # (P, T, L, 4, 24)
        share = weight[..., None] * hangs
        arm = torch.einsum("ptlbk,ptlbc->ptlkc", share, under) - share.sum(3)[..., None] * posed.joints[:, :, None]
        moment = torch.linalg.cross(arm, by_place[..., None, :].expand_as(arm))  # (P, T, L, 24, 3)
        by = torch.einsum("ptlkc,ptkcd->ptlkd", moment, moves.axes).flatten(3)
        rows.by = {0: torch.cat([by, by_place], -1)}
        # of the shape: each bone's own joint moves, and the skin about it
        added = skin.dirs[pairs.skin][..., None, :, :] - bodies.model._points_dirs[bone]  # (P, T, L, 4, 3, 10)
        joints = moves.points_shape[:, :, :24][person[..., None], torch.arange(T)[:, None, None], bone]
        by_shape = (weight[..., None, None] * (at[..., :3, :3] @ added + joints)).sum(3)
        rows.by_shape = torch.einsum("ptlc,ptlcd->ptld", by_place, by_shape)
    return rows
