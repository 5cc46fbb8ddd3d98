"""Seeded pictures for surfaces, numpy and OpenCV only: each (N, N, 3) uint8 sRGB, rich in corners that a tracker can hold on to."""

from __future__ import annotations

import cv2
import numpy as np


def clouds(rng, size, octaves=6, roughness=0.55, first=3):
    """Fractal noise (size, size) in about -1..1."""
    out, weight = np.zeros((size, size), np.float32), 1.0
    for i in range(octaves):
        n = min(first * 2**i + 2, size)
        out += weight * cv2.resize(
            rng.standard_normal((n, n)).astype(np.float32), (size, size), interpolation=cv2.INTER_CUBIC
        )
        weight *= roughness
    return out / (np.abs(out).max() + 1e-6) * 1.3


def _finish(rng, image, dirt=0.25, speckle=0.06):
    """Stains and grain over a picture in 0..1."""
    size = len(image)
    image = image * (1 + dirt * clouds(rng, size)[..., None]) + speckle * rng.standard_normal((size, size, 1)).astype(
        np.float32
    )
    return (np.clip(image, 0, 1) * 255).astype(np.uint8)


def bricks(rng, size=1024, rows=28, colour=(0.55, 0.28, 0.2), mortar=(0.62, 0.58, 0.52)):
    """A wall of bricks, each of its own tone."""
    image = np.ones((size, size, 3), np.float32) * mortar
    h = size / rows
    w = 2.6 * h
    for row in range(rows):
        x = -w * (0.5 if row % 2 else 0.0)
        while x < size:
            tone = np.clip(np.array(colour) * rng.normal(1, 0.22) + rng.normal(0, 0.03, 3), 0.03, 1)
            a, b = (
                (int(max(x + 0.06 * h, 0)), int(row * h + 0.06 * h)),
                (int(x + w - 0.08 * h), int(row * h + h - 0.1 * h)),
            )
            cv2.rectangle(image, a, b, tone.tolist(), -1)
            x += w
    return _finish(rng, image)


def paving(rng, size=2048, slabs=34, colour=(0.5, 0.48, 0.45), spread=0.18):
    """Slabs of uneven tone with joints, cracks, patches and covers."""
    image = np.zeros((size, size, 3), np.float32)
    h = size / slabs
    for row in range(slabs):
        x = -h * rng.random()
        while x < size:
            w = h * rng.choice([0.7, 1.0, 1.5])
            tone = np.clip(np.array(colour) * rng.normal(1, spread), 0.05, 1)
            cv2.rectangle(
                image, (int(max(x + 2, 0)), int(row * h + 2)), (int(x + w - 3), int(row * h + h - 3)), tone.tolist(), -1
            )
            x += w
    image[image.sum(-1) == 0] = np.array(colour) * 0.45
    for _ in range(60):  # stains, cracks
        centre = tuple(int(v) for v in rng.integers(0, size, 2))
        if rng.random() < 0.5:
            cv2.circle(
                image,
                centre,
                int(rng.uniform(4, 26)),
                (np.array(colour) * rng.uniform(0.3, 1.5)).tolist(),
                -1,
                cv2.LINE_AA,
            )
        else:
            line = np.cumsum(rng.normal(0, 18, (9, 2)), 0) + centre
            cv2.polylines(image, [line.astype(np.int32)], False, (np.array(colour) * 0.4).tolist(), 2, cv2.LINE_AA)
    for _ in range(4):
        centre = tuple(int(v) for v in rng.integers(0, size, 2))
        for radius, tone in ((34, 0.28), (29, 0.42), (20, 0.25), (10, 0.45)):
            cv2.circle(image, centre, radius, (tone, tone, tone * 0.95), -1, cv2.LINE_AA)
    return _finish(rng, image, 0.22, 0.05)


