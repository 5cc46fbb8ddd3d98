"""L_c, the composition loss: the video's instance masks against the NeRF's render of S_w, each person in a colour, the rest white."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
import torch

from ..bundle.cameras import CameraRows
from ..bundle.rows import plain
from .chain import skew
from .render import rays_from_pixels, render

BETAS_M = (0.012, 0.008, 0.004)  # softness of the bodies' skin, coarse to fine
BAND_M = (0.12, 0.08, 0.05)  # how far from a mask's outline pixels are drawn, at the person's depth
SIGMA = 0.3  # of a pixel's class: masks are soft and clothes stand out
RAYS = 1500  # at each width


@dataclass
class Drawn:
    """Pixels that stand for all, and the softness of the skin at which they are looked at."""

    rows: torch.Tensor
    beta_m: float


class Composition:
    """Pixels of all frames in bands about the outlines of the masks, drawn afresh for every step.

    Only there does a silhouette say where the camera is. A pixel far from every outline of the video's masks never pulls, so that an
    object in front of somebody, or a mask that misses a limb, has no edge of the render to drag.
    """

    def __init__(self, field, masks, ids, visible, metres_per_px, generator, held_out):
        """field: BodyField of S_w. masks: index -> (H, W). ids: (P,). visible: (P, T). metres_per_px: (P, T) at the people's depth.

        held_out: 1 of so many pixels judges and does not pull.
        """
        self.field, self.generator = field, generator
        dtype, device = field.origin.dtype, field.origin.device
        pixels, frames, labels, distance = [], [], [], []
        for t in np.flatnonzero(visible.any(0)):
            mask = masks(int(t))
            scale = float(np.median(metres_per_px[visible[:, t], t]))
            outline = _outline(mask)
            if not outline.any():
                continue
            away = cv2.distanceTransform((~outline).astype(np.uint8), cv2.DIST_L2, 3) * scale
            known = (mask == 0) | np.isin(mask, ids)
            y, x = np.nonzero((away < BAND_M[0]) & known)
            pixels.append(np.stack([x, y], 1) + 0.5)
            frames.append(np.full(len(x), t))
            labels.append(mask[y, x])
            distance.append(away[y, x])
        self.pixels = torch.as_tensor(np.concatenate(pixels) if pixels else np.zeros((0, 2)), dtype=dtype, device=device)
        self.frame = torch.as_tensor(np.concatenate(frames) if frames else np.zeros(0, int), device=device)
        label = np.concatenate(labels) if labels else np.zeros(0, int)
        self.target = torch.as_tensor(label[:, None] == np.asarray(ids)[None], dtype=dtype, device=device)
        self.distance = torch.as_tensor(np.concatenate(distance) if distance else np.zeros(0), dtype=dtype, device=device)
        out = torch.randint(held_out, (len(self.frame),), generator=generator) == 0
        self.heldout_rows = torch.nonzero(out.to(device) & (self.distance < BAND_M[-1]))[:, 0]
        self.levels = [torch.nonzero(~out.to(device) & (self.distance < band))[:, 0] for band in BAND_M]
        # As many observations as the joints of as many bodies: the two weigh alike.
        self.weight = 25.0 * float(visible.sum())

    def __len__(self):
        return len(self.frame)

    def draw(self, level) -> Drawn:
        """Pixels of one width of the band, and how soft the skin is there."""
        rows = self.levels[level]
        if len(rows) > RAYS:
            rows = rows[torch.randperm(len(rows), generator=self.generator)[:RAYS].to(rows.device)]
        return Drawn(rows, BETAS_M[level])

    def loss(self, drawn: Drawn, T_world_from_cam, K):
        """L_c of drawn pixels: summed squared difference of the classes' opacities, scaled to the whole shot."""
        self.field.beta_m = drawn.beta_m
        difference = self._opacity(drawn.rows, T_world_from_cam, K) - self.target[drawn.rows]
        return self.weight * (difference**2).sum(-1).double().mean() / SIGMA**2

    def rows(self, drawn: Drawn, T_world_from_cam, K, moves) -> CameraRows:
        """The same as residuals, one a class, and with `moves` their derivatives by the cameras: a ray's own camera alone moves it."""
        self.field.beta_m = drawn.beta_m
        t = self.frame[drawn.rows]
        move = torch.zeros(len(t), 7, dtype=self.pixels.dtype, device=self.pixels.device, requires_grad=bool(moves))
        with torch.set_grad_enabled(bool(moves)):
            opacity = self._opacity(drawn.rows, T_world_from_cam, K, move if moves else None)
            J = None
            if moves:
                by_class = [torch.autograd.grad(part.sum(), move, retain_graph=True)[0] for part in opacity.unbind(-1)]
                J = (torch.stack(by_class, 1) / SIGMA).double().cpu().numpy()
        r = ((opacity.detach() - self.target[drawn.rows]) / SIGMA).double().cpu().numpy()
        weight = np.full(len(r), self.weight / max(len(r), 1))
        return CameraRows("composition", t.cpu().numpy(), r, J, weight, plain())

    def heldout(self, T_world_from_cam, K, rays=6000) -> float:
        """Mean squared class difference of held-out pixels, in units of SIGMA^2; the same pixels at every call."""
        rows = self.heldout_rows
        if len(rows) > rays:
            rows = rows[torch.linspace(0, len(rows) - 1, rays).long().to(rows.device)]
        self.field.beta_m = BETAS_M[-1]
        with torch.no_grad():
            difference = self._opacity(rows, T_world_from_cam, K) - self.target[rows]
            return float((difference**2).sum(-1).double().mean() / SIGMA**2)

    def _opacity(self, rows, T_world_from_cam, K, move=None):
        """Of each class at each pixel (R, P). move: (R, 7) of each ray's camera (turn in its axes, centre, log focal), or None."""
        t = self.frame[rows]
        dtype = self.pixels.dtype
        T, K = T_world_from_cam[t].to(dtype), K[t].to(dtype)
        if move is not None:
            eye = torch.eye(3, dtype=dtype, device=T.device)
            R = T[:, :3, :3] @ (eye - skew(move[:, :3]))
            T = torch.cat([torch.cat([R, T[:, :3, 3:] + move[:, 3:6, None]], -1), T[:, 3:]], 1)
            zoom = torch.ones_like(K)
            zoom[:, [0, 1], [0, 1]] = move[:, 6:].exp()
            K = K * zoom
        origins, directions = rays_from_pixels(self.pixels[rows], T, K)
        return render(self.field, origins, directions, t, 32).opacity


def _outline(mask):
    """Pixels of a palette mask next to a pixel of another class; the picture's border is no outline."""
    edge = np.zeros(mask.shape, bool)
    across, down = mask[:, 1:] != mask[:, :-1], mask[1:] != mask[:-1]
    edge[:, 1:] |= across
    edge[:, :-1] |= across
    edge[1:] |= down
    edge[:-1] |= down
    return edge
