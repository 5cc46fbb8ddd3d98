"""Paints the plate: key frames from the frames that show what is hidden there, the frames between from the plates of the two keys around them.

Where a frame shows something, and how sure that is, is decided in a smaller size where the film is large; the pixels are the film's.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import cv2
import numpy as np

from . import light as lights
from .guess import complete
from .pushpull import push_pull
from .register import Registration, scaled, scaled_slam
from .sources import Patch, Source, Target, choose_sources, grain_of, in_front
from .window import MEMORY_BYTES, Window, grow_mask, regions

KEY = 4  # every fourth frame is painted from the film
WORK_LINES = 540  # frames are compared in no more lines than these
STATIC_MISFIT_LEVELS = 3.0  # a locked-off camera that shakes a little shows by this grey difference
SEAM_PX = 4  # the fill is compared with the picture in a band of this width around the hole
SOFT_PX = 8  # so far around a hole shadows may still be soft: other frames are painted from what this one's sources show there
SEAM_REACH_PX = 25.0  # and corrected towards it over this depth
SEAM_LIMIT = 15.0  # grey levels
RELIT_AROUND_PX = 101  # about a shadow, whose light says whether it is one
RELIT = 100  # in `unseen/`: seen, but only in shadow
GUESSED = 128  # in `unseen/`: from here on nobody knows
BESIDE_PX = 6  # beside its points something that stands before the background may still reach
MISFIT_LEVELS = 4.0  # a source that differs by this much more than the best one is left out


@dataclass
class Key:
    """The plate of a key frame."""

    plate: np.ndarray  # (H, W, 3) uint8
    unseen: np.ndarray  # (H, W) uint8
    raw: np.ndarray  # (H, W, 3) uint8, the plate without seam and grain
    source: Source  # raw in the smaller size


class Painter:
    """Paints one frame after the other."""

    def __init__(self, shot, frames, erase, verdict, camera, slam, light=None, memory_bytes: float = MEMORY_BYTES, tick=lambda: None, missed=None):
        """tick is called several times a frame. missed: as of `Window`."""
        self._erase, self._light, self._tick = erase, light, tick
        self.grain = []  # standard deviation of the film's grain, grey levels, one a hole
        self.window = Window(frames, erase.owners, shot.frames, shot.width, shot.height, memory_bytes, -(-shot.height // WORK_LINES), missed)
        x, y = self.window.width / shot.width, self.window.height / shot.height
        self._scale = np.array([shot.width / self.window.width, shot.height / self.window.height], np.float32)
        self.registration = Registration(self.window, verdict, scaled(camera, x, y), scaled_slam(slam, x, y))
        self._refine = verdict != "static"
        self._every = max(1, min(KEY, self.window.slots // 2))  # both keys and what is between them fit into the window
        self._keys: dict[int, Key] = {}

    def paint(self, index: int) -> tuple[np.ndarray, np.ndarray]:
        """Plate (H, W, 3) uint8 and unseen (H, W) uint8 of frame `index`; call with rising indices."""
        first = index - index % self._every
        last = min(first + self._every, self.window.count - 1)
        self._keys = {number: key for number, key in self._keys.items() if number >= first}
        for number in (first, last) if index not in (first, last) else (index,):
            if number not in self._keys:
                self.window.move_to(number)
                self._keys[number] = self._painted(number, [])
        self.window.move_to(index)
        if index in self._keys:
            found = self._keys[index]
        else:  # somebody who is in no mask hides in a key's plate what is behind them, so then the film is asked
            found = self._painted(index, [first, last] if all(self._keys[number].source.hole is None for number in (first, last)) else [])
        return found.plate, found.unseen

    def _painted(self, index, keys) -> Key:
        full, owner = self.window.full(index), self.window.owner(index)
        plate, raw = full.copy(), full.copy()
        unseen = np.zeros(owner.shape, np.uint8)
        alpha = cv2.distanceTransform((owner > 0).astype(np.uint8), cv2.DIST_L2, 5) / np.float32(0.5 * self._erase.grow)
        for box, part in regions(self.window.hole(index)):
            at = self._enlarged_box(box, part)
            if at is None:
                continue
            hole = owner[at] > 0
            mix = np.minimum(alpha[at], 1)[..., None] * hole[..., None]
            fill, finished, guess, around = self._fill(index, box, part, keys, at)
            mixed = full[at] * (1 - mix) + finished * mix
            plate[at] = np.where(hole[..., None], np.clip(np.round(mixed), 0, 255).astype(np.uint8), full[at])
            raw[at] = np.where((hole | around)[..., None], np.clip(np.round(fill), 0, 255).astype(np.uint8), full[at])
            unseen[at] = np.where(hole, guess, 0)
        source = Source(index, self.window.smaller(raw), self.window.missed(index), self.window.smaller(unseen))
        return Key(plate, unseen, raw, source)

    def _enlarged_box(self, box, part):
        """Slices of the film's size about the hole `part` of a box, with a rim; None where nothing of it is left there."""
        x0, y0, x1, y1 = box
        inner = part[y0:y1, x0:x1]
        ys, xs = np.flatnonzero(inner.any(1)), np.flatnonzero(inner.any(0))
        out = []
        for first, last, start, end, scale in ((ys[0], ys[-1], y0, y1, self._scale[1]), (xs[0], xs[-1], x0, x1, self._scale[0])):
            out.append((max(start, start + first - SOFT_PX), min(end, start + last + 1 + SOFT_PX), scale))
        return tuple(slice(int(np.floor(a * s)), int(np.ceil(b * s))) for a, b, s in out)

    # -- what hides behind one hole

    def _fill(self, index, box, part, keys, at):
        """Fill the hole `part` of the smaller size in the box: plain fill for the memory, finished fill for the eye and unseen 0..255, of the slices
        `at` of the film's size. keys: the two key frames around, [] for a key frame."""
        x0, y0, x1, y1 = box
        inner = part[y0:y1, x0:x1]
        target = Target(self.window.rgb(index), self.window.hole(index), box, self.window.hidden(index))
        if keys:
            plates = [self._keys[number].source for number in keys]
            sources_of = lambda hole, plane=None: plates
            nearness = lambda source: 1 - abs(source.index - index) / (keys[1] - keys[0])
        else:
            sources_of = lambda hole, plane=None: [
                Source(i, self.window.rgb(i), self.window.hidden(i)) for i in choose_sources(self.window, self.registration, index, box, hole, plane)
            ]
            nearness = lambda source: np.exp(-abs(source.index - index) / 40)
        sources = sources_of(inner)
        found = [(source, self._aligned(target, index, source, box)) for source in sources]
        found = [(source, patch) for source, patch in found if patch is not None]
        limit = min((patch.error for _, patch in found), default=0) * 1.5 + MISFIT_LEVELS
        found = [(source, patch) for source, patch in found if patch.error <= limit]
        planes, standing = self.registration.planes(index, box)
        if found and planes:
            sources, patches = zip(*found)
            maps = [[self.registration.over_plane(index, source.index, plane) for source in sources] for plane in planes]
            found = list(zip(sources, target.over_planes(sources, patches, maps)))
        before = None if keys else self._before(target, index, box)
        front, near = self._standing(target, index, inner, standing, sources_of)
        if near:
            for _, patch in [*found, *([before] if before else [])]:
                patch.valid &= ~front
            found += near
        band = grow_mask(inner, SEAM_PX) & target.known
        soft = grow_mask(inner, SOFT_PX) & target.known
        work = inner | soft
        patches = [patch for _, patch in found]
        weights = [patch.valid * np.float32(nearness(source) * np.exp(-(patch.error - min(p.error for p in patches)) / 3)) for source, patch in found]
        guesses = [(source, patch) for source, patch in [*found, *([before] if before else [])] if patch.unseen is not None]
        for (_, patch), weight in zip(found, weights):
            if patch.unseen is not None:
                weight *= patch.unseen < GUESSED
        if before is not None:  # counts like half of all others together: enough against flicker, too little for drift
            total = np.sum(weights, 0) if weights else np.float32(0)
            found.append(before)
            weights.append((before[1].valid & (before[1].unseen < GUESSED)) * (0.6 * total + np.float32(1e-3)))
        fill, seen, copies, shares = _blend([patch for _, patch in found], weights, work)
        guess = np.where(seen, 0, 255).astype(np.uint8)
        for (_, patch), share in zip(found, shares):
            if patch.unseen is not None:  # a plate of a place that was seen in the shadow only
                guess = np.where(seen & (share > 0.3), np.maximum(guess, patch.unseen), guess)
        missing = inner & ~seen
        relit = self._relit(index) if missing.any() and not keys else None
        if relit is not None:
            picture, where = relit[0][y0:y1, x0:x1], missing & relit[1][y0:y1, x0:x1]
            fill[where] = picture[where]
            guess[where] = RELIT
            missing &= ~where
        if missing.any() and not keys and self.window.anybody_missed:
            # Beside somebody whom no mask has most frames may still show the background, but who knows which.
            doubtful = choose_sources(self.window, self.registration, index, box, missing, doubtful=True)
            more = [self._aligned(target, index, Source(i, self.window.rgb(i), self.window.hole(i)), box) for i in doubtful]
            more = [patch for patch in more if patch is not None]
            mostly, shown, _, _ = _blend(more, [patch.valid * np.float32(1) for patch in more], missing)
            fill[shown], guess[shown] = mostly[shown], 255
            missing &= ~shown
        if missing.any() and guesses:
            carried, shown, _, _ = _blend([patch for _, patch in guesses], [patch.valid * np.float32(nearness(source)) for source, patch in guesses], missing)
            fill[shown], guess[shown] = carried[shown], 255
            missing &= ~shown
        if missing.any():
            known = target.known | (inner & ~missing)
            picture = np.where(target.known[..., None], target.rgb, fill)
            holes = ~known  # other people's holes in the box must not be copied from either
            allowed = target.known if target.known.mean() > 0.1 else known
            fill[missing] = complete(picture, holes, allowed, seed=index)[missing]
        return self._finish(index, target, fill, inner, band & seen, seen, guess, copies, list(zip(found, shares)), at, soft & seen)

    def _aligned(self, target: Target, index, source: Source, box) -> Patch | None:
        self._tick()
        H = self.registration.homography(index, source.index, box)
        patch = target.align(source, H, self.registration.pairs(index, source.index, box) if self._refine else None)
        if not self._refine and patch is not None and patch.error > STATIC_MISFIT_LEVELS:
            bent = target.align(source, H, (np.zeros((0, 2)), np.zeros((0, 2))))
            if bent is not None and bent.error < 0.8 * patch.error:
                return bent
        return patch

    def _before(self, target: Target, index, box) -> tuple[Source, Patch] | None:
        """The key frame before, brought over."""
        key = self._keys.get(max((number for number in self._keys if number < index), default=None))
        patch = self._aligned(target, index, key.source, box) if key is not None else None
        return None if patch is None else (key.source, patch)

    def _standing(self, target: Target, index, inner, standing, sources_of) -> tuple[np.ndarray, list[tuple[Source, Patch]]]:
        """Where posts and trees before the background show (h, w) bool, and those alone from each source that sees them in the hole."""
        front, found = np.zeros(inner.shape, bool), []
        columns = np.arange(target.box[0], target.box[2])
        for plane, (first, last) in standing:
            allowed = (columns >= first - BESIDE_PX) & (columns <= last + BESIDE_PX) & ~front
            if not (inner & allowed).any():
                continue
            near = [(source, target.align(source, self.registration.over_plane(index, source.index, plane))) for source in sources_of(inner & allowed, plane)]
            near = [(source, patch) for source, patch in near if patch is not None]
            shown = in_front(target, [patch for _, patch in near], allowed) if near else front
            front = front | shown
            found += [(source, replace(patch, valid=patch.valid & shown)) for source, patch in near]
        return front, found if (front & inner).any() else []

    def _relit(self, index):
        """The frame with the light put back into its shadows, float32 (h, w, 3) 0..255, and where that may be used (h, w) bool; or None."""
        darker = self._erase.only_darker(index) if self._light is not None else None
        if darker is None:
            return None
        where, depth = self.window.smaller(darker[0].astype(np.uint8)) > 0, self.window.smaller(darker[1])
        gain = np.asarray(self._light.shade, np.float32) ** -depth[..., None]
        light = lights.linear(self.window.rgb(index))
        lit, known = light * gain, ~self.window.hole(index)
        size = (RELIT_AROUND_PX, RELIT_AROUND_PX)
        usual = cv2.blur(light.mean(-1) * known, size) / np.maximum(cv2.blur(known.astype(np.float32), size), 1e-3)
        # As bright as the ground in the light would be, lit again: the shadow is not where it was thought.
        too_bright = cv2.blur(lit.mean(-1), (9, 9)) > usual * np.mean(self._light.shade) ** -0.65
        return lights.encoded(np.where(too_bright[..., None], light, lit)), where

    # -- the film's size

    def _finish(self, index, target, fill, inner, band, seen, guess, copies, shares, at, soft):
        """Fill, finished fill, unseen and where else there is a fill, of the slices `at`: the seam hidden by a smooth correction, and the grain given back that averaging took."""
        correction = None
        if band.sum() > 20:
            difference = np.clip(target.rgb - fill, -SEAM_LIMIT, SEAM_LIMIT)
            correction = cv2.GaussianBlur(push_pull(difference, band.astype(np.float32)), (0, 0), 3)
            depth = cv2.distanceTransform(inner.astype(np.uint8), cv2.DIST_L2, 5)
            correction *= np.exp(-depth / SEAM_REACH_PX)[..., None]
        noise = float(np.median([patch.noise for (_, patch), _ in shares])) if shares else 0.0
        grain = target.grain
        enlarge = self._enlarge(target.box, at)
        if (self._scale > 1).any():
            hidden = self.window.owner(index)[at] > 0
            grain, _ = grain_of(cv2.cvtColor(self.window.full(index)[at], cv2.COLOR_RGB2GRAY), ~hidden)
            noise *= grain / max(target.grain, 1e-3) if target.grain > 0 else 0
            fill = self._from_film(shares, enlarge(fill), enlarge(seen.astype(np.float32)), enlarge)
        else:
            fill = enlarge(fill)
        self.grain.append(grain)
        out = fill if correction is None else fill + enlarge(correction)
        if noise > 0.4:
            speckle = np.random.default_rng(index).standard_normal(fill.shape[:2], np.float32)
            speckle = cv2.GaussianBlur(speckle, (0, 0), 0.6)
            speckle /= max(float(speckle.std()), 1e-6)
            missing = np.sqrt(np.clip(1 - 1 / np.maximum(enlarge(copies), 1), 0, 1))
            out = out + (min(noise, 6.0) * missing * speckle)[..., None]
        return fill, out, enlarge(guess, cv2.INTER_NEAREST), enlarge(soft.view(np.uint8), cv2.INTER_NEAREST) > 0

    def _enlarge(self, box, at):
        """A function that brings what is known of a box of the smaller size, (h, w) or (h, w, C), into the slices `at` of the film's."""
        rows, columns = at
        if (self._scale == 1).all():
            inside = slice(rows.start - box[1], rows.stop - box[1]), slice(columns.start - box[0], columns.stop - box[0])
            return lambda picture, how=None: picture[inside]
        x = (np.arange(columns.start, columns.stop, dtype=np.float32) + 0.5) / self._scale[0] - 0.5 - box[0]
        y = (np.arange(rows.start, rows.stop, dtype=np.float32) + 0.5) / self._scale[1] - 0.5 - box[1]
        where = np.meshgrid(x, y)
        return lambda picture, how=cv2.INTER_LINEAR: cv2.remap(picture, *where, how, borderMode=cv2.BORDER_REPLICATE)

    def _from_film(self, shares, fallback, seen, enlarge):
        """What was decided in the smaller size, from pixels of the film's. fallback (H, W, 3) float32, and seen (H, W) 0..1: where it is not needed."""
        total, weights = np.zeros_like(fallback), np.zeros(fallback.shape[:2], np.float32)
        for (source, patch), share in shares:
            if not share.any():
                continue
            self._tick()
            weight = enlarge(share)
            where = (enlarge(patch.where) + np.float32(0.5)) * self._scale - np.float32(0.5)
            picture = self._keys[source.index].raw if source.unseen is not None else self.window.full(source.index)
            taken = cv2.remap(picture, where, None, cv2.INTER_CUBIC, borderMode=cv2.BORDER_REPLICATE)
            total += (taken * patch.exposure[0] + patch.exposure[1]) * weight[..., None]
            weights += weight
        known = (weights > 1e-3) & (seen > 0.5)
        return np.where(known[..., None], total / np.maximum(weights, 1e-3)[..., None], fallback)


