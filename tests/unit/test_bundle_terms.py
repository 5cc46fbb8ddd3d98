"""Every term of the people's bundle: its derivatives are those that autograd finds, in float64."""

from types import SimpleNamespace

import numpy as np
import pytest
import torch

from solver.body.fit import Evidence
from solver.body.model import BodyModel
from solver.body.prior import PosePrior
from solver.bundle import ground, motion, outline, parts, picture, pose, touch
from solver.bundle.bodies import Bodies, Moves, rotvec_to_matrix
from solver.bundle.rows import Far, Rows
from solver.bundle.steps import steps
from solver.world.outline import Pairs, Skin

P, T = 2, 5
F64 = torch.float64
MODEL = BodyModel.load(dtype=F64)
PRIOR = PosePrior(F64)


def scene(seed=0):
    """Two bent people who move before a moving camera; most joints seen, a few hips not."""
    torch.manual_seed(seed)
    random = lambda *shape: torch.randn(*shape, dtype=F64)
    bodies = Bodies(
        MODEL, 0.5 * random(P, 10), rotvec_to_matrix(0.4 * random(P, T, 3)) @ torch.diag(torch.tensor([1.0, -1, -1], dtype=F64)),
        0.3 * random(P, T, 23, 3), 0.3 * random(P, T, 3) + torch.tensor([0.0, 0, 4], dtype=F64),
    )  # fmt: skip
    K = torch.tensor([[500.0, 0, 320], [0, 500.0, 180], [0, 0, 1]], dtype=F64).repeat(T, 1, 1)
    xyz, seen = 0.3 * random(P, T, 25, 3), torch.rand(P, T, 25, dtype=F64)
    seen[1, :3, 11:13] = 0
    seen[0, 2:, 15:17] = 0
    evidence = Evidence(
        320 + 60 * random(P, T, 25, 2), seen, xyz, torch.rand(P, T, 25, dtype=F64) * (seen > 0), torch.ones(P, T, dtype=torch.bool),
        rotvec_to_matrix(0.1 * random(T, 3)), K, 24.0, torch.full((P, T), 4 / 500, dtype=F64),
    )  # fmt: skip
    centre = torch.cumsum(0.02 * random(T, 3), 0)
    up = torch.tensor([0.05, -1, 0.1], dtype=F64)
    up = up / up.norm()
    basis = torch.linalg.svd(up[None])[2][1:]
    feet = (bodies.posed().keypoints[:, :, ground.FEET] + centre[:, None]) @ up
    plane = ground.Ground(up, basis, 0.05 * random(2), feet.median())  # half of the feet are below it
    # drawn last, so that the rest is as it was without them
    own = parts.directions(parts.PALMS, picture.in_camera(evidence, bodies.posed().points))
    ways = torch.nn.functional.normalize(own, dim=-1) + 0.3 * random(P, T, 2, 2, 3)
    evidence.palms = parts.Turned(torch.nn.functional.normalize(ways, dim=-1), torch.rand(P, T, 2, dtype=F64))
    heads = evidence.R_w_from_cam.mT @ bodies.posed().bones[:, :, 15, :3, :3] @ rotvec_to_matrix(0.2 * random(P, T, 3))
    evidence.heads = parts.Heads(heads, torch.rand(P, T, dtype=F64))
    return bodies, evidence, centre, plane


def pairs():
    torch.manual_seed(3)
    n = (P, T, 7)
    normal = torch.nn.functional.normalize(torch.randn(*n, 2, dtype=F64), dim=-1)
    return Pairs(torch.randint(0, 50, n), 320 + 60 * torch.randn(*n, 2, dtype=F64), normal, torch.rand(n, dtype=F64), torch.zeros(n, dtype=F64))


