"""Stage *shot*: what the source holds, where it is cut, and which piece will be solved; and its frames, on demand."""

from __future__ import annotations

import hashlib
from collections import OrderedDict, deque
from fractions import Fraction
from pathlib import Path

import cv2
import numpy as np

from ..protocol import ShotError
from ..records import Shot
from .video import Movie, Sequence, open_source


def run(path, options, report) -> Shot:
    """Decode the source once, find hard cuts, choose the piece to solve.

    Without `options.range` and `options.cut` the longest piece is chosen; the others stay listed in `Shot.pieces`.
    Raises ShotError for anything that is no shot.
    """
    source = open_source(Path(path), getattr(options, "fps", None))
    times, cuts, size = _scan(source, report)
    count = len(times)
    _warn_about(source, times, report)
    pieces = [list(piece) for piece in zip([0, *cuts], [*cuts, count])]
    start, end = _choose(pieces, count, getattr(options, "cut", None), getattr(options, "range", None), report)
    if end - start == 1:
        report.warn("The shot is one frame long: there is a camera and a pose, but no movement.")
    width, height = size
    limit = getattr(options, "max_height", None)
    if limit and height > limit:
        width, height = max(1, round(width * limit / height)), int(limit)
    fps = _rate(source, times)
    return Shot(
        path=str(source.path.resolve()),
        sha256=_sha256(source),
        fps=f"{fps.numerator}/{fps.denominator}",
        width=width,
        height=height,
        original_width=size[0],
        original_height=size[1],
        start_frame=start,
        frames=end - start,
        pieces=pieces,
        time_s=times[start:end],
    )


