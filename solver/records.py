"""What one stage hands to the next, and how it lies on disk: npz files of plain arrays, never pickles. No torch.

T frames, P people, K = 25 keypoints (`skeleton.KEYPOINTS`). Pixels are those of the solved frames (`Shot.width` x `Shot.height`).
"""

from __future__ import annotations

import dataclasses
import io
import json
import os
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from zipfile import BadZipFile

import numpy as np

from .protocol import ShotError


@dataclass
class Shot:
    """One piece of film between two cuts, as it will be solved."""

    path: str  # absolute path of a movie file, or of the folder of an image sequence
    sha256: str
    fps: str  # "num/den"
    width: int  # pixels after rotation metadata and --max-height
    height: int
    original_width: int  # after rotation metadata only
    original_height: int
    start_frame: int  # number of the first frame, from the first of the source
    frames: int
    pieces: list  # every piece between cuts, [[start, end), ...]
    time_s: np.ndarray  # (T,) s from the start of the source: when each frame was taken; regular, 1/fps apart
    picture: np.ndarray = None  # (T,) int: which picture of the source, as decoded, each frame shows
    fresh: np.ndarray = None  # (T,) bool; False: a hole or a repeat, where the picture before is shown and nothing can be measured
    shown_s: np.ndarray = None  # (T,) presentation time of that picture in the file
    source_fps: str = ""  # of the source's grid; differs from fps where a pulldown was taken out
    first_number: int = 0  # what the artist calls the first frame: number of its picture, or timecode in frames
    timecode: str = ""  # of the first frame of the source
    transfer: str = ""  # what the pictures were coded in, where they are shown as a screen would
    interlaced: bool = False  # whether only the first field is used
    conformed: bool = False  # whether other programs would not show the source as it is solved, so that the take holds a `film.mp4`

    def __post_init__(self):
        """A plain shot: every frame has its own picture."""
        if self.picture is None:
            self.picture = self.start_frame + np.arange(self.frames)
        if self.fresh is None:
            self.fresh = np.ones(self.frames, bool)
        if self.shown_s is None:
            self.shown_s = self.time_s
        self.source_fps = self.source_fps or self.fps


@dataclass
class Seen:
    """Everybody whom the detectors see, before anybody is looked at more closely: N boxes, M people, K frames that are looked at."""

    indices: np.ndarray  # (K,) int, these frames of the shot
    boxes: np.ndarray  # (N, 4) x0 y0 x1 y1 px
    scores: np.ndarray  # (N,) 0..1
    frame: np.ndarray  # (N,) int, place in `indices`
    who: np.ndarray  # (N,) int, 1..M; 0: nobody who is there for long
    motions: np.ndarray  # (K, 2, 3) of the camera: pixels of the frame before to this one's
    prominence: np.ndarray  # (M,) of the most prominent one's, falling
    best: np.ndarray  # (M,) int, the box in which each is seen best


@dataclass
class Tracks:
    """People in the picture: identities, 2D joints, weak 3D joints. Masks lie in the take's `masks/`."""

    ids: np.ndarray  # (P,) int, 1..P, the palette index in masks
    boxes: np.ndarray  # (P, T, 4) x0 y0 x1 y1 px; NaN where not seen
    score: np.ndarray  # (P, T) 0..1, 0 where not seen
    keypoints_2d: np.ndarray  # (P, T, K, 3) px px confidence 0..1; confidence 0 means unseen, position then means nothing
    keypoints_3d: np.ndarray  # (P, T, K, 4) metres in camera axes about the mid hip, and confidence; a weak prior
    source: np.ndarray  # (P, T) int: 0 absent, 1 detected, 2 propagated (box from the track), 3 interpolated
    provenance: dict = field(default_factory=dict)  # back end, its version, hashes of weights
    # 21 points of the left and the right hand (fingers.py); None where no hand is large enough in the film
    hands_2d: np.ndarray = None  # (P, T, 2, 21, 3) px px confidence 0..1, 0: not seen
    hands_3d: np.ndarray = None  # (P, T, 2, 21, 3) m from the wrist: a hand of usual build fitted to them, in axes of a camera that looks straight at it
    # Faces (track/faces.py); None where none is large enough in the film
    faces_2d: np.ndarray = None  # (P, T, 3) middle of the face px px, confidence 0..1, 0: not seen
    faces_3d: np.ndarray = None  # (P, T, 3, 3) from SMPL's rest axes (left, up, ahead) of the head to those of a camera that looks straight at it

    @property
    def visible(self):
        """(P, T) bool."""
        return self.source > 0


@dataclass
class Camera:
    """A camera over time, in some world."""

    T_world_from_cam: np.ndarray  # (T, 4, 4)
    K: np.ndarray  # (T, 3, 3) px


@dataclass
class Slam:
    """The start camera, up to a similarity: first camera at the origin, any scale, any up."""

    camera: Camera
    verdict: str  # "static" | "rotation" | "full"
    verdict_scores: dict  # criterion per model, and how it was computed
    focal_source: str  # "given" | "estimated" | "prior"
    focal_sigma: float  # relative 1-sigma uncertainty of the focal length
    measured: np.ndarray  # (T,) bool; False where the pose was bridged over a bad frame
    points_world: np.ndarray  # (N, 3); for static and rotation: on a sphere about the camera, only directions mean something
    colours: np.ndarray  # (N, 3) uint8
    obs_frame: np.ndarray  # (M,) int, observations of those points (inliers only)
    obs_point: np.ndarray  # (M,) int
    obs_xy: np.ndarray  # (M, 2) px
    edges: np.ndarray = field(default_factory=lambda: np.zeros((0, 5)))  # straight edges of the background: frame, x1, y1, x2, y2 px
    unknown: bool = False  # the background does not say how the camera moved: it stands here, and people may tell


