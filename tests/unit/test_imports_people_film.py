"""Imported people against the people who are seen: rates, strides, offsets, lenses and worlds that only the film tells."""

import json
import pickle

import numpy as np
import pytest
import torch
from scipy.spatial.transform import Rotation

from solver.body.model import BodyModel
from solver.frames import R_zup_from_yup, compose, intrinsics, invert, project
from solver.imports import against_film, as_given, evidence, read_people
from solver.imports.camera import Known
from solver.imports.people import in_camera
from solver.imports.person import REST_PELVIS
from solver.imports.rows import Rows
from solver.protocol import Reporter, ShotError
from solver.records import Camera, Tracks
from tests.imports_cases import HEIGHT, WIDTH, shot
from tests.unit.test_imports_film import CASES, at, film, truth  # noqa: F401 (fixtures)

T, FOCAL = 24, 700.0
MODEL = BodyModel.load()
SMPL = np.array(REST_PELVIS["smpl"])
YDOWN = np.array([[1.0, 0, 0], [0, 0, 1], [0, -1, 0]])  # Z-up world from the axes of a level camera


def body(times):
    """Somebody who walks through the picture, at any times (N,) in frames: poses (N, 24, 3) and pelvis (N, 3), both in the camera."""
    times = np.asarray(times, float)
    poses = np.zeros((len(times), 24, 3))
    poses[:, 0] = (
        Rotation.from_rotvec([np.pi, 0, 0]) * Rotation.from_euler("y", (30 + 2 * times)[:, None], degrees=True)
    ).as_rotvec()
    swing = 0.7 * np.sin(times / 3.5)
    for joint, sign in ((1, 1), (2, -1), (16, -1), (17, 1)):
        poses[:, joint, 0] = sign * swing
    root = np.stack([-1.4 + 0.09 * times + 0.4 * np.sin(times / 9), 0.05 * np.sin(times / 2), 5 - 0.03 * times], -1)
    return poses, root


def seen(shot, focal=FOCAL, T_cam_from_world=None, poses_root=None):
    """The tracks of a detector that sees that person in every frame, with 2 px of noise."""
    poses, root = poses_root or body(np.arange(shot.frames))
    J = MODEL.rest(torch.zeros(10))[0][0].double().numpy()
    joints = (
        MODEL.fk(*(torch.as_tensor(a).float() for a in (np.zeros((len(root), 10)), poses, root - J)))[2]
        .double()
        .numpy()
    )
    T_cam = np.eye(4)[None] if T_cam_from_world is None else T_cam_from_world
    xy = project(joints, T_cam, intrinsics(focal, shot.width, shot.height))
    xy += np.random.default_rng(0).normal(size=xy.shape) * 2 * shot.width / 640
    two = np.concatenate([xy, np.full((len(root), 25, 1), 0.8)], -1)[None]
    box = np.concatenate([xy.min(1), xy.max(1)], -1)[None]
    F = len(root)
    return Tracks(np.array([1]), box, np.ones((1, F)), two, np.zeros((1, F, 25, 4)), np.ones((1, F), int))


def check(path, target, tracks, monkeypatch, known=None, scene=None, options=None):
    """(people as the film has them, warnings, facts)"""
    monkeypatch.setattr(evidence, "followed", lambda *_: scene)
    report = Reporter()
    people = read_people([path], target, MODEL, report, options)
    given = against_film(target, None, tracks, None, None, people, MODEL, report) if known is None else None
    if known is not None:  # the camera has its own tests
        monkeypatch.setattr(evidence, "camera_against_film", lambda known, *_: (known, {}))
        given = against_film(target, None, tracks, None, known, people, MODEL, report)
    _, again = as_given(json.loads(json.dumps({"people": given.facts["people"]})), None, people, target)
    for a, b in zip(given.people, again):  # a run that goes on reads alike
        assert np.array_equal(a.trans, b.trans) and np.array_equal(a.frame, b.frame)
    return given.people, report.warnings, given.facts["people"]


def wham(path, times, first=0):
    poses, root = body(times)
    track = {
        "pose": poses.reshape(len(poses), 72), "trans": root - SMPL, "betas": np.zeros((len(poses), 10)),
        "frame_ids": np.arange(len(poses)) + first,
    }  # fmt: skip
    path.write_bytes(pickle.dumps({0: track}))
    return path


