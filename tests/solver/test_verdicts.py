"""Kinds of shots from end to end, with the real networks: each ends in a result with the right verdict and the right warnings.

The shots are made from two small films by homographies (tests/derived_shots.py), so the camera's truth is exact.
"""

from __future__ import annotations

import json
import re
from contextlib import redirect_stdout
from dataclasses import dataclass
from io import StringIO
from pathlib import Path

import av
import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from benchmarks.cameras import look_at
from benchmarks.video import encode
from solver.__main__ import main
from solver.frames import fit_similarity, invert, project
from tests import derived_shots as shots

SMALL = (480, 270)
LENS = "The picture does not tell which lens"
NO_FEET = "The feet of person 1 are hardly ever seen"
GROUND_GUESSED = "No foot was seen on the ground"
NOBODY = "Nobody was found in the shot: the camera's scale and the ground are a guess"
QUICK = "Preview quality: neither"
BRIDGED = "Preview quality: people were looked for in every second frame"  # in every take here, as all are previews
LEGS, FEET, ARMS = [4, 5, 7, 8, 10, 11], [10, 11], [18, 19, 20, 21]


@dataclass
class Solved:
    """A take beside the film that it was made from."""

    folder: Path
    film: shots.Film

    def __post_init__(self):
        self.shot = json.loads((self.folder / "shot.json").read_text(), parse_constant=_no_nan)
        self.report = json.loads((self.folder / "report.json").read_text(), parse_constant=_no_nan)
        with np.load(self.folder / "camera.npz") as camera:
            self.T, self.focal = camera["T_world_from_cam"], camera["K"][:, 0, 0]
            self.K = camera["K"]
        self.people = {}
        for path in sorted((self.folder / "people").glob("*.npz")):
            with np.load(path) as file:
                self.people[int(path.stem)] = dict(file)

    def turned(self, T):
        """Rotations (T, 3, 3) of a camera since its first frame."""
        return T[0, :3, :3].T @ T[:, :3, :3]

    def warned(self, *starts):
        """Whether exactly these warnings were given, and that of previews."""
        given, starts = self.shot["warnings"], (BRIDGED, *starts)
        return len(given) == len(starts) and all(any(w.startswith(s) for w in given) for s in starts)

    def off_cm(self, joints):
        """How far (F, J) joints lie beside the picture's, in cm at the person's distance; NaN where the picture does not show them."""
        person = self.people[1]
        f = person["frame"]
        xy = project(person["joints_world"], invert(self.T[f]), self.K[f])
        truth = self.film.joints_2d[f]
        depth = np.linalg.norm(self.film.joints_world[f] - self.film.T_world_from_cam[f, None, :3, 3], axis=-1)
        off = np.linalg.norm(xy - truth, axis=-1) * depth / self.film.K[f, 0, 0, None] * 100
        inside = ((truth > 0) & (truth < self.film.size)).all(-1)
        return np.where(inside, off, np.nan)[:, joints]

    def pitch_deg(self, T):
        """How far the first camera looks up."""
        return float(np.rad2deg(np.arcsin(T[0, 2, 2])))


def _no_nan(name):
    raise AssertionError(f"{name} in JSON")


def solve(folder, film, *options) -> Solved:
    """Write the film, run the command line on it, and check what every take must be."""
    clip = folder / "clip.mp4"
    encode(clip, film.pictures, 24, crf=18, preset="fast")
    take = folder / "take"
    with redirect_stdout(StringIO()) as said:
        status = main(["extract", str(clip), "--out", str(take), "--quality", "preview", "--no-plate", *options])
    assert status == 0, said.getvalue()[-2000:]
    first = json.loads((take / "shot.json").read_text())["source"]["start_frame"]
    solved = Solved(take, film.part(first, len(film.pictures)))
    source, frames = solved.shot["source"], solved.shot["source"]["frames"]
    assert (source["width"], source["height"]) == film.size and frames == len(solved.film.pictures)
    assert all(stage["status"] == "done" for stage in solved.shot["stages"].values())
    assert solved.T.shape == (frames, 4, 4) and np.isfinite(solved.T).all() and np.isfinite(solved.K).all()
    R = solved.T[:, :3, :3]
    assert np.allclose(R @ np.swapaxes(R, 1, 2), np.eye(3), atol=1e-6) and (np.linalg.det(R) > 0).all()
    assert (solved.focal > 0).all()
    assert [p["id"] for p in solved.shot["people"]] == sorted(solved.people)
    for person in solved.people.values():
        for name in ("poses", "trans", "betas", "joints_world", "joints_2d", "contact"):
            assert np.isfinite(person[name]).all(), name
        assert np.abs(person["betas"]).max() < 3
        # Knees and elbows bend one way only.
        pose = person["poses"].reshape(-1, 24, 3)
        assert pose[:, [4, 5], 0].min() > -0.2 and pose[:, 18, 1].max() < 0.2 and pose[:, 19, 1].min() > -0.2
    with av.open(str(take / "preview.mp4")) as movie:
        assert sum(1 for _ in movie.decode(video=0)) == frames
    return solved


