"""FixedRate: a rate that does not train."""

import keras
from keras import ops

from keras_slashed.validation import check_rate


@keras.saving.register_keras_serializable(package="keras_slashed")
class FixedRate(keras.layers.Layer):
    """A fixed rate: what a number given as `rate` becomes.

    It is a variable, not a constant: `layer.rate.value.assign(3.0)`, on a layer made with
    `rate=2.3`, changes the rate without compiling anew.

    Args:
        rate: Positive number of nats.
        **kwargs: As for any `keras.layers.Layer` (`name`, `dtype`, ...).

    Call arguments:
        inputs: None; call it as `rate()`.

    Output shape:
        A scalar.

    Raises:
        ValueError: `rate` is not a positive, finite number.

    Example:

    >>> float(keras_slashed.rates.FixedRate(2.5)())
    2.5

    Reference:
        Slashed Normal, section 4.2.
    """

    def __init__(self, rate, **kwargs):
        super().__init__(**kwargs)
        check_rate("rate", rate)
        self._initial_rate = float(rate)

    def build(self, input_shape=None):
        self.value = add_rate_weight(self, "value", self._initial_rate, trainable=False)

    def call(self, inputs=None):
        return ops.convert_to_tensor(self.value)

    def compute_output_shape(self, input_shape=None):
        return ()

    def get_config(self):
        return {**super().get_config(), "rate": self._initial_rate}


def add_rate_weight(layer, name, initial, trainable):
    """Add a scalar weight to a layer, in float32 or wider whatever its policy."""
    return layer.add_weight(
        shape=(),
        initializer=keras.initializers.Constant(initial),
        dtype="float64" if layer.variable_dtype == "float64" else "float32",
        trainable=trainable,
        autocast=False,
        name=name,
    )
