"""Which frames see what a person hides in another frame, and their pixels brought over, aligned and exposure matched."""

from __future__ import annotations

from dataclasses import dataclass, replace

import cv2
import numpy as np
from scipy.spatial import cKDTree

from .pushpull import push_pull
from .register import MIN_POINTS, Registration, track_points
from .window import COARSE, Window

WANTED = 5  # how many frames should see each hidden pixel
MOST_SOURCES = 9
MOST_EXTRA = 8  # more frames, only for pixels that none of the others sees
KEY_FRAMES = 4  # beyond KEY_BEYOND frames only every fourth one is used, so that neighbours fill from the same pictures
KEY_BEYOND = 6
RESIDUAL_LIMIT_PX = 8.0
PLANE_CELL = 15  # px, over which the sources' agreement is averaged to choose a plane
PLANE_GAIN = 1.0  # grey levels by which a plane must agree better than the patches bent to the rim
LAYER_CELL, LAYER_LEVELS = 5, 4.0  # px, and grey levels beyond the grain, within which what stands before the background must agree
BEND_CELL = 8  # px, resolution of the bending of a plane to what corners say


@dataclass
class Patch:
    """Part of a source frame in the target's pixels, over one box."""

    rgb: np.ndarray  # (h, w, 3) float32
    valid: np.ndarray  # (h, w) bool: inside the source, nobody in front
    error: float  # median grey difference to the target around the hole
    noise: float  # standard deviation of the grain, grey levels
    unseen: np.ndarray | None = None  # (h, w) float32 0..255, for a filled plate


