"""How fast captured people fall, by the measure of the report: python -m benchmarks.falls FILE.bvh[.gz] …

Nobody falls faster than gravity. Of each file at 24 and 30 frames a second, the second fastest fall in g (`report.measure.falls`); then the greatest.
Files are CMU's, whose unit is an inch over 0.45.
"""

from __future__ import annotations

import gzip
import sys
import tempfile
from pathlib import Path

import numpy as np

from solver.report import measure

from . import bvh

UNIT = 0.0254 / 0.45  # m
SPINE = {3: 0.2, 6: 0.45, 9: 0.65, 12: 1.0, 15: 1.25}  # SMPL's joints between the pelvis and the neck, as shares of the way
OF = {1: "left_hip", 2: "right_hip", 4: "left_knee", 5: "right_knee", 7: "left_ankle", 8: "right_ankle", 18: "left_elbow", 19: "right_elbow"}


def joints_of(marks) -> np.ndarray:
    """(T, 24, 3) m of `bvh.landmarks`: the joints that have mass, zeros elsewhere."""
    out = np.zeros((len(marks["pelvis"]), 24, 3))
    for joint, share in SPINE.items():
        out[:, joint] = (1 - share) * marks["pelvis"] + share * marks["neck"]
    for joint, name in OF.items():
        out[:, joint] = marks[name]
    return out


def falls(path: Path, fps: float) -> list[float]:
    data = gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()
    with tempfile.NamedTemporaryFile("wb", suffix=".bvh") as file:
        file.write(data)
        file.flush()
        names, positions, seconds = bvh.read(Path(file.name))
    every = max(1, round(1 / (seconds * fps)))
    joints = joints_of(bvh.landmarks(names, positions[1::every] * UNIT))  # the first is a T-pose
    return measure.falls(joints[None], np.ones((1, len(joints)), bool), 1 / (seconds * every))[0]


def main():
    worst = []
    for path in sorted(Path(name) for name in sys.argv[1:]):
        second = [found[1] if len(found) > 1 else 0.0 for found in (falls(path, fps) for fps in (24, 30))]
        worst.append((max(second), path.name))
        print(f"{path.name:<16} {second[0]:.2f} {second[1]:.2f}")
    print("greatest:", ", ".join(f"{name} {g:.2f}" for g, name in sorted(worst, reverse=True)[:6]))


if __name__ == "__main__":
    main()
