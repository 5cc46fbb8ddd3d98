"""People whom an artist outlined in some frames: carried on to the frames between and beyond, and looked at alone.

Where two hold each other the nets see one person. An outline says whose the pixels of one frame are; flow and colours carry that on, and the nets
are asked about each person in a picture from which the others are painted out.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import cv2
import numpy as np

from ..masks import enlarged
from ..masks.label import BINS, Evidence, bins, label, models
from ..masks.soft import small_size
from ..plate.pushpull import push_pull
from ..records import Tracks
from .keypoints import join, reject_jumps, repair_sides
from .masks import Store, place
from .motion import CameraMotion
from .tracker import DETECTED, PROPAGATED

SOFT_PX = 1.5  # how unsure the outline of a mask is that was carried on by a frame
# Of its area in the outline, and of the share of pixels there that are likelier theirs than the background's: with less, somebody is lost.
LOST, UNLIKE = 0.2, 0.5
WHOLE = 0.75  # of somebody's usual mask: with less of it something of them is hidden, or lost
GONE = 0.2
MEMORY = 24  # frames, as the tracker remembers people
AGREE, AGREEING = 0.75, 3  # overlap with the person's own mask, in so many frames in a row, from which they need no outline any more
BESIDE_PX, SURROUND = 3, 0.05  # from people, and of the picture's width: the background whose colours count
NET = 0.4  # weight of the net's mask against the one that was carried on
COLOUR = 0.5  # weight of colours against what was carried on: with 1 the wall behind a shirt of its colour leaks in, frame by frame
PRESENT = 0.3


@dataclass
class Outline:
    """One person in one frame. polygons: list of (n, 2) px, closed, corner origin."""

    person: int
    frame: int
    polygons: list

    def mask(self, size, scale=1.0) -> np.ndarray:
        """(h, w) uint8, 0 and 1; size: w, h of a picture `scale` times the shot's."""
        out = np.zeros(size[::-1], np.uint8)
        cv2.fillPoly(out, [np.round((np.asarray(polygon) * scale - 0.5) * 16).astype(np.int32) for polygon in self.polygons], 1, shift=4)
        return out


def of_shares(item, width, height) -> Outline:
    """An Outline from a correction, whose places are shares of the picture."""
    return Outline(item["person"], item["frame"], [np.asarray(polygon, float) * [width, height] for polygon in item["polygons"]])


def follow(shot, frames, tracks: Tracks, drawn, outlines, backend, report):
    """Tracks with the outlined people, and whose each pixel is in the frames that they are in.

    frames: read(i) gives RGB. drawn: index -> person indices (H, W) uint8 as the tracker has them. outlines: list of Outline, of people of `tracks`.
    Returns Tracks and a dict of index -> person indices (H, W) uint8.
    """
    walk = _Walk(shot, frames, tracks, drawn, outlines, report)
    try:
        walk.carry(range(shot.frames))
        walk.carry(range(shot.frames - 1, -1, -1))
        return walk.look(backend)
    finally:
        walk.store.close()


@dataclass
class Lost:
    """Somebody in a frame in which the masks lost them."""

    person: int
    mask: np.ndarray  # (H, W) bool: what could be carried on of them from frames before and after; none of it where they are hidden
    box: np.ndarray  # (4,) px, the room that they usually take there


