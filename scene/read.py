"""Reading a take and the body with numpy alone: Blender's Python has nothing else."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import numpy as np

from ..retarget.rotations import matrix_from_rotvec
from ..solver.body.smpl_file import read_smpl
from ..solver.protocol import ShotError
from ..solver.skeleton import SMPL_PARENTS
from ..solver.take import Take

_AGAIN = "Run Extract Shot again with Restart."
BODY_FILE = Path(__file__).resolve().parents[1] / "solver" / "assets" / "body.npz"


@dataclass
class PersonTrack:
    """One person of a take. F frames of the take, not always all of them."""

    id: int
    colour: tuple[int, int, int]  # sRGB 0..255
    body: str  # "reshoot" | "smpl"
    betas: np.ndarray  # (10,)
    poses: np.ndarray  # (F, 24, 3) rotvec; the root turns SMPL's Y-up rest pose into the world
    trans: np.ndarray  # (F, 3) m
    frame: np.ndarray  # (F,) int, index in the take
    visible: np.ndarray  # (F,) bool
    joints_world: np.ndarray  # (F, 24, 3) m
    confidence: float  # mean of the joints' in the picture while the person is seen, 0..1; NaN where the take has none


@dataclass
class TakeData:
    """A take as Blender needs it."""

    folder: Path
    shot: dict  # shot.json
    T_world_from_cam: np.ndarray  # (T, 4, 4)
    K: np.ndarray  # (T, 3, 3) px of width x height
    people: list[PersonTrack]
    points_world: np.ndarray  # (N, 3) m
    colours: np.ndarray  # (N, 3) uint8
    warnings: list[str]

    @property
    def width(self) -> int:
        return int(self.shot["source"]["width"])

    @property
    def height(self) -> int:
        return int(self.shot["source"]["height"])

    @property
    def render_size(self) -> tuple[int, int]:
        """Pixels of the clip itself; the take may have been solved smaller."""
        source = self.shot["source"]
        return int(source.get("original_width", self.width)), int(source.get("original_height", self.height))

    @property
    def frames(self) -> int:
        return len(self.K)

    @property
    def fps(self) -> Fraction:
        return Fraction(self.shot["source"]["fps"])

    @property
    def source_path(self) -> Path:
        return Path(self.shot["source"]["path"])

    @property
    def source_start(self) -> int:
        return int(self.shot["source"].get("start_frame", 0))

    @property
    def conformed(self) -> bool:
        """Whether the take holds a film.mp4, as the source's pictures are not its frames one after the other."""
        return bool(self.shot["source"].get("conformed", False))

    @property
    def first_number(self) -> int:
        """What the film calls the first frame: the number of its picture, or its timecode in frames."""
        return int(self.shot["source"].get("first_number", self.source_start))

    def person(self, person_id: int) -> PersonTrack:
        """Raises ShotError where the take has no such person."""
        for person in self.people:
            if person.id == person_id:
                return person
        known = ", ".join(str(p.id) for p in self.people) or "nobody"
        raise ShotError(f"The take has no person {person_id}.", f"It has {known}.")


def read_take(folder) -> TakeData:
    """Read a take folder. Raises ShotError where it is not a whole take."""
    take = Take(Path(folder))
    shot = take.read()
    if not (take.folder / "camera.npz").exists():
        raise ShotError("This take is not finished: it has no camera yet.", "Run Extract Shot to the end.")
    camera = _read_npz(take.folder / "camera.npz", "T_world_from_cam", "K")
    T, K = np.asarray(camera["T_world_from_cam"], float), np.asarray(camera["K"], float)
    if not (len(T) == len(K) > 0 and T.shape[1:] == (4, 4) and K.shape[1:] == (3, 3)):
        raise ShotError("The camera of this take is damaged.", _AGAIN)
    if not (np.isfinite(T).all() and np.isfinite(K).all()):
        raise ShotError("The camera of this take holds values that are not numbers.", _AGAIN)
    warnings, people = [], []
    try:
        for entry in shot.get("people", []):
            people.append(_read_person(take.person(int(entry["id"])), entry))
        points = {"points_world": np.zeros((0, 3)), "colours": np.zeros((0, 3), np.uint8)}
        if (take.folder / "points.npz").exists():
            points = _read_npz(take.folder / "points.npz", "points_world", "colours")
        else:
            warnings.append("The take has no background points.")
        data = TakeData(take.folder, shot, T, K, people, points["points_world"], points["colours"], warnings)
        # Everything that is read later is read once here, so that a damaged take is refused as a whole.
        _ = data.width, data.height, data.fps, data.source_path, data.source_start, data.render_size, data.first_number
    except (KeyError, TypeError, ValueError, ZeroDivisionError) as error:
        raise ShotError(f"The shot.json of this take is damaged ({error!r}).", _AGAIN) from error
    return data


