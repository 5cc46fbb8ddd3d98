"""The extension's root can be imported where there is no Blender."""

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


def test_root_and_jobs_need_no_blender():
    code = (
        "import sys, importlib.util as u\n"
        "sys.modules['bpy'] = None\n"
        f"s = u.spec_from_file_location('reshoot', r'{ROOT / '__init__.py'}', submodule_search_locations=[r'{ROOT}'])\n"
        "m = u.module_from_spec(s); sys.modules['reshoot'] = m; s.loader.exec_module(m)\n"
        "import reshoot.jobs, reshoot.scene.read, reshoot.scene.sampling, reshoot.scene.png\n"
        "assert 'torch' not in sys.modules and 'cv2' not in sys.modules\n"
    )
    done = subprocess.run([sys.executable, "-c", code], check=False, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
