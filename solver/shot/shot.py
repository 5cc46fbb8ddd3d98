"""Stage *shot*: what the source holds, where it is cut, and which piece will be solved; and its frames, on demand.

*Pictures* are what the file holds, counted from 0 as they are shown. *Frames* lie on a regular grid of time (`times`). Numbers of frames
count from the first of the source, holes included.
"""

from __future__ import annotations

import hashlib
from collections import OrderedDict
from dataclasses import dataclass, field, replace
from fractions import Fraction
from pathlib import Path

import cv2
import numpy as np

from ..movie import MovieWriter
from ..protocol import ShotError
from ..records import Shot, load_record, save_record
from . import repeats, screen, times
from .cuts import CutFinder
from .video import Movie, Sequence, open_source

SMALL = (160, 90)  # grey pictures in which repeats are looked for
COMBED = 1.1  # a line further from its neighbours than from the lines beyond them, by this factor, is of another time
COMBED_SHARE, FLAGGED_SHARE = 0.15, 0.03  # of the pictures, from which on the film is interlaced; the second where the file says so
IRREGULAR = 0.7  # less of the steps alike, and the film has no rate


def run(path, options, report) -> Shot:
    """Decode the source once, find cuts, holes and repeats, choose the piece to solve.

    Without `options.range` and `options.cut` the longest piece is chosen; the others stay listed in `Shot.pieces`.
    Raises ShotError for anything that is no shot.
    """
    source = open_source(Path(path), getattr(options, "fps", None))
    scan = look(source, getattr(options, "scan", None), report)
    grid = _grid(source, scan)
    _warn_about(source, scan, report)
    pieces = _pieces(grid, _cuts(scan, grid, getattr(options, "cuts", "auto")))
    asked = getattr(options, "range", None)
    start, end = _choose(pieces, getattr(options, "cut", None), asked, report)
    frames = _frames(scan, grid, start, end, report)
    if frames.count == 1:
        report.warn("The shot is one frame long: there is a camera and a pose, but no movement.")
    start = int(grid.number[frames.picture[0]])
    size = width, height = scan.size
    limit = getattr(options, "max_height", None)
    if limit and height > limit:
        width, height = max(1, round(width * limit / height)), int(limit)
    first = source.first_number
    if source.timecode:
        first = times.timecode_frames(source.timecode, grid.rate) or 0
    first += start * source.step
    if frames.rate != grid.rate:  # at the rate of the take
        first = round(first * frames.rate / grid.rate)
    _warn_of_holes(source, grid, frames, start, report)
    whole = frames.rate == grid.rate and np.array_equal(frames.picture, start + np.arange(frames.count))
    by_number = isinstance(source, Sequence) and frames.rate == grid.rate  # other programs leave the same holes
    return Shot(
        path=str(source.path.resolve()),
        sha256=scan.sha256,
        fps=str_rate(frames.rate),
        width=width,
        height=height,
        original_width=size[0],
        original_height=size[1],
        start_frame=start,
        frames=frames.count,
        pieces=pieces,
        time_s=start / float(grid.rate) + np.arange(frames.count) / float(frames.rate),
        picture=frames.picture,
        fresh=frames.fresh,
        shown_s=scan.times[frames.picture],
        source_fps=str_rate(grid.rate),
        first_number=first,
        timecode=source.timecode,
        transfer=scan.transfer,
        interlaced=scan.interlaced,
        conformed=not (scan.laid_behind and (whole or by_number)) or scan.interlaced,
    )


def pieces(path, options, report) -> tuple[list[list[int]], Fraction]:
    """[first, one past the last] frame of every piece between cuts, and frames a second, without choosing one. Raises ShotError."""
    source = open_source(Path(path), options.fps)
    scan = look(source, options.scan, report)
    grid = _grid(source, scan)
    return _pieces(grid, _cuts(scan, grid, options.cuts)), grid.rate


def look(source, file, report) -> Scan:
    """What one pass over a source finds. It is kept in `file`, where one is given, and read from there while the source is the same."""
    scan = known(source, file) if file else None
    if scan is None:
        warned = len(report.warnings)
        scan = _scan(source, report)
        scan.warnings = report.warnings[warned:]
        if file:
            save_record(file, scan)
    for message in scan.warnings:
        report.warn(message)
    return scan


def known(source, file) -> Scan | None:
    """The Scan kept in a file; None where there is none, or the source was changed since."""
    try:
        scan = load_record(Path(file), Scan)
    except ShotError:
        return None
    scan.cuts, scan.size = [tuple(cut) for cut in scan.cuts], tuple(scan.size)
    return scan if scan.files == _stamps(source) else None


