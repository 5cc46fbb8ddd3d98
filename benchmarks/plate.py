"""The clean plate of a take against the true background of its shot.

    python -m benchmarks.plate TAKE TRUTH [--again] [--json FILE]       # a row of Markdown
    python -m benchmarks.plate TAKE --again                             # time alone, without a truth

TRUTH is a shot's folder truth/, its frames/ beside it. `--again` paints the plate of a solved take anew. Figures:

seen, unseen   PSNR, dB, in people's true masks, where the plate says that some frame shows the background and where it says that it guesses
shadows        PSNR, dB, where people's shadows darken the film by SHADOW grey levels or more beyond their masks; left: the same of the film as it is
flicker        mean difference of successive plates in the holes of both, in those of successive true backgrounds; and grey levels of what is beyond them
seam           mean difference across the edge of what is erased, in the true background's there
s, cpu s       seconds a frame of the stage, and with --again the processor's
"""

from __future__ import annotations

import argparse
import json
import resource
from pathlib import Path

import cv2
import numpy as np

from solver.take import read_mask

SHADOW = 10.0  # grey levels, mean of 5 x 5 px
NEAR_PX = 3  # soft outlines and the hair that masks lack are no shadow
AIMS = {"seen": 35.0, "unseen": 24.0, "shadows": 30.0, "flicker": 1.3, "seam": 1.1, "s": 0.5}
COLUMNS = ("seen", "unseen", "shadows", "left", "flicker", "beyond", "seam", "s", "cpu s")


def measure(take: Path, truth: Path) -> dict:
    """The figures of COLUMNS but for the processor's time; None where there is nothing to measure."""
    shot = json.loads((take / "shot.json").read_text(encoding="utf-8"))
    first, count = shot["source"]["start_frame"], shot["source"]["frames"]
    size = shot["source"]["width"], shot["source"]["height"]
    sums = {name: [0.0, 0] for name in ("seen", "unseen", "shadows", "left")}
    moved, seams, before = [], [], None

    def square(name, difference, where):
        sums[name][0] += float((difference[where] ** 2).sum())
        sums[name][1] += int(where.sum()) * 3

    for index in range(count):
        path = truth / f"plate/{first + index:06d}.png"
        if not path.exists():
            before = None
            continue
        true, plate = _picture(path, size), _picture(take / f"plate/{index:06d}.png", size)
        film = _picture(truth.parent / f"frames/{first + index:06d}.png", size)
        people = cv2.resize(read_mask(truth / f"masks/{first + index:06d}.png"), size, interpolation=cv2.INTER_NEAREST) > 0
        guessed = cv2.imread(str(take / f"plate/unseen/{index:06d}.png"), cv2.IMREAD_GRAYSCALE) > 127
        erased = read_mask(take / f"plate/erase/{index:06d}.png") > 0
        beside = cv2.dilate(people.astype(np.uint8), np.ones((2 * NEAR_PX + 1,) * 2)) == 0
        shade = beside & (cv2.blur((film - true).mean(-1), (5, 5)) < -SHADOW)
        square("seen", plate - true, people & ~guessed)
        square("unseen", plate - true, people & guessed)
        square("shadows", plate - true, shade)
        square("left", film - true, shade)
        for axis in (0, 1):
            edge = np.diff(erased.astype(np.int8), axis=axis) != 0
            seams.append([np.abs(np.diff(picture, axis=axis)).mean(-1)[edge].sum() for picture in (plate, true)])
        if before is not None:
            both = people & before[2]
            moved.append([np.abs(change).mean(-1)[both].sum() for change in (plate - before[0], true - before[1], plate - before[0] - true + before[1])] + [both.sum()])
        before = plate, true, people
    out = {name: float(10 * np.log10(255**2 / max(total / n, 1e-9))) if n > 300 else None for name, (total, n) in sums.items()}
    plates, truths, beyond, pixels = np.sum(moved, 0) if moved else (0, 0, 0, 0)
    out["flicker"] = float(plates / truths) if truths else None
    out["beyond"] = float(beyond / pixels) if pixels else None
    plates, truths = np.sum(seams, 0) if seams else (0, 0)
    out["seam"] = float(plates / truths) if truths else None
    out["s"] = shot["stages"]["plate"]["seconds"] / count
    return out


def _picture(path, size) -> np.ndarray:
    """(H, W, 3) float32, of `size` (W, H)."""
    picture = cv2.imread(str(path), cv2.IMREAD_COLOR)
    return cv2.resize(picture, size, interpolation=cv2.INTER_AREA).astype(np.float32)


def again(take: Path) -> float:
    """Paint the plate of a take anew. Returns the processor's seconds a frame."""
    from solver.options import Options
    from solver.pipeline import extract
    from solver.protocol import Reporter, Stopped

    file = take / "shot.json"
    state = json.loads(file.read_text(encoding="utf-8"))
    state["stages"].pop("plate", None)
    file.write_text(json.dumps(state), encoding="utf-8")
    kept = {name: value for name, value in state["options"].items() if name in ("quality", "max_height", "focal_mm", "fov", "camera_kind", "most", "seed")}
    kept["cuts"] = state["options"].get("cuts", "auto")
    if "range" in state["options"]:
        kept["range"] = tuple(int(end) for end in state["options"]["range"].split("-"))
    spent = [0.0]

    class Clock(Reporter):
        def begin(self, stage):
            if stage == "plate":
                spent[0] = _cpu()

    try:
        extract(Options(Path(state["options"]["source"]), take, until="plate", **kept), Clock())
    except Stopped:
        pass
    return (_cpu() - spent[0]) / state["source"]["frames"]


def _cpu() -> float:
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


def row(name: str, figures: dict) -> str:
    return "| " + " | ".join([name] + ["-" if figures.get(c) is None else f"{figures[c]:.{1 if c in ('seen', 'unseen', 'shadows', 'left') else 2}f}" for c in COLUMNS]) + " |"


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("take", type=Path)
    parser.add_argument("truth", type=Path, nargs="?")
    parser.add_argument("--again", action="store_true", help="paint the plate anew first")
    parser.add_argument("--json", type=Path, help="also write the figures here")
    a = parser.parse_args()
    spent = again(a.take) if a.again else None
    state = json.loads((a.take / "shot.json").read_text(encoding="utf-8"))
    figures = measure(a.take, a.truth) if a.truth else {"s": state["stages"]["plate"]["seconds"] / state["source"]["frames"]}
    figures["cpu s"] = spent
    print("| shot | " + " | ".join(COLUMNS) + " |\n|" + "---|" * (len(COLUMNS) + 1))
    print("| aim | " + " | ".join(str(AIMS.get(c, "")) for c in COLUMNS) + " |")
    print(row(a.take.name, figures))
    if a.json:
        a.json.write_text(json.dumps(figures, indent=1), encoding="utf-8")


if __name__ == "__main__":
    main()
