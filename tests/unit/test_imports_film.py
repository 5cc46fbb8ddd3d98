"""Given data against the film: what the background of examples/shot.mp4 shows decides how a file is read. Its truth is exact."""

import json
from pathlib import Path

import numpy as np
import pytest
from scipy.spatial.transform import Rotation, Slerp

from solver.chan import ORDERS
from solver.frames import R_zup_from_yup, blender_from_camera, compose, invert, project
from solver.imports import against_film, as_given, evidence, read_camera
from solver.imports.background import followed
from solver.options import Options
from solver.protocol import Reporter, ShotError
from solver.records import Tracks
from solver.shot import shot as shot_stage
from solver.shot.shot import Frames
from solver.skeleton import KEYPOINT_OF_SMPL_JOINT
from tests.unit.test_imports_camera import write_colmap

ROOT = Path(__file__).resolve().parents[2]
FILM, TRUTH = ROOT / "examples/shot.mp4", ROOT / "examples/truth"
CASES = ROOT.parent / "shared/cases"
WIDTH, HEIGHT, T = 640, 360, 24

TILTED = np.eye(4)  # a world in which the camera turns about all three axes, so that their order matters
TILTED[:3, :3] = Rotation.from_euler("xyz", [25, -20, 40], degrees=True).as_matrix()


@pytest.fixture(scope="module")
def film():
    """The first second of the film: its shot, and what is followed of its background."""
    options = Options(source=FILM, take=None, range=(0, T - 1), max_height=240)
    shot = shot_stage.run(FILM, options, Reporter())
    return shot, followed(shot, Frames(shot), None, Reporter())


@pytest.fixture(scope="module")
def truth():
    with np.load(TRUTH / "camera.npz") as file:
        return file["T_world_from_cam"], file["K"]


def nobody(T=T):
    return Tracks(
        np.zeros(0, int), np.zeros((0, T, 4)), np.zeros((0, T)), np.zeros((0, T, 25, 3)), np.zeros((0, T, 25, 4)), np.zeros((0, T), int)
    )  # fmt: skip


def somebody(shot):
    """The true joints of the person, as a detector would give them."""
    with np.load(TRUTH / "people/01.npz") as file:
        joints = file["joints_2d"][:T, :, :2] * shot.height / HEIGHT
    two = np.zeros((1, T, 25, 3))
    for joint, keypoint in KEYPOINT_OF_SMPL_JOINT.items():
        two[0, :, keypoint, :2], two[0, :, keypoint, 2] = joints[:, joint], 0.9
    two[0, :, 0, :2], two[0, :, 0, 2] = joints[:, 15], 0.9  # the head for the nose
    box = np.concatenate([joints.min(1), joints.max(1)], -1)[None]
    return Tracks(np.array([1]), box, np.ones((1, T)), two, np.zeros((1, T, 25, 4)), np.ones((1, T), int))


def read(path, film, monkeypatch, tracks=None, options=None):
    shot, scene = film
    monkeypatch.setattr(evidence, "followed", lambda *_: scene)
    report = Reporter()
    known = read_camera(path, shot, options, report)
    given = against_film(shot, None, tracks or nobody(), None, known, [], None, report)
    again, _ = as_given(json.loads(json.dumps(given.facts)), known, [], shot)
    assert np.array_equal(
        again.camera.T_world_from_cam, given.known.camera.T_world_from_cam
    )  # a run that goes on reads alike
    return given, report.warnings


def off(camera, truth, frames=slice(0, T)):
    """Largest error in degrees, and in metres after the scale: the same gauge as the truth's first camera."""
    ours, true = camera.T_world_from_cam[frames], truth[0][:T][frames]
    a, b = invert(ours[0]) @ ours, invert(true[0]) @ true
    turn = np.rad2deg(Rotation.from_matrix(np.swapaxes(a[:, :3, :3], 1, 2) @ b[:, :3, :3]).magnitude()).max()
    scale = (a[:, :3, 3] * b[:, :3, 3]).sum() / (a[:, :3, 3] ** 2).sum()
    return turn, np.linalg.norm(scale * a[:, :3, 3] - b[:, :3, 3], axis=1).max()


def at(truth, times):
    """Poses and lenses between the true frames."""
    every = np.arange(len(truth[0]))
    R = Slerp(every, Rotation.from_matrix(truth[0][:, :3, :3]))(times).as_matrix()
    place = np.stack([np.interp(times, every, column) for column in truth[0][:, :3, 3].T], -1)
    return compose(R, place), np.repeat(truth[1][:1], len(times), 0)


