"""Build the extension's zip into dist/ with Blender's own builder. Run by `make zip`.

python -m tools.build_zip [--out FOLDER]
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

import bpy

ROOT = Path(__file__).resolve().parents[1]


def builder():
    """Blender's own extension builder: a function from the words of its command line to an exit status."""
    import addon_utils  # found only once bpy is there

    addon_utils.enable("bl_pkg")
    from bl_pkg import bl_extension_cli

    return bl_extension_cli.cli_extension_handler


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, default=ROOT / "dist")
    out = parser.parse_args().out
    out.mkdir(parents=True, exist_ok=True)
    bpy.ops.wm.read_factory_settings(use_empty=True)
    build = builder()
    status = build(["validate", str(ROOT)])
    return status or build(["build", "--source-dir", str(ROOT), "--output-dir", str(out)])


if __name__ == "__main__":
    sys.exit(main())
