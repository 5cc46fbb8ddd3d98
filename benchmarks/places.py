"""Places for shots, built in Blender from boxes, tubes and blobs with pictures of their own; ground at z = 0, metres.

A place leaves the ground around the action free: `clear` is a list of 2D segments ((x, y), (x, y), margin) that no prop may touch.
"""

from __future__ import annotations

import bpy
import numpy as np

from . import textures
from .materials import pictured

KINDS = ("plaza", "street", "court", "park", "meadow", "passage")


def _object(name, vertices, faces, uvs, material, smooth=False):
    mesh = bpy.data.meshes.new(name)
    mesh.from_pydata([tuple(v) for v in vertices], [], faces)
    layer = mesh.uv_layers.new()
    layer.data.foreach_set("uv", np.asarray(uvs, np.float32).ravel())
    mesh.polygons.foreach_set("use_smooth", [smooth] * len(faces))
    mesh.materials.append(material)
    ob = bpy.data.objects.new(name, mesh)
    bpy.context.scene.collection.objects.link(ob)
    return ob


def box(centre, size, material, metres=4.0, turn=0.0, offset=(0.0, 0.0)):
    """A box standing on z = centre[2]; its picture spans `metres` on every side."""
    sx, sy, sz = np.asarray(size) / 2
    corners = np.array([[x, y, z] for z in (0, 2 * sz) for y in (-sy, sy) for x in (-sx, sx)])
    quads = [(0, 1, 5, 4), (1, 3, 7, 5), (3, 2, 6, 7), (2, 0, 4, 6), (4, 5, 7, 6)]
    uvs = []
    for q, (w, h) in zip(quads, [(sx, sz), (sy, sz), (sx, sz), (sy, sz), (sx, sy)]):
        shift = np.array(offset) + 0.37 * q[0]
        uvs += [shift + np.array(c) * [2 * w / metres, 2 * h / metres] for c in ((0, 0), (1, 0), (1, 1), (0, 1))]
    R = np.array([[np.cos(turn), -np.sin(turn)], [np.sin(turn), np.cos(turn)]])
    corners[:, :2] = corners[:, :2] @ R.T
    return _object("box", corners + centre, quads, uvs, material)


def tube(base, radius, height, material, sides=12, top=None):
    """An upright cylinder or cone."""
    a = np.arange(sides) / sides * 2 * np.pi
    ring = np.stack([np.cos(a), np.sin(a)], 1)
    low = np.concatenate([ring * radius, np.zeros((sides, 1))], 1)
    high = np.concatenate([ring * (radius if top is None else top), np.full((sides, 1), height)], 1)
    faces, uvs = [], []
    for i in range(sides):
        j = (i + 1) % sides
        faces.append((i, j, sides + j, sides + i))
        uvs += [(i / sides, 0), ((i + 1) / sides, 0), ((i + 1) / sides, height / 2), (i / sides, height / 2)]
    faces.append(tuple(range(sides, 2 * sides)))
    uvs += [tuple(0.5 + 0.5 * p) for p in ring]
    return _object("tube", np.concatenate([low, high]) + base, faces, uvs, material, True)


def blob(rng, centre, radius, material, rings=10, sectors=16):
    """A lumpy ball: foliage, a boulder."""
    v = np.linspace(0, np.pi, rings + 1)
    u = np.arange(sectors + 1) / sectors * 2 * np.pi
    bumps = rng.normal(1, 0.13, (rings + 1, sectors + 1))
    bumps[:, -1], bumps[0], bumps[-1] = bumps[:, 0], 1, 1
    d = np.stack(
        [np.outer(np.sin(v), np.cos(u)), np.outer(np.sin(v), np.sin(u)), np.outer(np.cos(v), np.ones_like(u))], -1
    )
    points = (d * (bumps * radius)[..., None]).reshape(-1, 3) + centre
    faces, uvs = [], []
    for i in range(rings):
        for j in range(sectors):
            a = i * (sectors + 1) + j
            faces.append((a, a + sectors + 1, a + sectors + 2, a + 1))
            for di, dj in ((0, 0), (1, 0), (1, 1), (0, 1)):
                uvs.append(((j + dj) / sectors * 2, (i + di) / rings))
    return _object("blob", points, faces, uvs, material)


