"""Train the pose prior on motion capture: solver/assets/pose_prior.npz, a Gaussian mixture over SMPL's 23 body rotations.

    python tools/build_prior.py FOLDER [--body solver/assets/body.npz] [--out solver/assets/pose_prior.npz]

FOLDER holds NN.asf skeletons and NN_MM.amc(.gz) motions of the CMU Graphics Lab Motion Capture Database (mocap.cs.cmu.edu, free for all
uses; created with funding from NSF EIA-0196217). Needs numpy, scipy, scikit-learn. The motions stay where they are; only the mixture's
means and covariances are kept.
"""

from __future__ import annotations

import argparse
import gzip
from pathlib import Path

import numpy as np
from scipy.spatial.transform import Rotation
from sklearn.mixture import GaussianMixture

# SMPL joint -> the ASF bones whose rotations it takes, from the root outwards.
BONES = {
    1: ["lfemur"], 4: ["ltibia"], 7: ["lfoot"], 10: ["ltoes"], 2: ["rfemur"], 5: ["rtibia"], 8: ["rfoot"], 11: ["rtoes"],
    3: ["lowerback"], 6: ["upperback"], 9: ["thorax"], 12: ["lowerneck"], 15: ["upperneck", "head"],
    13: ["lclavicle"], 16: ["lhumerus"], 18: ["lradius"], 20: ["lwrist", "lhand"],
    14: ["rclavicle"], 17: ["rhumerus"], 19: ["rradius"], 21: ["rwrist", "rhand"],
}  # fmt: skip
PARENTS = (-1, 0, 0, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 9, 9, 12, 13, 14, 16, 17, 18, 19, 20, 21)
MIRROR = (0, 2, 1, 3, 5, 4, 6, 8, 7, 9, 11, 10, 12, 14, 13, 15, 17, 16, 19, 18, 21, 20, 23, 22)
# Bones whose rest direction differs between CMU's skeletons and SMPL's T pose, and the SMPL joint their bone ends at.
LIMBS = {1: 4, 4: 7, 2: 5, 5: 8, 16: 18, 18: 20, 17: 19, 19: 21}
# CMU's rest elbow bends about an axis turned about the arm from SMPL's (palm down: about y); the mean bend of the recordings says how far.
ARM_TWIST = -30.0
COMPONENTS = 8
# Rotations that the recordings hold still or do not have (hands, toes) and poses that nobody acted: no axis is stiffer than this.
FLOOR_RAD = {"default": 0.08, 10: 0.15, 11: 0.15, 20: 0.2, 21: 0.2, 22: 0.12, 23: 0.12}
WIDEN = 1.5  # standard deviations are stretched: a few people's motions stand for everybody's
EVERY = 12  # of 120 frames a second


def read_skeleton(path: Path) -> dict:
    """ASF bones: name -> (direction (3,), axis rotation C, degrees of freedom)."""
    bones, bone = {}, {}
    for line in path.read_text().splitlines():
        words = line.split()
        if not words:
            continue
        if words[0] == ":hierarchy":
            break
        if words[0] == "begin":
            bone = {"dof": []}
        elif words[0] == "end":
            bones[bone["name"]] = bone
        elif words[0] == "name" and "name" not in bone:
            bone["name"] = words[1]
        elif words[0] == "direction":
            bone["direction"] = np.array(words[1:4], float)
        elif words[0] == "axis" and len(words) == 5:
            bone["C"] = Rotation.from_euler("xyz", np.array(words[1:4], float), degrees=True)
        elif words[0] == "dof":
            bone["dof"] = words[1:]
    return bones


