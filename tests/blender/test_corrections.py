"""Corrections made in Blender are the command line's; solving again renews the take that stands in the scene."""

import json
import shutil
import sys
from types import SimpleNamespace

import numpy as np
import pytest

from solver import __main__ as solver_main
from solver.corrections import FILE, load
from solver.frames import compose
from solver.records import Camera, People, Slam, Tracks, World, save_record
from tests.blender import synthetic_take
from tests.blender.synthetic_take import FRAMES, HEIGHT, WIDTH
from tests.blender.test_load_take import part

START = 101  # the Blender frame of the take's first


def write_stages(folder):
    """What corrections and solving again read of a solved take: tracks, start camera, world."""
    (folder / "stages").mkdir()
    seen = np.ones((2, FRAMES))
    tracks = Tracks(
        np.array([1, 2]), np.ones((2, FRAMES, 4)), seen, np.ones((2, FRAMES, 25, 3)), np.ones((2, FRAMES, 25, 4)), seen.astype(int),
        {},
    )  # fmt: skip
    save_record(folder / "stages" / "track.npz", tracks)
    people = [{"seen": n, "chosen": n < 3, "person": n if n < 3 else None, "first": 0, "last": 4, "picture": f"seen/{n:02d}.jpg"} for n in (1, 2, 3)]
    (folder / "seen.json").write_text(json.dumps({"schema_version": 1, "people": people}))
    none, camera = np.zeros(0), Camera(np.tile(np.eye(4), (FRAMES, 1, 1)), np.zeros((FRAMES, 3, 3)))
    slam = Slam(camera, "full", {}, "estimated", 0.1, np.ones(FRAMES, bool), np.zeros((0, 3)), none, none, none, none)
    save_record(folder / "stages" / "slam.npz", slam)
    people = People(*(np.zeros((0, 1)) for _ in range(7)))
    T = compose(np.array([[1.0, 0, 0], [0, 0, 1], [0, -1, 0]]), [0, 0, 1.6])
    save_record(folder / "stages" / "world.npz", World(camera, people, 1.0, none, none, "contacts", T))


@pytest.fixture
def solved(blender, take, tmp_path):
    """bpy, and the folder of a loaded take that has its stages."""
    folder = tmp_path / "walk"
    shutil.copytree(take[0], folder)
    write_stages(folder)
    blender.ops.shot.load_take(directory=str(folder), frame_start=START)
    return blender, folder


CASES = [  # an operator of Blender and its arguments, the command line's words, and where the solver goes on
    ("merge_people", {"person": 1, "other": 2}, ("merge", 1, 2), "after track"),
    ("swap_people", {"person": 1, "other": 2, "frame": START + 4}, ("swap", 1, 2, "--from", 4), "after track"),
    ("split_person", {"person": 2, "frame": START + 3}, ("split", 2, 3), "after track"),
    ("delete_person", {"person": 2}, ("delete", 2), "after track"),
    ("add_person", {"seen": 3}, ("add", 3), "from track"),
    ("set_height", {"person": 1, "metres": 1.82}, ("height", 1, 1.82), "from body"),
    ("set_focal", {"mm": 35.5}, ("focal", 35.5), "from slam"),
    ("lock_ground", {}, ("ground", "lock"), "from world"),
    ("unlock_ground", {}, ("ground", "unlock"), "from world"),
    ("set_moved", {"first": START, "last": START + 4, "metres": 2.5}, ("moved", 0, 4, 2.5), "from world"),
    ("show_joint", {"person": 2, "frame": START + 3, "joint": "left_knee", "x": 0.25, "y": 0.5}, ("joint", 2, 3, "left_knee", WIDTH / 4, HEIGHT / 2), "after track"),
    ("set_stands", {"person": 2, "first": START + 1, "last": START + 3}, ("stands", 2, 1, 3), "from world"),
]


@pytest.mark.parametrize("name, arguments, words, goes_on", CASES, ids=[c[0] for c in CASES])
def test_blender_writes_what_the_command_line_writes(solved, tmp_path, capfd, name, arguments, words, goes_on):
    bpy, folder = solved
    other = tmp_path / "other"
    shutil.copytree(folder, other)
    assert getattr(bpy.ops.shot, name)(**arguments) == {"FINISHED"}
    said = capfd.readouterr().out
    assert f"Solve Again goes on {goes_on}" in said
    assert solver_main.main(["take", str(other), *map(str, words)]) == 0
    assert f"it goes on {goes_on}." in capfd.readouterr().out
    assert (folder / FILE).read_text() == (other / FILE).read_text() and load(folder).items


