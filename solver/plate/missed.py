"""Who is in a frame though no mask has them: lost behind somebody, or never found there.

They are looked for in the film from which everybody is painted out whom the masks have. What is about them is no source for other frames, and what differs
there from the background that other frames show is theirs (`belongs`). Whoever is still in the plate is then looked for in the plate itself.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import cv2
import numpy as np

from ..frames import invert, project
from .pushpull import push_pull
from .window import grow_mask, regions

LOOK_SCORE = 0.4
LINES = 540  # of the pictures that are looked at
CLOSER = 0.5  # of the picture's longer side: about holes that are smaller the detector looks once more, closer
EVERY = 4  # every fourth frame is looked at, and all about one in which somebody was found
HIDDEN = 0.5  # a box of which the masks have more is seen in what was painted there
SCRAP = 0.1  # of somebody's box: a mask that has less of them has them not
GROW = 0.1  # of a box's longer side, by which it is grown: hands and feet stick out


@dataclass(frozen=True)
class Somebody:
    """A place in a frame at which somebody is whom no mask has."""

    box: tuple  # (4,) x0 y0 x1 y1 px, grown
    person: int = 0  # of the take; 0: not known

    def mask(self, shape) -> np.ndarray:
        """(H, W) bool."""
        out = np.zeros(shape, bool)
        x0, y0, x1, y1 = (max(0, round(v)) for v in self.box)
        out[y0:y1, x0:x1] = True
        return out


def grown(box) -> tuple:
    """A box (4,) with a margin of GROW."""
    x0, y0, x1, y1 = (float(v) for v in box)
    margin = GROW * max(x1 - x0, y1 - y0)
    return x0 - margin, y0 - margin, x1 + margin, y1 + margin


class Others:
    """What is known of people who have no mask in a frame before anybody looks for them there."""

    def __init__(self, shown, masks, lost, seen, listed, labels, ids, visible, vertices, camera):
        """shown (T,): the frame whose picture each frame shows; all that follows but masks and camera is by those. masks: index to person indices.

        lost: {frame: [track.lost.Lost]}. seen: records.Seen, or None; listed: the people of seen.json. labels (T, 256): the number that each person has
        after corrections. ids (P,), visible (P, T), vertices(row, frame): the solved people, bridged where they are not visible. camera: Camera.
        """
        self._shown, self._masks, self._lost, self._seen, self._labels = shown, masks, lost, seen, labels
        self._listed = {item["seen"]: item for item in listed}
        self._ids, self._visible, self._vertices, self._camera = ids, visible, vertices, camera

    def _boxes(self, frame):
        """Boxes (4,) px of the detectors and what seen.json says of each; none of whom it does not list."""
        seen = self._seen
        at = np.flatnonzero(seen.indices[seen.frame] == frame) if seen is not None else ()
        return [(seen.boxes[k], self._listed[int(seen.who[k])]) for k in at if int(seen.who[k]) in self._listed]

    def left_out(self, index) -> list:
        """Boxes (4,) px of people who are background."""
        return [box for box, item in self._boxes(self._shown[index]) if not item["chosen"]]

    def known(self, index) -> list[Somebody]:
        """Who was lost and carried on, who the detectors saw, and whose body is bridged between two sightings."""
        frame = int(self._shown[index])
        found = [Somebody(grown(item.box), item.person) for item in self._lost.get(frame, ())]
        have = {*np.unique(self._masks(index)).tolist(), *(item.person for item in found)} - {0}
        for box, item in self._boxes(frame):
            person = int(self._labels[frame, item["person"]]) if item["person"] else 0
            if item["chosen"] and person not in have:
                found.append(Somebody(grown(box), person))
                have |= {person} - {0}
        for row in np.flatnonzero(~self._visible[:, frame]):
            person, times = int(self._ids[row]), np.flatnonzero(self._visible[row])
            if person not in have and times.size and times[0] < frame < times[-1]:
                with np.errstate(invalid="ignore", divide="ignore"):
                    pixels = project(self._vertices(row, frame), invert(self._camera.T_world_from_cam[index]), self._camera.K[index])
                pixels = pixels[np.isfinite(pixels).all(1)]
                if len(pixels):
                    found.append(Somebody(grown(np.concatenate([pixels.min(0), pixels.max(0)])), person))
        return found


def people_in(picture, hole, detect) -> np.ndarray:
    """Boxes (N, 4) px of people in a picture, looked for in all of it and, closer, about each small piece of `hole` (H, W) bool."""
    places = [(0, 0, picture.shape[1], picture.shape[0])]
    places += [box for box, _ in regions(hole) if max(box[2] - box[0], box[3] - box[1]) <= CLOSER * max(picture.shape[:2])]
    found = []
    for x0, y0, x1, y1 in places:
        boxes, scores = detect(np.ascontiguousarray(picture[y0:y1, x0:x1]))
        for box in np.reshape(boxes, (-1, 4))[np.asarray(scores) >= LOOK_SCORE] + [x0, y0, x0, y0]:
            if all(shared(box, other) < 0.5 for other in found):
                found.append(box)
    return np.reshape(found, (-1, 4))


def find(
    shot, frames, masks, detect, known: Callable | None = None, left_out: Callable | None = None, tick=lambda index: None
) -> dict[int, list[Somebody]]:
    """Where people are whom no mask has, by frame.

    masks: index to person indices (H, W) uint8. detect: picture to boxes (N, 4) px and scores (N,) of people. known(index): more of them, as
    `Somebody`, who are known otherwise. left_out(index): boxes (N, 4) px of people who are background. tick(index) is called before each frame.
    """
    scale = min(1.0, LINES / shot.height)
    size = max(1, round(shot.width * scale)), max(1, round(shot.height * scale))
    out, boxes = {}, {}

    def look(index) -> list[Somebody]:
        people = masks(index)
        here = list(out.get(index, ()))
        others = [s.box for s in here] + (list(left_out(index)) if left_out is not None else [])
        hole = cv2.resize((people > 0).astype(np.uint8), size, interpolation=cv2.INTER_NEAREST) > 0
        picture = painted_out(cv2.resize(frames.read(index), size, interpolation=cv2.INTER_AREA), hole)
        for box in people_in(picture, hole, detect):
            x0, y0, x1, y1 = (max(0, int(v)) for v in box)
            inside = hole[y0:y1, x0:x1]
            if inside.size and inside.mean() <= HIDDEN and all(shared(box / scale, other) < 0.5 for other in others):
                here.append(Somebody(grown(box / scale)))
        return here

    for index in range(shot.frames):
        tick(index)
        people = masks(index)
        for person in np.unique(people[people > 0]):
            boxes.setdefault(int(person), {})[index] = _box(people == person), int((people == person).sum())
        out[index] = list(known(index)) if known is not None else []
        if index % EVERY == 0 or index == shot.frames - 1:
            out[index] = look(index)
    looked = {index for index in out if index % EVERY == 0 or index == shot.frames - 1}
    about = {near for index in looked if out[index] for near in range(index - EVERY + 1, index + EVERY)}
    for near in sorted(about & out.keys() - looked):
        tick(near)
        out[near] = look(near)
    out = {index: here for index, here in out.items() if here}
    return {index: _named(index, here, boxes) for index, here in out.items()}


def painted_out(picture, hole) -> np.ndarray:
    """A picture (H, W, 3) uint8 in which a smooth surface goes over the hole (H, W) bool."""
    if not hole.any():
        return picture
    wide = grow_mask(hole, max(2, round(0.01 * hole.shape[1])))
    fill = push_pull(picture.astype(np.float32), (~wide).astype(np.float32))
    return np.where(wide[..., None], np.clip(fill + 0.5, 0, 255).astype(np.uint8), picture)


def _named(index, here, boxes) -> list[Somebody]:
    """Whoever is not known is the person without a mask in this frame who was, or will be, nearest to that place; no further than their size.

    boxes: {person: {frame: (box, pixels)}} of the masks."""
    out, taken = [], {s.person for s in here}
    for somebody in here:
        best, who = 1.0, somebody.person
        area = (somebody.box[2] - somebody.box[0]) * (somebody.box[3] - somebody.box[1])
        for person, seen in boxes.items() if not who else ():
            if person in taken or (index in seen and seen[index][1] > SCRAP * area):
                continue
            others = [frame for frame, (_, pixels) in seen.items() if pixels > SCRAP * area]
            for frame in (max((f for f in others if f < index), default=None), min((f for f in others if f > index), default=None)):
                if frame is None:
                    continue
                box = seen[frame][0]
                size = max(box[2] - box[0], box[3] - box[1])
                away = np.hypot(*((sum(box[k::2]) - sum(somebody.box[k::2])) / 2 for k in (0, 1))) / size
                if away < best:
                    best, who = away, person
        taken.add(who)
        out.append(Somebody(somebody.box, who))
    return out


def _box(mask) -> tuple:
    xs, ys = np.flatnonzero(mask.any(0)), np.flatnonzero(mask.any(1))
    return int(xs[0]), int(ys[0]), int(xs[-1]) + 1, int(ys[-1]) + 1


def shared(a, b) -> float:
    """Share of the smaller of two boxes that lies in the other."""
    x0, y0, x1, y1 = max(a[0], b[0]), max(a[1], b[1]), min(a[2], b[2]), min(a[3], b[3])
    areas = [(box[2] - box[0]) * (box[3] - box[1]) for box in (a, b)]
    return max(x1 - x0, 0) * max(y1 - y0, 0) / max(min(areas), 1e-6)
