"""A take's camera and people as files for other programs.

NPZ is the take as it was solved. Everything else is what stands in the scene: placed by the take's empty, with what an
artist changed on its camera and its armatures, over the take's frames and at the film's rate.
"""

from __future__ import annotations

import os
import shutil
import tempfile
from contextlib import contextmanager
from pathlib import Path

import bpy
import numpy as np

from .. import compat
from ..solver.chan import write_chan
from ..solver.frames import camera_from_blender
from ..solver.protocol import ShotError
from ..solver.take import Take
from . import take as scene_take
from .bvh import write_bvh

# format → ending of the file
ENDINGS = {"NPZ": ".npz", "BVH": ".bvh", "FBX": ".fbx", "GLTF": ".glb", "USD": ".usdc", "ABC": ".abc", "CHAN": ".chan"}
# format → (group of operators, operator, options), of Blender's own exporters. Options that a version does not know are left out.
_EXPORTERS = {
    "FBX": (
        "export_scene",
        "fbx",
        {
            "object_types": {"ARMATURE", "CAMERA", "EMPTY", "MESH"},
            "add_leaf_bones": False,
            "bake_anim_use_nla_strips": False,
            "bake_anim_use_all_actions": False,
            "bake_anim_simplify_factor": 0.0,
        },
    ),
    "GLTF": (
        "export_scene",
        "gltf",
        {
            "export_format": "GLB",
            "use_active_scene": True,
            "export_cameras": True,
            "export_animation_mode": "SCENE",
            "export_anim_scene_split_object": False,
            "export_frame_range": True,
            "export_optimize_animation_size": False,
        },
    ),
    "USD": ("wm", "usd_export", {"export_animation": True, "visible_objects_only": False}),
    "ABC": ("wm", "alembic_export", {"visible_objects_only": False}),
}

# What `take.match` sets in a scene, or in its render settings.
_MATCHED = (
    "frame_start", "frame_end", "fps", "fps_base", "resolution_x", "resolution_y", "resolution_percentage", "pixel_aspect_x",
    "pixel_aspect_y",
)  # fmt: skip


def export(context, collection, kind: str, path: Path) -> tuple[list[Path], list[str]]:
    """Write a take to files. Returns them, and warnings. Raises ShotError, and then leaves no file.

    kind:  a key of ENDINGS.
    path:  the file; where every person needs one (NPZ, BVH), `name_person_01` and so on are put beside it.
    """
    path = with_ending(path, kind)
    if not path.parent.is_dir():
        raise ShotError(f"The folder {path.parent} was not found.", "Choose another folder for the export.")
    if path.is_dir():
        raise ShotError(f"{path} is a folder.", "Choose a name for the file.")
    take = scene_take.data_of(collection)
    try:
        with tempfile.TemporaryDirectory(prefix=".reshoot-", dir=path.parent) as folder:
            beside = Path(folder) / path.name
            if kind == "NPZ":
                _npz(Take(take.folder), take, beside)
            else:
                with _alone(context, collection, take) as (alone, parts):
                    _WRITERS.get(kind, _by_blender)(context, alone, parts, take, beside, kind)
            made = sorted(p for p in beside.parent.iterdir() if p.is_file())
            if not made:
                raise ShotError(f"Nothing was written to {path}.", "Choose another format.")
            for file in made:
                os.replace(file, path.parent / file.name)
    except OSError as error:
        raise ShotError(
            f"{path} cannot be written ({error.strerror or error}).", "Choose another folder for the export."
        ) from error
    return [path.parent / file.name for file in made], _lost(kind, take)


def with_ending(path, kind: str) -> Path:
    """A path with the ending of a format, in place of that of another format if it has one."""
    path = Path(path)
    known = path.suffix.lower() in ENDINGS.values()
    return path.with_name((path.stem if known else path.name) + ENDINGS[kind])


@contextmanager
def _alone(context, collection, take):
    """The take's camera and people in a collection of their own in the scene, whose time is the film's. All is put back."""
    scene = context.scene
    roles = ("world", "camera", "person", "body")
    parts = {role: [o for o in collection.all_objects if o.get(scene_take.ROLE_KEY) == role] for role in roles}
    if not parts["camera"]:
        raise ShotError("The take's camera was deleted.", "Load the take again.")
    kept = [
        (owner, name, getattr(owner, name))
        for owner in (scene, scene.render)
        for name in _MATCHED
        if hasattr(owner, name)
    ]
    now, fraction = scene.frame_current, scene.frame_subframe
    alone = bpy.data.collections.new("Reshoot Export")
    scene.collection.children.link(alone)
    # A body is hidden where its person is not in the film; exporters would pass over what is hidden when they look.
    items = [item for role in roles for item in parts[role]]
    muted = [c for body in parts["body"] for c in compat.curves_of(body) if not c.mute]
    hidden = [(item, name, getattr(item, name)) for item in items for name in ("hide_viewport", "hide_render")]
    try:
        for item in items:
            alone.objects.link(item)
        scene_take.match(scene, take, int(collection[scene_take.START_KEY]))
        for curve in muted:
            curve.mute = True
        for item, name, _ in hidden:
            setattr(item, name, False)
        scene.frame_set(scene.frame_start)
        yield alone, parts
    finally:
        bpy.data.collections.remove(alone)
        for curve in muted:
            curve.mute = False
        for owner, name, value in (*hidden, *kept):
            setattr(owner, name, value)
        scene.frame_set(now, subframe=fraction)


