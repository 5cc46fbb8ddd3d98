"""2D joints from elsewhere: our npz, COCO results (ViTPose, MMPose, AlphaPose), MMPose's demo JSON, OpenPose's folder."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
from scipy.optimize import linear_sum_assignment

from ..protocol import ShotError
from ..skeleton import COCO_JOINTS, KEYPOINTS, MHR_70
from .numbering import count_from, files_of_frames, number_of, to_shot
from .rows import refusal
from .safe import read_npz, read_pickled

_FIX = "Give COCO results, MMPose's predictions, SAM 3D Body's or our npz as one file, or OpenPose's folder of *_keypoints.json."
_K = len(KEYPOINTS)
_INDEX = {name: i for i, name in enumerate(KEYPOINTS)}

# Their joint for each keypoint of ours, by the number of joints in the file.
_BODY_25 = {
    "nose": 0, "right_shoulder": 2, "right_elbow": 3, "right_wrist": 4, "left_shoulder": 5, "left_elbow": 6, "left_wrist": 7,
    "right_hip": 9, "right_knee": 10, "right_ankle": 11, "left_hip": 12, "left_knee": 13, "left_ankle": 14, "right_eye": 15,
    "left_eye": 16, "right_ear": 17, "left_ear": 18, "left_big_toe": 19, "left_heel": 21, "right_big_toe": 22, "right_heel": 24,
}  # fmt: skip
_OPENPOSE_18 = {
    "nose": 0, "right_shoulder": 2, "right_elbow": 3, "right_wrist": 4, "left_shoulder": 5, "left_elbow": 6, "left_wrist": 7,
    "right_hip": 8, "right_knee": 9, "right_ankle": 10, "left_hip": 11, "left_knee": 12, "left_ankle": 13, "right_eye": 14,
    "left_eye": 15, "right_ear": 16, "left_ear": 17,
}  # fmt: skip
_COCO = {name: i for i, name in enumerate(COCO_JOINTS)}
_WHOLE_BODY = _COCO | {
    "left_big_toe": 17, "left_heel": 19, "right_big_toe": 20, "right_heel": 22, "left_index_knuckle": 96,
    "left_pinky_knuckle": 108, "right_index_knuckle": 117, "right_pinky_knuckle": 129,
}  # fmt: skip
_FEET_23 = {name: i for name, i in _WHOLE_BODY.items() if i < 23}
PROJECTED = 0.6  # confidence of a joint that was not seen but projected from a body
_OPENPOSE, _ELSE = {25: _BODY_25, 18: _OPENPOSE_18}, {17: _COCO, 23: _FEET_23, 133: _WHOLE_BODY, 25: _BODY_25}


def read_joints(path: Path, shot) -> np.ndarray:
    """keypoints_2d (P, T, 25, 3): px of the shot's frames, corner origin, confidence 0..1; 0 where a joint is not in the file.

    Without identities in the file, people are followed from frame to frame by their joints. Raises ShotError.
    """
    path = Path(path)
    try:
        if path.is_dir():
            frames = _openpose(path, shot) if any(path.glob("*_keypoints.json")) else _mhr_folder(path, shot)
        elif path.suffix.lower() == ".npz":
            return _ours(path, shot)
        elif path.suffix.lower() == ".json":
            frames = _json(path, shot)
        elif path.suffix.lower() in _PICKLED:
            frames = _mhr(path, shot)
        else:
            raise ShotError(f"{path.name} is no file of joints that Reshoot reads.", _FIX)
    except ShotError:
        raise
    except Exception as error:  # somebody else's file may lack or hold anything
        raise refusal(path, error, _FIX) from error
    out = _followed(frames, shot.frames)
    if not len(out):
        raise ShotError(f"{path.name} holds no joints in the frames of this shot.", "Choose joints of the same clip.")
    scale = np.array([shot.width / shot.original_width, shot.height / shot.original_height])
    # these programs count from the middle of the first pixel
    out[..., :2] = np.where(out[..., 2:] > 0, (out[..., :2] + 0.5) * scale, 0)
    return out


def _ours(path, shot):
    file = read_npz(path)
    points = np.asarray(file["keypoints_2d"], float)
    size = (float(file["width"]), float(file["height"])) if "width" in file else (shot.width, shot.height)
    frame = np.asarray(file["frame"], int) if "frame" in file else None
    if points.ndim != 4 or points.shape[2] not in (17, _K) or points.shape[3] != 3:
        raise ShotError(f"{path.name} has joints of shape {points.shape}, not (people, frames, {_K}, 3).", _FIX)
    where = to_shot(
        frame if frame is not None else np.arange(points.shape[1]),
        None if frame is not None else points.shape[1],
        shot,
        path.name,
    )
    out = np.zeros((len(points), shot.frames, _K, 3))
    out[:, where[where >= 0], : points.shape[2]] = points[:, where >= 0]
    out[..., :2] *= np.array([shot.width / size[0], shot.height / size[1]])
    out[..., 2] = np.clip(np.nan_to_num(out[..., 2]), 0, 1)
    out[..., :2] = np.where(out[..., 2:] > 0, np.nan_to_num(out[..., :2]), 0)
    return out


def _named(values, maps) -> np.ndarray:
    """Joints (N, 3) of another order to ours (25, 3)."""
    values = np.asarray(values, float).reshape(-1, 3)
    names = maps.get(len(values))
    if names is None:
        raise ShotError(f"The joints come {len(values)} a person, an order that Reshoot does not know.", _FIX)
    out = np.zeros((_K, 3))
    for name, i in names.items():
        out[_INDEX[name]] = values[i]
    good = np.isfinite(out).all(1) & (out[:, 2] > 0) & ((out[:, 0] != 0) | (out[:, 1] != 0))
    out[~good] = 0
    out[:, 2] = np.clip(out[:, 2], 0, 1)  # heat maps may say a little more than 1
    return out


def _openpose(folder, shot):
    files = sorted(folder.glob("*_keypoints.json"))
    if not files:
        raise ShotError(f"The folder {folder.name} holds no *_keypoints.json of OpenPose.", _FIX)
    frames = {}
    numbered = {f: f.with_name(f.name.replace("_keypoints", "")) for f in files}
    back = {v: k for k, v in numbered.items()}
    for index, file in files_of_frames(list(numbered.values()), shot, folder.name).items():
        people = json.loads(back[file].read_text(encoding="utf-8"))["people"]
        frames[index] = []
        for person in people:
            ident = int(np.ravel(person.get("person_id", -1))[0])
            frames[index].append((ident if ident >= 0 else None, _named(person["pose_keypoints_2d"], _OPENPOSE)))
    return frames


_PICKLED = (".pkl", ".pickle", ".joblib", ".npy", ".pt", ".pth")


def _mhr_folder(folder, shot):
    """One file a picture, as people save what SAM 3D Body gives."""
    files = [f for f in sorted(folder.iterdir()) if f.suffix.lower() in (*_PICKLED, ".npz")]
    if not files:
        raise ShotError(
            f"The folder {folder.name} holds neither *_keypoints.json of OpenPose nor results of SAM 3D Body.", _FIX
        )
    frames = {}
    for index, file in files_of_frames(files, shot, folder.name).items():
        frames[index] = _mhr_people(read_npz(file) if file.suffix.lower() == ".npz" else read_pickled(file, _FIX))
    return frames


def _mhr(path, shot):
    """A list of pictures, or a dict by their names, each a list of people."""
    data = read_pickled(path, _FIX)
    pictures = data if isinstance(data, list) else list(data.values())
    index = to_shot(np.arange(len(pictures)), len(pictures), shot, path.name)
    return {int(i): _mhr_people(people) for i, people in zip(index, pictures) if i >= 0}


def _mhr_people(people):
    """[(None, joints)] of what SAM3DBodyEstimator.process_one_image returns."""
    out = []
    for person in people if isinstance(people, list) else [people]:
        for xy in np.asarray(person["pred_keypoints_2d"], float).reshape(-1, 70, 2):
            # its pixels count from the corner; the caller takes them from the middle of the first
            out.append((None, _named(np.column_stack([xy - 0.5, np.full(70, PROJECTED)]), {70: MHR_70})))
    return out


def _json(path, shot):
    data = json.loads(path.read_text(encoding="utf-8"))
    rows = []  # (frame number, identity or None, joints)
    if isinstance(data, dict) and "instance_info" in data:
        data = data["instance_info"]
    if isinstance(data, list) and data and "instances" in data[0]:
        for order, frame in enumerate(data):
            for person in frame["instances"]:
                joints = np.column_stack(
                    [
                        np.reshape(person["keypoints"], (-1, np.shape(person["keypoints"])[-1]))[:, :2],
                        person["keypoint_scores"],
                    ]
                )
                rows.append((int(frame.get("frame_id", order)), person.get("track_id"), _named(joints, _ELSE)))
        numbers = [int(frame.get("frame_id", order)) for order, frame in enumerate(data)]
    else:
        entries = data["annotations"] if isinstance(data, dict) else data
        for entry in entries:
            image = entry["image_id"]
            number = image if isinstance(image, int) else number_of(str(image))
            joints = np.asarray(entry["keypoints"], float).reshape(-1, 3)
            ident = entry.get("track_id", entry.get("idx"))
            rows.append((number, int(np.ravel(ident)[0]) if ident is not None else None, _named(joints, _ELSE)))
        numbers = sorted({number for number, _, _ in rows})
    if not rows:
        return {}
    # A file of results leaves out frames without people, so only a number of its own tells where it begins.
    if min(numbers) in (0, 1) and len(numbers) != shot.frames:
        index = to_shot(np.array(numbers) - min(numbers), None, shot, path.name)
    else:
        index = count_from(numbers, shot)
    where = dict(zip(numbers, index.tolist()))
    frames: dict = {}
    for number, ident, joints in rows:
        if where[number] >= 0:
            frames.setdefault(where[number], []).append((ident, joints))
    return frames


def _followed(frames, count) -> np.ndarray:
    """(P, T, 25, 3) of per-frame lists of (identity, joints)."""
    tracks: dict = {}
    last: dict = {}
    spare = 1_000_000
    for index in sorted(frames):
        known = [(i, j) for i, j in frames[index] if i is not None]
        nameless = [j for i, j in frames[index] if i is None]
        for ident, joints in known:
            tracks.setdefault(ident, {})[index] = joints
        if nameless:
            names = [n for n, (seen, _) in last.items() if index - seen <= 24]
            cost = np.array([[_apart(j, last[n][1]) for n in names] for j in nameless]).reshape(
                len(nameless), len(names)
            )
            taken = {}
            for a, b in zip(*linear_sum_assignment(np.minimum(cost, 10.0))):
                if cost[a, b] < 0.6:
                    taken[a] = names[b]
            for k, joints in enumerate(nameless):
                name = taken.get(k)
                if name is None:
                    name, spare = spare, spare + 1
                tracks.setdefault(name, {})[index] = joints
                last[name] = (index, joints)
    kept = [t for _, t in sorted(tracks.items(), key=lambda item: (min(item[1]), item[0])) if len(t) >= min(3, count)]
    out = np.zeros((len(kept), count, _K, 3))
    for p, track in enumerate(kept):
        for index, joints in track.items():
            out[p, index] = joints
    return out


def _apart(a, b) -> float:
    """Median distance of joints that both have, in sizes of the person; large where they share none."""
    both = (a[:, 2] > 0.1) & (b[:, 2] > 0.1)
    if both.sum() < 3:
        return 1e3
    size = max(np.ptp(b[both, :2], 0).max(), 8.0)
    return float(np.median(np.linalg.norm(a[both, :2] - b[both, :2], axis=1)) / size)
