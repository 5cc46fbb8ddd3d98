"""The film itself: behind the camera, and as pictures for the compositor."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

import bpy
import numpy as np

from ..solver.frames import invert
from . import paths, png
from .read import TakeData

GROW = 0.015  # of the width, as solver.plate grows what it erases
INSIDE = 0.003  # of the width: so far inside a solved body, a pixel is that body's
GRAIN_PICTURES = 12
_PICTURES = {".png", ".jpg", ".jpeg", ".tif", ".tiff", ".exr", ".bmp", ".webp", ".dpx"}


def find_film(path, take_folder) -> Path | None:
    """A film, or folder of pictures, also where it has moved together with the take or the .blend; None where it is gone."""
    return paths.find(path, [Path(take_folder).resolve(), *paths.beside_blend()], Path.exists)


def source_file(take: TakeData) -> Path | None:
    """The movie, or the first picture of the sequence, that lies behind the camera frame for frame; None where it is gone."""
    own = Path(take.folder) / "film.mp4"
    if take.conformed and own.is_file():
        return own
    path = find_film(take.source_path, take.folder)
    if path is None:
        return None
    if path.is_dir():
        pictures = sorted(p for p in path.iterdir() if p.suffix.lower() in _PICTURES)
        return pictures[0] if pictures else None
    return path if path.is_file() else None


def load_clip(take: TakeData, frame_start: int):
    """Movie clip of the original film, frame 0 of the take at frame_start; None where the film is gone or unreadable."""
    path = source_file(take)
    if path is None:
        return None
    try:
        clip = bpy.data.movieclips.load(str(path))
    except RuntimeError:
        return None
    clip.filepath = paths.kept(path)
    clip.frame_start = frame_start - (0 if take.conformed else take.source_start)
    return clip


@dataclass(frozen=True)
class Facts:
    """What the panel says of a film or picture sequence: nothing where it cannot be read."""

    frames: int = 0
    text: str = ""  # frames, rate and size


def facts(path) -> Facts:
    """Facts of a movie, or of the sequence that a picture belongs to."""
    if not Path(path).is_file():
        return Facts()
    try:
        clip = bpy.data.movieclips.load(str(path))
    except RuntimeError:
        return Facts()
    width, height = clip.size
    rate = f" at {clip.fps:.5g} fps" if clip.source == "MOVIE" else ""
    count = clip.frame_duration
    bpy.data.movieclips.remove(clip)
    return Facts(count, f"{count} frames{rate}, {width}×{height}") if count else Facts()


def put_behind(camera, clip) -> None:
    """Show a clip behind what a camera sees, in place of another."""
    data = camera.data
    for old in [b for b in data.background_images if b.clip]:
        data.background_images.remove(old)
    data.show_background_images = True
    background = data.background_images.new()
    background.source = "MOVIE_CLIP"
    background.clip = clip
    background.alpha = 1.0
    background.display_depth = "BACK"
    background.frame_method = "STRETCH"


def load_sequence(folder: Path, name: str, colour_space="sRGB"):
    """A numbered PNG sequence as an image, with the number of its first file and its length. None where there is none."""
    files = sorted(p for p in folder.glob("*.png") if re.fullmatch(r"\d+", p.stem))
    if not files:
        return None
    image = bpy.data.images.load(str(files[0]))
    image.filepath = paths.kept(files[0])
    image.name = name
    image.source = "SEQUENCE"
    image.colorspace_settings.name = colour_space
    return image, int(files[0].stem), len(files)


def sequence_node(tree, sequence, frame_start: int, cyclic=False):
    """Compositor node that shows a sequence, its first picture at frame_start."""
    image, first, count = sequence
    node = tree.nodes.new("CompositorNodeImage")
    node.image = image
    node.frame_start = frame_start
    node.frame_duration = count
    node.frame_offset = first - 1  # Blender shows file number (frame - frame_start + 1) + frame_offset
    node.use_auto_refresh, node.use_cyclic = True, cyclic
    return node


def write_mattes(take: TakeData, ids, kind: str) -> Path:
    """Write `mattes/<kind>_<ids>/%06d.png` into the take: white where one of these people is. Returns the folder.

    kind: "seen", as the masks have them, or "erased": what plate/erase says has to go with them. A take that has no plate/erase gets
    its masks, grown. Where somebody's solved body covers a pixel that the masks give to who stands wholly behind them, it is theirs.
    """
    folder = take.folder / "mattes" / f"{kind}_{'_'.join(str(i) for i in sorted(ids))}"
    folder.mkdir(parents=True, exist_ok=True)
    erase = take.folder / "plate" / "erase"
    source = erase if kind == "erased" and erase.is_dir() else take.folder / "masks"
    grow = round(GROW * take.width) if kind == "erased" and source != erase else 0
    for index in range(take.frames):
        people = _settled(take, index, png.read_indices(source / f"{index:06d}.png"))
        matte = np.isin(people, list(ids))
        for _ in range(grow):
            matte = _grow(matte) & np.isin(people, [0, *ids])
        png.write_grey(folder / f"{index:06d}.png", np.round(_blur3(matte.astype(np.float32)) * 255).astype(np.uint8))
    return folder


def _settled(take: TakeData, index: int, owners):
    """Owners (H, W) of a frame's pixels, those of a leg, say, that the masks give to the one behind taken back."""
    solved_file, masks_file = (take.folder / name / f"{index:06d}.png" for name in ("solved", "masks"))
    before = _wholly_before(take, index)
    if not before or not (solved_file.is_file() and masks_file.is_file()):
        return owners
    solved, masks, pixels = png.read_indices(solved_file), png.read_indices(masks_file), max(1, round(INSIDE * take.width))
    if not solved.shape == masks.shape == owners.shape:
        return owners
    out = owners.copy()
    for front, back in before:
        body = solved == front
        inner = body
        for _ in range(pixels):
            inner = ~_grow(~inner)
        taken = inner & (masks == back)
        for _ in range(pixels):
            taken = _grow(taken)
        out[taken & body & (owners == back)] = front
    return out


