"""Whose each pixel is: one small frame with truth, and what each kind of evidence is worth in it."""

import cv2
import numpy as np
import pytest

from solver.masks import enlarged
from solver.masks.label import BINS, Evidence, bins, label, models, rates
from solver.masks.soft import read_soft, small_size, write_soft

H, W = 120, 160
GROUND, RED, BLUE, COAT = (90, 120, 80), (180, 40, 40), (40, 60, 170), (150, 150, 140)


def box(x0, y0, x1, y1):
    out = np.zeros((H, W), bool)
    out[y0:y1, x0:x1] = True
    return out


@pytest.fixture
def scene():
    """A red and a blue person who overlap, red in front. Nets mix them up and are unsure of red's coat, whose colour the background has as well."""
    rng = np.random.default_rng(3)
    truth = np.zeros((H, W), int)
    blue, red, coat = box(80, 20, 110, 110), box(55, 15, 85, 110), box(40, 50, 55, 90)
    truth[blue], truth[red | coat] = 2, 1
    rgb = np.full((H, W, 3), GROUND, np.uint8)
    for where, colour in ((truth == 2, BLUE), (red, RED), (coat, COAT)):
        rgb[where] = colour
    rgb = np.clip(rgb + rng.normal(0, 3, rgb.shape), 0, 255).astype(np.uint8)
    nets = np.stack([red | box(80, 15, 95, 110), blue]).astype(np.float32)  # red's net takes a part of blue, too
    nets[0][coat] = 0.45
    nets = np.stack([cv2.GaussianBlur(net, (0, 0), 2) for net in nets])
    bodies = np.stack([box(57, 17, 83, 108), box(82, 22, 108, 108)])
    front = np.where(bodies[0], 1, np.where(bodies[1], 2, 0))
    strange = truth > 0
    strange ^= rng.random((H, W)) < 0.05
    evidence = Evidence(rgb, nets, np.ones(2, bool), bodies, front, np.ones((H, W), bool), strange)
    row = bins(rgb)
    counts = np.array([np.bincount(row[where], minlength=BINS**3) for where in (truth == 0, red, blue & ~red, coat)], float)
    counts /= counts.sum(1, keepdims=True)
    colours = models([0.9 * counts[0] + 0.1 * counts[3], 0.8 * counts[1] + 0.2 * counts[3], counts[2]])
    return truth, evidence, colours


def iou(found, truth, person):
    return ((found == person) & (truth == person)).sum() / ((found == person) | (truth == person)).sum()


def test_each_pixel_goes_to_its_person(scene):
    truth, evidence, colours = scene
    found = label(evidence, colours)
    assert iou(found, truth, 1) > 0.9 and iou(found, truth, 2) > 0.9
    alone = np.where(evidence.nets.max(0) > 0.5, evidence.nets.argmax(0) + 1, 0)
    assert iou(alone, truth, 1) < 0.88 and iou(alone, truth, 2) < 0.88


def test_a_coat_as_the_ground_is_found_by_the_background(scene):
    _, evidence, colours = scene
    coat = box(42, 52, 53, 88)
    assert (label(evidence, colours)[coat] == 1).mean() > 0.6
    evidence.known[:] = False
    assert (label(evidence, colours)[coat] == 1).mean() < 0.1


def test_colours_part_those_whom_one_net_mixed_up(scene):
    _, evidence, colours = scene
    mixed = box(86, 25, 93, 105)
    assert (label(evidence, colours)[mixed] == 2).mean() > 0.95
    evidence.bodies[:], evidence.front[:] = False, 0
    assert (label(evidence, colours)[mixed] == 2).mean() > 0.95
    assert (label(evidence, np.full_like(colours, 1 / BINS**3))[mixed] == 2).mean() < 0.8


def test_whom_no_net_was_asked_about_is_found_by_body_and_colour(scene):
    _, evidence, colours = scene
    evidence.nets[1], evidence.asked[1] = 0, False
    assert (label(evidence, colours)[box(88, 25, 106, 105)] == 2).mean() > 0.9
    evidence.bodies[1] = False
    assert not (label(evidence, colours) == 2).any()  # neither body nor net: not there


def test_an_unreliable_background_is_not_believed(scene):
    _, evidence, _ = scene
    net, body = evidence.nets.max(0), evidence.bodies.any(0).astype(float)
    strange, usual = rates(evidence, net, body)
    assert 2 < strange < 4 and 1 < usual < 3.5
    evidence.strange[:] = np.random.default_rng(0).random((H, W)) < 0.5
    assert all(abs(value) < 0.35 for value in rates(evidence, net, body))


def test_nobody():
    nothing = np.zeros((1, H, W))
    evidence = Evidence(np.zeros((H, W, 3), np.uint8), nothing, np.zeros(1, bool), nothing > 0, nothing[0].astype(int), nothing[0] > 0, nothing[0] > 0)
    assert not label(evidence, np.full((2, BINS**3), 1 / BINS**3)).any()


def test_a_large_film_keeps_its_edges_where_nothing_changed():
    full = np.zeros((480, 640), np.uint8)
    full[100:301, 101:200] = 1
    small = cv2.resize(full, (320, 240), interpolation=cv2.INTER_NEAREST)
    assert np.array_equal(enlarged(small, small, full), full)
    labels = small.copy()
    labels[50:150, 100:120] = 2
    after = enlarged(labels, small, full)
    assert (after[110:290, 204:236] == 2).all() and np.array_equal(after[:, :190], full[:, :190])


def test_what_the_nets_said_is_kept(tmp_path):
    said = np.random.default_rng(1).integers(0, 256, (3, 6, 8), np.uint8)
    write_soft(tmp_path / "0.png", said)
    assert np.array_equal(read_soft(tmp_path / "0.png", 6), said)
    assert read_soft(tmp_path / "1.png", 6) is None
    assert small_size(1920, 1080) == (640, 360) and small_size(320, 240) == (320, 240)
