"""Every difference between Blender 4.2 and 5.x, and nothing else. Branches ask what is there where they can."""

from __future__ import annotations

import bpy

# Options of path properties that take `//`: 4.5 and later want to be told, earlier ones do not know the word.
PATH = {"PATH_SUPPORTS_BLEND_RELATIVE"} if bpy.app.version >= (4, 5) else set()


# -- actions: curves lie on the action until 4.3, in the channel bag of a slot since 4.4


def new_curves(datablock, name: str):
    """A new action on an ID, bound to it. Returns the action, and a function (path, index, group) that makes a curve."""
    action = bpy.data.actions.new(name)
    animation = datablock.animation_data_create()
    animation.action = action
    if hasattr(action, "slots"):
        slot = action.slots.new(id_type=datablock.id_type, name=datablock.name)
        animation.action_slot = slot
        owner = action.layers.new("Layer").strips.new(type="KEYFRAME").channelbag(slot, ensure=True)
    else:
        owner = action

    def make(path, index, group=""):
        curve = owner.fcurves.new(path, index=index)
        if group:
            curve.group = owner.groups.get(group) or owner.groups.new(group)
        return curve

    return action, make


def curves_of(datablock) -> list:
    """The curves that now move an ID."""
    animation = datablock.animation_data
    if animation is None or animation.action is None:
        return []
    action = animation.action
    if not hasattr(action, "slots"):
        return list(action.fcurves)
    if animation.action_slot is None:
        return []
    return [
        curve
        for layer in action.layers
        for strip in layer.strips
        for bag in (strip.channelbag(animation.action_slot),)
        if bag is not None
        for curve in bag.fcurves
    ]


def stash(datablock) -> None:
    """Put the action that now moves an ID onto a muted NLA track, from where the artist can take it up again."""
    animation = datablock.animation_data
    if animation is None or animation.action is None or animation.use_tweak_mode:
        return
    action, slot = animation.action, getattr(animation, "action_slot", None)
    animation.action = None
    if any(strip.action == action for track in animation.nla_tracks for strip in track.strips):
        return
    track = animation.nla_tracks.new()
    track.name = action.name
    track.mute = True
    strip = track.strips.new(action.name, int(action.frame_range[0]), action)
    if slot is not None:
        strip.action_slot = slot


# -- compositor


def _node_groups() -> bool:
    """Whether compositing is a node group that shares its nodes with shaders, as since 5.0."""
    return "compositing_node_group" in bpy.types.Scene.bl_rna.properties


def compositor_tree(scene):
    """The node tree that composes a new scene, empty, and its output node."""
    if hasattr(scene, "compositing_node_group"):
        tree = bpy.data.node_groups.new(scene.name, "CompositorNodeTree")
        tree.interface.new_socket(name="Image", in_out="OUTPUT", socket_type="NodeSocketColor")
        scene.compositing_node_group = tree
        output = tree.nodes.new("NodeGroupOutput")
    else:
        scene.use_nodes = True
        tree = scene.node_tree
        tree.nodes.clear()
        output = tree.nodes.new("CompositorNodeComposite")
    if hasattr(scene.render, "compositor_device"):
        scene.render.compositor_device = "CPU"  # 5.2 asks for a GPU, which a render farm may lack
    return tree, output


def composited_tree(scene):
    """The node tree of a scene's compositor, or None."""
    if hasattr(scene, "compositing_node_group"):
        return scene.compositing_node_group
    return scene.node_tree if scene.use_nodes else None


def alpha_over(tree, background, foreground, factor=None):
    """Node that lays one socket over another; factor is a socket or None for all of it. Returns its output socket."""
    node = tree.nodes.new("CompositorNodeAlphaOver")
    named = "Background" in node.inputs
    back, front, amount = ("Background", "Foreground", "Factor") if named else (1, 2, 0)
    tree.links.new(background, node.inputs[back])
    tree.links.new(foreground, node.inputs[front])
    if factor is None:
        node.inputs[amount].default_value = 1.0
    else:
        tree.links.new(factor, node.inputs[amount])
    return node.outputs[0]


def scale_to_render(tree, source):
    """Node that brings a picture to the render's size. Returns its output socket."""
    node = tree.nodes.new("CompositorNodeScale")
    if hasattr(node, "space"):
        node.space = "RENDER_SIZE"
        node.frame_method = "STRETCH"
    else:
        node.inputs["Type"].default_value = "Render Size"
        node.inputs["Frame Type"].default_value = "Stretch"
    tree.links.new(source, node.inputs[0])
    return node.outputs[0]


def math(tree, operation: str, a, b):
    """Node that computes with two values; b is a socket or a number. Returns its output socket."""
    node = tree.nodes.new("ShaderNodeMath" if _node_groups() else "CompositorNodeMath")
    node.operation = operation
    for value, socket in ((a, node.inputs[0]), (b, node.inputs[1])):
        if isinstance(value, bpy.types.NodeSocket):
            tree.links.new(value, socket)
        else:
            socket.default_value = value
    return node.outputs[0]


