"""SMPL tracks that other programs solved: read, placed in the shot's frames, and turned into S_c.

docs/imports.md lists what is read from each program. The parameters are SMPL's own: pose as rotation vectors, the root turns
about the rest pelvis, then `trans` is added. Where that rest pelvis lies depends on the body, so it travels with the track.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
from scipy.spatial.transform import Rotation

from ..frames import R_zup_from_yup, compose, invert
from ..protocol import ShotError
from ..records import Camera, People
from . import layouts
from .person import REST_PELVIS, Person
from .reading import Reading, at_pace, pace_of

FAR = 1e5  # metres; a body beyond that was never placed


def read_people(paths, shot, model=None, report=None, options=None) -> list[Person]:
    """Tracks of every person in files or folders of other programs (or of a take).

    model:  BodyModel that will be used; where it is of the track's family, its rest pelvis is exact.
    Raises ShotError, in one line, for what is no such file.
    """
    found = []
    for path in map(Path, paths):
        if not path.exists():
            raise ShotError(f"There is no {path}.", "Choose the file again.")
        found += [replace(person, file=str(path)) for person in layouts.read(path, shot, options, report)]
    people = [read_as(_clean(person, model, shot), Reading(), shot) for person in found]
    empty = [p.name for p in people if not len(p.frame)]
    people = [p for p in people if len(p.frame)]
    if not people:
        raise ShotError(
            "The chosen files hold no people in the frames of this shot.", "Choose results of the same clip."
        )
    if report is not None and empty:
        report.warn(
            f"Nobody is in the frames of this shot in {', '.join(empty[:5])}{' and others' if len(empty) > 5 else ''}: left out."
        )
    if report is not None:
        _warn(people, model, shot, report)
    return people


def _warn(people, model, shot, report):
    foreign = {p.family for p in people} - {model.name if model is not None else "reshoot"}
    if foreign and not (model is not None and model.name == "smpl" and foreign == {"smplh"}):
        report.warn(
            "The imported people were solved on another body than the one used here: poses and places are kept, build is not. "
            "With your licensed SMPL file (--smpl) SMPL tracks are kept exactly."
        )
    for file in sorted({p.file for p in people if not p.lens_known}):
        report.warn(
            f"{Path(file).name} does not store its lens: its program's default is assumed (focal length = diagonal of the picture)."
        )
    for file, rate in sorted({(p.file, p.rate) for p in people if pace(p.raw, p.raw.number, shot) is not None}):
        report.warn(f"{Path(file).name} has {rate:g} poses a second: they were resampled to the film's frames.")


def _clean(person: Person, model, shot) -> Person:
    """Every row with finite numbers, in the file's order, Z-up, with the rest pelvis of the body it was solved on."""
    number = np.arange(len(person.frame)) if person.number is None else np.asarray(person.number, int)
    order = np.argsort(number, kind="stable")
    keep = order[np.unique(number[order], return_index=True)[1]]
    lens = (
        True
        if person.K is None
        else np.isfinite(person.K).all((1, 2)) & (person.K[:, 0, 0] > 0) & (person.K[:, 1, 1] > 0)
    )
    pose = True if person.T_world_from_cam is None else _are_poses(person.T_world_from_cam)
    finite = (
        np.isfinite(person.poses).all((1, 2))
        & (np.abs(np.nan_to_num(person.trans, nan=1e9)) < FAR).all(1)
        & lens
        & pose
    )
    keep = keep[finite[keep]]

    def part(values):
        return None if values is None else np.asarray(values, float)[keep]

    betas = np.zeros(10)
    given = np.asarray(person.betas, float).reshape(-1)[:10]
    betas[: len(given)] = np.nan_to_num(given)
    out = replace(
        person, poses=part(person.poses), trans=part(person.trans), betas=betas, frame=_own_times(person, number, shot)[keep],
        number=number[keep], T_world_from_cam=part(person.T_world_from_cam), K=part(person.K),
        rest_pelvis=rest_pelvis(person.family, betas, model),
    )  # fmt: skip
    R = out.R_zup_from_world
    if R is not None:
        T = out.T_world_from_cam
        out = replace(
            _moved(out, np.broadcast_to(R, (len(out.frame), 3, 3)), out.root @ R.T),
            T_world_from_cam=compose(R @ T[:, :3, :3], T[:, :3, 3] @ R.T), R_zup_from_world=None,
        )  # fmt: skip
    return out


