"""Metrics against closed forms, and the camera alignment against evo."""

from __future__ import annotations

import json

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from benchmarks import evaluate, metrics
from benchmarks.cameras import look_at
from solver import frames as fr
from solver.records import save_npz
from solver.take import write_mask


def cameras(rng, frames=40):
    """A bowed path that looks at the origin."""
    a = np.linspace(0, 1.2, frames)
    eye = np.stack([4 * np.cos(a), 4 * np.sin(a), 1.4 + 0.3 * a], 1) + 0.02 * rng.normal(size=(frames, 3))
    return look_at(eye, np.array([0.1, -0.2, 1.0]), 0.05 * a)


def rigid(rng, scale=1.0):
    R = Rotation.random(random_state=int(rng.integers(1 << 30))).as_matrix()
    return scale, R, rng.normal(size=3) * 3


def moved(T, motion):
    s, R, t = motion
    out = T.copy()
    out[:, :3, :3] = R @ T[:, :3, :3]
    out[:, :3, 3] = s * T[:, :3, 3] @ R.T + t
    return out


def walker(rng, frames=60):
    """Joints (F, 24, 3) of a stiff figure that bobs along x, its feet on the ground by turns."""
    body = rng.normal(size=(24, 3)) * 0.3 + [0, 0, 1]
    body[list(metrics.TOES), 2] = 0.02
    t = np.arange(frames)[:, None]
    return body + np.stack([0.05 * t, 0 * t, 0.02 * np.sin(t / 3)], -1)


@pytest.fixture
def rng():
    return np.random.default_rng(3)


def test_camera_in_another_world_has_no_error(rng):
    T = cameras(rng)
    out = metrics.camera_metrics(moved(T, rigid(rng)), T)
    assert out["ate_m"] < 1e-9 and out["rotation_deg"] < 1e-6 and out["step_mm"] < 1e-6 and out["step_deg"] < 1e-6


def test_scaled_camera_is_wrong_until_the_scale_is_aligned(rng):
    T = cameras(rng)
    out = metrics.camera_metrics(moved(T, rigid(rng, 0.8)), T)
    spread = np.sqrt(((T[:, :3, 3] - T[:, :3, 3].mean(0)) ** 2).sum(1).mean())
    assert out["ate_m"] == pytest.approx(0.2 * spread, rel=1e-6)
    assert out["ate_percent"] == pytest.approx(100 * 0.2 * spread / metrics.path_length(T), rel=1e-6)
    assert out["ate_similarity_m"] < 1e-9 and out["scale"] == pytest.approx(1 / 0.8)


def test_straight_path_keeps_its_orientation(rng):
    """On a straight line the centres leave a turn about the line open; the cameras' axes close it."""
    eye = np.stack([np.linspace(0, 3, 30), np.zeros(30), np.full(30, 1.5)], 1)
    T = look_at(eye, eye + [0.2, 1, -0.1])
    out = metrics.camera_metrics(moved(T, rigid(rng)), T)
    assert out["ate_m"] < 1e-9 and out["rotation_deg"] < 1e-6
    tilted = T.copy()
    tilted[15:, :3, :3] = T[15:, :3, :3] @ Rotation.from_rotvec([np.deg2rad(2), 0, 0]).as_matrix()
    assert metrics.camera_metrics(tilted, T)["rotation_deg"] == pytest.approx(1.0, abs=0.1)


def test_still_camera(rng):
    T = np.repeat(look_at(np.array([0.0, -4, 1.5]), np.array([0.0, 0, 1]))[None], 20, 0)
    out = metrics.camera_metrics(moved(T, rigid(rng)), T)
    assert out["rotation_deg"] < 1e-6 and out["ate_m"] < 1e-9 and out["ate_percent"] is None and out["drift_m"] == 0


def test_focal_and_drift(rng):
    T, K = cameras(rng), fr.intrinsics(np.full(40, 500.0), 640, 360)
    out = metrics.camera_metrics(T, T, 1.1 * K, K)
    assert out["focal_percent"] == pytest.approx(10)
    assert out["drift_m"] == pytest.approx(np.linalg.norm(T[:, None, :3, 3] - T[None, :, :3, 3], axis=-1).max())


