"""Hands of the people who are followed: 21 points each where a hand is large enough in the film's own pictures.

A hand's region comes from its arm, then from its own last points. It belongs to the person whose wrist it hangs on; a hand that is found far
from the wrist, is one of the other side, or is another person's, is none.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from ..fingers import WRIST
from ..records import Tracks
from ..shot.shot import Frames
from .backend import SURE
from .hand_fit import fitted
from .nets import Hand, HandNet

# px of the film: the palm, wrist to the knuckle of the middle finger, of the smallest hand that is looked at. Twice that to the finger's tip. The net is nearly
# as good at 20 as at 60, and falls off from 15 to 10 (benchmarks/RESULTS.md).
LEAST = 20.0
PALM = 0.095  # m, of grown people
# Pairs of keypoints and how far apart they are in grown people, m: a person's size in the picture is that of the limbs that are foreshortened least.
LIMBS = ((5, 6, 0.36), (5, 7, 0.28), (6, 8, 0.28), (7, 9, 0.25), (8, 10, 0.25), (5, 11, 0.49), (6, 12, 0.49), (11, 13, 0.40), (12, 14, 0.40))
STEADY = 7  # frames, of the median of sizes
SIDE, AHEAD = 3.4, 0.95  # of the region against the palm, and its middle before the wrist
PRESENT = 0.5  # least score
OFF = 1.0  # palms, between the hand's wrist and the arm's
OTHER = 0.5  # sureness with which the net says that this is a hand of the other side: then its depth is upside down, on 5 of 5 rendered hands
LASTS = 2  # frames on either side, of which in half or more a hand must be found where it is looked for
SAME = 0.5  # palms, mean distance of the points of two hands that are one


def run(shot, frames, tracks: Tracks, report, net=None) -> Tracks:
    """Tracks with `hands_2d` and `hands_3d`. Pictures are read in the film's own size, and those alone that show a large hand; without any, nothing is.

    frames: as in `track.run`; where the shot is smaller than its film they are opened anew. net: HandNet unless given.
    """
    P, T = tracks.visible.shape
    zoom = shot.original_height / shot.height
    palms = palm_px(tracks) * zoom
    wanted = (palms >= LEAST)[:, :, None] & (tracks.keypoints_2d[:, :, 9:11, 2] > SURE) & tracks.visible[:, :, None] & shot.fresh[None, :, None]
    if not wanted.any():
        return replace(tracks, hands_2d=None, hands_3d=None)
    two, three = np.zeros((P, T, 2, 21, 3)), np.zeros((P, T, 2, 21, 3))
    net = net or HandNet()
    film = frames if zoom == 1 else Frames(replace(shot, width=shot.original_width, height=shot.original_height))
    last = {}
    index = np.flatnonzero(wanted.any((0, 2)))
    for n, t in enumerate(index):
        rgb = film.read(int(t))
        found = {}
        for p, _, side in np.argwhere(wanted[:, t : t + 1]):
            joints = tracks.keypoints_2d[p, t].copy()
            joints[:, :2] *= zoom
            before = last.get((p, side))
            hand = look(net, rgb, joints, side, palms[p, t], before if before and before[0] == t - 1 else None)
            if hand is not None:
                found[p, side] = hand
        wrists = {key: tracks.keypoints_2d[key[0], t, 9 + key[1], :2] * zoom for key in found}
        for key, hand in owned(found, wrists).items():
            last[key] = (t, hand, wrists[key])
            p, side = key
            two[p, t, side] = np.concatenate([hand.points[:, :2] / zoom, np.full((21, 1), hand.score)], 1)
            three[p, t, side] = hand.points
        report.progress(n + 1, len(index), "Hands")
    for p, side in {(int(p), int(side)) for p, _, side in np.argwhere(two[..., 0, 2] > 0)}:
        seen = lasting(two[p, :, side, 0, 2] > 0, wanted[p, :, side])
        two[p, ~seen, side] = three[p, ~seen, side] = 0
        three[p, seen, side] = fitted(three[p, seen, side], side == 1)
    tracks.provenance.setdefault("weights_sha256", {})[net.net.file] = net.net.sha256
    return replace(tracks, hands_2d=two, hands_3d=three)


def palm_px(tracks: Tracks) -> np.ndarray:
    """How long a palm across the line of sight is, (P, T) px, by the person's limbs; 0 where none is seen."""
    return PALM * px_per_m(tracks, LIMBS)


