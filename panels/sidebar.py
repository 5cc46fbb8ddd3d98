"""The sidebar tab, in the order of the work. Drawing only."""

from __future__ import annotations

import bpy

from .. import jobs, preferences, previews
from ..operators.base import how_many
from ..operators.presets import SHOT_MT_presets
from ..operators.setup_composite import COMPOSITE_OPTIONS
from ..operators.variations import VARIATION_OPTIONS
from ..properties import take_at_work
from ..retarget.rig import REQUIRED
from ..scene import corrections, rig_maps
from ..scene import take as scene_take
from ..translations import iface, say

PICTURE_SCALE = 11.0  # times a button's height, about as wide as the sidebar


class ReshootPanel:
    bl_space_type = "VIEW_3D"
    bl_region_type = "UI"
    bl_category = "Reshoot"

    def prepare(self):
        self.layout.use_property_split = True
        self.layout.use_property_decorate = False
        return self.layout


def _take(context):
    return take_at_work(context.scene.reshoot)


def _character(context):
    """Who is to move as the chosen person: the character chosen for them, else the active one, or None."""
    take = _take(context)
    person = scene_take.person_of(take, context.scene.reshoot.person) if take else None
    if person and person.reshoot.character:
        return person.reshoot.character
    active = context.object
    armature = active.find_armature() if active and active.type == "MESH" else active
    return armature if armature and armature.type == "ARMATURE" and scene_take.ROLE_KEY not in armature else None


class SHOT_UL_takes(bpy.types.UIList):
    """The takes among the collections of the file."""

    bl_idname = "SHOT_UL_takes"

    def filter_items(self, context, data, propname):
        shown = {collection.name for collection in scene_take.take_collections()}
        return [self.bitflag_filter_item if item.name in shown else 0 for item in getattr(data, propname)], []

    def draw_item(self, context, layout, data, item, icon, active_data, active_propname, index):
        gone = scene_take.gone(item) is not None
        row = layout.row()
        row.alert = gone
        row.label(text=item.name, icon="ERROR" if gone else "OUTLINER_COLLECTION")
        film = scene_take.film_of(item)
        row.label(text=film or iface("no film"))
        count = len(scene_take.persons(item))
        row.label(text=how_many(count))


class SHOT_UL_people(bpy.types.UIList):
    """The people among the objects of a take."""

    bl_idname = "SHOT_UL_people"

    def filter_items(self, context, data, propname):
        items = getattr(data, propname)
        people = [item.name for item in scene_take.persons(data)]
        shown = [self.bitflag_filter_item if item.name in people else 0 for item in items]
        order = {name: n for n, name in enumerate(people)}
        others = iter(range(len(people), len(items)))
        return shown, [order[item.name] if item.name in order else next(others) for item in items]

    def draw_item(self, context, layout, data, item, icon, active_data, active_propname, index):
        settings, facts = item.reshoot, scene_take.facts_of(item)
        row = layout.row(align=True)
        swatch = row.row()
        swatch.scale_x = 0.3
        swatch.prop(settings, "colour", text="")
        number = item[scene_take.PERSON_KEY]  # alone: more is cut in a narrow sidebar
        row.label(text=str(number), icon_value=previews.person_icon(scene_take.portrait(data, item)))
        row.label(text=f"{facts.first}–{facts.last}")
        row.label(text="" if facts.confidence is None else f"{100 * facts.confidence:.0f} %")
        row.label(text="" if facts.height_m is None else f"{facts.height_m:.2f} m")
        row.prop(settings, "shown", text="", icon="HIDE_OFF" if settings.shown else "HIDE_ON", emboss=False)


