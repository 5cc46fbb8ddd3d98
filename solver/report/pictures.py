"""Pictures of the report, as JPEG data for the page."""

from __future__ import annotations

import base64
from pathlib import Path

import cv2
import numpy as np

from ..skeleton import colour_of
from ..take import write_image
from .drawing import Cast, draw_outlines

WIDE = 480  # px, of every picture in the page
SHEET = 6  # frames of the contact sheet
COMPARISONS = 3
PORTRAIT, LOOKED_AT = 128, 12  # px; frames
MARGIN = 0.12  # of a close-up's longer side, around the people
CLOSEST = 0.25  # a close-up shows at least this part of the frame's width
DARK = (20, 20, 20)


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
        """(frame, original, mask, start, final), as the paper's Fig. 7, close to the people. Outlined: the mask of the video."""
        for index in self.spread(COMPARISONS):
            mask, start, final = self._masks(index), self._start_mask(self._before, index, self._shot), self._solved(index)
            part = close_up((mask > 0) | (start > 0) | (final > 0))
            rgb, mask, start, final = (page_sized(picture[part]) for picture in (self._frames.read(index), mask, start, final))
            yield index, jpeg(rgb), jpeg(flat(mask)), jpeg(flat(start, mask)), jpeg(flat(final, mask))

    def plates(self):
        """(frame, original, plate, where it is guessed); empty without a plate."""
        for index in self.spread(2):
            plate = read(self._plate_dir / f"{index:06d}.png", cv2.IMREAD_COLOR)
            unseen = read(self._plate_dir / "unseen" / f"{index:06d}.png", cv2.IMREAD_GRAYSCALE)
            if plate is None or unseen is None:
                return
            plate = plate[..., ::-1]
            marked = np.round(plate * 0.35 + 255 * 0.1).astype(np.uint8)
            marked[unseen > 127] = (240, 80, 70)
            yield index, jpeg(self._frames.read(index)), jpeg(plate), jpeg(marked)


def portraits(take, frames, masks, people) -> None:
    """people/NN.jpg: a square picture of each person's upper half, from the frame, of some, in which most of them is seen.

    frames: gives `read(index)`, (H, W, 3); masks: a function, index → (H, W) of the video; people: World's.
    """
    for p, person in enumerate(people.ids):
        seen = np.flatnonzero(people.visible[p])
        looked_at = seen[np.unique(np.linspace(0, len(seen) - 1, LOOKED_AT).astype(int))]
        best = max(looked_at, key=lambda index: np.count_nonzero(masks(int(index)) == person))
        x, y, w, h = cv2.boundingRect((masks(int(best)) == person).astype(np.uint8))
        rgb = frames.read(int(best))
        if w == 0:  # no mask has them
            x, y, w, h = 0, 0, rgb.shape[1], rgb.shape[0]
        side = min(max(w, h // 2), *rgb.shape[:2])
        left = int(np.clip(x + (w - side) / 2, 0, rgb.shape[1] - side))
        top = int(np.clip(y - side // 10, 0, rgb.shape[0] - side))
        small = cv2.resize(rgb[top : top + side, left : left + side], (PORTRAIT, PORTRAIT), interpolation=cv2.INTER_AREA)
        take.portrait(int(person)).parent.mkdir(exist_ok=True)
        write_image(take.portrait(int(person)), small)


def flat(mask, outline_of=None):
    """Person indices as colours on white, rest white as in the paper; with the outlines of another mask over it."""
    picture = np.full(mask.shape + (3,), 255, np.uint8)
    for person in np.unique(mask[mask > 0]):
        picture[mask == person] = colour_of(int(person))
    if outline_of is not None:
        draw_outlines(picture, outline_of, DARK)
    return picture


def close_up(people):
    """Slices of the part of a frame that shows everyone in people (H, W) bool, in the frame's own proportions; all of it for nobody."""
    height, width = people.shape
    x, y, w, h = cv2.boundingRect(people.astype(np.uint8))
    if w == 0:
        return slice(0, height), slice(0, width)
    scale = float(np.clip((1 + 2 * MARGIN) * max(w / width, h / height), CLOSEST, 1))
    size = round(width * scale), round(height * scale)
    left = int(np.clip(x + (w - size[0]) / 2, 0, width - size[0]))
    top = int(np.clip(y + (h - size[1]) / 2, 0, height - size[1]))
    return slice(top, top + size[1]), slice(left, left + size[0])


def page_sized(picture):
    """A picture, or a mask, WIDE pixels wide: outlines that are drawn into it are then as fine as the page."""
    scale = WIDE / picture.shape[1]
    how = cv2.INTER_NEAREST if picture.ndim == 2 else cv2.INTER_AREA if scale < 1 else cv2.INTER_CUBIC
    return cv2.resize(picture, None, fx=scale, fy=scale, interpolation=how)


def read(path, flags):
    """A picture as OpenCV has it, or None where there is no such file: OpenCV itself would complain on stderr."""
    return cv2.imread(str(path), flags) if path.exists() else None


def jpeg(rgb) -> str:
    """A data URI of the picture, no wider than WIDE."""
    scale = min(1.0, WIDE / rgb.shape[1])
    small = cv2.resize(rgb, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA) if scale < 1 else rgb
    _, data = cv2.imencode(".jpg", small[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, 82])
    return "data:image/jpeg;base64," + base64.b64encode(data.tobytes()).decode()
