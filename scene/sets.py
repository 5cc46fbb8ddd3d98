"""Shipped sets of the 3D transfer, built around a disk that stays clear for the action, and their light."""

from __future__ import annotations

import itertools
import math
import random

import bpy

from .. import compat

# Sun strength, its colour, size (degrees) and height over the horizon (degrees), sky colour and sky strength.
LIGHTS = {
    "DAY": (3.0, (1.0, 1.0, 1.0), 3.0, 50.0, (0.55, 0.68, 0.9), 0.7),
    "OVERCAST": (0.8, (0.95, 0.97, 1.0), 60.0, 65.0, (0.72, 0.76, 0.8), 1.0),
    "GOLDEN_HOUR": (5.0, (1.0, 0.62, 0.32), 1.5, 24.0, (0.78, 0.6, 0.52), 0.7),
    "NIGHT": (0.12, (0.55, 0.7, 1.0), 1.0, 40.0, (0.02, 0.035, 0.09), 0.5),
}


def hall(collection, x, y, clear, night):
    """A tiled floor, and walls, pillars and steps around the action, never in it."""
    wide, far = clear + 12.0, clear + 6.0
    plaster, brick, stone = (_matt(*m) for m in (("Plaster", (0.72, 0.66, 0.56)), ("Clay", (0.55, 0.25, 0.17)), ("Slate", (0.2, 0.26, 0.33))))
    boxes(collection, "Floor", [((x, y, -0.05), (2 * wide, 2 * wide, 0.1))], _tiled("Floor", (0.34, 0.36, 0.38), (0.24, 0.25, 0.27)))
    walls = [
        ((x, y + far, 2.5), (2 * far, 0.3, 5)),
        ((x - far, y, 1.75), (0.3, 2 * far, 3.5)),
        ((x + far, y + far / 2, 1.25), (0.3, far, 2.5)),
    ]
    boxes(collection, "Walls", walls, plaster)
    pillars, steps = [], []
    for index in range(10):
        turn = 2 * math.pi * (index + 0.5) / 10
        at = (x + (clear + 1.5) * math.cos(turn), y + (clear + 1.5) * math.sin(turn))
        if index % 3 == 2:
            steps += [((*at, 0.15 + 0.3 * step), (1.5 - 0.4 * step, 1.5 - 0.4 * step, 0.3), turn) for step in range(3)]
        else:
            pillars.append(((*at, 1.6), (0.45, 0.45, 3.2), turn))
    boxes(collection, "Pillars", pillars, brick)
    boxes(collection, "Steps", steps, stone)


def street(collection, x, y, clear, night):
    """A road along y between two rows of houses; at night windows and lamps are lit."""
    chance = random.Random(7)
    long = clear + 30.0
    asphalt = _noisy("Asphalt", (0.07, 0.07, 0.075), (0.11, 0.11, 0.11), 6.0)
    paving = _noisy("Paving", (0.3, 0.29, 0.27), (0.38, 0.36, 0.34), 2.0)
    walls = [
        _noisy("Render", c, tuple(0.8 * v for v in c), 0.6)
        for c in ((0.6, 0.48, 0.36), (0.42, 0.2, 0.14), (0.5, 0.52, 0.5))
    ]
    dark, lit = _noisy("Glass", (0.04, 0.06, 0.08), (0.08, 0.1, 0.13), 1.0), _glow("Lit Window", (1.0, 0.62, 0.25), 3.0)
    boxes(collection, "Road", [((x, y, -0.05), (2 * clear, 2 * long, 0.1))], asphalt)
    dashes = [((x, y + i * 4.0, 0.002), (0.14, 2.0, 0.004)) for i in range(-int(long / 4), int(long / 4) + 1)]
    boxes(collection, "Markings", dashes, _noisy("Paint", (0.7, 0.7, 0.66), (0.55, 0.55, 0.5), 8.0))
    for side in (-1, 1):
        boxes(collection, "Pavement", [((x + side * (clear + 1.5), y, 0.03), (3.0, 2 * long, 0.18))], paving)
        at, panes = y - long, {True: [], False: []}
        while at < y + long:
            wide, tall = chance.uniform(7, 11), chance.choice((9.5, 12.5, 15.5))
            boxes(
                collection,
                "House",
                [((x + side * (clear + 7.0), at + wide / 2, tall / 2), (8.0, wide - 0.1, tall))],
                chance.choice(walls),
            )
            for storey in range(int(tall / 3)):
                for pane in range(int(wide / 2)):
                    spot = (x + side * (clear + 3.0), at + 1.4 + 2.0 * pane, 1.9 + 3.0 * storey)
                    panes[night and chance.random() < 0.4].append((spot, (0.12, 1.0, 1.6)))
            at += wide
        boxes(collection, "Windows", panes[False], dark)
        boxes(collection, "Lit Windows", panes[True], lit)
        for lamp in range(-2, 3):
            foot = (x + side * (clear + 0.6), y + lamp * 10.0 + side * 2.5)
            boxes(
                collection,
                "Lamp Post",
                [((*foot, 2.5), (0.1, 0.1, 5.0)), ((foot[0] - side * 0.4, foot[1], 5.0), (0.9, 0.2, 0.1))],
                dark,
            )
            if night:
                _spot(
                    collection,
                    (foot[0] - side * 0.8, foot[1], 4.9),
                    (foot[0] - side * 2.5, foot[1], 0),
                    900,
                    (1.0, 0.7, 0.4),
                    130,
                )


