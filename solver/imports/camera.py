"""A camera that is already known: COLMAP's text model, Nuke's .chan, or poses exported as npz or JSON."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from scipy.spatial.transform import Rotation, Slerp

from ..chan import read_chan
from ..frames import camera_from_blender, compose, focal_px_from_fov, focal_px_from_mm, intrinsics, invert
from ..protocol import ShotError
from ..records import Camera, Slam
from .numbering import count_from, files_of_frames

_FIX = (
    "Choose a COLMAP folder with cameras.txt and images.txt, a Nuke .chan, or a camera .npz or .json (docs/imports.md)."
)
_MODELS = {"SIMPLE_PINHOLE": 3, "PINHOLE": 4, "SIMPLE_RADIAL": 4, "RADIAL": 5, "OPENCV": 8}
STILL_DEG, STILL_SHARE, STILL_M = (
    0.02,
    2e-4,
    0.005,
)  # a camera that turns, zooms (share) or moves less than this stands still
SPHERE = 10.0  # distance of points that have only a direction, as the slam stage has it


@dataclass
class Known:
    """A known camera for every frame of a shot."""

    camera: Camera
    measured: np.ndarray  # (T,) bool; False where the file had no pose and neighbours gave one
    metric: bool  # metres, Z up; a COLMAP model has any unit and any up
    points_world: np.ndarray = field(default_factory=lambda: np.zeros((0, 3)))
    colours: np.ndarray = field(default_factory=lambda: np.zeros((0, 3), np.uint8))
    obs_frame: np.ndarray = field(default_factory=lambda: np.zeros(0, int))
    obs_point: np.ndarray = field(default_factory=lambda: np.zeros(0, int))
    obs_xy: np.ndarray = field(default_factory=lambda: np.zeros((0, 2)))


def read_camera(path: Path, shot, options=None, report=None) -> Known:
    """The camera of a file or COLMAP folder, frame by frame. Raises ShotError for what is no camera of this shot."""
    path = Path(path)
    if not path.exists():
        raise ShotError(f"There is no {path}.", "Choose the camera again.")
    try:
        if path.is_dir() or path.name in ("images.txt", "cameras.txt"):
            return _colmap(path if path.is_dir() else path.parent, shot, report)
        ending = path.suffix.lower()
        if ending == ".chan":
            return _nuke(path, shot, options, report)
        if ending == ".npz":
            return _npz(path, shot, report)
        if ending == ".json":
            return _json(path, shot, report)
    except ShotError:
        raise
    except Exception as error:  # somebody else's file may lack or hold anything
        raise ShotError(f"{path.name} is not laid out as expected ({type(error).__name__}: {error}).", _FIX) from error
    raise ShotError(f"{path.name} is no camera that Reshoot reads.", _FIX)


def _filled(index, T, K, shot, name, report):
    """Poses and lenses of every frame; those that are missing come from their neighbours. Returns Camera, measured."""
    index = np.asarray(index)
    keep = np.flatnonzero(index >= 0)
    keep = keep[np.argsort(index[keep], kind="stable")]
    at, first = np.unique(index[keep], return_index=True)
    keep = keep[first]
    if len(at) < max(1, (shot.frames + 1) // 2):
        raise ShotError(
            f"{name} has a camera for {len(at)} of the shot's {shot.frames} frames.",
            "Export the camera over the whole shot.",
        )
    R = np.asarray(T, float)[keep, :3, :3]
    if not (
        np.isfinite(R).all()
        and np.allclose(R @ np.swapaxes(R, 1, 2), np.eye(3), atol=1e-4)
        and (np.linalg.det(R) > 0).all()
    ):
        raise ShotError(
            f"{name} holds camera matrices that are no rotations (scaled or mirrored).",
            "Apply the camera's scale and export again.",
        )
    measured = np.zeros(shot.frames, bool)
    measured[at] = True
    full = np.clip(np.arange(shot.frames), at[0], at[-1])
    places = np.asarray(T, float)[keep, :3, 3]
    centre = np.stack([np.interp(full, at, column) for column in places.T], -1)
    turn = Slerp(at, Rotation.from_matrix(R))(full).as_matrix() if len(at) > 1 else np.repeat(R, shot.frames, 0)
    lens = np.asarray(K, float)[keep].reshape(len(at), 9)
    lens = np.stack([np.interp(full, at, column) for column in lens.T], -1).reshape(-1, 3, 3)
    out = compose(turn, centre)
    out[at, :3, :3] = R  # no rounding by way of quaternions
    if report is not None and not measured.all():
        report.warn(f"{name} has no camera for {int((~measured).sum())} frames; there it is interpolated.")
    return Camera(out, lens), measured


def _sized(K, width, height, shot, name):
    """K (..., 3, 3) of pictures width x height at the shot's size."""
    if abs(width / height - shot.width / shot.height) > 0.02 * width / height:
        raise ShotError(
            f"{name} is for pictures of {width:g}x{height:g}, the shot is {shot.width}x{shot.height}.",
            "Use the camera of this clip, uncropped.",
        )
    return np.diag([shot.width / width, shot.height / height, 1.0]) @ np.asarray(K, float)


