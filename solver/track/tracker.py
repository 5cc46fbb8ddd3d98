"""Who is who: frame-to-frame matching, then linking over the whole shot. Boxes and joints only, no networks.

Frames are walked forward once (`Tracker`). Where a track changes its looks, somebody else took it over: it is cut (`part`). What
belongs together is joined afterwards (`merge_duplicates`, `link`), where the future is known too. `select` drops ghosts and orders people by prominence.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from itertools import pairwise

import numpy as np
from scipy.optimize import linear_sum_assignment

from .appearance import mean_look, similarity, unlike
from .backend import SURE, Pose
from .motion import carry, carry_box
from .nets import iou

DETECTED, PROPAGATED, INTERPOLATED = 1, 2, 3

PRESENT = 0.8  # mean presence of a track: people have 0.97 and more even half hidden, a ghost in blurred leaves 0.6
CHANGED = 0.8  # a track that looks less like itself than this was taken over; one person before and after: 0.83 and more
AROUND, ASIDE = 8, 2  # sightings before and after that are compared, and those about a cut that show both people
NEARLY = 16  # frames about a change of looks in which the other one was seen, too
PAUSE = 3  # frames that a track may miss and still be one piece
LAP = 10  # frames in which the end of one piece may lie on the beginning of the next
PLAIN = 0.3  # a sighting that scores less may continue a track, but begins none

# Spread of each COCO joint as annotators place it, relative to the size of the person (COCO keypoint evaluation).
_SIGMAS = 2 * np.array(
    [.026, .025, .025, .035, .035, .079, .079, .072, .072, .062, .062, .107, .107, .087, .087, .089, .089]
)  # fmt: skip


@dataclass
class Sighting:
    """One person in one frame."""

    frame: int
    box: np.ndarray  # (4,) px
    pose: Pose
    source: int = DETECTED
    look: np.ndarray | None = None  # see appearance.look_of
    body: object = None  # what the back end said, opaque here
    who: int = 0  # of `records.Seen`, where a detector's box began it

    @property
    def score(self) -> float:
        """0..1: the joints' confidence, less where the second network sees nobody there."""
        return self.pose.score * (1 if self.body is None else 0.5 + 0.5 * self.body.presence)

    @property
    def size(self) -> float:
        return float(max(1.0, (self.box[2:] - self.box[:2]).max()))


@dataclass
class Track:
    """Sightings of one person by frame, in order of time."""

    sightings: dict = field(default_factory=dict)
    aside: dict = field(default_factory=dict)  # doubtful ones, see `trim`
    # Where the person would be in the current frame, while walking.
    box: np.ndarray | None = None
    joints: np.ndarray | None = None  # (17, 3)
    velocity: np.ndarray = field(default_factory=lambda: np.zeros(2))  # px a frame, against the background
    look: np.ndarray | None = None

    @property
    def first(self) -> int:
        return min(self.sightings)

    @property
    def last(self) -> int:
        return max(self.sightings)

    def __len__(self):
        return len(self.sightings)

    @property
    def score(self) -> float:
        return float(np.mean([s.score for s in self.sightings.values()]))

    def detected_share(self) -> float:
        return float(np.mean([s.source == DETECTED for s in self.sightings.values()]))

    def who(self, among) -> int:
        """Whom of `among` (numbers of `records.Seen`) most of the detectors' boxes are of; 0 where those are fewer than half."""
        numbers = [s.who for s in self.sightings.values() if s.source == DETECTED]
        mine = [number for number in numbers if number in among]
        return max(set(mine), key=mine.count) if 2 * len(mine) >= len(numbers) > 0 else 0

    def presence(self) -> float:
        """How sure the second network is, on average, that somebody is there; 1 where it was never asked."""
        asked = [s.body.presence for s in self.sightings.values() if s.body is not None]
        return float(np.mean(asked)) if asked else 1.0

    def mean_look(self):
        return mean_look([s.look for s in self.sightings.values()])


