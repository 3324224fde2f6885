"""CommittedRate: a rate that trains above a minimum."""

import keras

from keras_slashed.rates.trainable_rate import TrainableRate
from keras_slashed.validation import check_rate


@keras.saving.register_keras_serializable(package="keras_slashed")
class CommittedRate(TrainableRate):
    """A rate of at least a minimum: `minimum + |d|` with a trainable scalar d.

    The bottleneck cannot collapse below the minimum, and spends more where the loss
    repays it: give the layer a `kl_weight` (1 for a VAE), or more costs nothing.

    Args:
        minimum: Positive number of nats, delta_0.
        initial: Value of d to begin with, positive: at 0, `|d|` has no slope.
        **kwargs: As for any `keras.layers.Layer` (`name`, `dtype`, ...).

    Call arguments:
        inputs: None; call it as `rate()`.

    Output shape:
        A scalar.

    Raises:
        ValueError: An argument is not a positive, finite number.

    Example:

    >>> rate = keras_slashed.rates.CommittedRate(6.0, initial=0.5)
    >>> float(keras.ops.convert_to_numpy(rate()))
    6.5

    Reference:
        Slashed Normal, section 4.2 and appendix F.
    """

    WEIGHT = "excess"

    def __init__(self, minimum, initial=1.0, **kwargs):
        check_rate("minimum", minimum)
        super().__init__(initial, minimum=minimum, **kwargs)

    def get_config(self):
        return {**super().get_config(), "minimum": self.minimum, "initial": self.initial}
