"""What the tracker found, as the take keeps it: arrays of the record, the masks, and what the nets said of them."""

from __future__ import annotations

import cv2
import numpy as np

from ..masks.soft import small_size, write_soft
from ..records import Tracks
from ..take import write_mask
from .backend import LEGS, SURE
from .keypoints import disown, join, reject_jumps, repair_sides
from .masks import compose, place
from .near import completed
from .tracker import INTERPOLATED


def finish(shot, tracks, motions, store, near, masks_dir, nets_dir, indices, backend, report) -> Tracks:
    """The record of `tracker.Track`s; writes the masks and, for the stage *masks*, what the nets said of them.

    motions: (T, 2, 3) of the camera; store: `masks.Store` of the nets' crops; near: keys in it of who is near the camera in each frame; indices: (T,) the
    numbers that frames are filed under.
    """
    P, T = len(tracks), shot.frames
    boxes = np.full((P, T, 4), np.nan)
    score = np.zeros((P, T))
    source = np.zeros((P, T), int)
    joints = np.full((P, T, 17, 3), np.nan)
    landmarks, world, presence = np.full((P, T, 33, 3), np.nan), np.full((P, T, 33, 3), np.nan), np.full((P, T), np.nan)
    for p, track in enumerate(tracks):
        for f, s in track.sightings.items():
            boxes[p, f], score[p, f], source[p, f] = s.box, s.score, s.source
            if s.source != INTERPOLATED:
                joints[p, f] = s.pose.joints
                landmarks[p, f], world[p, f], presence[p, f] = s.body.landmarks, s.body.world, s.body.presence
    two, three = np.zeros((P, T, 25, 3)), np.zeros((P, T, 25, 4))
    size = (boxes[..., 2:] - boxes[..., :2]).max(-1)
    for p in range(P):
        joints[p] = repair_sides(joints[p], landmarks[p], size[p], motions)
    joints = disown(joints, size)
    for p in range(P):
        steady = reject_jumps(joints[p], size[p], motions)
        two[p], three[p] = join(steady, landmarks[p], world[p], presence[p], size[p], shot.width, shot.height)
    small = small_size(shot.width, shot.height)
    for f in range(T):
        people, said = [], np.zeros((P, small[1], small[0]), np.uint8)
        for p, track in enumerate(tracks):
            s = track.sightings.get(f)
            if s is not None and s.body is not None and s.body.presence > 0.2:
                crop = place(store.get(s.body.mask), s.body.A, shot.width, shot.height)
                people.append((p + 1, crop, joints[p, f]))
                said[p] = cv2.resize(crop, small, interpolation=cv2.INTER_AREA)
        mask = compose(people, shot.width, shot.height)
        cut = {p + 1: boxes[p, f] for p in range(P) if source[p, f] and not two[p, f, LEGS, 2].any()}
        if cut:
            shown = cv2.resize(store.get(near[f]), (shot.width, shot.height), interpolation=cv2.INTER_LINEAR)
            mask = completed(mask, shown, cut)
            for ident in cut:
                mine = cv2.resize(((mask == ident) * shown).astype(np.uint8), small, interpolation=cv2.INTER_AREA)
                said[ident - 1] = np.maximum(said[ident - 1], mine)
        if P:
            write_soft(nets_dir / f"{indices[f]:06d}.png", said)
        for p in np.flatnonzero(source[:, f]):
            boxes[p, f] = _tight(mask == p + 1, two[p, f], boxes[p, f])
        write_mask(masks_dir / f"{indices[f]:06d}.png", mask)
        report.progress(f + 1, T, "Masks")
    if not P:
        report.warn("No people were found in the shot. The camera can still be solved.")
    return Tracks(np.arange(1, P + 1), boxes, score, two, three, source, backend.provenance())


def _tight(mask, keypoints, box):
    """Box (4,) of a mask and the sure joints; the given one where there is no mask."""
    if not mask.any():
        return box
    xs, ys = np.flatnonzero(mask.any(0)), np.flatnonzero(mask.any(1))
    out = np.array([xs[0], ys[0], xs[-1] + 1, ys[-1] + 1], float)
    sure = keypoints[:17][keypoints[:17, 2] > SURE + 0.1, :2]
    if len(sure):
        out = np.concatenate([np.minimum(out[:2], sure.min(0)), np.maximum(out[2:], sure.max(0))])
    return out