def test_ate_agrees_with_evo(rng):
    evo_metrics, trajectory = pytest.importorskip("evo.core.metrics"), pytest.importorskip("evo.core.trajectory")
    truth = cameras(rng)
    estimate = moved(truth, rigid(rng, 0.9))
    estimate[:, :3, 3] += 0.03 * rng.normal(size=(40, 3))
    ours = metrics.camera_metrics(estimate, truth)
    for scale, key in ((False, "ate_m"), (True, "ate_similarity_m")):
        a, b = trajectory.PosePath3D(poses_se3=list(truth)), trajectory.PosePath3D(poses_se3=list(estimate))
        b.align(a, correct_scale=scale)
        ape = evo_metrics.APE(evo_metrics.PoseRelation.translation_part)
        ape.process_data((a, b))
        # Ours weighs the cameras' axes too, so its centres fit a little less well.
        assert ape.get_statistic(evo_metrics.StatisticsType.rmse) <= ours[key] + 1e-12
        assert ours[key] == pytest.approx(ape.get_statistic(evo_metrics.StatisticsType.rmse), rel=0.02)


def test_rotation_angles():
    for deg in (1e-7, 0.5, 90.0, 179.9, 180.0):
        R = Rotation.from_rotvec([0, np.deg2rad(deg), 0]).as_matrix()
        assert metrics.rotation_angle_deg(R, np.eye(3)) == pytest.approx(deg, rel=1e-6)


def test_person_in_another_world_has_no_error(rng):
    J = walker(rng)
    s, R, t = rigid(rng, 1.3)
    other = s * J @ R.T + t
    assert metrics.w_mpjpe(other, J) < 1e-6 and metrics.wa_mpjpe(other, J) < 1e-6 and metrics.pa_mpjpe(other, J) < 1e-6
    assert metrics.rte_percent(J @ R.T + t, J) < 1e-9
    assert metrics.w_mpjpe(other, J, with_scale=False) > 100


def test_drift_counts_in_w_and_not_in_pa(rng):
    J = walker(rng, 100)
    drift = J + np.linspace(0, 0.99, 100)[:, None, None] * [0, 0, 1.0]
    drift[:2] = J[:2]
    expected = 1e3 * np.r_[0, 0, np.linspace(0, 0.99, 100)[2:]].mean()
    assert metrics.w_mpjpe(drift, J) == pytest.approx(expected, rel=1e-6)
    assert metrics.wa_mpjpe(drift, J) < metrics.w_mpjpe(drift, J)
    assert metrics.pa_mpjpe(drift, J) < 1e-6


def test_each_segment_is_aligned_for_itself(rng):
    J = walker(rng, 200)
    jump = J.copy()
    jump[100:] += [3.0, 0, 0]
    assert metrics.w_mpjpe(jump, J) < 1e-6 and metrics.wa_mpjpe(jump, J) < 1e-6
    assert metrics.w_mpjpe(jump, J, segment=200) == pytest.approx(1500, rel=1e-6)


def test_rte_is_relative_to_the_way(rng):
    J = walker(rng)
    off = J.copy()
    off[:30] += [0, 0.1, 0]
    off[30:] -= [0, 0.1, 0]
    assert 0 < metrics.rte_percent(off, J) < 100 * 0.1 / (59 * 0.05)
    assert metrics.rte_percent(J[:5], J[:5]) is None


def test_foot_slide_counts_where_the_true_foot_stands(rng):
    truth = np.zeros((10, 24, 3))
    truth[5:, :, 0] = np.arange(5)[:, None] * 0.1  # stands five frames, then goes
    estimate = truth + np.arange(10)[:, None, None] * [0, 0.004, 0]
    assert metrics.foot_slide_mm(estimate, truth) == pytest.approx(4)
    assert metrics.foot_slide_mm(truth, truth) == 0
    assert metrics.foot_slide_mm(truth[6:], truth[6:]) is None


def test_jitter_is_the_third_derivative():
    fps = 24
    t = np.arange(20)[:, None, None] / fps
    assert metrics.jitter(np.zeros((20, 24, 3)) + 5 * t**3 / 6, fps) == pytest.approx(5 * np.sqrt(3) / 10)
    assert metrics.jitter(np.zeros((20, 24, 3)) + t**2, fps) == pytest.approx(0, abs=1e-6)


def test_floor_and_distance(rng):
    J = walker(rng)
    assert metrics.floor_penetration_mm(J - [0, 0, 0.03], J) == pytest.approx(30)
    assert metrics.floor_penetration_mm(J + [0, 0, 0.1], J) == 0
    assert metrics.root_distance_m(J, J + [1.2, 0, 0], J, J + [1, 0, 0]) == pytest.approx(0.2)


def test_a_tilted_world_is_tilted(rng):
    """The whole solved world leans by 7 degrees: the alignment takes it away from the cameras, up and roll say so."""
    T = cameras(rng)
    lean = Rotation.from_rotvec([np.deg2rad(7), 0, 0]).as_matrix()
    turn = Rotation.from_rotvec([0, 0, 1.1]).as_matrix()
    upright = metrics.camera_metrics(moved(T, (1.0, turn, np.ones(3))), T)
    assert max(upright["up_deg"], upright["pitch_deg"], upright["roll_deg"]) < 1e-6
    tilted = metrics.camera_metrics(moved(T, (1.0, turn @ lean, np.ones(3))), T)
    assert tilted["up_deg"] == pytest.approx(7, abs=1e-6) and tilted["rotation_deg"] < 1e-6
    assert tilted["roll_deg"] > 1 and tilted["pitch_deg"] > 1


