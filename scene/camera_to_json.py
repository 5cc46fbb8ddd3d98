"""A camera of Blender, or of a file that Blender imports (FBX, USD, Alembic, glTF), as the JSON that Extract Shot takes.

    blender --background --python camera_to_json.py -- CAMERA.fbx [CAMERA.json] [FPS]

In a window: open this file in the Text Editor and press Run Script; it writes the scene's camera beside the .blend. The scene's frame
range, rate and resolution are the film's; after an import the range is that of the camera's keys.
"""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path

IMPORTERS = {
    ".fbx": ("import_scene", "fbx", {"anim_offset": 0}), ".abc": ("wm", "alembic_import", {"as_background_job": False}),
    ".glb": ("import_scene", "gltf", {}), ".gltf": ("import_scene", "gltf", {}),
    **{ending: ("wm", "usd_import", {}) for ending in (".usd", ".usda", ".usdc", ".usdz")},
}  # fmt: skip


def pixels(data, width: int, height: int) -> list:
    """K (3, 3) px of a camera's data for pictures width x height, corner origin."""
    fit = data.sensor_fit
    side = height if fit == "VERTICAL" or (fit == "AUTO" and height > width) else width
    focal = data.lens * side / (data.sensor_height if fit == "VERTICAL" else data.sensor_width)
    return [
        [focal, 0.0, width / 2 - data.shift_x * side],
        [0.0, focal, height / 2 + data.shift_y * side],
        [0.0, 0.0, 1.0],
    ]


def rows(scene, camera) -> list:
    """Matrix and lens of a camera object at every frame of the scene, which is left at the frame where it was."""
    import bpy

    before, out = scene.frame_current, []
    width, height = _size(scene)
    for frame in range(scene.frame_start, scene.frame_end + 1):
        scene.frame_set(frame)
        seen = camera.evaluated_get(bpy.context.evaluated_depsgraph_get())
        place, turn, _ = seen.matrix_world.decompose()
        matrix = turn.to_matrix().to_4x4()
        matrix.translation = place
        out.append(
            {"frame": frame, "matrix_world": [list(row) for row in matrix], "K": pixels(seen.data, width, height)}
        )
    scene.frame_set(before)
    return out


def write(path, scene, camera) -> None:
    """Write the JSON of a camera object, beside its place first."""
    width, height = _size(scene)
    data = {
        "width": width,
        "height": height,
        "fps": scene.render.fps / scene.render.fps_base,
        "frames": rows(scene, camera),
    }
    beside = Path(path).with_name(Path(path).name + ".part")
    beside.write_text(json.dumps(data), encoding="utf-8")
    os.replace(beside, path)


def _size(scene) -> tuple[int, int]:
    share = scene.render.resolution_percentage / 100
    return round(scene.render.resolution_x * share), round(scene.render.resolution_y * share)


def import_camera(path, scene):
    """Import a file and return its camera: the one with keys, else the first. Sets the scene's range to the camera's keys where it has some."""
    import bpy

    group, name, options = IMPORTERS[Path(path).suffix.lower()]
    known = set(bpy.data.objects)
    getattr(getattr(bpy.ops, group), name)(filepath=str(path), **options)
    cameras = sorted(
        (o for o in set(bpy.data.objects) - known if o.type == "CAMERA"), key=lambda o: (not _keys(o), o.name)
    )
    if not cameras:
        raise SystemExit(f"error: {Path(path).name} holds no camera. Export the camera too.")
    if _keys(cameras[0]):
        first, last = _keys(cameras[0])
        scene.frame_start, scene.frame_end = round(first), round(last)
    return cameras[0]


def _keys(camera):
    """First and last key of a camera or of what it hangs on, or None."""
    ranges, thing = [], camera
    while thing is not None:
        if thing.animation_data and thing.animation_data.action:
            ranges.append(thing.animation_data.action.frame_range)
        thing = thing.parent
    return (min(r[0] for r in ranges), max(r[1] for r in ranges)) if ranges else None


def main(arguments: list[str]) -> None:
    import bpy

    scene = bpy.context.scene
    if not arguments:
        if scene.camera is None or not bpy.data.filepath:
            raise SystemExit(
                "error: The scene has no camera, or is not saved. Choose a camera and save the file first."
            )
        return write(Path(bpy.data.filepath).with_suffix(".camera.json"), scene, scene.camera)
    source = Path(arguments[0])
    if source.suffix.lower() not in IMPORTERS or not source.is_file():
        raise SystemExit(f"error: {source.name} is no FBX, USD, Alembic or glTF file. Choose one of these.")
    if len(arguments) > 2:
        rate = float(arguments[2])
        scene.render.fps, scene.render.fps_base = round(rate), round(rate) / rate
    camera = import_camera(source, scene)
    return write(Path(arguments[1]) if len(arguments) > 1 else source.with_suffix(".json"), scene, camera)


if __name__ == "__main__":
    main(sys.argv[sys.argv.index("--") + 1 :] if "--" in sys.argv else [])
