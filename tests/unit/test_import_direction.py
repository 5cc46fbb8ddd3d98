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
NUMPY_ONLY = {"frames", "take", "protocol", "install", "skeleton", "records", "body.smpl_file", "corrections", "corrections.on_tracks", "chan", "fingers", "stairs"}


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


def solver_modules(path: Path, top_only=False):
    """Dotted names, below `solver`, of the solver's modules that a file imports; names of packages stand for their __init__."""
    for module, names in imports(path, top_only):
        if module and module[0] == "solver":
            for name in names or ("",):
                parts = module[1:] + ((name,) if name else ())
                file = ROOT.joinpath("solver", *parts)
                known = file.with_suffix(".py").exists() or file.is_dir()
                yield ".".join(parts if known else module[1:])


@pytest.mark.parametrize("room", ["retarget", "scene", "operators", "panels"])
def test_blender_reaches_only_the_solvers_numpy_modules(room):
    for path in (ROOT / room).rglob("*.py"):
        reached = set(solver_modules(path))
        assert reached <= NUMPY_ONLY, f"{path.relative_to(ROOT)} imports solver's {reached}"


def file_of(name):
    """The file of a module of the solver."""
    path = ROOT.joinpath("solver", *name.split(".")) if name else ROOT / "solver"
    return path / "__init__.py" if path.is_dir() else path.with_suffix(".py")


@pytest.mark.parametrize("name", sorted(NUMPY_ONLY))
def test_those_modules_need_numpy_alone(name):
    import sys

    packages = [file_of(parent) for parent in (name.rpartition(".")[0],) if parent]
    for path in [file_of(name), *packages]:
        for module, _ in imports(path, top_only=True):
            outside = module[0] != "solver"
            assert not outside or module[0] in {"numpy"} | sys.stdlib_module_names, f"{path} imports {module}"
        assert set(solver_modules(path, top_only=True)) <= NUMPY_ONLY, f"{path} imports more of the solver"


def test_no_modules_of_the_solver_import_each_other_in_a_circle():
    def name_of(path):
        return ".".join(path.relative_to(ROOT / "solver").with_suffix("").parts).removesuffix("__init__").rstrip(".")

    graph = {name_of(path): set(solver_modules(path)) for path in (ROOT / "solver").rglob("*.py")}
    done, way = set(), []

    def visit(name):
        assert name not in way, " → ".join([*way[way.index(name) :], name])
        if name in done or name not in graph:
            return
        way.append(name)
        for other in sorted(graph[name] - {name}):
            visit(other)
        done.add(way.pop())

    for name in graph:
        visit(name)
