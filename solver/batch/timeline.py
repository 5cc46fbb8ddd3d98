"""Shots of an editor's cut list, through OpenTimelineIO: each clip on a video track is one."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path
from urllib.parse import unquote, urlparse

from ..protocol import ShotError
from ..shot.times import timecode_frames
from ..shot.video import Movie
from .ask import Ask, movies_in, slug

ADAPTERS = {".edl": "otio-cmx3600-adapter", ".fcpxml": "otio-fcpx-xml-adapter", ".xml": "otio-fcp-adapter", ".aaf": "otio-aaf-adapter",
            ".ale": "otio-ale-adapter"}  # fmt: skip


def shots(path: Path, films: list[Path]) -> list[Ask]:
    """The clips of a cut list, in the order of its tracks.

    films:  where the list names no file that is there, its clips are looked for by name among these, then below the list's folder.
    Raises ShotError where it cannot be read, or a film is missing.
    """
    try:
        import opentimelineio as otio
    except ImportError as error:
        raise ShotError("Cut lists are read with OpenTimelineIO, which this Python lacks.", _install("opentimelineio", path)) from error
    if path.suffix.lower().lstrip(".") not in otio.adapters.suffixes_with_defined_adapters():
        raise ShotError(f"This OpenTimelineIO has no adapter for {path.suffix}.", _install(path=path))
    try:
        timeline = otio.adapters.read_from_file(str(path))
        clips = [clip for track in timeline.video_tracks() for clip in track.find_clips()]
    except Exception as error:  # every adapter has errors of its own
        raise ShotError(f"{path.name} cannot be read as a cut list: {error}".replace("\n", " "), "Export it again, best as .otio.") from error
    if not clips:
        raise ShotError(f"{path.name} has no clips on a video track.", "Export the timeline with its picture.")
    found, beside = [], None
    for number, clip in enumerate(clips, 1):
        film = _linked(clip, path.parent)
        if film is None:
            film = _named(clip, films)
        if film is None:
            beside = movies_in(path.parent) if beside is None else beside
            film = _named(clip, beside)
        if film is None:
            raise ShotError(f"The film of {clip.name or f'clip {number}'} in {path.name} was not found.", "Give the folder of the films too.")
        name = slug(f"{path.stem}_{number:03d}_{Path(clip.name).stem}" if clip.name else f"{path.stem}_{number:03d}")
        found.append(Ask(name, film, {"cuts": "none"}, _span(clip, film)))
    return found


def _linked(clip, folder: Path) -> Path | None:
    """The file or the folder of pictures that a clip names, where it is there."""
    reference = clip.media_reference
    url = getattr(reference, "target_url", None) or getattr(reference, "target_url_base", None)
    if not url:
        return None
    parts = urlparse(url)
    text = unquote(parts.path) if parts.scheme == "file" else url
    if len(text) > 2 and text[0] == "/" and text[2] == ":":  # file:///C:/…
        text = text[1:]
    path = folder / text
    return path if path.exists() else None


def _named(clip, films) -> Path | None:
    """The film that bears a clip's name, that of its file, or that of its reel."""
    edl = clip.metadata.get("cmx_3600", {})
    url = getattr(clip.media_reference, "target_url", None) or ""
    names = [Path(unquote(url)).name, clip.name, getattr(clip.media_reference, "name", ""), edl.get("reel", "")]
    for name in filter(None, names):
        for film in films:
            if name.lower() in (film.name.lower(), film.stem.lower()):
                return film
    return None


def _span(clip, film: Path) -> tuple[Fraction, Fraction]:
    """Begin and end of a clip, seconds from the first picture of its film. Time code counts from the film's own, where it has one."""
    trimmed = clip.trimmed_range()
    start, length = _seconds(trimmed.start_time), _seconds(trimmed.duration)
    available = getattr(clip.media_reference, "available_range", None)
    if available is not None:
        return start - _seconds(available.start_time), start - _seconds(available.start_time) + length
    first = Fraction(0)
    if film.is_file():
        movie = Movie(film)
        rate = movie.rates[0]
        first = Fraction(timecode_frames(movie.timecode, rate) or 0) / round(rate)  # as the list counts it: whole frames a second
    start -= first if start >= first else 0
    return start, start + length


def _seconds(time) -> Fraction:
    rate = Fraction(time.rate).limit_denominator(1001)
    return Fraction(round(time.value * 1000), 1000) / rate


def _install(package="", path: Path | None = None) -> str:
    needed = [package, ADAPTERS.get(path.suffix.lower(), "")]
    return f"Install it: python -m pip install {' '.join(filter(None, needed)) or 'OpenTimelineIO-Plugins'}"
