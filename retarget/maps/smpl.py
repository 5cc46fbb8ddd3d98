"""SMPL's joints used as bones, as in the bodies that Load Take makes."""

MAP = {
    "hips": ("pelvis",),
    "head": ("head",),
    "clavicle": ("collar",),
    "upper_arm": ("shoulder",),
    "lower_arm": ("elbow",),
    "hand": ("wrist",),
    "upper_leg": ("hip",),
    "lower_leg": ("knee",),
    "foot": ("ankle",),
    "toes": ("foot",),
    "index": ("index1",),
    "middle": (
        "middle1",
        "hand",
    ),
    "pinky": ("pinky1",),
    "ring": ("ring1",),
    "thumb": ("thumb1",),
}