def test_who_was_left_out_is_listed_until_added(solved):
    bpy, folder = solved
    from reshoot.panels.sidebar import SHOT_PT_left_out
    from reshoot.scene import corrections

    take = bpy.context.scene.reshoot.take
    assert [(p["seen"], p["first"], p["picture"]) for p in corrections.left_out(take)] == [(3, START, str(folder / "seen/03.jpg"))]
    assert SHOT_PT_left_out.poll(bpy.context)
    bpy.ops.shot.add_person(seen=3)
    assert not corrections.left_out(take) and not SHOT_PT_left_out.poll(bpy.context)
    for text in ("{", '{"people": [{"seen": 1, "chosen": false}]}'):
        (folder / "seen.json").write_text(text)
        assert corrections.left_out(take) == []


def test_an_upright_line_is_where_it_was_drawn(solved):
    bpy, folder = solved
    from reshoot.operators.on_film import share_of_frame

    assert share_of_frame([(100, 50), (740, 410), (100, 410), (740, 50)], 420, 140) == pytest.approx((0.5, 0.75))
    bpy.ops.shot.set_upright("EXEC_DEFAULT", frame=START + 2, x1=0.5, y1=0.25, x2=0.52, y2=0.75)
    assert load(folder).items == [{"do": "upright", "frame": 2, "x1": 0.5, "y1": 0.25, "x2": 0.52, "y2": 0.75}]
    with pytest.raises(RuntimeError, match="too short"):
        bpy.ops.shot.set_upright("EXEC_DEFAULT", frame=START, x1=0.5, y1=0.25, x2=0.5, y2=0.25)


def test_who_is_outlined_and_where_a_joint_is(solved, capfd):
    bpy, folder = solved
    from reshoot.operators.correct_picture import SHOT_OT_outline_person
    from reshoot.operators.on_film import LINE, OnFilm

    square = "0.1 0.2 0.3 0.2 0.3 0.6 0.1 0.6"
    bpy.ops.shot.outline_person("EXEC_DEFAULT", person=0, frame=START + 2, points=square)
    bpy.ops.shot.outline_person("EXEC_DEFAULT", person=3, frame=START + 4, points=square)
    bpy.ops.shot.show_joint("EXEC_DEFAULT", person=3, frame=START + 4, joint="left_wrist", x=0.25, y=0.5)
    corners = [[0.1, 0.2], [0.3, 0.2], [0.3, 0.6], [0.1, 0.6]]
    assert load(folder).items == [
        {"do": "outline", "person": 3, "frame": 2, "new": True, "polygons": [corners]},
        {"do": "outline", "person": 3, "frame": 4, "new": False, "polygons": [corners]},
        {"do": "joint", "person": 3, "frame": 4, "joint": "left_wrist", "x": 0.25, "y": 0.5},
    ]
    assert f"Person 3 is outlined in frame {START + 2}. Solve Again goes on after track" in capfd.readouterr().out
    for wrong, says in (("0.1 0.2 0.3", "damaged"), ("0.1 a", "damaged"), ("0.1 0.1 0.11 0.1 0.11 0.11", "too small"), ("", "damaged")):
        with pytest.raises(RuntimeError, match=says):
            bpy.ops.shot.outline_person("EXEC_DEFAULT", person=1, frame=START, points=wrong)
    with pytest.raises(RuntimeError, match="no person 9"):
        bpy.ops.shot.show_joint("EXEC_DEFAULT", person=9, frame=START, x=0.5, y=0.5)
    assert len(load(folder).items) == 3
    drawn = type("Drawn", (OnFilm,), {"keeps": SHOT_OT_outline_person.keeps})()
    drawn.places = [(0, 0)]
    for at in ((1, 1), (5, 0), (6, 1), (9, 9)):
        drawn.go_to(at)
    assert drawn.places == [(0, 0), (5, 0), (9, 9)]
    drawn.keeps = LINE
    drawn.go_to((7, 7))
    assert drawn.places == [(0, 0), (7, 7)]


def test_frames_are_those_of_the_scene(solved, capfd):
    bpy, folder = solved
    from reshoot.scene import corrections

    with pytest.raises(
        RuntimeError, match=f"split at frame {START}. Name a frame from {START + 1} to {START + FRAMES - 1},"
    ):
        bpy.ops.shot.split_person(person=1, frame=START)
    with pytest.raises(RuntimeError, match=f"no frame 5. Name a frame from {START} to {START + FRAMES - 1}"):
        bpy.ops.shot.swap_people(person=1, other=2, frame=5)
    assert not (folder / FILE).exists()
    bpy.ops.shot.split_person(person=1, frame=START + 4)
    assert load(folder).items == [{"do": "split", "person": 1, "frame": 4, "new": 3}]
    assert f"From frame {START + 4} on person 1 is somebody else: 3." in capfd.readouterr().out
    assert corrections.lines(bpy.context.scene.reshoot.take) == [
        f"From frame {START + 4} on person 1 is somebody else: 3."
    ]


