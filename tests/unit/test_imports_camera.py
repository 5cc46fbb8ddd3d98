"""Known cameras: COLMAP, .chan, npz and JSON read back to 1 mm and 0.01 degrees; as a start camera."""

import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial.transform import Rotation

from solver.chan import matrix_from_angles, read_chan, write_chan, zxy_from_matrix
from solver.frames import blender_from_camera, compose, intrinsics, invert, project
from solver.imports import read_camera, slam_from_camera
from solver.imports.evidence_camera import tell_missing
from solver.options import Options
from solver.protocol import Reporter, ShotError
from tests.imports_cases import FRAMES, HEIGHT, WIDTH, camera_path, shot

MM = 1e-3
ZOOM = np.linspace(600, 800, FRAMES)


def lenses(focal=ZOOM):
    return intrinsics(np.broadcast_to(np.asarray(focal, float), FRAMES), WIDTH, HEIGHT)


def close(camera, T, K):
    assert np.abs(camera.T_world_from_cam[:, :3, 3] - T[:, :3, 3]).max() < MM
    R = np.swapaxes(camera.T_world_from_cam[:, :3, :3], 1, 2) @ T[:, :3, :3]
    assert np.rad2deg(Rotation.from_matrix(R).magnitude()).max() < 0.01
    assert np.abs(camera.K - K).max() < 0.01


# -- .chan


@pytest.mark.parametrize("first", [0, 1, 1001])
def test_chan_round_trip(tmp_path, first):
    T, K = camera_path(), lenses()
    write_chan(tmp_path / "cam.chan", T, K, HEIGHT, first)
    frame, *_ = read_chan(tmp_path / "cam.chan")
    assert frame.tolist() == list(range(first, first + FRAMES))
    known = read_camera(tmp_path / "cam.chan", shot())
    close(known.camera, T, K)
    assert known.metric and known.measured.all()


def test_chan_of_a_camera_written_by_hand(tmp_path):
    # Nuke's camera at rest looks along -z with +y up; this one stands 2 m up and 5 m back in Z-up terms and is panned by 90 degrees
    (tmp_path / "cam.chan").write_text("1 1 2 5 0 90 0 40\n")
    known = read_camera(tmp_path / "cam.chan", shot(frames=1))
    T = known.camera.T_world_from_cam[0]
    assert np.allclose(T[:3, 3], [1, -5, 2])
    assert np.allclose(T[:3, 2], [-1, 0, 0], atol=1e-12)  # turned left: from looking into the scene (+y) to -x
    assert np.allclose(T[:3, 1], [0, 0, -1], atol=1e-12)  # the picture's down is the world's
    assert known.camera.K[0, 1, 1] == pytest.approx(HEIGHT / 2 / np.tan(np.deg2rad(20)))


@given(st.lists(st.floats(-180, 180), min_size=3, max_size=3))
@settings(max_examples=200, deadline=None)
def test_zxy_angles_and_matrices(degrees):
    x, y, z = np.deg2rad(degrees)
    expected = (Rotation.from_euler("y", y) * Rotation.from_euler("x", x) * Rotation.from_euler("z", z)).as_matrix()
    R = matrix_from_angles(degrees)
    assert np.allclose(R, expected, atol=1e-12)
    assert np.allclose(matrix_from_angles(zxy_from_matrix(R[None])[0]), R, atol=1e-6)


def test_angles_do_not_jump_by_a_turn():
    degrees = np.stack([np.zeros(50), np.linspace(150, 400, 50), np.zeros(50)], -1)
    assert np.abs(np.diff(zxy_from_matrix(matrix_from_angles(degrees)), axis=0)).max() < 6


def test_chan_without_lens_takes_the_given_one(tmp_path):
    (tmp_path / "cam.chan").write_text("".join(f"{i + 1} 0 0 {i} 0 0 0\n" for i in range(FRAMES)))
    with pytest.raises(ShotError, match="field of view"):
        read_camera(tmp_path / "cam.chan", shot())
    known = read_camera(tmp_path / "cam.chan", shot(), Options(source=None, take=None, focal_mm=36))
    assert np.allclose(known.camera.K, lenses(WIDTH))


