"""The paper's Table 1 on the synthetic shots, with what it lacks.

    python -m benchmarks.table1 test [--only MOVE …] [--look sharp] [--method ours …] [--print]

Solves every shot of a set, in every look, by every method of baselines/methods.py, and measures it against the exact truth. What was
measured lies in CACHE/SET/NAME/LOOK/METHOD.json and is kept, so that a killed run goes on. Figures: metrics.py.
Each method starts from the same detections; all but pycolmap from the same Ĉ, S_c and first S_w, whose seconds and memory are in
`ours`.
"""

from __future__ import annotations

import argparse
import json
import resource
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np

from .baselines.methods import BASELINES, METHODS
from .shots import ALL_MOVES, LOOKS, SETS

# Where each figure lies in evaluate's answer, its heading and its format.
FIGURES = {
    "PA": (("solved", "pa"), "{:.4f}"), "IoU": (("solved", "iou"), "{:.3f}"), "IoU people": (("solved", "iou_people"), "{:.3f}"),
    "joints px": (("people", "joint_px_1920"), "{:.1f}"), "ATE m": (("camera", "ate_m"), "{:.3f}"),
    "ATE %": (("camera", "ate_percent"), "{:.2f}"), "ATE sim %": (("camera", "ate_similarity_percent"), "{:.2f}"),
    "rot °": (("camera", "rotation_deg"), "{:.2f}"), "focal %": (("camera", "focal_percent"), "{:.1f}"),
    "step mm": (("camera", "step_mm"), "{:.2f}"), "W": (("people", "w_mpjpe_mm"), "{:.0f}"), "WA": (("people", "wa_mpjpe_mm"), "{:.0f}"),
    "PA-MPJPE": (("people", "pa_mpjpe_mm"), "{:.0f}"), "RTE %": (("people", "rte_percent"), "{:.1f}"),
    "slide mm": (("people", "foot_slide_mm"), "{:.1f}"), "jitter": (("people", "jitter"), "{:.0f}"),
    "recall": (("people", "recall"), "{:.3f}"), "switches": (("people", "identity_switches"), "{:.0f}"),
    "apart m": (("people", "root_distance_m"), "{:.2f}"), "under floor mm": (("people", "floor_penetration_mm"), "{:.0f}"),
    "Ĉ ATE %": (("start", "ate_percent"), "{:.2f}"), "Ĉ sim %": (("start", "ate_similarity_percent"), "{:.2f}"),
    "Ĉ rot °": (("start", "rotation_deg"), "{:.2f}"), "Ĉ focal %": (("start", "focal_percent"), "{:.1f}"),
    "size %": (("camera", "size_percent"), "{:.1f}"), "up °": (("camera", "up_deg"), "{:.2f}"),
    "pitch °": (("camera", "pitch_deg"), "{:.2f}"), "roll °": (("camera", "roll_deg"), "{:.2f}"),
    "head cm": (("people", "head_cm"), "{:.1f}"), "unseen knee °": (("people", "unseen_knee_deg"), "{:.0f}"),
    "float cm": (("people", "float_cm"), "{:.1f}"), "sink cm": (("people", "sink_cm"), "{:.1f}"),
    "drift m": (("camera", "drift_m"), "{:.3f}"), "s": (("seconds",), "{:.0f}"), "GiB": (("peak_gib",), "{:.1f}"),
}  # fmt: skip
PAPER = ("PA", "IoU", "joints px")
CAMERA = ("ATE m", "ATE %", "ATE sim %", "rot °", "focal %", "step mm")
WORLD = ("size %", "up °", "pitch °", "roll °")
START = ("Ĉ ATE %", "Ĉ sim %", "Ĉ rot °", "Ĉ focal %")
PEOPLE = ("recall", "switches", "W", "WA", "PA-MPJPE", "RTE %", "slide mm", "jitter", "apart m", "under floor mm",
          "head cm", "unseen knee °", "float cm", "sink cm")  # fmt: skip


def solve(folder: Path, look: str, method: str) -> dict:
    """One shot by one method. Returns evaluate's figures with verdict, seconds and memory."""
    from solver.options import Options
    from solver.protocol import Reporter, ShotError, Stopped
    from solver.shot.shot import Frames
    from solver.take import Take, read_mask

    from .baselines.methods import colmap
    from .evaluate import evaluate

    base, take = folder / look / "ours", folder / look / method.replace(" ", "-")
    options = Options(folder / LOOKS[look], take, plate=False, until="world")
    placed = None
    if method != "ours":
        if not (base / "shot.json").exists():
            raise ShotError(f"{folder.name}, {look}: solve it by ours first.")
        shutil.rmtree(take, ignore_errors=True)
        shutil.copytree(base, take, ignore=shutil.ignore_patterns("people", "solved", "camera.npz", "report*", "preview*", "film.npz"))
        state = json.loads((take / "shot.json").read_text(encoding="utf-8"))
        people = ("edits", "body", "world_start")
        again = {"true joints": people, "true heights": people, "true tracks": ("slam", "body", "world_start")}.get(method, ())
        for stage in (*again, "film", "world", "plate", "report"):
            state["stages"].pop(stage, None)
        (take / "shot.json").write_text(json.dumps(state), encoding="utf-8")
    if method == "pycolmap":
        from solver.records import Shot, load_record

        shot = load_record(Take(base).stage("shot"), Shot)
        frames, place = Frames(shot), folder / look / "colmap"
        try:
            placed = colmap(frames.read, lambda i: read_mask(Take(base).mask(i)), shot.frames, place)
        except ShotError as error:
            return {"verdict": "none", "why": str(error)}
        options.camera = place / "text"
    elif method == "true camera":
        options.camera = folder / "truth" / "camera.npz"
    try:
        METHODS[method](options, Reporter()).extract()
    except Stopped:
        pass
    except ShotError as error:
        return {"verdict": "none", "why": str(error)}
    figures = evaluate(take, folder / "truth", placed)
    state = json.loads((take / "shot.json").read_text(encoding="utf-8"))
    stages = {name: s["seconds"] for name, s in state["stages"].items() if s["status"] == "done"}
    used = None
    if (take / "stages" / "film.npz").exists():
        from solver.records import Film, load_record

        used = load_record(take / "stages" / "film.npz", Film).used
    return figures | {
        "verdict": state["verdict"], "warnings": state["warnings"], "stages": stages, "used": used,
        "placed": None if placed is None else int(placed.sum()),
        "seconds": sum(stages.values()) if method == "ours" else stages.get("film", 0),
        "peak_gib": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20,
    }  # fmt: skip


