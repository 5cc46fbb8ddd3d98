"""Stage *track*: the people in a shot, who is who, their joints and their masks."""

from __future__ import annotations

import json
import shutil
from collections import deque
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from fractions import Fraction
from itertools import pairwise
from pathlib import Path

import cv2
import numpy as np

from ..masks.soft import small_size
from ..records import Seen, Tracks, save_text
from ..take import Take, write_image
from .appearance import look_of
from .backend import SHOULDERS, Embedded, Pose
from .between import STEP, Thinned, bridge
from .crowd import MOST, QUARTERS, Survey, choose, wanted
from .faces import with_face
from .finish import finish
from .keypoints import LONE, with_bust
from .masks import Store, cut_out, place
from .motion import carry, carry_box
from .near import shoulders, unclaimed, within
from .nets import FaceNet, SelfieNet, iou
from .outlined import without
from .tracker import (
    DETECTED,
    INTERPOLATED,
    PLAIN,
    PROPAGATED,
    Sighting,
    Tracker,
    drop_duplicates,
    drop_strangers,
    is_duplicate,
    is_stranger,
    lasting,
    link,
    merge_duplicates,
    oks,
    part,
    restore,
    select,
    trim,
)

DOUBTED, CLEARLY = 0.6, 0.08  # whose joints score less may hang upside down, and are believed so where a turned picture scores more by so much
TALL = 1.5  # height over width of a box in which nobody lies: two who passed each other were taken for lying in two frames of 60
SEES = 0.5  # presence, times the share of somebody's outline in its mask, from which the second network sees them
OUTLINED = 0.22  # how sure shoulders are that an outline shows: enough to turn a body, too little to tell steps (world.steps.SEEN)
AHEAD = 2  # frames looked at beside each other: one net at a time does not keep two cores busy


def survey(shot, frames, take_dir, options, report, backend=None) -> Seen:
    """Find everybody with the detectors alone, and write `seen.json` and `seen/NN.jpg`, a picture of each, into the take.

    What is given is as in `run`.
    """
    backend = backend or Embedded()
    shot, frames, indices = _looked_at(shot, frames, options)
    walk, selfie = Survey(shot.width, shot.height), SelfieNet()

    def look(rgb, _):
        boxes, scores = backend.detect(rgb)
        return boxes, scores, *unclaimed(selfie(rgb), boxes, shot.width, shot.height)

    with closing(_ahead(frames, look)) as looks:
        for frame, (rgb, found) in enumerate(looks):
            walk.step(rgb, *found)
            report.progress(frame + 1, len(frames), f"{len(found[0]) + len(found[2])} people")
    net = FaceNet()

    def posed(rgb, box, *turns):
        pose = with_face(net, rgb, backend.pose(rgb, box, *turns))
        return pose if turns or pose.score >= DOUBTED else with_bust(pose, box, len(rgb))

    seen, pictures = walk.result(_rate(shot), indices, posed)
    folder = Path(take_dir) / "seen"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    for number, picture in enumerate(pictures, 1):
        write_image(folder / f"{number:02d}.jpg", picture)
    list_seen(seen, take_dir, choose(seen.prominence, getattr(options, "most", None)))
    return seen


def list_seen(seen: Seen, take_dir, chosen, persons=None) -> int:
    """Write `seen.json`, and return how many are left out. chosen: numbers; persons: the take's number of those who became one, by number."""
    people, persons = [], persons or {}
    for number, prominence in enumerate(seen.prominence, 1):
        frames = seen.indices[np.unique(seen.frame[seen.who == number])]
        best = seen.best[number - 1]
        people.append({
            "seen": number, "chosen": number in chosen or number in persons, "person": persons.get(number),
            "prominence": round(float(prominence), 4), "frames": len(frames), "first": int(frames[0]), "last": int(frames[-1]),
            "frame": int(seen.indices[seen.frame[best]]), "box": seen.boxes[best].round(1).tolist(), "picture": f"seen/{number:02d}.jpg",
        })  # fmt: skip
    save_text(Path(take_dir) / "seen.json", json.dumps({"schema_version": 1, "people": people}, indent=1))
    return sum(not person["chosen"] for person in people)


