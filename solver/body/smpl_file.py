"""Read a user's own SMPL_NEUTRAL file without running anything that is inside it.

SMPL's .pkl files are pickles of numpy arrays, one scipy matrix and chumpy arrays. A pickle can run code, so only the few
names those need are allowed, and chumpy is replaced by a stand-in that keeps the array.
"""

from __future__ import annotations

import pickle
from pathlib import Path

import numpy as np

from ..protocol import ShotError
from ..skeleton import KEYPOINTS, SMPL_PARENTS

NAMES = ("SMPL_NEUTRAL", "basicModel_neutral_lbs_10_207_0_v1.0.0", "basicmodel_neutral_lbs_10_207_0_v1.1.0")
VERTICES = 6890
_KEYS = ("v_template", "shapedirs", "J_regressor", "weights", "f", "kintree_table", "posedirs", "keypoint_regressor")

# Vertices of SMPL's mesh, as its users publish them.
_VERTEX = {
    "nose": 332, "left_eye": 2800, "right_eye": 6260, "left_ear": 583, "right_ear": 4071, "left_heel": 3387,
    "right_heel": 6787, "left_big_toe": 3216, "right_big_toe": 6617,
}  # fmt: skip
# A knuckle: this far from the wrist joint to the tip of the finger, for SMPL's hands are flat: wrist, tip, fraction.
_KNUCKLE = {
    "left_index_knuckle": (20, 2319, 0.50), "right_index_knuckle": (21, 5782, 0.50),
    "left_pinky_knuckle": (20, 2673, 0.53), "right_pinky_knuckle": (21, 6133, 0.53),
}  # fmt: skip
_JOINT = {
    "left_shoulder": 16, "right_shoulder": 17, "left_elbow": 18, "right_elbow": 19, "left_wrist": 20,
    "right_wrist": 21, "left_hip": 1, "right_hip": 2, "left_knee": 4, "right_knee": 5, "left_ankle": 7,
    "right_ankle": 8,
}  # fmt: skip


class _Chumpy:
    """Stand-in for chumpy.Ch: what a pickle of one leaves behind, as an array."""

    def __init__(self, *args):
        self.x = args[0] if args else None

    def __setstate__(self, state):
        self.__dict__.update(state)

    def __array__(self, dtype=None, copy=None):
        return np.asarray(self.x, dtype)


class _Sparse:
    """Stand-in for scipy's csc and csr matrices."""

    def __setstate__(self, state):
        self.__dict__.update(state)

    def toarray(self):
        data, indices, indptr = (np.asarray(getattr(self, k)) for k in ("data", "indices", "indptr"))
        rows, columns = getattr(self, "_shape", None) or self.shape
        major = np.repeat(np.arange(len(indptr) - 1), np.diff(indptr))
        out = np.zeros((rows, columns))
        np.add.at(out, (major, indices) if self.by_row else (indices, major), data)
        return out


class _Csc(_Sparse):
    by_row = False


class _Csr(_Sparse):
    by_row = True


def _allowed():
    reconstruct = np.ndarray(0).__reduce__()[0]
    scalar = np.float64(0).__reduce__()[0]
    names = {("numpy", "ndarray"): np.ndarray, ("numpy", "dtype"): np.dtype}
    for core in ("numpy.core.multiarray", "numpy._core.multiarray"):
        names[core, "_reconstruct"] = reconstruct
        names[core, "scalar"] = scalar
    for kind, stand_in in (("csc", _Csc), ("csr", _Csr)):
        for module in (f"scipy.sparse.{kind}", f"scipy.sparse._{kind}"):
            names[module, f"{kind}_matrix"] = stand_in
    for module in ("chumpy.ch", "chumpy"):
        names[module, "Ch"] = _Chumpy
    # protocol 2 pickles name these when they rebuild plain objects and bytes
    names["copy_reg", "_reconstructor"] = names["copyreg", "_reconstructor"] = _reconstructor
    for module in ("__builtin__", "builtins"):
        names[module, "object"], names[module, "set"] = object, set
    names["_codecs", "encode"] = _encode
    return names


def _reconstructor(cls, base, state):
    if cls not in (_Chumpy, _Csc, _Csr) or base is not object:
        raise pickle.UnpicklingError("a class that does not belong in an SMPL file")
    return cls.__new__(cls)


