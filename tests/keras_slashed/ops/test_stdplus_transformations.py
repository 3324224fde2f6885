"""stdplus under what each backend makes of a function."""

import keras
import ml_dtypes
import numpy as np
import pytest

from benchmarks.stdplus_accuracy import oracle
from keras_slashed.ops import log_stdplus
from keras_slashed.ops import stdplus
from keras_slashed.ops import stdplus_inverse
from tests.support import BACKEND
from tests.support import compiled
from tests.support import derivative
from tests.support import evaluate
from tests.support import needs_cpp_compiler

FUNCTIONS = (stdplus, log_stdplus, stdplus_inverse)
X = np.array([-9.0, -0.7, 0.25, 1.0, 3.0, 2e5], "float32")
pytestmark = pytest.mark.every_case
of_jax = pytest.mark.skipif(BACKEND != "jax", reason="of JAX")
of_tensorflow = pytest.mark.skipif(BACKEND != "tensorflow", reason="of TensorFlow")
of_torch = pytest.mark.skipif(BACKEND != "torch", reason="of PyTorch")


def exact(function):
    """Return points, and the function and its first two derivatives there."""
    if function is stdplus_inverse:
        y = np.abs(X)
        values = oracle.inverse(y)
        names = ("inverse", "inverse_gradient", "inverse_second")
        return y, *(values[name] for name in names)
    values = oracle.forward(X)
    names = ("y", "gradient", "second")
    if function is log_stdplus:
        names = ("log", "log_gradient", "log_second")
    return X, *(values[name] for name in names)


def check(computed, expected, rtol=2e-6):
    np.testing.assert_allclose(np.asarray(computed), expected, rtol=rtol, atol=1e-13)


@pytest.mark.parametrize("function", FUNCTIONS)
@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_compiled_equals_eager(function, dtype):
    # A compiler may fuse a product and a sum, which moves a last place.
    rtol = 16 * float(ml_dtypes.finfo(dtype).eps)
    x, *_ = exact(function)
    for f in (function, derivative(function)):
        expected = evaluate(f, x, dtype)
        np.testing.assert_allclose(evaluate(compiled(f), x, dtype), expected, rtol=rtol)


# --- JAX


@of_jax
@pytest.mark.parametrize("function", FUNCTIONS)
def test_jax(function):
    import jax

    x, value, slope, curvature = exact(function)

    def of(transformed, *expected):
        computed = jax.jit(transformed)(x)
        for one, other in zip(computed if len(expected) > 1 else [computed], expected):
            check(one, other, 1e-5)

    of(jax.vmap(jax.value_and_grad(function)), value, slope)
    of(jax.vmap(jax.grad(jax.grad(function))), curvature)
    of(lambda x: jax.jvp(function, (x,), (2.0 * x,)), value, 2.0 * x * slope)
    of(jax.hessian(lambda x: function(x).sum()), np.diag(curvature))
    if function is stdplus:
        of(jax.vmap(function), value)
        of(jax.jacfwd(function), np.diag(slope))
        of(jax.jacrev(function), np.diag(slope))
        of(jax.vmap(jax.jacfwd(jax.jacfwd(function))), curvature)
        of(jax.vmap(jax.jacrev(jax.jacfwd(function))), curvature)
        of(jax.grad(lambda x: jax.checkpoint(function)(x).sum()), slope)


@of_jax
def test_jax_outside_of_jit():
    import jax

    x, _, slope, curvature = exact(stdplus)
    check(jax.vmap(jax.grad(stdplus))(x), slope, 1e-5)
    check(jax.vmap(jax.grad(jax.grad(stdplus)))(x), curvature, 1e-5)
    check(jax.jacfwd(stdplus)(x), np.diag(slope), 1e-5)


# --- PyTorch


@of_torch
# Forward mode loads decompositions that torch itself scripts.
@pytest.mark.filterwarnings("ignore:`torch.jit.script` is deprecated:DeprecationWarning")
@pytest.mark.parametrize("function", FUNCTIONS)
def test_torch_func(function):
    """All but forward mode over forward mode, where torch has 0 for custom functions."""
    import torch
    from torch import func

    numbers, value, slope, curvature = exact(function)
    x, ones = torch.from_numpy(numbers), torch.ones(len(numbers))
    grad, vmap = func.grad, func.vmap

    def total(x):
        return function(x).sum()

    check(grad(function)(x[2]), slope[2])
    check(vmap(function)(x), value)
    check(vmap(grad(function))(x), slope)
    check(vmap(grad(grad(function)))(x), curvature, 1e-5)
    y, tangent = func.jvp(function, (x,), (2.0 * x,))
    check(y, value)
    check(tangent, 2.0 * numbers * slope)
    check(func.vjp(function, x)[1](x)[0], numbers * slope)
    check(func.jacfwd(function)(x), np.diag(slope))
    check(func.jacrev(function)(x), np.diag(slope))
    check(func.hessian(total)(x), np.diag(curvature), 1e-5)
    check(func.jacrev(func.jacrev(total))(x), np.diag(curvature), 1e-5)
    check(vmap(func.jacrev(func.jacfwd(function)))(x), curvature, 1e-5)
    check(grad(lambda x: func.jvp(function, (x,), (ones,))[1].sum())(x), curvature, 1e-5)
    check(torch.autograd.functional.hessian(total, x), np.diag(curvature), 1e-5)