def write_npz(path, T, K, **more):
    np.savez(path, T_world_from_cam=T, K=K, width=WIDTH, height=HEIGHT, **more)
    return path


def write_chan_in(path, T, order, hfov=False, z_up=False):
    """A .chan as a program writes it that turns in another order."""
    matrix = blender_from_camera(T)
    R = np.eye(3) if z_up else R_zup_from_yup
    angles = Rotation.from_matrix(R.T @ matrix[:, :3, :3]).as_euler(order.lower(), degrees=True)
    xyz = np.stack([angles[:, order.index(axis)] for axis in "XYZ"], -1)
    fov = 2 * np.rad2deg(np.arctan((WIDTH if hfov else HEIGHT) / 2 / (WIDTH * 30 / 36)))
    rows = np.column_stack([np.arange(len(T)) + 1, matrix[:, :3, 3] @ R, xyz, np.full(len(T), fov)])
    path.write_text("\n".join(" ".join(f"{v:.9f}" for v in row) for row in rows))
    return path


# -- the film's own numbers: nothing is said, and the distance is reported


def test_a_camera_that_fits_is_used_as_it_is(film, truth, tmp_path, monkeypatch):
    given, warnings = read(write_npz(tmp_path / "c.npz", *at(truth, np.arange(T))), film, monkeypatch)
    facts = given.facts["camera"]
    assert not warnings and facts["px"] < 0.5 and facts["share"] > 0.9 and facts["compared"] > 1000
    assert off(given.known.camera, truth) < (0.01, 0.001)


@pytest.mark.parametrize("kind", ["still", "turns", "zooms", "travels"])
@pytest.mark.parametrize("stride", [1, 2])
def test_every_kind_of_camera(film, tmp_path, monkeypatch, kind, stride):
    """Points before cameras that stand, turn, zoom or travel, with noise: their own camera fits, one of every second frame is found where
    the picture moves, and points are placed under it."""
    from solver.bundle.cameras import Observations
    from solver.imports.background import Background

    shot, rng, every = film[0], np.random.default_rng(0), np.arange(T)
    poses = np.tile(np.eye(4), (T, 1, 1))
    poses[:, :3, 3] = [20.0, -7.0, 1.5]  # far from the origin of its world
    K = np.tile(np.diag([400.0, 400.0, 1.0]), (T, 1, 1))
    K[:, :2, 2] = shot.width / 2, shot.height / 2
    if kind in ("turns", "travels"):
        poses[:, :3, :3] = Rotation.from_euler(
            "yx", np.stack([0.8 * every, 5 * np.sin(every / 5)], -1), degrees=True
        ).as_matrix()
    if kind == "travels":
        poses[:, :3, 3] += np.stack([0.05 * every, 0.02 * np.sin(every / 3), 0.03 * every], -1)
    if kind == "zooms":
        K[:, [0, 1], [0, 1]] *= np.linspace(1, 1.4, T)[:, None] ** 2
    points = poses[0, :3, 3] + rng.uniform([-6, -3, 4], [6, 3, 12], (400, 3))
    xy = project(points, invert(poses), K) + rng.normal(size=(T, 400, 2)) * 0.2
    inside = (np.nan_to_num(xy, nan=-1) > 0).all(-1) & (np.nan_to_num(xy) < [shot.width, shot.height]).all(-1)
    point, frame = np.nonzero(inside.T & (inside.sum(0) >= 3)[:, None])
    number = np.unique(point, return_inverse=True)[1]
    scene = Background(Observations(frame, number, xy[frame, point]), (shot.width, shot.height), T)
    rows = slice(None, None, stride)
    path = tmp_path / "c.npz"
    np.savez(path, T_world_from_cam=poses[rows], K=K[rows], width=shot.width, height=shot.height)
    given, warnings = read(path, (shot, scene), monkeypatch)
    assert given.facts["camera"]["px"] < (0.5 if stride == 1 else 1.0) and given.facts["camera"]["share"] > 0.9
    told = [w for w in warnings if "a pose every 2 frames" in w]
    # of a camera that stands, that reading is as good as another, and covers more of the shot
    assert bool(told) == (stride == 2) and not any("does not fit" in w for w in warnings)
    if kind != "still":
        assert np.abs(given.known.camera.T_world_from_cam[:-1, :3, :3] - poses[:-1, :3, :3]).max() < 2e-3
        assert np.abs(given.known.camera.K[:-1, 0, 0] / K[:-1, 0, 0] - 1).max() < 2e-3


