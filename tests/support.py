"""What tests need of each backend: derivatives, compilation, float64.

Independent of `keras_slashed.backend`, so that a test of a custom derivative
does not lean on the code it tests.
"""

import contextlib
import importlib
import itertools
import os
import pathlib
import shutil
import subprocess
import sys

import keras
import numpy as np
import pytest

from keras_slashed import config

ROOT = pathlib.Path(__file__).resolve().parents[1]  # of the repository
BACKEND = keras.backend.backend()
CPP_COMPILER = os.environ.get("CXX") or shutil.which("g++")
needs_cpp_compiler = pytest.mark.skipif(
    not CPP_COMPILER, reason="torch.compile needs a C++ compiler: no g++ and no CXX here"
)
DATA = os.environ.get("KERAS_SLASHED_DATA")
needs_data = pytest.mark.skipif(
    not DATA, reason="KERAS_SLASHED_DATA names no folder with the original data"
)
FLOAT_DTYPES = ("float64", "float32", "float16", "bfloat16")


def main_module(command):
    """Return the module that `python -m command` runs."""
    module = importlib.import_module(command)
    is_package = hasattr(module, "__path__")
    return importlib.import_module(f"{command}.__main__") if is_package else module


def to_numpy(x):
    """Return a tensor as a NumPy array; bfloat16, which NumPy lacks, as float32."""
    x = keras.ops.convert_to_tensor(x)
    if keras.backend.standardize_dtype(x.dtype) == "bfloat16":
        x = keras.ops.cast(x, "float32")
    return keras.ops.convert_to_numpy(x)


def float64_enabled():
    """A context in which float64 tensors are float64 (JAX has them off)."""
    if BACKEND == "jax":
        import jax

        return jax.enable_x64(True)
    return contextlib.nullcontext()


def dtype_enabled(dtype):
    """A context in which tensors of this dtype can be made."""
    return float64_enabled() if dtype == "float64" else contextlib.nullcontext()


@contextlib.contextmanager
def floatx(dtype):
    """A context in which this is Keras' `floatx`."""
    before = keras.config.floatx()
    with dtype_enabled(dtype):
        keras.config.set_floatx(dtype)
        try:
            yield
        finally:
            keras.config.set_floatx(before)


def tensor(values, dtype):
    """Return NumPy values as a tensor."""
    return keras.ops.convert_to_tensor(np.asarray(values, "float64"), dtype=dtype)


def gradient(function, x):
    """Return the gradient of sum(function(x)) at a NumPy array or tensor x.

    Differentiable itself: `gradient(lambda x: gradient(f, x), x)` is the second
    derivative of an elementwise f.
    """
    x = keras.ops.convert_to_tensor(x)
    if BACKEND == "jax":
        import jax

        return jax.grad(lambda x: function(x).sum())(x)
    if BACKEND == "tensorflow":
        import tensorflow as tf

        with tf.GradientTape() as tape:
            tape.watch(x)
            y = tf.reduce_sum(function(x))
        return tape.gradient(y, x)
    import torch

    if not x.requires_grad:
        x = x.detach().requires_grad_()
    return torch.autograd.grad(function(x).sum(), x, create_graph=True)[0]


def gradients(function, arguments):
    """Return the gradient of sum(function(*arguments)) with respect to each argument."""

    def one(index):
        def of_it(x):
            return function(*arguments[:index], x, *arguments[index + 1 :])

        return gradient(of_it, arguments[index])

    return [one(index) for index in range(len(arguments))]


def derivative(function, order=1):
    """Return the elementwise derivative of an elementwise function."""
    if order == 0:
        return function
    lower = derivative(function, order - 1)
    return lambda x: gradient(lower, x)


def evaluate(function, values, dtype, size=2**11):
    """Return `function` of a tensor of values, in NumPy.

    In pieces of one size: JAX compiles each operation again for every size.
    """
    padded = np.append(values, np.ones(-len(values) % size))
    with dtype_enabled(dtype):
        pieces = [function(tensor(x, dtype)) for x in padded.reshape(-1, size)]
        return np.concatenate([to_numpy(piece) for piece in pieces])[: len(values)]


def compiled(function):
    """Return the function compiled by the backend's compiler, where it has one.

    PyTorch's needs a C++ compiler and takes a minute: there the function is
    returned as it is.
    """
    if BACKEND == "jax":
        import jax

        return jax.jit(function)
    if BACKEND == "tensorflow":
        import tensorflow as tf

        return tf.function(function, jit_compile=True)
    return function


@contextlib.contextmanager
def kernel_compilation(enabled):
    """A context in which `keras_slashed.config` has the compilation of kernels on or off."""
    choices = {True: config.enable_kernel_compilation, False: config.disable_kernel_compilation}
    before = config.is_kernel_compilation_enabled()
    choices[enabled]()
    try:
        yield
    finally:
        choices[before]()


def run_python(script, *options, **environment):
    """Run a script in a new process, and return its standard output and error."""
    result = subprocess.run(
        [sys.executable, *options, "-c", script],
        capture_output=True,
        text=True,
        env=os.environ | environment,
        cwd=ROOT,
    )
    assert result.returncode == 0, result.stderr
    return result.stdout, result.stderr


def at_once(function):
    """Return the function compiled on JAX, which else compiles each operation alone."""
    return compiled(function) if BACKEND == "jax" else function


def random_amplitude(shape, dtype="float32", scale=1.0, seed=0):
    """Return a tensor of normal amplitudes."""
    values = np.random.default_rng(seed).normal(size=shape) * scale
    return keras.ops.convert_to_tensor(values.astype("float64"), dtype=dtype)


def total_loss(layer):
    """Return the sum of what a layer or model added to the loss in its last call."""
    return sum(float(to_numpy(loss)) for loss in layer.losses)


def assert_some_inputs_may_be_symbolic(function, *arguments):
    """Check a function whose arguments are symbolic one at a time, and all but one."""
    expected = function(*arguments)
    for index in range(len(arguments)):
        for chosen in ({index}, set(range(len(arguments))) - {index}):
            inputs = {i: keras.Input(batch_shape=tuple(arguments[i].shape)) for i in sorted(chosen)}
            outputs = function(*(inputs.get(i, x) for i, x in enumerate(arguments)))
            # Outputs that depend on none of the chosen arguments have values already.
            symbolic = [isinstance(output, keras.KerasTensor) for output in outputs]
            outputs, values = (list(itertools.compress(x, symbolic)) for x in (outputs, expected))
            computed = keras.Model(list(inputs.values()), outputs)([arguments[i] for i in inputs])
            for one, other in zip(keras.tree.flatten(computed), values, strict=True):
                np.testing.assert_allclose(to_numpy(one), to_numpy(other), rtol=1e-4, atol=1e-5)
