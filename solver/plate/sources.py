"""Which frames see what a person hides in another frame, and their pixels brought over, aligned and exposure matched."""

from __future__ import annotations

from dataclasses import dataclass, replace

import cv2
import numpy as np
from scipy.spatial import cKDTree

from .pushpull import push_pull
from .register import MIN_POINTS, Registration, corners, follow
from .window import COARSE, Window

WANTED = 5  # how many frames should see each hidden pixel
MOST_SOURCES = 9
MOST_EXTRA = 8  # more frames, only for pixels that none of the others sees
KEY_FRAMES = 4  # beyond KEY_BEYOND frames only every fourth one is used, so that neighbours fill from the same pictures
KEY_BEYOND = 6
OCTAVE = 64  # frames beyond which every eighth is enough, and so on with each doubling: a long shot has no more candidates than it has octaves
RESIDUAL_LIMIT_PX = 8.0
PLANE_CELL = 19  # px at half the size, over which the sources' agreement is averaged to choose a plane
PLANE_FIRST = 11  # and over which for the picture that is the guide then
PLANE_EDGE = 10.0  # grey levels of an edge at which the choice may change
PLANE_MOST = 60.0  # grey levels that one source may disagree by: what stands in its way only there says nothing
PLANE_GAIN = 3.0  # grey levels by which the patches bent to the rim must agree better than those over a plane
LAYER_CELL, LAYER_LEVELS = 5, 4.0  # px, and grey levels beyond the grain, within which what stands before the background must agree
CORNERS = 300  # that are followed into each source
LOOKED_AT = 4000  # pixels around the hole that tell how a source's exposure differs
BEND_CELL = 8  # px, resolution of the bending of a plane to what corners say


@dataclass
class Source:
    """A picture to fill from: a frame of the film, or a plate of another frame."""

    index: int
    rgb: np.ndarray  # (H, W, 3) uint8
    hole: np.ndarray | None = None  # (H, W) bool, where somebody stands in front
    unseen: np.ndarray | None = None  # (H, W) uint8 0..255, of a plate: where it guesses


@dataclass
class Patch:
    """Part of a source in the target's pixels, over one box."""

    rgb: np.ndarray  # (h, w, 3) uint8, its exposure the target's
    valid: np.ndarray  # (h, w) bool: inside the source, nobody in front
    error: float  # median grey difference to the target around the hole
    noise: float  # standard deviation of the grain, grey levels
    where: np.ndarray | None = None  # (h, w, 2) float32, OpenCV pixels of the source
    exposure: np.ndarray | None = None  # (2, 3) gain and offset, grey levels
    unseen: np.ndarray | None = None  # (h, w) uint8 0..255, of a plate