def test_a_camera_of_another_clip_is_told_and_kept(film, truth, tmp_path, monkeypatch):
    wrong = at(truth, np.arange(T))[0]
    wrong[:, :3, :3] = (
        wrong[:, :3, :3] @ Rotation.from_euler("z", 3.0 * np.arange(T)[:, None], degrees=True).as_matrix()
    )
    given, warnings = read(write_npz(tmp_path / "c.npz", wrong, truth[1][:T]), film, monkeypatch)
    assert len(warnings) == 1 and "does not fit this film" in warnings[0]
    assert np.allclose(given.known.camera.T_world_from_cam, wrong) and given.facts["camera"]["share"] < 0.5


def test_a_film_without_texture_cannot_say(truth, tmp_path, monkeypatch, film):
    given, warnings = read(write_npz(tmp_path / "c.npz", *at(truth, np.arange(T))), (film[0], None), monkeypatch)
    assert "could not be compared" in warnings[0] and given.facts["camera"]["px"] is None


# -- strides, offsets and rates


@pytest.mark.parametrize("times,words", [
    (np.arange(0, T, 2), "a pose every 2 frames"),
    (np.arange(0, T, 3), "a pose every 3 frames"),
    (np.arange(0, T, 4), "a pose every 4 frames"),
    (np.arange(0, T - 0.4, 0.5), "2 poses a frame"),
    (np.arange(0, T - 0.7, 24 / 30), "1.25 poses a frame"),
    (np.arange(0, T - 0.9, 24 / 25), "1.04 poses a frame"),
])  # fmt: skip
@pytest.mark.parametrize("program", ["colmap", "npz"])
def test_rates_and_strides(film, truth, tmp_path, monkeypatch, times, words, program):
    poses = at(truth, times)
    if program == "npz":
        path = write_npz(tmp_path / "c.npz", *poses)
    else:
        path = tmp_path / "model"
        write_colmap(path, *poses, WIDTH, HEIGHT)
    given, warnings = read(path, film, monkeypatch)
    assert any(words in w and "as it stands" in w for w in warnings), warnings
    held = given.known.held
    assert held.sum() == T - 1 - int(times[-1] + 1e-9) and any("stands still" in w for w in warnings) == held.any()
    assert off(given.known.camera, truth, np.flatnonzero(~held)) < (0.15, 0.02)


@pytest.mark.parametrize("rate", [25, 30, 48, 12])
@pytest.mark.parametrize("textured", [True, False])
def test_a_rate_that_the_file_says(film, truth, tmp_path, monkeypatch, rate, textured):
    """As camera_to_json writes it: no film is needed to say how long such a file lasts."""
    times = np.arange(0, T - 0.001, 24 / rate)
    poses, K = at(truth, times)
    rows = [
        {"frame": 1 + i, "matrix_world": blender_from_camera(p).tolist(), "K": k.tolist()}
        for i, (p, k) in enumerate(zip(poses, K))
    ]
    (tmp_path / "c.json").write_text(json.dumps({"width": WIDTH, "height": HEIGHT, "fps": rate, "frames": rows}))
    given, warnings = read(tmp_path / "c.json", film if textured else (film[0], None), monkeypatch)
    assert any(f"{rate} poses a second" in w for w in warnings) and not any("read as" in w for w in warnings)
    assert off(given.known.camera, truth, np.flatnonzero(~given.known.held)) < (0.15, 0.02)


@pytest.mark.parametrize("first", [-5, 3])
def test_offsets(film, truth, tmp_path, monkeypatch, first):
    if first < 0:  # the file holds five frames that were cut off the clip: here the shot begins later
        return _later(film, truth, tmp_path, monkeypatch, -first)
    given, warnings = read(write_npz(tmp_path / "c.npz", *at(truth, np.arange(first, T))), film, monkeypatch)
    assert any(f"from frame {first} of the shot on" in w for w in warnings)
    assert off(given.known.camera, truth, slice(first, T)) < (0.01, 0.001)


def _later(film, truth, tmp_path, monkeypatch, before):
    shot, scene = film
    obs = scene.obs.only(scene.obs.frame >= before)
    from dataclasses import replace

    from solver.imports.background import Background

    number = np.unique(obs.point, return_inverse=True)[1]
    obs = type(obs)(obs.frame - before, number, obs.xy)
    later = replace(shot, frames=T - before, time_s=shot.time_s[before:], pieces=[[0, T - before]])
    path = write_npz(tmp_path / "c.npz", *at(truth, np.arange(T)))
    given, warnings = read(path, (later, Background(obs, scene.size, T - before)), monkeypatch, nobody(T - before))
    assert any(f"the first {before} frames before the shot" in w for w in warnings)
    assert np.allclose(given.known.camera.T_world_from_cam, truth[0][before:T])


