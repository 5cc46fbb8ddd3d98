"""A run of the solver belongs to Blender: files are opened while it runs, its end is heard all the same.

There is no window here, where timers never fire: the tests call the timer's function, once a loop.
"""

import sys
from pathlib import Path

import pytest

FAKE = Path(__file__).with_name("fake_solver.py")


@pytest.fixture
def run(blender, take, monkeypatch, tmp_path):
    """bpy, the module that runs the solver, and a function that begins a run as the button does; it ends once `let_go` is called."""
    from reshoot import jobs
    from reshoot.operators import extract, solve

    monkeypatch.setattr(
        jobs, "extract_command", lambda _, clip, folder, **__: [sys.executable, str(FAKE), clip, str(folder)]
    )
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))

    def load(context, done):
        return extract._load(context, done, match_scene=False)

    def start(clip="gate.mp4"):
        plan = solve.Plan(take[0], {"source": str(tmp_path / clip), "plate": True}, load)
        solve.begin(blender.context, "Extract Shot", plan)
        solve.watch(blender.context)
        while solve.current.stage == "Starting":
            assert solve.tick() == solve.TICK_S

    def let_go():
        (tmp_path / "go").touch()
        while solve.tick() is not None:
            pass

    start.let_go, start.solve = let_go, solve
    return blender, start


def state(bpy):
    return bpy.context.window_manager.reshoot_job


def other_file(bpy):
    bpy.ops.wm.read_homefile(use_factory_startup=True, use_empty=True)


def test_a_new_file_shows_the_run_and_everything_is_enabled_at_its_end(run):
    bpy, start = run
    start()
    other_file(bpy)
    assert state(bpy).status == "RUNNING" and state(bpy).stage == "Film" and state(bpy).text == "1/9 joints 812"
    assert bpy.app.timers.is_registered(start.solve.tick)  # it outlived the file
    assert not bpy.ops.shot.extract.poll() and bpy.ops.shot.cancel.poll()
    start.let_go()
    assert state(bpy).status == "DONE" and state(bpy).warnings == "The lens was guessed."
    assert bpy.ops.shot.extract.poll() and not bpy.ops.shot.cancel.poll()


def test_a_take_is_not_put_into_a_file_that_it_was_not_made_for_but_offered(run, take):
    from tests.blender.test_registration import draw_all

    bpy, start = run
    start()
    other_file(bpy)
    start.let_go()
    assert not bpy.data.objects and state(bpy).ready == str(take[0])
    drawn = draw_all(bpy)["Shot"]
    assert "Load It" in drawn and "shot.extract" in drawn
    assert bpy.ops.shot.load_take(directory=state(bpy).ready) == {"FINISHED"}


def test_the_file_that_it_was_made_for_gets_the_take_though_another_was_open_meanwhile(run, take, tmp_path):
    bpy, start = run
    start()
    bpy.ops.wm.save_as_mainfile(filepath=str(tmp_path / "mine.blend"))  # only now it has a name
    other_file(bpy)
    other_file(bpy)
    bpy.ops.wm.open_mainfile(filepath=str(tmp_path / "mine.blend"))
    assert state(bpy).status == "RUNNING"
    start.let_go()
    assert bpy.context.scene.reshoot.take.name == take[0].name and not state(bpy).ready


def test_without_another_file_the_take_is_loaded(run, take):
    bpy, start = run
    start()
    start.let_go()
    assert bpy.context.scene.reshoot.take.name == take[0].name
    assert state(bpy).message == "Loaded walk with 2 people"


def test_cancel_after_a_new_file(run, tmp_path):
    bpy, start = run
    start("slow.mp4")
    other_file(bpy)
    assert bpy.ops.shot.cancel() == {"FINISHED"} and state(bpy).status == "STOPPING"
    while start.solve.tick() is not None:
        pass
    assert state(bpy).status == "CANCELLED" and state(bpy).unfinished == "Extract Shot" and bpy.ops.shot.extract.poll()


