"""The solver's packages: the pinned list, and how they come into a folder. Packages are small wheels made here; nothing is fetched."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
import venv
import zipfile
from pathlib import Path

import pytest

from reshoot import jobs
from solver import check, install
from solver.protocol import Reporter, ShotError, Stopped

ROOT = Path(__file__).resolve().parents[2]
NAMES = ("one", "two", "three")


def make_wheel(folder: Path, name: str, extra=()) -> dict:
    """A wheel with a module of its name; its entry in the list."""
    path = folder / f"{name}-1.0-py3-none-any.whl"
    about = f"{name}-1.0.dist-info"
    members = [(f"{name}/__init__.py", f"NAME = '{name}'\n"), (f"{about}/METADATA", f"Name: {name}\nVersion: 1.0\n"), *extra]
    members.append((f"{about}/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n"))
    with zipfile.ZipFile(path, "w") as archive:
        for member, text in members:
            archive.writestr(member, text)
        record = [member for member, _ in members] + [f"{about}/RECORD"]
        archive.writestr(f"{about}/RECORD", "".join(f"{member},,\n" for member in record))
    data = path.read_bytes()
    return {"name": name, "version": "1.0", "file": path.name, "sha256": hashlib.sha256(data).hexdigest(), "bytes": len(data)}


@pytest.fixture
def wheels(tmp_path, monkeypatch):
    """A folder of three wheels, which are all that the list has for this system and Python."""
    folder = tmp_path / "brought"
    folder.mkdir()
    write_list(tmp_path, monkeypatch, [make_wheel(folder, name) for name in NAMES])
    return folder


def write_list(folder, monkeypatch, entries):
    (folder / "wheels.json").write_text(json.dumps({install.target(): entries}), encoding="utf-8")
    monkeypatch.setattr(install, "LIST", folder / "wheels.json")


# Stands for pip: copies the file of the package that is asked for from SHOP, says so in LOG, and fails for what is not there.
PIP = """
import pathlib, shutil, sys
words = sys.argv[1:]
assert {"--no-deps", "--require-hashes", "--only-binary=:all:"} <= set(words), words
line = pathlib.Path(words[words.index("--requirement") + 1]).read_text()
name = line.partition("==")[0]
open(LOG, "a").write(name + "\\n")
found = list(pathlib.Path(SHOP).glob(name + "-*.whl"))
if not found:
    print("WARNING: Retrying")
    print("ERROR: No route to the shop")
    sys.exit(1)
