"""The seven embedded networks, decoded: pictures in, boxes and joints out. RGB uint8, pixels with corner origin.

All are converted to ONNX and stored with float16 weights; the runtime computes in float32. Sources and licences are in
docs/licences.md.
"""

from __future__ import annotations

import hashlib
import os
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

from ..fingers import MIDDLE, WRIST

WEIGHTS = Path(__file__).parent.parent / "assets" / "weights"
THREADS = int(os.environ.get("OMP_NUM_THREADS") or 2)  # a batch gives each shot its share


class Net:
    """An ONNX file. `sha256` is that of the bytes that were loaded. device: "cpu", or what begins with "cuda"."""

    def __init__(self, path: Path, device: str = "cpu"):
        import onnxruntime

        data = Path(path).read_bytes()
        self.file = Path(path).name
        self.sha256 = hashlib.sha256(data).hexdigest()
        settings = onnxruntime.SessionOptions()
        settings.intra_op_num_threads = THREADS
        settings.log_severity_level = 3
        # Threads that wait by spinning take the processor from whatever else runs.
        settings.add_session_config_entry("session.intra_op.allow_spinning", "0")
        providers = ["CUDAExecutionProvider"] * device.startswith("cuda") + ["CPUExecutionProvider"]
        usable = onnxruntime.get_available_providers()
        self._session = onnxruntime.InferenceSession(data, settings, providers=[name for name in providers if name in usable])
        self._input = self._session.get_inputs()[0].name

    def run(self, tensor) -> list[np.ndarray]:
        return self._session.run(None, {self._input: tensor})

    def run_named(self, inputs: dict, output: str) -> np.ndarray:
        """One output of a net with several inputs, by their names."""
        return self._session.run([output], inputs)[0]


