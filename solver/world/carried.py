"""A camera that people carry: where the background does not say how it moved, feet that stand and walkers' steps do.

Cameras, lens, bodies and ground are unknowns of one least squares problem (bundle.filming). It has several valleys, so it is solved from a few
lenses, S_c anew for each; and a camera that moves must be worth its unknowns.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from functools import partial

import numpy as np
import torch

from .. import frames as fr
from ..body.body import always, fitted, to_people
from ..body.fit import Evidence
from ..body.prior import PosePrior
from ..bundle.cameras import FOCAL_SPREAD
from ..bundle.filming import REPEATS_S, Filming, steady
from ..bundle.ground import FEET, Ground, tilt
from ..bundle.solve import State, minimise, threads
from ..bundle.steps import pace, steps
from ..records import Camera, People, Slam, Tracks
from . import gait
from .contacts import contacts, seen_feet
from .placement import STANDS, ground_from_bodies, upon
from .steps import paces, stepping
from .uprights import across

LENSES_MM = (24.0, 35.0, 50.0)  # 36 mm wide sensor, that the search starts from
# Steps of Gauss-Newton, cut of contacts in sigmas, and whether who stands is known by speed yet: before that, lower feet stand.
ROUNDS = ((10, 100.0, False), (6, 40.0, False), (6, 24.0, False), (6, 12.0, True), (6, 6.0, True), (6, 6.0, True))
LOWER, LOWER_RAMP = 0.04, 0.01  # m over the lowest foot that still may stand
LEAST_FEET = 0.3  # of the bodies, that must show a foot or walk before they carry anything
NOBODY_TELLS = (
    "The background shows too little to follow (a plain backdrop, fog, a screen?), and no feet are seen that could tell: how the camera "
    "moved, and which lens it had, cannot be known. It is taken as locked off. Bring the camera from another program, or a longer "
    "piece of the film that shows more behind the people."
)
FREE = {"static": (False, False), "rotation": (True, False), "full": (True, True)}  # whether a camera turns and travels
NUMBERS, INSTANTS = 6, 1.1  # of a camera that moves, at so many instants a second; chosen between still cameras and dev crossing


@dataclass
class Carried:
    """kind: a verdict as of Slam. camera: in metres, its first frame at the origin. people: S_c, as this camera sees them; None where it is Ĉ."""

    kind: str
    camera: Camera
    people: People | None


def carried(tracks: Tracks, slam: Slam, model, fps: float, heights, report, kind: str | None = None) -> Carried | None:
    """The camera that people tell of, or None where they tell nothing, as no foot is seen and nobody walks, or need not be asked.

    slam: its camera stands. model: of any precision. heights: (P,) m that the artist gave, NaN where none; or None. kind: the verdict that the artist gave.
    """
    if kind == "static" or len(slam.camera.K) < 3:
        return None
    model, heights = model.to(torch.float64), None if heights is None else torch.as_tensor(heights, dtype=torch.float64)
    known = slam.focal_source == "given"
    width, height = 2 * slam.camera.K[0, :2, 2]
    usual = np.log(fr.focal_px_from_mm(35.0, width, height))
    lenses = [slam.camera.K[0, 0, 0]] if known else [fr.focal_px_from_mm(mm, width, height) for mm in LENSES_MM]
    asked, done = len(lenses) + (kind is None), [0]

    def solved(people, turns, travels):
        with threads(1):
            out = people.solve(turns, travels)
        done[0] += 1
        report.progress(done[0], asked, "Finding the camera by the people")
        return out

    def begun(focal):
        with threads(1):
            return _People(tracks, slam, model, fps, heights, focal, usual, 0.0 if known else FOCAL_SPREAD)

    report.progress(0, asked, "Finding the camera by the people")
    with ThreadPoolExecutor(2) as pool:  # both cores
        people = list(pool.map(begun, lenses)) if len(tracks.ids) else []
        if not (people and people[0].carries):
            report.warn(NOBODY_TELLS)
            return None
        best = min(pool.map(lambda one: solved(one, *FREE[kind or "full"]), people), key=lambda one: one.cost)
        if kind is None:
            count = len(slam.camera.K)
            dear = NUMBERS * INSTANTS * count / fps * np.log(2 * count) * REPEATS_S * fps  # costs count an error as often as it repeats
            kind = "full"
            if solved(best.people, *FREE["static"]).cost < best.cost + dear:
                report.warn(
                    "The background shows too little to follow (a plain backdrop, fog, a screen?); by the people's standing feet and steps the "
                    "camera stands still. Its lens is a guess."
                )
                return Carried("static", slam.camera, None)
    filming = best.state.filming
    K = slam.camera.K.copy()
    K[:, [0, 1], [0, 1]] = best.people.focal * float(filming.log_lens.exp())
    camera = Camera(fr.compose(filming.R.numpy(), filming.centre.numpy()), K)
    report.warn(
        "The background shows too little to follow (a plain backdrop, fog, a screen?): how the camera moved, and through which lens, is what the "
        "people's steps and standing feet tell, and may well be off. Bring the camera from another program if you have it."
    )
    return Carried(kind, camera, to_people(best.state.bodies, filming.seen(best.people.evidence), tracks))


@dataclass
class _Found:
    """What a solve came to."""

    people: _People
    state: State
    cost: float


class _People:
    """People before a camera with one lens to start from."""

    def __init__(self, tracks, slam, model, fps, heights, focal, usual, spread):
        K = slam.camera.K.copy()
        K[:, [0, 1], [0, 1]] = focal
        self.focal, self.heights, self.prior = focal, heights, PosePrior(torch.float64)
        self.evidence = Evidence.of(tracks, np.tile(np.eye(4), (len(K), 1, 1)), K, fps)
        bodies = fitted(self.evidence, model, self.prior, heights)
        posed, tensor = bodies.posed(), partial(torch.as_tensor, dtype=torch.float64)
        ground = ground_from_bodies(posed.keypoints, self.evidence)
        self.paces = paces(posed, self.evidence, tensor(ground.up))
        shown = self.evidence.span & (seen_feet(self.evidence).any(-1) | torch.as_tensor(np.isfinite(self.paces))[:, None])
        self.carries = float(shown.sum()) > LEAST_FEET * float(self.evidence.span.sum())
        plane = Ground(tensor(ground.up), tensor(across(ground.up)), tensor(np.zeros(2)), tensor(ground.height))
        centre = torch.zeros(len(K), 3, dtype=torch.float64)
        self.start = State(bodies, plane, Filming(self.evidence.R_w_from_cam, centre, tensor(0.0), float(usual - np.log(focal)), spread))

    @torch.no_grad()
    def solve(self, turns, travels) -> _Found:
        """With cameras that may turn and travel."""
        state = replace(self.start, filming=replace(self.start.filming, turns=turns, travels=travels))
        for count, cut, by_speed in ROUNDS:
            seen, centre, plane = self._through(state)
            walks = stepping(state.bodies.posed(), seen, centre, plane.up(), self.paces)
            contact = self._standing(state, walks, by_speed)
            state, cost = minimise(state, partial(self._terms, walks, contact, cut), count)
        return _Found(self, state, cost - STANDS * float(contact.amax(-1).sum()))

    def _through(self, state):
        return state.filming.seen(self.evidence), state.filming.centre, state.ground

    def _standing(self, state, walks, by_speed):
        """How likely each foot stands (P, T, 4): in walkers by their phase, in others those that are low, and then those that are slow."""
        seen, centre, plane = self._through(state)
        posed = state.bodies.posed()
        keypoints = posed.keypoints + centre[:, None]
        if by_speed:
            contact = contacts(posed.joints + centre[:, None], keypoints, plane.up(), plane.height, seen, centre)
        else:
            above = keypoints[:, :, FEET] @ plane.up()
            contact = torch.sigmoid((above.amin(-1, keepdim=True) + LOWER - above) / LOWER_RAMP) * seen.span[..., None]
        walkers = torch.as_tensor(np.isfinite(self.paces))[:, None, None]
        return torch.where(walkers, walks[3] * seen.span[..., None], contact)

    def _terms(self, walks, contact, cut, state, posed, moves):
        evidence, centre, plane = self._through(state)
        ahead, sines, share, _ = walks
        terms = [
            *always(evidence, self.prior, self.heights, posed, moves, centre),
            *upon(evidence, posed, moves, centre, plane, contact, cut),
            tilt(plane, 1),
            steps(posed, moves, ahead, plane.up().detach(), sines, share * evidence.span),
            pace(evidence, posed, moves, centre, ahead, torch.as_tensor(self.paces), gait.SIGMA),
            *steady(evidence, state.filming, plane, moves),
        ]
        return [term for term in terms if term is not None]
