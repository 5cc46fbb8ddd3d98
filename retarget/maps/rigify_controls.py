"""Rigify's generated rig is moved by controls: with limbs set to FK, each turns what the one above it in this table carries.

The rig itself hangs them from helpers that do the same; `hips` and the spine's own FK controls stay at rest under torso and chest.
"""

# Control → (control above it, part of a human).
CONTROLS = {
    "root": (None, ""),
    "torso": ("root", "hips"),
    "chest": ("torso", "spine"),
    "neck": ("chest", "neck"),
    "head": ("neck", "head"),
}
# Custom properties under which that holds: (control, property) → value.
SETTINGS = {("torso", "neck_follow"): 1.0, ("torso", "head_follow"): 1.0}
# Controls that have to rest, by the beginning of their names.
STILL = ("hips", "spine_fk", "tweak_spine")
# Beginnings of the names of the deforming bones that stand on the floor, by the part of a human that carries them.
FEET = {"foot": ("DEF-foot", "DEF-heel"), "toes": ("DEF-toe",)}

for _side in "LR":
    CONTROLS |= {
        f"shoulder.{_side}": ("chest", f"clavicle.{_side}"),
        f"upper_arm_fk.{_side}": (f"shoulder.{_side}", f"upper_arm.{_side}"),
        f"forearm_fk.{_side}": (f"upper_arm_fk.{_side}", f"lower_arm.{_side}"),
        f"hand_fk.{_side}": (f"forearm_fk.{_side}", f"hand.{_side}"),
        f"thigh_fk.{_side}": ("torso", f"upper_leg.{_side}"),
        f"shin_fk.{_side}": (f"thigh_fk.{_side}", f"lower_leg.{_side}"),
        f"foot_fk.{_side}": (f"shin_fk.{_side}", f"foot.{_side}"),
        f"toe_fk.{_side}": (f"foot_fk.{_side}", f"toes.{_side}"),
    }
    for _limb in ("upper_arm", "thigh"):
        SETTINGS[f"{_limb}_parent.{_side}", "IK_FK"] = 1.0
        SETTINGS[f"{_limb}_parent.{_side}", "FK_limb_follow"] = 0.0
