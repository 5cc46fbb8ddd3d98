"""S_c and S_w on synthetic shots: the truth is known, the detections carry noise."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from scipy.spatial.transform import Rotation

from solver.body import body
from solver.body.model import BodyModel
from solver.bundle.ground import FEET
from solver.corrections import Corrections
from solver.frames import apply, fit_similarity, invert, project
from solver.protocol import Reporter
from solver.world import world
from solver.world.placement import SPREAD_OF_SCALES
from tests.synthetic import FPS, climb, shot

MODEL = BodyModel.load()


def procrustes_mm(a, b):
    """Mean joint distance after a similarity per frame, mm. a, b (T, J, 3)."""
    out = []
    for x, y in zip(a, b):
        s, R, t = fit_similarity(x, y)
        out.append(np.linalg.norm(s * x @ R.T + t - y, axis=1).mean())
    return 1e3 * np.mean(out)


def solve(move, **kwargs):
    truth = shot(MODEL, move, **kwargs)
    report = Reporter()
    people = body.run(truth.tracks, truth.slam, MODEL, FPS, report)
    solved = world.run(truth.tracks, truth.slam, people, truth.slam.camera, truth.slam.points_world, MODEL, FPS, None, report)
    return truth, people, solved, report


@pytest.mark.parametrize("move", ["arc", "track", "static", "pan"])
def test_metric_world(move):
    truth, people, solved, report = solve(move, people=1, frames=36, seed=3)
    joints_true = world.posed(truth.people, MODEL)[0][0]
    in_camera = np.stack([apply(T, j) for T, j in zip(invert(truth.camera.T_world_from_cam), joints_true)])
    assert procrustes_mm(world.posed(people, MODEL)[0][0], in_camera) < 45
    joints = world.posed(solved.people, MODEL)[0][0]
    centres, true_centres = solved.camera.T_world_from_cam[:, :3, 3], truth.camera.T_world_from_cam[:, :3, 3]
    # How tall somebody is cannot be seen in a picture: beyond one common size, people and camera must be where they were.
    size, R, t = fit_similarity(np.concatenate([joints.reshape(-1, 3), centres]), np.concatenate([joints_true.reshape(-1, 3), true_centres]))
    assert 0.9 < size < 1.12
    assert np.linalg.norm(size * joints @ R.T + t - joints_true, axis=-1).mean() < 0.08
    assert np.linalg.norm(size * centres @ R.T + t - true_centres, axis=-1).mean() < 0.1  # of a way of 2.5 m
    assert np.rad2deg(np.arccos(np.clip(R[2, 2], -1, 1))) < 2  # gravity
    feet = world.posed(solved.people, MODEL)[1][0][:, FEET, 2]
    assert np.abs(feet.min(1)).max() < 0.03  # the ground is at z = 0
    assert solved.ground_source == "contacts" and report.warnings == []


def test_who_climbs_stairs_stands_on_each_of_them():
    """Each foot on a height of its own, the ground under the lowest; a level ground would have to lie as the stairs do. Who walks on a level ground climbs none."""
    truth, _, solved, report = solve("static", people=1, frames=48, seed=3, motion=climb)
    assert solved.stairs and report.warnings == []
    feet, true = (world.posed(people, MODEL)[1][0][:, FEET, 2].min(1) for people in (solved.people, truth.people))
    assert np.abs(feet - true).max() < 0.06 and true.max() > 0.55
    assert (solved.contact[0, 26:30].max(1) > 0.5).all()  # on the third, 0.4 m up
    assert not solve("static", people=1, frames=24, seed=3)[2].stairs


def test_a_path_beside_stairs_is_rough_and_the_take_says_so(monkeypatch):
    monkeypatch.setattr(world.Placement, "footholds", lambda self: 1)
    monkeypatch.setattr(world.Placement, "paid", lambda self: -1.0 if self.stairs else 0.0)
    _, _, solved, report = solve("track", people=1, frames=12, seed=3)
    assert solved.stairs and solved.sigma["path"] == SPREAD_OF_SCALES
    assert any("size of the camera's path is rough" in line for line in report.warnings)


def test_two_people_share_a_world():
    truth, _, solved, _ = solve("arc", people=2, frames=30, seed=5)
    true, found = world.posed(truth.people, MODEL)[0], world.posed(solved.people, MODEL)[0]
    apart = np.linalg.norm(true[0, :, 0] - true[1, :, 0], axis=-1)
    assert np.abs(np.linalg.norm(found[0, :, 0] - found[1, :, 0], axis=-1) - apart).mean() < 0.3


def test_gap_is_bridged_and_marked():
    truth = shot(MODEL, "static", frames=36)
    hidden = slice(14, 20)
    truth.tracks.source[0, hidden] = 0
    truth.tracks.keypoints_2d[0, hidden] = np.nan
    truth.tracks.keypoints_3d[0, hidden] = np.nan
    people = body.run(truth.tracks, truth.slam, MODEL, FPS, Reporter())
    assert not people.visible[0, hidden].any() and (people.joint_confidence[0, hidden] == 0).all()
    true = np.stack([apply(T, j) for T, j in zip(invert(truth.camera.T_world_from_cam), world.posed(truth.people, MODEL)[0][0])])
    found = world.posed(people, MODEL)[0][0]
    assert np.isfinite(found).all()
    error = np.linalg.norm(found - true, axis=-1).mean(-1)
    assert error[hidden].max() < error[~hidden_mask(36, hidden)].max() + 0.1


def test_who_is_in_sight_behind_others_is_marked_and_told(monkeypatch):
    truth = shot(MODEL, "static", frames=12)
    truth.tracks.source[0, 5:8] = 0
    found = truth.tracks.visible
    people = body.run(truth.tracks, truth.slam, MODEL, FPS, Reporter())
    nobody = np.zeros((90, 160), np.uint8)
    start = world.run(truth.tracks, truth.slam, people, truth.slam.camera, truth.slam.points_world, MODEL, FPS, None, Reporter())

    def solved(in_sight):
        monkeypatch.setattr(world, "in_sight", in_sight)
        report = Reporter()
        run = world.run(truth.tracks, truth.slam, people, truth.slam.camera, truth.slam.points_world, MODEL, FPS, lambda i: nobody, report, start)
        return run.people.visible, report.warnings

    visible, warnings = solved(lambda visible, *view: np.ones_like(visible))
    assert visible.all() and any("lost behind others in 3 frames" in line for line in warnings)
    visible, warnings = solved(lambda visible, *view: visible)
    assert (visible == found).all() and not any("behind others" in line for line in warnings)


def hidden_mask(frames, hidden):
    out = np.zeros(frames, bool)
    out[hidden] = True
    return out


def test_nobody():
    truth = shot(MODEL, "arc", people=1, frames=8)
    tracks = truth.tracks
    for name in ("ids", "boxes", "score", "keypoints_2d", "keypoints_3d", "source"):
        setattr(tracks, name, getattr(tracks, name)[:0])
    report = Reporter()
    people = body.run(tracks, truth.slam, MODEL, FPS, report)
    solved = world.run(tracks, truth.slam, people, truth.slam.camera, truth.slam.points_world, MODEL, FPS, None, report)
    assert solved.ground_source == "camera" and len(report.warnings) == 1
    assert solved.camera.T_world_from_cam[0, 2, 3] == pytest.approx(world.CAMERA_HEIGHT)


def test_moving_the_world_moves_the_body_with_it():
    """SMPL's `trans` is not the pelvis: the rest pelvis must be taken along."""
    truth = shot(MODEL, "arc", frames=4)
    T = truth.camera.T_world_from_cam[2] @ truth.camera.T_world_from_cam[0]
    pelvis = MODEL.rest(torch.as_tensor(truth.people.betas, dtype=torch.float32))[0][:, 0].double().numpy()
    moved = world.posed(world.moved_people(truth.people, T, pelvis), MODEL)[0]
    joints = world.posed(truth.people, MODEL)[0]
    assert np.allclose(moved, joints @ T[:3, :3].T + T[:3, 3], atol=1e-5)


