"""The film's own light, as the solver measured it, for the 2D transfer."""

from __future__ import annotations

import json
import math
from dataclasses import dataclass

import bpy
import numpy as np
from mathutils import Vector

from .. import compat
from ..solver.frames import invert, project
from .read import TakeData

SLIDER = "Film Light"  # custom property of the sun: 1 as measured, 0 a soft light without a direction
SURE = 0.35  # as solver.plate.light.LEAST

# Sun: degrees high, degrees around from the south, strength, degrees wide, colour. Sky: colour, strength.
GROUND = (0.3, 0.3, 0.3)  # what the ground sends back of the light where no plate tells
AROUND_M, PLATE_FRAMES = 1.0, 6  # the ground around somebody's feet, and how many frames of the plate are asked
DARKEST_SHARE, DARKEST = 2.0, 0.01  # so many per cent of a picture are darker than this share of white, where a film keeps its blacks as they are
CRUSHED_MOST = 8.0
NEUTRAL = ((50, -35, 2.0, 12.0, (1.0, 1.0, 1.0)), ((0.9, 0.95, 1.0), 0.4))


@dataclass
class FilmLight:
    """The light of a 2D transfer.

    sun, sky:  object, and the socket of the world with the sky's strength.
    ground:    share (R, G, B) of the light that the ground sends back.
    blacks:    linear light under which the film's blacks sink, 0 where they do not: light L comes out as L³ / (L² + blacks²).
    warning:   what to tell of them, or nothing.
    """

    sun: object
    sky: object
    ground: tuple
    blacks: float
    warning: str = ""


