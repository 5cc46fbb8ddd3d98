"""Compile a job of the farm's job type, as Flamenco Manager would."""

import json
import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]


def compiled(tmp_path, **settings):
    """The job type's JOB_TYPE, and the tasks of a job by name, in order. Skips where there is no Node."""
    node = shutil.which("node") or shutil.which("nodejs")
    if node is None:
        pytest.skip("Node is not installed: it runs the job type's script in the place of Flamenco Manager")
    given = {"clip": "/film/a.mp4", "take": "/takes/a", "character": "Hero", "person": 2, "transfer": "film", "quality": "final"}
    given |= {"frames": "1-10, 12", "chunk_size": 4, "render_output_root": "/out", "blendfile": "/set/hero.blend", "fps": 24.0}
    job = tmp_path / "job.json"
    job.write_text(json.dumps({"name": "sh010", "settings": {**given, **settings}}))
    command = [node, str(Path(__file__).with_name("manager.js")), str(ROOT / "farm" / "reshoot_shot.js"), str(job)]
    run = subprocess.run(command, capture_output=True, text=True, check=False, timeout=120)
    assert run.returncode == 0, run.stderr
    said = json.loads(run.stdout)
    return said["type"], {task["name"]: task for task in said["tasks"]}
