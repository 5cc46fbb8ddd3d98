"""L_c, the composition loss: the video's instance masks against the NeRF's render of S_w, each person in a colour, the rest white."""

from __future__ import annotations

import cv2
import numpy as np
import torch

from .render import rays_from_pixels, render

BETAS_M = (0.012, 0.008, 0.004)  # softness of the bodies' skin, coarse to fine
BAND_M = (0.12, 0.08, 0.05)  # how far from a mask's outline pixels are drawn, at the person's depth
SIGMA = 0.3  # of a pixel's class: masks are soft and clothes stand out
RAYS = 800  # a step


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

    def loss(self, T_world_from_cam, K, level):
        """L_c of one draw of pixels: summed squared difference of the classes' opacities, scaled to the whole shot."""
        rows = self.levels[level]
        rows = rows[torch.randint(len(rows), (RAYS,), generator=self.generator).to(rows.device)]
        self.field.beta_m = BETAS_M[level]
        return self.weight * self._difference(rows, T_world_from_cam, K).mean() / SIGMA**2

    def heldout(self, T_world_from_cam, K, rays=6000) -> float:
        """Mean squared class difference of held-out pixels, in units of SIGMA^2; the same pixels at every call."""
        rows = self.heldout_rows
        if len(rows) > rays:
            rows = rows[torch.linspace(0, len(rows) - 1, rays).long().to(rows.device)]
        self.field.beta_m = BETAS_M[-1]
        with torch.no_grad():
            return float(self._difference(rows, T_world_from_cam, K).mean() / SIGMA**2)

    def _difference(self, rows, T_world_from_cam, K):
        t = self.frame[rows]
        dtype = self.pixels.dtype
        origins, directions = rays_from_pixels(self.pixels[rows], T_world_from_cam[t].to(dtype), K[t].to(dtype))
        opacity = render(self.field, origins, directions, t, 32).opacity
        return ((opacity - self.target[rows]) ** 2).sum(-1).double()


def _outline(mask):
    """Pixels of a palette mask next to a pixel of another class; the picture's border is no outline."""
    edge = np.zeros(mask.shape, bool)
    across, down = mask[:, 1:] != mask[:, :-1], mask[1:] != mask[:-1]
    edge[:, 1:] |= across
    edge[:, :-1] |= across
    edge[1:] |= down
    edge[:-1] |= down
    return edge
