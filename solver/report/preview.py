"""preview.mp4: the original, the solved people over it, and the world from outside, side by side."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np

from ..movie import MovieWriter
from ..protocol import Reporter
from ..records import Camera, Shot, World
from .drawing import Cast, WorldView, label

PANE_WIDTH = 640
GAP = 4
BACKGROUND = 18


def run(shot: Shot, frames, world: World, model, take_dir, report: Reporter) -> None:
    """Write take_dir/preview.mp4. frames: read(i) gives RGB uint8; model: BodyModel."""
    with MovieWriter(Path(take_dir) / "preview.mp4", shot.fps, crf=20) as movie:
        for index, picture in enumerate(pictures(shot, frames, world, model)):
            report.progress(index, shot.frames, "preview")
            movie.write(picture)
    report.progress(shot.frames, shot.frames, "preview")


def pictures(shot: Shot, frames, world: World, model):
    """Yield one preview picture a frame: two panes on top, the world below, all in one even-sized RGB picture."""
    scale = min(1.0, PANE_WIDTH / shot.width)
    width, height = _even(shot.width * scale), _even(shot.height * scale)
    zoom = np.diag([width / shot.width, height / shot.height, 1.0])
    small = Camera(world.camera.T_world_from_cam, zoom @ world.camera.K)
    cast = Cast(world, model)
    total_width = 2 * width + GAP
    below = _even(min(height * 1.1, total_width * 0.5))
    view = WorldView(cast, total_width, below, world.points_world)
    size = max(10, round(width / 46))
    for index in range(shot.frames):
        frame = cv2.resize(frames.read(index), (width, height), interpolation=cv2.INTER_AREA)
        solved = cast.over(frame, index, small)
        canvas = np.full((height + GAP + below, total_width, 3), BACKGROUND, np.uint8)
        canvas[:height, :width] = frame
        canvas[:height, width + GAP :] = solved
        canvas[height + GAP :] = view.draw(index, frame)
        label(canvas, "Original", 8, 8, size)
        label(canvas, "Solved", width + GAP + 8, 8, size)
        label(canvas, "World", 8, height + GAP + 8, size)
        label(canvas, f"frame {shot.start_frame + index}", 8, canvas.shape[0] - 2 * size - 8, size)
        yield canvas


def _even(x: float) -> int:
    return max(2, round(x / 2) * 2)
