"""Background points followed through the shot: pyramidal Lucas-Kanade on grey pictures, people masked out.

Positions are pixels of the solved frames, corner origin; internally pictures are at most `WIDTH` wide and OpenCV counts from
pixel centres.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from scipy.spatial import cKDTree

from ..bundle.cameras import Observations

WIDTH = 960  # widest picture that is tracked on
ALIVE = 480  # points followed at a time
MASK_MARGIN = 0.02  # of the picture's width: masks miss hair, motion blur and shadows at the feet
HOLD = 8  # frames for which a point is compared with the same picture of itself; tracking from frame to frame drifts
PATIENCE = 6  # frames that may be unusable in a row before the tracks are given up
NEIGHBOURS = 12  # tracks whose motion since a point's birth says how the picture about it has turned, grown and sheared
ALIKE = 0.8  # correlation with the picture of its birth above which a point is where that picture is


@dataclass(frozen=True)
class Look:
    """How to look at a shot: sharp pictures bear small windows, blurred and grainy ones need smoothing and large windows."""

    smooth: float  # px, Gaussian before tracking
    window: int  # px
    block: int  # px, neighbourhood of the corner measure
    spacing: int  # px between points


LOOKS = (Look(0.6, 15, 5, 8), Look(1.0, 21, 7, 8), Look(1.5, 35, 9, 10))  # sharp, blurred, drowned; for 640 px width
# How much more the widest look must be worth than the narrowest before a wider one is taken. Wide windows always measure a step with
# less noise, but straddle depth, and that bends the whole path: sharp shots have up to 1.7, grainy ones under a blur of 5-8 px 2.1 to 3.3.
BLURRED, DROWNED = 1.85, 6.0  # the second has not been met in our shots
LEVELS = 3  # of the pyramid above the picture itself


class Births:
    """What the living points looked like when they were first seen, and who stood about them then. Grows with the points that
    live, not with the shot."""

    def __init__(self, window):
        """window: px, odd; what is compared."""
        self.half = window // 2
        self.reach = round(1.5 * self.half) + 2  # px of picture kept about a point: a patch that turns or shrinks needs more
        self.frame = np.zeros(0, int)  # of each living point, (n,)
        self.patches = np.zeros((0, 2 * self.reach + 1, 2 * self.reach + 1), np.uint8)
        self.near = np.zeros((0, 3 * NEIGHBOURS), int)  # ids of its neighbours, nearest first; -1: there were no more
        self.offsets = np.zeros((0, 3 * NEIGHBOURS, 2), np.float32)  # px, from the point to them

    def keep(self, which):
        """Forget the points that are not in `which` (n,) bool."""
        self.frame, self.patches, self.near, self.offsets = (v[which] for v in (self.frame, self.patches, self.near, self.offsets))

    def add(self, grey, points, ids, count, frame):
        """The last `count` of `points` (n, 2), named `ids` (n,), are born in this frame."""
        born = points[len(points) - count :]
        far, near = cKDTree(points).query(born, 3 * NEIGHBOURS + 1)
        near, known = near[:, 1:], np.isfinite(far[:, 1:])
        near = np.where(known, near, 0)
        self.near = np.concatenate([self.near, np.where(known, ids[near], -1)])
        self.offsets = np.concatenate([self.offsets, points[near] - born[:, None]])
        self.patches = np.concatenate([self.patches, np.rint(_cut(grey, born, 2 * self.reach + 1)).astype(np.uint8)])
        self.frame = np.concatenate([self.frame, np.full(count, frame)])

    def warps(self, points, ids):
        """How the picture about each point has changed since its birth: (n, 2, 2), and (n,) bool, False where too few
        neighbours are left. The affine of the nearest of them, those that disagree weighed down. ids (n,) ascending."""
        at = np.clip(np.searchsorted(ids, self.near), 0, len(ids) - 1)
        left = ids[at] == self.near
        best = np.argsort(~left, axis=1, kind="stable")[:, :NEIGHBOURS]
        known = left.sum(1) >= NEIGHBOURS
        x = np.take_along_axis(self.offsets, best[..., None], 1).astype(float)
        y = (points[np.take_along_axis(at, best, 1)] - points[:, None]).astype(float)
        weight = np.ones((*x.shape[:2], 1))
        for _ in range(3):
            weight /= weight.sum(1, keepdims=True)
            p, q = x - (weight * x).sum(1, keepdims=True), y - (weight * y).sum(1, keepdims=True)
            side = np.swapaxes(weight * p, 1, 2)
            A = np.swapaxes(_inverse(side @ p + 1e-6 * np.eye(2)) @ (side @ q), 1, 2)
            off = np.linalg.norm(q - p @ np.swapaxes(A, 1, 2), axis=2, keepdims=True)
            weight = 1 / (1 + (off / np.maximum(np.median(off, axis=1, keepdims=True), 0.1)) ** 2)
        size = A[:, 0, 0] * A[:, 1, 1] - A[:, 0, 1] * A[:, 1, 0]
        return A, known & (size > 0.4) & (size < 2.5)

    def find(self, grey, points, A, which, steps=8):
        """Look for each point's first picture about where it is now.

        points: (n, 2) px; A: (n, 2, 2) from offsets at birth to offsets now; which: (m,) indices of the points looked for.
        Returns (m, 2) positions and (m,) correlations, -1 where the picture is left or the search does not settle.
        """
        half, wide = self.half, 2 * self.half + 3
        back = _inverse(A[which])
        corners = np.einsum("nij,kj->nki", back, (half + 1) * np.array([[-1, -1], [-1, 1], [1, -1], [1, 1]]))
        inside = (np.abs(corners) <= self.reach).all((1, 2))
        warps = np.concatenate([back, self.reach - back.sum(2, keepdims=True) * (half + 1)], 2)
        flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
        patch = np.array([cv2.warpAffine(self.patches[k].astype(np.float32), M, (wide, wide), flags=flags) for k, M in zip(which, warps)])
        gx, gy = (patch[:, 1:-1, 2:] - patch[:, 1:-1, :-2]) / 2, (patch[:, 2:, 1:-1] - patch[:, :-2, 1:-1]) / 2
        patch, spread = _normal(patch[:, 1:-1, 1:-1])
        slope = np.stack([gx, gy], 1).reshape(len(which), 2, -1) / spread[:, :, None]
        slope -= slope.mean(2, keepdims=True)
        solve = _inverse(slope @ np.swapaxes(slope, 1, 2) + np.float32(1e-9) * np.eye(2, dtype=np.float32))
        at = points[which].astype(np.float64)
        start, alike = at.copy(), np.full(len(which), -1.0)
        moving = inside.copy()
        for step in range(steps):
            rows = np.flatnonzero(moving)
            if not len(rows):
                break
            now, _ = _normal(_cut(grey, at[rows], 2 * half + 1))
            alike[rows] = (now[:, None] @ patch[rows, :, None])[:, 0, 0]
            move = (solve[rows] @ (slope[rows] @ (now - patch[rows])[..., None]))[..., 0]
            settled = np.linalg.norm(move, axis=1) < 0.02
            if step + 1 < steps:
                at[rows] -= np.where(settled[:, None], 0, move)
            else:
                alike[rows[~settled]] = -1
            moving[rows[settled]] = False
        lost = np.linalg.norm(at - start, axis=1) > half / 2
        return at, np.where(lost | ~inside, -1, alike)


def _inverse(M):
    """Inverses of (n, 2, 2). LAPACK takes longer to be called than this takes."""
    a, b, c, d = M[:, 0, 0], M[:, 0, 1], M[:, 1, 0], M[:, 1, 1]
    return np.stack([d, -b, -c, a], 1).reshape(-1, 2, 2) / (a * d - b * c)[:, None, None]


def _cut(image, points, side):
    """(n, side, side) float32 about points (n, 2) px, bilinear."""
    out = [cv2.getRectSubPix(image, (side, side), (float(x), float(y)), patchType=cv2.CV_32F) for x, y in points]
    return np.array(out).reshape(-1, side, side)


def _normal(patches):
    """(n, h, w) patches as (n, h w) of mean 0 and norm 1, and what they were divided by, (n, 1)."""
    flat = patches.reshape(len(patches), -1)
    flat = flat - flat.mean(1, keepdims=True)
    spread = np.maximum(np.linalg.norm(flat, axis=1, keepdims=True), 1e-6)
    return flat / spread, spread


@dataclass
class Followed:
    """Everything that was followed."""

    obs: Observations
    colours: np.ndarray  # (N, 3) uint8, where each point was first seen
    look: Look
    noise: float  # px of the solved frames: how far one step of a point strays from those of its neighbours


class Pictures:
    """Grey pictures and the part of them that is background."""

    def __init__(self, size, masks, look: Look):
        self.scale = min(1.0, WIDTH / size[0])
        self.size = tuple(max(1, round(v * self.scale)) for v in size)
        self.masks, self.look = masks, look

    def grey(self, rgb):
        image = cv2.cvtColor(rgb, cv2.COLOR_RGB2GRAY)
        if image.shape[::-1] != self.size:
            image = cv2.resize(image, self.size, interpolation=cv2.INTER_AREA)
        return cv2.GaussianBlur(image, (0, 0), self.look.smooth * self.size[0] / 640) if self.look.smooth else image

    def background(self, index):
        """(h, w) uint8, 255 where background is. People and a rim of the picture are 0."""
        w, h = self.size
        out = np.full((h, w), 255, np.uint8)
        mask = self.masks(index) if self.masks is not None else None
        if mask is not None and np.any(mask):
            people = cv2.resize((np.asarray(mask) > 0).astype(np.uint8), (w, h), interpolation=cv2.INTER_NEAREST)
            radius = max(2, round(MASK_MARGIN * w))
            people = cv2.dilate(people, cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * radius + 1,) * 2))
            out[people > 0] = 0
        rim = self._px(self.look.window) // 2
        out[:rim], out[-rim:], out[:, :rim], out[:, -rim:] = 0, 0, 0, 0
        return out

    def _px(self, at_640):
        return max(3, round(at_640 * self.size[0] / 640))

    def detect(self, grey, background, taken, limit):
        """New corners (n, 2), spread over a grid; `taken` (k, 2) are points already there."""
        spacing, block = self._px(self.look.spacing), self._px(self.look.block) | 1
        strength = cv2.cornerMinEigenVal(grey, block, ksize=3)
        peak = strength == cv2.dilate(strength, np.ones((2 * (spacing // 2) + 1,) * 2, np.uint8))
        free = background.copy()
        for x, y in np.round(taken).astype(int):
            cv2.circle(free, (int(x), int(y)), spacing, 0, -1)
        inside = strength[background > 0]
        if not inside.size:
            return np.zeros((0, 2), np.float32)
        # Textureless walls give corners of noise; what is far below the best corners of the picture is left out.
        peak &= (free > 0) & (strength > max(np.quantile(inside, 0.995) * 0.01, 1e-6))
        y, x = np.nonzero(peak)
        if not len(x):
            return np.zeros((0, 2), np.float32)
        value = strength[y, x]
        cell = max(spacing * 3, round((self.size[0] * self.size[1] / limit) ** 0.5 * 2))
        key = (y // cell) * 10000 + x // cell
        crowd = {}
        if len(taken):
            keys, counts = np.unique((taken[:, 1] // cell).astype(int) * 10000 + (taken[:, 0] // cell).astype(int), return_counts=True)
            crowd = dict(zip(keys.tolist(), counts.tolist()))
        order = np.lexsort((-value, key))
        sorted_key = key[order]
        first = np.r_[True, np.diff(sorted_key) != 0]
        rank = np.arange(len(order)) - np.maximum.accumulate(np.where(first, np.arange(len(order)), 0))
        rank = rank + np.array([crowd.get(int(k), 0) for k in sorted_key])
        pick = order[np.lexsort((-value[order], rank))]
        points = np.stack([x, y], 1)[pick].astype(np.float32)
        points = points[: max(0, limit - len(taken))]
        if len(points):
            cv2.cornerSubPix(grey, points, (block // 2,) * 2, (-1, -1), (cv2.TERM_CRITERIA_EPS + cv2.TERM_CRITERIA_COUNT, 10, 0.02))
        return points

    def _window(self):
        return (self._px(self.look.window) | 1,) * 2

    def find(self, before, after, points, guess, levels=LEVELS):
        """Lucas-Kanade between two grey pictures: (n, 2) positions and (n,) bool."""
        if not len(points):
            return points, np.zeros(0, bool)
        there, ok, _ = cv2.calcOpticalFlowPyrLK(
            before,
            after,
            points.astype(np.float32),
            guess.astype(np.float32).copy(),
            winSize=self._window(),
            maxLevel=levels,
            criteria=(cv2.TERM_CRITERIA_EPS + cv2.TERM_CRITERIA_COUNT, 30, 0.005),
            flags=cv2.OPTFLOW_USE_INITIAL_FLOW,
            minEigThreshold=1e-5,
        )
        inside = (there >= 2).all(1) & (there[:, 0] < self.size[0] - 2) & (there[:, 1] < self.size[1] - 2)
        return there, (ok[:, 0] > 0) & inside

    def flow(self, before, after, points, guess):
        """Lucas-Kanade there and back: (n, 2) positions and (n,) bool, False where the way back ends elsewhere."""
        there, ok = self.find(before, after, points, guess)
        back, ok_back = self.find(after, before, there, points + (there - guess))
        return there, ok & ok_back & (np.linalg.norm(back - points, axis=1) < 0.5 * self.size[0] / 640)


def follow(frames, count, size, masks, report, alive=ALIVE) -> Followed:
    """Follow background points through `count` frames.

    frames:  `read(i)` gives RGB uint8 (H, W, 3).
    masks:   index to instance mask (H, W), or None.
    """
    look, noise = choose_look(frames, count, size, masks)
    pictures = Pictures(size, masks, look)
    rows, colours, total = [], [], 0
    points, ids = np.zeros((0, 2), np.float32), np.zeros(0, int)
    anchor, anchor_at = np.zeros(0, int), np.zeros((0, 2), np.float32)  # frame that a point is compared with, and where it was
    album = {}  # those frames
    births = Births(pictures._window()[0])
    last, motion, missed = None, np.eye(3), 0
    for index in range(count):
        report.progress(index, count, "Following the background")
        rgb = frames.read(index)
        grey, background = pictures.grey(rgb), pictures.background(index)
        album[index] = grey
        if last is not None and len(points):
            there, ok, motion_now = _carry(pictures, album[last], album[index], points, motion if not missed else np.eye(3))
            if ok.sum() < 0.2 * len(points) and missed < PATIENCE and index + 1 < count:
                missed += 1  # motion blur, a flash, something in front: look again from the last good picture
                del album[index]
                continue
            motion, missed = (motion_now if missed == 0 else np.eye(3)), 0
            at = np.clip(np.round(there).astype(int), 0, np.array(pictures.size) - 1)
            ok &= background[at[:, 1], at[:, 0]] > 0
            points, ids, anchor, anchor_at = there[ok], ids[ok], anchor[ok], anchor_at[ok]
            births.keep(ok)
            points = _hold(pictures, album, index, points, anchor, anchor_at)
            keep = _apart(points, ids, pictures._px(look.spacing) * 0.4)
            points, ids, anchor, anchor_at = points[keep], ids[keep], anchor[keep], anchor_at[keep]
            births.keep(keep)
            points = _return(births, grey, index, points, ids)
            old = index - anchor >= HOLD
            anchor[old], anchor_at[old] = index, points[old]
        fresh = pictures.detect(grey, background, points, alive)
        if len(fresh):
            at = np.clip(((fresh + 0.5) / pictures.scale).astype(int), 0, np.array(size) - 1)
            colours.append(rgb[at[:, 1], at[:, 0]])
            points = np.concatenate([points, fresh])
            ids = np.concatenate([ids, np.arange(total, total + len(fresh))])
            anchor, anchor_at = np.concatenate([anchor, np.full(len(fresh), index)]), np.concatenate([anchor_at, fresh])
            total += len(fresh)
            births.add(grey, points, ids, len(fresh), index)
        rows.append((np.full(len(ids), index), ids, (points + 0.5) / pictures.scale))
        last = index
        album = {k: v for k, v in album.items() if k == index or (anchor == k).any()}
    frame, point, xy = (np.concatenate(parts) for parts in zip(*rows)) if rows else (np.zeros(0, int),) * 2 + (np.zeros((0, 2)),)
    order = np.lexsort((frame, point))
    obs = Observations(frame[order], point[order], np.asarray(xy, float)[order].reshape(-1, 2))
    return Followed(obs, np.concatenate(colours) if colours else np.zeros((0, 3), np.uint8), look, noise)


def choose_look(frames, count, size, masks) -> tuple[Look, float]:
    """The narrowest look that serves, tried on three pairs of frames, and its noise of one coordinate (px).

    Noise is what parts a point's step from the median step of its neighbours.
    """
    if count < 2:
        return LOOKS[0], 0.0
    worth, noises = [], []
    for look in LOOKS:
        pictures = Pictures(size, masks, look)
        good, off = 0, []
        for index in sorted({int(f * (count - 2)) for f in (0.15, 0.5, 0.85)}):
            a, b = pictures.grey(frames.read(index)), pictures.grey(frames.read(index + 1))
            points = pictures.detect(a, pictures.background(index), np.zeros((0, 2)), ALIVE)
            if len(points) < 8:
                continue
            there, ok, _ = _carry(pictures, a, b, points, np.eye(3))
            if ok.sum() < 8:
                continue
            good += int(ok.sum())
            _, near = cKDTree(points[ok]).query(points[ok], 6)
            step = (there - points)[ok]
            off.append(np.linalg.norm(step - np.median(step[near[:, 1:]], axis=1), axis=1))
        noises.append(np.median(np.concatenate(off)) / 1.1774 / pictures.scale if off else np.inf)
        worth.append(good / (noises[-1] ** 2 + (0.15 * size[0] / 640) ** 2))
    gain = worth[-1] / max(worth[0], 1e-9)
    best = int(gain > BLURRED) + int(gain > DROWNED)
    return LOOKS[best], float(noises[best]) if np.isfinite(noises[best]) else 0.0


def _hold(pictures, album, index, points, anchor, anchor_at):
    """Positions refined against the picture that each point is anchored in; those that disagree stay as they are."""
    points = points.copy()
    for frame in np.unique(anchor):
        group = np.flatnonzero(anchor == frame)
        if frame >= index - 1:
            continue
        there, ok = pictures.find(album[frame], album[index], anchor_at[group], points[group], levels=0)
        ok &= np.linalg.norm(there - points[group], axis=1) < 1.5 * pictures.size[0] / 640
        points[group[ok]] = there[ok]
    return points


def _return(births, grey, index, points, ids):
    """Positions (n, 2) of points older than `HOLD` refined against the pictures of their births: what drifted comes back. A point that
    is not found again, since it is hidden or seen from elsewhere, stays where the chain of frames has it. Half of the way is gone in
    a frame, as both answers have grain of their own: drift is slow, and a few frames are all of the way."""
    points = points.copy()
    A, known = births.warps(points, ids)
    which = np.flatnonzero(known & (index - births.frame >= HOLD))
    if len(which):
        at, alike = births.find(grey, points, A, which)
        good = alike > ALIKE
        points[which[good]] = (points[which[good]] + at[good]) / 2
    return points


def _carry(pictures, before, after, points, motion):
    """Points into the next picture: (n, 2), (n,) bool, affine motion (3, 3).

    Tries the last motion first, then a shift, then matched features as first guess.
    """
    best = None
    for guess_of in (lambda: motion, lambda: _shift(before, after), lambda: _matched(before, after)):
        A = guess_of()
        if A is None:
            continue
        guess = cv2.perspectiveTransform(points[None].astype(np.float64), A)[0]
        there, ok = pictures.flow(before, after, points, guess)
        ok &= _agreeing(points, there, ok, pictures.size[0])
        if best is None or ok.sum() > best[1].sum():
            best = there, ok
        if ok.sum() >= 0.6 * len(points):
            break
    there, ok = best
    A = None
    if ok.sum() >= 12:
        A = cv2.estimateAffine2D(points[ok], there[ok], ransacReprojThreshold=0.01 * pictures.size[0])[0]
    return there, ok, np.eye(3) if A is None else np.vstack([A, [0, 0, 1]])


def _agreeing(points, there, ok, width):
    """False for points that part from their surroundings' motion by far more than parallax does: they have jumped."""
    if ok.sum() < 16:
        return ok
    A = cv2.estimateAffine2D(points[ok], there[ok], ransacReprojThreshold=0.01 * width)[0]
    if A is None:
        return ok
    off = np.linalg.norm(points @ A[:, :2].T + A[:, 2] - there, axis=1)
    return off < max(0.03 * width, 6 * np.median(off[ok]))


