"""A project folder moves; its takes and films are found again, or asked for."""

import json
import shutil
from pathlib import Path
from types import SimpleNamespace

import pytest

from tests.blender.test_load_take import part
from tests.blender.test_registration import draw_all


@pytest.fixture
def project(blender, take, tmp_path):
    """bpy, and a folder with scenes/shot.blend, takes/walk and footage/walk; the take is loaded, the file saved."""
    folder = tmp_path / "project"
    shutil.copytree(take[0], folder / "takes" / "walk")
    (folder / "takes" / "walk" / "film").rename(folder / "footage")
    write_film(folder / "takes" / "walk", folder / "footage")
    (folder / "scenes").mkdir()
    blender.ops.shot.load_take(directory=str(folder / "takes" / "walk"))
    blender.ops.wm.save_as_mainfile(filepath=str(folder / "scenes" / "shot.blend"))
    return blender, folder


def write_film(take, film):
    shot = json.loads((take / "shot.json").read_text())
    shot["source"]["path"] = str(film)
    shot["options"] = {"source": str(film), "plate": True}
    (take / "shot.json").write_text(json.dumps(shot))


def chosen(bpy):
    return bpy.context.scene.reshoot.take


def folder_of(collection):
    from reshoot.scene import take

    return take.folder_of(collection)


def film_is_there(bpy, collection):
    clip = part(collection, "camera").data.background_images[0].clip
    return Path(bpy.path.abspath(clip.filepath)).is_file()


def test_paths_are_kept_from_the_file_on(project):
    bpy, _ = project
    assert chosen(bpy)["reshoot_take"] == "//../takes/walk"
    bpy.ops.shot.load_take(directory="//../takes/walk")  # into a file that has a name
    assert chosen(bpy).name == "walk.001" and chosen(bpy)["reshoot_take"] == "//../takes/walk"
    clip = part(chosen(bpy), "camera").data.background_images[0].clip
    assert clip.filepath.startswith("//../footage/")


def test_a_project_that_moved_as_a_whole_works_as_before(project, tmp_path):
    bpy, folder = project
    moved = tmp_path / "elsewhere" / "archive"
    moved.parent.mkdir()
    folder.rename(moved)
    bpy.ops.wm.open_mainfile(filepath=str(moved / "scenes" / "shot.blend"))
    assert folder_of(chosen(bpy)) == moved / "takes" / "walk" and film_is_there(bpy, chosen(bpy))
    camera = bpy.data.objects.new("Mine", bpy.data.cameras.new("Mine"))
    bpy.context.scene.collection.objects.link(camera)
    assert bpy.ops.shot.bake_camera(camera="Mine") == {"FINISHED"}
    assert bpy.ops.shot.export(format="NPZ", filepath=str(tmp_path / "out.npz")) == {"FINISHED"}
    bpy.ops.shot.load_take(directory=str(moved / "takes" / "walk"))  # shot.json still names the old place of the film
    assert film_is_there(bpy, chosen(bpy))


def test_solving_again_takes_the_film_from_where_it_is_now(project, tmp_path):
    from reshoot.operators.resolve import SHOT_OT_resolve

    bpy, folder = project
    shot = json.loads((folder / "takes" / "walk" / "shot.json").read_text())
    imports = {name: str(folder / "footage" / f"{name}.npz") for name in ("joints", "camera")}
    shot["options"] |= {**imports, "people": [str(folder / "footage" / "a.pkl"), "/gone/points.npz"]}
    (folder / "takes" / "walk" / "shot.json").write_text(json.dumps(shot))
    for name in ("joints.npz", "camera.npz", "a.pkl"):
        (folder / "footage" / name).touch()
    folder.rename(tmp_path / "moved")
    bpy.ops.wm.open_mainfile(filepath=str(tmp_path / "moved" / "scenes" / "shot.blend"))
    plan = SHOT_OT_resolve.plan(SimpleNamespace(take=""), bpy.context)
    assert plan.options["source"] == str(tmp_path / "moved" / "footage") and plan.take == tmp_path / "moved/takes/walk"
    footage = tmp_path / "moved" / "footage"
    assert plan.options["joints"] == str(footage / "joints.npz") and plan.options["camera"] == str(
        footage / "camera.npz"
    )
    assert plan.options["people"] == [str(footage / "a.pkl"), "/gone/points.npz"]