def test_an_artist_knows_how_far_the_camera_goes_and_where_somebody_stands():
    truth = shot(MODEL, "track", frames=24, seed=2)
    people = body.run(truth.tracks, truth.slam, MODEL, FPS, Reporter())
    told = Corrections().with_item("moved", first=0, last=23, metres=5.0).with_item("stands", person=1, first=3, last=9)
    solved = world.run(
        truth.tracks, truth.slam, people, truth.slam.camera, truth.slam.points_world, MODEL, FPS, None, Reporter(), corrected=told, size=(640, 360)
    )
    centres = solved.camera.T_world_from_cam[:, :3, 3]
    assert np.linalg.norm(centres[23] - centres[0]) == pytest.approx(5.0, abs=1e-6)  # twice the truth: the artist is believed
    assert solved.sigma["size"] == 0
    assert (solved.contact[0, 3:10] == 1).all() and not (solved.contact[0] == 1).all()


def test_lines_that_an_artist_calls_upright_turn_the_world():
    truth = shot(MODEL, "static", frames=12, seed=3)
    people = body.run(truth.tracks, truth.slam, MODEL, FPS, Reporter())
    solve = lambda told: world.run(
        truth.tracks, truth.slam, people, truth.slam.camera, truth.slam.points_world, MODEL, FPS, None, Reporter(), corrected=told, size=(640, 360)
    )
    # lines through the picture that are upright in a world that leans by 6 degrees
    lean = Rotation.from_euler("y", 6, degrees=True).apply([0, 0, 1.0])
    told = Corrections()
    T_cam = invert(truth.camera.T_world_from_cam[0])
    for foot in ([-1.5, 6, 0.5], [0.0, 7, 0.5], [1.5, 6, 0.5]):
        a, b = project(np.array([foot, foot + lean]), T_cam, truth.camera.K[0]) / [640, 360]
        told = told.with_item("upright", frame=0, x1=float(a[0]), y1=float(a[1]), x2=float(b[0]), y2=float(b[1]))
    up = lambda solved: solved.camera.T_world_from_cam[0, 2, :3] @ truth.camera.T_world_from_cam[0, :3, :3].T
    off = lambda solved, way: np.rad2deg(np.arccos(np.clip(up(solved) @ way, -1, 1)))
    plain, leant = solve(None), solve(told)
    assert off(plain, np.array([0, 0, 1.0])) < 3
    assert off(leant, lean) < 2 and off(plain, lean) > 3


