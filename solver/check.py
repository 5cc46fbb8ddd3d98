"""`python -m solver check`: is everything here that the solver needs? The verdict first; status 0 if so.

Needs the standard library alone: it has to say what is missing where nothing is there yet.
"""

from __future__ import annotations

import importlib
import importlib.util
import os
import shlex
import sys
from pathlib import Path

OLDEST_PYTHON = (3, 11)
# What is imported, and what pip installs for it: the dependencies of pyproject.toml.
PACKAGES = {
    "torch": "torch==2.13.0",
    "numpy": "numpy>=1.26,<3",
    "scipy": "scipy==1.17.1",
    "cv2": "opencv-python-headless==4.11.0.86",
    "av": "av==18.1.0",
    "onnxruntime": "onnxruntime==1.32.0",
    "scenedetect": "scenedetect-headless==0.7.2",
    "PIL": "pillow==13.0.0",
    "roma": "roma==1.8.0",
    "tqdm": "tqdm==4.70.1",
}
ASSETS = Path(__file__).parent / "assets"
FILES = (
    "body.npz", "pose_prior.npz", "gait.npz", "weights/nanodet.fp16.onnx", "weights/movenet-multipose.fp16.onnx",
    "weights/movenet-thunder.fp16.onnx", "weights/blazepose-heavy.fp16.onnx", "weights/hand-landmarks.fp16.onnx",
    "weights/face-landmarks.fp16.onnx", "weights/selfie-segmentation.fp16.onnx",
)  # fmt: skip


def missing() -> list[str]:
    """Packages that are not installed, by the names that pip knows. Nothing is imported."""
    return [_pip_name(name) for name in PACKAGES if importlib.util.find_spec(name) is None]


def too_old() -> str:
    """What to say where this Python is too old; empty where it is not."""
    if sys.version_info >= OLDEST_PYTHON:
        return ""
    return f"The solver's Python is {sys.version_info[0]}.{sys.version_info[1]}, and 3.11 or newer is needed."


def lacks(names: list[str]) -> str:
    """One line that says which packages are missing."""
    return f"The solver's Python lacks {', '.join(names)}."


def install_lines(names: list[str]) -> list[str]:
    """Commands for this system's terminal that install packages, named as pip knows them, for this Python.

    A Python that belongs to the system or to Blender is left alone: an environment beside it is made first.
    """
    wanted = [spec for spec in PACKAGES.values() if _bare(spec) in names]
    if _is_environment():
        return [_line([sys.executable, "-m", "pip", "install", *wanted])]
    folder = Path.home() / "reshoot-solver"
    python = folder / ("Scripts/python.exe" if os.name == "nt" else "bin/python")
    return [
        _line([sys.executable, "-m", "venv", str(folder)]),
        _line([str(python), "-m", "pip", "install", *PACKAGES.values()]),
    ]


def check() -> int:
    """Print whether the solver can run here, and what to do where it cannot; 0 if it can."""
    if too_old():
        print(f"not ready: {too_old()}")
        return 1
    absent = [name for name in FILES if not (ASSETS / name).is_file()]
    names = missing()
    if names:
        print(f"not ready: {lacks(names)}")
        for line in install_lines(names):
            print(f"copy     {line}")
        if not _is_environment():
            print(f"then     choose the folder {Path.home() / 'reshoot-solver'} in Reshoot's preferences")
        return 1
    found, broken = [], []
    for name in PACKAGES:
        try:
            found.append(f"ok       {name} {getattr(importlib.import_module(name), '__version__', '')}".rstrip())
        except (ImportError, OSError, AttributeError, RuntimeError, ValueError) as error:  # each fails in its own way
            broken.append(f"broken   {name}: {' '.join(str(error).split())}")
    if absent or broken:
        what = [*(line.split()[1].rstrip(":") for line in broken), *absent]
        print(f"not ready: {', '.join(what)} cannot be used")
    else:
        import torch

        cuda = torch.cuda.is_available()
        print("ready: everything the solver needs is here")
        found.insert(0, f"device   {torch.cuda.get_device_name(0) if cuda else f'cpu, {torch.get_num_threads()} threads'}")
    for line in (*broken, *(f"absent   {name}: install Reshoot again" for name in absent), *found):
        print(line)
    return 1 if absent or broken else 0


def _is_environment() -> bool:
    """Whether packages may be put into this Python: a venv, or one of conda."""
    return sys.prefix != sys.base_prefix or (Path(sys.prefix) / "conda-meta").is_dir()


def _line(words: list[str]) -> str:
    """A command as it is typed into this system's terminal; on Windows that is PowerShell."""
    if os.name != "nt":
        return shlex.join(words)
    quoted = ['"' + word + '"' if set(word) & set(" <>&;,") else word for word in words]
    return ("& " if quoted[0].startswith('"') else "") + " ".join(quoted)


def _bare(spec: str) -> str:
    return spec.partition("=")[0].rstrip("<>")


def _pip_name(name: str) -> str:
    return _bare(PACKAGES[name])
