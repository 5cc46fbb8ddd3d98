"""Terms of how people are built and bend."""

from __future__ import annotations

import torch

from .bodies import POSE, Bodies, Moves, Posed
from .rows import Rows, Shared, lets_go, plain

SIGMA_HEIGHT = 0.01  # m, standing height given by the artist
SIGMA_SPEED = 4.0  # rad/s, joints against their parents: what nobody sees keeps still and does not run on
SIGMA_LIMIT = 0.1  # rad past what a knee or an elbow can do
# A shape is seen through errors that repeat from frame to frame (detector, clothes), so its prior counts once per frame.
WEIGHT_SHAPE = 0.5
WEIGHT_POSE = 2.0  # and so for the pose: errors of detections repeat from one joint and frame to the next
# Rows of body_pose. The recordings' wrists are nearly rigid: the prior's sigma is 17° where wrists go 70° either way. Where the hand is seen it is this many times as wide, or
# arms turn for it; and so for neck and head where the face is seen.
WRISTS, NECK = [19, 20], [11, 14]
WIDER = 3.0
# Rows of body_pose, axis, sign and limit: knees do not bend forward, elbows not backward.
LIMITS = ((3, 0, -1.0, 0.05), (4, 0, -1.0, 0.05), (17, 1, 1.0, 0.05), (18, 1, -1.0, 0.05))


def likely(evidence, prior, posed: Posed, moves: Moves | None) -> Rows:
    """How people bend: the mixture's component that suits each frame best (prior.PosePrior)."""
    pose = posed.bodies.body_pose
    share = freed(evidence, pose)
    z, component = prior.residuals(pose, share)
    span = evidence.span.to(pose)
    constant = WEIGHT_POSE * (prior.offset[component] * span).sum()
    rows = Rows("likely", z[:, :, None], 0.5 * WEIGHT_POSE * span[..., None], plain(), constant=constant)
    if moves:
        by, rows.squares = pose.new_zeros(pose.shape[:2] + (69, 75)), pose.new_zeros(pose.shape[:2] + (75, 75))
        by[..., POSE], rows.squares[..., POSE, POSE] = prior.whiten[component], prior.squares[component]
        if share is not None:
            by[..., POSE] *= share[..., None, :]
            rows.squares[..., POSE, POSE] *= share[..., None, :] * share[..., :, None]
        rows.by = {0: by}
    return rows


def freed(evidence, pose):
    """How much of each number's way from the mean pose counts (P, T, 69): less of wrists and necks whose hands and faces are seen. None where there are none."""
    if evidence.palms is None and evidence.heads is None:
        return None
    share = torch.ones_like(pose)
    if evidence.palms is not None:
        share[:, :, WRISTS] = torch.where(evidence.palms.weight > 0, 1 / WIDER, 1.0)[..., None].to(pose)
    if evidence.heads is not None:
        share[:, :, NECK] = torch.where(evidence.heads.weight > 0, 1 / WIDER, 1.0)[..., None, None].to(pose)
    return share.flatten(-2)


def quiet(evidence, posed: Posed, moves: Moves | None) -> Rows:
    """Speed of every joint against its parent."""
    pose = posed.bodies.body_pose
    unit = evidence.fps / SIGMA_SPEED
    both = (evidence.span[:, 1:] & evidence.span[:, :-1]).to(pose)
    still = torch.zeros_like(pose[:, 1:, :1])
    r = torch.cat([still, (pose[:, 1:] - pose[:, :-1]) * unit], 2)
    rows = Rows("quiet", r, 0.5 * both[..., None].expand(-1, -1, 24), lets_go(3.0))
    if moves:
        eye = unit * torch.eye(3, dtype=pose.dtype, device=pose.device).repeat(r.shape[:3] + (1, 1))
        eye[:, :, 0] = 0  # the root has no parent
        rows.by_joint = {0: -eye, 1: eye}
    return rows


def limits(evidence, posed: Posed, moves: Moves | None) -> Rows:
    """Knees do not bend forward, elbows not backward."""
    pose = posed.bodies.body_pose
    past = torch.stack([torch.relu(sign * pose[:, :, joint, axis] - limit) for joint, axis, sign, limit in LIMITS], -1)
    rows = Rows("limits", (past / SIGMA_LIMIT)[..., None], torch.ones_like(past), plain())
    if moves:
        by = pose.new_zeros(past.shape + (75,))
        for row, (joint, axis, sign, _) in enumerate(LIMITS):
            by[..., row, 3 + 3 * joint + axis] = sign / SIGMA_LIMIT * (past[..., row] > 0)
        rows.by = {0: by}
    return rows


def shape(evidence, bodies: Bodies) -> Shared:
    """Shapes are near the mean one."""
    P = len(bodies.betas)
    by = bodies.betas.new_zeros(P, 10, P, 10)
    for person in range(P):
        by[person, :, person] = torch.eye(10, dtype=by.dtype, device=by.device)
    weight = torch.full((P,), WEIGHT_SHAPE * len(evidence.K), dtype=by.dtype, device=by.device)
    return Shared("shape", bodies.betas, weight, plain(), by_shape=by)


def height(evidence, bodies: Bodies, heights) -> Shared | None:
    """A height that was given holds to SIGMA_HEIGHT, as often as there are frames. heights (P,) m, NaN where none."""
    known = torch.isfinite(heights).nonzero()[:, 0]
    if not len(known):
        return None
    model = bodies.model
    y = model.shaped(bodies.betas[known])[..., 1]
    top, sole = y.argmax(-1), y.argmin(-1)
    r = (y.amax(-1) - y.amin(-1) - heights[known]) / SIGMA_HEIGHT
    by = y.new_zeros(len(known), 1, len(bodies.betas), 10)
    by[torch.arange(len(known)), 0, known] = (model.shapedirs[top, 1] - model.shapedirs[sole, 1]) / SIGMA_HEIGHT
    return Shared("height", r[:, None], torch.full_like(r, len(evidence.K)), plain(), by_shape=by)
