"""Masks of people in a take with those of the truth, before and after the stage *masks*: python -m benchmarks.whose TAKE TRUTH

TRUTH is a folder as the generator writes it. IoU of each true person, the mean over frames that show 20 pixels or more of them, with the person of the
take whose masks share most with theirs over the whole shot; IoU of all people together; pixels that changed, of all that people were drawn on.
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
from scipy.optimize import linear_sum_assignment

from solver.take import Take, read_mask

LEAST = 20


def measure(take, truth) -> dict:
    """{"drawn" and "masks": {"each": {person: IoU}, "together": IoU}, "changed": share}."""
    take, true = Take(Path(take)), [read_mask(path) for path in sorted((Path(truth) / "masks").glob("*.png"))]
    true = np.array(true)
    stacks = {name: np.array([read_mask(of(f)) for f in range(len(true))]) for name, of in (("drawn", take.drawn), ("masks", take.mask))}
    drawn = stacks["drawn"]
    ids = range(1, max(stack.max() for stack in stacks.values()) + 1)  # whom an artist outlined has no mask as drawn
    shared = np.array([[sum(((true == q) & (stack == p)).sum() for stack in stacks.values()) for p in ids] for q in range(1, true.max() + 1)])
    found = {q + 1: p + 1 for q, p in zip(*linear_sum_assignment(-shared))}
    out = {"changed": float((drawn != stacks["masks"]).sum() / max(1, (drawn > 0).sum()))}
    for name, stack in stacks.items():
        each = {}
        for q in range(1, true.max() + 1):
            pairs = [(t == q, m == found.get(q, 255)) for t, m in zip(true, stack) if (t == q).sum() >= LEAST]
            each[q] = float(np.mean([_iou(*pair) for pair in pairs]))
        out[name] = {"each": each, "together": float(np.mean([_iou(t > 0, m > 0) for t, m in zip(true, stack)]))}
    return out


def _iou(a, b):
    return (a & b).sum() / max(1, (a | b).sum())


def main():
    found = measure(*sys.argv[1:3])
    for name in ("drawn", "masks"):
        each = ", ".join(f"{person}: {value:.3f}" for person, value in found[name]["each"].items())
        print(f"{name:<6} {each}; together {found[name]['together']:.3f}")
    print(f"changed {100 * found['changed']:.1f} % of the pixels of people")


if __name__ == "__main__":
    main()