def test_what_cannot_be_loaded_now_is_offered(run, take):
    bpy, start = run
    mesh = bpy.data.objects.new("Mesh", bpy.data.meshes.new("Mesh"))
    bpy.context.scene.collection.objects.link(mesh)
    bpy.context.view_layer.objects.active = mesh
    bpy.ops.object.mode_set(mode="EDIT")
    start()
    start.let_go()
    assert state(bpy).ready == str(take[0]) and "Go to Object Mode" in state(bpy).fix
    bpy.ops.object.mode_set(mode="OBJECT")


def test_a_fault_while_loading_leaves_nothing_locked(run, take):
    from dataclasses import replace

    def fail(context, done):
        raise ValueError("a fault of ours")

    bpy, start = run
    start()
    start.solve.current.plan = replace(start.solve.current.plan, finish=fail)
    with pytest.raises(ValueError, match="a fault of ours"):  # for the console
        start.let_go()
    assert state(bpy).status == "FAILED" and state(bpy).ready == str(take[0]) and bpy.ops.shot.extract.poll()


def test_a_fault_while_listening_leaves_nothing_locked(run, monkeypatch):
    bpy, start = run
    start()
    child = start.solve.current.job._child

    def fail(context):
        raise ValueError("a fault of ours")

    monkeypatch.setattr(start.solve, "hear", fail)
    with pytest.raises(ValueError, match="a fault of ours"):
        start.solve.tick()
    assert child.wait(timeout=20) != 0
    assert state(bpy).status == "IDLE" and bpy.ops.shot.extract.poll()


def test_switching_reshoot_off_ends_the_run(run):
    import reshoot

    bpy, start = run
    start()
    child = start.solve.current.job._child
    reshoot.unregister()
    assert child.wait(timeout=20) != 0 and not bpy.app.timers.is_registered(start.solve.tick)
    before, after = bpy.app.handlers.load_pre, bpy.app.handlers.load_post
    assert start.solve.before_load not in before and start.solve.after_load not in after
    reshoot.register()


def test_escape_cancels_over_the_3d_view_only_and_only_while_a_shot_is_extracted(run):
    """Without a window Blender has no key maps; a list stands for one."""
    from types import SimpleNamespace as Stub

    class Items(list):
        def new(self, idname, key, value):
            self.append(Stub(idname=idname, key=key, value=value))

    solve, maps = run[1].solve, {}

    def key_map(name, space_type):
        return Stub(keymap_items=maps.setdefault((name, space_type), Items()))

    config = Stub(keymaps=Stub(new=key_map))
    context = Stub(window_manager=Stub(keyconfigs=Stub(addon=config)))
    solve._set_escape(context, True)
    solve._set_escape(context, True)  # as after another file was opened
    assert list(maps) == [("3D View Generic", "VIEW_3D")]
    assert [vars(item) for item in maps["3D View Generic", "VIEW_3D"]] == [
        {"idname": "shot.cancel", "key": "ESC", "value": "PRESS"}
    ]
    solve._set_escape(context, False)
    assert not maps["3D View Generic", "VIEW_3D"]


def test_escape_that_stops_the_playback_does_not_cancel(run):
    from types import SimpleNamespace as Stub

    from reshoot.operators import files

    bpy, start = run
    start("slow.mp4")

    def press(kind, playing):
        context = Stub(screen=Stub(is_animation_playing=playing), window_manager=bpy.context.window_manager)
        operator = Stub(execute=lambda context: files.SHOT_OT_cancel.execute(None, context))
        return files.SHOT_OT_cancel.invoke(operator, context, Stub(type=kind))

    assert press("ESC", True) == {"PASS_THROUGH"} and start.solve.current.job.state == "RUNNING"
    assert press("LEFTMOUSE", True) == {"FINISHED"} and start.solve.current.job.state == "STOPPING"
