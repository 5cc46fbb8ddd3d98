"""Seconds a stage and peak memory of one extraction.

    python -m benchmarks.speed CLIP [--out TAKE] [solver options…]

Prints a line a stage: seconds, seconds a frame; then the sum without the plate and the report, and the process's peak memory.
"""

from __future__ import annotations

import json
import resource
import subprocess
import sys
import tempfile
from pathlib import Path


def main(argv: list[str]) -> int:
    if not argv:
        print(__doc__)
        return 2
    with tempfile.TemporaryDirectory() as folder:
        take = Path(folder) / "take"
        if "--out" in argv:
            at = argv.index("--out")
            take = Path(argv[at + 1])
            del argv[at : at + 2]
        command = [sys.executable, "-m", "solver", "extract", *argv, "--out", str(take), "--restart"]
        status = subprocess.run(command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, check=False).returncode
        if status:
            return status
        shot = json.loads((take / "shot.json").read_text(encoding="utf-8"))
    frames, total = shot["source"]["frames"], 0.0
    print(f"{frames} frames at {shot['source']['width']}x{shot['source']['height']}, {len(shot['people'])} people")
    for name, stage in shot["stages"].items():
        print(f"{name:12s} {stage['seconds']:8.1f} s {stage['seconds'] / frames:8.3f} s/frame")
        total += stage["seconds"] if name not in ("plate", "report") else 0.0
    print(f"{'without plate and report':24s} {total:8.1f} s {total / frames:8.3f} s/frame")
    print(f"peak memory {resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 2**20:.2f} GiB")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
