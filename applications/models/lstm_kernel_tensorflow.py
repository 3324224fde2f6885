"""Keras' LSTM for TensorFlow on a CPU, with matrix products moved out of the loop over time."""

import tensorflow as tf


def lstm(projected, recurrent, h, c):
    """Return the outputs of an LSTM at all steps, and its last states.

    Arguments, results and method are those of `lstm_kernel_jax.lstm`. The loop back through
    time computes only the gradients of the gates' inputs, and one product computes that of the
    matrix. Second derivatives are not supported.
    """
    # In eager mode a custom gradient treats tensors, and not variables, as its arguments.
    return _lstm(*map(tf.convert_to_tensor, (projected, recurrent, h, c)))


@tf.custom_gradient
def _lstm(projected, recurrent, h, c):
    length = tf.shape(projected)[0]
    first_h = h
    projections = _array(length, projected).unstack(projected)

    def step(time, h, c, outputs, inputs, cells):
        gates = projections.read(time) + tf.matmul(h, recurrent)
        i, f, g, o = _activated(gates)
        inputs, cells = inputs.write(time, gates), cells.write(time, c)
        c = f * c + i * g
        h = o * tf.tanh(c)
        return time + 1, h, c, outputs.write(time, h), inputs, cells

    arrays = [_array(length, state) for state in (h, projected[0], c)]
    _, h, c, *arrays = _loop(length, step, (0, h, c, *arrays))
    outputs, inputs, cells = (array.stack() for array in arrays)

    def gradient(d_outputs, d_h, d_c):
        reads = [_array(length, x).unstack(x) for x in (d_outputs, inputs, cells)]

        def step(count, d_h, d_c, d_inputs):
            time = length - 1 - count
            d_output, gates, before = (array.read(time) for array in reads)
            i, f, g, o = _activated(gates)
            tanh_c = tf.tanh(f * before + i * g)
            d_h += d_output
            d_c += d_h * o * (1.0 - tanh_c**2)
            d_gates = tf.concat(
                [
                    d_c * g * i * (1.0 - i),
                    d_c * before * f * (1.0 - f),
                    d_c * i * (1.0 - g**2),
                    d_h * tanh_c * o * (1.0 - o),
                ],
                axis=-1,
            )
            d_h = tf.matmul(d_gates, recurrent, transpose_b=True)
            return count + 1, d_h, d_c * f, d_inputs.write(time, d_gates)

        start = (0, d_h, d_c, _array(length, inputs[0]))
        _, d_h, d_c, array = _loop(length, step, start)
        d_inputs = array.stack()
        hidden = tf.concat([first_h[None], outputs[:-1]], axis=0)
        hidden, flat = (tf.reshape(x, (-1, x.shape[-1])) for x in (hidden, d_inputs))
        return d_inputs, tf.matmul(hidden, flat, transpose_a=True), d_h, d_c

    return (outputs, h, c), gradient


def _activated(gates):
    i, f, g, o = tf.split(gates, 4, axis=-1)
    return tf.sigmoid(i), tf.sigmoid(f), tf.tanh(g), tf.sigmoid(o)


def _array(length, like):
    """Return an empty array of `length` tensors with the dtype of `like`."""
    return tf.TensorArray(like.dtype, size=length)


def _loop(length, step, start):
    def goes_on(time, *_):
        return time < length

    return tf.while_loop(goes_on, step, start, parallel_iterations=1)