shutil.copy(found[0], words[words.index("--dest") + 1])
"""


@pytest.fixture
def shop(wheels, tmp_path, monkeypatch):
    """The folder that a pip of ours fetches from, and what was asked of it."""
    script, log = tmp_path / "pip.py", tmp_path / "asked.txt"
    script.write_text(f"LOG, SHOP = {str(log)!r}, {str(wheels)!r}\n{PIP}", encoding="utf-8")
    monkeypatch.setattr(install, "pip", lambda: [sys.executable, str(script)])
    return wheels, lambda: log.read_text().split() if log.exists() else []


def modules(folder):
    return sorted(path.name for path in (folder / install.PACKAGES).iterdir() if "-" not in path.name)


# -- the list


@pytest.mark.parametrize("target", ["linux-x64 3.11", "macos-arm64 3.11", "windows-x64 3.11"])
def test_the_list_pins_all_that_the_solver_needs(target):
    from packaging.requirements import Requirement
    from packaging.utils import canonicalize_name, parse_wheel_filename

    entries = install.wanted(target)
    versions = {}
    for wheel in entries:
        name, version, _, tags = parse_wheel_filename(wheel.file)
        assert (name, str(version)) == (wheel.name, wheel.version) and len(wheel.sha256) == 64 and wheel.bytes > 0
        assert name not in versions
        versions[name] = version
        system = {"linux-x64 3.11": "manylinux", "macos-arm64 3.11": "macosx", "windows-x64 3.11": "win_amd64"}[target]
        assert any(tag.platform == "any" or tag.platform.startswith(system) for tag in tags)
        assert any(tag.interpreter in ("py3", "cp311") or tag.abi == "abi3" for tag in tags), wheel.file
    for line in check.PACKAGES.values():
        needed = Requirement(line)
        found = versions[canonicalize_name(needed.name)]
        assert needed.specifier.contains(found, prereleases=True), line


def test_another_system_or_python_is_refused_and_what_exists_is_named():
    with pytest.raises(ShotError, match=r"no list of packages for haiku-x64 3\.13.*linux-x64 3\.11") as error:
        install.wanted("haiku-x64 3.13")
    assert "Solver Python" in error.value.fix


# -- from a folder of wheels, offline


def test_from_a_folder_nothing_is_fetched_and_the_packages_can_be_imported(shop, tmp_path):
    wheels, asked = shop
    packages = install.install(tmp_path / "solver", wheels, Reporter())
    assert install.is_ready(tmp_path / "solver") and modules(tmp_path / "solver") == sorted(NAMES) and asked() == []
    code = "import one, two, three; print(three.NAME)"
    environment = jobs.environment(str(packages))
    said = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True, env=environment)
    assert said.stdout.strip() == "three"
    assert len(list(wheels.glob("*.whl"))) == len(NAMES)  # the artist's own files stay


@pytest.mark.parametrize("harm", ["changed", "cut", "absent"])
def test_a_folder_with_another_file_is_refused_before_anything_is_written(wheels, tmp_path, harm):
    install.install(tmp_path / "solver", wheels, Reporter())
    (wheel,) = wheels.glob("two-*")
    data = wheel.read_bytes()
    wheel.unlink()
    if harm != "absent":
        wheel.write_bytes(data[:-1] + (bytes([data[-1] ^ 1]) if harm == "changed" else b""))
    with pytest.raises(ShotError, match="lacks two-1.0-py3-none-any.whl"):
        install.install(tmp_path / "solver", wheels, Reporter())
    assert install.is_ready(tmp_path / "solver") and modules(tmp_path / "solver") == sorted(NAMES)
    with pytest.raises(ShotError):
        install.install(tmp_path / "new", wheels, Reporter())
    assert not (tmp_path / "new").exists()


@pytest.mark.parametrize("member", ["../outside.py", "/outside.py", "C:/outside.py", "a/../../outside.py"])
def test_a_wheel_that_would_write_outside_its_folder_is_refused(wheels, tmp_path, monkeypatch, member):
    write_list(tmp_path, monkeypatch, [make_wheel(wheels, "one", [(member, "x = 1")])])
    with pytest.raises(ShotError, match="would write outside"):
        install.install(tmp_path / "solver", wheels, Reporter())
    assert not install.is_ready(tmp_path / "solver") and not list(tmp_path.rglob("outside.py"))


def test_what_lies_in_a_wheels_data_goes_to_the_top_and_programs_are_left_out(wheels, tmp_path, monkeypatch):
    more = [("one-1.0.data/platlib/other.py", "x = 1"), ("one-1.0.data/scripts/run", "#!python"), ("one-1.0.data/headers/one.h", "")]
    write_list(tmp_path, monkeypatch, [make_wheel(wheels, "one", more)])
    packages = install.install(tmp_path / "solver", wheels, Reporter())
    assert sorted(path.name for path in packages.iterdir()) == ["one", "one-1.0.dist-info", "other.py"]


def test_a_disk_without_room_is_told_of_first(wheels, tmp_path, monkeypatch):
    monkeypatch.setattr(install.shutil, "disk_usage", lambda _: type("Usage", (), {"free": 10}))
    with pytest.raises(ShotError, match="are free"):
        install.install(tmp_path / "solver", wheels, Reporter())
    assert not (tmp_path / "solver").exists()


# -- fetched


def test_what_was_fetched_is_kept_and_the_next_time_goes_on_from_there(shop, tmp_path):
    wheels, asked = shop
    folder = tmp_path / "solver"
    away = (wheels / "two-1.0-py3-none-any.whl").rename(tmp_path / "two-1.0-py3-none-any.whl")
    with pytest.raises(ShotError, match=r"two 1\.0 could not be fetched: No route to the shop") as error:
        install.install(folder, None, Reporter())
    assert "press Set Up Solver again" in error.value.fix
    assert asked() == ["one", "two"] and not install.is_ready(folder) and not (folder / install.PACKAGES).exists()
    away.rename(wheels / away.name)
    install.install(folder, None, Reporter())
    assert asked() == ["one", "two", "two", "three"]
    assert install.is_ready(folder) and modules(folder) == sorted(NAMES)
    assert sorted(path.name for path in folder.iterdir()) == [install.PACKAGES, install.READY]  # the wheels are not kept twice


def test_a_file_that_is_not_the_one_of_the_list_is_not_unpacked(shop, tmp_path):
    wheels, asked = shop
    good = (wheels / "two-1.0-py3-none-any.whl").read_bytes()
    make_wheel(wheels, "two", [("two/more.py", "x = 1")])
    with pytest.raises(ShotError, match="the file that came is not the one of the list"):
        install.install(tmp_path / "solver", None, Reporter())
    assert not install.is_ready(tmp_path / "solver") and not (tmp_path / "solver" / install.PACKAGES).exists()
    (wheels / "two-1.0-py3-none-any.whl").write_bytes(good)
    install.install(tmp_path / "solver", None, Reporter())  # and it is fetched again
    assert asked() == ["one", "two", "two", "three"] and modules(tmp_path / "solver") == sorted(NAMES)


@pytest.mark.parametrize("stage", ["fetch", "unpack"])
def test_stopped_it_leaves_the_old_packages_or_none_and_goes_on(shop, tmp_path, stage):
    class StopsIn(Reporter):
        def _progress(self, done, total, text, picture):
            if self.stage == stage and text.startswith("two"):
                self.stop.set()

    folder = tmp_path / "solver"
    with pytest.raises(Stopped):
        install.install(folder, None, StopsIn())
    assert not install.is_ready(folder) and not (folder / install.PACKAGES).exists()
    install.install(folder, None, Reporter())
    assert install.is_ready(folder)
    with pytest.raises(Stopped):
        install.install(folder, None, StopsIn())
    assert install.is_ready(folder) and modules(folder) == sorted(NAMES)


# -- afterwards


def test_removed_nothing_of_it_is_left_and_other_files_stay(wheels, tmp_path):
    folder = tmp_path / "solver"
    install.install(folder, wheels, Reporter())
    (folder / "mine.txt").write_text("x")
    install.remove(folder)
    assert not install.is_ready(folder) and [path.name for path in folder.iterdir()] == ["mine.txt"]
    install.remove(tmp_path / "never there")


def test_packages_of_an_earlier_list_are_not_taken_for_this_one(wheels, tmp_path, monkeypatch):
    install.install(tmp_path / "solver", wheels, Reporter())
    write_list(tmp_path, monkeypatch, [make_wheel(wheels, name) for name in (*NAMES, "four")])
    assert not install.is_ready(tmp_path / "solver")
    install.install(tmp_path / "solver", wheels, Reporter())
    assert install.is_ready(tmp_path / "solver") and "four" in modules(tmp_path / "solver")


def test_the_command_needs_no_package_and_says_one_line(tmp_path):
    """With the real list, in a Python that has nothing: what the folder lacks is said, and the status is 1."""
    venv.create(tmp_path / "bare", with_pip=False, symlinks=os.name != "nt")
    (tmp_path / "empty").mkdir()
    words = ["install", str(tmp_path / "solver"), "--wheels", str(tmp_path / "empty")]
    command = [str(jobs.python_of(tmp_path / "bare")), "-m", "solver", *words]
    done = subprocess.run(command, check=False, capture_output=True, text=True, cwd=ROOT)
    last = done.stderr.splitlines()[-1]
    assert done.returncode == 1 and done.stdout == "" and "Traceback" not in done.stderr and not (tmp_path / "solver").exists()
    lacks = "lacks" if install.target() in json.loads(install.LIST.read_text()) else "no list of packages"
    assert last.startswith("error: ") and lacks in last


def test_its_caller_stops_it_by_closing_its_input(wheels, tmp_path):
    code = f"import sys; from pathlib import Path; from solver import install; install.LIST = Path({str(install.LIST)!r}); " + (
        "say = install.JsonLines._progress\n"
        "def waits(self, *words):\n    say(self, *words)\n    self.stop.wait(20)\n"
        "install.JsonLines._progress = waits\n"
        "sys.exit(install.main(sys.argv[1:]))"
    )
    command = [sys.executable, "-c", code, str(tmp_path / "solver"), "--wheels", str(wheels), "--json"]
    child = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=ROOT)
    assert jobs.parse(child.stdout.readline()).stage == "fetch"
    child.stdin.close()
    assert child.wait(20) == 3 and not (tmp_path / "solver").exists()
    child.stdout.close()
