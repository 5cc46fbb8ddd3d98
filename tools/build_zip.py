"""Build the extension's zip into dist/ with Blender's own builder. Run by `make zip`."""

from __future__ import annotations

import sys
from pathlib import Path

import addon_utils
import bpy

ROOT = Path(__file__).resolve().parents[1]


def main() -> int:
    bpy.ops.wm.read_factory_settings(use_empty=True)
    addon_utils.enable("bl_pkg")
    from bl_pkg import bl_extension_cli

    dist = ROOT / "dist"
    dist.mkdir(exist_ok=True)
    status = bl_extension_cli.cli_extension_handler(["validate", str(ROOT)])
    return status or bl_extension_cli.cli_extension_handler(["build", "--source-dir", str(ROOT), "--output-dir", str(dist)])


if __name__ == "__main__":
    sys.exit(main())
