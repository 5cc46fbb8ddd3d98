"""What a screen shows of pictures that hold light (EXR), or code more of it than a screen has (HLG, PQ, log)."""

from __future__ import annotations

import numpy as np

LINEAR, LOG100, LOG316, PQ, HLG = 8, 9, 10, 16, 18  # codes of ITU-T H.273, as in FFmpeg and in the files
WORDS = {LINEAR: "linear light", LOG100: "a logarithmic curve", LOG316: "a logarithmic curve", PQ: "HDR (PQ)", HLG: "HDR (HLG)"}
BT2020 = 9
WHITE_NITS = 203.0  # of diffuse white in HDR (ITU-R BT.2408); 1 in our light
KNEE = 0.8  # screen light; what is brighter is rolled off below 1
# Primaries of BT.2020 to those of BT.709, for linear light (ITU-R BT.2087).
_709_FROM_2020 = np.array([[1.6605, -0.5876, -0.0728], [-0.1246, 1.1329, -0.0083], [-0.0182, -0.1006, 1.1187]], np.float32)


def _from_pq(v):
    """SMPTE ST 2084, to light where 1 is diffuse white."""
    m1, m2, c1, c2, c3 = 0.1593017578125, 78.84375, 0.8359375, 18.8515625, 18.6875
    p = np.clip(v, 0, 1) ** (1 / m2)
    return (np.maximum(p - c1, 0) / (c2 - c3 * p)) ** (1 / m1) * (10000 / WHITE_NITS)


def _from_hlg(v):
    """ITU-R BT.2100's inverse OETF and its OOTF for a screen of 1000 cd/m2."""
    a, b, c = 0.17883277, 0.28466892, 0.55991073
    v = np.clip(v, 0, 1)
    scene = np.where(v <= 0.5, v * v / 3, (np.exp((v - c) / a) + b) / 12)
    luminance = scene @ np.array([0.2627, 0.678, 0.0593], np.float32)
    return scene * np.maximum(luminance, 1e-6)[..., None] ** 0.2 * (1000 / WHITE_NITS)


TO_LIGHT = {
    LINEAR: lambda v: v,
    LOG100: lambda v: np.where(v <= 0, 0, 10 ** (2 * (v - 1))),
    LOG316: lambda v: np.where(v <= 0, 0, 10 ** (2.5 * (v - 1))),
    PQ: _from_pq,
    HLG: _from_hlg,
}


def shown(rgb, transfer: int, primaries: int | None = None) -> np.ndarray:
    """(H, W, 3) uint8 sRGB of pictures (H, W, 3) float, 0..1 as coded (linear light: any). Bright parts are rolled off, hues kept."""
    light = np.asarray(TO_LIGHT[transfer](rgb), np.float32)
    if primaries == BT2020:
        light = light @ _709_FROM_2020.T
    light = np.maximum(light, 0)
    top = light.max(-1, keepdims=True)
    rolled = KNEE + (1 - KNEE) * (1 - np.exp(-(np.maximum(top, KNEE) - KNEE) / (1 - KNEE)))
    light = light * np.where(top > KNEE, rolled / np.maximum(top, KNEE), 1)
    code = np.where(light <= 0.0031308, 12.92 * light, 1.055 * np.maximum(light, 1e-9) ** (1 / 2.4) - 0.055)
    return np.rint(np.clip(code, 0, 1) * 255).astype(np.uint8)
