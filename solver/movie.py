"""H.264 movies through PyAV, tagged so that players show the colours that went in."""

from __future__ import annotations

import os
from contextlib import suppress
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
from av.video.reformatter import Colorspace

_BT709 = 1  # the code of BT.709 for matrix, primaries and transfer in FFmpeg and in the stream


class MovieWriter:
    """Write RGB uint8 frames (H, W, 3) one by one; the movie appears at `path` only when the block ends without an error.

    An odd width or height gets its last column or row doubled, as yuv420p needs even sizes.
    """

    def __init__(self, path: Path, fps: str | float | Fraction, crf: int = 18):
        self._path = Path(path)
        self._beside = self._path.with_name(".part-" + self._path.name)
        self._rate = Fraction(fps).limit_denominator(65535)
        self._crf = crf
        self._container = self._stream = None

    def __enter__(self):
        self._container = av.open(str(self._beside), "w", format="mp4")
        return self

    def write(self, rgb: np.ndarray) -> None:
        height, width = rgb.shape[:2]
        if height % 2 or width % 2:
            rgb = np.pad(rgb, ((0, height % 2), (0, width % 2), (0, 0)), mode="edge")
        if self._stream is None:
            self._stream = self._open_stream(rgb.shape[1], rgb.shape[0])
        frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(rgb), format="rgb24")
        frame = frame.reformat(format="yuv420p", dst_colorspace=Colorspace.ITU709)
        self._container.mux(self._stream.encode(frame))

    def _open_stream(self, width, height):
        stream = self._container.add_stream("libx264", rate=self._rate)
        stream.width, stream.height, stream.pix_fmt = width, height, "yuv420p"
        # Where a processor has AVX-512, x264 would write other bytes from run to run.
        stream.options = {"crf": str(self._crf), "preset": "veryfast", "movflags": "+faststart", "x264-params": "cpu-independent=1"}
        context = stream.codec_context
        context.thread_count = 2
        context.colorspace = context.color_primaries = context.color_trc = _BT709
        return stream

    def __exit__(self, kind, *_):
        try:
            if kind is None and self._stream is not None:  # after a failed write (a full disk) FFmpeg may not be asked to go on
                self._container.mux(self._stream.encode())
                self._container.close()
                os.replace(self._beside, self._path)
        finally:
            self._container = self._stream = None
            with suppress(OSError):
                self._beside.unlink(missing_ok=True)


def write_movie(path: Path, frames, fps) -> None:
    """Write an iterable of RGB uint8 frames (H, W, 3) as an H.264 movie."""
    with MovieWriter(path, fps) as movie:
        for frame in frames:
            movie.write(frame)