def lost(shot, frames, tracks: Tracks, masks, report) -> dict[int, list[Lost]]:
    """People in frames in which they were lost: their own masks of the frames before and after, carried on as outlines are.

    masks: index -> person indices (H, W) uint8. A run of frames in which somebody has less than WHOLE of what they mostly have, and somewhere hardly
    anything, is taken for a loss. Who has left the picture soon has nothing left that could be carried on; who is hidden by somebody is believed
    to be where they were for MEMORY frames more.
    """
    sizes = np.zeros((len(tracks.ids), shot.frames))
    for index in range(shot.frames):
        sizes[:, index] = np.bincount(masks(index).ravel(), minlength=256)[tracks.ids]
    runs, outlines = {}, []
    for row, person in enumerate(tracks.ids):
        usual = np.percentile(sizes[row][sizes[row] > 0], 75) if (sizes[row] > 0).any() else 0
        whole = (sizes[row] >= WHOLE * usual) & (usual > 0)
        for first, last in _runs(whole):  # whole again, but for a moment
            if 0 < first and last < shot.frames and last - first < AGREEING:
                whole[first:last] = False
        for first, last in _runs(~whole):
            if whole.any() and (sizes[row, first:last] < GONE * usual).any():
                runs.setdefault(row, []).append((first, last))
                outlines += [_outline_of(masks(frame), int(person), frame) for frame in (first - 1, last) if 0 <= frame < shot.frames]
    if not runs:
        return {}
    walk = _Lost(shot, frames, tracks, masks, outlines, report)
    walk.runs = runs
    try:
        walk.carry(range(shot.frames))
        walk.carry(range(shot.frames - 1, -1, -1))
        return walk.found()
    finally:
        walk.store.close()


def _runs(where):
    """(first, last + 1) of each run of True in (T,) bool."""
    edges = np.flatnonzero(np.diff(np.r_[False, where, False].astype(int)))
    return list(zip(edges[::2].tolist(), edges[1::2].tolist()))


def _outline_of(mask, person, frame) -> Outline:
    contours, _ = cv2.findContours((mask == person).astype(np.uint8), cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_SIMPLE)
    return Outline(person, frame, [contour[:, 0] + 0.5 for contour in contours if len(contour) > 2])


