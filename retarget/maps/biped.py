"""3ds Max's Biped, and Valve's skeletons, which grew out of it."""

MAP = {
    "hips": ("pelvis",),
    "head": ("head", "head1"),
    "clavicle": ("clavicle",),
    "upper_arm": ("upperarm",),
    "lower_arm": ("forearm",),
    "hand": ("hand",),
    "upper_leg": ("thigh",),
    "lower_leg": ("calf",),
    "foot": ("foot",),
    "toes": ("toe", "toe0"),
    "index": ("finger1",),
    "middle": ("finger2",),
    "pinky": ("finger4",),
    "ring": ("finger3",),
    "thumb": ("finger0",),
}