def test_chan_of_the_whole_clip(tmp_path):
    T = np.concatenate([camera_path(seed=3), camera_path()])
    write_chan(tmp_path / "cam.chan", T, np.concatenate([lenses()] * 2), HEIGHT, 1)
    close(read_camera(tmp_path / "cam.chan", shot(start=FRAMES)).camera, T[FRAMES:], lenses())


def test_missing_frames_are_bridged_and_marked(tmp_path):
    T, K = camera_path(), lenses()
    write_chan(tmp_path / "cam.chan", T, K, HEIGHT, 1)
    lines = (tmp_path / "cam.chan").read_text().splitlines()
    (tmp_path / "cam.chan").write_text("\n".join(lines[:2] + lines[3:]))
    report = Reporter()
    known = read_camera(tmp_path / "cam.chan", shot(), report=report)
    tell_missing(known, report)
    assert known.measured.tolist() == [True, True, False, True, True, True] and "1 frame between" in report.warnings[0]
    assert np.allclose(known.camera.T_world_from_cam[2, :3, 3], T[[1, 3], :3, 3].mean(0), atol=MM)
    (tmp_path / "cam.chan").write_text("\n".join(lines[:2]))
    with pytest.raises(ShotError, match="2 of the shot's 6"):
        read_camera(tmp_path / "cam.chan", shot())


# -- npz and JSON


def test_camera_of_a_take_and_with_its_size(tmp_path):
    T, K = camera_path(), lenses()
    big = np.diag([2, 2, 1.0]) @ K
    np.savez(tmp_path / "take.npz", T_world_from_cam=T, K=big)
    np.savez(
        tmp_path / "sized.npz",
        T_world_from_cam=T,
        K=big,
        width=2 * WIDTH,
        height=2 * HEIGHT,
        frame=np.arange(FRAMES) + 1,
    )
    for name in ("take.npz", "sized.npz"):
        close(read_camera(tmp_path / name, shot()).camera, T, K)


def test_json_of_blender_matrices(tmp_path):
    T, K = camera_path(), lenses()
    rows = [
        {"frame": 1 + i, "matrix_world": blender_from_camera(T[i]).tolist(), "lens_mm": ZOOM[i] * 36 / WIDTH}
        for i in range(FRAMES)
    ]
    (tmp_path / "cam.json").write_text(
        json.dumps({"width": 2 * WIDTH, "height": 2 * HEIGHT, "sensor_mm": 36, "frames": rows})
    )
    close(read_camera(tmp_path / "cam.json", shot()).camera, T, K)
    rows = [{"frame": i, "T_world_from_cam": T[i].tolist(), "K": K[i].tolist()} for i in range(FRAMES)]
    (tmp_path / "cam.json").write_text(json.dumps({"width": WIDTH, "height": HEIGHT, "frames": rows}))
    close(read_camera(tmp_path / "cam.json", shot()).camera, T, K)


def test_scaled_cameras_and_other_pictures_are_refused(tmp_path):
    T, K = camera_path(), lenses()
    scaled = T.copy()
    scaled[:, :3, :3] *= 2
    np.savez(tmp_path / "a.npz", T_world_from_cam=scaled, K=K)
    with pytest.raises(ShotError, match="no rotations"):
        read_camera(tmp_path / "a.npz", shot())
    np.savez(tmp_path / "b.npz", T_world_from_cam=T, K=K, width=640, height=640)
    with pytest.raises(ShotError, match="640x640"):
        read_camera(tmp_path / "b.npz", shot())


# -- COLMAP