@pytest.fixture(scope="module")
def wide():
    return shots.read("wide")


@pytest.fixture(scope="module")
def near():
    return shots.read("near")


def test_locked_off(tmp_path, wide):
    take = solve(tmp_path, shots.reframed(wide.part(0, 16), SMALL, 467.0))
    assert take.shot["verdict"] == "static"
    assert np.ptp(take.T, axis=0).max() < 1e-9 and np.ptp(take.focal) < 1e-9  # it does not drift at all
    assert take.warned(LENS)  # a camera that stands still says nothing about its lens
    assert np.nanmean(take.off_cm(range(24))) < 7 and np.nanmean(take.off_cm([12, 15])) < 5
    lowest = take.people[1]["joints_world"][:, FEET, 2].min(1)
    assert np.abs(lowest - lowest.mean()).max() < 0.06 and abs(lowest.mean()) < 0.06  # he walks on z = 0


def test_pan(tmp_path, wide):
    yaw = np.linspace(-6, 6, 18) + 0.3 * np.sin(np.linspace(0, 5, 18))
    take = solve(tmp_path, shots.reframed(wide.part(0, 18), SMALL, 640.0, yaw))
    assert take.shot["verdict"] == "rotation" and take.warned(QUICK)
    assert np.ptp(take.T[:, :3, 3], axis=0).max() < 1e-6  # on the spot
    off = np.swapaxes(take.turned(take.film.T_world_from_cam), 1, 2) @ take.turned(take.T)
    assert np.rad2deg(Rotation.from_matrix(off).magnitude()).max() < 0.25  # of 12 degrees
    assert np.ptp(take.focal) < 1e-6 and take.focal[0] == pytest.approx(640, rel=0.03)
    assert np.nanmean(take.off_cm(range(24))) < 8


def test_zoom(tmp_path, wide):
    focal = np.geomspace(470, 750, 16)
    take = solve(tmp_path, shots.reframed(wide.part(0, 16), SMALL, focal))
    assert take.shot["verdict"] == "rotation"
    assert np.ptp(take.T[:, :3, 3], axis=0).max() < 1e-6  # a zoom, not a dolly
    assert np.abs(take.focal / take.focal[0] / (focal / focal[0]) - 1).max() < 0.02
    # Growth alone does not tell where it begins: said, with the right factor, and the guess is an ordinary lens.
    assert take.warned("The lens zooms by a factor of 1.", QUICK)
    said = float(re.search(r"factor of (\d\.\d\d)", " ".join(take.shot["warnings"]))[1])
    assert said == pytest.approx(750 / 470, rel=0.02)
    assert 0.6 < take.focal[0] / focal[0] < 1.6
    assert np.nanmean(take.off_cm(range(24))) < 8


def test_dolly_without_people_is_no_zoom(tmp_path):
    s = np.linspace(0, 1, 20)[:, None]
    T = look_at([0.2, -1.5, 1.5] + s * [0.5, 2.2, 0.1], np.array([0, 6, 1.2]))
    take = solve(tmp_path, shots.corridor(T, 430.0, SMALL))
    assert take.shot["verdict"] == "full" and take.people == {}
    assert np.ptp(take.focal) < 1e-6 and take.focal[0] == pytest.approx(430, rel=0.05)
    scale, R, t = fit_similarity(take.T[:, :3, 3], T[:, :3, 3])
    apart = np.linalg.norm(scale * take.T[:, :3, 3] @ R.T + t - T[:, :3, 3], axis=1)
    assert apart.max() < 0.03 * 2.26  # of a way of 2.26 m
    off = np.swapaxes(take.turned(T), 1, 2) @ take.turned(take.T)
    assert np.rad2deg(Rotation.from_matrix(off).magnitude()).max() < 0.3
    assert take.T[0, 2, 3] == pytest.approx(1.5)  # where nobody stands, the camera is set at eye height ...
    assert take.warned("No people were found", NOBODY)  # ... and that is said


def test_pan_without_people(tmp_path):
    yaw = np.linspace(-6, 6, 16)
    take = solve(tmp_path, shots.reframed(shots.plate(), SMALL, 640.0, yaw, frames=16))
    assert take.shot["verdict"] == "rotation" and take.people == {}
    off = np.swapaxes(take.turned(take.film.T_world_from_cam), 1, 2) @ take.turned(take.T)
    assert np.rad2deg(Rotation.from_matrix(off).magnitude()).max() < 0.25
    assert np.ptp(take.T[:, :3, 3], axis=0).max() < 1e-6 and take.T[0, 2, 3] == pytest.approx(1.5)
    assert take.warned("No people were found", NOBODY)


ROUGH = "Straight edges tell the lens only roughly"


def owns_up(take):
    """A camera that stands: its lens is told to be a guess, or edges of the background tell it within two sigma."""
    return take.warned(LENS) or abs(np.log(take.focal[0] / take.film.K[-1, 0, 0])) < 2 * take.report["camera"]["focal_sigma"]


