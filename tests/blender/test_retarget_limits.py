"""How close a character comes to the person, as Blender shows it: limbs, root, soles. On characters beside the project and on the bone
names of 14 families, at sizes and in rest poses of all sorts."""

from __future__ import annotations

import numpy as np
import pytest

bpy = pytest.importorskip("bpy")

from reshoot.retarget.evaluate import foot_report
from reshoot.retarget.transfer import END, END_JOINT, JOINT
from reshoot.scene import actions
from tests.blender.rig_families import FAMILIES, build, joints, parts_of, shoes
from tests.blender.test_retarget import FOREIGN, SHIPPED, imported
from tests.retarget_cases import walk

MEAN_DEG, MAX_DEG = 2, 5
ROOT_M = 0.01
SLIDE_M, SINK_M = 0.003, 0.01
# A robot with legs twice a person's and toeless feet so long that they cannot roll as a person's do: its legs and hips give way to them.
ROBOT = "RobotExpressive"
ROBOT_SLIDE_M = 0.005  # 2.5 mm at a person's size


class Shown:
    """What Blender shows of a retargeted character: heads of its bones (F, N, 3), and vertices of its meshes (F, V, 3)."""

    def __init__(self, armature, track, bones=None, **options):
        _, self.motion, rig, self.mapping = actions.retarget(armature, track, 1, **options)
        self.report, self.has_soles = foot_report(self.motion, track, rig, self.mapping), bool(rig.under)
        self.track, self.names = track, {part: rig.names[b] for part, b in self.mapping.bones.items()} | (bones or {})
        self.heads, vertices = {part: [] for part in self.names}, []
        meshes = [o for o in bpy.data.objects if o.type == "MESH" and armature in (o.find_armature(), o.parent)]
        for frame in range(1, 1 + len(track.frames)):
            bpy.context.scene.frame_set(frame)
            deps = bpy.context.evaluated_depsgraph_get()
            posed = armature.evaluated_get(deps)
            for part, name in self.names.items():
                self.heads[part].append(posed.matrix_world @ posed.pose.bones[name].head)
            vertices.append([_vertices(o.evaluated_get(deps)) for o in meshes])
        self.heads = {part: np.array(heads) for part, heads in self.heads.items()}
        self.vertices = np.array([np.concatenate(v) for v in vertices]) if vertices[0] else np.zeros((len(vertices), 0, 3))

    def limbs_deg(self, kind):
        """Mean and worst angle to the person's, of the limb that is worst in each. kind: "arm" or "leg"."""
        _, theirs = self.track.forward()
        errors = []
        for base, end in END.items():
            for side in "LR" if kind in base else "":
                if (tip := self.heads.get(f"{end}.{side}")) is None:
                    continue
                joint = JOINT[f"{base}.{side}"]
                a, b = tip - self.heads[f"{base}.{side}"], theirs[:, END_JOINT[joint]] - theirs[:, joint]
                errors.append(np.degrees(np.arctan2(np.linalg.norm(np.cross(a, b), axis=1), (a * b).sum(1))))
        return max(e.mean() for e in errors), max(e.max() for e in errors)

    def root_m(self):
        """How far the middle of the hips is from the person's path: as high as the legs stand, and scaled if the path is."""
        _, theirs = self.track.forward()
        centre = theirs[:, [1, 2]].mean(1)
        start, ratio = centre[:1] * [1, 1, 0], self.motion.leg_ratio
        goal = start + (centre - start) * ([ratio] * 3 if self.motion.path_scaled else [1, 1, ratio])
        ours = (self.heads["upper_leg.L"] + self.heads["upper_leg.R"]) / 2
        return np.linalg.norm(ours - goal, axis=1).max()

    def slide_m(self):
        """The most that any vertex which lies on the floor (within 2 mm) in two frames on end moves, of a foot that stands in both."""
        worst, sole = 0.0, self.vertices[..., 2] < 0.002
        for k, side in enumerate("LR"):
            stands = (self.motion.contact[:, 2 * k : 2 * k + 2] > 0).any(1)
            for f in np.flatnonzero(stands[1:] & stands[:-1]):
                low = np.flatnonzero(sole[f] & sole[f + 1])
                mine, other = (np.linalg.norm(self.vertices[f, low] - self.heads[f"foot.{s}"][f], axis=1) for s in (side, "LR".replace(side, "")))
                low = low[mine < other]
                steps = np.linalg.norm((self.vertices[f + 1, low] - self.vertices[f, low])[:, :2], axis=1)
                worst = max(worst, steps.max(initial=0.0))
        return worst

    def sunk_m(self):
        return max(0.0, -self.vertices[..., 2].min()) if self.vertices.size else 0.0


def _vertices(item):
    mesh = item.to_mesh()
    co = np.empty(3 * len(mesh.vertices), np.float32)
    mesh.vertices.foreach_get("co", co)
    item.to_mesh_clear()
    matrix = np.array(item.matrix_world)
    return co.reshape(-1, 3).astype(float) @ matrix[:3, :3].T + matrix[:3, 3]