def measured(take: TakeData) -> dict | None:
    """What plate/plate.json says of a take's plate; None where it has none, or is older."""
    try:
        return json.loads((take.folder / "plate" / "plate.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None


def add_film_light(scene, take: TakeData, root, amount: float = 1.0) -> FilmLight:
    """The sun and the sky of a take's film, under the take's empty; a soft neutral light where the film does not tell.

    amount: the slider that stays on the sun.

    Lit white ground is to be as bright as `level`, and ground in shadow `shade` of it: a sky of radiance `shade * level` lights all, and
    the sun, of irradiance pi * (1 - shade) * level over the sine of its height, what it reaches.
    """
    facts = measured(take) or {}
    light, seen = facts.get("light"), plate_looks(take, facts.get("level", 1.0))
    if light is None or light["sure"] < SURE:
        said = "" if amount == 0 else "The light of the film is not known, so the new shadows fall as a lamp above makes them."
        return FilmLight(*_add(scene, *NEUTRAL), *seen, said)
    towards, level = Vector(light["towards"]), facts.get("level", 1.0)
    shade = [min(max(s, 0.05), 0.98) for s in light["shade"]]
    rest = [(1 - s) * level * math.pi / max(towards.z, 0.2) for s in shade]
    strength = max(rest)
    sun, sky = _add(scene, (0, 0, strength, 2.0, [r / strength for r in rest]), ([s * level for s in shade], 1.0))
    sun.rotation_euler = towards.to_track_quat("Z", "Y").to_euler()
    sun.parent = root
    sun[SLIDER] = float(amount)
    sun.id_properties_ui(SLIDER).update(min=0.0, max=1.0, description="How far to follow the light of the film")
    _drive_by_slider(sun.data, "energy", sun, f"{strength:.5f} * light")
    # what the sun gives less, the sky gives more: lit ground stays as bright
    lost = sum((1 - s) / s for s in shade) / 3
    _drive_by_slider(sky, "default_value", sun, f"1 + {lost:.5f} * (1 - light)")
    return FilmLight(sun, sky, *seen)


def plate_looks(take: TakeData, level: float) -> tuple[tuple, float]:
    """`ground` and `blacks` of a FilmLight, from the clean plate; GROUND and 0 where there is none.

    level: how bright white ground is in the film, linear. The ground is that around the people's feet.
    """
    ground, greys = [], []
    ring = AROUND_M * np.array([(np.cos(a), np.sin(a)) for a in np.linspace(0, 2 * np.pi, 16, endpoint=False)])
    for index in np.unique(np.linspace(0, take.frames - 1, PLATE_FRAMES).round().astype(int)):
        file = take.folder / "plate" / f"{index:06d}.png"
        if not file.exists():
            continue
        picture = _linear_pixels(file)
        greys.append(picture[::4, ::4].mean(-1).ravel())
        for feet in (p.joints_world[p.frame == index][0, [7, 8], :2].mean(0) for p in take.people if (p.frame == index).any()):
            spots = np.pad(np.concatenate([feet + share * ring for share in (0.4, 0.7, 1.0)]), ((0, 0), (0, 1)))
            pixels = project(spots, invert(take.T_world_from_cam[index]), take.K[index])
            x, y = np.floor(np.nan_to_num(pixels, nan=-1)).astype(int).T
            inside = (x >= 0) & (y >= 0) & (x < picture.shape[1]) & (y < picture.shape[0])
            ground.append(picture[y[inside], x[inside]])
    ground = np.concatenate(ground) if ground else np.zeros((0, 3))
    colour = tuple(np.clip(ground.mean(0) / max(level, 1e-3), 0.01, 0.9).tolist()) if len(ground) else GROUND
    usual = DARKEST * level
    darkest = max(np.percentile(np.concatenate(greys), DARKEST_SHARE), usual / CRUSHED_MOST) if greys else usual
    return colour, float(usual * math.sqrt(max(usual / darkest - 1, 0)))


def _linear_pixels(file):
    """(H, W, 3) linear light of an sRGB picture, first row on top."""
    image = bpy.data.images.load(str(file))
    try:
        values = np.empty(4 * image.size[0] * image.size[1], np.float32)
        image.pixels.foreach_get(values)
        values = values.reshape(image.size[1], image.size[0], 4)[::-1, :, :3]
    finally:
        bpy.data.images.remove(image)
    return np.where(values <= 0.04045, values / 12.92, ((values + 0.055) / 1.055) ** 2.4)


def catcher_material(scene, light: FilmLight):
    """For Cycles: a matt ground of the film's colour. On a shadow catcher it is not seen; what it sends back to the characters is."""
    material = bpy.data.materials.new(f"{scene.name} Ground")
    compat.use_nodes(material)
    tree = material.node_tree
    tree.nodes.clear()
    matt, out = tree.nodes.new("ShaderNodeBsdfDiffuse"), tree.nodes.new("ShaderNodeOutputMaterial")
    matt.inputs["Color"].default_value = (*light.ground, 1.0)
    tree.links.new(matt.outputs[0], out.inputs["Surface"])
    return material


def shade_material(scene, light: FilmLight):
    """EEVEE has no shadow catcher: a material as bright as the share, R, G and B, that shadows leave of the light on it, for a view layer of its own.

    White under `light` is compared with the same white in full light, the sun by its slant, and the sky. Drivers follow both, and the sun's turn as
    well; lamps that an artist adds cast no shadow on the film.
    """
    material = bpy.data.materials.new(f"{scene.name} Shade")
    compat.use_nodes(material)
    tree = material.node_tree
    tree.nodes.clear()

    def node(kind, *inputs, operation=None):
        made = tree.nodes.new(f"ShaderNode{kind}")
        if operation:
            made.operation = operation
        for place, source in enumerate(inputs):
            if source is not None:
                tree.links.new(source, made.inputs[place])
        return made

    def driven(socket, expressions, *reads):
        for part, expression in enumerate(expressions):
            driver = socket.driver_add("default_value", part).driver
            for read in reads:
                read(driver)
            driver.expression = expression

    slant = node("VectorMath", node("NewGeometry").outputs["Normal"], operation="DOT_PRODUCT")
    driven(slant.inputs[1], _TOWARDS_SUN, lambda driver: _turn_of(driver, light.sun, "XYZ"))
    facing = node("Math", slant.outputs["Value"], operation="MAXIMUM")
    facing.inputs[1].default_value = 0.0
    full = node("VectorMath", facing.outputs[0], operation="MULTIPLY_ADD")
    full.name = full.label = "Full Light"
    sun, sky = _colours(light)
    driven(full.inputs[1], [f"{c / math.pi:.5f} * sun" for c in sun], lambda driver: _variable(driver, "sun", light.sun.data, "energy"))
    driven(full.inputs[2], [f"max({c:.5f} * sky, 0.001)" for c in sky], lambda driver: _read_sky(driver, scene, light))
    white = node("BsdfDiffuse")
    white.inputs["Color"].default_value = (1.0, 1.0, 1.0, 1.0)
    here = node("ShaderToRGB", white.outputs[0])
    share = node("VectorMath", here.outputs["Color"], full.outputs["Vector"], operation="DIVIDE")
    left = node("VectorMath", share.outputs["Vector"], operation="MINIMUM")
    left.inputs[1].default_value = (1.0, 1.0, 1.0)
    node("OutputMaterial", node("Emission", left.outputs["Vector"]).outputs[0])
    for column, item in enumerate(tree.nodes):
        item.location = (200 * column, 0)
    return material


def add_walls(scene, take: TakeData, root) -> list:
    """Walls behind the people, as the solver found them in its points (plate/plate.json), as objects under the take's empty that are in no collection yet."""
    found = []
    for corners in (measured(take) or {}).get("walls", ()):
        mesh = bpy.data.meshes.new(f"{scene.name} Wall")
        mesh.from_pydata([tuple(c) for c in corners], [], [tuple(range(len(corners)))])
        found.append(bpy.data.objects.new(mesh.name, mesh))
        found[-1].parent = root
    return found


def add_bounce(scene, light: FilmLight) -> None:
    """For EEVEE: the light that comes back from the ground, as far as it is more than the sky that shines there, a half sphere without shadows."""
    data = bpy.data.lights.new(f"{scene.name} Bounce", "SUN")
    data.angle, data.use_shadow, data.specular_factor = math.pi, False, 0.0
    share = sum(light.ground) / 3
    data.color = [c / share for c in light.ground]
    bounce = bpy.data.objects.new(data.name, data)
    bounce.rotation_euler = (math.pi, 0.0, 0.0)
    scene.collection.objects.link(bounce)
    driver = data.driver_add("energy").driver
    full, sky = _on_white_ground(driver, scene, light)
    driver.expression = f"{math.pi:.5f} * max({share:.5f} * ({full}) - {sky}, 0)"


# Towards the sun, by its turn: the third column of Rz Ry Rx.
_TOWARDS_SUN = ("cos(z) * sin(y) * cos(x) + sin(z) * sin(x)", "sin(z) * sin(y) * cos(x) - cos(z) * sin(x)", "cos(y) * cos(x)")


def _on_white_ground(driver, scene, light):
    """Expressions for a driver, which gets their variables: how bright white ground is in full light, and under the sky alone; means of R, G and B."""
    _variable(driver, "sun", light.sun.data, "energy")
    _read_sky(driver, scene, light)
    _turn_of(driver, light.sun, "XY")
    sun, sky = (sum(colour) / 3 for colour in _colours(light))
    under_sky = f"{sky:.5f} * sky"
    return f"{sun / math.pi:.5f} * sun * {_TOWARDS_SUN[2]} + {under_sky}", under_sky


def _colours(light):
    """R, G and B of the sun and of the sky."""
    return light.sun.data.color[:], light.sky.node.inputs["Color"].default_value[:3]


def _read_sky(driver, scene, light):
    _variable(driver, "sky", scene.world, f"node_tree.{light.sky.path_from_id('default_value')}")


def _turn_of(driver, item, axes):
    """Let a driver read how an object is turned, as x, y and z."""
    for axis in axes:
        variable = driver.variables.new()
        variable.name, variable.type = axis.lower(), "TRANSFORMS"
        target = variable.targets[0]
        target.id, target.transform_type, target.rotation_mode = item, f"ROT_{axis}", "XYZ"


def _variable(driver, name, item, path):
    """Let a driver read a property of an ID."""
    variable = driver.variables.new()
    variable.name = name
    if item.id_type != "OBJECT":  # as a new target is
        variable.targets[0].id_type = item.id_type
    variable.targets[0].id, variable.targets[0].data_path = item, path


def _drive_by_slider(owner, path, sun, expression):
    driver = owner.driver_add(path).driver
    _variable(driver, "light", sun, f'["{SLIDER}"]')
    driver.expression = expression


def _add(scene, sun_spec, sky_spec):
    """The sun object, and the socket with the sky's strength."""
    high, around, strength, wide, colour = sun_spec
    data = bpy.data.lights.new(f"{scene.name} Sun", "SUN")
    data.energy, data.angle, data.color = strength, math.radians(wide), colour
    sun = bpy.data.objects.new(data.name, data)
    a, e = math.radians(around - 90), math.radians(high)
    towards = Vector((math.cos(a) * math.cos(e), math.sin(a) * math.cos(e), math.sin(e)))
    sun.rotation_euler = towards.to_track_quat("Z", "Y").to_euler()
    sun.location = (0, 0, 8)
    scene.collection.objects.link(sun)
    world = bpy.data.worlds.new(f"{scene.name} Sky")
    compat.use_nodes(world)
    background = world.node_tree.nodes.get("Background")
    background.inputs["Color"].default_value = (*sky_spec[0], 1.0)
    background.inputs["Strength"].default_value = sky_spec[1]
    scene.world = world
    return sun, background.inputs["Strength"]
