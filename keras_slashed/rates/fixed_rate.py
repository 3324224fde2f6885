"""FixedRate: a rate that is not trained."""

import keras
from keras import ops

from keras_slashed.hyperparameters import HyperparameterLayer
from keras_slashed.hyperparameters import number_in
from keras_slashed.hyperparameters import number_of
from keras_slashed.validation import check_rate


@keras.saving.register_keras_serializable(package="keras_slashed")
class FixedRate(HyperparameterLayer):
    """A fixed rate. Layers convert a number passed as `rate` to this layer.

    A fixed rate is a hyperparameter. You can change it without compiling again, by
    `layer.rate = 3.0` on a layer created with `rate=2.3`, or by `layer.rate.assign(3.0)`. `float`
    reads it, and `get_config` returns its present value. It is not a weight: neither
    `load_weights` nor `set_weights` changes it.

    Args:
        rate: Float. Positive number of nats.
        **kwargs: Base layer keyword arguments, such as `name` and `dtype`.

    Call arguments:
        inputs: None. Call the layer as `rate()`.

    Output shape:
        A scalar, in nats.

    Attributes:
        value: Scalar variable. The rate in nats.
        warmup_factor: Scalar variable. The factor by which
            `keras_slashed.callbacks.RateWarmup` multiplies the rate while it runs, otherwise 1.

    Raises:
        ValueError: If `rate` is not a positive, finite number.

    Example:

    >>> rate = keras_slashed.rates.FixedRate(2.5)
    >>> float(rate())
    2.5
    >>> rate.assign(3.0)
    >>> float(rate)
    3.0

    Reference:
        Slashed Normal, section 4.2.
    """

    HYPERPARAMETERS = ("value",)
    TRAINING_STATE = ("warmup_factor",)

    def __init__(self, rate, **kwargs):
        super().__init__(**kwargs)
        check_rate("rate", rate)
        self._told = float(rate)
        self.value = self.add_scalar("value", self._told)
        self.warmup_factor = self.add_scalar("warmup_factor", 1.0)

    def assign(self, rate):
        """Change the rate, in compiled functions too.

        Args:
            rate: Float, or scalar tensor or variable. Positive number of nats.

        Raises:
            ValueError: If `rate` is not a positive, finite number.
        """
        rate = number_in(rate)
        check_rate("rate", rate)
        self._told = float(rate)
        self.value.assign(self._told)

    def __float__(self):
        return number_of(self.value, self._told)

    def call(self, inputs=None):
        return ops.convert_to_tensor(self.value) * ops.convert_to_tensor(self.warmup_factor)

    def compute_output_shape(self, input_shape=None):
        return ()

    def get_config(self):
        return {**super().get_config(), "rate": float(self)}