def _are_poses(T) -> np.ndarray:
    """(F,) bool of transforms (F, 4, 4): rotations, not too far away."""
    T = np.where(np.abs(T) < FAR, T, 0.0)  # what is no number compares as False
    R = T[:, :3, :3]
    return (np.abs(R @ np.swapaxes(R, 1, 2) - np.eye(3)) < 1e-2).all((1, 2)) & (np.linalg.det(R) > 0)


def _own_times(person: Person, number, shot) -> np.ndarray:
    """Frame of the shot (F,), with fractions, of each row by the file's own numbers and rate; -1 outside."""
    step = pace(person, number, shot)
    return np.asarray(person.frame, float) if step is None else at_pace(step, number, shot)


def pace(person: Person, number, shot) -> float | None:
    """Frames of the shot from row to row, where the file's own rate is another than the film's."""
    return pace_of(person.rate, int(np.max(number, initial=-1)) + 1, shot)


def read_as(raw: Person, reading: Reading, shot) -> Person:
    """The track at the frames of the shot by a reading of its rows; between rows it is interpolated, not beyond them."""
    if reading.up and raw.space == "world" and raw.T_world_from_cam is None:
        R = R_zup_from_yup
        raw = replace(_moved(raw, np.broadcast_to(R, (len(raw.frame), 3, 3)), raw.root @ R.T), raw=raw)
    elif reading.turn:
        R = np.diag([1.0, -1.0, -1.0])
        raw = replace(_moved(raw, np.broadcast_to(R, (len(raw.frame), 3, 3)), raw.root @ R.T), raw=raw)
    times = reading.times(raw.number, raw.frame)
    keep = np.flatnonzero(
        (times >= 0 if reading.step is None and (times == np.rint(times)).all() else times > -1) & (times < shot.frames)
    )
    keep = keep[np.argsort(times[keep], kind="stable")]
    at, first = np.unique(times[keep], return_index=True)
    keep = keep[first]
    original = raw.raw or raw
    if not len(keep):
        none = np.zeros(0, int)
        return _rows(raw, none, none, np.zeros(0), none, original)
    gap = 1.5 * max(1.0, float(np.median(np.diff(at))) if len(at) > 1 else 1.0)
    every = np.arange(int(np.ceil(at[0] - 1e-9)), int(np.floor(at[-1] + 1e-9)) + 1)
    after = np.clip(np.searchsorted(at, every - 1e-9), 0, len(at) - 1)
    before = np.where(np.abs(at[after] - every) < 1e-9, after, np.maximum(after - 1, 0))
    there = (at[after] - at[before] <= gap) & (every >= 0)
    every, after, before = every[there], after[there], before[there]
    share = (every - at[before]) / np.where(after > before, at[after] - at[before], 1)
    out = _rows(raw, keep[before], keep[after], share, every, original)
    if reading.lens != 1 and out.K is not None:
        K = out.K.copy()
        K[:, [0, 1], [0, 1]] *= reading.lens
        out = replace(out, K=K)
    return out


def _rows(raw: Person, a, b, share, frame, original) -> Person:
    """Rows between rows a and b (F,) of a track, `share` (F,) of the way."""

    def straight(values):
        s = share.reshape(-1, *[1] * (values.ndim - 1))
        return values[a] * (1 - s) + values[b] * s

    def turned(R):  # (N, ..., 3, 3)
        shape = R[a].shape
        first, second = (Rotation.from_matrix(R[i].reshape(-1, 3, 3)) for i in (a, b))
        weight = np.repeat(share, int(np.prod(shape[1:-2], dtype=int)))[:, None]
        return (first * Rotation.from_rotvec((first.inv() * second).as_rotvec() * weight)).as_matrix().reshape(shape)

    poses = raw.poses[a]
    if len(a) and share.any():
        vectors = raw.poses.reshape(-1, 3)
        R = Rotation.from_rotvec(vectors).as_matrix().reshape(*raw.poses.shape, 3)
        poses = Rotation.from_matrix(turned(R).reshape(-1, 3, 3)).as_rotvec().reshape(poses.shape)
    T = raw.T_world_from_cam
    if T is not None:
        T = compose(turned(T[:, :3, :3]), straight(T[:, :3, 3])) if len(a) and share.any() else T[a]
    return replace(
        raw, poses=poses, trans=straight(raw.trans), T_world_from_cam=T, K=None if raw.K is None else straight(raw.K),
        frame=np.asarray(frame, int), number=raw.number[a], raw=original,
    )  # fmt: skip


def _moved(person: Person, R, root) -> Person:
    """The track with its roots turned by R (F, 3, 3) and its pelvis at root (F, 3)."""
    poses = person.poses.copy()
    if len(poses):
        poses[:, 0] = (Rotation.from_matrix(R) * Rotation.from_rotvec(poses[:, 0])).as_rotvec()
    return replace(person, poses=poses, trans=root - person.rest_pelvis)


