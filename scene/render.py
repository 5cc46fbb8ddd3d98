"""Render settings, for the two transfers, for scripts and for tests."""

from __future__ import annotations

from contextlib import contextmanager
from pathlib import Path

import bpy

from .. import compat

ENGINES = ("CYCLES", "EEVEE", "WORKBENCH")


def set_engine(scene, engine: str, samples: int = 32, denoise: bool = True) -> None:
    """Choose what renders a scene. engine: one of ENGINES; samples mean nothing to Workbench."""
    scene.render.engine = {"CYCLES": "CYCLES", "EEVEE": compat.eevee(), "WORKBENCH": "BLENDER_WORKBENCH"}[engine]
    if engine == "CYCLES":
        scene.cycles.samples = samples
        scene.cycles.use_denoising = denoise and compat.can_denoise()
        scene.cycles.use_adaptive_sampling = True
        scene.cycles.max_bounces = 4
    elif engine == "EEVEE":
        scene.eevee.taa_render_samples = samples
        compat.shadows_in_eevee(scene)
    else:
        scene.display.shading.light = "STUDIO"
        scene.display.shading.color_type = "MATERIAL"
        scene.display.render_aa = "8"


def keep_colours(scene) -> None:
    """Show the film's colours as they are: Standard, where new scenes have AgX."""
    scene.display_settings.display_device = "sRGB"
    scene.view_settings.view_transform = "Standard"
    scene.view_settings.look = "None"
    scene.view_settings.exposure = 0.0
    scene.view_settings.gamma = 1.0
    scene.render.dither_intensity = 0.0


def show_new(scene) -> None:
    """Show a new set through AgX, which new scenes of a script do not have in every Blender."""
    scene.display_settings.display_device = "sRGB"
    scene.view_settings.view_transform, scene.view_settings.look = "AgX", "None"


def set_output(scene, kind: str) -> None:
    """kind: "MOVIE" (mp4 with the film's sound), "PICTURES" (PNG) or "LAYERS" (multi-layer EXR)."""
    {"MOVIE": compat.set_output_movie, "PICTURES": compat.set_output_picture, "LAYERS": compat.set_output_layers}[kind](scene)


@contextmanager
def _in_window(scene):
    """Blender renders the frame that the window's scene is at, so the scene has to be the window's for a while."""
    window = bpy.context.window
    before = window.scene if window is not None else None
    if window is not None:
        window.scene = scene
    try:
        yield
    finally:
        if window is not None:
            window.scene = before


def still(scene, path: Path, frame: int, alpha: bool = False) -> Path:
    """Render one frame of a scene to a PNG."""
    compat.set_output_picture(scene, alpha)
    scene.render.filepath = str(path)
    with _in_window(scene):
        scene.frame_set(frame)
        bpy.ops.render.render(write_still=True, scene=scene.name)
    return Path(path)


def movie(scene, path: Path) -> Path:
    """Render the range of a scene to an mp4."""
    compat.set_output_movie(scene)
    scene.render.use_file_extension = False
    scene.render.filepath = str(path)
    with _in_window(scene):
        bpy.ops.render.render(animation=True, scene=scene.name)
    return Path(path)