def check(armature, track, slide_m=SLIDE_M, **options):
    """The limits with feet that are free, and with feet that are kept under a scaled path. Returns the latter."""
    free = Shown(armature, track, keep_feet=False, **options)
    for kind in ("arm", "leg"):
        mean, worst = free.limbs_deg(kind)
        assert mean < MEAN_DEG and worst < MAX_DEG, kind
    assert free.root_m() < ROOT_M
    kept = Shown(armature, track, scale_path=True, **options)
    figures = {"arms": kept.limbs_deg("arm"), "legs": kept.limbs_deg("leg"), "root": kept.root_m(), "slide": kept.slide_m(), "sunk": kept.sunk_m()}
    assert kept.motion.contact.any(0).all()
    assert kept.report["worst_slide_mm"] < 1000 * slide_m
    assert not kept.has_soles or (kept.vertices[..., 2] < 0.002).any(1).all(), "no sole was on the floor, so nothing was measured"
    assert figures["arms"][0] < MEAN_DEG and figures["arms"][1] < MAX_DEG, figures
    assert figures["slide"] < slide_m and figures["sunk"] < SINK_M, figures
    return kept, figures


@pytest.mark.parametrize("path", SHIPPED + FOREIGN, ids=lambda p: p.stem)
def test_characters(path, tmp_path):
    slide_m = ROBOT_SLIDE_M if path.stem == ROBOT else SLIDE_M
    _, figures = check(imported(path, tmp_path), walk(heading_deg=40), slide_m)
    mean, worst = (8, 30) if path.stem == ROBOT else (MEAN_DEG, MAX_DEG)
    assert figures["legs"][0] < mean and figures["legs"][1] < worst, figures
    assert figures["root"] < (0.02 if path.stem == ROBOT else ROOT_M), figures


VARIANTS = {
    "T": {},
    "A": {"arms_down_deg": 45},
    "arms down": {"arms_down_deg": 80},
    "reversed rolls": {"roll_deg": 180},
    "random rolls": {"arms_down_deg": 30, "seed": 3},
    "turned parent": {"parent": [[0, -1, 0, 2], [1, 0, 0, -1], [0, 0, 1, 0], [0, 0, 0, 1]]},
    "scaled parent": {"parent": np.diag([2.0, 2, 2, 1]).tolist(), "size": 0.5},
    "child": {"size": 0.6, "legs": 0.85, "head": 1.5},
    "giant": {"size": 1.8, "legs": 1.05},
}
BUILD = ("roll_deg", "seed", "parent")


@pytest.mark.parametrize("variant", VARIANTS)
@pytest.mark.parametrize("name", FAMILIES)
def test_families(name, variant):
    bpy.ops.wm.read_factory_settings(use_empty=True)
    options, family = VARIANTS[variant], FAMILIES[name]
    at = joints(**{k: v for k, v in options.items() if k not in BUILD})
    armature = build(family, at, **{k: v for k, v in options.items() if k in BUILD})
    kept, figures = check(armature, walk(heading_deg=-70, seconds=1.6))
    assert kept.mapping.source != "structure" and {p: n for p, n in kept.names.items() if p in parts_of(family)} == parts_of(family)
    assert figures["legs"][0] < MEAN_DEG and figures["legs"][1] < MAX_DEG and figures["root"] < ROOT_M, figures


@pytest.mark.parametrize("size", [1.0, 0.6])
@pytest.mark.parametrize("generated", [False, True], ids=["metarig", "generated"])
def test_rigify(generated, size):
    """The human of the Rigify that Blender ships, before and after Generate Rig."""
    bpy.ops.wm.read_factory_settings(use_empty=True)
    bpy.ops.preferences.addon_enable(module="rigify")
    try:
        bpy.ops.object.armature_human_metarig_add()
        armature, bones = bpy.context.object, dict(RIGIFY)
        if generated:
            bpy.ops.pose.rigify_generate()
            armature, bones = bpy.context.object, {part: f"DEF-{name}" for part, name in RIGIFY.items()}
        armature.scale = [size] * 3
        at = {}
        for side in "LR":
            foot, toes = (armature.data.bones[bones[f"{part}.{side}"]] for part in ("foot", "toes"))
            at |= {f"ankle.{side}": np.array(foot.head_local), f"ball.{side}": np.array(toes.head_local), f"tip.{side}": np.array(toes.tail_local)}
        carriers = {part: [bones[part]] for part in ("foot.L", "toes.L", "foot.R", "toes.R")}
        shoes(armature, at, carriers)
        kept, figures = check(armature, walk(heading_deg=20, seconds=1.2), bones=bones)
        assert kept.mapping.source == ("rigify_controls" if generated else "rigify")
        assert figures["legs"][0] < MEAN_DEG and figures["legs"][1] < MAX_DEG and figures["root"] < ROOT_M, figures
    finally:
        bpy.ops.preferences.addon_disable(module="rigify")


RIGIFY = {
    f"{part}.{side}": f"{name}.{side}" for side in "LR" for part, name in (
        ("upper_arm", "upper_arm"), ("lower_arm", "forearm"), ("hand", "hand"), ("upper_leg", "thigh"), ("lower_leg", "shin"),
        ("foot", "foot"), ("toes", "toe"),
    )
}  # fmt: skip
