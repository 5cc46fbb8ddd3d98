"""IoU of a take's masks with ground-truth masks: python -m benchmarks.masks_iou TAKE MASKS.zip

The zip holds one picture per frame (DAVIS: white is the object). The person whose mask fits best over the whole shot is
compared; a switch is a frame in which another person fits better than that one does by more than half.
"""

from __future__ import annotations

import sys
import zipfile
from pathlib import Path

import cv2
import numpy as np

from solver.take import read_mask


def truths(path) -> list[np.ndarray]:
    """Boolean (H, W) masks of a zip, in the order of their names."""
    with zipfile.ZipFile(path) as file:
        names = sorted(n for n in file.namelist() if n.endswith(".png"))
        return [cv2.imdecode(np.frombuffer(file.read(n), np.uint8), cv2.IMREAD_GRAYSCALE) > 0 for n in names]


def table(take, masks_zip) -> np.ndarray:
    """IoU (T, 255) of each palette index, from 1, with the truth of each frame; an empty truth gives NaN."""
    expected = truths(masks_zip)
    out = np.full((len(expected), 255), np.nan)
    for k, truth in enumerate(expected):
        got = read_mask(Path(take) / "masks" / f"{k:06d}.png")
        if truth.shape != got.shape:
            truth = cv2.resize(truth.astype(np.uint8), got.shape[::-1], interpolation=cv2.INTER_NEAREST) > 0
        if truth.any():
            both = np.bincount(got[truth], minlength=256)[1:]
            out[k] = both / (truth.sum() + np.bincount(got.ravel(), minlength=256)[1:] - both)
    return out


def main():
    scores = table(*sys.argv[1:3])
    best = int(np.nansum(scores, 0).argmax())
    main_score = scores[:, best]
    switches = int((np.nan_to_num(scores).max(1) > np.nan_to_num(main_score) * 1.5 + 1e-9).sum())
    print(
        f"person {best + 1}: mean IoU {np.nanmean(main_score):.3f}, median {np.nanmedian(main_score):.3f}, "
        f"lowest {np.nanmin(main_score):.3f} (frame {int(np.nanargmin(main_score))}), "
        f"frames without {int((main_score == 0).sum())}, switches {switches}"
    )


if __name__ == "__main__":
    main()
