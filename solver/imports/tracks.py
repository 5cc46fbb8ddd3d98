"""The track stage from imported masks and joints; what they leave out, the embedded networks look up."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from scipy.optimize import linear_sum_assignment

from ..frames import project
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
    from ..track.backend import Embedded, Pose
    from ..track.keypoints import join, reject_jumps, repair_sides
    from ..track.masks import Store, compose, place
    from ..track.motion import CameraMotion

    backend = backend or Embedded()
    folder = Path(take_dir) / "masks"
    folder.mkdir(parents=True, exist_ok=True)
    T, size = shot.frames, (shot.width, shot.height)
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
            for p in range(P):
                given = joints[p, f] if joints is not None and (joints[p, f, :, 2] > 0).sum() >= 3 else None
                box = _box(mask == p + 1 if mask is not None else None, given, size)
                if box is None:
                    continue
                pose = Pose(given[:17].copy()) if given is not None else backend.pose(rgb, box)
                body = backend.body(rgb, pose, box)
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
    }
    if not kept.all():
        _keep_only(folder, ids, T)
    return Tracks(
        ids, boxes[kept], score[kept], two[kept], three[kept], source[kept], backend.provenance() | provenance
    )


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

    people: imports.people.Person. Returns (tracks, ids in the order of people). Masks in the take are completed.
    """
    import torch

    from .people import in_camera, on_body

    T = shot.frames
    seen_by, places = [], np.zeros((len(people), T, 25, 2))
    bodies = []
    for k, person in enumerate(people):
        person = in_camera(person, known)
        betas, trans = on_body(person, model)
        arrays = (np.repeat(betas[None], len(trans), 0), person.poses, trans)
        _, _, keypoints = model.fk(*(torch.as_tensor(a, dtype=model.dtype) for a in arrays))
        K = person.K if person.K is not None else None
        if K is None:
            raise ValueError("an imported person without a lens")
        xy = project(keypoints.double().cpu().numpy(), np.broadcast_to(np.eye(4), (len(trans), 4, 4)), K)
        places[k] = np.nan
        places[k, person.frame] = xy
        inside = (
            np.isfinite(xy).all(-1)
            & (np.nan_to_num(xy) > 0).all(-1)
            & (np.nan_to_num(xy) < [shot.width, shot.height]).all(-1)
        )
        seen_by.append(person.frame[inside.sum(-1) >= 3])
        bodies.append((person, betas, trans, inside))
    cost = np.full((len(people), len(tracks.ids)), 1e3)
    for k in range(len(people)):
        for p in range(len(tracks.ids)):
            both = np.intersect1d(seen_by[k], np.flatnonzero(tracks.visible[p]))
            apart = []
            for f in both:
                sure = (tracks.keypoints_2d[p, f, :, 2] > 0.2) & np.isfinite(places[k, f, :, 0])
                height = tracks.boxes[p, f, 3] - tracks.boxes[p, f, 1]
                if sure.sum() >= 3 and height > 4:
                    apart.append(
                        np.median(np.linalg.norm(tracks.keypoints_2d[p, f, sure, :2] - places[k, f, sure], axis=1))
                        / height
                    )
            if len(apart) >= min(OFTEN, T):
                cost[k, p] = np.median(apart)
    ids = [0] * len(people)
    for k, p in zip(*linear_sum_assignment(cost)):
        if cost[k, p] < NEAR:
            ids[k] = int(tracks.ids[p])
    new = [k for k in range(len(people)) if not ids[k] and len(seen_by[k]) >= min(OFTEN, T)]
    for n, k in enumerate(new):
        ids[k] = int(max(tracks.ids, default=0)) + 1 + n
    if report is not None:
        for k, person in enumerate(people):
            if not ids[k]:
                report.warn(f"{person.name} is never in the picture and was left out.")
    if not new:
        return tracks, ids
    blocks = [_track_of(places[k], *bodies[k], tracks, T) for k in new]
    _draw(new, ids, bodies, shot, take_dir, model)

    def grown(name, i):
        return np.concatenate([getattr(tracks, name), np.stack([b[i] for b in blocks])])

    return Tracks(
        np.concatenate([tracks.ids, [ids[k] for k in new]]).astype(int), grown("boxes", 0), grown("score", 1),
        grown("keypoints_2d", 2), grown("keypoints_3d", 3), grown("source", 4), {**tracks.provenance, "imported_people": len(new)},
    ), ids  # fmt: skip


def _track_of(places, person, betas, trans, inside, tracks, T):
    """Box, score, joints and source of a track that only the imported body knows. Its own joints are its evidence."""
    box, score, source = np.full((T, 4), np.nan), np.zeros(T), np.zeros(T, int)
    two, three = np.zeros((T, 25, 3)), np.zeros((T, 25, 4))
    for row, f in enumerate(person.frame):
        if inside[row].sum() < 3:
            continue
        points = places[f, inside[row]]
        low, high = points.min(0), points.max(0)
        margin = 0.08 * (high - low).max()
        box[f], score[f], source[f] = np.concatenate([low - margin, high + margin]), 0.5, 1
        two[f, inside[row], :2], two[f, inside[row], 2] = points, 0.5
    return box, score, two, three, source


def _draw(new, ids, bodies, shot, take_dir, model):
    """The outlines of new people, where the masks of the take show nobody."""
    import torch

    from ..raster import instance_mask

    faces = model.faces.cpu().numpy()
    rows = [{int(f): i for i, f in enumerate(bodies[k][0].frame)} for k in new]
    for f in range(shot.frames):
        here = [(k, rows[n][f]) for n, k in enumerate(new) if f in rows[n]]
        if not here:
            continue
        vertices, labels = [], []
        for k, i in here:
            person, betas, trans, _ = bodies[k]
            arrays = (betas, person.poses[i], trans[i])
            vertices.append(
                model.vertices(*(torch.as_tensor(a, dtype=model.dtype) for a in arrays)).double().cpu().numpy()
            )
            labels.append(ids[k])
        K = bodies[here[0][0]][0].K[here[0][1]]
        drawn = instance_mask(vertices, faces, labels, np.eye(4), K, shot.width, shot.height)
        path = Path(take_dir) / "masks" / f"{f:06d}.png"
        mask = read_mask(path)
        write_mask(path, np.where(mask > 0, mask, drawn))
