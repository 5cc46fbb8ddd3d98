"""Cameras as unknowns beside people: the equations are those of a dense solve, and people carry a camera that nothing else shows."""

from dataclasses import replace

import pytest
import torch

from solver.bundle import ground, motion, outline, picture, pose
from solver.bundle.bodies import PER_FRAME, Moves, rotvec_to_matrix
from solver.bundle.filming import PER_CAMERA, Filming, level, steady
from solver.bundle.rows import Far
from solver.bundle.solve import Equations, State, cost, minimise
from tests.unit.test_bundle_terms import BODIES, CENTRE, CONTACT, EVIDENCE, LONG, PLANE, PRIOR, SKIN, P, T, pairs

F64 = torch.float64
FILMING = Filming(EVIDENCE.R_w_from_cam, CENTRE, torch.tensor(0.05, dtype=F64), 0.3)
PAIRS = pairs()


def terms(state, posed, moves):
    seen, centre = state.filming.seen(EVIDENCE), state.filming.centre
    return [
        picture.joints(seen, posed, moves), picture.depth(seen, posed, moves), *motion.smooth(seen, posed, moves, centre),
        motion.turning(seen, posed, moves), pose.likely(seen, PRIOR, posed, moves), pose.shape(seen, posed.bodies),
        *ground.stand(seen, posed, moves, centre, state.ground, CONTACT, 6.0), ground.heading(seen, posed, moves, centre, state.ground),
        ground.legs(seen, posed, moves, centre, state.ground), outline.outline(seen, PAIRS, SKIN, posed, moves),
        motion.course(LONG, posed, moves, centre, CONTACT), ground.balance(LONG, posed, moves, state.ground),
        level(state.filming, state.ground, moves, 3.0), *steady(seen, state.filming, moves),
    ]  # fmt: skip


def moved(x):
    """The state moved by x: people (P, T, 75), cameras (T, 6), shapes and what all share."""
    n, m = P * T * PER_FRAME, T * PER_CAMERA
    camera = x[n : n + m].view(T, PER_CAMERA) * (torch.arange(T) > 0)[:, None]
    shared = x[n + m :]
    state = State(BODIES, PLANE, FILMING)
    return state.moved(x[:n].view(P, T, PER_FRAME), shared[: 10 * P].view(P, 10), shared[10 * P :], camera)


def test_slopes_and_curvatures_are_those_of_autograd():
    size = P * T * PER_FRAME + T * PER_CAMERA + 10 * P + 4
    state = moved(torch.zeros(size, dtype=F64))
    found = terms(state, state.bodies.posed(), Moves(state.bodies.posed()))
    equations = Equations(found, state)
    order = lambda people, camera, shared: torch.cat([people.flatten(), camera.flatten(), shared])

    x = torch.zeros(size, dtype=F64, requires_grad=True)
    at = moved(x)
    value = sum(term.cost() for term in terms(at, at.bodies.posed(), None) if term.name not in ("depth", "outline"))
    wanted = torch.autograd.grad(value, x)[0] / 2
    by = [term for term in found if term.name not in ("depth", "outline")]  # these hold a size, and pairs' sides, while they are differentiated
    torch.testing.assert_close(order(*Equations(by, state)._parts(Equations(by, state).slope())), wanted, rtol=1e-7, atol=1e-7 * float(wanted.abs().max()))

    near = [term for term in found if not isinstance(term, Far)]
    held = [term.curvature() for term in near]

    def residuals(x):
        at = moved(x)
        now = [term for term in terms(at, at.bodies.posed(), None) if not isinstance(term, Far)]
        return torch.cat([(w.sqrt()[..., None] * term.r).flatten() for w, term in zip(held, now)])

    J = torch.func.jacfwd(residuals)(torch.zeros(size, dtype=F64))
    step = torch.randn(size, dtype=F64, generator=torch.Generator().manual_seed(0))
    first = P * T * PER_FRAME + torch.arange(PER_CAMERA)
    step[first] = 0
    plain = Equations(near, state)
    from solver.bundle.solve import Factor

    joined = torch.cat([step[: P * T * PER_FRAME].view(P, T, -1).transpose(0, 1).flatten(1), step[P * T * PER_FRAME :][: 6 * T].view(T, 6)], 1)
    given = torch.cat([joined.flatten(), step[-(10 * P + 4) :]]).numpy()
    times = order(*plain._parts(Factor(plain, 0.0).times(given)))
    wanted = J.T @ (J @ step)
    keep = torch.ones(size, dtype=torch.bool)
    keep[first] = False
    torch.testing.assert_close(times[keep], wanted[keep], rtol=1e-5, atol=1e-5 * float(wanted.abs().max()))


@pytest.mark.parametrize("lens_sigma", [0.3, 0.0])
def test_a_fit_moves_cameras_but_the_first_and_a_known_lens(lens_sigma):
    start = State(BODIES, PLANE, replace(FILMING, lens_sigma=lens_sigma))
    before = cost(terms(start, BODIES.posed(), None))
    state, least = minimise(start, terms, 5)
    assert least < before
    torch.testing.assert_close(state.filming.centre[0], CENTRE[0])
    torch.testing.assert_close(state.filming.R[0], FILMING.R[0])
    assert not torch.equal(state.filming.centre[1:], CENTRE[1:])
    assert torch.equal(state.filming.log_lens, FILMING.log_lens) == (lens_sigma == 0)
    eye = torch.eye(3, dtype=F64).expand(T, 3, 3)
    torch.testing.assert_close(state.filming.R.mT @ state.filming.R, eye)
    assert rotvec_to_matrix(torch.zeros(3, dtype=F64)).equal(torch.eye(3, dtype=F64))
