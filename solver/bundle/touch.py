"""Bodies that hold each other touch and do not pass through each other."""

from __future__ import annotations

import weakref

import torch

from .bodies import Moves, Posed
from .rows import Rows, holds_on

SIGMA_INSIDE = 0.03  # m
HEAD = 0.07  # m, the sphere between the ears: meshes have eyes and teeth there
SOFT = 0.02  # m by which bodies and clothes give way
# Points of a body in whose middle there is a centre, beside the joints: thighs, shanks, arms, and the head between its ears.
BONES = ((1, 4), (2, 5), (4, 7), (5, 8), (16, 18), (17, 19), (18, 20), (19, 21), (24 + 3, 24 + 4))
A, B = [*range(24), *(a for a, _ in BONES)], [*range(24), *(b for _, b in BONES)]
_radii = weakref.WeakKeyDictionary()


def radii(model) -> torch.Tensor:
    """(33,) m: spheres about these centres that just lie in the mean body."""
    if model not in _radii:
        betas = torch.zeros(10, dtype=model.dtype)
        points = torch.cat(model.rest(betas))
        vertices = model.vertices(betas, torch.zeros(24, 3, dtype=model.dtype), torch.zeros(3, dtype=model.dtype))
        _radii[model] = torch.cdist((points[A] + points[B]) / 2, vertices).amin(1)
        _radii[model][-1] = HEAD
    return _radii[model]


def apart(evidence, posed: Posed, moves: Moves | None) -> Rows | None:
    """How deep spheres in a body lie in those of somebody else. None where nobody is in another.

    Each person's rows move that person alone: the others stand as they are. So they may not stand beside cameras that are unknowns (filming.Filming
    would take a camera's move for a move of one of the two).
    """
    P, T = posed.bodies.root.shape[:2]
    if P < 2:
        return None
    points = (posed.points[:, :, A] + posed.points[:, :, B]) / 2  # (P, T, 33, 3)
    radius = radii(posed.bodies.model) * posed.bodies.size().detach()[:, None]  # (P, 33)
    there = evidence.span
    depth, away = points.new_full((P, T, len(A)), -1.0), torch.zeros_like(points)
    for p in range(P):
        for q in range(P):
            near = there[p] & there[q] & ((posed.bodies.root[p] - posed.bodies.root[q]).detach().norm(dim=-1) < 2.0)
            if p == q or not near.any():
                continue
            between = points[p, near][:, :, None] - points[q, near].detach()[:, None]  # (n, 33, 33, 3)
            distance = between.norm(dim=-1).clamp_min(1e-6)
            inside, nearest = (radius[p, :, None] + radius[q] - distance).max(-1)
            pick = nearest[..., None, None].expand(-1, -1, 1, 3)
            unit = (between.gather(2, pick)[:, :, 0] / distance.gather(2, nearest[..., None])).detach()
            deeper = inside > depth[p, near]
            rows = near.nonzero()[:, 0]
            depth = depth.index_put((torch.full_like(rows, p), rows), torch.where(deeper, inside, depth[p, near]))
            away = away.index_put((torch.full_like(rows, p), rows), torch.where(deeper[..., None], unit, away[p, near]))
    sunk = torch.relu(depth - SOFT)
    if not (sunk > 0).any():
        return None
    rows = Rows("apart", (sunk / SIGMA_INSIDE)[..., None], there[..., None].to(sunk).expand_as(sunk), holds_on(2.0))
    if moves:
        along = -away * (sunk > 0)[..., None] / SIGMA_INSIDE
        middle = lambda by: (by[:, :, A] + by[:, :, B]) / 2
        rows.by = {0: torch.einsum("ptnc,ptncd->ptnd", along, middle(moves.points))}
        rows.by_shape = torch.einsum("ptnc,ptncd->ptnd", along, middle(moves.points_shape))
    return rows
