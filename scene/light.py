"""The film's own light, as the solver measured it, for the 2D transfer."""

from __future__ import annotations

import json
import math

import bpy
from mathutils import Vector

from .. import compat
from .read import TakeData

SLIDER = "Film Light"  # custom property of the sun: 1 as measured, 0 a soft light without a direction
SURE = 0.35  # as solver.plate.light.LEAST

# Sun: degrees high, degrees around from the south, strength, degrees wide, colour. Sky: colour, strength.
NEUTRAL = ((50, -35, 2.0, 12.0, (1.0, 1.0, 1.0)), ((0.9, 0.95, 1.0), 0.4))


def measured(take: TakeData) -> dict | None:
    """What plate/plate.json says of a take's plate; None where it has none, or is older."""
    try:
        return json.loads((take.folder / "plate" / "plate.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None


def add_film_light(scene, take: TakeData, root, amount: float = 1.0) -> str:
    """The sun and the sky of a take's film, under the take's empty; a soft neutral light where the film does not tell.

    amount: the slider that stays on the sun. Returns a warning, or nothing.

    Lit white ground is to be as bright as `level`, and ground in shadow `shade` of it: a sky of radiance `shade * level` lights all, and
    the sun, of irradiance pi * (1 - shade) * level over the sine of its height, what it reaches.
    """
    facts = measured(take) or {}
    light = facts.get("light")
    if light is None or light["sure"] < SURE:
        _add(scene, *NEUTRAL)
        return "" if amount == 0 else "The light of the film is not known, so the new shadows fall as a lamp above makes them."
    towards, level = Vector(light["towards"]), facts.get("level", 1.0)
    shade = [min(max(s, 0.05), 0.98) for s in light["shade"]]
    rest = [(1 - s) * level * math.pi / max(towards.z, 0.2) for s in shade]
    strength = max(rest)
    sun, sky = _add(scene, (0, 0, strength, 2.0, [r / strength for r in rest]), ([s * level for s in shade], 1.0))
    sun.rotation_euler = towards.to_track_quat("Z", "Y").to_euler()
    sun.parent = root
    sun[SLIDER] = float(amount)
    sun.id_properties_ui(SLIDER).update(min=0.0, max=1.0, description="How far to follow the light of the film")
    _drive(sun.data, "energy", sun, f"{strength:.5f} * light")
    # what the sun gives less, the sky gives more: lit ground stays as bright
    lost = sum((1 - s) / s for s in shade) / 3
    _drive(sky, "default_value", sun, f"1 + {lost:.5f} * (1 - light)")
    return ""


def _drive(owner, path, sun, expression):
    driver = owner.driver_add(path).driver
    variable = driver.variables.new()
    variable.name, variable.type = "light", "SINGLE_PROP"
    variable.targets[0].id, variable.targets[0].data_path = sun, f'["{SLIDER}"]'
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