def asphalt(rng, size=2048):
    """Road surface with repairs, painted lines and a crossing."""
    image = np.full((size, size, 3), 0.24, np.float32)
    for _ in range(40):
        x, y = rng.integers(0, size, 2)
        w, h = rng.integers(30, 240, 2)
        cv2.rectangle(image, (int(x), int(y)), (int(x + w), int(y + h)), [float(rng.uniform(0.15, 0.36))] * 3, -1)
    for k in range(0, size, 180):
        cv2.rectangle(image, (size // 2 - 8, k), (size // 2 + 8, k + 95), (0.82, 0.8, 0.74), -1)
        cv2.rectangle(image, (size // 4 - 5, k), (size // 4 + 5, k + 180), (0.75, 0.65, 0.2), -1)
    for k in range(0, size, 90):
        cv2.rectangle(image, (k, 300), (k + 45, 520), (0.8, 0.78, 0.74), -1)
    for _ in range(120):
        line = np.cumsum(rng.normal(0, 14, (8, 2)), 0) + rng.integers(0, size, 2)
        cv2.polylines(image, [line.astype(np.int32)], False, (0.1, 0.1, 0.1), 2, cv2.LINE_AA)
    return _finish(rng, image, 0.3, 0.09)


def grass(rng, size=2048):
    """Lawn with bare patches, leaves and flowers."""
    a, b = clouds(rng, size, 8)[..., None], clouds(rng, size, 8, first=7)[..., None]
    image = np.float32([0.22, 0.32, 0.10]) * (1 + 0.5 * a) + np.float32([0.16, 0.10, 0.03]) * np.clip(1.8 * b, 0, 1)
    for _ in range(1600):
        centre = tuple(int(v) for v in rng.integers(0, size, 2))
        tone = [(0.75, 0.55, 0.1), (0.8, 0.8, 0.72), (0.45, 0.2, 0.06), (0.1, 0.16, 0.05)][rng.integers(4)]
        cv2.circle(image, centre, int(rng.integers(1, 6)), tone, -1, cv2.LINE_AA)
    return _finish(rng, image, 0.1, 0.12)


def planks(rng, size=1024, boards=14, colour=(0.45, 0.3, 0.17)):
    """Boards with grain, joints and nails."""
    streaks = cv2.resize(
        rng.standard_normal((size, 24)).astype(np.float32), (size, size), interpolation=cv2.INTER_CUBIC
    )
    image = np.zeros((size, size, 3), np.float32)
    h = size // boards
    for row in range(boards):
        x = -int(rng.uniform(0, size / 2))
        while x < size:
            w = int(rng.uniform(0.3, 0.7) * size)
            part = image[row * h : (row + 1) * h - 3, max(x, 0) : max(x + w - 3, 0)]
            part[:] = np.clip(np.array(colour) * rng.normal(1, 0.2), 0.04, 1)
            x += w
    return _finish(rng, image * (1 + 0.16 * streaks[..., None]), 0.15, 0.04)


def facade(rng, size=1024):
    """House front: plaster or brick, windows with frames, sills and reflections, a ledge a floor."""
    colour = np.array(
        [(0.62, 0.55, 0.44), (0.6, 0.42, 0.34), (0.5, 0.52, 0.54), (0.66, 0.62, 0.5), (0.42, 0.46, 0.4)][
            rng.integers(5)
        ]
    )
    image = (
        bricks(rng, size, 64, colour * 0.85) if rng.random() < 0.5 else np.full((size, size, 3), colour * 255)
    ).astype(np.float32) / 255
    floors, columns = int(rng.integers(3, 5)), int(rng.integers(4, 7))
    fh, cw = size / floors, size / columns
    for i in range(floors):
        y = int(i * fh)
        cv2.rectangle(image, (0, y), (size, y + 14), (colour * 1.25).clip(0, 1).tolist(), -1)
        for j in range(columns):
            w, h = 0.5 * cw * rng.uniform(0.85, 1.1), 0.58 * fh
            x0, y0 = int((j + 0.5) * cw - w / 2), int(y + 0.22 * fh)
            x1, y1 = int(x0 + w), int(y0 + h)
            frame = (0.8, 0.78, 0.72) if rng.random() < 0.6 else (0.2, 0.17, 0.14)
            cv2.rectangle(image, (x0 - 9, y0 - 9), (x1 + 9, y1 + 9), frame, -1)
            cv2.rectangle(image, (x0, y0), (x1, y1), rng.uniform(0.06, 0.2, 3).tolist(), -1)
            for _ in range(4):  # curtains, reflections
                a = int(rng.uniform(x0, x1))
                cv2.rectangle(image, (a, y0), (min(a + int(w * 0.2), x1), y1), rng.uniform(0.1, 0.55, 3).tolist(), -1)
            cv2.line(image, ((x0 + x1) // 2, y0), ((x0 + x1) // 2, y1), frame, 6)
            cv2.line(image, (x0, y0 + int(h * 0.35)), (x1, y0 + int(h * 0.35)), frame, 5)
            cv2.rectangle(image, (x0 - 14, y1 + 8), (x1 + 14, y1 + 20), (colour * 0.6).tolist(), -1)
    return _finish(rng, image, 0.15, 0.035)


def poster(rng, size=512):
    """Printed shapes and letters."""
    image = np.ones((size, size, 3), np.float32) * rng.uniform(0.1, 0.95, 3)
    for _ in range(14):
        tone, centre = rng.uniform(0, 1, 3).tolist(), tuple(int(v) for v in rng.integers(0, size, 2))
        kind = rng.integers(3)
        if kind == 0:
            cv2.circle(image, centre, int(rng.uniform(15, 110)), tone, -1, cv2.LINE_AA)
        elif kind == 1:
            cv2.rectangle(image, centre, tuple(int(c + v) for c, v in zip(centre, rng.integers(20, 200, 2))), tone, -1)
        else:
            word = "".join(chr(c) for c in rng.integers(65, 91, rng.integers(2, 6)))
            cv2.putText(
                image,
                word,
                (centre[0] // 2, centre[1]),
                cv2.FONT_HERSHEY_DUPLEX,
                float(rng.uniform(1.5, 4)),
                tone,
                8,
                cv2.LINE_AA,
            )
    return _finish(rng, image, 0.08, 0.03)


def leaves(rng, size=512, colour=(0.16, 0.26, 0.07)):
    """Foliage seen from afar."""
    image = np.zeros((size, size, 3), np.float32)
    for _ in range(2600):
        centre = tuple(int(v) for v in rng.integers(0, size, 2))
        axes = tuple(int(v) for v in rng.integers(4, 15, 2))
        cv2.ellipse(
            image,
            centre,
            axes,
            float(rng.uniform(0, 180)),
            0,
            360,
            (np.array(colour) * rng.uniform(0.25, 2.1)).tolist(),
            -1,
        )
    return _finish(rng, image, 0.1, 0.03)


def plain(rng, size=256, colour=(0.4, 0.4, 0.42), dirt=0.35):
    """One stained colour: metal, concrete, bark."""
    return _finish(rng, np.ones((size, size, 3), np.float32) * colour, dirt, 0.06)
