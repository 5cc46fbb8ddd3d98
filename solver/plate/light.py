"""The light of the film, from the shadows that its people cast on the ground.

On the ground z = 0 a shadow is the body, sheared: a point at height z darkens the ground at (x, y) + z * shift. So two numbers,
`shift`, are the direction of the sun, and they are found where the ground of a frame is darker than the same ground is in other
frames (its unshadowed look). That tells these shadows from all others: they move with the people.
"""

from __future__ import annotations

import warnings
from dataclasses import asdict, dataclass

import cv2
import numpy as np

from ..frames import invert, project

LEAST = 0.35  # how sure a light must be before it is used
CELL_M = 0.05
REACH_M = 3.0  # ground around the people that is looked at
MOST_CELLS = 360  # a side
FRAMES = 24
POINTS = 600  # of a body
SEEN = 3  # frames that must show a piece of ground before it has an unshadowed look
LENGTHS = (0.18, 0.3, 0.45, 0.65, 0.9, 1.2, 1.6, 2.1, 2.8)  # of `shift`: suns from 80 to 20 degrees high
TURNS = 24
DARKEST, DARKEST_GAIN = 1.2, -0.25  # log of light that is believed


@dataclass
class Light:
    """The main light. World axes, linear light."""

    shift: tuple  # (2,) m on the ground for each metre of height, away from the light
    shade: tuple  # (3,) share of the light that is left in a shadow, R G B, linear
    sure: float  # 0..1; below LEAST there is no direction to speak of
    spread_deg: float  # between the two halves of the shot

    @property
    def towards(self) -> np.ndarray:
        """(3,) unit, towards the light."""
        out = np.array([-self.shift[0], -self.shift[1], 1.0])
        return out / np.linalg.norm(out)

    def to_json(self) -> dict:
        x, y, z = self.towards
        return {
            **asdict(self), "towards": [float(x), float(y), float(z)],
            "elevation_deg": float(np.rad2deg(np.arcsin(z))), "azimuth_deg": float(np.rad2deg(np.arctan2(y, x))),
        }  # fmt: skip


