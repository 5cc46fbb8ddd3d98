"""The baked camera re-projects the take's points as the take does."""

import numpy as np
import pytest

from solver import frames
from tests.blender.synthetic_take import FRAMES, HEIGHT, WIDTH


def pixels_through(bpy, camera, points, width=WIDTH, height=HEIGHT):
    """Pixels (N, 2), corner origin, by the projection that Blender's renderers use."""
    deps = bpy.context.evaluated_depsgraph_get()
    seen = camera.evaluated_get(deps)
    projection = np.array(seen.calc_matrix_camera(deps, x=width, y=height))
    view = np.linalg.inv(np.array(seen.matrix_world))
    clip = np.concatenate([points, np.ones((len(points), 1))], 1) @ (projection @ view).T
    ndc = clip[:, :2] / clip[:, 3:]
    return np.stack([(ndc[:, 0] + 1) / 2 * width, (1 - ndc[:, 1]) / 2 * height], 1)


def new_camera(bpy, name="Shot Cam"):
    camera = bpy.data.objects.new(name, bpy.data.cameras.new(name))
    bpy.context.scene.collection.objects.link(camera)
    return camera


@pytest.mark.parametrize("width, height", [(WIDTH, HEIGHT), (WIDTH * 3, HEIGHT * 3)])
def test_reprojection_within_a_hundredth_of_a_pixel(loaded, width, height):
    bpy, _, truth = loaded
    camera = new_camera(bpy)
    assert bpy.ops.shot.bake_camera(camera=camera.name) == {"FINISHED"}
    factor = width / WIDTH
    for index in range(FRAMES):
        bpy.context.scene.frame_set(1 + index)
        points = np.concatenate([truth["points"], truth["joints"][1][index], truth["joints"][2][index]])
        want = frames.project(points, frames.invert(truth["T"][index]), truth["K"][index])
        front = ~np.isnan(want[:, 0]) & (np.abs(want) < 2000).all(1)
        assert front.sum() > 100
        got = pixels_through(bpy, camera, points[front], width, height)
        assert np.abs(got - want[front] * factor).max() < 0.01 * factor


def test_the_renderer_agrees_with_world_to_camera_view(loaded):
    from bpy_extras.object_utils import world_to_camera_view
    from mathutils import Vector

    bpy, _, truth = loaded
    scene = bpy.context.scene
    scene.render.resolution_x, scene.render.resolution_y = WIDTH, HEIGHT
    camera = new_camera(bpy)
    bpy.ops.shot.bake_camera(camera=camera.name)
    scene.frame_set(1 + 5)
    for point in truth["joints"][1][5]:
        x, y, _ = world_to_camera_view(scene, camera, Vector(point))
        want = frames.project(point[None], frames.invert(truth["T"][5]), truth["K"][5])[0]
        assert np.allclose([x * WIDTH, (1 - y) * HEIGHT], want, atol=0.01)


def test_scale_and_an_empty_place_the_path(loaded):
    bpy, _, truth = loaded
    camera, empty = new_camera(bpy), bpy.data.objects.new("Place", None)
    bpy.context.scene.collection.objects.link(empty)
    empty.location, empty.rotation_euler = (10, -3, 2), (0, 0, 1.2)
    bpy.ops.shot.bake_camera(camera=camera.name, offset="Place", scale=2.0)
    bpy.context.scene.frame_set(1 + 3)
    turn = np.array([[np.cos(1.2), -np.sin(1.2), 0], [np.sin(1.2), np.cos(1.2), 0], [0, 0, 1]])
    got = frames.camera_from_blender(np.array(camera.matrix_world))
    assert np.allclose(got[:3, 3], turn @ (2 * truth["T"][3][:3, 3]) + [10, -3, 2], atol=1e-4)
    assert np.allclose(got[:3, :3], turn @ truth["T"][3][:3, :3], atol=1e-5)


def test_retime_keeps_the_path_and_stretches_it(loaded):
    bpy, _, truth = loaded
    camera = new_camera(bpy)
    bpy.ops.shot.bake_camera(camera=camera.name, retime=2.0)
    scene = bpy.context.scene
    for index in range(FRAMES):
        scene.frame_set(1 + 2 * index)
        assert np.allclose(camera.matrix_world.translation, truth["T"][index][:3, 3], atol=1e-4)
    scene.frame_set(1 + 7)
    between = (truth["T"][3][:3, 3] + truth["T"][4][:3, 3]) / 2
    assert np.allclose(camera.matrix_world.translation, between, atol=1e-3)
    assert camera.animation_data.action.frame_range[1] == 1 + 2 * (FRAMES - 1)


def test_smoothing_takes_jitter_out_and_leaves_a_straight_move(blender):
    from reshoot.scene import sampling

    line = np.linspace(0, 5, 40)[:, None] * [1.0, 2.0]
    assert np.abs(sampling.smooth(line, 3.0) - line).max() < 1e-9
    jitter = np.random.default_rng(1).normal(size=(200, 1))
    assert sampling.smooth(jitter, 3.0).std() < 0.4 * jitter.std()
    assert np.array_equal(sampling.smooth(jitter, 0.0), jitter)


def test_artists_animation_is_kept_and_what_fights_the_bake_is_switched_off(loaded):
    bpy, _, truth = loaded
    camera = new_camera(bpy)
    camera.location = (1, 2, 3)
    camera.keyframe_insert("location", frame=1)
    old = camera.animation_data.action
    keys = old.frame_range[:]
    track = camera.constraints.new("LIMIT_LOCATION")
    track.use_max_x, track.max_x = True, -50
    bpy.ops.shot.bake_camera(camera=camera.name)
    assert old.use_fake_user and old.frame_range[:] == keys and camera.animation_data.action != old
    assert track in camera.constraints[:] and not track.enabled
    bpy.context.scene.frame_set(1)
    assert np.allclose(camera.matrix_world.translation, truth["T"][0][:3, 3], atol=1e-4)


def test_take_camera_is_not_a_target(loaded):
    bpy, collection, _ = loaded
    own = next(o for o in collection.all_objects if o.type == "CAMERA")
    with pytest.raises(RuntimeError, match="take's own camera"):
        bpy.ops.shot.bake_camera(camera=own.name)
    with pytest.raises(RuntimeError, match="no camera to bake"):
        bpy.ops.shot.bake_camera()
    with pytest.raises(RuntimeError, match="There is no camera called"):
        bpy.ops.shot.bake_camera(camera="Nobody")
