"""The job type for Flamenco: what it compiles to."""

import ast
import subprocess
import sys
from pathlib import Path

from solver.__main__ import _parser
from tests.farm.job import compiled


def only(task):
    (command,) = task["commands"]
    return command["name"], command["parameters"]


def test_tasks_wait_for_each_other(tmp_path):
    _, tasks = compiled(tmp_path)
    renders = ["render 1-4", "render 5-8", "render 9-10", "render 12"]
    assert list(tasks) == ["extract", "load and retarget", *renders, "movie"]
    assert tasks["extract"]["dependencies"] == [] and tasks["load and retarget"]["dependencies"] == ["extract"]
    assert all(tasks[name]["dependencies"] == ["load and retarget"] for name in renders)
    assert tasks["movie"]["dependencies"] == renders
    assert {task["type"] for task in tasks.values()} == {"blender", "ffmpeg"}


def test_extraction_is_a_command_line_that_the_solver_takes(tmp_path):
    _, tasks = compiled(tmp_path, quality="preview", clip="/film/a b.mp4")
    name, given = only(tasks["extract"])
    assert (name, given["exe"], given["args"][:3]) == ("exec", "{blender}", ["--background", "--command", "reshoot"])
    asked = _parser().parse_args(given["args"][3:])
    assert (asked.source, asked.out, asked.quality) == (Path("/film/a b.mp4"), Path("/takes/a"), "preview")


def test_frames_are_rendered_from_the_file_that_was_set_up(tmp_path):
    _, tasks = compiled(tmp_path)
    name, given = only(tasks["render 5-8"])
    script = only(tasks["load and retarget"])[1]["args"][-1]
    assert name == "blender-render" and given["blendfile"] in script and given["blendfile"].startswith("/out/sh010-")
    assert given["args"][given["args"].index("--render-frame") + 1] == "5..8"
    scene = given["args"][given["args"].index("--scene") + 1]
    assert f'scene_name="{scene}"' in script and given["args"].index("--scene") < given["args"].index("--render-frame")
    name, movie = only(tasks["movie"])
    frames = Path(given["args"][given["args"].index("--render-output") + 1])
    assert name == "frames-to-video" and Path(movie["inputGlob"]).parent == frames.parent and movie["outputFile"].endswith("/sh010.mp4")


def test_a_setting_is_never_more_than_a_text(tmp_path):
    wicked = 'a"); import os; os.abort(); ("\\'
    _, tasks = compiled(tmp_path, character=wicked, take="/t\n'''", render_output_root=str(tmp_path))
    script = only(tasks["load and retarget"])[1]["args"][-1]
    # as Blender runs it, but that its operators only tell what they were given
    stub = "import sys, types\nsaid = []\nclass Ops:\n  def __getattr__(self, name): return lambda **given: said.append((name, given))\n"
    stub += "bpy = sys.modules['bpy'] = types.ModuleType('bpy')\nbpy.ops = types.SimpleNamespace(shot=Ops(), wm=Ops())\n"
    (tmp_path / "task.py").write_text(stub + script + "\nprint(repr(said))\n")
    ran = subprocess.run([sys.executable, str(tmp_path / "task.py")], capture_output=True, text=True, check=True, timeout=60)
    said = ast.literal_eval(ran.stdout)
    assert said[0] == ("load_take", {"directory": "/t\n'''", "match_scene": True})
    assert said[1] == ("retarget", {"person": 2, "armature": wicked})
    assert [name for name, _ in said[2:]] == ["setup_composite", "save_as_mainfile"]


def test_settings_are_such_as_flamenco_knows(tmp_path):
    kind, _ = compiled(tmp_path)
    for setting in kind["settings"]:
        assert set(setting) <= {"key", "type", "subtype", "required", "eval", "evalInfo", "visible", "description", "default", "propargs", "choices", "editable"}
        assert setting["type"] in {"string", "int32", "float", "bool"} and setting["visible"] in {"visible", "hidden", "submission", "web"}
        if "eval" in setting:
            compile(setting["eval"], setting["key"], "eval")
    assert "set" in next(s for s in kind["settings"] if s["key"] == "transfer")["choices"]
    assert "setup_scene" in only(compiled(tmp_path, transfer="set")[1]["load and retarget"])[1]["args"][-1]