def _nuke(path, shot, options, report):
    frame, T, vfov = read_chan(path)
    if vfov is not None:
        K = intrinsics(shot.height / 2 / np.tan(np.deg2rad(vfov) / 2), shot.width, shot.height)
    else:
        mm, fov = getattr(options, "focal_mm", None), getattr(options, "fov", None)
        if not (mm or fov):
            raise ShotError(f"{path.name} has no field of view.", "Export it with one, or give the focal length too.")
        focal = focal_px_from_mm(mm, shot.width, shot.height) if mm else focal_px_from_fov(fov, shot.width)
        K = np.repeat(intrinsics(focal, shot.width, shot.height)[None], len(frame), 0)
    return Known(*_filled(count_from(frame, shot), T, K, shot, path.name, report), metric=True)


def _npz(path, shot, report):
    with np.load(path, allow_pickle=False) as file:
        T, K = np.asarray(file["T_world_from_cam"], float), np.asarray(file["K"], float)
        numbers = file["frame"] if "frame" in file.files else np.arange(len(T))
        # a take's camera.npz does not name its size: the principal point is the middle there
        size = (
            (float(file["width"]), float(file["height"])) if "width" in file.files else (2 * K[0, 0, 2], 2 * K[0, 1, 2])
        )
    if T.shape[1:] != (4, 4) or K.shape != (len(T), 3, 3):
        raise ShotError(f"{path.name} holds no poses (T, 4, 4) with lenses (T, 3, 3).", _FIX)
    K = _sized(K, *size, shot, path.name)
    return Known(*_filled(count_from(numbers, shot), T, K, shot, path.name, report), metric=True)


def _json(path, shot, report):
    data = json.loads(path.read_text(encoding="utf-8"))
    width, height = float(data["width"]), float(data["height"])
    numbers, poses, lenses = [], [], []
    for order, row in enumerate(data["frames"]):
        numbers.append(int(row.get("frame", order)))
        if "T_world_from_cam" in row:
            poses.append(np.reshape(np.asarray(row["T_world_from_cam"], float), (4, 4)))
        else:  # Blender's camera object: looks along -z
            poses.append(camera_from_blender(np.reshape(np.asarray(row["matrix_world"], float), (4, 4))))
        lens = {**data, **row}
        if "K" in lens:
            lenses.append(np.reshape(np.asarray(lens["K"], float), (3, 3)))
        else:
            focal = focal_px_from_mm(float(lens["lens_mm"]), width, height, float(lens.get("sensor_mm", 36.0)))
            lenses.append(intrinsics(focal, width, height))
    K = _sized(np.array(lenses), width, height, shot, path.name)
    return Known(*_filled(count_from(numbers, shot), np.array(poses), K, shot, path.name, report), metric=True)


# -- COLMAP


def _rows(file):
    return [line.strip() for line in file.read_text(encoding="utf-8").splitlines() if not line.startswith("#")]


