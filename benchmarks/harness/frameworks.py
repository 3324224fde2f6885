"""How the framework of this process runs and differentiates a function of tensors."""

import contextlib

import keras

from applications.training.backends import float64_enabled
from keras_slashed import config

BACKEND = keras.backend.backend()
# eager: the framework's default, with fused kernels of keras_slashed.
# plain: operation by operation, as keras_slashed runs if nothing compiles its kernels.
# graph, xla: tf.function without and with jit_compile.
MODES = {
    "jax": ("jit",),
    "tensorflow": ("eager", "plain", "graph", "xla"),
    "torch": ("eager", "plain", "compile"),
}.get(BACKEND, ())


def compiled(function, mode, transform=lambda function: function):
    """Return a function of tensors in the form that a mode runs.

    Args:
        function: Function of tensors that returns tensors.
        mode: String. One of `MODES`.
        transform: Function or None. A transformation like `derivative`. It is applied before
            compilation, but after torch.compile, as in a training step.
    """
    if mode == "compile":
        import torch

        return transform(torch.compile(function, dynamic=False))
    function = transform(function)
    if mode == "jit":
        import jax

        return jax.jit(function)
    if mode in ("graph", "xla"):
        import tensorflow as tf

        tf.get_logger().setLevel("ERROR")  # TensorFlow warns of functions compiled in a loop
        return tf.function(function, jit_compile=mode == "xla")
    return function


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
        nested = x.requires_grad  # the caller differentiates this derivative again
        x = x if nested else x.detach().requires_grad_()
        return torch.autograd.grad(function(x).sum(), x, create_graph=nested)[0]

    return slope


def forward_and_backward(function):
    """Return a function of x and a cotangent that returns y and the product with y'."""
    if BACKEND == "jax":
        import jax

        def both(x, cotangent):
            y, pull_back = jax.vjp(function, x)
            return y, *pull_back(cotangent)

        return both
    if BACKEND == "tensorflow":
        import tensorflow as tf

        def both(x, cotangent):
            with tf.GradientTape() as tape:
                tape.watch(x)
                y = function(x)
            return y, tape.gradient(y, x, output_gradients=cotangent)

        return both
    import torch

    def both(x, cotangent):
        x = x.detach().requires_grad_()
        y = function(x)
        return y.detach(), *torch.autograd.grad(y, x, cotangent)

    return both


@contextlib.contextmanager
def setting(dtype, mode):
    """Enter a context that supports tensors of a dtype and runs as a mode requires.

    JAX disables float64 by default, and keras_slashed fuses its kernels in every mode except
    "plain".
    """
    before = config.is_kernel_compilation_enabled()
    if mode == "plain":
        config.disable_kernel_compilation()
    try:
        with float64_enabled() if dtype == "float64" else contextlib.nullcontext():
            yield
    finally:
        if before:
            config.enable_kernel_compilation()


def forget_compiled():
    """Reset torch.compile.

    It stops compiling a line of code that it has compiled several times, for other dtypes or
    sizes.
    """
    if BACKEND == "torch":
        import torch

        torch.compiler.reset()


def usable(modes):
    """Return the modes that work here, and print why others do not.

    On a CPU, torch.compile needs a C++ compiler.
    """
    works = []
    for mode in modes:
        try:
            compiled(lambda x: x + 1.0, mode)(keras.ops.ones(8))
        except Exception as error:  # of any kind, from any part of the compiler
            print(f"Skipped: mode {mode} does not work here, {in_a_line(error)}")
        else:
            works.append(mode)
    return works


def in_a_line(error):
    """Return an exception's type and the beginning of its message."""
    message = (str(error).strip().splitlines() or [""])[0]
    return f"{type(error).__name__}: {message[:200]}"
