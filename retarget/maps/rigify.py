"""Rigify's metarig and its deforming bones."""

MAP = {
    "hips": ("spine",),
    "head": (
        "spine6",
        "head",
        "spine5",
    ),
    "clavicle": ("shoulder",),
    "upper_arm": ("upperarm",),
    "lower_arm": ("forearm",),
    "hand": ("hand",),
    "upper_leg": ("thigh",),
    "lower_leg": ("shin",),
    "foot": ("foot",),
    "toes": ("toe",),
    "index": ("findex1",),
    "middle": ("fmiddle1",),
    "pinky": ("fpinky1",),
    "ring": ("fring1",),
    "thumb": ("thumb1",),
}
