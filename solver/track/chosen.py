"""Nets of the artist's own in place of the embedded ones: a folder of ONNX files with a backend.json, or a Python file (docs/backends.md)."""

from __future__ import annotations

import importlib.util
import json
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

from ..protocol import ShotError
from ..skeleton import BLAZEPOSE_OF_KEYPOINT, KEYPOINTS, MHR_70
from .backend import Backend, Embedded, Pose
from .nets import Net, letterbox, square_crop, suppress

FILE = "backend.json"
IMAGENET = {"mean": (123.675, 116.28, 103.53), "std": (58.395, 57.12, 57.375)}  # RGB 0..255
COCO_JOINTS = 17  # of a net with more (23, 26 or 133) these come first
HALF = 0.5  # of a pixel, or of a cell: heat maps count from the middle of the first one
CLIFF_GROWN = 1.2  # InstantHMR's crop about a box
_FIX = "docs/backends.md says how a folder of nets looks."
_CALLS = ("detect", "pose", "body", "provenance")


def backend_of(path: Path, device: str = "cpu") -> Backend:
    """The back end that an artist chose. Raises ShotError where it cannot be used.

    path: a folder with FILE, or a Python file with a function backend(device). That file is run: it is the artist's own.
    device: "cpu", or what begins with "cuda", for the folder's nets.
    """
    path = Path(path)
    if path.is_dir():
        return Folder(path, device)
    if path.suffix == ".py" and path.is_file():
        return _python(path, device)
    raise ShotError(f"{path} is neither a folder of nets nor a Python file.", _FIX)


def _python(path: Path, device: str) -> Backend:
    spec = importlib.util.spec_from_file_location(f"reshoot_backend_{path.stem}", path)
    module = importlib.util.module_from_spec(spec)
    try:
        spec.loader.exec_module(module)
        made = module.backend(device)
    except Exception as error:  # whatever the artist's own file may do
        raise ShotError(f"{path.name} gives no back end: {type(error).__name__}: {error}".replace("\n", " "), _FIX) from error
    lacking = [name for name in _CALLS if not callable(getattr(made, name, None))]
    if lacking:
        raise ShotError(f"The back end of {path.name} cannot {' or '.join(lacking)}.", _FIX)
    return made


@dataclass
class _Step:
    """A net of the folder, and how its pictures go in."""

    net: Net
    layout: str
    size: tuple[int, int]  # width, height of its picture, px
    mean: np.ndarray
    std: np.ndarray
    bgr: bool
    grow: float  # of the box
    udp: bool
    person: int  # the class that is a person
    threshold: float

    def tensor(self, crop) -> np.ndarray:
        """(1, 3, h, w) float32 of a crop (h, w, 3) RGB uint8."""
        if self.bgr:
            crop = crop[..., ::-1]
        return np.ascontiguousarray(((crop.astype(np.float32) - self.mean) / self.std).transpose(2, 0, 1)[None])


