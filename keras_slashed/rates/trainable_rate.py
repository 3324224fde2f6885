"""TrainableRate: the base class of learned rates."""

import keras
from keras import ops

from keras_slashed.hyperparameters import constant
from keras_slashed.rates.fixed_rate import rate_dtype
from keras_slashed.validation import check_rate


class TrainableRate(keras.layers.Layer):
    """A rate `minimum + scale |v|` with a trainable scalar v, which starts at `initial / scale`.

    A subclass sets the name of v, and has its own minimum or scale.
    """

    WEIGHT = "value"

    def __init__(self, initial, minimum=0.0, scale=1.0, **kwargs):
        super().__init__(**kwargs)
        check_rate("initial", initial)
        self.initial = float(initial)
        self.minimum = float(minimum)
        self.scale = float(scale)
        # The initial value of the variable must be finite in float32 too.
        check_rate("initial / scale", self.initial / self.scale)

    def build(self, input_shape=None):
        self.value = self.add_weight(
            shape=(),
            initializer=constant(self.initial / self.scale),
            dtype=rate_dtype(self),
            trainable=True,
            autocast=False,
            name=self.WEIGHT,
        )

    def call(self, inputs=None):
        return self.minimum + self.scale * ops.abs(ops.convert_to_tensor(self.value))

    def compute_output_shape(self, input_shape=None):
        return ()