def gvhmr(path, times, lens=True, world=None):
    poses, root = body(times)
    F, J = len(poses), np.array(REST_PELVIS["smplx"])
    local = {
        "body_pose": poses.reshape(F, 72)[:, 3:66],
        "betas": np.zeros((F, 10)),
        "global_orient": poses[:, 0],
        "transl": root - J,
    }
    up = Rotation.from_matrix(R_zup_from_yup.T @ YDOWN)
    there = local | {
        "global_orient": (up * Rotation.from_rotvec(poses[:, 0])).as_rotvec(),
        "transl": up.apply(root) - J,
    }
    data = {"smpl_params_incam": local, "smpl_params_global": there if world is None else world(local, there)}
    if world is not None and world(local, there) is there:
        data["smpl_params_incam"] = there
    if lens:
        data["K_fullimg"] = np.tile(intrinsics(FOCAL, WIDTH, HEIGHT), (F, 1, 1))
    path.write_bytes(pickle.dumps(data))
    return path


def near(person, times_of_frame, tolerance=0.03):
    """Whether a track is where the person was, at each of its frames."""
    _, root = body(times_of_frame(person.frame))
    mine = in_camera(person)
    return np.abs(mine.root[:, :2] / mine.root[:, 2:] - root[:, :2] / root[:, 2:]).max() < tolerance


# -- the film decides


def test_people_who_fit_are_used_as_they_are(tmp_path, monkeypatch):
    [person], warnings, [fact] = check(gvhmr(tmp_path / "a.pt.pkl", np.arange(T)), shot(T), seen(shot(T)), monkeypatch)
    assert person.frame.tolist() == list(range(T)) and fact["px"] < 10 and fact["share"] == 1
    assert not [w for w in warnings if "--smpl" not in w]


@pytest.mark.parametrize(
    "step,words",
    [(0.5, "2 poses a frame"), (2.0, "a pose every 2 frames"), (0.8, "1.25 poses a frame"), (0.2, "5 poses")],
)
@pytest.mark.parametrize("program", ["wham", "gvhmr"])
def test_rates_and_strides(tmp_path, monkeypatch, step, words, program):
    times = np.arange(0, T - 0.001, step)
    write = wham if program == "wham" else gvhmr
    target, tracks = shot(T), seen(shot(T), FOCAL if program == "gvhmr" else float(np.hypot(WIDTH, HEIGHT)))
    [person], warnings, [fact] = check(write(tmp_path / "a.pkl", times), target, tracks, monkeypatch)
    assert any(words in w for w in warnings), warnings
    assert near(person, lambda f: f) and fact["share"] > 0.95 and len(person.frame) >= T - 2


@pytest.mark.parametrize("first", [4, -6])
def test_offsets(tmp_path, monkeypatch, first):
    times = np.arange(first, first + T)
    [person], warnings, _ = check(gvhmr(tmp_path / "a.pkl", times), shot(T), seen(shot(T)), monkeypatch)
    assert any(f"{abs(first)}" in w and "is read as one pose a frame" in w for w in warnings)
    assert near(person, lambda f: f) and len(person.frame) == T - abs(first)


def test_a_flipped_camera(tmp_path, monkeypatch):
    path = wham(tmp_path / "a.pkl", np.arange(T))
    data = pickle.loads(path.read_bytes())  # our own file
    flip = Rotation.from_rotvec([np.pi, 0, 0])
    track = data[0]
    track["trans"] = flip.apply(track["trans"] + SMPL) - SMPL
    track["pose"] = track["pose"].copy()
    track["pose"][:, :3] = (flip * Rotation.from_rotvec(track["pose"][:, :3])).as_rotvec()
    path.write_bytes(pickle.dumps(data))
    [person], warnings, _ = check(path, shot(T), seen(shot(T), float(np.hypot(WIDTH, HEIGHT))), monkeypatch)
    assert any("looks along its -z" in w for w in warnings) and near(person, lambda f: f)


@pytest.mark.parametrize("focal", [420.0, 700.0, 1300.0])
def test_a_lens_that_was_not_stored(tmp_path, monkeypatch, focal):
    path = gvhmr(tmp_path / "hmr4d_results.pt.pkl", np.arange(20), lens=False)
    [person], warnings, [fact] = check(path, shot(T), seen(shot(T), focal), monkeypatch)
    assert any("does not store its lens" in w for w in warnings)
    assert fact["share"] > 0.95
    used = person.K[0, 0, 0]
    assert abs(used / focal - 1) < 0.06 or used == pytest.approx(np.hypot(WIDTH, HEIGHT))


