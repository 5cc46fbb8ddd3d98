"""How fast somebody walks by how their shoulders rise and fall."""

import numpy as np
import pytest

from solver.world import gait

FPS = 24.0
T = np.arange(60) / FPS
LEG = 0.85


def bob(hz, millimetres, drift=0.3):
    return 1.4 + drift * T + 1e-3 * millimetres * np.sin(2 * np.pi * hz * T + 0.4)


def test_long_quick_steps_are_fast_and_who_talks_does_not_walk():
    usual = gait.speed(bob(1.8, 14), LEG, FPS)
    assert 1.1 < usual < 1.4
    assert gait.speed(bob(2.0, 25), LEG, FPS) > 1.2 * usual > 1.2 * gait.speed(bob(1.6, 10), LEG, FPS)
    assert np.isnan(gait.speed(bob(1.8, 3), LEG, FPS)) and np.isnan(gait.speed(bob(0.7, 4), LEG, FPS))
    assert np.isnan(gait.speed(bob(1.8, 14)[:20], LEG, FPS))


def test_speed_counts_the_way_somebody_faces():
    up, ahead = np.array([0.0, 0, 1]), np.tile([1.0, 0, 0.3], (60, 1))
    root = np.stack([1.3 * T, 0.2 * np.sin(T), 0.02 * np.sin(12 * T)], 1)
    assert gait.along(root, ahead, up, FPS) == pytest.approx(1.3, rel=0.02)
    assert gait.along(root, -ahead, up, FPS) == pytest.approx(-1.3, rel=0.02)
    assert np.isnan(gait.along(root[:8], ahead[:8], up, FPS))


def test_who_goes_as_they_step_costs_nothing():
    assert gait.unlike(1.3, 1.3) == 0 and gait.unlike(1.15, 1.3) < 0.5 < gait.unlike(2.6, 1.3) and gait.unlike(-1.3, 1.3) > 0.99


def seen(v, phase, noise, rng):
    """What shoulders, wrists and thighs of somebody of speed v show, m, m and sines."""
    size = v / np.sqrt(gait.G * LEG) / 0.5
    bob = LEG * gait.BOB * size * np.cos(2 * phase + gait.BOB_PHASE) + rng.normal(size=len(phase)) * 0.004 * noise
    sway = LEG * gait.SWAY * np.cos(phase + gait.SWAY_PHASE) + rng.normal(size=len(phase)) * 0.005 * noise
    return bob, sway, LEG * gait.ARMS * size * np.cos(phase) + rng.normal(size=len(phase)) * 0.05 * noise


def phase_of(v, rate=1.0, start=1.3):
    relative = v / np.sqrt(gait.G * LEG)
    strides = np.polyval(gait._asset()["cadence"], relative) * np.sqrt(gait.G / LEG) * rate
    return 2 * np.pi * strides * T + start, relative


@pytest.mark.parametrize("v, rate, start", [(1.2, 1.0, 1.3), (1.2, 1.15, 4.0), (0.7, 1.0, 0.2), (1.5, 0.9, 2.5)])
def test_legs_step_in_the_phase_of_shoulders_and_arms(v, rate, start):
    phase, relative = phase_of(v, rate, start)
    found = gait.walk(np.full(len(T), v), LEG, FPS, *seen(v, phase, 1.0, np.random.default_rng(0)), np.full(len(T), np.nan))
    true = gait.harmonics(np.stack([phase, phase + np.pi], -1), np.full((len(T), 2), relative)) @ gait._asset()["legs"]
    off = lambda sines: np.sqrt(((sines - true) ** 2).mean())
    assert off(found.sines) < 0.15
    assert off(found.sines[:, ::-1]) > 0.4  # the left is the left
    assert found.share.min() > 0.9
    degrees = np.rad2deg(phase) % 360
    surely = (degrees > 30) & (degrees < 150)
    assert found.stands[surely, :2].mean() > 0.9 and found.stands[(degrees > 230) & (degrees < 330), :2].mean() < 0.1


def test_arms_that_nobody_sees_leave_the_steps_of_the_shoulders():
    phase, relative = phase_of(1.2)
    bob, sway, _ = seen(1.2, phase, 1.0, np.random.default_rng(1))
    nothing = np.full(len(T), np.nan)
    found = gait.walk(np.full(len(T), 1.2), LEG, FPS, bob, nothing, nothing, nothing)
    true = gait.harmonics(np.stack([phase, phase + np.pi], -1), np.full((len(T), 2), relative)) @ gait._asset()["legs"]
    assert min(np.abs(found.sines - true).mean(), np.abs(found.sines[:, ::-1] - true).mean()) < 0.15  # which leg is which cannot be seen
    found = gait.walk(np.full(len(T), 1.2), LEG, FPS, bob, sway, nothing, nothing)
    assert np.sqrt(((found.sines - true) ** 2).mean()) < 0.15  # shoulders are over the leg that stands


def test_who_stands_does_not_step():
    still = gait.walk(np.zeros(60), LEG, FPS, bob(1.8, 1), np.zeros(60), np.zeros(60), np.zeros(60))
    assert still.share.max() < 0.02 and np.isfinite(still.sines).all()


def test_a_walk_changes_its_pace_and_the_phase_follows():
    speed = np.linspace(0.8, 1.6, 60)
    relative = speed / np.sqrt(gait.G * LEG)
    strides = np.polyval(gait._asset()["cadence"], relative) * np.sqrt(gait.G / LEG)
    phase = 0.7 + 2 * np.pi * np.cumsum(strides) / FPS
    found = gait.walk(speed, LEG, FPS, *seen(1.2, phase, 1.0, np.random.default_rng(2)), np.full(60, np.nan))
    true = gait.harmonics(np.stack([phase, phase + np.pi], -1), np.repeat(relative[:, None], 2, 1)) @ gait._asset()["legs"]
    assert np.sqrt(((found.sines - true) ** 2).mean()) < 0.15