def test_undo_takes_back_the_last_one_only(solved, capfd):
    bpy, folder = solved
    bpy.ops.shot.set_height(person=1, metres=1.82)
    bpy.ops.shot.delete_person(person=2)
    assert bpy.ops.shot.undo_correction() == {"FINISHED"}
    assert "Undone: Person 2 is left out. Solve Again goes on after track" in capfd.readouterr().out
    assert load(folder).items == [{"do": "height", "person": 1, "metres": 1.82}]
    bpy.ops.shot.undo_correction()
    with pytest.raises(RuntimeError, match="no correction to undo"):
        bpy.ops.shot.undo_correction()


@pytest.mark.parametrize(
    "name, arguments, says",
    [
        ("delete_person", {"person": 7}, "no person 7 \\(there is 1, 2\\)"),
        ("merge_people", {"person": 1, "other": 1}, "one and the same person"),
        ("set_height", {"person": 1, "metres": 182.0}, "no height of a person"),
        ("set_height", {"person": 9, "metres": 1.8}, "no person 9"),
        ("set_focal", {"mm": 0.5}, "no lens"),
        ("set_focal", {"mm": 35, "take": "Nobody's"}, "no take called"),
    ],
)
def test_what_does_not_fit_is_one_line_and_changes_nothing(solved, name, arguments, says):
    bpy, folder = solved
    with pytest.raises(RuntimeError, match=says) as error:
        getattr(bpy.ops.shot, name)(**arguments)
    assert "Traceback" not in str(error.value) and not (folder / FILE).exists()


def test_the_panel_lists_what_was_corrected(solved):
    from tests.blender.test_registration import draw_all

    bpy, folder = solved
    bpy.ops.shot.set_height(person=1, metres=1.82)
    drawn = draw_all(bpy)["Corrections"]
    assert "Person 1 is 1.82 m tall." in drawn and "shot.undo_correction" in drawn
    (folder / FILE).write_text("{")
    assert "corrections.json" in " ".join(draw_all(bpy)["Corrections"])  # a reason, no failing panel


# -- solving again


@pytest.fixture
def solver(solved, monkeypatch, tmp_path):
    """bpy, the take's folder, and what the solver was asked for; it stands still, the test writes the take."""
    from reshoot import jobs

    asked = []

    def command(python, clip, take, **options):
        asked.append({"source": str(clip), "take": str(take), **options})
        return [
            sys.executable,
            "-c",
            "import json, sys; print(json.dumps({'type': 'result', 'take': sys.argv[1]}))",
            str(take),
        ]

    monkeypatch.setattr(jobs, "extract_command", command)
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    return (*solved, asked)


def test_the_take_in_the_scene_is_renewed_and_what_the_artist_did_with_it_stays(solver):
    bpy, folder, _ = solver
    collection = bpy.context.scene.reshoot.take
    root, camera = part(collection, "world"), part(collection, "camera")
    root.location.x = 4
    follower = bpy.data.objects.new("Follower", None)
    bpy.context.scene.collection.objects.link(follower)
    constraint = follower.constraints.new("COPY_LOCATION")
    constraint.target, constraint.subtarget = part(collection, "person", 1), "head"
    bpy.context.scene.camera = camera
    elsewhere = bpy.data.collections.new("Elsewhere")  # as the transfers have them for stand-ins
    elsewhere.objects.link(part(collection, "body", 1))
    (folder / "people" / "02.npz").unlink()
    truth = synthetic_take.write(folder, people=(1,))
    with np.load(folder / "people" / "01.npz") as file:
        arrays = dict(file)
    arrays["trans"] = arrays["trans"] + [0, 0, 0.25]
    arrays["joints_world"] = arrays["joints_world"] + [0, 0, 0.25]
    np.savez(folder / "people" / "01.npz", **arrays)
    objects = len(bpy.data.objects)

    assert bpy.ops.shot.resolve() == {"FINISHED"}
    assert (
        bpy.context.scene.reshoot.take == collection and len(bpy.data.objects) == objects - 2
    )  # person 2 and their body
    assert part(collection, "camera") == camera == bpy.context.scene.camera and part(collection, "world") == root
    armature = part(collection, "person", 1)
    assert constraint.target == armature and armature.name == "walk Person 1"
    assert elsewhere.objects[:] == [part(collection, "body", 1)]
    assert part(collection, "person", 2) is None and part(collection, "body", 2) is None
    bpy.context.scene.frame_set(START + 6)
    head = armature.matrix_world @ armature.pose.bones["head"].head
    assert np.abs(np.array(head) - truth["joints"][1][6][15] - [4, 0, 0.25]).max() < 1e-3
    assert (
        np.abs(
            np.array(follower.evaluated_get(bpy.context.evaluated_depsgraph_get()).matrix_world.translation) - head
        ).max()
        < 1e-4
    )
    assert bpy.ops.shot.resolve() == {"FINISHED"} and len(bpy.data.objects) == objects - 2  # twice is as good as once


