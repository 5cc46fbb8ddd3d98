"""Stage *world*: f_H. S_w = f_H(S_c, C): all people and the camera in one metric world, on one ground (paper Eqs. 1 and 3).

The unknowns are the scale of the camera's path, which is tried, the ground plane, and the bodies; the evidence is what *body* used, the
outlines of the masks, and that feet on the ground neither slide nor sink nor float.
"""

from __future__ import annotations

import dataclasses
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial

import numpy as np
import torch
from scipy.spatial.transform import Rotation

from ..body.body import always, set_scale, to_people
from ..body.fit import Evidence
from ..body.prior import PosePrior
from ..bundle import ground as terms_of_ground
from ..bundle import motion, pose
from ..bundle.bodies import Bodies, Moves
from ..bundle.ground import FEET
from ..bundle.outline import outline
from ..bundle.picture import in_camera
from ..bundle.solve import Equations, State, minimise, threads
from ..frames import compose, invert
from ..protocol import Reporter
from ..records import Camera, People, Slam, Tracks, World
from . import behind, gait
from .contacts import ON_GROUND, contacts, points_underfoot, seen_feet, uncertain
from .outline import Outlines
from .sight import in_sight

STANDS = 20.0  # what a frame is worth in which somebody stands, when scales are compared: where nobody stands, no foot slides either
CAMERA_HEIGHT = 1.5  # m, where nobody is there to measure it by
# Rounds of the fit: share of a foot's speed along the line of sight that counts, height over the ground that still may be a contact
# while the ground is not known well, and the cut of contacts in sigmas.
ROUNDS = ((0.3, 0.4, 24.0), (0.3, 0.3, 12.0), (0.5, 0.2, 6.0), (1.0, ON_GROUND, 6.0), (1.0, ON_GROUND, 6.0))
STEPS = 6  # of Gauss-Newton in a round, at most
ROUNDS_TRIED, STEPS_TRIED, STEPS_REFINED = 3, 2, 3  # of a scale of the camera's path
SCALES = (0.7, 0.8, 0.9, 1.0, 1.12, 1.25, 1.4)  # of the camera's path, tried about the one that the feet in S_c tell
SCALE_STEP, MOST_TRIED = 1.12, 20  # beyond these
SPREAD_OF_SCALES = 0.3  # one sigma of a log scale of which nothing tells
SIGMA_UNDER = 0.1  # m that the ground may lie lower elsewhere
SPREAD_OF_HEIGHTS = 0.055  # of grown people about their mean
SIZE_BIAS, UP_BIAS = 1.0, 20.0  # errors of joints repeat from frame to frame: up's over its sigma without this, two shots of film-dev
SIGMA_TRUNK, SIGMA_PITCH = np.deg2rad(15), np.deg2rad(8)  # lean of a trunk to the camera, and pitch of a camera at people's height: guesses


@dataclass
class Ground:
    """A plane in W: unit up (3,), and the height d with up . x = d on it."""

    up: np.ndarray
    height: float
    source: str


