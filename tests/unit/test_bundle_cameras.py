"""The bundle adjuster: its derivatives, its step against a dense twin, what it recovers, and its changes of frame."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from solver.bundle import band
from solver.bundle import cameras as bundle
from solver.bundle.cameras import Free, Model, Observations, Priors
from solver.frames import compose, intrinsics, invert, project

SIZE = (640, 360)


def small_problem(frames=5, points=40, seed=0, noise=0.0):
    """A model and what it sees: points at 3 to 9 units, a camera that shifts and turns."""
    random = np.random.default_rng(seed)
    s = np.linspace(0, 1, frames)[:, None]
    model = Model(
        bundle.exp_rotation(random.normal(0, 0.02, (frames, 3)) + s * [0.05, 0.2, 0.0]),
        s * [1.0, 0.1, 0.4] + random.normal(0, 0.02, (frames, 3)),
        np.full(frames, np.log(600.0)),
        bundle.unit(random.normal(0, 0.25, (points, 3)) + [0.1, 0, 1]),
        1 / random.uniform(3, 9, points),
    )
    model.R[0], model.c[0] = np.eye(3), 0
    point, frame = (a.ravel() for a in np.meshgrid(np.arange(points), np.arange(frames), indexing="ij"))
    obs = Observations(frame, point, np.zeros((len(frame), 2)))
    xy = bundle.residuals(model, obs, SIZE)[0]
    return model, replace(obs, xy=xy + random.normal(0, noise, xy.shape))


def disturbed(model, random, pose=0.01, point=0.02):
    move, shift = random.normal(0, pose, (len(model.R), 7)), random.normal(0, point, (len(model.d), 3))
    move[0, :6] = 0
    move[:, 6] = move[0, 6]
    return bundle.step(model, move, shift)


def test_projection_is_the_one_of_the_project():
    model, obs = small_problem()
    T = compose(np.swapaxes(model.R, 1, 2), model.c)
    pixels = project(model.d / model.w[:, None], invert(T), intrinsics(model.focal, *SIZE))
    assert np.allclose(pixels[obs.frame, obs.point], obs.xy, atol=1e-9)


def test_jacobians_are_finite_differences():
    model, obs = small_problem()
    cam, point = bundle.jacobians(model, obs)
    h = 1e-6

    def change(d_cam, d_point):
        ahead = bundle.residuals(bundle.step(model, d_cam, d_point), obs, SIZE)[0]
        behind = bundle.residuals(bundle.step(model, -d_cam, -d_point), obs, SIZE)[0]
        return (ahead - behind) / (2 * h)

    for k in range(7):
        d_cam = np.zeros((len(model.R), 7))
        d_cam[:, k] = h
        assert np.allclose(change(d_cam, np.zeros((len(model.d), 3))), cam[:, :, k], atol=1e-4)
    for k in range(3):
        d_point = np.zeros((len(model.d), 3))
        d_point[:, k] = h
        assert np.allclose(change(np.zeros((len(model.R), 7)), d_point), point[:, :, k], atol=1e-4, rtol=1e-5)


def test_prior_rows_are_finite_differences():
    model, _ = small_problem(frames=6)
    priors, free = Priors(np.log(500.0), travel=0.1), Free(zoom=True)
    rows = bundle._prior_rows(6, priors, free)
    base = bundle._prior_residuals(model, priors, free)
    random = np.random.default_rng(0)
    for _ in range(5):
        move = 1e-5 * random.normal(0, 1, (6, 7))
        change = bundle._prior_residuals(bundle.step(model, move, np.zeros((len(model.d), 3))), priors, free) - base
        # Rotations use the derivative of small turns between frames; the prior is weak.
        assert np.allclose(change, rows @ move.ravel(), atol=0.15 * np.abs(change).max())


def dense(model, obs, free, priors, sigma):
    """The least squares problem as one dense Jacobian over all camera parameters and points, its residuals, and (7 T + 3 N, n) from unknowns to all parameters."""
    T, N = len(model.R), len(model.d)
    r, _ = bundle.residuals(model, obs, SIZE)
    cam, point = bundle.jacobians(model, obs)
    J = np.zeros((len(obs), 2, 7 * T + 3 * N))
    for m in range(len(obs)):
        J[m, :, 7 * obs.frame[m] : 7 * obs.frame[m] + 7] = cam[m]
        J[m, :, 7 * T + 3 * obs.point[m] : 7 * T + 3 * obs.point[m] + 3] = point[m]
    weight = np.sqrt(1 / (1 + (r**2).sum(1) / (bundle.CAUCHY * sigma) ** 2)) / sigma
    columns = [*range(3)] * free.rotation + [*range(3, 6)] * free.centre + [6] * free.zoom
    frames = np.zeros((7 * T, len(columns) * T))
    frames[(7 * np.arange(T)[:, None] + columns).ravel(), np.arange(len(columns) * T)] = 1
    rows = bundle._prior_rows(T, priors, free) @ frames.T
    mean = np.zeros((1, 7 * T))
    mean[:, 6::7] = 1 / T / priors.log_f_sigma
    A = np.concatenate([(J * weight[:, None, None]).reshape(-1, J.shape[2]), np.pad(np.concatenate([rows, mean]), ((0, 0), (0, 3 * N)))])
    lens = bundle._lens_prior(model, priors, free)
    b = np.concatenate([(r * weight[:, None]).ravel(), bundle._prior_residuals(model, priors, free), [lens]])
    unknown = frames[:, frames[:7].sum(0) == 0] if not free.zoom else frames[:, (frames[:6].sum(0) == 0)]
    if free.focal and not free.zoom:
        unknown = np.c_[unknown, np.tile(np.eye(7)[6], T)]
    kept = 3 if free.depth else 2
    points = np.eye(3 * N)[:, np.tile(np.arange(3) < kept, N)] if free.points else np.zeros((3 * N, 0))
    full = np.zeros((7 * T + 3 * N, unknown.shape[1] + points.shape[1]))
    full[: 7 * T, : unknown.shape[1]], full[7 * T :, unknown.shape[1] :] = unknown, points
    return A @ full, b, full


FREEDOMS = [Free(), Free(centre=False, depth=False), Free(centre=False, depth=False, zoom=True), Free(zoom=True), Free(focal=False, points=False)]


@pytest.mark.parametrize("short", [False, True])
@pytest.mark.parametrize("free", FREEDOMS, ids=["full", "rotation", "rotation+zoom", "full+zoom", "held points"])
def test_a_step_is_that_of_a_dense_solve(free, short):
    """With tracks through all of the shot, and with short ones, which leave a band, but for three that last."""
    model, obs = small_problem(frames=9, points=60, noise=0.5)
    model = disturbed(model, np.random.default_rng(1))
    if short:
        obs = obs.only((obs.frame >= obs.point // 10) & (obs.frame < obs.point // 10 + 4) | (obs.point % 20 == 0))
    priors, damping, sigma = Priors(np.log(550.0), travel=0.1), 1e-3, 1.0
    T, N = len(model.R), len(model.d)
    r, y = bundle.residuals(model, obs, SIZE)
    rows, lasting = bundle._prior_rows(T, priors, free), np.zeros(N, bool)
    lasting[::20] = short
    equations = bundle._normal_equations(model, obs, r, y, sigma, free, priors, np.argsort(obs.frame, kind="stable"), rows, lasting)
    assert len(equations.blocks) == (4 if short else 9) or not free.points
    d_cam, d_point = band.solve(equations, damping, obs, free, lasting)

    A, b, full = dense(model, obs, free, priors, sigma)
    H = A.T @ A
    x = full @ np.linalg.solve(H + damping * np.diag(H.diagonal()), -A.T @ b)
    # The prior of a zoom's mean is in the dense diagonal and is not damped in the band; it is weak.
    assert np.allclose(d_cam.ravel(), x[: 7 * T], atol=2e-4 * np.abs(x).max())
    assert np.allclose(d_point.ravel(), x[7 * T :], atol=2e-3 * np.abs(x).max())


@pytest.mark.parametrize("free", FREEDOMS[:4], ids=["full", "rotation", "rotation+zoom", "full+zoom"])
def test_the_sigma_of_the_lens_is_that_of_the_dense_covariance(free):
    model, obs = small_problem(frames=6, points=50, noise=0.5)
    priors = Priors(np.log(600.0), travel=0.1, turn=0.03)
    r, y = bundle.residuals(model, obs, SIZE)
    rows, lasting = bundle._prior_rows(6, priors, free), np.arange(50) < 3
    equations = bundle._normal_equations(model, obs, r, y, 1.0, free, priors, np.argsort(obs.frame, kind="stable"), rows, lasting)
    A, _, full = dense(model, obs, free, priors, 1.0)
    mean = full[6 : 7 * 6 : 7].mean(0)
    H = A.T @ A
    expected = np.sqrt(mean @ np.linalg.solve(H + 1e-9 * np.diag(H.diagonal()), mean))
    assert band.lens_sigma(equations, obs, free, lasting) == pytest.approx(expected, rel=1e-2)


def test_recovers_cameras_through_outliers():
    model, obs = small_problem(frames=8, points=120, noise=0.2)
    random = np.random.default_rng(3)
    wrong = random.random(len(obs)) < 0.1
    obs.xy[wrong] += random.normal(0, 30, (wrong.sum(), 2))
    fit = bundle.adjust(disturbed(model, random), obs, SIZE, Free(), Priors(np.log(620.0)), iterations=60, tolerance=1e-7)
    assert abs(np.log(fit.model.focal[0] / 600)) < 0.02
    turned = fit.model.R @ np.swapaxes(model.R, 1, 2)
    assert np.rad2deg(np.arccos(np.clip((np.trace(turned, axis1=1, axis2=2) - 1) / 2, -1, 1))).max() < 0.2
    assert 0.1 < fit.sigma < 0.35
    assert np.median(fit.error[wrong]) > 10


def test_focal_sigma_says_what_the_data_carry():
    """Far points leave the focal length to the prior; a scene with depth and a turning camera pins it."""
    model, obs = small_problem(frames=8, points=150, noise=0.3)
    near = bundle.adjust(model, obs, SIZE, Free(), Priors(np.log(600.0)), iterations=10).focal_sigma
    still = replace(model, R=np.tile(np.eye(3), (8, 1, 1)), w=np.full(150, 1e-6))
    xy = bundle.residuals(still, replace(obs, xy=np.zeros_like(obs.xy)), SIZE)[0]
    far = bundle.adjust(still, replace(obs, xy=xy), SIZE, Free(centre=False, depth=False), Priors(np.log(600.0))).focal_sigma
    assert near < 0.02
    assert far > 0.8 * bundle.FOCAL_SPREAD


@pytest.mark.parametrize("change", [lambda m: bundle.change_origin(m, 3), lambda m: bundle.rescale(m, 2.5)])
def test_change_of_frame_keeps_the_picture(change):
    model, obs = small_problem()
    assert np.abs(bundle.residuals(change(model), obs, SIZE)[0]).max() < 1e-8


def test_frame_zero_is_the_gauge_and_points_may_lie_at_infinity():
    model, obs = small_problem(noise=0.3)
    model.w[:5] = 1e-7
    fit = bundle.adjust(model, obs, SIZE, Free(), Priors(np.log(600.0)), iterations=10)
    assert np.array_equal(fit.model.R[0], model.R[0]) and np.array_equal(fit.model.c[0], model.c[0])
    assert np.isfinite(fit.model.w).all() and (fit.model.w > 0).all()


def test_few_points_that_last_stay_beside_the_band():
    frames, point = np.tile(np.arange(10), 300), np.repeat(np.arange(300), 10)
    obs = Observations(frames + point, point, np.zeros((3000, 2)))
    assert not band.lasting_points(obs, 310, 300, Free()).any()
    obs.frame[9], obs.frame[19] = 305, 250
    assert np.flatnonzero(band.lasting_points(obs, 310, 300, Free())).tolist() == [0, 1]
