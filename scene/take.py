"""A take in Blender: one collection with the camera, the people, the ground and the points, all under one empty."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

import bpy
import numpy as np

from ..solver.protocol import ShotError
from ..solver.take import Take
from . import camera as camera_module
from . import paths, people, plate
from .read import PersonTrack, TakeData, read_body, read_take

# Custom properties that mark what belongs to a take; plain ones, so that they stay in files opened without Reshoot.
TAKE_KEY, START_KEY, ROLE_KEY, PERSON_KEY = "reshoot_take", "reshoot_frame_start", "reshoot_role", "reshoot_person"
FILM_KEY = "reshoot_film"  # rate (two numbers), width, height and frames of the film, for the panel
FACTS_KEY = "reshoot_facts"  # on a person: first and last frame in the scene, confidence 0..1 or -1, height in metres or 0


class TakeGone(ShotError):
    """The folder of a take is not where it was."""

    button = "shot.relink_take"  # what the panel offers


@dataclass
class Loaded:
    """What load() made."""

    collection: object
    root: object
    camera: object
    armatures: dict = field(default_factory=dict)  # person id -> armature object
    bodies: dict = field(default_factory=dict)  # person id -> skinned mesh object
    warnings: list = field(default_factory=list)


def load(scene, folder, frame_start: int | None = 1, match_scene: bool = False, smpl_folder=None) -> Loaded:
    """Read a take folder into a new collection of a scene. Raises ShotError before anything is made.

    frame_start: where the first frame goes; None: where the film counts it, by the number of its picture or its timecode.
    smpl_folder: where the artist's own SMPL file is, for takes that were solved with it.
    """
    take = read_take(folder)
    frame_start = take.first_number if frame_start is None else frame_start
    warnings = list(take.warnings)
    bodies = _bodies(take, smpl_folder)
    name = Path(take.folder).resolve().name or "Take"
    collection = bpy.data.collections.new(name)
    scene.collection.children.link(collection)
    collection[TAKE_KEY] = paths.kept(take.folder)
    collection[START_KEY] = frame_start
    collection[FILM_KEY] = _film(take)
    root = _empty(f"{name} World", collection)
    cam = camera_module.new_camera(f"{name} Camera", camera_module.path_of_take(take, frame_start), collection, root)
    _mark(cam, "camera")
    loaded = Loaded(collection, root, cam, warnings=warnings)
    warnings += _put_film_behind(cam, take, frame_start)
    for person in take.people:
        _load_person(person, frame_start, loaded, bodies[person.body], name)
    _ground(take, collection, root, name)
    if len(take.points_world):
        _points(take, collection, root, name)
    if match_scene:
        match(scene, take, frame_start)
    return loaded


def renew(collection, smpl_folder=None) -> list[str]:
    """Bring a take's collection up to date with its folder. Raises ShotError before anything is changed; returns warnings.

    Its empty stays, with where it was put; the camera stays and gets a new action; everything else is made anew, and
    what pointed at a person's armature or body points at the new one.
    """
    take, frame_start = data_of(collection), int(collection[START_KEY])
    bodies = _bodies(take, smpl_folder)
    refuse_unseen(collection)
    collection[FILM_KEY] = _film(take)
    name = collection.name
    root, cam = part(collection, "world"), part(collection, "camera")
    if root is None:
        root = _empty(f"{name} World", collection)
    path = camera_module.path_of_take(take, frame_start)
    if cam is None:
        cam = camera_module.new_camera(f"{name} Camera", path, collection, root)
        _mark(cam, "camera")
    else:
        camera_module.write(cam, path, f"{name} Camera")
    old = [o for o in collection.all_objects if o.get(ROLE_KEY) in ("person", "body", "ground", "points")]
    looks = {o[PERSON_KEY]: (tuple(o.color), not o.hide_get(), o.reshoot.character) for o in old if o[ROLE_KEY] == "person"}
    for item in old:
        item.name = f"{item.name} old"  # so that the new one gets the name
    loaded = Loaded(collection, root, cam, warnings=list(take.warnings))
    for person in take.people:
        _load_person(person, frame_start, loaded, bodies[person.body], name)
    for item in old:
        made = {"person": loaded.armatures, "body": loaded.bodies}.get(item[ROLE_KEY], {}).get(item.get(PERSON_KEY))
        if made is not None:
            item.user_remap(made)
    for item in old:
        _remove(item)
    for person, armature in loaded.armatures.items():
        if person in looks:
            colour, shown, armature.reshoot.character = looks[person]
            paint(armature, colour)
            show(armature, shown)
    _ground(take, collection, root, name)
    if len(take.points_world):
        _points(take, collection, root, name)
    folder = Path(take.folder).resolve()
    for image in bpy.data.images:
        if image.filepath and folder in Path(bpy.path.abspath(image.filepath)).resolve().parents:
            image.reload()  # the plate and the masks have changed on disk
    return loaded.warnings


def relink(collection, folder) -> list[str]:
    """Say where the folder of a take is now. Raises ShotError where that is no take; returns warnings."""
    take = read_take(folder)
    old, new = paths.opened(collection[TAKE_KEY]), Path(take.folder).resolve()
    collection[TAKE_KEY] = paths.kept(new)
    for image in bpy.data.images:  # the clean plate and the mattes of a transfer
        if image.filepath and old in (path := paths.opened(image.filepath)).parents:
            image.filepath = paths.kept(new / path.relative_to(old))
    cam = part(collection, "camera")
    shown = [b.clip for b in cam.data.background_images if b.clip] if cam is not None else []
    if cam is None or any(paths.opened(clip.filepath).exists() for clip in shown):
        return []
    return _put_film_behind(cam, take, int(collection[START_KEY]))


def _put_film_behind(cam, take: TakeData, frame_start) -> list[str]:
    clip = plate.load_clip(take, frame_start)
    if clip is None:
        return [f"The film {take.source_path} was not found, so the camera has no picture behind it."]
    plate.put_behind(cam, clip)
    return []


def refuse_unseen(collection) -> None:
    """Raises ShotError where the take's collection is not in the scene and view layer that the artist works in."""
    layer = bpy.context.view_layer
    if not all(item.name in layer.objects for item in collection.all_objects):
        scene = home(collection)
        raise ShotError(
            f"{collection.name} is not in view here.",
            f"Go to the scene {scene.name if scene else ''}, switch the collection on, and try again.",
        )


