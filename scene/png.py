"""Palette pictures without an imaging library: Blender's Python has none, and Blender itself forgets palette indices."""

from __future__ import annotations

import struct
import zlib
from pathlib import Path

import numpy as np

from ..solver.protocol import ShotError

_SIGNATURE = b"\x89PNG\r\n\x1a\n"


def read_indices(path: Path) -> np.ndarray:
    """Indices (H, W) uint8 of an 8-bit palette or grey PNG. Raises ShotError for anything else."""
    try:
        data = Path(path).read_bytes()
        if not data.startswith(_SIGNATURE):
            raise ValueError("not a PNG")
        position, packed, header = 8, [], None
        while position < len(data):
            (length,), kind = struct.unpack(">I", data[position : position + 4]), data[position + 4 : position + 8]
            body = data[position + 8 : position + 8 + length]
            if kind == b"IHDR":
                header = struct.unpack(">IIBBBBB", body)
            elif kind == b"IDAT":
                packed.append(body)
            position += 12 + length
        width, height, depth, colour, _, _, interlace = header
        if depth != 8 or colour not in (0, 3) or interlace:
            raise ValueError("not an 8-bit palette picture")
        rows = np.frombuffer(zlib.decompress(b"".join(packed)), np.uint8).reshape(height, width + 1)
        return _unfilter(rows[:, 0], rows[:, 1:])
    except (OSError, ValueError, TypeError, struct.error, zlib.error) as error:
        raise ShotError(f"The mask {Path(path).name} cannot be read ({error}).", "Run Extract Shot again.") from error


def _unfilter(kinds, rows):
    """Undo PNG's five row filters for one byte a pixel."""
    out = np.zeros_like(rows)
    above = np.zeros(rows.shape[1], np.uint8)
    for y, kind in enumerate(kinds):
        row = rows[y]
        if kind == 1:
            row = np.cumsum(row, dtype=np.uint8)
        elif kind == 2:
            row = row + above
        elif kind in (3, 4):
            row = _unfilter_slow(kind, row.tolist(), above.tolist())
        elif kind != 0:
            raise ValueError("unknown row filter")
        out[y] = above = row
    return out


def _unfilter_slow(kind, row, above):
    left = corner = 0
    for x, up in enumerate(above):
        if kind == 3:
            guess = (left + up) // 2
        else:
            p = left + up - corner
            guess = min((abs(p - left), 0, left), (abs(p - up), 1, up), (abs(p - corner), 2, corner))[2]
        left = row[x] = (row[x] + guess) & 255
        corner = up
    return np.array(row, np.uint8)


def write_grey(path: Path, grey: np.ndarray) -> None:
    """Write (H, W) uint8 as an 8-bit grey PNG."""
    height, width = grey.shape
    raw = np.zeros((height, width + 1), np.uint8)
    raw[:, 1:] = grey

    def chunk(kind, body):
        return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))

    header = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    packed = zlib.compress(raw.tobytes(), 4)
    Path(path).write_bytes(_SIGNATURE + chunk(b"IHDR", header) + chunk(b"IDAT", packed) + chunk(b"IEND", b""))
