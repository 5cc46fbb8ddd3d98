"""COLMAP's models, text and binary, and workspaces that hold one (the layout of COLMAP 3.x and 4.x)."""

from __future__ import annotations

import struct
from pathlib import Path

import numpy as np
from scipy.spatial.transform import Rotation

from ..frames import compose, invert
from ..protocol import ShotError
from .numbering import files_of_frames, number_of
from .rows import Rows, counted, refusal, sized

_FIX = "Choose the folder of a COLMAP model (cameras and images, .txt or .bin), or a workspace with sparse/0 in it."
_UNDISTORT = "Undistort the clip first (colmap image_undistorter) and choose that model."
# Name and how many numbers each model has, in the order of COLMAP's own numbers for them.
_MODELS = (
    ("SIMPLE_PINHOLE", 3), ("PINHOLE", 4), ("SIMPLE_RADIAL", 4), ("RADIAL", 5), ("OPENCV", 8), ("OPENCV_FISHEYE", 8), ("FULL_OPENCV", 12),
    ("FOV", 5), ("SIMPLE_RADIAL_FISHEYE", 4), ("RADIAL_FISHEYE", 5), ("THIN_PRISM_FISHEYE", 12), ("RAD_TAN_THIN_PRISM_FISHEYE", 16),
)  # fmt: skip
_READ = {"SIMPLE_PINHOLE": 3, "PINHOLE": 4, "SIMPLE_RADIAL": 4, "RADIAL": 5, "OPENCV": 8}
_PARTS = {"images.txt", "images.bin", "cameras.txt", "cameras.bin", "points3D.txt", "points3D.bin"}
WORLD_FROM_CAM = "poses from camera to world"


def is_model(path: Path) -> bool:
    """Whether a path is to be read as COLMAP's: a folder, or a file of a model."""
    return path.is_dir() or path.name in _PARTS


def read(path: Path, shot, report=None) -> Rows:
    """The rows of a model, its points and where they were seen. Raises ShotError."""
    folder = _model_in(path if path.is_dir() else path.parent)
    try:
        return _read(folder, path.name if path.is_dir() else folder.name, shot, report)
    except ShotError:
        raise
    except Exception as error:  # somebody else's file may lack or hold anything
        raise refusal(folder, error, _FIX) from error


def _model_in(folder: Path) -> Path:
    """The folder of the model with most pictures in a workspace; the folder itself first."""
    places = [folder, folder / "sparse", *sorted((folder / "sparse").glob("*")), *sorted(folder.glob("[0-9]*"))]
    for place in places[:2]:
        if _ending(place):
            return place
    models = [place for place in places[2:] if place.is_dir() and _ending(place)]
    if not models:
        raise ShotError(f"The folder {folder.name} holds no model of COLMAP: cameras and images are missing.", _FIX)
    return max(
        models, key=lambda place: (place / f"images{_ending(place)}").stat().st_size
    )  # COLMAP splits what it cannot join


def _ending(folder: Path) -> str:
    return next((e for e in (".bin", ".txt") if all((folder / f"{n}{e}").is_file() for n in ("cameras", "images"))), "")


def _read(folder, name, shot, report) -> Rows:
    ending = _ending(folder)
    cameras, images, points = {
        ".bin": (_cameras_bin, _images_bin, _points_bin),
        ".txt": (_cameras_txt, _images_txt, _points_txt),
    }[ending]
    lenses, bent = {}, 0.0
    for ident, (model, width, height, values) in cameras(folder / f"cameras{ending}").items():
        lenses[ident], shift = _lens(model, width, height, values, shot)
        bent = max(bent, shift)
    if not bent <= 0.02 * shot.width:
        raise ShotError(f"The lens of {name} bends the picture by {bent:.0f} px at the corners.", _UNDISTORT)
    if bent > 0.5 and report is not None:
        report.warn(f"The lens distortion in {name} is left out: up to {bent:.1f} px at the corners.")
    found = images(folder / f"images{ending}")  # name: (T_world_from_cam, camera, observations)
    if not found:
        raise ShotError(f"{name} holds no pictures.", _FIX)
    names = sorted(found, key=lambda n: (number_of(n) or 0, n))
    try:
        frames = {str(file): frame for frame, file in files_of_frames([Path(n) for n in names], shot, name).items()}
    except ShotError:
        frames = {}
    T = np.array([found[n][0] for n in names])
    numbers = [number_of(n) for n in names]
    rows = Rows(
        name, T, np.array([lenses[found[n][1]][0] for n in names]), np.array([frames.get(str(Path(n)), -1) for n in names]),
        counted(numbers if None not in numbers else np.arange(len(names))), metric=False, turns={WORLD_FROM_CAM: invert(T)},
    )  # fmt: skip
    known = points(folder / f"points3D{ending}") if (folder / f"points3D{ending}").is_file() else {}
    known = {ident: point for ident, point in known.items() if np.isfinite(point[0]).all()}
    if known:
        order = {ident: k for k, ident in enumerate(known)}
        rows.points_world = np.array([p[0] for p in known.values()], float)
        rows.colours = np.array([p[1] for p in known.values()], np.uint8)
        row, point, xy = [], [], []
        for r, n in enumerate(names):
            scale = lenses[found[n][1]][1]
            for px, py, ident in found[n][2]:
                if int(ident) in order:
                    row.append(r), point.append(order[int(ident)]), xy.append((px * scale[0], py * scale[1]))
        rows.obs_row, rows.obs_point, rows.obs_xy = (
            np.array(row, int),
            np.array(point, int),
            np.array(xy, float).reshape(-1, 2),
        )
    return rows


