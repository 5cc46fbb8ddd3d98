"""What is rendered in place of the people: the artist's characters, or the take's own bodies."""

from __future__ import annotations

import bpy

from . import take as scene_take


def rigs(scene) -> list:
    """Armatures of a scene that belong to no take."""
    of_takes = {o for c in scene_take.take_collections() for o in c.all_objects}
    return [o for o in scene.objects if o.type == "ARMATURE" and o not in of_takes]


def animated_rigs(scene) -> list:
    """Those of `rigs` that have an animation of their own."""
    return [o for o in rigs(scene) if _is_animated(o)]


def with_everything_it_moves(scene, rig) -> list:
    """A rig, its parents and children, and the meshes that it deforms."""
    found = [rig, *rig.children_recursive]
    parent = rig.parent
    while parent is not None:
        found.append(parent)
        parent = parent.parent
    for item in scene.objects:
        if any(m.type == "ARMATURE" and m.object == rig for m in item.modifiers):
            found.append(item)
    return found


def copies(items, name: str):
    """Objects once more, moved as they are, in a new collection that is in no scene: what they share with each other are copies too, and so
    is their data where it has a motion or a driver of its own. Returns the collection and {object: its copy}."""
    collection = bpy.data.collections.new(name)
    made = {item: item.copy() for item in dict.fromkeys(items)}
    for item, copy in made.items():
        collection.objects.link(copy)
        copy.parent = made.get(item.parent, item.parent)
        copy.matrix_parent_inverse = item.matrix_parent_inverse
        if any(part.animation_data is not None for part in parts_of(item)[1:]):
            copy.data = item.data.copy()
        bones = copy.pose.bones if copy.pose else ()
        for holder in (*copy.modifiers, *copy.constraints, *(c for bone in bones for c in bone.constraints)):
            for key in ("object", "target", "pole_target"):
                if getattr(holder, key, None) in made:
                    setattr(holder, key, made[getattr(holder, key)])
    for copy in made.values():
        for part in parts_of(copy):
            drivers = part.animation_data.drivers if part.animation_data else ()
            for target in (t for d in drivers for v in d.driver.variables for t in v.targets):
                if target.id in made:
                    target.id = made[target.id]
    return collection, made


def copied(scene, rig, name: str):
    """A rig and everything it moves once more, without motion, in a new collection that is in no scene. Returns the collection and the rig's copy."""
    collection, made = copies(with_everything_it_moves(scene, rig), name)
    own = made[rig]
    if own.animation_data is not None:
        own.animation_data.action = None
        for track in list(own.animation_data.nla_tracks):
            own.animation_data.nla_tracks.remove(track)
    for bone in own.pose.bones:
        bone.matrix_basis.identity()
    return collection, own


def parts_of(item) -> list:
    """An object, its data and its shape keys: all of it that an action or a driver can move."""
    return [part for part in (item, item.data, getattr(item.data, "shape_keys", None)) if part is not None]


def gather(scene, take_collection, person_ids, name: str):
    """A new collection, in no scene yet, with every animated rig of a scene; without one, with the take's bodies of `person_ids`.

    Returns the collection and whether the bodies stand in.
    """
    collection = bpy.data.collections.new(name)
    items = [o for rig in animated_rigs(scene) for o in with_everything_it_moves(scene, rig)]
    stand_in = not items
    if stand_in:
        for person in person_ids:
            items += [scene_take.part(take_collection, role, person) for role in ("person", "body")]
    for item in items:
        if item is not None and item.name not in collection.objects:
            collection.objects.link(item)
    return collection, stand_in


def _is_animated(item) -> bool:
    animation = item.animation_data
    return animation is not None and (animation.action is not None or len(animation.nla_tracks) > 0)
