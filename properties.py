"""What the panels keep: settings in the scene, the running job on the window manager."""

from __future__ import annotations

import bpy
from bpy.props import (
    BoolProperty,
    CollectionProperty,
    EnumProperty,
    FloatProperty,
    FloatVectorProperty,
    IntProperty,
    PointerProperty,
    StringProperty,
)

from . import compat, jobs
from .scene import corrections, plate, sets
from .scene import take as scene_take

QUALITY = (
    ("preview", "Preview", "Leave out the slowest step: a quick look at the shot"),
    ("final", "Final", "Everything the solver can do"),
)

CAMERA_KINDS = (
    ("found", "As Found", "What the background tells"),
    ("travels", "Travels", "On a dolly, a crane, a shoulder, or in a hand"),
    ("turns", "Turns", "It pans, tilts or zooms where it stands"),
    ("locked", "Locked Off", "It does not move"),
)

EXPORT_FORMATS = (
    ("NPZ", "AMASS (.npz)", "Write each person and the camera as arrays, as they were solved"),
    ("BVH", "BVH (.bvh)", "Write the motion of each person"),
    ("FBX", "FBX (.fbx)", "Write the camera and the people with their bodies"),
    ("GLTF", "glTF (.glb)", "Write the camera and the people with their bodies"),
    ("USD", "USD (.usdc)", "Write the camera and the people with their bodies"),
    ("ABC", "Alembic (.abc)", "Write the camera and the bodies as moving meshes"),
    ("CHAN", "Nuke Camera (.chan)", "Write the camera alone"),
)


def _is_take(_settings, collection):
    return scene_take.TAKE_KEY in collection


def _is_camera(_settings, item):
    return item.type == "CAMERA"


def _is_empty(_settings, item):
    return item.type == "EMPTY"


def _is_character(_person, item):
    return item.type == "ARMATURE" and scene_take.ROLE_KEY not in item


def _read_facts(settings, _context):
    path = bpy.path.abspath(settings.filepath)
    found = plate.facts(path) if path else plate.Facts()
    settings.facts = found.text
    settings.pieces.clear()
    settings.use_range, settings.first_frame, settings.last_frame = False, 0, max(found.frames - 1, 0)


def _choose_piece(settings, _context):
    if len(settings.pieces) > 1:
        chosen = settings.pieces[settings.piece]
        settings.use_range, settings.first_frame, settings.last_frame = True, chosen.first, chosen.last


def take_at_work(settings):
    """The take that the panels work with: the chosen one, else the last; None where there is none."""
    takes = scene_take.take_collections()
    chosen = settings.take
    return chosen if chosen in takes else takes[-1] if takes else None


def _person_row(settings):
    """Row of the chosen person among the objects of the take, for the list."""
    take = take_at_work(settings)
    items = take.all_objects[:] if take else []
    return next((i for i, item in enumerate(items) if item.get(scene_take.PERSON_KEY) == settings.person and _is_person(item)), -1)


def _choose_person(settings, row):
    take = take_at_work(settings)
    items = take.all_objects[:] if take else []
    if not (0 <= row < len(items) and _is_person(items[row])):
        return
    settings.person = items[row][scene_take.PERSON_KEY]
    if height := scene_take.facts_of(items[row]).height_m:
        settings.height = height
    scene_take.select(items[row])


def _is_person(item):
    return item.get(scene_take.ROLE_KEY) == "person"


def _take_row(settings):
    take = take_at_work(settings)
    return bpy.data.collections.find(take.name) if take else -1


def _choose_take(settings, row):
    if 0 <= row < len(bpy.data.collections) and scene_take.TAKE_KEY in bpy.data.collections[row]:
        settings.take = bpy.data.collections[row]


class ReshootBone(bpy.types.PropertyGroup):
    """A row of the table of bones: `name` is the part of a human, as in `retarget.rig`."""

    bone: StringProperty(name="Bone", description="Choose the character's bone that moves as this part of the person")


class ReshootPiece(bpy.types.PropertyGroup):
    """A piece of the clip between two cuts."""

    first: IntProperty(name="First Frame", description="See the first frame of the piece")
    last: IntProperty(name="Last Frame", description="See the last frame of the piece")


