"""The layouts of other programs' SMPL tracks, told apart by what is in them. Facts about each are in docs/imports.md."""

from __future__ import annotations

import json
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
from scipy.spatial.transform import Rotation

from ..frames import R_zup_from_yup, compose, focal_px_from_fov, focal_px_from_mm
from ..protocol import ShotError
from .numbering import number_of, to_shot
from .person import REST_PELVIS, Person
from .rows import refusal
from .safe import read_npz, read_pickled

# OpenCV's y-down axes of a first camera that was held level, to a Z-up world.
_R_ZUP_FROM_YDOWN = np.array([[1.0, 0, 0], [0, 0, 1.0], [0, -1.0, 0]])
_CHOOSE = "Choose results of 4D-Humans/PHALP, SLAHMR, WHAM, TRAM, GVHMR or PromptHMR, or an AMASS npz (docs/imports.md lists them)."


def read(path: Path, shot, options=None, report=None) -> list:
    """Every person in a file or folder. A track that cannot be read costs only itself: it is named and left out. Raises ShotError."""
    try:
        if path.is_dir():
            people = _folder(path, shot)
        else:
            people = _file(path, shot)
        made, broken, error = [], [], None
        for name, make in people:
            try:
                made.append(_whole(make()))
            except Exception as problem:  # noqa: BLE001  somebody else's file may lack or hold anything
                broken.append(name)
                error = error or problem
    except ShotError:
        raise
    except Exception as problem:
        raise refusal(path, problem, _CHOOSE) from problem
    if not made:
        if isinstance(error, ShotError):
            raise error
        raise refusal(path, error, _CHOOSE) if error else ShotError(f"{path.name} holds no people.", _CHOOSE)
    if broken and report is not None:
        more = " and others" if len(broken) > 5 else ""
        report.warn(f"Left out of {path.name}, as empty, broken or outside the shot: {', '.join(broken[:5])}{more}.")
    return [_own_lens(person, shot, options) for person in made]


def _file(path, shot):
    ending = path.suffix.lower()
    if ending == ".npz":
        return _npz(path, shot)
    if ending == ".npy":
        return [(path.name, lambda: _tram(path, shot))]
    if ending in (".pkl", ".pickle", ".joblib", ".pt", ".pth"):
        return _pickled(path, shot)
    raise ShotError(f"{path.name} is no file of people that Reshoot reads.", _CHOOSE)


def _whole(person: Person) -> Person:
    """The person, if rows are as many everywhere and there is one."""
    F = len(person.frame)
    shapes = (
        (person.poses, (F, 24, 3)),
        (person.trans, (F, 3)),
        (person.number, (F,)),
        (person.K, (F, 3, 3)),
        (person.T_world_from_cam, (F, 4, 4)),
    )
    if not F or any(values is not None and np.shape(values) != shape for values, shape in shapes):
        raise ValueError("rows are missing")
    return person


def _own_lens(person: Person, shot, options) -> Person:
    """A track that came without its lens: the artist's, else the diagonal of the picture, the default of these programs."""
    if person.lens_known:
        return person
    mm, fov = getattr(options, "focal_mm", None), getattr(options, "fov", None)
    focal = float(np.hypot(shot.width, shot.height))
    if mm:
        focal = focal_px_from_mm(mm, shot.width, shot.height)
    elif fov:
        focal = focal_px_from_fov(fov, shot.width)
    return replace(person, K=_lens(focal, [shot.width / 2], shot, len(person.frame)), lens_known=bool(mm or fov))