def test_pitch_and_roll_of_a_camera():
    T = look_at(np.array([[0.0, -3, 1], [0.1, -3, 1]]), np.array([[0.0, 0, 1], [0.1, 0, 1]]) + [0, 0, 3 * np.tan(0.2)], np.array(0.1))
    pitch, roll = metrics.level_deg(T)
    assert pitch[0] == pytest.approx(np.rad2deg(0.2)) and abs(roll[0]) == pytest.approx(np.rad2deg(0.1))
    rolled = T.copy()
    rolled[:, :3, :3] = T[:, :3, :3] @ Rotation.from_rotvec([0, 0, np.deg2rad(4)]).as_matrix()
    out = metrics.camera_metrics(rolled, T)
    assert out["roll_deg"] == pytest.approx(4) and out["pitch_deg"] == pytest.approx(0, abs=1e-9)


def test_size_of_the_path_is_told_from_the_estimate(rng):
    T = cameras(rng)
    assert metrics.camera_metrics(moved(T, rigid(rng, 0.75)), T)["size_percent"] == pytest.approx(25)
    assert metrics.camera_metrics(moved(T, rigid(rng, 1.86)), T)["size_percent"] == pytest.approx(86)
    still = np.repeat(T[:1], 20, 0)
    assert metrics.camera_metrics(still, still)["size_percent"] is None


def test_heads_sink_with_the_body(rng):
    J = walker(rng)
    assert metrics.head_cm(J - [5, 2, 0.3], J) == pytest.approx(30) and metrics.head_cm(J + [5, 2, 0], J) == 0


def legs(bend_deg, frames=10):
    """Joints whose left knee is bent by an angle and whose right leg is straight."""
    out = np.zeros((frames, 24, 3))
    (hip, knee, ankle), (hip2, knee2, ankle2) = metrics.LEGS
    a = np.deg2rad(bend_deg)
    out[:, [hip, hip2], 2], out[:, [knee, knee2], 2], out[:, ankle2, 2] = 0.9, 0.5, 0.1
    out[:, ankle] = [0, 0.4 * np.sin(a), 0.5 - 0.4 * np.cos(a)]
    return out


def test_knees_count_where_nobody_sees_them():
    np.testing.assert_allclose(metrics.knee_bend_deg(legs(70))[0], [70, 0], atol=1e-9)
    inside = np.ones((10, 24), bool)
    assert metrics.unseen_knee_deg(legs(70), legs(10), inside) is None
    inside[:, metrics.LEGS[0][2]] = False  # the left ankle leaves the frame: its knee counts, the right one does not
    assert metrics.unseen_knee_deg(legs(70), legs(10), inside) == pytest.approx(60)
    inside[:5, metrics.LEGS[1][1]] = False
    assert metrics.unseen_knee_deg(legs(70), legs(10), inside) == pytest.approx(60 * 10 / 15)


def test_float_and_sink_of_standing_frames():
    truth = np.zeros((10, 24, 3)) + [0, 0, 0.02]
    truth[5:, :, 0] = np.arange(5)[:, None] * 0.1  # stands five frames, then goes
    high = truth + [1, 0, 0.16]
    high[6:] += [0, 0, 5.0]  # what happens where nobody stands does not count
    assert metrics.float_and_sink_cm(high, truth) == pytest.approx((16, 0))
    mixed = truth.copy()
    mixed[0, :, 2] += 0.05
    mixed[1, metrics.TOES[0], 2] -= 0.1  # the lower foot decides
    assert metrics.float_and_sink_cm(mixed, truth) == pytest.approx((5 / 5, 10 / 5))
    assert metrics.float_and_sink_cm(truth[6:], truth[6:]) == (None, None)


def test_people_are_matched_in_the_picture():
    truth = {1: np.full((10, 24, 2), 100.0), 2: np.full((10, 24, 2), 400.0)}
    estimate = {7: truth[2] + 5, 8: truth[1] + 5, 9: np.full((10, 24, 2), 900.0)}
    assert metrics.match_people(estimate, truth, 90, (640, 360)) == {1: 8, 2: 7}
    assert metrics.match_people({9: estimate[9]}, truth, 90, (640, 360)) == {}
    assert metrics.identity_switches(estimate, truth, 90, (640, 360)) == 0
    swapped = {7: estimate[7].copy(), 8: estimate[8].copy()}
    swapped[7][5:], swapped[8][5:] = estimate[8][5:], estimate[7][5:]
    assert metrics.identity_switches(swapped, truth, 90, (640, 360)) == 2