def test_wrists_turn_as_hands_do():
    """A wrist rolled by 70°, of which joints in the picture hardly tell: with the hand's points it is found, through S_c and f_H."""
    truth = shot(MODEL, "static", people=1, frames=20, seed=3)
    people = replace(truth.people, body_pose=truth.people.body_pose.copy())
    people.body_pose[0, :, 19] += np.deg2rad([70, 0, 0])
    joints, keypoints, _ = world.posed(people, MODEL)
    T_cam = invert(truth.camera.T_world_from_cam)
    palm = np.stack([apply(T_cam[t], np.stack([joints[0, t, 20], keypoints[0, t, 21], keypoints[0, t, 23]])) for t in range(20)])
    two, three = np.zeros((1, 20, 2, 21, 3)), np.zeros((1, 20, 2, 21, 3))
    for t in range(20):
        ray = palm[t, 0] / np.linalg.norm(palm[t, 0])
        axis = np.cross(ray, [0, 0, 1])
        look = Rotation.from_rotvec(axis / np.linalg.norm(axis) * np.arcsin(np.linalg.norm(axis))).as_matrix()  # to a camera that looks straight at the hand
        three[0, t, 0, [0, 5, 17]] = (palm[t] - palm[t, 0]) @ look.T
        two[0, t, 0] = [*(palm[t, 0] / palm[t, 0, 2] @ truth.camera.K[t].T)[:2], 0.95]

    def off(tracks):
        report = Reporter()
        found = body.run(tracks, truth.slam, MODEL, FPS, report)
        solved = world.run(tracks, truth.slam, found, truth.slam.camera, truth.slam.points_world, MODEL, FPS, None, report)
        _, k, _ = world.posed(solved.people, MODEL)
        way = k[0][:, 21] - k[0][:, 23]
        T = invert(solved.camera.T_world_from_cam)
        way = np.einsum("tij,tj->ti", T[:, :3, :3], way)
        true = palm[:, 1] - palm[:, 2]
        return np.rad2deg(np.arccos(((way * true).sum(1) / np.linalg.norm(way, axis=1) / np.linalg.norm(true, axis=1)).clip(-1, 1))).mean()

    assert off(truth.tracks) > 40
    assert off(replace(truth.tracks, hands_2d=two, hands_3d=three)) < 12
