"""What a batch is asked for: films, folders, and lists of shots, as `Ask`s."""

from __future__ import annotations

import json
import os
import re
from pathlib import Path

from ..protocol import ShotError
from ..shot.video import PICTURES
from . import timeline
from .ask import MOVIES, Ask, movies_in, slug

TIMELINES = (".otio", ".otioz", ".otiod", ".edl", ".fcpxml", ".xml", ".aaf", ".ale")
CHOOSE = "Give movies, folders of movies or pictures, cut lists (.otio, .edl), or lists of shots (.json)."


def read(sources, parse) -> list[Ask]:
    """Everything that is asked for, in order, under unique names.

    sources:  paths.
    parse:    what words of `extract`'s command line set, as fields of Options; raises ShotError.
    Raises ShotError for what cannot be read, or holds nothing.
    """
    found = []
    films = [path for source in sources if Path(source).is_dir() for path in movies_in(Path(source))]
    for source in map(Path, sources):
        if not source.exists():
            raise ShotError(f"There is no file {source}.", CHOOSE)
        suffix = source.suffix.lower()
        if suffix in TIMELINES:
            found += timeline.shots(source, films)
        elif source.is_dir():
            inside = [Ask(slug(path.name if path.is_dir() else path.stem), path) for path in clips_in(source)]
            if not inside:
                raise ShotError(f"{source} holds no movies and no pictures.", CHOOSE)
            found += inside
        elif suffix == ".json":
            found += _listed(source, parse)
        else:
            found.append(Ask(slug(source.stem), source))
    return _unique(found)


def clips_in(folder: Path) -> list[Path]:
    """The movies of a folder and its image sequences, each in a folder of its own; the folder itself where it is a sequence."""
    inside = sorted((path for path in folder.iterdir() if not path.name.startswith(".")), key=lambda path: _natural(path.name))
    found = [path for path in inside if path.suffix.lower() in MOVIES or (path.is_dir() and _holds_pictures(path))]
    if not found and _holds_pictures(folder):
        return [folder]
    return found


def _listed(path: Path, parse) -> list[Ask]:
    """A list of shots: {"shots": [{"clip": "a.mp4", "name": "s010", "range": "12-80", "focal_mm": 35}, …]}, names and options at will."""
    try:
        shots = json.loads(path.read_text(encoding="utf-8"))["shots"]
        listed = [dict(shot) for shot in shots]
        clips = [path.parent / str(shot.pop("clip")) for shot in listed]
    except (OSError, ValueError, TypeError, KeyError) as error:
        raise ShotError(f"{path} is not a list of shots.", 'It reads {"shots": [{"clip": "a.mp4"}, …]}.') from error
    found = []
    for clip, shot in zip(clips, listed):
        name = slug(str(shot.pop("name", clip.stem)))
        words = []
        for key, value in shot.items():
            flag = "--" + key.replace("_", "-")
            words += [flag] if value is True else [flag, *map(str, value if isinstance(value, list) else [value])]
        try:
            options = parse(words)
        except ShotError as error:
            raise ShotError(f"{path.name}, {name}: {error.message}", error.fix) from error
        if str(options.get("backend", "")).lower().endswith(".py"):
            raise ShotError(f"{path.name}, {name}: a list of shots may not name a Python file to run.", "Give it as --backend on the command line.")
        if options.get("inpainter"):
            raise ShotError(f"{path.name}, {name}: a list of shots may not name a program to run.", "Give it as --inpainter on the command line.")
        for key in ("people", "masks", "joints", "camera", "smpl", "backend"):  # from the list's own folder
            if options.get(key):
                value = options[key]
                options[key] = tuple(path.parent / v for v in value) if isinstance(value, (list, tuple)) else path.parent / value
        found.append(Ask(name, clip, options))
    return found


def _unique(asks) -> list[Ask]:
    """The same under names that differ, also where letters count the same large and small."""
    taken, named = set(), []
    for ask in asks:
        name, folder = ask.name, ask.clip.resolve().parent
        if name.lower() in taken:
            name = f"{slug(folder.name)}_{name}"
        number = 2
        while name.lower() in taken:
            name = f"{ask.name}_{number}"
            number += 1
        taken.add(name.lower())
        named.append(Ask(name, ask.clip, ask.options, ask.span_s))
    return named


def piece_name(name: str, piece: int) -> str:
    """The take of a film's piece, from 0. No name of a film has this sign."""
    return f"{name}+{piece + 1:03d}"


def _holds_pictures(folder: Path) -> bool:
    return any(name.lower().endswith(PICTURES) and not name.startswith(".") for name in os.listdir(folder))


def _natural(name: str) -> tuple:
    return tuple((0, int(part), "") if part.isdigit() else (1, 0, part.lower()) for part in re.split(r"(\d+)", name))
