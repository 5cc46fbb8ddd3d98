"""Characters for VRChat: limbs are named after the joint at their head."""

MAP = {
    "hips": ("hips",),
    "head": ("head",),
    "clavicle": ("shoulder",),
    "upper_arm": ("arm",),
    "lower_arm": ("elbow",),
    "hand": ("wrist",),
    "upper_leg": ("leg",),
    "lower_leg": ("knee",),
    "foot": ("ankle",),
    "toes": ("toe",),
    "index": ("indexfinger1",),
    "middle": ("middlefinger1",),
    "pinky": ("littlefinger1",),
    "ring": ("ringfinger1",),
    "thumb": ("thumb0", "thumb1"),
}
