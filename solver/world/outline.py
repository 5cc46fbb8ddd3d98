"""The masks' outlines as evidence of the bodies: what no joint tells of limbs, feet and heads (a term of f_H).

Outlines are matched as in iterative closest points: before every round each point of a mask's outline takes the nearest point of the
body's skin, and skin that lies outside of its mask takes the nearest point of the mask; during the round the pairs stay.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial

import cv2
import numpy as np
import torch

from ..body.fit import robust

SIGMA = 0.03  # m in the image plane: clothes and hair stand out
SIGMA_PX = 2.0  # px at 640 wide: masks are coarse
CUT = 4.0  # sigmas beyond which a pair counts as a mistake: something in front, a mask that misses a limb
COUNTS_AS = 150.0  # observations that one outline of one frame is worth, however many points it has
CLOTHES = 0.01  # m that a mask may stand out from the skin
POINTS = 40  # of an outline, and as many of the skin outside of it
SKIN = 1600  # points of a body's skin that are looked at
BONES = 4  # of a point of the skin
SMALL = 0.05  # of the mask's area: smaller pieces are crumbs


@dataclass
class Pairs:
    """Points of skin and where in the picture they should be, flattened over people and frames."""

    person: torch.Tensor  # (M,)
    frame: torch.Tensor  # (M,)
    skin: torch.Tensor  # (M,) row of Outlines.skin
    xy: torch.Tensor  # (M, 2) px
    normal: torch.Tensor  # (M, 2) out of the mask
    weight: torch.Tensor  # (M,)
    slack: torch.Tensor  # (M,) m


class Outlines:
    """Outlines of all people's masks in all frames, and the skin to match them with."""

    def __init__(self, masks, ids, visible, model):
        """masks: index -> (H, W) instance mask. ids (P,). visible (P, T)."""
        self.masks, self.ids, self.visible, self.model = masks, ids, visible, model
        rows = _spread(model.v_template.double().numpy(), SKIN)
        weights, self.bones = model.weights[rows].topk(BONES, -1)
        self.weights = weights / weights.sum(-1, keepdim=True)
        self.rows = torch.as_tensor(rows)

    def rest(self, betas):
        """Skin of the rest body (P, SKIN, 3)."""
        return self.model.v_template[self.rows] + torch.einsum("pb,vcb->pvc", betas, self.model.shapedirs[self.rows])

    def place(self, rest, T_bones, person, frame, skin):
        """Posed points (M, 3) of the skin. rest (P, SKIN, 3), T_bones (P, T, 24, 4, 4)."""
        point = rest.flatten(0, 1).index_select(0, person * SKIN + skin)
        rows = ((person * T_bones.shape[1] + frame) * T_bones.shape[2])[:, None] + self.bones[skin]
        T = T_bones[..., :3, :].flatten(0, 2).flatten(1).index_select(0, rows.flatten()).view(-1, BONES, 12)
        T = (self.weights[skin][..., None] * T).sum(1).view(-1, 3, 4)
        return (T[..., :3] @ point[..., None])[..., 0] + T[..., 3]

    @torch.no_grad()
    def match(self, bodies, centre, evidence) -> Pairs | None:
        """Pairs for the bodies as they are; None where no mask has an outline. centre: (T, 3) of the camera in W."""
        T_bones = bodies.pose(centre)[0]
        rest, found = self.rest(bodies.betas), []
        every = torch.arange(SKIN)
        for t in np.flatnonzero(self.visible.any(0)):
            mask = self.masks(int(t))
            for p in np.flatnonzero(self.visible[:, t]):
                whole = torch.full((SKIN,), int(p)), torch.full((SKIN,), int(t))
                xyz = self.place(rest, T_bones, *whole, every)
                cam = (xyz - centre[t]) @ evidence.R_w_from_cam[t]
                uv = (cam @ evidence.K[t].T)[:, :2] / cam[:, 2:].clamp_min(0.1)
                pairs = _pairs(mask, int(self.ids[p]), uv.numpy())
                if pairs is not None:
                    skin, xy, normal, outer = pairs
                    same = partial(np.full, len(skin))
                    found.append((same(p), same(t), skin, xy, normal, same(COUNTS_AS / len(skin)), outer * CLOTHES))
        if not found:
            return None
        p, t, skin, xy, normal, weight, slack = (np.concatenate(part) for part in zip(*found))
        real = lambda a: torch.as_tensor(a, dtype=torch.float32)
        return Pairs(torch.as_tensor(p), torch.as_tensor(t), torch.as_tensor(skin), real(xy), real(normal), real(weight), real(slack))

    def term(self, pairs, bodies, T_bones, centre, evidence):
        """Sum of robust distances of the pairs across the outline. T_bones (P, T, 24, 4, 4), centre (T, 3): in W."""
        rest = self.rest(bodies.betas)
        xyz = self.place(rest, T_bones, pairs.person, pairs.frame, pairs.skin)
        R, K = evidence.R_w_from_cam[pairs.frame], evidence.K[pairs.frame]
        cam = torch.einsum("mji,mj->mi", R, xyz - centre.index_select(0, pairs.frame))
        uv = torch.einsum("mij,mj->mi", K, cam / cam[:, 2:].clamp_min(0.1))[:, :2]
        metres_per_px = evidence.metres_per_px[pairs.person, pairs.frame]
        softness = SIGMA_PX / 320 * evidence.K[0, 0, 2]  # half the picture's width
        off = ((pairs.xy - uv) * pairs.normal).sum(-1) * metres_per_px
        off = torch.where(off > 0, torch.relu(off - pairs.slack), off)
        return (pairs.weight * robust(off**2 / (SIGMA**2 + (softness * metres_per_px) ** 2), CUT)).sum()


