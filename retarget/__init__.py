"""Retargeting: a solved SMPL track onto any humanoid rig. numpy only, no bpy.

    track = load_track(take_dir, person)
    mapping = match(rig)                    # which bone is which
    motion = transfer(track, rig, mapping)  # local rotations and the hips' locations, per frame
"""

from __future__ import annotations

from .matching import match, match_named
from .rig import Mapping, Rig
from .source import Track, load_track
from .transfer import Motion, transfer

__all__ = ["Mapping", "Motion", "Rig", "Track", "load_track", "match", "match_named", "transfer"]
