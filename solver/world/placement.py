"""People, ground and the scale of the camera's path in W, sought together: the terms of f_H, and what its last step tells of itself."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from functools import partial

import numpy as np
import torch

from ..body.body import always
from ..body.fit import Evidence
from ..body.prior import PosePrior
from ..bundle import ground as terms_of_ground
from ..bundle import motion, pose
from ..bundle.bodies import Bodies, Moves
from ..bundle.ground import FEET
from ..bundle.outline import outline
from ..bundle.solve import Equations, State, minimise
from ..bundle.steps import steps
from ..bundle.touch import apart
from .contacts import ON_GROUND, contacts, seen_feet, upstairs
from .steps import stepping, unlike
from .uprights import across

STANDS = 20.0  # what a frame is worth in which somebody stands, when scales are compared: where nobody stands, no foot slides either
# Rounds of the fit: share of a foot's speed along the line of sight that counts, height over the ground that still may be a contact
# while the ground is not known well, and the cut of contacts in sigmas.
ROUNDS = ((0.3, 0.4, 24.0), (0.3, 0.3, 12.0), (0.5, 0.2, 6.0), (1.0, ON_GROUND, 6.0), (1.0, ON_GROUND, 6.0))
# Where people walk on stairs, the ground is not where feet are: up is first found from all else, and only who is near the ground stands on it.
ROUNDS_ON_STAIRS = ((0.3, ON_GROUND, 6.0), (0.3, ON_GROUND, 6.0), (0.5, ON_GROUND, 6.0), (1.0, ON_GROUND, 6.0), (1.0, ON_GROUND, 6.0))
STAIR = 60.0  # what a foothold must save: its height, known to an eightieth of what it could be, costs 2 log 80 = 9, and errors repeat over seven frames
STEPS = 6  # of Gauss-Newton in a round, at most
SPREAD_OF_SCALES = 0.3  # one sigma of a log scale of which nothing tells
SPREAD_OF_HEIGHTS = 0.055  # of grown people about their mean
UP_BIAS = 20.0  # errors of joints repeat from frame to frame: up's over its sigma without this, two shots of film-dev
SIGMA_TRUNK, SIGMA_PITCH = np.deg2rad(15), np.deg2rad(8)  # lean of a trunk to the camera, and pitch of a camera at people's height: guesses


@dataclass
class Ground:
    """A plane in W: unit up (3,), and the height d with up . x = d on it."""

    up: np.ndarray
    height: float
    source: str


class Placement:
    """People, ground and the scale of the camera's path, sought together. In W."""

    def __init__(self, evidence: Evidence, prior: PosePrior, heights, bodies: Bodies, path, scale: float, locked, background, outlines=None,
        found=None, uprights=None, clear=False, stands=None, walkers=(), stairs=False,
    ):  # fmt: skip
        """heights: (P,) m that the artist gave, NaN where none; or None. path: (T, 3) camera centres in SLAM's unit.

        locked: the artist's ground (up, height), or None.
        background: Background, or None where it has no depth.
        outlines: Outlines, or None. found: the ground (up, height) of the first call, which the second goes on from; or None.
        uprights: what edges say of up, see uprights.upright and lines.up; or None. clear: it is the latter, and needs no guess by bodies. stands: (P, T) bool, who the artist says stands; or None.
        walkers: who steps though nobody sees their feet, see steps.steppers. stairs: feet may stand on something over the ground, too.
        """
        self.evidence, self.prior, self.heights = evidence, prior, heights
        self.path, self.background, self.outlines, self.scale = path, background, outlines, scale
        self.locked = locked is not None
        keypoints = bodies.posed().keypoints + self.centre()[:, None]
        ground = Ground(*locked, "locked") if locked else ground_from_bodies(keypoints, evidence, uprights[0] if clear else None)
        tensor = partial(torch.as_tensor, dtype=torch.float64)
        basis = across(ground.up)
        self.uprights, self.clear = None if self.locked else uprights, clear
        self.stands, self.walkers = stands, dict(walkers)
        tilt, height = np.zeros(2), ground.height
        if stairs and self.uprights and self.uprights[0] @ ground.up > 0.1:
            up = self.uprights[0] / (self.uprights[0] @ ground.up)
            tilt, height = basis @ up, _lowest(keypoints[:, :, FEET], tensor(up / np.linalg.norm(up)), evidence, 0.05)
        if found and not self.locked and found[0] @ ground.up > 0.1:
            tilt, height = basis @ found[0] / (found[0] @ ground.up), found[1]  # begun there, and held to what bodies say as before
        plane = terms_of_ground.Ground(tensor(ground.up), tensor(basis), tensor(tilt), tensor(height), self.locked)
        self.state = State(bodies, plane)
        self.blind = float((evidence.span & ~seen_feet(evidence).any(-1)).sum())  # bodies that tell up by their trunks alone
        self.stairs, self.rounds = stairs, ROUNDS_ON_STAIRS if stairs else ROUNDS
        self.walks = None  # how those step whose legs nobody sees: not while sizes are tried, as steps go with any speed
        self.fitted = np.inf  # cost of the last round
        self.cost = np.inf  # less what those are worth who stand

    def centre(self):
        return self.scale * self.path

    def standing(self, along=1.0, gate=ON_GROUND):
        """Feet (P, T, 4, 3) in W, and how likely each stands (P, T, 4)."""
        posed, centre, plane = self.state.bodies.posed(), self.centre(), self.state.ground
        keypoints = posed.keypoints + centre[:, None]
        likely = contacts(posed.joints + centre[:, None], keypoints, plane.up(), plane.height, self.evidence, centre, along, gate, self.walks and self.walks[2:])
        if self.walks is None:
            for person in self.walkers:  # walking towards the camera looks like standing
                likely[person] *= seen_feet(self.evidence)[person]
        feet = keypoints[:, :, FEET]
        if self.stands is not None:
            low = feet @ plane.up() - plane.height < gate
            likely = torch.where(self.stands[..., None] & (low if self.stairs else True), 1.0, likely)
        return feet, likely

    def lower(self, feet):
        """Put the ground under the lowest feet (P, T, 4, 3), however it is tilted."""
        plane = self.state.ground
        self.state = dataclasses.replace(self.state, ground=dataclasses.replace(plane, height=_lowest(feet, plane.up(), self.evidence)))

    def upstairs(self, feet, along=1.0, gate=ON_GROUND):
        """How likely feet (P, T, 4, 3) in W stand on something over the ground (P, T, 4); None without stairs."""
        if not self.stairs:
            return None
        plane = self.state.ground
        likely = upstairs(feet, plane.up(), plane.height, self.evidence, self.centre(), along, gate)
        return likely if self.stands is None else torch.where(self.stands[..., None] & (feet @ plane.up() - plane.height >= gate), 1.0, likely)

    def paid(self) -> float:
        """Cost of the last round, less what those are worth who stand, and what their stairs cost."""
        feet, contact = self.standing()
        stands = still(contact, self.upstairs(feet))
        return self.fitted - STANDS * float(stands.amax(-1).sum()) + (STAIR * self.footholds() if self.stairs else 0.0)

    def footholds(self) -> int:
        """Times that a foot stands on something over the ground."""
        feet, _ = self.standing()
        raised = self.upstairs(feet).unflatten(-1, (2, 2)).amax(-1) > 0.5
        return int((raised[:, 1:] & ~raised[:, :-1]).sum() + raised[:, 0].sum())

    def step(self):
        """Find how those step whose legs nobody sees, with the speed that they have now."""
        bodies, evidence = self.state.bodies, self.evidence
        self.walks = stepping(bodies.posed(), evidence, self.centre(), self.state.ground.up())

    def improve(self, along, gate, cut, steps, tick=lambda i: None):
        """One round: contacts as they seem now, then everything under them. along, gate, cut: see ROUNDS."""
        feet, contact = self.standing(along, gate)
        if float(contact.sum()) <= 3 and not self.locked:
            self.lower(feet)  # nothing ties the ground to anybody
            feet, contact = self.standing(along, gate)
        pairs = self.outlines.match(self.state.bodies.posed(), self.evidence) if self.outlines else None
        floor = torch.as_tensor(self.background.underfoot(feet, contact, self.centre()) if self.background else np.zeros((0, 2, 3)))
        raised = self.upstairs(feet, along, gate)
        terms = partial(self.terms, contact, cut, floor, pairs, raised)
        self.state, cost = minimise(self.state, terms, steps, tick)
        self.fitted = cost
        astray = unlike(self.walkers, self.state.bodies.posed(), self.evidence, self.centre(), self.state.ground.up())
        self.cost = cost - STANDS * float(contact.amax(-1).sum()) + STANDS * astray
        if self.background:
            self.cost += self.background.cost(self.state, self.scale)

    def terms(self, contact, cut, floor, pairs, upstairs, state, posed, moves):
        evidence, plane, on = self.evidence, state.ground, terms_of_ground
        terms = [
            *always(evidence, self.prior, self.heights, posed, moves, self.centre()),
            *upon(evidence, posed, moves, self.centre(), plane, contact, cut, upstairs),
            apart(evidence, posed, moves),
            on.floor(floor, self.scale, plane),
            on.level(evidence, plane),
            on.tilt(plane, 1 + self.blind),
            on.uprights(plane, self.uprights, self.stairs or self.clear) if self.uprights else None,
            steps(posed, moves, self.walks[0], plane.up().detach(), self.walks[1], self.walks[2] * evidence.legless) if self.walks else None,
            outline(evidence, pairs, self.outlines.skin, posed, moves) if pairs is not None else None,
        ]
        return [term for term in terms if term is not None]

    @torch.no_grad()
    def uncertainty(self, fit, focal, metric, ids) -> dict:
        """One sigma each: size (relative), up (degrees), ground (m), heights (m, a person), lens (relative); path: of the
        log scale alone.

        Nobody's height is seen in a picture, so people's true spread of heights is that of a world whose size they give. The less somebody
        stands, the less the fit knows of a path's size, however steep its costs are.

        fit: one sigma by the parabola of `sized`.
        """
        given = np.zeros(len(ids), bool) if self.heights is None else torch.isfinite(self.heights).numpy()
        tall = self.state.bodies.model.height_m(self.state.bodies.betas).numpy()
        heights = np.where(given, pose.SIGMA_HEIGHT, SPREAD_OF_HEIGHTS * tall)
        people = 1 / np.sqrt((1 / (heights / tall) ** 2).sum())
        tilt = height = path = 0.0
        feet, contact = self.standing()
        if self.background:
            stood = float((contact * seen_feet(self.evidence)).amax(-1).sum())
            path = np.hypot(fit, SPREAD_OF_SCALES / np.sqrt(1 + stood)) if not self.stairs else SPREAD_OF_SCALES  # found as if the ground were level
        if not self.locked:
            posed = self.state.bodies.posed()
            floor = torch.as_tensor(self.background.underfoot(feet, contact, self.centre()) if self.background else np.zeros((0, 2, 3)))
            found = self.terms(contact, ROUNDS[-1][2], floor, None, self.upstairs(feet), self.state, posed, Moves(posed))
            covariance = Equations([term for term in found if term.name != "uprights"], self.state).covariance()[-3:, -3:] * UP_BIAS**2
            information = np.linalg.inv(covariance)
            if self.uprights:
                by = terms_of_ground.uprights(self.state.ground, self.uprights).by_ground[0].numpy()
                information += by.T @ by
            variance = np.diag(np.linalg.inv(information))
            tilt, height = np.rad2deg(np.sqrt(variance[:2].mean())), np.sqrt(variance[2])
        size = 0.0 if metric else float(np.sqrt(people**2 + path**2 + focal**2))
        return {
            "size": size, "path": float(path), "fit": float(fit), "up_deg": float(tilt), "ground_m": float(height), "lens": float(focal),
            "heights_m": [float(h) for h in heights],
        }  # fmt: skip

    def ground(self, report):
        """The ground as it came out, and who touches it or stands on something over it (P, T, 4)."""
        feet, contact = self.standing()
        source = "locked" if self.locked else "contacts" if float((contact * seen_feet(self.evidence)).sum()) > 3 else "bodies"
        if source == "bodies":
            self.lower(feet)
            report.warn("No foot was seen on the ground: the ground is placed under the lowest feet that the bodies imply.")
        plane = self.state.ground
        return Ground(plane.up().numpy(), float(plane.height), source), still(contact, self.upstairs(feet)).numpy()