def car(xy, turn, paint, dark):
    """A car's outline: enough for a background. Returns its parts."""
    along = np.array([np.cos(turn), np.sin(turn)])
    across = np.array([-along[1], along[0]])
    parts = [
        box([*xy, 0.35], (4.2, 1.7, 0.6), paint, 4, turn),
        box([*(xy - 0.2 * along), 0.95], (2.3, 1.5, 0.5), dark, 3, turn),
    ]
    wheels = [(a, b) for a in (-1.3, 1.3) for b in (-0.8, 0.8)]
    return parts + [box([*(xy + a * along + b * across), 0], (0.6, 0.2, 0.6), dark, 1, turn) for a, b in wheels]


def moving_car(rng):
    """A car that faces +X at the origin, its parts carried by the object returned."""
    paint = pictured("paint", textures.plain(rng, colour=tuple(rng.uniform(0.05, 0.7, 3)), dirt=0.1), 0.02)
    whole = bpy.data.objects.new("car", None)
    bpy.context.scene.collection.objects.link(whole)
    for part in car(np.zeros(2), 0.0, paint, pictured("tyre", textures.plain(rng, colour=(0.1, 0.11, 0.11)))):
        part.parent = whole
    return whole


class _Builder:
    def __init__(self, rng, clear):
        self.rng, self.taken = rng, []
        ends = np.array([[a, b] for a, b, _ in clear], float).reshape(-1, 2, 2)
        self.a, self.d, self.margin = ends[:, 0], ends[:, 1] - ends[:, 0], np.array([m for *_, m in clear], float)
        self.cache = {}

    def material(self, kind, variant=0, **options):
        key = (kind, variant)
        if key not in self.cache:
            self.cache[key] = pictured(f"{kind}{variant}", getattr(textures, kind)(self.rng, **options), 0.02)
        return self.cache[key]

    def free(self, xy, radius):
        """Whether a prop of this radius may stand at xy."""
        t = np.clip(((xy - self.a) * self.d).sum(1) / np.maximum((self.d**2).sum(1), 1e-9), 0, 1)
        if (np.linalg.norm(xy - self.a - t[:, None] * self.d, axis=1) < self.margin + radius).any():
            return False
        return all(np.linalg.norm(xy - p) > r + radius for p, r in self.taken)

    def spot(self, radius, low, high, tries=60):
        """A free place at a distance low..high from the origin, or None."""
        for _ in range(tries):
            angle, distance = self.rng.uniform(0, 2 * np.pi), self.rng.uniform(low, high)
            xy = distance * np.array([np.cos(angle), np.sin(angle)])
            if self.free(xy, radius):
                self.taken.append((xy, radius))
                return xy
        return None

    def ground(self, kind, size=90.0, metres=24.0):
        half = size / 2
        corners = [(-half, -half, 0), (half, -half, 0), (half, half, 0), (-half, half, 0)]
        uv = np.array(corners)[:, :2] / metres + 0.37
        _object("ground", corners, [(0, 1, 2, 3)], uv, self.material(kind))

    def tree(self, low, high):
        xy = self.spot(0.6, low, high)
        if xy is None:
            return
        height = self.rng.uniform(2.4, 3.6)
        tube([*xy, 0], 0.16, height, self.material("plain", 7, colour=(0.25, 0.17, 0.1), dirt=0.6), top=0.1)
        for _ in range(4):
            offset = self.rng.normal(0, 0.55, 3) * [1, 1, 0.6]
            blob(
                self.rng,
                [*xy, height + 0.5] + offset,
                self.rng.uniform(0.8, 1.3),
                self.material("leaves", int(self.rng.integers(2))),
            )

    def lamp(self, low, high):
        xy = self.spot(0.3, low, high)
        if xy is not None:
            dark = self.material("plain", 8, colour=(0.13, 0.15, 0.14))
            tube([*xy, 0], 0.07, 3.6, dark)
            tube([*xy, 0], 0.16, 0.5, dark)
            tube([*xy, 3.6], 0.12, 0.4, self.material("plain", 9, colour=(0.85, 0.82, 0.7), dirt=0.1), top=0.24)

    def crate(self, low, high):
        size = self.rng.uniform(0.5, 1.1)
        xy = self.spot(size * 0.75, low, high)
        if xy is not None:
            turn = self.rng.uniform(0, np.pi)
            wood = self.material("planks", 1, size=512, boards=7)
            box([*xy, 0], (size, size, size), wood, 1.2, turn, self.rng.random(2))
            if self.rng.random() < 0.5:
                box([*xy, size], (0.6 * size,) * 3, wood, 1.2, turn + 0.5, self.rng.random(2))

    def bench(self, low, high):
        xy = self.spot(1.0, low, high)
        if xy is not None:
            turn, wood = self.rng.uniform(0, np.pi), self.material("planks", 1, size=512, boards=7)
            side = np.array([np.cos(turn), np.sin(turn)])
            back = np.array([-side[1], side[0]])
            box([*xy, 0.42], (1.7, 0.45, 0.07), wood, 1.2, turn)
            box([*(xy + 0.24 * back), 0.6], (1.7, 0.05, 0.35), wood, 1.2, turn)
            for s in (-0.7, 0.7):
                box(
                    [*(xy + s * side), 0],
                    (0.1, 0.4, 0.42),
                    self.material("plain", 8, colour=(0.13, 0.15, 0.14)),
                    1.0,
                    turn,
                )

    def board(self, low, high):
        """An advertisement on two posts."""
        xy = self.spot(0.9, low, high)
        if xy is not None:
            turn = np.arctan2(-xy[0], xy[1]) + self.rng.normal(0, 0.3)  # faces the middle
            box([*xy, 0.7], (1.5, 0.1, 1.5), self.material("poster", int(self.rng.integers(6))), 1.5, turn)
            side = np.array([np.cos(turn), np.sin(turn)])
            for s in (-0.65, 0.65):
                tube([*(xy + s * side), 0], 0.05, 0.8, self.material("plain", 8, colour=(0.13, 0.15, 0.14)))

    def car(self, low, high, turn):
        xy = self.spot(2.2, low, high)
        if xy is not None:
            paint = self.material(
                "plain", 20 + int(self.rng.integers(4)), colour=tuple(self.rng.uniform(0.05, 0.7, 3)), dirt=0.08
            )
            car(xy, turn, paint, self.material("plain", 8, colour=(0.13, 0.15, 0.14)))

    def walls(self, distance, heights, kind, metres):
        """Fronts all around, broken into houses of different height and depth."""
        for side in range(4):
            turn = side * np.pi / 2
            out, along = np.array([np.cos(turn), np.sin(turn)]), np.array([-np.sin(turn), np.cos(turn)])
            x, far = -distance[side % 2] - 6, distance[(side + 1) % 2]
            while x < far + 14:
                width = self.rng.uniform(5, 10)
                depth = self.rng.uniform(3, 6)
                place = (far + depth / 2 + self.rng.uniform(0, 1.2)) * out + (x + width / 2) * along
                material = self.material(kind, int(self.rng.integers(4)))
                box(
                    [*place, 0],
                    (width - 0.05, depth, self.rng.uniform(*heights)),
                    material,
                    metres,
                    turn + np.pi / 2,
                    self.rng.random(2),
                )
                x += width