def multiply_colour(tree, picture, by):
    """Node that multiplies the colours of a picture, not its alpha, by another. Returns its output socket."""
    if _node_groups():
        node = tree.nodes.new("ShaderNodeMix")
        node.data_type, node.blend_type = "RGBA", "MULTIPLY"
        factor, a, b = (next(i for i in node.inputs if i.identifier == n) for n in ("Factor_Float", "A_Color", "B_Color"))
        out = next(o for o in node.outputs if o.identifier == "Result_Color")
    else:
        node = tree.nodes.new("CompositorNodeMixRGB")
        node.blend_type = "MULTIPLY"
        factor, a, b = node.inputs
        out = node.outputs[0]
    factor.default_value = 1.0
    tree.links.new(picture, a)
    tree.links.new(by, b)
    return out


def plain(tree, colour):
    """Node of one colour (4,), linear. Returns its output socket."""
    node = tree.nodes.new("CompositorNodeRGB")
    node.outputs[0].default_value = colour
    return node.outputs[0]


def blur(tree, picture, pixels: float, scene):
    """Gaussian blur node that reaches `pixels` of the full picture far, and less in a smaller render of the scene. Returns its output socket."""
    node = tree.nodes.new("CompositorNodeBlur")
    if hasattr(node, "size_x"):
        node.filter_type = "GAUSS"
        node.inputs["Size"].default_value = 1.0
        curves = [node.driver_add(key) for key in ("size_x", "size_y")]
    else:
        node.inputs["Type"].default_value = "Gaussian"
        curves = node.inputs["Size"].driver_add("default_value")
    for curve in curves:
        share = curve.driver.variables.new()
        share.name = "share"
        share.targets[0].id_type, share.targets[0].id = "SCENE", scene
        share.targets[0].data_path = "render.resolution_percentage"
        curve.driver.expression = f"{pixels:.4f} * share / 100"
    tree.links.new(picture, node.inputs["Image"])
    return node.outputs[0]


def least_around(tree, values, pixels: int):
    """Node that gives each pixel the least value within `pixels`. Returns its output socket."""
    node = tree.nodes.new("CompositorNodeDilateErode")
    if hasattr(node, "distance"):
        node.mode, node.distance = "STEP", -pixels
    else:
        node.inputs["Type"].default_value = "Steps"
        node.inputs["Size"].default_value = -pixels
    tree.links.new(values, node.inputs["Mask"] if "Mask" in node.inputs else node.inputs[0])
    return node.outputs[0]


def sound_strip(scene, path: str, frame: int):
    """The sound of a movie in a scene's sequencer, its first picture at `frame`; None where the movie has none."""
    editor = scene.sequence_editor_create()
    strips = editor.strips if hasattr(editor, "strips") else editor.sequences
    try:
        return strips.new_sound("Film Sound", path, 1, frame)
    except RuntimeError:
        return None


# -- rendering


def eevee() -> str:
    """Engine id of EEVEE."""
    engines = bpy.types.RenderSettings.bl_rna.properties["engine"].enum_items.keys()
    return "BLENDER_EEVEE_NEXT" if "BLENDER_EEVEE_NEXT" in engines else "BLENDER_EEVEE"


def shadows_in_eevee(scene) -> None:
    """Switch EEVEE's shadows on, which a scene that a script makes in 4.2 has off."""
    if hasattr(scene.eevee, "use_shadows"):
        scene.eevee.use_shadows = True


def can_denoise() -> bool:
    """Whether this Blender was built with OpenImageDenoise; some distributions' are not, and fail or stay noisy."""
    try:
        import _cycles
    except ImportError:
        return False
    return bool(getattr(_cycles, "with_openimagedenoise", False))


def set_output_movie(scene) -> None:
    """H.264 in an mp4."""
    settings = scene.render.image_settings
    if hasattr(settings, "media_type"):
        settings.media_type = "VIDEO"
    settings.file_format = "FFMPEG"
    scene.render.ffmpeg.format = "MPEG4"
    scene.render.ffmpeg.codec = "H264"
    scene.render.ffmpeg.constant_rate_factor = "HIGH"
    scene.render.ffmpeg.gopsize = 12
    scene.render.ffmpeg.audio_codec = "AAC" if scene.sequence_editor else "NONE"


def set_output_layers(scene) -> None:
    """Half-float multi-layer EXR, lossless."""
    settings = scene.render.image_settings
    if hasattr(settings, "media_type"):
        settings.media_type = "MULTI_LAYER_IMAGE"
    settings.file_format = "OPEN_EXR_MULTILAYER"
    settings.color_depth, settings.exr_codec = "16", "ZIP"


def set_output_picture(scene, alpha=False) -> None:
    """8-bit PNG."""
    settings = scene.render.image_settings
    if hasattr(settings, "media_type"):
        settings.media_type = "IMAGE"
    settings.file_format = "PNG"
    settings.color_mode = "RGBA" if alpha else "RGB"


def use_nodes(datablock) -> None:
    """Switch a material or world to nodes, which 5.0 and later always are."""
    if bpy.app.version < (5, 0):
        datablock.use_nodes = True


def operator_properties(group: str, name: str) -> set[str] | None:
    """What an operator of Blender takes; None where this Blender, or an add-on that is switched off, does not have it."""
    if name not in dir(getattr(bpy.ops, group)):
        return None
    return set(getattr(getattr(bpy.ops, group), name).get_rna_type().properties.keys())


# -- sequencer


def strips(scene) -> list:
    """All strips of a scene's sequencer, those inside meta strips too."""
    editor = scene.sequence_editor
    if editor is None:
        return []
    return list(editor.strips_all if hasattr(editor, "strips_all") else editor.sequences_all)