def _grid(source, scan):
    if isinstance(source, Sequence):
        return times.of_numbers(source.numbers, source.rate)
    return times.lay_out(scan.times, source.rates, source.resolution_s)


def write_film(shot: Shot, path: Path, report) -> None:
    """The frames of a shot as a movie in the size of the film, for where the source cannot be laid behind the camera frame for frame."""
    whole = replace(shot, width=shot.original_width, height=shot.original_height)
    with MovieWriter(path, shot.fps, crf=14) as movie:
        for index, rgb in enumerate(Frames(whole)):
            report.progress(index, shot.frames, "Laying the film on its frames")
            movie.write(rgb)


def str_rate(rate: Fraction) -> str:
    """A rate as files of a take have it."""
    return f"{rate.numerator}/{rate.denominator}"


@dataclass
class Scan:
    """What one pass over the N pictures of a source found."""

    times: np.ndarray  # (N,) s from the first
    changes: np.ndarray  # (N,) grey levels from the picture before
    cuts: list  # as CutFinder gives them
    size: tuple  # displayed width and height
    transfer: str  # see Shot
    interlaced: bool
    laid_behind: bool  # whether other programs show the pictures as they are solved
    errors: int  # damaged packets that were passed over
    sha256: str  # of the files
    files: list  # [path, bytes, time of change in ns] of each
    warnings: list = field(default_factory=list)  # what was said on the way


@dataclass
class Chosen:
    """The frames of a shot."""

    rate: Fraction
    picture: np.ndarray  # (T,) which picture each shows
    fresh: np.ndarray  # (T,) bool; False: it has none of its own and shows the one before

    @property
    def count(self):
        return len(self.picture)


