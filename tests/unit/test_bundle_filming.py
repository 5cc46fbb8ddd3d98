"""Cameras as unknowns beside people: the equations are those of a dense problem."""

from dataclasses import replace

import pytest
import torch

from solver.bundle import ground, motion, outline, picture, pose
from solver.bundle.bodies import PER_FRAME, Moves
from solver.bundle.filming import PER_CAMERA, Filming, steady
from solver.bundle.rows import Far
from solver.bundle.solve import Equations, Factor, State, cost, minimise
from solver.bundle.steps import pace
from tests.unit.test_bundle_terms import AHEAD, BODIES, CENTRE, CONTACT, EVIDENCE, LONG, PLANE, PRIOR, SKIN, P, T, pairs

F64 = torch.float64
FILMING = Filming(EVIDENCE.R_w_from_cam, CENTRE, torch.tensor(0.05, dtype=F64), 0.1, 0.3)
PAIRS = pairs()


def terms(state, posed, moves):
    seen, centre = state.filming.seen(EVIDENCE), state.filming.centre
    return [
        picture.joints(seen, posed, moves), picture.depth(seen, posed, moves), *motion.smooth(seen, posed, moves, centre),
        motion.turning(seen, posed, moves), pose.likely(seen, PRIOR, posed, moves), pose.shape(seen, posed.bodies),
        *ground.stand(seen, posed, moves, centre, state.ground, CONTACT, 6.0), ground.heading(seen, posed, moves, centre, state.ground),
        ground.legs(seen, posed, moves, centre, state.ground), outline.outline(seen, PAIRS, SKIN, posed, moves),
        motion.course(LONG, posed, moves, centre, CONTACT), ground.balance(LONG, posed, moves, state.ground),
        pace(LONG, posed, moves, centre, AHEAD, torch.tensor([1.2, float("nan")], dtype=F64), 0.15),
        *steady(seen, state.filming, state.ground, moves),
    ]  # fmt: skip


def moved(x):
    """The state moved by x: people (P, T, 75), cameras (T, 6), shapes and what all share."""
    n, m = P * T * PER_FRAME, T * PER_CAMERA
    camera = x[n : n + m].view(T, PER_CAMERA) * (torch.arange(T) > 0)[:, None]
    shared = x[n + m :]
    state = State(BODIES, PLANE, FILMING)
    return state.moved(x[:n].view(P, T, PER_FRAME), shared[: 10 * P].view(P, 10), shared[10 * P :], camera)


SIZE = P * T * PER_FRAME + T * PER_CAMERA + 10 * P + 4


def order(people, camera, shared):
    return torch.cat([people.flatten(), camera.flatten(), shared])


def test_slopes_are_those_of_autograd():
    holds = ("depth", "outline")  # a size, and on which side pairs lie, while they are differentiated
    x = torch.zeros(SIZE, dtype=F64, requires_grad=True)
    at = moved(x)
    value = sum(term.cost() for term in terms(at, at.bodies.posed(), None) if term.name not in holds)
    wanted = torch.autograd.grad(value, x)[0] / 2
    state = moved(torch.zeros(SIZE, dtype=F64))
    posed = state.bodies.posed()
    equations = Equations([term for term in terms(state, posed, Moves(posed)) if term.name not in holds], state)
    torch.testing.assert_close(order(*equations._parts(equations.slope())), wanted, rtol=1e-7, atol=1e-7 * float(wanted.abs().max()))


def test_curvatures_are_those_of_a_dense_problem():
    state = moved(torch.zeros(SIZE, dtype=F64))
    posed = state.bodies.posed()
    near = [term for term in terms(state, posed, Moves(posed)) if not isinstance(term, Far)]
    weights = [term.curvature() for term in near]

    def residuals(x):
        at = moved(x)
        now = [term for term in terms(at, at.bodies.posed(), None) if not isinstance(term, Far)]
        return torch.cat([(w.sqrt()[..., None] * term.r).flatten() for w, term in zip(weights, now)])

    J = torch.func.jacfwd(residuals)(torch.zeros(SIZE, dtype=F64))
    step = torch.randn(SIZE, dtype=F64, generator=torch.Generator().manual_seed(0))
    people, camera, shared = step.split([P * T * PER_FRAME, T * PER_CAMERA, 10 * P + 4])
    camera[:PER_CAMERA] = 0  # the first one is held
    frames = torch.cat([people.view(P, T, -1).transpose(0, 1).flatten(1), camera.view(T, -1)], 1)
    equations = Equations(near, state)
    found = order(*equations._parts(Factor(equations, 0.0).times(torch.cat([frames.flatten(), shared]).numpy())))
    wanted = J.T @ (J @ step)
    found[P * T * PER_FRAME :][:PER_CAMERA] = wanted[P * T * PER_FRAME :][:PER_CAMERA] = 0
    torch.testing.assert_close(found, wanted, rtol=1e-5, atol=1e-5 * float(wanted.abs().max()))


@pytest.mark.parametrize("lens_sigma", [0.3, 0.0])
def test_a_fit_moves_cameras_but_the_first_and_a_known_lens(lens_sigma):
    start = State(BODIES, PLANE, replace(FILMING, sigma=lens_sigma))
    before = cost(terms(start, BODIES.posed(), None))
    state, least = minimise(start, terms, 5)
    assert least < before
    torch.testing.assert_close(state.filming.centre[0], CENTRE[0])
    torch.testing.assert_close(state.filming.R[0], FILMING.R[0])
    assert not torch.equal(state.filming.centre[1:], CENTRE[1:])
    assert torch.equal(state.filming.log_lens, FILMING.log_lens) == (lens_sigma == 0)
    still, _ = minimise(replace(start, filming=replace(start.filming, travels=False)), terms, 3)
    assert torch.equal(still.filming.centre, CENTRE) and not torch.equal(still.filming.R[1:], FILMING.R[1:])