def _remove(item):
    data = item.data
    bpy.data.objects.remove(item)
    if data.users == 0:
        (bpy.data.armatures if isinstance(data, bpy.types.Armature) else bpy.data.meshes).remove(data)


def _bodies(take: TakeData, smpl_folder) -> dict:
    return {kind: read_body(kind, smpl_folder) for kind in {p.body for p in take.people}}


def _load_person(person: PersonTrack, frame_start, loaded: Loaded, body, name):
    if body is None:
        loaded.warnings.append(
            f"Person {person.id} was solved with your own SMPL file: the bones are exact, but there is no skin. "
            "Set the SMPL folder in Reshoot's preferences and load the take again."
        )
    title = f"{name} Person {person.id}"
    armature, skin = people.build(person, frame_start, loaded.collection, loaded.root, body, title)
    for made, role in ((armature, "person"), (skin, "body")):
        if made is not None:
            _mark(made, role)
            made[PERSON_KEY] = person.id
    armature[FACTS_KEY] = [
        float(frame_start + person.frame[0]),
        float(frame_start + person.frame[-1]),
        -1.0 if np.isnan(person.confidence) else person.confidence,
        float(np.ptp(body.vertices(person.betas)[:, 1])) if body is not None else 0.0,
    ]
    loaded.armatures[person.id] = armature
    if skin is not None:
        loaded.bodies[person.id] = skin


