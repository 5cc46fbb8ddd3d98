"""Build the zip, install it into a fresh Blender, enable it, use it."""

import json
import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from solver import install

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


BUNDLE = """
import sys
from pathlib import Path
from solver import install
from tools import build_zip
install.LIST = Path(sys.argv.pop(1))
install.pip = lambda: [sys.executable, "-c", "import sys; print('ERROR: no route out'); sys.exit(1)"]
sys.exit(build_zip.main())
"""


def build_bundle(folder, wheels, *words):
    """`python -m tools.build_zip --bundle …` with a list of small wheels, and without a network."""
    environment = dict(os.environ, BLENDER_USER_RESOURCES=str(folder / "user"))
    command = [sys.executable, "-c", BUNDLE, str(folder / "wheels.json"), "--out", str(folder / "dist"), "--wheels", str(wheels)]
    return subprocess.run([*command, *words], check=False, capture_output=True, text=True, env=environment, cwd=ROOT)


def test_a_bundle_is_the_extension_with_its_wheels_and_blender_installs_both_offline(tmp_path):
    import tomllib

    from tests.unit.test_install import NAMES, make_wheel

    pytest.importorskip("bpy")
    system, _, python = install.target().partition(" ")
    folder = tmp_path / "wheels" / f"{system}-{python}"
    folder.mkdir(parents=True)
    entries = [make_wheel(folder, f"reshoot_{name}") for name in NAMES]
    (tmp_path / "wheels.json").write_text(json.dumps({install.target(): entries}), encoding="utf-8")
    built = build_bundle(tmp_path, tmp_path / "wheels", "--bundle", install.target())
    assert built.returncode == 0, built.stdout + built.stderr
    (path,) = (tmp_path / "dist").glob("*.zip")
    assert path.stem.endswith(f"{system}-python{python}")
    with zipfile.ZipFile(path) as archive:
        manifest = tomllib.loads(archive.read("blender_manifest.toml").decode())
        assert manifest["wheels"] == [f"./wheels/{entry['file']}" for entry in entries] and manifest["platforms"] == [system]
        assert manifest["permissions"] and {wheel.removeprefix("./") for wheel in manifest["wheels"]} <= set(archive.namelist())
        assert "solver/__main__.py" in archive.namelist()
    code = """
import importlib, json, sys
bpy.ops.extensions.package_install_files(filepath=sys.argv[1], repo="user_default", enable_on_install=True)
assert "bl_ext.user_default.reshoot" in bpy.context.preferences.addons
print("FOUND", importlib.import_module("reshoot_three").__file__)
"""
    used = blender(code, tmp_path, path)
    assert f"FOUND {tmp_path}" in used.stdout, used.stdout + used.stderr

    (folder / entries[1]["file"]).write_bytes(b"another")
    (path).unlink()
    again = build_bundle(tmp_path, tmp_path / "wheels", "--bundle", install.target())
    assert again.returncode == 1 and "could not be fetched" in again.stderr and "Traceback" not in again.stderr
    assert not list((tmp_path / "dist").glob("*.zip"))


def test_a_bundle_for_a_system_without_a_list_is_refused(tmp_path):
    pytest.importorskip("bpy")
    (tmp_path / "wheels.json").write_text("{}", encoding="utf-8")
    built = build_bundle(tmp_path, tmp_path, "--bundle", "haiku-x64 3.11")
    assert built.returncode == 1 and "no list of packages for haiku-x64 3.11" in built.stderr
