"""Registering leaves what it should, unregistering leaves nothing, and each poll says why."""

from types import SimpleNamespace

import pytest


def snapshot(bpy):
    types = {n for n in dir(bpy.types) if "shot" in n.lower()}
    return (
        types,
        set(dir(bpy.ops.shot)),
        "reshoot" in dir(bpy.types.Scene),
        "reshoot_job" in dir(bpy.types.WindowManager),
    )


def test_register_unregister_register_leaves_nothing(blender):
    import reshoot

    registered = snapshot(blender)
    reshoot.unregister()
    assert "reshoot" not in blender.types.Scene.bl_rna.properties
    assert "reshoot_job" not in blender.types.WindowManager.bl_rna.properties
    assert "reshoot" not in blender.types.Object.bl_rna.properties
    from reshoot import registration

    assert not [c for c in registration.CLASSES if getattr(c, "is_registered", False)]
    reshoot.register()
    assert snapshot(blender) == registered


def test_no_pointer_is_called_like_a_mark_in_the_file(blender):
    """Until Blender 5.0 both lie in one place, and one would overwrite the other."""
    from reshoot import registration
    from reshoot.scene import take

    marks = {take.TAKE_KEY, take.START_KEY, take.ROLE_KEY, take.PERSON_KEY, take.FILM_KEY}
    assert not marks & {name for _, name, _ in registration.POINTERS}


def rna_of(bpy, cls):
    if issubclass(cls, bpy.types.Operator):
        return getattr(bpy.ops.shot, cls.bl_idname.split(".")[1]).get_rna_type()
    return cls.bl_rna


def test_every_operator_has_a_label_a_tooltip_and_no_full_stop(blender):
    from reshoot import registration

    for cls in registration.CLASSES:
        if issubclass(cls, blender.types.Operator):
            assert cls.bl_idname.startswith("shot.")
            assert cls.bl_label == cls.bl_label.strip() and cls.bl_label[0].isupper()
            assert cls.bl_description and not cls.bl_description.endswith(".")
        for name in getattr(cls, "__annotations__", {}):
            prop = rna_of(blender, cls).properties[name]
            assert not prop.description.endswith("."), f"{cls.__name__}.{prop.identifier}"


def test_no_operator_brings_the_last_path_or_name_again(blender):
    """Else Load Take and Export would not ask a second time: the same folder would be loaded, the same file written."""
    from reshoot import registration

    texts = {}
    for cls in registration.CLASSES:
        if issubclass(cls, blender.types.Operator):
            for prop in rna_of(blender, cls).properties:
                if prop.type == "STRING" and not prop.is_hidden and prop.identifier not in ("rna_type", "bl_idname"):
                    texts[f"{cls.bl_idname}.{prop.identifier}"] = prop.is_skip_save
    wanted = {"shot.load_take.directory", "shot.export.filepath", "shot.export.take", "shot.retarget.take_dir"}
    assert wanted <= set(texts) and [name for name, skips in texts.items() if not skips] == []


NEED_A_TAKE = (
    "bake_camera", "setup_composite", "setup_scene", "open_report", "merge_people", "swap_people", "split_person", "delete_person",
    "set_height", "set_focal", "lock_ground", "unlock_ground", "undo_correction", "resolve", "export", "match_scene", "relink_take",
)  # fmt: skip


@pytest.mark.parametrize("name", NEED_A_TAKE)
def test_poll_without_a_take(blender, name):
    operator = getattr(blender.ops.shot, name)
    assert not operator.poll()
    with pytest.raises(RuntimeError, match="Extract a shot or load a take first"):
        operator()


def test_poll_cancel_without_a_job(blender):
    with pytest.raises(RuntimeError, match="No shot is being extracted"):
        blender.ops.shot.cancel()


def test_poll_load_take_in_edit_mode(blender):
    mesh = blender.data.objects.new("Mesh", blender.data.meshes.new("Mesh"))
    blender.context.scene.collection.objects.link(mesh)
    blender.context.view_layer.objects.active = mesh
    blender.ops.object.mode_set(mode="EDIT")
    with pytest.raises(RuntimeError, match="Go to Object Mode first"):
        blender.ops.shot.load_take(directory="/nowhere")
    blender.ops.object.mode_set(mode="OBJECT")


