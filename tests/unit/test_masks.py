"""The stage *masks* on a small shot with truth: somebody walks past before a wall, and no net has their legs."""

from types import SimpleNamespace

import cv2
import numpy as np

from solver import masks
from solver.body.model import BodyModel
from solver.raster import rasterise
from solver.records import Camera, People, Slam
from solver.world.world import posed

T, W, H = 10, 160, 120


def shot():
    """Frames, true masks, people, camera and what *slam* found; person number 4."""
    rng = np.random.default_rng(5)
    zero = np.zeros
    trans = np.stack([np.linspace(-0.9, 0.9, T), np.full(T, 0.0), np.full(T, 4.0)], 1)[None]
    turned = np.tile([np.pi, 0, 0], (1, T, 1))  # the camera's y points down
    people = People(np.array([4]), zero((1, 10)), turned, zero((1, T, 23, 3)), trans, np.ones((1, T), bool), np.ones((1, T, 24)))
    camera = Camera(np.tile(np.eye(4), (T, 1, 1)), np.tile([[150.0, 0, W / 2], [0, 150, H / 2], [0, 0, 1]], (T, 1, 1)))
    slam = Slam(camera, "static", {}, "given", 0.0, np.ones(T, bool), zero((0, 3)), zero((0, 3), np.uint8), zero(0, int), zero(0, int), zero((0, 2)))
    model = BodyModel.load()
    _, _, vertices = posed(people, model)
    wall = cv2.resize(rng.integers(60, 180, (30, 40, 3), np.uint8), (W, H), interpolation=cv2.INTER_CUBIC)
    true, pictures = [], []
    for index in range(T):
        which, _ = rasterise(vertices(0, index), model.faces.numpy(), np.eye(4), camera.K[index], W, H)
        true.append(which >= 0)
        picture = np.where(true[-1][..., None], np.uint8([200, 40, 40]), wall)
        pictures.append(np.clip(picture + rng.normal(0, 2, picture.shape), 0, 255).astype(np.uint8))
    return pictures, true, people, camera, slam, model


def test_legs_that_no_net_has_are_found_and_others_stay_as_they_are():
    pictures, true, people, camera, slam, model = shot()
    drawn, soft = [], []
    for where in true:
        seen = where & (np.arange(H)[:, None] < 0.6 * H)
        mask = np.where(seen, 4, 0).astype(np.uint8)
        mask[:4, :4] = 9  # of somebody whom the labelling does not know
        drawn.append(mask)
        soft.append({0: cv2.GaussianBlur(np.uint8(seen) * 255, (0, 0), 1)})
    soft[0] = None  # no net was asked
    frames, report = SimpleNamespace(read=pictures.__getitem__), SimpleNamespace(progress=lambda *_: None)
    given = SimpleNamespace(width=W, height=H, frames=T)
    found = dict(masks.run(given, frames, drawn.__getitem__, soft.__getitem__, people, camera, slam, model, report))
    assert 0 not in found and len(found) == T - 1
    iou = lambda mask, where: ((mask == 4) & where).sum() / ((mask == 4) | where).sum()
    before, after = (np.mean([iou(stack[f], true[f]) for f in found]) for stack in (drawn, found))
    assert before < 0.85 and after > 0.93
    assert all((mask[:4, :4] == 9).all() for mask in found.values())