def _pairs(mask, person, uv):
    """Rows of skin, px (n, 2), outward normals (n, 2) and whether the mask stands out (n,); None without an outline."""
    h, w = mask.shape
    own = (mask == person).astype(np.uint8)
    area = int(own.sum())
    if area < 30:
        return None
    contours, _ = cv2.findContours(own, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
    points = np.concatenate([c[:, 0] for c in contours if cv2.contourArea(c) > SMALL * area] or [np.zeros((0, 2), int)])
    others = cv2.dilate(((mask > 0) & (mask != person)).astype(np.uint8), np.ones((5, 5), np.uint8))
    inner = (points > 1).all(1) & (points[:, 0] < w - 2) & (points[:, 1] < h - 2)
    points = points[inner & (others[points[:, 1], points[:, 0]] == 0)]
    if len(points) < 8:
        return None
    points = points[np.linspace(0, len(points) - 1, min(POINTS, len(points))).astype(int)]
    soft = cv2.GaussianBlur(own.astype(np.float32), (0, 0), 2.0)
    gx, gy = cv2.Sobel(soft, cv2.CV_32F, 1, 0), cv2.Sobel(soft, cv2.CV_32F, 0, 1)
    normal = lambda at: _unit(-np.stack([gx[at[:, 1], at[:, 0]], gy[at[:, 1], at[:, 0]]], 1))
    out = normal(points)
    xy = points + 0.5 + 0.5 * out  # the outline runs half a pixel outside of the last pixel's centre
    nearest = ((xy[:, None] - uv[None]) ** 2).sum(-1).argmin(1)
    # skin outside of the mask: where nobody else hides it
    at = np.floor(uv).astype(int)
    shown = (at >= 0).all(1) & (at[:, 0] < w) & (at[:, 1] < h)
    at = np.clip(at, 0, [w - 1, h - 1])
    outside = np.flatnonzero(shown & (mask[at[:, 1], at[:, 0]] == 0) & (others[at[:, 1], at[:, 0]] == 0))
    outside = outside[:: max(1, len(outside) // POINTS)][:POINTS]
    _, label = cv2.distanceTransformWithLabels(1 - own, cv2.DIST_L2, 5, labelType=cv2.DIST_LABEL_PIXEL)
    y, x = np.nonzero(own)
    where = np.zeros((label.max() + 1, 2), int)
    where[label[y, x]] = np.stack([x, y], 1)
    back = where[label[at[outside, 1], at[outside, 0]]]
    away = normal(back)
    return (
        np.r_[nearest, outside], np.r_[xy, back + 0.5 + 0.5 * away], np.r_[out, away], np.r_[np.ones(len(points)), np.zeros(len(outside))]
    )  # fmt: skip


def _unit(v):
    return v / np.maximum(np.linalg.norm(v, axis=1, keepdims=True), 1e-6)


def _spread(vertices, count):
    """Rows of `count` vertices, each far from those before."""
    chosen, distance = [0], np.full(len(vertices), np.inf)
    for _ in range(count - 1):
        distance = np.minimum(distance, ((vertices - vertices[chosen[-1]]) ** 2).sum(1))
        chosen.append(int(distance.argmax()))
    return np.array(chosen)
