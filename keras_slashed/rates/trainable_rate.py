"""TrainableRate: the base class of learned rates."""

import keras
from keras import ops

from keras_slashed.hyperparameters import constant
from keras_slashed.hyperparameters import wide_dtype
from keras_slashed.validation import check_rate


class TrainableRate(keras.layers.Layer):
    """A rate `minimum + scale |v|` with a trainable scalar v, which starts at `initial / scale`.

    A subclass sets the name of v, of the weight and of the attribute that holds it, and has its
    own minimum or scale.
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
        weight = self.add_weight(
            shape=(),
            initializer=constant(self.initial / self.scale),
            dtype=wide_dtype(self),
            trainable=True,
            autocast=False,
            name=self.WEIGHT,
        )
        setattr(self, self.WEIGHT, weight)

    def call(self, inputs=None):
        weight = ops.convert_to_tensor(getattr(self, self.WEIGHT))
        return self.minimum + self.scale * ops.abs(weight)

    def compute_output_shape(self, input_shape=None):
        return ()