def write_colmap(
    folder, T, K, width, height, model="PINHOLE", distortion=(), points=None, names="frame_{:05d}.png", skip=()
):
    folder.mkdir(exist_ok=True)
    lines = ["# Camera list"]
    for i, k in enumerate(K):
        lens = [k[0, 0], k[1, 1], *k[:2, 2]] if model in ("PINHOLE", "OPENCV") else [k[0, 0], *k[:2, 2]]
        lines.append(f"{i + 1} {model} {width} {height} " + " ".join(f"{v:.12g}" for v in (*lens, *distortion)))
    (folder / "cameras.txt").write_text("\n".join(lines) + "\n")
    cam = invert(T)
    lines = ["# Image list with two lines of data per image:"]
    for i in reversed(range(len(T))):  # any order
        if i in skip:
            continue
        x, y, z, w = Rotation.from_matrix(cam[i, :3, :3]).as_quat()
        pose = " ".join(f"{v:.15g}" for v in (w, x, y, z, *cam[i, :3, 3]))
        lines.append(f"{i + 40} {pose} {i + 1} {names.format(i + 1)}")
        seen = project(points, cam[i], K[i]) if points is not None else []
        lines.append(" ".join(f"{u:.6f} {v:.6f} {100 + j if j else -1}" for j, (u, v) in enumerate(seen)))
    (folder / "images.txt").write_text("\n".join(lines) + "\n")
    rows = [
        f"{100 + j} {p[0]} {p[1]} {p[2]} {j % 255} 20 30 0.5 1 0"
        for j, p in enumerate(points if points is not None else [])
    ]
    (folder / "points3D.txt").write_text("\n".join(rows) + "\n")


def test_colmap_with_points(tmp_path):
    T, K = camera_path(), np.diag([2, 2, 1.0]) @ lenses()
    points = np.random.default_rng(0).uniform([-3, 4, 0], [3, 8, 3], (20, 3))
    write_colmap(tmp_path / "model", T, K, 2 * WIDTH, 2 * HEIGHT, points=points)
    known = read_camera(tmp_path / "model", shot())
    close(known.camera, T, lenses())
    assert not known.metric and np.allclose(known.points_world, points)
    slam = slam_from_camera(known, shot())
    assert slam.verdict == "full" and slam.focal_source == "given" and slam.focal_sigma == 0
    assert np.allclose(slam.camera.T_world_from_cam[0], np.eye(4))
    assert len(slam.obs_frame) == 19 * FRAMES  # the first point of every picture has no 3D point
    again = project(slam.points_world[None], invert(slam.camera.T_world_from_cam), slam.camera.K)
    assert np.abs(again[slam.obs_frame, slam.obs_point] - slam.obs_xy).max() < 0.01
    back = np.array(slam.verdict_scores["T_known_from_slam"]) @ slam.camera.T_world_from_cam
    assert np.abs(back - T).max() < MM


@pytest.mark.parametrize(
    "model,distortion", [("SIMPLE_PINHOLE", ()), ("SIMPLE_RADIAL", (0.01,)), ("OPENCV", (0.0, 0.0, 0.0, 0.0))]
)
def test_colmap_models(tmp_path, model, distortion):
    T, K = camera_path(), lenses(700)
    write_colmap(tmp_path / "m", T, K, WIDTH, HEIGHT, model, distortion)
    report = Reporter()
    close(read_camera(tmp_path / "m", shot(), report=report).camera, T, K)
    assert bool(report.warnings) == (model == "SIMPLE_RADIAL")


def test_colmap_refusals(tmp_path):
    T, K = camera_path(), lenses(700)
    write_colmap(tmp_path / "m", T, K, WIDTH, HEIGHT, "SIMPLE_RADIAL", (0.4,))
    with pytest.raises(ShotError, match="bends"):
        read_camera(tmp_path / "m", shot())
    write_colmap(tmp_path / "m", T, K, WIDTH, HEIGHT, "FISHEYE", (0.4,))
    with pytest.raises(ShotError, match="FISHEYE"):
        read_camera(tmp_path / "m", shot())
    (tmp_path / "m" / "cameras.txt").unlink()
    with pytest.raises(ShotError, match="cameras and images are missing"):
        read_camera(tmp_path / "m", shot())


def test_colmap_by_the_names_of_an_image_sequence(tmp_path):
    clip = tmp_path / "clip"
    clip.mkdir()
    for i in range(FRAMES + 2):
        (clip / f"A001_{1000 + i}.png").write_bytes(b"")
    T, K = camera_path(), lenses(700)
    all_T, all_K = np.concatenate([T[:2], T]), np.concatenate([K[:2], K])
    write_colmap(tmp_path / "m", all_T, all_K, WIDTH, HEIGHT)
    text = (tmp_path / "m" / "images.txt").read_text()
    for i in range(FRAMES + 2):
        text = text.replace(f"frame_{i + 1:05d}.png", f"A001_{1000 + i}.png")
    (tmp_path / "m" / "images.txt").write_text(text)
    close(read_camera(tmp_path / "m", shot(start=2, path=str(clip))).camera, T, K)