def match(scene, take: TakeData, frame_start: int = 1) -> None:
    """Give a scene the size, rate and range of a take."""
    render = scene.render
    render.resolution_x, render.resolution_y = take.render_size
    render.resolution_percentage = 100
    render.pixel_aspect_x = render.pixel_aspect_y = 1.0
    fps = take.fps
    if fps.denominator == 1:
        render.fps, render.fps_base = int(fps), 1.0
    else:
        whole = max(1, round(fps))
        render.fps, render.fps_base = whole, whole / float(fps)
    scene.frame_start = frame_start
    scene.frame_end = frame_start + take.frames - 1


def _film(take: TakeData) -> list[int]:
    return [take.fps.numerator, take.fps.denominator, *take.render_size, take.frames]


def difference(collection, scene) -> str:
    """A take's film and a scene, in a line each, for the panel; empty where they are alike."""
    if FILM_KEY not in collection:
        return ""
    numerator, denominator, width, height, frames = collection[FILM_KEY]
    first, render = int(collection[START_KEY]), scene.render
    film = (numerator / denominator, width, height, first, first + frames - 1)
    size = [round(pixels * render.resolution_percentage / 100) for pixels in (render.resolution_x, render.resolution_y)]
    ours = (render.fps / render.fps_base, *size, scene.frame_start, scene.frame_end)
    if abs(film[0] - ours[0]) < 1e-3 and film[1:] == ours[1:]:
        return ""
    said = "{}: {:.5g} fps, {}×{}, frames {}–{}"
    return f"{said.format('Film', *film)}\n{said.format('Scene', *ours)}"


def take_collections() -> list:
    """Collections of this file that hold a take and are in a scene."""
    return [c for c in bpy.data.collections if TAKE_KEY in c and home(c) is not None]


def home(collection):
    """The scene that a take was loaded into, or None where the artist has taken it out."""
    for scene in bpy.data.scenes:
        if collection in scene.collection.children_recursive:
            return scene
    return None


def part(collection, role: str, person: int | None = None):
    """The object of a take's collection with a role ("camera", "person", "body", "ground", "points", "world"), or None."""
    for item in collection.all_objects:
        if item.get(ROLE_KEY) == role and (person is None or item.get(PERSON_KEY) == person):
            return item
    return None


def persons(collection) -> list:
    """Armatures of a take's people, by id."""
    found = [o for o in collection.all_objects if o.get(ROLE_KEY) == "person"]
    return sorted(found, key=lambda o: o[PERSON_KEY])


@dataclass(frozen=True)
class Facts:
    """What a list says of a person."""

    first: int
    last: int
    confidence: float | None  # 0..1
    height_m: float | None


def facts_of(armature) -> Facts:
    """Facts of a person of a take; of one that was loaded by an earlier Reshoot, the frames alone."""
    kept = armature.get(FACTS_KEY)
    if kept is None:
        action = armature.animation_data.action if armature.animation_data else None
        first, last = (int(f) for f in action.frame_range) if action else (0, 0)
        return Facts(first, last, None, None)
    first, last, confidence, height = kept
    return Facts(int(first), int(last), confidence if confidence >= 0 else None, height or None)


def portrait(collection, armature) -> str:
    """Path of a person's picture in the take folder, whether it is there or not; empty where the take is gone."""
    try:
        return str(Take(folder_of(collection)).portrait(armature[PERSON_KEY]))
    except ShotError:
        return ""


def person_of(collection, number: int):
    """The armature of a person by number, or None."""
    return part(collection, "person", number)


def folder_of(collection) -> Path:
    """Folder of a take, also where it has moved together with the .blend or the film. Raises ShotError where it is gone."""
    if TAKE_KEY not in collection:
        raise ShotError(f"{collection.name} is not a take.", "Load a take first.")
    blend = bpy.path.abspath(collection.library.filepath) if collection.library else bpy.data.filepath
    kept = paths.opened(collection[TAKE_KEY], blend)
    folder = paths.find(kept, [*paths.beside_blend(), *_film_folders(collection)], _is_take)
    if folder is None:
        raise TakeGone(f"The take {collection.name} was not found: {kept}.", "Use Relink Take to say where it is now.")
    return folder


