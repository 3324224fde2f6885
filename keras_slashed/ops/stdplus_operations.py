"""Elementwise operations stdplus, its logarithm and its inverse (Eq. 13, appendix A)."""

import keras
from keras import ops

from keras_slashed.backend import with_derivative
from keras_slashed.ops import stdplus_kernels as kernels
from keras_slashed.ops.floats import at_least_float32
from keras_slashed.ops.floats import to_float_tensor


def _differentiable(function, derivative, second_derivative):
    """Combine a function of x with its first and second derivative, both functions of (x, y).

    Higher derivatives are those of the operations of the second derivative. It computes y from
    x again, so that higher derivatives include the dependence of y on x.
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
    """An elementwise function that is computed in float32 or wider and rounded once."""

    kernel = None

    def call(self, x):
        return self.compute(x)

    @classmethod
    def compute(cls, x):
        return ops.cast(cls.kernel(at_least_float32(x)), x.dtype)

    @classmethod
    def of_wide(cls, x):
        """Apply the function to a tensor in float32 or wider."""
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
    `sign(y - 1) = sign(x)`. It is the standard deviation of a centered normal whose KL
    divergence from N(0, 1) is `x^2 / 2` nats. It grows like `x` on the right, falls like
    `exp(-(x^2 + 1) / 2)` on the left, and `stdplus(0) = 1`.

    Args:
        x: Float tensor of any shape. It may also be a Keras variable, `KerasTensor`, NumPy
            array or number. float16 and bfloat16 are computed in float32 and rounded.

    Returns:
        A tensor of the shape and dtype of `x`. `stdplus(-inf)` is 0, `stdplus(inf)` is inf, and
        NaN stays NaN. It is differentiable to every order, on JAX in forward mode too. The
        derivative is `x y / (y^2 - 1)`, and `1 / sqrt(2)` at 0.

    Example:

    >>> [round(float(keras_slashed.ops.stdplus(x)), 4) for x in (-1.0, 0.0, 1.0)]
    [0.3982, 1.0, 1.7738]

    Reference:
        Slashed Normal, Eq. 13 and 31 and appendix A.
    """
    return _apply(Stdplus, x)


def log_stdplus(x):
    """Compute the natural logarithm of `stdplus(x)`, accurately near 0 and far to the left.

    `r = 2 log_stdplus(x)` is the number of the sign of x with `expm1(r) - r = x^2`.

    Args:
        x: Float tensor of any shape. It may also be a Keras variable, `KerasTensor`, NumPy
            array or number. float16 and bfloat16 are computed in float32 and rounded.

    Returns:
        A tensor of the shape and dtype of `x`. It is about `x / sqrt(2)` near 0 and about
        `-(x^2 + 1) / 2` far to the left, and becomes -inf where that is out of the range of the
        dtype.

    Example:

    >>> round(float(keras_slashed.ops.log_stdplus(-20.0)), 4)
    -200.5

    Reference:
        Slashed Normal, appendix A.2.
    """
    return _apply(LogStdplus, x)


def stdplus_inverse(y):
    """Compute the inverse of stdplus: the `x` with `stdplus(x) = y`.

    `x = sign(y - 1) sqrt(y^2 - 1 - 2 log y)`, computed without cancellation near `y = 1`.

    Args:
        y: Float tensor of any shape, positive. It may also be a Keras variable, `KerasTensor`,
            NumPy array or number.

    Returns:
        A tensor of the shape and dtype of `y`. 0 gives -inf, inf gives inf, and a negative
        number gives NaN.

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
    # Creating an operation increments a name counter, which makes torch.compile recompile.
    return operation.compute(x)
