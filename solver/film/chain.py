"""Screws and the chain of cameras, as the paper writes them (Eqs. 4-8)."""

from __future__ import annotations

import torch


def skew(w):
    """Cross-product matrices (..., 3, 3) of (..., 3)."""
    x, y, z = w.unbind(-1)
    o = torch.zeros_like(x)
    return torch.stack([o, -z, y, z, o, -x, -y, x, o], -1).reshape(w.shape[:-1] + (3, 3))


def se3_exp(w, v, theta):
    """SE(3) exponential exp([S] theta) of screw axes S = (w, v); the standard form, which corrects the misprint of Eq. 4.

    w, v: (..., 3); |w| need not be 1: its norm is folded into theta (and v scaled with it). theta: scalar tensor or (...,).
    Returns (..., 4, 4) = [[R, G v], [0, 1]] with R = I + sin [w] + (1 - cos) [w]^2 and G = I theta + (1 - cos) [w] + (theta - sin) [w]^2.
    Written in the products w theta and v theta, whose series are smooth at zero.
    """
    theta = torch.as_tensor(theta, dtype=w.dtype, device=w.device)[..., None]
    phi, rho = w * theta, v * theta
    a2 = (phi * phi).sum(-1)[..., None, None]
    small = a2 < 1e-4
    safe = torch.where(small, torch.ones_like(a2), a2)
    a = safe.sqrt()
    A = torch.where(small, 1 - a2 / 6 + a2**2 / 120, torch.sin(a) / a)
    B = torch.where(small, 0.5 - a2 / 24 + a2**2 / 720, (1 - torch.cos(a)) / safe)
    C = torch.where(small, 1 / 6 - a2 / 120 + a2**2 / 5040, (a - torch.sin(a)) / (safe * a))
    W = skew(phi)
    W2 = W @ W
    eye = torch.eye(3, dtype=w.dtype, device=w.device)
    R = eye + A * W + B * W2
    t = (eye + B * W + C * W2) @ rho[..., None]
    bottom = torch.tensor([0, 0, 0, 1.0], dtype=w.dtype, device=w.device).expand(R.shape[:-2] + (1, 4))
    return torch.cat([torch.cat([R, t], -1), bottom], -2)


def carried(start, first):
    """The chain of Ĉ's steps behind another first camera: c_t = Â_t c_{t-1}, with Â_t = ĉ_t ĉ_{t-1}^-1 (Eq. 6).

    The paper chains from the frame before and so forgets Ĉ after its first frame: Â_t = I. With Ĉ's step in the chain the screws S_t
    hold no more than what corrects it.

    start: (T, 4, 4) Ĉ, world from camera. first: (4, 4) c_1. Returns (T, 4, 4).
    """
    return start @ torch.linalg.inv(start[0]) @ first
