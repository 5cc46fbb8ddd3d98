"""Plain English, as Quaternius, KayKit and many hand-made rigs use it."""

MAP = {
    "hips": (
        "hips",
        "hip",
        "pelvis",
        "body",
        "root",
    ),
    "head": (
        "head",
        "head1",
        "headx",
    ),
    "clavicle": (
        "shoulder",
        "clavicle",
        "collar",
        "collarbone",
    ),
    "upper_arm": (
        "upperarm",
        "uparm",
        "arm",
        "bicep",
    ),
    "lower_arm": (
        "lowerarm",
        "forearm",
        "lowarm",
        "elbow",
    ),
    "hand": (
        "hand",
        "wrist",
        "palm",
        "fist",
    ),
    "upper_leg": (
        "upperleg",
        "upleg",
        "thigh",
    ),
    "lower_leg": (
        "lowerleg",
        "lowleg",
        "calf",
        "shin",
        "leg",
        "knee",
    ),
    "foot": (
        "foot",
        "ankle",
    ),
    "toes": (
        "toes",
        "toe",
        "ball",
        "toebase",
        "toe0",
        "toes1",
    ),
    "index": (
        "index1",
        "indexproximal",
        "findex1",
    ),
    "middle": (
        "middle1",
        "middleproximal",
        "fmiddle1",
        "mid1",
    ),
    "pinky": (
        "pinky1",
        "little1",
        "fpinky1",
    ),
    "ring": ("ring1", "ringproximal", "fring1"),
    "thumb": ("thumb1", "thumbmetacarpal", "thumbproximal"),
}