BODIES, EVIDENCE, CENTRE, PLANE = scene()
CONTACT = torch.rand(P, T, 4, dtype=F64, generator=torch.Generator().manual_seed(1))
SKIN = Skin(MODEL, 60)
LONG = SimpleNamespace(**{**EVIDENCE.__dict__, "fps": 4.0, "bust": EVIDENCE.bust})  # half seconds of two frames
AHEAD = torch.nn.functional.normalize(torch.randn(P, T, 3, dtype=F64, generator=torch.Generator().manual_seed(4)), dim=-1)
SINES = 0.3 * torch.randn(P, T, 2, 3, dtype=F64, generator=torch.Generator().manual_seed(5))
FLOOR = torch.randn(9, 2, 3, dtype=F64, generator=torch.Generator().manual_seed(2))
TERMS = {
    "joints": lambda b, m, g: picture.joints(EVIDENCE, b, m, 4.0),
    "palm": lambda b, m, g: parts.palm(EVIDENCE, b, m),
    "head": lambda b, m, g: parts.head(EVIDENCE, b, m),
    "bust": lambda b, m, g: picture.bust(EVIDENCE, b, m),
    "likely": lambda b, m, g: pose.likely(EVIDENCE, PRIOR, b, m),
    "quiet": lambda b, m, g: pose.quiet(EVIDENCE, b, m),
    "limits": lambda b, m, g: pose.limits(EVIDENCE, b, m),
    "limbs": lambda b, m, g: motion.smooth(EVIDENCE, b, m, CENTRE)[0],
    "arms": lambda b, m, g: motion.smooth(EVIDENCE, b, m, CENTRE)[1],
    "root": lambda b, m, g: motion.smooth(EVIDENCE, b, m, CENTRE)[2],
    "turning": lambda b, m, g: motion.turning(EVIDENCE, b, m),
    "course": lambda b, m, g: motion.course(LONG, b, m, CENTRE, CONTACT),
    "slide": lambda b, m, g: ground.stand(EVIDENCE, b, m, CENTRE, g, CONTACT, 6.0)[0],
    "stand": lambda b, m, g: ground.stand(EVIDENCE, b, m, CENTRE, g, CONTACT, 6.0)[1],
    "sunk": lambda b, m, g: ground.stand(EVIDENCE, b, m, CENTRE, g, CONTACT, 6.0)[2],
    "upright": lambda b, m, g: ground.upright(EVIDENCE, b, m, g),
    "outline": lambda b, m, g: outline.outline(EVIDENCE, pairs(), SKIN, b, m),
    "apart": lambda b, m, g: touch.apart(EVIDENCE, b, m),
}
# What a term holds while it is differentiated is held here too.
HELD = {
    "depth": lambda b, m, g: picture.depth(EVIDENCE, b, m),
    "steps": lambda b, m, g: steps(b, m, AHEAD, PLANE.up(), SINES, CONTACT[..., 0]),
    "legs": lambda b, m, g: ground.legs(EVIDENCE, b, m, CENTRE, g),
    "balls": lambda b, m, g: ground.balls(EVIDENCE, b, m, CENTRE, g),
    "heading": lambda b, m, g: ground.heading(EVIDENCE, b, m, CENTRE, g),
    "balance": lambda b, m, g: ground.balance(LONG, b, m, g),
}


def analytic(rows, x, s, g):
    """Change of all residuals with changes of frames (P, T, 75), shapes (P, 10) and ground (3)."""
    if isinstance(rows, Far):
        out = rows.forth(x)
    else:
        frames = rows.r.shape[1]
        out = sum((J @ x[:, a : a + frames, :, None])[..., 0] for a, J in rows.by.items()) + torch.zeros_like(rows.r).flatten(2)
        for a, factor in rows.differences.items():
            out = out + factor * (rows.places[:, a : a + frames] @ x[:, a : a + frames, :, None])[..., 0]
        for a, J in rows.by_joint.items():
            out = out + (J @ x[:, a : a + frames, :72].unflatten(-1, (24, 3))[..., None])[..., 0].flatten(2)
    if rows.by_shape is not None:
        out = out + torch.einsum("pfrb,pb->pfr", rows.by_shape, s)
    if rows.by_ground is not None:
        out = out + rows.by_ground @ g
    return out


@pytest.mark.parametrize("name", [*TERMS, *HELD])
def test_derivatives_are_those_of_autograd(name):
    term = (TERMS | HELD)[name]
    rows = term(BODIES.posed(), Moves(BODIES.posed()), PLANE)
    generator = torch.Generator().manual_seed(7)
    random = lambda *shape: torch.randn(*shape, dtype=F64, generator=generator)
    x, s, g = random(P, T, 75), random(P, 10), random(3)
    if name in ("legs", "balls"):
        s = torch.zeros_like(s)

    def moved(by, shape_by, ground_by):
        return term(BODIES.moved(by, shape_by).posed(), None, PLANE.moved(ground_by)).r

    zero = torch.zeros_like(x), torch.zeros_like(s), torch.zeros_like(g)
    if name == "depth":  # its factor of size is that of the bodies as they are
        fixed = rows.r
        h = 1e-6
        expected = (moved(h * x, h * s, h * g) - moved(-h * x, -h * s, -h * g)) / (2 * h)
        free = analytic(rows, x, s, g) - expected.flatten(2)
        about = (fixed * picture.SIGMA_3D + EVIDENCE.xyz - _centre(EVIDENCE.xyz)).flatten(2)  # what is left points along the factor
        for p in range(P):
            a, b = free[p].flatten(), about[p].flatten()
            assert (a @ b) ** 2 == pytest.approx(float((a @ a) * (b @ b)), rel=1e-4)
        return
    _, expected = torch.func.jvp(moved, zero, (x, s, g))
    np.testing.assert_allclose(analytic(rows, x, s, g).numpy(), expected.flatten(2).numpy(), atol=1e-6 * float(expected.abs().max()))
    assert float(expected.abs().max()) > 0


def _centre(xyz):
    hips = (EVIDENCE.confidence_3d[..., 11:13].amax(-1) > 0)[..., None, None]
    return torch.where(hips, xyz[:, :, [11, 12]].mean(2, keepdim=True), xyz[:, :, [5, 6]].mean(2, keepdim=True))


