"""One file per rig family, each only a mapping: part of a human → names it goes by, canonical (`names.canonical`), no sides."""

from __future__ import annotations

from . import (
    autorig,
    biped,
    character_creator,
    cmu,
    daz,
    generic,
    makehuman,
    mixamo,
    mmd,
    rigify,
    smpl,
    unreal,
    vrchat,
    vrm,
)

MAPS = {module.__name__.rsplit(".", 1)[-1]: module.MAP for module in (
    mixamo, unreal, biped, character_creator, rigify, autorig, vrm, vrchat, cmu, makehuman, daz, smpl, mmd, generic
)}  # fmt: skip
