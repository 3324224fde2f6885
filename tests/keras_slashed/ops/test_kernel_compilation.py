"""stdplus as one kernel: what is compiled, when, and what happens where it cannot be."""

import re

import keras
import numpy as np
import pytest

from keras_slashed import config
from keras_slashed.ops import log_stdplus
from keras_slashed.ops import stdplus
from keras_slashed.ops import stdplus_inverse
from tests.support import BACKEND
from tests.support import derivative
from tests.support import dtype_enabled
from tests.support import kernel_compilation
from tests.support import needs_cpp_compiler
from tests.support import run_python
from tests.support import tensor
from tests.support import to_numpy

FUNCTIONS = (stdplus, log_stdplus, stdplus_inverse)
pytestmark = pytest.mark.every_case
of_jax = pytest.mark.skipif(BACKEND != "jax", reason="of JAX")
of_tensorflow = pytest.mark.skipif(BACKEND != "tensorflow", reason="of TensorFlow")
of_torch = pytest.mark.skipif(BACKEND != "torch", reason="of PyTorch")


# --- The choice


def test_on_and_off():
    before = config.is_kernel_compilation_enabled()
    try:
        config.disable_kernel_compilation()
        assert not config.is_kernel_compilation_enabled()
        config.enable_kernel_compilation()
        assert config.is_kernel_compilation_enabled()
    finally:
        (config.enable_kernel_compilation if before else config.disable_kernel_compilation)()


@pytest.mark.parametrize(("value", "enabled"), [(None, True), ("1", True), ("0", False)])
def test_the_environment_variable(value, enabled, monkeypatch):
    """Of the module alone, as a process for each would take seconds."""
    import importlib.util

    monkeypatch.delenv("KERAS_SLASHED_COMPILE", raising=False)
    if value is not None:
        monkeypatch.setenv("KERAS_SLASHED_COMPILE", value)
    spec = importlib.util.spec_from_file_location("fresh_config", config.__file__)
    fresh = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(fresh)
    assert fresh.is_kernel_compilation_enabled() == enabled


@pytest.mark.skipif(BACKEND == "jax", reason="JAX compiles in any case")
@pytest.mark.parametrize("function", FUNCTIONS)
def test_kernels_equal_single_operations(function):
    """To rounding, of every rank and dtype."""
    for dtype in ("float64", "float32", "bfloat16"):
        for shape in ((), (5,), (2, 3), (0, 3), (2, 1, 3, 2)):
            values = np.linspace(0.01, 9.0, int(np.prod(shape))).reshape(shape)
            values = values if function is stdplus_inverse else 3.0 - values
            with dtype_enabled(dtype):
                for f in (function, derivative(function)) if shape == (5,) else (function,):
                    with kernel_compilation(False):
                        plain = f(tensor(values, dtype))
                    with kernel_compilation(True):
                        fused = f(tensor(values, dtype))
                    assert tuple(fused.shape) == shape
                    assert keras.backend.standardize_dtype(fused.dtype) == dtype
                    rtol = {"float64": 2e-15, "float32": 1e-6, "bfloat16": 0.01}[dtype]
                    np.testing.assert_allclose(to_numpy(fused), to_numpy(plain), rtol=rtol)


# --- JAX


@of_jax
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_one_fused_kernel(dtype):
    """The forward pass, and the gradient with the forward pass in it; both take two."""
    import jax

    def both(x, upstream):
        y, backward = jax.vjp(stdplus, x)
        return y, backward(upstream)[0]

    def gradient(x, upstream):
        return both(x, upstream)[1]

    def kernels(function, *arguments):
        executable = jax.jit(function).lower(*arguments).compile()
        assert executable.memory_analysis().temp_size_in_bytes == 0
        (entry,) = re.findall(r"^ENTRY .*?^}", executable.as_text(), re.DOTALL | re.MULTILINE)
        operations = re.findall(r"^ .*? = .*? ([a-z-]+)\(", entry, re.MULTILINE)
        assert set(operations) <= {"parameter", "fusion", "tuple"}
        return operations.count("fusion")

    with dtype_enabled(dtype):
        x = tensor(np.ones(4096), dtype)
        for function in FUNCTIONS:
            assert kernels(function, x) == 1
        assert kernels(gradient, x, x) == 1
        assert kernels(both, x, x) == 2


# --- TensorFlow


@of_tensorflow
def test_clusters_of_xla():
    """Marked in graphs where kernels are on, for XLA to compile."""
    import tensorflow as tf

    for enabled in (False, True):
        with kernel_compilation(enabled):
            run = tf.function(lambda x: stdplus(x))
            graph = run.get_concrete_function(tf.TensorSpec([None], "float32")).graph
        marked = [op for op in graph.get_operations() if "_XlaScope" in op.node_def.attr]
        assert bool(marked) == enabled


@of_tensorflow
def test_an_exported_model(tmp_path):
    """Of every batch size, served by TensorFlow alone."""
    import tensorflow as tf

    inputs = keras.Input((3,))
    hidden = keras.layers.Dense(3)(inputs)
    model = keras.Model(inputs, stdplus(log_stdplus(stdplus_inverse(stdplus(hidden)))))
    model.export(tmp_path / "model", verbose=False)
    loaded = tf.saved_model.load(tmp_path / "model")
    for size in (1, 7):
        x = np.random.default_rng(0).normal(size=(size, 3)).astype("float32")
        np.testing.assert_allclose(loaded.serve(x), model(x), rtol=1e-5)