def run(
    tracks: Tracks, slam: Slam, body: People, camera: Camera, points, model, fps: float, masks, report: Reporter,
    start: World | None = None, corrected=None, quick=False,
) -> World:  # fmt: skip
    """Put S_c and a camera into one metric world.

    camera:  in SLAM's frame and unit: the start camera, or C* brought back there.
    points:  (N, 3) static background points in the same frame.
    masks:   index -> (H, W) instance mask of the video, or None. What they hide lies behind them; in the second call their outlines count.
    start:   the world of the first call; the second goes on from its people.
    corrected: solver.corrections.Corrections, or None: given heights, a locked ground.
    quick:   preview quality: fewer sizes are tried, and no outlines.
    """
    T_w_from_cam = camera.T_world_from_cam
    if len(body.ids) == 0:
        report.warn("Nobody was found in the shot: the camera's scale and the ground are a guess (camera 1.5 m above the ground).")
        return without_people(points, camera, body)
    given, model = model, model.to(torch.float64)
    evidence = Evidence.of(tracks, T_w_from_cam, camera.K, fps)
    if start is not None:
        body = seen_from(start.camera, start.people, model)
    bodies = from_people(body, T_w_from_cam[:, :3, :3], model)
    set_scale(evidence, bodies)
    heights = torch.as_tensor(corrected.height_prior(tracks.ids), dtype=torch.float64) if corrected else None
    path = torch.as_tensor(T_w_from_cam[:, :3, 3].copy())
    metric = bool(slam.verdict_scores.get("metric"))  # a known camera in metres
    moving = slam.verdict == "full" and not metric
    locked = corrected.ground if corrected else None
    background = Background(slam, points, camera, evidence, masks, tracks) if moving else None

    found = (start.T_world_from_slam[2, :3], -start.T_world_from_slam[2, 3]) if start is not None else None

    def placed(scale, outlines=None):
        return Placement(evidence, PosePrior(torch.float64), heights, bodies, path, scale, locked, background, outlines, found)

    size_sigma = 0.0
    if moving and start is None:
        scale, certain = scale_from_feet(bodies, evidence, path)
        if not certain:
            report.warn("No foot was seen standing while the camera moved: the size of the camera's path is a guess from the people's speed.")
            scale = scale_from_steps(bodies, evidence, path, scale)
        placement, size_sigma = sized(max(scale, background.least_scale(bodies)), placed, report, SCALES[::2] if quick else SCALES)
    elif start is None:
        placement = placed(1.0)
    else:
        placement = placed(start.scale, Outlines(masks, tracks.ids, tracks.visible, model) if masks and not quick else None)
        size_sigma = start.sigma.get("fit", 0.0)
    rounds = ROUNDS[-1:] if quick and start is not None else ROUNDS
    with threads(1):
        for index, turn in enumerate(rounds):
            tick = partial(lambda done, i: report.progress(done + i, len(rounds) * STEPS, "Placing people"), index * STEPS)
            placement.improve(*turn, steps=STEPS, tick=tick)
    bodies, centre = placement.state.bodies, placement.centre()
    ground, contact = placement.ground(report)
    people = to_people(bodies, evidence, tracks, centre)
    first = int(np.flatnonzero(tracks.visible[0])[0])
    origin = (bodies.root[0, first] + centre[first]).numpy()
    pelvis = model.rest(bodies.betas)[0][:, 0].numpy()
    world = in_world(people, pelvis, points, camera, placement.scale, ground, origin, contact)
    world.sigma = placement.uncertainty(size_sigma, slam.focal_sigma, metric, tracks.ids)
    if masks and start is not None:
        height, width = masks(0).shape
        _, _, vertices = posed(world.people, given)
        world.people.visible = in_sight(tracks.visible, vertices, model.faces.numpy(), world.camera, width, height, fps)
        for person, count in zip(people.ids, (world.people.visible & ~tracks.visible).sum(1)):
            if count:
                report.warn(f"Person {person} was lost behind others in {count} frames: how they move there is a guess.")
    return world


def sized(guess: float, placed, report, scales=SCALES) -> tuple[Placement, float]:
    """People placed at the scale of the camera's path that costs least.

    It is tried, and no variable of the fit: contacts are found at a scale and then hold it, and those that are none shrink it until
    nobody walks. A few about the guess are tried in short, and further ones as long as an end is best; the best and its neighbours are
    tried to the end, and the bottom of the parabola through their costs is taken. placed: scale -> Placement.
    scales: about the guess, rising.

    Returns the placement, and one sigma of the log scale by the parabola.
    """
    asked = [len(scales) + 3]

    def improved(trials, rounds, steps, done):
        """Both cores: a trial each."""

        def improve(trial):
            with threads(1):  # each thread has a count of its own
                for turn in rounds:
                    trial.improve(*turn, steps=steps)
            return trial

        with ThreadPoolExecutor(2) as pool:
            for index, _ in enumerate(pool.map(improve, trials)):
                report.progress(done + index, asked[0], "Measuring the camera's path by the people")
        return trials

    tries = improved([placed(guess * factor) for factor in scales], ROUNDS[:ROUNDS_TRIED], STEPS_TRIED, 0)
    while (least := int(np.argmin([trial.cost for trial in tries]))) in (0, len(tries) - 1) and len(tries) < MOST_TRIED:
        scale = tries[0].scale / SCALE_STEP if least == 0 else tries[-1].scale * SCALE_STEP
        asked[0] += 1
        further = improved([placed(scale)], ROUNDS[:ROUNDS_TRIED], STEPS_TRIED, len(tries))
        tries = further + tries if least == 0 else tries + further
    middle = min(max(least, 1), len(tries) - 2)
    near = improved(tries[middle - 1 : middle + 2], ROUNDS[ROUNDS_TRIED:], STEPS_REFINED, len(tries))
    costs, logs = [trial.cost for trial in near], np.log([trial.scale for trial in near])
    best = near[int(np.argmin(costs))]
    a, b, _ = np.polyfit(logs, costs, 2)
    if a > 0:
        best.scale = float(np.exp(np.clip(-b / (2 * a), logs[0], logs[2])))
    return best, SIZE_BIAS / np.sqrt(a) if a > 0 else SPREAD_OF_SCALES


