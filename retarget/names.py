"""Bone names in one spelling: "mixamorig:LeftUpLeg", "Left_UpLeg" and "upleg.L" are all ("upleg", "L"), 左腕 and 腕.L are ("腕", "L")."""

from __future__ import annotations

import re

_PREFIX = re.compile(
    r"^(valvebiped|def|org|bip\d+|bip|cc_base|j_bip|j_sec|mixamorig\d*|ctrl|jnt|joint|rig)[-_. ]+(?=.)", re.IGNORECASE
)
_TOKEN = re.compile(r"[A-Z]+(?=[A-Z][a-z])|[A-Z]?[a-z]+|[A-Z]+|\d+|[^\W\d_A-Za-z]+")
_SIDES = {"l": "L", "left": "L", "r": "R", "right": "R", "左": "L", "右": "R"}
_BEGINNINGS = ("left", "right", "左", "右")


def canonical(name: str) -> tuple[str, str]:
    """(lower-case name without prefix, separators, leading zeros and side; side "L", "R" or "")."""
    name = name.rsplit(":", 1)[-1].rsplit("|", 1)[-1]
    while (shorter := _PREFIX.sub("", name)) != name:
        name = shorter
    side, words = "", []
    for token in _TOKEN.findall(name):
        word = token.lower()
        if not side and word in _SIDES:
            side = _SIDES[word]
        elif not side and word.startswith(_BEGINNINGS):
            beginning = next(b for b in _BEGINNINGS if word.startswith(b))
            side = _SIDES[beginning]
            words.append(word.removeprefix(beginning))
        else:
            words.append(str(int(word)) if word.isdigit() else word)
    if len(words) > 1 and words[0] == "c":  # the centre mark of VRoid's J_Bip_C_Hips
        words = words[1:]
    if len(words) > 1 and words[-1] == "bone":
        words = words[:-1]
    return "".join(words), side
