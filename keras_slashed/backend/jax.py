"""Custom derivatives on JAX."""

import jax


def with_derivative(function, derivative):
    """Give an elementwise function its derivative, forward and reverse mode.

    `custom_jvp` rather than `custom_vjp` (which is what
    `keras.ops.custom_gradient` uses): JAX transposes it for reverse mode, so
    `grad`, `jvp`, `jacfwd`, `hessian` and `vmap` all work, nested as well.

    Called outside of `jit`, function and derivative compile as one each, not
    operation by operation; inside, they melt into what is compiled there.
    """
    function = jax.custom_jvp(jax.jit(function, inline=True))
    derivative = jax.jit(derivative, inline=True)

    @function.defjvp
    def _(primals, tangents):
        y = function(*primals)
        return y, derivative(*primals, y) * tangents[0]

    return function


def input_gradient(function, x):
    """Return the gradient of `function(x)[0]` at x, and `function(x)[1]`."""
    return jax.grad(function, has_aux=True)(x)
