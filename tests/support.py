"""What tests need of each backend: derivatives, compilation, float64.

Independent of `keras_slashed.backend`, so that a test of a custom derivative
does not lean on the code it tests.
"""

import contextlib

import keras
import numpy as np

BACKEND = keras.backend.backend()
FLOAT_DTYPES = ("float64", "float32", "float16", "bfloat16")


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


def random_amplitude(shape, dtype="float32", scale=1.0, seed=0):
    """Return a tensor of normal amplitudes."""
    values = np.random.default_rng(seed).normal(size=shape) * scale
    return keras.ops.convert_to_tensor(values.astype("float64"), dtype=dtype)


def total_loss(layer):
    """Return the sum of what a layer or model added to the loss in its last call."""
    return sum(float(to_numpy(loss)) for loss in layer.losses)
