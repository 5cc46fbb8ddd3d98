"""plate: V_b, the shot without its people. Every hidden pixel comes from frames that show it, registered to the frame at hand;
what no frame shows is marked in `unseen/` and filled with a guess that stays put. The shadows that people cast on the ground go with
them where the light is known; where the ground is never seen without its shadow it is lit again. Reflections remain.

`erase/` says whose each erased pixel is, so that any subset of the people can be erased later. All other pixels are the original's,
bit for bit.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np

from ..movie import MovieWriter
from ..records import save_text
from ..take import write_image, write_mask
from . import belongs
from . import light as lights
from .erase import Erase, cast_shadows
from .guess import complete
from .pushpull import push_pull
from .register import Registration
from .sources import Patch, Target, best_of_planes, choose_sources, in_front
from .window import MEMORY_BYTES, Window, grow_mask, regions

GROW_WIDTH = 0.015  # the masks grow by this part of the picture's width
STATIC_MISFIT_LEVELS = 3.0  # a locked-off camera that shakes a little shows by this grey difference
SEAM_PX = 4  # the fill is compared with the picture in a band of this width around the hole
SEAM_REACH_PX = 25.0  # and corrected towards it over this depth
SEAM_LIMIT = 15.0  # grey levels
RELIT_AROUND_PX = 101  # about a shadow, whose light says whether it is one
RELIT = 100  # in `unseen/`: seen, but only in shadow
BESIDE_PX = 6  # beside its points something that stands before the background may still reach
LOOK_EVERY = 6  # every sixth frame of the plate is searched for people who are still there
LOOK_SCORE = 0.4
EDGE_PX = 0.82  # what edge_softness reads from an edge that was rendered without blur, Sobel's own included
EDGE_REACHES, EDGE_LEVELS, EDGES = (4, 8), 40, 8  # px to both sides of an edge, its least height, and how many tell
MISFIT_LEVELS = 4.0  # a source that differs by this much more than the best one is left out


def run(
    shot, frames, masks: Callable[[int], np.ndarray], camera, slam, take_dir, report, bodies=None, detect=None, thorough=True
) -> dict:
    """Build the clean plate of a shot.

    frames:  read(i) gives RGB uint8 (H, W, 3).
    masks:   index to person indices (H, W) uint8.
    camera:  Camera in the world or None; where slam is None, a turning camera.
    slam:    Slam or None.
    bodies:  index to vertices (list of (V, 3) m in the world), their ids and faces (F, 3); None: shadows stay.
    detect:  picture to boxes (N, 4) px and scores (N,) of people, to look at the plate with; None: nobody looks.
    thorough: what hangs on people and is in no mask is looked for first, see `belongs`.
    Writes take_dir/plate/%06d.png, plate/unseen/%06d.png, plate/erase/%06d.png, plate/plate.mp4, plate/plate.json.
    Returns what plate.json says.
    """
    verdict = slam.verdict if slam is not None else ("rotation" if camera is not None else "full")
    folder = Path(take_dir) / "plate"
    beside = Path(take_dir) / "plate.part"
    shutil.rmtree(beside, ignore_errors=True)
    (beside / "unseen").mkdir(parents=True)
    (beside / "erase").mkdir()
    grow = max(3, round(GROW_WIDTH * shot.width))
    light = None
    if bodies is not None and camera is not None:
        report.progress(0, shot.frames, "light of the film")
        light = lights.estimate(frames.read, masks, camera, lambda i: bodies(i)[0], shot.frames, grow)
    sure = light is not None and light.sure >= lights.LEAST
    shadows = cast_shadows(light, bodies, camera, shot.width, shot.height) if sure else None
    if thorough:
        tick = lambda index: report.progress(index, 2 * shot.frames, "what belongs to people")
        masks = belongs.extended(shot, frames, masks, shadows, verdict, camera, slam, tick)
    painter = Painter(shot, frames, Erase(masks, grow, shadows), verdict, camera, slam, light)
    hidden = guessed = 0
    per_frame, left, level, softness = [], [], [], []
    with MovieWriter(beside / "plate.mp4", shot.fps) as movie:
        for index in range(shot.frames):
            report.progress(*((shot.frames + index, 2 * shot.frames) if thorough else (index, shot.frames)), "clean plate")
            plate, unseen = painter.paint(index)
            write_image(beside / f"{index:06d}.png", plate)
            write_image(beside / "unseen" / f"{index:06d}.png", unseen)
            write_mask(beside / "erase" / f"{index:06d}.png", painter.window.owner(index))
            movie.write(plate)
            hole = painter.window.hole(index)
            if index % LOOK_EVERY == 0:
                level.append(np.percentile(lights.linear(plate).mean(-1), 95))
                softness.append(edge_softness(painter.window.gray(index), masks(index)))
                if detect is not None and _somebody(detect(plate), hole):
                    left.append(index)
            hidden += int(hole.sum())
            guessed += int((unseen > 127).sum())
            per_frame.append(float((unseen > 127).mean()))
    pixels = shot.frames * shot.width * shot.height
    share = guessed / max(hidden, 1)
    if guessed / pixels > 0.005:
        report.warn(
            f"{100 * share:.0f}% of what the people hide is never shown by this shot. The clean plate guesses it there; "
            "plate/unseen marks where. Paint those parts over if they stay in view."
        )
    facts = {
        "method": verdict,
        "hidden_share": hidden / pixels,
        "unseen_share": guessed / pixels,
        "unseen_share_of_hidden": share,
        "worst_frame": int(np.argmax(per_frame)) if per_frame else 0,
        "light": light.to_json() if light is not None else None,
        "grain": float(np.median(painter.grain)) if painter.grain else 0.0,
        "level": float(np.median(level)),
        "softness_px": float(np.nanmedian(softness)) if np.isfinite(softness).any() else 0.0,
        "looked_at": len(range(0, shot.frames, LOOK_EVERY)) if detect is not None else 0,
        "somebody_left": left,
    }
    save_text(beside / "plate.json", json.dumps(facts, indent=1))
    shutil.rmtree(folder, ignore_errors=True)
    beside.rename(folder)
    report.progress(shot.frames, shot.frames, "clean plate")
    return facts


def edge_softness(gray, people) -> float:
    """How soft the outlines of people are: standard deviation of the blur, px, beyond a rendered edge's own. NaN without people.

    A step of height h under a Gaussian has its steepest slope h / (sigma * sqrt(2 pi)). Only steps that rise all the way across count: what
    textures beside an edge add to its height would make it look soft. Of those the sharper ones, as others are blurred by their own motion.
    """
    edge = cv2.morphologyEx((people > 0).astype(np.uint8), cv2.MORPH_GRADIENT, np.ones((5, 5))) > 0
    gray = gray.astype(np.float32)
    x, y = (cv2.Sobel(gray, cv2.CV_32F, *axis, scale=1 / 8) for axis in ((1, 0), (0, 1)))
    slope = np.hypot(x, y)
    rows, columns = np.nonzero(edge & (slope >= cv2.dilate(slope, np.ones((3, 3))) - 1e-3) & (slope > 2))
    if len(rows) < EDGES:
        return float("nan")
    slope, sigma = slope[rows, columns], np.nan
    across = np.stack([x[rows, columns], y[rows, columns]]) / slope
    for reach in EDGE_REACHES:
        steps = np.arange(-reach, reach + 1, dtype=np.float32)[:, None]
        at = [(start + steps * way).astype(np.float32) for start, way in zip((columns, rows), across)]
        profile = cv2.remap(gray, *at, cv2.INTER_LINEAR)
        height = profile[-1] - profile[0]
        use = (height > EDGE_LEVELS) & (np.diff(profile, axis=0) > -0.05 * np.abs(height)).all(0)
        if use.sum() < EDGES:
            break
        sigma = float(np.percentile(height[use] / (slope[use] * np.sqrt(2 * np.pi)), 25))
        if sigma < reach / 3:
            break
    return float(np.sqrt(max(sigma**2 - EDGE_PX**2, 0))) if np.isfinite(sigma) else float("nan")


def _somebody(found, hole) -> bool:
    """Whether one of the found people stands where people were erased."""
    for box, score in zip(*found):
        x0, y0, x1, y1 = (int(v) for v in np.round(box))
        inside = hole[max(y0, 0) : y1, max(x0, 0) : x1]
        if score >= LOOK_SCORE and inside.size and inside.mean() > 0.3:
            return True
    return False


class Painter:
    """Paints one frame after the other; each remembers the one before, so that the fill does not flicker."""

    def __init__(self, shot, frames, erase, verdict, camera, slam, light=None, memory_bytes: float = MEMORY_BYTES):
        self._erase, self._light = erase, light
        self.grain = []  # standard deviation of the film's grain, grey levels, one a hole
        self.window = Window(frames, erase.owners, shot.frames, shot.width, shot.height, memory_bytes)
        self.registration = Registration(self.window, verdict, camera, slam)
        self._refine = verdict != "static"
        self._before = None  # (index, fill without seam and grain, unseen) of the frame before

    def paint(self, index: int) -> tuple[np.ndarray, np.ndarray]:
        """Plate (H, W, 3) uint8 and unseen (H, W) uint8 of frame `index`; call with rising indices."""
        self.window.move_to(index)
        rgb, hole = self.window.rgb(index), self.window.hole(index)
        plate, raw = rgb.copy(), rgb.copy()
        unseen = np.zeros(hole.shape, np.uint8)
        alpha = np.clip(cv2.distanceTransform(hole.astype(np.uint8), cv2.DIST_L2, 5) / (0.5 * self._erase.grow), 0, 1)
        for box, part in regions(hole):
            x0, y0, x1, y1 = box
            fill, finished, guess = self._fill(index, box, part)
            mix = (alpha[y0:y1, x0:x1] * part[y0:y1, x0:x1])[..., None]
            for canvas, content in ((plate, finished), (raw, fill)):
                region = canvas[y0:y1, x0:x1]
                mixed = region * (1 - mix) + content * mix
                region[:] = np.where(mix > 0, np.clip(np.round(mixed), 0, 255).astype(np.uint8), region)
            unseen[y0:y1, x0:x1][part[y0:y1, x0:x1]] = guess[part[y0:y1, x0:x1]]
        self._before = (index, raw, unseen)
        return plate, unseen

    def _fill(self, index, box, part):
        """Fill the hole `part` in the box: plain fill for the memory, finished fill for the eye, unseen 0..255."""
        rgb = self.window.rgb(index)
        x0, y0, x1, y1 = box
        inner = part[y0:y1, x0:x1]
        target = Target(rgb, self.window.hole(index), box)
        self.grain.append(target.grain)
        patches, distances, sources = [], [], []
        for source in choose_sources(self.window, self.registration, index, box, inner):
            patch = self._aligned(target, index, source, box)
            if patch is not None:
                patches.append(patch)
                distances.append(abs(source - index))
                sources.append(source)
        if patches:
            limit = min(p.error for p in patches) * 1.5 + MISFIT_LEVELS
            kept = [i for i, p in enumerate(patches) if p.error <= limit]
            patches, distances, sources = ([found[i] for i in kept] for found in (patches, distances, sources))
        planes, standing = self.registration.planes(index, box)
        if patches and planes:
            patches = self._over_planes(target, index, sources, planes, patches)
        before = self._carried(target, index, box)
        front, near = self._standing(target, index, box, inner, standing)
        if near:
            far = [*patches, before] if before is not None else patches
            for patch in far:
                patch.valid &= ~front
            patches, distances = [*patches, *near.values()], [*distances, *(abs(source - index) for source, _ in near)]
        band = grow_mask(inner, SEAM_PX) & ~self.window.hole(index)[y0:y1, x0:x1]
        work = inner | band
        fill, seen, copies = _blend(patches, distances, before, work)
        guess = np.where(seen, 0, 255).astype(np.uint8)
        missing = inner & ~seen
        relit = self._relit(index) if missing.any() else None
        if relit is not None:
            picture, where = relit[0][y0:y1, x0:x1], missing & relit[1][y0:y1, x0:x1]
            fill[where] = picture[where]
            guess[where] = RELIT
            missing &= ~where
        if before is not None and before.valid[missing].any():
            carried = missing & before.valid
            fill[carried] = before.rgb[carried]
            guess[carried] = np.maximum(before.unseen[carried], 0)
            missing &= ~carried
        if missing.any():
            known = target.known | (inner & ~missing)
            picture = np.where(target.known[..., None], target.rgb, fill)
            holes = ~known  # other people's holes in the box must not be copied from either
            allowed = target.known if target.known.mean() > 0.1 else known
            fill[missing] = complete(picture, holes, allowed, seed=index)[missing]
        finished = self._finish(index, target, fill, inner, band & seen, patches, copies)
        return fill, finished, guess

    def _aligned(self, target: Target, index, source, box) -> Patch | None:
        H = self.registration.homography(index, source, box)
        rgb, hole = self.window.rgb(source), self.window.hole(source)
        patch = target.align(rgb, hole, H, self._pairs(index, source, box))
        if not self._refine and patch is not None and patch.error > STATIC_MISFIT_LEVELS:
            bent = target.align(rgb, hole, H, (np.zeros((0, 2)), np.zeros((0, 2))))
            if bent is not None and bent.error < 0.8 * patch.error:
                return bent
        return patch

    def _over_planes(self, target: Target, index, sources, planes, bent: list[Patch]) -> list[Patch]:
        """The bent patches, but each pixel over the plane on which the sources agree best with each other and with the rim."""
        sweeps = [bent]
        for plane in planes:
            over = self._over_plane(target, index, sources, plane)
            sweeps.append([over.get(source) or replace(patch, valid=np.zeros_like(patch.valid)) for source, patch in zip(sources, bent)])
        return best_of_planes(target, sweeps)

    def _standing(self, target: Target, index, box, inner, standing) -> tuple[np.ndarray, dict[tuple, Patch]]:
        """Where posts and trees before the background show (h, w) bool, and those alone from each source that sees them in the hole, by (source, post)."""
        front, found = np.zeros(inner.shape, bool), {}
        columns = np.arange(box[0], box[2])
        for plane, (first, last) in standing:
            allowed = (columns >= first - BESIDE_PX) & (columns <= last + BESIDE_PX) & ~front
            if not (inner & allowed).any():
                continue
            near = self._over_plane(target, index, choose_sources(self.window, self.registration, index, box, inner & allowed, plane), plane)
            shown = in_front(target, list(near.values()), allowed) if near else front
            front = front | shown
            found |= {(source, first): replace(patch, valid=patch.valid & shown) for source, patch in near.items()}
        return front, found if (front & inner).any() else {}

    def _over_plane(self, target, index, sources, plane) -> dict[int, Patch]:
        """Each source over one plane, but for those that show nothing of the hole so."""
        found = {}
        for source in sources:
            patch = target.align(self.window.rgb(source), self.window.hole(source), self.registration.over_plane(index, source, plane))
            if patch is not None:
                found[source] = patch
        return found

    def _relit(self, index):
        """The frame with the light put back into its shadows, float32 (H, W, 3) 0..255, and where that may be used (H, W) bool; or None."""
        darker = self._erase.only_darker(index) if self._light is not None else None
        if darker is None:
            return None
        where, depth = darker
        gain = np.asarray(self._light.shade, np.float32) ** -depth[..., None]
        light = lights.linear(self.window.rgb(index))
        lit, known = light * gain, ~self.window.hole(index)
        size = (RELIT_AROUND_PX, RELIT_AROUND_PX)
        usual = cv2.blur(light.mean(-1) * known, size) / np.maximum(cv2.blur(known.astype(np.float32), size), 1e-3)
        # As bright as the ground in the light would be, lit again: the shadow is not where it was thought.
        too_bright = cv2.blur(lit.mean(-1), (9, 9)) > usual * np.mean(self._light.shade) ** -0.65
        return lights.encoded(np.where(too_bright[..., None], light, lit)), where

    def _pairs(self, index, source, box):
        return self.registration.pairs(index, source, box) if self._refine else None

    def _carried(self, target: Target, index, box) -> Patch | None:
        if self._before is None or self._before[0] != index - 1:
            return None
        _, raw, unseen = self._before
        H = self.registration.homography(index, index - 1, box)
        return target.align(raw, None, H, self._pairs(index, index - 1, box), unseen)

    def _finish(self, index, target, fill, inner, band, patches, copies):
        """Hide the seam with a smooth correction and give back the grain that averaging took."""
        out = fill
        if band.sum() > 20:
            difference = np.clip(target.rgb - fill, -SEAM_LIMIT, SEAM_LIMIT)
            correction = cv2.GaussianBlur(push_pull(difference, band.astype(np.float32)), (0, 0), 3)
            depth = cv2.distanceTransform(inner.astype(np.uint8), cv2.DIST_L2, 5)
            out = out + correction * np.exp(-depth / SEAM_REACH_PX)[..., None]
        noise = float(np.median([p.noise for p in patches])) if patches else 0.0
        if noise > 0.4:
            grain = np.random.default_rng(index).normal(size=inner.shape).astype(np.float32)
            grain = cv2.GaussianBlur(grain, (0, 0), 0.6)
            grain /= max(float(grain.std()), 1e-6)
            missing = np.sqrt(np.clip(1 - 1 / np.maximum(copies, 1), 0, 1))
            out = out + (min(noise, 6.0) * missing * grain)[..., None]
        return out


def _blend(patches, distances, before, work):
    """Robust average over the sources: the colour at the weighted median of their brightness, and all that agree with it.

    Returns fill (h, w, 3) float32, seen (h, w) bool, and how many copies were averaged (h, w).
    """
    fill = np.zeros(work.shape + (3,), np.float32)
    seen = np.zeros(work.shape, bool)
    copies = np.zeros(work.shape, np.float32)
    if not patches:
        if before is not None:
            good = before.valid & (before.unseen < 128)
            fill[good], seen = before.rgb[good], good & work
        return fill, seen, copies
    best = min(p.error for p in patches)
    colours = [p.rgb[work] for p in patches]
    weights = [
        p.valid[work] * np.float32(np.exp(-d / 40) * np.exp(-(p.error - best) / 3)) for p, d in zip(patches, distances)
    ]
    if before is not None:  # counts like half of all others together: enough against flicker, too little for drift
        total = np.sum(weights, 0)
        colours.append(before.rgb[work])
        weights.append((before.valid & (before.unseen < 128))[work] * (0.6 * total + 1e-3))
    colours, weights = np.stack(colours), np.stack(weights)  # (k, n, 3), (k, n)
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
    return fill, seen, copies
