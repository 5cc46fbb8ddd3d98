"""Where the time goes.

    python -m benchmarks.speed extract CLIP [--out TAKE] [solver options…]
    python -m benchmarks.speed film TAKE [TAKE…] [--device cuda]
    python -m benchmarks.speed bake CHARACTER.glb [CHARACTER.glb…]

`extract` solves a clip and prints a line a stage (seconds, seconds a frame), the sum without the plate and the report, and the
process's peak memory. `film` takes apart the film stage of takes that are solved: what f_D costs to build, C* with and without
L_c. Takes of different lengths, sizes and numbers of people show what it grows with. `bake` puts 250 frames of
made-up motion onto characters in Blender.
"""

from __future__ import annotations

import argparse
import json
import resource
import subprocess
import sys
import tempfile
import time
from dataclasses import replace
from fractions import Fraction
from pathlib import Path


def extract(argv: list[str]) -> int:
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


def film(argv: list[str]) -> int:
    """One line of Markdown a take, then the profile of a step with L_c of the last one that has it."""
    from solver.body.model import BodyModel
    from solver.bundle.solve import threads
    from solver.film import stage
    from solver.options import Options
    from solver.protocol import Reporter
    from solver.records import Shot, Slam, Tracks, World, load_record
    from solver.take import Take, read_mask

    parser = argparse.ArgumentParser(prog="python -m benchmarks.speed film")
    parser.add_argument("takes", nargs="+", type=Path, metavar="TAKE")
    parser.add_argument("--device", default="cpu")
    a = parser.parse_args(argv)
    model = BodyModel.load()
    print("| take | size | frames | people | f_D and its pixels, s | C* by L_j + L_b, s | with L_c, s |\n" + "|---" * 7 + "|")
    for folder in a.takes:
        take = Take(folder)
        read = lambda name, kind, take=take: load_record(take.stage(name), kind)
        shot, tracks, slam, start = read("shot", Shot), read("edits", Tracks), read("slam", Slam), read("world_start", World)
        options = Options(Path(shot.path), folder, device=a.device)
        mask = lambda index, take=take: read_mask(take.mask(index))
        begun = time.perf_counter()
        problem = stage.pose_problem(shot, tracks, slam, start, mask, model, float(Fraction(shot.fps)), options, Reporter())
        _finish(a.device)
        build = time.perf_counter() - begun
        costs = []
        for composition in (None, problem.composition) if problem.composition else (None,):
            begun = time.perf_counter()
            with threads(1):
                stage.optimise(replace(problem, composition=composition), Reporter())
            _finish(a.device)
            costs.append(time.perf_counter() - begun)
        with_L_c = f"{costs[1]:.1f}" if len(costs) > 1 else "none: locked off, or nobody"
        name = "/".join(folder.parts[-3:])
        print(
            f"| {name} | {shot.width}x{shot.height} | {shot.frames} | {len(tracks.ids)} | {build:.1f} | {costs[0]:.1f} | {with_L_c} |",
            flush=True,
        )
    return 0


def bake(argv: list[str]) -> int:
    """One line of Markdown a character: seconds of Retarget, the best of three."""
    import numpy as np

    from tools import demo

    bpy = demo.load_extension()
    from reshoot.retarget import Track
    from reshoot.scene import actions

    with np.load(demo.ROOT / "solver" / "assets" / "body.npz") as body:
        rest = body["J_regressor"] @ body["v_template"]
    time_s, rng = np.arange(250) / 25, np.random.default_rng(0)
    sway = np.sin(2 * np.pi * time_s[:, None, None] * rng.uniform(0.2, 1, (24, 3)))
    poses = 0.2 * sway
    poses[:, 0] = [np.pi / 2, 0, 0]
    track = Track(rest, poses, np.stack([0.3 * time_s, 0 * time_s, 0 * time_s - rest[:, 1].min()], 1), np.arange(250), 25.0)
    print("| character | bones | keyed | vertices | bake, s |\n" + "|---" * 5 + "|")
    for path in map(Path, argv):
        armature = demo.import_character(bpy, path, path.stem)
        meshes = [o for o in bpy.data.objects if o.type == "MESH" and o.find_armature() == armature]
        spent = []
        for _ in range(3):
            begun = time.perf_counter()
            _, motion, rig, _ = actions.retarget(armature, track)
            spent.append(time.perf_counter() - begun)
        points = sum(len(o.data.vertices) for o in meshes)
        print(f"| {path.stem} | {len(rig.names)} | {len(motion.rotations)} | {points} | {min(spent):.2f} |", flush=True)
    return 0


def _finish(device) -> None:
    import torch

    if torch.device(device).type == "cuda":
        torch.cuda.synchronize()


def main(argv: list[str]) -> int:
    commands = {"extract": extract, "film": film, "bake": bake}
    if len(argv) < 2 or argv[0] not in commands:
        print(__doc__)
        return 2
    return commands[argv[0]](argv[1:])


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
