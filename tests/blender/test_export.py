"""Each file that is exported, read back: joints to a millimetre, cameras to a hundredth of a degree."""

import numpy as np
import pytest

from solver import frames
from solver.chan import poses_from_chan, read_chan
from solver.skeleton import SMPL_JOINTS
from tests.blender.synthetic_take import FRAMES, HEIGHT, WIDTH
from tests.blender.test_bake_camera import pixels_through
from tests.blender.test_load_take import evaluated_vertices, part

FPS = 24000 / 1001
# Blender's FBX importer counts 24 frames a second where the file rightly says 23.976.
FBX_READER = 24 / FPS


def exported(loaded, tmp_path, kind, ending):
    bpy, _, _ = loaded
    assert bpy.ops.shot.export(format=kind, filepath=str(tmp_path / f"walk{ending}")) == {"FINISHED"}
    return sorted(p.name for p in tmp_path.iterdir())


def fresh_scene(bpy, take):
    """An empty file at the film's rate, as importers take the scene's."""
    import reshoot
    from reshoot.scene import take as scene_take

    reshoot.unregister()
    bpy.ops.wm.read_factory_settings(use_empty=True)
    reshoot.register()
    scene_take.match(bpy.context.scene, scene_take.read_take(take[0]))
    return bpy.context.scene


def turn_degrees(A, B):
    """Angle between two rotations (3, 3)."""
    return np.rad2deg(2 * np.arcsin(min(1.0, np.linalg.norm(A - B) / np.sqrt(8))))


def assert_camera(bpy, truth, lens=range(FRAMES), shift=range(FRAMES), rate=1.0):
    """The scene's camera is the take's on every frame.

    lens, shift:  indices whose focal length and lens shift the reader knows; it keeps those of the first frame, or the middle (()).
    rate:         the reader's frames a second over the film's.
    """
    (camera,) = (o for o in bpy.data.objects if o.type == "CAMERA")
    points = truth["points"][150:]
    for index in range(FRAMES):
        show(bpy, index, rate)
        got = frames.camera_from_blender(np.array(camera.matrix_world.normalized()))
        assert turn_degrees(got[:3, :3], truth["T"][index][:3, :3]) < 0.01
        assert np.linalg.norm(got[:3, 3] - truth["T"][index][:3, 3]) < 1e-3
        K = truth["K"][index if index in lens else 0].copy()
        K[:2, 2] = truth["K"][index if index in shift else 0][:2, 2] if shift else (WIDTH / 2, HEIGHT / 2)
        want = frames.project(points, frames.invert(truth["T"][index]), K)
        seen = np.isfinite(want).all(1) & (np.abs(want - [WIDTH / 2, HEIGHT / 2]) < [WIDTH, HEIGHT]).all(1)
        assert seen.sum() > 5 and np.abs(pixels_through(bpy, camera, points) - want)[seen].max() < 0.05


def lens_on_import(moves):
    """What of the lens an importer of Blender reads: every frame, or in older versions the first, whatever the file holds."""
    known = range(FRAMES) if moves else (0,)
    return {"lens": known, "shift": known}


def show(bpy, index, rate=1.0):
    at = (1 + index) * rate
    bpy.context.scene.frame_set(int(at), subframe=at % 1)


def assert_figures(bpy, truth, rate=1.0):
    """The heads of the bones are the truth's joints on every frame, whoever is whom. Returns the largest error in metres."""
    armatures = sorted((o for o in bpy.data.objects if o.type == "ARMATURE"), key=lambda o: o.name)
    assert len(armatures) == len(truth["joints"]) == 2
    worst = 0.0
    for armature, number in zip(armatures, sorted(truth["joints"])):
        for index in range(FRAMES):
            show(bpy, index, rate)
            seen = armature.evaluated_get(bpy.context.evaluated_depsgraph_get())
            heads = np.array([seen.matrix_world @ seen.pose.bones[name].head for name in SMPL_JOINTS])
            worst = max(worst, np.linalg.norm(heads - truth["joints"][number][index], axis=1).max())
    assert worst < 1e-3
    return worst