def test_poll_extract_while_a_shot_is_extracted(blender, monkeypatch):
    from types import SimpleNamespace

    from reshoot import jobs
    from reshoot.operators import solve

    monkeypatch.setattr(solve, "current", SimpleNamespace(job=SimpleNamespace(state=jobs.RUNNING)))
    with pytest.raises(RuntimeError, match="A shot is being extracted"):
        blender.ops.shot.extract(filepath="x.mp4")
    monkeypatch.undo()


def test_dropped_movies_become_the_clip(blender, tmp_path):
    handler = blender.types.SHOT_FH_movie
    assert ".mp4" in handler.bl_file_extensions and handler.bl_import_operator == "shot.choose_clip"
    clip = tmp_path / "shot.mp4"
    with pytest.raises(RuntimeError, match="was not found"):
        blender.ops.shot.choose_clip(filepath=str(clip))
    clip.write_bytes(b"x")
    blender.ops.shot.choose_clip(filepath=str(clip))
    assert blender.context.scene.reshoot.filepath == str(clip)


class Ink:
    """Stands for a UILayout: remembers what is drawn, and checks that each property and operator exists."""

    def __init__(self, bpy, drawn):
        object.__setattr__(self, "bpy", bpy)
        object.__setattr__(self, "drawn", drawn)

    def __setattr__(self, name, value):
        assert name in self.bpy.types.UILayout.bl_rna.properties, name

    def prop(self, data, name, **_):
        assert name in data.bl_rna.properties, name
        self.drawn.append(name)

    def operator(self, idname, text="", **_):
        group, name = idname.split(".")
        rna = getattr(getattr(self.bpy.ops, group), name).get_rna_type()
        self.drawn.extend([idname, text])
        return Fields(rna)

    def menu(self, idname, text="", **_):
        assert hasattr(self.bpy.types, idname), idname
        self.drawn.append(f"menu {text}")

    def label(self, text="", icon="NONE", icon_value=0):
        assert icon in self.bpy.types.UILayout.bl_rna.functions["label"].parameters["icon"].enum_items
        self.drawn.extend([text, f"icon {icon_value}"] if icon_value else [text])

    def progress(self, factor=0.0, text="", **_):
        self.drawn.append(text)

    def template_icon(self, icon_value=0, scale=1.0):
        self.drawn.append(f"icon {icon_value}")

    def prop_search(self, data, name, search, among, **_):
        assert among in search.bl_rna.properties, among
        self.prop(data, name)

    def template_list(self, list_type, list_id, data, name, active, active_name, **_):
        cls = getattr(self.bpy.types, list_type)
        flag = SimpleNamespace(bitflag_filter_item=1)
        items = list(getattr(data, name))
        filtered = hasattr(cls, "filter_items")
        shown, order = cls.filter_items(flag, self.bpy.context, data, name) if filtered else ([1] * len(items), [])
        assert len(shown) == len(items) and (not order or sorted(order) == list(range(len(items))))
        assert active_name in active.bl_rna.properties
        for index, item in enumerate(items):
            if shown[index]:
                cls.draw_item(None, self.bpy.context, self, data, item, 0, active, active_name, index)

    def separator(self, **_):
        pass

    def row(self, **_):
        return Ink(self.bpy, self.drawn)

    column = box = row


class Fields:
    def __init__(self, rna):
        object.__setattr__(self, "rna", rna)

    def __setattr__(self, name, value):
        assert name in self.rna.properties, f"{self.rna.identifier}.{name}"


def draw_all(bpy):
    from types import MethodType, SimpleNamespace

    from reshoot.panels import sidebar

    drawn = {}
    for cls in sidebar.CLASSES:
        if not issubclass(cls, bpy.types.Panel):
            continue
        if hasattr(cls, "poll") and not cls.poll(bpy.context):
            continue
        drawn[cls.bl_label] = []
        panel = SimpleNamespace(layout=Ink(bpy, drawn[cls.bl_label]))
        panel.prepare = MethodType(cls.prepare, panel)
        cls.draw(panel, bpy.context)
    return drawn


