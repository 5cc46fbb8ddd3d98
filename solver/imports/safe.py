"""Read pickled results of other programs without running anything that is inside them.

A pickle can name any function and have it called. Here only the names that arrays, tensors and plain containers need are
known; every other name ends the reading. Tensors become numpy arrays: torch is not asked, and `torch.load` never called.

Read are: plain pickles, joblib's files (compressed or not), numpy's .npy with an object inside, and torch's files, both the
zip of today and the older stream.
"""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import pickle
import re
import zipfile
import zlib
from contextlib import nullcontext
from pathlib import Path

import numpy as np

from ..protocol import ShotError

MOST_BYTES = 4 << 30  # of one array, and of an unpacked file
_MAGIC = b"\x80\x02\x8a\nl\xfc\x9cF\xf9 j\xa8P\x19."  # torch's older stream begins with this pickled number
_TYPES = {
    "DoubleStorage": "<f8", "FloatStorage": "<f4", "HalfStorage": "<f2", "BFloat16Storage": "bfloat16", "LongStorage": "<i8",
    "IntStorage": "<i4", "ShortStorage": "<i2", "CharStorage": "<i1", "ByteStorage": "<u1", "BoolStorage": "?",
    "UntypedStorage": "<u1",
}  # fmt: skip


class _StorageType:
    """Stand-in for torch.FloatStorage and its kin."""

    def __init__(self, dtype):
        self.dtype = dtype


class _Wrapper:
    """Stand-in for joblib's NumpyArrayWrapper: an array's bytes follow it in the stream."""

    def __setstate__(self, state):
        self.shape, self.order, self.dtype = state["shape"], state["order"], state["dtype"]
        if not isinstance(self.dtype, np.dtype):
            raise pickle.UnpicklingError("numbers of an unknown kind")
        self.aligned = state.get("numpy_array_alignment_bytes") is not None

    def read(self, file, again):
        dtype, shape = self.dtype, tuple(int(n) for n in self.shape)
        if dtype.hasobject:
            return np.asarray(again(file), object).reshape(shape)
        if self.aligned:
            file.read(file.read(1)[0])
        size = int(np.prod(shape, dtype=object)) * dtype.itemsize
        array = np.frombuffer(_exactly(file, size), dtype)
        return array.reshape(shape[::-1]).T if self.order == "F" else array.reshape(shape)


def _exactly(file, size):
    if not 0 <= size <= MOST_BYTES:
        raise pickle.UnpicklingError("an array of a size that cannot be right")
    here = file.tell()
    left = file.seek(0, io.SEEK_END) - here
    file.seek(here)
    if left < size:  # known before room is made for it
        raise EOFError("the file ends too early")
    return file.read(size)


def _tensor(storage, offset, size, stride, *_):
    """numpy array of a tensor: torch._utils._rebuild_tensor_v2 on storages that we have read."""
    if not isinstance(storage, np.ndarray):
        raise pickle.UnpicklingError("a tensor without its numbers")
    size, stride, offset = tuple(map(int, size)), tuple(map(int, stride)), int(offset)
    if len(size) != len(stride) or min((*size, *stride, offset, 0)) < 0:
        raise pickle.UnpicklingError("a tensor of an impossible shape")
    if 0 in size:
        return np.zeros(size, storage.dtype)
    last = offset + sum((n - 1) * s for n, s in zip(size, stride))
    if last >= len(storage):
        raise pickle.UnpicklingError("a tensor that reaches beyond its numbers")
    step = storage.itemsize
    view = np.lib.stride_tricks.as_strided(storage[offset:], size, [s * step for s in stride], writeable=False)
    if view.nbytes > MOST_BYTES:
        raise pickle.UnpicklingError("an array of a size that cannot be right")
    return view.copy()


def _numbers(data, dtype):
    """Array of a storage's bytes."""
    if dtype == "bfloat16":
        return (np.frombuffer(data, "<u2").astype("<u4") << 16).view("<f4")
    return np.frombuffer(data, dtype)


