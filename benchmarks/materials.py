"""Blender materials for shots: plain diffuse surfaces, much faster in Cycles than the principled shader."""

from __future__ import annotations

import bpy
import numpy as np

from .people import MATERIALS


def surface(name, gloss=0.0, roughness=0.4):
    """An empty diffuse material with a thin gloss. Returns (material, node tree, diffuse node)."""
    material = bpy.data.materials.new(name)
    material.use_nodes = True
    tree = material.node_tree
    tree.nodes.clear()
    out, diffuse = tree.nodes.new("ShaderNodeOutputMaterial"), tree.nodes.new("ShaderNodeBsdfDiffuse")
    end = diffuse.outputs[0]
    if gloss:
        glossy, mix = tree.nodes.new("ShaderNodeBsdfGlossy"), tree.nodes.new("ShaderNodeMixShader")
        glossy.inputs["Roughness"].default_value, mix.inputs[0].default_value = roughness, gloss
        tree.links.new(end, mix.inputs[1])
        tree.links.new(glossy.outputs[0], mix.inputs[2])
        end = mix.outputs[0]
    tree.links.new(end, out.inputs[0])
    return material, tree, diffuse


def pictured(name, picture, gloss=0.0):
    """A material that shows `picture` (N, N, 3) uint8 by UV, mirrored where it ends so that it never repeats side by side."""
    image = bpy.data.images.new(name, picture.shape[1], picture.shape[0])
    rgba = np.ones(picture.shape[:2] + (4,), np.float32)
    rgba[..., :3] = picture[::-1] / 255.0
    image.pixels.foreach_set(rgba.ravel())
    image.update()
    material, tree, diffuse = surface(name, gloss)
    node = tree.nodes.new("ShaderNodeTexImage")
    node.image, node.extension = image, "MIRROR"
    tree.links.new(node.outputs["Color"], diffuse.inputs["Color"])
    return material


def _rgba(colour):
    return (*[float(np.clip(c, 0, 1)) for c in colour], 1.0)


def _mix(tree, factor, a, b):
    """Mix colours; arguments are sockets or values. Returns the output socket."""
    node = tree.nodes.new("ShaderNodeMix")
    node.data_type = "RGBA"
    for socket, value in zip([s for s in node.inputs if s.enabled], (factor, a, b)):
        if isinstance(value, bpy.types.NodeSocket):
            tree.links.new(value, socket)
        else:
            socket.default_value = _rgba(value) if np.ndim(value) else value
    return next(s for s in node.outputs if s.enabled)


def _attribute(tree, name, output):
    node = tree.nodes.new("ShaderNodeAttribute")
    node.attribute_name = name
    return node.outputs[output]


def _noise(tree, vector, scale, detail=3.0):
    node = tree.nodes.new("ShaderNodeTexNoise")
    node.inputs["Scale"].default_value, node.inputs["Detail"].default_value = scale, detail
    tree.links.new(vector, node.inputs["Vector"])
    return node.outputs[0]


def _step(tree, value, low, high):
    node = tree.nodes.new("ShaderNodeMapRange")
    node.inputs["From Min"].default_value, node.inputs["From Max"].default_value = low, high
    tree.links.new(value, node.inputs["Value"])
    return node.outputs[0]


def _wave(tree, vector, direction, scale):
    node = tree.nodes.new("ShaderNodeTexWave")
    node.bands_direction = direction
    node.inputs["Scale"].default_value, node.inputs["Distortion"].default_value = scale, 0.6
    tree.links.new(vector, node.inputs["Vector"])
    return node.outputs["Fac"]


def _pattern(tree, vector, colour, spec):
    """Stripes, checks or a print over a cloth colour."""
    accent, kind = np.array(spec["accent"]), spec.get("pattern")
    if kind in ("stripes", "checks"):
        colour = _mix(
            tree, _step(tree, _wave(tree, vector, "Z", 7.0 if kind == "stripes" else 5.0), 0.55, 0.62), colour, accent
        )
    if kind == "checks":
        colour = _mix(tree, _step(tree, _wave(tree, vector, "X", 5.0), 0.55, 0.62), colour, accent * 0.6)
    if kind == "print":
        node = tree.nodes.new("ShaderNodeTexVoronoi")
        node.inputs["Scale"].default_value = 16
        tree.links.new(vector, node.inputs["Vector"])
        colour = _mix(tree, _step(tree, node.outputs["Distance"], 0.34, 0.28), colour, accent)
    return colour


def for_person(name, spec):
    """Materials in the order of people.MATERIALS. Patterns live in rest coordinates, so they move with the body."""
    out = []
    gloss = {
        "skin": (0.035, 0.45),
        "hair": (0.02, 0.55),
        "shoes": (0.05, 0.35),
        "eye": (0.06, 0.15),
        "iris": (0.08, 0.1),
    }
    for label in MATERIALS:
        material, tree, diffuse = surface(f"{name}_{label}", *gloss.get(label, (0.0, 0.4)))
        out.append(material)
        rest = _attribute(tree, "rest", "Vector")
        colour = np.array({"eye": (0.8, 0.78, 0.75), "iris": (0.05, 0.03, 0.02)}.get(label, spec.get(label)))
        shade = _mix(
            tree, _noise(tree, rest, {"skin": 35, "hair": 60, "shoes": 40}.get(label, 9)), colour * 0.72, colour * 1.22
        )
        if label == "skin":
            shade = _mix(tree, _attribute(tree, "lips", "Fac"), shade, colour * [0.78, 0.45, 0.45])
            shade = _mix(tree, _attribute(tree, "brow", "Fac"), shade, np.array(spec["hair"]) * 0.8)
        if label == "shirt":
            shade = _pattern(tree, rest, shade, spec)
        tree.links.new(shade, diffuse.inputs["Color"])
        if label in ("shirt", "trousers", "hair"):  # folds and strands
            bump = tree.nodes.new("ShaderNodeBump")
            bump.inputs["Strength"].default_value, bump.inputs["Distance"].default_value = 0.55, 0.04
            tree.links.new(_noise(tree, rest, {"shirt": 6, "trousers": 9, "hair": 45}[label]), bump.inputs["Height"])
            tree.links.new(bump.outputs[0], diffuse.inputs["Normal"])
    return out