def run(shot, frames, take_dir, options, report, backend=None, seen=None, only=(), added=()) -> Tracks:
    """Follow the people who are chosen, and write `masks/%06d.png` (one for every frame, empty ones too), `seen.json` and,
    for the stage *masks*, `stages/nets` into the take.

    frames: solver.shot.Frames; backend: backend.Backend, the embedded one unless given; seen: what `survey` gave, made anew if not given;
    only, added: numbers of `seen` (crowd.choose). For a preview (`options.quality`) every second frame is looked at; frames without a
    picture of their own never are. Raises ShotError where a number is nobody's.
    """
    masks_dir = Path(take_dir) / "masks"
    masks_dir.mkdir(parents=True, exist_ok=True)
    nets_dir = Take(take_dir).nets
    shutil.rmtree(nets_dir, ignore_errors=True)
    nets_dir.mkdir(parents=True)
    backend = backend or Embedded()
    if seen is None:
        seen = survey(shot, frames, take_dir, options, report, backend)
    most = getattr(options, "most", None)
    chosen = choose(seen.prominence, most, only, added)
    thinned, pictures, indices = _looked_at(shot, frames, options)
    tracks, persons = _run(thinned, pictures, indices, seen, chosen, tuple(added), most or max(MOST, len(chosen)), masks_dir, nets_dir, backend, report)
    if left := list_seen(seen, take_dir, chosen, persons):
        report.warn(f"{left} more {'person was' if left == 1 else 'people were'} seen and left out.")
    if len(indices) == len(frames):
        return tracks
    if _preview(frames, options):
        report.warn("Preview quality: people were looked for in every second frame and bridged between.")
    return bridge(tracks, indices, masks_dir, report)


def _preview(frames, options) -> bool:
    return getattr(options, "quality", "final") == "preview" and len(frames) > 2


def _looked_at(shot, frames, options):
    """Shot and frames as they are looked at, and the numbers (K,) of these frames."""
    preview = _preview(frames, options)
    if not preview and shot.fresh.all():
        return shot, frames, np.arange(len(frames))
    thinned = Thinned(shot, frames, STEP if preview else 1)
    return thinned.shot, thinned, thinned.indices


def _run(shot, frames, indices, seen, chosen, added, most, masks_dir, nets_dir, backend, report):
    """`run` on all frames of a shot. indices: the number that each frame's mask is filed under; most: people beside those added. Also
    returns which person each number of `seen` became."""
    store, motions = Store(masks_dir), seen.motions
    try:
        walk = _Walk(shot, frames, backend, store, report, seen, wanted(seen, chosen))
        rate = _rate(shot)
        tracks = link(merge_duplicates(part(trim(walk.forward()))), motions, rate)
        people = select(merge_duplicates(tracks), len(frames))
        everybody = len(chosen) == len(seen.prominence)
        tracks = people if everybody else [t for t in people if t.who(chosen)]
        tracks = [t for t in tracks if t.who(added) == 0][:most] + sorted((t for t in tracks if t.who(added)), key=lambda t: added.index(t.who(added)))
        restore(tracks)
        # who was looked at because they come near tells, too, whose sightings are whose
        drop_strangers(tracks if everybody else tracks + [t for t in people if not t.who(chosen)])
        tracks = [t for t in tracks if len(t) >= lasting(len(frames)) or t.who(added)]
        walk.fill(tracks, motions)
        persons = _persons(tracks, seen, chosen)
        return finish(shot, tracks, motions, store, walk.near, masks_dir, nets_dir, indices, backend, report), persons
    finally:
        store.close()


def _persons(tracks, seen, chosen) -> dict[int, int]:
    """Which person (from 1) each number of `seen` became: who has most of its boxes; half of them or more where it was not chosen."""
    out = {}
    for number in range(1, len(seen.prominence) + 1):
        shared = [sum(s.who == number for s in t.sightings.values()) for t in tracks]
        least = 1 if number in chosen else 0.5 * len(np.unique(seen.frame[seen.who == number]))
        if shared and max(shared) >= least:
            out[number] = int(np.argmax(shared)) + 1
    return out


def _ahead(frames, look):
    """(rgb, look(rgb, frame)) of every frame in order. The next frames are read and looked at while this one is used."""
    pool, ahead = ThreadPoolExecutor(AHEAD), deque()
    try:
        for frame, rgb in enumerate(frames):
            ahead.append((rgb, pool.submit(look, rgb, frame)))
            if len(ahead) > AHEAD:
                rgb, looked = ahead.popleft()
                yield rgb, looked.result()
        for rgb, looked in ahead:
            yield rgb, looked.result()
    finally:
        pool.shutdown(cancel_futures=True)


