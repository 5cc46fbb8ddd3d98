"""Reallusion's Character Creator 3 and 4, and iClone."""

MAP = {
    "hips": ("hip",),
    "head": ("head",),
    "clavicle": ("clavicle",),
    "upper_arm": ("upperarm",),
    "lower_arm": ("forearm",),
    "hand": ("hand",),
    "upper_leg": ("thigh",),
    "lower_leg": ("calf",),
    "foot": ("foot",),
    "toes": ("toebase",),
    "index": ("index1",),
    "middle": ("mid1",),
    "pinky": ("pinky1",),
    "ring": ("ring1",),
    "thumb": ("thumb1",),
}