def _folder(path, shot):
    tram = sorted((path / "hps").glob("hps_track_*.npy"), key=_numbered) or sorted(
        path.glob("hps_track_*.npy"), key=_numbered
    )
    if tram:
        return [(file.name, partial(_tram, file, shot)) for file in tram]
    take = sorted((path / "people").glob("*.npz")) or sorted(path.glob("*.npz"))
    # SLAHMR writes a result every few steps: the last one counts
    results = [f for f in path.rglob("*_world_results.npz")]
    if results:
        return _npz(
            max(results, key=lambda f: (number_of(f.stem.replace("_world_results", "")) or 0, f.stat().st_mtime)), shot
        )
    if take:
        return [(file.name, partial(_one_npz, file, shot)) for file in take]
    known = [f for name in ("results.pkl", "hmr4d_results.pt", "wham_output.pkl") for f in sorted(path.rglob(name))]
    if known:
        return _file(known[0], shot)
    raise ShotError(f"The folder {path.name} holds no people that Reshoot reads.", _CHOOSE)


def _numbered(file):
    return number_of(file) or 0


def _rotvec(rotations, count):
    """(F, N, 3, 3) matrices, or rotation vectors of any grouping, to (F, 24, 3); hands beyond the body's joints are zero."""
    rotations = np.asarray(rotations, float)
    if rotations.shape[-2:] == (3, 3):
        flat = rotations.reshape(count, -1, 3, 3)
        vectors = Rotation.from_matrix(flat.reshape(-1, 3, 3)).as_rotvec().reshape(count, -1, 3)
    else:
        vectors = rotations.reshape(count, -1, 3)
    out = np.zeros((count, 24, 3))
    # SMPL, SMPL-H and SMPL-X share the first 22 joints; SMPL's two hands are joints of their own, the others have fingers
    joints = 24 if vectors.shape[1] == 24 else min(22, vectors.shape[1])
    out[:, :joints] = vectors[:, :joints]
    return out


def _lens(focal, centre, shot, count):
    """K (F, 3, 3) at the shot's size, for a picture whose centre is `centre`; focal and centre in that picture's pixels."""
    scale = shot.width / (2 * float(np.ravel(centre)[0]))
    K = np.zeros((count, 3, 3))
    K[:, 0, 0] = K[:, 1, 1] = np.ravel(np.asarray(focal, float)) * scale
    K[:, 0, 2], K[:, 1, 2], K[:, 2, 2] = shot.width / 2, shot.height / 2, 1
    return K


def _inverse(R, t):
    """T_world_from_cam (F, 4, 4) of cam = R world + t."""
    R, t = np.asarray(R, float), np.asarray(t, float).reshape(-1, 3)
    back = np.swapaxes(R, 1, 2)
    return compose(back, -np.einsum("fij,fj->fi", back, t))


def _turned(R, T):
    """A camera in a world turned by R (3, 3)."""
    return compose(R @ T[:, :3, :3], T[:, :3, 3] @ R.T)


# -- npz


def _one_npz(path, shot):
    [(_, make)] = _npz(path, shot)
    return make()


def _npz(path, shot):
    data = read_npz(path)
    keys = set(data)
    if {"root_orient", "pose_body", "cam_R", "cam_t"} <= keys:
        start = _slahmr_start(path)
        return [(f"person {b + 1}", partial(_slahmr, path, data, b, start, shot)) for b in range(len(data["trans"]))]
    if "trans" in keys and ("poses" in keys or {"root_orient", "pose_body"} <= keys):
        return [(path.name, partial(_amass, path, data, shot))]
    raise ShotError(f"{path.name} holds no body poses.", _CHOOSE)


def _slahmr_start(path) -> int:
    for place in (path.parent, path.parent.parent):
        if (place / "track_info.json").is_file():
            meta = json.loads((place / "track_info.json").read_text(encoding="utf-8")).get("meta", {})
            return int(meta.get("seq_interval", [0])[0])
    return 0


