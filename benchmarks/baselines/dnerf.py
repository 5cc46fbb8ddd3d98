"""The paper's own f_D, for the *paper* baseline: D-NeRF (Pumarola et al. 2021) on composition images.

A deformation MLP takes (x, t) to a canonical space, an MLP with positional encoding answers there with density and person.
It learns from pictures alone: the posed bodies in their colours on white, from random cameras. The film uses `field.BodyField`.
"""

from __future__ import annotations

import time

import numpy as np
import torch
from torch import nn

from solver.film.render import Samples, composite, pixel_grid, rays_from_pixels, render
from solver.raster import instance_mask

WIDTH = 64  # of the hidden layers
BANDS_X, BANDS_T = 6, 4  # octaves of the positional encodings
RAYS = 1024  # a step
DENSITY_SCALE = 30.0  # 1/m, so that the network's outputs of order one mean something at the size of a body


class DynamicNerf(nn.Module):
    """Same interface as BodyField: place and radiance. Classes are the people."""

    def __init__(self, box, frames: int, people: int):
        """box: (2, 3) m, corners of the axis-aligned box that holds everybody in all frames."""
        super().__init__()
        self.frames, self.people = frames, people
        self.register_buffer("box", torch.as_tensor(np.asarray(box), dtype=torch.float32))
        x, t = 3 + 6 * BANDS_X, 1 + 2 * BANDS_T
        self.deform = _mlp(x + t, 3)
        self.canonical = _mlp(x, 1 + people)
        nn.init.zeros_(self.deform[-1].weight)
        nn.init.zeros_(self.deform[-1].bias)

    @torch.no_grad()
    def place(self, rays_o, rays_d, t_index, n_samples: int = 64) -> Samples:
        """Evenly over the stretch of each ray inside the box; at random inside their cells while training."""
        inverse = 1 / torch.where(rays_d.abs() < 1e-9, torch.full_like(rays_d, 1e-9), rays_d)
        a, b = (self.box[0] - rays_o) * inverse, (self.box[1] - rays_o) * inverse
        near = torch.minimum(a, b).amax(-1).clamp_min(1e-3)
        far = torch.maximum(a, b).amin(-1)
        ray = torch.nonzero(far > near)[:, 0]
        near, width = near[ray, None], (far - near)[ray, None] / n_samples
        cell = torch.arange(n_samples, device=rays_o.device)
        place = torch.rand(len(ray), n_samples, device=rays_o.device) if self.training else 0.5
        s = near + (cell + place) * width
        return Samples(
            ray.repeat_interleave(n_samples), s.flatten(), width.expand_as(s).flatten(),
            torch.zeros(s.numel(), dtype=torch.int64, device=s.device),
        )  # fmt: skip

    def radiance(self, samples: Samples, points, t_index):
        """Density (N,) 1/m and shares of the people (N, P)."""
        middle, half = self.box.mean(0), (self.box[1] - self.box[0]).max() / 2
        x = (points - middle) / half
        t = 2 * t_index.to(x.dtype)[:, None] / max(self.frames - 1, 1) - 1
        # As in D-NeRF, frame 0 is the canonical one: nothing moves there.
        moved = (t_index > 0).to(x.dtype)[:, None]
        x = x + moved * self.deform(torch.cat((_encode(x, BANDS_X), _encode(t, BANDS_T)), -1))
        out = self.canonical(_encode(x, BANDS_X))
        return DENSITY_SCALE * nn.functional.softplus(out[:, 0] - 3), out[:, 1:].softmax(-1)


def train(model: DynamicNerf, vertices, faces, colours, seconds: float, seed: int = 0, size=(80, 45), views: int = 4):
    """Fit to composition images from random cameras until `seconds` have passed. Returns steps done and the last loss.

    vertices: (T, P, V, 3) m, posed.  colours: (P, 3) 0..1.  size: of the pictures;  views: pictures a frame.
    """
    rng = np.random.default_rng(seed)
    torch.manual_seed(seed)
    device = model.box.device
    started = time.monotonic()
    colours = torch.as_tensor(colours, dtype=torch.float32, device=device)
    o, d, frame, target = _pictures(vertices, faces, size, views, rng)
    inside = torch.nonzero(target)[:, 0].to(device)
    o, d, frame, target = (x.to(device) for x in (o, d, frame, target))
    palette = torch.cat((torch.ones(1, 3, device=device), colours))
    optimiser = torch.optim.Adam(model.parameters(), lr=2e-3)
    model.train()
    step, loss = 0, torch.zeros(())
    while time.monotonic() - started < seconds:
        for group in optimiser.param_groups:
            group["lr"] = 2e-3 * 0.1 ** min(1.0, (time.monotonic() - started) / seconds)
        # Half of the rays where somebody is: people fill a small part of the pictures.
        pick = torch.cat((
            inside[torch.randint(len(inside), (RAYS // 2,), device=device)],
            torch.randint(len(o), (RAYS // 2,), device=device),
        ))  # fmt: skip
        picture = composite(render(model, o[pick], d[pick], frame[pick], 48), colours)
        loss = ((picture - palette[target[pick]]) ** 2).mean()
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        step += 1
    model.eval()
    return step, float(loss.detach())


def _pictures(vertices, faces, size, views, rng):
    """Rays, frames and person indices (0 = white) of all pixels of all pictures."""
    (width, height), parts = size, []
    pixels = pixel_grid(width, height)
    for t, bodies in enumerate(vertices):
        low, high = bodies.reshape(-1, 3).min(0), bodies.reshape(-1, 3).max(0)
        middle, reach = (low + high) / 2, np.linalg.norm(high - low) / 2
        for _ in range(views):
            T, K = camera_around(middle, reach, width, height, rng)
            mask = instance_mask(list(bodies), faces, range(1, len(bodies) + 1), T, K, width, height)
            o, d = rays_from_pixels(pixels, torch.tensor(T, dtype=torch.float32), torch.tensor(K, dtype=torch.float32))
            frame = torch.full((len(pixels),), t, dtype=torch.int64)
            parts.append((o, d, frame, torch.from_numpy(mask.astype(np.int64)).flatten()))
    return (torch.cat(x) for x in zip(*parts, strict=True))


def camera_around(middle, reach, width, height, rng):
    """A camera (T_world_from_cam, K) at random around a sphere (3,), m, that sees most of it."""
    turn, lift = rng.uniform(0, 2 * np.pi), rng.uniform(-0.15, 0.4)
    away = np.array([np.cos(turn) * np.cos(lift), np.sin(turn) * np.cos(lift), np.sin(lift)])
    distance = reach * rng.uniform(1.8, 3.5)
    z = -away
    x = np.cross(z, [0, 0, 1.0])
    x /= np.linalg.norm(x)
    T = np.eye(4)
    T[:3, :3] = np.stack((x, np.cross(z, x), z), 1)
    T[:3, 3] = middle + distance * away
    focal = 0.45 * min(width, height) * distance / reach * rng.uniform(0.9, 1.3)
    return T, np.array([[focal, 0, width / 2], [0, focal, height / 2], [0, 0, 1.0]])


def _encode(x, bands):
    angles = x[..., None] * (np.pi * 2.0 ** torch.arange(bands, device=x.device, dtype=x.dtype))
    return torch.cat((x, angles.sin().flatten(-2), angles.cos().flatten(-2)), -1)


def _mlp(inputs, outputs):
    layers = []
    for _ in range(4):
        layers += [nn.Linear(inputs, WIDTH), nn.ReLU()]
        inputs = WIDTH
    return nn.Sequential(*layers, nn.Linear(inputs, outputs))