class Frames:
    """RGB uint8 pictures (height, width, 3) of a shot, decoded on demand.

    Walking forward is one decoding pass; `read(i)` jumps by presentation time and gives the very picture that iteration
    gives. At most `cache_bytes` of pictures are kept.
    """

    def __init__(self, shot: Shot, cache_bytes: int = 200_000_000):
        self.shot = shot
        self._source = open_source(Path(shot.path), float(Fraction(shot.fps)))
        self._capacity = int(np.clip(cache_bytes // max(1, shot.width * shot.height * 3), 1, 48))
        self._cache: OrderedDict[int, np.ndarray] = OrderedDict()
        self._cursor = None  # iterator of (index in the shot, undecoded-to-RGB frame)
        self._next = 0  # index of the frame that the cursor gives next
        self._seekable = True

    def __len__(self) -> int:
        return self.shot.frames

    def __iter__(self):
        for index in range(len(self)):
            yield self.read(index)

    def gray(self, index: int) -> np.ndarray:
        """(height, width) uint8 luma."""
        return cv2.cvtColor(self.read(index), cv2.COLOR_RGB2GRAY)

    def read(self, index: int) -> np.ndarray:
        """Frame `index` of the shot, from 0. The array is shared with the cache and read-only."""
        if not 0 <= index < len(self):
            raise IndexError(index)
        if index not in self._cache:
            self._decode_to(index)
        self._cache.move_to_end(index)
        return self._cache[index]

    def _decode_to(self, index):
        # A step back is likely to be followed by another: keep what lies before it too.
        keep = self._capacity // 2 if index < self._next else 0
        ahead = index - self._next
        if self._cursor is None or not 0 <= ahead <= 48:
            self._cursor = self._walk_from(index)
        for position, frame in self._cursor:
            self._next = position + 1
            if position >= index - keep:
                self._store(position, frame)
            if position == index:
                return
        if self._seekable:  # the jump lost its place; count from the start instead
            self._seekable = False
            self._cursor, self._next = None, 0
            return self._decode_to(index)
        raise ShotError(
            f"Frame {self.shot.start_frame + index} of {Path(self.shot.path).name} can no longer be read.",
            "The file has changed since it was analysed: run Extract Shot again with Restart.",
        )

    def _store(self, position, frame):
        image = self._source.rgb(frame, self.shot.width, self.shot.height)
        image.setflags(write=False)
        self._cache[position] = image
        while len(self._cache) > self._capacity:
            self._cache.popitem(last=False)

    def _walk_from(self, index):
        """Yield (index in the shot, frame), starting at or before `index`."""
        times = self.shot.time_s
        if self._seekable and self.shot.start_frame + index > 48:
            # Seeking may overshoot where pictures are stored out of order: then ask for an earlier keyframe.
            for early in (0.0, 1.0, 4.0):
                if times[index] <= early:
                    break
                walk = self._timed(self._source.decode(times[index] - early))
                first = next(walk, None)
                if first is not None and first[0] <= index:
                    yield first
                    yield from walk
                    return
        for position, (_, frame) in enumerate(self._source.decode()):
            position -= self.shot.start_frame
            if position >= len(times):
                return
            if position >= 0:
                yield position, frame

    def _timed(self, decoded):
        """Indices by presentation time; stops at a frame whose time is not in the shot's list."""
        times, expected = self.shot.time_s, None
        for time, frame in decoded:
            if time is None:
                return
            if expected is None:
                if time < times[0] - 1e-6:
                    continue
                expected = int(np.searchsorted(times, time - 1e-6))
            if expected >= len(times) or abs(times[expected] - time) > 1e-6:
                return
            yield expected, frame
            expected += 1


def _scan(source, report):
    """Presentation times (N,), indices of frames that start a piece, and the displayed size."""
    finder, times, size = CutFinder(), [], None
    step = float(1 / source.rate)
    total = source.header_frames or len(getattr(source, "files", ()))
    for time, frame in source.decode():
        here = source.size_of(frame)
        if size is None:
            size = here
        elif here != size:
            if isinstance(source, Sequence):
                raise ShotError(
                    f"{source.files[len(times)].name} is {here[0]} x {here[1]}, the pictures before it {size[0]} x {size[1]}.",
                    "Put pictures of one size only into the folder.",
                )
            report.warn("The picture size changes within the movie; later frames are scaled to the first.")
        # Missing, repeated or backward times are made up from the frame rate.
        if times and (time is None or time <= times[-1]):
            time = times[-1] + step
        times.append(time or 0.0)
        finder.add(source.thumbnail(frame))
        report.progress(len(times), max(total, len(times)), "Looking for cuts")
    if not times:
        raise ShotError(
            f"{source.path.name} holds no readable frame.", "Export the shot again; this file is empty or damaged."
        )
    return np.array(times), finder.finish(), size


class CutFinder:
    """Hard cuts from a stream of small BGR pictures of one size.

    PySceneDetect's adaptive detector compares a change with the changes around it, so a fast pan is no cut. The first and
    the last pictures are fed mirrored as well, because stray frames of the next shot sit just there.
    """

    _MARGIN = 4  # mirrored frames at either end
    _FLASH = 4  # a picture that comes back within so many frames was lit, not cut
    _SAME = 0.85  # colours that overlap more than this belong to one picture that moves

    def __init__(self):
        from scenedetect import AdaptiveDetector

        self._detector = AdaptiveDetector(adaptive_threshold=1.9, min_scene_len=1)
        self._head, self._tail = [], deque(maxlen=self._MARGIN)
        self._histograms = deque(maxlen=4 * self._FLASH)
        self._count = 0
        self._pending, self._cuts = [], []

    def add(self, bgr):
        """Take the next picture, (H, W, 3) uint8."""
        if self._count < self._MARGIN:
            self._head.append(bgr)
        self._tail.append(bgr)
        self._histograms.append(_histogram(bgr))
        self._count += 1
        if self._count == self._MARGIN:
            for position, image in enumerate([*self._head[:0:-1], *self._head], 1 - self._MARGIN):
                self._feed(position, image)
        elif self._count > self._MARGIN:
            self._feed(self._count - 1, bgr)
        while self._pending and self._pending[0] + self._FLASH < self._count:
            self._judge(self._pending.pop(0))

    def finish(self) -> list[int]:
        """Indices of pictures that start a new piece."""
        if self._count >= self._MARGIN:
            for position, image in enumerate(list(self._tail)[-2::-1], self._count):
                self._feed(position, image)
        for cut in self._pending:
            self._judge(cut)
        return self._cuts

    def _feed(self, position, bgr):
        from scenedetect import FrameTimecode

        found = self._detector.process_frame(FrameTimecode(position + self._MARGIN, 24.0), bgr)
        cuts = [int(code.frame_num) - self._MARGIN for code in found]
        self._pending += [cut for cut in cuts if 0 < cut < self._count]

    def _judge(self, cut):
        first = self._count - len(self._histograms)
        near = {first + k: h for k, h in enumerate(self._histograms)}
        jump = _overlap(near[cut - 1], near[cut])
        back = [_overlap(near[cut - 1], near[cut + k]) for k in range(1, self._FLASH) if cut + k in near]
        back += [_overlap(near[cut], near[cut - 1 - k]) for k in range(1, self._FLASH) if cut - 1 - k in near]
        if jump < self._SAME and max(back, default=0.0) < jump + 0.3:
            self._cuts.append(cut)


def _histogram(bgr):
    hsv = cv2.cvtColor(bgr, cv2.COLOR_BGR2HSV)
    return cv2.calcHist([hsv], [0, 1, 2], None, [12, 4, 4], [0, 180, 0, 256, 0, 256]) / (bgr.shape[0] * bgr.shape[1])


def _overlap(a, b) -> float:
    """Histogram intersection, 0..1."""
    return float(np.minimum(a, b).sum())


def _warn_about(source, times, report):
    count = len(times)
    if isinstance(source, Sequence):
        if source.gaps > 0:
            report.warn(
                f"{source.gaps} pictures are missing from the numbered sequence; it is read as if there were no gap."
            )
        return
    steps = np.diff(times)
    step = float(np.median(steps)) if count > 1 else float(1 / source.rate)
    if source.errors or source.header_s - times[-1] - step > max(3 * step, 0.05 * source.header_s):
        report.warn(f"The movie is damaged or cut short: {count} frames could be read.")
    if count > 3 and steps.max() > 1.5 * step:
        report.warn("The frame rate varies; each frame keeps its own time.")


def _rate(source, times) -> Fraction:
    """Average rate; the file's own fraction (24000/1001) where the frames agree with it."""
    if len(times) < 2 or isinstance(source, Sequence):
        return Fraction(source.rate)
    measured = (len(times) - 1) / (times[-1] - times[0])
    if abs(measured / float(source.rate) - 1) < 0.01:
        return Fraction(source.rate)
    return Fraction(measured).limit_denominator(1001)


def _choose(pieces, count, cut, asked, report) -> tuple[int, int]:
    """First and one-past-last frame of the source to solve."""
    start, end = max(pieces, key=lambda piece: piece[1] - piece[0])
    if cut is not None:
        if not 0 <= cut < len(pieces):
            raise ShotError(
                f"There is no piece {cut}: the source has {len(pieces)} between its cuts.",
                f"Choose a piece from 0 to {len(pieces) - 1}.",
            )
        start, end = pieces[cut]
    if asked is not None:
        first, last = asked
        if first > last or first < 0 or last >= count:
            raise ShotError(
                f"Frames {first} to {last} were asked for, but the source has frames 0 to {count - 1}.",
                f"Choose a first and a last frame between 0 and {count - 1}.",
            )
        inside = [(max(a, first), min(b, last + 1)) for a, b in ([(start, end)] if cut is not None else pieces)]
        start, end = max(inside, key=lambda piece: piece[1] - piece[0])
        if start >= end:
            raise ShotError(f"Frames {first} to {last} lie outside piece {cut}.", "Change the range or the piece.")
        if end - start < last + 1 - first:
            report.warn(f"The range contains a cut; frames {start} to {end - 1} are solved.")
    elif cut is None and len(pieces) > 1:
        cuts = "1 cut" if len(pieces) == 2 else f"{len(pieces) - 1} cuts"
        others = [f"{n} (frames {a} to {b - 1})" for n, (a, b) in enumerate(pieces) if a != start]
        more = f" and {len(others) - 6} more" if len(others) > 6 else ""
        report.warn(
            f"The source has {cuts}; the longest piece, frames {start} to {end - 1}, is solved. "
            f"Left out: piece {', '.join(others[:6])}{more}."
        )
    return start, end


def _sha256(source) -> str:
    digest = hashlib.sha256()
    for path in [source.path] if isinstance(source, Movie) else source.files:
        if isinstance(source, Sequence):
            digest.update(path.name.encode())
        with open(path, "rb") as file:
            while block := file.read(1 << 20):
                digest.update(block)
    return digest.hexdigest()
