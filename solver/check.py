"""`python -m solver check`: is everything here that the solver needs? One line each, status 0 if so."""

from __future__ import annotations

import importlib
from pathlib import Path

PACKAGES = ("numpy", "scipy", "cv2", "av", "onnxruntime", "scenedetect", "PIL", "roma", "torch", "tqdm")
ASSETS = Path(__file__).parent / "assets"
FILES = (
    "body.npz", "pose_prior.npz", "weights/nanodet.fp16.onnx", "weights/movenet-multipose.fp16.onnx",
    "weights/movenet-thunder.fp16.onnx", "weights/blazepose-heavy.fp16.onnx",
)  # fmt: skip


def check() -> int:
    """Print what is there and what is missing; 0 if nothing is."""
    missing = 0
    for name in PACKAGES:
        try:
            version = getattr(importlib.import_module(name), "__version__", "")
            print(f"ok       {name} {version}")
        except ImportError as error:
            missing += 1
            print(f"missing  {name} ({error})")
    for name in FILES:
        there = (ASSETS / name).is_file()
        missing += not there
        print(f"{'ok      ' if there else 'missing '} {name}")
    if not missing:
        import torch

        print("device   " + (torch.cuda.get_device_name(0) if torch.cuda.is_available() else f"cpu, {torch.get_num_threads()} threads"))
    else:
        print("Install what is missing: pip install .")
    return 1 if missing else 0