def _shift(before, after):
    """Whole-picture shift by phase correlation."""
    small = [cv2.resize(image, None, fx=0.5, fy=0.5, interpolation=cv2.INTER_AREA).astype(np.float32) for image in (before, after)]
    (x, y), _ = cv2.phaseCorrelate(*small, cv2.createHanningWindow(small[0].shape[::-1], cv2.CV_32F))
    return np.array([[1, 0, 2 * x], [0, 1, 2 * y], [0, 0, 1.0]])


def _matched(before, after):
    """Homography from matched SIFT features, or None."""
    sift = cv2.SIFT_create(nfeatures=800, contrastThreshold=0.01)
    (keys_a, desc_a), (keys_b, desc_b) = (sift.detectAndCompute(image, None) for image in (before, after))
    if desc_a is None or desc_b is None or len(keys_b) < 2:
        return None
    pairs = [m for m in cv2.BFMatcher().knnMatch(desc_a, desc_b, k=2) if len(m) == 2 and m[0].distance < 0.8 * m[1].distance]
    if len(pairs) < 10:
        return None
    a = np.array([keys_a[m[0].queryIdx].pt for m in pairs])
    b = np.array([keys_b[m[0].trainIdx].pt for m in pairs])
    H, inliers = cv2.findHomography(a, b, cv2.RANSAC, 4.0)
    return H if H is not None and inliers.sum() >= 10 else None


def _apart(points, ids, distance):
    """(n,) bool, False for the younger of two points that have run together."""
    keep = np.ones(len(points), bool)
    if len(points) > 1:
        close = cKDTree(points).query_pairs(distance, output_type="ndarray")
        keep[np.where(ids[close[:, 0]] > ids[close[:, 1]], close[:, 0], close[:, 1])] = False
    return keep