def px_per_m(tracks: Tracks, limbs) -> np.ndarray:
    """How large people are in the picture, (P, T) px a metre, by pairs of their keypoints and how far apart those are (m); 0 where none is seen."""
    k = tracks.keypoints_2d
    sizes = [
        np.where((k[..., a, 2] > SURE) & (k[..., b, 2] > SURE), np.linalg.norm(k[..., a, :2] - k[..., b, :2], axis=-1) / length, np.nan)
        for a, b, length in limbs
    ]
    ordered = np.sort(np.nan_to_num(sizes), 0)
    largest = np.where(ordered[-2] > 0, ordered[-2], ordered[-1])  # but one: a wrong joint makes a limb too long
    largest[largest == 0] = np.nan
    half = STEADY // 2
    padded = np.pad(largest, ((0, 0), (half, half)), constant_values=np.nan)
    windows = np.lib.stride_tricks.sliding_window_view(padded, STEADY, 1)
    seen = np.isfinite(windows).any(-1)
    out = np.zeros(largest.shape)
    out[seen] = np.nanmedian(windows[seen], -1)
    return out


def look(net, rgb, joints, side, palm, before=None) -> Hand | None:
    """The hand of an arm in a picture, or None.

    joints: (25, 3) keypoints, px of this picture. side: 0 left, 1 right. palm: px. before: (frame, Hand, wrist (2,)) of the frame before.
    """
    wrist = joints[9 + side, :2]
    best = None
    if before is not None:
        best = net(rgb, *region_of(before[1].points[:, :2] + (wrist - before[2])))
    if best is None or best.score < PRESENT or not fits(best, wrist, side, palm):
        for region in regions_of_arm(joints, side, palm):
            hand = net(rgb, *region)
            if hand.score > 0.3:  # there is something: look straight at it
                hand = net(rgb, *region_of(hand.points[:, :2]))
            if fits(hand, wrist, side, palm) and (best is None or not fits(best, wrist, side, palm) or hand.score > best.score):
                best = hand
    return best if best is not None and best.score >= PRESENT and fits(best, wrist, side, palm) else None


def fits(hand: Hand, wrist, side, palm) -> bool:
    """Whether a hand hangs on this wrist, has about this size, px, and is not plainly of the other side."""
    off = np.linalg.norm(hand.points[WRIST, :2] - wrist)
    other = hand.right if side == 0 else 1 - hand.right
    return bool(off < OFF * palm and 0.5 < hand.palm / palm < 2.0 and other < OTHER)


def regions_of_arm(joints, side, palm):
    """Centres, sides and turns of squares in which the hand of an arm may be: straight on from the forearm, and where the body's net sees knuckles."""
    wrist, elbow = joints[9 + side], joints[7 + side]
    knuckles = joints[[21 + side, 23 + side]]
    ways = []
    if (knuckles[:, 2] > 0).all():
        ways.append(knuckles[:, :2].mean(0) - wrist[:2])
    if elbow[2] > SURE:
        ways.append(wrist[:2] - elbow[:2])
    ways = [way / np.linalg.norm(way) for way in ways if np.linalg.norm(way) > 0.3 * palm] or [np.array([0.0, 1.0])]
    return [(wrist[:2] + AHEAD * palm * way, SIDE * palm, float(np.arctan2(way[0], -way[1]))) for way in ways]


# MediaPipe's own region of a hand: twice the square about all but the last two joints of the fingers, the fingers upwards, a tenth further ahead.
_REGION = np.array([0, 1, 2, 3, 5, 6, 9, 10, 13, 14, 17, 18])


def region_of(points):
    """Centre, side and turn (rad) of the square about a hand's points (21, 2) px."""
    way = (points[6] + 2 * points[10] + points[14]) / 4 - points[WRIST]
    turn = float(np.arctan2(way[0], -way[1]))
    c, s = np.cos(turn), np.sin(turn)
    upright = np.array([[c, -s], [s, c]])
    turned = points[_REGION] @ upright
    low, high = turned.min(0), turned.max(0)
    long = (high - low).max()
    centre = (low + high) / 2 - [0, 0.1 * (high - low)[1]]
    return upright @ centre, 2.0 * float(long), turn


def lasting(seen, wanted):
    """Sightings (T,) bool but for those that come and go: somebody's knee is a hand in one frame, and not in the next. wanted: (T,) where a hand was looked for."""
    count = lambda values: np.convolve(values, np.ones(2 * LASTS + 1))[LASTS : LASTS + len(values)]
    return seen & (count(seen) >= 0.5 * count(wanted))


def owned(found: dict, wrists: dict) -> dict:
    """Hands by (person, side) without those that are somebody else's, or the other hand: of several that are one in the picture, that whose wrist is nearest stays."""
    off = {key: np.linalg.norm(hand.points[WRIST, :2] - wrists[key]) / hand.palm for key, hand in found.items()}
    out = {}
    for key in sorted(found, key=off.get):
        mine = found[key]
        same = (np.linalg.norm(mine.points[:, :2] - other.points[:, :2], axis=1).mean() < SAME * min(mine.palm, other.palm) for other in out.values())
        if not any(same):
            out[key] = mine
    return out