def figure(record: dict, name: str):
    """One figure of a record, or None."""
    value = record
    for key in FIGURES[name][0]:
        value = (value or {}).get(key)
    return value


def table(rows, columns) -> str:
    """Markdown. rows: (heading, record) pairs."""

    def cell(record, name):
        value = figure(record, name)
        return "-" if value is None else FIGURES[name][1].format(value)

    lines = ["| | " + " | ".join(columns) + " |", "|---" * (len(columns) + 1) + "|"]
    lines += ["| " + " | ".join([heading, *(cell(record, name) for name in columns)]) + " |" for heading, record in rows]
    return "\n".join(lines)


def mean(records) -> dict:
    """Record of the means over shots of every figure, over the shots that have it; a shot without a camera has none."""
    out: dict = {}
    for path, _ in FIGURES.values():
        values = []
        for record in records:
            value = record
            for key in path:
                value = (value or {}).get(key)
            if value is not None:
                values.append(value)
        place = out
        for key in path[:-1]:
            place = place.setdefault(key, {})
        place[path[-1]] = float(np.mean(values)) if values else None
    return out


def show(records) -> str:
    """All tables. records: {(name, look, method): record}."""
    out = []
    methods = [m for m in METHODS if any(k[2] == m for k in records)]
    for look in LOOKS:
        names = sorted({k[0] for k in records if k[1] == look}, key=lambda n: ALL_MOVES.index(n.split("_", 1)[1]))
        if not names:
            continue
        out.append(f"## {look}: means over the shots\n")
        rows = [(m, mean([records[n, look, m] for n in names if (n, look, m) in records])) for m in methods]
        counts = {m: sum("camera" in records.get((n, look, m), {}) for n in names) for m in methods}
        out.append(table([(f"{m} ({counts[m]} of {len(names)})", r) for m, r in rows], PAPER + CAMERA + WORLD + ("W", "WA", "s")))
        for m in methods:
            if m not in BASELINES:
                continue
            out.append(f"\n### {m}, {look}, per shot\n")
            rows = [(f"{n.split('_', 1)[1]} ({records[n, look, m]['verdict']})", records[n, look, m]) for n in names if (n, look, m) in records]
            out.append(table(rows, PAPER + CAMERA + WORLD + ("drift m", "s") + (("GiB", *START) if m == "ours" else ())))
        rows = [(n.split("_", 1)[1], records[n, look, "ours"]) for n in names if (n, look, "ours") in records]
        out.append(f"\n### people of ours, {look}\n")
        out.append(table([*rows, ("mean", mean([r for _, r in rows]))], PEOPLE) + "\n")
    return "\n".join(out)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("set", choices=SETS)
    parser.add_argument("--only", action="append", metavar="MOVE", help="this move (may be given again)")
    parser.add_argument("--look", action="append", choices=LOOKS)
    parser.add_argument("--method", action="append", choices=METHODS, help="default: all")
    parser.add_argument("--again", action="store_true", help="measure anew what is there")
    parser.add_argument("--print", action="store_true", dest="only_print", help="print what is there and solve nothing")
    parser.add_argument("--cache", type=Path, default=Path(__file__).parent / "cache")
    a = parser.parse_args()
    jobs = []
    for move in a.only or ALL_MOVES:
        folder = a.cache / a.set / f"{a.set}_{move}"
        if (folder / "facts.json").exists():
            looks = [look for look in a.look or LOOKS if (folder / LOOKS[look]).exists()]
            jobs += [(folder, look, method) for look in looks for method in a.method or METHODS]
    jobs.sort(key=lambda job: (job[0].name, job[1], job[2] != "ours"))
    single = len(jobs) == 1
    for folder, look, method in jobs if not a.only_print else ():
        place = folder / look / f"{method.replace(' ', '-')}.json"
        if place.exists() and not a.again:
            continue
        if single:
            place.parent.mkdir(parents=True, exist_ok=True)
            record = solve(folder, look, method)
            place.write_text(json.dumps(record, indent=1), encoding="utf-8")
            continue
        # a process each, so that one's memory is its own
        command = [sys.executable, "-m", "benchmarks.table1", a.set, "--only", folder.name.split("_", 1)[1], "--look", look]
        command += ["--method", method, "--cache", str(a.cache)] + ["--again"] * a.again
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        what = "done" if done.returncode == 0 else done.stderr.strip().splitlines()[-1:]
        print(folder.name, look, method, what, flush=True)
    records = {}
    for folder, look, method in jobs:
        place = folder / look / f"{method.replace(' ', '-')}.json"
        if place.exists():
            records[folder.name, look, method] = json.loads(place.read_text(encoding="utf-8"))
    if not single:
        print(show(records))


if __name__ == "__main__":
    main()
