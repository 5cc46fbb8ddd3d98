"""The bundle's steps: equations in bands and by conjugate gradients are those of a dense solve, and a fit settles."""

import numpy as np
import pytest
import torch

from solver.bundle import ground, motion, parts, picture, pose
from solver.bundle.bodies import PER_FRAME, Moves
from solver.bundle.rows import Far, Shared
from solver.bundle.solve import CG_TOLERANCE, Equations, State, cost, minimise
from tests.unit.test_bundle_terms import BODIES, CENTRE, CONTACT, EVIDENCE, LONG, PLANE, PRIOR, P, T, pairs  # noqa: F401

F64 = torch.float64


def terms(state, posed, moves, far=False):
    out = [
        picture.joints(EVIDENCE, posed, moves), picture.depth(EVIDENCE, posed, moves), picture.bust(EVIDENCE, posed, moves),
        *motion.smooth(EVIDENCE, posed, moves, CENTRE), motion.turning(EVIDENCE, posed, moves), pose.likely(EVIDENCE, PRIOR, posed, moves),
        pose.quiet(EVIDENCE, posed, moves), pose.limits(EVIDENCE, posed, moves), pose.shape(EVIDENCE, posed.bodies),
        *ground.stand(EVIDENCE, posed, moves, CENTRE, state.ground, CONTACT, 6.0), ground.upright(EVIDENCE, posed, moves, state.ground),
        ground.tilt(state.ground, 1), parts.palm(EVIDENCE, posed, moves), parts.head(EVIDENCE, posed, moves),
    ]  # fmt: skip
    if far:
        out += [motion.course(LONG, posed, moves, CENTRE, CONTACT), ground.balance(LONG, posed, moves, state.ground)]
    return out


def dense(found):
    """H and g of all terms at once, from their derivatives as they stand."""
    n, shared = P * T * PER_FRAME, P * 10 + 3
    H, g = torch.zeros(n + shared, n + shared, dtype=F64), torch.zeros(n + shared, dtype=F64)

    def add(J, w, r):
        nonlocal H, g
        H = H + J.T @ (w[:, None] * J)
        g = g + J.T @ (w * r)

    for term in found:
        w = term.curvature()[..., None].expand(term.r.shape)
        if isinstance(term, Shared):
            J = torch.zeros(term.r.numel(), n + shared, dtype=F64)
            if term.by_shape is not None:
                J[:, n : n + P * 10] = term.by_shape.reshape(len(J), -1)
            if term.by_ground is not None:
                J[:, n + P * 10 :] = term.by_ground.reshape(len(J), -1)
            add(J, w.flatten(), term.r.flatten())
            continue
        frames, rows = term.r.shape[1], term.r[0, 0].numel()
        J = torch.zeros(P, frames, rows, n + shared, dtype=F64)
        at = lambda p, t: slice((p * T + t) * PER_FRAME, (p * T + t + 1) * PER_FRAME)
        for p in range(P):
            if isinstance(term, Far):
                for k in range(T * PER_FRAME):
                    one = torch.zeros(P, T * PER_FRAME, dtype=F64)
                    one[p, k] = 1
                    J[p, :, :, p * T * PER_FRAME + k] = term.forth(one.view(P, T, PER_FRAME))[p]
            else:
                for f in range(frames):
                    for a, by in term.by.items():
                        J[p, f, :, at(p, f + a)] += by[p, f]
                    for a, factor in term.differences.items():
                        J[p, f, :, at(p, f + a)] += factor * term.places[p, f + a]
                    for a, by in term.by_joint.items():
                        J[p, f, :, at(p, f + a)][:, :72] += torch.block_diag(*by[p, f])
            if term.by_shape is not None:
                J[p, :, :, n + 10 * p : n + 10 * p + 10] = term.by_shape[p]
            if term.by_ground is not None:
                J[p, :, :, n + 10 * P :] = term.by_ground[p]
        add(J.flatten(0, 2), w.flatten(), term.r.flatten())
    return H, g


@pytest.mark.parametrize("far", [False, True])
def test_a_step_is_that_of_a_dense_solve(far):
    state = State(BODIES, PLANE)
    posed = BODIES.posed()
    found = terms(state, posed, Moves(posed), far)
    damping = 1e-3
    step = torch.cat([x.flatten() for x in Equations(found, state).solve(damping)])
    H, g = dense(found)
    by_far = [term for term in found if isinstance(term, Far)]
    near, _ = dense([term for term in found if not isinstance(term, Far)])
    n = P * T * PER_FRAME
    D = H.diagonal().clone()
    D[:n] = near.diagonal()[:n]  # what reaches far is not damped
    A = H + damping * torch.diag(D)
    residual = A @ step + g
    inner = lambda r: float(r @ torch.linalg.solve(near + 1e-2 * torch.diag(D), r))
    assert inner(residual) < (1e-6 if not by_far else 10 * CG_TOLERANCE**2) * inner(g)


def test_a_fit_settles_at_a_place_without_slope():
    state, least = State(BODIES, PLANE), None
    before = cost(terms(state, BODIES.posed(), None))
    state, least = minimise(state, terms, 60, tolerance=1e-9)
    posed = state.bodies.posed()
    equations = Equations(terms(state, posed, Moves(posed)), state)
    step = equations.solve(1e-6)
    foretold = sum(float((a * b).sum()) for a, b in zip(step, (equations.g, equations.g_shape, equations.g_shared)))
    assert least < before and abs(foretold) < 1e-3 * least


def test_what_is_held_stays():
    shapes, _ = minimise(State(BODIES, PLANE), terms, 3, shapes=False)
    assert torch.equal(shapes.bodies.betas, BODIES.betas) and not torch.equal(shapes.ground.height, PLANE.height)
    from dataclasses import replace

    locked, _ = minimise(State(BODIES, replace(PLANE, locked=True)), terms, 3)
    assert torch.equal(locked.ground.height, PLANE.height) and torch.equal(locked.ground.tilt, PLANE.tilt)
    np.testing.assert_allclose(locked.bodies.root.isfinite().numpy(), True)