def _blend(patches, weights, work):
    """Robust average over the patches: the colour at the weighted median of their brightness, and all that agree with it.

    weights: (h, w) float32 each, 0 where a patch says nothing. work: (h, w) bool.
    Returns fill (h, w, 3) float32, seen (h, w) bool, how many copies were averaged (h, w), and each patch's share (h, w).
    """
    fill = np.zeros(work.shape + (3,), np.float32)
    copies = np.zeros(work.shape, np.float32)
    seen = np.zeros(work.shape, bool)
    if not patches:
        return fill, seen, copies, []
    colours, weights = np.stack([p.rgb[work] for p in patches]).astype(np.float32), np.stack([w[work] for w in weights])  # (k, n, 3), (k, n)
    total = weights.sum(0)
    bright = colours @ np.array([0.3, 0.6, 0.1], np.float32)
    order = np.argsort(bright, 0)
    running = np.cumsum(np.take_along_axis(weights, order, 0), 0)
    middle = np.take_along_axis(order, (running < 0.5 * total).sum(0).clip(0, len(order) - 1)[None], 0)[0]
    centre = colours[middle, np.arange(colours.shape[1])]
    tolerance = 8.0 + 2 * float(np.median([p.noise for p in patches]))
    agree = weights * np.exp(-((colours - centre) ** 2).sum(2) / (3 * tolerance**2))
    norm = agree.sum(0)
    fill[work] = (agree[..., None] * colours).sum(0) / np.maximum(norm, 1e-9)[:, None]
    seen[work] = total > 0
    copies[work] = norm**2 / np.maximum((agree**2).sum(0), 1e-12)
    shares = []
    for share in agree / np.maximum(norm, 1e-9):
        shares.append(np.zeros(work.shape, np.float32))
        shares[-1][work] = share
    return fill, seen, copies, shares