def test_masks():
    truth = np.zeros((10, 10), np.uint8)
    truth[:5] = 1
    estimate = np.zeros((10, 10), np.uint8)
    estimate[:4] = 3
    out = metrics.mask_metrics([estimate], [truth], {1: 3})
    assert out["pa"] == pytest.approx(0.9)
    assert out["iou_people"] == pytest.approx(40 / 50)
    assert out["iou"] == pytest.approx((40 / 50 + 50 / 60) / 2)
    wrong = metrics.mask_metrics([estimate], [truth], {})
    assert wrong["pa"] == pytest.approx(0.5) and wrong["iou_people"] == 0
    assert metrics.mask_metrics([], [], {})["pa"] is None


def test_joint_error_is_in_px_of_1920():
    truth = np.zeros((4, 24, 2))
    assert metrics.joint_error_px(truth + [3, 4], truth, np.ones((4, 24), bool), 640) == pytest.approx(15)
    assert metrics.joint_error_px(truth, truth, np.zeros((4, 24), bool), 640) is None


@pytest.mark.parametrize("scale", [1.0, 0.5])
def test_a_perfect_take_measures_perfect(tmp_path, rng, scale):
    """Truth handed in as a take, in a world of its own and at the take's own size: every error is zero."""
    width, height, frames = 64, 36, 12
    T, J = cameras(rng, frames), walker(rng, frames) - [0.2, 0, 0]
    K = fr.intrinsics(np.full(frames, 60.0), width, height)
    motion = rigid(rng)
    for name in ("take/people", "take/masks", "take/solved", "truth/people", "truth/masks"):
        (tmp_path / name).mkdir(parents=True)
    mask = np.zeros((height, width), np.uint8)
    mask[10:30, 20:40] = 1
    small = mask[:: int(1 / scale), :: int(1 / scale)]
    K_take = K.copy()
    K_take[:, :2] *= scale
    save_npz(tmp_path / "truth/camera.npz", T_world_from_cam=T, K=K)
    save_npz(tmp_path / "truth/people/01.npz", joints_world=J, frame=np.arange(frames), visible=np.ones(frames, bool))
    save_npz(tmp_path / "take/camera.npz", T_world_from_cam=moved(T, motion)[2:], K=K_take[2:])
    there = (J @ motion[1].T + motion[2])[2:]
    save_npz(
        tmp_path / "take/people/04.npz",
        joints_world=there,
        frame=np.arange(frames - 2),
        visible=np.ones(frames - 2, bool),
    )
    for f in range(frames):
        write_mask(tmp_path / f"truth/masks/{f:06d}.png", mask)
        if f < frames - 2:
            write_mask(tmp_path / f"take/masks/{f:06d}.png", small * 4)
            write_mask(tmp_path / f"take/solved/{f:06d}.png", small * 4)
    source = {
        "width": int(width * scale),
        "height": int(height * scale),
        "fps": "24/1",
        "start_frame": 2,
        "frames": frames - 2,
    }
    (tmp_path / "take/shot.json").write_text(json.dumps({"source": source}))
    out = evaluate.evaluate(tmp_path / "take", tmp_path / "truth")
    assert out["camera"]["ate_m"] < 1e-9 and out["camera"]["focal_percent"] < 1e-9
    people = out["people"]
    assert people["recall"] == 1 and people["extra"] == 0 and people["each"][1]["estimated_as"] == 4
    assert people["w_mpjpe_mm"] < 1e-6 and people["joint_px_1920"] < 1e-6
    assert {"head_cm", "unseen_knee_deg", "float_cm", "sink_cm"} <= set(people)
    assert out["masks"]["iou"] == 1 and out["solved"]["pa"] == 1
    json.dumps(out)
    assert "w_mpjpe_mm" in evaluate.report(out)


def test_who_fills_the_picture_is_matched_by_the_joints_it_shows():
    """A head in the picture, its legs 900 px below and solved 400 px off; and somebody who is beside the picture altogether."""
    truth = np.full((2, 24, 2), 900.0)
    truth[:, 15] = [300, 100]
    estimate = truth + [0, 400]
    estimate[:, 15] = [305, 103]
    assert metrics.match_people({1: estimate}, {1: truth}, 90, (5000, 5000)) == {}
    assert metrics.match_people({1: estimate}, {1: truth}, 90, (640, 360)) == {1: 1}
    assert metrics.match_people({1: truth + 901}, {1: truth + 900}, 90, (640, 360)) == {1: 1}
