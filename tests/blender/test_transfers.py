"""The two transfers: who is where in the rendered picture, and what the scene is made of."""

import json

import cv2
import numpy as np
import pytest

from solver import frames
from solver.plate.erase import nearest_owner
from tests.blender.synthetic_take import FILM_RGB, FRAMES, HEIGHT, PLATE_RGB, WIDTH
from tools.demo import ROOT, import_character


def rendered(bpy, scene, path, frame, alpha=False):
    from reshoot.scene import render

    render.still(scene, path, frame, alpha)
    return cv2.imread(str(path), cv2.IMREAD_UNCHANGED)[..., [2, 1, 0, 3] if alpha else [2, 1, 0]]


def iou(a, b):
    return (a & b).sum() / max((a | b).sum(), 1)


def near(picture, rgb, tolerance):
    return (np.abs(picture.astype(int) - rgb) <= tolerance).all(-1)


@pytest.mark.parametrize("engine", ["WORKBENCH", "CYCLES"])
def test_people_are_rendered_where_the_take_says_over_the_clean_plate(loaded, tmp_path, engine):
    bpy, _, truth = loaded
    artist = bpy.context.scene
    assert bpy.ops.shot.setup_composite(engine=engine, samples=4, scene_name="Film") == {"FINISHED"}
    scene = bpy.data.scenes["Film"]
    assert artist.camera is None and artist.render.engine != "BLENDER_WORKBENCH"
    assert scene.render.film_transparent and scene.view_settings.view_transform == "Standard"
    for index in (2, 7):
        picture = rendered(bpy, scene, tmp_path / "f.png", 1 + index)
        assert picture.shape[:2] == (HEIGHT, WIDTH)
        plate = np.array(PLATE_RGB) + [8 * index, 0, 0]
        truth_mask = truth["masks"][index] > 0
        far = cv2.dilate(truth_mask.astype(np.uint8), np.ones((5, 5))) == 0
        if engine == "WORKBENCH":  # no shadows: all that is not a person is the plate, to the bit
            assert iou(~near(picture, plate, 40), truth_mask) > 0.95
            assert near(picture, plate, 1)[far].all()
        else:
            sky = far & (np.arange(HEIGHT)[:, None] < 20)
            assert sky.sum() > 1000 and near(picture, plate, 2)[sky].mean() > 0.99
            darker = (picture.astype(int).sum(-1) < plate.sum() - 60) & far
            assert darker.sum() > 50  # the shadow catcher


def test_only_the_replaced_person_is_erased(loaded, tmp_path):
    bpy, _, truth = loaded
    bpy.ops.shot.setup_composite(engine="WORKBENCH", keep="2", scene_name="Keep")
    picture = rendered(bpy, bpy.data.scenes["Keep"], tmp_path / "k.png", 1 + 4)
    film, plate = np.array(FILM_RGB) + [0, 8 * 4, 0], np.array(PLATE_RGB) + [32, 0, 0]
    mask = truth["masks"][4]
    erased = nearest_owner(mask, 4) == 1
    untouched = cv2.erode((~erased).astype(np.uint8), np.ones((5, 5))) > 0
    assert (mask[untouched] == 2).sum() > 200 and near(picture, film, 1)[untouched].all()
    rim = cv2.erode(erased.astype(np.uint8), np.ones((3, 3))).astype(bool) & (
        cv2.dilate((mask == 1).astype(np.uint8), np.ones((3, 3))) == 0
    )
    assert rim.sum() > 100 and near(picture, plate, 1)[rim].all()
    shown = ~near(picture, film, 60) & ~near(picture, plate, 60)
    inner = cv2.erode(erased.astype(np.uint8), np.ones((5, 5))) > 0  # not where film and plate mix
    assert iou(shown & inner, (mask == 1) & inner) > 0.95


@pytest.mark.parametrize("second, front", [((0.2, 0.8, 0), 1), ((0.2, -0.8, 0), 2)])
def test_kept_people_hide_the_characters_only_where_they_are_nearer(blender, tmp_path, second, front):
    """Where the two overlap, who is in front is right on 98 % of the pixels, whichever of them it is."""
    from solver.raster import instance_mask
    from tests.blender.synthetic_take import write

    bpy = blender
    truth = write(tmp_path / "cross", second=second)
    bpy.ops.shot.load_take(directory=str(tmp_path / "cross"))
    bpy.ops.shot.setup_composite(engine="WORKBENCH", replace="1", scene_name="Cross")
    for index in (2, 6):
        picture = rendered(bpy, bpy.data.scenes["Cross"], tmp_path / "c.png", 1 + index)
        alone = [
            instance_mask(
                [truth["vertices"][p][index]], truth["faces"], [p], truth["T"][index], truth["K"][index], WIDTH, HEIGHT
            )
            > 0
            for p in (1, 2)
        ]
        overlap = alone[0] & alone[1]
        assert overlap.sum() > 150
        assert (truth["masks"][index][overlap] == front).mean() > 0.95
        film, body = np.array(FILM_RGB) + [0, 8 * index, 0], np.median(picture[alone[0] & ~alone[1]], axis=0)
        film = np.linalg.norm(picture - film, axis=-1) < np.linalg.norm(
            picture - body, axis=-1
        )  # outlines are soft: whose is the larger share
        assert (film == (truth["masks"][index] == 2))[overlap].mean() >= 0.98