# --- PyTorch


LARGE, SMALL = 2**14, 2**14 - 1


@pytest.fixture
def compilations(monkeypatch):
    """Have stdplus counted where it would be compiled, and computed by its operations."""
    from keras_slashed.backend import torch as backend
    from keras_slashed.ops import stdplus_kernels

    calls = []

    def compile(function, **options):
        def run(*inputs):
            calls.append(function)
            return function(*inputs)

        return run

    # Also after a test in which the compiler failed, as it does with Keras 3.12.
    monkeypatch.setattr(backend._Compiler, "works", True)
    with monkeypatch.context() as patch:
        patch.setattr(backend.torch, "compile", compile)
        derivative_of = backend.with_derivative(stdplus_kernels.stdplus_derivative, lambda *x: x[0])
        function = backend.with_derivative(stdplus_kernels.stdplus, derivative_of)
    with kernel_compilation(True):
        yield function, calls


@of_torch
def test_large_tensors_are_compiled(compilations):
    import torch

    function, calls = compilations
    function(torch.ones(SMALL))
    assert len(calls) == 0
    y = function(torch.ones(2, LARGE // 2))
    assert (len(calls), tuple(y.shape)) == (1, (2, LARGE // 2))
    function(torch.nn.Parameter(torch.ones(LARGE))).sum().backward()
    assert len(calls) == 3  # its derivative too
    with kernel_compilation(False):
        function(torch.ones(LARGE))
    assert len(calls) == 3


@of_torch
# torch.compile itself uses what torch deprecates.
@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_not_where_something_else_traces(compilations):
    import torch

    function, calls = compilations
    x = torch.ones(LARGE)
    torch.func.vmap(function)(x.reshape(2, -1))
    torch.func.vmap(torch.func.grad(function))(x)
    torch.compile(function, backend="eager")(x)
    function(x.to("meta"))
    assert not calls


@of_torch
def test_a_compiler_that_fails_is_not_asked_again(monkeypatch, capfd):
    from keras_slashed.backend import torch as backend

    calls = []

    def compile(function, **options):
        def run(*inputs):
            calls.append(function)
            raise RuntimeError("no compiler")

        return run

    monkeypatch.setattr(backend._Compiler, "works", True)
    with monkeypatch.context() as patch:
        patch.setattr(backend.torch, "compile", compile)
        function = backend.with_derivative(lambda x: 2.0 * x, lambda x, y: 0.0 * x + 2.0)
    x = tensor(np.ones(LARGE), "float32")
    with kernel_compilation(True):
        for _ in range(2):
            np.testing.assert_array_equal(to_numpy(function(x)), 2.0)
    assert len(calls) == 1
    assert capfd.readouterr() == ("", "")


@of_torch
def test_without_a_compiler(tmp_path):
    """Right results, and no word about it."""
    script = f"""
import torch
from keras_slashed import ops
from keras_slashed.backend.torch import _Compiler
x = torch.linspace(-3.0, 3.0, {LARGE}, requires_grad=True)
y = ops.stdplus(x)
assert not _Compiler.works
y.sum().backward()
assert torch.allclose(y[::64], ops.stdplus(x[::64]))
assert x.grad.isfinite().all()
"""
    environment = {"CXX": "/nowhere/c++", "TORCHINDUCTOR_CACHE_DIR": str(tmp_path)}
    # Keras' own deprecations aside
    options = ("-W", "error", "-W", "ignore::DeprecationWarning")
    assert run_python(script, *options, **environment) == ("", "")


@of_torch
def test_warnings_after_kernels_in_threads(compilations):
    """Each is still seen, and the filters are what they were."""
    import threading
    import warnings

    import torch

    function, calls = compilations
    x = torch.ones(LARGE)
    function(x)
    before = list(warnings.filters)
    start = threading.Barrier(8)

    def run():
        start.wait()
        for _ in range(200):
            function(x)

    threads = [threading.Thread(target=run) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(calls) == 1 + 8 * 200
    assert list(warnings.filters) == before
    for category in (UserWarning, RuntimeWarning, FutureWarning, DeprecationWarning):
        with pytest.warns(category, match="seen"):
            warnings.warn("seen", category, stacklevel=1)


@of_torch
@needs_cpp_compiler
def test_where_warnings_are_errors():
    """The kernels are compiled as they are elsewhere: the deprecations of torch end nothing."""

    def outputs(action):
        script = f"""
import warnings
import torch
from keras_slashed import ops
from keras_slashed.backend.torch import _Compiler
warnings.simplefilter({action!r})
ops.stdplus(torch.linspace(-3.0, 3.0, {LARGE}))
print(_Compiler.works)
try:
    warnings.warn("seen", DeprecationWarning)
except DeprecationWarning as error:
    print(error)
"""
        return run_python(script)

    works = "True\n"
    if keras.__version__.startswith("3.12."):  # which torch.compile cannot trace
        works, _ = outputs("ignore")
    assert outputs("error") == (works + "seen\n", "")
