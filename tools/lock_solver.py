"""Write solver/wheels.json from folders of wheels: what Set Up Solver fetches and what the bundles hold.

python -m tools.lock_solver "linux-x64 3.11=FOLDER" "windows-x64 3.11=FOLDER" …

A folder is filled with `pip download --no-deps --only-binary=:all: --python-version 3.11 --platform … -d FOLDER NAME==VERSION …`, for
pip reads conditions such as `platform_system` as they are on the machine that it runs on, whatever platform it is asked for. Every
requirement of every wheel that holds on the target has to be met by the folder; else nothing is written.
"""

from __future__ import annotations

import argparse
import email
import hashlib
import json
import sys
import zipfile
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name, parse_wheel_filename

from solver.check import PACKAGES
from solver.install import LIST

# What conditions of requirements are asked about, on each system.
SYSTEMS = {
    "linux-x64": {"sys_platform": "linux", "platform_system": "Linux", "os_name": "posix", "platform_machine": "x86_64"},
    "windows-x64": {"sys_platform": "win32", "platform_system": "Windows", "os_name": "nt", "platform_machine": "AMD64"},
    "macos-arm64": {"sys_platform": "darwin", "platform_system": "Darwin", "os_name": "posix", "platform_machine": "arm64"},
}


def entry(path: Path) -> dict:
    """A wheel's place in the list."""
    name, version, _, _ = parse_wheel_filename(path.name)
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    return {"name": name, "version": str(version), "file": path.name, "sha256": digest, "bytes": path.stat().st_size}


def unmet(folder: Path, target: str) -> list[str]:
    """What the wheels of a folder, and the solver itself, require on a target and the folder does not have."""
    system, _, python = target.partition(" ")
    conditions = {**SYSTEMS[system], "python_version": python, "python_full_version": f"{python}.0", "extra": ""}
    conditions |= {"implementation_name": "cpython", "platform_python_implementation": "CPython"}
    versions, requirements = {}, [("the solver", line) for line in PACKAGES.values()]
    for path in folder.glob("*.whl"):
        name, version, _, _ = parse_wheel_filename(path.name)
        versions[name] = version
        with zipfile.ZipFile(path) as archive:
            metadata = next(n for n in archive.namelist() if n.endswith(".dist-info/METADATA") and n.count("/") == 1)
            said = email.message_from_bytes(archive.read(metadata))
        requirements += [(name, line) for line in said.get_all("Requires-Dist") or []]
    lacking = []
    for whose, line in requirements:
        needed = Requirement(line)
        if needed.marker and not needed.marker.evaluate(conditions):
            continue
        if _is_for_cuda(needed.name) and "+cpu" in str(versions.get("torch", "")):
            continue
        found = versions.get(canonicalize_name(needed.name))
        if found is None or not needed.specifier.contains(found, prereleases=True):
            lacking.append(f"{whose} needs {needed}, {'not there' if found is None else f'{found} is there'}")
    return lacking


def _is_for_cuda(name: str) -> bool:
    return name.startswith(("nvidia-", "cuda-", "triton"))


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("targets", nargs="+", metavar="TARGET=FOLDER")
    listed = json.loads(LIST.read_text(encoding="utf-8")) if LIST.exists() else {}
    for words in parser.parse_args().targets:
        target, _, folder = words.partition("=")
        lacking = unmet(Path(folder), target)
        if lacking:
            print(f"{target}: " + "\n  ".join(lacking), file=sys.stderr)
            return 1
        listed[target] = [entry(path) for path in sorted(Path(folder).glob("*.whl"))]
    LIST.write_text(json.dumps(dict(sorted(listed.items())), indent=1) + "\n", encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
