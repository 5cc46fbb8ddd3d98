"""f_D(Theta, t): the people of a shot as one dynamic radiance field, driven by their bones.

Every bone carries a small grid of the rest body's signed distance. A point of frame t is taken into the rest frame of each
bone near it; the bone whose skin is nearest proposes where the point lies on the rest body, and a few fixed-point steps of
inverse skinning make that exact. Density is Laplace's (VolSDF, Yariv et al. 2021): sigma = Psi_beta(-d) / beta; colour is the
person. So the field needs no training, bends with its bones, and is differentiable in the rays and in the bone transforms.
"""

from __future__ import annotations

import numpy as np
import torch
import torch.nn.functional as F

from .render import OPAQUE, Samples
from .rest_shape import GRID, LOCAL, MARGIN_M, RestShape, rest_shape

BETA_M = 0.002  # softness of the skin
# The 50 % line of a rendered limb lies outside its skin by about twice beta, for limbs of 5 cm radius; this takes it back.
OFFSET_BETAS = 2.0
# Before inverse skinning a bone's rigid guess of the distance may be wrong by about the weight of the other bones, times the
# angle by which they have turned against it, times this lever.
LEVER_M = 0.2
SLACK_M = 0.03  # of that, as much is granted when places near the skin are looked for
FAR_M = 1.0