def assert_skins(bpy, truth, rate=1.0):
    meshes = sorted(
        (o for o in bpy.data.objects if o.type == "MESH" and len(o.data.vertices) > 1000), key=lambda o: o.name
    )
    assert len(meshes) == 2
    for mesh, number in zip(meshes, sorted(truth["vertices"])):
        for index in (0, 4, FRAMES - 1):
            show(bpy, index, rate)
            got, want = evaluated_vertices(bpy, mesh), truth["vertices"][number][index]
            assert len(got) >= len(want)  # glTF splits vertices at seams; the order may change
            low, high = got.min(0) - want.min(0), got.max(0) - want.max(0)
            assert np.abs([low, high]).max() < 1e-3


def test_fbx(loaded, take, tmp_path):
    bpy, _, truth = loaded
    assert exported(loaded, tmp_path, "FBX", ".fbx") == ["walk.fbx"]
    fresh_scene(bpy, take)
    bpy.ops.import_scene.fbx(filepath=str(tmp_path / "walk.fbx"), anim_offset=0)
    assert_figures(bpy, truth, FBX_READER)
    assert_skins(bpy, truth, FBX_READER)
    assert_camera(bpy, truth, shift=(0,), rate=FBX_READER)


def test_gltf(loaded, take, tmp_path):
    bpy, _, truth = loaded
    assert exported(loaded, tmp_path, "GLTF", ".glb") == ["walk.glb"]
    fresh_scene(bpy, take)
    bpy.ops.import_scene.gltf(filepath=str(tmp_path / "walk.glb"))
    assert_figures(bpy, truth)
    assert_skins(bpy, truth)
    assert_camera(bpy, truth, lens=(0,), shift=())


def test_usd(loaded, take, tmp_path):
    bpy, _, truth = loaded
    if not bpy.app.build_options.usd:
        pytest.skip("this Blender was built without USD")
    assert exported(loaded, tmp_path, "USD", ".usdc") == ["walk.usdc"]
    fresh_scene(bpy, take)
    bpy.ops.wm.usd_import(filepath=str(tmp_path / "walk.usdc"))
    assert_figures(bpy, truth)
    assert_skins(bpy, truth)
    assert_camera(bpy, truth, **lens_on_import(bpy.app.version >= (4, 5)))


def test_alembic(loaded, take, tmp_path):
    bpy, _, truth = loaded
    if not bpy.app.build_options.alembic:
        pytest.skip("this Blender was built without Alembic")
    assert exported(loaded, tmp_path, "ABC", ".abc") == ["walk.abc"]
    fresh_scene(bpy, take)
    bpy.ops.wm.alembic_import(filepath=str(tmp_path / "walk.abc"), as_background_job=False)
    assert_skins(bpy, truth)
    assert_camera(bpy, truth, **lens_on_import(bpy.app.version >= (5, 2)))


@pytest.mark.parametrize(
    "kind,ending,lens", [("FBX", ".fbx", True), ("USD", ".usdc", True), ("ABC", ".abc", False), ("GLTF", ".glb", False)]
)
def test_a_camera_in_a_scene_file_becomes_one_that_extract_shot_takes(loaded, take, tmp_path, kind, ending, lens):
    """FBX, USD, Alembic and glTF by way of Blender, the solver reads the JSON: the same pose on every frame."""
    from reshoot.scene import camera_to_json
    from solver.imports import read_camera
    from tests.imports_cases import shot

    bpy, _, truth = loaded
    option = {"USD": "usd", "ABC": "alembic"}.get(kind)
    if option and not getattr(bpy.app.build_options, option):
        pytest.skip(f"this Blender was built without {option}")
    exported(loaded, tmp_path, kind, ending)
    fresh_scene(bpy, take)
    camera_to_json.main([str(tmp_path / f"walk{ending}"), str(tmp_path / "camera.json")])
    known = read_camera(tmp_path / "camera.json", shot(FRAMES, width=WIDTH, height=HEIGHT))
    ours, true = known.camera.T_world_from_cam, truth["T"]
    step = [np.linalg.inv(T[:1]) @ T for T in (ours, true)]
    # Blender's FBX importer counts 24 frames a second (FBX_READER): a thousandth of a frame more with every frame
    assert np.abs(step[0] - step[1]).max() < {"FBX": 4e-3, "GLTF": 2e-3}.get(kind, 1e-4)
    assert known.camera.K[0, 0, 0] == pytest.approx(truth["K"][0, 0, 0], rel=1e-3)
    if lens and (kind != "USD" or bpy.app.version >= (4, 5)):  # see lens_on_import
        assert np.allclose(known.camera.K[:, 0, 0], truth["K"][:, 0, 0], rtol=1e-3)
    with pytest.raises(SystemExit, match="no FBX"):
        camera_to_json.main([str(tmp_path / "walk.obj")])