def _lens(model, width, height, values, shot):
    """(K at the shot's size, scale (2,)), and by how much distortion moves the corner, px of the shot."""
    if model not in _READ or len(values) < _READ[model]:
        raise ShotError(f"COLMAP's camera model {model} is not read.", _UNDISTORT)
    if model in ("PINHOLE", "OPENCV"):
        fx, fy, cx, cy, *bend = values
    else:
        fx, cx, cy, *bend = values
        fy = fx
    K = np.array([[fx, 0, cx], [0, fy, cy], [0, 0, 1]])
    r2 = ((width / 2) ** 2 + (height / 2) ** 2) / fx**2
    k1, k2 = (*bend, 0.0, 0.0)[:2]
    shift = abs(k1 * r2 + k2 * r2**2) * np.sqrt(r2) * fx * shot.width / width
    return (sized(K, width, height, shot, "The COLMAP model"), (shot.width / width, shot.height / height)), shift


def _pose(w, x, y, z, *t):
    return invert(compose(Rotation.from_quat([x, y, z, w]).as_matrix(), t))


# -- text


def _lines(file):
    return [line.strip() for line in file.read_text(encoding="utf-8-sig").splitlines() if not line.startswith("#")]


def _cameras_txt(file):
    out = {}
    for line in filter(None, _lines(file)):
        ident, model, width, height, *values = line.split()
        out[int(ident)] = model, float(width), float(height), [float(v) for v in values]
    return out


def _images_txt(file):
    out, lines, i = {}, _lines(file), 0
    while i < len(lines):
        parts = lines[i].split(maxsplit=9)
        i += 1
        if len(parts) < 10:
            continue
        seen = np.array((lines[i] if i < len(lines) else "").split(), float).reshape(-1, 3)
        i += 1
        out[parts[9]] = _pose(*map(float, parts[1:8])), int(parts[8]), seen[seen[:, 2] >= 0]
    return out


def _points_txt(file):
    out = {}
    for line in filter(None, _lines(file)):
        parts = line.split(maxsplit=7)
        if len(parts) < 7:
            raise EOFError
        out[int(parts[0])] = [float(v) for v in parts[1:4]], [int(v) for v in parts[4:7]]
    return out


# -- binary, little-endian


class _Bytes:
    def __init__(self, file):
        self.data, self.at = file.read_bytes(), 0

    def take(self, layout: str):
        values = struct.unpack_from("<" + layout, self.data, self.at)
        self.at += struct.calcsize("<" + layout)
        return values

    def array(self, dtype, count):
        """`count` rows of a dtype; a count beyond the file's end is refused before anything is made."""
        if count * np.dtype(dtype).itemsize > len(self.data) - self.at:
            raise EOFError
        out = np.frombuffer(self.data, dtype, count, self.at) if count else np.zeros(0, dtype)
        self.at += out.nbytes
        return out

    def text(self):
        end = self.data.find(b"\0", self.at)
        if end < 0:
            raise EOFError
        text, self.at = self.data[self.at : end].decode("utf-8"), end + 1
        return text


def _cameras_bin(file):
    data, out = _Bytes(file), {}
    for _ in range(data.take("Q")[0]):
        ident, model, width, height = data.take("iiQQ")
        name, count = _MODELS[model] if 0 <= model < len(_MODELS) else (f"number {model}", 0)
        out[ident] = name, float(width), float(height), list(data.take(f"{count}d"))
        if not count:  # the rows behind it cannot be found
            break
    return out


_SEEN = np.dtype([("x", "<f8"), ("y", "<f8"), ("point", "<i8")])


def _images_bin(file):
    data, out = _Bytes(file), {}
    for _ in range(data.take("Q")[0]):
        _, *pose, camera = data.take("I7dI")
        name = data.text()
        seen = data.array(_SEEN, data.take("Q")[0])
        seen = np.stack([seen["x"], seen["y"], seen["point"].astype(float)], -1)
        out[name] = _pose(*pose), camera, seen[seen[:, 2] >= 0]
    return out


def _points_bin(file):
    data, out = _Bytes(file), {}
    for _ in range(data.take("Q")[0]):
        ident, x, y, z, r, g, b, _, length = data.take("Q3d3BdQ")
        data.array("<u8", length)
        out[ident] = (x, y, z), (r, g, b)
    return out
