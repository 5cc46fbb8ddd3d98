"""The BVH files of CMU's motion capture, and MakeHuman's cmu_mb."""

MAP = {
    "hips": ("hips",),
    "head": ("head",),
    "clavicle": ("shoulder",),
    "upper_arm": ("arm",),
    "lower_arm": ("forearm",),
    "hand": ("hand",),
    "upper_leg": ("upleg",),
    "lower_leg": ("leg",),
    "foot": ("foot",),
    "toes": ("toebase",),
    "middle": ("fingerbase",),
}
