"""Settings for every test, whatever the backend."""

import keras
import pytest


@pytest.fixture(autouse=True)
def _same_start_for_every_test():
    keras.utils.clear_session(free_memory=False)
    keras.utils.set_random_seed(1)
