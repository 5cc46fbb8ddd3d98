"""Cameras as unknowns of the same problem as people: where the background does not say how the camera moves, people do."""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch

from .bodies import PLACE, TURN, Bodies, hat, rotvec_to_matrix
from .motion import BEND, bend
from .rows import Rows, Shared, holds_on, lets_go, plain

PER_CAMERA = 6
SIGMA_TRAVEL = 1.0  # m/s^2: dollies start and stop more slowly, hands shake about so much
SIGMA_SWING = 1.0  # rad/s^2
SIGMA_ROLL = 0.1047  # rad (6 degrees), as ground.SIGMA_ROLL


@dataclass
class Filming:
    """Cameras that move with the fit; the first one is held, as it says where W is.

    R (T, 3, 3): W from camera. centre (T, 3): m in W. log_lens (): of the focal length over that of the evidence. lens_sigma: one sigma of
    it beforehand; 0 where it is known.
    """

    R: torch.Tensor
    centre: torch.Tensor
    log_lens: torch.Tensor
    lens_sigma: float

    def moved(self, by, log_lens_by) -> Filming:
        """Moved by (T, 6): a turn about W's axes, and the centre."""
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
        return world, picture


def steady(evidence, filming: Filming, moves) -> list:
    """Cameras are moved by people and machines: they speed up and swing round no faster than those do, and lenses are usual ones."""
    R, centre = filming.R[None], filming.centre[None]
    rate = evidence.fps**2
    weight = torch.ones_like(centre[:, 2:, :1])
    swing = Rows("swing", (bend(R) * (rate / 2**0.5 / SIGMA_SWING)).flatten(-2)[:, :, None], weight, holds_on(2.0), of_camera=True)
    travel = Rows("travel", (bend(centre) * (rate / SIGMA_TRAVEL))[:, :, None], weight, holds_on(2.0), of_camera=True)
    out = [swing, travel]
    if filming.lens_sigma:
        out.append(Shared("lens", (filming.log_lens / filming.lens_sigma)[None, None], weight[0, 0], plain()))
    if moves:
        by = centre.new_zeros(1, centre.shape[1], 9, PER_CAMERA)
        eye = torch.eye(3, dtype=by.dtype, device=by.device)
        by[..., :3] = torch.einsum("iab,ptbc->ptaci", hat(eye), R).flatten(2, 3) * (rate / 2**0.5 / SIGMA_SWING)
        swing.places, swing.differences = by, BEND
        by = torch.zeros_like(by[:, :, :3])
        by[..., 3:] = eye * (rate / SIGMA_TRAVEL)
        travel.places, travel.differences = by, BEND
        if filming.lens_sigma:
            out[-1].by_lens = torch.full_like(out[-1].r, 1 / filming.lens_sigma)
    return out


def level(filming: Filming, ground, moves, weight) -> Rows:
    """Each camera's x axis is level. weight: of all frames together."""
    across, up = filming.R[:, :, 0], ground.up()
    share = torch.full((1, len(across), 1), weight / len(across)).to(across)
    rows = Rows("level", (across @ up / SIGMA_ROLL)[None, :, None, None], share, lets_go(3.0), of_camera=True)
    if moves:
        turn = torch.linalg.cross(across, up.expand_as(across)) / SIGMA_ROLL
        rows.by = {0: torch.nn.functional.pad(turn, (0, 3))[None, :, None]}
        rows.by_ground = (across @ ground.up_by() / SIGMA_ROLL)[None, :, None]
    return rows
