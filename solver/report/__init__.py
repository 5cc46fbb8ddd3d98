"""report: numbers, pictures and traffic lights of a finished take: report.json and report.html."""

from __future__ import annotations

import json
from fractions import Fraction
from pathlib import Path

import cv2
import numpy as np

from ..frames import focal_mm_from_px
from ..protocol import Reporter
from ..raster import instance_mask
from ..records import Film, Shot, Slam, Tracks, World, save_text
from ..take import Take
from ..world.behind import share_in_front
from . import measure
from .drawing import Cast
from .lights import lights, verdict
from .page import page
from .pictures import Pictures, portraits, read

COMPARED_FRAMES = 24  # the start camera is rasterised for this many frames only


def run(
    take_dir, shot: Shot, frames, tracks: Tracks, slam: Slam, start: World, film: Film, world: World, masks, solved, model, state: dict,
    report: Reporter,
) -> dict:  # fmt: skip
    """Measure the take and write report.json, report.html and a picture of each person.

    start, world:  the world before and after the film stage.
    masks, solved: index to person indices (H, W) of the video and of the solved people.
    state:         shot.json's content: seconds per stage, warnings.
    Returns report.json's content.
    """
    take_dir = Path(take_dir)
    before, after = Cast(start, model), Cast(world, model)
    silhouettes, sampled, sampled_start = measure.Silhouettes(), measure.Silhouettes(), measure.Silhouettes()
    sample = set(np.unique(np.linspace(0, shot.frames - 1, COMPARED_FRAMES).round().astype(int)).tolist())
    # Who passes behind others has a body but no mask to compare it with.
    passing = [after.people.ids[new] for new in (after.people.visible & ~tracks.visible).T]
    for index in range(shot.frames):
        report.progress(index, shot.frames + 1, "measuring")
        mask, drawn = masks(index), solved(index)
        drawn = np.where(np.isin(drawn, passing[index]), 0, drawn)
        silhouettes.add(mask, drawn)
        if index in sample:
            sampled.add(mask, drawn)
            sampled_start.add(mask, start_mask(before, index, shot))
    numbers, errors = _numbers(take_dir, shot, tracks, slam, film, world, before, after, state, masks)
    numbers.update(silhouettes.result())
    numbers["compared_frames"] = {"frames": sorted(sample), "start": sampled_start.result(), "final": sampled.result()}
    card = lights(numbers)
    numbers["lights"] = [vars(light) for light in card]
    numbers["verdict"] = dict(zip(("colour", "text"), verdict(card)))
    pictures = Pictures(take_dir, shot, frames, masks, solved, before, after, start_mask)
    report.progress(shot.frames, shot.frames + 1, "report")
    html = page(numbers, shot, world, after, pictures, errors, film, np.array(silhouettes.per_frame))
    save_text(take_dir / "report.json", json.dumps(numbers, indent=1, allow_nan=False))
    save_text(take_dir / "report.html", html)
    portraits(Take(take_dir), frames, masks, world.people)
    report.progress(shot.frames + 1, shot.frames + 1, "report")
    return numbers


def start_mask(cast: Cast, index: int, shot: Shot) -> np.ndarray:
    """Person indices (H, W) of a cast through its own camera."""
    vertices, ids = cast.bodies(index)
    T, K = cast.camera.T_world_from_cam[index], cast.camera.K[index]
    return instance_mask(vertices, cast.faces, ids, T, K, shot.width, shot.height)


