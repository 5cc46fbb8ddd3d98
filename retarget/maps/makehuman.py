"""MakeHuman's default rig: limbs in two halves, of which the first is the joint."""

MAP = {
    "hips": ("root",),
    "head": ("head",),
    "clavicle": ("clavicle",),
    "upper_arm": ("upperarm1",),
    "lower_arm": ("lowerarm1",),
    "hand": ("wrist",),
    "upper_leg": ("upperleg1",),
    "lower_leg": ("lowerleg1",),
    "foot": ("foot",),
    "toes": (
        "toe21",
        "toe11",
    ),
    "index": ("finger21",),
    "middle": ("finger31",),
    "pinky": ("finger51",),
    "ring": ("finger41",),
    "thumb": ("finger11",),
}
