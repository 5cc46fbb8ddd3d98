"""What clothes and hair add to the bodies of f_D: a smooth offset on the rest body, learnt from the masks of all frames."""

from __future__ import annotations

import cv2
import numpy as np
import torch
import torch.nn.functional as F

from solver.film.field import BodyField
from solver.film.render import rays_from_pixels, render
from solver.film.rest_shape import GRID, MARGIN_M

SPACING_M = 0.025  # of the offset's grid
LIMIT_M = 0.035  # clothes further out than this are not learnt; MARGIN_M of the boxes must hold them
FIT_BETA_M = 0.008  # softer than the skin that ships: an outline must feel masks a centimetre or two away
SMOOTH = 2.0  # weight of the squared differences between neighbours, in units of LIMIT_M
assert LIMIT_M < MARGIN_M


class Clothes(torch.nn.Module):
    """Offset in metres at rest-frame points of each person; zero at the start."""

    def __init__(self, field: BodyField):
        super().__init__()
        used = field.step[:, 0] > 0
        low = field.origin[used].amin(0)
        high = (field.origin + field.step * (GRID - 1))[used].amax(0)
        size = ((high - low) / SPACING_M).ceil().long() + 1
        self.low, self.extent = low, (size - 1) * SPACING_M
        x, y, z = size.tolist()
        self.grid = torch.nn.Parameter(torch.zeros(1, field.people, z, y, x, device=low.device, dtype=low.dtype))

    def forward(self, rest, person):
        """Metres (N,) at rest points (N, 3) of people (N,)."""
        where = (2 * (rest - self.low) / self.extent - 1)[None, None, None]
        every = F.grid_sample(self.grid, where, padding_mode="border", align_corners=True)[0, :, 0, 0]  # (P, N)
        return LIMIT_M * torch.tanh(every.gather(0, person[None])[0])

    def roughness(self):
        g = self.grid
        return sum((g.diff(dim=k) ** 2).mean() for k in (2, 3, 4)) + 0.05 * (g**2).mean()


def fit_residual(
    field: BodyField, T_world_from_cam, K, masks, ids, steps: int = 150, rays: int = 1500, frames=None, seed: int = 0
) -> list[float]:
    """Let the skin of `field` grow or shrink until its render fits the masks; cameras and bones stay as they are.

    T_world_from_cam: (T, 4, 4).  K: (T, 3, 3).  masks: callable frame -> (H, W) uint8 palette.  ids: (P,) of the people.
    frames: those to learn from, default all.  Returns the loss of every step. Changes the field in place.
    """
    rng = np.random.default_rng(seed)
    device, dtype = field.origin.device, field.origin.dtype
    T_world_from_cam = torch.as_tensor(np.asarray(T_world_from_cam), dtype=dtype, device=device)
    K = torch.as_tensor(np.asarray(K), dtype=dtype, device=device)
    ids = np.asarray(ids)
    pixels, frame, label = _pixels_near_outlines(masks, range(len(K)) if frames is None else frames)
    pixels = torch.as_tensor(pixels, dtype=dtype, device=device)
    target = torch.as_tensor(label[:, None] == ids[None], dtype=dtype, device=device)
    # Somebody that the field does not know: no evidence about those that it does.
    known = np.flatnonzero((label == 0) | np.isin(label, ids))
    frame = torch.as_tensor(frame, device=device)

    clothes = Clothes(field)
    base, beta = (field.distance, field.faded), field.beta_m
    optimiser = torch.optim.Adam(clothes.parameters(), lr=0.03)
    field.clothes, field.beta_m = clothes, FIT_BETA_M
    losses = []
    try:
        for step in range(steps):
            if step % 25 == 0:
                field.faded = _grown(base[1], _on_boxes(field, clothes))
            pick = torch.as_tensor(rng.choice(known, rays), device=device)
            t = frame[pick]
            o, d = rays_from_pixels(pixels[pick], T_world_from_cam[t], K[t])
            opacity = render(field, o, d, t).opacity
            # L1, not L2: a mask that is wrong somewhere must not pull harder than the many that are right.
            loss = (opacity - target[pick]).abs().sum(-1).mean() + SMOOTH * clothes.roughness()
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
            losses.append(float(loss.detach()))
    finally:
        offset = _on_boxes(field, clothes)
        field.clothes, field.beta_m = None, beta
        field.distance, field.faded = base[0] - offset, _grown(base[1], offset)
    return losses


def _grown(faded, offset):
    """The atlas of rigid guesses (distance, weight of others) for a skin moved outwards by offset."""
    return torch.cat((faded[:, :1] - offset, faded[:, 1:]), 1)


@torch.no_grad()
def _on_boxes(field, clothes):
    """The offset at all grid points of all boxes, shaped like `field.distance`."""
    axis = torch.arange(GRID, device=field.origin.device, dtype=field.origin.dtype)
    z, y, x = torch.meshgrid(axis, axis, axis, indexing="ij")
    index = torch.stack((x, y, z), -1).reshape(1, -1, 3)
    points = (field.origin[:, None] + index * field.step[:, None]).reshape(-1, 3)
    person = torch.arange(len(field.origin), device=points.device).repeat_interleave(GRID**3) // field.bones
    return clothes(points, person).reshape(field.distance.shape)


def _pixels_near_outlines(masks, frames):
    """Centres (N, 2), frames (N,) and palette values (N,) of pixels in a band about the outlines of the masks."""
    found = []
    for k in frames:
        mask = masks(k)
        radius = max(2, round(mask.shape[0] / 30))
        kernel = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * radius + 1, 2 * radius + 1))
        y, x = np.nonzero(cv2.dilate(mask, kernel) != cv2.erode(mask, kernel))
        found.append((np.stack((x, y), 1) + 0.5, np.full(len(x), k), mask[y, x]))
    return (np.concatenate(part) for part in zip(*found, strict=True))