def solved_masks(folder, truth):
    """Write the solved bodies' masks of a synthetic take: its masks are the truth as well."""
    from solver.take import write_mask

    (folder / "solved").mkdir()
    for index, mask in enumerate(truth["masks"]):
        write_mask(folder / "solved" / f"{index:06d}.png", mask)


def test_leg_that_the_masks_give_to_the_one_behind_is_taken_back(blender, tmp_path):
    """A patch well inside the kept person, who stands wholly in front, is masked as the replaced one: the film shows there, and nothing is erased."""
    from solver.take import write_mask
    from tests.blender.synthetic_take import write

    bpy, index = blender, 4
    folder = tmp_path / "cross"
    truth = write(folder, second=(0.15, -1.7, 0))
    solved_masks(folder, truth)
    mask = truth["masks"][index].copy()
    y, x = np.nonzero(cv2.erode((mask == 2).astype(np.uint8), np.ones((5, 5))))
    patch = (slice(y[len(y) // 2] - 6, y[len(y) // 2] + 7), slice(x[len(y) // 2] - 3, x[len(y) // 2] + 4))
    mask[patch] = np.where(mask[patch] == 2, 1, mask[patch])
    wrong = (mask == 1) & (truth["masks"][index] == 2)
    write_mask(folder / "masks" / f"{index:06d}.png", mask)
    write_mask(folder / "plate" / "erase" / f"{index:06d}.png", nearest_owner(mask, 4))
    bpy.ops.shot.load_take(directory=str(folder))
    bpy.ops.shot.setup_composite(engine="WORKBENCH", replace="1", scene_name="Leg")
    picture = rendered(bpy, bpy.data.scenes["Leg"], tmp_path / "l.png", 1 + index)
    assert wrong.sum() > 30
    assert near(picture, np.array(FILM_RGB) + [0, 8 * index, 0], 12)[wrong].mean() > 0.9


@pytest.mark.parametrize("apart, film_decides", [(0.05, True), (1.3, False)])
def test_film_says_who_is_in_front_of_bodies_that_touch(blender, tmp_path, apart, film_decides):
    """The masks show the kept one whole, though solved a little behind the other, or far behind."""
    from solver.raster import instance_mask
    from solver.take import write_mask
    from tests.blender.synthetic_take import write

    bpy, index = blender, 4
    folder = tmp_path / "touch"
    truth = write(folder, second=(0.02, apart, 0))
    T, K = truth["T"][index], truth["K"][index]
    one, two = (instance_mask([truth["vertices"][p][index]], truth["faces"], [p], T, K, WIDTH, HEIGHT) > 0 for p in (1, 2))
    mask = np.where(two, 2, np.where(one, 1, 0)).astype(np.uint8)
    write_mask(folder / "masks" / f"{index:06d}.png", mask)
    write_mask(folder / "plate" / "erase" / f"{index:06d}.png", nearest_owner(mask, 4))
    bpy.ops.shot.load_take(directory=str(folder))
    bpy.ops.shot.setup_composite(engine="WORKBENCH", replace="1", scene_name="Touch")
    picture = rendered(bpy, bpy.data.scenes["Touch"], tmp_path / "t.png", 1 + index)
    inner = cv2.erode((one & two).astype(np.uint8), np.ones((9, 9))) > 0
    film = near(picture, np.array(FILM_RGB) + [0, 8 * index, 0], 20)[inner].mean()
    assert inner.sum() > 60
    assert film > 0.9 if film_decides else film < 0.1


@pytest.fixture
def plate_says(take):
    """Write the take's plate/plate.json; it is gone after the test, as other tests use the same take."""
    path = take[0] / "plate" / "plate.json"
    yield lambda **facts: path.write_text(json.dumps(facts))
    path.unlink(missing_ok=True)


def test_new_sun_stands_where_the_films_does_and_a_slider_fades_it(loaded, plate_says):
    bpy, _, _ = loaded
    towards = np.array([0.5, -0.5, 0.7]) / np.linalg.norm([0.5, -0.5, 0.7])
    plate_says(light={"towards": towards.tolist(), "shade": [0.3, 0.4, 0.5], "sure": 0.9}, level=1.0)
    bpy.ops.shot.setup_composite(engine="CYCLES", scene_name="Sunny", film_light=1.0)
    scene = bpy.data.scenes["Sunny"]
    sun = next(o for o in scene.objects if o.type == "LIGHT")
    sky = scene.world.node_tree.nodes["Background"].inputs

    def light():
        """On white ground: in shadow, and in full light."""
        scene.view_layers[0].update()
        deps = scene.view_layers[0].depsgraph
        power = sun.evaluated_get(deps).data.energy * np.array(sun.data.color) * towards[2] / np.pi
        strength = scene.world.evaluated_get(deps).node_tree.nodes["Background"].inputs["Strength"].default_value
        shadow = np.array(sky["Color"].default_value[:3]) * strength
        return shadow, shadow + power

    shadow, lit = light()
    assert np.allclose(np.array(sun.matrix_world)[:3, 2], towards, atol=1e-3)
    assert np.allclose(shadow, [0.3, 0.4, 0.5], atol=0.01) and np.allclose(lit, 1, atol=0.02)
    sun["Film Light"] = 0.0
    sun.update_tag()
    shadow, lit = light()
    assert np.allclose(shadow, lit, atol=1e-3) and abs(lit.mean() - 1) < 0.15


def test_light_that_is_not_sure_is_not_used(loaded, plate_says):
    bpy, _, _ = loaded
    plate_says(light={"towards": [1, 0, 0.1], "shade": [0.9, 0.9, 0.9], "sure": 0.1}, level=1.0)
    bpy.ops.shot.setup_composite(engine="CYCLES", scene_name="Dull")
    sun = next(o for o in bpy.data.scenes["Dull"].objects if o.type == "LIGHT")
    assert "Film Light" not in sun and np.array(sun.matrix_world)[2, 2] > 0.6


def test_grain_lies_on_the_characters_alone(loaded, plate_says, tmp_path):
    bpy, _, truth = loaded
    pictures = {}
    for name, grain in (("Clean", 0.0), ("Grainy", 6.0)):
        plate_says(grain=grain)
        bpy.ops.shot.setup_composite(engine="WORKBENCH", scene_name=name)
        pictures[name] = rendered(bpy, bpy.data.scenes[name], tmp_path / f"{name}.png", 1 + 4).astype(float)
        bpy.context.window.scene = bpy.data.scenes[0]
    difference = pictures["Grainy"] - pictures["Clean"]
    person = cv2.erode((truth["masks"][4] > 0).astype(np.uint8), np.ones((5, 5))) > 0
    away = cv2.dilate((truth["masks"][4] > 0).astype(np.uint8), np.ones((5, 5))) == 0
    assert np.abs(difference[away]).max() <= 1 and (difference[away] != 0).mean() < 1e-3  # 4.2 rounds a few otherwise
    bright = person & (pictures["Clean"].max(-1) > 80)
    assert 2 < difference.max(-1)[bright].std() < 12 and abs(difference[bright].mean()) < 1


def test_ground_and_blacks_are_the_films(blender, tmp_path):
    """The plate's floor near the feet is what comes back from below; where the film crushes its blacks, a dark character's sink as well, and only they."""
    from reshoot.scene import light
    from reshoot.scene import take as scene_take
    from tests.blender import goldens

    bpy, folder = blender, tmp_path / "film"
    truth = goldens.write_take(folder)
    bpy.ops.shot.load_take(directory=str(folder))
    collection = scene_take.take_collections()[-1]
    ground, blacks = light.plate_looks(scene_take.data_of(collection), 0.5)
    tile = (np.array([157, 147, 127]) / 255) ** 2.2 / 0.5
    assert np.allclose(ground, tile, rtol=0.1) and blacks == 0
    for number, colour in ((1, 0.004), (2, 0.6)):
        scene_take.paint(scene_take.person_of(collection, number), (colour,) * 3 + (1,))
    shades = []
    for dark in (False, True):
        for file in sorted((folder / "plate").glob("*.png")) if dark else ():
            picture = cv2.imread(str(file))
            picture[:, -WIDTH // 20 :] = 0
            cv2.imwrite(str(file), picture)
        bpy.context.window.scene = bpy.data.scenes[0]
        bpy.ops.shot.setup_composite(engine="WORKBENCH", scene_name=f"Film {dark}")
        picture = rendered(bpy, bpy.data.scenes[f"Film {dark}"], tmp_path / "p.png", 1 + 4).astype(float)
        shades.append([picture[cv2.erode((truth["masks"][4] == p).astype(np.uint8), np.ones((5, 5))) > 0].mean() for p in (1, 2)])
    (dark_before, light_before), (dark_after, light_after) = shades
    assert 4 < dark_before < 40 and dark_after < 0.8 * dark_before and abs(light_after - light_before) < 2


@pytest.mark.parametrize("engine", ["CYCLES", "EEVEE"])
def test_character_casts_a_shadow_on_who_is_kept(blender, tmp_path, engine):
    """The sun is on the right and the kept one on the left of the character: their flat colour in the film gets dark where the sun is taken."""
    from tests.blender import goldens

    bpy, shades = blender, {}
    truth = goldens.write_take(tmp_path / "film", second=(-0.75, 0.2, 0))
    kept = cv2.erode((truth["masks"][4] == 2).astype(np.uint8), np.ones((5, 5))) > 0
    bpy.ops.shot.load_take(directory=str(tmp_path / "film"))
    bpy.ops.shot.setup_composite(engine=engine, samples=8, replace="1", scene_name="Shade")
    scene = bpy.data.scenes["Shade"]
    for hidden in (False, True):
        for item in scene.collection.children[0].objects:
            item.animation_data.action = item.animation_data.action if item.type == "ARMATURE" else None
            item.hide_render = hidden
        shades[hidden] = rendered(bpy, scene, tmp_path / "s.png", 1 + 4).astype(int)[kept].sum(-1)
    film = sum(goldens.COLOURS[2])
    assert np.abs(shades[True] - film).max() <= 12
    dark = shades[False] < 0.85 * film
    assert 0.1 < dark.mean() < 0.9 and shades[False].min() > 0.3 * film
    assert (np.abs(shades[False] - film) <= 12).mean() > 0.05


@pytest.mark.parametrize("engine", ["CYCLES", "EEVEE"])
def test_character_casts_a_shadow_on_a_wall_that_the_plate_knows(blender, tmp_path, engine):
    """It falls where the solver's own geometry says, and the ground's shadow does not show through the wall."""
    from types import SimpleNamespace

    from solver.plate.erase import Shadows
    from solver.plate.walls import Wall
    from tests.blender import goldens

    bpy, folder, index = blender, tmp_path / "film", 4
    truth = goldens.write_take(folder, people=(1,))
    body = truth["vertices"][1][index]
    x, y = body[:, 0].mean(), body[:, 1].max() + 0.1
    corners = np.array([[x - 2.5, y, 0], [x + 2.5, y, 0], [x + 2.5, y, 1.6], [x - 2.5, y, 1.6]])
    facts = json.loads((folder / "plate" / "plate.json").read_text())
    towards = np.array([0.6, -0.6, 0.55]) / np.linalg.norm([0.6, -0.6, 0.55])
    facts["light"]["towards"] = towards.tolist()
    (folder / "plate" / "plate.json").write_text(json.dumps({**facts, "walls": [corners.tolist()]}))
    shift = -towards[:2] / towards[2]
    camera = SimpleNamespace(T_world_from_cam=truth["T"], K=truth["K"])
    people = lambda i: ([truth["vertices"][1][i]], [1], truth["faces"])
    wall = Wall(np.array([0, -1.0, 0]), -y, corners)
    fallen, flat = (Shadows(SimpleNamespace(shift=shift), people, camera, WIDTH, HEIGHT, walls) for walls in ([wall], []))
    bpy.ops.shot.load_take(directory=str(folder))
    bpy.ops.shot.setup_composite(engine=engine, samples=8, scene_name="Wall")
    picture = rendered(bpy, bpy.data.scenes["Wall"], tmp_path / "w.png", 1 + index).astype(int).sum(-1)
    plate = cv2.imread(str(folder / "plate" / f"{index:06d}.png")).astype(int).sum(-1)
    away = cv2.dilate((truth["masks"][index] > 0).astype(np.uint8), np.ones((7, 7))) == 0
    inner = cv2.erode((fallen.on_walls(index) > 0).astype(np.uint8), np.ones((5, 5))) > 0
    assert (inner & away).sum() > 150 and ((plate - picture) > 40)[inner & away].mean() > 0.95
    anywhere = cv2.dilate((fallen(index) > 0).astype(np.uint8), np.ones((9, 9))) > 0
    through = (flat(index) > 0) & ~anywhere & away  # where it would lie on the ground behind the wall
    assert through.sum() > 30 and np.abs(plate - picture)[through].max() <= 24
    assert (np.abs(plate - picture)[away & ~anywhere] <= 12).mean() > 0.98


def test_take_without_its_ground_has_no_shadows_and_the_whole_plate(loaded, tmp_path):
    from reshoot.scene import take as scene_take

    bpy, collection, truth = loaded
    bpy.data.objects.remove(scene_take.part(collection, "ground"))
    bpy.ops.shot.setup_composite(engine="CYCLES", samples=1, scene_name="Bare")
    picture = rendered(bpy, bpy.data.scenes["Bare"], tmp_path / "b.png", 1 + 4)
    away = cv2.dilate((truth["masks"][4] > 0).astype(np.uint8), np.ones((7, 7))) == 0
    assert near(picture, np.array(PLATE_RGB) + [32, 0, 0], 2)[away].all()


def test_nodes_are_in_named_frames(loaded):
    bpy, _, _ = loaded
    bpy.ops.shot.setup_composite(engine="WORKBENCH", keep="2", scene_name="Named")
    from reshoot import compat

    nodes = compat.composited_tree(bpy.data.scenes["Named"]).nodes
    frames = [n for n in nodes if n.type == "FRAME"]
    assert len(frames) == 4 and all(f.label for f in frames)
    assert all(n.parent in frames for n in nodes if n.type not in ("FRAME", "GROUP_OUTPUT", "COMPOSITE"))


def test_sound_of_the_film_is_kept(loaded, tmp_path):
    import wave

    from reshoot import compat

    bpy, _, _ = loaded
    if not bpy.app.build_options.audaspace:
        pytest.skip("this Blender was built without sound")
    with wave.open(str(tmp_path / "film.wav"), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(8000)
        file.writeframes(bytes(16000))
    scene = bpy.data.scenes.new("Heard")
    strip = compat.sound_strip(scene, str(tmp_path / "film.wav"), 7)
    assert strip is not None and strip.frame_start == 7


def test_replacing_one_keeps_the_other(loaded):
    from reshoot.scene import take as scene_take

    bpy, collection, _ = loaded
    bpy.ops.shot.setup_composite(engine="WORKBENCH", replace="1", scene_name="One")
    scene = bpy.data.scenes["One"]
    rendered_in, for_depth = (
        [o for o in layer.objects if o.visible_get(view_layer=layer)] for layer in scene.view_layers
    )
    for person, place, other in ((1, rendered_in, for_depth), (2, for_depth, rendered_in)):
        body = scene_take.part(collection, "body", person)
        assert body in place and body not in other
    assert any(i.name.endswith("Kept People") for i in bpy.data.images)


def test_animated_characters_come_before_stand_ins(loaded):
    bpy, _, _ = loaded
    rig = bpy.data.objects.new("Hero", bpy.data.armatures.new("Hero"))
    mesh = bpy.data.objects.new("Hero Mesh", bpy.data.meshes.new("Hero"))
    lamp = bpy.data.objects.new("Not A Character", bpy.data.lights.new("L", "POINT"))
    for item in (rig, mesh, lamp):
        bpy.context.scene.collection.objects.link(item)
    mesh.modifiers.new("Armature", "ARMATURE").object = rig
    rig.keyframe_insert("location", frame=1)
    bpy.ops.shot.setup_composite(engine="WORKBENCH", scene_name="Hero Film")
    names = {o.name for o in bpy.data.scenes["Hero Film"].collection.children[0].objects}
    assert names == {"Hero", "Hero Mesh"}


@pytest.mark.parametrize(
    "arguments, says",
    [
        ({"keep": "7"}, "not a person of this take"),
        ({"keep": "two"}, "not a person of this take"),
        ({"keep": "1", "replace": "1"}, "kept and replaced"),
        ({"characters": "Nobody"}, "no collection called"),
        ({"take": "Other"}, "no take called"),
    ],
)
def test_wrong_arguments_make_no_scene(loaded, arguments, says):
    bpy, _, _ = loaded
    with pytest.raises(RuntimeError, match=says):
        bpy.ops.shot.setup_composite(**arguments)
    assert len(bpy.data.scenes) == 1


def test_new_set_with_camera_and_people_stays_in_step(loaded, tmp_path):
    """Rendered without the set, people stand in the picture where the take's camera saw them, wherever the empty is."""
    bpy, _, truth = loaded
    bpy.ops.shot.setup_scene(engine="WORKBENCH", scene_name="Set")
    scene = bpy.data.scenes["Set"]
    picture = rendered(bpy, scene, tmp_path / "s.png", 1 + 3)
    assert len(np.unique(picture.reshape(-1, 3), axis=0)) > 50
    place = scene.objects["Set Place"]
    place.location, place.rotation_euler = (4, 2, 0.5), (0, 0, 2.0)
    scene.render.film_transparent = True
    for child in scene.collection.children:
        if child.name.startswith("Set Set"):
            for item in child.objects:
                item.hide_render = True
    alpha = rendered(bpy, scene, tmp_path / "a.png", 1 + 3, alpha=True)[..., 3] > 127
    assert iou(alpha, truth["masks"][3] > 0) > 0.93


def test_set_takes_the_camera_alone_or_the_people_alone(loaded):
    bpy, _, _ = loaded
    bpy.ops.shot.setup_scene(content="CAMERA", engine="WORKBENCH", scene_name="Cam")
    scene = bpy.data.scenes["Cam"]
    assert scene.camera.animation_data and not [o for o in scene.objects if o.instance_type == "COLLECTION"]
    bpy.ops.shot.setup_scene(content="CHARACTERS", engine="WORKBENCH", scene_name="Folk")
    scene = bpy.data.scenes["Folk"]
    assert scene.camera.animation_data is None
    assert [o for o in scene.objects if o.instance_type == "COLLECTION"]


def test_standing_camera_sees_everybody(loaded):
    bpy, _, truth = loaded
    bpy.ops.shot.setup_scene(content="CHARACTERS", engine="WORKBENCH", scene_name="Folk")
    scene = bpy.data.scenes["Folk"]
    deps = scene.view_layers[0].depsgraph
    deps.update()
    camera = scene.camera.evaluated_get(deps)
    projection = np.array(camera.calc_matrix_camera(deps, x=WIDTH, y=HEIGHT)) @ np.linalg.inv(
        np.array(camera.matrix_world)
    )
    points = np.concatenate([truth["joints"][p].reshape(-1, 3) for p in (1, 2)])
    clip = np.concatenate([points, np.ones((len(points), 1))], 1) @ projection.T
    assert (np.abs(clip[:, :2] / clip[:, 3:]) < 1).all()


@pytest.mark.parametrize("surroundings", ["STREET", "STAGE", "LANDSCAPE"])
def test_shipped_sets_leave_the_action_on_their_floor(loaded, surroundings):
    bpy, _, _ = loaded
    bpy.ops.shot.setup_scene(surroundings=surroundings, light="NIGHT", engine="WORKBENCH", scene_name="Set")
    scene = bpy.data.scenes["Set"]
    assert abs(scene.objects["Set Place"].matrix_world.translation.z) < 0.02
    assert len(bpy.data.collections["Set Set"].objects) >= 2


def test_own_collection_is_the_set_and_its_floor_is_stood_on(loaded):
    bpy, _, _ = loaded
    own = bpy.data.collections.new("Own")
    mesh = bpy.data.meshes.new("Roof")
    mesh.from_pydata([(-99, -99, 1.5), (99, -99, 1.5), (99, 99, 1.5), (-99, 99, 1.5)], [], [(0, 1, 2, 3)])
    own.objects.link(bpy.data.objects.new("Roof", mesh))
    bpy.ops.shot.setup_scene(into="Own", light="NONE", engine="WORKBENCH", scene_name="Mine")
    scene = bpy.data.scenes["Mine"]
    assert scene.objects["Mine Place"].location.z == pytest.approx(1.5, abs=1e-4)
    assert not [o for o in scene.objects if o.type == "LIGHT"] and "Own" in scene.collection.children
    bpy.ops.shot.setup_scene(into="Own", snap=False, engine="WORKBENCH", scene_name="Low")
    assert bpy.data.scenes["Low"].objects["Low Place"].location.z == 0
    with pytest.raises(RuntimeError, match="no collection or scene called Gone"):
        bpy.ops.shot.setup_scene(into="Gone")


def test_lights_differ_and_are_ordinary(loaded):
    bpy, _, _ = loaded
    suns = {}
    for light in ("DAY", "OVERCAST", "GOLDEN_HOUR", "NIGHT"):
        bpy.ops.shot.setup_scene(light=light, engine="WORKBENCH", scene_name=light)
        sun = bpy.data.objects[f"{light} Sun"]
        suns[light] = sun.data.energy
        assert sun.type == "LIGHT" and bpy.data.scenes[light].world
    assert suns["NIGHT"] < suns["OVERCAST"] < suns["DAY"]


def shown(bpy, scene, frame):
    """Where the camera and each person's skin are in a frame of a 3D transfer: (4, 4) and {person: (V, 3)}."""
    from reshoot.scene import take as scene_take

    bpy.context.window.scene = scene
    scene.frame_set(frame)
    deps = bpy.context.evaluated_depsgraph_get()
    people = {}
    for instance in deps.object_instances:
        if instance.is_instance and instance.object.type == "MESH":
            matrix = np.array(instance.matrix_world)
            skin = np.array([v.co for v in instance.object.data.vertices])
            people[instance.object.original[scene_take.PERSON_KEY]] = skin @ matrix[:3, :3].T + matrix[:3, 3]
    return frames.camera_from_blender(np.array(scene.camera.evaluated_get(deps).matrix_world)), people


def between(values, at):
    """values (T, ...) at a fractional index."""
    low = min(int(at), len(values) - 2)
    return values[low] * (1 - (at - low)) + values[low + 1] * (at - low)


def draw(clock, name, keys):
    """Redraw a property of the empty as a line through (frame, frame of the film)."""
    from reshoot import compat

    (curve,) = [c for c in compat.curves_of(clock) if name in c.data_path]
    curve.keyframe_points.clear()
    for frame, value in keys:
        curve.keyframe_points.insert(frame, value).interpolation = "LINEAR"


@pytest.mark.parametrize("apart", [False, True])
def test_one_curve_holds_turns_back_and_slows_camera_and_people_together_or_apart(loaded, apart):
    bpy, _, truth = loaded
    artist = bpy.context.scene
    assert bpy.ops.shot.setup_scene(time="CURVES" if apart else "CURVE", engine="WORKBENCH", scene_name="Timed") == {"FINISHED"}
    scene, clock = bpy.data.scenes["Timed"], bpy.data.objects["Timed Time"]
    assert (scene.frame_start, scene.frame_end) == (1, FRAMES)
    draw(clock, "Shot Frame", [(1, 1), (3, 7), (6, 7), (10, 3), (20, 8)])  # quick, held, back, half speed
    if apart:
        draw(clock, "Camera Frame", [(1, 10), (10, 1)])
    told = {1: 1, 2: 4, 4: 7, 6: 7, 8: 5, 10: 3, 14: 5, 15: 5.5, 20: 8, 25: 8}
    for frame, people_at in told.items():
        camera, skins = shown(bpy, scene, frame)
        camera_at = max(1, 11 - frame) if apart else people_at
        assert np.allclose(camera[:3, 3], between(truth["T"], camera_at - 1)[:3, 3], atol=1e-4)
        lens = scene.camera.evaluated_get(bpy.context.evaluated_depsgraph_get()).data.lens
        assert lens == pytest.approx(36 * between(truth["K"], camera_at - 1)[0, 0] / WIDTH, rel=1e-4)
        for person in (1, 2):  # between frames bones turn, and vertices do not go straight
            wanted = between(truth["vertices"][person], people_at - 1)
            assert np.abs(skins[person] - wanted).max() < (1e-3 if people_at == int(people_at) else 0.02)
    bpy.context.window.scene = artist
    artist.frame_set(4)  # the artist's own scene goes on as it was
    deps = bpy.context.evaluated_depsgraph_get()
    body = next(o for o in artist.objects if o.get("reshoot_role") == "body" and o["reshoot_person"] == 1).evaluated_get(deps)
    skin = np.array([body.matrix_world @ v.co for v in body.data.vertices])
    assert np.abs(skin - truth["vertices"][1][3]).max() < 1e-3


def test_retime_stretches_the_curve_of_the_new_scene_and_nothing_else(loaded):
    bpy, collection, truth = loaded
    artist = bpy.context.scene
    bpy.ops.shot.setup_scene(retime=2.0, engine="WORKBENCH", scene_name="Slow")
    scene = bpy.data.scenes["Slow"]
    assert (scene.frame_start, scene.frame_end) == (1, 1 + 2 * (FRAMES - 1))
    for s in (artist, scene):
        assert s.render.frame_map_new == s.render.frame_map_old
    assert all(o.animation_data.action for o in collection.all_objects if o.type == "ARMATURE")
    for index in (1, 6):
        camera, skins = shown(bpy, scene, 1 + 2 * index)
        assert np.allclose(camera[:3, 3], truth["T"][index][:3, 3], atol=1e-4)
        for person in (1, 2):
            assert np.allclose(skins[person], truth["vertices"][person][index], atol=1e-3)


def test_one_driver_keeps_the_camera_in_step_until_it_is_deleted(loaded):
    bpy, _, truth = loaded
    bpy.ops.shot.setup_scene(time="CURVE", engine="WORKBENCH", scene_name="Timed")
    scene, clock = bpy.data.scenes["Timed"], bpy.data.objects["Timed Time"]
    assert [d.data_path for d in clock.animation_data.drivers] == ['["Camera Frame"]']
    clock.driver_remove('["Camera Frame"]')
    clock["Camera Frame"] = 4.0
    clock.keyframe_insert('["Camera Frame"]', frame=1)
    camera, skins = shown(bpy, scene, 8)
    assert np.allclose(camera[:3, 3], truth["T"][3][:3, 3], atol=1e-4)
    assert np.allclose(skins[1], truth["vertices"][1][7], atol=1e-3)


def test_person_who_leaves_the_film_is_gone_in_held_time_too_and_nla_strips_are_told(blender, tmp_path, capfd):
    from tests.blender.synthetic_take import write

    bpy = blender
    write(tmp_path / "leave", seen={2: (0, 4)})
    bpy.ops.shot.load_take(directory=str(tmp_path / "leave"))
    rig = next(o for o in bpy.context.scene.objects if o.type == "ARMATURE" and o["reshoot_person"] == 1)
    action, slot = rig.animation_data.action, getattr(rig.animation_data, "action_slot", None)
    rig.animation_data.action = None
    strip = rig.animation_data.nla_tracks.new().strips.new("All", 1, action)
    if slot is not None:
        strip.action_slot = slot
    bpy.ops.shot.setup_scene(time="CURVE", engine="WORKBENCH", scene_name="Timed")
    assert f"NLA strips move {rig.name}" in capfd.readouterr().out
    scene, clock = bpy.data.scenes["Timed"], bpy.data.objects["Timed Time"]
    draw(clock, "Shot Frame", [(1, 3), (5, 3), (6, 8)])
    body = next(o for o in bpy.data.collections["Timed Characters in Time"].objects if o.get("reshoot_role") == "body" and o["reshoot_person"] == 2)
    bpy.context.window.scene = scene
    gone = []
    for frame in (5, 6):
        scene.frame_set(frame)
        gone.append(body.evaluated_get(bpy.context.evaluated_depsgraph_get()).hide_render)
    assert gone == [False, True]


def test_palette_masks_of_every_png_filter(tmp_path):
    from PIL import Image

    from reshoot.scene import png
    from solver.take import write_mask

    mask = np.random.default_rng(0).integers(0, 12, (37, 53)).astype(np.uint8)
    write_mask(tmp_path / "m.png", mask)
    assert np.array_equal(png.read_indices(tmp_path / "m.png"), mask)
    y, x = np.mgrid[:64, :80]
    smooth = ((x * 3 + y * 2) % 256).astype(np.uint8)  # a grey slope, on which encoders use the other filters
    for kind in range(5):
        params = [cv2.IMWRITE_PNG_STRATEGY, cv2.IMWRITE_PNG_STRATEGY_FILTERED]
        if hasattr(cv2, "IMWRITE_PNG_FILTER"):
            params += [cv2.IMWRITE_PNG_FILTER, 8 << kind]
        cv2.imwrite(str(tmp_path / f"{kind}.png"), smooth, params)
        assert np.array_equal(png.read_indices(tmp_path / f"{kind}.png"), smooth)
    png.write_grey(tmp_path / "g.png", smooth)
    assert np.array_equal(np.asarray(Image.open(tmp_path / "g.png")), smooth)


def camera_places(bpy, scene):
    """Place (N, 3) of a scene's camera in each of its frames."""
    bpy.context.window.scene = scene
    places = []
    for frame in range(scene.frame_start, scene.frame_end + 1):
        scene.frame_set(frame)
        places.append(np.array(scene.camera.evaluated_get(bpy.context.evaluated_depsgraph_get()).matrix_world.translation))
    return np.array(places)


def test_shake_of_the_camera_can_be_taken_away_and_doubled(loaded):
    """What is left without shake is smooth; the rest grows with the factor."""
    from reshoot.scene import camera as scene_camera
    from reshoot.scene import take as scene_take

    _, collection, _ = loaded
    path = scene_camera.path_of_take(scene_take.data_of(collection))
    rng = np.random.default_rng(0)
    path.location = np.linspace([0, 0, 1], [2, 0, 1], len(path.frames)) + 0.01 * rng.normal(size=(len(path.frames), 3))

    def rough(p):
        return np.abs(np.diff(p.location, 2, axis=0)).mean()

    still, twice = (scene_camera.adjusted(path, shake=s, fps=24) for s in (0.0, 2.0))
    assert rough(still) < 0.1 * rough(path) and rough(twice) > 1.8 * rough(path)
    assert np.allclose(still.location + twice.location, 2 * path.location)
    assert np.allclose(np.linalg.norm(twice.quat_wxyz, axis=1), 1)


def test_camera_alone_frames_somebody_smaller_as_it_framed_the_person(loaded):
    """A doll of half the person's height, elsewhere: the camera is half as far from it, and looks at it under the same angles."""
    from reshoot.scene import read
    from reshoot.scene import take as scene_take

    bpy, collection, _ = loaded
    person = scene_take.data_of(collection).person(1)
    doll = bpy.data.objects.new("Doll", bpy.data.meshes.new("Doll"))
    height = 0.5 * 1.14 * np.ptp(read.rest_joints(person)[:, 1])
    doll.data.from_pydata([(6, 1, 0.3), (6.2, 1.2, 0.3 + height)], [(0, 1)], [])
    bpy.context.scene.collection.objects.link(doll)
    bpy.context.view_layer.update()
    bpy.ops.shot.setup_scene(content="CAMERA", engine="WORKBENCH", scene_name="As Filmed", snap=False)
    bpy.ops.shot.setup_scene(content="CAMERA", engine="WORKBENCH", scene_name="On Doll", frame_on="Doll", person=1)
    filmed, on_doll = (camera_places(bpy, bpy.data.scenes[name]) for name in ("As Filmed", "On Doll"))
    stood = person.joints_world[:, 0].mean(0)
    stood[2] = np.median(person.joints_world[..., 2].min(1))
    assert np.allclose(on_doll - [6.1, 1.1, 0.3], 0.5 * (filmed - stood), atol=1e-3)
    with pytest.raises(RuntimeError, match="that comes alone"):
        bpy.ops.shot.setup_scene(frame_on="Doll")
    assert len(bpy.data.scenes) == 3


def test_variations_show_one_character_each_and_a_sheet_shows_them_all(loaded, tmp_path):
    bpy, _, _ = loaded
    rigs = [import_character(bpy, ROOT / "examples" / f"character_{name}.glb", name) for name in ("mixamo", "game")]
    stick = bpy.data.objects.new("Stick", bpy.data.armatures.new("Stick"))  # nobody can walk with that
    bpy.context.scene.collection.objects.link(stick)
    objects = len(bpy.data.objects)
    with pytest.raises(RuntimeError, match="Stick is left out"):
        only = bpy.data.collections.new("Only Stick")
        only.objects.link(stick)
        bpy.ops.shot.variations(vary="FILM", characters="Only Stick", engine="WORKBENCH")
    assert len(bpy.data.objects) == objects and len(bpy.data.scenes) == 1
    assert bpy.ops.shot.variations(vary="FILM", person=1, engine="WORKBENCH") == {"FINISHED"}
    assert bpy.ops.shot.variations(vary="SETS", surroundings={"HALL", "STAGE"}, light={"DAY"}, engine="WORKBENCH") == {"FINISHED"}
    made = [scene for scene in bpy.data.scenes if "reshoot_variation" in scene]
    assert [len(made), len({scene.name for scene in made})] == [4, 4]
    for rig in rigs:
        assert rig.animation_data is None  # nothing of the scene has changed
        (scene,) = [s for s in made if s.name.endswith(rig.name)]
        (copy,) = [o for o in scene.objects if o.type == "ARMATURE" and o.data == rig.data]
        assert copy.animation_data.action.name.startswith("walk Person 1")
        meshes = [o for o in scene.objects if o.find_armature() == copy]
        assert meshes and all(o.parent == copy for o in meshes)
    before = [(s.render.filepath, s.render.resolution_percentage, s.render.image_settings.file_format) for s in made]
    assert bpy.ops.shot.contact_sheet(filepath=str(tmp_path / "sheet"), moments=2, width=160) == {"FINISHED"}
    assert before == [(s.render.filepath, s.render.resolution_percentage, s.render.image_settings.file_format) for s in made]
    sheet = cv2.imread(str(tmp_path / "sheet.png"))
    gap = 3
    assert sheet.shape[:2] == (4 * (HEIGHT // 2 + gap) + gap, 2 * (160 + gap) + gap)
    hall, stage = (sheet[gap + k * (HEIGHT // 2 + gap) :][: HEIGHT // 2, gap : gap + 160].astype(int) for k in (2, 3))
    assert np.abs(hall - stage).mean() > 5  # the sets differ
    with pytest.raises(RuntimeError, match="no scene called Gone"):
        bpy.ops.shot.contact_sheet(filepath=str(tmp_path / "no.png"), scenes="Gone")
    assert not (tmp_path / "no.png").exists()


def test_new_scenes_stand_at_the_frame_at_work_and_the_shadow_catcher_hides_no_film(loaded):
    bpy, _, _ = loaded
    artist = bpy.context.scene
    artist.frame_set(6)
    bpy.ops.shot.setup_composite(scene_name="Film")
    bpy.context.window.scene = artist
    bpy.ops.shot.setup_scene(scene_name="Set")
    assert [bpy.data.scenes[name].frame_current for name in ("Film", "Set")] == [6, 6]
    catcher = next(o for o in bpy.data.scenes["Film"].objects if o.name.startswith("Film Shadows"))
    assert catcher.display_type == "WIRE"
