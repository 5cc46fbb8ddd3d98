"""Stage *world*: f_H. S_w = f_H(S_c, C): all people and the camera in one metric world, on one ground (paper Eqs. 1 and 3).

The unknowns are the scale of the camera's path, which is tried, the ground plane, and the bodies; the evidence is what *body* used, the
outlines of the masks, and that feet on the ground neither slide nor sink nor float.
"""

from __future__ import annotations

import dataclasses
from functools import partial

import numpy as np
import torch
from scipy.spatial.transform import Rotation

from ..body.body import set_scale, to_people
from ..body.fit import Evidence
from ..body.prior import PosePrior
from ..bundle.bodies import Bodies
from ..bundle.solve import threads
from ..frames import compose, invert
from ..protocol import Reporter
from ..records import Camera, People, Slam, Tracks, World
from ..slam import lines
from .background import Background
from .hands import fingers_of
from .outline import Outlines
from .placement import STEPS, Ground, Placement, ground_from_bodies
from .sight import in_sight
from .size import SCALES, WIDE, scale_from_feet, scale_from_steps, sized
from .uprights import upright

CAMERA_HEIGHT = 1.5  # m, where nobody is there to measure it by


def run(
    tracks: Tracks, slam: Slam, body: People, camera: Camera, points, model, fps: float, masks, report: Reporter,
    start: World | None = None, corrected=None, quick=False, size=None,
) -> World:  # fmt: skip
    """Put S_c and a camera into one metric world.

    camera:  in SLAM's frame and unit: the start camera, or C* brought back there.
    points:  (N, 3) static background points in the same frame.
    masks:   index -> (H, W) instance mask of the video, or None. What they hide lies behind them; in the second call their outlines count.
    start:   the world of the first call; the second goes on from its people.
    corrected: solver.corrections.Corrections, or None: given heights, a locked ground, upright lines, who stands, how far the camera goes.
    size: (width, height) of the shot's pictures; needed for upright lines that were given.
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

    told = corrected.uprights(*size) if corrected and size else None
    guess = ground_from_bodies(bodies.posed().keypoints, evidence).up
    shown = lines.up(slam.edges, camera, tuple(2 * camera.K[0, :2, 2]), guess, slam.focal_sigma)
    uprights = upright(slam.edges, camera, guess if shown is None else shown[0], told) if shown is None or (told is not None and len(told)) else shown
    stands = torch.as_tensor(corrected.standing(tracks.ids, evidence.span.shape[1])) if corrected else None
    measured = corrected.path_scale(T_w_from_cam[:, :3, 3]) if corrected and moving else None
    if corrected and not moving and any(item["do"] == "moved" for item in corrected.items):
        report.warn("The camera was told to go some way, but it does not travel in this solve, or its way is known: that was not used.")

    outlines = Outlines(masks, tracks.ids, tracks.visible, model) if start is not None and masks and not quick else None
    walkers = {}

    def placed(scale, stairs=start is not None and start.stairs):
        return Placement(
            evidence, PosePrior(torch.float64), heights, bodies, path, scale, locked, background, outlines, found, uprights, shown is not None, stands, walkers, stairs
        )

    size_sigma = 0.0
    if measured:
        placement = placed(measured)
    elif moving and start is None:
        scale, certain = scale_from_feet(bodies, evidence, path)
        least, scales = background.least_scale(bodies), SCALES
        if not certain:
            report.warn("No foot was seen standing while the camera moved: the size of the camera's path is a guess from the people's speed.")
            scale, walkers = scale_from_steps(bodies, evidence, path, max(scale, least))
            scales = SCALES if walkers else WIDE
        placement, size_sigma = sized(max(scale, least), placed, report, scales[::2] if quick else scales)
    elif start is None:
        placement = placed(1.0)
    else:
        placement = placed(start.scale)
        size_sigma = start.sigma.get("fit", 0.0)
    def settle(placement, which, done=0):
        """Some of the rounds."""
        most = (len(placement.rounds) + 1) * STEPS
        with threads(1):
            for index, turn in enumerate(placement.rounds[which]):
                tick = partial(lambda done, i: report.progress(done + i, most, "Placing people"), (done + index) * STEPS)
                placement.step()
                placement.improve(*turn, steps=STEPS, tick=tick)
        return placement

    placement = settle(placement, slice(-1, None) if quick and start is not None else slice(None))
    if start is None:
        # At the size that a level ground has: feet at heights of their own hardly tell it.
        climbs = settle(placed(placement.scale, stairs=True), slice(1), len(placement.rounds))
        if climbs.footholds() and climbs.paid() < placement.paid():
            climbs = settle(climbs, slice(1, None))
            placement = climbs if climbs.footholds() and climbs.paid() < placement.paid() else placement
    if placement.stairs and start is None and moving and not measured:
        report.warn("Somebody stands on steps over the ground: the size of the camera's path is rough. Say how far the camera goes, or check a distance that you know.")
    bodies, centre = placement.state.bodies, placement.centre()
    ground, contact = placement.ground(report)
    people = to_people(bodies, evidence, tracks, centre)
    first = int(np.flatnonzero(tracks.visible[0])[0])
    origin = (bodies.root[0, first] + centre[first]).numpy()
    pelvis = model.rest(bodies.betas)[0][:, 0].numpy()
    world = in_world(people, pelvis, points, camera, placement.scale, ground, origin, contact)
    world.stairs = placement.stairs
    world.sigma = placement.uncertainty(size_sigma, slam.focal_sigma, metric or bool(measured), tracks.ids)
    world.people.fingers, world.people.fingers_known = fingers_of(tracks, fps)
    if masks and start is not None:
        height, width = masks(0).shape
        _, _, vertices = posed(world.people, given)
        world.people.visible = in_sight(tracks.visible, vertices, model.faces.numpy(), world.camera, width, height, fps)
        for person, count in zip(people.ids, (world.people.visible & ~tracks.visible).sum(1)):
            if count:
                report.warn(f"Person {person} was lost behind others in {count} frames: how they move there is a guess.")
    return world


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
