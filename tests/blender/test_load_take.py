"""What load_take puts into the scene is what the take says."""

import json
import shutil

import numpy as np
import pytest

from solver import frames
from tests.blender.synthetic_take import FRAMES, HEIGHT, WIDTH


def part(collection, role, person=None):
    from reshoot.scene import take

    return take.part(collection, role, person)


def evaluated_vertices(bpy, item):
    deps = bpy.context.evaluated_depsgraph_get()
    item = item.evaluated_get(deps)
    mesh = item.to_mesh()
    out = np.empty(len(mesh.vertices) * 3, np.float32)
    mesh.vertices.foreach_get("co", out)
    matrix = np.array(item.matrix_world)
    item.to_mesh_clear()
    return out.reshape(-1, 3) @ matrix[:3, :3].T + matrix[:3, 3]


def test_bodies_stand_where_linear_blend_skinning_puts_them(loaded):
    bpy, collection, truth = loaded
    for person in (1, 2):
        body = part(collection, "body", person)
        for index in (0, 4, FRAMES - 1):
            bpy.context.scene.frame_set(1 + index)
            error = np.linalg.norm(evaluated_vertices(bpy, body) - truth["vertices"][person][index], axis=1)
            assert error.max() < 1e-3


def test_bones_stand_at_the_joints(loaded):
    bpy, collection, truth = loaded
    armature = part(collection, "person", 2)
    bpy.context.scene.frame_set(1 + 6)
    heads = np.array([armature.matrix_world @ bone.head for bone in armature.pose.bones])
    from solver.skeleton import SMPL_JOINTS

    order = [list(armature.pose.bones.keys()).index(name) for name in SMPL_JOINTS]
    assert np.abs(heads[order] - truth["joints"][2][6]).max() < 1e-3


def test_rest_pose_is_an_upright_t_pose_on_its_own_feet(loaded):
    _, collection, _ = loaded
    bones = part(collection, "person", 1).data.bones
    assert bones["head"].head_local.z > bones["pelvis"].head_local.z + 0.3
    assert bones["left_wrist"].head_local.x - bones["right_wrist"].head_local.x > 0.8
    assert bones["left_foot"].head_local.y < bones["left_ankle"].head_local.y  # toes to the front, -Y


def test_camera_keys_every_frame_and_only_what_changes(loaded):
    bpy, collection, truth = loaded
    camera = part(collection, "camera")
    from reshoot import compat

    paths = {c.data_path for c in compat.curves_of(camera)}
    assert paths == {"location", "rotation_quaternion"}
    assert {c.data_path for c in compat.curves_of(camera.data)} == {"lens", "shift_y"}
    for index in (0, FRAMES - 1):
        bpy.context.scene.frame_set(1 + index)
        got = frames.camera_from_blender(np.array(camera.matrix_world))
        assert np.abs(got - truth["T"][index]).max() < 1e-5


def test_body_is_hidden_where_the_person_is_not_seen(blender, tmp_path):
    from tests.blender import synthetic_take

    synthetic_take.write(tmp_path / "partly", people=(2,), seen={2: (3, 6)})
    blender.ops.shot.load_take(directory=str(tmp_path / "partly"), frame_start=101)
    body = part(blender.context.scene.reshoot.take, "body", 2)
    hidden = []
    for index in range(FRAMES):
        blender.context.scene.frame_set(101 + index)
        assert body.hide_render == body.hide_viewport
        hidden.append(body.hide_render)
    assert hidden == [not 3 <= i <= 6 for i in range(FRAMES)]


def test_nothing_else_in_the_file_changes(blender, take):
    scene = blender.context.scene
    cube = blender.data.objects.new("Cube", blender.data.meshes.new("Cube"))
    scene.collection.objects.link(cube)
    blender.context.view_layer.objects.active = cube
    cube.select_set(True)
    scene.frame_end, scene.render.fps = 77, 30
    before = (
        scene.render.resolution_x,
        scene.render.fps,
        scene.frame_start,
        scene.frame_end,
        scene.camera,
        scene.frame_current,
    )
    blender.ops.shot.load_take(directory=str(take[0]))
    after = (
        scene.render.resolution_x,
        scene.render.fps,
        scene.frame_start,
        scene.frame_end,
        scene.camera,
        scene.frame_current,
    )
    assert before == after
    assert blender.context.view_layer.objects.active == cube and cube.select_get() and blender.context.mode == "OBJECT"
    assert set(scene.collection.objects) == {cube} and len(scene.collection.children) == 1


def test_match_scene_is_done_on_request(blender, take):
    blender.ops.shot.load_take(directory=str(take[0]), match_scene=True)
    scene = blender.context.scene
    assert (scene.render.resolution_x, scene.render.resolution_y) == (WIDTH, HEIGHT)
    assert scene.render.fps / scene.render.fps_base == pytest.approx(24000 / 1001, rel=1e-6)
    assert (scene.frame_start, scene.frame_end) == (1, FRAMES)


