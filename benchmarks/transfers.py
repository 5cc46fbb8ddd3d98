"""What a 2D transfer of a solved take gets right: python -m benchmarks.transfers TAKE [TRUTH] [--frames N]

Blender composes the take with the solved bodies in place of people (Workbench, at the take's size), so that only the transfer is judged:

- silhouette: everybody replaced; the picture's characters against `solved/`, IoU. Without a truth too.
- order: one person replaced, everybody else kept, each in turn. Where the solved bodies of the one and of somebody else cover the same
  pixel, and the true masks give it to one of the two: `all`, the share of such pixels at which the character shows exactly where the truth
  has the replaced person in front; `right`, the same away from true outlines (EDGE px of 640), where it says who is in front and not how
  well masks and bodies meet the outline.
- light: angle between `plate/plate.json`'s sun and the true one (truth/light.json), after the rigid alignment of the cameras.

A pixel shows a character where the picture changes by more than half as the characters' colour goes from white to black.
TRUTH is a folder as the generator writes it.
"""

from __future__ import annotations

import argparse
import itertools
import json
import tempfile
from pathlib import Path

import cv2
import numpy as np

from solver.raster import instance_mask
from solver.take import read_mask

from .metrics import align_cameras

LEAST = 20  # pixels of overlap in a frame that is counted
EDGE = 2


def measure(take, truth=None, frames: int = 12) -> dict:
    """{"silhouette": {"iou", "worst"}, "order": {"right", "all", "pixels", "frames"}, "light": {"off_deg", "sure"}}; parts that cannot be had are None."""
    from tools.demo import done, load_extension

    take = Path(take).resolve()
    bpy = load_extension()
    from reshoot.scene import take as scene_take

    done(bpy.ops.shot.load_take(directory=str(take), match_scene=True), "Load Take")
    collection = scene_take.take_collections()[-1]
    data = scene_take.data_of(collection)
    asked = np.unique(np.linspace(0, data.frames - 1, min(frames, data.frames)).round().astype(int))
    film = Film(bpy, collection, data)

    overlap = []
    shown = film.characters("Everybody", asked)
    for index, mask in zip(asked, shown):
        solved = read_mask(take / "solved" / f"{index:06d}.png") > 0
        if solved.any():
            overlap.append((solved & mask).sum() / (solved | mask).sum())
    out = {"silhouette": {"iou": float(np.mean(overlap)), "worst": float(np.min(overlap))} if overlap else None, "order": None, "light": None}
    if truth is not None:
        out["order"] = _order(film, data, frames, Path(truth), take)
        out["light"] = _light(take, Path(truth), data)
    return out


class Film:
    """2D transfers of a take with its own bodies."""

    def __init__(self, bpy, collection, data):
        from reshoot.scene import take as scene_take

        self.bpy, self.data, self.home = bpy, data, bpy.context.scene
        self.first = int(collection[scene_take.START_KEY])
        self.skins = {p.id: scene_take.part(collection, "body", p.id) for p in data.people}

    def characters(self, name, indices, replace=()):
        """Where characters show (H, W) in each of these frames, with these people replaced and the others kept; () replaces everybody."""
        from reshoot.scene import render

        self.bpy.context.window.scene = self.home
        self.bpy.ops.shot.setup_composite(engine="WORKBENCH", scene_name=name, replace=",".join(map(str, replace)))
        scene = self.bpy.data.scenes[name]
        scene.render.resolution_x, scene.render.resolution_y = self.data.width, self.data.height
        shading = scene.display.shading
        shading.light, shading.color_type, scene.display.render_aa = "FLAT", "SINGLE", "8"
        out = []
        with tempfile.TemporaryDirectory() as folder:
            for index in indices:
                pictures = []
                for value in (0.0, 1.0):
                    shading.single_color = (value,) * 3
                    file = render.still(scene, Path(folder) / "picture.png", self.first + int(index))
                    pictures.append(cv2.imread(str(file)).astype(int))
                out.append((pictures[1] - pictures[0]).mean(-1) > 127)
        return out

    def silhouettes(self, index):
        """{person: (H, W) bool} of the solved bodies in a frame, each alone; who is not seen is left out."""
        self.bpy.context.window.scene = self.home
        self.home.frame_set(self.first + int(index))
        deps = self.bpy.context.evaluated_depsgraph_get()
        out = {}
        for person, skin in self.skins.items():
            body = skin.evaluated_get(deps)
            if body.hide_render:
                continue
            mesh = body.to_mesh()
            vertices = np.array([body.matrix_world @ v.co for v in mesh.vertices])
            faces = np.array([p.vertices[:] for p in mesh.polygons])
            body.to_mesh_clear()
            d = self.data
            out[person] = instance_mask([vertices], faces, [1], d.T_world_from_cam[index], d.K[index], d.width, d.height) > 0
        return out