class _Walk:
    def __init__(self, shot, frames, tracks, drawn, outlines, report):
        self.shot, self.frames, self.tracks, self.drawn, self.report = shot, frames, tracks, drawn, report
        self.width, self.height = self.size = small_size(shot.width, shot.height)
        self.scale = self.width / shot.width
        self.rows = {int(person): row for row, person in enumerate(tracks.ids)}
        self.keys: dict = {}  # person row -> frame -> Outline, the last one of a frame
        for outline in outlines:
            self.keys.setdefault(self.rows[outline.person], {})[outline.frame] = outline
        self.store, self.carried = Store(), {}  # (row, frame) -> [(frames from the outline, key of the mask)]
        self.flow = cv2.DISOpticalFlow_create(cv2.DISOPTICAL_FLOW_PRESET_MEDIUM)
        self.colours = self._colours()

    def rgb(self, index):
        return cv2.resize(self.frames.read(index), self.size, interpolation=cv2.INTER_AREA)

    def others(self, index):
        """The tracker's masks in the small size."""
        return cv2.resize(self.drawn(index), self.size, interpolation=cv2.INTER_NEAREST)

    def _colours(self):
        """`label.models` of people and of the background beside them, from the frames with an outline."""
        counts = np.zeros((len(self.rows) + 1, BINS**3))
        for frame in sorted({frame for mine in self.keys.values() for frame in mine}):
            owner = self._told(frame, self.others(frame))
            colour = bins(self.rgb(frame))
            counts[0] += self._beside(colour, owner > 0)
            for person, row in self.rows.items():
                counts[row + 1] += np.bincount(colour[owner == person], minlength=BINS**3)
        return models(counts)

    def _beside(self, colour, people):
        """Counts of the background's colours beside people. colour: of `label.bins`."""
        distance = cv2.distanceTransform((~people).astype(np.uint8), cv2.DIST_L2, 3)
        return np.bincount(colour[(distance > BESIDE_PX) & (distance < SURROUND * self.width)], minlength=BINS**3)

    def _told(self, frame, owner):
        """Person indices of any size with the outlines of that frame in them."""
        told = [mine[frame] for mine in self.keys.values() if frame in mine]
        out = np.where(np.isin(owner, [outline.person for outline in told]), 0, owner)
        for outline in told:
            out[outline.mask(owner.shape[::-1], owner.shape[1] / self.shot.width) > 0] = outline.person
        return out

    def _decided(self, rgb, masks, owner) -> np.ndarray:
        """Person indices (h, w): masks {row: (h, w) 0..1} and the tracker's `owner` weighed with colours."""
        nets = np.zeros((len(self.rows), *owner.shape), np.float32)
        for person, row in self.rows.items():
            nets[row] = masks[row] if row in masks else cv2.GaussianBlur((owner == person).astype(np.float32), (0, 0), SOFT_PX)
        asked = (nets > 0.05).any((1, 2))
        sides = nets > 0.5
        front = np.where(sides.any(0), nets.argmax(0) + 1, 0)
        none = np.zeros(owner.shape, bool)
        colours = self.colours.copy()
        colours[0] = (colours[0] + models(self._beside(bins(rgb), sides.any(0))[None])[0]) / 2  # what is beside them now
        found = label(Evidence(rgb, nets, asked, sides, front, none, none), colours**COLOUR)
        return np.r_[0, self.tracks.ids].astype(np.uint8)[found]

    def carry(self, order):
        """Carry the outlines on in this order of frames, until the next one, the own mask again, or the end of them."""
        masks, begun, area, likely, agreed, before = {}, {}, {}, {}, {}, None
        for index in order:
            told = [row for row, mine in self.keys.items() if index in mine]
            if not masks and not told:
                continue
            rgb = self.rgb(index)
            gray, owner = cv2.cvtColor(rgb, cv2.COLOR_RGB2GRAY), self.others(index)
            if masks:
                masks = self._warped(masks, gray, before)
            for row in told:
                mine = self.keys[row][index].mask(self.size, self.scale)
                masks[row], begun[row], area[row], likely[row], agreed[row] = mine.astype(np.float32), index, mine.sum(), self._likely(rgb, row, mine > 0), 0
            decided = self._told(index, self._decided(rgb, masks, owner))
            for row in list(masks):
                person = self.tracks.ids[row]
                mine = decided == person
                own = owner == person
                sure = index != begun[row] and not self._inside(row, index) and self._agrees(rgb, row, mine, own, decided, likely[row])
                agreed[row] = agreed[row] + 1 if sure else 0
                if mine.sum() < LOST * area[row] or self._likely(rgb, row, mine) < UNLIKE * likely[row] or agreed[row] >= AGREEING:
                    del masks[row]
                    continue
                masks[row] = cv2.GaussianBlur(mine.astype(np.float32), (0, 0), SOFT_PX)
                key = self.store.put((masks[row] * 255).astype(np.uint8))
                self.carried.setdefault((row, index), []).append((abs(index - begun[row]), key))
            before = gray
            self.report.progress(len(self.carried), len(self.keys) * self.shot.frames, "Following outlines")

    def _inside(self, row, index) -> bool:
        """Whether somebody's own mask is known to be wrong in a frame."""
        return False

    def _agrees(self, rgb, row, mine, own, decided, likely) -> bool:
        """Whether the tracker's mask is right about who was outlined, maybe while they were half hidden: it holds what was carried on, and what
        else it holds is nobody else's and has their colours."""
        more = own & ~mine
        if (mine & own).sum() < AGREE * mine.sum() or (more & (decided != 0)).sum() > (1 - AGREE) * own.sum():
            return False
        return more.sum() < (1 - AGREE) * own.sum() or self._likely(rgb, row, more) >= UNLIKE * likely

    def _likely(self, rgb, row, mask) -> float:
        """Share of a mask's pixels whose colours are likelier the person's than the background's."""
        colour = bins(rgb)[mask]
        return float((self.colours[row + 1][colour] > self.colours[0][colour]).mean()) if len(colour) else 0.0

    def _warped(self, masks, gray, before):
        flow = self.flow.calc(gray, before, None)
        y, x = np.mgrid[: self.height, : self.width].astype(np.float32)
        return {row: cv2.remap(mask, x + flow[..., 0], y + flow[..., 1], cv2.INTER_LINEAR) for row, mask in masks.items()}

    def _mean(self, index):
        """{row: (h, w) 0..1} of both ways, the nearer outline the more."""
        out = {}
        for row in self.keys:
            found = self.carried.get((row, index))
            if found:
                weights = [1 / (1 + far) for far, _ in found]
                out[row] = sum(w * self.store.get(key) for w, (_, key) in zip(weights, found)) / np.float32(255 * sum(weights))
        return out

    def look(self, backend):
        """Ask the nets about each, the others painted out. Returns as `follow`."""
        T, P = self.shot.frames, len(self.rows)
        boxes, score, source = self.tracks.boxes.copy(), self.tracks.score.copy(), self.tracks.source.copy()
        found, presence = np.full((P, T, 17, 3), np.nan), np.full((P, T), np.nan)
        landmarks, world = np.full((P, T, 33, 3), np.nan), np.full((P, T, 33, 3), np.nan)
        camera, motions, out = CameraMotion(), [], {}
        for index in range(T):
            full = self.frames.read(index)
            motions.append(camera.step(full, boxes[:, index][source[:, index] > 0]))
            masks = self._mean(index)
            if not masks:
                continue
            drawn = self.drawn(index)
            rgb, owner = cv2.resize(full, self.size, interpolation=cv2.INTER_AREA), cv2.resize(drawn, self.size, interpolation=cv2.INTER_NEAREST)
            first = self._told(index, self._decided(rgb, masks, owner))
            for row in masks:
                person = self.tracks.ids[row]
                mine = first == person
                if not mine.any():
                    continue
                box = _box(mine) / self.scale
                alone = without(full, first, person)
                pose = backend.pose(alone, box)
                body = backend.body(alone, pose, box)
                boxes[row, index], score[row, index] = box, pose.score
                source[row, index] = DETECTED if index in self.keys[row] else PROPAGATED
                found[row, index], landmarks[row, index], world[row, index], presence[row, index] = pose.joints, body.landmarks, body.world, body.presence
                if body.presence > PRESENT:
                    seen = cv2.resize(place(body.mask, body.A, self.shot.width, self.shot.height), self.size, interpolation=cv2.INTER_AREA)
                    masks[row] = (1 - NET) * masks[row] + NET * seen / np.float32(255)
            decided = self._told(index, self._decided(rgb, masks, owner))
            out[index] = self._told(index, enlarged(decided, owner, drawn))
            self.report.progress(index + 1, T, "Looking at who was outlined")
        return self._joined(boxes, score, source, found, landmarks, world, presence, motions), out

    def _joined(self, boxes, score, source, found, landmarks, world, presence, motions) -> Tracks:
        """Tracks with the joints that were found."""
        two, three = self.tracks.keypoints_2d.copy(), self.tracks.keypoints_3d.copy()
        size = (boxes[..., 2:] - boxes[..., :2]).max(-1)
        for row in self.keys:
            looked = np.isfinite(found[row, :, 0, 0])
            steady = reject_jumps(repair_sides(found[row], landmarks[row], size[row], motions), size[row], motions)
            mine = join(steady, landmarks[row], world[row], presence[row], size[row], self.shot.width, self.shot.height)
            two[row, looked], three[row, looked] = mine[0][looked], mine[1][looked]
        return replace(self.tracks, boxes=boxes, score=score, source=source, keypoints_2d=two, keypoints_3d=three)


