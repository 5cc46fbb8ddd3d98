#!/usr/bin/env bash
# Run tests/blender with another Blender, as a module of pip's, in an environment of its own below out/.
# usage: [PYTHON=…] tools/test_blender.sh VERSION [arguments of pytest]    (4.2.23, 4.5.15, 5.0.1: Python 3.11; 5.1 and later: 3.13)
set -euo pipefail
cd "$(dirname "$0")/.."
version=$1
shift
case $version in 4.*|5.0*) python=${PYTHON:-python3.11} numpy="numpy<2" ;; *) python=${PYTHON:-python3.13} numpy="numpy<3" ;; esac
command -v "$python" >/dev/null || { echo "test_blender: Blender $version needs $python, which is not here." >&2; exit 1; }
venv=$PWD/out/bpy-$version
if [ ! -e "$venv/.ready" ]; then
    "$python" -m venv "$venv"
    "$venv/bin/python" -m pip install -q --disable-pip-version-check "setuptools>=77" "bpy==$version" "$numpy" pytest hypothesis
    "$venv/bin/python" -m pip install -q --disable-pip-version-check --no-build-isolation . "$numpy"
    rm -rf build reshoot.egg-info
    touch "$venv/.ready"
fi
[ ! -e .venv/env.sh ] || . .venv/env.sh  # libraries that this machine lacks
exec "$venv/bin/python" -m pytest -q tests/blender "$@" </dev/null
