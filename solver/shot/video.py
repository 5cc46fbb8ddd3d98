"""Reading pictures: movie files through PyAV, image sequences through OpenCV. RGB uint8 as a screen shows them, in presentation order.

A source counts its pictures itself: the frame counts in file headers are often wrong.
"""

from __future__ import annotations

import os
import re
import struct
from fractions import Fraction
from itertools import pairwise
from math import gcd
from pathlib import Path

import av
import cv2
import numpy as np

from ..protocol import ShotError
from . import screen
from .times import RATES

os.environ.setdefault("OPENCV_IO_ENABLE_OPENEXR", "1")  # off by default; OpenCV asks at the first picture
MOST_PIXELS = 1 << 26  # of a picture, 8K x 8K; a damaged header asks for more
os.environ.setdefault("OPENCV_IO_MAX_IMAGE_PIXELS", str(MOST_PIXELS))
cv2.setLogLevel(1)  # a damaged picture is told once, in our words
PICTURES = (".png", ".jpg", ".jpeg", ".tif", ".tiff", ".bmp", ".webp", ".exr", ".dpx")
CHOOSE = "Choose a movie file such as MP4 or MOV, or the folder of an image sequence."


def open_source(path: Path, fps: float | None = None):
    """A Movie or a Sequence for what the artist chose. Raises ShotError."""
    path = Path(path)
    if not path.exists():
        raise ShotError(f"There is no file {path}.", CHOOSE)
    if path.is_dir() or path.suffix.lower() in PICTURES:
        return Sequence(path, fps)
    return Movie(path)


class Movie:
    """One video stream. Every `decode` opens the file anew, so readers do not disturb each other."""

    def __init__(self, path: Path):
        self.path = Path(path)
        container, stream = self._open()
        with container:
            rates = (stream.average_rate, stream.guessed_rate, stream.base_rate)
            self.rates = [r for r in rates if r and 0 < r < 1000] or [Fraction(24)]
            self.resolution_s = float(stream.time_base or 0)
            self.header_frames = stream.frames
            # Matroska knows the length of the file only, which may be that of the sound.
            length = container.duration / av.time_base if container.duration and len(container.streams) == 1 else 0.0
            self.header_s = float(stream.duration * stream.time_base) if stream.duration else length
            self.aspect = stream.sample_aspect_ratio or Fraction(1)
            codes = [s.metadata.get("timecode") for s in container.streams] + [container.metadata.get("timecode")]
            self.timecode = next((code for code in codes if code), "")
        if not Fraction(1, 4) <= self.aspect <= 4:
            self.aspect = Fraction(1)
        self.first_number, self.step = 0, 1
        self.errors = 0
        self.fields = False  # whether a picture holds two fields of which only the first is to be shown
        self._first = None

    def _open(self):
        try:
            container = av.open(str(self.path))
        except (av.error.FFmpegError, OSError, ValueError) as error:
            if not self.path.exists():
                raise ShotError(f"{self.path} is no longer there.", "Bring the film back and run Extract Shot again.") from error
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
        if stream.width * stream.height > MOST_PIXELS:
            container.close()
            raise ShotError(f"{self.path.name} is {stream.width} x {stream.height}, more than can be read.", "Scale it to 8K or less.")
        stream.thread_type = "AUTO"
        stream.codec_context.options = {"max_pixels": str(MOST_PIXELS)}
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
        width, height = self._stored_size(frame)
        return (height, width) if _display_matrix(frame)[0] else (width, height)

    def _stored_size(self, frame):
        if self.aspect > 1:
            return round(frame.width * self.aspect), frame.height
        return frame.width, round(frame.height / self.aspect)

    def rgb(self, frame, width: int, height: int) -> np.ndarray:
        """(height, width, 3) uint8, upright, as a screen shows it."""
        turned, mirror_x, mirror_y = _display_matrix(frame)
        transfer = self.transfer(frame)
        image = self._converted(frame, "rgb48le" if transfer else "rgb24")
        if self.fields:
            image = _first_field(image)
        image = _resize(image, *((height, width) if turned else (width, height)))
        if transfer:
            image = screen.shown(image.astype(np.float32) / 65535, transfer, frame.color_primaries)
        if turned:
            image = image.transpose(1, 0, 2)
        return np.ascontiguousarray(image[:: -1 if mirror_y else 1, :: -1 if mirror_x else 1])

    def laid_behind(self, frame) -> bool:
        """Whether other programs show the pictures as they are solved: upright, in ordinary video."""
        return not any(_display_matrix(frame)) and not self.transfer(frame)

    def transfer(self, frame) -> int | None:
        """The code of a transfer function that a screen has to undo; None for ordinary video."""
        return frame.color_trc if frame.color_trc in screen.TO_LIGHT else None

    def thumbnail(self, frame, width: int = 256) -> np.ndarray:
        """Small BGR picture for finding cuts; neither turned nor squared."""
        height = max(2, round(frame.height * width / frame.width))
        return self._converted(frame, "bgr24", width=width, height=height)

    def luma(self, frame) -> np.ndarray:
        """(H, W) uint8, as stored, with every line."""
        return self._converted(frame, "gray")

    def _converted(self, frame, layout, **size) -> np.ndarray:
        try:
            return frame.reformat(format=layout, **size).to_ndarray()
        except (av.error.FFmpegError, ValueError) as error:  # a damaged header asks for colours that there are not
            raise ShotError(f"The pictures of {self.path.name} cannot be shown.", "Export it again as MP4 (H.264).") from error