class SHOT_PT_shot(ReshootPanel, bpy.types.Panel):
    bl_idname = "SHOT_PT_shot"
    bl_label = "Shot"
    bl_order = 0

    def draw(self, context):
        layout, settings, job = self.prepare(), context.scene.reshoot, context.window_manager.reshoot_job
        layout.prop(settings, "filepath")
        if settings.facts:
            _lines(layout, settings.facts, "INFO")
        layout.prop(settings, "take_dir")
        if job.status in (jobs.RUNNING, jobs.STOPPING):
            row = layout.row(align=True)
            stopping = job.status == jobs.STOPPING
            percent = f"{job.stage} {100 * job.fraction:.0f} %"
            row.progress(factor=job.fraction, text="Stopping" if stopping else percent)
            row.operator("shot.cancel", text="", icon="X")
            _lines(layout, job.text or "The solver is loading", "NONE")
            if picture := previews.icon_id():
                layout.template_icon(picture, scale=PICTURE_SCALE)
        elif not preferences.is_set_up(context):
            box = layout.box()
            _lines(box, "One thing first: the solver's packages are not here yet.", "INFO")
            row = box.row()
            row.scale_y = 1.6
            row.operator("shot.setup_solver", icon="IMPORT")
        else:
            row = layout.row()
            row.scale_y = 1.6
            row.enabled = bool(settings.filepath)
            resume = job.status == jobs.CANCELLED and job.unfinished == "Extract Shot"
            extract = row.operator("shot.extract", text="Resume Extraction" if resume else "Extract Shot", icon="PLAY")
            _hand_over(settings, extract)
        _outcome(layout, job)
        layout.operator("shot.load_take", icon="FILE_FOLDER").match_scene = settings.match_scene
        if len(scene_take.take_collections()) > 1:
            layout.template_list(SHOT_UL_takes.bl_idname, "", bpy.data, "collections", settings, "take_row", rows=2, maxrows=5)
        take = _take(context)
        said = scene_take.difference(take, context.scene) if take else ""
        if said:
            for line in said.splitlines():
                _lines(layout, line, "INFO")
            layout.operator("shot.match_scene", icon="SCENE_DATA")


def _hand_over(settings, extract):
    """Give the button of Extract Shot what the panel holds; what is not known is not given."""
    extract.filepath, extract.take_dir = settings.filepath, settings.take_dir
    for name in ("quality", "camera_kind", "plate", "match_scene", "cuts"):
        setattr(extract, name, getattr(settings, name))
    if settings.use_max_height:
        extract.max_height = settings.max_height
    if settings.use_focal_mm:
        extract.focal_mm = settings.focal_mm
    if settings.use_range:
        extract.frame_range = "{}-{}".format(*sorted((settings.first_frame, settings.last_frame)))
    extract.people, extract.masks = settings.people_files, settings.masks_dir
    extract.joints, extract.known_camera = settings.joints_file, settings.camera_file


def _outcome(layout, job):
    if job.status == jobs.FAILED:
        box = layout.box()
        _lines(box, job.message, "ERROR")
        _lines(box, job.fix, "NONE")
        if job.button:
            box.operator(job.button)
    elif job.message:
        _lines(layout, job.message, "INFO")
        _lines(layout, job.fix, "NONE")
    if job.ready:
        layout.operator("shot.load_take", text="Load It", icon="FILE_FOLDER").directory = job.ready
    for warning in job.warnings.splitlines():
        _lines(layout, warning, "ERROR")


def _lines(layout, text, icon, width=32):
    """Text over several labels: Blender's own do not wrap."""
    column = layout.column(align=True)
    line = ""
    for word in iface(text).split():
        if line and len(line) + len(word) >= width:
            column.label(text=line, icon=icon)
            icon, line = "NONE" if icon == "NONE" else "BLANK1", ""
        line = f"{line} {word}".strip()
    if line:
        column.label(text=line, icon=icon)


class SHOT_UL_pieces(bpy.types.UIList):
    """The pieces of the clip between its cuts."""

    bl_idname = "SHOT_UL_pieces"

    def draw_item(self, context, layout, data, item, icon, active_data, active_property, index=0, flt_flag=0):
        row = layout.row()
        row.label(text=f"{index + 1}", icon="SEQUENCE")
        row.label(text=f"{item.first}–{item.last}")
        row.label(text=say("{count} frames", count=item.last - item.first + 1))


class SHOT_PT_frames(ReshootPanel, bpy.types.Panel):
    bl_idname = "SHOT_PT_frames"
    bl_label = "Frames"
    bl_parent_id = "SHOT_PT_shot"
    bl_options = {"DEFAULT_CLOSED"}

    def draw(self, context):
        layout, settings = self.prepare(), context.scene.reshoot
        layout.prop(settings, "cuts")
        layout.operator("shot.find_cuts", icon="VIEWZOOM")
        if len(settings.pieces) > 1:
            layout.template_list(SHOT_UL_pieces.bl_idname, "", settings, "pieces", settings, "piece", rows=2, maxrows=6)
        layout.prop(settings, "use_range")
        column = layout.column(align=True)
        column.active = settings.use_range
        column.prop(settings, "first_frame")
        column.prop(settings, "last_frame")
        layout.operator("shot.use_scene_range", icon="PREVIEW_RANGE")


