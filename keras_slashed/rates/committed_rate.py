"""CommittedRate: a learned rate with a minimum."""

import keras

from keras_slashed.rates.trainable_rate import TrainableRate
from keras_slashed.validation import check_rate


@keras.saving.register_keras_serializable(package="keras_slashed")
class CommittedRate(TrainableRate):
    """A learned rate with a minimum: `minimum + |d|` with a trainable scalar d.

    The bottleneck cannot collapse below the minimum. It carries more where that lowers the loss
    enough. Give the layer that uses the rate a `kl_weight` (1 for a VAE), since otherwise a
    higher rate costs nothing.

    Args:
        minimum: Float. Positive minimum of the rate in nats, delta_0.
        initial: Float. Positive initial value of d in nats. At 0, `|d|` would have no slope.
        **kwargs: Base layer keyword arguments, such as `name` and `dtype`.

    Call arguments:
        inputs: None. Call the layer as `rate()`.

    Output shape:
        A scalar, in nats.

    Raises:
        ValueError: If an argument is not a positive, finite number.

    Example:

    >>> rate = keras_slashed.rates.CommittedRate(6.0, initial=0.5)
    >>> float(keras.ops.convert_to_numpy(rate()))
    6.5

    Reference:
        Slashed Normal, sections 4.2 and 6.2.
    """

    WEIGHT = "excess"

    def __init__(self, minimum, initial=1.0, **kwargs):
        check_rate("minimum", minimum)
        super().__init__(initial, minimum=minimum, **kwargs)

    def get_config(self):
        return {**super().get_config(), "minimum": self.minimum, "initial": self.initial}