def _numbers(take_dir, shot, tracks, slam, film, world, before, after, state, masks):
    """What report.json says, without silhouettes; and joint errors per frame before and after, (T,) px."""
    fps = float(Fraction(shot.fps))
    errors = {}
    for name, cast in (("start", before), ("final", after)):
        errors[name] = measure.joint_error(cast.keypoints, cast.camera, tracks, cast.people.visible & tracks.visible)
    mean = {name: _number(measure.weighted_mean(e)) for name, e in errors.items()}
    to_reference = measure.REFERENCE_WIDTH / shot.width
    focal = focal_mm_from_px(after.camera.K[:, 0, 0], shot.width, shot.height)
    people = [
        {
            "id": int(person),
            "frames": int(after.people.visible[p].sum()),
            "joint_error_px_1920": _number(measure.weighted_mean(errors["final"][p]) * to_reference),
        }
        for p, person in enumerate(after.people.ids)
    ]
    numbers = {
        "source": Path(shot.path).name,
        "frames": shot.frames,
        "fps": fps,
        "width": shot.width,
        "height": shot.height,
        "people": people,
        "joint_error_px": mean,
        "joint_error_px_1920": {name: None if value is None else value * to_reference for name, value in mean.items()},
        "foot_slide_mm": measure.foot_slide_mm(after.keypoints, after.contact, after.people.visible),
        "jitter": measure.jitter(after.joints, after.people.visible, fps),
        "camera": {
            "movement": world.carried or slam.verdict,
            "carried": bool(world.carried),
            **{key: None if slam.unknown else slam.verdict_scores.get(key) for key in ("set_by", "runner_up", "margin", "travel_margin")},
            "used": film.used,
            "path_m": measure.path_length_m(after.camera),
            "turn_deg": measure.turn_deg(after.camera),
            "focal_mm": float(np.mean(focal)),
            "focal_mm_first_last": [float(focal[0]), float(focal[-1])],
            "focal_sigma": float(slam.focal_sigma),
            "focal_source": slam.focal_source,
            "measured_share": 0.0 if slam.unknown else float(np.mean(slam.measured)),
            "heldout_start": film.heldout_start,
            "heldout_final": film.heldout_final,
        },
        "world": _world(slam, world, after, masks, fps),
        "plate": _plate(take_dir, shot, masks),
        "stages": {name: stage.get("seconds", 0.0) for name, stage in state.get("stages", {}).items() if stage.get("seconds")},
        "warnings": list(state.get("warnings", [])),
        "given": state.get("given", {}),  # files that were held against the film (imports.against_film)
    }
    per_frame = {name: measure.weighted_mean(e, axis=(0, 2)) for name, e in errors.items()}
    return numbers, per_frame


def _world(slam, world, cast, masks, fps) -> dict:
    """What stands behind the picture: sigmas of the solve, and what the picture lets one check of it."""
    people = cast.people
    on_ground = people.visible & ~measure.on_steps(cast.keypoints, cast.contact) if world.stairs else people.visible
    floats, sinks = measure.standing_height_m(cast.keypoints, on_ground)
    depth = slam.verdict == "full"  # elsewhere background points have none
    return {
        "sigma": world.sigma,
        "hidden_in_front": share_in_front(world.points_world, cast.camera, masks, people, cast.joints) if depth else None,
        "stairs": world.stairs,
        "float_m": floats,
        "sink_m": sinks,
        "roll_deg": measure.roll_deg(cast.camera),
        "unseen_knees_deg": measure.unseen_knee_bend_deg(people.body_pose, people.joint_confidence, people.visible),
        "unseen_legs": measure.unseen_legs_share(people.joint_confidence, people.visible),
        "falls": _falls(cast, fps),
    }


def _falls(cast, fps) -> list[dict]:
    """Who falls how fast, the fastest first: their second fastest fall (g), how tall they were solved, and would be if they fell as gravity lets them."""
    out = []
    for row, speeds in enumerate(measure.falls(cast.joints, cast.people.visible, fps)):
        if len(speeds) > 1:
            height = float(cast.heights_m[row])
            told = height / float(np.median([g for g in speeds if g > 1])) if speeds[1] > 1 else height
            out.append({"person": int(cast.people.ids[row]), "g": speeds[1], "height_m": height, "height_by_gravity_m": told})
    return sorted(out, key=lambda item: -item["g"])


def _number(value) -> float | None:
    return float(value) if np.isfinite(value) else None


def _plate(take_dir, shot, masks) -> dict | None:
    """How much of the clean plate is guessed; None where there is none, or nobody to remove."""
    hidden = guessed = behind = 0
    for index in range(shot.frames):
        unseen = read(take_dir / "plate" / "unseen" / f"{index:06d}.png", cv2.IMREAD_GRAYSCALE)
        if unseen is None:
            return None
        people = masks(index) > 0
        hidden += int(people.sum())
        behind += int((people & (unseen > 127)).sum())
        guessed += int((unseen > 127).sum())
    if hidden == 0:
        return None
    facts = take_dir / "plate" / "plate.json"
    known = json.loads(facts.read_text(encoding="utf-8")) if facts.exists() else {}
    return {
        "unseen_share": guessed / (shot.frames * shot.width * shot.height),
        "unseen_share_of_hidden": behind / hidden,
        **{key: known.get(key) for key in ("light", "grain", "looked_at", "somebody_left", "somebody_lost")},
    }
