"""Keras' LSTM for JAX on a CPU, with matrix products moved out of the loop over time."""

import jax
import jax.numpy as jnp
from jax import lax


@jax.custom_vjp
def lstm(projected, recurrent, h, c):
    """Return the outputs of an LSTM at all steps, and its last states.

    JAX itself would accumulate the gradient of the recurrent matrix step by step, and add an
    array of the matrix's size each time. Here the loop back through time computes only the
    gradients of the gates' inputs. One product then computes the gradient of the matrix from
    them. Forward-mode differentiation is not supported.

    Args:
        projected: Tensor of shape `(length, batch, 4 * units)`, with time first. The inputs
            times their matrix plus the bias, with the gates in Keras' order i, f, c, o.
        recurrent: Tensor of shape `(units, 4 * units)`. The recurrent matrix.
        h: Tensor of shape `(batch, units)`. The output before the first step.
        c: Tensor of shape `(batch, units)`. The cell before the first step.

    Returns:
        The outputs, of shape `(length, batch, units)`, and `h` and `c` after the last step.
    """
    return _forward(projected, recurrent, h, c)[0]


def _gates(inputs):
    i, f, g, o = jnp.split(inputs, 4, axis=-1)
    return jax.nn.sigmoid(i), jax.nn.sigmoid(f), jnp.tanh(g), jax.nn.sigmoid(o)


def _forward(projected, recurrent, h, c):
    def step(states, projection):
        h, before = states
        inputs = projection + h @ recurrent
        i, f, g, o = _gates(inputs)
        c = f * before + i * g
        h = o * jnp.tanh(c)
        return (h, c), (h, inputs, before)

    (last_h, last_c), (outputs, inputs, cells) = lax.scan(step, (h, c), projected)
    return (outputs, last_h, last_c), (h, outputs, inputs, cells, recurrent)


def _backward(saved, upstream):
    first_h, outputs, inputs, cells, recurrent = saved
    d_outputs, d_last_h, d_last_c = upstream
    transposed = recurrent.T

    def step(gradients, at):
        d_h, d_c = gradients
        d_output, inputs, before = at
        i, f, g, o = _gates(inputs)
        tanh_c = jnp.tanh(f * before + i * g)
        d_h = d_h + d_output
        d_c = d_c + d_h * o * (1.0 - tanh_c**2)
        d_i, d_f = d_c * g * i * (1.0 - i), d_c * before * f * (1.0 - f)
        d_g, d_o = d_c * i * (1.0 - g**2), d_h * tanh_c * o * (1.0 - o)
        d_inputs = jnp.concatenate([d_i, d_f, d_g, d_o], axis=-1)
        return (d_inputs @ transposed, d_c * f), d_inputs

    (d_h, d_c), d_inputs = lax.scan(
        step, (d_last_h, d_last_c), (d_outputs, inputs, cells), reverse=True
    )
    hidden = jnp.concatenate([first_h[None], outputs[:-1]])
    return d_inputs, jnp.einsum("tbh,tbg->hg", hidden, d_inputs), d_h, d_c


lstm.defvjp(_forward, _backward)
