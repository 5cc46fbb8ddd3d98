"""Measure a take against the exact truth of its shot.

    python -m benchmarks.evaluate TAKE TRUTH [--json FILE]

TRUTH is a folder as the generator writes it: camera.npz, people/NN.npz, masks/. Every figure is defined in metrics.py.
"""

from __future__ import annotations

import argparse
import json
from fractions import Fraction
from pathlib import Path

import cv2
import numpy as np

from solver import frames as fr
from solver.take import read_mask

from . import metrics


def evaluate(take, truth, placed=None) -> dict:
    """All figures of a take: {"camera": …, "start": …, "people": …, "masks": …, "solved": …}, plain numbers or None.

    placed: (T,) bool, frames that have a pose of their own; None: all.
    """
    take, truth = Path(take), Path(truth)
    shot = json.loads((take / "shot.json").read_text(encoding="utf-8"))["source"]
    with np.load(truth / "camera.npz") as file:
        T_true, K_true = file["T_world_from_cam"], file["K"]
    with np.load(take / "camera.npz") as file:
        cameras = {"camera": (file["T_world_from_cam"], file["K"])}
        if "start_T_world_from_cam" in file:
            cameras["start"] = (file["start_T_world_from_cam"], file["start_K"])
    T_est, K_est = cameras["camera"]
    first, count = int(shot.get("start_frame", 0)), len(T_est)
    T_true, K_true = T_true[first : first + count], K_true[first : first + count]
    width, height = _true_size(truth, K_true)
    K_true = K_true.copy()
    scale = shot["width"] / width  # truth in pixels of the take
    K_true[:, :2] *= scale
    out = {name: metrics.camera_metrics(T, T_true, K, K_true, placed) for name, (T, K) in cameras.items()}

    estimates, truths = _people(take), _people(truth, first, count)
    drawn = {
        i: _place(p, fr.project(p["joints"], fr.invert(T_est[p["frame"]]), K_est[p["frame"]]), count)
        for i, p in estimates.items()
    }
    true_xy = {
        i: _place(p, fr.project(p["joints"], fr.invert(T_true[p["frame"]]), K_true[p["frame"]]), count)
        for i, p in truths.items()
    }
    size = np.array([shot["width"], height * scale])
    for i, xy in true_xy.items():
        xy[~_mask_of(truths[i], count)] = np.nan
    gate = 0.15 * shot["width"]
    matched = metrics.match_people(drawn, true_xy, gate, size)
    out["people"] = _people_metrics(
        estimates, truths, drawn, true_xy, matched, size, float(Fraction(shot["fps"])), gate
    )
    for name in ("masks", "solved"):
        files = [take / name / f"{f:06d}.png" for f in range(count)]
        pairs = [(p, truth / f"masks/{first + f:06d}.png") for f, p in enumerate(files) if p.exists()]
        shape = (shot["width"], shot["height"])
        true = (cv2.resize(read_mask(t), shape, interpolation=cv2.INTER_NEAREST) for _, t in pairs)
        out[name] = metrics.mask_metrics((read_mask(e) for e, _ in pairs), true, matched)
    return out


def _true_size(truth, K):
    mask = read_mask(min((truth / "masks").glob("*.png")))
    return mask.shape[1], mask.shape[0]


def _people(folder, first=0, count=None):
    """{id: {"frame", "joints", "visible"}} of a take or a truth, frames counted from `first`."""
    out = {}
    for path in sorted((folder / "people").glob("*.npz")):
        with np.load(path) as file:
            frame = file["frame"].astype(int) - first
            keep = (frame >= 0) & (frame < (count if count is not None else np.inf))
            out[int(path.stem)] = {
                "frame": frame[keep],
                "joints": file["joints_world"][keep],
                "visible": file["visible"][keep],
            }
    return out


def _place(person, values, count):
    """Rows of a person's frames spread over the shot, NaN elsewhere."""
    out = np.full((count,) + values.shape[1:], np.nan)
    out[person["frame"]] = values
    return out


def _mask_of(person, count):
    out = np.zeros(count, bool)
    out[person["frame"]] = person["visible"]
    return out


def _people_metrics(estimates, truths, drawn, true_xy, matched, size, fps, gate):
    each, world = {}, {}
    wanted = found = 0
    for i, person in truths.items():
        visible = _mask_of(person, len(true_xy[i]))
        wanted += int(visible.sum())
        if i not in matched:
            continue
        estimate = estimates[matched[i]]
        both = visible & _mask_of(estimate, len(visible))
        found += int(both.sum())
        rows = np.flatnonzero(both)
        if len(rows) < 2:
            continue
        count = len(visible)
        a, b = _place(estimate, estimate["joints"], count), _place(person, person["joints"], count)
        world[i] = a, b
        inside = ((true_xy[i] >= 0) & (true_xy[i] < size)).all(-1)
        each[i] = metrics.person_metrics(a[rows], b[rows], fps, rows, inside[rows]) | {
            "estimated_as": matched[i],
            "joint_px_1920": metrics.joint_error_px(drawn[matched[i]][rows], true_xy[i][rows], inside[rows], size[0]),
        }
    out = {"recall": found / wanted if wanted else None, "extra": len(estimates) - len(matched)}
    out["identity_switches"] = metrics.identity_switches(drawn, true_xy, gate, size) if truths and estimates else 0
    ids, apart = sorted(world), []
    for n, i in enumerate(ids):
        for j in ids[n + 1 :]:
            rows = np.isfinite(world[i][0][:, 0, 0]) & np.isfinite(world[j][0][:, 0, 0])
            if rows.any():
                apart.append(
                    metrics.root_distance_m(world[i][0][rows], world[j][0][rows], world[i][1][rows], world[j][1][rows])
                )
    out["root_distance_m"] = float(np.mean(apart)) if apart else None
    for key in ("w_mpjpe_mm", "w_mpjpe_metric_mm", "wa_mpjpe_mm", "pa_mpjpe_mm", "rte_percent", "foot_slide_mm", "jitter",
                "floor_penetration_mm", "head_cm", "unseen_knee_deg", "float_cm", "sink_cm", "joint_px_1920"):  # fmt: skip
        values = [p[key] for p in each.values() if p[key] is not None]
        out[key] = float(np.mean(values)) if values else None
    out["each"] = each
    return out


def report(figures: dict) -> str:
    """The figures as lines for a terminal."""

    def lines(prefix, value):
        for key, v in value.items():
            if isinstance(v, dict):
                yield from lines(f"{prefix}{key}.", v)
            else:
                yield f"{prefix + str(key):<40} {'-' if v is None else f'{v:.4g}' if isinstance(v, float) else v}"

    return "\n".join(lines("", figures))


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("take", type=Path)
    parser.add_argument("truth", type=Path)
    parser.add_argument("--json", type=Path, help="also write the figures here")
    a = parser.parse_args()
    figures = evaluate(a.take, a.truth)
    print(report(figures))
    if a.json:
        a.json.write_text(json.dumps(figures, indent=1), encoding="utf-8")


if __name__ == "__main__":
    main()
