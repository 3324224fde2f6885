"""LearnableRate: a learned rate without a minimum."""

import keras

from keras_slashed.rates.trainable_rate import TrainableRate
from keras_slashed.validation import check_number


@keras.saving.register_keras_serializable(package="keras_slashed")
class LearnableRate(TrainableRate):
    """A learned rate that starts large: `|d|` with a trainable scalar d.

    The layer separates how much a latent carries from what it carries. With normalization
    "batch", the KL in the loss is exactly this one parameter. Give the layer that uses the rate
    a `kl_weight` (1 for a VAE), since otherwise the rate costs nothing.

    Adam changes a parameter by about the learning rate in each step, whatever its size. With a
    learning rate of 1e-3, a rate of 80 nats needs 80,000 steps to fall to 0. `scale` makes the
    rate change that many times faster: `d = scale v`, where v is the trained variable.

    Args:
        initial: Float. Positive initial rate in nats.
        scale: Float. Positive number of nats for one unit of the trained variable.
        **kwargs: Base layer keyword arguments, such as `name` and `dtype`.

    Call arguments:
        inputs: None. Call the layer as `rate()`.

    Output shape:
        A scalar, in nats.

    Raises:
        ValueError: If an argument is not a positive, finite number.

    Example:

    >>> rate = keras_slashed.rates.LearnableRate(20.0)
    >>> float(keras.ops.convert_to_numpy(rate())), len(rate.trainable_weights)
    (20.0, 1)

    Reference:
        Slashed Normal, section 6.2, "Decoupling KL divergence with batch normalization".
    """

    def __init__(self, initial, scale=1.0, **kwargs):
        check_number("scale", scale, above=0)
        super().__init__(initial, scale=scale, **kwargs)

    def get_config(self):
        return {**super().get_config(), "initial": self.initial, "scale": self.scale}