def oks(a, b, area) -> float:
    """Object keypoint similarity of joints a, b (17, 3), over those that both see; 0 where fewer than three are."""
    both = (a[:, 2] > SURE) & (b[:, 2] > SURE)
    if both.sum() < 3:
        return 0.0
    d2 = ((a[both, :2] - b[both, :2]) ** 2).sum(1)
    return float(np.exp(-d2 / (2 * area * _SIGMAS[both] ** 2)).mean())


def is_duplicate(a: Sighting, b: Sighting) -> bool:
    """Two sightings of one frame that show the same body: the joints in the same places, or one box inside the other."""
    small, large = sorted((a, b), key=lambda s: (s.box[2:] - s.box[:2]).prod())
    both = (a.pose.joints[:, 2] > SURE) & (b.pose.joints[:, 2] > SURE)
    apart = np.linalg.norm(a.pose.joints[both, :2] - b.pose.joints[both, :2], axis=1)
    if both.sum() >= 6 and np.median(apart) < 0.05 * min(a.size, b.size):
        return True
    overlap = np.clip(
        np.minimum(small.box[2:], large.box[2:]) - np.maximum(small.box[:2], large.box[:2]), 0, None
    ).prod()
    if overlap < 0.6 * max(1e-6, (small.box[2:] - small.box[:2]).prod()):
        return False
    if both.sum() < 3:
        return bool(iou(a.box, b.box)[0, 0] > 0.6)
    return bool(np.median(apart) < 0.06 * large.size)


def drop_duplicates(sightings) -> list[Sighting]:
    """The best sighting of each body in one frame; of a head that fills several boxes, all of them plain by its face, the largest."""
    kept: list[Sighting] = []
    for s in sorted(sightings, key=lambda s: (-s.score, -(s.box[2:] - s.box[:2]).prod())):
        if not any(is_duplicate(s, other) for other in kept):
            kept.append(s)
    return kept


class Tracker:
    """Forward walk. Per frame: `predict`, `match`, then `add` what was found."""

    def __init__(self, memory: int = 24):
        self.tracks: list[Track] = []
        self.memory = memory  # frames after which a lost person is left to the offline linking

    def active(self, frame: int) -> list[Track]:
        return [t for t in self.tracks if frame - t.last <= self.memory]

    def predict(self, frame: int, A) -> None:
        """Carry everyone into `frame`; A (2, 3) takes the previous frame's pixels to this one's."""
        for t in self.active(frame):
            step = t.velocity * 0.8 ** (frame - t.last - 1)  # an unseen person soon stops, as far as we know
            t.box = carry_box(A, t.box) + np.tile(step, 2)
            t.joints = np.column_stack([carry(A, t.joints[:, :2]) + step, t.joints[:, 2]])

    def match(self, frame: int, sightings) -> dict[int, Track]:
        """Index of sighting -> track. Plain sightings go to recent tracks first, then to those lost for a while, which must
        look alike; doubtful ones may only continue a track that is just there."""
        matched: dict[int, Track] = {}
        for lost, plain in ((False, True), (False, False), (True, True)):
            tracks = [
                t
                for t in self.active(frame)
                if (frame - t.last > 3) == lost and not any(t is other for other in matched.values())
            ]
            free = [k for k, s in enumerate(sightings) if k not in matched and (s.score >= PLAIN) == plain]
            if not tracks or not free:
                continue
            cost = np.array([[_cost(t, sightings[k], frame, lost, plain) for k in free] for t in tracks])
            for row, column in zip(*linear_sum_assignment(cost)):
                if cost[row, column] < 5:
                    matched[free[column]] = tracks[row]
        return matched

    def add(self, sighting: Sighting, track: Track | None = None) -> Track:
        """Continue a track, or begin one."""
        if track is None:
            track = Track()
            self.tracks.append(track)
        elif track.box is not None and sighting.frame - track.last <= 2:
            moved = (sighting.box[:2] + sighting.box[2:] - track.box[:2] - track.box[2:]) / 2
            track.velocity = track.velocity + 0.5 * moved  # the prediction already holds the old velocity
            track.velocity *= min(1.0, 0.15 * sighting.size / max(1e-6, np.linalg.norm(track.velocity)))
        else:
            track.velocity = np.zeros(2)
        track.sightings[sighting.frame] = sighting
        track.box, track.joints = sighting.box.astype(float), sighting.pose.joints.astype(float)
        if sighting.look is not None:
            track.look = sighting.look if track.look is None else mean_look([track.look] * 9 + [sighting.look])
        return track