class SHOT_PT_shot_options(ReshootPanel, bpy.types.Panel):
    bl_idname = "SHOT_PT_shot_options"
    bl_label = "Options"
    bl_parent_id = "SHOT_PT_shot"
    bl_options = {"DEFAULT_CLOSED"}

    def draw(self, context):
        layout, settings = self.prepare(), context.scene.reshoot
        row = layout.row(align=True)
        row.menu(SHOT_MT_presets.bl_idname, text=SHOT_MT_presets.bl_label)
        row.operator("shot.add_preset", text="", icon="ADD")
        row.operator("shot.add_preset", text="", icon="REMOVE").remove_active = True
        layout.prop(settings, "quality")
        layout.prop(settings, "camera_kind")
        for name in ("focal_mm", "max_height"):
            row = layout.row(heading=settings.bl_rna.properties[f"use_{name}"].name)
            row.prop(settings, f"use_{name}", text="")
            value = row.row()
            value.active = getattr(settings, f"use_{name}")
            value.prop(settings, name, text="")
        layout.prop(settings, "plate")
        layout.prop(settings, "match_scene")


class SHOT_PT_shot_imports(ReshootPanel, bpy.types.Panel):
    bl_idname = "SHOT_PT_shot_imports"
    bl_label = "Bring Your Own"
    bl_parent_id = "SHOT_PT_shot"
    bl_options = {"DEFAULT_CLOSED"}

    def draw(self, context):
        layout, settings = self.prepare(), context.scene.reshoot
        for name in ("people_files", "masks_dir", "joints_file", "camera_file"):
            layout.prop(settings, name)
        mine = preferences.of(context)
        if mine is not None:
            layout.prop(mine, "inpainter")


class SHOT_PT_people(ReshootPanel, bpy.types.Panel):
    bl_idname = "SHOT_PT_people"
    bl_label = "People"
    bl_order = 1

    def draw(self, context):
        layout, settings, take = self.prepare(), context.scene.reshoot, _take(context)
        if take is None:
            layout.label(text="Extract a shot or load a take first", icon="INFO")
            return
        if (gone := scene_take.gone(take)) is not None:
            box = layout.box()
            _lines(box, gone.message, "ERROR")
            box.operator(gone.button, icon="FILE_FOLDER")
        people = scene_take.persons(take)
        if not people:
            layout.label(text="Nobody was found in this shot", icon="INFO")
        else:
            rows = min(max(len(people), 2), 6)
            layout.template_list(
                SHOT_UL_people.bl_idname, "", take, "all_objects", settings, "person_row", rows=rows, maxrows=6
            )
        layout.operator("shot.view_camera", icon="VIEW_CAMERA")
        layout.operator("shot.open_report", icon="URL")


class SHOT_PT_left_out(ReshootPanel, bpy.types.Panel):
    bl_idname = "SHOT_PT_left_out"
    bl_label = "Left Out"
    bl_parent_id = "SHOT_PT_people"
    bl_options = {"DEFAULT_CLOSED"}

    @classmethod
    def poll(cls, context):
        return (take := _take(context)) is not None and bool(corrections.left_out(take))

    def draw(self, context):
        layout = self.prepare()
        for person in corrections.left_out(_take(context)):
            row = layout.row()
            if icon := previews.person_icon(person["picture"]):
                row.template_icon(icon, scale=3.0)
            column = row.column()
            column.label(text=f"{person['first']}-{person['last']}")
            column.operator("shot.add_person", icon="ADD").seen = person["seen"]