def test_a_take_that_lists_no_options_is_not_solved_by_guess(solver):
    bpy, folder, asked = solver
    shot = json.loads((folder / "shot.json").read_text())
    for listed in ({}, {"options": 3}, {"options": {"plate": True}}):
        (folder / "shot.json").write_text(json.dumps({k: v for k, v in shot.items() if k != "options"} | listed))
        with pytest.raises(RuntimeError, match="does not say how it was solved"):
            bpy.ops.shot.resolve()
    assert not asked


def test_a_python_file_that_a_take_names_is_not_run(solver):
    bpy, folder, asked = solver
    shot = json.loads((folder / "shot.json").read_text())
    shot["options"]["backend"] = "/elsewhere/Nets.PY"
    (folder / "shot.json").write_text(json.dumps(shot))
    with pytest.raises(RuntimeError, match="which Blender does not run"):
        bpy.ops.shot.resolve()
    assert not asked


def test_a_program_that_a_take_names_is_not_run(solver):
    bpy, folder, asked = solver
    shot = json.loads((folder / "shot.json").read_text())
    shot["options"]["inpainter"] = "python paint.py"
    (folder / "shot.json").write_text(json.dumps(shot))
    assert bpy.ops.shot.resolve() == {"FINISHED"}
    assert len(asked) == 1 and asked[0]["inpainter"] is None
    assert "python paint.py" in bpy.context.window_manager.reshoot_job.warnings  # and it is said


def test_the_inpainter_of_the_preferences_paints_again_whatever_the_take_names(solver, monkeypatch):
    from reshoot import preferences

    bpy, folder, asked = solver
    monkeypatch.setattr(preferences, "of", lambda context: SimpleNamespace(inpainter=" python mine.py --fast ", smpl_folder="", python=""))
    shot = json.loads((folder / "shot.json").read_text())
    for named in ({"inpainter": "rm -r"}, {}, {"plate": False}):
        (folder / "shot.json").write_text(json.dumps({**shot, "options": {**shot["options"], **named}}))
        assert bpy.ops.shot.resolve() == {"FINISHED"}
    assert [options["inpainter"] for options in asked] == ["python mine.py --fast", "python mine.py --fast", None]
    assert "rm" not in bpy.context.window_manager.reshoot_job.warnings


def test_a_take_is_solved_with_the_options_that_it_lists(solver, tmp_path):
    from solver.options import Options

    bpy, folder, asked = solver
    options = Options(
        folder / "film" / "000000.png", folder, range=(0, 9), fov=54.0, joints=tmp_path / "joints.json", quality="preview", plate=False,
        restart=True, smpl=tmp_path / "smpl",
    )  # fmt: skip
    shot = json.loads((folder / "shot.json").read_text())
    (folder / "shot.json").write_text(json.dumps({**shot, "options": options.to_json()}))
    assert bpy.ops.shot.resolve() == {"FINISHED"}
    (again,) = asked
    assert again["source"] == str(options.source) and again["take"] == str(folder) and again["joints"] == str(options.joints)
    assert again["range"] == "0-9" and again["fov"] == 54.0 and again["quality"] == "preview" and again["no_plate"]
    assert "restart" not in again and "plate" not in again and again["smpl"] == str(options.smpl)
    bpy.ops.shot.set_focal(mm=40)
    bpy.ops.shot.resolve()
    assert asked[-1]["focal_mm"] is None and asked[-1]["fov"] is None  # else the first lens would hide the correction


def test_a_take_out_of_view_is_refused_before_anything_is_solved(solver):
    bpy, _, asked = solver
    bpy.context.view_layer.layer_collection.children["walk"].exclude = True
    with pytest.raises(RuntimeError, match="walk is not in view here. Go to the scene Scene"):
        bpy.ops.shot.resolve()
    assert not asked


def test_a_damaged_result_leaves_the_scene_as_it_was(solver):
    bpy, folder, _ = solver
    names = sorted(o.name for o in bpy.data.objects)
    (folder / "camera.npz").write_bytes(b"PK\x03\x04 not a zip")
    with pytest.raises(RuntimeError, match="cannot be read"):
        bpy.ops.shot.resolve()
    assert sorted(o.name for o in bpy.data.objects) == names
