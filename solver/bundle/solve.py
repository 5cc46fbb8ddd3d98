"""Damped Gauss-Newton steps on bodies and ground.

The normal equations are banded in time, a band a person, as most terms tie no more than three frames; with a border for what all frames
share (shapes, ground). Terms that reach further (rows.Far) are left out of the factor and brought in by conjugate gradients that it
preconditions. A step costs in proportion to the frames.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np
import torch
from scipy import linalg
from scipy.linalg.blas import dsbmv

from .bodies import PER_FRAME, SHAPE, Bodies, Moves
from .ground import Ground
from .rows import Far, Rows, Shared

BAND = 3 * PER_FRAME - 1  # sub-diagonals
GROUND = 3
CG_STEPS, CG_TOLERANCE = 30, 1e-2
DAMPING, LEAST_DAMPING, MOST_DAMPING = 1e-4, 1e-8, 1e4
RIDGE = 1e-6  # of the mean diagonal: frames outside of a person's span hang on nothing
MOST_REJECTED = 7  # steps in a row, each damped ten times as much as the one before


@dataclass
class State:
    """The unknowns. ground: None where there is none yet (S_c)."""

    bodies: Bodies
    ground: Ground | None = None

    def moved(self, by, shape_by, ground_by) -> State:
        return State(self.bodies.moved(by, shape_by), self.ground.moved(ground_by) if self.ground else None)


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


class Equations:
    """Normal equations of terms at a state: H x = -g, x = the frames' numbers (P, T, 75), shapes (P, 10), ground (3)."""

    def __init__(self, terms, state: State, shapes=True):
        """shapes: whether they may change."""
        P, T = self.P, self.T = state.bodies.root.shape[:2]
        new = lambda *shape: torch.zeros(*shape, dtype=torch.float64)
        self.g, self.g_shape, self.g_ground = new(P, T, PER_FRAME), new(P, SHAPE), new(GROUND)
        blocks = [new(P, T, PER_FRAME, PER_FRAME) for _ in range(3)]  # of frames t and t, t + 1, t + 2
        border = new(P, T, PER_FRAME, SHAPE + GROUND)
        corner, far_corner = (new(P * SHAPE + GROUND, P * SHAPE + GROUND) for _ in range(2))
        by_joint = [new(P, T, 24, 3, 3) for _ in range(3)]
        self.far = []
        for term in terms:
            if isinstance(term, Shared):
                self._shared(term, corner)
            elif isinstance(term, Far):
                self._far(term, far_corner)
            else:
                self._rows(term, blocks, by_joint, border, corner)
        for block, small in zip(blocks, by_joint):
            view = block[..., :72, :72].unflatten(-1, (24, 3)).unflatten(-3, (24, 3))  # (P, T, 24, 3, 24, 3)
            view.diagonal(dim1=2, dim2=4).add_(small.permute(0, 1, 3, 4, 2))
        self.free = np.ones(len(corner), bool)  # of shapes and ground
        if not shapes:
            self._hold(border[..., :SHAPE], self.g_shape, corner, far_corner, slice(0, -GROUND))
        if state.ground is None or state.ground.locked:
            self._hold(border[..., SHAPE:], self.g_ground, corner, far_corner, slice(-GROUND, None))
        self.band = [_banded([b[p].numpy() for b in blocks]) for p in range(P)]
        self.border = border.flatten(1, 2).numpy()
        self.corner, self.far_corner = corner.numpy(), far_corner.numpy()

    def _hold(self, border, g, corner, far_corner, at):
        """What is held moves by nothing."""
        self.free[at] = False
        for part in (border, g, corner[at], corner[:, at], far_corner[at], far_corner[:, at]):
            part.zero_()
        corner[at, at] = torch.eye(g.numel(), dtype=corner.dtype)

    def _rows(self, term: Rows, blocks, by_joint, border, corner):
        w = term.curvature()
        r = term.r
        weighted = w[..., None] * r
        frames = r.shape[1]
        for a, J in term.by_joint.items():  # (P, F, 24, m, 3)
            g = torch.einsum("pfjmi,pfjm->pfji", J, weighted)
            self.g[:, a : a + frames, :72] += g.flatten(2)
            for b, other in term.by_joint.items():
                if b >= a:
                    by_joint[b - a][:, a : a + frames] += torch.einsum("pfjmi,pfj,pfjmk->pfjik", J, w, other)
        flat = weighted.flatten(2)
        wide = w[..., None].expand(r.shape).flatten(2)[..., None]
        if term.squares is not None:
            blocks[0] += term.squares * wide[..., :1, :]
        for a, J in term.by.items():
            at = slice(a, a + frames)
            self.g[:, at] += (flat[..., None, :] @ J)[..., 0, :]
            for b, other in term.by.items():
                if b >= a and term.squares is None:
                    blocks[b - a][:, at] += J.mT @ (other * wide)
            self._border_of(border, at, J, wide, term)
        if term.differences:
            self._differences(term, flat, wide, blocks, border)
        self._border(flat, wide, term.by_shape, term.by_ground, corner)

    def _differences(self, term: Rows, flat, wide, blocks, border):
        """Rows that combine neighbouring frames: their weights are gathered at each pair of frames first, and multiplied once."""
        J, frames = term.places, flat.shape[1]
        T = J.shape[1]
        pulls = flat.new_zeros(flat.shape[0], T, flat.shape[2])
        gathered = {}
        for a, one in term.differences.items():
            pulls[:, a : a + frames] += one * flat
            self._border_of(border, slice(a, a + frames), one * J[:, a : a + frames], wide, term)
            for b, other in term.differences.items():
                if b >= a:
                    at = gathered.setdefault(b - a, flat.new_zeros(flat.shape[0], T, flat.shape[2], 1))
                    at[:, a : a + frames] += one * other * wide
        self.g += (pulls[..., None, :] @ J)[..., 0, :]
        for ahead, weight in gathered.items():
            blocks[ahead][:, : T - ahead] += J[:, : T - ahead].mT @ (J[:, ahead:] * weight[:, : T - ahead])

    @staticmethod
    def _border_of(border, at, J, wide, term):
        if term.by_shape is not None:
            border[:, at, :, :SHAPE] += J.mT @ (term.by_shape * wide)
        if term.by_ground is not None:
            border[:, at, :, SHAPE:] += J.mT @ (term.by_ground * wide)

    def _border(self, flat, wide, by_shape, by_ground, corner):
        if by_shape is not None:
            self.g_shape += torch.einsum("pfr,pfrb->pb", flat, by_shape)
            own = torch.einsum("pfrb,pfrc->pbc", by_shape * wide, by_shape)
            for p in range(self.P):
                at = slice(p * SHAPE, (p + 1) * SHAPE)
                corner[at, at] += own[p]
        if by_ground is not None:
            self.g_ground += torch.einsum("pfr,pfrb->b", flat, by_ground)
            corner[-GROUND:, -GROUND:] += torch.einsum("pfrb,pfrc->bc", by_ground * wide, by_ground)
        if by_shape is not None and by_ground is not None:
            cross = torch.einsum("pfrb,pfrc->pbc", by_shape * wide, by_ground).flatten(0, 1)
            corner[:-GROUND, -GROUND:] += cross
            corner[-GROUND:, :-GROUND] += cross.T

    def _shared(self, term: Shared, corner):
        w, r = term.curvature(), term.r
        n, m = r.shape
        by = torch.zeros(n, m, len(corner), dtype=torch.float64)
        if term.by_shape is not None:
            by[..., :-GROUND] = term.by_shape.flatten(2)
        if term.by_ground is not None:
            by[..., -GROUND:] = term.by_ground
        corner += torch.einsum("nmi,n,nmk->ik", by, w, by)
        g = torch.einsum("nmi,nm->i", by, w[:, None] * r)
        self.g_shape += g[:-GROUND].view(self.P, SHAPE)
        self.g_ground += g[-GROUND:]

    def _far(self, term: Far, corner):
        w = term.curvature()
        weighted = (w[..., None] * term.r).flatten(2)
        self.g += term.back(weighted)
        wide = w[..., None].expand(term.r.shape).flatten(2)[..., None]
        self._border(weighted, wide, term.by_shape, term.by_ground, corner)
        self.far.append((term, wide[..., 0]))

    def solve(self, damping):
        """The step (P, T, 75), (P, 10), (3,), or None where the equations have no answer."""
        try:
            factor = Factor(self, damping)
        except linalg.LinAlgError:
            return None
        g = np.concatenate([self.g.numpy().ravel(), self.g_shape.numpy().ravel(), self.g_ground.numpy()])
        x = self._conjugate_gradients(factor, -g) if self.far else factor.solve(-g)
        if not np.isfinite(x).all():
            return None
        n = self.P * self.T * PER_FRAME
        pick = torch.from_numpy
        return pick(x[:n]).view(self.P, self.T, PER_FRAME), pick(x[n:-GROUND]).view(self.P, SHAPE), pick(x[-GROUND:])

    def covariance(self):
        """Of shapes and ground (P*10 + 3, P*10 + 3), everything else marginalised; terms that reach far are left out."""
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
        P, n = self.P, self.T * PER_FRAME
        frames, shared = x[: P * n].reshape(P, n), x[P * n :]
        out, out_shared = np.empty_like(frames), factor.near_corner @ shared
        for p in range(P):
            mine = factor.mine(p)
            out[p] = dsbmv(BAND, 1.0, factor.band[p], frames[p], lower=1) + self.border[p] @ shared[mine]
            out_shared[mine] += self.border[p].T @ frames[p]
        moved = torch.from_numpy(frames).view(P, self.T, PER_FRAME)
        shared = torch.from_numpy(shared * self.free)
        shapes, ground = shared[:-GROUND].view(P, SHAPE), shared[-GROUND:]
        more = torch.zeros_like(shared)
        for term, weight in self.far:
            r = term.forth(moved)
            if term.by_shape is not None:
                r = r + torch.einsum("pfrb,pb->pfr", term.by_shape, shapes)
            if term.by_ground is not None:
                r = r + term.by_ground @ ground
            r = weight * r
            out += term.back(r).flatten(1).numpy()
            if term.by_shape is not None:
                more[:-GROUND] += torch.einsum("pfrb,pfr->pb", term.by_shape, r).flatten()
            if term.by_ground is not None:
                more[-GROUND:] += torch.einsum("pfrb,pfr->b", term.by_ground, r)
        return np.concatenate([out.ravel(), out_shared + more.numpy() * self.free])


