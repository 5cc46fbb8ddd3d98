"""Build the extension's zip into dist/ with Blender's own builder, and bundles that hold the solver's packages. Run by `make zip`.

python -m tools.build_zip [--out FOLDER]
python -m tools.build_zip --bundle "linux-x64 3.11" --wheels FOLDER [--out FOLDER]

A bundle is the extension with every wheel that solver/wheels.json lists for a system and a Python: Blender installs both, offline.
--wheels: a folder with these wheels; those that it lacks are fetched into it by pip.
"""

from __future__ import annotations

import argparse
import shutil
import sys
import tempfile
import zipfile
from pathlib import Path

import bpy

from solver import install
from solver.protocol import ShotError

ROOT = Path(__file__).resolve().parents[1]


def builder():
    """Blender's own extension builder: a function from the words of its command line to an exit status."""
    import addon_utils  # found only once bpy is there

    addon_utils.enable("bl_pkg")
    from bl_pkg import bl_extension_cli

    return bl_extension_cli.cli_extension_handler


def build_extension(out: Path) -> tuple[int, Path | None]:
    """The extension alone. Returns the exit status and the zip."""
    build = builder()
    with tempfile.TemporaryDirectory() as folder:
        status = build(["validate", str(ROOT)]) or build(["build", "--source-dir", str(ROOT), "--output-dir", folder])
        made = list(Path(folder).glob("*.zip"))
        return status, Path(shutil.copy(made[0], out)) if not status and made else None


def build_bundle(target: str, wheels: Path, out: Path) -> tuple[int, Path | None]:
    """The extension with the wheels of a target. Raises ShotError where one is missing or is not the one of the list."""
    entries = install.wanted(target)
    wheels.mkdir(parents=True, exist_ok=True)
    for wheel in entries:
        if not install.is_whole(wheels / wheel.file, wheel):
            install.fetch(wheel, wheels, lambda _: None, target)
    system, _, python = target.partition(" ")
    build = builder()
    with tempfile.TemporaryDirectory() as folder:
        status, plain = build_extension(Path(folder))
        if status:
            return status, None
        source = Path(folder) / "source"
        with zipfile.ZipFile(plain) as archive:
            archive.extractall(source)
        (source / "wheels").mkdir()
        for wheel in entries:
            shutil.copy(wheels / wheel.file, source / "wheels")
        manifest = source / "blender_manifest.toml"
        listed = "".join(f'  "./wheels/{wheel.file}",\n' for wheel in entries)
        own = f'platforms = ["{system}"]\nwheels = [\n{listed}]\n\n'
        text = manifest.read_text(encoding="utf-8")
        manifest.write_text(text.replace("[permissions]", own + "[permissions]", 1), encoding="utf-8")
        name = f"{plain.stem}-{system}-python{python}.zip"
        words = ["build", "--source-dir", str(source), "--output-filepath", str(Path(folder) / name)]
        status = build(["validate", str(source)]) or build(words)
        return status, Path(shutil.move(Path(folder) / name, out / name)) if not status else None


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, default=ROOT / "dist")
    parser.add_argument("--bundle", metavar="TARGET", help='system and Python, as "linux-x64 3.11"')
    parser.add_argument("--wheels", type=Path, default=ROOT / "out" / "wheels", metavar="FOLDER")
    arguments = parser.parse_args()
    arguments.out.mkdir(parents=True, exist_ok=True)
    bpy.ops.wm.read_factory_settings(use_empty=True)
    if not arguments.bundle:
        return build_extension(arguments.out)[0]
    try:
        status, made = build_bundle(arguments.bundle, arguments.wheels / arguments.bundle.replace(" ", "-"), arguments.out)
    except ShotError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    if made:
        print(made)
    return status


if __name__ == "__main__":
    sys.exit(main())
