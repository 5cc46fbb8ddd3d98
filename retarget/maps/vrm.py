"""VRM's humanoid names, as VRoid and the VRM add-on spell them."""

MAP = {
    "hips": ("hips",),
    "head": ("head",),
    "clavicle": ("shoulder",),
    "upper_arm": ("upperarm",),
    "lower_arm": ("lowerarm",),
    "hand": ("hand",),
    "upper_leg": ("upperleg",),
    "lower_leg": ("lowerleg",),
    "foot": ("foot",),
    "toes": (
        "toes",
        "toebase",
    ),
    "index": (
        "indexproximal",
        "index1",
    ),
    "middle": (
        "middleproximal",
        "middle1",
    ),
    "pinky": (
        "littleproximal",
        "little1",
        "pinkyproximal",
    ),
    "ring": ("ringproximal", "ring1"),
    "thumb": ("thumbmetacarpal", "thumbproximal", "thumb1"),
}
