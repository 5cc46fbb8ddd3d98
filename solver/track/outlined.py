"""People whom an artist outlined in some frames: carried on to the frames between and beyond, and looked at alone.

Where two hold each other the nets see one person. An outline says whose the pixels of one frame are; flow and colours carry that on, and the nets
are asked about each person in a picture from which the others are painted out.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from itertools import takewhile

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
from .tracker import DETECTED, INTERPOLATED, PLAIN, PROPAGATED

SOFT_PX = 1.5  # how unsure the outline of a mask is that was carried on by a frame
# Of its area in the outline, and of the share of pixels there that are likelier theirs than the background's: with less, somebody is lost.
LOST, UNLIKE = 0.2, 0.5
AGREE, AGREEING = 0.75, 3  # overlap with the person's own mask, in so many frames in a row, from which they need no outline any more
BESIDE_PX, SURROUND = 3, 0.05  # from people, and of the picture's width: the background whose colours count
NET = 0.4  # weight of the net's mask against the one that was carried on
COLOUR = 0.5  # weight of colours against what was carried on: with 1 the wall behind a shirt of its colour leaks in, frame by frame
PRESENT = 0.3


@dataclass
class Outline:
    """One person in one frame. polygons: list of (n, 2) px, closed, corner origin. gaps: where it is the tracker's own mask and not the artist's (`lost`),
    the frames (ranges, away from it) in which the person is lost: it is carried to their end and stands for the person in these alone."""

    person: int
    frame: int
    polygons: list
    gaps: tuple = ()

    def goes(self, way) -> bool:
        """Whether it is carried on in this direction of time, 1 or -1."""
        return not self.gaps or any(gap.step == way for gap in self.gaps)

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
    walk = Walk(shot, frames, tracks, drawn, outlines, report)
    try:
        walk.carry(range(shot.frames))
        walk.carry(range(shot.frames - 1, -1, -1))
        return walk.look(backend)
    finally:
        walk.store.close()


class Walk:
    def __init__(self, shot, frames, tracks, drawn, outlines, report):
        self.shot, self.frames, self.tracks, self.drawn, self.report = shot, frames, tracks, drawn, report
        self.width, self.height = self.size = small_size(shot.width, shot.height)
        self.scale = self.width / shot.width
        self.rows = {int(person): row for row, person in enumerate(tracks.ids)}
        self.keys: dict = {}  # person row -> frame -> Outline, the last one of a frame
        for outline in outlines:
            mine = self.keys.setdefault(self.rows[outline.person], {})
            before = mine.get(outline.frame)
            both = outline.gaps and before and before.gaps
            mine[outline.frame] = replace(outline, gaps=before.gaps + outline.gaps) if both else outline
        self.gaps = {row: [gap for outline in mine.values() for gap in outline.gaps] for row, mine in self.keys.items()}  # row -> ranges, [] where an artist said it
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

    def decided(self, rgb, masks, owner) -> np.ndarray:
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
        masks, begun, area, likely, agreed, entered, before = {}, {}, {}, {}, {}, {}, None
        for index in order:
            told = [row for row, mine in self.keys.items() if index in mine and mine[index].goes(order.step)]
            if not masks and not told:
                continue
            rgb = self.rgb(index)
            gray, owner = cv2.cvtColor(rgb, cv2.COLOR_RGB2GRAY), self.others(index)
            if masks:
                masks = self._warped(masks, gray, before)
            for row in told:
                mine = self.keys[row][index].mask(self.size, self.scale)
                masks[row], begun[row], area[row], likely[row], agreed[row] = mine.astype(np.float32), index, mine.sum(), self._likely(rgb, row, mine > 0), 0
                entered[row] = False
            decided = self._told(index, self.decided(rgb, masks, owner))
            for row in list(masks):
                person = self.tracks.ids[row]
                mine = decided == person
                own = owner == person
                if self.gaps[row]:
                    if entered[row] and not self.in_gap(row, index):
                        del masks[row]
                        continue
                    entered[row] |= self.in_gap(row, index)
                agreed[row] = agreed[row] + 1 if index != begun[row] and not self.gaps[row] and self._agrees(rgb, row, mine, own, decided, likely[row]) else 0
                if mine.sum() < LOST * area[row] or self._likely(rgb, row, mine) < UNLIKE * likely[row] or agreed[row] >= AGREEING:
                    del masks[row]
                    continue
                masks[row] = cv2.GaussianBlur(mine.astype(np.float32), (0, 0), SOFT_PX)
                key = self.store.put((masks[row] * 255).astype(np.uint8))
                self.carried.setdefault((row, index), []).append((abs(index - begun[row]), key))
            before = gray
            self.report.progress(len(self.carried), len(self.keys) * self.shot.frames, "Following outlines")

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

    def mean(self, index):
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
        asked, motions = self._ask(backend)
        kept = self._kept(asked)
        boxes, score, source = self.tracks.boxes.copy(), self.tracks.score.copy(), self.tracks.source.copy()
        found, presence = np.full((P, T, 17, 3), np.nan), np.full((P, T), np.nan)
        landmarks, world = np.full((P, T, 33, 3), np.nan), np.full((P, T, 33, 3), np.nan)
        out = {}
        for index in sorted({index for _, index in kept}):
            drawn, full = self.drawn(index), self.frames.read(index)
            rgb, owner = cv2.resize(full, self.size, interpolation=cv2.INTER_AREA), cv2.resize(drawn, self.size, interpolation=cv2.INTER_NEAREST)
            masks = {row: mask for row, mask in self.mean(index).items() if (row, index) in kept}
            for row, carried in masks.items():
                at, (box, pose, body) = (row, index), asked[row, index]
                boxes[at] = box
                if self.gaps[row] and not _is_seen(pose, body):
                    source[at] = INTERPOLATED
                    continue
                score[at], source[at] = pose.score, DETECTED if index in self.keys[row] else PROPAGATED
                found[at], landmarks[at], world[at], presence[at] = pose.joints, body.landmarks, body.world, body.presence
                if body.presence > PRESENT:
                    seen = cv2.resize(place(self.store.get(body.mask), body.A, self.shot.width, self.shot.height), self.size, interpolation=cv2.INTER_AREA)
                    masks[row] = (1 - NET) * carried + NET * seen / np.float32(255)
            decided = self._told(index, self.decided(rgb, masks, owner))
            out[index] = self._told(index, enlarged(decided, owner, drawn))
        for row, gaps in self.gaps.items():
            if count := sum(mine == row for mine, _ in kept if gaps):
                self.report.warn(f"Person {self.tracks.ids[row]} was lost behind somebody, and followed by motion and colours in {count} frames.")
        return self._joined(boxes, score, source, found, landmarks, world, presence, motions), out

    def _ask(self, backend):
        """{(row, frame): (box, Pose, Body)}, their masks in the store, of who was carried on there, and the camera's steps."""
        camera, motions, asked = CameraMotion(), [], {}
        for index in range(self.shot.frames):
            full = self.frames.read(index)
            motions.append(camera.step(full, self.tracks.boxes[self.tracks.source[:, index] > 0, index]))
            masks = {row: mask for row, mask in self.mean(index).items() if not self.gaps[row] or self.in_gap(row, index)}
            if not masks:
                continue
            rgb, owner = cv2.resize(full, self.size, interpolation=cv2.INTER_AREA), self.others(index)
            first = self._told(index, self.decided(rgb, masks, owner))
            for row in masks:
                person = self.tracks.ids[row]
                mine = first == person
                if mine.any():
                    box, alone = box_of(mine) / self.scale, without(full, first, person)
                    pose = backend.pose(alone, box)
                    body = backend.body(alone, pose, box)
                    body.mask = self.store.put(body.mask)
                    asked[row, index] = box, pose, body
            self.report.progress(index + 1, self.shot.frames, "Looking at who was outlined")
        return asked, motions

    def _kept(self, asked) -> set:
        """Who was carried on where, of `asked`. The tracker's own outlines count up to the last frame in which the nets see that person: what is carried
        on beyond is nobody."""
        kept = {at for at in asked if not self.gaps[at[0]]}
        for row, gaps in self.gaps.items():
            for gap in gaps:
                run = list(takewhile(asked.__contains__, ((row, f) for f in gap)))
                seen = [n for n, at in enumerate(run, 1) if _is_seen(*asked[at][1:])]
                kept.update(run[: max(seen, default=0)])
        return kept

    def in_gap(self, row, index) -> bool:
        return any(index in gap for gap in self.gaps[row])

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
    x0, y0, x1, y1 = box_of(mine)
    x, y = 0.1 * (x1 - x0), 0.1 * (y1 - y0)
    part = owner[max(0, int(y0 - y)) : int(y1 + y) + 1, max(0, int(x0 - x)) : int(x1 + x) + 1]
    return bool(((part != 0) & (part != person)).any())


def _is_seen(pose, body) -> bool:
    return pose.score >= PLAIN and body.presence > PRESENT


def box_of(mask):
    ys, xs = np.flatnonzero(mask.any(1)), np.flatnonzero(mask.any(0))
    return np.array([xs[0], ys[0], xs[-1] + 1, ys[-1] + 1], float)