# -- axes, orders, lenses, units


@pytest.mark.parametrize("order", ORDERS)
def test_all_six_orders_of_chan(film, truth, tmp_path, monkeypatch, order):
    given, warnings = read(write_chan_in(tmp_path / "c.chan", TILTED @ truth[0][:T], order), film, monkeypatch)
    assert bool(warnings) == (order != "ZXY") and all(f"rotation order {order}" in w for w in warnings)
    assert np.allclose(given.known.camera.T_world_from_cam, TILTED @ truth[0][:T], atol=1e-6)  # in the file's own world


def test_syntheyes_text_with_the_horizontal_field_of_view(film, truth, tmp_path, monkeypatch):
    path = write_chan_in(tmp_path / "path.txt", TILTED @ truth[0][:T], "XYZ", hfov=True)
    given, warnings = read(path, film, monkeypatch)
    assert any("rotation order XYZ" in w and "lens" in w for w in warnings)
    assert off(given.known.camera, truth) < (0.001, 0.0001)
    assert given.known.camera.K[0, 0, 0] == pytest.approx(truth[1][0, 0, 0] * 240 / 360, rel=0.01)


@pytest.mark.parametrize("kind", ["opengl", "inverse", "half"])
def test_other_axes_and_lenses(film, truth, tmp_path, monkeypatch, kind):
    poses, K = at(truth, np.arange(T))
    if kind == "opengl":
        poses = blender_from_camera(poses)
    elif kind == "inverse":
        poses = invert(poses)
    else:
        K = K * [[[0.5], [0.5], [1]]]
        K[:, :2, 2] *= 2  # somebody scaled the focal length alone
    given, warnings = read(write_npz(tmp_path / "c.npz", poses, K), film, monkeypatch)
    assert len(warnings) == 1 and "fits the background" in warnings[0]
    assert off(given.known.camera, truth) < (0.01, 0.001)
    assert given.known.camera.K[0, 0, 0] == pytest.approx(truth[1][0, 0, 0] * 240 / 360, rel=0.01)


def test_an_axis_that_is_up_for_others(film, truth, tmp_path, monkeypatch):
    poses, K = at(truth, np.arange(T))
    yup = np.eye(4)
    yup[:3, :3] = R_zup_from_yup.T
    given, warnings = read(write_npz(tmp_path / "c.npz", yup @ poses, K), film, monkeypatch, somebody(film[0]))
    assert len(warnings) == 1 and "other axis up" in warnings[0]
    assert np.allclose(given.known.camera.T_world_from_cam, poses, atol=1e-9)
    given, warnings = read(
        write_chan_in(tmp_path / "z.chan", poses, "ZXY", z_up=True), film, monkeypatch, somebody(film[0])
    )
    assert len(warnings) == 1 and "other axis up" in warnings[0]
    assert np.allclose(given.known.camera.T_world_from_cam, poses, atol=1e-6)


@pytest.mark.parametrize("unit", [1.0, 0.01, 0.1, 0.3048])
def test_units(film, truth, tmp_path, monkeypatch, unit):
    poses, K = at(truth, np.arange(T))
    poses[:, :3, 3] /= unit
    given, warnings = read(write_npz(tmp_path / "c.npz", poses, K), film, monkeypatch, somebody(film[0]))
    assert bool(warnings) == (unit != 1) and all(f"units of {unit:g} m" in w for w in warnings)
    assert np.allclose(given.known.camera.T_world_from_cam, truth[0][:T], atol=1e-9)


# -- the cases that went wrong


@pytest.mark.skipif(not CASES.is_dir(), reason="the cases are not beside this checkout")
def test_cases(film, truth, monkeypatch):
    given, warnings = read(CASES / "c_every2", film, monkeypatch)
    assert any("a pose every 2 frames, from frame 0" in w for w in warnings) and given.known.held.tolist() == [
        False
    ] * 23 + [True]
    assert off(given.known.camera, truth, slice(0, 23)) < (0.15, 0.02)
    given, warnings = read(CASES / "c_ws", film, monkeypatch)
    assert len(warnings) == 1 and "distortion" in warnings[0] and off(given.known.camera, truth) < (0.001, 0.0001)


def test_a_camera_of_less_than_half_of_the_shot(film, truth, tmp_path, monkeypatch):
    with pytest.raises(ShotError, match="8 of the shot's 24"):
        read(write_npz(tmp_path / "c.npz", *at(truth, np.arange(8))), film, monkeypatch)