def estimate(frames, masks, camera, bodies, count: int, grow_px: int) -> Light | None:
    """The main light of a shot, or None where no ground is seen twice.

    frames(i): RGB uint8 (H, W, 3). masks(i): person indices (H, W). camera: Camera in the world.
    bodies(i): list of (V, 3) m, who is seen at frame i. grow_px: how far masks are grown before ground is believed.
    """
    chosen = np.unique(np.linspace(0, count - 1, min(FRAMES, count)).round().astype(int))
    people = {int(i): [v[:: max(1, len(v) // POINTS)] for v in bodies(int(i))] for i in chosen}
    feet = [v[:, :2].mean(0) for i in people for v in people[i]]
    if len(feet) < SEEN:
        return None
    ground = Ground(np.array(feet))
    layers = [
        ground.look(frames(int(i)), masks(int(i)), camera.T_world_from_cam[i], camera.K[i], grow_px) for i in chosen
    ]
    colours = np.stack(layers)  # (n, h, w, 3) log light, NaN where the ground is not seen
    seen = np.isfinite(colours[..., 0])
    enough = seen.sum(0) >= SEEN
    if enough.sum() < 200:
        return None
    usual = np.full(colours.shape[1:], np.nan, np.float32)
    usual[enough] = _share(colours[:, enough], 0.7)
    here = [people[int(i)] for i in chosen]
    grey = _darker(usual, colours)
    best, score, rival = _search(ground, grey, here)
    if best is None:
        return None
    # who turns on the spot darkens the same ground in most frames: now that shadows are known, its unshadowed look is too
    inside = np.stack([cv2.dilate(ground.shadow(v, best).astype(np.uint8), np.ones((5, 5))) for v in here]).astype(bool)
    open_ = np.where(inside[..., None], np.nan, colours)
    unshadowed = _share(open_, 0.5)  # NaN on ground that is always in shadow
    grey = _darker(unshadowed, colours)
    best, score = _refine(ground, grey, here, best)
    halves = [_refine(ground, grey[k::2], here[k::2], best)[0] for k in (0, 1)]
    spread = float(np.rad2deg(np.arccos(np.clip(_unit(halves[0]) @ _unit(halves[1]), -1, 1))))
    share = _shade(ground, unshadowed - colours, here, best)
    apart = np.clip(1 - max(rival, 0) / max(score, 1e-6), 0, 1)  # how much better than any other direction
    depth = np.clip((1 - float(np.mean(share))) / 0.15, 0, 1)  # a shadow that one sees
    sure = float(np.clip(1.6 * apart, 0, 1) * depth * np.clip(1.5 - spread / 30, 0, 1))
    return Light(tuple(float(s) for s in best), tuple(float(s) for s in share), sure, spread)


def _share(values, share):
    """Quantile over the first axis of all that is not NaN; NaN where nothing is. As numpy's, which takes pixel after pixel."""
    values = np.sort(values, axis=0)  # NaN last
    at = share * np.maximum(np.isfinite(values).sum(0) - 1, 0)[None]
    low = np.floor(at).astype(int)
    high = np.minimum(np.ceil(at).astype(int), len(values) - 1)
    a, b = (np.take_along_axis(values, k, 0)[0] for k in (low, high))
    return (a + (b - a) * (at - low)[0]).astype(np.float32)


def _darker(usual, colours):
    """(n, h, w): by how much each frame is darker than the ground's usual look, log light; changes of exposure taken out."""
    grey = np.clip((usual - colours).mean(-1), DARKEST_GAIN, DARKEST)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # a frame without ground
        return grey - np.nanmedian(grey, axis=(1, 2), keepdims=True)


class Ground:
    """A map of the ground around some places: cells of CELL_M."""

    def __init__(self, places):
        low, high = places.min(0) - REACH_M, places.max(0) + REACH_M
        self.cell = max(CELL_M, float((high - low).max()) / MOST_CELLS)
        self.low = low
        self.width, self.height = (np.ceil((high - low) / self.cell)).astype(int)
        x, y = np.meshgrid(np.arange(self.width) + 0.5, np.arange(self.height) + 0.5)
        self.points = np.stack([low[0] + x * self.cell, low[1] + y * self.cell, np.zeros_like(x)], -1)

    def look(self, rgb, people, T_world_from_cam, K, grow_px):
        """Log light (h, w, 3) of the cells in a frame; NaN where they are hidden, outside, or too far to be told apart."""
        T = invert(T_world_from_cam)
        with np.errstate(invalid="ignore", divide="ignore"):
            pixels = project(self.points.reshape(-1, 3), T, K).reshape(self.height, self.width, 2).astype(np.float32)
        # a cell that is less than a third of a pixel high is a mixture
        step = np.abs(np.gradient(pixels[..., 1], axis=0)) + np.abs(np.gradient(pixels[..., 1], axis=1))
        where = np.nan_to_num(pixels - 0.5, nan=-1e4)
        hidden = cv2.dilate((people > 0).astype(np.uint8), np.ones((2 * grow_px + 1,) * 2))
        out = cv2.remap(np.log(linear(rgb) + 0.004), where, None, cv2.INTER_LINEAR)
        covered = cv2.remap(hidden, where, None, cv2.INTER_NEAREST, borderMode=cv2.BORDER_CONSTANT, borderValue=1)
        out[(covered > 0) | ~np.isfinite(step) | (step < 0.3)] = np.nan
        return out

    def shadow(self, bodies, shift) -> np.ndarray:
        """(h, w) bool: where bodies, lists of (V, 3), darken the ground."""
        out = np.zeros((self.height, self.width), np.uint8)
        for v in bodies:
            at = (v[:, :2] + np.maximum(v[:, 2:], 0) * shift - self.low) / self.cell
            x, y = at.astype(int).T
            inside = (at >= 0).all(1) & (x < self.width) & (y < self.height)
            out[y[inside], x[inside]] = 1
        return cv2.morphologyEx(out, cv2.MORPH_CLOSE, np.ones((5, 5))).astype(bool)


def _score(ground, grey, people, shift):
    """How well shadows along `shift` explain the dark ground: a matched filter, so neither small nor large shadows gain by size."""
    total, cells = 0.0, 0
    for dark, bodies in zip(grey, people):
        if bodies:
            mask = ground.shadow(bodies, shift) & np.isfinite(dark)
            total += float(dark[mask].sum())
            cells += int(mask.sum())
    return total / np.sqrt(cells + 50.0)


def _search(ground, grey, people):
    """The best of all shifts (2,), its score, and the score of the best one whose shadows lie more than 45 degrees away."""
    grey, people = grey[::2], people[::2]
    turns = 2 * np.pi * np.arange(TURNS) / TURNS
    directions = np.stack([np.cos(turns), np.sin(turns)], 1)
    tried = np.concatenate([length * directions for length in LENGTHS])
    scores = np.array([_score(ground, grey, people, s) for s in tried])
    if not np.isfinite(scores).any():
        return None, 0.0, 0.0
    first = int(np.nanargmax(scores))
    apart = np.tile(directions, (len(LENGTHS), 1)) @ directions[first % TURNS] < np.sqrt(0.5)
    return tried[first], float(scores[first]), float(scores[apart].max())


def _refine(ground, grey, people, shift):
    """Walk to the best shift (2,) near one. Returns it and its score."""
    best, top = np.array(shift), _score(ground, grey, people, shift)
    step = 0.2 * np.linalg.norm(best) + 0.04
    while step > 0.01:
        around = [best + step * np.array([np.cos(a), np.sin(a)]) for a in np.arange(8) * np.pi / 4]
        found = [_score(ground, grey, people, s) for s in around]
        if max(found) > top:
            best, top = around[int(np.argmax(found))], max(found)
        else:
            step /= 2
    return best, top


def _shade(ground, dark, people, shift):
    """What is left of the light inside the shadows along `shift`, (3,) linear."""
    inner = []
    for layer, bodies in zip(dark, people):
        core = cv2.erode(ground.shadow(bodies, shift).astype(np.uint8), np.ones((3, 3))) > 0
        inner.append(layer[core & np.isfinite(layer).all(-1)])
    inner = np.concatenate(inner)
    return np.clip(np.exp(-np.maximum(np.median(inner, 0), 0)), 0.02, 1) if len(inner) >= 30 else np.ones(3)


def _unit(shift):
    v = np.array([-shift[0], -shift[1], 1.0])
    return v / np.linalg.norm(v)


def linear(rgb):
    """sRGB uint8 to linear 0..1."""
    x = np.arange(256, dtype=np.float32) / 255
    table = np.where(x <= 0.04045, x / 12.92, ((x + 0.055) / 1.055) ** 2.4).astype(np.float32)
    return table[rgb]


def encoded(light):
    """Linear 0..1 to sRGB, float32 0..255."""
    x = np.clip(light, 0, 1)
    return (255 * np.where(x <= 0.0031308, 12.92 * x, 1.055 * x ** (1 / 2.4) - 0.055)).astype(np.float32)
