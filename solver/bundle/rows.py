"""What a residual is: numbers in units of their sigma, in groups that a kernel judges together, and their derivatives.

A cost is the sum of weight x kernel(squared length of a group). Gauss-Newton sees the kernels as weights (iteratively reweighted).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
import torch


@dataclass
class Kernel:
    """A robust kernel of squared normalised residuals: its value and its derivative."""

    value: Callable
    slope: Callable


def plain() -> Kernel:
    """Least squares as they are."""
    return Kernel(lambda s: s, torch.ones_like)


def lets_go(cut: float) -> Kernel:
    """Geman-McClure: grows as the square below `cut` sigmas, then levels at cut²."""
    c2 = cut * cut
    return Kernel(lambda s: s * c2 / (s + c2), lambda s: (c2 / (s + c2)) ** 2)


def holds_on(cut: float) -> Kernel:
    """Pseudo-Huber: as the square below `cut` sigmas, then a line. It never lets go."""
    c2 = cut * cut
    return Kernel(lambda s: 2 * c2 * (torch.sqrt(1 + s / c2) - 1), lambda s: torch.rsqrt(1 + s / c2))


@dataclass
class Rows:
    """Residuals of bodies in frames.

    r: (P, F, G, m) in sigmas, F frames or steps between frames, G groups of m numbers. weight: (P, F, G).
    by: frame offset -> (P, F, G*m, 75): row f hangs on frame f + offset. differences: frame offset -> factor, of `places` (P, T, G*m, 75):
    for rows that are the same combination of neighbouring frames everywhere. squares: (P, F, 75, 75), the product of `by` of one frame with
    itself, where it is known; G is 1 then. by_joint: the same, where a group of numbers hangs on the one
    joint it is named after: (P, F, 24, m, 3), the root first.
    by_shape: (P, F, G*m, 10) or None. by_ground: (P, F, G*m, 3) or None: tilt (2) and height of the ground. by_lens: (P, F, G*m) or None,
    by the log of the focal length. picture: whether this is about bodies as the camera sees them, and so changes as it turns; all else changes
    as its centre moves. of_camera: rows of the cameras themselves; P is 1 and 75 is 6.
    constant: what the cost counts on top.
    """

    name: str
    r: torch.Tensor
    weight: torch.Tensor
    kernel: Kernel
    by: dict = field(default_factory=dict)
    squares: torch.Tensor | None = None
    differences: dict = field(default_factory=dict)
    places: torch.Tensor | None = None
    by_joint: dict = field(default_factory=dict)
    by_shape: torch.Tensor | None = None
    by_ground: torch.Tensor | None = None
    by_lens: torch.Tensor | None = None
    picture: bool = False
    of_camera: bool = False
    constant: torch.Tensor | float = 0.0

    def cost(self):
        return (self.weight * self.kernel.value((self.r**2).sum(-1))).sum() + self.constant

    def curvature(self):
        """Weights (P, F, G) of iteratively reweighted least squares."""
        return self.weight * self.kernel.slope((self.r**2).sum(-1))


@dataclass
class Shared:
    """Residuals of what no frame owns.

    r: (n, m), weight: (n,). by_shape: (n, m, P, 10) or None; by_ground: (n, m, 3) or None; by_lens: (n, m) or None.
    """

    name: str
    r: torch.Tensor
    weight: torch.Tensor
    kernel: Kernel
    by_shape: torch.Tensor | None = None
    by_ground: torch.Tensor | None = None
    by_lens: torch.Tensor | None = None

    def cost(self):
        return (self.weight * self.kernel.value((self.r**2).sum(-1))).sum()

    def curvature(self):
        return self.weight * self.kernel.slope((self.r**2).sum(-1))


@dataclass
class Far:
    """Residuals that tie frames further apart than two: r (P, F, 1, m), linear maps between them and the frames' numbers.

    forth: (P, T, 75) -> (P, F, m). back: its transpose. by_shape, by_ground: as in Rows. None is about the picture.
    """

    name: str
    r: torch.Tensor
    weight: torch.Tensor
    kernel: Kernel
    forth: Callable | None = None
    back: Callable | None = None
    by_shape: torch.Tensor | None = None
    by_ground: torch.Tensor | None = None

    cost = Rows.cost
    curvature = Rows.curvature
    constant = 0.0


def banded(blocks):
    """Lower band (K n, T n) of blocks (T, n, n) of frames t with t, t + 1 and so on to t + K - 1, rows of the earlier frame first."""
    T, n, size = *blocks[0].shape[:2], blocks[0].itemsize
    width = len(blocks) * n
    out = np.zeros((width, T * n), order="F")
    flat = out.reshape(-1, order="F")
    for ahead, block in enumerate(blocks[:T]):
        # Row i of column j lies at j * (width - 1) + i. What the first block's zeros fall on outside of it, the others write after it.
        place = np.lib.stride_tricks.as_strided(flat[ahead * n :], (T - ahead, n, n), (n * width * size, (width - 1) * size, size))
        place[:] = np.triu(block) if ahead == 0 else block[: T - ahead]
    return out
