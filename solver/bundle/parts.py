"""The terms of palms and heads: how they are turned, by the landmarks of hands and faces."""

from __future__ import annotations

from dataclasses import dataclass

import torch

from ..skeleton import KEYPOINTS
from .bodies import Moves, Posed
from .picture import in_camera
from .rows import Rows, lets_go

SIGMA_PALM = 0.1  # rad, of the directions along a palm and across it: 0.07-0.10 in each axis on 108 rendered hands whose palms are 20-60 px (benchmarks.hand_stills)
CUT_PALM = 6.0  # sigmas; wrists are begun as the pose prior has them, up to 80° off
# rad, one sigma on 148 rendered faces of eight people that look up to 90° away (benchmarks.face_stills dev and test, 64 px)
PITCH, YAW, ROLL = 0.11, 0.16, 0.10
CUT_HEAD = 6.0


def _ways(*parts):
    """(K, 49): sums of points of Posed less sums of others, each given as two lists of numbers."""
    out = torch.zeros(len(parts), 49, dtype=torch.float64)
    for way, (to, back) in zip(out, parts):
        way[list(to)] += 1 / len(to)
        way[list(back)] -= 1 / len(back)
    return out


def _of(*names):
    return [24 + KEYPOINTS.index(name) for name in names]


# Along and across each palm: from the wrist to between the knuckles, and from the little finger's knuckle to the index's.
PALMS = _ways(([45, 47], [20]), ([45], [47]), ([46, 48], [21]), ([46], [48]))
# Ahead of the head and across it: from between the ears to between the eyes, and from the right ear to the left.
HEADS = _ways((_of("left_eye", "right_eye"), _of("left_ear", "right_ear")), (_of("left_ear"), _of("right_ear")))


@dataclass
class Turned:
    """What the pictures say of parts of the body: P people, T frames, N parts a person, two directions each."""

    directions: torch.Tensor  # (P, T, N, 2, 3): unit vectors in camera axes
    weight: torch.Tensor  # (P, T, N): 0 where a part is not seen


@dataclass
class Heads:
    """How heads are turned by their faces: P people, T frames."""

    turn: torch.Tensor  # (P, T, 3, 3) from SMPL's rest axes to the camera's
    weight: torch.Tensor  # (P, T): 0 where no face is seen


def directions(ways, points):
    """PALMS or HEADS of Posed.points (P, T, 49, 3), not yet of unit length: (P, T, N, 2, 3)."""
    return (ways.to(points) @ points).unflatten(2, (-1, 2))


def head_ways(model):
    """Unit vectors (2, 3) ahead and across a head at rest, of the mean body."""
    joints, keypoints = model.rest(torch.zeros(10, dtype=model.dtype, device=model.device))
    ways = HEADS.to(joints) @ torch.cat([joints, keypoints])
    return ways / ways.norm(dim=-1, keepdim=True)


def palm(evidence, posed: Posed, moves: Moves | None, widen=1.0) -> Rows:
    """Both directions of each palm against the landmarks'. widen: factor on the kernel's cut."""
    eye = torch.eye(3, dtype=posed.points.dtype, device=posed.points.device)
    return _rows("palm", PALMS, eye / SIGMA_PALM, CUT_PALM * widen, evidence.palms, evidence, posed, moves)


def head(evidence, posed: Posed, moves: Moves | None, widen=1.0) -> Rows:
    """Both directions of each head against the face's. widen: factor on the kernel's cut."""
    seen = evidence.heads
    directions = head_ways(posed.bodies.model).to(seen.turn) @ seen.turn.mT
    # In the head's own axes (left, up, ahead) a small turn moves both directions: its yaw is seen twice.
    sigmas = seen.turn.new_tensor([[2**0.5 * YAW, PITCH, PITCH], [2**0.5 * YAW, ROLL, 2**0.5 * YAW]])
    scaled = (seen.turn[:, :, None] / sigmas[:, None]).mT[:, :, None]  # (P, T, 1, 2, 3, 3)
    return _rows("head", HEADS, scaled, CUT_HEAD * widen, Turned(directions[:, :, None], seen.weight[..., None]), evidence, posed, moves)


def _rows(name, ways, scaled, cut, seen: Turned, evidence, posed, moves) -> Rows:
    """scaled: (..., 3, 3) that turns differences in camera axes into axes in which sigmas are known, in their units."""
    way = directions(ways, in_camera(evidence, posed.points))
    length = way.norm(dim=-1, keepdim=True)
    unit = way / length
    r = (scaled @ (unit - seen.directions)[..., None])[..., 0]
    rows = Rows(name, r.flatten(2, 3), seen.weight.repeat_interleave(2, -1), lets_go(cut), picture=True)
    if moves:
        eye = torch.eye(3, dtype=unit.dtype, device=unit.device)
        across = (eye - unit[..., :, None] * unit[..., None, :]) / length[..., None]
        by = scaled @ across @ evidence.R_w_from_cam.mT[None, :, None, None]  # of the ways in W
        along = lambda points: directions(ways, points.flatten(3)).unflatten(4, (3, -1))
        rows.by = {0: (by @ along(moves.points)).flatten(2, 4)}
        rows.by_shape = (by @ along(moves.points_shape)).flatten(2, 4)
    return rows
