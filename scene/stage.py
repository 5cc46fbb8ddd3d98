"""3D transfer: the camera, the characters or both in a small new set, in a scene of its own."""

from __future__ import annotations

import math

import bpy
import numpy as np
from mathutils import Matrix, Vector

from .. import compat
from ..solver.protocol import ShotError
from . import camera as scene_camera
from . import characters as scene_characters
from . import render, retime, sets, stairs
from . import take as scene_take
from .read import rest_joints

CROWN = 1.14  # height of the mean body over that of its highest joint above its lowest; 1.13-1.15 within two deviations of size
CONTENTS = ("BOTH", "CAMERA", "CHARACTERS")


def build(
    source,
    take_collection,
    content="BOTH",
    characters=None,
    stretch=1.0,
    place=None,
    engine="CYCLES",
    samples=64,
    name="",
    surroundings="HALL",
    into=None,
    light="DAY",
    snap=True,
    shake=1.0,
    frame_on=None,
    person=1,
    time="FILM",
):
    """A new scene with a set and what of the take was asked for. The scene it comes from stays as it is.

    content:     "BOTH", "CAMERA" or "CHARACTERS".
    characters:  collection to show; None gathers every animated rig, and without one the take's own bodies.
    stretch:     factor on the duration of what comes from the take; 2 is half speed.
    place:       empty that places the action in the set; None makes one at the origin.
    surroundings: one of sets.SETS.
    into:        collection or scene of the artist's own in place of a shipped set; it is linked, not copied.
    light:       one of sets.LIGHTS, or "NONE" for what the artist's own set brings.
    snap:        lower or raise the empty so that the take's ground lies on the floor under the action.
    shake:       factor on the shake of the film's camera.
    frame_on:    object that the camera alone frames as it framed `person`: the empty moves and scales the path to its place and height.
    time:        one of retime.TIMES: whether people and camera follow curves that an artist may edit. A stretch makes one.
    Returns the scene and warnings.
    """
    take = scene_take.data_of(take_collection)
    start = int(take_collection[scene_take.START_KEY])
    if content not in CONTENTS:
        raise ShotError(f"{content} is not something to put into a set.", "Choose camera, characters or both.")
    if frame_on is not None and (content != "CAMERA" or place is not None):
        raise ShotError("Only a camera that comes alone, with a new empty, can be framed on somebody else.", "Choose Camera under Use.")
    moved = _framed_on(frame_on, take.person(person)) if frame_on is not None else None
    warnings = []
    scene = bpy.data.scenes.new(name or f"{take_collection.name} 3D Transfer")
    scene_take.match(scene, take, start)
    first, last, clock = start, start + take.frames - 1, None
    if time != "FILM" or stretch != 1.0:
        clock = retime.add_time(scene, first, last, stretch, time == "CURVES")
        warnings.append("The film's sound is off: it does not follow a time curve.")
    scene.frame_current = source.frame_current
    render.set_engine(scene, engine, samples)
    render.show_new(scene)
    if place is None:
        place = bpy.data.objects.new(f"{scene.name} Place", None)
        place.empty_display_type = "SINGLE_ARROW"
        place.empty_display_size = 1.0
    scene.collection.objects.link(place)
    centre, radius = _extent(take, content)
    if moved is not None:
        place.matrix_world, snap = moved, False
        centre, radius = (moved @ Vector((*centre, 0.0)))[:2], radius * moved.median_scale
    if into is not None:
        _link(scene, into)
    else:
        collection = bpy.data.collections.new(f"{scene.name} Set")
        scene.collection.children.link(collection)
        sets.SETS[surroundings](collection, float(centre[0]), float(centre[1]), radius + 3.0, light == "NIGHT")
        if content != "CAMERA" and (steps := stairs.add_steps(take, f"{scene.name} Steps", place)) is not None:
            steps.data.materials.append(sets.stone())
            collection.objects.link(steps)
    if snap and not _snap(scene, place, centre):
        warnings.append("There is no floor under the action, so it stays at the height of its empty.")
    if content != "CAMERA":
        if characters is None:
            characters, stand_in = scene_characters.gather(
                source, take_collection, [p.id for p in take.people], f"{scene.name} Characters"
            )
            if stand_in:
                warnings.append("There is no animated character yet, so the solved bodies stand in.")
        if clock is not None:
            characters, made = scene_characters.copies(characters.all_objects, f"{scene.name} Characters in Time")
            behind = [item.name for item in made if not retime.follow(made[item], clock, retime.PEOPLE, first, last)]
            if behind:
                warnings.append(f"NLA strips move {', '.join(behind)}, and do not follow the time curve: bake them into an action first.")
        # An instance: the characters stay where they are in their own scene, and are only seen here.
        instance = bpy.data.objects.new(f"{scene.name} Characters", None)
        instance.instance_type = "COLLECTION"
        instance.instance_collection = characters
        instance.parent = place
        scene.collection.objects.link(instance)
    if content != "CHARACTERS":
        path = scene_camera.adjusted(scene_camera.path_of_take(take, start), shake=shake, fps=take.fps)
        camera = scene_camera.new_camera(f"{scene.name} Camera", path, scene.collection, place)
        if clock is not None:
            retime.follow(camera, clock, retime.CAMERA, first, last)
    else:
        camera = _standing_camera(scene, take, place)
    scene.camera = camera
    if light != "NONE":
        add_light(scene, f"{scene.name} Sun", light)
    elif isinstance(into, bpy.types.Scene):
        scene.world = into.world
    return scene, warnings