def _rate(shot) -> float:
    return float(Fraction(shot.fps))


class _Walk:
    """The passes that look at pictures."""

    def __init__(self, shot, frames, backend, store, report, seen, wanted):
        """seen: records.Seen of these frames; wanted: (N,) bool, which of its boxes are looked at."""
        self.shot, self.frames, self.backend, self.store, self.report = shot, frames, backend, store, report
        self.face, self.selfie, self.near = FaceNet(), SelfieNet(), {}
        self.total = len(frames)
        self.motions = seen.motions
        self.boxes = [[] for _ in range(self.total)]
        for k in np.flatnonzero(wanted):
            self.boxes[seen.frame[k]].append((seen.boxes[k], int(seen.who[k])))

    def forward(self):
        """Every frame once, in order. Returns raw tracks."""
        tracker = Tracker()
        with closing(_ahead(self.frames, self._look)) as looks:  # or the threads of a run that is stopped go on
            for frame, (rgb, found) in enumerate(looks):
                A = self.motions[frame]
                tracker.predict(frame, A)
                matched = tracker.match(frame, found)
                following = {id(t) for t in matched.values()}
                for k, s in enumerate(found):
                    if k in matched:
                        tracker.add(s, matched[k])
                for track in tracker.active(frame):
                    if id(track) not in following and len(track) >= 3:
                        s = self._propagated(rgb, frame, track, found)
                        if s is not None:
                            found.append(s)
                            tracker.add(s, track)
                for k, s in enumerate(found):
                    if s.source == DETECTED and k not in matched and s.score > PLAIN:
                        tracker.add(s)
                self.report.progress(frame + 1, self.total, f"{len(found)} people")
        return tracker.tracks

    def _look(self, rgb, frame):
        """A sighting of each body in a frame with its mask and looks: matching wants to know those. Also keeps who is near the camera."""
        self.near[frame] = self.store.put(self.selfie(rgb))
        found = drop_duplicates([self._at(rgb, frame, *both) for both in self.boxes[frame]])
        found = [s for s in found if s.score > 0.15]
        for s in found:
            self._complete(rgb, s)
        for box, who in self.boxes[frame]:
            if not any(s.score >= PLAIN and iou(s.box, box)[0, 0] > 0.4 for s in found):
                plain = [s for s in found if s.score >= PLAIN]
                if (s := self._outlined(rgb, frame, box, plain, DETECTED, who)) is not None:
                    found = [*(s for s in found if iou(s.box, box)[0, 0] <= 0.4), s]
        return found

    def _outlined(self, rgb, frame, box, others, source, who=0, known=False) -> Sighting | None:
        """Who is near the camera, mostly with their back to it, by their outline. others: sightings of those who are painted out. Unless such a person is known, the
        second network has to see them, too."""
        small = small_size(self.shot.width, self.shot.height)
        near = cv2.resize(self.store.get(self.near[frame]), small, interpolation=cv2.INTER_LINEAR)
        shown = self._shown(others)
        region = within(near, box * small[1] / self.shot.height, shown > 0)
        if region is None:
            return None
        alone = without(rgb, shown, 0)
        pose = self.backend.pose(alone, box)
        s = Sighting(frame, box, pose, source, who=who, body=self.backend.body(alone, pose, box))
        A = s.body.A * (small[1] / self.shot.height)
        sees = s.body.presence * float((place(s.body.mask, A, *small)[region] > 127).mean()) >= SEES
        if not (sees or known):
            return None
        # Without eyes or a nose it is a back, and both nets take it for a front as often as not.
        pose.joints[:, 2] *= pose.joints[:, 2] >= LONE
        if not pose.joints[:3, 2].any():
            pose.joints[SHOULDERS] = np.column_stack([shoulders(region) * (self.shot.height / small[1]), [OUTLINED, OUTLINED]])
        s.body.landmarks = s.body.landmarks * [1, 1, 0]
        s.body.mask = np.maximum(s.body.mask * sees, cut_out(region.astype(np.uint8) * 255, A, len(s.body.mask)))
        pose.bust = s.body.presence = float(near[region].mean() / 255)
        self._keep(alone, s)
        return s

    def _at(self, rgb, frame, box, who) -> Sighting:
        s = Sighting(frame, box, self._posed(rgb, box), who=who)
        # A box that hangs half beside plain joints is worth less than they are.
        if s.score > 0.4 and iou(box, _widened(s.pose.box))[0, 0] < 0.4:
            tight = self._tight(s.pose, box)
            s.box = box if tight is None else tight
        return s

    def fill(self, tracks, motions):
        """Look again where a track has a gap or the detectors alone see somebody, and before its first frame; interpolate what stays missing for a moment."""
        wanted, numbers = [], {who for there in self.boxes for _, who in there} - {0}
        for track in tracks:
            seen, boxes = sorted(track.sightings), {}
            number = track.who(numbers)
            if number and not any(other.who({number}) for other in tracks if other is not track):
                # The detectors see them; the joints' net, asked there, answered with somebody else.
                boxes = {f: box for f, there in enumerate(self.boxes) for box, who in there if who == number and f not in track.sightings}
            for a, b in pairwise(seen):
                if 1 < b - a <= 30:
                    boxes |= {f: _between(track, a, b, f, motions) for f in range(a + 1, b)}
            wanted += [(f, track, box) for f, box in boxes.items()]
        for n, (frame, track, box) in enumerate(sorted(wanted, key=lambda w: w[0])):
            self._look_again(frame, track, box, tracks)
            self.report.progress(n + 1, len(wanted), "Looking again where somebody was lost")
        for track in tracks:
            self._backward(track, tracks, motions)
            seen = sorted(track.sightings)
            for a, b in pairwise(seen):
                if 1 < b - a <= 5:
                    for f in range(a + 1, b):
                        track.sightings[f] = self._interpolated(track, a, b, f, motions)
            track.sightings = dict(sorted(track.sightings.items()))

    def _backward(self, track, tracks, motions, most=24):
        """From the first sighting back in time, as long as the person is plainly there."""
        for frame in range(track.first - 1, max(-1, track.first - 1 - most), -1):
            A = np.vstack([motions[frame + 1], [0, 0, 1]])
            if not self._look_again(
                frame, track, carry_box(np.linalg.inv(A)[:2], track.sightings[frame + 1].box), tracks
            ):
                return
            self.report.progress(0, self.total, "Looking back")

    def _interpolated(self, track, a, b, frame, motions) -> Sighting:
        """A box between two sightings. Its joints are no evidence, their confidence is 0; a mask is kept if it is plain."""
        forth, back, w = _along(a, b, frame, motions)
        first, last = track.sightings[a].pose.joints, track.sightings[b].pose.joints
        joints = np.minimum(first, last)
        joints[:, :2] = (1 - w) * carry(forth, first[:, :2]) + w * carry(back, last[:, :2])
        s = Sighting(frame, _between(track, a, b, frame, motions), Pose(joints), INTERPOLATED)
        self._complete(self.frames.read(frame), s)
        if s.body.presence < 0.8:
            s.body = None
        s.pose = Pose(np.zeros((17, 3)))
        return s

    def _look_again(self, frame, track, box, tracks) -> bool:
        box = self._inside(box)
        if box is None:
            return False
        rgb = self.frames.read(frame)
        others = [t.sightings[frame] for t in tracks if t is not track and frame in t.sightings]
        s = self._plainly(rgb, frame, track, box, others)
        if s is None and any(iou(box, other.box)[0, 0] > 0 for other in others):
            # The net may have an eye for somebody else who is in the box: once more without them.
            rgb = without(rgb, self._shown(others), 0)
            s = self._plainly(rgb, frame, track, box, others)
        if s is None:
            s = self._outlined(self.frames.read(frame), frame, box, others, PROPAGATED, known=True)
        else:
            self._complete(rgb, s)
        if s is None or s.body.presence < 0.3 or is_stranger(s.look, track.mean_look(), [t.mean_look() for t in tracks if t is not track]):
            return False
        track.sightings[frame] = s
        return True

    def _plainly(self, rgb, frame, track, box, others) -> Sighting | None:
        """Who is in a box where a track should be, if that is about as plain as the track and none of the others."""
        s = Sighting(frame, box, self._posed(rgb, box), PROPAGATED)
        if s.score < max(0.35, 0.65 * track.score) or _overlap_share(s.pose.box, box) < 0.3:
            return None
        s.box = self._tight(s.pose, box)
        return None if s.box is None or any(is_duplicate(s, other) for other in others) else s

    def _shown(self, sightings) -> np.ndarray:
        """(h, w), 1 on the masks of sightings."""
        small = small_size(self.shot.width, self.shot.height)
        crops = [place(self.store.get(s.body.mask), s.body.A, self.shot.width, self.shot.height) for s in sightings if s.body is not None]
        shown = [cv2.resize(crop, small, interpolation=cv2.INTER_AREA) > 127 for crop in crops]
        return np.any(shown, 0).astype(np.uint8) if shown else np.zeros(small[::-1], np.uint8)

    def _propagated(self, rgb, frame, track, found):
        """The person at the place where the track should be, if it is plainly there. None otherwise."""
        if frame - track.last > 4 or not _found_lately(track):
            return None
        box = self._inside(track.box)
        if box is None:
            return None
        s = Sighting(frame, box, self._posed(rgb, box), PROPAGATED)
        area = float((box[2:] - box[:2]).prod())
        if s.score < max(0.3, 0.6 * track.score) or oks(s.pose.joints, track.joints, area) < 0.1:
            return None
        s.box = self._tight(s.pose, box)
        if s.box is None or any(is_duplicate(s, other) for other in found):
            return None
        self._complete(rgb, s)
        return s if s.body.presence > 0.3 else None

    def _posed(self, rgb, box) -> Pose:
        """Joints of who is in a box: somebody upside down looks upright in a turned picture, and nobody else does. Nobody lies in a tall box. Who shows few joints may have a face, or be seen from behind."""
        pose = self.backend.pose(rgb, box)
        if pose.score < DOUBTED:
            pose = with_face(self.face, rgb, pose)
        if pose.score < DOUBTED:
            tall = box[3] - box[1] > TALL * (box[2] - box[0])
            turned = self.backend.pose(rgb, box, (np.pi,) if tall else QUARTERS[1:])
            return turned if turned.score > pose.score + CLEARLY else with_bust(pose, box, self.shot.height)
        return pose

    def _complete(self, rgb, s):
        """Mask, 3D and looks of a sighting."""
        s.body = self.backend.body(rgb, s.pose, s.box)
        s.body.presence = max(s.body.presence, s.pose.face)
        self._keep(rgb, s)

    def _keep(self, rgb, s):
        """Looks of a sighting with a mask; the crop of that goes to the store."""
        small = place(s.body.mask, s.body.A, self.shot.width, self.shot.height) > 127
        s.look = look_of(rgb, small.astype(np.uint8), s.pose.joints)
        s.body.mask = self.store.put(s.body.mask)

    def _tight(self, pose, box):
        """The box about plain joints, or None where that is hardly in the picture; the one looked in where a face or shoulders alone are plain."""
        return box if pose.face or pose.bust else self._inside(_widened(pose.box))

    def _inside(self, box):
        """A box cut to the picture, or None where hardly anything is left of it."""
        cut = np.clip(box, 0, [self.shot.width, self.shot.height] * 2)
        area = float(np.clip(cut[2:] - cut[:2], 0, None).prod())
        whole = float((np.asarray(box)[2:] - np.asarray(box)[:2]).prod())
        return cut if area > 0.2 * whole and (cut[2:] - cut[:2]).min() > 4 else None


