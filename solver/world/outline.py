"""The masks' outlines as evidence of the bodies: what no joint tells of limbs, feet and heads (a term of f_H).

Outlines are matched as in iterative closest points: before every round each point of a mask's outline takes the nearest point of the
body's skin, and skin that lies outside of its mask takes the nearest point of the mask; during the round the pairs stay.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
import torch
from scipy.spatial.distance import cdist

COUNTS_AS = 150.0  # observations that one outline of one frame is worth, however many points it has
CLOTHES = 0.01  # m that a mask may stand out from the skin
POINTS = 40  # of an outline, and as many of the skin outside of it
SKIN = 1600  # points of a body's skin that are looked at
BONES = 4  # of a point of the skin
SMALL = 0.05  # of the mask's area: smaller pieces are crumbs


@dataclass
class Pairs:
    """Points of skin and where in the picture they should be: for P people in T frames a list of L, empty places of weight 0."""

    skin: torch.Tensor  # (P, T, L) row of Skin
    xy: torch.Tensor  # (P, T, L, 2) px
    normal: torch.Tensor  # (P, T, L, 2) out of the mask
    weight: torch.Tensor  # (P, T, L)
    slack: torch.Tensor  # (P, T, L) m


class Skin:
    """Points of the skin, spread over the body, with the bones that carry them."""

    def __init__(self, model, count=SKIN):
        self.rows = torch.as_tensor(_spread(model.v_template.double().numpy(), count))
        weights, self.bones = model.weights[self.rows].topk(BONES, -1)
        self.weights = weights / weights.sum(-1, keepdim=True)
        self.template, self.dirs = model.v_template[self.rows], model.shapedirs[self.rows]

    def rest(self, betas):
        """Points (P, S, 3) of the rest bodies of betas (P, 10)."""
        return self.template + torch.einsum("pb,vcb->pvc", betas, self.dirs)

    def place(self, rest, bones):
        """Posed points (P, S, 3) of one frame. rest (P, S, 3), bones (P, 24, 4, 4)."""
        T = (self.weights[..., None] * bones[:, self.bones][..., :3, :].flatten(-2)).sum(2).unflatten(-1, (3, 4))
        return (T[..., :3] @ rest[..., None])[..., 0] + T[..., 3]


class Outlines:
    """Outlines of all people's masks in all frames, and the skin to match them with."""

    def __init__(self, masks, ids, visible, model):
        """masks: index -> (H, W) instance mask. ids (P,). visible (P, T)."""
        self.masks, self.ids, self.visible, self.skin = masks, ids, visible, Skin(model)

    @torch.no_grad()
    def match(self, posed, evidence) -> Pairs:
        """Pairs for bodies.Posed as they are."""
        rest = self.skin.rest(posed.bodies.betas)
        P, T = self.visible.shape
        out = Pairs(
            torch.zeros(P, T, 2 * POINTS, dtype=torch.long), *(torch.zeros(P, T, 2 * POINTS, 2, dtype=rest.dtype) for _ in range(2)),
            *(torch.zeros(P, T, 2 * POINTS, dtype=rest.dtype) for _ in range(2)),
        )  # fmt: skip
        for t in np.flatnonzero(self.visible.any(0)):
            mask = self.masks(int(t))
            cam = self.skin.place(rest, posed.bones[:, t]) @ evidence.R_w_from_cam[t]
            uv = (cam @ evidence.K[t].T)[..., :2] / cam[..., 2:].clamp_min(0.1)
            for p in np.flatnonzero(self.visible[:, t]):
                pairs = _pairs(mask, int(self.ids[p]), uv[p].numpy())
                if pairs is None:
                    continue
                skin, xy, normal, outer = pairs
                at = p, t, slice(len(skin))
                out.skin[at], out.xy[at], out.normal[at] = (torch.as_tensor(a) for a in (skin, xy, normal))
                out.weight[at] = COUNTS_AS / len(skin)
                out.slack[at] = torch.as_tensor(outer * CLOTHES)
        return out


def _pairs(mask, person, uv):
    """Rows of skin, px (n, 2), outward normals (n, 2) and whether the mask stands out (n,); None without an outline."""
    own = mask == person
    columns, rows = np.flatnonzero(own.any(0)), np.flatnonzero(own.any(1))
    if not len(columns):
        return None
    # Nothing further off than the person is large can be theirs.
    margin = max(len(columns), len(rows)) // 2 + 20
    x0, y0 = max(columns[0] - margin, 0), max(rows[0] - margin, 0)
    x1, y1 = columns[-1] + margin + 1, rows[-1] + margin + 1
    part = mask[y0:y1, x0:x1]
    found = _pairs_within(part, person, uv - (x0, y0))
    return found if found is None else (found[0], found[1] + (x0, y0), *found[2:])


def _pairs_within(mask, person, uv):
    """_pairs of a part of the picture."""
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
    nearest = cdist(xy, uv, "sqeuclidean").argmin(1)
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
