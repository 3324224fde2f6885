"""LSTM: Keras' own layer, with a faster loop on a CPU under JAX and TensorFlow."""

import keras
from keras import layers
from keras import ops


@keras.saving.register_keras_serializable(package="keras_slashed_applications")
class LSTM(layers.LSTM):
    """Keras' LSTM, which uses the loops of `lstm_kernel_*` on a CPU under JAX and TensorFlow.

    Keras' own loop accumulates gradients of matrices in each step, and on JAX also multiplies
    the inputs there. At the paper's size, its training step takes 1.4 times as long. Weights
    and results are the same, up to rounding. On a GPU, for a dtype other than float32, or with
    a mask or dropout within the layer, Keras' own loop runs. The kernels support neither
    forward-mode differentiation nor second derivatives.
    """

    def inner_loop(self, sequences, initial_state, mask, training=False):
        if not self._has_kernel(mask):
            return super().inner_loop(sequences, initial_state, mask, training)
        kernel, recurrent, bias = map(ops.convert_to_tensor, self.cell.weights)
        projected = ops.add(ops.matmul(ops.swapaxes(sequences, 0, 1), kernel), bias)
        h, c = (ops.cast(state, projected.dtype) for state in initial_state)
        outputs, h, c = cpu_kernel().lstm(projected, recurrent, h, c)
        return h, ops.swapaxes(outputs, 0, 1), [h, c]

    def _has_kernel(self, mask):
        standard = (
            mask is None
            and self.activation is keras.activations.tanh
            and self.recurrent_activation is keras.activations.sigmoid
            and self.use_bias
            and self.return_sequences
            and self.compute_dtype == "float32"
            and not (self.dropout or self.recurrent_dropout or self.go_backwards or self.unroll)
        )
        return standard and cpu_kernel() is not None


def cpu_kernel():
    """Return the module of the backend's kernel for a CPU, or None if Keras' own LSTM runs."""
    backend = keras.backend.backend()
    if backend == "jax":
        import jax

        from applications.models import lstm_kernel_jax

        return lstm_kernel_jax if jax.default_backend() == "cpu" else None
    if backend == "tensorflow":
        import tensorflow as tf

        from applications.models import lstm_kernel_tensorflow

        return None if tf.config.list_physical_devices("GPU") else lstm_kernel_tensorflow
    return None