def stage(collection, x, y, clear, night):
    """Boards, a red curtain around the back and warm and cool spots over the action."""
    boards = _noisy("Boards", (0.16, 0.08, 0.04), (0.24, 0.13, 0.07), 1.5)
    wide = clear + 4.0
    lines = int(2 * wide / 0.25)
    boxes(
        collection,
        "Boards",
        [((x - wide + 0.25 * (i + 0.5), y, -0.05), (0.244, 2 * wide, 0.1)) for i in range(lines)],
        boards,
    )
    vertices, faces = [], []
    for i in range(721):
        angle = math.radians(-20 + 220 * i / 720)
        far = wide - 0.8 + 0.16 * math.sin(i * 0.9)
        vertices += [(x + far * math.cos(angle), y + far * math.sin(angle), z) for z in (0.0, 7.0)]
        if i:
            faces.append((2 * i - 2, 2 * i, 2 * i + 1, 2 * i - 1))
    _mesh(collection, "Curtain", vertices, faces, _noisy("Velvet", (0.3, 0.015, 0.02), (0.22, 0.01, 0.015), 2.0))
    for turn, colour in (
        (-120, (1.0, 0.8, 0.55)),
        (-60, (1.0, 0.9, 0.75)),
        (60, (0.4, 0.55, 1.0)),
        (130, (0.9, 0.35, 0.6)),
    ):
        at = (x + clear * math.cos(math.radians(turn)), y + clear * math.sin(math.radians(turn)), 6.5)
        _spot(collection, at, (x, y, 0.5), 60 * (clear * clear + 40), colour, 70)


def landscape(collection, x, y, clear, night):
    """A meadow that rises into hills, with firs; flat where the action is."""
    chance, size, count = random.Random(3), clear + 90.0, 121

    def height(dx, dy):
        away = max(0.0, math.hypot(dx, dy) - clear)
        waves = 1.2 + math.sin(dx * 0.07 + 1) * math.cos(dy * 0.06) + 0.4 * math.sin(dx * 0.19 + dy * 0.16)
        return waves * min(away / 10.0, 1.0 + away / 12.0) * 0.8

    steps = [size * (2 * i / (count - 1) - 1) for i in range(count)]
    vertices = [(x + dx, y + dy, height(dx, dy)) for dy in steps for dx in steps]
    faces = [
        (r * count + c, r * count + c + 1, (r + 1) * count + c + 1, (r + 1) * count + c)
        for r in range(count - 1)
        for c in range(count - 1)
    ]
    _mesh(collection, "Meadow", vertices, faces, _noisy("Grass", (0.1, 0.2, 0.04), (0.27, 0.3, 0.1), 0.5), smooth=True)
    firs, faces = [], []
    for _ in range(260):
        angle, far = chance.uniform(0, 2 * math.pi), clear + 3 + chance.random() * 70
        dx, dy, tall = far * math.cos(angle), far * math.sin(angle), chance.uniform(3, 8)
        for low, top, wide in ((-0.03, 0.55, 0.24), (0.35, 0.8, 0.18), (0.6, 1.0, 0.11)):
            first, base = len(firs), height(dx, dy)
            firs += [
                (x + dx + wide * tall * math.cos(k), y + dy + wide * tall * math.sin(k), base + low * tall)
                for k in range(6)
            ]
            firs.append((x + dx, y + dy, base + top * tall))
            faces += [(first + k, first + (k + 1) % 6, first + 6) for k in range(6)]
    _mesh(collection, "Firs", firs, faces, _noisy("Fir", (0.015, 0.05, 0.02), (0.04, 0.09, 0.03), 1.0))