def _extent(take, content):
    """Centre (2,) and radius of what moves, on the ground."""
    spots = [p.joints_world[:, 0, :2] for p in take.people if content != "CAMERA"]
    if content != "CHARACTERS" or not spots:
        spots.append(take.T_world_from_cam[:, :2, 3])
    spots = np.concatenate(spots)
    centre = (spots.min(0) + spots.max(0)) / 2
    return centre, float(np.linalg.norm(spots - centre, axis=1).max())


def _framed_on(item, person) -> Matrix:
    """Where the take's world has to go for an object, as high as it is now, to be in the frame as a person of the take was."""
    corners = [item.matrix_world @ Vector(corner) for corner in item.bound_box]
    corners += [child.matrix_world @ Vector(corner) for child in item.children_recursive for corner in child.bound_box]
    low, high = (Vector(f(c[k] for c in corners) for k in range(3)) for f in (min, max))
    stands = person.joints_world[:, 0].mean(0)
    stands[2] = np.median(person.joints_world[..., 2].min(1))
    scale = (high.z - low.z) / (CROWN * np.ptp(rest_joints(person)[:, 1]))
    spot = Vector(((low.x + high.x) / 2, (low.y + high.y) / 2, low.z))
    return Matrix.Translation(spot) @ Matrix.Scale(scale, 4) @ Matrix.Translation(-Vector(stands))


def _standing_camera(scene, take, place):
    """A camera that holds everybody in frame from the front of the set."""
    spots = [p.joints_world[:, 0] for p in take.people] or [np.zeros((1, 3))]
    spots = np.concatenate(spots)
    target = (spots.min(0) + spots.max(0)) / 2
    reach = np.ptp(spots, axis=0).max() + 2.5
    data = bpy.data.cameras.new(f"{scene.name} Camera")
    data.lens = 35.0
    camera = bpy.data.objects.new(data.name, data)
    scene.collection.objects.link(camera)
    camera.parent = place
    camera.location = Vector(target) + Vector((0.25, -1.0, 0.25)) * float(reach * 1.3)
    camera.rotation_euler = (Vector(target) - camera.location).to_track_quat("-Z", "Y").to_euler()
    return camera


def _link(scene, into) -> None:
    """Show a collection, or all of another scene, in a scene."""
    if isinstance(into, bpy.types.Collection):
        scene.collection.children.link(into)
        return
    for child in into.collection.children:
        scene.collection.children.link(child)
    for item in into.collection.objects:
        if item.name not in scene.collection.objects:
            scene.collection.objects.link(item)


def _snap(scene, place, centre) -> bool:
    """Put the empty's ground onto the floor under (or else over) the middle of the action; False where there is none."""
    layer = scene.view_layers[0]
    layer.update()
    spot = place.matrix_world @ Vector((float(centre[0]), float(centre[1]), 0.0))
    for above in (2.0, 1000.0):
        hit, at, *_ = scene.ray_cast(layer.depsgraph, spot + Vector((0, 0, above)), Vector((0, 0, -1)))
        if hit:
            place.matrix_world = Matrix.Translation((0, 0, at.z - spot.z)) @ place.matrix_world
            return True
    return False


def add_light(scene, name: str, preset: str) -> None:
    """A sun and a sky of sets.LIGHTS: an ordinary light and world."""
    strength, colour, size, height, sky_colour, sky_strength = sets.LIGHTS[preset]
    data = bpy.data.lights.new(name, "SUN")
    data.energy, data.color, data.angle = strength, colour, math.radians(size)
    sun = bpy.data.objects.new(name, data)
    sun.rotation_euler = (math.radians(90 - height), math.radians(12), math.radians(-35))
    sun.location = (0, 0, 8)
    scene.collection.objects.link(sun)
    world = bpy.data.worlds.new(f"{scene.name} Sky")
    compat.use_nodes(world)
    background = world.node_tree.nodes.get("Background")
    background.inputs["Color"].default_value = (*sky_colour, 1.0)
    background.inputs["Strength"].default_value = sky_strength
    scene.world = world
