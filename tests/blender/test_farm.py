"""The farm's Blender task, run in Blender: a take is loaded, a named character follows a person, and the file can be rendered."""

import runpy
from pathlib import Path

import pytest

from tests.farm.job import ROOT, compiled


@pytest.mark.parametrize("transfer", ["film", "set"])
def test_the_task_sets_up_a_file_to_render(blender, take, tmp_path, transfer):
    bpy, (folder, _) = blender, take
    bpy.ops.import_scene.gltf(filepath=str(ROOT / "examples" / "character_mixamo.glb"))
    (hero,) = [o for o in bpy.data.objects if o.type == "ARMATURE"]
    hero.name = 'He"ro'
    settings = {"take": str(folder), "character": hero.name, "person": 1, "render_output_root": str(tmp_path), "transfer": transfer}
    _, tasks = compiled(tmp_path, **settings)
    script = tasks["load and retarget"]["commands"][0]["parameters"]["args"][-1]
    (tmp_path / "task.py").write_text(script)
    runpy.run_path(str(tmp_path / "task.py"))
    render = tasks["render 1-4"]["commands"][0]["parameters"]
    assert Path(render["blendfile"]).is_file()
    bpy.ops.wm.open_mainfile(filepath=render["blendfile"])
    scene = bpy.data.scenes[render["args"][render["args"].index("--scene") + 1]]
    hero = bpy.data.objects['He"ro']
    assert hero.animation_data.action is not None and scene.camera is not None
    scene.view_layers[0].update()
    shown = {instance.object.name for instance in scene.view_layers[0].depsgraph.object_instances}
    assert any(name.startswith("character_mixamo") for name in shown)


def test_a_character_that_is_not_there_fails_the_task(blender, take, tmp_path):
    folder, _ = take
    blender.ops.object.armature_add()
    _, tasks = compiled(tmp_path, take=str(folder), character="Nobody", person=1, render_output_root=str(tmp_path))
    script = tasks["load and retarget"]["commands"][0]["parameters"]["args"]
    assert script.index("--python-exit-code") < script.index("--python-expr")
    (tmp_path / "task.py").write_text(script[-1])
    with pytest.raises(RuntimeError, match="no armature called Nobody"):
        runpy.run_path(str(tmp_path / "task.py"))