def test_bvh_stands_upright_in_blenders_importer(loaded, take, tmp_path):
    bpy, _, truth = loaded
    assert exported(loaded, tmp_path, "BVH", ".bvh") == ["walk_person_01.bvh", "walk_person_02.bvh"]
    fresh_scene(bpy, take)
    for number in (1, 2):
        bpy.ops.import_anim.bvh(
            filepath=str(tmp_path / f"walk_person_0{number}.bvh")
        )  # with what it takes by itself: Y-up
    assert_figures(bpy, truth)


def test_bvh_read_by_another_reader(loaded, tmp_path):
    from benchmarks import bvh

    _, _, truth = loaded
    exported(loaded, tmp_path, "BVH", ".bvh")
    names, positions, seconds = bvh.read(tmp_path / "walk_person_01.bvh")
    order = [names.index(name) for name in SMPL_JOINTS]
    world = positions[:, order] @ frames.R_zup_from_yup.T
    assert np.linalg.norm(world - truth["joints"][1], axis=-1).max() < 1e-3
    assert seconds == pytest.approx(1 / FPS, rel=1e-6)


def test_chan(loaded, tmp_path, capfd):
    _, _, truth = loaded
    assert exported(loaded, tmp_path, "CHAN", ".chan") == ["walk.chan"]
    numbers, place, degrees, vfov = read_chan(tmp_path / "walk.chan")
    T = poses_from_chan(place, degrees)
    assert list(numbers) == list(range(1, FRAMES + 1))
    for got, want in zip(T, truth["T"]):
        assert turn_degrees(got[:3, :3], want[:3, :3]) < 0.01 and np.linalg.norm(got[:3, 3] - want[:3, 3]) < 1e-3
    assert np.abs(vfov - 2 * np.rad2deg(np.arctan(HEIGHT / 2 / truth["K"][:, 1, 1]))).max() < 0.01
    assert "the shift of the lens is left out" in capfd.readouterr().out


def test_npz_is_the_take_as_it_was_solved(loaded, take, tmp_path):
    _, _, truth = loaded
    assert exported(loaded, tmp_path, "NPZ", ".npz") == ["walk_camera.npz", "walk_person_01.npz", "walk_person_02.npz"]
    with np.load(tmp_path / "walk_camera.npz") as camera, np.load(tmp_path / "walk_person_02.npz") as person:
        assert np.array_equal(camera["T_world_from_cam"], truth["T"]) and np.array_equal(camera["K"], truth["K"])
        assert person["poses"].shape == (FRAMES, 72) and person["betas"].shape == (10,)
        assert np.array_equal(person["joints_world"], truth["joints"][2])


@pytest.mark.parametrize("kind, ending", [("CHAN", ".chan"), ("BVH", ".bvh"), ("FBX", ".fbx")])
def test_files_show_the_take_where_it_stands_in_the_scene(loaded, take, tmp_path, kind, ending):
    """The take's empty is moved, turned and made twice as large; the file follows."""
    bpy, collection, truth = loaded
    root = part(collection, "world")
    root.location, root.rotation_euler, root.scale = (3, -2, 0.5), (0, 0, 0.7), (2, 2, 2)
    bpy.context.view_layer.update()
    M = np.array(root.matrix_world)
    moved = {
        "T": np.array([frames.compose(M[:3, :3] / 2 @ t[:3, :3], M[:3, :3] @ t[:3, 3] + M[:3, 3]) for t in truth["T"]]),
        "joints": {n: j @ M[:3, :3].T + M[:3, 3] for n, j in truth["joints"].items()},
    }
    exported(loaded, tmp_path, kind, ending)
    fresh_scene(bpy, take)
    if kind == "CHAN":
        T = poses_from_chan(*read_chan(tmp_path / "walk.chan")[1:3])
        assert np.abs(T - moved["T"]).max() < 1e-4
    elif kind == "BVH":
        for number in (1, 2):
            bpy.ops.import_anim.bvh(filepath=str(tmp_path / f"walk_person_0{number}.bvh"))
        assert_figures(bpy, moved)
    else:
        bpy.ops.import_scene.fbx(filepath=str(tmp_path / "walk.fbx"), anim_offset=0)
        assert_figures(bpy, moved, FBX_READER)