def build(kind, rng, clear, steps=()):
    """Fill the current scene with a place and its light. Everything is drawn from `rng`. steps: boxes (centre, size, turn)."""
    b = _Builder(rng, clear)
    for centre, size, turn in steps:
        box(centre, size, b.material("bricks", 5), 1.5, turn, rng.random(2))
    if kind == "plaza":
        b.ground("paving")
        b.walls((16, 15), (6, 12), "facade", 9.0)
        props = [(b.tree, 7), (b.lamp, 6), (b.bench, 5), (b.board, 5), (b.crate, 6)]
        reach = (3.0, 14.0)
    elif kind == "street":
        b.ground("asphalt")
        b.walls((30, 10), (5, 11), "facade", 9.0)
        for _ in range(6):
            b.car(5, 20, rng.normal(np.pi / 2, 0.05))
        props = [(b.lamp, 6), (b.board, 6), (b.crate, 4), (b.tree, 5)]
        reach = (3.0, 13.0)
    elif kind == "court":
        b.ground("planks", metres=6.0)
        b.walls((11, 11), (4.5, 6.5), "bricks", 4.0)
        for _ in range(16):  # posters on the walls
            side, place = rng.integers(4), rng.uniform(-9, 9)
            turn = side * np.pi / 2
            xy = 10.95 * np.array([np.cos(turn), np.sin(turn)]) + place * np.array([-np.sin(turn), np.cos(turn)])
            box(
                [*xy, rng.uniform(0.5, 2.4)],
                (rng.uniform(0.8, 1.8), 0.06, 1.3),
                b.material("poster", int(rng.integers(6))),
                1.5,
                turn + np.pi / 2,
            )
        props = [(b.crate, 14), (b.board, 4), (b.bench, 3), (b.lamp, 3)]
        reach = (3.0, 10.0)
    elif kind == "meadow":  # sky, and nothing near
        b.ground("grass", 300.0)
        b.walls((70, 64), (3, 9), "facade", 8.0)
        for _ in range(14):
            angle, radius = rng.uniform(0, 2 * np.pi), rng.uniform(8, 16)
            hill = [85 * np.cos(angle), 85 * np.sin(angle), -0.3 * radius]
            blob(rng, hill, radius, b.material("leaves", int(rng.integers(2))))
        props = [(b.tree, 26), (b.board, 3)]
        reach = (22.0, 55.0)
    elif kind == "passage":  # between two walls along Y, beams overhead
        b.ground("paving", metres=12.0)
        _passage(b, rng)
        props, reach = [], (0.0, 0.0)
    else:
        b.ground("grass")
        b.walls((26, 24), (3, 8), "facade", 8.0)
        props = [(b.tree, 22), (b.bench, 5), (b.crate, 4), (b.board, 4), (b.lamp, 4)]
        reach = (3.5, 20.0)
    for make, count in props:
        for _ in range(count):
            make(*reach)
    _light(rng)


