"""Stage *masks*: whose each pixel is, decided for all people together once the camera, the background and the bodies are known.

Each person's net saw that person alone. Here one decision a frame (`label`) weighs the nets, the bodies of the first f_H, colours of each person and of the
background over the whole shot, and the registered background: what other frames do not show in its place is somebody.
"""

from __future__ import annotations

from types import SimpleNamespace

import cv2
import numpy as np

from ..plate import belongs
from ..plate.register import Registration, scaled, scaled_slam
from ..plate.sources import choose_sources
from ..plate.window import Window, regions
from ..raster import rasterise
from .label import BINS, Evidence, bins, label, models
from .soft import small_size

REACH = 0.1  # of a person's size: how far around nets and bodies the background is asked for
SOURCES = 3  # frames that show it
LEVELS = 14.0  # grey levels beyond the grain by which something differs from it
LEARNT = 40  # frames that colours are taken from
NEAR = 0.05  # of the picture's width: the background whose colours count


def run(shot, frames, drawn, soft, people, camera, slam, model, report):
    """Yields (index, person indices (H, W) uint8) of the frames whose mask changes.

    frames: read(i) gives RGB. drawn(i): the masks so far, person indices (H, W). soft(i): row of `people` -> its net's mask (h, w) uint8 in the
    small size, {} for whom no net was asked about; None where no net was. people, camera: S_w of the first f_H and the camera it is seen by, in one world. slam: Ĉ.
    """
    scene = _Scene(shot, frames, drawn, soft, people, camera, slam, model)
    colours = scene.colours()
    for index in range(shot.frames):
        report.progress(index, shot.frames, "Whose each pixel is")
        if soft(index) is None:
            continue
        before = drawn(index)
        evidence, at = scene.evidence(index)
        labels = np.zeros((scene.height, scene.width), np.uint8)
        labels[at] = np.r_[0, people.ids].astype(np.uint8)[label(evidence, colours)]
        after = enlarged(labels, scene.small(before), before)
        after = np.where(np.isin(before, [0, *people.ids]), after, before)  # who is in no net's hand stays
        if not np.array_equal(after, before):
            yield index, after


def enlarged(labels, before, full) -> np.ndarray:
    """A mask (H, W) in the film's size: `full`, but where small labels (h, w) changed what was there `before`."""
    if labels.shape == full.shape:
        return labels
    size = full.shape[::-1]
    changed = cv2.resize((labels != before).astype(np.float32), size, interpolation=cv2.INTER_LINEAR) > 0.25
    out, best = full.copy(), np.zeros(full.shape, np.float32)
    for person in np.unique(labels):
        share = cv2.resize((labels == person).astype(np.float32), size, interpolation=cv2.INTER_LINEAR)
        mine = changed & (share > best)
        out[mine], best[mine] = person, share[mine]
    return out


class _Scene:
    """A shot in the small size: its pictures, bodies and background."""

    def __init__(self, shot, frames, drawn, soft, people, camera, slam, model):
        from ..world.world import posed

        self.width, self.height = small_size(shot.width, shot.height)
        x, y = self.width / shot.width, self.height / shot.height
        self._frames, self._drawn, self._soft, self._people, self._count = frames, drawn, soft, people, shot.frames
        _, _, self._vertices = posed(people, model)
        self._faces, self._drawings = model.faces.numpy(), {}
        self._camera = scaled(camera, x, y)
        seen = people.visible
        self._between = np.logical_or.accumulate(seen, 1) & np.logical_or.accumulate(seen[:, ::-1], 1)[:, ::-1]
        self._window = Window(SimpleNamespace(read=self.rgb), self._wide, shot.frames, self.width, self.height)
        self._shown = not slam.unknown  # else nobody knows where other frames have the background
        self._registration = Registration(self._window, slam.verdict, None, scaled_slam(slam, x, y))

    def rgb(self, index):
        return cv2.resize(self._frames.read(index), (self.width, self.height), interpolation=cv2.INTER_AREA)

    def small(self, mask):
        return cv2.resize(mask, (self.width, self.height), interpolation=cv2.INTER_NEAREST)

    def bodies(self, index):
        """Silhouettes (P, h, w) bool of those who are there or were before and will be again, and row + 1 of the nearest (h, w)."""
        if index not in self._drawings:
            shape = self.height, self.width
            sides, front, depth = np.zeros((len(self._people.ids), *shape), bool), np.zeros(shape, np.uint8), np.full(shape, np.inf, np.float32)
            for p in np.flatnonzero(self._between[:, index]):
                _, z = rasterise(self._vertices(p, index), self._faces, self._camera.T_world_from_cam[index], self._camera.K[index], self.width, self.height)
                sides[p] = np.isfinite(z)
                nearer = z < depth
                front[nearer], depth[nearer] = p + 1, z[nearer]
            self._drawings[index] = np.packbits(sides), sides.shape, front
        packed, shape, front = self._drawings[index]
        return np.unpackbits(packed, count=int(np.prod(shape))).reshape(shape).astype(bool), front

    def _wide(self, index):
        drawn, front = self.small(self._drawn(index)), self.bodies(index)[1]
        return belongs.around(np.where(drawn > 0, drawn, front), None, REACH)

    def colours(self):
        """`label.models` of the shot: people where nets and bodies agree, the background beside them."""
        counts = np.zeros((len(self._people.ids) + 1, BINS**3))
        reach = int(NEAR * self.width)
        for index in np.unique(np.linspace(0, self._count - 1, min(LEARNT, self._count)).astype(int)):
            drawn, front, colour = self.small(self._drawn(index)), self.bodies(index)[1], bins(self.rgb(index))
            for p, person in enumerate(self._people.ids):
                counts[p + 1] += np.bincount(colour[(drawn == person) & (front == p + 1)], minlength=BINS**3)
            distance = cv2.distanceTransform((drawn == 0).astype(np.uint8), cv2.DIST_L2, 3) if drawn.any() else np.zeros(drawn.shape)
            counts[0] += np.bincount(colour[(distance > 4) & (distance < reach)], minlength=BINS**3)
        return models(counts)

    def evidence(self, index) -> tuple[Evidence, tuple]:
        """What is known of the part of a frame in which people can be, and where that is, as slices."""
        self._window.move_to(index)
        (bodies, front), said = self.bodies(index), self._soft(index)
        self._drawings.pop(index - self._window.slots, None)
        nets, asked = np.zeros(bodies.shape, np.float32), np.zeros(len(bodies), bool)
        for p, mask in said.items():
            nets[p], asked[p] = mask / np.float32(255), True
        known, strange = (np.zeros(front.shape, bool) for _ in range(2))
        hole = self._window.hole(index)
        for box, part in regions(hole) if self._shown else ():
            x0, y0, x1, y1 = box
            inner = part[y0:y1, x0:x1]
            told = belongs.Comparison(self._window, self._registration, index, box, inner)
            for source in choose_sources(self._window, self._registration, index, box, inner)[:SOURCES]:
                told.add(source)
            here = inner & (told.known > 0)
            known[y0:y1, x0:x1] |= here
            strange[y0:y1, x0:x1] |= here & (told.least > LEVELS + 3 * told.noise)
        wide = hole | (nets > 0).any(0)
        at = tuple(slice(found[0], found[-1] + 1) if len(found) else slice(0) for found in (np.flatnonzero(wide.any(axis)) for axis in (1, 0)))
        return Evidence(self._window.rgb(index)[at], nets[:, *at], asked, bodies[:, *at], front[at], known[at], strange[at]), at

