"""Stage *body*: S_c, one SMPL track per person in camera coordinates. One shape per person, one pose per frame."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import torch
from scipy.spatial.transform import Rotation

from ..bundle import motion, parts, picture, pose
from ..bundle.bodies import Bodies
from ..bundle.solve import State, minimise, threads
from ..frames import compose
from ..protocol import Reporter
from ..records import People, Slam, Tracks
from ..skeleton import KEYPOINT_OF_SMPL_JOINT, SMPL_PARENTS
from .fit import Evidence, root_from_2d, torso_rotation
from .prior import PosePrior

# From far, the mean body first: steps, factor on the kernels' cuts, weight of the 3D joints, and whether palms and heads count: while limbs are far off,
# they turn the whole body.
STAGES = ((15, 16.0, 3.0, False), (20, 4.0, 3.0, True), (40, 1.0, 1.0, True))
HARDLY = 0.1  # of the frames
ELBOWS = [17, 18]  # left and right in body_pose


def run(tracks: Tracks, slam: Slam, model, fps: float, report: Reporter, heights=None) -> People:
    """Fit the body to the detections of every frame at once.

    heights: (P,) m that the artist gave, NaN where none.

    Smoothness is asked for in a frame that does not turn with the camera (SLAM's rotations undone), so that a pan or a shaking hand
    is not taken for the person's motion. The result is in camera coordinates.
    """
    R = slam.camera.T_world_from_cam[:, :3, :3]
    frames = len(R)
    if len(tracks.ids) == 0:
        return empty_people(frames)
    _warn_about_legs(tracks, report)
    model = model.to(torch.float64)
    evidence = Evidence.of(tracks, compose(R, np.zeros(3)), slam.camera.K, fps)
    prior = PosePrior(torch.float64)
    heights = None if heights is None else torch.as_tensor(heights, dtype=torch.float64)
    return to_people(fitted(evidence, model, prior, heights, report), evidence, tracks)


def fitted(evidence: Evidence, model, prior: PosePrior, heights=None, report: Reporter | None = None) -> Bodies:
    """S_c in W, the camera's centre left out: from far, in stages."""
    state = State(initial(evidence, model, prior))
    centre = torch.zeros(len(evidence.K), 3, dtype=torch.float64)
    done, total = 0, sum(steps for steps, *_ in STAGES)
    with threads(1):
        for steps, widen, weight_3d, turned in STAGES:

            def terms(state, posed, moves, weight_3d=weight_3d, widen=widen, turned=turned):
                return always(evidence, prior, heights, posed, moves, centre, weight_3d, widen, turned)

            def tick(index, begun=done):
                if report:
                    report.progress(begun + index, total, "Posing and shaping")

            state, _ = minimise(state, terms, steps, tick, shapes=widen == 1.0)
            done += steps
    return state.bodies


def always(evidence, prior, heights, posed, moves, centre, weight_3d=1.0, widen=1.0, turned=True) -> list:
    """The terms that hold in any frame W, with the camera's centres (T, 3) in it."""
    bodies = posed.bodies
    terms = [
        picture.joints(evidence, posed, moves, widen),
        picture.depth(evidence, posed, moves, weight_3d, widen),
        picture.bust(evidence, posed, moves),
        *motion.smooth(evidence, posed, moves, centre),
        motion.turning(evidence, posed, moves),
        pose.likely(evidence, prior, posed, moves),
        pose.quiet(evidence, posed, moves),
        pose.limits(evidence, posed, moves),
        pose.shape(evidence, bodies),
        pose.height(evidence, bodies, heights) if heights is not None else None,
        parts.palm(evidence, posed, moves, widen) if turned and evidence.palms is not None else None,
        parts.head(evidence, posed, moves, widen) if turned and evidence.heads is not None else None,
    ]
    return [term for term in terms if term is not None]


def _warn_about_legs(tracks: Tracks, report: Reporter) -> None:
    """Say whose legs a medium shot or a close-up leaves out."""
    seen = (tracks.keypoints_2d[:, :, 15:17, 2] > 0).any(-1) & tracks.visible
    out = [str(i) for i, share in zip(tracks.ids, seen.sum(1) / tracks.visible.sum(1).clip(1)) if share < 0.1]
    if out:
        who = f"person {out[0]}" if len(out) == 1 else f"the people {', '.join(out[:-1])} and {out[-1]}"
        report.warn(f"The feet of {who} are hardly ever seen: how the legs stand, and where, is a guess.")


def initial(evidence: Evidence, model, prior: PosePrior) -> Bodies:
    """Roots turned by the torso's 3D joints, or where there hardly are any by which shoulder is on the left; bodies in the most likely pose, placed by their pixels. In W."""
    P, T = evidence.span.shape
    betas = torch.zeros(P, 10, dtype=torch.float64)
    pose = prior.most_likely().expand(P, T, 23, 3).clone()
    # Hands that come into the picture of a bust are raised before it; from hanging arms the fit would also find them behind.
    pose[:, :, ELBOWS, 1] += evidence.bust[..., None] * torch.tensor([-1.5, 1.5], dtype=torch.float64)
    _, rest_keypoints = model.rest(betas)
    seen = evidence.confidence_3d[..., [5, 6, 11, 12]].amin(-1) > 0.05
    shoulders = evidence.confidence[..., 5:7].amin(-1) > 0.2
    R_cam = torso_rotation(rest_keypoints[:, None].expand(-1, T, -1, -1), evidence.xyz, evidence.confidence_3d)
    front, back = (torch.diag(torch.tensor([x, -1.0, z], dtype=torch.float64)) for x, z in ((1.0, -1.0), (-1.0, 1.0)))  # of somebody upright, to the camera
    turned = shoulders & (evidence.xy[..., 5, 0] < evidence.xy[..., 6, 0])
    R_cam = torch.where(seen[..., None, None], R_cam, torch.where(turned[..., None, None], back, front))
    R_w = torch.einsum("tij,ptjk->ptik", evidence.R_w_from_cam, R_cam)
    R_w = _hold(R_w, _or_else(seen, shoulders))
    posed = Bodies(model, betas, R_w, pose, torch.zeros(P, T, 3, dtype=torch.float64)).posed()
    about = picture.in_camera(evidence, posed.keypoints)
    root_cam = root_from_2d(about, evidence.xy, evidence.confidence, evidence.K)
    enough = ((evidence.confidence > 0.2).sum(-1) >= 4) & (root_cam[..., 2] > 0.3)
    root = torch.einsum("tij,ptj->pti", evidence.R_w_from_cam, root_cam)
    bodies = replace(posed.bodies, root=_hold(root, _or_else(enough, shoulders & (root_cam[..., 2] > 0.3))))
    set_scale(evidence, bodies)
    return bodies


def set_scale(evidence: Evidence, bodies: Bodies) -> None:
    """Fix how many metres a pixel is at each person's depth."""
    depth = picture.in_camera(evidence, bodies.root[:, :, None])[:, :, 0, 2]
    evidence.metres_per_px = depth.clamp_min(0.3) / evidence.K[:, 0, 0]


def _or_else(good, other):
    """Good frames (P, T) of each person, those of `other` for whom there are hardly any."""
    return torch.where(good.sum(1, keepdim=True) >= HARDLY * other.sum(1, keepdim=True), good, other)


def _hold(values, good):
    """Values (P, T, ...) with those of bad frames taken from the nearest good frame of the same person."""
    out = values.clone()
    T = values.shape[1]
    index = torch.arange(T)
    for p in range(len(values)):
        at = index[good[p]]
        if len(at):
            nearest = at[(index[:, None] - at[None]).abs().argmin(1)]
            out[p] = values[p, nearest]
        elif values.dim() == 3:
            out[p] = values.new_tensor([0.0, 0.0, 4.0])
    return out


def to_people(bodies: Bodies, evidence: Evidence, tracks: Tracks, centre=None) -> People:
    """The record of fitted bodies: in W, for the camera's centre (T, 3); without one, in camera coordinates (S_c)."""
    root_R, root = bodies.R_root, bodies.root
    if centre is None:
        back = evidence.R_w_from_cam.mT
        root_R, root = back @ root_R, torch.einsum("tij,ptj->pti", back, root)
    else:
        root = root + centre
    trans = root - bodies.model.rest(bodies.betas)[0][:, None, 0]
    return People(
        ids=np.asarray(tracks.ids),
        betas=bodies.betas.numpy(),
        global_orient=matrix_to_rotvec(root_R.numpy()),
        body_pose=bodies.body_pose.numpy(),
        trans=trans.numpy(),
        visible=tracks.visible,
        joint_confidence=joint_confidence(evidence),
    )


def matrix_to_rotvec(R):
    """Rotation matrices (..., 3, 3) to rotation vectors (..., 3)."""
    return Rotation.from_matrix(R.reshape(-1, 3, 3)).as_rotvec().reshape(R.shape[:-2] + (3,))


def joint_confidence(evidence: Evidence) -> np.ndarray:
    """(P, T, 24): an SMPL joint counts as seen as far as its own keypoint does, or the keypoints of its children or parent do."""
    confidence = evidence.confidence.numpy()
    out = np.zeros(confidence.shape[:2] + (24,))
    for joint, keypoint in KEYPOINT_OF_SMPL_JOINT.items():
        out[..., joint] = confidence[..., keypoint]
    out[..., 15] = confidence[..., :5].max(-1)
    out[..., 10], out[..., 11] = confidence[..., 19], confidence[..., 20]
    out[..., 22], out[..., 23] = confidence[..., [21, 23]].max(-1), confidence[..., [22, 24]].max(-1)
    hips, shoulders = confidence[..., 11:13].min(-1), confidence[..., 5:7].min(-1)
    out[..., 0] = hips
    for joint in (3, 6, 9):
        out[..., joint] = np.sqrt(hips * shoulders)
    for joint in (12, 13, 14):
        out[..., joint] = shoulders
    return out


def empty_people(frames: int) -> People:
    """Nobody, over a shot of this many frames."""
    zero = np.zeros
    return People(
        zero(0, int), zero((0, 10)), zero((0, frames, 3)), zero((0, frames, len(SMPL_PARENTS) - 1, 3)), zero((0, frames, 3)),
        zero((0, frames), bool), zero((0, frames, 24)),
    )  # fmt: skip