SETS = {"HALL": hall, "STREET": street, "STAGE": stage, "LANDSCAPE": landscape}


def stone():
    """What steps are made of that belong to no set."""
    return _matt("Slate", (0.2, 0.26, 0.33))


def boxes(collection, name, places, material):
    """Boxes in one mesh; places: (centre, size) in metres, or (centre, size, turn) with a turn about z, rad."""
    vertices, faces = [], []
    for at, size, *turn in places:
        first, (c, s) = len(vertices), (math.cos(sum(turn)), math.sin(sum(turn)))
        for corner in itertools.product((-0.5, 0.5), repeat=3):
            u, v, w = (k * length for k, length in zip(corner, size))
            vertices.append((at[0] + c * u - s * v, at[1] + s * u + c * v, at[2] + w))
        sides = ((0, 1, 3, 2), (4, 6, 7, 5), (0, 4, 5, 1), (2, 3, 7, 6), (0, 2, 6, 4), (1, 5, 7, 3))
        faces += [tuple(first + i for i in side) for side in sides]
    if faces:
        _mesh(collection, name, vertices, faces, material)


def _mesh(collection, name, vertices, faces, material, smooth=False):
    mesh = bpy.data.meshes.new(name)
    mesh.from_pydata(vertices, [], faces)
    mesh.materials.append(material)
    mesh.polygons.foreach_set("use_smooth", [smooth] * len(faces))
    collection.objects.link(bpy.data.objects.new(name, mesh))


def _spot(collection, at, target, watts, colour, degrees):
    from mathutils import Vector

    data = bpy.data.lights.new("Lamp", "SPOT")
    data.energy, data.color, data.spot_size, data.spot_blend = watts, colour, math.radians(degrees), 0.5
    data.shadow_soft_size = 0.15
    lamp = bpy.data.objects.new("Lamp", data)
    lamp.location = at
    lamp.rotation_euler = (Vector(target) - Vector(at)).to_track_quat("-Z", "Y").to_euler()
    collection.objects.link(lamp)


def _matt(name, colour):
    """A matt material of one colour."""
    material = bpy.data.materials.new(name)
    material.diffuse_color = (*colour, 1.0)
    compat.use_nodes(material)
    shader = material.node_tree.nodes.get("Principled BSDF")
    shader.inputs["Base Color"].default_value = (*colour, 1.0)
    shader.inputs["Roughness"].default_value = 0.8
    return material


def _tiled(name, colour, second):
    """A checker of tiles of a metre."""
    material = _matt(name, colour)
    nodes, links = material.node_tree.nodes, material.node_tree.links
    place, checker = nodes.new("ShaderNodeTexCoord"), nodes.new("ShaderNodeTexChecker")
    for which, rgb in (("Color1", colour), ("Color2", second)):
        checker.inputs[which].default_value = (*rgb, 1.0)
    checker.inputs["Scale"].default_value = 1.0
    links.new(place.outputs["Object"], checker.inputs["Vector"])
    links.new(checker.outputs["Color"], nodes.get("Principled BSDF").inputs["Base Color"])
    return material


def _noisy(name, colour, second, scale):
    """A matt material that wanders between two colours."""
    material = _matt(name, colour)
    nodes, links = material.node_tree.nodes, material.node_tree.links
    place, noise, ramp = (nodes.new(f"ShaderNode{k}") for k in ("TexCoord", "TexNoise", "ValToRGB"))
    noise.inputs["Scale"].default_value = scale
    noise.inputs["Detail"].default_value = 8.0
    for element, rgb, at in zip(ramp.color_ramp.elements, (colour, second), (0.35, 0.65)):
        element.color, element.position = (*rgb, 1.0), at
    links.new(place.outputs["Object"], noise.inputs["Vector"])
    links.new(noise.outputs[0], ramp.inputs[0])
    links.new(ramp.outputs[0], nodes.get("Principled BSDF").inputs["Base Color"])
    return material


def _glow(name, colour, strength):
    material = _matt(name, colour)
    shader = material.node_tree.nodes.get("Principled BSDF")
    shader.inputs["Emission Color"].default_value = (*colour, 1.0)
    shader.inputs["Emission Strength"].default_value = strength
    return material
