"""A missing package of the extra `applications` is named before anything is computed."""

import ast
import pathlib

import pytest

from tests.support import BACKEND
from tests.support import run_python

EXTRA = {"matplotlib", "mpmath", "scipy", "sklearn", "tensorflow_datasets"}
DRAWING = {
    "applications": ["accuracy_rate", "attributions", "figures", "half_moons", "strong_attacks",
                     "table1", "table2"],
    "benchmarks": ["precision_stress", "stdplus_accuracy", "stdplus_speed"],
}  # fmt: skip


def messages(package, statements):
    """Run statements without a package; return what their ImportErrors say."""
    script = f"""
import sys
sys.modules[{package!r}] = None
for statement in {statements!r}:
    try:
        exec(statement)
    except ImportError as error:
        print(error)
"""
    output, _ = run_python(script)
    return output.splitlines()


@pytest.mark.parametrize(
    ("package", "statements"),
    [
        ("matplotlib", [f"import {f}.{name}" for f, names in DRAWING.items() for name in names]),
        ("sklearn", ["import applications.half_moons",
                     "import applications.datasets; applications.datasets.load('digits')"]),
        ("scipy.ndimage", ["import applications.attributions"]),  # jax imports SciPy itself
        ("scipy.stats", ["import applications.randomized_weights"]),
        pytest.param(
            "mpmath", ["import applications.figures", "import benchmarks.stdplus_fit"],
            marks=pytest.mark.skipif(BACKEND == "torch", reason="PyTorch requires it"),
        ),
    ],
)  # fmt: skip
def test_a_missing_package_names_the_extra(package, statements):
    found = messages(package, statements)
    assert len(found) == len(statements), found
    for message in found:
        assert message.startswith(f"This needs {package.split('.')[0]} (")
        assert message.endswith('pip install ".[applications]" in the folder of pyproject.toml')


def test_the_ways_to_get_data_name_the_extra():
    statement = "import applications.datasets; applications.datasets.load('mnist')"
    script = f"""
import sys
sys.modules["tensorflow_datasets"] = None
try:
    {statement}
except FileNotFoundError as error:
    print(error)
"""
    output, _ = run_python(script)
    assert output.startswith("mnist is not at hand: no --data-dir was given and tensorflow-data")
    assert '`pip install ".[applications,tensorflow]"`' in output


def test_no_other_way_to_these_packages():
    """Each import is one that names the extra, or SciPy's where a benchmark asks for it first."""
    found = {
        (path.name, name.split(".")[0])
        for folder in ("applications", "benchmarks")
        for path in pathlib.Path(folder).rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text()))
        for name in (
            [alias.name for alias in node.names]
            if isinstance(node, ast.Import)
            else [node.module or ""]
            if isinstance(node, ast.ImportFrom)
            else []
        )
        if name.split(".")[0] in EXTRA
    }
    assert found == {("stdplus_methods.py", "scipy")}