def _slahmr(path, data, b, start, shot):
    F = data["trans"].shape[1]
    # cam_t is already scaled by the world's scale. Its world is the first camera's, y down, neither level nor on the ground.
    T = _inverse(data["cam_R"][b], data["cam_t"][b])
    seen = np.asarray(data["track_mask"][b], bool) if "track_mask" in data else np.ones(F, bool)
    pose = np.concatenate([data["root_orient"][b].reshape(F, 3), data["pose_body"][b].reshape(F, -1)], 1)
    intrinsics = np.ravel(data["intrins"])[:4] if "intrins" in data else None
    return Person(
        name=f"{path.name}, person {b + 1}", family="smplh", space="world", poses=_rotvec(pose, F)[seen],
        trans=np.asarray(data["trans"][b], float)[seen], betas=np.reshape(data["betas"], (len(data["trans"]), -1))[b],
        frame=to_shot(np.arange(start, start + F), start + F, shot, path.name)[seen], number=np.flatnonzero(seen),
        T_world_from_cam=T[seen], R_zup_from_world=_R_ZUP_FROM_YDOWN,
        K=_lens(intrinsics[0], intrinsics[2:], shot, F)[seen] if intrinsics is not None else None, lens_known=intrinsics is not None,
    )  # fmt: skip


def _amass(path, data, shot):
    trans = np.asarray(data["trans"], float).reshape(-1, 3)
    F = len(trans)
    pose = (
        data["poses"]
        if "poses" in data
        else np.concatenate([data["root_orient"].reshape(F, 3), data["pose_body"].reshape(F, -1)], 1)
    )
    width = int(np.asarray(pose).reshape(F, -1).shape[1])
    said = str(data.get("body", data.get("surface_model_type", ""))).lower()
    family = (
        said
        if said in ("reshoot", "smpl", "smplh", "smplx")
        else {72: "smpl", 156: "smplh", 165: "smplx"}.get(width, "smpl")
    )
    rate = float(np.ravel(data.get("mocap_framerate", data.get("mocap_frame_rate", 0)))[0])
    number = np.asarray(data["frame"], int) if "frame" in data else np.arange(F)
    try:
        frame = to_shot(number, None if "frame" in data else F, shot, path.name)
    except ShotError:
        if not rate > 0:
            raise
        frame = np.full(F, -1)  # its rate says where it belongs
    if "visible" in data:
        frame = np.where(np.asarray(data["visible"], bool), frame, -1)
    T = K = None
    camera = path.parent.parent / "camera.npz"
    if camera.is_file() and path.parent.name == "people":
        file = read_npz(camera)
        if len(file["K"]) == shot.frames:
            T, K = file["T_world_from_cam"][frame], file["K"][frame]
    return Person(
        name=path.name, family=family, space="world", poses=_rotvec(pose, F), trans=trans, betas=data.get("betas", np.zeros(10)),
        frame=frame, number=number, rate=rate if rate > 0 and "frame" not in data else None, T_world_from_cam=T, K=K,
    )  # fmt: skip


# -- pickled


def _tram(path, shot):
    data = read_pickled(path)
    if not isinstance(data, dict) or "pred_rotmat" not in data:
        raise ShotError(f"{path.name} is no track of TRAM.", _CHOOSE)
    numbers = np.asarray(data["frame"], int).reshape(-1)
    F = len(numbers)
    camera_file = next(
        (f for f in (path.parent / "camera.npy", path.parent.parent / "camera.npy") if f.is_file()), None
    )
    if camera_file is None:
        raise ShotError(f"camera.npy is missing beside {path.name}.", "Keep TRAM's camera.npy in the folder above hps.")
    camera = read_pickled(camera_file)
    R, t = np.asarray(camera["pred_cam_R"], float), np.asarray(camera["pred_cam_T"], float).reshape(-1, 3)
    T = _turned(_R_ZUP_FROM_YDOWN, compose(R, t))  # world from camera, y down as the first camera
    return Person(
        name=f"TRAM {path.name}", family="smpl", space="camera", poses=_rotvec(data["pred_rotmat"], F),
        trans=np.asarray(data["pred_trans"], float).reshape(F, 3), betas=np.mean(np.reshape(data["pred_shape"], (F, -1)), 0),
        frame=to_shot(numbers, len(T), shot, path.name), number=numbers, T_world_from_cam=T[numbers],
        K=_lens(camera["img_focal"], camera["img_center"], shot, F),
    )  # fmt: skip