def _found_lately(track, most=20) -> bool:
    """Whether a detector, and not the track's own prediction, saw the person within the last frames."""
    recent = list(track.sightings.values())[-most:]
    return len(recent) < most or any(s.source != PROPAGATED for s in recent)


def _overlap_share(a, b) -> float:
    """Share of box a that lies in box b."""
    overlap = np.clip(np.minimum(a[2:], b[2:]) - np.maximum(a[:2], b[:2]), 0, None).prod()
    return float(overlap / max(1e-6, (a[2:] - a[:2]).prod()))


def _widened(box, share=0.12):
    """Joints lie inside the body: a box round them, widened to what a detector would draw."""
    size = (box[2:] - box[:2]).max()
    return box + size * share / 2 * np.array([-1, -1, 1, 1])


def _along(a, b, frame, motions):
    """How the camera carries pixels of frames a and b into `frame` between them, (2, 3) each, and the weight of b."""
    forth, back = np.eye(3), np.eye(3)
    for f in range(a + 1, frame + 1):
        forth = np.vstack([motions[f], [0, 0, 1]]) @ forth
    for f in range(b, frame, -1):
        back = np.linalg.inv(np.vstack([motions[f], [0, 0, 1]])) @ back
    return forth[:2], back[:2], (frame - a) / (b - a)


def _between(track, a, b, frame, motions):
    forth, back, w = _along(a, b, frame, motions)
    return (1 - w) * carry_box(forth, track.sightings[a].box) + w * carry_box(back, track.sightings[b].box)
