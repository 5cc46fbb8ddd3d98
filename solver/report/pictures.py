"""Pictures of the report, as JPEG data for the page."""

from __future__ import annotations

import base64
from pathlib import Path

import cv2
import numpy as np

from ..drawing import Cast
from ..skeleton import colour_of

WIDE = 480  # px, of every picture in the page
SHEET = 6  # frames of the contact sheet
COMPARISONS = 3


class Pictures:
    """Chooses frames and draws them."""

    def __init__(self, take_dir, shot, frames, masks, solved, before: Cast, after: Cast, start_mask):
        self._plate_dir = Path(take_dir) / "plate"
        self._shot, self._frames = shot, frames
        self._masks, self._solved = masks, solved
        self._before, self._after, self._start_mask = before, after, start_mask

    def spread(self, count: int) -> list[int]:
        """Frames spread over the time in which people are seen, or over the shot."""
        seen = np.flatnonzero(self._after.people.visible.any(0)) if len(self._after.people.ids) else np.zeros(0, int)
        pool = seen if len(seen) >= count else np.arange(self._shot.frames)
        picks = (np.arange(min(count, len(pool))) + 0.5) / min(count, len(pool)) * len(pool)
        return [int(pool[int(p)]) for p in picks]

    def sheet(self):
        """(frame, original, overlay) of the contact sheet."""
        for index in self.spread(SHEET):
            rgb = self._frames.read(index)
            yield index, jpeg(rgb), jpeg(self._after.over(rgb, index))

    def comparisons(self):
        """(frame, original, mask, start, final), as the paper's Fig. 7. Outlined: the mask of the video."""
        for index in self.spread(COMPARISONS):
            rgb, mask = self._frames.read(index), self._masks(index)
            yield (
                index, jpeg(rgb), jpeg(flat(mask)),
                jpeg(flat(self._start_mask(self._before, index, self._shot), mask)),
                jpeg(flat(self._solved(index), mask)),
            )  # fmt: skip

    def plates(self):
        """(frame, original, plate, where it is guessed); empty without a plate."""
        for index in self.spread(2):
            plate = cv2.imread(str(self._plate_dir / f"{index:06d}.png"))
            unseen = cv2.imread(str(self._plate_dir / "unseen" / f"{index:06d}.png"), cv2.IMREAD_GRAYSCALE)
            if plate is None or unseen is None:
                return
            plate = plate[..., ::-1]
            marked = np.round(plate * 0.35 + 255 * 0.1).astype(np.uint8)
            marked[unseen > 127] = (240, 80, 70)
            yield index, jpeg(self._frames.read(index)), jpeg(plate), jpeg(marked)


def flat(mask, outline_of=None):
    """Person indices as colours on white, rest white as in the paper; with the outlines of another mask over it."""
    picture = np.full(mask.shape + (3,), 255, np.uint8)
    for person in np.unique(mask[mask > 0]):
        picture[mask == person] = colour_of(int(person))
    if outline_of is not None:
        thick = max(1, round(mask.shape[1] / 400))
        for person in np.unique(outline_of[outline_of > 0]):
            lines, _ = cv2.findContours((outline_of == person).astype(np.uint8), cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
            cv2.drawContours(picture, lines, -1, (20, 20, 20), thick, cv2.LINE_AA)
    return picture


def jpeg(rgb) -> str:
    """A data URI of the picture, no wider than WIDE."""
    scale = min(1.0, WIDE / rgb.shape[1])
    small = cv2.resize(rgb, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA) if scale < 1 else rgb
    _, data = cv2.imencode(".jpg", small[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, 82])
    return "data:image/jpeg;base64," + base64.b64encode(data.tobytes()).decode()
