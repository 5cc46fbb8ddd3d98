"""2D transfer: clean plate, render with shadows, kept people in front, in a scene of its own."""

from __future__ import annotations

from dataclasses import dataclass, field

import bpy

from .. import compat
from ..solver.protocol import ShotError
from . import characters as scene_characters
from . import plate, render, stage
from . import take as scene_take


@dataclass
class Transfer:
    """A new scene and what the artist should know about it."""

    scene: object
    warnings: list = field(default_factory=list)


def build(
    source, take_collection, replace=(), keep=(), characters=None, engine="CYCLES", samples=64, name=""
) -> Transfer:
    """A new scene that shows the film with people replaced.

    source:      the scene with the characters.
    replace:     ids of the people to replace; () is everybody not kept.
    keep:        ids of the people who stay, cut out of the film by their masks; () is everybody not replaced, if some are.
    characters:  collection to render; None gathers every animated rig, and without one the take's own bodies.
    Raises ShotError before anything is made.
    """
    take = scene_take.data_of(take_collection)
    start = int(take_collection[scene_take.START_KEY])
    everybody = [p.id for p in take.people]
    if set(keep) & set(replace):
        both = ", ".join(str(i) for i in sorted(set(keep) & set(replace)))
        raise ShotError(f"Person {both} is to be kept and replaced.", "Choose one of the two.")
    if replace and not keep:
        keep = [i for i in everybody if i not in replace]
    replace = list(replace) or [i for i in everybody if i not in keep]
    camera = scene_take.part(take_collection, "camera")
    if camera is None:
        raise ShotError("The take's camera was deleted.", "Load the take again.")
    mattes = plate.write_mattes(take, keep) if keep else None
    warnings = []
    scene = bpy.data.scenes.new(name or f"{take_collection.name} 2D Transfer")
    scene_take.match(scene, take, start)
    render.set_engine(scene, engine, samples)
    render.keep_colours(scene)
    scene.render.film_transparent = True
    scene.collection.objects.link(camera)
    scene.camera = camera
    if characters is None:
        characters, stand_in = scene_characters.gather(source, take_collection, replace, f"{scene.name} Characters")
        if stand_in:
            warnings.append("There is no animated character yet, so the solved bodies stand in.")
    scene.collection.children.link(characters)
    stage.add_light(scene, f"{scene.name} Sun", 2.0, 0.4)  # Standard clips what AgX would roll off
    if engine == "CYCLES":
        _shadow_catcher(scene, take_collection)
    else:
        warnings.append("Shadows on the film need Cycles.")
    _compose(scene, take, start, mattes, warnings)
    return Transfer(scene, warnings)


def _shadow_catcher(scene, take_collection):
    ground = scene_take.part(take_collection, "ground")
    if ground is None:
        return
    catcher = bpy.data.objects.new(f"{scene.name} Shadows", ground.data)
    scene.collection.objects.link(catcher)
    catcher.parent = ground.parent
    catcher.is_shadow_catcher = True


def _compose(scene, take, start, mattes, warnings):
    tree, output = compat.compositor_tree(scene)
    scene.render.use_compositing = True
    layers = tree.nodes.new("CompositorNodeRLayers")
    layers.scene = scene
    film = _film_socket(tree, take, start)
    clean = plate.load_sequence(take.folder / "plate", f"{take.folder.name} Clean Plate")
    if clean is not None:
        background = compat.scale_to_render(tree, plate.sequence_node(tree, clean, start).outputs[0])
    elif film is not None:
        background = film
        warnings.append("The take has no clean plate: the people of the film still show behind the render.")
    else:
        raise ShotError(
            "Neither the clean plate nor the film was found.", "Put the film back, or extract with Clean Plate."
        )
    picture = compat.alpha_over(tree, background, layers.outputs["Image"])
    if mattes is not None:
        if film is None:
            warnings.append("The film was not found, so nobody can be kept in front.")
        else:
            sequence = plate.load_sequence(mattes, f"{take.folder.name} Kept People", "Non-Color")
            matte = compat.scale_to_render(tree, plate.sequence_node(tree, sequence, start).outputs[0])
            picture = compat.alpha_over(tree, picture, film, matte)
    tree.links.new(picture, output.inputs[0])
    for column, node in enumerate(tree.nodes):
        node.location = (column % 4 * 220, column // 4 * -320)


def _film_socket(tree, take, start):
    clip = plate.load_clip(take, start)
    if clip is None:
        return None
    node = tree.nodes.new("CompositorNodeMovieClip")
    node.clip = clip
    return compat.scale_to_render(tree, node.outputs["Image"])