class Folder(Embedded):
    """The embedded nets, but for the steps that the folder has nets of its own for."""

    LAYOUTS = {"detect": ("dets", "detr"), "pose": ("simcc", "heatmap"), "body": ("instanthmr",)}
    SIZES = {"detect": (640, 640), "pose": (192, 256), "body": (224, 224)}

    def __init__(self, folder: Path, device: str = "cpu"):
        """Raises ShotError."""
        super().__init__()
        try:
            told = json.loads((folder / FILE).read_text(encoding="utf-8"))
            self.name, self.licence = str(told["name"]), str(told["licence"])
            self._steps = {name: self._step(folder, name, told[name], device) for name in self.LAYOUTS if name in told}
        except FileNotFoundError as error:
            raise ShotError(f"{folder.name} has no {Path(str(error.filename)).name}.", _FIX) from error
        except ShotError:
            raise
        except Exception as error:  # JSON, and onnxruntime's own
            said = str(error).strip().splitlines()[0] if str(error).strip() else ""
            raise ShotError(f"The nets of {folder.name} cannot be loaded: {type(error).__name__}: {said}", _FIX) from error
        if not self._steps:
            raise ShotError(f"{FILE} of {folder.name} names no net.", _FIX)

    def _step(self, folder, name, told, device) -> _Step:
        layout = told["layout"]
        if layout not in self.LAYOUTS[name]:
            raise ShotError(f"{FILE} says {layout} for {name}, which may be {' or '.join(self.LAYOUTS[name])}.", _FIX)
        numbers = lambda key: np.asarray(told.get(key, IMAGENET[key]), np.float32)
        return _Step(
            Net(folder / told["file"], device), layout, tuple(int(v) for v in told.get("size", self.SIZES[name])), numbers("mean"), numbers("std"),
            bool(told.get("bgr", False)), float(told.get("grow", 1.25)), bool(told.get("udp", False)),
            int(told.get("person", 1 if layout == "detr" else 0)), float(told.get("threshold", 0.35)),
        )  # fmt: skip

    def provenance(self) -> dict:
        found = super().provenance()
        own = {step.net.file: step.net.sha256 for step in self._steps.values()}
        return {**found, "weights_sha256": {**found["weights_sha256"], **own}, "steps": sorted(self._steps)}

    def detect(self, rgb):
        step = self._steps.get("detect")
        if step is None:
            return super().detect(rgb)
        height, width = rgb.shape[:2]
        if step.layout == "dets":  # after suppression: (1, N, 5) px of the letterboxed picture and score; (1, N) classes
            if step.size[0] != step.size[1]:
                raise ShotError(f"{step.net.file} wants pictures of {step.size[0]}x{step.size[1]}, but a detector's are square.", _FIX)
            square, scale, left, top = letterbox(rgb, step.size[0])
            outputs = step.net.run(step.tensor(square))
            found = next(o[0] for o in outputs if o.ndim == 3 and o.shape[-1] == 5)
            classes = next((o[0] for o in outputs if o.ndim == 2), np.full(len(found), step.person))
            boxes, scores = (found[:, :4] - [left, top, left, top]) / scale, np.where(classes == step.person, found[:, 4], 0)
        else:  # DETR's kind: (1, N, 4) middle and size as parts of the squeezed picture; (1, N, classes) logits
            outputs = step.net.run(step.tensor(cv2.resize(rgb, step.size, interpolation=cv2.INTER_AREA)))
            middle = next(o[0] for o in outputs if o.ndim == 3 and o.shape[-1] == 4)
            logits = next(o[0] for o in outputs if o.ndim == 3 and o.shape[-1] != 4)
            scores = 1 / (1 + np.exp(-logits[:, step.person]))
            boxes = np.concatenate([middle[:, :2] - middle[:, 2:] / 2, middle[:, :2] + middle[:, 2:] / 2], 1) * [width, height, width, height]
        sure = scores > step.threshold
        boxes, scores = np.clip(boxes[sure], 0, [width, height, width, height]).astype(float), scores[sure].astype(float)
        keep = suppress(boxes, scores)
        return boxes[keep], scores[keep]

    def pose(self, rgb, box, turns=(0.0,)):
        step = self._steps.get("pose")
        if step is None:
            return super().pose(rgb, box, turns)
        poses = [Pose(self._joints(step, rgb, np.asarray(box, float), turn), turn) for turn in turns]
        return max(poses, key=lambda pose: pose.score)

    @staticmethod
    def _joints(step, rgb, box, turn):
        """(17, 3): px, px, confidence."""
        w, h = step.size
        side = max(8.0, step.grow * max(box[2] - box[0], (box[3] - box[1]) * w / h))  # the crop's width in the picture
        crop, A = square_crop(rgb, (box[:2] + box[2:]) / 2, side, turn, (w, h))
        outputs = step.net.run(step.tensor(crop))
        if step.layout == "simcc":  # along x and along y: (1, K, w x finer), (1, K, h x finer)
            along = [o[0, :COCO_JOINTS] for o in outputs[:2]]
            at = np.stack([a.argmax(-1) * (n / a.shape[-1]) for a, n in zip(along, (w, h))], -1)
            score = np.minimum(*(a.max(-1) for a in along))
        else:
            maps = outputs[0][0, :COCO_JOINTS]
            rows, columns = maps.shape[1:]
            peak = maps.reshape(len(maps), -1).argmax(-1)
            at = np.stack([_between(maps, peak % columns, peak // columns, axis) for axis in (2, 1)], -1)
            score = maps.reshape(len(maps), -1).max(-1)
            if step.udp:
                at = at * [(w - 1) / (columns - 1), (h - 1) / (rows - 1)] + HALF
            else:
                at = (at + HALF) * [w / columns, h / rows]
        return np.concatenate([at @ A[:, :2].T + A[:, 2], np.clip(score, 0, 1)[:, None]], 1)

    def body(self, rgb, pose, box):
        body = super().body(rgb, pose, box)  # the mask, and what of the body is seen
        step = self._steps.get("body")
        if step is None:
            return body
        height, width = rgb.shape[:2]
        box = np.asarray(box, float)
        middle, size = (box[:2] + box[2:]) / 2, float((box[2:] - box[:2]).max())
        crop, A = square_crop(rgb, middle, CLIFF_GROWN * size, 0.0, step.size)
        place = np.array([[2 * middle[0] / width - 1, 2 * middle[1] / height - 1, size / max(width, height)]], np.float32)
        flat, deep = (step.net.run_named({"image": step.tensor(crop), "cliff_cond": place}, name)[0] for name in ("joints_2d", "joints_3d"))
        pixels = (flat + 1) / 2 * np.asarray(step.size) @ A[:, :2].T + A[:, 2]
        row = dict(zip(KEYPOINTS, BLAZEPOSE_OF_KEYPOINT))
        theirs, ours = list(MHR_70.values()), [row[name] for name in MHR_70]
        body.landmarks[ours, :2] = pixels[theirs]
        body.world[ours] = deep[theirs] - (deep[MHR_70["left_hip"]] + deep[MHR_70["right_hip"]]) / 2
        return body


def _between(maps, x, y, axis) -> np.ndarray:
    """Place (K,) of peaks along an axis of maps (K, h, w), a quarter of a cell towards the larger neighbour."""
    k, at = np.arange(len(maps)), x if axis == 2 else y
    last = maps.shape[axis] - 1
    value = lambda step: maps[k, y, np.clip(x + step, 0, last)] if axis == 2 else maps[k, np.clip(y + step, 0, last), x]
    return at + 0.25 * np.sign(value(1) - value(-1)) * ((at > 0) & (at < last))
