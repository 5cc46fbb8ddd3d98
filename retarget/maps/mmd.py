"""MikuMikuDance, in Japanese: the limbs are named after the joint that moves them, so 左腕 is the upper arm and 左ひじ the forearm."""

MAP = {
    "hips": ("下半身",),
    "head": ("頭",),
    "clavicle": ("肩",),
    "upper_arm": ("腕",),
    "lower_arm": ("ひじ",),
    "hand": ("手首",),
    "upper_leg": ("足",),
    "lower_leg": ("ひざ",),
    "foot": ("足首",),
    "toes": ("つま先", "足先ex"),
    "index": ("人指1", "人差指1"),
    "middle": ("中指1",),
    "pinky": ("小指1",),
    "ring": ("薬指1",),
    "thumb": ("親指0", "親指1"),
}
