"""Imports run one way: panels → operators → scene → retarget → solver's numpy modules."""

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
ABOVE = {  # what each room may not import
    "solver": {"bpy", "mathutils", "retarget", "scene", "operators", "panels", "jobs", "compat"},
    "retarget": {"bpy", "mathutils", "torch", "scipy", "scene", "operators", "panels", "jobs", "compat"},
    "scene": {"torch", "scipy", "cv2", "PIL", "operators", "panels", "jobs"},
    "operators": {"torch", "scipy", "cv2", "panels"},
    "panels": {"torch", "numpy"},
}
# The only modules of the solver that Blender may import: numpy is all they need.
NUMPY_ONLY = {"frames", "take", "protocol", "skeleton", "records", "smpl_file", "corrections", "chan"}


def imports(path: Path, top_only=False):
    """Names that a file imports: (parts of a module below the root, imported names)."""
    package = path.relative_to(ROOT).parent.parts
    tree = ast.parse(path.read_text(encoding="utf-8"))
    for node in tree.body if top_only else ast.walk(tree):
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield tuple(alias.name.split(".")), ()
        elif isinstance(node, ast.ImportFrom):
            base = package[: len(package) - node.level + 1] if node.level else ()
            yield base + tuple((node.module or "").split(".") if node.module else ()), tuple(a.name for a in node.names)


@pytest.mark.parametrize("room", ABOVE)
def test_no_import_runs_upwards(room):
    for path in (ROOT / room).rglob("*.py"):
        for module, names in imports(path):
            reached = {module[0]} if module else set(names)
            assert not reached & ABOVE[room], f"{path.relative_to(ROOT)} imports {module or names}"


@pytest.mark.parametrize("room", ["retarget", "scene", "operators", "panels"])
def test_blender_reaches_only_the_solvers_numpy_modules(room):
    for path in (ROOT / room).rglob("*.py"):
        for module, names in imports(path):
            if module and module[0] == "solver":
                reached = {module[1]} if len(module) > 1 else set(names)
                assert reached <= NUMPY_ONLY, f"{path.relative_to(ROOT)} imports solver's {reached}"


@pytest.mark.parametrize("name", sorted(NUMPY_ONLY))
def test_those_modules_need_numpy_alone(name):
    allowed = NUMPY_ONLY | {"numpy"}
    import sys

    for module, _ in imports(ROOT / "solver" / f"{name}.py", top_only=True):
        first = module[1] if module[0] == "solver" else module[0]
        assert first in allowed or first in sys.stdlib_module_names, f"solver/{name}.py imports {module}"