class Placement:
    """People, ground and the scale of the camera's path, sought together. In W."""

    def __init__(self, evidence: Evidence, prior: PosePrior, heights, bodies: Bodies, path, scale: float, locked, background, outlines=None,
        found=None,
    ):  # fmt: skip
        """heights: (P,) m that the artist gave, NaN where none; or None. path: (T, 3) camera centres in SLAM's unit.

        locked: the artist's ground (up, height), or None.
        background: Background, or None where it has no depth.
        outlines: Outlines, or None. found: the ground (up, height) of the first call, which the second goes on from; or None.
        """
        self.evidence, self.prior, self.heights = evidence, prior, heights
        self.path, self.background, self.outlines, self.scale = path, background, outlines, scale
        self.locked = locked is not None
        keypoints = bodies.posed().keypoints + self.centre()[:, None]
        ground = Ground(*locked, "locked") if locked else ground_from_bodies(keypoints, evidence)
        tensor = partial(torch.as_tensor, dtype=torch.float64)
        basis = _orthogonal(ground.up)
        tilt, height = np.zeros(2), ground.height
        if found and not self.locked and found[0] @ ground.up > 0.1:
            tilt, height = basis @ found[0] / (found[0] @ ground.up), found[1]  # begun there, and held to what bodies say as before
        plane = terms_of_ground.Ground(tensor(ground.up), tensor(basis), tensor(tilt), tensor(height), self.locked)
        self.state = State(bodies, plane)
        self.blind = float((evidence.span & ~seen_feet(evidence).any(-1)).sum())  # bodies that tell up by their trunks alone
        self.cost = np.inf  # of the last round, less what those are worth who stand

    def centre(self):
        return self.scale * self.path

    def standing(self, along=1.0, gate=ON_GROUND):
        """Feet (P, T, 4, 3) in W, and how likely each stands (P, T, 4)."""
        posed, centre, plane = self.state.bodies.posed(), self.centre(), self.state.ground
        keypoints = posed.keypoints + centre[:, None]
        likely = contacts(posed.joints + centre[:, None], keypoints, plane.up(), plane.height, self.evidence, centre, along, gate)
        return keypoints[:, :, FEET], likely

    def lower(self, feet):
        """Put the ground under the lowest feet (P, T, 4, 3), however it is tilted."""
        plane = self.state.ground
        self.state = dataclasses.replace(self.state, ground=dataclasses.replace(plane, height=_lowest(feet, plane.up(), self.evidence)))

    def improve(self, along, gate, cut, steps, tick=lambda i: None):
        """One round: contacts as they seem now, then everything under them. along, gate, cut: see ROUNDS."""
        feet, contact = self.standing(along, gate)
        if float(contact.sum()) <= 3 and not self.locked:
            self.lower(feet)  # nothing ties the ground to anybody
            feet, contact = self.standing(along, gate)
        pairs = self.outlines.match(self.state.bodies.posed(), self.evidence) if self.outlines else None
        floor = torch.as_tensor(self.background.underfoot(feet, contact, self.centre()) if self.background else np.zeros((0, 2, 3)))
        terms = partial(self.terms, contact, cut, floor, pairs)
        self.state, cost = minimise(self.state, terms, steps, tick)
        walkers = steppers(self.state.bodies, self.evidence, self.centre(), self.state.ground.up())
        for person in walkers:
            contact[person] *= seen_feet(self.evidence)[person]  # unseen feet of who walks do not stand
        unlike = sum(gait.unlike(*pace) * count for pace, count in walkers.values())
        self.cost = cost - STANDS * float(contact.amax(-1).sum()) + STANDS * unlike
        if self.background:
            self.cost += self.background.cost(self.state, self.scale)

    def terms(self, contact, cut, floor, pairs, state, posed, moves):
        evidence, plane, centre = self.evidence, state.ground, self.centre()
        on = terms_of_ground
        terms = [
            *always(evidence, self.prior, self.heights, posed, moves, centre),
            *on.stand(evidence, posed, moves, centre, plane, contact, cut),
            on.balls(evidence, posed, moves, centre, plane),
            on.heading(evidence, posed, moves, centre, plane),
            on.upright(evidence, posed, moves, plane),
            on.legs(evidence, posed, moves, centre, plane),
            motion.course(evidence, posed, moves, centre, contact),
            on.balance(evidence, posed, moves, plane),
            on.floor(floor, self.scale, plane),
            on.level(evidence, plane),
            on.tilt(plane, 1 + self.blind),
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
            path = np.hypot(fit, SPREAD_OF_SCALES / np.sqrt(1 + stood))
        if not self.locked:
            posed = self.state.bodies.posed()
            floor = torch.as_tensor(self.background.underfoot(feet, contact, self.centre()) if self.background else np.zeros((0, 2, 3)))
            found = self.terms(contact, ROUNDS[-1][2], floor, None, self.state, posed, Moves(posed))
            variance = np.diag(Equations(found, self.state).covariance())[-3:]
            tilt, height = np.rad2deg(np.sqrt(variance[:2].mean())) * UP_BIAS, np.sqrt(variance[2]) * UP_BIAS
        size = 0.0 if metric else float(np.sqrt(people**2 + path**2 + focal**2))
        return {
            "size": size, "path": float(path), "fit": float(fit), "up_deg": float(tilt), "ground_m": float(height), "lens": float(focal),
            "heights_m": [float(h) for h in heights],
        }  # fmt: skip

    def ground(self, report):
        """The ground as it came out, and who touches it (P, T, 4)."""
        feet, contact = self.standing()
        source = "locked" if self.locked else "contacts" if float((contact * seen_feet(self.evidence)).sum()) > 3 else "bodies"
        if source == "bodies":
            self.lower(feet)
            report.warn("No foot was seen on the ground: the ground is placed under the lowest feet that the bodies imply.")
        plane = self.state.ground
        return Ground(plane.up().numpy(), float(plane.height), source), contact.numpy()


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


def from_people(people: People, R_w_from_cam, model) -> Bodies:
    """S_c as variables, for cameras turned R_w_from_cam (T, 3, 3). model: in float64."""
    P, T = people.visible.shape
    R = Rotation.from_rotvec(people.global_orient.reshape(-1, 3)).as_matrix().reshape(P, T, 3, 3)
    betas = torch.as_tensor(people.betas)
    root = people.trans + model.rest(betas)[0][:, None, 0].numpy()
    return Bodies(
        model, betas, torch.as_tensor(R_w_from_cam @ R), torch.as_tensor(people.body_pose),
        torch.as_tensor(np.einsum("tij,ptj->pti", R_w_from_cam, root)),
    )  # fmt: skip


def seen_from(camera: Camera, people: People, model) -> People:
    """S_w of a camera in camera coordinates: what S_c has become."""
    T = camera.T_world_from_cam
    P, frames = people.visible.shape
    pelvis = model.rest(torch.as_tensor(people.betas, dtype=model.dtype))[0][:, None, 0].numpy()
    turn = Rotation.from_matrix(np.tile(np.swapaxes(T[:, :3, :3], 1, 2), (P, 1, 1)))
    root = (people.trans + pelvis - T[:, :3, 3]).reshape(-1, 3)
    orient = (turn * Rotation.from_rotvec(people.global_orient.reshape(-1, 3))).as_rotvec().reshape(P, frames, 3)
    return dataclasses.replace(people, global_orient=orient, trans=turn.apply(root).reshape(P, frames, 3) - pelvis)


def _orthogonal(up):
    """Two unit vectors (2, 3) across `up`."""
    helper = np.eye(3)[np.abs(up).argmin()]
    a = np.cross(up, helper)
    a /= np.linalg.norm(a)
    return np.stack([a, np.cross(up, a)])


def scale_from_feet(bodies: Bodies, evidence: Evidence, path) -> tuple[float, bool]:
    """Metres per SLAM unit, so that in each step the slower foot stands as still as it can.

    A foot's error along the line of sight is far larger than across it (monocular depth), so the two weigh apart. Without a seen foot
    the root stands in, as people move slowly beside cameras. Returns the scale and whether feet decided it.
    """
    with torch.no_grad():
        keypoints = bodies.posed().keypoints  # about the camera's centre
        seen = evidence.confidence[..., [15, 16]] > 0.3
        ankles = keypoints[..., [15, 16], :]
        ankles = torch.where(seen[..., None], ankles, torch.nan)
        certain = int(torch.isfinite(ankles[..., 0]).sum()) > 10
        if not certain:
            ankles = bodies.root[:, :, None]
        depth = ankles.norm(dim=-1, keepdim=True)
        ray = ankles / depth
        step = 2 if ankles.shape[1] > 4 else 1
        moved, camera = ankles[:, step:] - ankles[:, :-step], (path[step:] - path[:-step])[None, :, None]
        ray, depth = ray[:, step:], depth[:, step:, :, 0]
        seconds = step / evidence.fps
        guess = float((moved.nan_to_num().norm(dim=-1).amax(-1).median() / camera.norm(dim=-1).median().clamp_min(1e-9)).clamp(1e-3, 1e3))
        candidates = torch.exp(torch.linspace(np.log(guess / 30), np.log(guess * 30), 400))
        costs = []
        for s in candidates:
            v = (moved + s * camera) / seconds
            along = (v * ray).sum(-1)
            across2 = (v**2).sum(-1) - along**2
            squared = across2 / 0.25**2 + along**2 / (0.25 + 0.02 * depth / seconds) ** 2
            cost = torch.log1p(squared)
            slower = torch.where(torch.isfinite(cost), cost, torch.inf).amin(-1)
            costs.append(slower[torch.isfinite(slower)].mean())
        return float(candidates[torch.stack(costs).argmin()]), certain


def steppers(bodies: Bodies, evidence: Evidence, centre, up) -> dict:
    """Who walks though no picture shows their feet: row -> ((speed that way they face, speed by their steps), frames). centre (T, 3), up (3,): W."""
    posed, up, out = bodies.posed(), up.numpy(), {}
    shoulders, root = ((part + centre).numpy() for part in (posed.joints[:, :, [16, 17]].mean(2), posed.joints[:, :, 0]))
    rest = bodies.model.rest(bodies.betas)[0]
    legs = ((rest[:, 1] - rest[:, 4]).norm(dim=-1) + (rest[:, 4] - rest[:, 7]).norm(dim=-1)).numpy()
    for p, (span, legless) in enumerate(zip(evidence.span.numpy(), evidence.legless.numpy())):
        if legless.sum() <= 0.5 * span.sum():
            continue
        steps = gait.speed(shoulders[p, span] @ up, float(legs[p]), evidence.fps)
        pace = gait.along(root[p, span], posed.forward()[p].numpy()[span], up, evidence.fps)
        if np.isfinite(steps) and np.isfinite(pace):
            out[p] = (pace, steps), int(legless.sum())
    return out


def scale_from_steps(bodies: Bodies, evidence: Evidence, path, guess: float) -> float:
    """Metres per SLAM unit at which people whose feet nobody sees go as fast as they step; `guess` where nobody steps.

    Who steps does so at the guess: a path made large enough shakes everybody.
    """
    up = -torch.nn.functional.normalize(evidence.R_w_from_cam[:, :, 1].mean(0), dim=0)
    if not steppers(bodies, evidence, guess * path, up):
        return guess
    scales = guess * np.geomspace(1 / 8, 8, 81)
    costs = []
    for scale in scales:
        found = steppers(bodies, evidence, scale * path, up)
        costs.append(sum(gait.unlike(*pace) * count for pace, count in found.values()) if found else np.inf)
    return float(scales[int(np.argmin(costs))]) if np.isfinite(costs).any() else guess


def ground_from_bodies(keypoints, evidence) -> Ground:
    """First guess of the ground: up as straight bodies say, height under the lowest feet."""
    with torch.no_grad():
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


def _lowest(feet, up, evidence):
    """Height along `up` that four fifths of the frames' lowest feet (P, T, 4, 3) stand above."""
    return (feet @ up)[evidence.span].amin(-1).quantile(0.2)


def without_people(points, camera: Camera, body: People) -> World:
    """Level the mean camera and set it CAMERA_HEIGHT above the ground; SLAM's unit is kept as the metre."""
    down = camera.T_world_from_cam[:, :3, 1].mean(0)
    up = -down / np.linalg.norm(down)
    height = float(up @ camera.T_world_from_cam[0, :3, 3]) - CAMERA_HEIGHT
    contact = np.zeros((0, len(camera.K), 4))
    return in_world(body, np.zeros((0, 3)), points, camera, 1.0, Ground(up, height, "camera"), camera.T_world_from_cam[0, :3, 3], contact)


def in_world(people: People, rest_pelvis, points, camera: Camera, scale: float, ground: Ground, origin, contact) -> World:
    """Turn W into the world: up is +z, the ground z = 0, the first camera looks along +y, `origin` stands over (0, 0)."""
    forward = camera.T_world_from_cam[0, :3, 2]
    y = forward - ground.up * (forward @ ground.up)
    if np.linalg.norm(y) < 1e-3:
        y = -camera.T_world_from_cam[0, :3, 1]
        y = y - ground.up * (y @ ground.up)
    y /= np.linalg.norm(y)
    R = np.stack([np.cross(y, ground.up), y, ground.up])
    t = -R @ np.asarray(origin, float)
    t[2] = -ground.height
    T = compose(R, t)
    return World(
        camera=moved_camera(camera, scale, T),
        people=moved_people(people, T, rest_pelvis),
        scale=scale,
        points_world=points * scale @ R.T + t,
        contact=contact,
        ground_source=ground.source,
        T_world_from_slam=T,
    )


def moved_camera(camera: Camera, scale: float, T) -> Camera:
    """A camera of SLAM's frame in the world: its path times scale, then through T (4, 4)."""
    out = camera.T_world_from_cam.copy()
    out[:, :3, 3] *= scale
    return Camera(T @ out, camera.K.copy())


def to_slam(camera: Camera, points, world: World) -> tuple[Camera, np.ndarray]:
    """A camera and points (N, 3) of `world` back in SLAM's frame and unit; inverse of moved_camera."""
    back = invert(world.T_world_from_slam)
    out = back @ camera.T_world_from_cam
    out[:, :3, 3] /= world.scale
    return Camera(out, camera.K.copy()), (points @ back[:3, :3].T + back[:3, 3]) / world.scale


def moved_people(people: People, T, rest_pelvis) -> People:
    """SMPL tracks through a rigid transform (4, 4); rest_pelvis (P, 3), because SMPL turns the body about it and not about its origin."""
    P, frames = people.visible.shape
    R = Rotation.from_matrix(T[:3, :3])
    orient = (R * Rotation.from_rotvec(people.global_orient.reshape(-1, 3))).as_rotvec().reshape(P, frames, 3) if P else people.global_orient
    trans = (people.trans + rest_pelvis[:, None]) @ T[:3, :3].T + T[:3, 3] - rest_pelvis[:, None]
    return dataclasses.replace(people, global_orient=orient, trans=trans)


def posed(people: People, model):
    """Joints (P, T, 24, 3) and keypoints (P, T, K, 3) of SMPL tracks, and a function (person row, frame) -> vertices (V, 3). numpy, m."""
    betas, poses, trans = (torch.as_tensor(a, dtype=torch.float32) for a in (people.betas, people.poses, people.trans))
    with torch.no_grad():
        _, joints, keypoints = model.fk(betas[:, None].expand(-1, poses.shape[1], -1), poses, trans)

    def vertices(p, index):
        with torch.no_grad():
            return model.vertices(betas[p], poses[p, index], trans[p, index]).numpy()

    return joints.double().numpy(), keypoints.double().numpy(), vertices
