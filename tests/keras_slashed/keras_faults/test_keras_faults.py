"""What the ways around faults of Keras lean on is in the Keras that is installed.

None of it is public. All was seen with Keras 3.12 to 3.15.1.
"""

import importlib
import importlib.util
import inspect
import pathlib
import re

import keras
import pytest

from keras_slashed import keras_faults
from keras_slashed.keras_faults.export_format import FORMATS
from tests.support import BACKEND

FOLDER = pathlib.Path(keras_faults.__file__).parent
TESTS = next(path for path in pathlib.Path(__file__).parents if path.name == "tests")


def test_every_export_format_of_keras_is_known():
    """A format that a new Keras offers wants its module in `FORMATS`."""
    model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(2)])
    with pytest.raises(ValueError, match="Supported formats") as caught:
        model.export("nowhere", format="none_of_them")
    offered = set(re.findall(r"'(\w+)'", str(caught.value)))
    assert {"tf_saved_model", "onnx"} <= offered <= set(FORMATS.values())
    for module, format in FORMATS.items():
        assert format not in offered or importlib.util.find_spec(module), module


def test_recurrent_layers_are_as_they_were():
    """`recurrent_call` knows functions and a variable of them by name."""
    module = importlib.import_module(f"keras.src.backend.{BACKEND}.rnn")
    assert "unroll" in inspect.signature(module.rnn).parameters
    assert "def _step(" in inspect.getsource(module.rnn)
    assert hasattr(keras.layers.RNN, "_maybe_config_dropout_masks")


def test_layers_know_their_losses_by_id():
    layer = keras.layers.Layer()
    assert isinstance(layer._loss_ids, set)
    assert callable(layer._clear_losses)


def test_each_module_says_when_it_can_go():
    """With the number of an issue, or that there is none, and the tests that then must hold."""
    modules = {path.stem for path in FOLDER.glob("*.py")} - {"__init__"}
    entries = dict(re.findall(r"^- `(\w+)`: (.*?)(?=^- |^\n)", keras_faults.__doc__, re.M | re.S))
    assert set(entries) == modules
    for entry in entries.values():
        assert re.search(r"Issue \d{5}|Not filed", entry)
        (test,) = re.findall(r"Try .*`(test_\w+\.py)`\.$", entry, re.M)
        assert list(TESTS.rglob(test))
