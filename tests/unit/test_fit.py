"""The energy of S_c and f_H, and its solver: it settles where one without cosines is still on its way."""

import numpy as np
import torch

from solver.body.fit import Evidence, minimise, term_smooth

FRAMES = 96


def track(seed=0):
    """A loss like a track's: smooth positions (1, T, 3), of which pictures hold one axis a thousand times less than the others, and a bias
    that all frames share. Returns loss, x, bias and the least that the loss can be."""
    rng = np.random.default_rng(seed)
    seen = torch.as_tensor(rng.normal(size=(1, FRAMES, 3)).cumsum(1), dtype=torch.float64)
    weight = torch.tensor([1.0, 1.0, 1e-3], dtype=torch.float64)

    def loss(x, bias):
        bent = x[:, 2:] - 2 * x[:, 1:-1] + x[:, :-2]
        return (weight * (x + bias - seen) ** 2).sum() + 30 * (bent**2).sum() + FRAMES * (bias**2).sum()

    x = torch.zeros(1, FRAMES, 3, dtype=torch.float64)
    bias = torch.zeros((), dtype=torch.float64)
    flat = torch.zeros(x.numel() + 1, dtype=torch.float64)
    unflat = lambda v: loss(v[:-1].view_as(x), v[-1])
    H = torch.autograd.functional.hessian(unflat, flat)
    g = torch.autograd.functional.jacobian(unflat, flat)
    return loss, x.requires_grad_(), bias.requires_grad_(), float(unflat(torch.linalg.solve(H, -g)))


def test_it_settles_at_the_least_in_few_steps():
    loss, x, bias, least = track()
    start = float(loss(x, bias).detach())
    minimise([x, bias], lambda: loss(x, bias), 4, lambda i: None)
    assert (float(loss(x, bias).detach()) - least) / (start - least) < 1e-4  # without cosines: 8e-3


def test_a_leg_that_is_thrown_is_let_go_and_an_arm_that_jumps_is_not():
    evidence = Evidence(None, None, None, None, torch.ones(1, 9, dtype=torch.bool), None, None, 24.0)

    def pull(joint, metres):
        joints = torch.zeros(1, 9, 24, 3)
        joints[0, 4, joint, 2] = metres
        joints.requires_grad_()
        term_smooth(evidence, joints, torch.eye(3).expand(1, 9, 24, 3, 3), torch.ones(1)).backward()
        return float(joints.grad[0, 4, joint, 2])

    ankle, wrist = 7, 20
    assert 0 < pull(ankle, 0.5) < 0.3 * pull(ankle, 0.04)
    assert pull(wrist, 0.5) > pull(wrist, 0.04) > 0
