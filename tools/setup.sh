#!/usr/bin/env bash
# Set up everything Reshoot's demo and tests need, in .venv and nowhere else: Python packages, and those system libraries that this
# machine lacks (unpacked from Debian packages; nothing is installed outside .venv, and no root is needed).
# usage: tools/setup.sh [PYTHON]
set -euo pipefail
cd "$(dirname "$0")/.."
python=${1:-python3.11}
venv=$PWD/.venv
stamp=$venv/.ready-$(cat pyproject.toml tools/setup.sh | sha256sum | cut -c1-16)
[ -e "$stamp" ] && exit 0

command -v "$python" >/dev/null || { echo "setup: $python is not here. Install Python 3.11, then run make again." >&2; exit 1; }
version=$("$python" -c 'import sys; print("%d.%d" % sys.version_info[:2])')
[ "$version" = 3.11 ] || { echo "setup: Python 3.11 is needed, $python is $version. Run make PYTHON=/path/to/python3.11." >&2; exit 1; }

# Packages of Debian and what they need, unpacked below .venv/system. apt keeps its lists and archives there too.
fetch_debs() {
    command -v apt-get >/dev/null || { echo "setup: these packages are missing and apt is not here: $*" >&2; exit 1; }
    local apt=$venv/apt
    mkdir -p "$apt/lists/partial" "$apt/archives/partial" "$venv/system"
    local options=(-q -o Dir::State::lists="$apt/lists" -o Dir::Cache="$apt" -o Dir::Cache::archives="$apt/archives"
        -o Debug::NoLocking=1 -o APT::Sandbox::User= -o Acquire::Languages=none)
    [ -e "$apt/updated" ] || { apt-get "${options[@]}" update >&2; touch "$apt/updated"; }
    apt-get "${options[@]}" install -y --no-install-recommends --download-only "$@" >&2
    for deb in "$apt"/archives/*.deb; do dpkg-deb -x "$deb" "$venv/system"; done
}

if [ ! -x "$venv/bin/python" ]; then
    "$python" -m venv "$venv" 2>/dev/null || {
        # Debian ships ensurepip apart: take pip from its wheel package.
        rm -rf "$venv"
        "$python" -m venv --without-pip "$venv"
        fetch_debs python3-pip-whl
        wheel=$(ls "$venv"/system/usr/share/python-wheels/pip-*.whl)
        "$venv/bin/python" "$wheel/pip" install -q --no-index --find-links "$(dirname "$wheel")" pip
    }
fi
"$venv/bin/python" -m pip install -q --disable-pip-version-check "setuptools>=77"
"$venv/bin/python" -m pip install -q --disable-pip-version-check --no-build-isolation ".[smpl,blender,dev]"
rm -rf build reshoot.egg-info

# Blender's module needs libraries of a desktop; EGL is loaded only when something is drawn with the GPU's code path.
missing() {
    local known; known=$( { ldconfig -p 2>/dev/null || /sbin/ldconfig -p; } | awk '{print $1}')
    local pair
    for pair in libX11.so.6:libx11-6 libXrender.so.1:libxrender1 libXfixes.so.3:libxfixes3 libXi.so.6:libxi6 libxkbcommon.so.0:libxkbcommon0 \
        libSM.so.6:libsm6 libICE.so.6:libice6 libXext.so.6:libxext6 libGL.so.1:libgl1 libXxf86vm.so.1:libxxf86vm1 libgomp.so.1:libgomp1 \
        libEGL.so.1:libegl1 libEGL_mesa.so.0:libegl-mesa0; do
        grep -qxF "${pair%%:*}" <<<"$known" || echo "${pair##*:}"
    done
}
packages=$(missing)
[ -z "$packages" ] || fetch_debs $packages

# What a command needs to find them; empty where the machine has all.
{
    if [ -d "$venv/system/usr/lib" ]; then
        libraries=$(find "$venv/system" -name '*.so*' -path '*lib*' -printf '%h\n' | sort -u | grep -v /dri$ | paste -sd:)
        echo "export LD_LIBRARY_PATH=\"$libraries\${LD_LIBRARY_PATH:+:\$LD_LIBRARY_PATH}\""
        dri=$(find "$venv/system" -type d -name dri | head -1)
        [ -z "$dri" ] || echo "export LIBGL_DRIVERS_PATH=\"$dri\""
        egl=$(find "$venv/system" -path '*/egl_vendor.d/*.json' -printf '%h\n' | sort -u | paste -sd:)
        [ -z "$egl" ] || echo "export __EGL_VENDOR_LIBRARY_DIRS=\"$egl\""
    fi
} >"$venv/env.sh"
(. "$venv/env.sh"; "$venv/bin/python" -c "import bpy, torch, cv2, onnxruntime")
rm -rf "$venv/apt"
touch "$stamp"
