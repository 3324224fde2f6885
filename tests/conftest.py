"""Settings for every test, whatever the backend, and the two tiers: see CONTRIBUTING.md."""

import pathlib

import keras
import pytest

from tests.property_profiles import PROFILE
from tests.support import kernel_compilation

BACKENDS = {"tensorflow", "jax", "torch"}
# What is not of the library runs by day on one backend, unless a mark names others: on PyTorch,
# which compiles nothing. What begins processes has the mark of JAX, which is imported in half the
# time.
DAY = {
    "applications": ("torch",),
    "applications/training": tuple(sorted(BACKENDS)),  # has differences between backends
    "benchmarks": ("torch",),
    "docs": ("torch",),
}
WITHOUT_KERNELS = {"applications", "docs"}
TESTS = pathlib.Path(__file__).parent


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items):
    """Leave an experiment to the night, but on the backends that its mark or folder names."""
    for item in items:
        experiment = item.get_closest_marker("experiment")
        if experiment is None:
            folders = [folder.as_posix() for folder in item.path.relative_to(TESTS).parents]
            backends = next((DAY[folder] for folder in folders if folder in DAY), None)
            if backends is None:
                continue
            experiment = pytest.mark.experiment(*backends)
            item.add_marker(experiment)
        backends = set(experiment.args)
        if not backends or backends - BACKENDS:
            raise pytest.UsageError(f"{item.nodeid}: no day's backend in {experiment}")
        if keras.backend.backend() not in backends:
            item.add_marker("nightly")


@pytest.fixture(autouse=True, scope="module")
def _kernels_of_experiments_by_day(request):
    """Compile none, in new processes neither: on PyTorch it takes each half a minute.

    The tests of the library do, and everything does at night.
    """
    if PROFILE == "nightly" or request.path.relative_to(TESTS).parts[0] not in WITHOUT_KERNELS:
        yield
        return
    with kernel_compilation(False), pytest.MonkeyPatch.context() as patch:
        patch.setenv("KERAS_SLASHED_COMPILE", "0")
        yield


@pytest.fixture(autouse=True)
def _same_start_for_every_test():
    keras.utils.clear_session(free_memory=False)
    keras.utils.set_random_seed(1)
