"""The unknowns of people, and how points of their bodies move with them.

P people, T frames. A person has one shape, and 75 numbers a frame: the turn of the root (3), the rotation vectors of 23 joints (69) and
the place of the root (3). All lives in one frame W, in which the camera's rotation is known.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch

from ..skeleton import KEYPOINT_BONES, SMPL_PARENTS

PER_FRAME = 75
TURN, POSE, PLACE = slice(0, 3), slice(3, 72), slice(72, 75)
SHAPE = 10
POINTS = 49  # 24 joints, then 25 keypoints
BONE_OF_POINT = tuple(range(24)) + KEYPOINT_BONES


def _ancestors():
    """(24, 24) bool: row's bone hangs on column's joint, itself included."""
    out = torch.eye(24, dtype=torch.bool)
    for joint in range(1, 24):
        out[joint] |= out[SMPL_PARENTS[joint]]
    return out


ANCESTORS = _ancestors()


def rotvec_to_matrix(v):
    """Rodrigues' formula (..., 3) -> (..., 3, 3), smooth at zero."""
    a, b, _ = _coefficients(v)
    W = hat(v)
    return torch.eye(3, dtype=v.dtype, device=v.device) + a * W + b * (W @ W)


def right_jacobian(v):
    """(..., 3, 3): exp(v + dv) = exp(v) exp(J dv) for small dv."""
    _, b, c = _coefficients(v)
    W = hat(v)
    return torch.eye(3, dtype=v.dtype, device=v.device) - b * W + c * (W @ W)


def _coefficients(v):
    """sin t / t, (1 - cos t) / t², (t - sin t) / t³ of the angles t of v, each (..., 1, 1)."""
    t2 = (v * v).sum(-1)[..., None, None]
    small = t2 < 1e-6
    t2s = torch.where(small, torch.ones_like(t2), t2)
    t = t2s.sqrt()
    a = torch.where(small, 1 - t2 / 6, torch.sin(t) / t)
    b = torch.where(small, 0.5 - t2 / 24, (1 - torch.cos(t)) / t2s)
    c = torch.where(small, 1 / 6 - t2 / 120, (t - torch.sin(t)) / (t2s * t))
    return a, b, c


def hat(v):
    """(..., 3) to skew matrices (..., 3, 3)."""
    x, y, z = v.unbind(-1)
    o = torch.zeros_like(x)
    return torch.stack([o, -z, y, z, o, -x, -y, x, o], -1).reshape(v.shape[:-1] + (3, 3))


@dataclass
class Bodies:
    """Shapes, poses and places of all people, in W.

    betas (P, 10). R_root (P, T, 3, 3). body_pose (P, T, 23, 3) rotvec. root (P, T, 3): the pelvis from the camera's centre, m, in W's
    axes, so that the size of the camera's path may change without moving anybody in the picture.
    """

    model: object  # body.model.BodyModel
    betas: torch.Tensor
    R_root: torch.Tensor
    body_pose: torch.Tensor
    root: torch.Tensor

    def moved(self, by, shape_by) -> Bodies:
        """Bodies moved by (P, T, 75) and (P, 10): the root turns about W's axes, everything else is added."""
        return replace(
            self,
            betas=self.betas + shape_by,
            R_root=rotvec_to_matrix(by[..., TURN]) @ self.R_root,
            body_pose=self.body_pose + by[..., POSE].unflatten(-1, (23, 3)),
            root=self.root + by[..., PLACE],
        )

    def rotations(self):
        """(P, T, 24, 3, 3), each relative to its parent."""
        return torch.cat([self.R_root[:, :, None], rotvec_to_matrix(self.body_pose)], 2)

    def size(self):
        """Size (P,) against the mean body: head to pelvis to ankle along the rest skeleton."""
        return rest_length(self.model, self.betas) / rest_length(self.model, torch.zeros_like(self.betas))

    def posed(self) -> Posed:
        """Where everything is. Differentiable."""
        R = self.rotations()
        rest = self.model.rest(self.betas)[0]
        betas = self.betas[:, None].expand(-1, R.shape[1], -1)
        bones, joints, keypoints = self.model.fk_matrices(betas, R, self.root - rest[:, None, 0])
        return Posed(self, R, bones, torch.cat([joints, keypoints], 2))


