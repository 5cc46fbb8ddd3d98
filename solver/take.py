"""The take folder: the contract between the solver, Blender and everything else (docs/conventions.md). No torch, no bpy."""

from __future__ import annotations

import errno
import json
import os
from contextlib import contextmanager
from fractions import Fraction
from pathlib import Path

import numpy as np

from .frames import invert, project
from .protocol import ShotError, TakeHeld
from .records import Camera, Shot, Tracks, World, beside, save_npz, save_text
from .skeleton import COLOURS, KEYPOINT_OF_SMPL_JOINT, colour_of

SCHEMA_VERSION = 1


def _palette() -> bytes:
    table = np.zeros((256, 3), np.uint8)
    for index in range(1, 256):
        table[index] = COLOURS[(index - 1) % len(COLOURS)]
    return table.tobytes()


def write_mask(path: Path, mask: np.ndarray) -> None:
    """Write person indices (H, W) uint8 as an 8-bit palette PNG, each person in their colour."""
    from PIL import Image

    image = Image.fromarray(np.ascontiguousarray(mask, np.uint8), "P")
    image.putpalette(_palette())
    with beside(path) as part:
        image.save(part, "PNG")


def read_mask(path: Path) -> np.ndarray:
    """Person indices (H, W) uint8 of a palette PNG. Raises ShotError where the file is missing or not a palette PNG."""
    from PIL import Image

    try:
        with Image.open(path) as image:
            if image.mode not in ("P", "L"):
                raise ShotError(f"{Path(path).name} is not a palette picture.", "Run Extract Shot again with Restart.")
            return np.asarray(image, np.uint8).copy()
    except OSError as error:
        raise ShotError(f"The mask {Path(path).name} cannot be read.", "Run Extract Shot again with Restart.") from error


def write_image(path: Path, rgb: np.ndarray) -> None:
    """Write an RGB or grey uint8 picture; the format follows the extension."""
    import cv2

    data = rgb if rgb.ndim == 2 else rgb[..., ::-1]
    with beside(path, ".part-{}") as part:
        if not cv2.imwrite(str(part), data):
            raise ShotError(f"The picture {path} cannot be written.", "Check the free space and the rights of the take folder.")


@contextmanager
def held(folder: Path):
    """Hold a take folder for one run. The system lets go of it when the run ends, however it ends. Raises ShotError where another holds it."""
    with open(folder / "run.lock", "a+b") as file:
        try:
            if os.name == "nt":
                import msvcrt

                msvcrt.locking(file.fileno(), msvcrt.LK_NBLCK, 1)
            else:
                import fcntl

                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            if error.errno in (errno.EAGAIN, errno.EACCES, errno.EDEADLK):  # else the disk knows no locks
                raise TakeHeld("Another run is at work on this take.", "Wait until it ends, or choose another take folder.") from error
        yield


class Take:
    """Paths inside one take folder, and its `shot.json`."""

    def __init__(self, folder: Path):
        self.folder = Path(folder)

    @property
    def shot_json(self) -> Path:
        return self.folder / "shot.json"

    @property
    def stages(self) -> Path:
        return self.folder / "stages"

    @property
    def film(self) -> Path:
        """The shot frame for frame, where the source is not: holes filled, repeats taken out."""
        return self.folder / "film.mp4"

    @property
    def seen(self) -> Path:
        """Who was seen, chosen or not; see `track.list_seen`."""
        return self.folder / "seen.json"

    def stage(self, name: str) -> Path:
        return self.stages / f"{name}.npz"

    def mask(self, index: int) -> Path:
        return self.folder / "masks" / f"{index:06d}.png"

    @property
    def nets(self) -> Path:
        """What the nets said of each mask, see `masks.soft`."""
        return self.stages / "nets"

    @property
    def outlined(self) -> Path:
        """Masks %06d.png of the frames that an artist's outlines reach, with everybody in them."""
        return self.stages / "outlined"

    def drawn(self, index: int) -> Path:
        """The mask as *track* drew it, before corrections and *masks*."""
        return self.stages / "masks" / f"{index:06d}.png"

    def solved(self, index: int) -> Path:
        return self.folder / "solved" / f"{index:06d}.png"

    def person(self, person_id: int) -> Path:
        return self.folder / "people" / f"{person_id:02d}.npz"

    def portrait(self, person_id: int) -> Path:
        """A picture of somebody from the film, for lists of people."""
        return self.folder / "people" / f"{person_id:02d}.jpg"

    def read(self) -> dict:
        """shot.json as a dict. Raises ShotError where this is not a take, or one of a newer version."""
        try:
            data = json.loads(self.shot_json.read_text(encoding="utf-8"))
        except OSError as error:
            raise ShotError(f"{self.folder} is not a take: it has no shot.json.", "Choose the folder that Extract Shot wrote.") from error
        except ValueError as error:
            raise ShotError(f"{self.shot_json} is damaged.", "Run Extract Shot again with Restart.") from error
        if not isinstance(data, dict) or not isinstance(data.get("schema_version"), int):
            raise ShotError(f"{self.shot_json} is not a shot description.", "Choose the folder that Extract Shot wrote.")
        if data["schema_version"] > SCHEMA_VERSION:
            raise ShotError("This take was made by a newer Reshoot.", "Update Reshoot.")
        return data

    def read_seen(self) -> list[dict]:
        """The people of seen.json, the most prominent first; none where the take does not have it. Raises ShotError where it is damaged."""
        if not self.seen.exists():
            return []
        try:
            people = json.loads(self.seen.read_text(encoding="utf-8"))["people"]
            return [{**person, "seen": int(person["seen"]), "chosen": bool(person["chosen"])} for person in people]
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise ShotError("seen.json of the take is damaged.", "Run Extract Shot again with Restart.") from error

    def write(self, data: dict) -> None:
        save_text(self.shot_json, json.dumps(data, indent=1))


