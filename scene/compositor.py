"""2D transfer: the film without the people who are replaced, the render over it, kept people in front where they are nearer."""

from __future__ import annotations

from dataclasses import dataclass, field

import bpy

from .. import compat
from ..solver.protocol import ShotError
from . import characters as scene_characters
from . import light, plate, render, stairs
from . import take as scene_take

KEPT_LAYER = "Kept People"
SHADE_LAYER = "Shadows on the Film"
NEAR_M = 0.15  # two bodies no further apart: which is in front is the film's to say, as solved depths are not so exact
REACH = 0.02  # of the width: cloth and hair this far from a kept body have its depth
GRAIN_LEAST = 0.7  # grey levels; less grain than this is no grain
GRAIN_GREY = 110.0  # the grey at which film's grain was measured, about the middle


@dataclass
class Transfer:
    """A new scene and what the artist should know about it."""

    scene: object
    warnings: list = field(default_factory=list)


def build(
    source, take_collection, replace=(), keep=(), characters=None, engine="CYCLES", samples=64, name="", film_light=1.0, motion_blur=False
) -> Transfer:
    """A new scene that shows the film with people replaced.

    source:      the scene with the characters.
    replace:     ids of the people to replace; () is everybody not kept.
    keep:        ids of the people who stay in the film; () is everybody not replaced, if some are.
    characters:  collection to render; None gathers every animated rig, and without one the take's own bodies.
    film_light:  0..1, how far the new light follows the film's.
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
    files = _Files(take, start, replace, keep)
    warnings = list(files.warnings)
    scene = bpy.data.scenes.new(name or f"{take_collection.name} 2D Transfer")
    scene_take.match(scene, take, start)
    scene.frame_current = source.frame_current
    render.set_engine(scene, engine, samples)
    render.keep_colours(scene)
    scene.render.film_transparent = True
    scene.render.use_motion_blur = motion_blur
    scene.collection.objects.link(camera)
    scene.camera = camera
    if characters is None:
        characters, stand_in = scene_characters.gather(source, take_collection, replace, f"{scene.name} Characters")
        if stand_in:
            warnings.append("There is no animated character yet, so the solved bodies stand in.")
    scene.collection.children.link(characters)
    lit = light.add_film_light(scene, take, scene_take.part(take_collection, "world"), film_light)
    surfaces = _surfaces(scene, take, take_collection, engine, lit, keep)
    if engine == "WORKBENCH":
        warnings.append("Shadows on the film need Cycles or EEVEE.")
    elif lit.warning:
        warnings.append(lit.warning)
    if keep:
        _kept_layer(scene, take_collection, keep, (characters, surfaces))
    if engine == "EEVEE":
        _shade_layer(scene, characters, surfaces)
    _compose(scene, take, files, lit.blacks)
    if files.sound is not None:
        compat.sound_strip(scene, files.sound, start - (0 if take.conformed else take.source_start))
    return Transfer(scene, warnings)


class _Files:
    """The pictures on disk that a transfer needs. Raises ShotError where there is nothing to show."""

    def __init__(self, take, start, replace, keep):
        self.warnings = []
        self.start = start
        self.film = plate.load_clip(take, start)
        self.clean = plate.load_sequence(take.folder / "plate", f"{take.folder.name} Clean Plate")
        if self.clean is None and self.film is None:
            raise ShotError("Neither the clean plate nor the film was found.", "Put the film back, or extract with Clean Plate.")
        if self.clean is None:
            self.warnings.append("The take has no clean plate: the people of the film still show behind the render.")
        self.erased = self.kept = None
        if keep and self.film is None:
            self.warnings.append("The film was not found, so nobody can be kept in front.")
        elif keep:
            self.erased = self._matte(take, replace, "erased", "Erased People")
            self.kept = self._matte(take, keep, "seen", "Kept People")
        facts = light.measured(take) or {}
        levels = facts.get("grain", 0.0)
        self.grain = None
        if levels >= GRAIN_LEAST:
            self.grain = plate.load_sequence(plate.write_grain(take, levels), f"{take.folder.name} Grain", "Non-Color")
            # a grey level is 2.2 times as large a part of the light; one deviation is 32 of 255 in the pictures
            self.grain_gain = 2.2 * levels / GRAIN_GREY * 255 / 32
        self.blur_px = 3 * facts.get("softness_px", 0.0) * take.render_size[0] / take.width
        source = plate.source_file(take)
        self.sound = str(source) if source is not None and self.film is not None and self.film.source == "MOVIE" else None

    def _matte(self, take, ids, kind, title):
        return plate.load_sequence(plate.write_mattes(take, ids, kind), f"{take.folder.name} {title}", "Non-Color")


def _surfaces(scene, take, take_collection, engine, lit, keep):
    """What shadows fall on, in a collection of its own: the ground, walls that the plate knows, the bodies of those who are kept.

    For Cycles they are shadow catchers. For EEVEE they are as bright as the light that is left on them, for the view layer that `_shade_layer` makes.
    """
    collection = bpy.data.collections.new(f"{scene.name} Shadows")
    scene.collection.children.link(collection)
    ground = scene_take.part(take_collection, "ground")
    if engine == "WORKBENCH":
        return collection
    found = []
    if ground is not None:
        found.append(bpy.data.objects.new(f"{scene.name} Shadows", ground.data.copy()))  # the take's own ground keeps its looks
        found[0].parent = ground.parent
        found += light.add_walls(scene, take, ground.parent)
        if (steps := stairs.add_steps(take, f"{scene.name} Steps", ground.parent, down=False)) is not None:
            found.append(steps)
        if engine == "EEVEE":
            light.add_bounce(scene, lit)
    material = light.catcher_material(scene, lit) if engine == "CYCLES" else light.shade_material(scene, lit)
    for item in found:
        item.data.materials.append(material)
    for body in (scene_take.part(take_collection, "body", person) for person in keep):
        if body is not None:
            copy = body.copy()
            copy.name = f"{scene.name} Shaded {body[scene_take.PERSON_KEY]}"
            for slot in copy.material_slots:
                slot.link, slot.material = "OBJECT", None if engine == "CYCLES" else material
            found.append(copy)
    for item in found:
        collection.objects.link(item)
        item.display_type = "WIRE"  # else it hides the film in the viewport
        if engine == "CYCLES":
            _catch_shadows(scene, item)
        else:
            item.visible_shadow = False  # their own shadows are in the film
    return collection


def _catch_shadows(scene, item):
    """Let Cycles write what shadows leave of the light on an object, R, G and B; the picture itself has none then."""
    item.is_shadow_catcher = True
    scene.view_layers[0].cycles.use_pass_shadow_catcher = True


def _kept_layer(scene, take_collection, keep, others):
    """A view layer that has the solved bodies of those who are kept, for their depth alone."""
    collection = bpy.data.collections.new(f"{scene.name} Kept Bodies")
    for person in keep:
        for role in ("person", "body"):
            item = scene_take.part(take_collection, role, person)
            if item is not None and item.name not in collection.objects:
                collection.objects.link(item)
    scene.collection.children.link(collection)
    main, kept = scene.view_layers[0], scene.view_layers.new(KEPT_LAYER)
    for layer in (main, kept):  # of a scene that was never shown, 5.2 has not made it yet
        layer.update()
    main.layer_collection.children[collection.name].exclude = True
    for other in others:
        kept.layer_collection.children[other.name].exclude = True
    main.use_pass_z = kept.use_pass_z = True
    kept.samples = 1
    if hasattr(kept, "cycles"):
        kept.cycles.use_denoising = False


def _shade_layer(scene, characters, surfaces):
    """For EEVEE: a view layer of what shadows fall on, in which the characters are holes."""
    shade = scene.view_layers.new(SHADE_LAYER)
    for layer in scene.view_layers:
        layer.update()
        layer.layer_collection.children[surfaces.name].exclude = layer != shade
    for other in scene.collection.children:
        if other not in (characters, surfaces):
            shade.layer_collection.children[other.name].exclude = True
    shade.layer_collection.children[characters.name].holdout = True


def _compose(scene, take, files, blacks):
    tree, output = compat.compositor_tree(scene)
    scene.render.use_compositing = True
    sheet = _Sheet(tree)

    with sheet.frame("1  Film without the replaced people"):
        film = None
        if files.film is not None and (files.clean is None or files.erased is not None):
            node = tree.nodes.new("CompositorNodeMovieClip")
            node.clip = files.film
            film = compat.scale_to_render(tree, node.outputs["Image"])
        background = film
        if files.clean is not None:
            background = sheet.sequence(files.clean, files.start)
            if files.erased is not None:
                background = compat.alpha_over(tree, film, background, sheet.sequence(files.erased, files.start))
    with sheet.frame("2  Characters and their shadows"):
        layers = tree.nodes.new("CompositorNodeRLayers")
        layers.scene = scene
        layers.layer = scene.view_layers[0].name
        picture = layers.outputs["Image"]
        shadows = None
        if SHADE_LAYER in scene.view_layers:
            shade = tree.nodes.new("CompositorNodeRLayers")
            shade.scene, shade.layer = scene, SHADE_LAYER
            shadows = compat.alpha_over(tree, compat.plain(tree, (1.0, 1.0, 1.0, 1.0)), shade.outputs["Image"])
        elif scene.view_layers[0].cycles.use_pass_shadow_catcher:
            shadows = layers.outputs["Shadow Catcher"]
        if shadows is not None:
            if files.blur_px >= 0.5:
                shadows = compat.blur(tree, shadows, files.blur_px, scene)
            background = compat.multiply_colour(tree, background, shadows)
    if files.blur_px >= 0.5 or files.grain is not None or blacks > 0:
        with sheet.frame("3  Blacks, blur and grain of the film"):
            if blacks > 0:
                square = compat.math(tree, "MULTIPLY", picture, picture)
                toe = compat.math(tree, "ADD", square, blacks**2)
                toe.node.label = "How far blacks sink"
                picture = compat.multiply_colour(tree, picture, compat.math(tree, "DIVIDE", square, toe))
            if files.blur_px >= 0.5:
                picture = compat.blur(tree, picture, files.blur_px, scene)
            if files.grain is not None:
                grain = compat.math(tree, "SUBTRACT", sheet.sequence(files.grain, files.start, cyclic=True), 128 / 255)
                gain = compat.math(tree, "MULTIPLY", grain, files.grain_gain)
                gain.node.label = "Amount of grain"
                picture = compat.multiply_colour(tree, picture, compat.math(tree, "ADD", gain, 1.0))
    behind = None
    if files.kept is not None:
        with sheet.frame("4  Kept people in front where they are nearer"):
            bodies = tree.nodes.new("CompositorNodeRLayers")
            bodies.scene = scene
            bodies.layer = KEPT_LAYER
            theirs = compat.least_around(tree, bodies.outputs["Depth"], max(2, round(REACH * take.render_size[0])))
            ours = compat.least_around(tree, layers.outputs["Depth"], 1)  # an outline belongs to what is in front
            nearer = compat.math(tree, "LESS_THAN", compat.math(tree, "SUBTRACT", theirs, NEAR_M), ours)
            front = compat.math(tree, "MULTIPLY", nearer, sheet.sequence(files.kept, files.start))
            behind = compat.math(tree, "SUBTRACT", 1.0, front)
    with sheet.frame("5  Together"):
        tree.links.new(compat.alpha_over(tree, background, picture, behind), output.inputs[0])
        output.name = "Result"
    sheet.arrange()


class _Sheet:
    """Nodes in labelled frames, one under the other, that an artist can read."""

    def __init__(self, tree):
        self.tree, self.frames = tree, []

    def frame(self, label):
        return _Frame(self, label)

    def sequence(self, sequence, start, cyclic=False):
        node = plate.sequence_node(self.tree, sequence, start, cyclic)
        node.label = sequence[0].name
        return compat.scale_to_render(self.tree, node.outputs[0])

    def arrange(self):
        for row, (frame, nodes) in enumerate(self.frames):
            for column, node in enumerate(nodes):
                node.location = (column * 230, -row * 420)
                node.parent = frame
        output = next(n for n in self.tree.nodes if n.name == "Result")
        output.location = (800, -420 * (len(self.frames) - 1))


class _Frame:
    def __init__(self, sheet, label):
        self.sheet, self.label = sheet, label

    def __enter__(self):
        self.before = set(self.sheet.tree.nodes)

    def __exit__(self, *error):
        made = [n for n in self.sheet.tree.nodes if n not in self.before]
        frame = self.sheet.tree.nodes.new("NodeFrame")
        frame.label = frame.name = self.label
        self.sheet.frames.append((frame, made))
