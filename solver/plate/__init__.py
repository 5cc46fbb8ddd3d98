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
from . import belongs, missed, walls
from . import light as lights
from .erase import Erase, Shadows
from .inpaint import inpaint
from .paint import KEY, Painter

GROW_WIDTH = 0.015  # the masks grow by this part of the picture's width
LOOK_EVERY = 6  # every sixth frame tells how bright and how soft the film is
ERASED = 0.3  # of the place of somebody who was left out: where more of it was erased, they are torn
EDGE_PX = 0.82  # what edge_softness reads from an edge that was rendered without blur, Sobel's own included
EDGE_REACHES, EDGE_LEVELS, EDGES = (4, 8), 40, 8  # px to both sides of an edge, its least height, and how many tell


def run(
    shot, frames, masks: Callable[[int], np.ndarray], camera, slam, take_dir, report, bodies=None, detect=None, thorough=True, inpainter=None,
    known=None, left_out=None, points=None,
) -> dict:
    """Build the clean plate of a shot.

    frames:  read(i) gives RGB uint8 (H, W, 3).
    masks:   index to person indices (H, W) uint8.
    camera:  Camera in the world or None; where slam is None, a turning camera.
    slam:    Slam or None.
    bodies:  index to vertices (list of (V, 3) m in the world), their ids and faces (F, 3); None: shadows stay.
    detect:  picture to boxes (N, 4) px and scores (N,) of people, to look with for who is in no mask, and at the plate; None: nobody looks.
    thorough: what hangs on people and is in no mask is looked for first, see `belongs`.
    inpainter: command of a program that paints what no frame shows, see `inpaint`; None, or where it fails: it is guessed.
    known:   index to who else is in no mask, see `missed.find`. left_out: index to boxes (N, 4) px of people who are to stay in the plate.
    points:  (N, 3) m, solved points of the background in the world, or None: what walls are found in.
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
    upright = []
    if points is not None and verdict == "full" and camera is not None:
        centres = camera.T_world_from_cam[:, :3, 3]
        seen = [(v.mean(0), centres[i]) for i in range(0, shot.frames, LOOK_EVERY) for v in (bodies(i)[0] if bodies is not None else ())]
        upright = walls.find(points, centres, np.array(seen).reshape(-1, 2, 3).swapaxes(0, 1))
    shadows = Shadows(light, bodies, camera, shot.width, shot.height, upright) if sure else None
    passes = ["who is in no mask"] * (detect is not None) + ["what belongs to people"] * thorough + ["clean plate"]

    def tick(index, text, said=""):
        report.progress(passes.index(text) * shot.frames + index, len(passes) * shot.frames, said or text)

    lost = {}
    if detect is not None:
        lost = missed.find(shot, frames, masks, detect, known, left_out, lambda index: tick(index, "who is in no mask"))
    before, doubted = shadows, sorted(lost)
    if thorough:
        told = lambda index: tick(index, "what belongs to people")
        masks, shadows, borne_out, on_walls, doubted = belongs.extended(shot, frames, masks, shadows, verdict, camera, slam, told, lost)
        if sure and not borne_out:
            light, sure = replace(light, sure=0.0), False
        if before is not None and not on_walls:  # there is no wall where it was thought, or something stands before it
            upright = []
    wall_shadows = before.on_walls if sure and upright else None
    at = [0]
    say = lambda text="": tick(at[0], "clean plate", text)
    where = lambda index: np.logical_or.reduce([s.mask((shot.height, shot.width)) for s in lost[index]]) if index in lost else None
    painter = Painter(shot, frames, Erase(masks, grow, shadows, wall_shadows), verdict, camera, slam, light if sure else None, tick=say, missed=where)
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
            if detect is not None and index % KEY == 0 and _somebody(missed.people_in(plate, hole, detect), hole, left_out(index) if left_out else ()):
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
                say()
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
        "walls": [wall.corners.round(4).tolist() for wall in upright],
        "grain": float(np.median(painter.grain)) if painter.grain else 0.0,
        "level": float(np.median(level)),
        "softness_px": float(np.nanmedian(softness)) if np.isfinite(softness).any() else 0.0,
        "looked_at": len(range(0, shot.frames, KEY)) if detect is not None else 0,
        "somebody_left": left,
        "in_no_mask": sorted(lost),
        "somebody_lost": doubted,
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


def _somebody(boxes, hole, left_out) -> bool:
    """Whether one of the found people is not one of those who are left out, or is and was torn where others were erased."""
    for box in boxes:
        x0, y0, x1, y1 = (int(v) for v in np.round(box))
        inside = hole[max(y0, 0) : y1, max(x0, 0) : x1]
        if inside.size and (inside.mean() > ERASED or all(missed.shared(box, other) < 0.5 for other in left_out)):
            return True
    return False