def _pickled(path, shot):
    data = read_pickled(path)
    if isinstance(data, dict):
        if "smpl_params_incam" in data:
            return [(path.name, partial(_gvhmr, path, data, shot))]
        if "people" in data and "camera" in data:
            return [(f"person {ident}", partial(_prompthmr, path, data, ident, shot)) for ident in data["people"]]
        if any(str(key).endswith("_params_incam") for key in data):
            raise ShotError(
                f"{path.name} holds bodies of GEM-X's own kind (SOMA), which are not SMPL.",
                "Export SMPL or SMPL-X from GEM, or give its 2D joints (--joints).",
            )
        rows = [v for v in data.values() if isinstance(v, dict)]
        if rows and all("smpl" in v and "tid" in v for v in rows):
            return _phalp(path, data, shot)
        tracks = {k: v for k, v in data.items() if isinstance(v, dict) and "pose" in v and "frame_ids" in v}
        if tracks:
            last = 1 + max(
                (int(np.max(track["frame_ids"])) for track in tracks.values() if np.size(track["frame_ids"])), default=0
            )
            return [(f"track {k}", partial(_wham, path, k, v, last, shot)) for k, v in tracks.items()]
    if _is_mhr(data):
        raise ShotError(
            f"{path.name} holds bodies of SAM 3D Body (MHR), which are not SMPL.",
            "Give it with --joints for its 2D joints, or convert it with MHR's own tool and choose SMPL-X files.",
        )
    raise ShotError(f"{path.name} is of no program that Reshoot knows.", _CHOOSE)


def _is_mhr(data) -> bool:
    rows = data if isinstance(data, list) else list(data.values()) if isinstance(data, dict) else []
    rows = [data, *rows, *(row for part in rows if isinstance(part, list) for row in part)]
    return any(isinstance(row, dict) and "pred_keypoints_2d" in row for row in rows)


def _phalp(path, data, shot):
    tracks: dict = {}
    for order, entry in enumerate(data.values()):
        time = int(entry.get("time", order))
        age = entry.get("tracked_time") or [0] * len(entry["tid"])
        for k, ident in enumerate(entry["tid"]):
            # a track that was not seen in this frame repeats its last body
            if k < len(entry["smpl"]) and isinstance(entry["smpl"][k], dict) and int(age[k]) == 0:
                tracks.setdefault(int(ident), []).append((time, entry, k))
    total = 1 + max((int(e.get("time", i)) for i, e in enumerate(data.values())), default=0)
    return [
        (f"track {ident}", partial(_phalp_track, path, ident, rows, total, shot))
        for ident, rows in sorted(tracks.items())
    ]


def _phalp_track(path, ident, seen, total, shot):
    rows = []
    for time, entry, k in seen:
        body = entry["smpl"][k]
        height, width = (float(n) for n in np.ravel(entry["size"][k])[:2])
        # The lens: 5000 px on a square picture of 256 px that holds the frame.
        focal = 5000.0 * max(width, height) / 256 * shot.width / width
        rotations = np.concatenate(
            [np.reshape(body["global_orient"], (-1, 3, 3))[:1], np.reshape(body["body_pose"], (-1, 3, 3))]
        )
        rows.append((time, rotations, np.ravel(entry["camera"][k])[:3], np.ravel(body["betas"])[:10], focal))
    times, rotations, camera, betas, focal = (np.array(column, float) for column in zip(*rows))
    F = len(times)
    return Person(
        name=f"{path.name}, track {ident}", family="smpl", space="camera", poses=_rotvec(rotations, F), trans=camera,
        betas=np.median(betas, 0), frame=to_shot(times, total, shot, path.name), number=times.astype(int),
        K=_lens(focal, [shot.width / 2], shot, F),
    )  # fmt: skip


