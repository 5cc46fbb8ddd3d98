"""Stage *body*: S_c, one SMPL track per person in camera coordinates. One shape per person, one pose per frame."""

from __future__ import annotations

import numpy as np
import torch

from ..frames import compose
from ..protocol import Reporter
from ..records import People, Slam, Tracks
from ..skeleton import KEYPOINT_OF_SMPL_JOINT, SMPL_PARENTS
from .fit import Bodies, Energy, Evidence, descend, minimise, root_from_2d, to_camera, torso_rotation
from .prior import PosePrior

STEPS_POSE = 640  # of Adam, the mean body from far
STEPS_ALL = 16  # of L-BFGS, ten evaluations each, its shape too
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
    torch.manual_seed(0)
    evidence = Evidence.of(tracks, compose(R, np.zeros(3)), slam.camera.K, fps)
    prior = PosePrior()
    bodies = initial(evidence, model, prior)
    energy = Energy(evidence, prior, heights)
    centre = torch.zeros(frames, 3)
    total = STEPS_POSE + 10 * STEPS_ALL
    descend(
        [bodies.turn, bodies.body_pose, bodies.place, bodies.reach],
        lambda: energy(bodies, centre, weight_3d=3.0, widen=4.0)[0], STEPS_POSE, lambda i: report.progress(i, total, "Posing"),
    )  # fmt: skip
    minimise(
        bodies.parameters(), lambda: energy(bodies, centre)[0], STEPS_ALL,
        lambda i: report.progress(STEPS_POSE + 10 * i, total, "Posing and shaping"),
    )  # fmt: skip
    return to_people(bodies, evidence, tracks)


def _warn_about_legs(tracks: Tracks, report: Reporter) -> None:
    """Say whose legs a medium shot or a close-up leaves out."""
    seen = (tracks.keypoints_2d[:, :, 15:17, 2] > 0).any(-1) & tracks.visible
    out = [str(i) for i, share in zip(tracks.ids, seen.sum(1) / tracks.visible.sum(1).clip(1)) if share < 0.1]
    if out:
        who = f"person {out[0]}" if len(out) == 1 else f"the people {', '.join(out[:-1])} and {out[-1]}"
        report.warn(f"The feet of {who} are hardly ever seen: how the legs stand, and where, is a guess.")


def initial(evidence: Evidence, model, prior: PosePrior) -> Bodies:
    """Roots turned by the torso's 3D joints, bodies in the most likely pose, placed by their pixels. In W."""
    P, T = evidence.span.shape
    betas = torch.zeros(P, 10)
    pose = prior.most_likely().expand(P, T, 23, 3).clone()
    # Hands that come into the picture of a bust are raised before it; from hanging arms the fit would also find them behind.
    pose[:, :, ELBOWS, 1] += evidence.bust[..., None] * torch.tensor([-1.5, 1.5])
    _, rest_keypoints = model.rest(betas)
    seen = evidence.confidence_3d[..., [5, 6, 11, 12]].amin(-1)
    R_cam = torso_rotation(rest_keypoints[:, None].expand(-1, T, -1, -1), evidence.xyz, evidence.confidence_3d)
    upright = torch.diag(torch.tensor([1.0, -1.0, -1.0]))  # facing the camera, head up
    R_w = torch.einsum("tij,ptjk->ptik", evidence.R_w_from_cam, torch.where((seen > 0.05)[..., None, None], R_cam, upright))
    R_w = _hold(R_w, seen > 0.05)
    bodies = Bodies(model, betas, R_w, pose, torch.zeros(P, T, 3))
    with torch.no_grad():
        _, joints, keypoints, _ = bodies.pose(torch.zeros(T, 3))
        about = to_camera(keypoints - joints[:, :, :1], evidence.R_w_from_cam, torch.zeros(T, 3))
        root_cam = root_from_2d(about, evidence.xy, evidence.confidence, evidence.K)
        enough = ((evidence.confidence > 0.2).sum(-1) >= 4) & (root_cam[..., 2] > 0.3)
        root = torch.einsum("tij,ptj->pti", evidence.R_w_from_cam, root_cam)
    bodies.place.data.copy_(_hold(root, enough))
    set_scale(evidence, bodies)
    return bodies


def set_scale(evidence: Evidence, bodies: Bodies) -> None:
    """Fix how many metres a pixel is at each person's depth."""
    depth = to_camera(bodies.root.detach()[:, :, None], evidence.R_w_from_cam, torch.zeros(len(evidence.K), 3))[:, :, 0, 2]
    evidence.metres_per_px = depth.clamp_min(0.3) / evidence.K[:, 0, 0]


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
    with torch.no_grad():
        root_R, root = bodies.rotations()[:, :, 0], bodies.root
        if centre is None:
            back = evidence.R_w_from_cam.mT
            root_R, root = back @ root_R, torch.einsum("tij,ptj->pti", back, root)
        else:
            root = root + centre
        rest, _ = bodies.model.rest(bodies.betas)
        trans = root - rest[:, None, 0]
    return People(
        ids=np.asarray(tracks.ids),
        betas=bodies.betas.detach().double().numpy(),
        global_orient=matrix_to_rotvec(root_R.double().numpy()),
        body_pose=bodies.body_pose.detach().double().numpy(),
        trans=trans.double().numpy(),
        visible=tracks.visible,
        joint_confidence=joint_confidence(evidence),
    )


def matrix_to_rotvec(R):
    """Rotation matrices (..., 3, 3) to rotation vectors (..., 3)."""
    from scipy.spatial.transform import Rotation

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
