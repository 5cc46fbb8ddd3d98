"""The rasteriser against a plain twin, and at the edges of a picture."""

import numpy as np
import pytest

from solver import raster
from solver.body.model import BodyModel
from solver.frames import compose, intrinsics, project

W, H = 64, 48
K = intrinsics(60.0, W, H)
CAMERA = np.eye(4)


def plain(vertices, faces, camera, K, width, height):
    """Every triangle against every pixel, one by one: nearest triangle and depth."""
    T = np.linalg.inv(camera)
    cam = vertices @ T[:3, :3].T + T[:3, 3]
    which, depth = np.full((height, width), -1), np.full((height, width), np.inf)
    rays = np.stack(np.meshgrid(np.arange(width) + 0.5, np.arange(height) + 0.5), -1)
    rays = np.concatenate([rays, np.ones((height, width, 1))], -1) @ np.linalg.inv(K).T
    for i, face in enumerate(faces):
        corners = cam[face]
        if corners[:, 2].min() <= raster.NEAR_M or abs(np.linalg.det(corners)) < 1e-15:
            continue
        share = rays @ np.linalg.inv(corners)  # ray = share @ corners, up to the depth
        hit = (share >= 0).all(-1)
        z = np.where(hit, 1 / np.where(hit, share.sum(-1), 1), np.inf)
        nearer = z < depth
        which[nearer], depth[nearer] = i, z[nearer]
    return which, depth


def triangles(seed, count, spread, size):
    rng = np.random.default_rng(seed)
    middle = rng.uniform(-1, 1, (count, 1, 3)) * spread + [0, 0, 2.0]
    vertices = (middle + rng.normal(0, size, (count, 3, 3))).reshape(-1, 3)
    return vertices, np.arange(3 * count).reshape(-1, 3)


@pytest.mark.parametrize(("size", "spread"), [(0.02, 1.0), (0.1, 1.0), (1.0, 1.0), (0.4, 3.0)])
def test_equals_the_plain_twin(size, spread):
    vertices, faces = triangles(0, 200, spread, size)  # crossing one another, the borders and the camera plane
    which, depth = raster.rasterise(vertices, faces, CAMERA, K, W, H)
    wanted, wanted_depth = plain(vertices, faces, CAMERA, K, W, H)
    assert (wanted >= 0).sum() > 10
    assert (which == wanted).mean() > 0.999  # an edge exactly through a pixel centre may fall to either side
    same = which == wanted
    assert np.allclose(depth[same & (which >= 0)], wanted_depth[same & (which >= 0)], rtol=1e-5)


def test_chunks_change_nothing(monkeypatch):
    vertices, faces = triangles(1, 100, 1.0, 0.3)
    whole, _ = raster.rasterise(vertices, faces, CAMERA, K, W, H)
    monkeypatch.setattr(raster, "_CHUNK", 64)
    pieces, _ = raster.rasterise(vertices, faces, CAMERA, K, W, H)
    assert np.array_equal(whole, pieces)


def test_pixel_centres():
    """A square from pixel (10, 5) to (20, 9) covers exactly those pixels: corner origin, first centre at (0.5, 0.5)."""
    corners = np.array([[10, 5, 1], [20, 5, 1], [20, 9, 1], [10, 9, 1.0]])
    vertices = 2 * corners @ np.linalg.inv(K).T
    mask, depth = raster.instance_mask_and_depth([vertices], [[0, 1, 2], [0, 2, 3]], [3], CAMERA, K, W, H)
    wanted = np.zeros((H, W), np.uint8)
    wanted[5:9, 10:20] = 3
    assert mask.dtype == np.uint8
    assert np.array_equal(mask, wanted)
    assert np.allclose(depth[mask > 0], 2)


