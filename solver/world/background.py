"""What static points of the background say of the size of the camera's path."""

from __future__ import annotations

from functools import partial

import numpy as np

from ..body.fit import Evidence
from ..bundle.bodies import Bodies
from ..bundle.picture import in_camera
from ..bundle.solve import State
from ..records import Camera, Slam, Tracks
from . import behind
from .contacts import points_underfoot, uncertain

SIGMA_UNDER = 0.1  # m that the ground may lie lower elsewhere


class Background:
    """What static points say of the size of the camera's path: some lie under feet, none before who hides them, none under the ground."""

    def __init__(self, slam: Slam, points, camera: Camera, evidence: Evidence, masks, tracks: Tracks):
        """points (N, 3) and camera: in SLAM's frame and unit."""
        self.points, self.evidence = points, evidence
        self.off = uncertain(slam, points, evidence.K.numpy())
        self.underfoot = partial(points_underfoot, slam, points, self.off, evidence)
        nowhere = np.zeros((0, 0), np.uint8)
        self.hidden = behind.hidden(points, camera, masks or (lambda index: nowhere), tracks.ids, tracks.visible if masks else tracks.visible[:0])

    def least_scale(self, bodies: Bodies) -> float:
        """The scale at which four fifths of the hidden points lie behind who hides them; 0 where none is hidden."""
        p, t, _, depth = self.hidden
        return float(np.quantile((self._roots(bodies)[p, t] - behind.BEFORE) / depth, 0.8)) if len(p) else 0.0

    def _roots(self, bodies):
        return in_camera(self.evidence, bodies.root[:, :, None])[:, :, 0, 2].numpy()

    def cost(self, state: State, scale: float) -> float:
        """In squared sigmas: points before who hides them, and points under the ground."""
        p, t, point, depth = self.hidden
        off = np.linalg.norm(self.off, axis=1)
        before = behind.nearness(scale * depth, self._roots(state.bodies)[p, t], point, scale * off[point])
        up, height = state.ground.up().numpy(), float(state.ground.height)
        under = np.maximum(height - scale * self.points @ up, 0)
        return behind.cost(before) + behind.cost(under / np.sqrt(SIGMA_UNDER**2 + (scale * self.off @ up) ** 2))
