"""The compared ways to compute stdplus, as functions of NumPy arrays.

They use only public names, and the framework's automatic derivatives.
"""

import importlib
import importlib.util

import keras
import ml_dtypes
import numpy as np

from applications.figures import algorithm1
from benchmarks.harness.frameworks import compiled
from benchmarks.harness.frameworks import derivative
from benchmarks.harness.frameworks import setting
from keras_slashed import ops

FORWARD = ("y", "log", "gradient", "log_gradient", "second")
INVERSE = ("inverse", "inverse_gradient")
BLOCK = 2**16  # elements, so that two dozen such arrays fit into a cache
NAMES = {
    "y": "y",
    "log": "log y",
    "gradient": "gradient",
    "log_gradient": "gradient of log y",
    "second": "second derivative",
    "inverse": "inverse",
    "inverse_gradient": "gradient of inverse",
}


def ours(dtype, mode):
    """Return a dict {quantity: function of a NumPy array} for keras_slashed."""
    functions = {
        "y": (ops.stdplus,),
        "log": (ops.log_stdplus,),
        "gradient": (ops.stdplus, derivative),
        "log_gradient": (ops.log_stdplus, derivative),
        "second": (ops.stdplus, lambda function: derivative(derivative(function))),
        "inverse": (ops.stdplus_inverse,),
        "inverse_gradient": (ops.stdplus_inverse, derivative),
    }
    if mode == "compile":
        del functions["second"]  # torch.compile differentiates only once
    return _on_arrays(functions, dtype, mode)


def others(dtype, mode):
    """Return a dict {method: {quantity: function of a NumPy array}} for all other methods."""
    return {
        "Algorithm 1": _algorithm1(dtype, mode),
        **(_scipy(dtype) if dtype == "float64" else {}),
        **(_tfp(dtype) if dtype in ("float32", "float64") else {}),
    }


def missing():
    """Return the names of the packages to compare that are not installed."""
    wanted = ("scipy", "tensorflow_probability")
    return [name for name in wanted if importlib.util.find_spec(name) is None]


def algorithm1_with_gradient(dtype):
    """Return Algorithm 1 as a function of tensors, with Eq. 31 at x and y as its gradient.

    Args:
        dtype: String. Dtype of the computation, whose precision decides the iterations.
    """
    count = _iterations(dtype)

    @keras.ops.custom_gradient
    def function(x):
        y = algorithm1.stdplus(x, count)

        def gradient(*args, upstream=None):
            upstream = args[0] if upstream is None else upstream
            return upstream * algorithm1.stdplus_derivative(x, y)

        return y, gradient

    return function


def _algorithm1(dtype, mode):
    count, y = _iterations(dtype), algorithm1_with_gradient(dtype)

    def log(x):
        return algorithm1.log_stdplus(x, count)

    return _on_arrays({"y": (y,), "log": (log,), "gradient": (y, derivative)}, dtype, mode)


def _iterations(dtype):
    return algorithm1.iterations(float(ml_dtypes.finfo(dtype).eps))


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
        """Solve omega + log(omega) = z for omega = -y^2, where this applies."""
        side = np.where(x < 0, np.pi, -np.pi)
        return -special.wrightomega(-1.0 - x * x + 1j * side).real

    return {
        "SciPy lambertw": _from_square(lambertw, dtype),
        "SciPy wrightomega": _from_square(wrightomega, dtype),
    }


def tfp(substrate):
    """Return TensorFlow Probability for a substrate, or None if it is not installed.

    Args:
        substrate: String, "numpy", "jax" or "tensorflow".
    """
    if importlib.util.find_spec("tensorflow_probability") is None:
        return None
    if substrate == "tensorflow":
        return importlib.import_module("tensorflow_probability")
    return importlib.import_module(f"tensorflow_probability.substrates.{substrate}")


def _tfp(dtype):
    module = tfp("numpy")
    if module is None:
        return {}

    def lambertw(x):
        """Compute the left half by W_0, the only branch that it has."""
        w = -np.asarray(module.math.lambertw(-np.exp(-1.0 - x * x)))
        return np.where(x <= 0, w, np.nan)

    return {"TFP lambertw": _from_square(lambertw, dtype)}


def _on_arrays(functions, dtype, mode):
    """Turn functions of tensors of a dtype into functions of NumPy arrays.

    Args:
        functions: Dict {quantity: (function, its transformation or None)}.
        dtype: String. Dtype of the values.
        mode: String. Mode in which the functions run.
    """
    return {
        name: _on_array(compiled(function, mode, *transform), dtype, mode)
        for name, (function, *transform) in functions.items()
    }


def _on_array(function, dtype, mode):
    """Compute in blocks of one size, since compilers compile again for every other size."""
    wide = dtype if dtype == "float64" else "float32"

    def call(x):
        with np.errstate(invalid="ignore"):  # casting a NaN
            padded = np.append(x, np.ones(-len(x) % BLOCK)).astype(wide)
        with setting(dtype, mode):
            blocks = [block(values) for values in padded.reshape(-1, BLOCK)]
        return np.concatenate(blocks)[: len(x)]

    def block(values):
        y = function(keras.ops.cast(keras.ops.convert_to_tensor(values), dtype))
        return keras.ops.convert_to_numpy(keras.ops.cast(y, wide))

    return call
