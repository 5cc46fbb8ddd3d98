"""The track stage from imported masks and joints; what they leave out, the embedded networks look up."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from scipy.optimize import linear_sum_assignment

from ..frames import project
from ..protocol import Reporter, ShotError
from ..records import Tracks
from ..take import read_mask, write_mask

OFTEN = 3  # frames in which a person must be seen
NEAR = 0.25  # an imported body belongs to a track if its joints lie this near, in heights of the box


def tracks_from_imports(shot, frames, take_dir, masks=None, joints=None, report=None, backend=None) -> Tracks:
    """Tracks whose people, masks and 2D joints come from files; writes `masks/%06d.png` of every frame.

    masks:   imports.masks.Masks, or None: then masks are looked up where the joints are.
    joints:  (P, T, 25, 3) px of the shot, or None: then joints are looked up where the masks are. With both, the masks say who
             is who.
    backend: solver.track.backend.Backend, the embedded one unless given.
    """
    from ..masks.soft import small_size
    from ..track.backend import Embedded, Pose
    from ..track.keypoints import join, reject_jumps, repair_sides
    from ..track.masks import Store, compose, place
    from ..track.motion import CameraMotion
    from ..track.outlined import near_others, without

    backend = backend or Embedded()
    folder = Path(take_dir) / "masks"
    folder.mkdir(parents=True, exist_ok=True)
    T, size = shot.frames, (shot.width, shot.height)
    masks, joints, facts = _against_film(shot, frames, masks, joints, backend, report or Reporter())
    if masks is not None and joints is not None:
        joints = joints_of_masks(masks, joints, T, report)
    P = len(masks.ids) if masks is not None else len(joints)
    boxes, source, score = np.full((P, T, 4), np.nan), np.zeros((P, T), int), np.zeros((P, T))
    found, presence = np.full((P, T, 17, 3), np.nan), np.full((P, T), np.nan)
    landmarks, world = np.full((P, T, 33, 3), np.nan), np.full((P, T, 33, 3), np.nan)
    camera, motions, crops, store = CameraMotion(), [], {}, Store(folder)
    try:
        for f in range(T):
            rgb = frames.read(f)
            mask = masks.read(f) if masks is not None else None
            if mask is not None:
                small = cv2.resize(np.where(mask <= P, mask, 0).astype(np.uint8), small_size(*size), interpolation=cv2.INTER_NEAREST)
            for p in range(P):
                given = joints[p, f] if joints is not None and (joints[p, f, :, 2] > 0).sum() >= 3 else None
                box = _box(mask == p + 1 if mask is not None else None, given, size)
                if box is None:
                    continue
                # Who touches somebody else is looked at alone: whose the pixels are is known.
                alone = without(rgb, small, p + 1) if mask is not None and near_others(small, p + 1) else rgb
                pose = Pose(given[:17].copy()) if given is not None else backend.pose(alone, box)
                body = backend.body(alone, pose, box)
                boxes[p, f], source[p, f], score[p, f] = box, 1, pose.score
                found[p, f], landmarks[p, f], world[p, f], presence[p, f] = (
                    pose.joints,
                    body.landmarks,
                    body.world,
                    body.presence,
                )
                if mask is None:
                    crops[p, f] = store.put(body.mask), body.A
            motions.append(camera.step(rgb, boxes[:, f][source[:, f] > 0]))
            if mask is not None:
                write_mask(folder / f"{f:06d}.png", mask)
            if report is not None:
                report.progress(f + 1, T, f"{int((source[:, f] > 0).sum())} imported people")
        two, three = np.zeros((P, T, 25, 3)), np.zeros((P, T, 25, 4))
        for p in range(P):
            extent = (boxes[p, :, 2:] - boxes[p, :, :2]).max(-1)
            if joints is None:
                found[p] = reject_jumps(repair_sides(found[p], landmarks[p], extent, motions), extent, motions)
            two[p], three[p] = join(found[p], landmarks[p], world[p], presence[p], extent, *size)
            if joints is not None:  # what was given stays as given
                two[p] = np.where(joints[p, ..., 2:] > 0, joints[p], two[p])
        if masks is None:
            for f in range(T):
                people = [
                    (p + 1, place(store.get(crops[p, f][0]), crops[p, f][1], *size), found[p, f])
                    for p in range(P)
                    if (p, f) in crops
                ]
                write_mask(folder / f"{f:06d}.png", compose(people, *size))
    finally:
        store.close()
    kept = (source > 0).sum(1) >= min(OFTEN, T)
    if report is not None and not kept.all():
        report.warn(f"{int((~kept).sum())} of the imported people are in fewer than {OFTEN} frames and were left out.")
    ids = np.flatnonzero(kept) + 1
    provenance = {
        "masks": "imported" if masks is not None else "looked up",
        "joints": "imported" if joints is not None else "looked up",
        "given": facts,
    }
    if not kept.all():
        _keep_only(folder, ids, T)
    return Tracks(
        ids, boxes[kept], score[kept], two[kept], three[kept], source[kept], backend.provenance() | provenance
    )


def _against_film(shot, frames, masks, joints, backend, report):
    """Masks and joints as the film shows them, and what was found."""
    from . import evidence_picture

    found, facts = evidence_picture.found_people(shot, frames, backend), {}
    if joints is not None:
        joints, facts["joints"] = evidence_picture.joints_against_film(joints, found, shot, report)
    if masks is not None:
        masks, facts["masks"] = evidence_picture.masks_against_film(masks, found, shot, report)
    return masks, joints, facts


def _keep_only(folder, ids, frames):
    for f in range(frames):
        mask = read_mask(folder / f"{f:06d}.png")
        write_mask(folder / f"{f:06d}.png", np.where(np.isin(mask, ids), mask, 0))


def _box(mask, joints, size):
    """(4,) px of a mask, else of joints; None where nobody is seen."""
    if mask is not None:
        if mask.sum() < 16:
            return None
        x, y = np.flatnonzero(mask.any(0)), np.flatnonzero(mask.any(1))
        return np.array([x[0], y[0], x[-1] + 1, y[-1] + 1], float)
    if joints is None:
        return None
    points = joints[joints[:, 2] > 0, :2]
    low, high = points.min(0), points.max(0)
    margin = 0.08 * (high - low).max() + 2
    box = np.clip(np.concatenate([low - margin, high + margin]), 0, [*size, *size])
    return box if (box[2:] - box[:2]).min() > 2 else None


def joints_of_masks(masks, joints, frames, report=None) -> np.ndarray:
    """Joints (P of the masks, T, 25, 3): in each frame those of the person most of whose joints lie in the mask."""
    out = np.zeros((len(masks.ids), frames, *joints.shape[2:]))
    used = np.zeros(len(joints), bool)
    for f in range(frames):
        mask = masks.read(f)
        at = np.clip(joints[:, f, :, :2].astype(int), 0, [mask.shape[1] - 1, mask.shape[0] - 1])
        label, sure = mask[at[..., 1], at[..., 0]], joints[:, f, :, 2] > 0
        share = np.array(
            [
                [(label[j][sure[j]] == i).mean() if sure[j].sum() >= 3 else 0 for j in range(len(joints))]
                for i in masks.ids
            ]
        )
        for i, j in zip(*linear_sum_assignment(-share)):
            if share[i, j] > 0.4:
                out[i, f] = joints[j, f]
                used[j] = True
    if report is not None and not used.all():
        report.warn(f"{int((~used).sum())} people of the joints file lie in no mask and were left out.")
    return out


def add_people(tracks: Tracks, people, shot, take_dir, model, known=None, report=None) -> tuple[Tracks, list[int]]:
    """The track of every imported body; who has none gets one, with the body's own outline as mask.

    people: imports.person.Person. Returns (tracks, ids in the order of people, 0 for who is never in the picture). The bodies'
    joints become the tracks' 3D joints, and their 2D joints in frames in which nobody else saw the person.
    """
    T = shot.frames
    seen = [_seen(person, shot, model, known) for person in people]
    ids = _matched(tracks, seen, T)
    new = [k for k in range(len(people)) if not ids[k] and (seen[k].source > 0).sum() >= min(OFTEN, T)]
    for n, k in enumerate(new):
        ids[k] = int(max(tracks.ids, default=0)) + 1 + n
    if report is not None:
        for k, person in enumerate(people):
            if not ids[k]:
                report.warn(f"{person.name} is never in the picture and was left out.")

    def grown(name, default):
        old = getattr(tracks, name)
        return np.concatenate([old, np.full((len(new), *old.shape[1:]), default, old.dtype)])

    out = Tracks(
        np.concatenate([tracks.ids, [ids[k] for k in new]]).astype(int), grown("boxes", np.nan), grown("score", 0),
        grown("keypoints_2d", 0), grown("keypoints_3d", 0), grown("source", 0),
        {**tracks.provenance, "imported_people": list(ids)},
    )  # fmt: skip
    for k, ident in enumerate(ids):
        if not ident:
            continue
        p = int(np.flatnonzero(out.ids == ident)[0])
        here = seen[k].source > 0
        fill = here & (out.source[p] == 0)
        for name in ("boxes", "score", "keypoints_2d"):
            getattr(out, name)[p, fill] = getattr(seen[k], name)[fill]
        out.source[p, fill] = 1 if k in new else 2
        out.keypoints_3d[p, here] = seen[k].keypoints_3d[here]
    if new:
        _draw([(ids[k], seen[k]) for k in new], shot, take_dir, model)
    return out, ids


@dataclass
class _Seen:
    """An imported body as a detector would have seen it, over T frames."""

    person: object  # S_c
    betas: np.ndarray
    trans: np.ndarray
    places: np.ndarray  # (T, 25, 2) px, NaN where there is no body
    boxes: np.ndarray
    score: np.ndarray
    keypoints_2d: np.ndarray
    keypoints_3d: np.ndarray
    source: np.ndarray


def _seen(person, shot, model, known) -> _Seen:
    import torch

    from .people import in_camera, on_body

    person, T = in_camera(person, known), shot.frames
    if person.K is None:
        raise ShotError(f"{person.name} comes without a lens.", "Give the camera too (--camera).")
    betas, trans = on_body(person, model)
    arrays = (np.repeat(betas[None], len(trans), 0), person.poses, trans)
    _, _, keypoints = model.fk(*(torch.as_tensor(a, dtype=model.dtype, device=model.device) for a in arrays))
    keypoints = keypoints.double().cpu().numpy()
    xy = project(keypoints, np.broadcast_to(np.eye(4), (len(trans), 4, 4)), person.K)
    inside = (np.nan_to_num(xy, nan=-1) > 0).all(-1) & (np.nan_to_num(xy) < [shot.width, shot.height]).all(-1)
    out = _Seen(
        person, betas, trans, np.full((T, 25, 2), np.nan), np.full((T, 4), np.nan), np.zeros(T), np.zeros((T, 25, 3)),
        np.zeros((T, 25, 4)), np.zeros(T, int),
    )  # fmt: skip
    out.places[person.frame] = xy
    for row, f in enumerate(person.frame):
        if inside[row].sum() < 3:
            continue
        points = xy[row, inside[row]]
        low, high = points.min(0), points.max(0)
        margin = 0.08 * (high - low).max()
        out.boxes[f], out.score[f], out.source[f] = np.concatenate([low - margin, high + margin]), 0.5, 1
        out.keypoints_2d[f, inside[row], :2], out.keypoints_2d[f, inside[row], 2] = points, 0.5
        out.keypoints_3d[f, :, :3], out.keypoints_3d[f, :, 3] = keypoints[row] - keypoints[row, 11:13].mean(0), 0.9
    return out


def _matched(tracks, seen, T) -> list[int]:
    """The number of the track whose joints lie on each body's, 0 where there is none."""
    cost = np.full((len(seen), len(tracks.ids)), 1e3)
    for k, body in enumerate(seen):
        for p in range(len(tracks.ids)):
            apart = []
            for f in np.flatnonzero((body.source > 0) & tracks.visible[p]):
                sure = (tracks.keypoints_2d[p, f, :, 2] > 0.2) & np.isfinite(body.places[f, :, 0])
                height = tracks.boxes[p, f, 3] - tracks.boxes[p, f, 1]
                if sure.sum() >= 3 and height > 4:
                    off = np.linalg.norm(tracks.keypoints_2d[p, f, sure, :2] - body.places[f, sure], axis=1)
                    apart.append(np.median(off) / height)
            if len(apart) >= min(OFTEN, T):
                cost[k, p] = np.median(apart)
    ids = [0] * len(seen)
    for k, p in zip(*linear_sum_assignment(cost)):
        if cost[k, p] < NEAR:
            ids[k] = int(tracks.ids[p])
    return ids


