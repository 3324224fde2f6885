"""The examples in docstrings run and print what they say."""

import doctest
import importlib
import pkgutil

import keras
import pytest

import keras_slashed


def _modules():
    walked = pkgutil.walk_packages(keras_slashed.__path__, "keras_slashed.")
    names = [module.name for module in walked]
    # Of the modules for single backends, only that of the active one can be imported.
    return [name for name in names if not name.startswith("keras_slashed.backend.")]


@pytest.mark.parametrize("name", _modules())
def test_examples(name):
    module = importlib.import_module(name)
    names = {"keras": keras, "keras_slashed": keras_slashed}
    result = doctest.testmod(module, extraglobs=names)
    assert result.failed == 0


def test_public_functions_have_examples():
    finder = doctest.DocTestFinder()
    for module in (
        keras_slashed.ops,
        keras_slashed.distributions,
        keras_slashed.rates,
        keras_slashed.layers,
        keras_slashed.metrics,
        keras_slashed.calibration,
        keras_slashed.coding,
        keras_slashed.callbacks,
        keras_slashed.attribution,
        keras_slashed.diagnostics,
    ):
        for name in module.__all__:
            (test, *_) = finder.find(getattr(module, name), name)
            assert test.examples, f"{name} has no example"
