"""A missing package of the extra `applications` is named before anything is computed."""

import ast
import pathlib

import pytest

from tests.support import BACKEND
from tests.support import run_python

pytestmark = pytest.mark.experiment("jax")  # new processes
EXTRA = {"PIL", "matplotlib", "mpmath", "scipy", "sklearn", "tensorflow_datasets"}
DRAWING = [
    "applications.accuracy_rate",
    "applications.attributions.__main__",
    "applications.compress.__main__",
    "applications.disentangle.__main__",
    "applications.figures.__main__",
    "applications.half_moons.__main__",
    "applications.strong_attacks.__main__",
    "applications.table1.__main__",
    "applications.table2.__main__",
    "applications.token_attributions.__main__",
    "benchmarks.precision_stress.__main__",
    "benchmarks.stdplus_accuracy.__main__",
    "benchmarks.stdplus_speed.__main__",
]


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
        ("matplotlib", [f"import {name}" for name in DRAWING]),
        ("sklearn", ["import applications.half_moons.__main__",
                     "from applications.datasets import images; images.load('digits')"]),
        # JAX imports SciPy itself.
        ("scipy.ndimage", ["import applications.attributions.__main__"]),
        ("scipy.stats", ["import applications.attributions.evaluation",
                         "import benchmarks.block_code.coder"]),
        ("PIL.Image", ["import applications.compress.classical"]),
        pytest.param(
            "mpmath",
            ["import applications.figures.__main__", "import benchmarks.stdplus_fit.remez"],
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
    statement = "from applications.datasets import images; images.load('mnist')"
    script = f"""
import sys
sys.modules["tensorflow_datasets"] = None
try:
    {statement}
except FileNotFoundError as error:
    print(error)
"""
    output, _ = run_python(script)
    assert output.startswith("mnist is not available: no --data-dir was given and tensorflow-data")
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
    assert found == {("methods.py", "scipy")}