def test_the_artists_lens_comes_first(tmp_path, monkeypatch):
    from solver.options import Options

    path = gvhmr(tmp_path / "a.pkl", np.arange(20), lens=False)
    options = Options(source=None, take=None, focal_mm=FOCAL * 36 / WIDTH)
    [person], warnings, _ = check(path, shot(T), seen(shot(T)), monkeypatch, options=options)
    assert person.K[0, 0, 0] == pytest.approx(FOCAL) and not any("lens" in w for w in warnings)


def test_spaces_that_are_copies_of_each_other(tmp_path, monkeypatch):
    with pytest.raises(ShotError, match="copy of those in the world"):
        read_people([gvhmr(tmp_path / "a.pkl", np.arange(T), world=lambda local, there: there)], shot(T))
    path = gvhmr(
        tmp_path / "b.pkl", np.arange(T), world=lambda local, there: local
    )  # the other way round, the camera's are right
    [person], _, [fact] = check(path, shot(T), seen(shot(T)), monkeypatch)
    assert person.T_world_from_cam is None and fact["share"] == 1


def test_who_fits_nobody_is_told(tmp_path, monkeypatch):
    path = gvhmr(tmp_path / "a.pkl", np.arange(T))
    tracks = seen(shot(T))
    tracks.keypoints_2d[..., 0] = WIDTH - tracks.keypoints_2d[..., 0]  # somebody who walks the other way
    tracks.keypoints_2d[..., 1] -= 150
    [person], warnings, [fact] = check(path, shot(T), tracks, monkeypatch)
    assert any("fits nobody" in w and "px off" in w for w in warnings) and fact["share"] < 0.5
    assert len(person.frame) == T  # and is kept


# -- AMASS: the file says its rate


def amass(path, times, rate, T_world_from_cam, turn=None):
    poses, root = body(times)
    turn = np.eye(3) if turn is None else turn
    R, t = turn @ T_world_from_cam[:3, :3], turn @ T_world_from_cam[:3, 3]
    wide = np.zeros((len(poses), 156))
    wide[:, :66] = poses.reshape(len(poses), 72)[:, :66]
    wide[:, :3] = (Rotation.from_matrix(R) * Rotation.from_rotvec(poses[:, 0])).as_rotvec()
    np.savez(path, poses=wide, trans=root @ R.T + t - SMPL, betas=np.zeros(16), gender="neutral", mocap_framerate=rate)
    return path


def still(shot):
    """A known camera that stands 1.5 m above the ground."""
    pose = compose(YDOWN, [0.0, -3, 1.5])
    camera = Camera(np.tile(pose, (shot.frames, 1, 1)), np.tile(intrinsics(FOCAL, WIDTH, HEIGHT), (shot.frames, 1, 1)))
    rows = Rows("cam", camera.T_world_from_cam, camera.K, np.arange(shot.frames), np.arange(shot.frames), metric=True)
    return Known(camera, np.ones(shot.frames, bool), np.zeros(shot.frames, bool), True, rows)


@pytest.mark.parametrize(
    "rate,rows,step", [(120.0, 96, 0.2), (60.0, 60, 0.4), (30.0, 30, 0.8), (12.0, 12, 2.0), (100.0, 90, 0.24)]
)
def test_amass_is_resampled_by_its_rate(tmp_path, monkeypatch, rate, rows, step):
    target, known = shot(T), still(shot(T))
    path = amass(tmp_path / "walk.npz", np.arange(rows) * step, rate, known.camera.T_world_from_cam[0])
    [person], warnings, _ = check(path, target, seen(target), monkeypatch, known)
    assert any(f"{rate:g} poses a second" in w for w in warnings)
    assert person.frame.tolist() == list(range(int((rows - 1) * step + 1e-9) + 1))
    want = body(person.frame)[1] @ known.camera.T_world_from_cam[0, :3, :3].T + known.camera.T_world_from_cam[0, :3, 3]
    assert np.abs(person.root - want).max() < 0.01  # of a straight line between poses


def test_a_rate_that_is_only_a_default(tmp_path, monkeypatch):
    target, known = shot(T), still(shot(T))
    path = amass(tmp_path / "walk.npz", np.arange(T), 120.0, known.camera.T_world_from_cam[0])  # 24 poses for 24 frames
    [person], warnings, _ = check(path, target, seen(target), monkeypatch, known)
    assert person.frame.tolist() == list(range(T)) and not any("a second" in w or "read as" in w for w in warnings)