def rest_pelvis(family: str, betas, model=None) -> np.ndarray:
    """(3,) m. From the model where it is of this family, else the mean body's."""
    if model is None and family == "reshoot":
        from ..body.model import BodyModel

        model = BodyModel.load()
    same = model is not None and (model.name == family or (model.name, family) == ("smpl", "smplh"))
    if not same and family == "reshoot":
        return rest_pelvis(family, betas)
    if same:
        import torch

        return model.rest(torch.as_tensor(betas, dtype=model.dtype))[0][0].double().cpu().numpy()
    return np.array(REST_PELVIS[family])


def in_camera(person: Person, known: Camera | None = None) -> Person:
    """The track as S_c. A world track needs its own camera, or the shot's known one in the same world."""
    if person.space == "camera":
        return person
    T = person.T_world_from_cam
    if T is None and known is not None:
        T = known.T_world_from_cam[person.frame]
        person = replace(person, K=known.K[person.frame])
    if T is None:
        raise ShotError(
            f"{person.name} places a person in a world, but there is no camera in it.",
            "Give the camera of that world too (--camera), or choose results in camera coordinates.",
        )
    R = invert(T)[:, :3, :3]
    root = np.einsum("fij,fj->fi", R, person.root - T[:, :3, 3])
    return replace(_moved(person, R, root), space="camera", T_world_from_cam=T)


def in_lens(person: Person, K) -> Person:
    """S_c seen through another lens K (F, 3, 3): the pelvis keeps its pixel and its size in the picture."""
    if person.K is None or np.allclose(person.K, K):
        return person
    root = person.root
    pixel = np.einsum("fij,fj->fi", person.K, root / root[:, 2:])
    z = root[:, 2] * K[:, 1, 1] / person.K[:, 1, 1]
    placed = np.einsum("fij,fj->fi", np.linalg.inv(K), pixel) * z[:, None]
    return replace(person, trans=placed - person.rest_pelvis, K=np.array(K))


def on_body(person: Person, model, betas=None) -> tuple[np.ndarray, np.ndarray]:
    """betas (10,) and trans (F, 3) that put the model's pelvis where the track's is.

    betas: of the model's own shape space, for tracks of another body; without them the mean body.
    """
    same = model.name == person.family or (model.name, person.family) == ("smpl", "smplh")
    betas = person.betas if same else np.zeros(10) if betas is None else np.asarray(betas, float)
    return betas, person.root - rest_pelvis(model.name, betas, model)


def world_camera(person: Person, frames: int) -> Camera | None:
    """The camera that a track came with, where it covers every frame of the shot; for `slam_from_camera`."""
    if person.T_world_from_cam is None or person.K is None or len(person.frame) != frames:
        return None
    return Camera(person.T_world_from_cam.copy(), person.K.copy())


def overlay(fitted: People, people: list[Person], ids, K, model, known: Camera | None = None) -> People:
    """S_c of the shot with the imported tracks in it.

    fitted: S_c of the same people by our own fit: it stays in frames that an import leaves out, and lends its build where the
    import was solved on another body. ids: for each import its number among the fitted, or one for each frame (T,), as
    corrections may have left it; 0 for nobody. K: (T, 3, 3) the shot's lens.
    """
    out = replace(
        fitted, betas=fitted.betas.copy(), global_orient=fitted.global_orient.copy(), body_pose=fitted.body_pose.copy(),
        trans=fitted.trans.copy(), visible=fitted.visible.copy(), joint_confidence=fitted.joint_confidence.copy(),
    )  # fmt: skip
    for person, ident in zip(people, ids):
        seen = in_lens(in_camera(person, known), K[person.frame])
        who = np.broadcast_to(ident, len(K))[person.frame]
        for p in np.flatnonzero(np.isin(fitted.ids, who)):
            mine = who == fitted.ids[p]
            f = person.frame[mine]
            betas, trans = on_body(seen, model, out.betas[p])
            if not np.array_equal(betas, out.betas[p]):
                # frames of our own fit keep their pelvis when the shape becomes the import's
                out.trans[p] += rest_pelvis(model.name, out.betas[p], model) - rest_pelvis(model.name, betas, model)
                out.betas[p] = betas
            out.global_orient[p, f], out.body_pose[p, f] = seen.poses[mine, 0], seen.poses[mine, 1:]
            out.trans[p, f] = trans[mine]
            out.visible[p, f] = True
            out.joint_confidence[p, f] = np.maximum(out.joint_confidence[p, f], 0.5)
    return out
