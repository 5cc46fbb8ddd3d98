"""Every pair of frames, there and back, and the conventions that docs/conventions.md promises."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.spatial.transform import Rotation

from solver import frames as fr

number = st.floats(-50, 50, allow_nan=False)
vector = st.tuples(number, number, number).map(np.array)
turn = st.tuples(*[st.floats(-3, 3)] * 3).map(np.array)


def pose(rotvec, translation):
    return fr.compose(Rotation.from_rotvec(rotvec).as_matrix(), translation)


@given(turn, vector)
def test_invert_undoes(rotvec, translation):
    T = pose(rotvec, translation)
    assert np.allclose(fr.invert(T) @ T, np.eye(4), atol=1e-9)


@given(turn, vector)
def test_blender_camera_there_and_back(rotvec, translation):
    T = pose(rotvec, translation)
    assert np.allclose(fr.camera_from_blender(fr.blender_from_camera(T)), T)
    blender = fr.blender_from_camera(T)
    assert np.allclose(blender[:3, 2], -T[:3, 2]) and np.allclose(blender[:3, 1], -T[:3, 1])  # looks along -z, y up
    assert np.allclose(blender[:3, 3], T[:3, 3])


@given(st.floats(8, 300), st.integers(64, 4096), st.integers(64, 4096))
def test_focal_there_and_back(focal_mm, width, height):
    px = fr.focal_px_from_mm(focal_mm, width, height)
    assert fr.focal_mm_from_px(px, width, height) == pytest.approx(focal_mm)


def test_focal_of_a_known_lens():
    assert fr.focal_px_from_mm(36, 1920, 1080) == 1920
    assert fr.focal_px_from_mm(36, 1080, 1920) == 1920
    assert fr.focal_px_from_fov(90, 640) == pytest.approx(320)


@given(turn, vector, st.lists(st.tuples(st.floats(1, 639), st.floats(1, 359), st.floats(0.2, 40)), min_size=1, max_size=8))
def test_unproject_then_project(rotvec, translation, samples):
    samples = np.array(samples)
    K = fr.intrinsics(500.0, 640, 360)
    T_world_from_cam = pose(rotvec, translation)
    world = fr.apply(T_world_from_cam, fr.unproject(samples[:, :2], samples[:, 2], K))
    assert np.allclose(fr.project(world, fr.invert(T_world_from_cam), K), samples[:, :2], atol=1e-6)


def test_points_behind_are_nan_and_centre_is_the_middle():
    K = fr.intrinsics(500.0, 640, 360)
    xy = fr.project(np.array([[0, 0, 2.0], [0, 0, -2.0], [1, 0, 0.0]]), np.eye(4), K)
    assert np.allclose(xy[0], [320, 180]) and np.isnan(xy[1:]).all()


@given(turn, vector, st.floats(0.1, 10))
def test_similarity_is_found(rotvec, translation, scale):
    source = np.random.default_rng(0).normal(size=(12, 3))
    R = Rotation.from_rotvec(rotvec).as_matrix()
    s, found, t = fr.fit_similarity(source, scale * source @ R.T + translation)
    assert s == pytest.approx(scale) and np.allclose(found, R, atol=1e-7) and np.allclose(t, translation, atol=1e-6)


def test_smpl_rest_pose_stands_upright_in_the_world():
    assert np.allclose(fr.R_zup_from_yup @ [0, 1, 0], [0, 0, 1])  # head up
    assert np.allclose(fr.R_zup_from_yup @ [0, 0, 1], [0, -1, 0])  # faces -y, Blender's front view