def read_motion(path: Path, bones: dict) -> dict:
    """AMC: bone -> local rotations relative to the rest pose, in global rest axes (C M C^-1), one a kept frame."""
    opener = gzip.open if path.suffix == ".gz" else open
    frames, current = [], None
    with opener(path, "rt") as file:
        for line in file:
            words = line.split()
            if not words or words[0][0] in "#:":
                continue
            if len(words) == 1 and words[0].isdigit():
                current = {}
                frames.append(current)
            else:
                current[words[0]] = [float(w) for w in words[1:]]
    frames = frames[::EVERY]
    out = {}
    for name, bone in bones.items():
        angles = np.zeros((len(frames), 3))
        for column, dof in enumerate(bone["dof"]):
            angles[:, "xyz".index(dof[1])] = [f[name][column] for f in frames]
        C = bone["C"]
        out[name] = C * Rotation.from_euler("xyz", angles, degrees=True) * C.inv()
    return out


def swing(a, b) -> Rotation:
    """Shortest rotation from direction a to b."""
    a, b = a / np.linalg.norm(a), b / np.linalg.norm(b)
    axis = np.cross(a, b)
    s = np.linalg.norm(axis)
    return Rotation.identity() if s < 1e-9 else Rotation.from_rotvec(axis / s * np.arctan2(s, a @ b))


def smpl_poses(bones, motion, rest_joints) -> np.ndarray:
    """(N, 23, 3) rotvec: CMU rotations carried to SMPL's rest pose; L_smpl = Q_parent^-1 L Q, Q the rest directions' difference."""
    count = len(next(iter(motion.values())))
    Q = [Rotation.identity()] * 24
    for joint, end in LIMBS.items():
        Q[joint] = swing(rest_joints[end] - rest_joints[joint], bones[BONES[joint][0]]["direction"])
    twist = Rotation.from_euler("x", ARM_TWIST, degrees=True)
    for joint in (16, 17):
        Q[joint], Q[joint + 2] = Q[joint] * twist, Q[joint + 2] * twist
    Q[7], Q[8], Q[20], Q[21] = Q[4], Q[5], Q[18], Q[19]
    Q[10], Q[11] = Q[7], Q[8]
    out = np.zeros((count, 23, 3))
    for joint in range(1, 24):
        local = Rotation.identity(count)
        for name in BONES.get(joint, ()):
            local = local * motion[name]
        out[:, joint - 1] = (Q[PARENTS[joint]].inv() * local * Q[joint]).as_rotvec()
    return out


def rest_joints(body: Path):
    """SMPL's joints (24, 3) in the rest pose of a body file."""
    with np.load(body, allow_pickle=False) as file:
        return file["J_regressor"].astype(float) @ file["v_template"]


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--body", type=Path, default=Path("solver/assets/body.npz"))
    parser.add_argument("--out", type=Path, default=Path("solver/assets/pose_prior.npz"))
    arguments = parser.parse_args()
    rest = rest_joints(arguments.body)
    poses = []
    for path in sorted(arguments.folder.glob("*.amc*")):
        bones = read_skeleton(arguments.folder / (path.name[:2] + ".asf"))
        poses.append(smpl_poses(bones, read_motion(path, bones), rest))
        print(f"{path.name}: {len(poses[-1])} poses")
    poses = np.concatenate(poses)
    mirrored = poses[:, np.array(MIRROR[1:]) - 1] * [1, -1, -1]
    poses = np.concatenate([poses, mirrored]).reshape(-1, 69)
    mixture = GaussianMixture(COMPONENTS, covariance_type="full", reg_covar=1e-4, n_init=1, random_state=0).fit(poses)
    floor = np.concatenate([np.full(3, FLOOR_RAD.get(j, FLOOR_RAD["default"])) for j in range(1, 24)])
    covariance = mixture.covariances_ * WIDEN**2 + np.diag(floor**2)
    whiten = np.linalg.inv(np.linalg.cholesky(covariance))
    np.savez_compressed(
        arguments.out, mean=mixture.means_.astype(np.float32), whiten=whiten.astype(np.float32), weight=mixture.weights_.astype(np.float32)
    )
    print(f"{len(poses)} poses, {COMPONENTS} components, {arguments.out.stat().st_size / 1e3:.0f} kB")


if __name__ == "__main__":
    main()
