"""How people bend: a Gaussian mixture over the 23 body joints' rotations (tools/build_prior.py trains it)."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch

ASSET = Path(__file__).parents[1] / "assets" / "pose_prior.npz"


class PosePrior:
    """Negative log density of a pose, up to a constant: the best component's Mahalanobis distance and its log weight.

    Smooth within a component, as in SMPLify's mixture prior (Bogo et al. 2016, Sec. 3.2).
    """

    def __init__(self, dtype=torch.float32, path: Path = ASSET):
        with np.load(path, allow_pickle=False) as file:
            self.mean = torch.as_tensor(file["mean"], dtype=dtype)  # (M, 69)
            self.whiten = torch.as_tensor(file["whiten"], dtype=dtype)  # (M, 69, 69): whiten @ (x - mean) ~ N(0, 1)
            weight = torch.as_tensor(file["weight"], dtype=dtype)  # (M,)
        self.squares = self.whiten.mT @ self.whiten
        logdet = torch.linalg.slogdet(self.whiten).logabsdet
        offset = -torch.log(weight) - logdet
        self.offset = offset - offset.min()

    def __call__(self, body_pose):
        """(..., 23, 3) rotvec -> (...,)"""
        x = body_pose.flatten(-2)
        z = torch.einsum("mij,...mj->...mi", self.whiten, x[..., None, :] - self.mean)
        return (0.5 * (z**2).sum(-1) + self.offset).amin(-1)

    def residuals(self, body_pose, share=None):
        """Of the component that suits each pose best: z (..., 69), whose squared length is twice its part of the negative log density, and
        its number (...,). share: (..., 69), how much of each number's way from the mean counts; None: all of it."""
        x = body_pose.flatten(-2)
        away = x[..., None, :] - self.mean
        z = torch.einsum("mij,...mj->...mi", self.whiten, away if share is None else share[..., None, :] * away)
        best = (0.5 * (z**2).sum(-1) + self.offset).argmin(-1)
        return torch.gather(z, -2, best[..., None, None].expand(best.shape + (1, z.shape[-1])))[..., 0, :], best

    def most_likely(self):
        """The mean pose of the heaviest component, (23, 3) rotvec."""
        return self.mean[self.offset.argmin()].reshape(23, 3)