def test_panels_draw_before_and_after_loading(blender, take):
    drawn = draw_all(blender)
    assert list(drawn) == ["Shot", "Frames", "Options", "Bring Your Own", "People", "Camera", "Retarget", "Bones", "Output", "Export"]
    assert "shot.extract" in drawn["Shot"] and "Extract a shot or load a take first" in drawn["People"]
    blender.ops.shot.load_take(directory=str(take[0]))
    drawn = draw_all(blender)
    assert list(drawn).index("Corrections") == list(drawn).index("People") + 1
    assert "1" in drawn["People"] and "1–10" in drawn["People"]
    assert drawn["People"].count("colour") == drawn["People"].count("shown") == 2
    order = [
        "shot.merge_people",
        "shot.delete_person",
        "shot.set_height",
        "shot.set_focal",
        "shot.lock_ground",
        "shot.resolve",
    ]
    assert [name for name in drawn["Corrections"] if name in order] == order
    assert "shot.undo_correction" not in drawn["Corrections"]  # there is none yet


def test_picture_of_the_run_is_replaced_shown_while_it_runs_and_forgotten(blender, monkeypatch, tmp_path):
    """Without a window nothing is loaded; here Blender is told that it has one."""
    import os
    from types import SimpleNamespace

    import reshoot
    from reshoot import jobs, previews

    def write(colour, time):
        image = blender.data.images.new("picture", 8, 8)
        image.pixels[:] = [*colour, 1.0] * 64
        image.filepath_raw, image.file_format = str(tmp_path / "film.png"), "PNG"
        image.save()
        blender.data.images.remove(image)
        os.utime(tmp_path / "film.png", (time, time))
        return str(tmp_path / "film.png")

    previews.show(write((1, 0, 0), 1000))
    assert previews._collection is None and previews.icon_id() == 0
    monkeypatch.setattr(previews, "bpy", SimpleNamespace(app=SimpleNamespace(background=False), utils=blender.utils))
    shown = []
    for seconds, colour in enumerate(((1, 0, 0), (0, 0, 1))):
        previews.show(write(colour, 2000 + 3 * seconds))
        assert len(previews._collection) == 1
        shown.append(tuple(round(c) for c in previews._collection["film"].image_pixels_float[:3]))
    assert shown == [(1, 0, 0), (0, 0, 1)]
    monkeypatch.setattr(previews, "icon_id", lambda: 7)  # without a window an icon has no number
    state = blender.context.window_manager.reshoot_job
    state.status = jobs.RUNNING
    assert "icon 7" in draw_all(blender)["Shot"]
    state.status = jobs.DONE
    assert "icon 7" not in draw_all(blender)["Shot"]
    reshoot.unregister()
    assert previews._collection is None
    reshoot.register()


def test_shot_panel_shows_running_failed_and_cancelled(blender):
    from reshoot import jobs

    state = blender.context.window_manager.reshoot_job
    state.status, state.stage, state.text, state.fraction = jobs.RUNNING, "Slam", "5/10", 0.4
    drawn = draw_all(blender)["Shot"]
    assert "shot.cancel" in drawn and "Slam 40 %" in drawn and "5/10" in drawn and "shot.extract" not in drawn
    state.status, state.message, state.fix = jobs.FAILED, "The film is empty.", "Choose another."
    drawn = draw_all(blender)["Shot"]
    assert "The film is empty." in drawn and "Choose another." in drawn and "shot.extract" in drawn
    state.status, state.message = jobs.CANCELLED, "Extraction was cancelled."
    resume = {
        "Extract Shot": "Resume Extraction",
        "Solve Again": "Extract Shot",
    }  # what was cancelled: what the button says
    for cancelled, says in resume.items():
        state.unfinished = cancelled
        assert says in draw_all(blender)["Shot"]
    state.status = jobs.IDLE
