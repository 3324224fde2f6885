"""How tensors enter the computations: as floats, wide enough, in range."""

import keras
import numpy as np
from keras import ops

from keras_slashed.one_tensor import check_one_amplitude
from keras_slashed.validation import check_amplitude_shape

# An amplitude beyond this is clipped to it. Its square, the sum of many such
# squares, the gradient of a rate and a sample then stay finite in the dtype the
# amplitude came in. In float16 that is a rate of 1.7e7 nats in one entry.
_LARGEST_AMPLITUDE = {"float16": 2.0**12}
_LARGEST_ELSEWHERE = 2.0**52
_EPSILON = {
    "float64": 2.0**-52,
    "float32": 2.0**-23,
    "float16": 2.0**-10,
    "bfloat16": 2.0**-7,
}


def to_float_tensor(x):
    """Return x as a tensor of a float dtype (integers become `floatx`)."""
    if isinstance(x, keras.Variable):
        # TensorFlow in eager mode takes no Keras variable in a custom gradient.
        x = x.value
    if not isinstance(x, keras.KerasTensor):
        x = ops.convert_to_tensor(x)
    if not keras.backend.is_float_dtype(x.dtype):
        x = ops.cast(x, keras.config.floatx())
    return x


def to_amplitude(x):
    """Return x as a tensor of a float dtype, of shape `(..., 2K)`.

    Raises:
        ValueError: It is several tensors, or the last axis is not even.
    """
    check_one_amplitude(x)
    x = to_float_tensor(x)
    check_amplitude_shape(x.shape)
    return x


def at_least_float32(x):
    """Cast a float tensor to float32, unless it is float64 already."""
    # Not `keras.backend.result_type`: on JAX and torch it turns float64 into
    # float32, and so do `ops.maximum` and `ops.minimum`.
    dtype = keras.backend.standardize_dtype(x.dtype)
    return x if dtype == "float64" else ops.cast(x, "float32")


def epsilon(*tensors):
    """Return the distance of 1 from the next number, in the coarsest of the tensors' dtypes."""
    return max(_EPSILON[keras.backend.standardize_dtype(x.dtype)] for x in tensors)


def widen_amplitude(amplitude):
    """Return an amplitude, a float tensor, in float32 or float64, clipped to a safe range.

    Squares and sums of float16 overflow from 256 on, those of float32 from 1.8e19 on. This
    is done once to an amplitude: what computes on a wide one calls it `psi`, and neither
    converts nor checks it.
    """
    return clip_amplitude(at_least_float32(amplitude), amplitude.dtype)


def clip_amplitude(amplitude, dtype):
    """Clip an amplitude, of whatever dtype, to the range that is safe in `dtype`."""
    dtype = keras.backend.standardize_dtype(dtype)
    largest = _LARGEST_AMPLITUDE.get(dtype, _LARGEST_ELSEWHERE)
    return ops.clip(amplitude, -largest, largest)


def finite_rate(rate):
    """Return a tensor of rates in float32 or float64, with its largest number for infinity.

    Under a policy of float16, Keras casts the rates that a layer is given, of which those
    from 65,520 nats on become infinite.
    """
    rate = at_least_float32(rate)
    largest = float(np.finfo(keras.backend.standardize_dtype(rate.dtype)).max)
    return ops.clip(rate, -largest, largest)


def cast_in_range(x, dtype):
    """Cast to a dtype; what float16 cannot hold becomes its largest number."""
    if keras.backend.standardize_dtype(dtype) == "float16":
        x = ops.clip(x, -65504.0, 65504.0)
    return ops.cast(x, dtype)
