"""plate: V_b, the shot without its people. Every hidden pixel comes from frames that show it, registered to the frame at hand;
what no frame shows is marked in `unseen/` and filled with a guess that stays put. The shadows that people cast on the ground go with
them where the light is known; where the ground is never seen without its shadow it is lit again. Reflections remain.

`erase/` says whose each erased pixel is, so that any subset of the people can be erased later. All other pixels are the original's,
bit for bit.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np

from ..movie import MovieWriter
from ..protocol import ShotError
from ..records import save_text
from ..take import write_image, write_mask
from . import belongs
from . import light as lights
from .erase import Erase, cast_shadows
from .inpaint import inpaint
from .paint import Painter

GROW_WIDTH = 0.015  # the masks grow by this part of the picture's width
LOOK_EVERY = 6  # every sixth frame of the plate is searched for people who are still there
LOOK_SCORE = 0.4
EDGE_PX = 0.82  # what edge_softness reads from an edge that was rendered without blur, Sobel's own included
EDGE_REACHES, EDGE_LEVELS, EDGES = (4, 8), 40, 8  # px to both sides of an edge, its least height, and how many tell


def run(
    shot, frames, masks: Callable[[int], np.ndarray], camera, slam, take_dir, report, bodies=None, detect=None, thorough=True, inpainter=None
) -> dict:
    """Build the clean plate of a shot.

    frames:  read(i) gives RGB uint8 (H, W, 3).
    masks:   index to person indices (H, W) uint8.
    camera:  Camera in the world or None; where slam is None, a turning camera.
    slam:    Slam or None.
    bodies:  index to vertices (list of (V, 3) m in the world), their ids and faces (F, 3); None: shadows stay.
    detect:  picture to boxes (N, 4) px and scores (N,) of people, to look at the plate with; None: nobody looks.
    thorough: what hangs on people and is in no mask is looked for first, see `belongs`.
    inpainter: command of a program that paints what no frame shows, see `inpaint`; None, or where it fails: it is guessed.
    Writes take_dir/plate/%06d.png, plate/unseen/%06d.png, plate/erase/%06d.png, plate/plate.mp4, plate/plate.json.
    Returns what plate.json says.
    """
    verdict = slam.verdict if slam is not None else ("rotation" if camera is not None else "full")
    folder = Path(take_dir) / "plate"
    beside = Path(take_dir) / "plate.part"
    shutil.rmtree(beside, ignore_errors=True)
    (beside / "unseen").mkdir(parents=True)
    (beside / "erase").mkdir()
    grow = max(3, round(GROW_WIDTH * shot.width))
    light = None
    if bodies is not None and camera is not None:
        report.progress(0, shot.frames, "light of the film")
        light = lights.estimate(frames.read, masks, camera, lambda i: bodies(i)[0], shot.frames, grow)
    sure = light is not None and light.sure >= lights.LEAST
    shadows = cast_shadows(light, bodies, camera, shot.width, shot.height) if sure else None
    if thorough:
        tick = lambda index: report.progress(index, 2 * shot.frames, "what belongs to people")
        masks, shadows, borne_out = belongs.extended(shot, frames, masks, shadows, verdict, camera, slam, tick)
        if sure and not borne_out:
            light, sure = replace(light, sure=0.0), False
    at = [0]
    say = lambda text="clean plate": report.progress(*((shot.frames + at[0], 2 * shot.frames) if thorough else (at[0], shot.frames)), text)
    painter = Painter(shot, frames, Erase(masks, grow, shadows), verdict, camera, slam, light if sure else None, tick=say)
    hidden = guessed = 0
    per_frame, left, level, softness = [], [], [], []
    with MovieWriter(beside / "plate.mp4", shot.fps) as movie:
        for index in range(shot.frames):
            at[0] = index
            say()
            plate, unseen = painter.paint(index)
            write_image(beside / f"{index:06d}.png", plate)
            write_image(beside / "unseen" / f"{index:06d}.png", unseen)
            write_mask(beside / "erase" / f"{index:06d}.png", painter.window.owner(index))
            movie.write(plate)
            hole = painter.window.owner(index) > 0
            if index % LOOK_EVERY == 0:
                level.append(np.percentile(lights.linear(plate).mean(-1), 95))
                softness.append(edge_softness(cv2.cvtColor(painter.window.full(index), cv2.COLOR_RGB2GRAY), masks(index)))
                if detect is not None and _somebody(detect(plate), hole):
                    left.append(index)
            hidden += int(hole.sum())
            guessed += int((unseen > 127).sum())
            per_frame.append(float((unseen > 127).mean()))
    painted = False
    if inpainter and guessed:
        try:
            inpaint(inpainter, beside, shot.frames, lambda: say("your inpainter"))
            painted = True
        except ShotError as error:
            report.warn(f"{error.message} What no frame shows was guessed instead.")
    if painted:
        with MovieWriter(beside / "plate.mp4", shot.fps) as movie:
            for index in range(shot.frames):
                say("clean plate")
                movie.write(cv2.imread(str(beside / f"{index:06d}.png"))[..., ::-1])
    pixels = shot.frames * shot.width * shot.height
    share = guessed / max(hidden, 1)
    if guessed / pixels > 0.005 and not painted:
        report.warn(
            f"{100 * share:.0f}% of what the people hide is never shown by this shot. The clean plate guesses it there; "
            "plate/unseen marks where. Paint those parts over if they stay in view."
        )
    facts = {
        "method": verdict,
        "hidden_share": hidden / pixels,
        "unseen_share": guessed / pixels,
        "unseen_share_of_hidden": share,
        "inpainted": painted,
        "worst_frame": int(np.argmax(per_frame)) if per_frame else 0,
        "light": light.to_json() if light is not None else None,
        "grain": float(np.median(painter.grain)) if painter.grain else 0.0,
        "level": float(np.median(level)),
        "softness_px": float(np.nanmedian(softness)) if np.isfinite(softness).any() else 0.0,
        "looked_at": len(range(0, shot.frames, LOOK_EVERY)) if detect is not None else 0,
        "somebody_left": left,
    }
    save_text(beside / "plate.json", json.dumps(facts, indent=1))
    shutil.rmtree(folder, ignore_errors=True)
    beside.rename(folder)
    report.progress(shot.frames, shot.frames, "clean plate")
    return facts


def edge_softness(gray, people) -> float:
    """How soft the outlines of people are: standard deviation of the blur, px, beyond a rendered edge's own. NaN without people.

    A step of height h under a Gaussian has its steepest slope h / (sigma * sqrt(2 pi)). Only steps that rise all the way across count: what
    textures beside an edge add to its height would make it look soft. Of those the sharper ones, as others are blurred by their own motion.
    """
    edge = cv2.morphologyEx((people > 0).astype(np.uint8), cv2.MORPH_GRADIENT, np.ones((5, 5))) > 0
    gray = gray.astype(np.float32)
    x, y = (cv2.Sobel(gray, cv2.CV_32F, *axis, scale=1 / 8) for axis in ((1, 0), (0, 1)))
    slope = np.hypot(x, y)
    rows, columns = np.nonzero(edge & (slope >= cv2.dilate(slope, np.ones((3, 3))) - 1e-3) & (slope > 2))
    if len(rows) < EDGES:
        return float("nan")
    slope, sigma = slope[rows, columns], np.nan
    across = np.stack([x[rows, columns], y[rows, columns]]) / slope
    for reach in EDGE_REACHES:
        steps = np.arange(-reach, reach + 1, dtype=np.float32)[:, None]
        at = [(start + steps * way).astype(np.float32) for start, way in zip((columns, rows), across)]
        profile = cv2.remap(gray, *at, cv2.INTER_LINEAR)
        height = profile[-1] - profile[0]
        use = (height > EDGE_LEVELS) & (np.diff(profile, axis=0) > -0.05 * np.abs(height)).all(0)
        if use.sum() < EDGES:
            break
        sigma = float(np.percentile(height[use] / (slope[use] * np.sqrt(2 * np.pi)), 25))
        if sigma < reach / 3:
            break
    return float(np.sqrt(max(sigma**2 - EDGE_PX**2, 0))) if np.isfinite(sigma) else float("nan")


def _somebody(found, hole) -> bool:
    """Whether one of the found people stands where people were erased."""
    for box, score in zip(*found):
        x0, y0, x1, y1 = (int(v) for v in np.round(box))
        inside = hole[max(y0, 0) : y1, max(x0, 0) : x1]
        if score >= LOOK_SCORE and inside.size and inside.mean() > 0.3:
            return True
    return False
