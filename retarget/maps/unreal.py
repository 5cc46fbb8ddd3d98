"""Unreal's mannequin and MakeHuman's game engine rig."""

MAP = {
    "hips": ("pelvis",),
    "head": ("head",),
    "clavicle": ("clavicle",),
    "upper_arm": ("upperarm",),
    "lower_arm": ("lowerarm",),
    "hand": ("hand",),
    "upper_leg": ("thigh",),
    "lower_leg": ("calf",),
    "foot": ("foot",),
    "toes": ("ball",),
    "index": ("index1",),
    "middle": ("middle1",),
    "pinky": ("pinky1",),
    "ring": ("ring1",),
    "thumb": ("thumb1",),
}