def _from_buffer(buffer, dtype, shape, order="C"):
    return np.frombuffer(bytes(buffer), dtype).reshape(shape, order=order)


def _empty_array(*_):
    """numpy's _reconstruct: an array whose shape and numbers come with BUILD. What a file asks for here is not made."""
    return np.ndarray(0, "b")


def _dtype(code, *_):
    """A dtype of numbers, text or objects that belongs to this file alone: BUILD changes it, and numpy's own are shared by everybody."""
    if not isinstance(code, str) or not re.fullmatch(r"[<>|=]?([biufc]\d{1,2}|[SU]\d{1,6}|O\d?)", code):
        raise pickle.UnpicklingError("numbers of an unknown kind")
    return np.dtype(code, copy=True)


def _is_state_of(dtype, state) -> bool:
    """Whether a dtype's BUILD says its byte order and nothing that would make numpy read what is not there."""
    if not isinstance(state, tuple) or len(state) != 8 or state[0] != 3 or state[2:5] != (None, None, None):
        return False
    size, alignment, flags = state[5:]
    if state[1] not in ("<", ">", "|", "="):
        return False
    if dtype.kind in "SU":
        return (size, flags) == (dtype.itemsize, 8 if dtype.kind == "U" else 0) and alignment == dtype.alignment
    return (size, alignment, flags) == (-1, -1, 63 if dtype.kind == "O" else 0)


def _octets(kind):
    """bytes or bytearray of what is there; a number would ask for so many zeros."""

    def make(data=b"", *encoding):
        if not isinstance(data, (bytes, bytearray, str, list, tuple)):
            raise pickle.UnpicklingError("bytes that are not in the file")
        return kind(data, *encoding)

    return make


def _encode(text, encoding):
    if encoding != "latin1":
        raise pickle.UnpicklingError("an unexpected encoding")
    return text.encode("latin1")


def _from_bytes(data):
    return _read_stream(io.BytesIO(bytes(data)))


def _path(*parts):
    return "/".join(map(str, parts))


def _names() -> dict:
    names = {
        ("numpy", "ndarray"): _empty_array, ("numpy", "dtype"): _dtype, ("_codecs", "encode"): _encode,
        ("collections", "OrderedDict"): dict, ("collections", "defaultdict"): lambda *_: {},
        ("joblib.numpy_pickle", "NumpyArrayWrapper"): _Wrapper,
        ("torch._utils", "_rebuild_tensor_v2"): _tensor, ("torch._utils", "_rebuild_tensor"): _tensor,
        ("torch._utils", "_rebuild_parameter"): lambda data, *_: data,
        ("torch.storage", "_load_from_bytes"): _from_bytes,
        ("torch", "Size"): tuple, ("torch", "device"): lambda *_: None,
        ("torch.serialization", "_get_layout"): lambda *_: None,
        ("torch.storage", "UntypedStorage"): _StorageType("<u1"),
    }  # fmt: skip
    for core in ("numpy.core", "numpy._core"):
        names[core + ".multiarray", "_reconstruct"] = _empty_array
        names[core + ".multiarray", "scalar"] = np.float64(0).__reduce__()[0]
        names[core + ".numeric", "_frombuffer"] = _from_buffer
    for module in ("builtins", "__builtin__"):
        for kind in (set, frozenset, list, dict, tuple, str, int, float, complex, bool, slice):
            names[module, kind.__name__] = kind
        for kind in (bytes, bytearray):
            names[module, kind.__name__] = _octets(kind)
    for name, dtype in _TYPES.items():
        names["torch", name] = _StorageType(dtype)
    for kind in ("PosixPath", "PurePosixPath", "WindowsPath", "PureWindowsPath"):
        for module in ("pathlib", "pathlib._local"):
            names[module, kind] = _path
    return names