class Frames:
    """RGB uint8 pictures (height, width, 3) of a shot, decoded on demand. A frame without a picture of its own shows the one before.

    Walking forward is one decoding pass; `read(i)` jumps by presentation time and gives the very picture that iteration
    gives. At most `cache_bytes` of pictures are kept.
    """

    def __init__(self, shot: Shot, cache_bytes: int = 200_000_000):
        self.shot = shot
        self._source = open_source(Path(shot.path), float(Fraction(shot.source_fps)))
        self._source.fields = shot.interlaced
        # The pictures that are shown, rising: their numbers in the source and their times. Below, `position` counts these.
        self._pictures, first, self._position = np.unique(shot.picture, return_index=True, return_inverse=True)
        self._times = shot.shown_s[first]
        self._capacity = int(np.clip(cache_bytes // max(1, shot.width * shot.height * 3), 1, 48))
        self._cache: OrderedDict[int, np.ndarray] = OrderedDict()
        self._cursor = None  # iterator of (position, undecoded-to-RGB frame)
        self._next = 0  # position that the cursor gives next
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
        position = int(self._position[index])
        if position not in self._cache:
            self._decode_to(position)
        self._cache.move_to_end(position)
        return self._cache[position]

    def _decode_to(self, wanted):
        # A step back is likely to be followed by another: keep what lies before it too.
        keep = self._capacity // 2 if wanted < self._next else 0
        ahead = wanted - self._next
        if self._cursor is None or not 0 <= ahead <= 48:
            self._cursor = self._walk_from(wanted)
        for position, frame in self._cursor:
            self._next = position + 1
            if position >= wanted - keep:
                self._store(position, frame)
            if position == wanted:
                return
        if self._seekable:  # the jump lost its place; count from the start instead
            self._seekable = False
            self._cursor, self._next = None, 0
            return self._decode_to(wanted)
        raise ShotError(
            f"Picture {self._pictures[wanted]} of {Path(self.shot.path).name} can no longer be read.",
            "The file has changed or gone since it was analysed: bring it back, or run Extract Shot again with Restart.",
        )

    def _store(self, position, frame):
        image = self._source.rgb(frame, self.shot.width, self.shot.height)
        image.setflags(write=False)
        self._cache[position] = image
        while len(self._cache) > self._capacity:
            self._cache.popitem(last=False)

    def _walk_from(self, wanted):
        """Yield (position, frame), starting at or before `wanted`."""
        if self._seekable and self._pictures[wanted] > 48:
            # Seeking may overshoot where pictures are stored out of order: then ask for an earlier keyframe.
            for early in (0.0, 1.0, 4.0):
                if self._times[wanted] <= early:
                    break
                walk = self._timed(self._source.decode(self._times[wanted] - early))
                first = next(walk, None)
                if first is not None and first[0] <= wanted:
                    yield first
                    yield from walk
                    return
        position = 0
        for number, (_, frame) in enumerate(self._source.decode()):
            if position == len(self._pictures):
                return
            if number == self._pictures[position]:
                yield position, frame
                position += 1

    def _timed(self, decoded):
        """Positions by presentation time; stops where a picture of the shot does not come at its time."""
        position = None
        for time, frame in decoded:
            if time is None:
                return
            if position is None:
                if time < self._times[0] - 1e-6:
                    continue
                position = int(np.searchsorted(self._times, time - 1e-6))
            if position >= len(self._times) or time > self._times[position] + 1e-6:
                return
            if time > self._times[position] - 1e-6:  # else a picture that the shot leaves out
                yield position, frame
                position += 1


def _scan(source, report) -> Scan:
    files = _stamps(source)
    finder, seen, changes, size, before, small = CutFinder(), [], [], None, None, None
    combed = flagged = 0
    step = float(1 / source.rates[0])
    total = source.header_frames or len(getattr(source, "files", ()))
    for time, frame in source.decode():
        here = source.size_of(frame)
        if size is None:
            size = here
            laid_behind = source.laid_behind(frame)
            transfer = screen.WORDS.get(source.transfer(frame), "")
            if transfer:
                report.warn(f"The pictures are coded in {transfer}; they are solved as a screen would show them, in 8 bits.")
        elif here != size:
            if isinstance(source, Sequence):
                raise ShotError(
                    f"{source.files[len(seen)].name} is {here[0]} x {here[1]}, the pictures before it {size[0]} x {size[1]}.",
                    "Put pictures of one size only into the folder.",
                )
            report.warn("The picture size changes within the movie; later frames are scaled to the first.")
        # Missing, repeated or backward times are made up from the frame rate.
        if seen and (time is None or time <= seen[-1]):
            time = seen[-1] + step
        seen.append(time or 0.0)
        thumbnail = source.thumbnail(frame)
        small = small or thumbnail.shape[1::-1]
        finder.add(thumbnail if thumbnail.shape[1::-1] == small else cv2.resize(thumbnail, small))
        luma = source.luma(frame)
        grey = cv2.resize(luma[::2], SMALL, interpolation=cv2.INTER_AREA)  # the first field: telecine repeats fields
        changes.append(0.0 if before is None else repeats.change(before, grey))
        before = grey
        combed += _combed(luma)
        flagged += bool(getattr(frame, "interlaced_frame", False))
        report.progress(len(seen), max(total, len(seen)), "Looking for cuts")
    if not seen:
        raise ShotError(
            f"{source.path.name} holds no readable frame.", "Export the shot again; this file is empty or damaged."
        )
    interlaced = combed > (FLAGGED_SHARE if flagged > len(seen) / 2 else COMBED_SHARE) * len(seen)
    if interlaced:
        report.warn("The film is interlaced: only the first field of each picture is used. A film made progressive beforehand is sharper.")
    return Scan(
        np.array(seen), np.array(changes), finder.finish(), size, transfer, interlaced, laid_behind, source.errors, _sha256(source), files
    )


def _combed(luma) -> bool:
    """Whether every other line of a picture (H, W) uint8 was taken at another time."""
    lines = luma[: len(luma) // 2 * 2, :: max(4, luma.shape[1] // 480)].astype(np.float32)
    if len(lines) < 16:
        return False
    near = np.abs(lines[1:-1] - (lines[:-2] + lines[2:]) / 2)[1:-1]
    far = np.abs(lines[2:-2] - (lines[:-4] + lines[4:]) / 2)
    moves = near + far > 16  # noise and plain walls say nothing
    return bool(moves.sum() > 0.002 * moves.size and near[moves].sum() > COMBED * far[moves].sum())


def _cuts(scan, grid, asked) -> list[tuple[int, int]]:
    """Cuts as pictures, of those found ("auto"), "none", or the numbers of the frames that begin a piece."""
    if asked == "auto":
        cuts = scan.cuts
    else:
        numbers = () if asked == "none" else asked
        end = int(grid.number.max())
        wrong = [n for n in numbers if not 0 < n <= end]
        if wrong:
            raise ShotError(f"A cut was given before frame {wrong[0]}, but the source has frames 0 to {end}.", f"Give frames from 1 to {end}.")
        cuts = [(int(c),) * 2 for c in sorted({int(np.argmax(grid.number >= n)) for n in numbers})]
    return sorted([*cuts, *((k, k) for k in grid.breaks if not any(a <= k <= b for a, b in cuts))])


def _pieces(grid, cuts) -> list[list[int]]:
    """[first, one past the last] frame of every piece."""
    pieces, begin = [], 0
    for a, b in [*cuts, (len(grid.number),) * 2]:
        inside = grid.number[begin:a]
        inside = inside[inside >= 0]
        if len(inside):
            pieces.append([int(inside[0]), int(inside[-1]) + 1])
        begin = b
    return pieces


def _frames(scan, grid, start, end, report) -> Chosen:
    """The frames from `start` to `end` of the grid: without the repeats of a steady pulldown, else with holes where they are."""
    inside = np.flatnonzero((grid.number >= start) & (grid.number < end))
    if not len(inside):
        raise ShotError(f"The film has no picture in frames {start} to {end - 1}.", "Change the range.")
    number = grid.number[inside]
    number, count = number - number[0], int(number[-1] - number[0]) + 1
    again, told = repeats.repeated(scan.changes[inside])
    places = repeats.beat(again, told) if count == len(inside) else None
    if places is not None:
        kept = inside[~places[np.arange(count) % len(places)]]
        rate = times.standard(grid.rate * (len(places) - int(places.sum())) / len(places))
        report.warn(
            f"{count - len(kept)} of {count} pictures show the one before again: this is film of {float(rate):.5g} pictures a second in "
            f"{float(grid.rate):.5g}. The repeats are taken out, and the take runs at {float(rate):.5g}."
        )
        return Chosen(rate, kept, np.ones(len(kept), bool))
    picture, fresh = np.full(count, -1), np.zeros(count, bool)
    picture[number], fresh[number] = inside, ~again
    if again.any():
        report.warn(
            f"The picture stands still in frames {times.listed(start + number[again])} while all about it moves. "
            "The camera and the people are bridged there."
        )
    for a, b in repeats.still(scan.changes[inside]):
        report.warn(f"The picture is frozen from frame {start + number[a]} to {start + number[b]}; nothing moves there.")
    return Chosen(grid.rate, np.maximum.accumulate(picture), fresh)


def _warn_about(source, scan, report):
    if isinstance(source, Sequence):
        return
    count = len(scan.times)
    step = float(np.median(np.diff(scan.times))) if count > 1 else float(1 / source.rates[0])
    if scan.errors or source.header_s - scan.times[-1] - step > max(3 * step, 0.05 * source.header_s):
        report.warn(f"The movie is damaged or cut short: {count} frames could be read.")


def _warn_of_holes(source, grid, frames, start, report):
    used = np.unique(grid.number[frames.picture])
    if frames.rate == grid.rate and len(used) < frames.count:
        holes = np.setdiff1d(np.arange(start, start + frames.count), used)
        if isinstance(source, Sequence):
            what = f"{len(holes)} pictures are missing from the numbered sequence ({times.listed(source.first_number + source.step * holes)})"
        else:
            what = (
                f"The frame rate varies: at {float(grid.rate):.5g} frames a second {len(holes)} of {frames.count} frames have no picture "
                f"({times.listed(holes)})"
            )
        report.warn(f"{what}. They keep their place in time; the camera and the people are bridged there.")
    if grid.regular < IRREGULAR:
        report.warn(
            f"The film has no steady frame rate; its pictures are laid on {float(grid.rate):.5g} frames a second and may be half a frame off."
        )
    lost = int((grid.number[frames.picture[0] : frames.picture[-1]] < 0).sum())
    if lost:
        report.warn(f"{lost} pictures that lie too close to the next in time are left out.")


def _choose(pieces, cut, asked, report) -> tuple[int, int]:
    """First and one-past-last frame of the source to solve."""
    count = pieces[-1][1]
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


def _files(source) -> list[Path]:
    return [source.path] if isinstance(source, Movie) else source.files


def _stamps(source) -> list:
    """[path, bytes, time of change in ns] of every file of a source."""
    return [[str(path.resolve()), (stat := path.stat()).st_size, stat.st_mtime_ns] for path in _files(source)]


def _sha256(source) -> str:
    digest = hashlib.sha256()
    for path in _files(source):
        if isinstance(source, Sequence):
            digest.update(path.name.encode())
        with open(path, "rb") as file:
            while block := file.read(1 << 20):
                digest.update(block)
    return digest.hexdigest()