def _cost(track: Track, s: Sighting, frame: int, lost: bool, plain: bool) -> float:
    """Lower is likelier; 9 means impossible."""
    gap = frame - track.last
    overlap = iou(track.box, s.box)[0, 0]
    size = max(s.size, float((track.box[2:] - track.box[:2]).max()))
    alike = oks(track.joints, s.pose.joints, 0.5 * float((s.box[2:] - s.box[:2]).prod()))
    far = np.linalg.norm((track.box[:2] + track.box[2:] - s.box[:2] - s.box[2:]) / 2) / size
    look = similarity(track.look, s.look)
    ratio = abs(np.log(s.size / max(1.0, (track.box[2:] - track.box[:2]).max())))
    if not lost and ((overlap < 0.15 and alike < 0.3) or (ratio > 0.5 and alike < 0.4)):
        return 9.0
    if not plain and (overlap < 0.35 or look < 0.6):
        return 9.0
    if lost and (far > 0.4 + 0.06 * gap or look < 0.6 or ratio > 0.5):
        return 9.0
    return (1 - overlap) + 0.5 * (1 - alike) + (2 if lost else 1) * (1 - look) + 0.5 * ratio + 0.01 * gap


# -- the whole shot


def merge_duplicates(tracks: list[Track]) -> list[Track]:
    """Join tracks that follow the same body at the same time."""
    tracks = sorted(tracks, key=lambda t: -len(t))
    kept: list[Track] = []
    for t in tracks:
        for other in kept:
            common = t.sightings.keys() & other.sightings.keys()
            same = sum(is_duplicate(t.sightings[f], other.sightings[f]) for f in common)
            if common and same >= 0.5 * len(common) and len(common) >= 0.3 * len(t):
                other.sightings = dict(sorted({**t.sightings, **other.sightings}.items()))
                break
        else:
            kept.append(t)
    return kept


def trim(tracks: list[Track]) -> list[Track]:
    """Put doubtful sightings at both ends of each track aside: there it has often gone astray already."""
    for t in tracks:
        for end in (min, max):
            while t.sightings and t.sightings[end(t.sightings)].score < PLAIN:
                frame = end(t.sightings)
                t.aside[frame] = t.sightings.pop(frame)
    return [t for t in tracks if t.sightings]


def part(tracks: list[Track]) -> list[Track]:
    """Cut tracks where they pause, and where they change their looks beside somebody else: people passed each other, and the track went on with
    the other one. Sightings about a change, which show both, are dropped. Who is alone may turn, or show more of a skirt."""
    out = []
    for t in tracks:
        frames = sorted(t.sightings)
        looks = [t.sightings[f].look for f in frames]
        alike = np.ones(len(frames))
        for k in range(2 * ASIDE, len(frames) - 2 * ASIDE):
            before, after = looks[max(0, k - ASIDE - AROUND) : k - ASIDE], looks[k + 1 + ASIDE : k + 1 + ASIDE + AROUND]
            if unlike(before := mean_look(before), after := mean_look(after), CHANGED) and _beside(t, frames[k], tracks):
                alike[k] = similarity(before, after)
        dropped = np.zeros(len(frames), bool)
        for k in np.flatnonzero(alike < CHANGED):
            around = slice(max(0, k - AROUND), k + AROUND + 1)
            if alike[k] == alike[around].min() and not dropped[around].any():
                dropped[k - ASIDE + 1 : k + ASIDE] = True
        kept = np.flatnonzero(~dropped)
        breaks = [i for i, (a, b) in enumerate(pairwise(kept), 1) if b - a > 1 or frames[b] - frames[a] > PAUSE]
        pieces = [Track({frames[k]: t.sightings[frames[k]] for k in piece}) for piece in np.split(kept, breaks)]
        for piece in pieces:
            _drop_strange_ends(piece)
        pieces[0].aside = {f: s for f, s in t.aside.items() if f < frames[0]}
        pieces[-1].aside |= {f: s for f, s in t.aside.items() if f > frames[-1]}
        out += pieces
    return [t for t in out if t.sightings]


