"""Instance masks from elsewhere: one picture per frame with a value per person, or one folder of masks per person."""

from __future__ import annotations

import io
from copy import copy
from pathlib import Path

import numpy as np

from ..protocol import ShotError
from .numbering import files_of_frames, number_of
from .rows import counted

_ENDINGS = {".png", ".tif", ".tiff", ".bmp", ".webp"}  # no JPEG: its edges invent people
_FIX = (
    "Give one PNG per frame with a value per person (DAVIS style), or one folder of black and white masks per person."
)
MOST_PIXELS = 70_000_000  # twice 8K
_SOFT = 64  # a grey picture with more values than this is one soft mask, not instances


class Masks:
    """Imported masks of a shot. ids: 1..P in the order of the values or folders; names: what each was called."""

    def __init__(self, folder: Path, shot):
        self.shot = shot
        folder = Path(folder)
        if not folder.is_dir():
            raise ShotError(f"{folder} is no folder of masks.", _FIX)
        subfolders = sorted(d for d in folder.iterdir() if d.is_dir() and _pictures(d))
        self._single, self._ignores = _pictures(folder), False
        if self._single:
            self._frames = [files_of_frames(self._single, shot, folder.name)]
            self._values = self._find_values()
            self.names = [str(v) for v in self._values]
        elif subfolders:
            self._frames = [files_of_frames(_pictures(d), shot, d.name) for d in subfolders]
            self._values = None
            self.names = [d.name for d in subfolders]
        else:
            raise ShotError(f"The folder {folder.name} holds no PNG masks.", _FIX)
        self._counts = [_counts(files) for files in ([self._single] if self._single else map(_pictures, subfolders))]
        if not self.names:
            raise ShotError(f"The masks in {folder.name} are all empty.", _FIX)
        if len(self.names) > 254:
            raise ShotError(f"The masks in {folder.name} hold {len(self.names)} values, too many for people.", _FIX)
        self.ids = list(range(1, len(self.names) + 1))

    @property
    def span(self) -> int:
        """Pictures a person, counted to the last."""
        return 1 + max(max(counts.values()) for counts in self._counts)

    @property
    def frames(self) -> list[int]:
        """Frames of the shot for which there are pictures."""
        return sorted(set().union(*self._frames))

    def read_as(self, reading) -> Masks:
        """The same masks with their pictures at the frames of another reading; none is made up between them."""
        if reading.own:
            return self
        out = copy(self)
        out._frames = []
        for counts in self._counts:
            times = {
                file: int(np.rint(t))
                for file, t in zip(counts, reading.times(list(counts.values()), list(counts.values())))
            }
            out._frames.append({t: file for file, t in times.items() if 0 <= t < self.shot.frames})
        return out

    def read(self, index: int) -> np.ndarray:
        """(H, W) uint8 person indices of a frame of the shot; empty where there is no file."""
        out = np.zeros((self.shot.height, self.shot.width), np.uint8)
        if self._values is not None:
            if index in self._frames[0]:
                values = self._sized(_labels(self._frames[0][index], self.shot))
                if self._soft:
                    return (values > 127).astype(np.uint8)
                for ident, value in zip(self.ids, self._values):
                    out[values == value] = ident
            return out
        for ident, files in zip(self.ids, self._frames):
            if index in files:
                values = self._sized(_labels(files[index], self.shot))
                out[values > (127 if values.max() > 127 else 0)] = ident
        return out

    def ignored(self, index: int) -> np.ndarray:
        """(H, W) bool: marked with 255 beside people's values, nobody and nothing (a title, a logo, a mirror). No background either."""
        if not self._ignores or index not in self._frames[0]:
            return np.zeros((self.shot.height, self.shot.width), bool)
        return self._sized(_labels(self._frames[0][index], self.shot)) == 255

    def _find_values(self):
        found, most = set(), 0
        for file in self._frames[0].values():
            values = np.unique(_labels(file, self.shot))
            found |= set(values.tolist())
            most = max(most, len(values))
        found.discard(0)
        self._soft = most > _SOFT and max(found) <= 255
        if self._soft:
            return [255]
        if len(found) > 1 and 255 in found:
            found.discard(255)  # DAVIS and VOC mark what nobody labelled with it
            self._ignores = True
        return sorted(found)

    def _sized(self, labels):
        height, width = labels.shape
        if (width, height) == (self.shot.width, self.shot.height):
            return labels
        # nearest by pixel centres
        y = ((np.arange(self.shot.height) + 0.5) * height / self.shot.height).astype(int)
        x = ((np.arange(self.shot.width) + 0.5) * width / self.shot.width).astype(int)
        return labels[y[:, None], x]


def _counts(files) -> dict:
    """Pictures and their numbers from 0."""
    files = sorted(files, key=lambda f: (number_of(f) is None, number_of(f) or 0, f.name))
    numbers = [number_of(f) for f in files]
    return dict(zip(files, (counted(numbers) if None not in numbers else np.arange(len(files))).tolist()))


def _pictures(folder):
    return sorted(f for f in folder.iterdir() if f.suffix.lower() in _ENDINGS and not f.name.startswith("."))


def _labels(file, shot) -> np.ndarray:
    """(H, W) int labels: palette index, grey value, or a number for each colour. Raises ShotError for another shape than the shot's."""
    from PIL import Image

    try:
        # from memory: a read from a file makes room for what a damaged length asks for
        with Image.open(io.BytesIO(Path(file).read_bytes())) as image:
            width, height = image.size  # known before room is made for the picture
            if abs(width / height - shot.width / shot.height) > 0.02 * width / height or width * height > MOST_PIXELS:
                raise ShotError(
                    f"The mask {Path(file).name} is {width}x{height}, which is another shape of picture than the shot.",
                    "Give masks of the whole frame, in the size of the clip.",
                )
            if image.mode == "1":
                return np.asarray(image, np.int32) * 255
            if image.mode in ("P", "L", "I", "I;16"):
                return np.asarray(image).astype(np.int32)
            if image.mode == "LA":
                return np.asarray(image)[..., 0].astype(np.int32)
            rgb = np.asarray(image.convert("RGB")).astype(np.int32)
    except ShotError:
        raise
    except Exception as error:  # a damaged picture fails in any way it likes
        raise ShotError(f"The mask {Path(file).name} cannot be read.", _FIX) from error
    if (rgb[..., 0] == rgb[..., 1]).all() and (rgb[..., 1] == rgb[..., 2]).all():
        return rgb[..., 0]
    return (rgb[..., 0] << 16) | (rgb[..., 1] << 8) | rgb[..., 2]


def read_masks(folder: Path, shot) -> Masks:
    """Masks of a folder. Raises ShotError where it holds none."""
    return Masks(folder, shot)
