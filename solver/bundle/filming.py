"""Cameras as unknowns of the same problem as people: where the background does not say how the camera moves, people do."""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch

from .bodies import PLACE, TURN, Bodies, hat, rotvec_to_matrix
from .ground import SIGMA_ROLL, WEIGHT_ROLL, Ground
from .motion import BEND, bend
from .rows import Rows, Shared, holds_on, lets_go, plain

PER_CAMERA = 6
SIGMA_TRAVEL = 1.0  # m/s^2; this and the two that follow are guesses of what film cameras do, of which 0.3, 1 and 3 were tried
SIGMA_SWING = 1.0  # rad/s^2
REPEATS_S = 0.3  # s in which errors of joints repeat, a guess: what is known but once stands against so many frames
SIGMA_CLIMB = 0.1  # m/s: cameras on wheels, shoulders and legs keep their height; those on cranes are outliers


@dataclass
class Filming:
    """Cameras that move with the fit; the first one is held, as it says where W is.

    R (T, 3, 3): W from camera. centre (T, 3): m in W. log_lens (): of the focal length over that of the evidence; usual, sigma: what is known
    of it beforehand, sigma 0 where it is known. turns, travels: what the cameras may do.
    """

    R: torch.Tensor
    centre: torch.Tensor
    log_lens: torch.Tensor
    usual: float
    sigma: float
    turns: bool = True
    travels: bool = True

    @property
    def free(self):
        """(6,) 1 for what may change."""
        return torch.tensor([float(self.turns)] * 3 + [float(self.travels)] * 3).to(self.centre)

    def moved(self, by, log_lens_by) -> Filming:
        """Moved by (T, 6): a turn about W's axes, and the centre."""
        by = by * self.free
        return replace(self, R=rotvec_to_matrix(by[:, :3]) @ self.R, centre=self.centre + by[:, 3:], log_lens=self.log_lens + log_lens_by)

    def seen(self, evidence):
        """The evidence as these cameras see it."""
        K = evidence.K.clone()
        K[:, [0, 1], [0, 1]] *= self.log_lens.exp()
        return replace(evidence, R_w_from_cam=self.R, K=K)

    def carries(self, bodies: Bodies):
        """How bodies would have to move for what a camera's move does: to what is in the world, and to what is in the picture.

        Both (P, T, 75, 6). A camera that turns under bodies that stay is bodies that turn the other way about its centre.
        """
        root = bodies.root
        eye = torch.eye(3, dtype=root.dtype, device=root.device)
        world = root.new_zeros(root.shape[:2] + (75, PER_CAMERA))
        picture = torch.zeros_like(world)
        world[..., PLACE, 3:] = eye
        picture[..., TURN, :3] = -eye
        picture[..., PLACE, :3] = hat(root)
        world[:, 0] = picture[:, 0] = 0
        return world * self.free, picture * self.free


def steady(evidence, filming: Filming, ground: Ground, moves) -> list:
    """Cameras are moved by people and machines: they speed up and swing round no faster than those do, mostly level, and lenses are usual ones."""
    R, centre, up, rate = filming.R[None], filming.centre[None], ground.up(), evidence.fps**2
    T, once = len(filming.R), centre.new_full((1,), max(1.0, REPEATS_S * evidence.fps))
    each = lambda count: centre.new_ones(1, count, 1)
    step, across = (centre[:, 1:] - centre[:, :-1]) * (evidence.fps / SIGMA_CLIMB), R[..., 0]
    swing = Rows("swing", (bend(R) * (rate / 2**0.5 / SIGMA_SWING)).flatten(-2)[:, :, None], each(T - 2), holds_on(2.0), of_camera=True)
    travel = Rows("travel", (bend(centre) * (rate / SIGMA_TRAVEL))[:, :, None], each(T - 2), holds_on(2.0), of_camera=True)
    climb = Rows("climb", (step @ up)[..., None, None], each(T - 1), holds_on(2.0), of_camera=True)
    level = Rows("level", (across @ up / SIGMA_ROLL)[..., None, None], WEIGHT_ROLL / T * each(T), lets_go(3.0), of_camera=True)
    lens = Shared("lens", (filming.log_lens - filming.usual)[None, None] / filming.sigma, once, plain()) if filming.sigma else None
    if moves:
        eye = torch.eye(3, dtype=R.dtype, device=R.device)
        turn, move = (lambda by: torch.nn.functional.pad(by, (0, 3)) * filming.free), (lambda by: torch.nn.functional.pad(by, (3, 0)) * filming.free)
        swing.places, swing.differences = turn(torch.einsum("iab,ptbc->ptaci", hat(eye), R).flatten(2, 3) * (rate / 2**0.5 / SIGMA_SWING)), BEND
        travel.places, travel.differences = move(eye.expand(1, T, 3, 3) * (rate / SIGMA_TRAVEL)), BEND
        by = move((up * (evidence.fps / SIGMA_CLIMB)).expand(1, T - 1, 1, 3))
        climb.by, climb.by_ground = {0: -by, 1: by}, (step @ ground.up_by())[:, :, None]
        level.by = {0: turn(torch.linalg.cross(across, up.expand_as(across)) / SIGMA_ROLL)[:, :, None]}
        level.by_ground = (across @ ground.up_by() / SIGMA_ROLL)[:, :, None]
        if lens:
            lens.by_lens = torch.full_like(lens.r, 1 / filming.sigma)
    return [swing, travel, climb, level] + [lens] * bool(filming.sigma)
