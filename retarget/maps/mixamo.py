"""Mixamo, and the many rigs that borrow its names."""

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
    "toes": (
        "toebase",
        "toe",
    ),
    "index": ("handindex1",),
    "middle": ("handmiddle1",),
    "pinky": ("handpinky1",),
    "ring": ("handring1",),
    "thumb": ("handthumb1",),
}
