"""Whose each pixel of a frame is: one decision for all people and the background, from everything that is known about it. numpy and OpenCV.

Costs are negative log likelihoods. How often the background's evidence errs is measured in each frame, where nets and bodies agree.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

BINS = 8  # a channel of Lab, of colour models
LEAST, MOST = 0.02, 0.98  # nothing is surer than that
BODY = 0.6  # weight of solved bodies against nets, as for whether somebody is there: they have no clothes
SHARE = 0.5  # weight of the nets for whose a pixel is: each net saw one person alone
HIDDEN = 0.4  # how much a body counts where another one is in front of it
EDGE = 0.05  # of a person's size: how soft the outline of a body is
FLOOR = 0.05  # of each person's claim to a pixel
FAR, FAR_COST = 0.3, 2.0  # nothing further from a person than this part of their size is theirs, and what each further such part costs
USUAL, STRANGE, STRANGE_BEHIND = 300, 0.6, 0.05  # pixels that these rates of strangeness count as, on people and on the background
SMOOTH_PX = 0.8


@dataclass
class Evidence:
    """What is known of one frame: P people, h x w pixels."""

    rgb: np.ndarray  # (h, w, 3) uint8
    nets: np.ndarray  # (P, h, w) 0..1, each person's mask
    asked: np.ndarray  # (P,) bool, whether a net was asked about them in this frame
    bodies: np.ndarray  # (P, h, w) bool, silhouettes of the bodies, 0 for who is not there
    front: np.ndarray  # (h, w) int, row + 1 of the nearest body, 0 where there is none
    known: np.ndarray  # (h, w) bool, where other frames show the background
    strange: np.ndarray  # (h, w) bool, where the frame shows something else

    @property
    def there(self):
        return self.asked | self.bodies.any((1, 2))


def bins(rgb) -> np.ndarray:
    """Row (h, w) of each pixel's colour in a model. rgb: (h, w, 3) uint8."""
    lab = cv2.cvtColor(cv2.GaussianBlur(rgb, (3, 3), 0), cv2.COLOR_RGB2LAB).astype(int)
    light, chroma = lab[..., 0] * BINS // 256, np.clip(lab[..., 1:] - 64, 0, 127) * BINS // 128  # few colours are further out
    return (light * BINS + chroma[..., 0]) * BINS + chroma[..., 1]


def models(counts) -> np.ndarray:
    """Likelihoods (P + 1, BINS^3) of colours from how often they were seen on the background and on each person, in the same order."""
    out = []
    for count in counts:
        cube = count.reshape(BINS, BINS * BINS).astype(np.float64)
        soft = cv2.GaussianBlur(cube, (1, 3), 0.7).reshape(BINS, BINS, BINS)
        for axis in (1, 2):
            flat = np.moveaxis(soft, axis, 0).reshape(BINS, -1)
            soft = np.moveaxis(cv2.GaussianBlur(flat, (1, 3), 0.7).reshape(BINS, BINS, BINS), 0, axis)
        soft = soft.ravel() + 1e-9
        out.append(0.9 * soft / soft.sum() + 0.1 / soft.size)
    return np.array(out)


def label(evidence: Evidence, colours) -> np.ndarray:
    """Row + 1 (h, w) int of whose each pixel is, 0 for the background. colours: of `models`."""
    rows = np.flatnonzero(evidence.there)
    shape = evidence.rgb.shape[:2]
    if not len(rows):
        return np.zeros(shape, int)
    nets, inside, front = evidence.nets[rows], np.zeros((len(rows), *shape)), evidence.front
    size = np.sqrt(max(200, *(np.maximum(evidence.bodies[p], nets[n] > 0.5).sum() for n, p in enumerate(rows))))
    for n, p in enumerate(rows):
        if evidence.bodies[p].any():
            soft = 1 / (1 + np.exp(-np.clip(_depth(evidence.bodies[p]) / (EDGE * size), -20, 20)))
            inside[n] = np.where(evidence.bodies[p] & (front > 0) & (front != p + 1), HIDDEN * soft, soft)
    net, body = np.clip(nets.max(0), LEAST, MOST), np.clip(inside.max(0), LEAST, MOST)
    somebody = -np.log(net) - BODY * np.log(body)
    nobody = -np.log(1 - net) - BODY * np.log(1 - body)
    strange, usual = rates(evidence, net, body)
    nobody += np.where(evidence.known & evidence.strange, strange, 0)
    somebody += np.where(evidence.known & ~evidence.strange, usual, 0)
    claims = np.where(evidence.asked[rows, None, None], nets, inside) + FLOOR  # who was not looked at is where their body is
    claims, held = claims / claims.sum(0), (inside + FLOOR) / (inside + FLOOR).sum(0)
    colour = -np.log(colours[:, bins(evidence.rgb)])
    costs = [nobody + colour[0]]
    for n, p in enumerate(rows):
        beyond = -_depth((nets[n] > 0.25) | evidence.bodies[p]) / (FAR * size) - 1
        costs.append(somebody + colour[p + 1] - SHARE * np.log(claims[n]) - np.log(held[n]) + FAR_COST * np.clip(beyond, 0, 3))
    costs = [cv2.GaussianBlur(cost, (0, 0), SMOOTH_PX) for cost in costs]
    return np.r_[0, rows + 1][np.argmin(costs, 0)]


def rates(evidence: Evidence, net, body) -> tuple[float, float]:
    """What it tells that a pixel is strange to the background, and that it is not: logs of the ratios of its rates on people and beside them,
    measured where nets and bodies agree about both."""
    beside = evidence.known & (net < 0.05) & (body < 0.05)
    people = evidence.known & (net > 0.9) & (body > 0.9)
    behind = ((evidence.strange & beside).sum() + STRANGE_BEHIND * USUAL) / (beside.sum() + USUAL)
    before = max(behind, ((evidence.strange & people).sum() + STRANGE * USUAL) / (people.sum() + USUAL))
    return float(np.log(before / behind)), float(np.log((1 - behind) / (1 - before)))


def _depth(mask) -> np.ndarray:
    """Px inside (h, w) of a mask, negative outside."""
    one = np.asarray(mask, np.uint8)
    if not one.any():
        return np.full(one.shape, -float(np.hypot(*one.shape)), np.float32)
    return cv2.distanceTransform(one, cv2.DIST_L2, 3) - cv2.distanceTransform(1 - one, cv2.DIST_L2, 3)