def choose_sources(window: Window, registration: Registration, target: int, box, hole, plane=None, doubtful=False) -> list[int]:
    """Frames to fill from, best first, by looking up a coarse picture of everybody's holes.

    box: (x0, y0, x1, y1). hole: (h, w) bool over the box. plane: of Registration.planes, in place of the main one. doubtful: as of Window.coarse.
    """
    x0, y0, _, _ = box
    ys, xs = np.nonzero(hole[::COARSE, ::COARSE])
    if len(ys) == 0:
        ys, xs = (np.array([v[len(v) // 2]]) // COARSE for v in np.nonzero(hole))
    points = np.stack([xs * COARSE + x0, ys * COARSE + y0, np.ones(len(xs))])
    candidates, sees = [], []
    for source in window.available:
        distance = abs(source - target)
        if distance == 0 or (distance > KEY_BEYOND and source % _stride(distance)):
            continue
        candidates.append(source)
        H = registration.homography(target, source, box) if plane is None else registration.over_plane(target, source, plane)
        sees.append(_visible(window, H, source, points, doubtful))
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


def _stride(distance: int) -> int:
    """Every how many frames there is a candidate at this distance."""
    return KEY_FRAMES << max(0, (distance // OCTAVE).bit_length())


def _visible(window, H, source, points, doubtful):
    """(n,) bool: the source frame shows these target points (3, n) and nobody stands in front."""
    mapped = H @ points
    with np.errstate(divide="ignore", invalid="ignore"):
        x, y = mapped[0] / mapped[2], mapped[1] / mapped[2]
    inside = (mapped[2] > 1e-6) & (x >= 1) & (y >= 1) & (x < window.width - 2) & (y < window.height - 2)
    hole = window.coarse(source, doubtful)
    xi = np.clip(np.where(inside, x, 0) / COARSE, 0, hole.shape[1] - 1).astype(int)
    yi = np.clip(np.where(inside, y, 0) / COARSE, 0, hole.shape[0] - 1).astype(int)
    return inside & ~hole[yi, xi]


class Target:
    """One hole of one frame with its surroundings, to which sources are aligned."""

    def __init__(self, rgb, hole, box, hidden=None):
        """rgb (H, W, 3) uint8, hole (H, W) bool. box: (x0, y0, x1, y1). hidden: (H, W) bool, the hole and what else is no background; None: the hole."""
        x0, y0, x1, y1 = box
        self.box = box
        self.picture = np.ascontiguousarray(rgb[y0:y1, x0:x1])
        self.rgb = self.picture.astype(np.float32)
        self.gray = cv2.cvtColor(self.picture, cv2.COLOR_RGB2GRAY)
        self.hole = hole[y0:y1, x0:x1]
        self.known = ~(self.hole if hidden is None else hidden[y0:y1, x0:x1])
        self.grain, self.flat = grain_of(self.gray, self.known)
        xs, ys = np.meshgrid(np.arange(x0, x1, dtype=np.float32), np.arange(y0, y1, dtype=np.float32))
        self.grid = np.stack([xs, ys], 2)
        self._corners = None

    def align(self, source: Source, H, pairs=None) -> Patch | None:
        """Bring a source over; None where it shows nothing of the hole.

        H: (3, 3) target to source. pairs: points known in both, (N, 2) each, possibly none; None where H is exact and nothing is to be refined.
        """
        return self.take(source, _map(H, self.grid if pairs is None else self.grid + self._correction(source, H, pairs)))

    def take(self, source: Source, where, exposure=None) -> Patch | None:
        """The source's pixels at where (h, w, 2); None where it shows nothing of the hole. exposure: (2, 3), where it is known."""
        warped, valid = _sample(source.rgb, source.hole, where)
        if not valid[self.hole].any():
            return None
        ring = valid & self.known
        some = np.flatnonzero(ring)
        some = some[:: 1 + len(some) // LOOKED_AT]
        if exposure is None:
            exposure = _exposure(warped.reshape(-1, 3)[some], self.picture.reshape(-1, 3)[some])
        warped = _exposed(warped, exposure)
        difference = cv2.absdiff(cv2.cvtColor(warped, cv2.COLOR_RGB2GRAY), self.gray)
        error = float(np.median(difference.ravel()[some])) if len(some) > 100 else 8.0
        calm = difference[ring & self.flat]
        noise = float(np.median(calm)) * 1.48 / np.sqrt(2) if len(calm) > 200 else 0.0
        noise = min(noise, self.grain)  # what differs more than the picture's own speckle is misalignment, not grain
        unseen = None
        if source.unseen is not None:
            unseen = cv2.remap(source.unseen, where, None, cv2.INTER_LINEAR, borderMode=cv2.BORDER_CONSTANT, borderValue=255)
        return Patch(warped, valid, error, noise, where, exposure, unseen)

    def over(self, source: Source, H, exposure, at) -> Patch:
        """The source's pixels of the part `at`, slices, of the box by a homography alone."""
        where = _map(H, self.grid[at])
        warped, valid = _sample(source.rgb, source.hole, where)
        return Patch(_exposed(warped, exposure), valid, 0.0, 0.0, where, exposure)

    def _correction(self, source, H, pairs):
        """What to add to the target's pixels (h, w, 2) before H: solved points, then corners found in both pictures, bend the
        plane to the ground and walls around the hole, dense flow does the rest. Smooth across the hole, where nothing is seen.
        """
        gray, hole = cv2.cvtColor(source.rgb, cv2.COLOR_RGB2GRAY), source.hole
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
        if self._corners is None:
            self._corners = corners(self.gray, self.known, CORNERS)
        a, b = follow(self.gray, warped, self._corners, cv2.erode(both.astype(np.uint8), np.ones((5, 5))))
        if len(a) >= MIN_POINTS:
            shift = shift + _bend(a, b, self.gray.shape)
            warped, valid = _sample(gray, hole, _map(H, self.grid + shift))
            both = valid & self.known
        if both.mean() < 0.05:
            return shift
        warped = np.where(both, warped, self.gray)
        filled = np.where(both, self.gray, warped)
        dis = cv2.DISOpticalFlow_create(cv2.DISOPTICAL_FLOW_PRESET_FAST)
        flow = np.clip(dis.calc(filled, warped, None), -RESIDUAL_LIMIT_PX, RESIDUAL_LIMIT_PX)
        moved, _ = _sample(warped, None, _local_grid(flow))
        seen = both.astype(np.uint8)
        if cv2.mean(cv2.absdiff(moved, filled), seen)[0] > 0.97 * cv2.mean(cv2.absdiff(warped, filled), seen)[0]:
            return shift
        trust = cv2.erode(seen, np.ones((9, 9))).astype(np.float32)
        gx, gy = cv2.Sobel(filled, cv2.CV_32F, 1, 0), cv2.Sobel(filled, cv2.CV_32F, 0, 1)
        texture = cv2.blur(gx * gx + gy * gy, (9, 9))
        trust *= texture / (texture + 2000)
        return shift + cv2.GaussianBlur(push_pull(flow, trust), (0, 0), 3)

    def over_planes(self, sources: list[Source], patches: list[Patch], maps: list[list[np.ndarray]]) -> list[Patch]:
        """The bent patches, but each pixel over the plane on which the sources agree best with each other and with the rim.

        maps: for each plane, a homography (3, 3) target to source a source.
        """
        height, width = self.gray.shape
        size = (width + 1) // 2, (height + 1) // 2
        half = lambda picture: cv2.resize(picture, size, interpolation=cv2.INTER_AREA)
        all_of = lambda mask: half(mask.astype(np.uint8) * 255) == 255
        sweeps = [[(half(cv2.cvtColor(p.rgb, cv2.COLOR_RGB2GRAY)), all_of(p.valid)) for p in patches], *([] for _ in maps)]
        to_box = np.array([[width / size[0], 0, self.box[0]], [0, height / size[1], self.box[1]], [0, 0, 1.0]])
        to_box[:2, 2] += np.diag(to_box)[:2] / 2 - 0.5  # from centre to centre
        for number, (source, patch) in enumerate(zip(sources, patches)):
            rows, columns = source.rgb.shape[:2]
            small = cv2.resize(source.rgb, ((columns + 1) // 2, (rows + 1) // 2), interpolation=cv2.INTER_AREA)
            gray = cv2.cvtColor(_exposed(small, patch.exposure), cv2.COLOR_RGB2GRAY)
            free = np.full((rows, columns), 255, np.uint8) if source.hole is None else np.where(source.hole, 0, 255).astype(np.uint8)
            both = cv2.merge([gray, cv2.resize(free, gray.shape[::-1], interpolation=cv2.INTER_AREA)])
            to_half = np.diag([gray.shape[1] / columns, gray.shape[0] / rows, 1])
            to_half[:2, 2] = np.diag(to_half)[:2] / 2 - 0.5
            for sweep, over in zip(sweeps[1:], maps):
                warped = _warp(both, to_half @ over[number] @ to_box, size)
                sweep.append((warped[..., 0], warped[..., 1] == 255))
        choice = choose_plane(half(self.gray), all_of(self.known), sweeps)
        if not choice.any():
            return patches
        choice = cv2.resize(choice, (width, height), interpolation=cv2.INTER_NEAREST)
        out = []
        for number, (source, patch) in enumerate(zip(sources, patches)):
            where = patch.where.copy()
            for plane, over in enumerate(maps, 1):
                here = choice == plane
                where[here] = _map(over[number], self.grid[here][None])[0]
            found = self.take(source, where, patch.exposure)
            out.append(replace(patch, valid=np.zeros_like(patch.valid)) if found is None else replace(found, error=patch.error, noise=patch.noise))
        return out


def grain_of(gray, known) -> tuple[float, np.ndarray]:
    """Standard deviation of a picture's grain, grey levels, and where it was looked for (h, w) bool: there is little texture."""
    edges = cv2.blur(np.abs(cv2.Laplacian(gray, cv2.CV_32F, ksize=3)), (5, 5))
    # grain can be told from texture only where there is little of the latter
    calm = float(np.percentile(edges[known][::3], 30)) if known.any() else 0.0
    flat = known & (edges < np.clip(calm, 2.0, 15.0))
    # Immerkaer 1996: this mask is blind to slopes and edges along the axes; noise of deviation 1 gives 6
    speckle = np.abs(cv2.filter2D(gray, cv2.CV_32F, np.array([[1, -2, 1], [-2, 4, -2], [1, -2, 1.0]])))
    return 1.48 * float(np.median(speckle[flat])) / 6 if flat.sum() > 200 else 0.0, flat


def _exposure(a, b) -> np.ndarray:
    """Gain and offset (2, 3) a channel that take a to b, uint8 (N, 3) from what both see around the hole; kept near the identity."""
    out = np.array([[1, 1, 1], [0, 0, 0]], np.float32)
    if len(a) < 200:
        return out
    a, b = a.astype(np.float32), b.astype(np.float32)
    close = np.abs((a - np.median(a - b, 0)) - b).max(1) < 25
    if close.sum() < 60:
        return out
    a, b = a[close], b[close]
    spread = a.std(0)
    covariance = ((a - a.mean(0)) * (b - b.mean(0))).mean(0)
    out[0] = np.clip(np.where(spread > 6, covariance / np.maximum(spread**2, 1e-6), 1), 0.85, 1.18)
    out[1] = np.clip(b.mean(0) - out[0] * a.mean(0), -30, 30)
    return out


def _exposed(rgb, exposure) -> np.ndarray:
    """A uint8 picture through gain and offset (2, 3)."""
    table = np.arange(256, dtype=np.float32)[:, None] * exposure[0] + exposure[1]
    return cv2.LUT(rgb, np.clip(np.round(table), 0, 255).astype(np.uint8)[None])


def choose_plane(gray, known, sweeps) -> np.ndarray:
    """For every pixel, the sweep whose patches agree, (h, w) uint8: a plane sweep (Collins 1996) with few planes, whose costs are smoothed as
    the picture is (Rhemann et al. 2011), so that the choice changes at edges.

    gray, known: the target (h, w), uint8 and bool. sweeps: first the patches bent to the rim, then those over each plane; pairs of gray (h, w)
    uint8 and where it is valid (h, w) bool, of the same sources in the same order. In the hole they are compared with each other, around it
    with the picture itself. Where fewer than two see a pixel its neighbours decide.
    """
    costs, weights, means = [], [], []
    for sweep in sweeps:
        valid = np.stack([v for _, v in sweep]).astype(np.float32)
        grays = np.stack([g for g, _ in sweep]).astype(np.float32)
        count = valid.sum(0)
        means.append(np.where(known, gray, (grays * valid).sum(0) / np.maximum(count, 1)).astype(np.float32))
        cost = (np.minimum(np.abs(grays - means[-1]), PLANE_MOST) * valid).sum(0) / np.maximum(count, 1)
        # the mean of few lies nearer to them than the truth does
        costs.append(np.where(known, cost, cost * np.sqrt(count / np.maximum(count - 1, 1))).astype(np.float32))
        weights.append((count >= np.where(known, 1, 2)).astype(np.float32))
    choice = _cheapest([_smooth(cost, weight) for cost, weight in zip(costs, weights)], weights)
    guide = cv2.GaussianBlur(np.take_along_axis(np.stack(means), choice[None], 0)[0], (0, 0), 1)
    return _cheapest([_smooth(cost, weight, guide) for cost, weight in zip(costs, weights)], weights).astype(np.uint8)


def _cheapest(costs, weights):
    """Number of the cheapest sweep (h, w); the first one is bent to the rim, which agrees there by itself."""
    shown = [_around(weight) > 0.1 for weight in weights]
    return np.argmin([np.where(near, cost, 255) + (0 if number else PLANE_GAIN) for number, (cost, near) in enumerate(zip(costs, shown))], 0)


def _around(values, size=PLANE_CELL):
    return cv2.blur(values, (size, size))


def _smooth(cost, weight, guide=None):
    """Mean of a cost (h, w) about each pixel, by weight; with a guide, a guided filter (He et al. 2010)."""
    if guide is None:
        return _around(cost * weight, PLANE_FIRST) / np.maximum(_around(weight, PLANE_FIRST), 1e-6)
    total = np.maximum(_around(weight), 1e-6)
    mean = _around(cost * weight) / total
    brightness = _around(guide * weight) / total
    slope = (_around(guide * cost * weight) / total - brightness * mean) / (_around(guide * guide * weight) / total - brightness**2 + PLANE_EDGE**2)
    return _around(slope) * guide + _around(mean - slope * brightness)


def in_front(target: Target, near: list[Patch], columns) -> np.ndarray:
    """Where what stands in front shows (h, w) bool: its patches agree with each other, in the hole, or with the picture. It hides what is behind it, however
    well that agrees too. columns: (w,) bool, where it may stand."""
    valid = np.stack([p.valid for p in near])
    gray = np.stack([cv2.cvtColor(p.rgb, cv2.COLOR_RGB2GRAY) for p in near]).astype(np.float32)
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


def _warp(image, H, size):
    """image at H of each pixel of a picture of `size` (w, h), 0 outside."""
    width, height = size
    if (np.array([[0, 0, 1], [width, 0, 1], [0, height, 1], [width, height, 1]]) @ H[2] > 1e-6).all():
        return cv2.warpPerspective(image, H, size, flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP)
    return cv2.remap(image, _map(H, _local_grid(np.zeros((height, width, 2), np.float32))), None, cv2.INTER_LINEAR)


def _sample(image, hole, where):
    """Picture at where (h, w, 2), uint8, and where it is inside and nobody stands in front."""
    out = cv2.remap(image, where, None, cv2.INTER_CUBIC, borderMode=cv2.BORDER_REPLICATE)
    height, width = image.shape[:2]
    x, y = where[..., 0], where[..., 1]
    valid = (x >= 0) & (y >= 0) & (x <= width - 1) & (y <= height - 1)
    if hole is not None:
        valid &= cv2.remap(hole.view(np.uint8), where, None, cv2.INTER_LINEAR, borderMode=cv2.BORDER_CONSTANT, borderValue=1) == 0
    return out, valid


def _bend(a, b, shape):
    """Smooth shift (h, w, 2) with a + shift(a) ~ b for corners a, b (N, 2): a homography where one fits, and what is left over."""
    height, width = shape
    grid = _local_grid(np.zeros((height, width, 2), np.float32))
    shift, fitted = np.zeros_like(grid), a
    if len(a) >= MIN_POINTS + 4:
        fix, inliers = cv2.findHomography(a, b, cv2.RANSAC, 1.0, maxIters=200)
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