# -- as a start camera


def test_verdicts_follow_the_motion(tmp_path):
    T, K = camera_path(), lenses(700)

    def verdict(T, K):
        np.savez(tmp_path / "c.npz", T_world_from_cam=T, K=K)
        return slam_from_camera(read_camera(tmp_path / "c.npz", shot()), shot())

    pan = T.copy()
    pan[:, :3, 3] = T[0, :3, 3]
    still = np.repeat(T[:1], FRAMES, 0)
    assert verdict(T, K).verdict == "full"
    assert verdict(pan, K).verdict == "rotation" and not verdict(pan, K).camera.T_world_from_cam[:, :3, 3].any()
    assert verdict(still, K).verdict == "static"
    assert verdict(still, lenses()).verdict == "rotation"  # a zoom is no static camera
    assert np.allclose(verdict(T, lenses()).camera.K, lenses())


def test_background_points_are_triangulated_under_the_known_camera(tmp_path):
    """A textured wall seen by a travelling camera: points come out where the wall is, in the camera's own metres."""
    rng = np.random.default_rng(0)
    import cv2

    texture = cv2.GaussianBlur(rng.integers(0, 255, (900, 1600)).astype(np.uint8), (0, 0), 2.5)
    texture = cv2.normalize(texture, None, 0, 255, cv2.NORM_MINMAX)
    count = 8
    level = np.array([[1.0, 0, 0], [0, 0, 1], [0, -1, 0]])
    T = compose(
        np.repeat(level[None], count, 0),
        np.stack([np.linspace(-0.4, 0.4, count), np.zeros(count), np.full(count, 1.5)], -1),
    )
    K = np.repeat(intrinsics(500.0, WIDTH, HEIGHT)[None], count, 0)
    K[:, :2, 2] += [12.0, -7.0]  # a principal point beside the middle
    # the wall: y = 6, 10 m wide, 5.6 m high; texture pixels to world
    corners_uv = np.array([[0, 0], [1600, 0], [1600, 900], [0, 900]], np.float32)
    corners = np.array([[-5, 6, 4.3], [5, 6, 4.3], [5, 6, -1.325], [-5, 6, -1.325]])

    class Frames:
        def read(self, i):
            xy = project(corners, invert(T[i]), K[i]).astype(np.float32)
            H = cv2.getPerspectiveTransform(corners_uv - 0.5, xy - 0.5)
            grey = cv2.warpPerspective(texture, H, (WIDTH, HEIGHT))
            return np.repeat(grey[..., None], 3, 2)

    np.savez(tmp_path / "c.npz", T_world_from_cam=T, K=K, width=WIDTH, height=HEIGHT)
    target = shot(frames=count)
    slam = slam_from_camera(read_camera(tmp_path / "c.npz", target), target, Frames())
    assert slam.verdict == "full" and len(slam.points_world) > 50
    world = slam.points_world @ T[0, :3, :3].T + T[0, :3, 3]
    assert np.median(np.abs(world[:, 1] - 6)) < 0.05
    again = project(slam.points_world[None], invert(slam.camera.T_world_from_cam), slam.camera.K)
    assert np.median(np.linalg.norm(again[slam.obs_frame, slam.obs_point] - slam.obs_xy, axis=1)) < 0.3


def test_wrong_files(tmp_path):
    (tmp_path / "a.chan").write_text("1 2 3\n")
    (tmp_path / "b.chan").write_text("camera\n")
    (tmp_path / "c.json").write_text("{}")
    (tmp_path / "d.json").write_text("no json")
    np.savez(tmp_path / "e.npz", x=np.zeros(2))
    (tmp_path / "f.fbx").write_bytes(b"x")
    for path in (*tmp_path.iterdir(), tmp_path / "missing.chan"):
        with pytest.raises(ShotError) as caught:
            read_camera(path, shot())
        assert "\n" not in caught.value.message and caught.value.fix


# -- COLMAP's own files


