"""A person's eye and colour act on what is drawn: bones and body."""

import pytest

from tests.blender.synthetic_take import FRAMES
from tests.blender.test_load_take import part


def base_colour(body):
    (material,) = body.data.materials
    return tuple(material.node_tree.nodes["Principled BSDF"].inputs["Base Color"].default_value)


def test_the_eye_hides_bones_and_body_on_every_frame_and_one_person_only(loaded):
    bpy, collection, _ = loaded
    armature, body = part(collection, "person", 1), part(collection, "body", 1)
    others = part(collection, "person", 2), part(collection, "body", 2)
    assert armature.reshoot.shown
    armature.reshoot.shown = False
    for frame in range(1, 1 + FRAMES):
        bpy.context.scene.frame_set(frame)
        assert not armature.visible_get() and not body.visible_get() and not armature.reshoot.shown
        assert all(item.visible_get() for item in others)
    armature.reshoot.shown = True
    bpy.context.view_layer.update()
    assert armature.visible_get() and body.visible_get()


def test_the_eye_leaves_keyed_visibility_alone(blender, tmp_path):
    from tests.blender import synthetic_take

    synthetic_take.write(tmp_path / "partly", people=(1,), seen={1: (3, 6)})
    blender.ops.shot.load_take(directory=str(tmp_path / "partly"))
    collection = blender.context.scene.reshoot.take
    armature, body = part(collection, "person", 1), part(collection, "body", 1)
    armature.reshoot.shown = False
    armature.reshoot.shown = True
    for index in range(FRAMES):
        blender.context.scene.frame_set(1 + index)
        assert body.visible_get() == (3 <= index <= 6)


def test_the_colour_is_that_of_the_body_in_viewport_and_render(loaded):
    _, collection, _ = loaded
    armature, body, other = part(collection, "person", 1), part(collection, "body", 1), part(collection, "body", 2)
    (material,) = body.data.materials
    assert base_colour(body) == pytest.approx(tuple(armature.reshoot.colour))
    before, colour = base_colour(other), (0.1, 0.7, 0.3, 1.0)
    armature.reshoot.colour = colour
    for drawn in (
        base_colour(body),
        material.diffuse_color,
        body.color,
        armature.color,
        armature.reshoot.colour,
    ):
        assert tuple(drawn) == pytest.approx(colour)
    assert base_colour(other) == before


def test_both_stay_where_the_take_is_renewed(loaded):
    from reshoot.scene import take

    _, collection, _ = loaded
    part(collection, "person", 1).reshoot.colour = (0.1, 0.7, 0.3, 1.0)
    part(collection, "person", 2).reshoot.shown = False
    take.renew(collection)
    assert base_colour(part(collection, "body", 1)) == pytest.approx((0.1, 0.7, 0.3, 1.0))
    assert not part(collection, "body", 2).visible_get() and not part(collection, "person", 2).visible_get()
    assert part(collection, "body", 1).visible_get()


def test_the_films_camera_becomes_the_scenes_where_it_is_looked_through(loaded):
    bpy, collection, _ = loaded
    scene, film = bpy.context.scene, part(collection, "camera")
    scene.camera = None
    assert bpy.ops.shot.view_camera() == {"FINISHED"} and scene.camera == film
    bpy.context.window.scene = bpy.data.scenes.new("Elsewhere")
    bpy.context.scene.reshoot.take = collection
    with pytest.raises(RuntimeError, match="not in this scene.*Go to the scene"):
        bpy.ops.shot.view_camera()
    assert bpy.context.scene.camera is None