class Sequence:
    """Numbered pictures in a folder, in natural order (9 before 10)."""

    errors = 0
    header_frames = 0
    resolution_s = 0.0
    timecode = ""
    fields = False

    def __init__(self, path: Path, fps: float | None = None):
        rate = Fraction(fps or 24)
        self.rate = next((r for r in RATES if abs(r / rate - 1) < 1e-4), rate.limit_denominator(1001))  # 23.976 and its kin
        self.rates = [self.rate]
        path = Path(path)
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
        self._transfer = None  # of the picture read last
        numbers = [_number(file) for file in self.files]
        if None in numbers or len(set(numbers)) < len(numbers):
            numbers = list(range(len(numbers)))
        self.first_number = numbers[0]
        self.step = gcd(*(b - a for a, b in pairwise(numbers))) or 1  # where every tenth was rendered nothing is missing
        self.numbers = np.array([(n - numbers[0]) // self.step for n in numbers])  # of frames
        self.times = self.numbers / float(self.rate)

    def decode(self, seek_s: float | None = None):
        """Yield (time_s, picture) with picture (H, W, 3) BGR uint8 as a screen shows it. Numbers that are missing take their time."""
        start = 0 if seek_s is None else int(np.searchsorted(self.times, seek_s - 1e-6))
        for time, file in zip(self.times[start:], self.files[start:]):
            image, self._transfer = _read_picture(file)
            yield float(time), image

    def size_of(self, image) -> tuple[int, int]:
        return image.shape[1], image.shape[0]

    def rgb(self, image, width: int, height: int) -> np.ndarray:
        image = np.ascontiguousarray(image[..., ::-1])
        return _resize(_first_field(image) if self.fields else image, width, height)

    def laid_behind(self, image) -> bool:
        return self.step == 1

    def transfer(self, image) -> int | None:
        return self._transfer

    def thumbnail(self, image, width: int = 256) -> np.ndarray:
        height = max(2, round(image.shape[0] * width / image.shape[1]))
        return cv2.resize(image, (width, height), interpolation=cv2.INTER_AREA)

    def luma(self, image) -> np.ndarray:
        return cv2.cvtColor(image, cv2.COLOR_BGR2GRAY)


def _read_picture(file: Path) -> tuple[np.ndarray, int | None]:
    """(H, W, 3) BGR uint8 as a screen shows it, and the transfer function that was undone for that. What is transparent is black."""
    try:
        if file.suffix.lower() == ".dpx":
            return _read_dpx(file)
        # Not cv2.imread: it fails on paths with letters outside the code page on Windows.
        data = np.fromfile(file, np.uint8)
        readable = len(data) and _lengths_fit(data)
        image = cv2.imdecode(data, cv2.IMREAD_COLOR | cv2.IMREAD_ANYDEPTH) if readable else None
        if image is not None and image.dtype == np.uint8:
            clear = cv2.imdecode(data, cv2.IMREAD_UNCHANGED) if file.suffix.lower() in (".png", ".webp") else image
            if clear.ndim == 3 and clear.shape[2] == 4 and clear.shape[:2] == image.shape[:2]:
                image = (image * (clear[..., 3:] / np.float32(255))).round().astype(np.uint8)
    except (OSError, cv2.error, av.error.FFmpegError, StopIteration, ValueError):
        image = None
    if image is None:
        raise ShotError(f"The picture {file.name} cannot be read.", "Render or export this picture again.")
    if image.dtype == np.uint16:
        return (image // 257).astype(np.uint8), None
    if image.dtype != np.uint8:
        return screen.shown(np.nan_to_num(image[..., ::-1], posinf=0, neginf=0), screen.LINEAR)[..., ::-1], screen.LINEAR
    return image, None


def _lengths_fit(data) -> bool:
    """Whether no chunk of a PNG, (n,) uint8, says to be longer than the file: OpenCV would ask for that much memory."""
    at = 8
    if data[:4].tobytes() == b"\x89PNG":
        while at + 8 <= len(data):
            length = int.from_bytes(data[at : at + 4].tobytes(), "big")
            if length > len(data):
                return False
            at += 12 + length
    return True


def _read_dpx(file: Path) -> tuple[np.ndarray, int | None]:
    with open(file, "rb") as data, av.open(data, format="dpx_pipe") as container:
        frame = next(container.decode(video=0))
    if frame.color_trc in screen.TO_LIGHT:
        coded = frame.to_ndarray(format="rgb48le").astype(np.float32) / 65535
        return screen.shown(coded, frame.color_trc)[..., ::-1], frame.color_trc
    return frame.to_ndarray(format="bgr24"), None


def _display_matrix(frame) -> tuple[bool, bool, bool]:
    """Whether rows and columns change places, and whether the result is then mirrored in x and in y."""
    for data in frame.side_data:
        if data.type.name == "DISPLAYMATRIX" and data.buffer_size >= 36:
            a, b, _, c, d = struct.unpack("=9i", bytes(data)[:36])[:5]  # x' = a x + c y, y' = b x + d y
            if abs(a) + abs(d) >= abs(b) + abs(c):
                return False, a < 0, d < 0
            return True, c < 0, b < 0
    return False, False, False


def _first_field(image):
    """The even lines alone, in the height of both fields."""
    height, width = image.shape[:2]
    field = image[::2]
    y = np.broadcast_to(np.clip(np.arange(height, dtype=np.float32)[:, None] / 2, 0, len(field) - 1), (height, width))
    x = np.broadcast_to(np.arange(width, dtype=np.float32), (height, width))
    return cv2.remap(field, x, y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)


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
