"""A picture, now and then, of how the optimised camera fits the film: the frame, and f_D seen through the present camera."""

from __future__ import annotations

import time
from pathlib import Path

import cv2
import numpy as np
import torch

from ..report.drawing import draw_outlines
from ..skeleton import colour_of
from ..take import write_image
from .render import composite, render_image

INTERVAL_S = 3.0
LONG_SIDE = 320  # px, of each of the two panes
RENDERED_SIDE = 160  # px, of the render before it is enlarged: a person who fills the frame costs 0.3 s, not 1 s
GAP = 4
SAMPLES = 24  # a ray: enough for an outline
DARK = (20, 20, 20)


class Watch:
    """Draws the frame and the render of f_D together, the outlines of the video's masks over both.

    The panes lie so that the whole is nearest to a square, which is what Blender shows an icon in.
    """

    def __init__(self, path: Path, frames, masks, ids, visible):
        """path: the picture to write. frames: read(i) gives RGB (H, W, 3). masks: index -> (H, W). ids: (P,). visible: (P, T)."""
        self.path = Path(path)
        seen = np.flatnonzero(np.any(visible, axis=0))
        self._index = int(seen[len(seen) // 2]) if len(seen) else 0
        self._colours = torch.tensor([colour_of(int(i)) for i in ids]) / 255
        self._frames, self._masks = frames, masks
        self._drawn = -np.inf

    def look(self, field, T_world_from_cam, K) -> str:
        """Write the picture if the last one is old. field: BodyField. T_world_from_cam: (T, 4, 4). K: (T, 3, 3) px.

        Returns the picture's path, or "" where there is no new one.
        """
        if time.monotonic() - self._drawn < INTERVAL_S:
            return ""
        write_image(self.path, self.draw(field, T_world_from_cam[self._index], K[self._index]))
        self._drawn = time.monotonic()
        return str(self.path)

    @torch.no_grad()
    def draw(self, field, T_world_from_cam, K) -> np.ndarray:
        """RGB uint8 of the watched frame through one camera: T_world_from_cam (4, 4), K (3, 3) px."""
        frame, mask = self._frames.read(self._index), self._masks(self._index)
        height, width = mask.shape
        size, drawn = ((round(width * side / max(mask.shape)), round(height * side / max(mask.shape))) for side in (LONG_SIDE, RENDERED_SIDE))
        film = cv2.resize(frame, size, interpolation=cv2.INTER_AREA)
        mask = cv2.resize(mask, size, interpolation=cv2.INTER_NEAREST)
        zoom = torch.diag(K.new_tensor([drawn[0] / width, drawn[1] / height, 1.0]))
        dtype = field.origin.dtype
        rendered = render_image(field, T_world_from_cam.to(dtype), (zoom @ K).to(dtype), self._index, *drawn, SAMPLES)
        bodies = composite(rendered, self._colours.to(rendered.opacity)).clamp(0, 1)
        bodies = cv2.resize((255 * bodies).round().byte().cpu().numpy(), size, interpolation=cv2.INTER_LINEAR)
        draw_outlines(film, mask)
        draw_outlines(bodies, mask, DARK)
        across = height > width
        gap = np.full((size[1], GAP, 3) if across else (GAP, size[0], 3), 255, np.uint8)
        return (np.hstack if across else np.vstack)([film, gap, bodies])
