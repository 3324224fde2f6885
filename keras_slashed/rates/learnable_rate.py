"""LearnableRate: a rate that is a trainable scalar."""

import keras

from keras_slashed.rates.trainable_rate import TrainableRate
from keras_slashed.validation import check_number


@keras.saving.register_keras_serializable(package="keras_slashed")
class LearnableRate(TrainableRate):
    """A rate that trains freely, from a large start: `|d|` with a trainable scalar d.

    Decouples learning how much to carry from learning what. With normalization
    "batch" the KL in the loss equals this one parameter exactly; the layer needs a
    `kl_weight` (1 for a VAE), or the rate has no price.

    Adam moves a parameter by about the learning rate in a step, however large it
    is: 80 nats want 80,000 steps at 1e-3 to fall to 0. `scale` has the rate move that
    many times faster: `d = scale v`, where v is what trains.

    Args:
        initial: Positive number of nats to begin with.
        scale: Positive number, the nats of one unit of the trained variable.
        **kwargs: As for any `keras.layers.Layer` (`name`, `dtype`, ...).

    Call arguments:
        inputs: None; call it as `rate()`.

    Output shape:
        A scalar.

    Raises:
        ValueError: An argument is not a positive, finite number.

    Example:

    >>> rate = keras_slashed.rates.LearnableRate(20.0)
    >>> float(keras.ops.convert_to_numpy(rate())), len(rate.trainable_weights)
    (20.0, 1)

    Reference:
        Slashed Normal, appendix F, "Decoupling KL divergence".
    """

    def __init__(self, initial, scale=1.0, **kwargs):
        check_number("scale", scale, above=0)
        super().__init__(initial, scale=scale, **kwargs)

    def get_config(self):
        return {**super().get_config(), "initial": self.initial, "scale": self.scale}
