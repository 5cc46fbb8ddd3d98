"""Damped Gauss-Newton steps on bodies, ground and cameras.

The normal equations are banded in time, as most terms tie no more than three frames; with a border for what all frames
share (shapes, ground, lens). A person is a band; where cameras are unknowns too, they and all people are one. Terms that reach further
(rows.Far) are left out of the factor and brought in by conjugate gradients that it preconditions. A step costs in proportion to the frames.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import torch
from scipy import linalg
from scipy.linalg.blas import dsbmv

from .bodies import PER_FRAME, SHAPE, Bodies, Moves
from .filming import PER_CAMERA, Filming
from .ground import Ground
from .rows import Far, Rows, Shared, banded

GROUND = 3
CG_STEPS, CG_TOLERANCE = 30, 1e-2
DAMPING, LEAST_DAMPING, MOST_DAMPING = 1e-4, 1e-8, 1e4
RIDGE = 1e-6  # of the mean diagonal: frames outside of a person's span hang on nothing
MOST_REJECTED = 7  # steps in a row, each damped ten times as much as the one before


@dataclass
class State:
    """The unknowns. ground: None where there is none yet (S_c). filming: None where the cameras are held."""

    bodies: Bodies
    ground: Ground | None = None
    filming: Filming | None = None

    def moved(self, by, shape_by, shared_by, camera_by=None) -> State:
        """Moved by (P, T, 75), (P, 10), tilt, height and the log of the lens (3 or 4), and (T, 6)."""
        ground = self.ground.moved(shared_by[:GROUND]) if self.ground else None
        filming = self.filming.moved(camera_by, shared_by[GROUND]) if self.filming else None
        return State(self.bodies.moved(by, shape_by), ground, filming)


@contextmanager
def threads(count: int):
    """Torch with this many threads: the tensors of a fit are small, and one more often only waits."""
    before = torch.get_num_threads()
    torch.set_num_threads(count)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def cost(terms) -> float:
    return float(sum(term.cost() for term in terms))


@torch.no_grad()
def minimise(state: State, terms: Callable, steps: int, tick=lambda i: None, shapes=True, tolerance=1e-4) -> tuple[State, float]:
    """Levenberg-Marquardt from `state`. Returns the best state and its cost.

    terms: (state, posed, moves or None) -> list of Rows, Shared and Far; with moves, their derivatives too.
    steps: at most, those not counted that gain nothing. tick(i) is called before each; it may raise to stop. shapes: whether shapes may change. Ends where a step gains less than `tolerance` of the cost.
    """
    posed = state.bodies.posed()
    least = cost(terms(state, posed, None))
    damping = DAMPING
    for index in range(steps):
        tick(index)
        equations = Equations(terms(state, posed, Moves(posed)), state, shapes)
        for _ in range(MOST_REJECTED):
            step = equations.solve(damping)
            if step is not None:
                trial = state.moved(*step)
                posed_trial = trial.bodies.posed()
                value = cost(terms(trial, posed_trial, None))
                if value < least:
                    break
            damping = min(10 * damping, MOST_DAMPING)
        else:
            break
        gain = (least - value) / max(abs(least), 1e-12)
        state, posed, least = trial, posed_trial, value
        damping = max(damping / 10, LEAST_DAMPING)
        if gain < tolerance:
            break
    return state, least


class Sum:
    """Normal equations of rows that hang on the same numbers, n a frame.

    g (P, T, n). blocks: of frames t and t, t + 1, t + 2, each (P, T, n, n). border (P, T, n, 10 + shared): against the shape and what all share.
    """

    def __init__(self, P, T, n, shared):
        new = lambda *shape: torch.zeros(*shape, dtype=torch.float64)
        self.g, self.blocks = new(P, T, n), [new(P, T, n, n) for _ in range(3)]
        self.border = new(P, T, n, SHAPE + shared)
        self.by_joint = [new(P, T, 24, 3, 3) for _ in range(3)] if n == PER_FRAME else []

    def add(self, term: Rows, w, by_shared):
        """w (P, F, G): weights. by_shared (P, F, G*m, shared) or None."""
        weighted, frames = w[..., None] * term.r, term.r.shape[1]
        for a, J in term.by_joint.items():  # (P, F, 24, m, 3)
            g = torch.einsum("pfjmi,pfjm->pfji", J, weighted)
            self.g[:, a : a + frames, :72] += g.flatten(2)
            for b, other in term.by_joint.items():
                if b >= a:
                    self.by_joint[b - a][:, a : a + frames] += torch.einsum("pfjmi,pfj,pfjmk->pfjik", J, w, other)
        flat = weighted.flatten(2)
        wide = w[..., None].expand(term.r.shape).flatten(2)[..., None]
        if term.squares is not None:
            self.blocks[0] += term.squares * wide[..., :1, :]
        for a, J in term.by.items():
            at = slice(a, a + frames)
            self.g[:, at] += (flat[..., None, :] @ J)[..., 0, :]
            for b, other in term.by.items():
                if b >= a and term.squares is None:
                    self.blocks[b - a][:, at] += J.mT @ (other * wide)
            self._against_shared(at, J, wide, term, by_shared)
        if term.differences:
            self._differences(term, flat, wide, by_shared)

    def _differences(self, term: Rows, flat, wide, by_shared):
        """Rows that combine neighbouring frames: their weights are gathered at each pair of frames first, and multiplied once."""
        J, frames = term.places, flat.shape[1]
        T = J.shape[1]
        pulls = flat.new_zeros(flat.shape[0], T, flat.shape[2])
        gathered = {}
        for a, one in term.differences.items():
            pulls[:, a : a + frames] += one * flat
            self._against_shared(slice(a, a + frames), one * J[:, a : a + frames], wide, term, by_shared)
            for b, other in term.differences.items():
                if b >= a:
                    at = gathered.setdefault(b - a, flat.new_zeros(flat.shape[0], T, flat.shape[2], 1))
                    at[:, a : a + frames] += one * other * wide
        self.g += (pulls[..., None, :] @ J)[..., 0, :]
        for ahead, weight in gathered.items():
            self.blocks[ahead][:, : T - ahead] += J[:, : T - ahead].mT @ (J[:, ahead:] * weight[:, : T - ahead])

    def _against_shared(self, at, J, wide, term, by_shared):
        if term.by_shape is not None:
            self.border[:, at, :, :SHAPE] += J.mT @ (term.by_shape * wide)
        if by_shared is not None:
            self.border[:, at, :, SHAPE:] += J.mT @ (by_shared * wide)

    def finish(self):
        for block, small in zip(self.blocks, self.by_joint):
            view = block[..., :72, :72].unflatten(-1, (24, 3)).unflatten(-3, (24, 3))  # (P, T, 24, 3, 24, 3)
            view.diagonal(dim1=2, dim2=4).add_(small.permute(0, 1, 3, 4, 2))
        return self


class Equations:
    """Normal equations of terms at a state: H x = -g, x = the frames' numbers (P, T, 75), cameras (T, 6), shapes (P, 10) and what all share:
    ground (3) and lens (1). Cameras and lens are there where they are unknowns."""

    def __init__(self, terms, state: State, shapes=True):
        """shapes: whether they may change."""
        P, T = self.P, self.T = state.bodies.root.shape[:2]
        filming = self.filming = state.filming
        shared = self.shared = GROUND + (filming is not None)
        new = lambda *shape: torch.zeros(*shape, dtype=torch.float64)
        self.g_shape, self.g_shared = new(P, SHAPE), new(shared)
        world = Sum(P, T, PER_FRAME, shared)
        picture = Sum(P, T, PER_FRAME, shared) if filming else world
        own = Sum(1, T, PER_CAMERA, shared) if filming else None
        corner, far_corner = (new(P * SHAPE + shared, P * SHAPE + shared) for _ in range(2))
        self.far = []
        for term in terms:
            if isinstance(term, Shared):
                self._shared(term, corner)
            elif isinstance(term, Far):
                self._far(term, world, far_corner)
            else:
                w, by_shared = term.curvature(), self._by_shared(term)
                one = own if term.of_camera else picture if term.picture else world
                one.add(term, w, by_shared)
                wide = w[..., None].expand(term.r.shape).flatten(2)[..., None]
                self._border((w[..., None] * term.r).flatten(2), wide, term.by_shape, by_shared, corner)
        world.finish()
        if filming:
            picture.finish()
            self.carries = filming.carries(state.bodies)
        self.free = np.ones(len(corner), bool)  # of shapes, ground and lens
        borders = [one.border for one in (world, picture, own) if one is not None]
        if not shapes:
            self._hold([border[..., :SHAPE] for border in borders], self.g_shape, corner, far_corner, slice(0, P * SHAPE))
        if state.ground is None or state.ground.locked:
            self._hold([border[..., SHAPE : SHAPE + GROUND] for border in borders], self.g_shared[:GROUND], corner, far_corner, slice(P * SHAPE, P * SHAPE + GROUND))
        if filming and not filming.sigma:
            self._hold([border[..., -1:] for border in borders], self.g_shared[GROUND:], corner, far_corner, slice(-1, None))
        self.g = world.g  # of people as the world holds them
        self.chains = self._joined(world, picture, own) if filming else self._apart(world)
        self.corner, self.far_corner = corner.numpy(), far_corner.numpy()

    def _by_shared(self, term):
        """(P, F, G*m, shared) of ground and lens; None where a term hangs on neither."""
        by_lens = term.by_lens if self.filming and not isinstance(term, Far) else None
        if term.by_ground is None and by_lens is None:
            return None
        ground = term.by_ground if term.by_ground is not None else by_lens.new_zeros(by_lens.shape + (GROUND,))
        if not self.filming:
            return ground
        return torch.cat([ground, by_lens[..., None] if by_lens is not None else torch.zeros_like(ground[..., :1])], -1)

    def _hold(self, borders, g, corner, far_corner, at):
        """What is held moves by nothing."""
        self.free[at] = False
        for part in (*borders, g, corner[at], corner[:, at], far_corner[at], far_corner[:, at]):
            part.zero_()
        corner[at, at] = torch.eye(g.numel(), dtype=corner.dtype)

    def _apart(self, world: Sum):
        """A band a person."""
        shape, shared = np.arange(self.P * SHAPE).reshape(self.P, SHAPE), np.arange(self.P * SHAPE, self.P * SHAPE + self.shared)
        return [
            Chain(banded([b[p].numpy() for b in world.blocks]), world.border[p].flatten(0, 1).numpy(), np.r_[shape[p], shared], world.g[p].flatten().numpy())
            for p in range(self.P)
        ]  # fmt: skip

    def _joined(self, world: Sum, picture: Sum, own: Sum):
        """People and cameras in one band: what a camera's move does to a row is what a move of all bodies would do (Filming.carries)."""
        P, T, n = self.P, self.T, self.P * PER_FRAME + PER_CAMERA
        camera, person = slice(P * PER_FRAME, n), [slice(p * PER_FRAME, (p + 1) * PER_FRAME) for p in range(P)]
        new = lambda *shape: torch.zeros(*shape, dtype=torch.float64)
        g, blocks, border = new(T, n), [new(T, n, n) for _ in range(3)], new(T, n, P * SHAPE + self.shared)
        g[:, camera], border[:, camera, P * SHAPE :] = own.g[0], own.border[0, ..., SHAPE:]
        for block, mine in zip(blocks, own.blocks):
            block[:, camera, camera] = mine[0]
        for part, carries in zip((world, picture), self.carries):
            for p, at in enumerate(person):
                M = carries[p]
                shape = slice(p * SHAPE, (p + 1) * SHAPE)
                g[:, at] += part.g[p]
                g[:, camera] += (M.mT @ part.g[p, :, :, None])[..., 0]
                for rows, one in ((at, part.border[p]), (camera, M.mT @ part.border[p])):
                    border[:, rows, shape] += one[..., :SHAPE]
                    border[:, rows, P * SHAPE :] += one[..., SHAPE:]
                for k, block in enumerate(blocks):
                    mine, ahead = part.blocks[k][p], M.roll(-k, 0)
                    block[:, at, at] += mine
                    block[:, at, camera] += mine @ ahead
                    block[:, camera, at] += M.mT @ mine
                    block[:, camera, camera] += M.mT @ mine @ ahead
        # The first camera says where W is.
        g[0, camera], border[0, camera] = 0, 0
        for block in blocks:
            block[0, camera] = 0
        blocks[0][0, :, camera] = 0
        blocks[0][0, camera, camera] = torch.eye(PER_CAMERA, dtype=g.dtype)
        return [Chain(banded([b.numpy() for b in blocks]), border.flatten(0, 1).numpy(), np.arange(P * SHAPE + self.shared), g.flatten().numpy())]

    def _border(self, flat, wide, by_shape, by_shared, corner):
        at_shared = slice(self.P * SHAPE, None)
        if by_shape is not None:
            self.g_shape += torch.einsum("pfr,pfrb->pb", flat, by_shape)
            own = torch.einsum("pfrb,pfrc->pbc", by_shape * wide, by_shape)
            for p in range(self.P):
                at = slice(p * SHAPE, (p + 1) * SHAPE)
                corner[at, at] += own[p]
        if by_shared is not None:
            self.g_shared += torch.einsum("pfrb,pfr->b", by_shared, flat)
            corner[at_shared, at_shared] += torch.einsum("pfrb,pfrc->bc", by_shared * wide, by_shared)
        if by_shape is not None and by_shared is not None:
            cross = torch.einsum("pfrb,pfrc->pbc", by_shape * wide, by_shared).flatten(0, 1)
            corner[: self.P * SHAPE, at_shared] += cross
            corner[at_shared, : self.P * SHAPE] += cross.T

    def _shared(self, term: Shared, corner):
        w, r = term.curvature(), term.r
        n, m = r.shape
        by = torch.zeros(n, m, len(corner), dtype=torch.float64)
        at_shared = self.P * SHAPE
        if term.by_shape is not None:
            by[..., :at_shared] = term.by_shape.flatten(2)
        if term.by_ground is not None:
            by[..., at_shared : at_shared + GROUND] = term.by_ground
        if term.by_lens is not None:
            by[..., -1] = term.by_lens
        corner += torch.einsum("nmi,n,nmk->ik", by, w, by)
        g = torch.einsum("nmi,nm->i", by, w[:, None] * r)
        self.g_shape += g[:at_shared].view(self.P, SHAPE)
        self.g_shared += g[at_shared:]

    def _far(self, term: Far, world: Sum, corner):
        w = term.curvature()
        weighted = (w[..., None] * term.r).flatten(2)
        world.g += term.back(weighted)
        wide = w[..., None].expand(term.r.shape).flatten(2)[..., None]
        self._border(weighted, wide, term.by_shape, self._by_shared(term), corner)
        self.far.append((term, wide[..., 0]))

    def slope(self):
        """g, as `solve` takes steps."""
        return np.concatenate([chain.g for chain in self.chains] + [self.g_shape.numpy().ravel(), self.g_shared.numpy()])

    def solve(self, damping):
        """The step (P, T, 75), (P, 10), (shared,), with cameras (T, 6) too; or None where the equations have no answer."""
        try:
            factor = Factor(self, damping)
        except linalg.LinAlgError:
            return None
        g = self.slope()
        x = self._conjugate_gradients(factor, -g) if self.far else factor.solve(-g)
        if not np.isfinite(x).all():
            return None
        people, camera, shared = self._parts(x)
        at = self.P * SHAPE
        step = people, shared[:at].view(self.P, SHAPE), shared[at:]
        return step + (camera,) if self.filming else step

    def _parts(self, x):
        """x as (P, T, 75), (T, 6) or None, and what the corner holds."""
        frames, shared = torch.from_numpy(x[: -len(self.corner)]), torch.from_numpy(x[-len(self.corner) :])
        if not self.filming:
            return frames.view(self.P, self.T, PER_FRAME), None, shared
        frames = frames.view(self.T, -1)
        return frames[:, :-PER_CAMERA].unflatten(1, (self.P, PER_FRAME)).transpose(0, 1), frames[:, -PER_CAMERA:], shared

    def covariance(self):
        """Of shapes, ground and lens, everything else marginalised; terms that reach far are left out."""
        S = Factor(self, 0.0).S
        return linalg.cho_solve(S, np.eye(len(S[0])))

    def _conjugate_gradients(self, factor, b):
        x, r = np.zeros_like(b), b.copy()
        z = factor.solve(r)
        p, rz = z.copy(), r @ z
        first = rz
        for _ in range(CG_STEPS):
            if not rz > CG_TOLERANCE**2 * first:
                break
            Ap = self._times(factor, p)
            alpha = rz / (p @ Ap)
            x += alpha * p
            r -= alpha * Ap
            z = factor.solve(r)
            rz, before = r @ z, rz
            p = z + rz / before * p
        return x

    def _times(self, factor, x):
        """H x, damped, with what reaches far."""
        out = factor.times(x)
        people, camera, shared = self._parts(x)
        shared = shared * torch.from_numpy(self.free)
        at = self.P * SHAPE
        shapes, ground = shared[:at].view(self.P, SHAPE), shared[at : at + GROUND]
        if self.filming:
            carries = self.carries[0]
            people = people + (carries @ camera[:, :, None])[..., 0]
        back, more = torch.zeros(self.P, self.T, PER_FRAME, dtype=torch.float64), torch.zeros_like(shared)
        for term, weight in self.far:
            r = term.forth(people)
            if term.by_shape is not None:
                r = r + torch.einsum("pfrb,pb->pfr", term.by_shape, shapes)
            if term.by_ground is not None:
                r = r + term.by_ground @ ground
            r = weight * r
            back += term.back(r)
            if term.by_shape is not None:
                more[:at] += torch.einsum("pfrb,pfr->pb", term.by_shape, r).flatten()
            if term.by_ground is not None:
                more[at : at + GROUND] += torch.einsum("pfrb,pfr->b", term.by_ground, r)
        to_people, to_camera, to_shared = self._parts(out)
        to_people += back
        if self.filming:
            to_camera += (carries.mT @ back[..., None])[..., 0].sum(0)
        to_shared += more * torch.from_numpy(self.free)
        return out


