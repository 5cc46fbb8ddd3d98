"""Who passes behind somebody else, told by geometry: squares before a still camera."""

import numpy as np
import pytest

from solver.records import Camera
from solver.world.sight import in_sight

FRAMES, SIZE, FPS = 21, 64, 24
FACES = np.array([[0, 1, 2], [0, 2, 3]])


def _square(x, z, half=0.5):
    return np.array([[x - half, -half, z], [x + half, -half, z], [x + half, half, z], [x - half, half, z]])


def _scene(depth_of_walker):
    """Person 1 stands before the middle of the picture at 5 m, person 0 walks across it at another depth."""
    x = np.linspace(-1.6, 1.6, FRAMES)
    K = np.array([[80.0, 0, SIZE / 2], [0, 80.0, SIZE / 2], [0, 0, 1]])
    camera = Camera(np.tile(np.eye(4), (FRAMES, 1, 1)), np.tile(K, (FRAMES, 1, 1)))
    return camera, lambda p, t: _square(x[t], depth_of_walker, 0.4) if p == 0 else _square(0.0, 5.0)


@pytest.mark.parametrize("depth", [6.0, 4.0])
def test_who_is_lost_behind_somebody_is_in_sight_until_hidden(depth):
    camera, vertices = _scene(depth)
    visible = np.ones((2, FRAMES), bool)
    visible[0, 4:17] = False
    seen = in_sight(visible, vertices, FACES, camera, SIZE, SIZE, FPS)
    assert seen[1].all()
    if depth == 4.0:  # nobody is in front: whatever hides the walker is not known
        assert (seen == visible).all()
    else:
        assert not seen[0, 10] and seen[0, [4, 5, 15, 16]].all() and (np.diff(seen[0].astype(int)) != 0).sum() == 2


def test_a_long_gap_stays_a_gap():
    camera, vertices = _scene(6.0)
    visible = np.ones((2, FRAMES), bool)
    visible[0, 4:17] = False
    assert (in_sight(visible, vertices, FACES, camera, SIZE, SIZE, 8) == visible).all()