class _Lost(_Walk):
    """Outlines are masks of the frames around a loss; runs: {row: [(first, last + 1)]} of the losses."""

    runs: dict

    def _inside(self, row, index) -> bool:
        return any(first <= index < last for first, last in self.runs[row])

    def found(self) -> dict[int, list[Lost]]:
        out, boxes, hidden = {}, {}, {}
        for index in sorted({index for row, index in self.carried if self._inside(row, index)}):
            masks = {row: mask for row, mask in self._mean(index).items() if self._inside(row, index)}
            drawn = self.drawn(index)
            owner = cv2.resize(drawn, self.size, interpolation=cv2.INTER_NEAREST)
            decided = self._decided(self.rgb(index), masks, owner)
            for row in masks:
                person = self.tracks.ids[row]
                mine = decided == person
                if not mine.any():
                    continue
                more = cv2.resize((mine & (owner == 0)).astype(np.uint8), drawn.shape[::-1], interpolation=cv2.INTER_NEAREST) > 0
                boxes[row, index] = self._room(row, index, _box(mine) / self.scale)
                beside = cv2.dilate(mine.astype(np.uint8), np.ones((2 * BESIDE_PX + 1,) * 2)) > 0
                hidden[row, index] = bool((beside & (owner != 0) & (owner != person)).any())
                out.setdefault(index, []).append(Lost(int(person), more, boxes[row, index]))
        for row, runs in self.runs.items():
            for first, last in runs:
                known = [index for index in range(first, last) if (row, index) in boxes]
                for index in set(range(first, last)) - set(known) if known else ():
                    near = min(known, key=lambda other: abs(other - index))
                    if hidden[row, near] and abs(near - index) <= MEMORY and not self._at_border(boxes[row, near]):
                        out.setdefault(index, []).append(Lost(int(self.tracks.ids[row]), np.zeros((self.shot.height, self.shot.width), bool), boxes[row, near]))
        return out

    def _room(self, row, index, box) -> np.ndarray:
        """A box about what was found of somebody, no smaller than they were in the nearest frame with their whole mask."""
        nearest = min(self.keys[row], key=lambda frame: abs(frame - index))
        whole = _box(self.keys[row][nearest].mask(self.size, self.scale) > 0) / self.scale
        more = np.maximum(0, (whole[2:] - whole[:2]) - (box[2:] - box[:2])) / 2
        return np.concatenate([box[:2] - more, box[2:] + more])

    def _at_border(self, box) -> bool:
        return bool((box[:2] <= 1).any() or (box[2:] >= np.array([self.shot.width, self.shot.height]) - 1).any())


