"""Faces of the people who are followed: how each head is turned, where a face is large enough in the film's own pictures.

A face's region comes from the joints of the head, then from its own last points. It belongs to the person whose eyes and nose it lies on.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from ..records import Tracks
from ..shot.shot import Frames
from .backend import SURE, Pose
from .hands import LIMBS, lasting, px_per_m
from .nets import Face, FaceNet

LEAST = 20.0  # px of the film: the smallest face that is looked at, brow to chin
FACE = 0.15  # m, brow to chin of grown people
# Pairs of keypoints of a head and how far apart they are in grown people, m (as hands.LIMBS).
HEAD = ((3, 4, 0.155), (0, 3, 0.125), (0, 4, 0.125), (1, 3, 0.1), (2, 4, 0.1), (1, 2, 0.06), (0, 1, 0.055), (0, 2, 0.055))
SIDE = 1.5  # of the region against the face
PRESENT = 0.5  # least score
PLAIN = 0.8  # least score of a face that makes a doubtful pose a person
ALONE = 0.3  # a pose that scores less is a head; what is less sure of its arms and legs is imagined
FEATURES = {0: (1,), 1: (362, 263), 2: (33, 133)}  # the face's points of nose, left and right eye
OFF = 0.5  # faces, between the face's middle and that of the head's joints
SAME = 0.4  # faces, between the middles of two that are one
# MediaPipe's canonical face: of 33 points that keep their place in the head the number, how much it counts, and where it is, cm to the left, up and ahead.
RIGID = np.array([
    (4, 0.0709, 0.000, -0.463, 7.587), (6, 0.0321, 0.000, 2.473, 5.789), (10, 0.0084, 0.000, 8.262, 4.482), (33, 0.0587, -4.446, 2.664, 3.173), (54, 0.0077, -6.279, 6.615, 1.426),
    (67, 0.0091, -3.524, 8.006, 3.729), (117, 0.0098, -5.259, 0.946, 2.974), (119, 0.0146, -3.301, 0.862, 3.873), (121, 0.0186, -1.821, 1.468, 4.224), (127, 0.0052, -7.743, 2.365, -2.005),
    (129, 0.1206, -1.786, -0.978, 4.850), (132, 0.0056, -7.271, -2.891, -2.252), (133, 0.0533, -1.856, 2.585, 3.758), (136, 0.0669, -5.085, -7.179, 0.715), (143, 0.0148, -6.408, 2.236, 1.561),
    (147, 0.0143, -6.235, -1.944, 1.664), (198, 0.0255, -1.247, 0.230, 5.681), (205, 0.0473, -3.833, -1.537, 4.138), (263, 0.0587, 4.446, 2.664, 3.173), (284, 0.0077, 6.279, 6.615, 1.426),
    (297, 0.0091, 3.524, 8.006, 3.729), (346, 0.0098, 5.259, 0.946, 2.974), (348, 0.0146, 3.301, 0.862, 3.873), (350, 0.0186, 1.821, 1.468, 4.224), (356, 0.0052, 7.743, 2.365, -2.005),
    (358, 0.1206, 1.786, -0.978, 4.850), (361, 0.0056, 7.271, -2.891, -2.252), (362, 0.0533, 1.856, 2.585, 3.758), (365, 0.0669, 5.085, -7.179, 0.715), (372, 0.0148, 6.408, 2.236, 1.561),
    (376, 0.0143, 6.235, -1.944, 1.664), (420, 0.0255, 1.247, 0.230, 5.681), (425, 0.0473, 3.833, -1.537, 4.138),
])  # fmt: skip
NUMBERS, WEIGHTS, PLACES = RIGID[:, 0].astype(int), RIGID[:, 1], RIGID[:, 2:]
EYES = (33, 263)  # outer corners, right and left


def run(shot, frames, tracks: Tracks, report, net=None) -> Tracks:
    """Tracks with `faces_2d` and `faces_3d`. Pictures are read in the film's own size, and those alone that show a large face; without any, nothing is.

    frames: as in `track.run`; where the shot is smaller than its film they are opened anew. net: FaceNet unless given.
    """
    zoom = shot.original_height / shot.height
    heads, size = tracks.keypoints_2d[:, :, :5], FACE * px_per_m(tracks, LIMBS + HEAD) * zoom
    wanted = (size >= LEAST) & (heads[:, :, :3, 2] > SURE).any(-1) & tracks.visible & shot.fresh[None]
    if not wanted.any():
        return replace(tracks, faces_2d=None, faces_3d=None)
    two, three = np.zeros((*wanted.shape, 3)), np.zeros((*wanted.shape, 3, 3))
    net = net or FaceNet()
    film = frames if zoom == 1 else Frames(replace(shot, width=shot.original_width, height=shot.original_height))
    last: dict = {}
    index = np.flatnonzero(wanted.any(0))
    for n, t in enumerate(index):
        rgb, found = film.read(int(t)), {}
        for p in np.flatnonzero(wanted[:, t]):
            joints = tracks.keypoints_2d[p, t].copy()
            joints[:, :2] *= zoom
            before = last.get(p)
            face = look(net, rgb, joints, size[p, t], before[1] if before and before[0] == t - 1 else None)
            if face is not None:
                found[p] = (face, off_head(face, joints))
        for p in owned(found):
            face = found[p][0]
            last[p] = (t, face)
            two[p, t] = [*face.points[:, :2].mean(0) / zoom, face.score]
            three[p, t] = turn_of(face.points)
        report.progress(n + 1, len(index), "Faces")
    for p in range(len(two)):
        gone = ~lasting(two[p, :, 2] > 0, wanted[p])
        two[p, gone] = three[p, gone] = 0
    tracks.provenance.setdefault("weights_sha256", {})[net.net.file] = net.net.sha256
    return replace(tracks, faces_2d=two, faces_3d=three)


def with_face(net, rgb, pose: Pose) -> Pose:
    """A pose whose head has a face, with that face's eyes and nose; else the pose as it is.

    A close-up shows too few joints to be plainly a person, and the net imagines arms and legs in it.
    """
    joints = np.zeros((25, 3))
    joints[:17] = pose.joints
    size = FACE * max(np.linalg.norm(joints[a, :2] - joints[b, :2]) / length for a, b, length in HEAD)
    face = look(net, rgb, joints, size) if size >= LEAST else None
    if face is None or face.score < PLAIN:
        return pose
    found = pose.joints.copy()
    for joint, numbers in FEATURES.items():
        found[joint, :2] = face.points[list(numbers), :2].mean(0)
        found[joint, 2] = max(found[joint, 2], face.score)
    if pose.score < ALONE:
        found[7:, 2] *= found[7:, 2] >= ALONE
    return replace(pose, joints=found, face=round(face.score, 2))


def look(net, rgb, joints, size, before: Face | None = None) -> Face | None:
    """The face of a head in a picture, or None. joints: (25, 3) keypoints, px of this picture; size: px; before: the face in the frame before."""
    regions = [region_of_head(joints, size)]
    if before is not None:
        regions.insert(0, region_of(before.points))
    for region in regions:
        face = net(rgb, *region)
        if face.score > 0.2:  # there is something: look straight at it
            face = net(rgb, *region_of(face.points))
        if face.score >= PRESENT and off_head(face, joints) < OFF and 0.5 < face.size / size < 2.0:
            return face
    return None


def off_head(face: Face, joints) -> float:
    """How far a face lies from the eyes and the nose of somebody's joints, in faces."""
    return float(np.linalg.norm(face.points[:, :2].mean(0) - _middle(joints)) / face.size)


