"""Derivatives of stdplus, its logarithm and its inverse: orders, and how they are had.

How exact the first two are is in test_stdplus_precision.py.
"""

import keras
import mpmath
import numpy as np
import pytest

from benchmarks.stdplus_accuracy.oracle import exact_forward
from benchmarks.stdplus_accuracy.oracle import exact_inverse
from keras_slashed.ops import log_stdplus
from keras_slashed.ops import stdplus
from keras_slashed.ops import stdplus_inverse
from tests.support import BACKEND
from tests.support import derivative
from tests.support import dtype_enabled
from tests.support import evaluate
from tests.support import gradient
from tests.support import kernel_compilation
from tests.support import tensor
from tests.support import to_numpy

FUNCTIONS = (stdplus, log_stdplus, stdplus_inverse)
SECOND = {
    stdplus: (exact_forward, "second"),
    log_stdplus: (exact_forward, "log_second"),
    stdplus_inverse: (exact_inverse, "inverse_second"),
}
X = np.array([-9.5, -5, -2, -1, -0.75, -0.49, -0.1, -1e-8, 0, 1e-30, 1e-4, 0.3, 1, 3, 10, 30])
Y = np.array([1e-4, 0.02, 0.3, 0.6, 0.999, 1, 1.0001, 1.3, 1.9, 3, 10, 30])


def exact_third_derivative(function, x):
    """By differences of the oracle's second one, at 120 digits."""
    mp = mpmath.MPContext()
    mp.dps = 120
    exact, name = SECOND[function]
    x, step = mp.mpf(float(x)), mp.mpf(10) ** -20
    above, below = (exact(x + side * step)[name] for side in (1, -1))
    return float((above - below) / (2 * step))


@pytest.mark.parametrize("function", FUNCTIONS)
def test_third_derivative(function):
    x = Y if function is stdplus_inverse else X
    expected = [exact_third_derivative(function, value) for value in x]
    computed = evaluate(derivative(function, 3), x, "float64")
    np.testing.assert_allclose(computed, expected, rtol=1e-9, atol=1e-15)


@pytest.mark.parametrize("function", FUNCTIONS)
def test_gradient_is_that_of_the_values(function):
    """Central differences, which know no formula at all."""
    x = np.array([0.02, 0.3, 0.7, 0.999, 1.2, 1.9, 2.1, 7.0])
    if function is not stdplus_inverse:
        x = np.concatenate([-x, x])
    step = 1e-5
    above, below = (evaluate(function, x + h, "float64") for h in (step, -step))
    computed = evaluate(derivative(function), x, "float64")
    np.testing.assert_allclose(computed, (above - below) / (2 * step), rtol=1e-6)


@pytest.mark.parametrize("dtype", ["float64", "float16", "bfloat16"])
@pytest.mark.parametrize("function", FUNCTIONS)
def test_gradient_keeps_the_dtype(function, dtype):
    with dtype_enabled(dtype):
        x = tensor([[0.25, 3.0]], dtype)
        for order in (1, 2):
            slope = derivative(function, order)(x)
            assert keras.backend.standardize_dtype(slope.dtype) == dtype
            assert tuple(slope.shape) == (1, 2)


@pytest.mark.parametrize("function", FUNCTIONS)
def test_gradient_reaches_a_variable(function):
    values = np.full(2**11, 0.25, "float32")
    variable = keras.Variable(values)
    expected = evaluate(derivative(function), values, "float32")
    np.testing.assert_array_equal(to_numpy(function(variable)), to_numpy(function(values)))
    if BACKEND == "jax":

        def of_state(state):
            with keras.StatelessScope(state_mapping=[(variable, state)]):
                return function(variable)

        computed = gradient(of_state, values)
    elif BACKEND == "tensorflow":
        import tensorflow as tf

        with tf.GradientTape() as tape:
            y = tf.reduce_sum(function(variable))
        computed = tape.gradient(y, variable.value)
    else:
        function(variable).sum().backward()
        computed = variable.value.grad
    np.testing.assert_array_equal(to_numpy(computed), expected)


@pytest.mark.parametrize("function", FUNCTIONS)
def test_gradient_through_a_functional_model(function):
    inputs = keras.Input((3,))
    model = keras.Model(inputs, function(keras.layers.Rescaling(2.0)(inputs)))
    x = np.array([[0.25, 1.0, 3.0]], "float32")
    expected = 2.0 * to_numpy(gradient(function, 2.0 * x))
    np.testing.assert_allclose(to_numpy(gradient(model, x)), expected, rtol=1e-6)


# --- What the backward pass holds on to


@pytest.mark.skipif(BACKEND != "torch", reason="of PyTorch")
@pytest.mark.parametrize("function", FUNCTIONS)
def test_torch_saves_x_and_y(function):
    import torch

    saved = []
    x = torch.linspace(0.1, 3.0, 5).requires_grad_()
    with torch.autograd.graph.saved_tensors_hooks(lambda t: saved.append(t) or t, lambda t: t):
        y = function(x)
    assert [t.data_ptr() for t in saved] == [x.data_ptr(), y.data_ptr()]


@pytest.mark.skipif(BACKEND != "tensorflow", reason="of TensorFlow")
@pytest.mark.parametrize("kernels", [False, True])
def test_tensorflow_computes_y_once(kernels):
    """Its value takes an exponential, its derivative of (x, y) has none."""
    import tensorflow as tf

    @tf.function
    def both(x):
        with tf.GradientTape() as tape:
            tape.watch(x)
            y = stdplus(x)
        return y, tape.gradient(y, x)

    with kernel_compilation(kernels):
        graph = both.get_concrete_function(tf.TensorSpec([8], "float32")).graph
    operations = [operation.type for operation in graph.get_operations()]
    assert operations.count("Exp") == 1
