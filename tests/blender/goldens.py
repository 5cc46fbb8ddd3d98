"""Pictures of every mode of both transfers, measured by regions, against tests/blender/goldens.json.

    python -m tests.blender.goldens FOLDER      writes goldens.json anew, and the pictures into FOLDER to be looked at

Regions come from the truth of the take and from where the light stands, never from the picture. Of each: mean R, G, B, the spread of the
grey levels, and their slope across and down, in levels of 255 (slopes: over the region's own width and height). So a golden holds on
other machines, Blenders and, within wider limits, engines, and still tells a person who is missing, a shadow that falls the other way,
whoever is in front, and a wrong view transform.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

import cv2
import numpy as np

from solver import frames
from solver.raster import instance_mask
from tests.blender import synthetic_take
from tests.blender.synthetic_take import FRAMES, HEIGHT, WIDTH

FILE = Path(__file__).with_name("goldens.json")
INDEX = 4  # frame of the film
SAMPLES = {"CYCLES": 8, "EEVEE": 4}
COLOURS = {1: (60, 50, 140), 2: (170, 150, 50)}  # of the people in the film
TOWARDS = np.array([0.7, -0.25, 0.65]) / np.linalg.norm([0.7, -0.25, 0.65])  # the film's sun, on the right
# Levels that two renders of one scene may differ by: OIDN of other versions, other noise, other rounding. Between engines, light that
# comes back from the ground and soft edges of shadows differ too. A shadow is 30 levels deep, a person 60 or more from what is behind.
LIMITS = {"CYCLES": {"mean": 6.0, "spread": 5.0, "slope": 12.0}, "EEVEE": {"mean": 14.0, "spread": 12.0, "slope": 36.0}}
LEAST = 60  # pixels of a region that counts

MODES = {  # people of the take, operator, its arguments
    "one": ((1, 2), "setup_composite", {"replace": "1"}),
    "all": ((1, 2), "setup_composite", {}),
    "alone": ((1,), "setup_composite", {}),
    "camera": ((1, 2), "setup_scene", {"content": "CAMERA"}),
    "people": ((1, 2), "setup_scene", {"content": "CHARACTERS"}),
    "both": ((1, 2), "setup_scene", {}),
    "retimed": ((1, 2), "setup_scene", {"retime": 0.5}),
    "night": ((1, 2), "setup_scene", {"surroundings": "STREET", "light": "NIGHT"}),
}


def write_take(folder: Path, people=(1, 2), second=(0.12, -0.9, 0)) -> dict:
    """A take of people on a tiled floor before a sky, under a sun; where both are there, the second, `second` m from the first, crosses in front. Returns the truth."""
    truth = synthetic_take.write(folder, people=people, second=second)
    for index in range(FRAMES):
        T, K = truth["T"][index], truth["K"][index]
        rays = _rays(K) @ T[:3, :3].T
        floor = rays[..., 2] < -0.01
        spot = T[:2, 3] - T[2, 3] * rays[..., :2] / np.where(floor, rays[..., 2], -1)[..., None]
        tile = np.floor(spot).sum(-1) % 2
        plate = np.where(floor[..., None], np.array([150, 140, 120]) + 14 * tile[..., None], [120, 170, 225]).astype(np.uint8)
        film = plate.copy()
        for person in people:
            film[truth["masks"][index] == person] = COLOURS[person]
        for name, picture in (("plate", plate), ("film", film)):
            cv2.imwrite(str(folder / name / f"{index:06d}.png"), picture[..., ::-1])
    light = {"towards": TOWARDS.tolist(), "shade": [0.4, 0.45, 0.55], "sure": 0.9}
    (folder / "plate" / "plate.json").write_text(json.dumps({"light": light, "level": 1.0}))
    return truth


def set_up(bpy, mode: str, engine: str = "CYCLES"):
    """The scene of a mode, of the take that is loaded, and the frame that shows INDEX of the film."""
    _, operator, arguments = MODES[mode]
    said = getattr(bpy.ops.shot, operator)(scene_name=mode, engine=engine, samples=SAMPLES[engine], **arguments)
    assert said == {"FINISHED"}
    return bpy.data.scenes[mode], 1 + round(INDEX * arguments.get("retime", 1.0))


def render(bpy, scene, frame: int, path: Path):
    """RGB (H, W, 3) of a scene."""
    from reshoot.scene import render as scene_render

    return cv2.imread(str(scene_render.still(scene, path, frame)))[..., ::-1]


def regions(bpy, scene, frame: int, truth: dict) -> dict:
    """Masks (H, W) by name: where people are, alone and across each other, their shadow, where it would fall from the other side, sky and floor."""
    bpy.context.window.scene = scene
    scene.frame_set(frame)
    deps = bpy.context.evaluated_depsgraph_get()
    camera = scene.camera.evaluated_get(deps)
    T, side = frames.camera_from_blender(np.array(camera.matrix_world)), max(WIDTH, HEIGHT)
    K = frames.intrinsics(camera.data.lens / 36 * side, WIDTH, HEIGHT)
    K[0, 2] -= camera.data.shift_x * side
    K[1, 2] += camera.data.shift_y * side

    def drawn(bodies):
        return instance_mask(bodies, truth["faces"], list(range(1, len(bodies) + 1)), T, K, WIDTH, HEIGHT) > 0

    bodies = [truth["vertices"][person][INDEX] for person in sorted(truth["vertices"])]
    alone = [drawn([v]) for v in bodies]
    anybody = np.logical_or.reduce(alone)
    sun = next(o for o in scene.objects if o.type == "LIGHT" and o.name.endswith("Sun"))
    towards = np.array(sun.evaluated_get(deps).matrix_world)[:3, 2]
    seen = bodies[:1] if scene.name == "one" else bodies  # who is kept has a shadow in the film already, and none is drawn upon it

    def fallen(people, away):
        return _grown(drawn([v * [1, 1, 0] + v[:, 2:] * [*(away * towards[:2] / towards[2]), 0] for v in people]), 1)

    shadow, across = (fallen(seen, s) & ~(fallen(bodies[1:], s) if len(seen) < len(bodies) else False) for s in (-1, 1))
    rays = _rays(K) @ T[:3, :3].T
    far = ~_grown(anybody | shadow, 4)
    found = {f"person {k}": a & ~_grown(np.logical_or.reduce([b for b in alone if b is not a] or [~a & a]), 2) for k, a in enumerate(alone, 1)}
    if len(alone) == 2:
        found["crossing"] = alone[0] & alone[1]
    found |= {"shadow": shadow & ~_grown(anybody, 2), "across": across & far, "sky": (rays[..., 2] > 0.05) & far, "floor": (rays[..., 2] < -0.05) & far}
    return {name: inner for name, mask in found.items() if (inner := _inner(mask, 2)).sum() >= LEAST}


def measure(picture, masks) -> dict:
    """Region → [R, G, B, spread, slope across, slope down]."""
    grey = picture.astype(float) @ [0.299, 0.587, 0.114]
    out = {}
    for name, mask in masks.items():
        y, x = np.nonzero(mask)
        values = grey[mask]
        where = np.stack([np.ones(len(x)), (x - x.mean()) / max(np.ptp(x), 1), (y - y.mean()) / max(np.ptp(y), 1)], 1)
        slopes = np.linalg.lstsq(where, values, rcond=None)[0][1:]
        out[name] = [round(float(v), 1) for v in (*picture[mask].mean(0), values.std(), *slopes)]
    return out


def differences(measured: dict, golden: dict, engine: str = "CYCLES") -> list[str]:
    """What is further from a golden than LIMITS allow, one line each; empty where all agrees."""
    said = [f"{name}: this region is in one of the two alone" for name in sorted(set(measured) ^ set(golden))]
    limits = LIMITS[engine]
    for name in sorted(set(measured) & set(golden)):
        ours, wanted = np.array(measured[name]), np.array(golden[name])
        for what, part in (("mean", slice(0, 3)), ("spread", slice(3, 4)), ("slope", slice(4, 6))):
            if np.abs(ours[part] - wanted[part]).max() > limits[what]:
                said.append(f"{name}: {what} {ours[part].tolist()}, golden {wanted[part].tolist()}")
    return said


def _rays(K):
    """Rays (H, W, 3) of the pixels' centres in the camera's axes."""
    spots = np.stack(np.meshgrid(np.arange(WIDTH) + 0.5, np.arange(HEIGHT) + 0.5), -1)
    return np.concatenate([(spots - K[:2, 2]) / K[[0, 1], [0, 1]], np.ones((HEIGHT, WIDTH, 1))], -1)


def _grown(mask, pixels):
    return cv2.dilate(mask.astype(np.uint8), np.ones((2 * pixels + 1,) * 2)) > 0


def _inner(mask, pixels):
    return cv2.erode(mask.astype(np.uint8), np.ones((2 * pixels + 1,) * 2)) > 0


def main(folder: Path) -> None:
    from tools.demo import load_extension

    bpy, out = load_extension(), {}
    truths = {people: write_take(folder / f"take{len(people)}", people) for people in {m[0] for m in MODES.values()}}
    for mode, (people, *_) in MODES.items():
        bpy.ops.wm.read_factory_settings(use_empty=True)
        bpy.ops.shot.load_take(directory=str(folder / f"take{len(people)}"))
        scene, frame = set_up(bpy, mode)
        masks = regions(bpy, scene, frame, truths[people])
        picture = render(bpy, scene, frame, folder / f"{mode}.png")
        out[mode] = measure(picture, masks)
        marked = picture[..., ::-1].copy()
        for k, mask in enumerate(masks.values()):
            edge = mask & ~_inner(mask, 1)
            marked[edge] = [(0, 0, 255), (0, 255, 0), (255, 0, 0), (0, 255, 255), (255, 0, 255), (255, 255, 0), (255, 255, 255)][k]
        cv2.imwrite(str(folder / f"{mode}_regions.png"), marked)
    lines = ",\n".join(f' "{m}": {{\n' + ",\n".join(f'  "{r}": {json.dumps(v)}' for r, v in got.items()) + "\n }" for m, got in out.items())
    FILE.write_text("{\n" + lines + "\n}\n", encoding="utf-8")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
