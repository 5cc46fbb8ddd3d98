"""`python -m solver install FOLDER [--wheels FOLDER]`: put the solver's packages into a folder of their own, for Blender's Python.

What is fetched is listed in wheels.json, for each system and Python: file, size and SHA-256 of every wheel. A file that is on the disk
and whole is not fetched again, so an installation that was stopped goes on. pip fetches, in a process of its own, and installs nothing:
the wheels are unpacked beside each other, as Blender does with the wheels of an extension. Needs the standard library alone.
"""

from __future__ import annotations

import argparse
import hashlib
import importlib.util
import json
import os
import platform
import shutil
import subprocess
import sys
import zipfile
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from .protocol import JsonLines, Reporter, ShotError, Stopped, Terminal

LIST = Path(__file__).with_name("wheels.json")
PACKAGES, FETCHED, READY = "packages", "wheels", "ready.json"  # what lies in the folder
# Where wheels come from that PyPI does not have: torch for a CPU on Linux.
EXTRA_INDEX = "https://download.pytorch.org/whl/cpu"
TICK_S = 0.2
UNPACKED = 3.2  # times the wheels' size, measured on linux-x64


@dataclass(frozen=True)
class Wheel:
    """A file of the list."""

    name: str
    version: str
    file: str
    sha256: str
    bytes: int

    @property
    def url_index(self) -> str | None:
        """The index to ask beside PyPI, or None."""
        return EXTRA_INDEX if "+cpu" in self.version else None


def target(python: str = "") -> str:
    """This system and Python as the list names them: "linux-x64 3.11". python: another version than that of this Python."""
    systems = {"Linux": "linux", "Windows": "windows", "Darwin": "macos"}
    machines = {"x86_64": "x64", "amd64": "x64", "arm64": "arm64", "aarch64": "arm64"}
    machine = platform.machine().lower()
    version = python or f"{sys.version_info[0]}.{sys.version_info[1]}"
    return f"{systems.get(platform.system(), platform.system())}-{machines.get(machine, machine)} {version}"


def wanted(name: str) -> list[Wheel]:
    """The wheels of a target. Raises ShotError where there is no list for it."""
    known = json.loads(LIST.read_text(encoding="utf-8"))
    if name not in known:
        raise ShotError(
            f"There is no list of packages for {name}, only for {', '.join(known)}.",
            "Make an environment with Python 3.11 yourself, and choose its folder as Solver Python in the preferences.",
        )
    return [Wheel(**entry) for entry in known[name]]


def is_ready(folder: Path) -> bool:
    """Whether an installation in `folder` was finished, for this list and this Python."""
    try:
        kept = json.loads((folder / READY).read_text(encoding="utf-8"))
        return kept == [wheel.file for wheel in wanted(target())] and (folder / PACKAGES).is_dir()
    except (OSError, ValueError, ShotError):
        return False


def is_whole(path: Path, wheel: Wheel) -> bool:
    """Whether a file is the wheel of the list, by size and SHA-256."""
    if not path.is_file() or path.stat().st_size != wheel.bytes:
        return False
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest() == wheel.sha256


def install(folder: Path, wheels: Path | None, report: Reporter) -> Path:
    """Fetch the wheels for this system and Python, and unpack them into `folder`/packages, which is returned.

    wheels: a folder that holds them all, and nothing is fetched; None: from PyPI.
    Raises ShotError with nothing changed but what was fetched, and Stopped.
    """
    entries = wanted(target())
    total = sum(wheel.bytes for wheel in entries)
    _refuse_small_disk(folder, total)
    report.begin("fetch")
    source = folder / FETCHED if wheels is None else wheels
    if wheels is not None:
        _refuse_incomplete(wheels, entries, report, total)
    else:
        source.mkdir(parents=True, exist_ok=True)
        done = 0
        for wheel in entries:
            if not is_whole(source / wheel.file, wheel):
                fetch(wheel, source, lambda part, done=done, wheel=wheel: _say(report, done + part, total, wheel))
            done += wheel.bytes
            _say(report, done, total, wheel)
    report.begin("unpack")
    new = folder / f"{PACKAGES}.new"
    shutil.rmtree(new, ignore_errors=True)
    new.mkdir(parents=True)
    done = 0
    for wheel in entries:
        _unpack(source / wheel.file, new, lambda part, done=done, wheel=wheel: _say(report, done + part, total, wheel))
        done += wheel.bytes
    remove(folder, keep=(new, folder / FETCHED))
    new.rename(folder / PACKAGES)
    (folder / READY).write_text(json.dumps([wheel.file for wheel in entries]), encoding="utf-8")
    shutil.rmtree(folder / FETCHED, ignore_errors=True)
    return folder / PACKAGES


