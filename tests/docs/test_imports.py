"""The modules that an import of the library imports, and a backend that cannot train."""

import pytest

from tests.support import BACKEND
from tests.support import run_python


def run_with_backend(backend, statement):
    """Import the library afresh, then run a statement.

    Returns the frameworks that the library, beyond Keras, tried to import, and
    what the statement printed. A watch over attempts, since only one framework
    is installed.
    """
    script = f"""
import sys

class Watch:
    tried = set()

    def find_spec(self, name, path=None, target=None):
        self.tried.add(name)

import keras
sys.meta_path.insert(0, Watch())
import keras_slashed
{statement}
print(*sorted(Watch.tried & {{"jax", "tensorflow", "torch"}}))
"""
    output, _ = run_python(script, KERAS_BACKEND=backend)
    *printed, tried = output.split("\n")[:-1]
    return tried, printed


@pytest.mark.experiment("tensorflow", "jax", "torch")
def test_import_of_no_other_backend():
    tried, _ = run_with_backend(BACKEND, "")
    assert tried == ""


@pytest.mark.experiment("jax")
@pytest.mark.skipif(BACKEND != "jax", reason="Keras' NumPy backend imports JAX itself")
def test_inference_on_the_numpy_backend():
    """With the accuracy of single operations, in float32: Keras makes that of float64 there."""
    statement = """
from tests.keras_slashed.ops.test_stdplus_precision import check_wide
for name in ("y", "log", "inverse"):
    check_wide(name, "plain", "float32")
print("checked")
"""
    assert run_with_backend("numpy", statement) == ("", ["checked"])
