"""One file per rig family, each only a mapping: part of a human → names it goes by, canonical (`names.canonical`), no sides."""

from __future__ import annotations

from . import cmu, daz, generic, makehuman, mixamo, rigify, smpl, unreal, vrm

MAPS = {module.__name__.rsplit(".", 1)[-1]: module.MAP for module in (
    mixamo, unreal, rigify, vrm, cmu, makehuman, daz, smpl, generic
)}  # fmt: skip