@of_torch
@pytest.mark.filterwarnings("ignore:`torch.jit.script` is deprecated:DeprecationWarning")
@pytest.mark.parametrize("function", FUNCTIONS)
def test_torch_gradcheck(function):
    import torch

    x = torch.tensor([0.02, 0.3, 0.999, 1.9, 7.0], dtype=torch.float64)
    x = (x if function is stdplus_inverse else torch.cat([-x, x])).requires_grad_()
    assert torch.autograd.gradcheck(function, (x,), check_forward_ad=True)
    assert torch.autograd.gradgradcheck(function, (x,))


@of_torch
@needs_cpp_compiler
@pytest.mark.skipif(
    keras.__version__.startswith("3.12."),
    reason="torch.compile cannot trace the operations of Keras 3.12",
)
# Its own parts use deprecated ones.
@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_torch_compile():
    """Forward and backward as one graph, with a sum of its own around it."""
    import torch

    numbers, value, slope, _ = exact(stdplus)
    x = torch.from_numpy(numbers).requires_grad_()
    y = torch.compile(lambda x: 2.0 * stdplus(x), fullgraph=True)(x)
    check(y.detach(), 2.0 * value)
    y.sum().backward()
    check(x.grad, 2.0 * slope)


# --- TensorFlow


def nested_tapes(function, x):
    import tensorflow as tf

    with tf.GradientTape() as outer:
        outer.watch(x)
        with tf.GradientTape() as inner:
            inner.watch(x)
            y = function(x)
        first = inner.gradient(y, x)
    return y, first, outer.gradient(first, x)


def forward_mode(function, x):
    import tensorflow as tf

    with tf.autodiff.ForwardAccumulator(x, 2.0 * x) as accumulator:
        y = function(x)
    return y, accumulator.jvp(y)


def forward_over_reverse(function, x):
    import tensorflow as tf

    with tf.autodiff.ForwardAccumulator(x, tf.ones_like(x)) as accumulator:
        with tf.GradientTape() as tape:
            tape.watch(x)
            y = function(x)
        slope = tape.gradient(y, x)
    return y, slope, accumulator.jvp(slope)


def reverse_over_forward(function, x):
    import tensorflow as tf

    with tf.GradientTape() as tape:
        tape.watch(x)
        with tf.autodiff.ForwardAccumulator(x, tf.ones_like(x)) as accumulator:
            y = function(x)
        tangent = accumulator.jvp(y)
    return y, tangent, tape.gradient(tangent, x)


@of_tensorflow
@pytest.mark.parametrize("mode", ["eager", "graph", "xla"])
@pytest.mark.parametrize(
    ("transformed", "function"),
    [
        *((nested_tapes, function) for function in FUNCTIONS),
        *((forward_mode, function) for function in FUNCTIONS),
        (forward_over_reverse, stdplus),
    ],
)
def test_tensorflow(transformed, function, mode):
    """Graphs are of an input of unknown rank."""
    import tensorflow as tf

    x, *expected = exact(function)

    def run(x):
        return transformed(function, x)

    if mode != "eager":
        signature = [tf.TensorSpec(None, "float32")]
        run = tf.function(run, input_signature=signature, jit_compile=mode == "xla")
    if transformed is forward_mode:
        expected[1] = 2.0 * x * expected[1]
    # In a graph forward mode differentiates the operations.
    for computed, value in zip(run(tf.constant(x)), expected):
        check(computed, value, 1e-5)


@of_tensorflow
def test_tensorflow_reverse_over_forward():
    import tensorflow as tf

    x, *expected = exact(stdplus)
    for computed, value in zip(reverse_over_forward(stdplus, tf.constant(x)), expected):
        check(computed, value, 1e-5)


@of_tensorflow
def test_tensorflow_jacobians_and_vectorized_map():
    import tensorflow as tf

    x, value, slope, curvature = exact(stdplus)
    x = tf.constant(x)
    with tf.GradientTape(persistent=True) as tape:
        tape.watch(x)
        y, first, _ = nested_tapes(stdplus, x)
    check(tape.jacobian(y, x), np.diag(slope))
    check(tape.jacobian(first, x), np.diag(curvature), 1e-5)
    y, first, second = tf.vectorized_map(lambda x: nested_tapes(stdplus, x), x)
    check(y, value)
    check(first, slope)
    check(second, curvature, 1e-5)