@pytest.mark.parametrize("kind, ending", [("FBX", ".fbx"), ("GLTF", ".glb"), ("USD", ".usdc"), ("ABC", ".abc"), ("BVH", ".bvh"), ("CHAN", ".chan")])  # fmt: skip
def test_the_scene_is_as_before(loaded, tmp_path, kind, ending):
    bpy, collection, _ = loaded
    scene = bpy.context.scene
    cube = bpy.data.objects.new("Cube", bpy.data.meshes.new("Cube"))
    scene.collection.objects.link(cube)
    cube.select_set(True)
    bpy.context.view_layer.objects.active = cube
    scene.frame_end, scene.render.fps = 77, 30
    scene.frame_set(7)

    def state():
        body = part(collection, "body", 1)
        from reshoot import compat

        return (
            scene.frame_start, scene.frame_end, scene.frame_current, scene.render.fps, scene.render.fps_base,
            scene.render.resolution_x, len(bpy.data.objects), len(bpy.data.collections), len(bpy.data.actions),
            bpy.context.view_layer.objects.active, [o.name for o in bpy.context.selected_objects], body.hide_render,
            [c.mute for c in compat.curves_of(body)], [o.name for o in collection.all_objects],
        )  # fmt: skip

    before = state()
    exported(loaded, tmp_path, kind, ending)
    assert state() == before


@pytest.mark.parametrize(
    "kind, ending, reader", [("FBX", ".fbx", ("import_scene", "fbx")), ("GLTF", ".glb", ("import_scene", "gltf"))]
)
def test_other_things_of_the_scene_stay_out(loaded, take, tmp_path, kind, ending, reader):
    bpy, _, _ = loaded
    cube = bpy.data.objects.new("Cube", bpy.data.meshes.new("Cube"))
    bpy.context.scene.collection.objects.link(cube)
    exported(loaded, tmp_path, kind, ending)
    fresh_scene(bpy, take)
    getattr(getattr(bpy.ops, reader[0]), reader[1])(filepath=str(tmp_path / f"walk{ending}"))
    assert not [o for o in bpy.data.objects if o.name.startswith(("Cube", "walk Ground", "walk Points"))]
    assert [o for o in bpy.data.objects if o.type == "CAMERA"]


@pytest.mark.parametrize("kind, ending", [("FBX", ".fbx"), ("GLTF", ".glb"), ("BVH", ".bvh"), ("USD", ".usdc")])
def test_from_another_scene_and_with_everything_hidden(loaded, take, tmp_path, kind, ending):
    """Where the artist stands and what is hidden there makes no difference."""
    bpy, collection, truth = loaded
    if kind == "USD" and not bpy.app.build_options.usd:
        pytest.skip("this Blender was built without USD")
    for item in list(collection.all_objects):
        item.hide_viewport = True
    bpy.context.view_layer.layer_collection.children[collection.name].exclude = True
    other = bpy.data.scenes.new("Other")
    other.reshoot.take = collection
    with bpy.context.temp_override(scene=other, view_layer=other.view_layers[0]):
        exported(loaded, tmp_path, kind, ending)
    assert not other.collection.all_objects and not other.collection.children
    assert all(item.hide_viewport for item in collection.all_objects if item.type == "ARMATURE")
    fresh_scene(bpy, take)
    rate = FBX_READER if kind == "FBX" else 1.0
    if kind == "BVH":
        for number in (1, 2):
            bpy.ops.import_anim.bvh(filepath=str(tmp_path / f"walk_person_0{number}.bvh"))
    else:
        read = {"FBX": bpy.ops.import_scene.fbx, "GLTF": bpy.ops.import_scene.gltf, "USD": bpy.ops.wm.usd_import}[kind]
        read(filepath=str(tmp_path / f"walk{ending}"), **({"anim_offset": 0} if kind == "FBX" else {}))
        assert_skins(bpy, truth, rate)
    assert_figures(bpy, truth, rate)