def _read_npz(path: Path, *names) -> dict:
    try:
        with np.load(path, allow_pickle=False) as file:
            return {name: file[name] for name in names}
    except Exception as error:  # zip, zlib and numpy each have their own ways to say "damaged"
        raise ShotError(f"{path.name} of this take cannot be read ({error}).", _AGAIN) from error


def _read_person(path: Path, entry: dict) -> PersonTrack:
    file = _read_npz(path, "poses", "trans", "betas", "frame", "visible", "joints_world", "body")
    count = len(file["frame"])
    if count == 0 or any(len(file[name]) != count for name in ("poses", "trans", "visible", "joints_world")):
        raise ShotError(f"{path.name} of this take has tracks of different lengths.", _AGAIN)
    seen = np.asarray(file["visible"], bool)
    return PersonTrack(
        id=int(entry["id"]),
        colour=tuple(int(c) for c in entry["colour"]),
        body=str(file["body"]),
        betas=np.asarray(file["betas"], float).reshape(-1)[:10],
        poses=np.asarray(file["poses"], float).reshape(count, 24, 3),
        trans=np.asarray(file["trans"], float),
        frame=np.asarray(file["frame"], int),
        visible=np.asarray(file["visible"], bool),
        joints_world=np.asarray(file["joints_world"], float),
        confidence=_confidence(path, seen),
    )


def _confidence(path: Path, seen) -> float:
    try:
        joints = _read_npz(path, "joints_2d")["joints_2d"]
    except ShotError:  # people of other programs may come without
        return float("nan")
    return float(joints[seen, :, 2].mean()) if seen.any() and joints.ndim == 3 else float("nan")


def global_rotations(poses):
    """Rotations (..., 24, 3, 3) of SMPL's bones from its rest pose to the world, for poses (..., 24, 3) rotvec."""
    local = matrix_from_rotvec(poses)
    out = np.empty_like(local)
    for joint, parent in enumerate(SMPL_PARENTS):
        out[..., joint, :, :] = (
            local[..., joint, :, :] if parent < 0 else out[..., parent, :, :] @ local[..., joint, :, :]
        )
    return out


def rest_joints(person: PersonTrack):
    """Rest positions (24, 3) m, SMPL's Y-up axes, of any person: from the posed joints, so that no body file is needed."""
    G = global_rotations(person.poses)
    rest = np.zeros((24, 3))
    rest[0] = (person.joints_world[:, 0] - person.trans).mean(0)
    for joint, parent in enumerate(SMPL_PARENTS[1:], 1):
        offset = person.joints_world[:, joint] - person.joints_world[:, parent]
        rest[joint] = rest[parent] + np.einsum("fji,fj->fi", G[:, parent], offset).mean(0)
    return rest


@dataclass
class Body:
    """The surface of a body."""

    v_template: np.ndarray  # (V, 3) m, SMPL's rest pose, Y-up
    shapedirs: np.ndarray  # (V, 3, 10)
    weights: np.ndarray  # (V, 24)
    faces: np.ndarray  # (F, 3) int

    def vertices(self, betas):
        """Rest vertices (V, 3) of a shape (10,)."""
        return self.v_template + self.shapedirs[..., : len(betas)] @ betas


def read_body(name: str, smpl_folder=None) -> Body | None:
    """The body called "reshoot", or the artist's own "smpl" (None without its folder). Raises ShotError where it is damaged."""
    try:
        if name == "smpl":
            return _body(read_smpl(smpl_folder)) if smpl_folder else None
        with np.load(BODY_FILE, allow_pickle=False) as file:
            return _body(file)
    except (OSError, KeyError, ValueError) as error:
        raise ShotError("The body file of Reshoot is missing or damaged.", "Install Reshoot again.") from error


def _body(arrays) -> Body:
    return Body(
        np.asarray(arrays["v_template"], float),
        np.asarray(arrays["shapedirs"], float)[..., :10],
        np.asarray(arrays["weights"], float),
        np.asarray(arrays["f"], int),
    )