class SHOT_PT_corrections(ReshootPanel, bpy.types.Panel):
    bl_idname = "SHOT_PT_corrections"
    bl_label = "Corrections"
    bl_parent_id = "SHOT_PT_people"
    bl_options = {"DEFAULT_CLOSED"}

    @classmethod
    def poll(cls, context):
        return _take(context) is not None

    def draw(self, context):
        layout, settings, take = self.prepare(), context.scene.reshoot, _take(context)
        frame, person, other = context.scene.frame_current, settings.person, settings.correct_other
        column = layout.column()
        column.prop(settings, "person")
        column.prop(settings, "correct_other")
        row = layout.row(align=True)
        merge = row.operator("shot.merge_people")
        merge.person, merge.other = person, other
        swap = row.operator("shot.swap_people", text=say("Swap from {frame}", frame=frame))
        swap.person, swap.other, swap.frame = person, other, frame
        row = layout.row(align=True)
        row.operator("shot.delete_person").person = person
        split = row.operator("shot.split_person", text=say("Split at {frame}", frame=frame))
        split.person, split.frame = person, frame
        row = layout.row(align=True)
        row.operator("shot.outline_person", icon="GREASEPENCIL").person = person
        row.operator("shot.outline_person", text="New Person", icon="ADD").person = 0
        row = layout.row(align=True)
        row.prop(settings, "correct_joint", text="")
        joint = row.operator("shot.show_joint", icon="CURSOR")
        joint.person, joint.joint = person, settings.correct_joint
        armature, cam = scene_take.person_of(take, person), scene_take.part(take, "camera")
        solved = scene_take.facts_of(armature).height_m if armature is not None else None
        if solved is not None:
            layout.label(text=say("Solved height: {metres:.2f} m", metres=solved))
        row = layout.row()
        row.prop(settings, "height")
        height = row.operator("shot.set_height", text="", icon="CHECKMARK")
        height.person, height.metres = person, settings.height
        if cam is not None:
            layout.label(text=say("Solved lens here: {mm:.1f} mm", mm=cam.data.lens))
        row = layout.row()
        row.prop(settings, "lens")
        row.operator("shot.set_focal", text="", icon="CHECKMARK").mm = settings.lens
        row = layout.row(align=True)
        row.operator("shot.lock_ground", icon="LOCKED")
        row.operator("shot.unlock_ground", icon="UNLOCKED")
        row = layout.row(align=True)
        row.operator("shot.set_upright", text="Upright", icon="EMPTY_SINGLE_ARROW")
        row.operator("shot.set_moved", text="Goes", icon="DRIVER_DISTANCE")
        row.operator("shot.set_stands", icon="CON_FLOOR").person = person
        made = corrections.lines(take)
        if made:
            box = layout.box()
            for line in made:
                _lines(box, line, "DOT")
            box.operator("shot.undo_correction", icon="LOOP_BACK")
        row = layout.row()
        row.scale_y = 1.3
        row.operator("shot.resolve", icon="FILE_REFRESH")


class SHOT_PT_camera(ReshootPanel, bpy.types.Panel):
    bl_idname = "SHOT_PT_camera"
    bl_label = "Camera"
    bl_order = 2
    bl_options = {"DEFAULT_CLOSED"}

    def draw(self, context):
        layout, settings = self.prepare(), context.scene.reshoot
        for name in ("camera", "offset", "scale", "retime", "smoothing"):
            layout.prop(settings, name)
        bake = layout.operator("shot.bake_camera", icon="CAMERA_DATA")
        bake.camera = settings.camera.name if settings.camera else ""
        bake.offset = settings.offset.name if settings.offset else ""
        bake.scale, bake.retime, bake.smoothing = settings.scale, settings.retime, settings.smoothing


class SHOT_PT_retarget(ReshootPanel, bpy.types.Panel):
    bl_idname = "SHOT_PT_retarget"
    bl_label = "Retarget"
    bl_order = 3
    bl_options = {"DEFAULT_CLOSED"}

    def draw(self, context):
        layout, settings, take = self.prepare(), context.scene.reshoot, _take(context)
        people = scene_take.persons(take) if take else []
        if not people:
            layout.label(text="Extract a shot or load a take first", icon="INFO")
            return
        column = layout.column(align=True)
        for person in people:
            name = say("Person {number}", number=person[scene_take.PERSON_KEY])
            column.prop(person.reshoot, "character", text=name, icon="ARMATURE_DATA")
        chosen = _character(context)
        column = layout.column(align=True)
        column.scale_y = 1.3
        move = column.operator("shot.retarget", text=say("Retarget Person {number}", number=settings.person), icon="ARMATURE_DATA")
        move.person, move.armature = settings.person, chosen.name if chosen else ""
        column.operator("shot.retarget_all", icon="COMMUNITY")