def still(contact, upstairs):
    """Feet (P, T, 4) that keep still: on the ground, or on something over it (None: nobody climbs)."""
    return contact if upstairs is None else torch.maximum(contact, upstairs)


def upon(evidence, posed, moves, centre, plane, contact, cut, upstairs=None) -> list:
    """The terms of people on a ground, whoever says where the camera's centre (T, 3) is. contact, cut: see bundle.ground.stand. upstairs: as `still` has it."""
    on, stands = terms_of_ground, still(contact, upstairs)
    return [
        *on.stand(evidence, posed, moves, centre, plane, contact, cut, stands),
        on.balls(evidence, posed, moves, centre, plane),
        on.heading(evidence, posed, moves, centre, plane),
        on.upright(evidence, posed, moves, plane),
        on.legs(evidence, posed, moves, centre, plane),
        motion.course(evidence, posed, moves, centre, stands),
        on.balance(evidence, posed, moves, plane),
    ]


def ground_from_bodies(keypoints, evidence, up=None) -> Ground:
    """First guess of the ground: up as straight bodies say, or as it is known, height under the lowest feet."""
    with torch.no_grad():
        if up is not None:
            return Ground(np.asarray(up), float(_lowest(keypoints[:, :, FEET], torch.as_tensor(up).to(keypoints), evidence)), "bodies")
        span = evidence.span
        ankles = (evidence.confidence[..., 15:17] > 0).any(-1)[..., None]
        low = torch.where(ankles, keypoints[..., 15:17, :].mean(-2), keypoints[..., 11:13, :].mean(-2))
        axis = keypoints[..., 5:7, :].mean(-2) - low  # from the ankles, or else the hips, to the shoulders
        length = axis.norm(dim=-1)
        weight = (length * span) ** 4  # straight bodies are long
        up = (axis / length[..., None] * weight[..., None]).sum((0, 1))
        up = up / up.norm()
        if (ankles[..., 0] & span).sum() < 0.1 * span.sum():
            # How far a trunk leans to the camera is hardly seen; cameras are mostly level, too.
            level = -evidence.R_w_from_cam[:, :, 1].mean(0)
            up = torch.nn.functional.normalize(up / SIGMA_TRUNK**2 + level / level.norm() / SIGMA_PITCH**2, dim=0)
        return Ground(up.numpy().astype(float), float(_lowest(keypoints[:, :, FEET], up, evidence)), "bodies")


def _lowest(feet, up, evidence, share=0.2):
    """Height along `up` that all but a share of the frames' lowest feet (P, T, 4, 3) stand above."""
    return (feet @ up)[evidence.span].amin(-1).quantile(share)
