"""The term of hands: how a palm is turned, by the points of its landmarks."""

from __future__ import annotations

from dataclasses import dataclass

import torch

from .bodies import Moves, Posed
from .picture import in_camera
from .rows import Rows, lets_go

SIGMA = 0.1  # rad, of the directions along a palm and across it: 0.07-0.10 in each axis on 108 rendered hands whose palms are 20-60 px (benchmarks.hand_stills)
CUT = 6.0  # sigmas; wrists are begun as the pose prior has them, up to 80° off
WRISTS, INDEX, PINKY = (20, 21), (24 + 21, 24 + 22), (24 + 23, 24 + 24)  # of Posed.points, left and right


@dataclass
class Palms:
    """What the pictures say of palms: P people, T frames, left and right."""

    directions: torch.Tensor  # (P, T, 2, 2, 3): unit vectors along the palm and from the little finger's knuckle to the index's, in camera axes
    weight: torch.Tensor  # (P, T, 2): 0 where a hand is not seen


def directions(points):
    """Along and across the palms (..., 2, 2, 3) of Posed.points (..., 49, 3), not yet of unit length."""
    wrist, index, pinky = (points[..., list(k), :] for k in (WRISTS, INDEX, PINKY))
    return torch.stack([(index + pinky) / 2 - wrist, index - pinky], -2)


def palm(evidence, posed: Posed, moves: Moves | None, widen=1.0) -> Rows:
    """Both directions of each palm against the landmarks'. widen: factor on the kernel's cut."""
    palms = evidence.palms
    way = directions(in_camera(evidence, posed.points))  # (P, T, 2, 2, 3)
    length = way.norm(dim=-1, keepdim=True)
    unit = way / length
    r = (unit - palms.directions) / SIGMA
    rows = Rows("palm", r.flatten(2, 3), palms.weight.repeat_interleave(2, -1), lets_go(CUT * widen), picture=True)
    if moves:
        eye = torch.eye(3, dtype=unit.dtype, device=unit.device)
        across = (eye - unit[..., :, None] * unit[..., None, :]) / length[..., None] / SIGMA
        by = across @ evidence.R_w_from_cam.mT[None, :, None, None]  # of the ways in W
        rows.by = {0: (by @ _ways(moves.points)).flatten(2, 4)}
        rows.by_shape = (by @ _ways(moves.points_shape)).flatten(2, 4)
    return rows


def _ways(by):
    """`directions` of derivatives (P, T, 49, 3, n): (P, T, 2, 2, 3, n)."""
    wrist, index, pinky = (by[:, :, list(k)] for k in (WRISTS, INDEX, PINKY))
    return torch.stack([(index + pinky) / 2 - wrist, index - pinky], 3)