@dataclass
class People:
    """SMPL tracks. `trans` and `global_orient` place the body in the camera (S_c) or in the world (S_w), as SMPL defines them:
    the root turns about the rest pelvis, then `trans` is added."""

    ids: np.ndarray  # (P,) int
    betas: np.ndarray  # (P, 10)
    global_orient: np.ndarray  # (P, T, 3) rotvec
    body_pose: np.ndarray  # (P, T, 23, 3) rotvec
    trans: np.ndarray  # (P, T, 3) m
    visible: np.ndarray  # (P, T) bool; False where the person is hidden (their motion bridged) or absent
    joint_confidence: np.ndarray  # (P, T, 24) 0..1: how much of each joint was seen and not guessed
    # Of the final world, and None where no hand was seen; see fingers.py and world/hands.py.
    fingers: np.ndarray = None  # (P, T, 2, 5, 4) degrees: left and right hand, a row a finger, three bends and the spread
    fingers_known: np.ndarray = None  # (P, T, 2) 0..1: how much they are known and not the hand at rest

    @property
    def poses(self):
        """(P, T, 24, 3) rotvec, root first."""
        return np.concatenate([self.global_orient[:, :, None], self.body_pose], 2)


@dataclass
class World:
    """Everything in one metric world: Z-up, ground z = 0."""

    camera: Camera
    people: People
    scale: float  # metres per SLAM unit
    points_world: np.ndarray  # (N, 3) m, the points of Slam in this world, same order
    contact: np.ndarray  # (P, T, 4) 0..1: left heel, left toe, right heel, right toe on the ground
    ground_source: str  # "contacts" | "bodies" | "camera"
    T_world_from_slam: np.ndarray  # (4, 4) rigid part; world = T_world_from_slam (scale x slam)
    carried: str = ""  # the verdict, where people tell how the camera moved (world.carried)
    sigma: dict = field(default_factory=dict)  # one sigma each: size, up_deg, ground_m, heights_m, lens (world.placement.Placement.uncertainty)
    stairs: bool = False  # somebody stands on something over the ground, too: steps, a kerb


@dataclass
class Film:
    """C*: the camera after differentiable filming, and what the optimiser saw."""

    camera: Camera  # in the world that `world` made the first time
    points_world: np.ndarray  # (N, 3) m, Slam's points as the optimiser left them, same order
    used: str  # "optimised", or "start" where the keep-best guard kept the start camera
    heldout_start: dict  # the judging evidence under the start camera, by term
    heldout_final: dict  # and under the optimised camera
    loss_history: np.ndarray  # (steps, terms)
    loss_terms: list  # names of the terms


def save_record(path: Path, record) -> None:
    """Write a record as npz, beside its place first, then renamed: a reader sees all of it or nothing."""
    arrays, meta = {}, {}

    def put(prefix, rec):
        for f in dataclasses.fields(rec):
            value = getattr(rec, f.name)
            if dataclasses.is_dataclass(value):
                put(prefix + f.name + ".", value)
            elif isinstance(value, np.ndarray):
                arrays[prefix + f.name] = value
            else:
                meta[prefix + f.name] = value

    put("", record)
    save_npz(path, meta_json=np.array(json.dumps(meta)), **arrays)


def save_npz(path: Path, **arrays) -> None:
    """np.savez_compressed through a temporary neighbour and a rename."""
    packed = io.BytesIO()  # a zip file whose disk is full says so again when it is forgotten, past every handler
    np.savez_compressed(packed, **arrays)
    with beside(path) as part:
        part.write_bytes(packed.getbuffer())


def save_text(path: Path, text: str) -> None:
    """A text file through a temporary neighbour and a rename."""
    with beside(path) as part:
        part.write_text(text, encoding="utf-8")


@contextmanager
def beside(path: Path, name: str = "{}.part"):
    """A neighbour to write into, which then takes the place of `path`; where the writing fails nothing is left of it."""
    path = Path(path)
    part = path.with_name(name.format(path.name))
    try:
        yield part
        os.replace(part, path)
    except BaseException:
        with suppress(OSError):
            part.unlink(missing_ok=True)
        raise


def load_record(path: Path, cls):
    """Read what save_record wrote. Raises ShotError if the file is not such a record."""
    try:
        with np.load(path, allow_pickle=False) as file:
            arrays = {name: file[name] for name in file.files}
        meta = json.loads(str(arrays.pop("meta_json")))
        return _build(cls, "", arrays, meta)
    except (OSError, EOFError, KeyError, ValueError, TypeError, BadZipFile) as error:
        raise ShotError(
            f"{Path(path).name} in the take cannot be read ({error}).", "Run Extract Shot again with Restart."
        ) from error


def _build(cls, prefix, arrays, meta):
    values = {}
    for f in dataclasses.fields(cls):
        name = prefix + f.name
        nested = {"Camera": Camera, "People": People}.get(f.type if isinstance(f.type, str) else f.type.__name__)
        if nested:
            values[f.name] = _build(nested, name + ".", arrays, meta)
        elif name in arrays:
            values[f.name] = arrays[name]
        elif name in meta or f.default is f.default_factory is dataclasses.MISSING:
            values[f.name] = meta[name]  # a field with a default may be younger than the file
    return cls(**values)