def rest_length(model, betas):
    """Head to pelvis to ankle (...,) along the rest skeleton of betas (..., 10), m."""
    rest = model.rest(betas)[0]
    return (rest[..., 15, :] - rest[..., 0, :]).norm(dim=-1) + (rest[..., 1, :] - rest[..., 7, :]).norm(dim=-1)


@dataclass
class Posed:
    """Bodies with their points, all counted from the camera's centre, in W's axes."""

    bodies: Bodies
    R: torch.Tensor  # (P, T, 24, 3, 3) relative to the parent
    bones: torch.Tensor  # (P, T, 24, 4, 4) from the shaped rest body
    points: torch.Tensor  # (P, T, 49, 3) joints, then keypoints

    @property
    def joints(self):
        return self.points[:, :, :24]

    @property
    def keypoints(self):
        return self.points[:, :, 24:]

    def forward(self):
        """Where the pelvis faces (P, T, 3): SMPL's +z."""
        return self.bodies.R_root[..., 2]


class Moves:
    """First derivatives of a Posed: of its points by the 75 numbers of their frame, and by the shape.

    points: (P, T, 49, 3, 75) · points_shape: (P, T, 49, 3, 10) · axes: (P, T, 24, 3, 3), columns are the axes in W about which a joint's
    three numbers turn what hangs on it · log_size: (P, 10).
    """

    def __init__(self, posed: Posed):
        bodies, G = posed.bodies, posed.bones[..., :3, :3]
        turn = right_jacobian(bodies.body_pose)
        eye = torch.eye(3, dtype=G.dtype, device=G.device)
        P, T = bodies.root.shape[:2]
        self.axes = torch.cat([eye.expand(P, T, 1, 3, 3), G[:, :, 1:] @ turn], 2)
        self.turn = turn
        point, joint = ANCESTORS[list(BONE_OF_POINT)].nonzero().T  # a joint turns what hangs on it
        by_joint = turned(self.axes[:, :, joint], posed.points[:, :, point] - posed.joints[:, :, joint])
        self.points = G.new_zeros(P, T, POINTS, 3, PER_FRAME)
        self.points.unflatten(-1, (25, 3))[:, :, point, :, joint] = by_joint.permute(2, 0, 1, 3, 4)
        self.points[..., PLACE] = eye
        self.points_shape = self._by_shape(bodies.model, G)
        self.log_size = _log_size_by_shape(bodies)

    @staticmethod
    def _by_shape(model, G):
        """The chain of bones once more, of what each shape adds to them."""
        added = model._points_dirs  # (49, 3, 10)
        joints = [G.new_zeros(G.shape[:2] + (3, SHAPE))]
        for k in range(1, 24):
            p = SMPL_PARENTS[k]
            joints.append(joints[p] + G[:, :, p] @ (added[k] - added[p]))
        bones = list(KEYPOINT_BONES)
        joints = torch.stack(joints, 2)
        keypoints = joints[:, :, bones] + G[:, :, bones] @ (added[24:] - added[bones])
        return torch.cat([joints, keypoints], 2)


def turned(axes, arm):
    """How ends of arms (..., 3) move with turns about the columns of axes (..., 3, 3): (..., 3 of the point, 3 of the turn)."""
    return torch.linalg.cross(axes.expand(arm.shape + (3,)), arm[..., None].expand(arm.shape + (3,)), dim=-2)


def _log_size_by_shape(bodies: Bodies):
    rest, _ = bodies.model.rest(bodies.betas)
    added = bodies.model._points_dirs
    out, length = 0.0, 0.0
    for a, b in ((15, 0), (1, 7)):
        way = rest[:, a] - rest[:, b]
        out = out + torch.einsum("pc,cb->pb", way / way.norm(dim=-1, keepdim=True), added[a] - added[b])
        length = length + way.norm(dim=-1, keepdim=True)
    return out / length
