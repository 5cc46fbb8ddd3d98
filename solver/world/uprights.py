"""Up by what stands upright in the background: straight edges that meet in one vanishing point, near where people say that up is."""

from __future__ import annotations

import numpy as np

from ..records import Camera

SIGMA_END = 0.7 / 640  # of the picture's width, an end of a segment
SIGMA_TURN = np.deg2rad(0.4)  # rad, the camera's turn and the lens
SAME = np.deg2rad(0.6)  # segments in planes so near to each other, in whatever frames, count as one edge
SHARES = (0.01, 0.02, 0.05, 0.1, 0.2, 0.4)  # of the edges that are upright
WITNESS = 0.5  # edges of one house are not independent. Chosen on four test shots and a fifth: errors over sigmas 0.9 with it, 1.4 with 1 (RMS)
REACH, STEP = np.deg2rad(35), np.deg2rad(0.7)  # of directions searched about the first guess
AT_ONCE = 256  # directions or edges that are compared with all edges at once: shots have thousands
SPREAD_UP, SPREAD_ROLL = np.deg2rad(10), np.deg2rad(6)  # of people's up, and of cameras' x axes about level


def upright(edges, camera: Camera, up, told=None):
    """Mean (3,) and covariance (2, 2) rad² of up in the camera's frame of reference, and the axes (2, 3) it is of; None without edges.

    Each edge lies in a plane through the camera's centre; those of upright edges hold up. Edges are a mixture of upright ones and of
    edges that go anywhere, weighed at every direction about `up`; what is returned are the moments of that posterior, so two directions
    that are as likely make it unsure.

    edges: (E, 5), see slam.edges. up: (3,) unit, the first guess. told: (n, 5) edges that an artist says are upright, or None.
    """
    told = np.zeros((0, 5)) if told is None else told
    if not len(edges) + len(told):
        return None
    normal, sigma = planes(edges, camera)
    weight = WITNESS * once(normal)
    basis = across(up)
    steps = np.tan(np.arange(-REACH, REACH + STEP / 2, STEP))
    plane = np.stack(np.meshgrid(steps, steps, indexing="ij"), -1).reshape(-1, 2)
    V = up + plane @ basis
    V /= np.linalg.norm(V, axis=1, keepdims=True)
    single = lambda x: x.astype(np.float32)
    whitened, top, weight = single((normal / sigma[:, None]).T), single(1 / (sigma * np.sqrt(2 * np.pi))), single(weight)
    evidence = np.zeros((len(SHARES), len(V)))
    for part in range(0, len(V), AT_ONCE):
        off = single(V[part : part + AT_ONCE]) @ whitened  # sines in sigmas
        likely = np.exp(-0.5 * off**2) * top
        for k, share in enumerate(SHARES):
            evidence[k, part : part + AT_ONCE] = np.log(np.float32(share) * likely + np.float32((1 - share) / 2)) @ weight
    evidence = max(evidence, key=np.max)
    sure, sigma = planes(told, camera)
    evidence = evidence - 0.5 * ((V @ sure.T / sigma) ** 2).sum(1)
    roll = np.arcsin(np.clip(V @ camera.T_world_from_cam[:, :3, 0].T, -1, 1)).mean(1)
    tilt = np.arccos(np.clip(V @ up, -1, 1))
    evidence = evidence - 1.5 * np.log1p((tilt / SPREAD_UP) ** 2) - np.log1p((roll / SPREAD_ROLL) ** 2)
    p = np.exp(evidence - evidence.max())
    p /= p.sum()
    mean = p @ plane
    spread = (plane - mean).T @ ((plane - mean) * p[:, None]) + np.eye(2) * SIGMA_TURN**2
    v = up + mean @ basis
    return v / np.linalg.norm(v), spread, basis


def planes(edges, camera: Camera):
    """Unit normals (E, 3) of the planes that hold the edges and the camera's centre, and one sigma (E,) of their directions, rad."""
    frame = edges[:, 0].astype(int)
    K, R = camera.K[frame], camera.T_world_from_cam[frame, :3, :3]
    a, b = (np.concatenate([(edges[:, at] - K[:, :2, 2]) / K[:, [0, 1], [0, 1]], np.ones((len(edges), 1))], 1) for at in (slice(1, 3), slice(3, 5)))
    normal = np.cross(a, b)
    length = np.hypot(*(edges[:, 3:5] - edges[:, 1:3]).T)
    sigma = np.hypot(SIGMA_END * 2 * K[:, 0, 2] * np.sqrt(2) / length, SIGMA_TURN)
    return np.einsum("nij,nj->ni", R, normal / np.linalg.norm(normal, axis=1, keepdims=True)), sigma


def once(normal):
    """What each edge counts (E,), so that one that is seen in many frames counts once."""
    normal = normal.astype(np.float32)
    like = lambda some: np.exp(np.float32(-0.5 / SAME**2) * (1 - (some @ normal.T) ** 2)).sum(1)  # of squared sines
    return 1 / np.concatenate([np.zeros(0), *(like(normal[part : part + AT_ONCE]) for part in range(0, len(normal), AT_ONCE))])


def across(up):
    """Two unit vectors (2, 3) across `up`."""
    helper = np.eye(3)[np.abs(up).argmin()]
    a = np.cross(up, helper)
    a /= np.linalg.norm(a)
    return np.stack([a, np.cross(up, a)])