def square_crop(image, centre, side, turn_rad=0.0, size=256):
    """Cut a turned square out of a picture, or a rectangle `side` wide; what lies outside is black.

    size: px of the crop, or (width, height). Returns the crop (height, width, 3) and the affine (2, 3) from crop pixels to picture pixels, both
    with corner origin.
    """
    w, h = (size, size) if np.isscalar(size) else size
    c, s = np.cos(turn_rad) * side / w, np.sin(turn_rad) * side / w
    A = np.array([[c, -s, centre[0] - c * w / 2 + s * h / 2], [s, c, centre[1] - s * w / 2 - c * h / 2]])
    # Wide crops are taken at a whole multiple and averaged down, or they alias.
    k = int(np.clip(side // w, 1, 4))
    crop = cv2.warpAffine(image, _centred(A, k), (w * k, h * k), flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP)
    return (cv2.resize(crop, (w, h), interpolation=cv2.INTER_AREA) if k > 1 else crop), A


def _centred(A, k=1):
    """OpenCV's affine (pixel centres at whole numbers) for a corner-origin one whose source is `k` times finer."""
    M = A.astype(float).copy()
    M[:, :2] /= k
    M[:, 2] += M[:, :2] @ [0.5, 0.5] - 0.5
    return M


def letterbox(image, size):
    """Scale a picture into a black square. Returns it, the scale, and the left and top margins."""
    height, width = image.shape[:2]
    scale = size / max(height, width)
    h, w = round(height * scale), round(width * scale)
    left, top = (size - w) // 2, (size - h) // 2
    out = np.zeros((size, size, 3), np.uint8)
    out[top : top + h, left : left + w] = cv2.resize(
        image, (w, h), interpolation=cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR
    )
    return out, scale, left, top


def sigmoid(x):
    return 1 / (1 + np.exp(-np.clip(x, -60, 60)))


class NanoDet:
    """Person boxes of NanoDet-g at 416 px (class 0 of COCO)."""

    _MEAN = np.array([103.53, 116.28, 123.675], np.float32)  # BGR
    _STD = np.array([57.375, 57.12, 58.395], np.float32)

    def __init__(self, weights: Path = WEIGHTS):
        self.net = Net(weights / "nanodet.fp16.onnx")

    def __call__(self, rgb, threshold=0.3):
        """Boxes (N, 4) px and scores (N,), before non-maximum suppression."""
        square, scale, left, top = letterbox(rgb, 416)
        tensor = (square[..., ::-1].astype(np.float32) - self._MEAN) / self._STD
        outputs = self.net.run(np.ascontiguousarray(tensor.transpose(2, 0, 1)[None]))
        boxes, scores = [], []
        for stride in (8, 16, 32):
            cells = 416 // stride
            person = next(o for o in outputs if o.shape[1:] == (cells * cells, 80))[0, :, 0]
            edges = next(o for o in outputs if o.shape[1:] == (cells * cells, 44))[0]
            keep = np.flatnonzero(person > threshold)
            # Each edge is a distribution over 0..10 strides from the cell's centre (generalised focal loss).
            logits = edges[keep].reshape(-1, 4, 11)
            p = np.exp(logits - logits.max(-1, keepdims=True))
            reach = (p / p.sum(-1, keepdims=True) @ np.arange(11)) * stride
            x, y = (keep % cells + 0.5) * stride, (keep // cells + 0.5) * stride
            boxes.append(np.stack([x - reach[:, 0], y - reach[:, 1], x + reach[:, 2], y + reach[:, 3]], 1))
            scores.append(person[keep])
        boxes = (np.concatenate(boxes) - [left, top, left, top]) / scale
        return boxes, np.concatenate(scores)


class MultiPose:
    """MoveNet multi-pose: up to six people; only its boxes are used."""

    def __init__(self, weights: Path = WEIGHTS):
        self.net = Net(weights / "movenet-multipose.fp16.onnx")

    def __call__(self, rgb, threshold=0.2, size=384):
        """Boxes (N, 4) px and scores (N,)."""
        height, width = rgb.shape[:2]
        scale = size / max(height, width)
        h, w = round(height * scale), round(width * scale)
        padded_h, padded_w = -(-h // 32) * 32, -(-w // 32) * 32
        image = np.zeros((padded_h, padded_w, 3), np.uint8)
        image[:h, :w] = cv2.resize(rgb, (w, h), interpolation=cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR)
        rows = self.net.run(image[None].astype(np.int32))[0][0]
        rows = rows[rows[:, 55] > threshold]
        boxes = rows[:, [52, 51, 54, 53]] * [padded_w, padded_h, padded_w, padded_h] / scale
        return boxes, rows[:, 55]


class Thunder:
    """MoveNet Thunder: COCO's 17 joints of the one person in a square."""

    def __init__(self, weights: Path = WEIGHTS):
        self.net = Net(weights / "movenet-thunder.fp16.onnx")

    def __call__(self, rgb, centre, side, turn_rad=0.0):
        """(17, 3): px, px, confidence."""
        crop, A = square_crop(rgb, centre, side, turn_rad)
        out = self.net.run(crop[None].astype(np.int32))[0][0, 0]
        return np.concatenate([out[:, [1, 0]] * 256 @ A[:, :2].T + A[:, 2], out[:, 2:]], 1)


class BlazePose:
    """BlazePose heavy: mask, 33 landmarks and 3D landmarks of the one person in a turned square."""

    def __init__(self, weights: Path = WEIGHTS):
        self.net = Net(weights / "blazepose-heavy.fp16.onnx")

    def __call__(self, rgb, centre, side, turn_rad=0.0):
        """Dict with
        landmarks (33, 3): px, px, visibility x presence;
        world (33, 3): metres in camera axes about the mid hip;
        mask (256, 256) float 0..1 in the crop, and A (2, 3) from crop to picture pixels;
        presence: 0..1 that there is a person at all;
        aux (2, 2): the net's own mid hip and the point above it, px.
        """
        crop, A = square_crop(rgb, centre, side, turn_rad)
        outputs = {o.shape[1:]: o[0] for o in self.net.run((crop[None] / np.float32(255)).astype(np.float32))}
        marks = outputs[195,].reshape(39, 5)
        pixels = marks[:, :2] @ A[:, :2].T + A[:, 2]
        world = outputs[117,].reshape(39, 3)[:33].astype(float)
        # The net answers in the axes of its crop.
        c, s = np.cos(turn_rad), np.sin(turn_rad)
        world[:, :2] = world[:, :2] @ np.array([[c, s], [-s, c]])
        return {
            "landmarks": np.concatenate([pixels[:33], (sigmoid(marks[:33, 3]) * sigmoid(marks[:33, 4]))[:, None]], 1),
            "world": world,
            # Mask and presence leave the converted net as probabilities, not as logits.
            "mask": outputs[256, 256, 1][..., 0],
            "presence": float(outputs[1,][0]),
            "A": A,
            "aux": pixels[33:35],
        }


@dataclass
class Hand:
    """A hand in one picture, px of that picture."""

    points: np.ndarray  # (21, 3) px px px: depth as far as the net says, larger is further away
    score: float  # 0..1 that this is a hand
    right: float  # 0..1 that it is a right one

    @property
    def palm(self) -> float:
        return float(np.linalg.norm(self.points[MIDDLE] - self.points[WRIST]))


class HandNet:
    """MediaPipe's hand landmarks: 21 points of the one hand in a turned square, the fingers upwards."""

    def __init__(self, weights: Path = WEIGHTS):
        self.net = Net(weights / "hand-landmarks.fp16.onnx")

    def __call__(self, rgb, centre, side, turn_rad=0.0) -> Hand:
        crop, A = square_crop(rgb, centre, side, turn_rad, 224)
        points, score, right, _ = self.net.run((crop[None] / np.float32(255)).astype(np.float32))
        points = points.reshape(21, 3).astype(float)
        pixels = np.concatenate([points[:, :2] @ A[:, :2].T + A[:, 2], points[:, 2:] * side / 224], 1)
        return Hand(pixels, float(score.ravel()[0]), float(right.ravel()[0]))


@dataclass
class Face:
    """A face in one picture, px of that picture."""

    points: np.ndarray  # (468, 3) px px px: depth as far as the net says, larger is further away
    score: float  # 0..1 that this is a face

    @property
    def size(self) -> float:
        """Side of the square about its points."""
        return float(np.ptp(self.points[:, :2], 0).max())


class FaceNet:
    """MediaPipe's face landmarks: 468 points of the one face in a turned square, the forehead upwards."""

    def __init__(self, weights: Path = WEIGHTS):
        self.net = Net(weights / "face-landmarks.fp16.onnx")

    def __call__(self, rgb, centre, side, turn_rad=0.0) -> Face:
        crop, A = square_crop(rgb, centre, side, turn_rad, 192)
        points, score = self.net.run((crop[None] / np.float32(255)).astype(np.float32))
        points = points.reshape(-1, 3).astype(float)
        return Face(np.concatenate([points[:, :2] @ A[:, :2].T + A[:, 2], points[:, 2:] * side / 192], 1), float(sigmoid(score.ravel()[0])))


class SelfieNet:
    """MediaPipe's selfie segmentation: everybody near the camera, in the whole picture at once."""

    def __init__(self, weights: Path = WEIGHTS):
        self.net = Net(weights / "selfie-segmentation.fp16.onnx")

    def __call__(self, rgb) -> np.ndarray:
        """(256, 256) uint8 of the picture stretched to a square, 255: somebody."""
        square = cv2.resize(rgb, (256, 256), interpolation=cv2.INTER_AREA)
        mask = self.net.run((square[None] / np.float32(255)).astype(np.float32))[0][0, ..., 0]
        return np.clip(mask * 255 + 0.5, 0, 255).astype(np.uint8)


def iou(a, b):
    """Intersection over union of boxes (N, 4) and (M, 4): (N, M)."""
    a, b = np.reshape(a, (-1, 1, 4)).astype(float), np.reshape(b, (1, -1, 4)).astype(float)
    overlap = np.clip(np.minimum(a[..., 2:], b[..., 2:]) - np.maximum(a[..., :2], b[..., :2]), 0, None).prod(-1)
    areas = np.clip(a[..., 2:] - a[..., :2], 0, None).prod(-1) + np.clip(b[..., 2:] - b[..., :2], 0, None).prod(-1)
    return overlap / np.maximum(areas - overlap, 1e-9)


def suppress(boxes, scores, threshold=0.6):
    """Indices of boxes kept by non-maximum suppression, best first."""
    keep = []
    for i in np.argsort(-scores):
        if not keep or iou(boxes[i], boxes[keep]).max() < threshold:
            keep.append(i)
    return keep
