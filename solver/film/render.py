"""Volume rendering by standard quadrature, for any field that places samples and answers with density and colour.

A field has two methods:
  place(rays_o, rays_d, t_index, n_samples) -> Samples      where to look; outside the graph
  radiance(samples, points, t_index) -> (sigma (N,) 1/m, features (N, C))   differentiable in everything

Rays are o + s d with |d| = 1, s in metres; each carries the index of its frame, so that one call serves rays of many frames.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch

# A sample behind this much optical depth, or of less than this, changes no pixel that anyone could see.
OPAQUE = 14.0
EMPTY = 1e-7


@dataclass
class Samples:
    """A flat list of N samples, ordered by ray and then by distance."""

    ray: torch.Tensor  # (N,) int64
    distance: torch.Tensor  # (N,) m along the ray
    width: torch.Tensor  # (N,) m, the piece of the ray that the sample stands for
    tag: torch.Tensor  # (N,) int64, the field's own note on the sample

    def __getitem__(self, keep) -> Samples:
        return Samples(self.ray[keep], self.distance[keep], self.width[keep], self.tag[keep])

    def __len__(self) -> int:
        return len(self.ray)


@dataclass
class Rendered:
    opacity: torch.Tensor  # (R, C) how much of the pixel each class covers, 0..1; sums to 1 - transmittance
    depth: torch.Tensor  # (R,) m, mean distance along the ray of what was hit; 0 where nothing was
    transmittance: torch.Tensor  # (R,) how much background shines through


def rays_from_pixels(pixels, T_world_from_cam, K):
    """World rays through pixels; differentiable in the pose and in K.

    pixels:            (R, 2), corner origin.
    T_world_from_cam:  (4, 4) or (R, 4, 4), OpenCV camera.
    K:                 (3, 3) or (R, 3, 3) px, without skew.
    Returns origins (R, 3) and unit directions (R, 3).
    """
    focal = torch.stack((K[..., 0, 0], K[..., 1, 1]), -1)
    xy = (pixels - K[..., :2, 2]) / focal
    d = torch.nn.functional.normalize(torch.cat((xy, torch.ones_like(xy[:, :1])), -1), dim=-1)
    d = (T_world_from_cam[..., :3, :3] @ d[..., None])[..., 0]
    return T_world_from_cam[..., :3, 3].expand_as(d), d


def pixel_grid(width: int, height: int, device=None, dtype=torch.float32):
    """Centres of all pixels (height * width, 2), row by row."""
    y, x = torch.meshgrid(
        torch.arange(height, device=device, dtype=dtype), torch.arange(width, device=device, dtype=dtype), indexing="ij"
    )
    return torch.stack((x, y), -1).reshape(-1, 2) + 0.5


def optical_depth_before(samples: Samples, tau):
    """Optical depth (N,) in front of each sample of its own ray. tau (N,) is that of the samples themselves."""
    _, row, count = torch.unique_consecutive(samples.ray, return_inverse=True, return_counts=True)
    start = torch.cumsum(count, 0) - count
    column = torch.arange(len(row), device=row.device) - start[row]
    # A table of rays by samples: a running sum over the flat list would lose digits over thousands of rays.
    table = tau.new_zeros((len(count), int(count.max()))).index_put((row, column), tau)
    return (torch.cumsum(table, 1) - table)[row, column]


def integrate(samples: Samples, sigma, features, n_rays: int) -> Rendered:
    """Front-to-back quadrature: weight_i = exp(-sum_{j<i} sigma_j width_j) (1 - exp(-sigma_i width_i))."""
    n_classes = features.shape[-1]
    if len(samples) == 0:
        none = sigma.new_zeros(n_rays)
        return Rendered(sigma.new_zeros(n_rays, n_classes), none, none + 1)
    tau = sigma * samples.width
    weight = torch.exp(-optical_depth_before(samples, tau)) * -torch.expm1(-tau)
    opacity = sigma.new_zeros(n_rays, n_classes).index_add(0, samples.ray, weight[:, None] * features)
    hit = sigma.new_zeros(n_rays).index_add(0, samples.ray, weight)
    depth = sigma.new_zeros(n_rays).index_add(0, samples.ray, weight * samples.distance) / hit.clamp_min(1e-6)
    transmittance = torch.exp(-sigma.new_zeros(n_rays).index_add(0, samples.ray, tau))
    return Rendered(opacity, depth, transmittance)


def render(field, rays_o, rays_d, t_index, n_samples: int = 64, samples: Samples | None = None) -> Rendered:
    """Render rays through a dynamic field.

    rays_o, rays_d:  (R, 3), |rays_d| = 1.   t_index: (R,) int64, frame of each ray.
    samples:         places to use in place of the field's own choice; gradients take the places as constant.
    A ray that meets nobody has opacity and depth 0 and transmittance 1, exactly.
    """
    with torch.no_grad():
        if samples is None:
            samples = field.place(rays_o, rays_d, t_index, n_samples)
        points = rays_o[samples.ray] + samples.distance[:, None] * rays_d[samples.ray]
        sigma, features = field.radiance(samples, points, t_index[samples.ray])
        if len(samples):
            tau = sigma * samples.width
            keep = (optical_depth_before(samples, tau) < OPAQUE) & (tau > EMPTY)
            samples, sigma, features = samples[keep], sigma[keep], features[keep]
    if torch.is_grad_enabled() and len(samples):
        # Only the few samples that colour a pixel go through the graph: the second pass is the cheap one.
        points = rays_o[samples.ray] + samples.distance[:, None] * rays_d[samples.ray]
        sigma, features = field.radiance(samples, points, t_index[samples.ray])
    return integrate(samples, sigma, features, len(rays_o))


def composite(rendered: Rendered, colours, background: float = 1.0):
    """The composition image (..., 3): every class in its colour (C, 3), the rest white. For rays or for a whole picture."""
    return rendered.opacity @ colours + background * rendered.transmittance[..., None]


@torch.no_grad()
def render_image(field, T_world_from_cam, K, frame: int, width: int, height: int, n_samples: int = 64) -> Rendered:
    """One whole picture: opacity (H, W, C), depth (H, W), transmittance (H, W)."""
    pixels = pixel_grid(width, height, T_world_from_cam.device, T_world_from_cam.dtype)
    parts = []
    for chunk in pixels.split(32768):
        o, d = rays_from_pixels(chunk, T_world_from_cam, K)
        t_index = torch.full((len(chunk),), frame, dtype=torch.int64, device=chunk.device)
        parts.append(render(field, o, d, t_index, n_samples))
    return Rendered(
        torch.cat([p.opacity for p in parts]).reshape(height, width, -1),
        torch.cat([p.depth for p in parts]).reshape(height, width),
        torch.cat([p.transmittance for p in parts]).reshape(height, width),
    )


def mask_of(rendered: Rendered, ids):
    """Palette mask of a render: the class that covers the pixel most, where more than half of it is covered; else 0."""
    best = rendered.opacity.argmax(-1)
    ids = torch.as_tensor(ids, device=best.device)
    return torch.where(rendered.transmittance < 0.5, ids[best], torch.zeros_like(best)).to(torch.uint8)