def test_nearest_person_wins_whatever_the_order():
    square = np.array([[-1, -1, 0], [1, -1, 0], [1, 1, 0], [-1, 1, 0.0]])
    near, far = 0.3 * square + [0, 0, 2], square + [0, 0, 3]
    faces = [[0, 1, 2], [0, 2, 3]]
    a = raster.instance_mask([near, far], faces, [1, 2], CAMERA, K, W, H)
    b = raster.instance_mask([far, near], faces, [2, 1], CAMERA, K, W, H)
    assert np.array_equal(a, b)
    assert a[H // 2, W // 2] == 1
    assert set(np.unique(a)) == {0, 1, 2}


def test_nothing_in_view():
    vertices, faces = triangles(0, 20, 0.5, 0.1)
    for shift in ([0, 0, -10], [100, 0, 0]):  # behind the camera, beside the picture
        assert not raster.instance_mask([vertices + shift], faces, [1], CAMERA, K, W, H).any()
    assert not raster.instance_mask([], faces, [], CAMERA, K, W, H).any()


@pytest.fixture(scope="module")
def body():
    import torch

    model = BodyModel.load()
    return model.shaped(torch.zeros(10)).numpy() * [1, -1, -1], model.faces.numpy()  # upright in an OpenCV camera


def test_body_covers_its_vertices(body):
    vertices, faces = body
    R = np.array([[0.8, 0, 0.6], [0, 1, 0], [-0.6, 0, 0.8]])
    camera = compose(R, -R @ [0, 0, 2.6])
    width, height = 640, 360
    K = intrinsics(320.0, width, height)
    mask, depth = raster.instance_mask_and_depth([vertices], faces, [5], camera, K, width, height)
    pixels = project(vertices, np.linalg.inv(camera), K)
    column, row = np.floor(pixels).astype(int).T
    assert row.min() > 0
    assert row.max() < height - 1
    seen = np.stack([mask[row + dy, column + dx] for dy in (-1, 0, 1) for dx in (-1, 0, 1)]).any(0)
    assert seen.all()
    # no holes: what lies inside the outline of a closed surface is covered
    import cv2

    outline, _ = cv2.findContours((mask > 0).astype(np.uint8), cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
    filled = cv2.drawContours(np.zeros_like(mask), outline, -1, 1, -1)
    assert len(outline) == 1
    holes, count = cv2.connectedComponents(((filled > 0) & (mask == 0)).astype(np.uint8))[0] - 1, (mask > 0).sum()
    assert holes <= 2  # between arm and trunk, between the legs
    assert count > 3000
    assert 2.0 < depth[mask > 0].min() < 2.6


@pytest.mark.parametrize("distance", [0.15, 0.5, 1.0])
def test_body_cut_by_the_lens_and_the_border(body, distance):
    """A camera at or inside a body: no wrong pixel from what is behind it, the rest as the twin has it."""
    vertices, faces = body
    camera = compose(np.eye(3), [0.05, -0.3, -distance])
    which, depth = raster.rasterise(vertices, faces, camera, K, W, H)
    near = faces[np.random.default_rng(0).choice(len(faces), 1500, replace=False)]
    ours, _ = raster.rasterise(vertices, near, camera, K, W, H)
    wanted, _ = plain(vertices, near, camera, K, W, H)
    assert (ours == wanted).mean() > 0.995
    assert depth.min() > raster.NEAR_M
    assert (which >= 0).mean() > 0.1


def test_shade(body):
    vertices, faces = body
    camera = compose(np.eye(3), [0, 0, -3.0])
    image, covered = raster.shade([vertices], faces, [2], camera, K, W, H)
    assert np.array_equal(covered, raster.instance_mask([vertices], faces, [2], camera, K, W, H) > 0)
    assert not image[~covered].any()
    assert (image[covered].max(1) > 50).all()
    assert len(np.unique(image[covered][:, 2])) > 20  # shaded, not flat
    blue = image[covered].astype(float)
    assert (blue[:, 2] > blue[:, 0]).all()  # person 2 is blue