def test_a_person_who_is_not_always_there(blender, tmp_path):
    """Hidden on the frame where the artist stands, and still in the file."""
    from tests.blender import synthetic_take

    truth = synthetic_take.write(tmp_path / "walk", seen={2: (3, 6)})
    blender.ops.shot.load_take(directory=str(tmp_path / "walk"))
    blender.context.scene.frame_set(1)
    out = tmp_path / "out"
    out.mkdir()
    assert blender.ops.shot.export(format="FBX", filepath=str(out / "walk.fbx")) == {"FINISHED"}
    assert part(blender.context.scene.reshoot.take, "body", 2).hide_viewport
    fresh_scene(blender, (tmp_path / "walk",))
    blender.ops.import_scene.fbx(filepath=str(out / "walk.fbx"), anim_offset=0)
    armature = sorted((o for o in blender.data.objects if o.type == "ARMATURE"), key=lambda o: o.name)[1]
    show(blender, 5, FBX_READER)
    heads = np.array([armature.matrix_world @ armature.pose.bones[name].head for name in SMPL_JOINTS])
    assert np.linalg.norm(heads - truth["joints"][2][5], axis=1).max() < 1e-3


def test_what_cannot_be_written_is_one_clear_line_and_leaves_nothing(loaded, tmp_path, monkeypatch):
    bpy, _, _ = loaded
    from reshoot import compat

    def says(words, **arguments):
        with pytest.raises(RuntimeError, match=words) as error:
            bpy.ops.shot.export(**arguments)
        assert "Traceback" not in str(error.value)

    says("was not found", format="FBX", filepath=str(tmp_path / "nowhere" / "walk.fbx"))
    (tmp_path / "walk.fbx").mkdir()
    says("is a folder", format="FBX", filepath=str(tmp_path / "walk.fbx"))
    says("No file is chosen", format="FBX")
    says("not saved yet", format="FBX", filepath="//walk.fbx")
    says("no take called Nobody", format="FBX", filepath=str(tmp_path / "walk.glb"), take="Nobody")
    monkeypatch.setattr(compat, "operator_properties", lambda group, name: None)
    says("cannot write .glb files. Switch its exporter on", format="GLTF", filepath=str(tmp_path / "walk"))
    assert [p.name for p in tmp_path.iterdir()] == ["walk.fbx"] and not list((tmp_path / "walk.fbx").iterdir())


def test_the_ending_is_the_formats(loaded, tmp_path):
    bpy, _, _ = loaded
    for given in ("walk.v2", "walk.v2.fbx", "walk.v2.chan"):
        bpy.ops.shot.export(format="CHAN", filepath=str(tmp_path / given))
    assert [p.name for p in tmp_path.iterdir()] == ["walk.v2.chan"]


def test_an_exporter_that_is_switched_off(loaded, tmp_path):
    import addon_utils

    bpy, _, _ = loaded
    addon_utils.disable("io_scene_fbx")
    try:
        with pytest.raises(RuntimeError, match="cannot write .fbx files. Switch its exporter on"):
            bpy.ops.shot.export(format="FBX", filepath=str(tmp_path / "walk.fbx"))
    finally:
        addon_utils.enable("io_scene_fbx")
    assert not list(tmp_path.iterdir())


def test_a_take_whose_folder_has_gone(blender, take, tmp_path):
    import shutil

    shutil.copytree(take[0], tmp_path / "gone")
    blender.ops.shot.load_take(directory=str(tmp_path / "gone"))
    shutil.rmtree(tmp_path / "gone")
    with pytest.raises(RuntimeError, match="was not found.*Relink Take"):
        blender.ops.shot.export(format="CHAN", filepath=str(tmp_path / "walk.chan"))


def test_nobody_to_write_as_bvh(blender, tmp_path):
    from tests.blender import synthetic_take

    synthetic_take.write(tmp_path / "empty", people=())
    blender.ops.shot.load_take(directory=str(tmp_path / "empty"))
    with pytest.raises(RuntimeError, match="nobody in this take"):
        blender.ops.shot.export(format="BVH", filepath=str(tmp_path / "walk.bvh"))
    assert blender.ops.shot.export(format="FBX", filepath=str(tmp_path / "walk.fbx")) == {"FINISHED"}
