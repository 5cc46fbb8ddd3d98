"""Loads the repository root as the package `reshoot`, as Blender would: its folder may have any name.

Solver tests import `solver…`; tests of the Blender side import `reshoot…`.
"""

import importlib.util
import sys
from pathlib import Path

import solver  # noqa: F401  before numpy, which it holds to one thread

ROOT = Path(__file__).resolve().parents[1]


def _load_extension():
    spec = importlib.util.spec_from_file_location(
        "reshoot", ROOT / "__init__.py", submodule_search_locations=[str(ROOT)]
    )
    module = importlib.util.module_from_spec(spec)
    sys.modules["reshoot"] = module
    spec.loader.exec_module(module)


if "reshoot" not in sys.modules:
    _load_extension()