def without(rgb, owner, person) -> np.ndarray:
    """A picture (H, W, 3) uint8 in which everybody but `person` is painted out with what is around them. owner: person indices (h, w), maybe smaller."""
    others = ((owner != 0) & (owner != person)).astype(np.uint8)
    if not others.any():
        return rgb
    small = cv2.resize(rgb, owner.shape[::-1], interpolation=cv2.INTER_AREA).astype(np.float32)
    fill = push_pull(small, (cv2.dilate((owner != 0).astype(np.uint8), np.ones((5, 5))) == 0).astype(np.float32))
    wide = cv2.dilate(others, np.ones((3, 3))) * (owner != person)
    size = rgb.shape[1::-1]
    where = cv2.resize(wide.astype(np.float32), size, interpolation=cv2.INTER_LINEAR)[..., None]
    return np.clip(rgb * (1 - where) + cv2.resize(fill, size, interpolation=cv2.INTER_LINEAR) * where + 0.5, 0, 255).astype(np.uint8)


def near_others(owner, person) -> bool:
    """Whether somebody else is in the box of a person, a tenth wider all round. owner: person indices (h, w)."""
    mine = owner == person
    if not mine.any():
        return False
    x0, y0, x1, y1 = _box(mine)
    x, y = 0.1 * (x1 - x0), 0.1 * (y1 - y0)
    part = owner[max(0, int(y0 - y)) : int(y1 + y) + 1, max(0, int(x0 - x)) : int(x1 + x) + 1]
    return bool(((part != 0) & (part != person)).any())


def _box(mask):
    ys, xs = np.flatnonzero(mask.any(1)), np.flatnonzero(mask.any(0))
    return np.array([xs[0], ys[0], xs[-1] + 1, ys[-1] + 1], float)