@dataclass
class Chain:
    """A band in time. band: lower, (width, n). border (n, k): against these `mine` (k,) of the corner. g (n,)."""

    band: np.ndarray
    border: np.ndarray
    mine: np.ndarray
    g: np.ndarray


class Factor:
    """Damped bands, factored, with their border eliminated."""

    def __init__(self, equations: Equations, damping):
        self.chains = equations.chains
        self.ends = np.cumsum([0] + [len(chain.g) for chain in self.chains])
        self.near_corner = equations.corner + np.diag(damping * (equations.corner + equations.far_corner).diagonal())
        self.near_corner[np.diag_indices(len(self.near_corner))] += 1e-9 * self.near_corner.diagonal().max()
        self.band = []
        for chain in self.chains:
            band = chain.band.copy(order="F")  # as LAPACK wants it
            band[0] += damping * band[0] + RIDGE * band[0].mean() + 1e-9
            self.band.append(band)
        self.factors = [linalg.cholesky_banded(band, lower=True, check_finite=False) for band in self.band]
        self.through = [np.ascontiguousarray(self._back(k, chain.border)) for k, chain in enumerate(self.chains)]
        S = self.near_corner + equations.far_corner
        for chain, through in zip(self.chains, self.through):
            S[np.ix_(chain.mine, chain.mine)] -= chain.border.T @ through
        self.S = linalg.cho_factor(S, lower=True, check_finite=False)

    def _back(self, k, b):
        return linalg.cho_solve_banded((self.factors[k], True), b, check_finite=False)

    def _split(self, x):
        return [x[a:b] for a, b in pairwise(self.ends)], x[self.ends[-1] :]

    def solve(self, b):
        """Answer of the damped equations without what reaches far."""
        frames, shared = self._split(b)
        inner, shared = [self._back(k, part) for k, part in enumerate(frames)], shared.copy()
        for chain, part in zip(self.chains, inner):
            shared[chain.mine] -= chain.border.T @ part
        shared = linalg.cho_solve(self.S, shared, check_finite=False)
        out = [part - through @ shared[chain.mine] for chain, part, through in zip(self.chains, inner, self.through)]
        return np.concatenate([*out, shared])

    def times(self, x):
        """The damped equations without what reaches far, times x."""
        frames, shared = self._split(x)
        out, out_shared = [], self.near_corner @ shared
        for chain, band, part in zip(self.chains, self.band, frames):
            out.append(dsbmv(len(band) - 1, 1.0, band, part, lower=1) + chain.border @ shared[chain.mine])
            out_shared[chain.mine] += chain.border.T @ part
        return np.concatenate([*out, out_shared])