def _wholly_before(take: TakeData, index: int) -> list[tuple[int, int]]:
    """Pairs of people (in front, behind) of a frame, all joints of the one nearer to the camera than any of the other's."""
    T = invert(take.T_world_from_cam[index])
    depths = {p.id: p.joints_world[p.frame == index][0] @ T[2, :3] + T[2, 3] for p in take.people if (p.frame == index).any()}
    return [(a, b) for a in depths for b in depths if depths[a].max() < depths[b].min()]


def write_grain(take: TakeData, levels: float) -> Path:
    """Write `mattes/grain_<levels>/%06d.png`: pictures of grain, grey 128 +- 32 for one standard deviation. Returns the folder."""
    folder = take.folder / "mattes" / f"grain_{levels:.1f}"
    folder.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(0)
    for index in range(GRAIN_PICTURES):
        grain = _blur3(rng.normal(size=(take.height, take.width)).astype(np.float32))
        grain *= 32 / grain.std()
        png.write_grey(folder / f"{index:06d}.png", np.clip(np.round(128 + grain), 0, 255).astype(np.uint8))
    return folder


def _grow(a):
    """A mask and its four neighbours."""
    out = a.copy()
    out[1:] |= a[:-1]
    out[:-1] |= a[1:]
    out[:, 1:] |= a[:, :-1]
    out[:, :-1] |= a[:, 1:]
    return out


def _blur3(a):
    """Binomial 3x3 blur with held edges."""
    for axis in (0, 1):
        padded = np.pad(a, [(1, 1) if k == axis else (0, 0) for k in (0, 1)], mode="edge")
        n = a.shape[axis]
        low, mid, high = (np.take(padded, range(s, s + n), axis) for s in (0, 1, 2))
        a = 0.25 * low + 0.5 * mid + 0.25 * high
    return a
