"""The layout of the code stays as CONTRIBUTING.md describes it."""

import ast
import collections
import functools
import graphlib
import importlib
import inspect
import itertools
import pathlib

import pytest

from tests.support import ROOT

PACKAGES = ("keras_slashed", "applications", "benchmarks")
# From the ground up: a file imports from its own folder, or from those on lines before it.
FLOORS = {
    "keras_slashed": (
        "config hyperparameters one_tensor plotting",
        "keras_faults validation",
        "backend",
        "ops",
        "evaluation rates distributions",
        "layers",
        "metrics",
        "calibration coding",
        "attribution callbacks diagnostics export",
    ),
    "applications": (
        "checks extras",
        "training",
        "experiment",
        "attacks datasets models",
        "compress disentangle figures half_moons table1 table2",
        "accuracy_rate attributions classifier strong_attacks",
        "layer_attributions token_attributions",
    ),
    "benchmarks": (
        "harness",
        "block_code code_cost device_scaling epoch_time layer_speed precision_stress "
        "rate_at_inference stdplus_accuracy stdplus_fit text_throughput",
        "stdplus_speed",
    ),
}
MOST_FILES, MOST_LINES, SHARED_LINES = 12, 350, 10
COEFFICIENTS = "stdplus_coefficients.py"  # numbers that a program writes


def sources(*packages):
    """Return the files of packages, paths from the repository's root."""
    found = [path for package in packages for path in sorted((ROOT / package).rglob("*.py"))]
    assert found
    return [path.relative_to(ROOT) for path in found]


def room_of(path):
    """Return the name of the folder in a package that has a file, or of the file itself."""
    return path.parts[1].removesuffix(".py")


@functools.cache
def imports(path):
    """Return the files of the repository that a file imports, anywhere in it."""
    found = set()
    for node in ast.walk(ast.parse((ROOT / path).read_text())):
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path} has a relative import"
            names = [f"{node.module}.{alias.name}" for alias in node.names]
        else:
            continue
        found |= {file for file in map(_file_of, names) if file not in (None, path)}
    return found


def _file_of(name):
    """Return the file that has a dotted name, be it a module or something in one."""
    parts = name.split(".")
    if parts[0] not in (*PACKAGES, "tests"):
        return None
    for length in range(len(parts), 0, -1):
        module = pathlib.Path(*parts[:length])
        for path in (module.with_suffix(".py"), module / "__init__.py"):
            if (ROOT / path).exists():
                return path
    raise AssertionError(f"nothing has the name {name}")


def test_the_top_level_has_only_what_a_project_needs():
    """Nothing that a tool left there, such as downloaded packages."""
    suffixes = {path.suffix for path in ROOT.iterdir() if path.is_file() and path.name[0] != "."}
    assert suffixes <= {"", ".cff", ".md", ".py", ".toml"}


@pytest.mark.parametrize("package", PACKAGES)
def test_a_folder_has_few_files(package):
    files = collections.Counter(
        path.parent for path in sources(package) if path.name != "__init__.py"
    )
    assert {folder: count for folder, count in files.items() if count > MOST_FILES} == {}


@pytest.mark.parametrize("package", PACKAGES)
def test_a_file_is_short(package):
    lines = {path: len((ROOT / path).read_text().splitlines()) for path in sources(package)}
    long = {path for path, count in lines.items() if count > MOST_LINES}
    assert {path for path in long if path.name != COEFFICIENTS} == set()


def test_no_circle_of_files():
    graph = {path: imports(path) for path in sources(*PACKAGES)}
    try:
        list(graphlib.TopologicalSorter(graph).static_order())
    except graphlib.CycleError as error:
        pytest.fail(" imports ".join(map(str, error.args[1][::-1])))


@pytest.mark.parametrize("package", PACKAGES)
def test_no_import_points_upward(package):
    floors = [floor.split() for floor in FLOORS[package]]
    level = {room: number for number, rooms in enumerate(floors) for room in rooms}
    for path in sources(package):
        if path == pathlib.Path(package, "__init__.py"):
            continue
        for other in imports(path):
            if other.parts[0] == package and room_of(other) != room_of(path):
                assert level[room_of(other)] < level[room_of(path)], f"{path} imports {other}"


def test_packages_import_downward():
    for index, package in enumerate(PACKAGES):
        above = {*PACKAGES[index + 1 :], "tests"}
        for path in sources(package):
            assert not {other for other in imports(path) if other.parts[0] in above}, path


# It counts the calls of a function, in whose place it puts another.
INTERNAL = {("benchmarks/device_scaling/collectives.py", "mean_square")}


def test_experiments_and_benchmarks_import_public_names():
    for path in sources("applications", "benchmarks"):
        for node in ast.walk(ast.parse((ROOT / path).read_text())):
            if isinstance(node, ast.ImportFrom) and node.module.split(".")[0] == "keras_slashed":
                public = importlib.import_module(node.module).__all__
                for alias in node.names:
                    if (path.as_posix(), alias.name) in INTERNAL:
                        continue
                    assert alias.name in public, f"{path} imports {node.module}.{alias.name}"


def test_no_two_files_share_a_run_of_lines():
    places = collections.defaultdict(set)
    for path in sources(*PACKAGES, "tests"):
        tree = ast.parse((ROOT / path).read_text())
        # Imports, and docstrings: each says all of what it describes.
        left_out = {
            line
            for node in ast.walk(tree)
            if isinstance(node, ast.Import | ast.ImportFrom)
            or (isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant))
            for line in range(node.lineno, node.end_lineno + 1)
        }
        lines = [
            text.strip()
            for number, text in enumerate((ROOT / path).read_text().splitlines(), start=1)
            if text.strip() and number not in left_out
        ]
        for run in zip(*(itertools.islice(lines, start, None) for start in range(SHARED_LINES))):
            places[run].add(path)
    doubled = {run[0]: sorted(map(str, paths)) for run, paths in places.items() if len(paths) > 1}
    assert doubled == {}


def test_no_module_has_the_name_of_what_its_package_offers():
    """`import keras_slashed.ops.rate` would otherwise mean two things."""
    for init in (ROOT / "keras_slashed").rglob("__init__.py"):
        package = importlib.import_module(".".join(init.parent.relative_to(ROOT).parts))
        offered = {
            name
            for name in getattr(package, "__all__", ())
            if not inspect.ismodule(getattr(package, name))
        }
        assert not offered & {path.stem for path in init.parent.glob("*.py")}
