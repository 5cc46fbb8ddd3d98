"""Build the zip, install it into a fresh Blender, enable it, use it."""

import json
import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]

USE = """
import bpy, json, sys
zip_path, take, out = sys.argv[1:]
bpy.ops.extensions.package_install_files(filepath=zip_path, repo="user_default", enable_on_install=True)
name = "bl_ext.user_default.reshoot"
assert name in bpy.context.preferences.addons, "not enabled"
preferences = bpy.context.preferences.addons[name].preferences
preferences.python = sys.executable
bpy.ops.shot.load_take(directory=take)
module = sys.modules[name]
result = {
    "objects": len(bpy.data.objects),
    "root": module.__file__,
    "torch": "torch" in sys.modules,
    "python": sys.modules[name + ".preferences"].solver_python(bpy.context),
}
bpy.ops.preferences.addon_disable(module=name)
result["left"] = hasattr(bpy.types.Scene, "reshoot")
open(out, "w").write(json.dumps(result))
"""


def blender(code, folder, *arguments):
    """Run code in a Blender of its own, whose user folder is `folder`."""
    environment = dict(os.environ, BLENDER_USER_RESOURCES=str(folder))
    command = [sys.executable, "-c", "import bpy\n" + code, *map(str, arguments)]
    return subprocess.run(command, check=False, capture_output=True, text=True, env=environment, cwd=folder)


@pytest.fixture(scope="module")
def package(tmp_path_factory):
    """The zip, as `make zip` makes it."""
    pytest.importorskip("bpy")
    folder = tmp_path_factory.mktemp("package")
    environment = dict(os.environ, BLENDER_USER_RESOURCES=str(folder / "user"))
    command = [sys.executable, "-m", "tools.build_zip", "--out", str(folder / "dist")]
    built = subprocess.run(command, check=False, capture_output=True, text=True, env=environment, cwd=ROOT)
    assert built.returncode == 0, built.stdout + built.stderr
    (path,) = (folder / "dist").glob("*.zip")
    return path


def test_make_zip_runs_what_is_tested_here():
    assert "-m tools.build_zip" in (ROOT / "Makefile").read_text(encoding="utf-8")


def test_zip_holds_what_is_needed_and_nothing_of_the_workshop(package):
    with zipfile.ZipFile(package) as archive:
        names = archive.namelist()
    for wanted in (
        "__init__.py",
        "blender_manifest.toml",
        "solver/__main__.py",
        "solver/assets/body.npz",
        "scene/take.py",
    ):
        assert wanted in names
    top = {name.split("/")[0] for name in names}
    assert not top & {"tests", "benchmarks", "tools", "docs", "examples", "out", "Makefile", "pyproject.toml"}
    assert not [name for name in names if name.startswith(".") or "__pycache__" in name]
    assert package.stat().st_size < 80e6


def test_installed_from_the_zip_it_loads_a_take_and_leaves_nothing(package, take, tmp_path):
    used = blender(USE, tmp_path, package, take[0], tmp_path / "result.json")
    assert (tmp_path / "result.json").exists(), used.stdout + used.stderr
    result = json.loads((tmp_path / "result.json").read_text())
    assert result["objects"] >= 8 and str(tmp_path) in result["root"]
    assert result["python"] == sys.executable
    assert not result["torch"] and not result["left"]