class BodyField:
    """The field that ships: density and person at (x, t). Classes are the people, in the order given."""

    def __init__(self, shapes: list[RestShape], T_world_from_rest, visible=None, beta_m: float = BETA_M):
        """shapes: one a person.  T_world_from_rest: (T, P, 24, 4, 4) from BodyModel.fk.  visible: (T, P) bool, default all."""
        self.beta_m = beta_m
        self.clothes = None  # while `clothes.fit_residual` learns
        dtype, device = T_world_from_rest.dtype, T_world_from_rest.device

        def pack(name):
            return torch.as_tensor(np.stack([getattr(s, name) for s in shapes]), device=device)

        self.people, self.bones = len(shapes), shapes[0].origin.shape[0]
        n = self.people * self.bones
        self.origin = pack("origin").to(dtype).reshape(n, 3)
        self.step = pack("step").to(dtype).reshape(n, 3)
        self.local = pack("local").reshape(n, LOCAL)
        # All boxes stand on top of each other along z, so that one grid_sample serves them all.
        self.distance = pack("distance").to(dtype).reshape(1, 1, n * GRID, GRID, GRID)
        weights = pack("weights").to(dtype).reshape(n, LOCAL, GRID, GRID, GRID).transpose(0, 1)
        # Where a bone owns its skin alone, its rigid guess is exact; elsewhere it errs with the weight of the others.
        own = (weights * (self.local.T == torch.arange(n, device=device) % self.bones)[:, :, None, None, None]).sum(0)
        faded = pack("faded").to(dtype).reshape(n, GRID, GRID, GRID)
        self.faded = torch.stack((faded, 1 - own)).reshape(1, 2, n * GRID, GRID, GRID)
        share = (weights * own).sum((2, 3, 4)).T / own.sum((1, 2, 3)).clamp_min(1e-9)[:, None]
        self._sharers = share > 0.01  # (boxes, LOCAL), bones that pull at the box's own skin
        self.weights = weights.reshape(1, LOCAL, n * GRID, GRID, GRID)
        self.visible = torch.ones(T_world_from_rest.shape[:2], dtype=torch.bool, device=device)
        if visible is not None:
            self.visible = torch.as_tensor(visible, device=device)
        self.set_bones(T_world_from_rest)

    @classmethod
    def from_people(cls, body, betas, poses, trans, visible=None, beta_m: float = BETA_M, device="cpu"):
        """betas (P, 10), poses (P, T, 24, 3) rotvec, trans (P, T, 3) m, visible (P, T) bool, as `records.People` has them."""
        weights, faces = _numpy(body.weights), _numpy(body.faces)
        shapes = [rest_shape(_rest_vertices(body, b), faces, weights) for b in _numpy(betas)]
        T = bone_transforms(body, betas, poses, trans).to(torch.float32).to(device)
        return cls(shapes, T, None if visible is None else np.asarray(visible).T, beta_m)

    def to(self, dtype=None, device=None) -> BodyField:
        """A copy of the field in another precision or on another device."""
        other = object.__new__(BodyField)
        for name, value in vars(self).items():
            if torch.is_tensor(value):
                value = value.to(device=device, dtype=dtype if value.is_floating_point() else None)
            setattr(other, name, value)
        return other

    def set_bones(self, T_world_from_rest) -> None:
        """New bone transforms (T, P, 24, 4, 4); keep their graph, if they have one."""
        frames = T_world_from_rest.shape[0]
        self.T_world_from_rest = T_world_from_rest[..., :3, :].reshape(frames, self.people * self.bones, 3, 4)
        # Beside each box the transforms of all bones that share its skin: one row to fetch for a sample.
        bones = torch.arange(len(self.local), device=self.local.device)[:, None] // self.bones * self.bones + self.local
        self._sharing = self.T_world_from_rest[:, bones].reshape(-1, LOCAL, 12)  # (T * boxes, LOCAL, 12)
        with torch.no_grad():
            sharing = self._sharing.reshape(frames, -1, LOCAL, 3, 4)[..., :3]
            cosine = ((self.T_world_from_rest[:, :, None, :, :3] * sharing).sum((-1, -2)) - 1) / 2
            angle = torch.arccos(cosine.clamp(-1, 1)).masked_fill(~self._sharers, 0).amax(-1)
            self._turned = (LEVER_M * angle).reshape(-1)  # (T * boxes,)
            R, t = self.T_world_from_rest[..., :3], self.T_world_from_rest[..., 3:]
            middle = self.origin + self.step * (GRID - 1) / 2
            used = (self.step[:, 0] > 0).reshape(self.people, self.bones)
            centre = ((R @ middle[..., None]) + t)[..., 0].reshape(frames, self.people, self.bones, 3)
            radius = (self.step * (GRID - 1) / 2).norm(dim=-1).reshape(self.people, self.bones)
            person = torch.where(used[..., None], centre, centre[:, :, :1]).mean(2)
            reach = ((centre - person[:, :, None]).norm(dim=-1) + radius).masked_fill(~used, 0).amax(-1)
            self.person_sphere = torch.cat((person, reach[..., None]), -1)  # (T, P, 4)

    @property
    def cutoff_m(self) -> float:
        """No density further from the skin than this."""
        return min(10 * self.beta_m, MARGIN_M - 0.01)

    # --- where to look ---

    @torch.no_grad()
    def place(self, rays_o, rays_d, t_index, n_samples: int = 64) -> Samples:
        """Half of the samples evenly over the stretch where a person's boxes are, half where the skin is near. See render."""
        rays_o, rays_d = rays_o.detach(), rays_d.detach()
        ray, person = self._people_met(rays_o, rays_d, t_index)
        met = _BoxesMet(self, rays_o, rays_d, t_index, ray, person)
        half = n_samples // 2
        edges = torch.linspace(0, 1, half + 1, device=rays_o.device, dtype=rays_o.dtype)
        edges = met.near[:, None] + (met.far - met.near)[:, None] * edges
        coarse = (edges[:, 1:] + edges[:, :-1]) / 2
        d, bone, doubt = met.nearest_skin(coarse)
        cell = (met.far - met.near)[:, None] / half
        hope = (d < self.cutoff_m + doubt.clamp_max(SLACK_M) + cell / 2).any(1)
        met, edges, coarse, cell = met.subset(hope), edges[hope], coarse[hope], cell[hope]
        d, bone, doubt = d[hope], bone[hope], doubt[hope]
        if len(d) == 0:
            none = torch.zeros(0, device=rays_o.device, dtype=torch.int64)
            return Samples(none, rays_o.new_zeros(0), rays_o.new_zeros(0), none)

        # Density of fine samples: high where the skin may cross the cell, low behind what is opaque already.
        inside = (d < -cell - 0.01 - doubt).to(d.dtype)
        score = torch.exp(-2 * (d.abs() / cell - 0.5).clamp_min(0)) * 0.1 ** (inside.cumsum(1) - inside) + 1e-3
        fine = _invert_cdf(edges, score, n_samples - half)
        d_fine, bone_fine, doubt_fine = met.nearest_skin(fine)

        s, order = torch.cat((coarse, fine), 1).sort(1)
        d = torch.cat((d, d_fine), 1).gather(1, order)
        bone = torch.cat((bone, bone_fine), 1).gather(1, order)
        doubt = torch.cat((doubt, doubt_fine), 1).gather(1, order)
        middle = (s[:, 1:] + s[:, :-1]) / 2
        border = torch.cat((met.near[:, None], middle, met.far[:, None]), 1)
        width = border[:, 1:] - border[:, :-1]
        # What cannot matter, by a bound that leaves room for the rigid guess to be wrong.
        tau = self._sigma(d + doubt) * width
        keep = (d < self.cutoff_m + doubt.clamp_max(SLACK_M)) & (torch.cumsum(tau, 1) - tau < OPAQUE)
        row, column = torch.nonzero(keep, as_tuple=True)
        ray, s, width = met.ray[row], s[row, column], width[row, column]
        box = bone[row, column]
        order = torch.argsort(s)
        order = order[torch.argsort(ray[order], stable=True)]
        return Samples(ray[order], s[order], width[order], box[order])

    def _people_met(self, o, d, t_index):
        """Ray and person of every pair whose ray meets the person's sphere."""
        sphere = self.person_sphere[t_index]  # (R, P, 4)
        to = sphere[..., :3] - o[:, None]
        along = (to * d[:, None]).sum(-1)
        square = (to * to).sum(-1)
        reach = sphere[..., 3] ** 2
        met = (square - along**2 < reach) & ((along > 0) | (square < reach)) & self.visible[t_index]
        return torch.nonzero(met, as_tuple=True)

    # --- what is there ---

    def radiance(self, samples: Samples, points, t_index):
        """Density (N,) 1/m and one-hot person (N, P) at points (N, 3) of frames t_index (N,). tag = box of the nearest bone."""
        person = samples.tag // self.bones
        sigma = self._sigma(self.signed_distance(points, t_index, samples.tag))
        return sigma, F.one_hot(person, self.people).to(points.dtype)

    def signed_distance(self, points, t_index, box):
        """Metres (N,) to the skin of the person that owns each box (N,), for points (N, 3) near that box's skin."""
        rest = self.canonical(points, t_index, box)
        d = self._look_up(self.distance, box, *self._indices(rest, box))[:, 0]
        return d if self.clothes is None else d - self.clothes(rest, box // self.bones)

    def canonical(self, points, t_index, box, steps: int = 3):
        """Where points (N, 3) of the posed body lie on the rest body: inverse skinning from the box's bone as first guess."""
        row = t_index * len(self.local) + box
        rest = _carry_back(self.T_world_from_rest.reshape(-1, 12).index_select(0, row), points)
        sharing = self._sharing.index_select(0, row)
        for k in range(steps):
            w = self._look_up(self.weights, box, self._indices(rest, box)[0])
            step = _carry_back((w[:, None] @ sharing)[:, 0], points) - rest
            # Half steps after the first: at a lowered shoulder the weights turn so fast that full steps swing to and fro.
            rest = rest + (0.5 if k else 1.0) * step
        return rest

    def _sigma(self, d):
        """Laplace density, shifted so that the rendered outline lies on the skin and ended smoothly at the cutoff."""
        s = d / self.beta_m + OFFSET_BETAS
        tail = 0.5 * torch.exp(-s.clamp_min(0))
        end = 0.5 * np.exp(-(self.cutoff_m / self.beta_m + OFFSET_BETAS))
        psi = torch.where(s > 0, tail, 1 - 0.5 * torch.exp(s.clamp_max(0)))
        return (psi - end).clamp_min(0) / self.beta_m

    def _indices(self, rest, box):
        """Grid coordinates (N, 3) inside the boxes, and how far (N,) in metres the points lie outside them."""
        index = (rest - self.origin[box]) / self.step[box]
        inside = index.clamp(0, GRID - 1)
        return inside, ((index - inside) * self.step[box]).abs().sum(-1)

    def _look_up(self, atlas, box, index, outside=None):
        """Trilinear values (N, C) of an atlas (1, C, boxes * GRID, GRID, GRID)."""
        scale = index.new_tensor([2 / (GRID - 1), 2 / (GRID - 1), 2 / (atlas.shape[2] - 1)])
        lift = torch.zeros_like(index)
        lift[:, 2] = box * GRID
        where = ((index + lift) * scale - 1)[None, None, None]
        value = F.grid_sample(atlas, where, mode="bilinear", padding_mode="border", align_corners=True)
        value = value[0, :, 0, 0].T
        return value if outside is None else value + outside[:, None]


class _BoxesMet:
    """The boxes that each of H (ray, person) pairs meets, as a flat list of rays in rest frames. Outside the graph."""

    def __init__(self, field: BodyField, o, d, t_index, ray, person):
        self.field = field
        box = person[:, None] * field.bones + torch.arange(field.bones, device=o.device)  # (H, 24)
        T = field.T_world_from_rest.detach()[t_index[ray][:, None], box]
        R_t = T[..., :3].transpose(-1, -2)
        origin = (R_t @ (o[ray][:, None] - T[..., 3])[..., None])[..., 0]
        direction = (R_t @ d[ray][:, None, :, None])[..., 0]
        slow = direction.abs() < 1e-9
        inverse = 1 / torch.where(slow, torch.full_like(direction, 1e-9), direction)
        low, size = field.origin[box], field.step[box] * (GRID - 1)
        a, b = (low - origin) * inverse, (low + size - origin) * inverse
        near = torch.minimum(a, b).amax(-1).clamp_min(1e-3)
        far = torch.maximum(a, b).amin(-1)
        hit = (far > near) & (size[..., 0] > 0)
        any_hit = hit.any(1)
        row, bone = torch.nonzero(hit, as_tuple=True)
        self.near = near.masked_fill(~hit, torch.inf).amin(1)[any_hit]
        self.far = far.masked_fill(~hit, -torch.inf).amax(1)[any_hit]
        self.ray = ray[any_hit]
        self.pair_row = (torch.cumsum(any_hit, 0) - 1)[row]
        self.pair_box = box[row, bone]
        self.pair_near, self.pair_far = near[row, bone], far[row, bone]
        # Straight to grid coordinates: index = start + s * slope.
        o_pair, d_pair = origin[row, bone], direction[row, bone]
        self.pair_start = (o_pair - field.origin[self.pair_box]) / field.step[self.pair_box]
        self.pair_slope = d_pair / field.step[self.pair_box]
        self.pair_turned = field._turned[t_index[self.ray][self.pair_row] * len(field.local) + self.pair_box]

    def subset(self, keep) -> _BoxesMet:
        """Only the kept rows (H,) bool."""
        other = object.__new__(_BoxesMet)
        other.field = self.field
        other.near, other.far, other.ray = self.near[keep], self.far[keep], self.ray[keep]
        pairs = keep[self.pair_row]
        for name in ("pair_box", "pair_near", "pair_far", "pair_start", "pair_slope", "pair_turned"):
            setattr(other, name, getattr(self, name)[pairs])
        other.pair_row = (torch.cumsum(keep, 0) - 1)[self.pair_row[pairs]]
        return other

    def nearest_skin(self, s):
        """At ray distances s (H, S): the rigid guess of the distance to the skin, the box that gave it, and by how much it may be
        wrong, all (H, S)."""
        rows = s[self.pair_row]  # (pairs, S)
        pair, column = torch.nonzero(
            (rows >= self.pair_near[:, None]) & (rows <= self.pair_far[:, None]), as_tuple=True
        )
        at = rows[pair, column]
        index = (self.pair_start[pair] + at[:, None] * self.pair_slope[pair]).clamp(0, GRID - 1)
        box = self.pair_box[pair]
        d, foreign = self.field._look_up(self.field.faded, box, index).unbind(1)
        cell = self.pair_row[pair] * s.shape[1] + column
        best = torch.full((s.numel(),), FAR_M, dtype=s.dtype, device=s.device)
        best = best.scatter_reduce(0, cell, d, "amin")
        wins = d == best[cell]
        winner = torch.zeros(s.numel(), dtype=torch.int64, device=s.device)
        winner[cell[wins]] = box[wins]
        doubt = torch.zeros_like(best)
        doubt[cell[wins]] = (foreign * self.pair_turned[pair] + 0.001)[wins]
        return best.reshape(s.shape), winner.reshape(s.shape), doubt.reshape(s.shape)


def bone_transforms(body, betas, poses, trans):
    """(T, P, 24, 4, 4) world from rest of every bone, from betas (P, 10), poses (P, T, 24, 3), trans (P, T, 3)."""
    betas, poses, trans = (torch.as_tensor(x, dtype=body.v_template.dtype) for x in (betas, poses, trans))
    T, _, _ = body.fk(betas[:, None].expand(-1, poses.shape[1], -1), poses, trans)
    return T.transpose(0, 1)


def _rest_vertices(body, betas):
    return _numpy(body.shaped(torch.as_tensor(betas, dtype=body.v_template.dtype)))


def _numpy(x):
    return x.detach().cpu().numpy() if torch.is_tensor(x) else np.asarray(x)


def _carry_back(T, points):
    """x (N, 3) with T x = points (N, 3) for affine T (N, 12), rows of 3x4: Cramer's rule, far faster than LU of tiny matrices."""
    a, b, c, x, d, e, f, y, g, h, i, z = T.t().contiguous().unbind(0)
    px, py, pz = points[:, 0] - x, points[:, 1] - y, points[:, 2] - z
    ei_fh, fg_di, dh_eg = e * i - f * h, f * g - d * i, d * h - e * g
    scale = 1 / (a * ei_fh + b * fg_di + c * dh_eg)
    return torch.stack(
        (
            (ei_fh * px + (c * h - b * i) * py + (b * f - c * e) * pz) * scale,
            (fg_di * px + (a * i - c * g) * py + (c * d - a * f) * pz) * scale,
            (dh_eg * px + (b * g - a * h) * py + (a * e - b * d) * pz) * scale,
        ),
        1,
    )


def _invert_cdf(edges, score, n: int):
    """n places (H, n) in cells with edges (H, S + 1), spread as the scores (H, S) ask, by the inverse of their running sum."""
    cdf = torch.cumsum(score / score.sum(1, keepdim=True), 1)
    u = ((torch.arange(n, device=edges.device, dtype=edges.dtype) + 0.5) / n).expand(len(edges), n).contiguous()
    cell = torch.searchsorted(cdf, u).clamp_max(score.shape[1] - 1)
    high = cdf.gather(1, cell)
    low = torch.where(cell > 0, cdf.gather(1, (cell - 1).clamp_min(0)), torch.zeros_like(high))
    part = (u - low) / (high - low).clamp_min(1e-12)
    return edges.gather(1, cell) + part * (edges.gather(1, cell + 1) - edges.gather(1, cell))
