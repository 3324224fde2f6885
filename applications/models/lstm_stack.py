"""LSTMStack: stacked LSTM layers, with one tensor of states."""

import keras
from keras import layers
from keras import ops

from applications.checks import check_positive_integer
from applications.models.lstm_layer import LSTM


@keras.saving.register_keras_serializable(package="keras_slashed_applications")
class LSTMStack(layers.Layer):
    """Stacked LSTM layers.

    The stack takes no mask, so that a GPU can use its fast kernels. An LSTM only looks back, so
    padding at the end of a sequence changes no output before it. The caller must ignore the
    outputs at padding.

    Args:
        units: Integer. Width of each layer.
        num_layers: Integer. Number of layers.
        dropout: Float. Rate of the dropout between layers. There is none before the first
            layer and none after the last one.
        skip: Boolean. Whether to add each layer's input to its output. An input of another
            width first goes through a linear map without bias.
        **kwargs: Base layer keyword arguments, such as `name` and `dtype`.

    Call arguments:
        sequence: Float tensor of shape `(batch, length, size)`.
        states: Tensor of shape `(batch, 2, num_layers, units)`, or None for zeros. The outputs
            h of all layers at the previous step, then their cells c.
        training: Boolean. Whether to apply dropout.

    Output shape:
        `(batch, length, units)` for the outputs of the last layer, and
        `(batch, 2, num_layers, units)` for the states after the last step.
    """

    def __init__(self, units, num_layers=1, dropout=0.0, skip=False, **kwargs):
        super().__init__(**kwargs)
        check_positive_integer("units", units)
        check_positive_integer("num_layers", num_layers)
        self.units = units
        self.num_layers = num_layers
        self.dropout = dropout
        self.skip = skip
        common = {"dtype": self.dtype_policy}
        self.lstms = [
            LSTM(units, return_sequences=True, return_state=True, name=f"lstm_{index}", **common)
            for index in range(num_layers)
        ]
        self.dropouts = [
            layers.Dropout(dropout, name=f"dropout_{index}", **common)
            for index in range(1, num_layers)
        ]
        self.projection = None

    def build(self, sequence_shape, states_shape=None):
        size = sequence_shape[-1]
        if self.skip and size != self.units:
            self.projection = layers.Dense(
                self.units, use_bias=False, name="projection", dtype=self.dtype_policy
            )
            self.projection.build(sequence_shape)
        for index, lstm in enumerate(self.lstms):
            lstm.build((*sequence_shape[:-1], self.units if index else size))
        for dropout in self.dropouts:
            dropout.build((*sequence_shape[:-1], self.units))

    def call(self, sequence, states=None, training=None):
        new_h, new_c = [], []
        for index, lstm in enumerate(self.lstms):
            if index:
                sequence = self.dropouts[index - 1](sequence, training=training)
            initial = None if states is None else [states[:, 0, index], states[:, 1, index]]
            outputs, h, c = lstm(sequence, initial_state=initial, training=training)
            new_h.append(h)
            new_c.append(c)
            if self.skip:
                if sequence.shape[-1] != self.units:
                    sequence = self.projection(sequence)
                outputs = ops.add(outputs, sequence)
            sequence = outputs
        states = ops.stack([ops.stack(new_h, axis=1), ops.stack(new_c, axis=1)], axis=1)
        return sequence, states

    def compute_output_spec(self, sequence, states=None, training=None):
        batch, length = sequence.shape[:2]
        return (
            keras.KerasTensor((batch, length, self.units), dtype=self.compute_dtype),
            keras.KerasTensor((batch, 2, self.num_layers, self.units), dtype=self.compute_dtype),
        )

    def get_config(self):
        own = ("units", "num_layers", "dropout", "skip")
        return {**super().get_config(), **{name: getattr(self, name) for name in own}}
