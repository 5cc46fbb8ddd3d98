"""The size of the camera's path: a first guess by feet that stand or by steps, and the search about it."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import numpy as np
import torch

from ..body.fit import Evidence
from ..bundle.bodies import Bodies
from ..bundle.solve import threads
from .placement import SPREAD_OF_SCALES, Placement
from .steps import steppers, unlike

ROUNDS_TRIED, STEPS_TRIED, STEPS_REFINED = 3, 2, 3  # of a scale of the camera's path
FIRST = slice(ROUNDS_TRIED)
SCALES = (0.7, 0.8, 0.9, 1.0, 1.12, 1.25, 1.4)  # of the camera's path, tried about the one that the feet in S_c tell
WIDE = tuple(np.geomspace(1 / 4, 4, 13))  # where neither feet nor steps tell
SCALE_STEP, MOST_TRIED = 1.12, 20  # beyond these
ANKLES, ANKLES_SHARE = 10, 0.1  # that must be seen before feet tell: so many, and so many a body


def sized(guess: float, placed, report, scales=SCALES) -> tuple[Placement, float]:
    """People placed at the scale of the camera's path that costs least.

    It is tried, and no variable of the fit: contacts are found at a scale and then hold it, and those that are none shrink it until
    nobody walks. A few about the guess are tried in short, and further ones as long as an end is best; the best and its neighbours are
    tried to the end, and the bottom of the parabola through their costs is taken. placed: scale -> Placement.
    scales: about the guess, rising.

    Returns the placement, and one sigma of the log scale by the parabola.
    """
    asked = [len(scales) + 3]

    def improved(trials, which, steps, done):
        """Some of the rounds, with both cores: a trial each."""

        def improve(trial):
            with threads(1):  # each thread has a count of its own
                for turn in trial.rounds[which]:
                    trial.improve(*turn, steps=steps)
            return trial

        with ThreadPoolExecutor(2) as pool:
            for index, _ in enumerate(pool.map(improve, trials)):
                report.progress(done + index, asked[0], "Measuring the camera's path by the people")
        return trials

    tries = improved([placed(guess * factor) for factor in scales], FIRST, STEPS_TRIED, 0)
    while (least := int(np.argmin([trial.cost for trial in tries]))) in (0, len(tries) - 1) and len(tries) < MOST_TRIED:
        scale = tries[0].scale / SCALE_STEP if least == 0 else tries[-1].scale * SCALE_STEP
        asked[0] += 1
        further = improved([placed(scale)], FIRST, STEPS_TRIED, len(tries))
        tries = further + tries if least == 0 else tries + further
    middle = min(max(least, 1), len(tries) - 2)
    if tries[middle + 1].scale > SCALE_STEP**2 * tries[middle].scale:
        between = [placed(np.sqrt(tries[middle].scale * tries[at].scale)) for at in (middle - 1, middle + 1)]
        asked[0] += 2
        low, high = improved(between, FIRST, STEPS_TRIED, len(tries))
        tries[middle:middle + 1] = [low, tries[middle], high]
        middle += int(np.argmin([trial.cost for trial in tries[middle : middle + 3]]))
        middle = min(max(middle, 1), len(tries) - 2)
    near = improved(tries[middle - 1 : middle + 2], slice(ROUNDS_TRIED, None), STEPS_REFINED, len(tries))
    costs, logs = [trial.cost for trial in near], np.log([trial.scale for trial in near])
    best = near[int(np.argmin(costs))]
    a, b, _ = np.polyfit(logs, costs, 2)
    if a > 0:
        best.scale = float(np.exp(np.clip(-b / (2 * a), logs[0], logs[2])))
    return best, 1 / np.sqrt(a) if a > 0 else SPREAD_OF_SCALES


def scale_from_feet(bodies: Bodies, evidence: Evidence, path) -> tuple[float, bool]:
    """Metres per SLAM unit, so that in each step the slower foot stands as still as it can.

    A foot's error along the line of sight is far larger than across it (monocular depth), so the two weigh apart. Without a seen foot
    the root stands in, as people move slowly beside cameras. Returns the scale and whether feet decided it.
    """
    with torch.no_grad():
        keypoints = bodies.posed().keypoints  # about the camera's centre
        seen = evidence.confidence[..., [15, 16]] > 0.3
        ankles = keypoints[..., [15, 16], :]
        ankles = torch.where(seen[..., None], ankles, torch.nan)
        certain = int(seen.sum()) > max(ANKLES, ANKLES_SHARE * int(evidence.span.sum()))
        if not certain:
            ankles = bodies.root[:, :, None]
        depth = ankles.norm(dim=-1, keepdim=True)
        ray = ankles / depth
        step = 2 if ankles.shape[1] > 4 else 1
        moved, camera = ankles[:, step:] - ankles[:, :-step], (path[step:] - path[:-step])[None, :, None]
        ray, depth = ray[:, step:], depth[:, step:, :, 0]
        seconds = step / evidence.fps
        guess = float((moved.nan_to_num().norm(dim=-1).amax(-1).median() / camera.norm(dim=-1).median().clamp_min(1e-9)).clamp(1e-3, 1e3))
        candidates = torch.exp(torch.linspace(np.log(guess / 30), np.log(guess * 30), 400))
        costs = []
        for s in candidates:
            v = (moved + s * camera) / seconds
            along = (v * ray).sum(-1)
            across2 = (v**2).sum(-1) - along**2
            squared = across2 / 0.25**2 + along**2 / (0.25 + 0.02 * depth / seconds) ** 2
            cost = torch.log1p(squared)
            slower = torch.where(torch.isfinite(cost), cost, torch.inf).amin(-1)
            costs.append(slower[torch.isfinite(slower)].mean())
        return float(candidates[torch.stack(costs).argmin()]), certain


def scale_from_steps(bodies: Bodies, evidence: Evidence, path, guess: float) -> tuple[float, dict]:
    """Metres per SLAM unit at which people whose feet nobody sees go as fast as they step, and who does (steps.steppers); `guess` where nobody steps.

    The guess may be far too small, as who is followed keeps their distance: without feet, standing still is no evidence. How fast somebody
    steps is measured at the guess and at the scale that follows from it, and held: a path made large enough shakes everybody.
    """
    up = -torch.nn.functional.normalize(evidence.R_w_from_cam[:, :, 1].mean(0), dim=0)
    posed = bodies.posed()
    walkers, scale = steppers(posed, evidence, guess * path, up), guess
    for _ in range(2 if walkers else 0):
        scales = guess * np.geomspace(1 / 8, 64, 121)
        scale = float(scales[int(np.argmin([unlike(walkers, posed, evidence, s * path, up) for s in scales]))])
        walkers |= {row: found for row, found in steppers(posed, evidence, scale * path, up).items() if row in walkers}
    return scale, walkers