def _colmap(folder, shot, report):
    if not (folder / "images.txt").is_file() or not (folder / "cameras.txt").is_file():
        fix = "Export the model as text (colmap model_converter --output_type TXT) and choose that folder."
        raise ShotError(f"The folder {folder.name} has no cameras.txt and images.txt.", fix)
    lenses, bent = {}, 0.0
    for row in filter(None, _rows(folder / "cameras.txt")):
        ident, model, width, height, *values = row.split()
        lenses[ident], shift = _colmap_lens(model, float(width), float(height), [float(v) for v in values], shot)
        bent = max(bent, shift)
    if bent > 0.02 * shot.width:
        raise ShotError(
            f"The lens of {folder.name} bends the picture by {bent:.0f} px at the corners.",
            "Undistort the clip first (colmap image_undistorter) and solve that.",
        )
    if bent > 0.5 and report is not None:
        report.warn(f"The lens distortion in {folder.name} is left out: up to {bent:.1f} px at the corners.")
    images = {}  # name: (T, K, observations)
    rows = _rows(folder / "images.txt")
    i = 0
    while i < len(rows):
        parts = rows[i].split(maxsplit=9)
        if len(parts) < 10:
            i += 1
            continue
        w, x, y, z, *t = (float(v) for v in parts[1:8])
        R = Rotation.from_quat([x, y, z, w]).as_matrix()
        seen = np.array((rows[i + 1] if i + 1 < len(rows) else "").split(), float).reshape(-1, 3)
        images[parts[9]] = (invert(compose(R, t)), parts[8], seen[seen[:, 2] >= 0])
        i += 2
    if not images:
        raise ShotError(f"{folder.name}/images.txt holds no pictures.", _FIX)
    found = files_of_frames([Path(name) for name in images], shot, folder.name)
    index, names = list(found), [str(file) for file in found.values()]
    names = [
        name if name in images else next(n for n in images if Path(n) == found[k]) for k, name in zip(index, names)
    ]
    camera, measured = _filled(
        index,
        np.array([images[n][0] for n in names]),
        np.array([lenses[images[n][1]][0] for n in names]),
        shot,
        folder.name,
        report,
    )
    known = Known(camera, measured, metric=False)
    points = _colmap_points(folder / "points3D.txt")
    if points:
        number = {ident: k for k, ident in enumerate(points)}
        known.points_world = np.array([p[0] for p in points.values()])
        known.colours = np.array([p[1] for p in points.values()], np.uint8)
        frame, point, xy = [], [], []
        for k, name in zip(index, names):
            scale = lenses[images[name][1]][1]
            for px, py, ident in images[name][2]:
                if int(ident) in number:
                    frame.append(k), point.append(number[int(ident)]), xy.append((px * scale[0], py * scale[1]))
        known.obs_frame, known.obs_point = np.array(frame, int), np.array(point, int)
        known.obs_xy = np.array(xy, float).reshape(-1, 2)
    return known


def _colmap_lens(model, width, height, values, shot):
    """(K at the shot's size, scale (2,)), and by how much distortion moves the corner, px of the shot."""
    if model not in _MODELS or len(values) < _MODELS[model]:
        raise ShotError(
            f"COLMAP's camera model {model} is not read.",
            "Undistort the pictures (colmap image_undistorter) and export that model.",
        )
    if model in ("PINHOLE", "OPENCV"):
        fx, fy, cx, cy, *bend = values
    else:
        fx, cx, cy, *bend = values
        fy = fx
    K = np.array([[fx, 0, cx], [0, fy, cy], [0, 0, 1]])
    r2 = ((width / 2) ** 2 + (height / 2) ** 2) / fx**2
    k1, k2 = (*bend, 0.0, 0.0)[:2]
    shift = abs(k1 * r2 + k2 * r2**2) * np.sqrt(r2) * fx * shot.width / width
    return (_sized(K, width, height, shot, "The COLMAP model"), (shot.width / width, shot.height / height)), shift


def _colmap_points(file):
    if not file.is_file():
        return {}
    out = {}
    for row in filter(None, _rows(file)):
        parts = row.split(maxsplit=7)
        out[int(parts[0])] = ([float(v) for v in parts[1:4]], [int(v) for v in parts[4:7]])
    return out


# -- as a start camera


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
    from ..bundle.cameras import Model
    from ..protocol import Reporter
    from ..slam import _output, features, structure, thin

    size, count = (shot.width, shot.height), shot.frames
    followed = features.follow(frames, count, size, masks, report or Reporter())
    obs, chosen = thin(followed.obs, len(followed.colours), count, size)
    if len(obs) < 20:
        return
    K = slam.camera.K
    # the slam stage's cameras have their principal point in the middle and square pixels
    focal = K[obs.frame][:, [0, 1], [0, 1]]
    middle = (obs.xy - K[obs.frame, :2, 2]) * focal[:, :1] / focal + np.array(size) / 2
    centred = type(obs)(obs.frame, obs.point, middle)
    R = np.swapaxes(slam.camera.T_world_from_cam[:, :3, :3], 1, 2)
    c = slam.camera.T_world_from_cam[:, :3, 3]
    model = Model(R, c, np.log(K[:, 0, 0]), np.zeros((len(chosen), 3)), np.zeros(len(chosen)))
    model.d, model.w = structure.triangulate(model, centred, size, len(chosen))
    if slam.verdict != "full":
        model.w = np.zeros(len(chosen))
    limit = 3.0 * size[0] / 640
    good = structure.errors(model, centred, size) < limit
    solid = np.bincount(obs.point[good], minlength=len(chosen)) >= 3
    if slam.verdict == "full":
        solid &= structure.angles(model, centred, size, len(chosen)) > structure.MIN_ANGLE
    keep = good & solid[obs.point]
    kept, which = _output(obs.only(keep), len(chosen))
    world = model.d / np.maximum(model.w, 1e-9)[:, None] if slam.verdict == "full" else model.d * SPHERE
    slam.points_world, slam.colours = world[which], followed.colours[chosen][which]
    slam.obs_frame, slam.obs_point, slam.obs_xy = kept.frame, kept.point, kept.xy