def _wham(path, ident, track, last, shot):
    pose = np.asarray(track["pose"], float)
    F = len(pose)
    number = np.asarray(track["frame_ids"], int).reshape(-1)
    return Person(
        # trans_world is the middle of the hips of their own joints, not SMPL's trans: the camera's track is exact
        name=f"WHAM {path.name}, track {ident}", family="smpl", space="camera", poses=_rotvec(pose.reshape(F, 72), F),
        trans=np.asarray(track["trans"], float).reshape(F, 3), betas=np.median(np.reshape(track["betas"], (-1, 10)), 0),
        frame=to_shot(number, last if last > shot.frames else None, shot, path.name), number=number, lens_known=False,
    )  # fmt: skip


def _gvhmr(path, data, shot):
    here, there = data["smpl_params_incam"], data.get("smpl_params_global")
    F = len(np.reshape(here["transl"], (-1, 3)))
    orient, transl = np.reshape(here["global_orient"], (F, 3)), np.reshape(here["transl"], (F, 3))
    pose = np.concatenate([orient, np.reshape(here["body_pose"], (F, -1))], 1)
    K = np.asarray(data["K_fullimg"], float).reshape(-1, 3, 3) if "K_fullimg" in data else None
    T = None
    if there is not None:
        same = all(np.allclose(here[key], there[key], atol=1e-5) for key in ("global_orient", "transl"))
        if same and Rotation.from_rotvec(orient).as_matrix()[:, 1, 1].mean() > 0:
            # A camera's y is down, GVHMR's world is Y-up: whoever stands upright in the file stands in the world.
            raise ShotError(
                f"In {path.name} the people in the camera are a copy of those in the world, so nobody is where the camera saw them.",
                "Choose the hmr4d_results.pt that GVHMR itself wrote.",
            )
        T = None if same else _gvhmr_camera(orient, transl, there, F)
    return Person(
        name=f"GVHMR {path.name}", family="smplx", space="camera", poses=_rotvec(pose, F), trans=transl,
        betas=np.mean(np.reshape(here["betas"], (-1, np.shape(here["betas"])[-1])), 0), frame=to_shot(np.arange(F), F, shot, path.name),
        number=np.arange(F), T_world_from_cam=T, K=_lens(K[0, 0, 0], K[0, :2, 2], shot, F) if K is not None else None,
        lens_known=K is not None,
    )  # fmt: skip


def _gvhmr_camera(orient, transl, there, F):
    """The same body in camera and world gives the camera: both turn about the rest pelvis. Its world is Y-up."""
    pelvis = np.array(REST_PELVIS["smplx"])
    R = (
        Rotation.from_rotvec(np.reshape(there["global_orient"], (F, 3))) * Rotation.from_rotvec(orient).inv()
    ).as_matrix()
    root_cam, root_world = pelvis + transl, pelvis + np.reshape(there["transl"], (F, 3))
    return _turned(R_zup_from_yup, compose(R, root_world - np.einsum("fij,fj->fi", R, root_cam)))


def _prompthmr(path, data, ident, shot):
    camera, track = data["camera"], data["people"][ident]
    world = data.get("camera_world")
    total = len(np.asarray((world or camera).get("pred_cam_R", [])))
    numbers = np.asarray(track["frames"], int).reshape(-1)
    F = len(numbers)
    body = track.get("smplx_world") if world is not None else None
    space, T = ("world", None) if body is not None else ("camera", None)
    body = body if body is not None else track["smplx_cam"]
    if space == "world":  # Y-up; this is where their last optimisation wrote
        T = _inverse(np.asarray(world["Rcw"])[numbers], np.asarray(world["Tcw"])[numbers])
    pose = body["pose"] if "pose" in body else body["rotmat"]
    return Person(
        name=f"{path.name}, person {ident}", family="smplx", space=space, poses=_rotvec(pose, F),
        trans=np.asarray(body["trans"], float).reshape(F, 3),
        betas=np.mean(np.reshape(body["shape"], (-1, np.shape(body["shape"])[-1])), 0),
        frame=to_shot(numbers, total or None, shot, path.name), number=numbers, T_world_from_cam=T,
        R_zup_from_world=R_zup_from_yup if T is not None else None, K=_lens(camera["img_focal"], camera["img_center"], shot, F),
    )  # fmt: skip
