"""Rasterise bodies into a camera with a z-buffer. numpy only.

All triangles of one size class (the side of the square that holds them, a power of two) are tested against their pixels
in one array operation, so there is no loop over triangles. Depth is kept as 1/z, which is linear over a triangle's picture.
A triangle with a corner nearer than NEAR_M to the camera plane is dropped, not clipped: bodies have small triangles,
so at most a strip of some centimetres is lost at the lens.
"""

from __future__ import annotations

import numpy as np

from .frames import invert
from .skeleton import colour_of

NEAR_M = 0.05
_CHUNK = 1 << 21  # pixel tests at a time, a bound on memory


def rasterise(vertices, faces, camera, K, width, height):
    """Nearest triangle at every pixel centre.

    vertices: (V, 3) world metres. faces: (F, 3). camera: T_world_from_cam (4, 4). K: (3, 3) px, corner origin.
    Returns triangle (H, W) int32, -1 where there is none, and depth (H, W) float32 z in metres, inf where there is none.
    """
    T = invert(camera)
    cam = np.asarray(vertices, np.float64) @ T[:3, :3].T + T[:3, 3]
    z = cam[:, 2]
    safe = np.maximum(z, 1e-9)
    x = K[0, 0] * cam[:, 0] / safe + K[0, 1] * cam[:, 1] / safe + K[0, 2]
    y = K[1, 1] * cam[:, 1] / safe + K[1, 2]

    faces = np.asarray(faces)
    fx, fy, fz = x[faces], y[faces], z[faces]
    # first and last pixel whose centre may lie inside
    x0 = np.maximum(np.ceil(fx.min(1) - 0.5), 0)
    y0 = np.maximum(np.ceil(fy.min(1) - 0.5), 0)
    x1 = np.minimum(np.floor(fx.max(1) - 0.5), width - 1)
    y1 = np.minimum(np.floor(fy.max(1) - 0.5), height - 1)
    area = (fx[:, 1] - fx[:, 0]) * (fy[:, 2] - fy[:, 0]) - (fx[:, 2] - fx[:, 0]) * (fy[:, 1] - fy[:, 0])
    ids = np.flatnonzero((fz.min(1) > NEAR_M) & (x1 >= x0) & (y1 >= y0) & (np.abs(area) > 1e-12))

    best = np.full(height * width, -np.inf)
    which = np.full(height * width, -1, np.int32)
    if len(ids):
        planes = _planes(fx[ids], fy[ids], 1 / fz[ids], area[ids])
        x0, y0 = x0[ids].astype(np.int64), y0[ids].astype(np.int64)
        x1, y1 = x1[ids].astype(np.int64), y1[ids].astype(np.int64)
        size = np.ceil(np.log2(np.maximum(x1 - x0, y1 - y0) + 1)).astype(int)
        for level in np.unique(size):
            side = 1 << level
            members = np.flatnonzero(size == level)
            step = max(1, _CHUNK // side**2)
            for start in range(0, len(members), step):
                m = members[start : start + step]
                _splat(best, which, ids[m], planes[m], x0[m], y0[m], x1[m], y1[m], side, width)
    with np.errstate(divide="ignore"):
        depth = np.where(which >= 0, 1 / best, np.inf).astype(np.float32)
    return which.reshape(height, width), depth.reshape(height, width)


def _planes(x, y, inverse_z, area):
    """Per triangle (N, 3 + 1, 3): a, b, c of a x + b y + c, for the three barycentric weights and for 1/z."""
    out = np.empty((len(x), 4, 3))
    for k in range(3):
        i, j = (k + 1) % 3, (k + 2) % 3
        out[:, k, 0] = (y[:, i] - y[:, j]) / area
        out[:, k, 1] = (x[:, j] - x[:, i]) / area
        out[:, k, 2] = (x[:, i] * y[:, j] - x[:, j] * y[:, i]) / area
    out[:, 3] = (out[:, :3] * inverse_z[:, :, None]).sum(1)
    return out


def _splat(best, which, ids, planes, x0, y0, x1, y1, side, width):
    """Test one class of triangles against side x side pixels from (x0, y0), and keep the nearest in best and which."""
    offset = np.arange(side)
    px, py = x0[:, None] + offset, y0[:, None] + offset
    along_x = planes[:, :, 0, None] * (px + 0.5)[:, None]  # (N, 4, side)
    along_y = planes[:, :, 1, None] * (py + 0.5)[:, None] + planes[:, :, 2, None]
    inside = (py <= y1[:, None])[:, :, None] & (px <= x1[:, None])[:, None]
    for k in range(3):
        inside &= along_y[:, k, :, None] + along_x[:, k, None] >= -1e-9
    n, row, column = np.nonzero(inside)
    value = along_y[n, 3, row] + along_x[n, 3, column]
    pixel = py[n, row] * width + px[n, column]
    nearer = value > best[pixel]
    pixel, value, n = pixel[nearer], value[nearer], n[nearer]
    order = np.argsort(value)  # where triangles share a pixel, the last assignment stays: the nearest
    best[pixel[order]] = value[order]
    which[pixel[order]] = ids[n[order]]


def instance_mask(vertices, faces, ids, camera, K, width, height):
    """Palette image of people: 0 background, else the id of the nearest person at the pixel centre.

    vertices: list of (V, 3) world metres, one a person. faces: (F, 3) of each. ids: palette index of each person.
    camera: T_world_from_cam (4, 4). Returns (H, W) uint8.
    """
    return instance_mask_and_depth(vertices, faces, ids, camera, K, width, height)[0]


def instance_mask_and_depth(vertices, faces, ids, camera, K, width, height):
    """As instance_mask, and the depth z (H, W) float32 in metres, inf on the background."""
    mask = np.zeros((height, width), np.uint8)
    depth = np.full((height, width), np.inf, np.float32)
    for v, person in zip(vertices, ids, strict=True):
        _, z = rasterise(v, faces, camera, K, width, height)
        front = z < depth
        mask[front], depth[front] = person, z[front]
    return mask, depth


def shade(vertices, faces, ids, camera, K, width, height, colours=None):
    """Lambert shading, lit from beside the camera, for previews; arguments as instance_mask.

    colours: sRGB 0..255 of each person, by default skeleton.colour_of.
    Returns RGB (H, W, 3) uint8, black on the background, and coverage (H, W) bool.
    """
    image = np.zeros((height, width, 3), np.uint8)
    depth = np.full((height, width), np.inf, np.float32)
    R_world_from_cam = np.asarray(camera)[:3, :3]
    light = R_world_from_cam @ (np.array([-0.4, -0.5, -0.77]))  # towards the light, up and to the left of the lens
    colours = [colour_of(i) for i in ids] if colours is None else colours
    for v, colour in zip(vertices, colours, strict=True):
        which, z = rasterise(v, faces, camera, K, width, height)
        front = z < depth
        brightness = 0.35 + 0.65 * np.clip(_smooth_face_normals(np.asarray(v, np.float64), faces) @ light, 0, 1)
        image[front] = (np.asarray(colour) * brightness[which[front], None]).astype(np.uint8)
        depth[front] = z[front]
    return image, np.isfinite(depth)


def _smooth_face_normals(vertices, faces):
    """(F, 3) unit normals, each the mean of the normals at its corners."""
    corner = vertices[faces]
    normal = np.cross(corner[:, 1] - corner[:, 0], corner[:, 2] - corner[:, 0])
    at_vertex = np.zeros_like(vertices)
    for axis in range(3):
        at_vertex[:, axis] = np.bincount(np.ravel(faces), np.repeat(normal[:, axis], 3), len(vertices))
    mean = at_vertex[faces].sum(1)
    return mean / (np.linalg.norm(mean, axis=1, keepdims=True) + 1e-12)