@pytest.mark.parametrize("name", ["course", "balance"])
def test_far_terms_go_back_as_they_go_forth(name):
    rows = (TERMS | HELD)[name](BODIES.posed(), Moves(BODIES.posed()), PLANE)
    generator = torch.Generator().manual_seed(8)
    x = torch.randn(P, T, 75, dtype=F64, generator=generator)
    r = torch.randn(rows.r.flatten(2).shape, dtype=F64, generator=generator)
    assert float((rows.forth(x) * r).sum()) == pytest.approx(float((x * rows.back(r)).sum()), rel=1e-9)


def test_shared_terms_have_the_derivatives_of_autograd():
    zero = torch.zeros(P, T, 75, dtype=F64)
    s, g = torch.randn(P, 10, dtype=F64), torch.randn(3, dtype=F64)
    heights = torch.tensor([float("nan"), 1.8], dtype=F64)
    for term in (
        lambda b, g: pose.shape(EVIDENCE, b), lambda b, g: pose.height(EVIDENCE, b, heights), lambda b, g: ground.floor(FLOOR, 1.3, g),
        lambda b, g: ground.level(EVIDENCE, g), lambda b, g: ground.tilt(g, 3),
    ):  # fmt: skip
        rows = term(BODIES, PLANE)
        _, expected = torch.func.jvp(lambda s, g, term=term: term(BODIES.moved(zero, s), PLANE.moved(g)).r, (0 * s, 0 * g), (s, g))
        found = 0 * rows.r
        if rows.by_shape is not None:
            found = found + torch.einsum("nmpb,pb->nm", rows.by_shape, s)
        if rows.by_ground is not None:
            found = found + rows.by_ground @ g
        if rows.name == "floor":  # its variance is held: differentiate what is left
            variance = ground.SIGMA_FLOOR**2 + ((1.3 * FLOOR[:, 1]) @ PLANE.up()) ** 2
            above = lambda g: (1.3 * FLOOR[:, 0]) @ PLANE.moved(g).up() - PLANE.moved(g).height
            expected = (torch.func.jvp(above, (0 * g,), (g,))[1] / variance.sqrt())[:, None]
        np.testing.assert_allclose(found.numpy(), expected.numpy(), atol=1e-8)


def test_kernels_slopes_are_their_values_derivatives():
    from solver.bundle.rows import holds_on, lets_go, plain

    s = torch.tensor([0.01, 1.0, 30.0], dtype=F64, requires_grad=True)
    for kernel in (plain(), lets_go(3.0), holds_on(2.0)):
        (slope,) = torch.autograd.grad(kernel.value(s).sum(), s)
        np.testing.assert_allclose(kernel.slope(s.detach()).numpy(), slope.numpy(), rtol=1e-10)
    assert isinstance(TERMS["joints"](BODIES.posed(), None, PLANE), Rows)


def test_a_palm_that_is_as_seen_costs_nothing_and_a_turned_wrist_does():
    posed = BODIES.posed()
    seen = parts.directions(parts.PALMS, picture.in_camera(EVIDENCE, posed.points))
    palms = parts.Turned(seen / seen.norm(dim=-1, keepdim=True), EVIDENCE.palms.weight)
    evidence = SimpleNamespace(**{**EVIDENCE.__dict__, "palms": palms})
    assert float(parts.palm(evidence, posed, None).r.abs().max()) < 1e-9
    turn = torch.zeros(P, T, 75, dtype=F64)
    turn[..., 3 + 3 * 19 : 6 + 3 * 19] = 0.3 / 3**0.5  # the left wrist
    r = parts.palm(evidence, BODIES.moved(turn, torch.zeros(P, 10, dtype=F64)).posed(), None).r
    assert float(r[:, :, :2].norm(dim=-1).amin(-1).min()) > 0
    assert float(r[:, :, :2].abs().max()) > 1
    assert float(r[:, :, 2:].abs().max()) < 1e-9


def test_a_head_as_its_face_says_costs_nothing_and_a_turned_neck_does():
    mean = Bodies(MODEL, torch.zeros(P, 10, dtype=F64), BODIES.R_root, BODIES.body_pose, BODIES.root)
    turn = EVIDENCE.R_w_from_cam.mT @ mean.posed().bones[:, :, 15, :3, :3]
    evidence = SimpleNamespace(**{**EVIDENCE.__dict__, "heads": parts.Heads(turn, EVIDENCE.heads.weight)})
    assert float(parts.head(evidence, mean.posed(), None).r.abs().max()) < 1e-9
    by = torch.zeros(P, T, 75, dtype=F64)
    by[..., 3 + 3 * 11 : 6 + 3 * 11] = 0.3 / 3**0.5  # the neck
    assert float(parts.head(evidence, mean.moved(by, torch.zeros(P, 10, dtype=F64)).posed(), None).r.norm(dim=-1).amax(-1).min()) > 1