def _passage(b, rng, half=1.6, length=26.0):
    """Walls along Y at x = ±half, with doors, pillars, posters, lamps and crates; a house at either end."""
    dark, pale = b.material("plain", 8, colour=(0.13, 0.15, 0.14)), b.material("plain", 9, colour=(0.85, 0.82, 0.7), dirt=0.1)
    wood = b.material("planks", 1, size=512, boards=7)
    for side in (-1, 1):
        y = -length
        while y < length:
            step = rng.uniform(2.2, 3.4)
            wall = b.material("bricks" if rng.random() < 0.5 else "facade", int(rng.integers(3)))
            box([side * (half + 0.5), y + step / 2, 0], (1.0, step, rng.uniform(2.9, 4.2)), wall, 3.5, 0.0, rng.random(2))
            box([side * (half - 0.06), y, 0], (0.2, 0.28, 3.0), b.material("bricks", 4), 1.5, 0.0, rng.random(2))
            what, at = rng.integers(5), y + step / 2 + rng.uniform(-0.3, 0.3)
            if what < 2:
                box([side * (half - 0.01), at, 0], (0.08, 0.95, 2.1), (wood, dark)[what], 1.2, 0.0, rng.random(2))
            elif what < 4:
                box([side * (half - 0.01), at, 0.9], (0.06, 1.0, 1.1), b.material("poster", int(rng.integers(6))), 1.1)
            else:
                box([side * (half - 0.25), at, 0], (0.45, 0.5, rng.uniform(0.4, 0.7)), wood, 1.2, 0.0, rng.random(2))
            box([side * (half - 0.1), at + 0.7, 2.1], (0.16, 0.16, 0.3), pale, 1.0)
            y += step
    for y in np.arange(-length, length, 2.6):
        box([0, y + rng.uniform(-0.3, 0.3), 2.85], (2 * half + 0.4, 0.16, 0.18), wood, 1.2)
    for y in (-length - 3, length + 3):
        box([0, y, 0], (12, 4, 7), b.material("facade", 3), 8.0)


def _light(rng):
    """A low sun that leaves soft shadows, and a bright sky with drifts of cloud."""
    sun = bpy.data.objects.new("sun", bpy.data.lights.new("sun", "SUN"))
    sun.data.energy, sun.data.angle = rng.uniform(2.5, 3.8), np.deg2rad(rng.uniform(1, 6))
    sun.data.color = (1.0, rng.uniform(0.9, 0.98), rng.uniform(0.78, 0.92))
    sun.rotation_euler = (np.deg2rad(rng.uniform(30, 55)), 0, rng.uniform(0, 2 * np.pi))
    bpy.context.scene.collection.objects.link(sun)
    world = bpy.context.scene.world = bpy.data.worlds.new("sky")
    world.use_nodes = True
    tree = world.node_tree
    tree.nodes.clear()
    out, background = tree.nodes.new("ShaderNodeOutputWorld"), tree.nodes.new("ShaderNodeBackground")
    where, noise, ramp = (tree.nodes.new(f"ShaderNode{n}") for n in ("TexCoord", "TexNoise", "ValToRGB"))
    noise.inputs["Scale"].default_value, noise.inputs["Detail"].default_value = 3.0, 4.0
    ramp.color_ramp.elements[0].position, ramp.color_ramp.elements[1].position = 0.45, 0.62
    ramp.color_ramp.elements[0].color, ramp.color_ramp.elements[1].color = (0.30, 0.45, 0.75, 1), (0.85, 0.87, 0.9, 1)
    background.inputs["Strength"].default_value = 0.9
    tree.links.new(where.outputs["Generated"], noise.inputs["Vector"])
    tree.links.new(noise.outputs[0], ramp.inputs[0])
    tree.links.new(ramp.outputs[0], background.inputs["Color"])
    tree.links.new(background.outputs[0], out.inputs[0])
