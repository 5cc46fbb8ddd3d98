"""The motion to transfer: one person's SMPL track, without a body model."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ..solver.protocol import ShotError
from ..solver.skeleton import SMPL_PARENTS
from .rotations import matrix_from_rotvec

# How far the sole lies under the lower of ankle and ball joint in the rest pose, and the heel behind the ankle, as shares of
# the leg (hip to knee to ankle) and of the foot (ankle to ball, along the floor). Measured on the body that ships with Reshoot.
SOLE_UNDER_BALL = 0.03
HEEL_BEHIND_ANKLE = 0.37


@dataclass
class Track:
    """F frames of a person in the world (Z-up, metres, ground z = 0).

    rest_joints:  (24, 3) T-pose of this person in SMPL's axes (Y-up).
    poses:        (F, 24, 3) rotvec, root first.   trans: (F, 3) metres.
    frames:       (F,) int, indices in the shot.    fps: frames a second.
    contact:      (F, 4) 0..1 for left heel, left toe, right heel, right toe, or None: then it is estimated.
    fingers:      (F, 2, 5, 4) degrees as in solver.fingers, left and right hand, and fingers_known (F, 2) 0..1; None where no hand was seen.
    """

    rest_joints: np.ndarray
    poses: np.ndarray
    trans: np.ndarray
    frames: np.ndarray
    fps: float
    contact: np.ndarray | None = None
    fingers: np.ndarray | None = None
    fingers_known: np.ndarray | None = None

    def forward(self):
        """World rotations (F, 24, 3, 3) and joints (F, 24, 3). The root turns about the rest pelvis, then trans is added."""
        local = matrix_from_rotvec(self.poses)
        R = np.empty_like(local)
        joints = np.empty(self.poses.shape)
        R[:, 0] = local[:, 0]
        joints[:, 0] = self.rest_joints[0] + self.trans
        for j, parent in enumerate(SMPL_PARENTS[1:], 1):
            R[:, j] = R[:, parent] @ local[:, j]
            joints[:, j] = joints[:, parent] + R[:, parent] @ (self.rest_joints[j] - self.rest_joints[parent])
        return R, joints

    @property
    def leg_m(self):
        """Hip to knee to ankle, the mean of both sides."""
        J = self.rest_joints
        parts = [J[4] - J[1], J[7] - J[4], J[5] - J[2], J[8] - J[5]]
        return float(np.linalg.norm(parts, axis=-1).sum() / 2)

    @property
    def rest_floor_m(self):
        """Height (SMPL's y) of the soles in the rest pose."""
        return float(self.rest_joints[[7, 8, 10, 11], 1].min() - SOLE_UNDER_BALL * self.leg_m)


def load_track(take_dir, person: int) -> Track:
    """A person of a take folder. Raises ShotError where there is no such person or the file cannot be read."""
    folder = Path(take_dir) / "people"
    path = folder / f"{person:02d}.npz"
    if not path.is_file():
        there = ", ".join(str(int(p.stem)) for p in sorted(folder.glob("[0-9][0-9].npz"))) or "nobody"
        raise ShotError(f"The take has no person {person} (it has {there}).", "Choose another person or another take.")
    try:
        with np.load(path, allow_pickle=False) as file:
            data = {name: file[name] for name in file.files}
        poses = data["poses"].reshape(-1, 24, 3).astype(float)
        trans, joints = data["trans"].astype(float), data["joints_world"].astype(float)
        fps = float(data["mocap_frame_rate" if "mocap_frame_rate" in data else "mocap_framerate"])
        frames = data["frame"].astype(int)
    except (OSError, KeyError, ValueError) as error:
        raise ShotError(f"{path.name} in the take cannot be read ({error}).", "Run Extract Shot again.") from error
    if not len(poses) or not (np.isfinite(poses).all() and np.isfinite(joints).all()):
        raise ShotError(f"Person {person} has no usable motion in the take.", "Choose another person.")
    hands = (data["fingers"].astype(float), data["fingers_known"].astype(float)) if "fingers" in data and "fingers_known" in data else ()
    return Track(rest_joints_of(poses, trans, joints), poses, trans, frames, fps, data.get("contact"), *hands)


def rest_joints_of(poses, trans, joints):
    """Rest joints (24, 3), Y-up, of the person who stands at joints (F, 24, 3) under poses and trans: what turned is turned back."""
    local = matrix_from_rotvec(poses)
    R = np.empty_like(local)
    rest = np.empty((24, 3))
    R[:, 0] = local[:, 0]
    rest[0] = np.median(joints[:, 0] - trans, axis=0)
    for j, parent in enumerate(SMPL_PARENTS[1:], 1):
        R[:, j] = R[:, parent] @ local[:, j]
        offset = np.einsum("fji,fj->fi", R[:, parent], joints[:, j] - joints[:, parent])
        rest[j] = rest[parent] + np.median(offset, axis=0)
    return rest
