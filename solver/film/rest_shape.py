"""The rest body as small grids: per bone, signed distance to the skin and skin weights around the bone's part of it. numpy."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.spatial import cKDTree

GRID = 28  # grid points along each side of a bone's box
LOCAL = 8  # bones that share a box's skin; the rest weigh next to nothing there
MARGIN_M = 0.05  # the box reaches this far beyond the skin it carries
SPACING_M = 0.003  # of the points that stand for the skin
OWN_WEIGHT = 0.05  # skin that follows a bone at least this much lies in its box
FADE_WEIGHT, FADE_M = 0.25, 0.10  # below that weight the skin recedes from the bone, at weight 0 by that much


@dataclass
class RestShape:
    """Grids of one body, one box per bone, all in the body's rest frame. Grid values are indexed [z, y, x]."""

    origin: np.ndarray  # (24, 3) m, first grid point of each box
    step: np.ndarray  # (24, 3) m between grid points; 0 for a bone that carries no skin
    distance: np.ndarray  # (24, G, G, G) m, signed distance to the whole skin, negative inside
    faded: np.ndarray  # (24, G, G, G) m, the same, pushed outwards where the bone has no share of the skin
    local: np.ndarray  # (24, LOCAL) int, bones with weights in the box
    weights: np.ndarray  # (24, LOCAL, G, G, G) skin weights of those bones at the nearest skin, sum 1


def rest_shape(vertices, faces, weights) -> RestShape:
    """vertices (V, 3) m of the shaped rest body, faces (F, 3) counter-clockwise from outside, weights (V, 24)."""
    vertices, weights = np.asarray(vertices, np.float64), np.asarray(weights, np.float64)
    faces = np.asarray(faces)
    points, normals, areas, skin = _sample_surface(vertices, faces, weights)
    bones = weights.shape[1]
    origin, step = np.zeros((bones, 3)), np.zeros((bones, 3))
    axis = np.arange(GRID)
    index = np.stack(np.meshgrid(axis, axis, axis, indexing="ij"), -1)[..., ::-1].reshape(-1, 3)  # x fastest
    grid_points = np.full((bones, GRID**3, 3), 1e3)
    for b in range(bones):
        own = vertices[weights[:, b] > OWN_WEIGHT]
        if len(own):
            origin[b] = own.min(0) - MARGIN_M
            step[b] = (own.max(0) + MARGIN_M - origin[b]) / (GRID - 1)
            grid_points[b] = origin[b] + index * step[b]
    used = step[:, 0] > 0
    distance = np.full((bones, GRID**3), 1.0)
    nearest = np.zeros((bones, GRID**3), np.int64)
    distance[used], nearest[used] = _signed_distance(grid_points[used], points, normals, areas)

    local = np.zeros((bones, LOCAL), np.int64)
    local_weights = np.zeros((bones, LOCAL, GRID**3))
    own_weight = np.zeros((bones, GRID**3))
    for b in np.flatnonzero(used):
        near = skin[nearest[b]]  # (G^3, 24)
        own_weight[b] = near[:, b]
        local[b] = np.argsort(-near.sum(0), kind="stable")[:LOCAL]
        picked = near[:, local[b]] + 1e-9
        local_weights[b] = (picked / picked.sum(1, keepdims=True)).T
    # Where another bone owns the skin, neither that skin nor the inside behind it is this bone's.
    foreign = np.clip(1 - own_weight / FADE_WEIGHT, 0, 1)
    faded = (1 - foreign) * distance + foreign * (np.maximum(distance, 0) + FADE_M)
    cube = (GRID, GRID, GRID)
    return RestShape(
        origin, step, distance.reshape(bones, *cube), faded.reshape(bones, *cube), local,
        local_weights.reshape(bones, LOCAL, *cube),
    )  # fmt: skip


def _sample_surface(vertices, faces, weights):
    """Points spread over the skin, about SPACING_M apart: places, smooth outward normals, areas, skin weights."""
    corners = vertices[faces]
    cross = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
    vertex_normals = np.zeros_like(vertices)
    for c in range(3):
        np.add.at(vertex_normals, faces[:, c], cross)
    vertex_normals /= np.linalg.norm(vertex_normals, axis=1, keepdims=True).clip(1e-12)
    area = 0.5 * np.linalg.norm(cross, axis=1)
    count = np.ceil(area / SPACING_M**2).astype(int).clip(1, 400)
    face = np.repeat(np.arange(len(faces)), count)
    # R2 sequence folded into the triangle: even coverage, and the same points on every run.
    k = np.arange(len(face)) - np.repeat(np.cumsum(count) - count, count)
    u, v = (0.5 + k * 0.7548776662466927) % 1, (0.5 + k * 0.5698402909980532) % 1
    fold = u + v > 1
    u, v = np.where(fold, 1 - u, u), np.where(fold, 1 - v, v)
    bary = np.stack((1 - u - v, u, v), 1)

    def spread(values):
        return sum(bary[:, c : c + 1] * values[faces[face, c]] for c in range(3))

    normals = spread(vertex_normals)
    normals /= np.linalg.norm(normals, axis=1, keepdims=True).clip(1e-12)
    return spread(vertices), normals, (area / count)[face], spread(weights).astype(np.float32)


def _signed_distance(queries, points, normals, areas):
    """Signed distance (..., ) of queries (..., 3) to the skin, negative inside, and the nearest skin point's index."""
    shape = queries.shape[:-1]
    queries = queries.reshape(-1, 3)
    distance, nearest = cKDTree(points).query(queries, workers=-1)
    offset = queries - points[nearest]
    along = np.einsum("ij,ij->i", offset, normals[nearest])
    # Close to the skin, distance to the tangent plane: the nearest sample itself may be millimetres to the side.
    signed = np.where(distance < 4 * SPACING_M, along, np.copysign(distance, along))
    # Where the nearest point lies at an angle to its normal, in a crease or at an edge, ask the winding number.
    unsure = np.flatnonzero((np.abs(along) < 0.5 * distance) & (distance > SPACING_M))
    if len(unsure):
        inside = _winding(queries[unsure], points, normals, areas) > 0.5
        signed[unsure] = np.where(inside, -1, 1) * distance[unsure]
    return signed.reshape(shape), nearest.reshape(shape)


def _winding(queries, points, normals, areas):
    """Generalised winding number of a cloud of area elements (Barill et al. 2018, without the tree)."""
    stride = max(1, len(points) // 6000)
    p, n = points[::stride].astype(np.float32), (normals * areas[:, None])[::stride].astype(np.float32)
    out = np.empty(len(queries))
    for start in range(0, len(queries), 512):
        r = p[None] - queries[start : start + 512, None].astype(np.float32)
        solid = np.einsum("qpi,pi->qp", r, n) / np.maximum(np.einsum("qpi,qpi->qp", r, r), 1e-6) ** 1.5
        out[start : start + 512] = solid.sum(1) * stride / (4 * np.pi)
    return out
