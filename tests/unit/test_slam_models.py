"""The start camera: the right model chosen, and how exact it is, on tracks with truth and on rendered pictures."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace

import cv2
import numpy as np
import pytest

from solver import slam
from solver.bundle.cameras import Fit, Model, Observations, Priors, focal_prior
from solver.frames import intrinsics
from solver.options import Options
from solver.protocol import Reporter
from solver.records import Shot, Slam, load_record, save_record
from solver.slam import features, models, structure
from solver.slam.structure import travelling_model
from solver.slam.turning import rotation_model
from tests.slam_scenes import SIZE, compare, scene


def solve(shot, given=None, report=None):
    return slam.solve(shot.obs, shot.colours, len(shot.focal), SIZE, given, report or Reporter())


@pytest.mark.parametrize("move, verdict", [("dolly", "full"), ("arc", "full"), ("follow", "full"), ("handheld", "full")])
def test_travelling_cameras(move, verdict):
    shot = scene(move, seed=3)
    result = solve(shot)
    ate, turn = compare(result.camera.T_world_from_cam, shot.T_world_from_cam)
    assert result.verdict == verdict
    assert ate < 0.7 and turn < 0.3
    off = abs(np.log(result.camera.K[0, 0, 0] / shot.focal[0]))
    assert off < max(0.05, 3 * result.focal_sigma)
    if move in ("arc", "handheld"):  # the camera turns while it travels: the lens shows
        assert off < 0.02 and result.focal_source == "estimated"
    assert result.measured.all()
    assert np.allclose(result.camera.T_world_from_cam[0], np.eye(4))


def test_a_relief_inside_out_is_found_and_turned_back(monkeypatch):
    """Through a long lens, a camera that goes the other way past a hollow scene shows nearly the same picture."""
    shot = scene("slide", seed=3, noise=0.1, count=6000)
    obs, kept = slam.thin(shot.obs, len(shot.colours), len(shot.focal), SIZE)
    prior = Priors(np.log(shot.focal[0]))
    loss = lambda fit: np.minimum(fit.error**2 / 0.09, 4).sum()
    reverse = lambda fit: structure._mirrored(fit, obs, SIZE, prior, True, lambda: None, loss)
    right = travelling_model(obs, len(shot.focal), len(kept), SIZE, prior, [shot.focal[0]], True, lambda: None)
    way = shot.T_world_from_cam[0, :3, :3].T @ (shot.T_world_from_cam[-1] - shot.T_world_from_cam[0])[:3, 3]
    wrong = reverse(right)
    assert right.model.c[-1] @ way > 0 > wrong.model.c[-1] @ way
    assert loss(right) < loss(wrong) < structure.REVERSED * loss(right)
    back = reverse(wrong)
    assert back.model.c[-1] @ way > 0 and loss(back) < 1.02 * loss(right)
    # The search that ends in it tries the other.
    monkeypatch.setattr(structure, "_all_frames", lambda *_: wrong)
    found = travelling_model(obs, len(shot.focal), len(kept), SIZE, prior, [shot.focal[0]], True, lambda: None)
    assert found.model.c[-1] @ way > 0
    # Where both fit nearly as well, what stands on a ground is nearer the further down it is.
    monkeypatch.setattr(structure, "rising", lambda model, _: np.sign(model.c[-1] @ way))
    for much, kept_one in ((1.02, 1), (20.0, -1)):
        monkeypatch.setattr(structure, "_mirrored", lambda *_, much=much: replace(right, error=much**0.5 * wrong.error))
        found = travelling_model(obs, len(shot.focal), len(kept), SIZE, prior, [shot.focal[0]], True, lambda: None)
        assert found.model.c[-1] @ way * kept_one > 0
    monkeypatch.undo()
    monkeypatch.setattr(structure, "_all_frames", lambda *_: wrong)
    monkeypatch.setattr(structure, "REVERSED", 0.0)
    assert travelling_model(obs, len(shot.focal), len(kept), SIZE, prior, [shot.focal[0]], True, lambda: None) is wrong


def test_a_ground_rises_in_the_picture_and_its_reverse_falls():
    rng, (width, height) = np.random.default_rng(0), SIZE
    frames, points = np.repeat(np.arange(3), 80), np.tile(np.arange(80), 3)
    ground = np.c_[rng.uniform(-4, 4, 80), np.full(80, 1.5), rng.uniform(3, 20, 80)]
    centres = np.array([[0, 0, 0], [0.1, 0, 0], [0.2, 0, 0.1]])
    seen = ground[points] - centres[frames]
    xy = 500 * seen[:, :2] / seen[:, 2:] + np.array([width, height]) / 2
    distance = np.linalg.norm(ground, axis=1)
    obs = Observations(frames, points, xy)
    model = Model(np.tile(np.eye(3), (3, 1, 1)), centres, np.zeros(3), ground / distance[:, None], 1 / distance)
    assert structure.rising(model, obs) > 0.9
    assert structure.rising(replace(model, c=-centres, w=2 * np.median(model.w) - model.w), obs) < -0.5
    assert structure.rising(model, obs.only(points < structure.ENOUGH - 1)) == 0  # too few points to tell


def test_the_lens_of_a_travelling_camera_can_be_changed_by_much():
    shot = scene("dolly", seed=3)
    obs, kept = slam.thin(shot.obs, len(shot.colours), len(shot.focal), SIZE)
    fit = travelling_model(obs, len(shot.focal), len(kept), SIZE, Priors(focal_prior(SIZE)), [shot.focal[0]], True, lambda: None)
    longer = models.with_lens(models.Candidate("full", fit, 0.0), obs, SIZE, 0.35, lambda: None).fit
    assert np.allclose(longer.model.log_f, fit.model.log_f + 0.35, atol=5e-3)
    assert np.median(longer.error) < 2 * np.median(fit.error)  # a straight dolly hardly tells its lens


@pytest.mark.parametrize("worse, told", [(0.0, models.FOCAL_SPREAD), (16.0, 0.15), (400.0, 0.084)])
def test_a_lens_is_no_surer_than_lenses_beside_it_bear_out(monkeypatch, worse, told):
    """A lens 0.15 longer that fits worse by `worse` (squares over kappa; BIAS² are one sigma) leaves so large a sigma; curvature says 0.084, a shorter lens is far off."""
    made = lambda square: Fit(None, 0.3, np.full(1000, 0.3 * np.sqrt(square / 1000)), 0.084 / models.BIAS)
    monkeypatch.setattr(models, "_longer", lambda best, obs, size, longer, tick: made(5000.0 if longer < 0 else worse))
    assert models._doubted(models.Candidate("full", made(0.0), 0.0), None, SIZE, 1.0, 0.3, None) == pytest.approx(told)
    monkeypatch.setattr(models, "_longer", lambda *_: None)  # lenses beside it that cannot be: nothing to doubt
    assert models._doubted(models.Candidate("full", made(0.0), 0.0), None, SIZE, 1.0, 0.3, None) == pytest.approx(0.084)


def test_pan_is_a_rotation():
    shot = scene("pan", seed=3)
    result = solve(shot)
    assert result.verdict == "rotation" and result.verdict_scores["chosen"] == "rotation"
    assert compare(result.camera.T_world_from_cam, shot.T_world_from_cam)[1] < 0.05
    assert np.abs(result.camera.K[:, 0, 0] / shot.focal - 1).max() < 0.02
    assert np.array_equal(result.camera.T_world_from_cam[:, :3, 3], np.zeros((60, 3)))
    assert np.allclose(np.linalg.norm(result.points_world, axis=1), slam.SPHERE)


def test_tracks_on_a_few_places_that_stray_are_no_background():
    """Edges of people before a plain backdrop are followed in every frame; a poster on a bare wall is, too, and does not stray."""
    shot = scene("pan", seed=3)
    corner = shot.obs.only((shot.obs.xy < np.array(SIZE) * 0.4).all(1))
    few = lambda noise, obs=corner, kind=None: slam.solve(obs, shot.colours, len(shot.focal), SIZE, None, Reporter(), noise, kind)
    assert slam.covered(corner, SIZE) < slam.COVERED < slam.covered(shot.obs, SIZE)
    wide = np.ones(SIZE[::-1], np.uint8)
    wide[:, : SIZE[0] // 4] = 0  # a person who fills most of the picture: what is beside them counts, and outlines of theirs do not
    beside = shot.obs.only(shot.obs.xy[:, 0] < 0.15 * SIZE[0])
    assert slam.covered(beside, SIZE, lambda index: wide) > slam.COVERED
    narrow = np.zeros(SIZE[::-1], np.uint8)
    narrow[:, : SIZE[0] // 4] = 1
    outline = shot.obs.only(shot.obs.xy[:, 0] < 0.28 * SIZE[0])
    assert slam.covered(outline, SIZE, lambda index: narrow) == 0 and slam.covered(outline, SIZE) > slam.COVERED
    assert slam.covered(outline, SIZE, lambda index: np.ones(SIZE[::-1], np.uint8)) == 1  # nobody can tell
    assert few(2.0).unknown and few(2.0).verdict == "static" and few(2.0, kind="full").unknown
    assert not few(0.1).unknown and not few(2.0, shot.obs).unknown
    locked = few(2.0, kind="static")
    assert not locked.unknown and locked.verdict_scores["set_by"] == "artist"


def test_a_backdrop_that_can_hardly_be_followed_is_no_turning_camera():
    """Points in a third of the frames: a turn and a zoom fitted to them would bridge the rest."""
    shot = scene("pan", seed=3)
    report = Reporter()
    result = slam.solve(shot.obs.only(shot.obs.frame < 20), shot.colours, len(shot.focal), SIZE, None, report)
    assert result.verdict == "static" and result.focal_source == "prior"
    assert result.measured[:20].any() and not result.measured[20:].any()
    assert result.unknown
    told = slam.solve(shot.obs.only(shot.obs.frame < 20), shot.colours, len(shot.focal), SIZE, None, Reporter(), kind="rotation")
    assert told.verdict == "rotation"


def test_an_artist_says_what_the_camera_does():
    shot = scene("pan", seed=3)
    answer = lambda kind, report=None: slam.solve(shot.obs, shot.colours, len(shot.focal), SIZE, None, report or Reporter(), kind=kind)
    assert answer("static").verdict == "static" and answer("rotation").verdict == "rotation"
    report = Reporter()
    travelled = answer("full", report)
    assert travelled.verdict == "full" or any("travels" in line for line in report.warnings)
    scores = answer(None).verdict_scores
    assert scores["runner_up"] in ("static", "full") and scores["margin"] > 0


def wandering(shot, wander, seed=0):
    """The observations of a scene, each track straying from its point by a random walk of `wander` px a step."""
    random, obs = np.random.default_rng(seed), shot.obs
    steps = random.normal(0, wander, (len(obs), 2))
    total = np.cumsum(steps, 0)
    first = np.flatnonzero(np.r_[True, np.diff(obs.point) != 0])
    start = np.repeat(total[first], np.diff(np.r_[first, len(obs)]), 0)
    return Observations(obs.frame, obs.point, obs.xy + total - start)


@pytest.mark.parametrize("move, travels", [("zoom", False), ("arc", True), ("follow", True)])
def test_only_true_parallax_foretells(move, travels):
    shot = scene(move, seed=5)
    obs, points, frames = wandering(shot, 0.3), len(shot.colours), len(shot.focal)
    obs, kept = slam.thin(obs, points, frames, SIZE)
    prior = Priors(focal_prior(SIZE))
    tick = lambda: None
    full = travelling_model(obs, frames, len(kept), SIZE, prior, [shot.focal[0]], True, tick)
    still = rotation_model(obs, frames, len(kept), SIZE, prior, [shot.focal[0]], move == "zoom", True, tick)
    assert np.median(full.error) < np.median(still.error)  # depth explains what wanders, too
    share = models.foretold(models.Candidate("full", full, 0), models.Candidate("rotation", still, 0), obs, SIZE, 1.0, 0.5)
    assert (share > models.FORETOLD) == travels


def test_zoom_is_no_dolly():
    shot = scene("zoom", seed=3)
    result = solve(shot)
    assert result.verdict == "rotation" and result.verdict_scores["chosen"] == "rotation+zoom"
    assert np.abs(result.camera.K[:, 0, 0] / shot.focal - 1).max() < 0.05


def test_static_is_exactly_static():
    result = solve(scene("static", seed=3))
    assert result.verdict == "static"
    assert np.array_equal(result.camera.T_world_from_cam, np.tile(np.eye(4), (60, 1, 1)))
    assert result.focal_source == "prior" and result.focal_sigma > 0.2


def test_given_lens_is_kept():
    shot = scene("arc", seed=3)
    result = solve(shot, given=float(shot.focal[0]))
    assert result.focal_source == "given" and result.focal_sigma == 0
    assert np.allclose(result.camera.K[:, 0, 0], shot.focal, rtol=1e-3)
    assert compare(result.camera.T_world_from_cam, shot.T_world_from_cam)[0] < 0.5


def test_observations_are_inliers_of_the_answer(tmp_path):
    result = solve(scene("arc", seed=4))
    T, K = result.camera.T_world_from_cam, result.camera.K
    y = np.einsum("mji,mj->mi", T[result.obs_frame, :3, :3], result.points_world[result.obs_point] - T[result.obs_frame, :3, 3])
    pixels = y[:, :2] / y[:, 2:] * K[result.obs_frame, 0, 0, None] + np.array(SIZE) / 2
    off = np.linalg.norm(pixels - result.obs_xy, axis=1)
    assert (y[:, 2] > 0).all() and np.median(off) < 0.5 and off.max() < 3
    assert len(result.points_world) <= slam.OUT_POINTS and len(result.colours) == len(result.points_world)
    assert np.isclose(np.median(np.linalg.norm(result.points_world, axis=1)), slam.DISTANCE, rtol=0.3)
    save_record(tmp_path / "slam.npz", result)
    assert load_record(tmp_path / "slam.npz", Slam).verdict == "full"


def test_frames_without_tracks_are_bridged():
    shot = scene("arc", seed=5)
    gone = (shot.obs.frame >= 30) & (shot.obs.frame < 33)
    shot.obs = shot.obs.only(~gone)
    report = Reporter()
    result = solve(shot, report=report)
    assert list(np.flatnonzero(~result.measured)) == [30, 31, 32]
    assert sum("bridged" in warning for warning in report.warnings) == 1
    assert compare(result.camera.T_world_from_cam, shot.T_world_from_cam)[0] < 1.0


@pytest.mark.parametrize("count", [1, 2, 30])
def test_nothing_to_follow_is_static(count):
    report = Reporter()
    empty = Observations(np.zeros(0, int), np.zeros(0, int), np.zeros((0, 2)))
    result = slam.solve(empty, np.zeros((0, 3), np.uint8), count, SIZE, None, report)
    assert result.verdict == "static" and result.camera.K.shape == (count, 3, 3)
    assert result.unknown == (count > 2) and report.warnings == []  # who is in the picture may tell: world.carried says so


# Rendered pictures: two textured planes seen through homographies.


class Drawn:
    """Frames drawn on demand: a far wall and a nearer board in front of it, and a person-shaped blob that moves by itself."""

    def __init__(self, T, K):
        random = np.random.default_rng(0)
        self.T, self.K = T, K
        self.textures = [self._texture(random, n) for n in (1400, 500)]

    @staticmethod
    def _texture(random, size):
        noise = sum(cv2.resize(random.normal(0, 1, (size // k, size // k)), (size, size), interpolation=cv2.INTER_CUBIC) * k**0.3 for k in (4, 12, 40))
        grey = np.clip(128 + 35 * noise / noise.std(), 0, 255).astype(np.uint8)
        return np.stack([grey, np.roll(grey, 3, 0), grey], 2)

    def read(self, index):
        image = None
        for texture, z, width, x in zip(self.textures, (9.0, 5.0), (16.0, 3.0), (-8.0, -0.2)):
            scale = width / len(texture)
            plane = np.array([[scale, 0, x], [0, scale, -width / 2], [0, 0, z]])  # texture pixel to world, on z = const
            H = self.K @ self.T[index, :3, :3].T @ (plane - np.outer(self.T[index, :3, 3], [0, 0, 1]))
            half = np.array([[1, 0, -0.5], [0, 1, -0.5], [0, 0, 1]])
            warped = cv2.warpPerspective(texture, half @ H @ np.linalg.inv(half), SIZE, flags=cv2.INTER_AREA)
            if image is None:
                image = warped
            else:
                image = np.where(warped.any(2, keepdims=True), warped, image)
        person = self.mask(index) > 0
        stripes = (np.indices(person.shape).sum(0) // 6 % 2 * 200).astype(np.uint8)
        return np.where(person[..., None], stripes[..., None], image)

    def mask(self, index):
        out = np.zeros(SIZE[::-1], np.uint8)
        cv2.ellipse(out, (200 + 5 * index, 220), (45, 110), 0, 0, 360, 1, -1)
        return out


def drawn_shot(move, frames=24):
    K = intrinsics(600.0, *SIZE)
    T = np.tile(np.eye(4), (frames, 1, 1))
    s = np.linspace(0, 1, frames)
    if move == "pan":
        T[:, 0, 0] = T[:, 2, 2] = np.cos(0.25 * s)
        T[:, 0, 2], T[:, 2, 0] = np.sin(0.25 * s), -np.sin(0.25 * s)
    elif move == "dolly":
        T[:, 0, 3], T[:, 2, 3] = 0.6 * s, 1.5 * s
    shot = Shot("", "", "24/1", *SIZE, *SIZE, 0, frames, [[0, frames]], np.arange(frames) / 24)
    return shot, Drawn(T, K), T


@pytest.mark.parametrize("move, verdict", [("pan", "rotation"), ("dolly", "full"), ("still", "static")])
def test_from_pictures(move, verdict):
    shot, frames, T = drawn_shot(move)
    options = Options(source="", take="", focal_mm=600 * 36 / 640)
    result = slam.run(shot, frames, None, frames.mask, options, Reporter())
    assert result.verdict == verdict and result.focal_source == "given"
    ate, turn = compare(result.camera.T_world_from_cam, T)
    assert turn < 0.1
    if move == "dolly":
        assert ate < 1.0
    inside = [frames.mask(f)[int(y), int(x)] for f, (x, y) in zip(result.obs_frame, result.obs_xy)]
    assert not np.any(inside)


def test_windows_are_narrow_unless_the_picture_is_blurred_and_grainy():
    shot, frames, _ = drawn_shot("dolly")
    disc = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (13, 13)) / 113.0
    drawn = [frames.read(index) for index in range(shot.frames)]
    random = np.random.default_rng(2)

    def chosen(pictures):
        grainy = [np.clip(p + random.normal(0, 8, p.shape), 0, 255).astype(np.uint8) for p in pictures]
        return features.choose_look(SimpleNamespace(read=grainy.__getitem__), shot.frames, SIZE, frames.mask)[0]

    assert chosen(drawn) is features.LOOKS[0]
    assert chosen([cv2.filter2D(p, -1, disc) for p in drawn]) is features.LOOKS[1]


def test_a_frame_of_grey_is_bridged():
    """A flash, or a wipe in front of the lens: one picture shows nothing, the camera goes on."""
    shot, frames, T = drawn_shot("dolly")
    read = frames.read
    frames.read = lambda index: np.full((*SIZE[::-1], 3), 128, np.uint8) if index == 11 else read(index)
    report = Reporter()
    result = slam.run(shot, frames, None, frames.mask, Options(source="", take="", focal_mm=600 * 36 / 640), report)
    assert list(np.flatnonzero(~result.measured)) == [11]
    assert compare(result.camera.T_world_from_cam, T)[0] < 1.5


# Points found again in the pictures of their births.


def drifted(turn, scale, seed=0, sigma=3.0):
    """A defocused texture, the same turned and scaled, both with grain; points, where they are now, and where a chain has them."""
    random = np.random.default_rng(seed)
    texture = cv2.GaussianBlur(random.normal(0, 1, SIZE[::-1]), (0, 0), sigma)
    texture = 128 + 40 * texture / texture.std()
    A = cv2.getRotationMatrix2D((320, 180), turn, scale) + np.array([[0, 0, 4.3], [0, 0, -2.6]])
    then, now = (np.clip(t + random.normal(0, 4, t.shape), 0, 255).astype(np.uint8) for t in (texture, cv2.warpAffine(texture, A, SIZE)))
    points = (np.stack(np.meshgrid(np.arange(130, 520, 26), np.arange(90, 280, 26)), -1).reshape(-1, 2) + 0.3).astype(np.float32)
    true = points @ A[:, :2].T + A[:, 2]
    return then, now, points, true, (true + random.normal(0, 0.9, true.shape)).astype(np.float32)


def returned(births, now, at, ids, frames=6):
    """Positions after some frames of the same picture."""
    for age in range(frames):
        at = features._return(births, now, features.HOLD + age, at, ids)
    return at


def away(a, b):
    return np.linalg.norm(a - b, axis=1)


@pytest.mark.parametrize("turn, scale", [(0, 1.0), (14, 1.0), (5, 1.25), (-5, 0.8)])
def test_a_point_that_drifted_comes_back_to_the_picture_of_its_birth(turn, scale):
    then, now, points, true, chain = drifted(turn, scale)
    births, ids = features.Births(21), np.arange(len(points))
    births.add(then, points, ids, len(points), 0)
    again = returned(births, now, chain, ids)
    assert np.median(away(chain, true)) > 0.8 and np.median(away(again, true)) < 0.2
    assert (away(again, true) < away(chain, true) + 0.1).mean() > 0.95
    assert np.array_equal(features._return(births, now, features.HOLD - 1, chain, ids), chain)  # too young to have drifted
    left = np.arange(len(points)) % 3 > 0  # neighbours that are gone are no neighbours
    births.keep(left)
    assert len(births.frame) == len(births.patches) == len(births.near) == len(births.offsets) == left.sum()
    assert np.median(away(returned(births, now, chain[left], ids[left]), true[left])) < 0.2


def test_a_point_that_is_hidden_stays_where_the_chain_has_it():
    then, now, points, true, chain = drifted(3, 1.05)
    other = drifted(3, 1.05, seed=1)[1]
    now[:, 320:] = other[:, 320:]  # something else of the same kind is in front
    births, ids = features.Births(21), np.arange(len(points))
    births.add(then, points, ids, len(points), 0)
    again = returned(births, now, chain, ids)
    hidden, plain = true[:, 0] > 335, true[:, 0] < 305
    assert np.array_equal(again[hidden], chain[hidden])
    assert np.median(away(again, true)[plain]) < 0.2


def test_a_point_with_few_neighbours_is_left_alone():
    then, now, points, _, chain = drifted(0, 1.0)
    few = np.s_[: features.NEIGHBOURS]
    births, ids = features.Births(21), np.arange(features.NEIGHBOURS)
    births.add(then, points[few], ids, len(ids), 0)
    assert np.array_equal(features._return(births, now, features.HOLD, chain[few], ids), chain[few])