class ReshootSettings(bpy.types.PropertyGroup):
    filepath: StringProperty(
        name="Clip",
        description="Film to extract: a movie, or a picture of a sequence",
        subtype="FILE_PATH",
        options=compat.PATH,
        update=_read_facts,
    )
    facts: StringProperty(name="Facts", description="Frames, rate and size of the clip")
    take_dir: StringProperty(
        name="Take Folder",
        description="Folder for the result. Empty: a folder beside the clip",
        subtype="DIR_PATH",
        options=compat.PATH,
    )
    quality: EnumProperty(
        name="Quality", description="Choose between a quick look and the full solve", items=QUALITY, default="final"
    )
    camera_kind: EnumProperty(
        name="Camera", description="Say what the camera does, where you know it", items=CAMERA_KINDS, default="found"
    )
    max_height: IntProperty(
        name="Max Height",
        description="Solve at no more than this height, which is faster",
        default=720,
        min=64,
        max=4320,
        subtype="PIXEL",
    )
    use_max_height: BoolProperty(name="Limit Height", description="Solve a smaller picture than was filmed")
    focal_mm: FloatProperty(
        name="Lens",
        description="Set the focal length of the film camera on a 36 mm sensor",
        default=35.0,
        min=4.0,
        max=2000.0,
        unit="CAMERA",
    )
    use_focal_mm: BoolProperty(
        name="Known Lens", description="Give the focal length of the film camera, instead of finding it from the film"
    )
    pieces: CollectionProperty(name="Pieces", description="See the pieces of the clip between its cuts", type=ReshootPiece)
    piece: IntProperty(
        name="Piece", description="Choose the piece between cuts that is solved", update=_choose_piece
    )
    use_range: BoolProperty(
        name="Limit Frames", description="Solve only these frames of the clip, instead of the longest piece between its cuts"
    )
    first_frame: IntProperty(
        name="First Frame", description="Set the first frame that is solved, the film's first being 0", min=0
    )
    last_frame: IntProperty(name="Last Frame", description="Set the last frame that is solved", min=0)
    cuts: StringProperty(
        name="Cuts",
        description="Say where the clip is cut: none, or the frames that begin a piece, as in 24, 80. Empty: they are found",
    )
    plate: BoolProperty(name="Clean Plate", description="Build the background without people", default=True)
    match_scene: BoolProperty(
        name="Match Scene to Shot", description="Give this scene the size, frame rate and range of the shot"
    )
    people_files: StringProperty(
        name="People",
        description="Take the people from files of other programs. Several are parted by semicolons. Empty: find them",
        subtype="FILE_PATH",
        options=compat.PATH,
    )
    masks_dir: StringProperty(
        name="Masks",
        description="Take the people's masks from this folder. Empty: draw them",
        subtype="DIR_PATH",
        options=compat.PATH,
    )
    joints_file: StringProperty(
        name="Joints",
        description="Take the joints in the picture from this file. Empty: find them",
        subtype="FILE_PATH",
        options=compat.PATH,
    )
    camera_file: StringProperty(
        name="Camera",
        description="Take the camera from this file: COLMAP, .chan, npz or json. Empty: find it",
        subtype="FILE_PATH",
        options=compat.PATH,
    )
    correct_other: IntProperty(
        name="Other", description="Choose the other person, by number", default=2, min=1, max=255
    )
    correct_joint: EnumProperty(name="Joint", description="Choose which joint", items=corrections.JOINTS, default="left_wrist")
    height: FloatProperty(
        name="Height",
        description="Set how tall the person is",
        default=1.75,
        min=0.3,
        max=2.6,
        precision=3,
        unit="LENGTH",
    )
    lens: FloatProperty(
        name="Lens",
        description="Set the focal length of the film camera on a 36 mm sensor",
        default=35.0,
        min=4.0,
        max=2000.0,
        unit="CAMERA",
    )
    export_format: EnumProperty(
        name="Format", description="Choose the format of the file", items=EXPORT_FORMATS, default="FBX"
    )
    take: PointerProperty(
        name="Loaded Take", description="Choose the take to work with", type=bpy.types.Collection, poll=_is_take
    )
    camera: PointerProperty(
        name="Camera", description="Choose the camera that gets the move", type=bpy.types.Object, poll=_is_camera
    )
    offset: PointerProperty(
        name="Placed By",
        description="Choose an empty that moves and turns the whole path",
        type=bpy.types.Object,
        poll=_is_empty,
    )
    scale: FloatProperty(
        name="Scale", description="Scale the camera's distances", default=1.0, min=0.001, soft_max=100.0
    )
    retime: FloatProperty(
        name="Retime", description="Stretch the time: 2 is half speed", default=1.0, min=0.05, max=20.0
    )
    smoothing: FloatProperty(name="Smoothing", description="Smooth the move over this many frames", min=0.0, max=50.0)
    person: IntProperty(name="Person", description="Choose the person of the take, by number", default=1, min=1)
    person_row: IntProperty(
        name="Person", description="Choose a person; it is selected in the scene", get=_person_row, set=_choose_person
    )
    take_row: IntProperty(name="Take", description="Choose the take to work with", get=_take_row, set=_choose_take)
    bones: CollectionProperty(
        name="Bones", description="See and correct which bone is which part of a person", type=ReshootBone
    )
    bones_of: StringProperty(name="Rig of the Bones", description="See which rig the table of bones is of")
    characters: PointerProperty(
        name="Characters",
        description="Choose the collection to render. Empty: every animated character outside the take",
        type=bpy.types.Collection,
    )
    replace: StringProperty(
        name="Replace", description="List the people to replace, as in 1,2. Empty: all that are not kept"
    )
    keep: StringProperty(
        name="Keep", description="List the people to keep from the film, in front of the render where they are nearer, as in 2,3"
    )
    content: EnumProperty(
        name="Use",
        description="Choose what of the take goes into the new set",
        items=(
            ("BOTH", "Camera and Characters", "Put both into the set"),
            ("CAMERA", "Camera", "Fly the solved camera through the set"),
            ("CHARACTERS", "Characters", "Put the characters into the set, before a camera that stands still"),
        ),
    )
    surroundings: EnumProperty(
        name="Set",
        description="Choose what stands around the action",
        items=[(c, c.title(), "") for c in ("HALL", *sets.SETS)],
    )
    into: PointerProperty(
        name="Own Set",
        description="Choose a collection of your own to use as the set. Empty: the one chosen under Set",
        type=bpy.types.Collection,
    )
    set_light: EnumProperty(
        name="Light",
        description="Choose the sun and the sky of the new set",
        items=[(c, c.replace("_", " ").title(), "") for c in (*sets.LIGHTS, "NONE")],
    )
    set_retime: FloatProperty(
        name="Retime", description="Stretch the time of the new set: 2 is half speed", default=1.0, min=0.05, max=20.0
    )
    set_time: EnumProperty(
        name="Time",
        description="Choose whether the time of camera and people is a curve, to be held, slowed or turned back. Retime makes one",
        items=(
            ("FILM", "As Filmed", "Show one frame of the film after the other"),
            ("CURVE", "One Curve", "Let camera and people follow Shot Frame, a curve on the new empty called Time"),
            ("CURVES", "Two Curves", "Let the camera follow a curve of its own, Camera Frame"),
        ),
    )