class SHOT_PT_bones(ReshootPanel, bpy.types.Panel):
    bl_idname = "SHOT_PT_bones"
    bl_label = "Bones"
    bl_parent_id = "SHOT_PT_retarget"
    bl_options = {"DEFAULT_CLOSED"}

    def draw(self, context):
        layout, settings = self.prepare(), context.scene.reshoot
        rig = _character(context)
        name = rig.name if rig else ""
        layout.operator("shot.find_bones", icon="VIEWZOOM").armature = name
        if rig is None or settings.bones_of != name:
            return
        column = layout.column(align=True)
        for item in settings.bones:
            row = column.row()
            row.alert = not item.bone and item.name in REQUIRED
            row.prop_search(item, "bone", rig.data, "bones", text=rig_maps.words(item.name))
        row = layout.row(align=True)
        row.operator("shot.save_bones", icon="FILE_TICK").armature = name
        row.operator("shot.forget_bones", icon="TRASH").armature = name


class SHOT_PT_output(ReshootPanel, bpy.types.Panel):
    bl_idname = "SHOT_PT_output"
    bl_label = "Output"
    bl_order = 4
    bl_options = {"DEFAULT_CLOSED"}

    def draw(self, context):
        layout, settings = self.prepare(), context.scene.reshoot
        characters = settings.characters.name if settings.characters else ""
        layout.prop(settings, "characters")
        column = layout.column()
        column.label(text="Into the Film")
        column.prop(settings, "replace")
        column.prop(settings, "keep")
        options = context.scene.reshoot_composite
        for name in COMPOSITE_OPTIONS:
            column.prop(options, name, slider=name == "film_light")
        composite = column.operator("shot.setup_composite", icon="NODE_COMPOSITING")
        composite.replace, composite.keep, composite.characters = settings.replace, settings.keep, characters
        for name in COMPOSITE_OPTIONS:
            setattr(composite, name, getattr(options, name))
        layout.separator()
        column = layout.column()
        column.label(text="Into a New Set")
        column.prop(settings, "content")
        for name in ("surroundings", "into", "set_light", "set_retime", "set_time"):
            column.prop(settings, name)
        stage = column.operator("shot.setup_scene", icon="SCENE_DATA")
        stage.content, stage.retime, stage.characters = settings.content, settings.set_retime, characters
        stage.surroundings, stage.light, stage.time = settings.surroundings, settings.set_light, settings.set_time
        stage.into = settings.into.name if settings.into else ""
        layout.separator()
        column = layout.column()
        column.label(text="Many at Once")
        many = context.scene.reshoot_variations
        column.prop(many, "vary")
        if many.vary != "FILM":
            column.prop(many, "surroundings")
            column.prop(many, "light")
        vary = column.operator("shot.variations", icon="DUPLICATE")
        vary.person, vary.characters, vary.engine, vary.samples = settings.person, characters, options.engine, options.samples
        for name in VARIATION_OPTIONS:
            setattr(vary, name, getattr(many, name))
        column.operator("shot.contact_sheet", icon="IMAGE_DATA")


class SHOT_PT_export(ReshootPanel, bpy.types.Panel):
    bl_idname = "SHOT_PT_export"
    bl_label = "Export"
    bl_order = 5
    bl_options = {"DEFAULT_CLOSED"}

    def draw(self, context):
        layout, settings = self.prepare(), context.scene.reshoot
        layout.prop(settings, "export_format")
        layout.operator("shot.export", icon="EXPORT").format = settings.export_format


CLASSES = (
    SHOT_UL_takes,
    SHOT_UL_people,
    SHOT_UL_pieces,
    SHOT_PT_shot,
    SHOT_PT_frames,
    SHOT_PT_shot_options,
    SHOT_PT_shot_imports,
    SHOT_PT_people,
    SHOT_PT_left_out,
    SHOT_PT_corrections,
    SHOT_PT_camera,
    SHOT_PT_retarget,
    SHOT_PT_bones,
    SHOT_PT_output,
    SHOT_PT_export,
)
