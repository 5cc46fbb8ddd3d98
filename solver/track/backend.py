"""What the tracker asks of the networks, and the embedded answer. A stronger back end implements the same three calls."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np

from .nets import BlazePose, MultiPose, NanoDet, Thunder, suppress

HIPS, SHOULDERS, LEGS = slice(11, 13), slice(5, 7), slice(13, 17)
SURE = 0.2  # a joint of Thunder below this is a guess


@dataclass
class Pose:
    """2D joints of one person in one frame."""

    joints: np.ndarray  # (17, 3) px, px, confidence; COCO order
    turn_rad: float = 0.0  # by how much the picture was turned to see the person upright
    face: float = 0.0  # 0..1 that a face was found where the head is; 0 also where none was looked for
    bust: float = 0.0  # 0..1, how sure the shoulders are of somebody whom the picture's lower edge cuts off; 0 where the whole pose is plain

    @property
    def score(self) -> float:
        """0..1, how much a person this looks: the mean of the twelve best joints, so that one hidden limb costs little. A face is somebody's, however few joints show, and so are shoulders over the edge."""
        return max(float(np.sort(self.joints[:, 2])[-12:].mean()), self.face, self.bust)

    @property
    def box(self) -> np.ndarray:
        """(4,) around the joints that are sure, or all of them where fewer than three are."""
        sure = self.joints[:, 2] > SURE
        points = self.joints[sure if sure.sum() >= 3 else slice(None), :2]
        return np.concatenate([points.min(0), points.max(0)])


@dataclass
class Body:
    """Mask and 3D of one person in one frame."""

    landmarks: np.ndarray  # (33, 3) px, px, visibility x presence; BlazePose order
    world: np.ndarray  # (33, 3) m, camera axes, about the mid hip
    presence: float  # 0..1
    mask: np.ndarray  # (256, 256) uint8, 255 = person, in a crop of the picture
    A: np.ndarray  # (2, 3) from crop pixels to picture pixels, corner origin


class Backend(Protocol):
    """Three replaceable steps, called from several threads at once. Pictures are RGB uint8, pixels corner origin."""

    name: str
    licence: str

    def detect(self, rgb) -> tuple[np.ndarray, np.ndarray]:
        """Boxes (N, 4) of people and scores (N,)."""

    def pose(self, rgb, box, turns=(0.0,)) -> Pose:
        """Joints of the person in a box; the best of several turns (rad) of the picture."""

    def body(self, rgb, pose: Pose, box) -> Body:
        """Mask and 3D joints of that person."""

    def provenance(self) -> dict:
        """Name, licence and the sha256 of each file of weights."""


class Embedded:
    """NanoDet and MoveNet for boxes, MoveNet Thunder for joints, BlazePose for masks and 3D. Runs on the CPU."""

    name = "embedded"
    licence = "Apache-2.0"

    def __init__(self):
        self._nanodet, self._multipose, self._thunder, self._blaze = NanoDet(), MultiPose(), Thunder(), BlazePose()

    def provenance(self) -> dict:
        nets = (self._nanodet, self._multipose, self._thunder, self._blaze)
        return {
            "backend": self.name,
            "licence": self.licence,
            "weights_sha256": {n.net.file: n.net.sha256 for n in nets},
        }

    def detect(self, rgb):
        found = [self._nanodet(rgb), self._multipose(rgb)]
        boxes, scores = np.concatenate([b for b, _ in found]), np.concatenate([s for _, s in found])
        height, width = rgb.shape[:2]
        boxes = np.clip(boxes, 0, [width, height, width, height])
        keep = suppress(boxes, scores)
        return boxes[keep], scores[keep]

    def pose(self, rgb, box, turns=(0.0,)):
        box = np.asarray(box, float)
        centre, side = (box[:2] + box[2:]) / 2, max(8.0, (box[2:] - box[:2]).max() * 1.05)
        poses = [Pose(self._thunder(rgb, centre, side, turn), turn) for turn in turns]
        return max(poses, key=lambda pose: pose.score)

    def body(self, rgb, pose, box):
        box = np.asarray(box, float)
        centre, side, turn = body_region(pose.joints, box)
        out = self._blaze(rgb, centre, side, turn)
        if out["presence"] < 0.5:  # crouching or half hidden people are often found upright and closer
            again = self._blaze(rgb, (box[:2] + box[2:]) / 2, (box[2:] - box[:2]).max() * 1.25)
            out = max(out, again, key=lambda o: o["presence"])
        mask = np.clip(out["mask"] * 255 + 0.5, 0, 255).astype(np.uint8)
        return Body(out["landmarks"], out["world"], out["presence"], mask, out["A"])


def body_region(joints, box) -> tuple[np.ndarray, float, float]:
    """Centre, side and turn (rad) of the square that BlazePose wants: the whole body, its spine upright.

    joints: (17, 3); box: (4,) of the detector.
    """
    sure = joints[:, 2] > SURE
    turn = 0.0
    if sure[HIPS].any() and sure[SHOULDERS].any():
        spine = np.average(joints[SHOULDERS, :2], 0, sure[SHOULDERS]) - np.average(joints[HIPS, :2], 0, sure[HIPS])
        if np.linalg.norm(spine) > 0.12 * (box[2:] - box[:2]).max():  # else the person bows towards the camera
            turn = float(np.arctan2(spine[0], -spine[1]))
    c, s = np.cos(turn), np.sin(turn)
    upright = np.array([[c, -s], [s, c]])
    points = joints[sure, :2] if sure.sum() >= 5 else box.reshape(2, 2)
    points = points @ upright
    low, high = points.min(0), points.max(0)
    side = (high - low).max() * 1.5
    if not sure[HIPS].any() and not sure[LEGS].any():
        # A bust: the net expects room below for the body that is out of the picture.
        return (box[:2] + box[2:]) / 2, float((box[2:] - box[:2]).max() * 2.2), turn
    return upright @ ((low + high) / 2), float(max(side, (box[2:] - box[:2]).max() * 1.1)), turn