def _middle(joints):
    """Between those of eyes and nose that are seen, or ears where only they are."""
    near = joints[:3][joints[:3, 2] > SURE]
    near = near if len(near) else joints[:5]
    return np.average(near[:, :2], 0, np.maximum(near[:, 2], 1e-6))


def region_of_head(joints, size):
    """Centre, side and turn (rad) of the square about the face of a head's joints."""
    eyes = joints[1, :2] - joints[2, :2]
    up = joints[:3, :2].mean(0) - joints[5:7, :2].mean(0)
    if (joints[1:3, 2] > SURE).all() and np.linalg.norm(eyes) > 0.25 * size:
        turn = np.arctan2(eyes[1], eyes[0])
    elif (joints[5:7, 2] > SURE).all() and np.linalg.norm(up) > 0.5 * size:
        turn = np.arctan2(up[0], -up[1])
    else:
        turn = 0.0
    return _middle(joints), SIDE * 1.2 * size, float(turn)


def region_of(points):
    """Centre, side and turn (rad) of the square about a face's points (468, 3) px, as MediaPipe takes it."""
    right, left = points[list(EYES), :2]
    turn = float(np.arctan2(left[1] - right[1], left[0] - right[0]))
    c, s = np.cos(turn), np.sin(turn)
    upright = np.array([[c, -s], [s, c]])
    turned = points[:, :2] @ upright
    low, high = turned.min(0), turned.max(0)
    return upright @ ((low + high) / 2), SIDE * float((high - low).max()), turn


def owned(found: dict) -> list:
    """People whose face is theirs. found: (Face, how far off the head) by person; of several that are one in the picture, the nearest stays."""
    out = []
    for p in sorted(found, key=lambda p: found[p][1]):
        face = found[p][0]
        middle = face.points[:, :2].mean(0)
        others = (found[q][0] for q in out)
        if not any(np.linalg.norm(middle - o.points[:, :2].mean(0)) < SAME * min(face.size, o.size) for o in others):
            out.append(p)
    return out


def turn_of(points):
    """Rotation (3, 3) from SMPL's rest axes of the head to a camera's that looks straight at the face, by its rigid points (weighted Procrustes)."""
    at = points[NUMBERS] - np.average(points[NUMBERS], 0, WEIGHTS)
    rest = PLACES - np.average(PLACES, 0, WEIGHTS)
    U, _, Vt = np.linalg.svd((at * WEIGHTS[:, None]).T @ rest)
    return U @ np.diag([1, 1, np.linalg.det(U @ Vt)]) @ Vt
