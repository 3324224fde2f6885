"""The ways to compute stdplus that are compared, as functions of NumPy arrays.

All through public names: the derivatives are the framework's automatic ones.
"""

import contextlib
import importlib.util

import keras
import ml_dtypes
import numpy as np

from applications import algorithm1
from keras_slashed import ops

BACKEND = keras.backend.backend()
# How a function is run, on each backend; all but torch's "compile" by default.
MODES = {"jax": ("jit",), "tensorflow": ("eager", "xla"), "torch": ("eager", "compile")}[BACKEND]
FORWARD = ("y", "log", "gradient", "log_gradient", "second")
INVERSE = ("inverse", "inverse_gradient")
BLOCK = 2**16  # elements: two dozen arrays of it fit into a cache
NAMES = {
    "y": "y",
    "log": "log y",
    "gradient": "gradient",
    "log_gradient": "gradient of log y",
    "second": "second derivative",
    "inverse": "inverse",
    "inverse_gradient": "gradient of inverse",
}


def derivative(function):
    """Return the elementwise derivative of an elementwise function of tensors."""
    if BACKEND == "jax":
        import jax

        return jax.grad(lambda x: function(x).sum())
    if BACKEND == "tensorflow":
        import tensorflow as tf

        def slope(x):
            with tf.GradientTape() as tape:
                tape.watch(x)
                y = function(x)
            return tape.gradient(y, x)

        return slope
    import torch

    def slope(x):
        nested = x.requires_grad  # a derivative of this derivative is asked for
        x = x if nested else x.detach().requires_grad_()
        return torch.autograd.grad(function(x).sum(), x, create_graph=nested)[0]

    return slope


def ours(dtype, mode):
    """Return {quantity: function of a NumPy array} of keras_slashed."""
    compiled = _compiler(mode)
    y, log, inverse = ops.stdplus, ops.log_stdplus, ops.stdplus_inverse
    if mode == "compile":
        # Differentiated after compiling, as in a training step
        y, log, inverse = compiled(y), compiled(log), compiled(inverse)
    functions = {
        "y": y,
        "log": log,
        "gradient": derivative(y),
        "log_gradient": derivative(log),
        "second": derivative(derivative(y)),
        "inverse": inverse,
        "inverse_gradient": derivative(inverse),
    }
    if mode == "compile":
        del functions["second"]  # torch.compile differentiates once only
        return {name: _on_arrays(f, dtype) for name, f in functions.items()}
    return {name: _on_arrays(compiled(f), dtype) for name, f in functions.items()}


def others(dtype, mode):
    """Return {method: {quantity: function of a NumPy array}} of all but ours."""
    return {
        "Algorithm 1": _algorithm1(dtype, mode),
        **(_scipy(dtype) if dtype == "float64" else {}),
        **(_tfp(dtype) if dtype in ("float32", "float64") else {}),
    }


def missing():
    """Return the names of the packages that would be compared and are not here."""
    wanted = ("scipy", "tensorflow_probability")
    return [name for name in wanted if importlib.util.find_spec(name) is None]


def _algorithm1(dtype, mode):
    """In the dtype itself, with the iterations for its precision."""
    count = algorithm1.iterations(float(ml_dtypes.finfo(dtype).eps))

    def y(x):
        return algorithm1.stdplus(x, count)

    functions = {
        "y": y,
        "log": lambda x: algorithm1.log_stdplus(x, count),
        "gradient": lambda x: algorithm1.stdplus_derivative(x, y(x)),
    }
    compiled = _compiler(mode)
    return {name: _on_arrays(compiled(f), dtype) for name, f in functions.items()}


def _from_square(square, dtype):
    """Return the quantities of a method that computes stdplus(x)^2 of a NumPy array."""

    def on_numbers(function):
        def call(x):
            with np.errstate(all="ignore"):
                x = x.astype(dtype)
                return function(x, square(x))

        return call

    return {
        "y": on_numbers(lambda x, y2: np.sqrt(y2)),
        "log": on_numbers(lambda x, y2: 0.5 * np.log(y2)),
        "gradient": on_numbers(lambda x, y2: algorithm1.stdplus_derivative(x, np.sqrt(y2))),
    }


def _scipy(dtype):
    if importlib.util.find_spec("scipy") is None:
        return {}
    from scipy import special

    def lambertw(x):
        z = -np.exp(-1.0 - x * x)
        return -np.where(x < 0, special.lambertw(z), special.lambertw(z, -1)).real

    def wrightomega(x):
        """Where it applies, omega(z) solves omega + log(omega) = z, omega = -y^2."""
        side = np.where(x < 0, np.pi, -np.pi)
        return -special.wrightomega(-1.0 - x * x + 1j * side).real

    return {
        "SciPy lambertw": _from_square(lambertw, dtype),
        "SciPy wrightomega": _from_square(wrightomega, dtype),
    }


def _tfp(dtype):
    if importlib.util.find_spec("tensorflow_probability") is None:
        return {}
    from tensorflow_probability.substrates import numpy as tfp

    def lambertw(x):
        """W_0, which is all it has: the left half."""
        w = -np.asarray(tfp.math.lambertw(-np.exp(-1.0 - x * x)))
        return np.where(x <= 0, w, np.nan)

    return {"TFP lambertw": _from_square(lambertw, dtype)}


def _compiler(mode):
    if mode == "jit":
        import jax

        return jax.jit
    if mode == "xla":
        import tensorflow as tf

        return lambda function: tf.function(function, jit_compile=True)
    if mode == "compile":
        import torch

        return lambda function: torch.compile(function, dynamic=False)
    return lambda function: function


def _on_arrays(function, dtype):
    """Make a function of tensors of a dtype one of NumPy arrays.

    Their values are numbers of that dtype. In blocks of one size: compilers
    compile anew for every other.
    """
    wide = dtype if dtype == "float64" else "float32"

    def call(x):
        with np.errstate(invalid="ignore"):  # a NaN that is cast
            padded = np.append(x, np.ones(-len(x) % BLOCK)).astype(wide)
        with _enabled(dtype):
            blocks = [block(values) for values in padded.reshape(-1, BLOCK)]
        return np.concatenate(blocks)[: len(x)]

    def block(values):
        y = function(keras.ops.cast(keras.ops.convert_to_tensor(values), dtype))
        return keras.ops.convert_to_numpy(keras.ops.cast(y, wide))

    return call


def _enabled(dtype):
    """A context in which tensors of this dtype can be made: JAX has float64 off."""
    if dtype == "float64" and BACKEND == "jax":
        import jax

        return jax.enable_x64(True)
    return contextlib.nullcontext()