def _encode(text, encoding):
    if encoding != "latin1":
        raise pickle.UnpicklingError("an encoding that does not belong in an SMPL file")
    return text.encode("latin1")


class _Unpickler(pickle.Unpickler):
    ALLOWED = _allowed()

    def find_class(self, module, name):
        try:
            return self.ALLOWED[module, name]
        except KeyError:
            raise pickle.UnpicklingError(f"{module}.{name} does not belong in an SMPL file") from None


def read_smpl(folder) -> dict:
    """Arrays of the neutral SMPL model in `folder` (or in its `smpl` subfolder, or of the file itself), for BodyModel.

    Raises ShotError where there is none, where it is not SMPL, or where it holds anything but arrays.
    """
    path = _find(Path(folder))
    try:
        raw = _read(path)
        arrays = {key: _array(raw[key]) for key in _KEYS[:6]}
        arrays["f"] = arrays["f"].astype(np.int64)
        arrays["shapedirs"] = arrays["shapedirs"][..., :10]
        # (V, 3, 207) in the file; BodyModel wants (207, 3 V)
        arrays["posedirs"] = _array(raw["posedirs"]).reshape(-1, 207).T if "posedirs" in raw else None
        count = len(arrays["v_template"])
        wanted = {
            "v_template": (count, 3),
            "shapedirs": (count, 3, 10),
            "J_regressor": (24, count),
            "weights": (count, 24),
        }
        for key, shape in wanted.items():
            if arrays[key].shape != shape:
                raise ValueError(f"{key} has shape {arrays[key].shape}, not {shape}")
        if tuple(arrays["kintree_table"][0, 1:].astype(int)) != SMPL_PARENTS[1:]:
            raise ValueError("another skeleton than SMPL's")
        if arrays["posedirs"] is not None and arrays["posedirs"].shape != (207, 3 * count):
            raise ValueError("posedirs has another shape than SMPL's")
        if "keypoint_regressor" in raw:
            arrays["keypoint_regressor"] = _array(raw["keypoint_regressor"])
        else:
            if count != VERTICES:
                raise ValueError(f"{count} vertices, SMPL has {VERTICES}")
            arrays["keypoint_regressor"] = _keypoint_regressor(arrays["J_regressor"])
    except Exception as error:  # a damaged or hostile file fails in any way it likes
        raise ShotError(
            f"{path.name} is not an SMPL body that Reshoot can read ({error}).",
            "Choose the folder with your own SMPL_NEUTRAL.pkl or .npz, or leave it empty for the built-in body.",
        ) from error
    return arrays


def _find(folder: Path) -> Path:
    if folder.is_file():
        return folder
    for place in (folder, folder / "smpl"):
        for name in NAMES:
            for ending in (".npz", ".pkl"):
                if (place / (name + ending)).is_file():
                    return place / (name + ending)
    raise ShotError(
        f"There is no SMPL_NEUTRAL.npz or SMPL_NEUTRAL.pkl in {folder}.",
        "Choose the folder that holds your licensed SMPL model, or leave it empty for the built-in body.",
    )


def _read(path: Path) -> dict:
    if path.suffix == ".npz":
        with np.load(path, allow_pickle=False) as file:
            return {key: file[key] for key in _KEYS if key in file.files}
    with open(path, "rb") as file:
        raw = _Unpickler(file, encoding="latin1").load()
    if not isinstance(raw, dict):
        raise TypeError("no table of arrays inside")
    return raw


def _array(value):
    if isinstance(value, _Sparse):
        return value.toarray()
    array = np.asarray(value)
    if array.dtype == object:
        raise ValueError("an array of objects inside")
    return array.astype(np.float64)


def _keypoint_regressor(J_regressor):
    out = np.zeros((len(KEYPOINTS), VERTICES))
    for row, name in enumerate(KEYPOINTS):
        if name in _JOINT:
            out[row] = J_regressor[_JOINT[name]]
        elif name in _KNUCKLE:
            wrist, tip, fraction = _KNUCKLE[name]
            out[row] = (1 - fraction) * J_regressor[wrist]
            out[row, tip] += fraction
        else:
            out[row, _VERTEX[name]] = 1
    return out