def remove(folder: Path, keep: tuple[Path, ...] = ()) -> None:
    """Take away what `install` made. The mark that it is ready goes first, so that half of it is never taken for the whole."""
    (folder / READY).unlink(missing_ok=True)
    for part in (folder / PACKAGES, folder / f"{PACKAGES}.new", folder / FETCHED):
        if part not in keep:
            shutil.rmtree(part, ignore_errors=True)


def _say(report: Reporter, done: int, total: int, wheel: Wheel) -> None:
    mb = 1_000_000
    report.progress(done // 1000, total // 1000, f"{wheel.name}, {done // mb} of {total // mb} MB")


def _refuse_small_disk(folder: Path, total: int) -> None:
    there = next(place for place in (folder, *folder.parents) if place.exists())
    free, need = shutil.disk_usage(there).free, int(total * (1 + UNPACKED))
    if free < need:
        raise ShotError(
            f"The solver needs {need / 1e9:.1f} GB in {folder}, and {free / 1e9:.1f} GB are free.", "Free some space first."
        )


def _refuse_incomplete(wheels: Path, entries: list[Wheel], report: Reporter, total: int) -> None:
    lacking, done = [], 0
    for wheel in entries:
        done += wheel.bytes
        if not is_whole(wheels / wheel.file, wheel):
            lacking.append(wheel.file)
        _say(report, done, total, wheel)
    if lacking:
        more = f" and {len(lacking) - 3} more" if len(lacking) > 3 else ""
        raise ShotError(
            f"The folder {wheels} lacks {', '.join(lacking[:3])}{more}, or holds other files of these names.",
            "Choose the folder with the wheels that solver/wheels.json lists, or none to fetch them.",
        )


def pip() -> list[str]:
    """Words that start a pip for this Python, of its own or of ensurepip's; nothing is installed. Raises ShotError where there is none."""
    if importlib.util.find_spec("pip"):
        return [sys.executable, "-m", "pip"]
    places = [Path(sys.base_prefix) / "share" / "python-wheels", Path("/usr/share/python-wheels")]
    if spec := importlib.util.find_spec("ensurepip"):
        places.insert(0, Path(spec.origin).parent / "_bundled")
    for place in places:
        for wheel in sorted(place.glob("pip-*.whl")):
            return [sys.executable, str(wheel / "pip")]
    raise ShotError(
        "This Python has no pip, which would fetch the packages.",
        "Install python3-venv, or give Set Up Solver a folder of wheels.",
    )


def fetch(wheel: Wheel, folder: Path, tell, name: str = "") -> None:
    """Bring one wheel into a folder, for this target or another. tell(bytes) is called while it grows. Raises ShotError."""
    temporary = folder / ".part"
    shutil.rmtree(temporary, ignore_errors=True)
    temporary.mkdir()
    line = f"{wheel.name}=={wheel.version} --hash=sha256:{wheel.sha256}\n"
    (temporary / "wanted.txt").write_text(line, encoding="utf-8")
    words = [*pip(), "download", "--quiet", "--no-deps", "--require-hashes", "--only-binary=:all:", "--no-cache-dir"]
    words += ["--disable-pip-version-check", "--no-input", "--dest", str(folder), "--requirement", str(temporary / "wanted.txt")]
    if name and name != target():
        words += _for(wheel, name)
    if wheel.url_index:
        words += ["--extra-index-url", wheel.url_index]
    log = temporary / "said.txt"
    with open(log, "w", encoding="utf-8") as said:
        environment = dict(os.environ, TMPDIR=str(temporary), TEMP=str(temporary), TMP=str(temporary))
        child = subprocess.Popen(words, stdin=subprocess.DEVNULL, stdout=said, stderr=said, env=environment)
        try:
            while True:
                try:
                    child.wait(TICK_S)
                    break
                except subprocess.TimeoutExpired:
                    tell(min(_size_of(temporary), wheel.bytes))
        finally:
            if child.poll() is None:
                child.kill()
                child.wait()
    words_of_pip = [row for row in log.read_text(encoding="utf-8", errors="replace").splitlines() if row.startswith("ERROR")]
    shutil.rmtree(temporary, ignore_errors=True)
    if child.returncode or not is_whole(folder / wheel.file, wheel):
        why = words_of_pip[-1].removeprefix("ERROR: ") if words_of_pip else "the file that came is not the one of the list"
        raise ShotError(
            f"{wheel.name} {wheel.version} could not be fetched: {why}",
            "Look at the network and press Set Up Solver again: what was fetched is kept. Or give it a folder of wheels.",
        )


def _for(wheel: Wheel, name: str) -> list[str]:
    """Words for pip where it runs on another system or Python than the wheel is for: what the wheel's own name says."""
    platforms = wheel.file.removesuffix(".whl").rpartition("-")[2].split(".")
    words = ["--implementation", "cp", "--python-version", name.rpartition(" ")[2]]
    return words + [word for each in platforms if each != "any" for word in ("--platform", each)]


def _size_of(folder: Path) -> int:
    total = 0
    for path in folder.rglob("*"):
        try:
            total += path.stat().st_size
        except OSError:  # pip has moved it meanwhile
            pass
    return total


def _unpack(path: Path, folder: Path, tell) -> None:
    """Unpack a wheel. What lies in NAME.data/purelib or platlib goes to the top; programs and headers are left out. Raises ShotError."""
    with zipfile.ZipFile(path) as archive:
        done = 0
        for member in archive.infolist():
            tell(done)
            done += member.compress_size
            parts = PurePosixPath(member.filename).parts
            if not parts or ".." in parts or PurePosixPath(member.filename).is_absolute() or ":" in parts[0]:
                raise ShotError(f"{path.name} would write outside its folder.", "Do not use it.")
            if parts[0].endswith(".data"):
                if len(parts) < 3 or parts[1] not in ("purelib", "platlib"):
                    continue
                parts = parts[2:]
            place = folder.joinpath(*parts)
            if member.is_dir():
                place.mkdir(parents=True, exist_ok=True)
                continue
            place.parent.mkdir(parents=True, exist_ok=True)
            with archive.open(member) as source, open(place, "wb") as out:
                while block := source.read(1 << 22):
                    out.write(block)
                    tell(done)


def main(argv: list[str]) -> int:
    """Command line. Exit status: 0 done, 1 cannot be done (one line says why), 3 stopped."""
    parser = argparse.ArgumentParser(prog="solver install", description="Put the solver's packages into a folder, for this Python.")
    parser.add_argument("folder", type=Path, metavar="FOLDER", help="where they go; an unfinished installation goes on")
    parser.add_argument("--wheels", type=Path, metavar="FOLDER", help="folder that holds the wheels: nothing is fetched")
    parser.add_argument("--json", action="store_true", help="progress as JSON lines; closing a piped stdin stops")
    arguments = parser.parse_args(argv)
    report = JsonLines() if arguments.json else Quiet()
    try:
        report.result(str(install(arguments.folder.absolute(), arguments.wheels, report)))
    except ShotError as error:
        report.error(error.message, error.fix)
        return 1
    except (Stopped, KeyboardInterrupt):
        return 3
    except (OSError, zipfile.BadZipFile) as error:
        report.error(f"The solver's packages could not be put into {arguments.folder}: {error}".replace("\n", " "), "Look at its disk, and try again.")
        return 1
    return 0


class Quiet(Terminal):
    """At a terminal without tqdm, which may be what is to be installed: a line for each file."""

    def _progress(self, done: int, total: int, text: str, picture: str) -> None:
        name = text.partition(",")[0]
        if (self.stage, name) != self._bar_of:
            self._bar_of = (self.stage, name)
            print(f"{self.stage} {text}", file=sys.stderr)

    _bar_of = None