class Factor:
    """Damped band, factored, with its border eliminated."""

    def __init__(self, equations: Equations, damping):
        P, T = equations.P, equations.T
        self.P, self.n = P, T * PER_FRAME
        self.border = equations.border
        self.near_corner = equations.corner + np.diag(damping * (equations.corner + equations.far_corner).diagonal())
        self.near_corner[np.diag_indices(len(self.near_corner))] += 1e-9 * self.near_corner.diagonal().max()
        self.band = []
        for band in equations.band:
            band = band.copy(order="F")  # as LAPACK wants it
            band[0] += damping * band[0] + RIDGE * band[0].mean() + 1e-9
            self.band.append(band)
        self.factors = [linalg.cholesky_banded(band, lower=True, check_finite=False) for band in self.band]
        self.through = [np.ascontiguousarray(self._back(p, self.border[p])) for p in range(P)]
        S = self.near_corner + equations.far_corner
        for p in range(P):
            at = np.ix_(self.mine(p), self.mine(p))
            S[at] -= self.border[p].T @ self.through[p]
        self.S = linalg.cho_factor(S, lower=True, check_finite=False)

    def mine(self, p):
        """Rows of the corner that a person's frames hang on: their shape, and the ground."""
        return np.r_[p * SHAPE : (p + 1) * SHAPE, self.P * SHAPE : self.P * SHAPE + GROUND]

    def _back(self, p, b):
        return linalg.cho_solve_banded((self.factors[p], True), b, check_finite=False)

    def solve(self, b):
        """Answer of the damped equations without what reaches far."""
        n = self.n
        frames, shared = b[: self.P * n].reshape(self.P, n), b[self.P * n :].copy()
        inner = [self._back(p, frames[p]) for p in range(self.P)]
        for p in range(self.P):
            shared[self.mine(p)] -= self.border[p].T @ inner[p]
        shared = linalg.cho_solve(self.S, shared, check_finite=False)
        out = [inner[p] - self.through[p] @ shared[self.mine(p)] for p in range(self.P)]
        return np.concatenate([*out, shared])


def _banded(blocks):
    """Lower band (BAND + 1, n) of blocks (T, 75, 75) of frames t with t, t + 1 and t + 2, rows of the earlier frame first."""
    T, size = len(blocks[0]), blocks[0].itemsize
    out = np.zeros((BAND + 1, T * PER_FRAME), order="F")
    flat = out.reshape(-1, order="F")
    for ahead, block in enumerate(blocks[: min(3, T)]):
        # Row i of column j lies at j * BAND + i. What the first block's zeros fall on outside of it, the others write after it.
        place = np.lib.stride_tricks.as_strided(
            flat[ahead * PER_FRAME :], (T - ahead, PER_FRAME, PER_FRAME), (PER_FRAME * (BAND + 1) * size, BAND * size, size)
        )
        place[:] = np.triu(block) if ahead == 0 else block[: T - ahead]
    return out