def test_hard_cut(tmp_path, wide, near):
    first = shots.reframed(near.part(0, 8), SMALL, 467.0)
    second = shots.reframed(wide.part(0, 12), SMALL, 467.0)
    film = shots.Film(
        first.pictures + second.pictures, np.concatenate([first.T_world_from_cam, second.T_world_from_cam]),
        np.concatenate([first.K, second.K]), np.concatenate([first.joints_world, second.joints_world]),
    )  # fmt: skip
    take = solve(tmp_path, film)
    assert take.shot["source"]["start_frame"] == 8 and take.shot["verdict"] == "static"
    cut = "The source has 1 cut; the longest piece, frames 8 to 19, is solved. Left out: piece 0 (frames 0 to 7)."
    assert (take.warned(cut) or take.warned(cut, ROUGH)) and owns_up(take)
    assert np.nanmean(take.off_cm(range(24))) < 8  # nothing of the other piece got in
    # The other piece is there for the asking.
    assert main(["extract", str(tmp_path / "clip.mp4"), "--out", str(tmp_path / "other"), "--cut", "0", "--until", "shot"]) == 3
    source = json.loads((tmp_path / "other" / "shot.json").read_text())["source"]
    assert (source["start_frame"], source["frames"]) == (0, 8)


def quiet(person, joints, fps=24):
    """Mean third derivative of joints, m/s^3: walking legs make 60 to 190, a talking person's arms 10 to 50."""
    return np.linalg.norm(np.diff(person["joints_world"][:, joints], 3, axis=0), axis=-1).mean() * fps**3


def standing(take):
    """A person who stands, legs unseen: upright, on the ground, neither crouching nor running, in front of a level camera."""
    person = take.people[1]
    joints = person["joints_world"]
    trunk = joints[:, 12] - joints[:, 0]
    lean = np.rad2deg(np.arccos(trunk[:, 2] / np.linalg.norm(trunk, axis=1)))
    assert lean.max() < 25
    assert 0.75 < np.median(joints[:, 0, 2]) < 1.1  # hips above the ground, m
    assert np.abs(joints[:, FEET, 2]).max() < 0.15
    assert quiet(person, LEGS) < 40
    assert np.linalg.norm(np.ptp(joints[:, [7, 8]], axis=0), axis=-1).max() < 0.3  # the ankles stay where they are, m
    bend = np.linalg.norm(person["poses"].reshape(-1, 24, 3)[:, [4, 5]], axis=-1)
    assert np.rad2deg(bend).max() < 70
    assert abs(take.pitch_deg(take.T) - take.pitch_deg(take.film.T_world_from_cam)) < 15


def test_medium_shot(tmp_path, near):
    """From above the knees, by a 35 mm lens, which is also what is assumed where edges of the background tell none: so the distance must be right."""
    take = solve(tmp_path, shots.reframed(near.part(0, 18), SMALL, 466.67))
    assert take.shot["verdict"] == "static" and np.ptp(take.T, axis=0).max() < 1e-9
    assert take.warned(NO_FEET, GROUND_GUESSED) and owns_up(take)
    confidence = take.people[1]["joints_2d"][..., 2]
    assert (confidence[:, LEGS] == 0).all() and (confidence[:, [1, 2, 16, 17]] > 0.3).all()
    assert np.nanmean(take.off_cm(range(24))) < 5 and np.nanmean(take.off_cm([12, 15])) < 3
    assert take.report["iou_people"] > 0.75
    standing(take)
    far = np.linalg.norm(take.people[1]["joints_world"][:, 0] - take.T[:, :3, 3], axis=1)
    assert np.abs(far / np.linalg.norm(near.joints_world[:18, 0] - near.T_world_from_cam[:18, :3, 3], axis=1) - 1).max() < 0.15


def test_close_up(tmp_path, near):
    """Head and shoulders by an 87 mm lens, of which nothing can be known: they must sit right on the picture all the same."""
    yaw, pitch = shots.aim_at(near.part(0, 1), near.joints_world[:1, 12])
    take = solve(tmp_path, shots.reframed(near.part(0, 18), SMALL, 1166.7, yaw[0], pitch[0] - 1))
    assert take.shot["verdict"] == "static" and np.ptp(take.T, axis=0).max() < 1e-9
    assert take.warned(LENS, NO_FEET, GROUND_GUESSED)
    confidence = take.people[1]["joints_2d"][..., 2]
    assert (confidence[:, [1, 2, *LEGS]] == 0).all() and (confidence[:, [16, 17]] > 0.2).all()
    assert np.nanmean(take.off_cm([12, 15])) < 3 and np.nanmean(take.off_cm([16, 17])) < 7
    assert take.report["iou_people"] > 0.75
    standing(take)
    # Hands that are seen are before the chest, not behind the back, which looks the same.
    depth = (take.people[1]["joints_world"] - take.T[:, None, :3, 3]) @ take.T[0, :3, 2]
    behind = depth[:, [20, 21]] - depth[:, [16, 17]].mean(1, keepdims=True)
    assert behind[confidence[:, [20, 21]] > 0].max() < 0.05
