"""One shot many times over: scenes that differ in their set, their light or their character, and a sheet of pictures of them all."""

from __future__ import annotations

import tempfile
from contextlib import contextmanager
from pathlib import Path

import bpy
import numpy as np

from ..retarget import load_track
from ..solver.protocol import ShotError
from . import actions, characters, compositor, render, stage
from . import take as scene_take

GAP = 0.02  # between the pictures of a sheet, of a picture's width
STAMPS = ("camera", "date", "filename", "frame", "frame_range", "hostname", "labels", "lens", "marker", "memory", "note", "render_time",
          "scene", "sequencer_strip", "time")  # fmt: skip
KEPT = ("filepath", "resolution_percentage", "stamp_font_size", "use_stamp", *(f"use_stamp_{name}" for name in STAMPS))


def over_sets(source, take_collection, surroundings, lights, **options) -> tuple[list, list]:
    """A 3D transfer for each set and light. options: of `stage.build`. Returns the scenes and their warnings."""
    made, warnings = [], []
    for name in surroundings:
        for light in lights:
            title = f"{take_collection.name} {name} {light}".replace("_", " ").title()
            scene, said = stage.build(source, take_collection, surroundings=name, light=light, name=title, **options)
            made.append(scene)
            warnings += [w for w in said if w not in warnings]
    return made, warnings


def over_characters(source, take_collection, person, rigs, in_film, **options) -> tuple[list, list]:
    """A transfer for each of these armatures in the place of one person: of copies that move as that person, so nothing of the scene changes.

    in_film: into the film, others kept, with options of `compositor.build`; else into a set, with options of `stage.build`.
    Returns the scenes and their warnings, of those who could not be moved as well. Raises ShotError where there is no such person, or nobody to show.
    """
    track = load_track(scene_take.folder_of(take_collection), person)
    if not rigs:
        raise ShotError("There is no character in this scene.", "Import one, or several, each with an armature.")
    start, root = int(take_collection[scene_take.START_KEY]), scene_take.part(take_collection, "world")
    world = np.array(root.matrix_world) if root else None
    made, warnings = [], []
    for rig in rigs:
        shown, copy = characters.copied(source, rig, f"{rig.name} for {take_collection.name}")
        source.collection.children.link(shown)  # a rig in no scene has no place
        source.view_layers[0].update()
        try:
            actions.retarget(copy, track, start, None, True, world, f"{take_collection.name} Person {person} on {rig.name}")
        except ShotError as error:
            warnings.append(f"{rig.name} is left out: {error}")
            bpy.data.batch_remove([*shown.objects, shown])
            continue
        source.collection.children.unlink(shown)
        title = f"{take_collection.name} {rig.name}"
        if in_film:
            transfer = compositor.build(source, take_collection, replace=(person,), characters=shown, name=title, **options)
            scene, said = transfer.scene, transfer.warnings
        else:
            scene, said = stage.build(source, take_collection, characters=shown, name=title, **options)
        made.append(scene)
        warnings += [w for w in said if w not in warnings]
    if not made:
        raise ShotError(" ".join(warnings))
    return made, warnings


def contact_sheet(scenes, path: Path, moments: int = 3, width: int = 320) -> Path:
    """A PNG with a row for each scene: pictures at so many moments of it, `width` px wide, with the scene's name on them."""
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        for number, scene in enumerate(scenes):
            frames = np.linspace(scene.frame_start, scene.frame_end, moments + 2)[1:-1].round().astype(int)
            with _small(scene, width):
                files = [render.still(scene, Path(folder) / f"{number}_{frame}.png", int(frame)) for frame in frames]
            rows.append([_pixels(file) for file in files])
    height = max(picture.shape[0] for row in rows for picture in row)
    gap = max(2, round(GAP * width))
    sheet = np.ones((len(rows) * (height + gap) + gap, moments * (width + gap) + gap, 4), np.float32)
    for y, row in enumerate(reversed(rows)):  # Blender's pictures begin at the bottom
        for x, picture in enumerate(row):
            h, w = min(height, picture.shape[0]), min(width, picture.shape[1])
            top, left = gap + y * (height + gap), gap + x * (width + gap)
            sheet[top : top + h, left : left + w, :3] = picture[:h, :w, :3]
    image = bpy.data.images.new("Contact Sheet", sheet.shape[1], sheet.shape[0])
    try:
        image.pixels.foreach_set(sheet.ravel())
        image.filepath_raw, image.file_format = str(path), "PNG"
        image.save()
    finally:
        bpy.data.images.remove(image)
    return Path(path)


@contextmanager
def _small(scene, width):
    """Renders of a scene are PNGs of about this width, with its name, for a while."""
    settings = scene.render.image_settings
    keys = [key for key in ("media_type", "file_format", "color_mode") if hasattr(settings, key)]
    before = {key: getattr(settings, key) for key in keys}
    render_before = {key: getattr(scene.render, key) for key in KEPT}
    full = scene.render.resolution_x * scene.render.pixel_aspect_x
    for key in KEPT:
        if key.startswith("use_stamp"):
            setattr(scene.render, key, key in ("use_stamp", "use_stamp_scene"))
    scene.render.resolution_percentage = max(1, int(np.ceil(100 * width / full)))
    scene.render.stamp_font_size = max(9, width // 28)
    try:
        yield
    finally:
        for key, value in render_before.items():
            setattr(scene.render, key, value)
        for key in keys:
            setattr(settings, key, before[key])


def _pixels(path: Path) -> np.ndarray:
    """(H, W, 4) float32 of a picture file, bottom row first."""
    image = bpy.data.images.load(str(path))
    try:
        out = np.empty(4 * image.size[0] * image.size[1], np.float32)
        image.pixels.foreach_get(out)
        return out.reshape(image.size[1], image.size[0], 4)
    finally:
        bpy.data.images.remove(image)