def _lost(kind: str, take) -> list[str]:
    """What of the lens a format cannot hold, in words."""
    zoom = np.ptp(take.K[:, 0, 0]) > 1e-3 * take.K[0, 0, 0]
    off = np.abs(take.K[:, :2, 2] - [take.width / 2, take.height / 2]).max() > 0.5
    lost = []
    if kind == "GLTF" and zoom:
        lost.append("glTF holds one focal length: the zoom of this camera is left out.")
    if kind in ("GLTF", "CHAN") and off:
        lost.append("This format looks through the middle of the picture: the shift of the lens is left out.")
    return lost


def _npz(folder: Take, take, path) -> None:
    """The take's own files: people in AMASS's layout, and the camera."""
    shutil.copyfile(folder.folder / "camera.npz", path.with_name(f"{path.stem}_camera.npz"))
    for person in take.people:
        shutil.copyfile(folder.person(person.id), path.with_name(f"{path.stem}_person_{person.id:02d}.npz"))


def _chan(context, alone, parts, take, path, kind) -> None:
    scene, camera = context.scene, parts["camera"][0]
    side = max(take.width, take.height)
    matrices, K = [], np.zeros((take.frames, 3, 3))
    for index in range(take.frames):
        scene.frame_set(scene.frame_start + index)
        matrices.append(np.array(camera.matrix_world.normalized(), float))
        K[index, 0, 0] = K[index, 1, 1] = camera.data.lens / camera.data.sensor_width * side
    write_chan(path, camera_from_blender(np.stack(matrices)), K, take.height, scene.frame_start)


def _bvh(context, alone, parts, take, path, kind) -> None:
    if not parts["person"]:
        raise ShotError("There is nobody in this take.", "Export its camera in another format.")
    scene = context.scene
    figures = {armature: ([], []) for armature in parts["person"]}
    for frame in range(scene.frame_start, scene.frame_end + 1):
        scene.frame_set(frame)
        for armature, (turns, places) in figures.items():
            placed = np.array(armature.matrix_world.normalized(), float)[:3, :3]
            bones = armature.pose.bones
            turns.append(
                [placed @ np.array(b.matrix.to_3x3() @ b.bone.matrix_local.to_3x3().inverted()) for b in bones]
            )
            places.append(np.array(armature.matrix_world @ bones[0].head))
    for armature, (turns, places) in figures.items():
        bones = list(armature.data.bones)
        index = {bone.name: i for i, bone in enumerate(bones)}
        size = armature.matrix_world.median_scale
        write_bvh(
            path.with_name(f"{path.stem}_person_{armature[scene_take.PERSON_KEY]:02d}.bvh"),
            [bone.name for bone in bones],
            [index[bone.parent.name] if bone.parent else -1 for bone in bones],
            size * np.array([bone.head_local for bone in bones]),
            size * np.array([bone.tail_local for bone in bones]),
            np.array(turns),
            np.array(places),
            float(1 / take.fps),
        )


def _by_blender(context, alone, parts, take, path, kind) -> None:
    group, name, options = _EXPORTERS[kind]
    known = compat.operator_properties(group, name)
    if known is None:
        raise ShotError(
            f"This Blender cannot write {path.suffix} files.",
            "Switch its exporter on in Blender's preferences, or choose another format.",
        )
    scene = context.scene
    options = {**options, "start": scene.frame_start, "end": scene.frame_end}
    options = {option: value for option, value in options.items() if option in known}
    try:
        done = getattr(getattr(bpy.ops, group), name)(
            filepath=str(path), check_existing=False, collection=alone.name, **options
        )
    except RuntimeError as error:
        last = (str(error).strip().splitlines() or ["no reason given"])[-1]
        raise ShotError(f"Blender's exporter failed: {last}", "Choose another format.") from error
    if done != {"FINISHED"}:
        raise ShotError("Blender's exporter failed.", "Choose another format.")


_WRITERS = {"CHAN": _chan, "BVH": _bvh}
