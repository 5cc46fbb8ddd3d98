"""Cuts, and what only looks like them."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest

from solver.protocol import Reporter, ShotError
from solver.shot.cuts import CutFinder
from solver.shot.shot import run
from tests.unit.test_shot import movie, options, picture

DATA = Path(__file__).resolve().parents[1] / "data"
WIDTH, HEIGHT = 256, 144


def scene(seed):
    """A wide street of its own: houses, windows and a ground, (144, 1200, 3)."""
    rng = np.random.default_rng(seed)
    out = np.zeros((HEIGHT, 1200, 3), np.uint8)
    out[:] = rng.integers(60, 200, 3)
    horizon, x = int(rng.integers(70, 120)), 0
    while x < 1200:
        wide, top = int(rng.integers(40, 140)), int(rng.integers(0, 50))
        out[top:horizon, x : x + wide] = rng.integers(20, 230, 3)
        for wx in range(x + 6, x + wide - 8, int(rng.integers(12, 26))):
            for wy in range(top + 6, horizon - 10, int(rng.integers(14, 24))):
                out[wy : wy + 9, wx : wx + 7] = rng.integers(10, 250, 3)
        x += wide
    out[horizon:] = rng.integers(30, 160, 3)
    out[horizon:] = np.clip(out[horizon:] + rng.normal(0, 14, (HEIGHT - horizon, 1200, 1)), 0, 255)
    return cv2.GaussianBlur(out, (0, 0), 0.8)


def view(wide, x, blur=0):
    """What a camera sees of a wide picture at column x, over whose exposure it moves by `blur` columns."""
    if not blur:
        return np.ascontiguousarray(wide[:, round(x) : round(x) + WIDTH])
    parts = [wide[:, round(x + blur * t) : round(x + blur * t) + WIDTH].astype(float) for t in np.linspace(-0.5, 0.5, 24)]
    return np.mean(parts, 0).astype(np.uint8)


def find(images):
    finder = CutFinder()
    for image in images:
        finder.add(image)
    return finder.finish()


@pytest.mark.parametrize("speed", [30, 44, 60, 80])
@pytest.mark.parametrize("seed", [1, 2])
def test_a_whip_pan_is_no_cut(seed, speed):
    """Eight pictures still, eight at up to a third of the picture a frame with the blur of a whole one, eight still."""
    wide = scene(seed)
    images = [view(wide, 40)] * 8 + [view(wide, 40 + speed * (k + 0.5), speed) for k in range(8)] + [view(wide, 40 + 8 * speed)] * 8
    assert find(images) == []


@pytest.mark.parametrize("seed", range(6))
def test_a_cut_is_one_also_in_a_pan_and_under_a_title_that_stays(seed):
    a, b = scene(2 * seed + 1), scene(2 * seed + 2)
    images = [view(a, 10 * k) for k in range(20)] + [view(b, 10 * k) for k in range(20)]
    assert find(images) == [(20, 20)]
    for image in images:
        cv2.putText(image, "NEWS AT TEN", (20, 130), cv2.FONT_HERSHEY_SIMPLEX, 0.9, (255, 255, 255), 2, cv2.LINE_AA)
    assert find(images) == [(20, 20)]


@pytest.mark.parametrize("length", [8, 12, 24])
@pytest.mark.parametrize("speed", [0, 1])
def test_a_dissolve_parts_two_pieces_and_belongs_to_neither(length, speed):
    a, b = scene(11), scene(12)
    images = [view(a, speed * k) for k in range(40)]
    for k in range(length):
        share = (k + 1) / (length + 1)
        images.append(cv2.addWeighted(view(a, speed * (40 + k)), 1 - share, view(b, 300 - speed * k), share, 0))
    images += [view(b, 300 - speed * (length + k)) for k in range(40)]
    ((start, end),) = find(images)
    assert abs(start - 40) <= 3 and abs(end - 40 - length) <= 3


def test_fades_of_one_scene_are_no_cuts_and_between_two_they_are():
    a, b = scene(21), scene(22)
    level = [*np.linspace(0, 1, 12), *[1.0] * 30, *np.linspace(1, 0, 12)]

    def faded(wide):
        return [(view(wide, 2 * k) * v).astype(np.uint8) for k, v in enumerate(level)]

    assert find(faded(a)) == []
    ((start, end),) = find(faded(a) + faded(b))
    assert 44 <= start <= end <= 64
    white = [cv2.addWeighted(view(a, 2 * k), v, np.full((HEIGHT, WIDTH, 3), 255, np.uint8), 1 - v, 0) for k, v in enumerate([1.0] * 20 + [0.0] * 3 + [1.0] * 20)]
    assert find(white) == []  # a flash that fills the picture


@pytest.mark.parametrize("speed", [2, 6, 15, 40])
def test_a_pan_is_no_dissolve(speed):
    wide = scene(31)
    assert find([view(wide, x, speed) for x in range(40, 900, speed)]) == []


@pytest.mark.parametrize("name", ["near.mp4", "wide.mp4"])
def test_rendered_film_has_no_cut(name):
    shot = run(DATA / name, options(), Reporter())
    assert shot.pieces == [[0, shot.frames]]


def test_the_artist_says_where_the_cuts_are(tmp_path):
    path = movie(tmp_path / "a.mp4", [picture(k) for k in range(20)] + [picture(k, scene=7) for k in range(30)])
    assert run(path, options(cuts="none"), Reporter()).pieces == [[0, 50]]
    assert run(path, options(cuts=(10, 35)), Reporter()).pieces == [[0, 10], [10, 35], [35, 50]]
    with pytest.raises(ShotError, match="frames 0 to 49"):
        run(path, options(cuts=(10, 99)), Reporter())