def test_points_and_ground(loaded):
    _, collection, truth = loaded
    mesh = part(collection, "points").data
    assert len(mesh.vertices) == len(truth["points"])
    assert np.allclose(mesh.vertices[7].co, truth["points"][7], atol=1e-5)
    assert "Colour" in mesh.color_attributes
    ground = part(collection, "ground")
    assert max(abs(v.co.z) for v in ground.data.vertices) == 0 and ground.hide_render


def test_film_is_behind_the_camera_in_step(loaded):
    _, collection, _ = loaded
    background = part(collection, "camera").data.background_images[0]
    assert background.clip.frame_start == 1 and tuple(background.clip.size) == (WIDTH, HEIGHT)


def test_a_film_laid_on_its_frames_and_the_films_own_numbers(blender, take, tmp_path):
    """Where the source is not the shot frame for frame the take's own film lies behind; the scene's numbers are the film's when asked."""
    from reshoot.scene import take as scene_take
    from solver.movie import write_movie

    folder = tmp_path / "numbered"
    shutil.copytree(take[0], folder)
    write_movie(folder / "film.mp4", [np.full((HEIGHT, WIDTH, 3), 20 * i, np.uint8) for i in range(FRAMES)], 24)
    shot = json.loads((folder / "shot.json").read_text())
    shot["source"] |= {"conformed": True, "start_frame": 40, "first_number": 1041}
    (folder / "shot.json").write_text(json.dumps(shot))
    assert blender.ops.shot.load_take(directory=str(folder), film_numbers=True) == {"FINISHED"}
    camera = scene_take.part(blender.context.scene.reshoot.take, "camera")
    clip = camera.data.background_images[0].clip
    assert clip.filepath.endswith("film.mp4") and clip.frame_start == 1041 and clip.frame_duration == FRAMES
    assert camera.animation_data.action.frame_range[0] == 1041


def test_missing_film_is_a_warning_not_an_end(blender, take, tmp_path):
    folder = tmp_path / "moved"
    shutil.copytree(take[0], folder)
    shot = json.loads((folder / "shot.json").read_text())
    shot["source"]["path"] = str(tmp_path / "gone.mp4")
    (folder / "shot.json").write_text(json.dumps(shot))
    assert blender.ops.shot.load_take(directory=str(folder)) == {"FINISHED"}
    assert not part(blender.context.scene.reshoot.take, "camera").data.background_images


def test_nobody_in_the_shot_is_fine(blender, tmp_path):
    from tests.blender import synthetic_take

    synthetic_take.write(tmp_path / "empty", people=())
    assert blender.ops.shot.load_take(directory=str(tmp_path / "empty")) == {"FINISHED"}


@pytest.mark.parametrize(
    "damage, says",
    [
        (lambda f: shutil.rmtree(f), "no shot.json"),
        (lambda f: (f / "shot.json").write_text("{"), "damaged"),
        (lambda f: (f / "shot.json").write_text('{"schema_version": 99}'), "newer"),
        (lambda f: (f / "camera.npz").unlink(), "not finished"),
        (lambda f: (f / "camera.npz").write_bytes(b"PK\x03\x04 not a zip"), "cannot be read"),
        (lambda f: (f / "people" / "01.npz").unlink(), "cannot be read"),
        (lambda f: (f / "people" / "02.npz").write_bytes((f / "people" / "02.npz").read_bytes()[:900]), "cannot be read"),
        (lambda f: np.savez(f / "camera.npz", T_world_from_cam=np.full((3, 4, 4), np.nan), K=np.zeros((3, 3, 3))), "not numbers"),
    ],
)  # fmt: skip
def test_bad_take_is_one_clear_error_and_leaves_nothing(blender, take, tmp_path, damage, says):
    folder = tmp_path / "bad"
    shutil.copytree(take[0], folder)
    damage(folder)
    with pytest.raises(RuntimeError) as error:
        blender.ops.shot.load_take(directory=str(folder))
    assert says in str(error.value) and "Traceback" not in str(error.value)
    assert not blender.data.objects and not blender.data.collections


def test_path_beside_an_unsaved_file_is_asked_about(blender):
    with pytest.raises(RuntimeError, match="not saved yet"):
        blender.ops.shot.load_take(directory="//take")


def test_a_take_of_the_artists_own_smpl_has_bones_and_says_how_to_get_the_skin(blender, take, tmp_path, capfd):
    folder = tmp_path / "licensed"
    shutil.copytree(take[0], folder)
    for path in (folder / "people").glob("*.npz"):
        with np.load(path) as file:
            arrays = dict(file)
        arrays["body"] = np.array("smpl")
        np.savez(path, **arrays)
    assert blender.ops.shot.load_take(directory=str(folder)) == {"FINISHED"}
    collection = blender.context.scene.reshoot.take
    assert part(collection, "person", 1) is not None and part(collection, "body", 1) is None
    assert "Set the SMPL folder" in capfd.readouterr().out
