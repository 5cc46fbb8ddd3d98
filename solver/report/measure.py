"""The numbers of the report card. numpy only; nothing here needs ground truth."""

from __future__ import annotations

import numpy as np

from ..frames import invert, project
from ..records import Camera, Tracks
from ..skeleton import COCO_JOINTS, MASS
from ..stairs import OVER_M

REFERENCE_WIDTH = 1920  # joint errors are also given as if the film were this wide
UNSEEN = 0.3  # a joint's confidence below which it is imagined
GRAVITY = 9.81  # m/s²
FALL_S, FALL_OFF = 0.25, 0.01  # s that a fall lasts at least, and how far a body may be off a parabola (rms), m
FEET = (17, 19, 18, 20)  # keypoints of World.contact's columns: left heel, left toe, right heel, right toe


class Silhouettes:
    """Pixel accuracy and IoU of solved people against the video's masks (paper, section 4.2), added up frame by frame.

    PA:  percentage of pixels with the right class, the background being a class and each person one.
    IoU: mean over the classes a frame shows in either picture, then over frames; as the paper's, the background counts.
    IoU of people: the same without the background.
    """

    def __init__(self):
        self._right = self._pixels = 0
        self._iou, self._iou_people = [], []
        self.per_frame = []  # IoU of people of every added frame; NaN where there are none

    def add(self, mask, solved) -> None:
        """mask, solved: person indices (H, W)."""
        self._right += int((mask == solved).sum())
        self._pixels += mask.size
        table = np.bincount(np.ravel(mask.astype(np.int32) * 256 + solved), minlength=65536).reshape(256, 256)
        both = np.diag(table)
        union = table.sum(0) + table.sum(1) - both
        shown = union > 0
        iou = both[shown] / union[shown]
        people = iou[1:] if shown[0] else iou
        self._iou.append(iou.mean())
        self.per_frame.append(people.mean() if len(people) else np.nan)
        if len(people):
            self._iou_people.append(people.mean())

    def result(self) -> dict:
        """PA in percent, IoU in 0..1; None where nothing was measured."""
        return {
            "pa": 100 * self._right / self._pixels if self._pixels else None,
            "iou": float(np.mean(self._iou)) if self._iou else None,
            "iou_people": float(np.mean(self._iou_people)) if self._iou_people else None,
        }


def joint_error(keypoints_world, camera: Camera, tracks: Tracks, visible) -> np.ndarray:
    """Distance of COCO's joints, re-projected, to the detected ones. px of the solved frames.

    keypoints_world: (P, T, K, 3) m. visible: (P, T) bool.
    Returns (P, T, 17, 2): distance and weight (the detector's confidence; 0 where there is nothing to compare).
    """
    count = len(COCO_JOINTS)
    projected = project(keypoints_world[:, :, :count], invert(camera.T_world_from_cam), camera.K)
    detected = tracks.keypoints_2d[:, :, :count]
    distance = np.linalg.norm(projected - detected[..., :2], axis=-1)
    weight = np.where(np.isfinite(distance) & visible[..., None], detected[..., 2], 0.0)
    return np.stack([np.where(weight > 0, distance, 0.0), weight], -1)


def weighted_mean(errors, axis=None):
    """Mean of joint_error's distances by their weights over `axis`; NaN where all weights are 0."""
    total = errors[..., 1].sum(axis)
    with np.errstate(invalid="ignore", divide="ignore"):
        return (errors[..., 0] * errors[..., 1]).sum(axis) / np.where(total > 0, total, np.nan)


def foot_slide_mm(keypoints_world, contact, visible) -> float | None:
    """Horizontal way of feet that stand on the ground, mm per frame; None where none stands for two frames.

    contact: (P, T, 4) 0..1 of FEET.
    """
    feet = keypoints_world[:, :, list(FEET), :2]
    standing = (contact > 0.5) & visible[..., None]
    both = standing[:, 1:] & standing[:, :-1]
    if not both.any():
        return None
    return float(1000 * np.linalg.norm(np.diff(feet, axis=1), axis=-1)[both].mean())


def jitter(joints_world, visible, fps: float) -> float | None:
    """Mean jerk of the joints in 10 m/s^3, as human-motion papers give it; None for tracks under four frames."""
    jerk = np.linalg.norm(np.diff(joints_world, n=3, axis=1), axis=-1) * fps**3 / 10
    whole = visible[:, 3:] & visible[:, 2:-1] & visible[:, 1:-2] & visible[:, :-3]
    return float(jerk[whole].mean()) if whole.any() else None


