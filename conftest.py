"""Settings for every test, whatever the backend."""

import keras
import pytest

import keras_slashed


@pytest.fixture(autouse=True)
def _names_in_doctests(doctest_namespace):
    doctest_namespace["keras"] = keras
    doctest_namespace["keras_slashed"] = keras_slashed


@pytest.fixture(autouse=True)
def _same_weights_every_time():
    keras.utils.set_random_seed(1)
    yield
    keras.utils.clear_session(free_memory=False)