class _Unpickler(pickle._Unpickler):
    """The Python one: it takes no byte more than it needs, so that what follows in the stream can be read by us."""

    KNOWN = _names()
    dispatch = dict(pickle._Unpickler.dispatch)

    def __init__(self, file, storage=None):
        super().__init__(file, encoding="latin1")
        self.stream, self.storage = file, storage

    def find_class(self, module, name):
        try:
            return self.KNOWN[module, name]
        except KeyError:
            raise pickle.UnpicklingError(f"it names {module}.{name}, which is not data") from None

    def persistent_load(self, pid):
        if self.storage is None:
            raise pickle.UnpicklingError("numbers kept outside the file")
        return self.storage(pid)

    def load_build(self):
        if not isinstance(self.stack[-2], (np.ndarray, np.dtype, _Wrapper)):  # nothing else here has a state to set
            raise pickle.UnpicklingError("it changes something that is not data")
        if isinstance(self.stack[-2], np.dtype) and not _is_state_of(self.stack[-2], self.stack[-1]):
            raise pickle.UnpicklingError("numbers of an unknown kind")
        super().load_build()
        if isinstance(self.stack[-1], _Wrapper):
            self.stack[-1] = self.stack[-1].read(self.stream, lambda file: _Unpickler(file).load())

    dispatch[pickle.BUILD[0]] = load_build

    def load_bytearray8(self):
        self.append(bytearray(_exactly(self.stream, int.from_bytes(self.read(8), "little"))))

    dispatch[pickle.BYTEARRAY8[0]] = load_bytearray8


def _read_zip(file):
    """torch.save's zip: data.pkl, and one entry of raw numbers per storage."""
    with zipfile.ZipFile(file) as archive:
        names = archive.namelist()
        main = next((n for n in names if n.count("/") == 1 and n.endswith("/data.pkl")), None)
        if main is None:
            raise pickle.UnpicklingError("a zip that torch did not write")
        if sum(entry.file_size for entry in archive.infolist()) > MOST_BYTES:
            raise pickle.UnpicklingError("a file that unpacks to more than it should")
        folder = main.rsplit("/", 1)[0]
        order = f"{folder}/byteorder"
        if order in names and archive.read(order) != b"little":
            raise pickle.UnpicklingError("numbers in another byte order")
        done = {}

        def storage(pid):
            _, kind, key = pid[:3]
            if key not in done:
                done[key] = _numbers(archive.read(f"{folder}/data/{key}"), kind.dtype)
            return done[key]

        return _Unpickler(io.BytesIO(archive.read(main)), storage).load()


def _read_stream(file):
    """torch's older stream: magic, version, system, the object, the keys of its storages, then their numbers.

    The object comes before its numbers, so each storage is an empty array first and filled afterwards.
    """
    if file.read(len(_MAGIC)) != _MAGIC:
        raise pickle.UnpicklingError("no torch file")
    _Unpickler(file).load()
    _Unpickler(file).load()
    start = file.tell()
    # First pass: which storages there are. Tensors are built in the second, when the numbers are known.
    sizes = {}

    def size_only(pid):
        _, kind, key, _, count, *view = pid
        if view and view[0] is not None:
            raise pickle.UnpicklingError("a storage within a storage")
        if not 0 <= int(count) <= MOST_BYTES // 8:
            raise pickle.UnpicklingError("an array of a size that cannot be right")
        sizes[key] = kind.dtype
        return np.broadcast_to(np.zeros(1, "<f4" if kind.dtype == "bfloat16" else kind.dtype), (int(count),))

    pid_only = _Unpickler(file, size_only)
    pid_only.KNOWN = {
        **_Unpickler.KNOWN,
        ("torch._utils", "_rebuild_tensor_v2"): lambda *_: None,
        ("torch._utils", "_rebuild_tensor"): lambda *_: None,
    }
    pid_only.load()
    keys = _Unpickler(file).load()
    numbers = {}
    for key in keys:
        count = int.from_bytes(_exactly(file, 8), "little")
        dtype = sizes[key]
        numbers[key] = _numbers(_exactly(file, count * (2 if dtype == "bfloat16" else np.dtype(dtype).itemsize)), dtype)
    end = file.tell()
    file.seek(start)
    out = _Unpickler(file, lambda pid: numbers[pid[2]]).load()
    file.seek(end)
    return out


