"""Settings for every test, whatever the backend, and the two tiers: see CONTRIBUTING.md."""

import keras
import pytest


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items):
    """Leave an experiment to the night, but on the one backend that its mark names."""
    for item in items:
        experiment = item.get_closest_marker("experiment")
        if experiment is None:
            continue
        if experiment.args not in {("tensorflow",), ("jax",), ("torch",)}:
            raise pytest.UsageError(f"{item.nodeid}: no day's backend in {experiment}")
        if experiment.args != (keras.backend.backend(),):
            item.add_marker("nightly")


@pytest.fixture(autouse=True)
def _same_start_for_every_test():
    keras.utils.clear_session(free_memory=False)
    keras.utils.set_random_seed(1)
