"""The outline term: bodies move to where the masks' outlines say they are."""

import numpy as np
import pytest
import roma
import torch

from solver.body.fit import Evidence
from solver.body.model import BodyModel
from solver.bundle.bodies import Bodies
from solver.bundle.outline import outline
from solver.bundle.rows import Rows, plain
from solver.bundle.solve import State, minimise
from solver.frames import compose, intrinsics
from solver.raster import instance_mask
from solver.skeleton import KEYPOINTS, SMPL_JOINTS
from solver.world.outline import POINTS, Outlines

MODEL = BodyModel.load(dtype=torch.float64)
SIZE = (320, 240)
K = intrinsics(np.array([300.0]), *SIZE)
LEFT_SHOULDER = SMPL_JOINTS.index("left_shoulder") - 1
UPSIDE = torch.diag(torch.tensor([1.0, -1.0, -1.0], dtype=torch.float64))  # facing the camera, head up


def standing(turn=0.0, shift=(0.0, 0.0)):
    """One person 3.5 m before a camera at the origin, the left arm turned by `turn`, the whole shifted by metres."""
    pose = torch.zeros(1, 1, 23, 3, dtype=torch.float64)
    pose[:, :, LEFT_SHOULDER, 2] = -0.9 + turn
    place = torch.tensor([[[shift[0], shift[1], 3.5]]], dtype=torch.float64)
    return Bodies(MODEL, torch.zeros(1, 10, dtype=torch.float64), UPSIDE.expand(1, 1, 3, 3), pose, place)


def mask_of(bodies):
    poses = torch.cat([roma.rotmat_to_rotvec(bodies.R_root[0, 0])[None], bodies.body_pose[0, 0]])
    trans = bodies.root[0, 0] - MODEL.rest(bodies.betas[0])[0][0]
    vertices = MODEL.vertices(bodies.betas[0], poses, trans).numpy()
    return instance_mask([vertices], MODEL.faces.numpy(), [1], np.eye(4), K[0], *SIZE)


def evidence():
    none = np.zeros((1, 1, len(KEYPOINTS), 3)), np.zeros((1, 1, len(KEYPOINTS), 4))
    tracks = type("Tracks", (), {"visible": np.ones((1, 1), bool), "keypoints_2d": none[0], "keypoints_3d": none[1], "hands_3d": None, "faces_3d": None})
    out = Evidence.of(tracks, compose(np.eye(3)[None], np.zeros((1, 3))), K, 24.0)
    out.metres_per_px = torch.full((1, 1), 3.5 / 300, dtype=torch.float64)
    return out


def iou(a, b):
    return (a & b).sum() / (a | b).sum()


@pytest.mark.parametrize("turn, shift", [(0.5, (0.0, 0.0)), (-0.2, (0.0, 0.0)), (0.0, (0.06, -0.05))])
def test_a_body_moves_into_its_mask(turn, shift):
    truth = mask_of(standing())
    bodies, seen = standing(turn, shift), evidence()
    before = iou(mask_of(bodies) > 0, truth > 0)
    outlines = Outlines(lambda index: truth, [1], np.ones((1, 1), bool), MODEL)
    start = bodies

    def held(posed, moves):
        """Nobody turns as a whole, and a third of a radian of a joint costs one."""
        turn = roma.rotmat_to_rotvec(posed.bodies.R_root @ UPSIDE.T)
        r = torch.cat([1e3 * turn, 3 * (posed.bodies.body_pose - start.body_pose).flatten(2)], -1)[:, :, None]
        rows = Rows("held", r, torch.ones(1, 1, 1, dtype=torch.float64), plain())
        if moves:
            by = 3 * torch.eye(75, dtype=torch.float64)[:72]
            by[:3] *= 1e3 / 3
            rows.by = {0: by.expand(1, 1, 72, 75)}
        return rows

    state = State(bodies)
    for _ in range(24):  # nothing but outlines holds this body: nearest points creep
        pairs = outlines.match(state.bodies.posed(), seen)
        terms = lambda state, posed, moves, pairs=pairs: [outline(seen, pairs, outlines.skin, posed, moves), held(posed, moves)]
        state, _ = minimise(state, terms, 3, shapes=False)
    bodies = state.bodies
    after = iou(mask_of(bodies) > 0, truth > 0)
    assert before < 0.94 and after > max(0.93, before + 0.01)


def test_where_somebody_else_stands_no_outline_pulls():
    mask = mask_of(standing())
    middle = int(np.nonzero(mask)[1].mean())
    mask[:, middle:] = 2  # somebody in front of the right half
    pairs = Outlines(lambda index: mask, [1], np.ones((1, 1), bool), MODEL).match(standing().posed(), evidence())
    xy = pairs.xy[pairs.weight > 0]
    assert len(xy) >= POINTS // 2 and (xy[:, 0] < middle - 1).all()


def test_nobody_in_the_mask_gives_no_pairs():
    outlines = Outlines(lambda index: np.zeros(SIZE[::-1], np.uint8), [1], np.ones((1, 1), bool), MODEL)
    assert not outlines.match(standing().posed(), evidence()).weight.any()