def choose_sources(window: Window, registration: Registration, target: int, box, hole, plane=None) -> list[int]:
    """Frames to fill from, best first, by looking up a coarse picture of everybody's holes.

    box: (x0, y0, x1, y1). hole: (h, w) bool over the box. plane: of Registration.planes, in place of the main one.
    """
    x0, y0, _, _ = box
    ys, xs = np.nonzero(hole[::COARSE, ::COARSE])
    if len(ys) == 0:
        ys, xs = (np.array([v[len(v) // 2]]) // COARSE for v in np.nonzero(hole))
    points = np.stack([xs * COARSE + x0, ys * COARSE + y0, np.ones(len(xs))])
    candidates, sees = [], []
    for source in window.available:
        distance = abs(source - target)
        if distance == 0 or (distance > KEY_BEYOND and source % KEY_FRAMES):
            continue
        candidates.append(source)
        H = registration.homography(target, source, box) if plane is None else registration.over_plane(target, source, plane)
        sees.append(_visible(window, H, source, points))
    if not candidates:
        return []
    candidates, sees = np.array(candidates), np.array(sees)
    distance = np.abs(candidates - target)
    closeness = 1 / (1 + distance / (60.0 if registration.verdict == "static" else 15.0))
    chosen, count = [], np.zeros(points.shape[1], int)
    while len(chosen) < MOST_SOURCES + MOST_EXTRA:
        wanting = count < (WANTED if len(chosen) < MOST_SOURCES else 1)
        gain = sees[:, wanting].sum(1)
        gain[chosen] = 0
        if gain.max(initial=0) < max(1, 0.01 * wanting.sum() if len(chosen) < MOST_SOURCES else 1):
            if len(chosen) >= MOST_SOURCES or not (count < 1).any():
                break
            gain = sees[:, count < 1].sum(1)
            if gain.max(initial=0) == 0:
                break
        spread = np.ones(len(candidates))
        for other in chosen:  # two frames next to each other share their mistakes
            spread = np.minimum(spread, np.minimum(1, (np.abs(candidates - candidates[other]) + 1) / 4))
        best = int(np.argmax(gain * closeness * spread))
        chosen.append(best)
        count += sees[best]
    return [int(candidates[i]) for i in chosen]


def _visible(window, H, source, points):
    """(n,) bool: the source frame shows these target points (3, n) and nobody stands in front."""
    mapped = H @ points
    with np.errstate(divide="ignore", invalid="ignore"):
        x, y = mapped[0] / mapped[2], mapped[1] / mapped[2]
    inside = (mapped[2] > 1e-6) & (x >= 1) & (y >= 1) & (x < window.width - 2) & (y < window.height - 2)
    hole = window.coarse_hole(source)
    xi = np.clip(np.where(inside, x, 0) / COARSE, 0, hole.shape[1] - 1).astype(int)
    yi = np.clip(np.where(inside, y, 0) / COARSE, 0, hole.shape[0] - 1).astype(int)
    return inside & ~hole[yi, xi]


class Target:
    """One hole of one frame with its surroundings, to which sources are aligned."""

    def __init__(self, rgb, hole, box):
        x0, y0, x1, y1 = box
        self.box = box
        self.rgb = rgb[y0:y1, x0:x1].astype(np.float32)
        self.gray = cv2.cvtColor(rgb[y0:y1, x0:x1], cv2.COLOR_RGB2GRAY)
        self.hole = hole[y0:y1, x0:x1]
        self.known = ~self.hole
        edges = cv2.blur(np.abs(cv2.Laplacian(self.gray, cv2.CV_32F, ksize=3)), (5, 5))
        # grain can be told from texture only where there is little of the latter
        calm = float(np.percentile(edges[self.known], 30)) if self.known.any() else 0.0
        self.flat = self.known & (edges < np.clip(calm, 2.0, 15.0))
        # Immerkaer 1996: this mask is blind to slopes and edges along the axes; noise of deviation 1 gives 6
        speckle = np.abs(cv2.filter2D(self.gray, cv2.CV_32F, np.array([[1, -2, 1], [-2, 4, -2], [1, -2, 1.0]])))
        self.grain = 1.48 * float(np.median(speckle[self.flat])) / 6 if self.flat.sum() > 200 else 0.0
        xs, ys = np.meshgrid(np.arange(x0, x1, dtype=np.float32), np.arange(y0, y1, dtype=np.float32))
        self.grid = np.stack([xs, ys], 2)

    def align(self, rgb, hole, H, pairs=None, unseen=None) -> Patch | None:
        """Bring a source over; None where it shows nothing of the hole.

        rgb: (H, W, 3) uint8. hole: (H, W) bool or None. H: (3, 3) target to source.
        pairs: points known in both, (N, 2) each, possibly none; None where H is exact and nothing is to be refined.
        """
        where = _map(H, self.grid if pairs is None else self.grid + self._correction(rgb, hole, H, pairs))
        warped, valid = _sample(rgb, hole, where)
        ring = valid & self.known
        if not valid[self.hole].any():
            return None
        warped = self._match_exposure(warped, ring)
        gray = cv2.cvtColor(np.clip(warped, 0, 255).astype(np.uint8), cv2.COLOR_RGB2GRAY).astype(np.float32)
        difference = np.abs(gray - self.gray)
        error = float(np.median(difference[ring])) if ring.sum() > 100 else 8.0
        calm = ring & self.flat
        noise = float(np.median(difference[calm])) * 1.48 / np.sqrt(2) if calm.sum() > 200 else 0.0
        noise = min(noise, self.grain)  # what differs more than the picture's own speckle is misalignment, not grain
        carried = None
        if unseen is not None:
            carried = cv2.remap(unseen, where, None, cv2.INTER_LINEAR, borderMode=cv2.BORDER_CONSTANT, borderValue=255)
            carried = carried.astype(np.float32)
        return Patch(warped, valid, error, noise, carried)

    def _correction(self, rgb, hole, H, pairs):
        """What to add to the target's pixels (h, w, 2) before H: solved points, then corners found in both pictures, bend the
        plane to the ground and walls around the hole, dense flow does the rest. Smooth across the hole, where nothing is seen.
        """
        gray = cv2.cvtColor(rgb, cv2.COLOR_RGB2GRAY)
        shift = np.zeros_like(self.grid)
        known, found = pairs
        if len(known) >= MIN_POINTS:
            origin = np.array(self.box[:2], np.float32)
            back = _map(np.linalg.inv(H), found[:, None].astype(np.float32))[:, 0]
            inside = ((known > origin) & (known < np.array(self.box[2:]) - 1)).all(1)
            if inside.sum() >= MIN_POINTS:
                shift = _bend((known - origin)[inside].astype(np.float32), (back - origin)[inside], self.gray.shape)
        warped, valid = _sample(gray, hole, _map(H, self.grid + shift))
        both = valid & self.known
        a, b = track_points(self.gray, warped.astype(np.uint8), cv2.erode(both.astype(np.uint8), np.ones((5, 5))), 300)
        if len(a) >= MIN_POINTS:
            shift = shift + _bend(a, b, self.gray.shape)
            warped, valid = _sample(gray, hole, _map(H, self.grid + shift))
            both = valid & self.known
        if both.mean() < 0.05:
            return shift
        warped = np.where(both, warped, self.gray).astype(np.uint8)
        filled = np.where(both, self.gray, warped).astype(np.uint8)
        dis = cv2.DISOpticalFlow_create(cv2.DISOPTICAL_FLOW_PRESET_FAST)
        flow = np.clip(dis.calc(filled, warped, None), -RESIDUAL_LIMIT_PX, RESIDUAL_LIMIT_PX)
        moved, _ = _sample(warped, None, _local_grid(flow))
        if np.abs(moved - filled)[both].mean() > 0.97 * np.abs(warped.astype(np.float32) - filled)[both].mean():
            return shift
        trust = cv2.erode(both.astype(np.uint8), np.ones((9, 9))).astype(np.float32)
        gx, gy = cv2.Sobel(filled, cv2.CV_32F, 1, 0), cv2.Sobel(filled, cv2.CV_32F, 0, 1)
        texture = cv2.blur(gx * gx + gy * gy, (9, 9))
        trust *= texture / (texture + 2000)
        return shift + cv2.GaussianBlur(push_pull(flow, trust), (0, 0), 3)

    def _match_exposure(self, warped, ring):
        """Gain and offset per channel from what both see around the hole, kept near the identity."""
        if ring.sum() < 200:
            return warped
        a, b = warped[ring][::3], self.rgb[ring][::3]
        close = np.abs((a - np.median(a - b, 0)) - b).max(1) < 25
        if close.sum() < 60:
            return warped
        a, b = a[close], b[close]
        spread = a.std(0)
        covariance = ((a - a.mean(0)) * (b - b.mean(0))).mean(0)
        gain = np.where(spread > 6, covariance / np.maximum(spread**2, 1e-6), 1)
        gain = np.clip(gain, 0.85, 1.18)
        offset = np.clip(b.mean(0) - gain * a.mean(0), -30, 30)
        return warped * gain.astype(np.float32) + offset.astype(np.float32)


def best_of_planes(target: Target, sweeps: list[list[Patch]]) -> list[Patch]:
    """For every pixel, the sweep whose patches agree: a plane sweep (Collins 1996) with few planes.

    sweeps: first the usual one, then one a plane; each has the same sources in the same order. In the hole the patches are
    compared with each other, around it with the picture itself. Where fewer than two patches see a pixel its neighbours decide.
    Returns one patch a source.
    """
    costs = []
    for number, sweep in enumerate(sweeps):
        valid = np.stack([p.valid for p in sweep])
        gray = np.stack([p.rgb @ np.array([0.3, 0.6, 0.1], np.float32) for p in sweep])
        count = valid.sum(0)
        mean = (gray * valid).sum(0) / np.maximum(count, 1)
        reference = np.where(target.known, target.gray, mean)
        cost = (np.abs(gray - reference) * valid).sum(0) / np.maximum(count, 1)
        # the mean of few lies nearer to them than the truth does
        cost = np.where(target.known, cost, cost * np.sqrt(count / np.maximum(count - 1, 1)))
        weight = (count >= np.where(target.known, 1, 2)).astype(np.float32)
        cell, near = (PLANE_CELL, PLANE_CELL), cv2.blur(weight, (PLANE_CELL, PLANE_CELL))
        cost = cv2.blur(cost.astype(np.float32) * weight, cell) / np.maximum(near, 1e-6)
        costs.append(np.where(near > 0.1, cost, 255) + (PLANE_GAIN if number else 0))
    choice = np.argmin(costs, 0)
    out = []
    for patches in zip(*sweeps):
        rgb = np.choose(choice[..., None], [p.rgb for p in patches])
        out.append(replace(patches[0], rgb=rgb, valid=np.choose(choice, [p.valid for p in patches])))
    return out


def in_front(target: Target, near: list[Patch], columns) -> np.ndarray:
    """Where what stands in front shows (h, w) bool: its patches agree with each other, in the hole, or with the picture. It hides what is behind it, however
    well that agrees too. columns: (w,) bool, where it may stand."""
    valid = np.stack([p.valid for p in near])
    gray = np.stack([p.rgb @ np.array([0.3, 0.6, 0.1], np.float32) for p in near])
    count = valid.sum(0)
    with np.errstate(all="ignore"):
        middle = np.ma.median(np.ma.masked_array(gray, ~valid), 0).filled(0)
    reference = np.where(target.known, target.gray, middle)
    off = (np.abs(gray - reference) * valid).sum(0) / np.maximum(count, 1)
    noise = float(np.median([p.noise for p in near]))
    off = cv2.blur(np.where(count >= 2, off, 255).astype(np.float32), (LAYER_CELL, LAYER_CELL))
    return (off < LAYER_LEVELS + noise) & columns


def _map(H, grid):
    """Pixels grid (h, w, 2) through H, float32; points behind the horizon go far outside."""
    x, y = grid[..., 0], grid[..., 1]
    H = H.astype(np.float32)
    w = H[2, 0] * x + H[2, 1] * y + H[2, 2]
    w = np.where(w > 1e-6, w, np.float32(1e-6))
    return np.stack([(H[0, 0] * x + H[0, 1] * y + H[0, 2]) / w, (H[1, 0] * x + H[1, 1] * y + H[1, 2]) / w], 2).clip(
        -30000, 30000
    )


def _sample(image, hole, where):
    """Picture at where (h, w, 2), float32, and where it is inside and nobody stands in front."""
    out = cv2.remap(image, where, None, cv2.INTER_CUBIC, borderMode=cv2.BORDER_REPLICATE).astype(np.float32)
    height, width = image.shape[:2]
    valid = (where[..., 0] >= 0) & (where[..., 1] >= 0) & (where[..., 0] <= width - 1) & (where[..., 1] <= height - 1)
    if hole is not None:
        valid &= (
            cv2.remap(hole.view(np.uint8), where, None, cv2.INTER_LINEAR, borderMode=cv2.BORDER_CONSTANT, borderValue=1)
            == 0
        )
    return out, valid


def _bend(a, b, shape):
    """Smooth shift (h, w, 2) with a + shift(a) ~ b for corners a, b (N, 2): a homography where one fits, and what is left over."""
    height, width = shape
    grid = _local_grid(np.zeros((height, width, 2), np.float32))
    shift, fitted = np.zeros_like(grid), a
    if len(a) >= MIN_POINTS + 4:
        fix, inliers = cv2.findHomography(a, b, cv2.RANSAC, 1.0)
        if fix is not None and inliers.sum() >= max(MIN_POINTS, 0.3 * len(a)) and _small(fix, shape):
            shift, fitted = _map(fix, grid) - grid, _map(fix, a[:, None])[:, 0]
    rest = b - fitted
    _, near = cKDTree(a).query(a, min(6, len(a)))
    usual = np.median(rest[near], 1)
    agree = np.linalg.norm(rest - usual, axis=1) < 1 + 0.5 * np.linalg.norm(usual, axis=1)
    if agree.sum() < MIN_POINTS:
        return shift
    x, y = (a[agree] / BEND_CELL).astype(int).T
    size = (height // BEND_CELL + 1, width // BEND_CELL + 1)
    count, total = np.zeros(size, np.float32), np.zeros(size + (2,), np.float32)
    np.add.at(count, (y, x), 1)
    np.add.at(total, (y, x), rest[agree])
    bend = push_pull(total / np.maximum(count, 1)[..., None], np.minimum(count, 1))
    bend = cv2.GaussianBlur(bend, (0, 0), 1)
    # cell centres lie half a cell inside
    cell = (grid + 0.5) / BEND_CELL - 0.5
    return shift + cv2.remap(bend, cell, None, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)


def _local_grid(flow):
    height, width = flow.shape[:2]
    xs, ys = np.meshgrid(np.arange(width, dtype=np.float32), np.arange(height, dtype=np.float32))
    return np.stack([xs, ys], 2) + flow


def _small(H, shape):
    """A correction, not a new picture: corners move by less than a tenth of the box."""
    height, width = shape
    corners = np.array([[0, 0, 1], [width, 0, 1], [0, height, 1], [width, height, 1.0]]).T
    moved = H @ corners
    if (moved[2] < 0.5).any():
        return False
    return bool(np.abs(moved[:2] / moved[2] - corners[:2]).max() < 0.1 * max(width, height))
