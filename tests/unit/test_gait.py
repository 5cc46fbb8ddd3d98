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
    assert usual == pytest.approx(gait.FACTOR * 1.8 * np.sqrt(LEG * 0.014), rel=0.06) and 1.1 < usual < 1.6
    assert gait.speed(bob(2.0, 25), LEG, FPS) > 1.3 * usual
    assert np.isnan(gait.speed(bob(1.8, 3), LEG, FPS)) and np.isnan(gait.speed(bob(0.7, 4), LEG, FPS))
    assert np.isnan(gait.speed(bob(1.8, 14)[:20], LEG, FPS))


def test_speed_counts_the_way_somebody_faces():
    up, ahead = np.array([0.0, 0, 1]), np.tile([1.0, 0, 0.3], (60, 1))
    root = np.stack([1.3 * T, 0.2 * np.sin(T), 0.02 * np.sin(12 * T)], 1)
    assert gait.along(root, ahead, up, FPS) == pytest.approx(1.3, rel=0.02)
    assert gait.along(root, -ahead, up, FPS) == pytest.approx(-1.3, rel=0.02)
    assert np.isnan(gait.along(root[:8], ahead[:8], up, FPS))


def test_who_goes_as_they_step_costs_nothing():
    assert gait.unlike(1.3, 1.3) == 0 and gait.unlike(1.0, 1.3) < 0.5 < gait.unlike(2.6, 1.3) and gait.unlike(-1.3, 1.3) > 0.99
