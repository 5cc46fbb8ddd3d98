"""Everybody whom the detectors see, followed as boxes: how prominent each is, and who is worth joints, a mask and 3D.

Boxes, the camera's motion and the looks of boxes alone, no other nets, so that a crowd costs little. Numbers of people count from 1 by prominence.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import cv2
import numpy as np

from ..protocol import ShotError
from ..records import Seen
from .appearance import look_of
from .backend import Pose
from .motion import CameraMotion, carry, carry_box
from .nets import iou
from .tracker import PLAIN, Sighting, Tracker, chain, lasting, link

MOST = 8  # people who are chosen where nobody says how many
FEW = 4  # people who are never background to each other
BACKGROUND = 0.2  # of the most prominent one's prominence: less than half the height in the same light
SAME = 0.3  # share of a box that another in its place has at least where it shows the same body: a bust, or the legs
NEAR, ALIKE = 0.15, 0.5  # overlap of boxes from which, and log ratio of their sizes up to which, the tracker may take one person for another
QUARTERS = (0.0, np.pi / 2, np.pi, -np.pi / 2)
_NO_JOINTS = Pose(np.zeros((17, 3)))
_THUMB = 160  # px, the longer side of a picture of somebody


@dataclass
class Box(Sighting):
    """A sighting of which only the box is known."""

    number: int = 0  # of all boxes of the shot
    sure: float = 0.0  # the detector's score
    outlined: bool = False  # whether no detector saw it (`near.unclaimed`)
    weight: float = 0.0  # size and place in the picture
    sharp: float = 0.0
    picture: np.ndarray | None = None  # (h, w, 3) about the box, of the best box of a track
    corner: np.ndarray | None = None  # (2,) px, where that lies in the frame

    @property
    def score(self) -> float:
        return self.sure


class Survey:
    """Feed `step` the frames in order, then ask for `result`."""

    def __init__(self, width: int, height: int):
        self.width, self.height = width, height
        self._tracker, self._camera, self._motions, self._boxes = Tracker(), CameraMotion(), [], []

    def step(self, rgb, boxes, scores, outlined=(), sure=()) -> None:
        """boxes (N, 4) px and scores (N,) of the next frame; outlined (M, 4) and sure (M,): who is in none of them, of `near.unclaimed`."""
        frame = len(self._motions)
        boxes, scores = np.concatenate([np.reshape(b, (-1, 4)) for b in (boxes, outlined)]), np.concatenate([scores, sure])
        A = self._camera.step(rgb, boxes)
        self._motions.append(A)
        found = [self._box(rgb, frame, len(self._boxes) + k, box, score) for k, (box, score) in enumerate(zip(boxes, scores))]
        for box in found[len(found) - len(sure) :]:
            box.outlined = True
        self._boxes += found
        self._tracker.predict(frame, A)
        matched = self._tracker.match(frame, found)
        for k, box in enumerate(found):
            if k in matched or box.score > PLAIN:
                track = self._tracker.add(box, matched.get(k))
                self._keep_picture(rgb, box, track)

    def _box(self, rgb, frame, number, box, score) -> Box:
        out = Box(frame, np.asarray(box, float), _NO_JOINTS, number=number, sure=float(score))
        size, middle = np.array([self.width, self.height]), (out.box[:2] + out.box[2:]) / 2
        aside = np.linalg.norm((middle - size / 2) / size) / np.sqrt(0.5)
        out.weight = float((out.box[2:] - out.box[:2]).prod() / size.prod() * (1 - 0.5 * aside))
        x0, y0, x1, y1 = (out.box + 0.5).astype(int)
        crop = rgb[max(0, y0) : y1, max(0, x0) : x1]
        if min(crop.shape[:2]) < 4:
            return out
        out.sharp = sharpness(crop)
        torso = np.zeros(crop.shape[:2], np.uint8)
        h, w = torso.shape
        torso[h // 10 : 6 * h // 10 + 1, w // 4 : 3 * w // 4 + 1] = 1
        out.look = look_of(crop, torso, _NO_JOINTS.joints)
        return out

    def _keep_picture(self, rgb, box, track) -> None:
        """One picture a track: of the largest, surest box so far."""
        best = next((s for s in track.sightings.values() if s.picture is not None), None)
        if best is not None and best.sure * best.weight >= box.sure * box.weight:
            return
        margin = 0.15 * np.tile(box.box[2:] - box.box[:2], 2) * [-1, -1, 1, 1]
        x0, y0, x1, y1 = np.clip(box.box + margin, 0, [self.width, self.height] * 2).astype(int)
        if min(x1 - x0, y1 - y0) >= 4:
            if best is not None:
                best.picture = None
            box.picture, box.corner = rgb[y0:y1, x0:x1].copy(), np.array([x0, y0])

    def result(self, rate: float, indices, pose) -> tuple[Seen, list]:
        """Who was seen, and a picture (h, w, 3) of each with their box in the middle.

        rate: frames a second; indices: (T,) which frames of the shot were looked at; pose: the back end's, asked once about each person.
        """
        T, motions = len(self._motions), np.array(self._motions).reshape(-1, 2, 3)
        tracks = link(self._tracker.tracks, motions, rate, far=False)
        tracks = _same_bodies([t for t in tracks if len(t) >= lasting(T)], motions)
        sharpest = max((_mean(t, "sharp") for t in tracks), default=1.0)
        people = []
        for t in tracks:
            best = max((s for s in t.sightings.values() if s.picture is not None), key=lambda s: s.sure * s.weight, default=None)
            if best is None:
                continue
            box = best.box - np.tile(best.corner, 2)
            score = pose(best.picture, box).score
            if score < PLAIN:
                score = pose(best.picture, box, QUARTERS[1:]).score
            if score < PLAIN and sum(s.outlined for s in t.sightings.values()) >= lasting(T):
                score = PLAIN  # how they stand nobody can tell
            if score >= PLAIN:
                people.append((prominence(t, motions, sharpest) * min(1.0, score / 0.4), t, best))
        people.sort(key=lambda person: -person[0])
        who, lead = np.zeros(len(self._boxes), int), people[0][0] if people else 1.0
        for n, (_, t, _) in enumerate(people, 1):
            who[[s.number for s in (*t.sightings.values(), *t.aside.values())]] = n
        seen = Seen(
            np.asarray(indices), np.array([b.box for b in self._boxes]).reshape(-1, 4), np.array([b.sure for b in self._boxes]),
            np.array([b.frame for b in self._boxes], int), who, motions, np.array([p / lead for p, _, _ in people]),
            np.array([best.number for _, _, best in people], int),
        )  # fmt: skip
        return seen, [_thumbnail(best.picture) for _, _, best in people]


def sharpness(crop) -> float:
    """0..1: how steep edges are for their strength, on a body of 64 px, so that large and small people compare. crop: (h, w, 3) uint8."""
    scale = 64 / max(crop.shape[:2])
    small = cv2.resize(crop, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR)
    gray = cv2.cvtColor(small, cv2.COLOR_RGB2GRAY).astype(np.float32)
    edges = np.abs(np.diff(gray, axis=0)).mean() + np.abs(np.diff(gray, axis=1)).mean()
    return float(np.clip(np.abs(cv2.Laplacian(gray, cv2.CV_32F)).mean() / max(2 * edges, 1e-6), 0, 1))


def prominence(track, motions, sharpest: float) -> float:
    """How much of the story somebody is: size and place in the picture, sharpness, the camera that goes with them, time in sight.

    track: of `Box`es; motions: (T, 2, 3) of the camera; sharpest: mean sharpness of the sharpest person. Half the time in sight counts for
    0.7, whoever the camera follows for up to 2.
    """
    sharp = max(0.25, _mean(track, "sharp") / max(sharpest, 1e-6))
    return _mean(track, "weight") * sharp * followed(track, motions) * float(np.sqrt(len(track) / len(motions)))


def followed(track, motions) -> float:
    """1 where the camera stands or somebody moves with the background, up to 2 where they stay in their place while the background goes by."""
    own = background = size = 0.0
    boxes = [track.sightings[f] for f in sorted(track.sightings)]
    for a, b in pairwise(boxes):
        if b.frame - a.frame == 1:
            before, after = ((s.box[:2] + s.box[2:]) / 2 for s in (a, b))
            own += np.linalg.norm(after - before)
            background += np.linalg.norm(carry(motions[b.frame], before[None])[0] - before)
            size += b.size
    if background <= 0:
        return 1.0
    return 1.0 + (1 - min(1.0, own / background)) * min(1.0, background / (0.02 * size))


def choose(prominences, most: int | None = None, only=(), added=()) -> list[int]:
    """Numbers of the people who get joints, masks and 3D.

    prominences: (M,), falling. most: how many, the most prominent; None: up to MOST, and of more than FEW nobody who is background beside the first.
    only: these and nobody else. added: these as well, last. Raises ShotError where a number is nobody's.
    """
    total = len(prominences)
    for number in (*only, *added):
        if not 1 <= number <= total:
            raise ShotError(f"Nobody who was seen has the number {number}.", f"{total} people were seen: seen.json in the take lists them.")
    if only:
        chosen = sorted(set(only))
    elif most is not None:
        chosen = list(range(1, min(most, total) + 1))
    else:
        chosen = [n for n, p in enumerate(prominences, 1) if n <= MOST and (total <= FEW or p >= BACKGROUND * prominences[0])]
    return chosen + [n for n in dict.fromkeys(added) if n not in chosen]


def wanted(seen: Seen, chosen, memory: int = 24) -> np.ndarray:
    """(N,) bool: boxes of the chosen, and boxes that may be confused with where they are. All of them where all people are chosen.

    Where somebody is not seen they are carried along with the camera, for `memory` frames after their first and last box.
    """
    if len(chosen) == len(seen.prominence):
        return np.ones(len(seen.boxes), bool)
    out = np.isin(seen.who, chosen)
    T, cameras = len(seen.motions), chain(seen.motions)
    by_frame = [np.flatnonzero(seen.frame == f) for f in range(T)]
    for number in chosen:
        mine = np.flatnonzero(seen.who == number)
        known = seen.frame[mine]
        for f in range(max(0, known.min() - memory), min(T, known.max() + memory + 1)):
            if not len(others := by_frame[f][~out[by_frame[f]]]):
                continue
            # the last box before and the first after: where nothing is seen, somebody may be anywhere between
            for k in {*mine[known <= f][-1:].tolist(), *mine[known >= f][:1].tolist()}:
                place = carry_box((cameras[f] @ np.linalg.inv(cameras[seen.frame[k]]))[:2], seen.boxes[k])
                sizes = (seen.boxes[others, 2:] - seen.boxes[others, :2]).max(1) / max(1.0, (place[2:] - place[:2]).max())
                out[others] |= (iou(place, seen.boxes[others])[0] > NEAR) & (np.abs(np.log(np.maximum(sizes, 1e-3))) < ALIKE)
    return out


def _same_bodies(tracks, motions):
    """Tracks of parts of a body, or of what one of the detectors sees of it, go into the track of the whole: boxes that share its place most of
    the time. People who hold each other may become one, too: all their boxes are looked at if they are chosen."""
    cameras, kept = chain(motions), []
    cameras = cameras, np.linalg.inv(cameras)
    for t in sorted(tracks, key=lambda t: -_mean(t, "weight") * len(t)):
        for other in kept:
            if np.mean([_shares_place(s, other, cameras) for s in t.sightings.values()]) >= 0.5:
                for f, s in t.sightings.items():
                    if f in other.sightings:
                        other.aside[f, s.number] = s
                    else:
                        other.sightings[f] = s
                break
        else:
            kept.append(t)
    return kept


def _shares_place(s, track, cameras, reach=3) -> bool:
    """Whether a box lies where the track is in that frame, or was or will be within `reach` frames.

    cameras: (T, 3, 3) from frame 0's pixels to each frame's, and back.
    """
    around = sorted(range(s.frame - reach, s.frame + reach + 1), key=lambda f: abs(f - s.frame))
    nearest = next((f for f in around if f in track.sightings), None)
    if nearest is None:
        return False
    place = carry_box((cameras[0][s.frame] @ cameras[1][nearest])[:2], track.sightings[nearest].box)
    areas = [float((box[2:] - box[:2]).prod()) for box in (s.box, place)]
    overlap = float(np.clip(np.minimum(s.box[2:], place[2:]) - np.maximum(s.box[:2], place[:2]), 0, None).prod())
    return min(areas) >= SAME * max(areas) and (overlap >= 0.75 * min(areas) or overlap >= 0.4 * (sum(areas) - overlap))


def _mean(track, name) -> float:
    return float(np.mean([getattr(s, name) for s in track.sightings.values()]))


def _thumbnail(picture):
    scale = _THUMB / max(picture.shape[:2])
    return cv2.resize(picture, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR)
