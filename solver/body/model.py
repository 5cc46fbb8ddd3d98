"""A body in SMPL's parameters: betas, poses, trans to joints, keypoints and vertices. Torch, batched, differentiable.

The default body is our own, made from MakeHuman's CC0 data (tools/build_body.py); a licensed SMPL file may take its place
(`smpl_file`). Both are evaluated here, as SMPL defines it (Loper et al. 2015): the root turns about the rest pelvis,
then `trans` is added. Rest pose: T, Y-up, facing +Z, left = +X, metres.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import roma
import torch

from ..skeleton import KEYPOINT_BONES, SMPL_PARENTS
from .smpl_file import read_smpl

BODY_FILE = Path(__file__).parents[1] / "assets" / "body.npz"


class BodyModel:
    """Tensors of one body; every method takes any leading batch shape, and shapes broadcast.

    name:         "reshoot" or "smpl".
    v_template:   (V, 3) m. shapedirs: (V, 3, 10) m per unit of beta. weights: (V, 24). faces: (F, 3) int64.
    J_regressor:  (24, V). keypoint_regressor: (25, V). posedirs: (207, 3V) or None. parents: 24 ints, -1 at the root.
    """

    def __init__(self, arrays: dict, name: str, dtype=torch.float32, device="cpu"):
        def tensor(key):
            return torch.as_tensor(np.asarray(arrays[key], np.float64)).to(device, dtype)

        self.name, self.dtype, self.device = name, dtype, torch.device(device)
        self._arrays = arrays
        self.parents = SMPL_PARENTS
        self.faces = torch.as_tensor(np.asarray(arrays["f"], np.int64)).to(device)
        self.v_template, self.shapedirs, self.weights = tensor("v_template"), tensor("shapedirs"), tensor("weights")
        self.J_regressor, self.keypoint_regressor = tensor("J_regressor"), tensor("keypoint_regressor")
        self.posedirs = tensor("posedirs") if arrays.get("posedirs") is not None else None
        self._keypoint_bones = torch.tensor(KEYPOINT_BONES, device=device)
        # joints and keypoints are linear in the betas: no vertices are needed to place them
        regressors = np.concatenate([arrays["J_regressor"], arrays["keypoint_regressor"]]).astype(np.float64)
        mean = regressors @ np.asarray(arrays["v_template"], np.float64)
        dirs = np.einsum("kv,vcb->kcb", regressors, np.asarray(arrays["shapedirs"], np.float64))
        self._points_mean = torch.as_tensor(mean).to(device, dtype)
        self._points_dirs = torch.as_tensor(dirs).to(device, dtype)

    @classmethod
    def load(cls, smpl_folder=None, dtype=torch.float32, device="cpu") -> BodyModel:
        """The default body, or the SMPL_NEUTRAL file found in `smpl_folder`. Raises ShotError if that cannot be used."""
        if smpl_folder:
            return cls(read_smpl(smpl_folder), "smpl", dtype, device)
        with np.load(BODY_FILE, allow_pickle=False) as file:
            return cls(dict(file), "reshoot", dtype, device)

    def to(self, dtype=None, device=None) -> BodyModel:
        """The same body in another dtype or on another device."""
        return BodyModel(self._arrays, self.name, dtype or self.dtype, device or self.device)

    def rest(self, betas):
        """Rest joints (..., 24, 3) and keypoints (..., 25, 3) of betas (..., 10), metres."""
        points = self._points_mean + torch.einsum("...b,kcb->...kc", betas, self._points_dirs)
        return points[..., :24, :], points[..., 24:, :]

    def fk(self, betas, poses, trans):
        """Place the skeleton.

        betas: (..., 10), poses: (..., 24, 3) rotation vectors relative to the parent, root first, trans: (..., 3) m.
        Returns T_world_from_bone_rest (..., 24, 4, 4), which takes points of the shaped rest body to the posed body,
        joints (..., 24, 3) and keypoints (..., 25, 3) in skeleton.KEYPOINTS order.
        """
        return self.fk_matrices(betas, roma.rotvec_to_rotmat(poses), trans)

    def fk_matrices(self, betas, rotations, trans):
        """As fk, with rotations (..., 24, 3, 3) for poses."""
        shape = torch.broadcast_shapes(betas.shape[:-1], rotations.shape[:-3], trans.shape[:-1])
        joints_rest, keypoints_rest = self.rest(betas)
        joints_rest = joints_rest.expand(*shape, 24, 3)
        keypoints_rest = keypoints_rest.expand(*shape, 25, 3)
        rotations = rotations.expand(*shape, 24, 3, 3)
        R, t = [rotations[..., 0, :, :]], [joints_rest[..., 0, :] + trans]
        for k in range(1, 24):
            p = self.parents[k]
            bone = joints_rest[..., k, :] - joints_rest[..., p, :]
            t.append(t[p] + (R[p] @ bone[..., None])[..., 0])
            R.append(R[p] @ rotations[..., k, :, :])
        R, joints = torch.stack(R, -3), torch.stack(t, -2)
        offset = joints - (R @ joints_rest[..., None])[..., 0]
        T = torch.cat([R, offset[..., None]], -1)
        T = torch.cat([T, T.new_tensor([0.0, 0, 0, 1]).expand(*shape, 24, 1, 4)], -2)
        bones = self._keypoint_bones
        keypoints = (R[..., bones, :, :] @ keypoints_rest[..., None])[..., 0] + offset[..., bones, :]
        return T, joints, keypoints

    def shaped(self, betas):
        """Rest vertices (..., V, 3) of betas (..., 10)."""
        return self.v_template + torch.einsum("...b,vcb->...vc", betas, self.shapedirs)

    def vertices(self, betas, poses, trans):
        """Posed vertices (..., V, 3): linear blend skinning, with pose blend shapes where the model has them."""
        rotations = roma.rotvec_to_rotmat(poses)
        T, _, _ = self.fk_matrices(betas, rotations, trans)
        rest = self.shaped(betas)
        if self.posedirs is not None:
            feature = rotations[..., 1:, :, :] - torch.eye(3, dtype=self.dtype, device=self.device)
            rest = rest + (feature.flatten(-3) @ self.posedirs).unflatten(-1, (-1, 3))
        blend = (self.weights @ T[..., :3, :].flatten(-2)).unflatten(-1, (3, 4))
        return (blend[..., :3] @ rest[..., None])[..., 0] + blend[..., 3]

    def height_m(self, betas):
        """Standing height (...,) of betas (..., 10): sole to crown in the rest pose."""
        y = self.shaped(betas)[..., 1]
        return y.amax(-1) - y.amin(-1)
