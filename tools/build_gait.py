"""How legs step, from motion capture: solver/assets/gait.npz.

    python -m tools.build_gait FOLDER [--out solver/assets/gait.npz]

FOLDER holds 07_*.bvh.gz and 08_*.bvh.gz, the walks of the CMU Graphics Lab Motion Capture Database (mocap.cs.cmu.edu, free for all uses;
created with funding from NSF EIA-0196217). The motions stay where they are; what is kept are 47 numbers:

    legs (14, 3)    sines of thigh and shank against straight down, to the front, and of ankle to toe upward, less that of the T-pose:
                    coefficients of world.gait.harmonics
    legs_rms (3,)   what is left
    cadence (2,)    strides a second by the speed, both in units of a leg's length and gravity: slope and offset
"""

from __future__ import annotations

import argparse
import gzip
import tempfile
from pathlib import Path

import numpy as np
from scipy.signal import hilbert

from benchmarks import bvh
from solver.records import save_npz
from solver.world.gait import G, harmonics

UNIT = 0.0254 / 0.45  # m, of CMU's files
EVERY = 4  # of 120 frames a second
LEAST_S = 1.5


def stretch(path: Path):
    """A walk: relative speed, relative cadence, phase (T,) and sines (T, 2, 3) of the left and the right leg."""
    with tempfile.NamedTemporaryFile("w", suffix=".bvh") as file:
        file.write(gzip.decompress(path.read_bytes()).decode())
        file.flush()
        names, positions, seconds = bvh.read(Path(file.name))
    m, rest = (bvh.landmarks(names, part * UNIT) for part in (positions[1::EVERY], positions[:1]))  # the first is a T-pose
    fps, root = 1 / (seconds * EVERY), m["pelvis"]
    half = int(fps / 2)
    if len(root) < LEAST_S * fps:
        return None
    length = lambda v: np.linalg.norm(v, axis=1)
    velocity = np.gradient(root[:, :2], axis=0) * fps
    velocity = np.stack([np.convolve(column, np.ones(half) / half, "same") for column in velocity.T], 1)
    speed = length(velocity)
    ahead = np.c_[velocity / np.maximum(speed, 1e-6)[:, None], np.zeros(len(root))]
    legs, leg = [], 0.0
    for side in ("left", "right"):
        hip, knee, ankle, toe = (m[f"{side}_{joint}"] for joint in ("hip", "knee", "ankle", "toe"))
        forward = lambda v: (v * ahead).sum(1) / length(v)
        flat = rest[f"{side}_toe"] - rest[f"{side}_ankle"]
        lift = (toe - ankle)[:, 2] / length(toe - ankle) - flat[:, 2] / length(flat)
        legs.append(np.stack([forward(knee - hip), forward(ankle - knee), lift], 1))
        leg += (length(knee - hip).mean() + length(ankle - knee).mean()) / 2
    legs = np.stack(legs, 1)
    swing = legs[:, 0, 0] - legs[:, 1, 0]
    inside = slice(half // 2, len(root) - half // 2)  # the speed is not known at the ends
    phase = np.unwrap(np.angle(hilbert(swing - swing.mean())))[inside]
    strides = (phase[-1] - phase[0]) / (2 * np.pi) / ((len(phase) - 1) / fps)
    return np.median(speed[inside]) / np.sqrt(G * leg), strides * np.sqrt(leg / G), phase, legs[inside]


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--out", type=Path, default=Path("solver/assets/gait.npz"))
    a = parser.parse_args()
    walks = [found for path in sorted(a.folder.glob("0[78]_*.bvh.gz")) if (found := stretch(path))]
    rows = np.concatenate([harmonics(phase + turn, np.full(len(phase), speed)) for speed, _, phase, _ in walks for turn in (0, np.pi)])
    sines = np.concatenate([legs[:, side] for *_, legs in walks for side in (0, 1)])
    legs = np.linalg.lstsq(rows, sines, rcond=None)[0]
    rms = (sines - rows @ legs).std(0)
    speed, strides = np.array([walk[:2] for walk in walks]).T
    cadence = np.polyfit(speed, strides, 1)
    save_npz(a.out, legs=legs, legs_rms=rms, cadence=cadence)
    print(f"{len(walks)} walks; sines {rms.round(3)} off, cadence {((strides - np.polyval(cadence, speed)) / strides).std():.3f}")


if __name__ == "__main__":
    main()
