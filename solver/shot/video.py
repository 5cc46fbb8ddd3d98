"""Reading frames: movie files through PyAV, image sequences through OpenCV. RGB uint8, in presentation order.

A source counts its frames itself: the frame counts in file headers are often wrong.
"""

from __future__ import annotations

import re
from fractions import Fraction
from pathlib import Path

import av
import cv2
import numpy as np

from ..protocol import ShotError

PICTURES = (".png", ".jpg", ".jpeg", ".tif", ".tiff", ".bmp", ".webp")
CHOOSE = "Choose a movie file such as MP4 or MOV, or the folder of an image sequence."


def open_source(path: Path, fps: float | None = None):
    """A Movie or a Sequence for what the artist chose. Raises ShotError."""
    path = Path(path)
    if not path.exists():
        raise ShotError(f"There is no file {path}.", CHOOSE)
    if path.is_dir() or path.suffix.lower() in PICTURES + (".exr",):
        return Sequence(path, fps)
    return Movie(path)


class Movie:
    """One video stream. Every `decode` opens the file anew, so readers do not disturb each other."""

    def __init__(self, path: Path):
        self.path = Path(path)
        container, stream = self._open()
        with container:
            self.rate = stream.average_rate or stream.guessed_rate or stream.base_rate
            self.header_frames = stream.frames
            # Matroska knows the length of the file only, which may be that of the sound.
            length = container.duration / av.time_base if container.duration and len(container.streams) == 1 else 0.0
            self.header_s = float(stream.duration * stream.time_base) if stream.duration else length
            self.aspect = stream.sample_aspect_ratio or Fraction(1)
        if not self.rate or not 0 < self.rate < 1000:
            self.rate = Fraction(24)
        if not Fraction(1, 4) <= self.aspect <= 4:
            self.aspect = Fraction(1)
        self.errors = 0
        self._first = None

    def _open(self):
        try:
            container = av.open(str(self.path))
        except (av.error.FFmpegError, OSError, ValueError) as error:
            raise ShotError(
                f"{self.path.name} cannot be read as a movie.",
                "If it plays elsewhere, export it again as MP4 (H.264); otherwise the file is damaged or no movie at all.",
            ) from error
        # A cover picture inside a music file is a video stream too, but not a shot.
        attached = av.stream.Disposition.attached_pic
        streams = [s for s in container.streams.video if not s.disposition & attached and s.codec_context is not None]
        if not streams:
            container.close()
            raise ShotError(f"{self.path.name} has sound, but no picture.", CHOOSE)
        stream = max(streams, key=lambda s: s.width * s.height)
        stream.thread_type = "AUTO"
        return container, stream

    def decode(self, seek_s: float | None = None):
        """Yield (time_s, frame) in presentation order, from the keyframe at or before `seek_s`.

        time_s counts from the first frame of the file; None where the file does not say. Damaged packets are skipped and
        counted in `errors`.
        """
        container, stream = self._open()
        with container:
            if seek_s is not None:
                container.seek(round((seek_s + self.first_s) / stream.time_base), stream=stream, backward=True)
            packets = container.demux(stream)
            while True:
                try:
                    packet = next(packets, None)
                    if packet is None:
                        return
                    decoded = packet.decode()
                except av.error.FFmpegError:
                    self.errors += 1
                    if self.errors > 1000:
                        return
                    continue
                for frame in decoded:
                    if self._first is None and seek_s is None:
                        self._first = frame.time or 0.0
                    yield None if frame.time is None else frame.time - self.first_s, frame

    @property
    def first_s(self) -> float:
        """Presentation time of the first frame, as the file says it."""
        if self._first is None:
            for _, frame in self.decode():
                self._first = frame.time or 0.0
                break
        return self._first or 0.0

    def size_of(self, frame) -> tuple[int, int]:
        """Displayed width and height of a frame, with square pixels, upright."""
        width, height = frame.width, frame.height
        if self.aspect > 1:
            width = round(width * self.aspect)
        else:
            height = round(height / self.aspect)
        return (height, width) if frame.rotation % 180 else (width, height)

    def rgb(self, frame, width: int, height: int) -> np.ndarray:
        """(height, width, 3) uint8, upright."""
        turned = frame.rotation % 180 != 0
        image = frame.to_ndarray(format="rgb24")
        image = _resize(image, *((height, width) if turned else (width, height)))
        # The display matrix turns counterclockwise; cameras store quarter turns only.
        return np.ascontiguousarray(np.rot90(image, round(frame.rotation / 90) % 4))

    def thumbnail(self, frame, width: int = 256) -> np.ndarray:
        """Small BGR picture for finding cuts; neither turned nor squared."""
        height = max(2, round(frame.height * width / frame.width))
        return frame.reformat(width=width, height=height, format="bgr24").to_ndarray()