def write_results(take: Take, world: World, tracks: Tracks, start: Camera, body_name: str, shot: Shot, joints_world, colours) -> list:
    """Write camera.npz, people/NN.npz and points.npz; returns shot.json's `people`.

    start:         the start camera, brought into the final world.
    shot:          gives the rate, when each frame was taken, and which show a picture of their own.
    joints_world:  (P, T, 24, 3) m.
    colours:       (N, 3) uint8 of world.points_world.
    """
    save_npz(
        take.folder / "camera.npz",
        T_world_from_cam=world.camera.T_world_from_cam.astype(np.float64),
        K=world.camera.K.astype(np.float64),
        start_T_world_from_cam=start.T_world_from_cam.astype(np.float64),
        start_K=start.K.astype(np.float64),
        time_s=shot.time_s,
        measured=shot.fresh,
    )
    points = world.points_world.astype(np.float32)
    save_npz(take.folder / "points.npz", points_world=points, colours=colours)
    people = world.people
    (take.folder / "people").mkdir(exist_ok=True)
    fps, listing = float(Fraction(shot.fps)), []
    for p, person_id in enumerate(people.ids):
        seen = np.flatnonzero(people.visible[p])
        frames = np.arange(seen[0], seen[-1] + 1)
        save_npz(
            take.person(int(person_id)),
            poses=people.poses[p, frames].reshape(len(frames), 72),
            trans=people.trans[p, frames],
            betas=people.betas[p],
            gender=np.array("neutral"),
            mocap_framerate=np.array(fps),
            mocap_frame_rate=np.array(fps),
            frame=frames,
            time_s=shot.time_s[frames],
            visible=people.visible[p, frames],
            joints_world=joints_world[p, frames],
            joints_2d=_smpl_joints_2d(joints_world[p, frames], tracks.keypoints_2d[p, frames], world.camera, frames),
            contact=world.contact[p, frames],
            body=np.array(body_name),
            **_fingers(people, p, frames),
        )
        listing.append({"id": int(person_id), "colour": list(colour_of(int(person_id))), "first": int(frames[0]), "last": int(frames[-1])})
    for old in (take.folder / "people").iterdir():
        if old.stem not in {f"{int(i):02d}" for i in people.ids}:
            old.unlink()
    return listing


def _fingers(people, p, frames) -> dict:
    """Angles of somebody's fingers, where a hand was seen."""
    if people.fingers is None or not people.fingers_known[p, frames].any():
        return {}
    return {"fingers": people.fingers[p, frames], "fingers_known": people.fingers_known[p, frames]}


def _smpl_joints_2d(joints_world, keypoints_2d, camera: Camera, frames):
    """(F, 24, 3): detected px and confidence where a keypoint observes the joint, else the projection with confidence 0."""
    out = np.zeros(joints_world.shape[:2] + (3,))
    out[..., :2] = project(joints_world, invert(camera.T_world_from_cam[frames]), camera.K[frames])
    for joint, keypoint in KEYPOINT_OF_SMPL_JOINT.items():
        seen = keypoints_2d[:, keypoint, 2] > 0
        out[seen, joint] = keypoints_2d[seen, keypoint]
    return out