@pytest.mark.parametrize("copy", [False, True])
def test_a_file_that_is_saved_elsewhere_finds_its_take_and_so_does_the_copy(project, tmp_path, copy):
    bpy, folder = project
    bpy.context.scene.reshoot.filepath = "//../footage"
    bpy.context.scene.reshoot.people_files = "//../a.pkl; //../b.pkl"
    other = tmp_path / "project" / "versions" / "new" / "shot.blend"
    other.parent.mkdir(parents=True)
    bpy.ops.wm.save_as_mainfile(filepath=str(other), copy=copy)
    for _ in range(2):
        assert folder_of(chosen(bpy)) == folder / "takes" / "walk"
        settings = bpy.context.scene.reshoot
        assert bpy.path.abspath(settings.filepath) == bpy.path.abspath(
            f"//{'../' * (1 + (bpy.data.filepath == str(other)))}footage"
        )
        assert len(settings.people_files.split(";")) == 2
        bpy.ops.wm.open_mainfile(filepath=str(other))
    assert chosen(bpy)["reshoot_take"] == "//../../takes/walk"
    assert bpy.context.scene.reshoot.people_files == "//../../a.pkl; //../../b.pkl"


def test_a_take_is_kept_from_the_file_on_once_that_has_a_name(blender, take, tmp_path):
    folder = tmp_path / "walk"
    shutil.copytree(take[0], folder)
    blender.ops.shot.load_take(directory=str(folder))
    assert chosen(blender)["reshoot_take"] == str(folder)
    blender.ops.wm.save_as_mainfile(filepath=str(tmp_path / "shot.blend"))
    assert chosen(blender)["reshoot_take"] == "//walk"


def test_a_take_that_moved_alone_is_found_beside_the_file_or_the_film(project):
    bpy, folder = project
    for place in (folder / "scenes" / "walk", folder / "walk", folder / "footage" / "walk"):
        folder_of(chosen(bpy)).rename(place)
        assert folder_of(chosen(bpy)) == place
        assert bpy.ops.shot.open_report.poll()


def test_a_take_of_another_system_is_found(project):
    bpy, folder = project
    chosen(bpy)["reshoot_take"] = r"D:\films\project\takes\walk"
    assert folder_of(chosen(bpy)) == folder / "takes" / "walk"


GONE = "The take walk was not found: .*takes.walk. Use Relink Take to say where it is now."


def test_a_take_that_is_gone_is_asked_for_and_linked_anew(project, tmp_path):
    bpy, folder = project
    away = tmp_path / "far" / "away" / "from" / "here" / "renamed"
    away.parent.mkdir(parents=True)
    (folder / "takes" / "walk").rename(away)
    shutil.rmtree(folder / "footage")
    write_film(away, away.parent / "film")
    shutil.copytree(away / "masks", away.parent / "film")
    camera = bpy.data.objects.new("Mine", bpy.data.cameras.new("Mine"))
    bpy.context.scene.collection.objects.link(camera)
    buttons = {
        "bake_camera": {"camera": "Mine"}, "setup_composite": {}, "setup_scene": {}, "open_report": {}, "resolve": {},
        "delete_person": {"person": 1}, "export": {"format": "NPZ", "filepath": str(tmp_path / "x.npz")}, "undo_correction": {},
    }  # fmt: skip
    for name, arguments in buttons.items():
        with pytest.raises(RuntimeError, match=GONE):
            getattr(bpy.ops.shot, name)(**arguments)
    drawn = draw_all(bpy)
    assert "shot.relink_take" in drawn["People"] and "was not found" in " ".join(drawn["People"])
    with pytest.raises(RuntimeError, match="is not a take"):
        bpy.ops.shot.relink_take(directory=str(tmp_path))
    assert chosen(bpy)["reshoot_take"] == "//../takes/walk"
    assert bpy.ops.shot.relink_take(directory=str(away)) == {"FINISHED"}
    assert folder_of(chosen(bpy)) == away and film_is_there(bpy, chosen(bpy))
    assert "shot.relink_take" not in draw_all(bpy)["People"]
    assert bpy.ops.shot.bake_camera(camera="Mine") == {"FINISHED"}


def test_what_a_transfer_shows_follows_the_relinked_take(project, tmp_path):
    bpy, folder = project
    bpy.ops.shot.setup_composite()
    images = [i for i in bpy.data.images if i.source == "SEQUENCE"]
    away = tmp_path / "far" / "away" / "from" / "here" / "renamed"
    away.parent.mkdir(parents=True)
    (folder / "takes" / "walk").rename(away)
    bpy.ops.shot.relink_take(directory=str(away))
    assert images
    for image in images:
        path = Path(bpy.path.abspath(image.filepath)).resolve()
        assert path.is_file() and away in path.parents
