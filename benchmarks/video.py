"""Frames to film: H.264 by PyAV, and the look of film shot wide open (defocus, grain) made from frames and masks."""

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
    far = np.where(weight[..., None] > 0.02, blurred / np.maximum(weight, 0.02)[..., None], light)
    alpha = cv2.GaussianBlur(person, (0, 0), 0.8)[..., None]
    image = 255 * (alpha * light + (1 - alpha) * far) ** (1 / 2.2)
    noise = cv2.GaussianBlur(rng.standard_normal(frame.shape[:2]).astype(np.float32), (0, 0), 0.6) * 1.8
    return np.clip(image + grain * noise[..., None] + 0.5, 0, 255).astype(np.uint8)