def _colour(person):
    return tuple(person.id_data.color)


def _paint(person, colour):
    scene_take.paint(person.id_data, tuple(colour))


def _shown(person):
    return not person.id_data.hide_get()


def _show(person, shown):
    scene_take.show(person.id_data, shown)


class ReshootPerson(bpy.types.PropertyGroup):
    """On a person's armature: what acts on bones and body alike, and who is to move as this person does."""

    colour: FloatVectorProperty(
        name="Colour",
        description="Choose the colour of the person's body",
        subtype="COLOR",
        size=4,
        min=0.0,
        max=1.0,
        get=_colour,
        set=_paint,
    )
    shown: BoolProperty(
        name="Show",
        description="Show the person's bones and body in the viewport",
        get=_shown,
        set=_show,
    )
    character: PointerProperty(
        name="Character",
        description="Choose the armature of the character that is to move as this person",
        type=bpy.types.Object,
        poll=_is_character,
    )


class ReshootJob(bpy.types.PropertyGroup):
    """Live state of the extraction, for the panels; never saved."""

    status: EnumProperty(items=[(s, s.title(), "") for s in jobs.STATES], default=jobs.IDLE)
    stage: StringProperty()
    text: StringProperty()
    fraction: FloatProperty(min=0.0, max=1.0, subtype="FACTOR")
    message: StringProperty()
    fix: StringProperty()
    warnings: StringProperty()
    take: StringProperty()
    ready: StringProperty()  # take folder that is solved but not in the scene
    button: StringProperty()  # operator that mends what the message says
    unfinished: StringProperty()
    check: StringProperty()


CLASSES = (ReshootBone, ReshootPiece, ReshootSettings, ReshootPerson, ReshootJob)
