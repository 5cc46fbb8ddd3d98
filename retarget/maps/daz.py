"""Daz Genesis."""

MAP = {
    "hips": (
        "hip",
        "pelvis",
    ),
    "head": ("head",),
    "clavicle": ("collar",),
    "upper_arm": (
        "shldrbend",
        "shldr",
        "upperarm",
    ),
    "lower_arm": (
        "forearmbend",
        "forearm",
    ),
    "hand": ("hand",),
    "upper_leg": (
        "thighbend",
        "thigh",
    ),
    "lower_leg": ("shin",),
    "foot": ("foot",),
    "toes": (
        "toe",
        "toes",
    ),
    "index": ("index1",),
    "middle": ("mid1",),
    "pinky": ("pinky1",),
    "ring": ("ring1",),
    "thumb": ("thumb1",),
}