def colmap_itself(T, K, points, folder):
    """A model as pycolmap writes it, binary and text."""
    pycolmap = pytest.importorskip("pycolmap")
    model = pycolmap.Reconstruction()
    camera = pycolmap.Camera(
        model="PINHOLE",
        width=WIDTH,
        height=HEIGHT,
        params=[K[0, 0, 0], K[0, 1, 1], K[0, 0, 2], K[0, 1, 2]],
        camera_id=7,
    )
    model.add_camera_with_trivial_rig(camera)
    cam = invert(T)
    idents = [model.add_point3D(p, pycolmap.Track(), np.array([9, 20, 30], np.uint8)) for p in points]
    for i in range(len(T)):
        image = pycolmap.Image(name=f"img/shot_{i + 1:04d}.jpg", image_id=i + 3, camera_id=7)
        image.points2D = pycolmap.Point2DList([pycolmap.Point2D(xy) for xy in project(points, cam[i], K[i])])
        model.add_image_with_trivial_frame(image, pycolmap.Rigid3d(pycolmap.Rotation3d(cam[i, :3, :3]), cam[i, :3, 3]))
        for j, ident in enumerate(idents):
            model.add_observation(ident, pycolmap.TrackElement(i + 3, j))
    for name, write in (("bin", model.write_binary), ("txt", model.write_text)):
        (folder / name).mkdir(parents=True)
        write(str(folder / name))


def test_colmaps_own_binary_and_text(tmp_path):
    T, K = camera_path(), lenses(700)
    points = np.random.default_rng(0).uniform([-3, 4, 0], [3, 8, 3], (20, 3))
    colmap_itself(T, K, points, tmp_path)
    for name in ("bin", "txt"):
        known = read_camera(tmp_path / name, shot())
        close(known.camera, T, K)
        assert np.allclose(known.points_world, points) and (known.colours == [9, 20, 30]).all()
        again = project(known.points_world[None], invert(known.camera.T_world_from_cam), known.camera.K)
        assert len(known.obs_xy) == 20 * FRAMES
        assert np.abs(again[known.obs_frame, known.obs_point] - known.obs_xy).max() < 1e-3
    close(read_camera(tmp_path / "bin" / "images.bin", shot()).camera, T, K)
    (tmp_path / "bin" / "images.bin").write_bytes((tmp_path / "bin" / "images.bin").read_bytes()[:300])
    with pytest.raises(ShotError, match="ends too early"):
        read_camera(tmp_path / "bin", shot())


@pytest.mark.parametrize("place", ["sparse/0", "sparse", "0", "."])
def test_colmap_workspaces(tmp_path, place):
    T, K = camera_path(), lenses(700)
    (tmp_path / "ws" / place).mkdir(parents=True, exist_ok=True)
    write_colmap(tmp_path / "ws" / place, T, K, WIDTH, HEIGHT)
    if place in ("sparse/0", "0"):  # a piece that COLMAP could not join: the larger one is the shot's
        (tmp_path / "ws" / place).with_name("1").mkdir()
        write_colmap((tmp_path / "ws" / place).with_name("1"), camera_path(seed=9), K, WIDTH, HEIGHT, skip=(0, 1, 2, 3))
    (tmp_path / "ws" / "images").mkdir()
    close(read_camera(tmp_path / "ws", shot()).camera, T, K)


@pytest.mark.parametrize("name", ["cam.fbx", "cam.abc", "cam.usdc", "cam.nk"])
def test_scene_files_say_how_they_become_a_camera(tmp_path, name):
    (tmp_path / name).write_bytes(b"x")
    with pytest.raises(ShotError, match="Import it in Blender"):
        read_camera(tmp_path / name, shot())


def test_numbers_that_no_camera_has(tmp_path):
    for name, text in (
        ("a", "1 0 0 nan 0 0 0 40\n"),
        ("b", "1 0 0 1e300 0 0 0 40\n"),
        ("c", "1 0 0 0 0 0 0 190\n"),
        ("d", "1 0 0 0 0 0 0 -3\n"),
    ):
        (tmp_path / f"{name}.chan").write_text(text)
        with pytest.raises(ShotError):
            read_camera(tmp_path / f"{name}.chan", shot())
    np.savez(
        tmp_path / "e.npz",
        T_world_from_cam=np.tile(np.eye(4), (FRAMES, 1, 1)),
        K=np.zeros((FRAMES, 3, 3)),
        width=WIDTH,
        height=HEIGHT,
    )
    with pytest.raises(ShotError, match="focal length"):
        read_camera(tmp_path / "e.npz", shot())
