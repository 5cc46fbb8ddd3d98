"""Auto-Rig Pro's own deforming bones: limbs are two stretching halves, and what is in the middle ends in .x."""

MAP = {
    "hips": ("rootx",),
    "head": ("headx",),
    "clavicle": ("shoulder",),
    "upper_arm": ("armstretch",),
    "lower_arm": ("forearmstretch",),
    "hand": ("hand",),
    "upper_leg": ("thighstretch",),
    "lower_leg": ("legstretch",),
    "foot": ("foot",),
    "toes": ("toes1", "toes"),
    "index": ("index1",),
    "middle": ("middle1",),
    "pinky": ("pinky1",),
    "ring": ("ring1",),
    "thumb": ("thumb1",),
}
