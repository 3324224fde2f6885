"""Conversion of inputs to float tensors that are wide enough and in range."""

import reprlib

import keras
import numpy as np
from keras import ops

from keras_slashed.one_tensor import check_one_amplitude
from keras_slashed.one_tensor import check_real
from keras_slashed.validation import check_amplitude_shape

# Amplitudes are clipped to this range. The square of an amplitude, the sum of many such
# squares, the gradient of a rate and a sample then stay finite in the original dtype of
# the amplitude. In float16 the largest amplitude has a rate of 1.7e7 nats in one entry.
_LARGEST_AMPLITUDE = {"float16": 2.0**12}
_LARGEST_ELSEWHERE = 2.0**52
_EPSILON = {
    "float64": 2.0**-52,
    "float32": 2.0**-23,
    "float16": 2.0**-10,
    "bfloat16": 2.0**-7,
}

_EXPECTED = "Expected a tensor, an array or nested lists of real numbers. Received: {}"


def to_float_tensor(x):
    """Return x as a tensor of a float dtype (integers become `floatx`).

    Raises:
        ValueError: If x is complex, or does not consist of numbers.
    """
    check_real(x)
    if isinstance(x, keras.Variable):
        # In eager mode, custom gradients of TensorFlow do not accept Keras variables.
        x = x.value
    if not ops.is_tensor(x):
        x = _converted(x)
    if not keras.backend.is_float_dtype(x.dtype):
        x = ops.cast(x, keras.config.floatx())
    return x


def _converted(x):
    try:
        tensor = ops.convert_to_tensor(x)
    except (TypeError, ValueError, RuntimeError) as error:  # depends on the backend
        raise ValueError(_EXPECTED.format(reprlib.repr(x))) from error
    if "string" in str(tensor.dtype):  # TensorFlow has tensors of strings
        raise ValueError(_EXPECTED.format(reprlib.repr(x)))
    return tensor


def to_amplitude(x):
    """Return x as a float tensor of shape `(..., 2K)`.

    Raises:
        ValueError: If x is several tensors or complex, or its last axis has an odd length.
    """
    check_one_amplitude(x)
    x = to_float_tensor(x)
    check_amplitude_shape(x.shape)
    return x


def at_least_float32(x):
    """Cast a float tensor to float32, unless it is float64 already.

    Raises:
        ValueError: If x is complex.
    """
    check_real(x)
    # `keras.backend.result_type`, `ops.maximum` and `ops.minimum` would convert float64 to
    # float32 on JAX and torch.
    dtype = keras.backend.standardize_dtype(x.dtype)
    return x if dtype == "float64" else ops.cast(x, "float32")


def epsilon(*tensors):
    """Return the distance from 1 to the next number in the coarsest of the tensors' dtypes."""
    return max(_EPSILON[keras.backend.standardize_dtype(x.dtype)] for x in tensors)


def widen_amplitude(amplitude):
    """Return an amplitude as float32 or float64, clipped to a safe range.

    Squares and sums overflow from 256 on in float16, and from 1.8e19 on in float32. Each
    amplitude is widened only once. Functions that take a wide amplitude call it `psi`, and
    neither convert nor check it.
    """
    return clip_amplitude(at_least_float32(amplitude), amplitude.dtype)


def clip_amplitude(amplitude, dtype):
    """Clip an amplitude of any dtype to the range that is safe in `dtype`."""
    dtype = keras.backend.standardize_dtype(dtype)
    largest = _LARGEST_AMPLITUDE.get(dtype, _LARGEST_ELSEWHERE)
    return ops.clip(amplitude, -largest, largest)


def finite_rate(rate):
    """Return a tensor of rates in float32 or float64, with infinity replaced by the largest number.

    Rates from 65,520 nats on are infinite if another layer computes them in float16.
    """
    rate = at_least_float32(rate)
    largest = float(np.finfo(keras.backend.standardize_dtype(rate.dtype)).max)
    return ops.clip(rate, -largest, largest)


def cast_in_range(x, dtype):
    """Cast to a dtype. Values beyond the range of float16 become its largest number."""
    if keras.backend.standardize_dtype(dtype) == "float16":
        x = ops.clip(x, -65504.0, 65504.0)
    return ops.cast(x, dtype)