def gone(collection) -> TakeGone | None:
    """What to say where the folder of a take is not found; None where it is."""
    try:
        folder_of(collection)
    except TakeGone as error:
        return error
    return None


def _is_take(folder: Path) -> bool:
    return (folder / "shot.json").is_file()


def film_of(collection) -> str:
    """File name of the film behind the camera of a take, its folder's for a sequence of pictures, or empty."""
    cam = part(collection, "camera")
    clips = [b.clip for b in cam.data.background_images if b.clip] if cam is not None else []
    if not clips:
        return ""
    path = Path(clips[0].filepath.replace("\\", "/"))
    return path.parent.name if clips[0].source == "SEQUENCE" else path.name


def _film_folders(collection) -> list[Path]:
    """Folder of the film that stands behind the camera of a take."""
    cam = part(collection, "camera")
    clips = [b.clip for b in cam.data.background_images if b.clip] if cam is not None else []
    return [paths.opened(clip.filepath).parent for clip in clips]


def body_of(armature):
    """The body of a person's armature, or None."""
    return next((child for child in armature.children if child.get(ROLE_KEY) == "body"), None)


def paint(armature, colour) -> None:
    """Give a person of a take a linear colour (4,)."""
    people.paint(armature, body_of(armature), colour)


def show(armature, shown: bool) -> None:
    """Show or hide a person of a take, bones and body."""
    people.show((armature, body_of(armature)), shown)


def select(armature) -> None:
    """Make a person of a take the one selected and active object, where the view layer at work shows it."""
    layer = bpy.context.view_layer
    if bpy.context.mode != "OBJECT" or armature.name not in layer.objects:
        return
    for other in layer.objects:
        other.select_set(other == armature)
    layer.objects.active = armature


def data_of(collection) -> TakeData:
    """Read the take of a collection again. Raises ShotError where its folder has gone."""
    return read_take(folder_of(collection))


def _mark(item, role):
    item[ROLE_KEY] = role


def _empty(name, collection):
    root = bpy.data.objects.new(name, None)
    root.empty_display_type = "ARROWS"
    root.empty_display_size = 0.5
    collection.objects.link(root)
    _mark(root, "world")
    return root


def _ground(take: TakeData, collection, root, name):
    around = [take.T_world_from_cam[:, :2, 3]] + [p.joints_world[:, :, :2].reshape(-1, 2) for p in take.people]
    around = np.concatenate(around)
    low, high = around.min(0) - 3.0, around.max(0) + 3.0
    corners = [(low[0], low[1], 0), (high[0], low[1], 0), (high[0], high[1], 0), (low[0], high[1], 0)]
    mesh = bpy.data.meshes.new(f"{name} Ground")
    mesh.from_pydata([tuple(float(v) for v in c) for c in corners], [], [(0, 1, 2, 3)])
    ground = bpy.data.objects.new(mesh.name, mesh)
    collection.objects.link(ground)
    ground.parent = root
    ground.display_type = "WIRE"
    ground.hide_render = True
    _mark(ground, "ground")


def _points(take: TakeData, collection, root, name):
    mesh = bpy.data.meshes.new(f"{name} Points")
    mesh.vertices.add(len(take.points_world))
    mesh.vertices.foreach_set("co", np.asarray(take.points_world, np.float32).ravel())
    colours = np.ones((len(take.points_world), 4), np.float32)
    colours[:, :3] = take.colours / np.float32(255)
    attribute = mesh.color_attributes.new("Colour", "BYTE_COLOR", "POINT")
    attribute.data.foreach_set("color_srgb", colours.ravel())
    mesh.update()
    points = bpy.data.objects.new(mesh.name, mesh)
    collection.objects.link(points)
    points.parent = root
    points.hide_render = True
    _mark(points, "points")