def _unpacked(file) -> io.BytesIO:
    """The whole file, without joblib's compression."""
    head = file.read(6)
    file.seek(0)
    opener = None
    if head[:2] == b"\x1f\x8b":
        opener = gzip.open
    elif head[:3] == b"BZh":
        opener = bz2.open
    elif head[:5] == b"\xfd7zXZ" or head[:3] == b"]\x00\x00":
        opener = lzma.open
    elif head[:1] == b"\x78" and head[1:2] in (b"\x01", b"\x5e", b"\x9c", b"\xda"):
        unpack = zlib.decompressobj()
        data = unpack.decompress(file.read(), MOST_BYTES)
        if not unpack.eof:
            raise EOFError("the file ends too early, or is far too large")
        return io.BytesIO(data)
    with opener(file) if opener else nullcontext(file) as stream:
        out = io.BytesIO()
        while piece := stream.read(1 << 20):  # a whole read would first make room for the most
            out.write(piece)
            if out.tell() > MOST_BYTES:
                raise pickle.UnpicklingError("a file that unpacks to more than it should")
    out.seek(0)
    return out


def _read(path: Path):
    with open(path, "rb") as file:
        head = file.read(8)
        file.seek(0)
        if head[:4] == b"PK\x03\x04":
            return _read_zip(file)
        if head[:6] == b"\x93NUMPY":
            return _read_npy(_unpacked(file))
        if head == _MAGIC[: len(head)]:
            return _read_stream(_unpacked(file))
        return _Unpickler(_unpacked(file)).load()


def _npy_header(file):
    """shape, whether in Fortran's order, and dtype of an .npy; the file then stands at its numbers."""
    version = np.lib.format.read_magic(file)
    header = {(1, 0): np.lib.format.read_array_header_1_0, (2, 0): np.lib.format.read_array_header_2_0}.get(version)
    if header is None:
        raise pickle.UnpicklingError("an unknown version of .npy")
    return header(file)


def _npy_numbers(file, shape, fortran, dtype):
    """The array behind a header; what the header asks for beyond the file is not made."""
    data = _exactly(file, int(np.prod(shape, dtype=object)) * dtype.itemsize)
    array = np.frombuffer(data, dtype) if dtype.itemsize else np.zeros(0, dtype)
    return array.reshape(shape[::-1]).T if fortran else array.reshape(shape)


def _read_npy(file):
    shape, fortran, dtype = _npy_header(file)
    if dtype.hasobject:
        value = _Unpickler(file).load()
        return value.item() if isinstance(value, np.ndarray) and value.ndim == 0 else value
    return _npy_numbers(file, shape, fortran, dtype)


def read_npz(path: Path) -> dict:
    """The arrays of an npz, by name; those of objects are left out. Raises what a damaged file makes it raise: callers tell it."""
    out, total = {}, 0
    with zipfile.ZipFile(path) as archive:
        for entry in archive.infolist():
            if not entry.filename.endswith(".npy"):
                continue
            total += entry.file_size
            if total > MOST_BYTES:
                raise pickle.UnpicklingError("a file that unpacks to more than it should")
            with archive.open(entry) as file:
                data = io.BytesIO(file.read())
            shape, fortran, dtype = _npy_header(data)
            if not dtype.hasobject:
                out[entry.filename[:-4]] = _npy_numbers(data, shape, fortran, dtype)
    return out


def read_pickled(path: Path, fix: str = "Export the tracks as AMASS npz files and choose those."):
    """What is in a pickled file, as dicts, lists, numbers and numpy arrays. Raises ShotError naming the file."""
    path = Path(path)
    try:
        return _read(path)
    except OSError as error:
        raise ShotError(f"{path.name} cannot be read ({error.strerror or error}).", "Choose the file again.") from error
    except Exception as error:  # a damaged or hostile file fails in any way it likes
        said = isinstance(error, (pickle.UnpicklingError, EOFError)) and " ".join(str(error).split())[:120]
        raise ShotError(
            f"{path.name} holds something that Reshoot does not read ({said or 'it is damaged'}).", fix
        ) from error
