"""A camera that is already known, frame by frame, and as the slam stage's record. Its files are read by `camera_files` and `colmap`."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from scipy.spatial.transform import Rotation, Slerp

from ..frames import compose, invert
from ..protocol import ShotError
from ..records import Camera, Slam
from . import camera_files, colmap
from .background import LIMIT_PX, place
from .reading import Reading
from .rows import Rows

STILL_DEG, STILL_SHARE, STILL_M = (
    0.02,
    2e-4,
    0.005,
)  # a camera that turns, zooms (share) or moves less than this stands still
SPHERE = 10.0  # distance of points that have only a direction, as the slam stage has it
FEW = 3  # rows below which no other reading is looked for


@dataclass
class Known:
    """A known camera for every frame of a shot."""

    camera: Camera
    measured: np.ndarray  # (T,) bool; False where the file had no pose and neighbours gave one
    held: np.ndarray  # (T,) bool; True before the first and after the last pose, where the camera stands still
    metric: bool  # metres, Z up; a COLMAP model has any unit and any up
    rows: Rows  # what the file holds, for another reading
    points_world: np.ndarray = field(default_factory=lambda: np.zeros((0, 3)))
    colours: np.ndarray = field(default_factory=lambda: np.zeros((0, 3), np.uint8))
    obs_frame: np.ndarray = field(default_factory=lambda: np.zeros(0, int))
    obs_point: np.ndarray = field(default_factory=lambda: np.zeros(0, int))
    obs_xy: np.ndarray = field(default_factory=lambda: np.zeros((0, 2)))

    @property
    def enough(self) -> bool:
        """Whether the poses span at least half of the shot."""
        return bool((~self.held).sum() >= (len(self.held) + 1) // 2)


def read_camera(path: Path, shot, options=None, report=None) -> Known:
    """The camera of a file or COLMAP folder, frame by frame, as the file itself numbers its poses.

    Whether that fits the film is for `against_film` to say. Raises ShotError for what is no camera of this shot.
    """
    path = Path(path)
    if not path.exists():
        raise ShotError(f"There is no {path}.", "Choose the camera again.")
    rows = colmap.read(path, shot, report) if colmap.is_model(path) else camera_files.read(path, shot, options, report)
    _check_rotations(rows)
    known = read_as(rows, Reading(), shot)
    if not known.enough and len(rows.T) < FEW:
        raise too_short(known)
    return known


def too_short(known: Known) -> ShotError:
    """What to say of a camera that is there for less than half of the shot."""
    there = int((~known.held).sum())
    return ShotError(
        f"{known.rows.name} has a camera for {there} of the shot's {len(known.held)} frames.",
        "Export the camera over the whole shot.",
    )


def _check_rotations(rows):
    for T in (rows.T, *rows.turns.values()):
        R = T[:, :3, :3]
        if not (
            np.isfinite(T).all()
            and np.allclose(R @ np.swapaxes(R, 1, 2), np.eye(3), atol=1e-4)
            and (np.linalg.det(R) > 0).all()
        ):
            raise ShotError(
                f"{rows.name} holds camera matrices that are no rotations (scaled or mirrored).",
                "Apply the camera's scale and export again.",
            )
    if not (np.isfinite(rows.K).all() and (rows.K[:, [0, 1], [0, 1]] > 0).all()):
        raise ShotError(f"{rows.name} holds a lens without a focal length.", "Export the camera with its lens again.")


def read_as(rows: Rows, reading: Reading, shot) -> Known:
    """The camera of every frame by a reading of its rows; frames between poses are interpolated, those beyond them held."""
    times = reading.times(rows.number, rows.index)
    keep = np.flatnonzero((times >= 0 if reading.step is None else times > -1) & (times < shot.frames))
    keep = keep[np.argsort(times[keep], kind="stable")]
    if not len(keep):
        raise ShotError(f"{rows.name} has nothing in the frames of this shot.", "Choose a camera of the same clip.")
    at, first = np.unique(times[keep], return_index=True)
    keep = keep[first]
    T, K = rows.turns.get(reading.turn, rows.T)[keep].copy(), rows.K[keep].copy()
    K[:, [0, 1], [0, 1]] *= reading.lens
    if reading.up:
        T = compose(rows.other_up @ T[:, :3, :3], T[:, :3, 3] @ rows.other_up.T)
    T[:, :3, 3] *= reading.unit
    every = np.arange(shot.frames)
    near = np.clip(np.searchsorted(at, every), 0, len(at) - 1)
    near = np.where((near > 0) & (np.abs(at[near - 1] - every) <= np.abs(at[near] - every)), near - 1, near)
    measured = np.abs(at[near] - every) < 0.5 + 1e-6
    held = ~measured & ((every < at[0]) | (every > at[-1]))
    full = np.clip(every, at[0], at[-1])
    centre = np.stack([np.interp(full, at, column) for column in T[:, :3, 3].T], -1)
    turn = (
        Slerp(at, Rotation.from_matrix(T[:, :3, :3]))(full).as_matrix()
        if len(at) > 1
        else np.repeat(T[:, :3, :3], shot.frames, 0)
    )
    lens = np.stack([np.interp(full, at, column) for column in K.reshape(-1, 9).T], -1).reshape(-1, 3, 3)
    out = compose(turn, centre)
    exact = np.abs(at[near] - every) < 1e-9
    out[exact, :3, :3] = T[near[exact], :3, :3]  # no rounding by way of quaternions
    known = Known(Camera(out, lens), measured, held, rows.metric, rows)
    if len(rows.points_world):
        where = np.full(len(rows.T), -1)
        where[keep[near[exact]]] = every[exact]
        seen = where[rows.obs_row] >= 0
        known.points_world, known.colours = rows.points_world, rows.colours
        known.obs_frame, known.obs_point, known.obs_xy = (
            where[rows.obs_row[seen]],
            rows.obs_point[seen],
            rows.obs_xy[seen],
        )
    return known


def slam_from_camera(known: Known, shot, frames=None, masks=None, report=None) -> Slam:
    """The Slam record of a known camera: first camera at the origin, in the known camera's own unit.

    `verdict_scores` carries `T_known_from_slam` (4x4 nested lists) and `metric`, so that the world can be put back where the
    camera came from. frames, masks: as the slam stage has them; with frames, background points are followed and triangulated.
    """
    T_first = known.camera.T_world_from_cam[0]
    T = invert(T_first) @ known.camera.T_world_from_cam
    K = known.camera.K
    travel = float(np.linalg.norm(T[:, :3, 3], axis=1).max())
    turn = float(np.rad2deg(Rotation.from_matrix(T[:, :3, :3]).magnitude().max()))
    zoom = float(np.ptp(K[:, 0, 0]) / K[:, 0, 0].mean())
    points, local = len(known.points_world), (known.points_world - T_first[:3, 3]) @ T_first[:3, :3]
    depth = float(np.median(np.linalg.norm(local, axis=1))) if points else None
    still = STILL_M if known.metric else STILL_SHARE * depth if depth else 1e-9
    if travel > still:
        verdict = "full"
    else:
        verdict = "static" if turn < STILL_DEG and zoom < 1e-3 else "rotation"
        T = T.copy()
        T[:, :3, 3] = 0
        if verdict == "static":
            T[:] = np.eye(4)
    slam = Slam(
        camera=Camera(T, K.copy()), verdict=verdict, focal_source="given", focal_sigma=0.0, measured=known.measured.copy(),
        verdict_scores={
            "chosen": verdict, "criterion": "motion of the known camera", "travel": travel, "turn_deg": turn, "zoom": zoom,
            "metric": bool(known.metric), "T_known_from_slam": T_first.tolist(),
        },
        points_world=local, colours=known.colours, obs_frame=known.obs_frame, obs_point=known.obs_point, obs_xy=known.obs_xy,
    )  # fmt: skip
    if not points and frames is not None:
        _add_points(slam, shot, frames, masks, report)
    elif verdict != "full" and points:
        slam.points_world = SPHERE * local / np.linalg.norm(local, axis=1, keepdims=True)
    return slam


def _add_points(slam, shot, frames, masks, report):
    from ..protocol import Reporter
    from ..slam import _output, follow_background, structure, thin

    size, count = (shot.width, shot.height), shot.frames
    followed = follow_background(shot, frames, masks, report or Reporter())
    obs, chosen = thin(followed.obs, len(followed.colours), count, size)
    if len(obs) < 20:
        return
    travels = slam.verdict == "full"
    model, centred, error = place(slam.camera, obs, size, len(chosen), travels)
    good = error < LIMIT_PX * size[0] / 640
    solid = np.bincount(obs.point[good], minlength=len(chosen)) >= 3
    if travels:
        solid &= structure.angles(model, centred, size, len(chosen)) > structure.MIN_ANGLE
    keep = good & solid[obs.point]
    kept, which = _output(obs.only(keep), len(chosen))
    world = model.d / np.maximum(model.w, 1e-9)[:, None] if travels else model.d * SPHERE
    slam.points_world, slam.colours = world[which], followed.colours[chosen][which]
    slam.obs_frame, slam.obs_point, slam.obs_xy = kept.frame, kept.point, kept.xy
