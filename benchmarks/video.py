"""Frames to film: H.264 by PyAV, and two looks made from frames and masks: shot wide open (defocus), before a plain backdrop."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import av
import cv2
import numpy as np


def encode(path: Path, frames, fps, crf=20, preset="slow"):
    """Write RGB uint8 frames as an H.264 movie that every player reads."""
    with av.open(str(path), "w", options={"movflags": "faststart"}) as out:
        stream = None
        for frame in frames:
            if stream is None:
                stream = out.add_stream("libx264", rate=Fraction(fps))
                stream.height, stream.width = frame.shape[:2]
                stream.pix_fmt, stream.options = "yuv420p", {"crf": str(crf), "preset": preset}
            for packet in stream.encode(av.VideoFrame.from_ndarray(np.ascontiguousarray(frame), "rgb24")):
                out.mux(packet)
        for packet in stream.encode():
            out.mux(packet)


def disc(radius):
    """Kernel of a lens wide open."""
    n = int(np.ceil(radius))
    y, x = np.mgrid[-n : n + 1, -n : n + 1]
    kernel = np.clip(radius + 0.5 - np.hypot(x, y), 0, 1).astype(np.float32)
    return kernel / kernel.sum()


def defocus(frame, mask, radius, rng, grain=6.0):
    """People sharp, the rest out of focus by a disc blur of `radius` px, grain over all. frame (H, W, 3) uint8, mask (H, W)."""
    light = (frame.astype(np.float32) / 255) ** 2.2
    person = (mask > 0).astype(np.float32)
    near = cv2.dilate(person, np.ones((3, 3)))
    kernel = disc(radius)
    # The blur of the background alone: what the people cover takes no part in it.
    weight = cv2.filter2D(1 - near, -1, kernel, borderType=cv2.BORDER_REPLICATE)
    blurred = cv2.filter2D(light * (1 - near)[..., None], -1, kernel, borderType=cv2.BORDER_REPLICATE)
    far = np.where(weight[..., None] > 0.02, np.maximum(blurred, 0) / np.maximum(weight, 0.02)[..., None], light)
    alpha = cv2.GaussianBlur(person, (0, 0), 0.8)[..., None]
    image = 255 * (alpha * light + (1 - alpha) * far) ** (1 / 2.2)
    return _grained(image, rng, grain)


def backdrop(rng, width, height):
    """A picture (H, W, 3) float, 0..1 light, of one colour that gets darker to one side: a green or blue screen, a grey wall, fog."""
    colour = np.array(((0.06, 0.38, 0.09), (0.06, 0.14, 0.45), (0.25, 0.25, 0.26), (0.6, 0.62, 0.64))[rng.integers(4)])
    angle, depth = rng.uniform(0, 2 * np.pi), rng.uniform(0.15, 0.35)
    y, x = np.mgrid[:height, :width]
    along = (np.cos(angle) * (x / width - 0.5) + np.sin(angle) * (y / height - 0.5)) / (abs(np.cos(angle)) + abs(np.sin(angle)))
    return colour * (1 + 2 * depth * along[..., None])


def plain(frame, mask, backdrop, rng, grain=6.0):
    """People before a backdrop that stays where it is in the picture, grain over all: nothing but people can tell the camera.

    frame (H, W, 3) uint8, mask (H, W), backdrop as above.
    """
    light = (frame.astype(np.float32) / 255) ** 2.2
    alpha = cv2.GaussianBlur(_thinner(mask), (0, 0), 0.8)[..., None]
    return _grained(255 * (alpha * light + (1 - alpha) * backdrop) ** (1 / 2.2), rng, grain)


def _thinner(mask):
    """Where people are, a pixel less all around: the rendered edge holds some of the place behind it."""
    return cv2.erode((mask > 0).astype(np.float32), np.ones((3, 3)), borderType=cv2.BORDER_REPLICATE)


def _grained(image, rng, grain):
    noise = cv2.GaussianBlur(rng.standard_normal(image.shape[:2]).astype(np.float32), (0, 0), 0.6) * 1.8
    return np.clip(image + grain * noise[..., None] + 0.5, 0, 255).astype(np.uint8)
