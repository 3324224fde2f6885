"""stdplus, its logarithm and its inverse, elementwise (Eq. 13, appendix A)."""

import keras
from keras import ops

from keras_slashed.backend import with_derivative
from keras_slashed.ops import stdplus_kernels as kernels
from keras_slashed.ops.floats import at_least_float32
from keras_slashed.ops.floats import to_float_tensor


def _differentiable(function, derivative, second_derivative):
    """Join a function of x, its derivative of (x, y) and the next one of (x, y).

    Derivatives beyond are those of the operations of the last. It gets its y from x
    anew, so that they see that y depends on x.
    """
    slope = with_derivative(derivative, lambda x, y, _: second_derivative(x, value(x)))
    value = with_derivative(function, slope)
    return value


_stdplus = _differentiable(
    kernels.stdplus, kernels.stdplus_derivative, kernels.stdplus_second_derivative
)
_log_stdplus = _differentiable(
    kernels.log_stdplus, kernels.log_stdplus_derivative, kernels.log_stdplus_second_derivative
)
_stdplus_inverse = _differentiable(
    kernels.stdplus_inverse,
    kernels.stdplus_inverse_derivative,
    kernels.stdplus_inverse_second_derivative,
)


class _Elementwise(keras.Operation):
    """An elementwise function, computed in float32 or wider and rounded once."""

    kernel = None

    def call(self, x):
        return self.compute(x)

    @classmethod
    def compute(cls, x):
        return ops.cast(cls.kernel(at_least_float32(x)), x.dtype)

    @classmethod
    def of_wide(cls, x):
        """Return the function of a tensor that is in float32 or wider."""
        return cls()(x) if isinstance(x, keras.KerasTensor) else cls.kernel(x)

    def compute_output_spec(self, x):
        return keras.KerasTensor(x.shape, dtype=x.dtype)

    def __init_subclass__(cls, **kwargs):
        super().__init_subclass__(**kwargs)
        keras.saving.register_keras_serializable(package="keras_slashed")(cls)


class Stdplus(_Elementwise):
    kernel = staticmethod(_stdplus)


class LogStdplus(_Elementwise):
    kernel = staticmethod(_log_stdplus)


class StdplusInverse(_Elementwise):
    kernel = staticmethod(_stdplus_inverse)


def stdplus(x):
    """Map any real number to a standard deviation.

    `y = stdplus(x)` is the `y > 0` with `log(y^2) - y^2 = -x^2 - 1` and
    `sign(y - 1) = sign(x)`: the standard deviation of a centred normal whose KL
    divergence from N(0, 1) is `x^2 / 2` nats. It grows like `x` on the right,
    falls like `exp(-(x^2 + 1) / 2)` on the left, and `stdplus(0) = 1`.

    Args:
        x: A tensor, Keras variable, `KerasTensor`, NumPy array or number of
            any shape and any float dtype. float16 and bfloat16 are computed
            in float32 and rounded.

    Returns:
        A tensor of the shape and dtype of `x`. `stdplus(-inf) = 0`,
        `stdplus(inf) = inf`, NaN stays NaN. Differentiable to every order; on
        JAX in forward mode too.

    Example:

    >>> [round(float(keras_slashed.ops.stdplus(x)), 4) for x in (-1.0, 0.0, 1.0)]
    [0.3982, 1.0, 1.7738]

    Reference:
        Slashed Normal, Eq. 13 and appendix A.
    """
    return _apply(Stdplus, x)


def log_stdplus(x):
    """Return the natural logarithm of `stdplus(x)`, accurate near 0 and far left.

    Args:
        x: As in `keras_slashed.ops.stdplus`.

    Returns:
        A tensor of the shape and dtype of `x`: about `x / sqrt(2)` near 0 and
        `-(x^2 + 1) / 2` far to the left, where it becomes -inf when that
        leaves the range of the dtype.

    Example:

    >>> round(float(keras_slashed.ops.log_stdplus(-20.0)), 4)
    -200.5

    Reference:
        Slashed Normal, appendix A.2.
    """
    return _apply(LogStdplus, x)


def stdplus_inverse(y):
    """Return the `x` with `stdplus(x) = y`.

    `x = sign(y - 1) sqrt(y^2 - 1 - 2 log y)`, computed without the
    cancellation near `y = 1`.

    Args:
        y: A positive tensor, Keras variable, `KerasTensor`, NumPy array or
            number of any shape and float dtype.

    Returns:
        A tensor of the shape and dtype of `y`. 0 gives -inf, inf gives inf, a
        negative number gives NaN.

    Example:

    >>> round(float(keras_slashed.ops.stdplus_inverse(2.0)), 4)
    1.2703

    Reference:
        Slashed Normal, Eq. 25 solved for x.
    """
    return _apply(StdplusInverse, y)


def _apply(operation, x):
    x = to_float_tensor(x)
    if isinstance(x, keras.KerasTensor):
        return operation()(x)
    # Making an operation counts a name up, which has torch.compile compile anew.
    return operation.compute(x)
