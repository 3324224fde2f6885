"""Settings for every test, whatever the backend, and the two tiers: see CONTRIBUTING.md."""

import collections
import pathlib
import zlib

import keras
import pytest

from tests.property_profiles import PROFILE
from tests.support import BACKEND
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
# Where programs and stdplus kernels are compiled by day as users compile them.
FULLY_COMPILED = {
    *(f"benchmarks/stdplus_{x}" for x in ("accuracy", "fit", "speed")),
    *(f"keras_slashed/{x}" for x in ("ops", "rates")),
}
TESTS = pathlib.Path(__file__).parent


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items):
    """Leave experiments on other backends than those they name to the night, and some cases."""
    for item in items:
        if " at 0x" in item.nodeid:  # an address, another one in each process of pytest-xdist
            raise pytest.UsageError(f"{item.nodeid}: a name that is not the same in each process")
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
        if BACKEND not in backends:
            item.add_marker("nightly")
    _leave_half_the_cases(items)


def _leave_half_the_cases(items):
    """Leave half the cases of each test of the library, where all are compiled, to the night.

    By day PyTorch, which compiles nothing, has all of them, and TensorFlow and JAX each have those
    that the other leaves out, but at least one.
    """
    if BACKEND == "torch":
        return
    cases = collections.defaultdict(list)
    for item in items:
        folder = item.path.relative_to(TESTS).parts[0]
        others = any(item.get_closest_marker(name) for name in ("every_case", "nightly"))
        if folder == "keras_slashed" and not others:
            cases[item.nodeid.split("[")[0]].append(item)
    for several in cases.values():
        own = [item for item in several if _has_case_by_day(item)]
        for item in set(several) - set(own or several[:1]):
            item.add_marker("nightly")


def _has_case_by_day(item):
    """Return whether this backend is the one of TensorFlow and JAX that has a case by day.

    As good as random, so that no parameter is always on one backend, and the same in each process.
    """
    is_even = zlib.crc32(item.nodeid.encode()) % 2 == 0
    return is_even == (BACKEND == "tensorflow")


@pytest.fixture(autouse=True, scope="module")
def _less_compilation_by_day(request):
    """Compile no stdplus kernels, in new processes neither, and let JAX optimize little.

    A kernel takes half a minute on PyTorch. `layers` and `callbacks` take a quarter less processor
    time on TensorFlow without kernels, and on JAX without optimizations.
    """
    folders = {folder.as_posix() for folder in request.path.relative_to(TESTS).parents}
    if PROFILE == "nightly" or folders & FULLY_COMPILED:
        yield
        return
    with kernel_compilation(False), pytest.MonkeyPatch.context() as patch:
        patch.setenv("KERAS_SLASHED_COMPILE", "0")
        if BACKEND == "jax":
            import jax

            jax.config.update("jax_disable_most_optimizations", True)
        yield
        if BACKEND == "jax":
            jax.config.update("jax_disable_most_optimizations", False)


@pytest.fixture(autouse=True)
def _same_start_for_every_test():
    keras.utils.clear_session(free_memory=False)
    keras.utils.set_random_seed(1)
