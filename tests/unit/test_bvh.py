"""Motion-capture files on our figures."""

from __future__ import annotations

import numpy as np
import pytest

from benchmarks import bvh, motions

from .test_shots import TIMES, stick_figure

ARM = """HIERARCHY
ROOT Hips
{
  OFFSET 0 0 0
  CHANNELS 6 Xposition Yposition Zposition Zrotation Xrotation Yrotation
  JOINT LeftArm
  {
    OFFSET 1 0 0
    CHANNELS 3 Zrotation Xrotation Yrotation
    End Site
    {
      OFFSET 1 0 0
    }
  }
}
MOTION
Frames: 2
Frame Time: 0.5
0 0 0 0 0 0 0 0 0
5 6 7 90 0 0 90 0 0
"""


def test_read(tmp_path):
    (tmp_path / "arm.bvh").write_text(ARM)
    names, positions, seconds = bvh.read(tmp_path / "arm.bvh")
    assert names == ["Hips", "LeftArm", "LeftArm_end"] and seconds == 0.5
    np.testing.assert_allclose(positions[0], [[0, 0, 0], [1, 0, 0], [2, 0, 0]], atol=1e-12)
    np.testing.assert_allclose(positions[1], [[5, 6, 7], [5, 7, 7], [4, 7, 7]], atol=1e-12)


def test_a_file_without_legs_is_refused(tmp_path):
    (tmp_path / "arm.bvh").write_text(ARM)
    with pytest.raises(ValueError, match="neck"):
        bvh.load(tmp_path / "arm.bvh", np.zeros(2))


@pytest.mark.parametrize("scale", [1.0, 37.0])
def test_a_body_follows_another(scale):
    """The landmarks of one body's walk, in any unit, put another of the same build where the first one was."""
    body = stick_figure()
    path = motions.Path((0, 0), 0.4)
    _, positions = motions.solve(body, motions.gait(body, TIMES, np.random.default_rng(0), path, 1.3))
    bone = {"pelvis": "Hips", "neck": "Neck"} | {
        f"{s.lower()}_{k}": s + v
        for s in motions.SIDES
        for k, v in {"shoulder": "Arm", "elbow": "ForeArm", "wrist": "Hand", "hip": "UpLeg", "knee": "Leg", "ankle": "Foot", "toe": "ToeBase"}.items()
    }  # fmt: skip
    marks = {k: positions[:, body.names.index(v)] * scale for k, v in bone.items()}
    middle = 0.5 * (positions[0, 0] + positions[-1, 0])[:2]
    way = positions[-1, 0] - positions[0, 0]
    R2, again = bvh.perform(body, marks, middle, np.arctan2(way[0], -way[1]))
    np.testing.assert_allclose(np.linalg.det(R2), 1, atol=1e-9)
    for name, most in (("LeftFoot", 0.02), ("RightFoot", 0.02), ("Hips", 0.05), ("LeftLeg", 0.06), ("LeftHand", 0.12)):
        off = np.linalg.norm(again[:, body.names.index(name)] - positions[:, body.names.index(name)], axis=-1)
        assert off.max() < most, (name, off.max())