def _beside(track, frame, tracks) -> bool:
    """Whether somebody else was seen who touched the track's box within NEARLY frames."""
    box = track.sightings[frame].box
    near = [t.sightings[f].box for t in tracks if t is not track for f in range(frame - NEARLY, frame + NEARLY + 1) if f in t.sightings]
    return bool(near) and bool((iou(box, near) > 0).any())


def _drop_strange_ends(piece: Track) -> None:
    """Take away what begins or ends a piece and looks unlike the rest of it, and unlike what is nearest: half of it is somebody else already.

    Unlike the whole alone is also who comes near: another part of them fills the picture.
    """
    whole = piece.mean_look()
    for order in (1, -1):
        while len(piece) > 1:
            frames = sorted(piece.sightings)[::order]
            look = piece.sightings[frames[0]].look
            near = mean_look([piece.sightings[f].look for f in frames[1 + ASIDE : 1 + ASIDE + AROUND]])
            if not (unlike(look, whole, CHANGED) and unlike(look, whole if near is None else near, CHANGED)):
                break
            del piece.sightings[frames[0]]


def is_stranger(look, own, others) -> bool:
    """Whether a sighting looks more like somebody else than like the one it is taken for. Who is dressed alike is not compared."""
    return any(unlike(own, o, CHANGED) and unlike(look, own, similarity(look, o)) for o in others)


def drop_strangers(tracks: list[Track]) -> None:
    """Take sightings away that show somebody else: the one in front, mostly, while people pass each other."""
    looks = [t.mean_look() for t in tracks]
    for i, t in enumerate(tracks):
        others = looks[:i] + looks[i + 1 :]
        kept = {f: s for f, s in t.sightings.items() if not is_stranger(s.look, looks[i], others)}
        t.sightings = kept or t.sightings


def restore(tracks: list[Track]) -> None:
    """Once all is linked: take back what was put aside where it follows on from the track without a jump. A person on the
    way out of the picture looks doubtful, but is still there."""
    for t in tracks:
        for frame, step in ((t.first, -1), (t.last, 1)):
            while (s := t.aside.get(frame + step)) is not None and s.frame not in t.sightings:
                before = t.sightings[frame]
                if iou(s.box, before.box)[0, 0] < 0.2 or abs(np.log(s.size / before.size)) > 0.4:
                    break
                t.sightings[s.frame] = s
                frame = s.frame
        t.sightings = dict(sorted(t.sightings.items()))


def chain(motions) -> np.ndarray:
    """(T, 3, 3) from frame 0's pixels to each frame's, from steps (T, 2, 3)."""
    out = [np.eye(3)]
    for A in motions[1:]:
        out.append(np.vstack([A, [0, 0, 1]]) @ out[-1])
    return np.array(out[: len(motions)])


def link(tracks: list[Track], motions, rate: float, far: bool = True) -> list[Track]:
    """Join pieces of the same person: over short gaps by place and looks, over long ones (if `far`) by looks alone.

    motions: (T, 2, 3) of the camera; rate: frames a second. The cheapest join is made first, then all are judged anew.
    """
    cameras, alive = chain(motions), dict(enumerate(tracks))
    looks = {i: t.mean_look() for i, t in alive.items()}
    known: dict = {}

    def alike(i, j):
        if (i, j) not in known:
            known[i, j] = known[j, i] = similarity(looks[i], looks[j])
        return known[i, j]

    def near(i, j):
        a, b = alive[i], alive[j]
        if i == j or b.first - a.last > 1.5 * rate or not (a.first < b.first and a.last < min(b.last, b.first + LAP)):
            return None
        return _near(a, b, alike(i, j), cameras, rate)

    joins = {(i, j): cost for i in alive for j in alive if (cost := near(i, j)) is not None}
    while True:
        all_joins = [(cost, i, j) for (i, j), cost in joins.items()]
        if far:
            pairs = ((i, j) for i, a in alive.items() for j, b in alive.items() if a.last < b.first and (i, j) not in joins)
            all_joins += [(cost, i, j) for i, j in pairs if (cost := _far(i, j, alive, alike)) is not None]
        if not all_joins:
            return list(alive.values())
        _, i, j = min(all_joins)
        joined, other = alive[i], alive.pop(j)
        joined.sightings = dict(sorted({**other.sightings, **joined.sightings}.items()))
        joined.aside = {**joined.aside, **other.aside}
        looks[i] = joined.mean_look()
        known = {pair: value for pair, value in known.items() if i not in pair}
        joins = {pair: cost for pair, cost in joins.items() if not {i, j} & set(pair)}
        joins |= {pair: cost for k in alive for pair in ((i, k), (k, i)) if (cost := near(*pair)) is not None}


