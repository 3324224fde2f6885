"""LSTM: Keras' own, with a faster loop on JAX and a CPU."""

import keras
from keras import layers
from keras import ops


@keras.saving.register_keras_serializable(package="keras_slashed_applications")
class LSTM(layers.LSTM):
    """Keras' LSTM; on JAX and a CPU it loops over time as `lstm_kernel_jax` does.

    There Keras multiplies inputs, and adds up gradients of matrices, in each step: at the
    paper's size a training step takes 1.4 times as long. Weights and results are the same, to
    rounding. On a GPU, in another dtype than float32, with a mask or dropout within the
    layer, it is Keras' own. `lstm_kernel_jax` has no forward mode.
    """

    def inner_loop(self, sequences, initial_state, mask, training=False):
        if not self._has_kernel(mask):
            return super().inner_loop(sequences, initial_state, mask, training)
        from applications import lstm_kernel_jax

        kernel, recurrent, bias = map(ops.convert_to_tensor, self.cell.weights)
        projected = ops.add(ops.matmul(ops.swapaxes(sequences, 0, 1), kernel), bias)
        h, c = (ops.cast(state, projected.dtype) for state in initial_state)
        outputs, h, c = lstm_kernel_jax.lstm(projected, recurrent, h, c)
        return h, ops.swapaxes(outputs, 0, 1), [h, c]

    def _has_kernel(self, mask):
        if keras.backend.backend() != "jax" or mask is not None:
            return False
        import jax

        standard = (
            self.activation is keras.activations.tanh
            and self.recurrent_activation is keras.activations.sigmoid
            and self.use_bias
            and self.return_sequences
            and self.compute_dtype == "float32"
            and not (self.dropout or self.recurrent_dropout or self.go_backwards or self.unroll)
        )
        return standard and jax.default_backend() == "cpu"