def test_a_world_with_y_up(tmp_path, monkeypatch):
    target, known = shot(T), still(shot(T))
    path = amass(tmp_path / "walk.npz", np.arange(T), 24.0, known.camera.T_world_from_cam[0], R_zup_from_yup.T)
    [person], warnings, [fact] = check(path, target, seen(target), monkeypatch, known)
    assert any("other axis up" in w for w in warnings) and fact["share"] == 1
    assert in_camera(person, known.camera).root[5] == pytest.approx(body([5])[1][0], abs=1e-6)


# -- SLAHMR: its camera is held against the background


def slahmr(path, poses, times):
    """People of the truth's camera at any times; the body stands still in the world, 4 m before the first camera."""
    cam = invert(poses)
    root = np.tile(poses[0, :3, :3] @ [0.0, 0.0, 4.0] + poses[0, :3, 3], (len(times), 1))
    F = len(times)
    orient = (Rotation.from_matrix(poses[0, :3, :3]) * Rotation.from_rotvec([np.pi, 0, 0])).as_rotvec()
    np.savez(
        path, root_orient=np.tile(orient, (1, F, 1)), pose_body=np.zeros((1, F, 63)), trans=(root - SMPL)[None], betas=np.zeros((1, 16)),
        track_mask=np.ones((1, F), bool), cam_R=cam[None, :, :3, :3], cam_t=cam[None, :, :3, 3], intrins=np.array([533.33, 533.33, 320, 180]),
    )  # fmt: skip
    return path


@pytest.mark.parametrize("rate,who", [(25, "nobody"), (30, "nobody"), (12, "nobody"), (25, "somebody else")])
def test_slahmr_at_another_rate(film, truth, tmp_path, monkeypatch, rate, who):  # noqa: F811
    times = np.arange(0, T - 0.001, 24 / rate)
    path = slahmr(tmp_path / "shot_000100_world_results.npz", at(truth, times)[0], times)
    target, scene = film
    nobody = Tracks(
        np.zeros(0, int),
        np.zeros((0, T, 4)),
        np.zeros((0, T)),
        np.zeros((0, T, 25, 3)),
        np.zeros((0, T, 25, 4)),
        np.zeros((0, T), int),
    )
    tracks = nobody if who == "nobody" else seen(target)
    [person], warnings, _ = check(path, target, tracks, monkeypatch, scene=scene)
    assert any("is read as" in w for w in warnings), warnings
    assert any("fits nobody" in w for w in warnings) == (who != "nobody")
    # the track's own camera, in its own Z-up world: steps as the truth's
    ours, true = person.T_world_from_cam, truth[0][person.frame]
    step = invert(ours[:1]) @ ours, invert(true[:1]) @ true
    assert np.abs(step[0] - step[1]).max() < 0.02 and len(person.frame) >= T - 2


# -- the cases that went wrong


@pytest.mark.skipif(not CASES.is_dir(), reason="the cases are not beside this checkout")
def test_cases(film, truth, monkeypatch):  # noqa: F811
    target, scene = film
    report = Reporter()
    [person] = read_people([CASES / "a156_120fps.npz"], target, report=report)
    with np.load(CASES / "a156_120fps.npz") as file:
        trans = file["trans"]
    assert (
        person.frame.tolist() == list(range(20))
        and np.allclose(person.trans, trans[::5])
        and "120 poses a second" in report.warnings[1]
    )
    nobody = Tracks(
        np.zeros(0, int),
        np.zeros((0, T, 4)),
        np.zeros((0, T)),
        np.zeros((0, T, 25, 3)),
        np.zeros((0, T, 25, 4)),
        np.zeros((0, T), int),
    )
    [person], warnings, _ = check(CASES / "shot_000100_world_results.npz", target, nobody, monkeypatch, scene=scene)
    ours, true = person.T_world_from_cam, truth[0][person.frame]
    step = invert(ours[:1]) @ ours, invert(true[:1]) @ true
    assert any("1.04 poses a frame" in w for w in warnings) and np.abs(step[0] - step[1]).max() < 0.01
    report = Reporter()
    [person] = read_people([CASES / "hmr4d_results.pt.pkl"], target, report=report)
    assert person.frame.tolist() == list(range(20)) and any("does not store its lens" in w for w in report.warnings)
    with pytest.raises(ShotError, match="copy of those in the world"):
        read_people([CASES / "hmr4d_global_twice.pkl"], target)