def _near(a, b, look, cameras, rate):
    """Cost of joining a and b by place, or None."""
    first = min(f for f in b.sightings if f > a.last)  # where both are, b is not sure yet whose it is
    gap = first - a.last
    if gap > 1.5 * rate or look < (0.4 if a.last < b.first else CHANGED):
        return None
    end, start = a.sightings[a.last], b.sightings[first]
    A = (cameras[first] @ np.linalg.inv(cameras[a.last]))[:2]
    box = carry_box(A, end.box)
    apart = np.linalg.norm((box[:2] + box[2:] - start.box[:2] - start.box[2:]) / 2) / max(end.size, start.size)
    ratio = abs(np.log(start.size / max(1.0, (box[2:] - box[:2]).max())))
    if apart > min(1.5, 0.5 + 1.2 * gap / rate) or ratio > 0.6:
        return None
    # What looks alike, is near in time, and is long enough to be sure of comes first.
    return 0.5 * apart + 4 * (1 - look) + 0.5 * ratio + 0.5 * gap / rate + 1 / min(len(a), len(b))


def _far(i, j, tracks, alike, enough=0.68, margin=0.06):
    """Cost of joining by looks alone, or None: nobody else who could be the one may look nearly as much alike."""
    look = alike(i, j)
    if look < enough or min(len(tracks[i]), len(tracks[j])) < 5:
        return None
    for k, other in tracks.items():
        if k in (i, j) or len(other) < 5:
            continue
        apart_from_j = not (other.sightings.keys() & tracks[j].sightings.keys())
        apart_from_i = not (other.sightings.keys() & tracks[i].sightings.keys())
        # Somebody who was there together with i, and may be j as well; or who may be i, together with j.
        if apart_from_j and not apart_from_i and alike(k, j) > look - margin:
            return None
        if apart_from_i and not apart_from_j and alike(i, k) > look - margin:
            return None
    return 1.0 + 4 * (1 - look)


def lasting(frames: int) -> int:
    """In how many of a shot's frames somebody has to be seen."""
    return min(6, max(1, frames // 4))


def select(tracks: list[Track], frames: int) -> list[Track]:
    """Drop ghosts; the most prominent people first.

    A ghost is short, or hardly ever plainly a person, or is carried along far more often than it is found, or the second network
    often sees nobody there.
    """
    people = []
    for t in tracks:
        sure = sum(s.score > 0.4 for s in t.sightings.values())
        plain = sure >= max(1, 0.2 * len(t)) and t.detected_share() >= 0.25 and t.presence() >= PRESENT
        if plain and len(t) >= lasting(frames):
            people.append(t)
    people.sort(key=lambda t: -_prominence(t))
    if people:
        # Somebody tiny for a moment at the edge is no part of the story: below 1% of the main person's presence.
        main = _prominence(people[0])
        people = [t for t in people if _prominence(t) > 0.01 * main]
    return people


def _prominence(track) -> float:
    """Seen frames times mean area; confidence counts, so that a lively ghost does not lead."""
    return sum(float((s.box[2:] - s.box[:2]).prod()) * s.score for s in track.sightings.values())