def path_length_m(camera: Camera) -> float:
    return float(np.linalg.norm(np.diff(camera.T_world_from_cam[:, :3, 3], axis=0), axis=1).sum())


def turn_deg(camera: Camera) -> float:
    """Sum of the camera's turns between frames, degrees."""
    R = camera.T_world_from_cam[:, :3, :3]
    cosine = (np.einsum("tij,tij->t", R[1:], R[:-1]) - 1) / 2
    return float(np.rad2deg(np.arccos(np.clip(cosine, -1, 1))).sum())


def on_steps(keypoints_world, contact):
    """(P, T) bool: whether somebody stands on something over the ground."""
    return ((contact > 0.5) & (keypoints_world[:, :, list(FEET), 2] > OVER_M)).any(-1)


def standing_height_m(keypoints_world, visible) -> tuple[float | None, float | None]:
    """How far people float and sink: of each person the median over frames of the lowest foot point's height where it is over the ground,
    and the height that a tenth of the frames lie below where it is under it; of the worst person, m. None where nobody is."""
    floats, sinks = [], []
    for lowest, seen in zip(keypoints_world[:, :, list(FEET), 2].min(-1), visible):
        if seen.any():
            floats.append(max(float(np.median(lowest[seen])), 0.0))
            sinks.append(max(-float(np.quantile(lowest[seen], 0.1)), 0.0))
    return (max(floats), max(sinks)) if floats else (None, None)


def roll_deg(camera: Camera) -> float:
    """Mean angle between the picture's horizontal and the ground, degrees."""
    return float(np.rad2deg(np.arcsin(np.clip(np.abs(camera.T_world_from_cam[:, 2, 0]), 0, 1))).mean())


def unseen_knee_bend_deg(body_pose, joint_confidence, visible) -> float | None:
    """Mean bend of knees whose ankles nobody sees, degrees; None where all are seen.

    body_pose (P, T, 23, 3) rotvec, joint_confidence (P, T, 24) 0..1.
    """
    bend = np.rad2deg(np.linalg.norm(body_pose[:, :, [3, 4]], axis=-1))
    unseen = visible[..., None] & (joint_confidence[:, :, [7, 8]] < UNSEEN)
    return float(bend[unseen].mean()) if unseen.any() else None


def unseen_legs_share(joint_confidence, visible) -> float:
    """Share of the ankles that nobody sees; arguments as of `unseen_knee_bend_deg`."""
    unseen = joint_confidence[:, :, [7, 8]][visible] < UNSEEN
    return float(unseen.mean()) if unseen.size else 0.0


def falls(joints_world, visible, fps: float) -> list[list[float]]:
    """How fast each person falls, in g: the falls that share no frame, the fastest first.

    In a fall the height of the centre of mass is a parabola, within FALL_OFF, over FALL_S. Nobody falls faster than 1: who does is smaller than they were
    solved. One fall can be a joint that jumped; the second fastest of CMU's dances, games, runs and walks (69 motions, at 24 and 30 frames a second,
    benchmarks/falls.py) is 1.06 at most, but for two dances with leaps of 1.3: what the body does in the air is not all in MASS.
    joints_world: (P, T, 24, 3) m. visible: (P, T) bool.
    """
    frames = int(np.ceil(FALL_S * fps)) + 1
    t = (np.arange(frames) - (frames - 1) / 2) / fps
    powers = np.stack([np.ones(frames), t, t**2], 1)
    height = sum(share * joints_world[:, :, joint, 2] for joint, share in MASS.items())
    out: list[list[float]] = [[] for _ in height]
    for found, z, seen in zip(out, height, visible):
        if len(z) < frames:
            continue
        spans = np.lib.stride_tricks.sliding_window_view(z, frames)
        parabola = spans @ np.linalg.pinv(powers).T
        off = np.sqrt(((spans - parabola @ powers.T) ** 2).mean(1))
        fits = np.lib.stride_tricks.sliding_window_view(seen, frames).all(1) & (off < FALL_OFF)
        speed = np.where(fits, -2 * parabola[:, 2] / GRAVITY, 0)
        while speed.max() > 0:
            fastest = int(np.argmax(speed))
            found.append(float(speed[fastest]))
            speed[max(0, fastest - frames + 1) : fastest + frames] = 0
    return out
