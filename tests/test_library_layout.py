"""The library's files: their folders, their size, and what imports what, by their syntax trees."""

import ast
import importlib
import inspect
import pathlib

import keras_slashed

ROOT = pathlib.Path(keras_slashed.__file__).parent
# From the ground up: a file imports from its own folder, or from those on lines before it.
FLOORS = (
    "config hyperparameters one_tensor plotting",
    "keras_faults validation",
    "backend",
    "ops",
    "evaluation rates distributions",
    "layers",
    "metrics",
    "calibration",
    "attribution callbacks diagnostics export",
)
FILES = [path for path in ROOT.rglob("*.py") if path.name != "__init__.py"]
PACKAGES = [path.parent for path in ROOT.rglob("__init__.py")]


def module_of(path):
    return ".".join(("keras_slashed", *path.relative_to(ROOT).with_suffix("").parts))


def imported(path):
    """Return the modules of the library that a file imports."""
    modules = {module_of(file) for file in FILES}
    found = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("keras_slashed"):
            for alias in node.names:
                name = f"{node.module}.{alias.name}"
                found.add(name if name in modules else node.module)
    return found


def floor_of(module):
    room = module.split(".")[1]
    return next(number for number, rooms in enumerate(FLOORS) if room in rooms.split())


def test_no_import_points_upward():
    for path in FILES:
        module = module_of(path)
        for other in imported(path):
            same = module.split(".")[:2] == other.split(".")[:2]
            assert same or floor_of(other) < floor_of(module), f"{module} imports {other}"


def test_no_circle_of_files():
    edges = {module_of(path): imported(path) for path in FILES}
    while True:
        leaves = {module for module, others in edges.items() if not others & edges.keys()}
        if not leaves:
            break
        edges = {module: others for module, others in edges.items() if module not in leaves}
    assert not edges


def test_folders_and_files_are_small():
    for folder in PACKAGES:
        files = [path for path in folder.glob("*.py") if path.name != "__init__.py"]
        assert len(files) <= 12, folder
    for path in FILES:
        lines = len(path.read_text().splitlines())
        assert lines <= 350 or path.name == "stdplus_coefficients.py", path


def test_no_module_has_the_name_of_what_its_package_offers():
    """`import keras_slashed.ops.normalize_rate` would otherwise mean two things."""
    for folder in PACKAGES:
        package = importlib.import_module(".".join((ROOT.name, *folder.relative_to(ROOT).parts)))
        offered = {
            name
            for name in getattr(package, "__all__", ())
            if not inspect.ismodule(getattr(package, name))
        }
        assert not offered & {path.stem for path in folder.glob("*.py")}