class Sequence:
    """Numbered pictures in a folder, in natural order (9 before 10)."""

    errors = 0
    header_frames = 0

    def __init__(self, path: Path, fps: float | None = None):
        self.rate = Fraction(fps or 24).limit_denominator(1001)
        path = Path(path)
        if path.suffix.lower() == ".exr":
            raise ShotError(
                "OpenEXR pictures are not read.", "Convert the sequence to PNG with a film look, then choose that."
            )
        folder = path if path.is_dir() else path.parent
        groups: dict[tuple, list] = {}
        for file in folder.iterdir():
            if file.suffix.lower() in PICTURES and not file.name.startswith("."):
                groups.setdefault(_series(file), []).append(file)
        if not groups:
            raise ShotError(f"{folder} holds no pictures.", CHOOSE)
        largest = max(groups.values(), key=lambda files: (len(files), min(files).name))
        files = largest if path.is_dir() else groups[_series(path)]
        self.files = sorted(files, key=_natural)
        # The folder names the sequence, unless it holds several.
        self.path = folder if files is largest else self.files[0]
        numbers = [_number(file) for file in self.files]
        self.gaps = numbers[-1] - numbers[0] + 1 - len(numbers) if None not in numbers else 0

    def decode(self, seek_s: float | None = None):
        """Yield (time_s, picture) with picture (H, W, 3) BGR uint8."""
        start = 0 if seek_s is None else max(0, int(seek_s * self.rate))
        for index in range(start, len(self.files)):
            # Not cv2.imread: it fails on paths with letters outside the code page on Windows.
            image = cv2.imdecode(np.fromfile(self.files[index], np.uint8), cv2.IMREAD_COLOR)
            if image is None:
                raise ShotError(
                    f"The picture {self.files[index].name} cannot be read.", "Render or export this picture again."
                )
            yield float(index / self.rate), image

    def size_of(self, image) -> tuple[int, int]:
        return image.shape[1], image.shape[0]

    def rgb(self, image, width: int, height: int) -> np.ndarray:
        return _resize(np.ascontiguousarray(image[..., ::-1]), width, height)

    def thumbnail(self, image, width: int = 256) -> np.ndarray:
        height = max(2, round(image.shape[0] * width / image.shape[1]))
        return cv2.resize(image, (width, height), interpolation=cv2.INTER_AREA)


def _resize(image, width, height):
    if image.shape[:2] == (height, width):
        return image
    smaller = width * height < image.shape[0] * image.shape[1]
    return cv2.resize(image, (width, height), interpolation=cv2.INTER_AREA if smaller else cv2.INTER_CUBIC)


def _series(file: Path) -> tuple:
    """What the pictures of one sequence share: the name without its last number."""
    head, _, tail = re.match(r"(.*?)(\d*)(\D*)$", file.stem).groups()
    return head, tail, file.suffix.lower()


def _number(file: Path) -> int | None:
    digits = re.match(r"(.*?)(\d*)(\D*)$", file.stem).group(2)
    return int(digits) if digits else None


def _natural(file: Path) -> tuple:
    return tuple(int(part) if part.isdigit() else part.lower() for part in re.split(r"(\d+)", file.name))
