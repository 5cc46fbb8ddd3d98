"""Which bone is which: by names first, by the shape of the skeleton where names say nothing."""

from __future__ import annotations

import numpy as np

from ..solver.protocol import ShotError
from .maps import MAPS
from .names import canonical
from .rig import CARRIER, FINGERS, REQUIRED, SIDED, Mapping, Rig
from .structure import limbs_from_structure


def match(rig: Rig) -> Mapping:
    """The humanoid mapping of a rig.

    Raises ShotError, naming what is missing, where neither names nor structure give two arms and two legs.
    """
    found = [(_score(rig, bones), name, bones) for name, bones in _candidates(rig)]
    score, name, bones = max(found, key=lambda entry: entry[0])  # the first of equals: the order of MAPS
    missing = [part for part in REQUIRED if part not in bones]
    if missing or score < len(REQUIRED):
        by_structure = limbs_from_structure(rig)
        if by_structure is None:
            said = ", ".join(_in_words(part) for part in missing) or "limbs that hang together"
            raise ShotError(
                f"The armature does not look like a person: no bone was found for {said}.",
                "Choose an armature with two arms and two legs, or rename its bones like Mixamo's (LeftArm, LeftForeArm …).",
            )
        bones, name = by_structure, "structure"
    return _complete(rig, bones, name)


def match_named(rig: Rig, humanoid: dict[str, str]) -> Mapping:
    """The mapping for known names, part → bone name; parts as in `rig.SIDED` with .L or .R, "hips", "head". VRM's humanoid fits
    through `parts_from_vrm`. Raises ShotError for missing limbs."""
    index = {name: i for i, name in enumerate(rig.names)}
    bones = {part: index[bone] for part, bone in humanoid.items() if bone in index}
    missing = [part for part in REQUIRED if part not in bones]
    if missing:
        raise ShotError(
            f"The character's bone list lacks {', '.join(map(_in_words, missing))}.", "Export the character again."
        )
    return _complete(rig, bones, "given")


def parts_from_vrm(human_bones: dict[str, str]) -> dict[str, str]:
    """VRM's humanoid (leftUpperArm → bone name) in our parts."""
    parts = {"shoulder": "clavicle", "toes": "toes", "indexProximal": "index", "middleProximal": "middle"}
    parts |= {"littleProximal": "pinky", "ringProximal": "ring", "thumbProximal": "thumb", "thumbMetacarpal": "thumb"}
    for part in SIDED:
        if part not in ("clavicle", "toes"):
            first, *rest = part.split("_")
            parts[first + "".join(word.title() for word in rest)] = part
    out = {key: bone for key, bone in human_bones.items() if key in ("hips", "head")}
    for key, bone in human_bones.items():
        for word, side in (("left", "L"), ("right", "R")):
            rest = key.removeprefix(word)
            part = parts.get(rest[:1].lower() + rest[1:]) if rest != key else None
            if part and not (rest == "ThumbProximal" and f"{word}ThumbMetacarpal" in human_bones):  # VRM 1 begins a bone nearer to the hand than VRM 0
                out[f"{part}.{side}"] = bone
    return out


def _candidates(rig):
    """(map name, bones) for every map. Where several bones share a spelling, as Rigify's DEF-, ORG- and control bones do,
    the deforming ones come first, then the plainer name."""
    table: dict[tuple[str, str], list[int]] = {}
    for i, name in enumerate(rig.names):
        table.setdefault(canonical(name), []).append(i)
    for entries in table.values():
        entries.sort(key=lambda i: (not rig.deforms[i], not rig.names[i].startswith("DEF-"), len(rig.names[i])))
    for map_name, names in MAPS.items():
        bones = {}
        for part, spellings in names.items():
            sides = "LR" if part in SIDED or part in FINGERS else ("",)
            for side in sides:
                hit = next((table[(s, side)][0] for s in spellings if (s, side) in table), None)
                if hit is not None:
                    bones[f"{part}.{side}" if side else part] = hit
        yield map_name, bones


def _score(rig, bones):
    """How well a candidate fits: required parts that are there and hang in order count one each, the others a tenth."""
    score = 0.0
    for part, bone in bones.items():
        base, _, side = part.partition(".")
        above = bones.get(f"{CARRIER[base]}.{side}") if base in CARRIER else None
        in_order = above is None or above in rig.path_up(bone)[1:] or base == "foot"  # feet may hang from the root
        worth = 1.0 if part in REQUIRED else 0.1
        score += worth if in_order else -worth
    return score


def _complete(rig, bones, source):
    """Spine, neck and hips follow from the tree, once the limbs are known."""
    bones = dict(bones)
    legs = [bones["upper_leg.L"], bones["upper_leg.R"]]
    arms = [bones.get(f"clavicle.{s}", bones[f"upper_arm.{s}"]) for s in "LR"]
    chest = rig.common(arms)
    pelvis = rig.common(legs + [chest]) if chest >= 0 else -1
    named = bones.get("hips", -1)
    if named >= 0 and all(named in rig.path_up(bone) for bone in legs + arms):
        pelvis = named
    if pelvis < 0:
        raise ShotError(
            "The armature's arms and legs do not hang from one bone.", "Parent its spine and its thighs to the hips."
        )
    bones["hips"] = pelvis
    path = rig.path_up(chest)
    spine = path[: path.index(pelvis)][::-1]
    if named in spine:  # hips that carry the arms alone: they turn with the bone above, which carries the legs too
        spine = spine[spine.index(named) + 1 :]
    if chest in arms or chest in legs:
        spine = []
    neck = []
    if "head" in bones:
        path = rig.path_up(bones["head"])
        top = spine[-1] if spine else pelvis
        if top in path:
            neck = path[1 : path.index(top)][::-1]
        else:
            del bones["head"]
    for side in "LR":  # a clavicle that does not carry its arm is something else, a pauldron perhaps
        clavicle = bones.get(f"clavicle.{side}")
        if clavicle is not None and clavicle not in rig.path_up(bones[f"upper_arm.{side}"])[1:]:
            del bones[f"clavicle.{side}"]
    _fix_sides(rig, bones)
    return Mapping(bones, spine, neck, source)


def _fix_sides(rig, bones):
    """Nothing to mend if left and right agree between arms and legs; a rig that contradicts itself cannot be moved."""
    across = [rig.heads_world[bones[f"{p}.L"]] - rig.heads_world[bones[f"{p}.R"]] for p in ("lower_arm", "lower_leg")]
    if np.dot(*across) < 0:
        raise ShotError(
            "The armature's left arm and left leg lie on different sides.",
            "Check the names of its bones (Left, Right).",
        )


def _in_words(part):
    base, _, side = part.partition(".")
    return {"L": "left ", "R": "right "}.get(side, "") + base.replace("_", " ")