def _order(film, data, frames, truth, take):
    start, size = int(data.shot["source"].get("start_frame", 0)), (data.width, data.height)
    true = [cv2.resize(read_mask(truth / f"masks/{start + i:06d}.png"), size, interpolation=cv2.INTER_NEAREST) for i in range(data.frames)]
    theirs = _matched([read_mask(take / f"masks/{i:06d}.png") for i in range(data.frames)], true)
    both = {}  # (frame, replaced, kept) → pixels
    for i in range(data.frames):
        alone = film.silhouettes(i)
        for a, b in itertools.permutations(sorted(theirs.keys() & alone.keys()), 2):
            pixels = alone[a] & alone[b] & np.isin(true[i], (theirs[a], theirs[b]))
            if pixels.sum() >= LEAST:
                both[i, a, b] = pixels
    crossed = sorted({i for i, *_ in both})
    asked = {crossed[k] for k in np.linspace(0, len(crossed) - 1, min(frames, len(crossed))).round().astype(int)}
    counts = {"right": [0, 0], "all": [0, 0]}
    for person in theirs:
        indices = [i for i in sorted(asked) if any((i, person) == key[:2] for key in both)]
        for index, mask in zip(indices, film.characters(f"Person {person} Replaced", indices, (person,)) if indices else ()):
            pixels = np.logical_or.reduce([p for (i, a, _), p in both.items() if (i, a) == (index, person)])
            agrees = mask == (true[index] == theirs[person])
            inner = pixels & ~_outlines(true[index], max(1, round(EDGE * data.width / 640)))
            for name, where in (("all", pixels), ("right", inner)):
                counts[name][0] += int(agrees[where].sum())
                counts[name][1] += int(where.sum())
    if not counts["right"][1]:
        return None
    return {name: got / total for name, (got, total) in counts.items()} | {"pixels": counts["all"][1], "frames": len(asked)}


def _outlines(mask, pixels):
    """(H, W) bool: within so many pixels of where one person, or nobody, ends and another begins."""
    kernel = np.ones((2 * pixels + 1,) * 2)
    return cv2.dilate(mask, kernel) != cv2.erode(mask, kernel)


def _matched(masks, true):
    """{person of the take: person of the truth}: each true person with the one who shares most with them."""
    from scipy.optimize import linear_sum_assignment

    ours, wanted = (sorted({int(p) for m in stack for p in np.unique(m)} - {0}) for stack in (masks, true))
    shared = np.array([[sum(int(((m == p) & (t == q)).sum()) for m, t in zip(masks, true)) for q in wanted] for p in ours])
    if not shared.size:
        return {}
    rows, columns = linear_sum_assignment(-shared)
    return {ours[r]: wanted[c] for r, c in zip(rows, columns) if shared[r, c] > 0}


def _light(take, truth, data):
    try:
        true = np.array(json.loads((truth / "light.json").read_text(encoding="utf-8"))["towards"])
        light = json.loads((take / "plate/plate.json").read_text(encoding="utf-8"))["light"]
    except (OSError, KeyError):
        return None
    if light is None:
        return {"off_deg": None, "sure": 0.0}
    start = int(data.shot["source"].get("start_frame", 0))
    with np.load(truth / "camera.npz") as file:
        T_true = file["T_world_from_cam"][start : start + data.frames]
    _, R, _ = align_cameras(data.T_world_from_cam, T_true)
    cosine = np.clip(R @ np.array(light["towards"]) @ true, -1, 1)
    return {"off_deg": float(np.degrees(np.arccos(cosine))), "sure": float(light["sure"])}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("take", type=Path)
    parser.add_argument("truth", type=Path, nargs="?")
    parser.add_argument("--frames", type=int, default=12)
    a = parser.parse_args()
    print(json.dumps(measure(a.take, a.truth, a.frames), indent=1))


if __name__ == "__main__":
    main()