def _draw(new, shot, take_dir, model):
    """The outlines of new people (number, _Seen), where the masks of the take show nobody."""
    import torch

    from ..raster import instance_mask

    faces = model.faces.cpu().numpy()
    rows = [{int(f): i for i, f in enumerate(body.person.frame)} for _, body in new]
    for f in range(shot.frames):
        here = [(ident, body, rows[n][f]) for n, (ident, body) in enumerate(new) if body.source[f] > 0]
        if not here:
            continue
        vertices = []
        for _, body, i in here:
            arrays = (body.betas, body.person.poses[i], body.trans[i])
            placed = model.vertices(*(torch.as_tensor(a, dtype=model.dtype, device=model.device) for a in arrays))
            vertices.append(placed.double().cpu().numpy())
        # lenses of several files may differ a little: each body is drawn through its own, the nearest last
        path = Path(take_dir) / "masks" / f"{f:06d}.png"
        mask = read_mask(path)
        order = sorted(range(len(here)), key=lambda n: -vertices[n][:, 2].mean())
        drawn = np.zeros_like(mask)
        for n in order:
            ident, body, i = here[n]
            one = instance_mask([vertices[n]], faces, [ident], np.eye(4), body.person.K[i], shot.width, shot.height)
            drawn = np.where(one > 0, one, drawn)
        write_mask(path, np.where(mask > 0, mask, drawn))
