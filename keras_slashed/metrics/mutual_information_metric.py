"""MutualInformation: a metric that keeps a sample of the amplitudes."""

import keras
from keras import ops

from keras_slashed.backend import gather_from_mirrored_replicas
from keras_slashed.metrics.pairs import log_densities
from keras_slashed.metrics.pairs import log_sum_of_densities
from keras_slashed.metrics.pairs import normal_parameters
from keras_slashed.metrics.posterior import amplitude_of
from keras_slashed.metrics.posterior import mask_of_encoded
from keras_slashed.metrics.sample_weight import weights_of
from keras_slashed.metrics.sample_weight import without_unweighted
from keras_slashed.ops.stream_seed import stream_seed
from keras_slashed.validation import check_amplitude_shape
from keras_slashed.validation import check_positive_integer

_EMPTY = -1.0  # less than any key
_ROWS = 32  # number of draws that are compared with all posteriors at once


@keras.saving.register_keras_serializable(package="keras_slashed")
class MutualInformation(keras.metrics.Metric):
    """The mutual information within a sample of the amplitudes, in nats.

    The metric keeps a uniform sample of at most `capacity` amplitudes. Each new amplitude gets a
    random key, and those with the greatest keys stay. The result is the estimate of
    `keras_slashed.metrics.mutual_information` for the M amplitudes of the sample, with one draw
    from each. On average it is too low for all the data. It is at most `log M`, and close to
    that it has little meaning. For a good estimate, the capacity should be well above `exp(I)`,
    and the rates well below `log(capacity)`.

    Computing the result takes time in `capacity^2 K` and memory in `capacity K`. Its draws are
    the same each time. In `fit` and `evaluate`, Keras computes the results of a model's metrics
    in every step. Use a small capacity there, or the function after an epoch. The metric creates
    its state in the first update, or in `build`, which you must call before a compiled JAX step.
    `keras_slashed.metrics.Rate` describes where to use the metric.

    Args:
        capacity: Integer. Maximum number of amplitudes in the sample.
        seed: Integer or None. Seed of the keys and of the draws.
        name: String. Name of the metric.
        dtype: String or None. Dtype of the result.

    Call arguments:
        amplitude: Float tensor of shape `(batch, ..., 2K)`, or a `SlashedNormal`. All leading
            axes are equivalent: each of their positions is an instance.
        sample_weight: Float or boolean tensor of shape `(batch, ...)`, or of the first axes of
            that shape. A mask: instances with a weight of 0 do not count and may be arbitrary,
            and all others have the same weight. Instances where a mask that Keras keeps with the
            amplitude is False do not count either.

    Raises:
        ValueError: If the capacity is not a positive integer, the latent dimensions of a
            posterior are dependent, or a shape does not fit.

    Example:

    >>> metric = keras_slashed.metrics.MutualInformation(capacity=100, seed=0)
    >>> metric.update_state(100.0 * keras.ops.eye(4, 8))  # posteriors that do not overlap
    >>> round(float(metric.result()), 4)  # log 4
    1.3863

    Reference:
        Slashed Normal, Eq. 48.
    """

    def __init__(self, capacity=1024, seed=None, name="mutual_information", dtype=None):
        super().__init__(name=name, dtype=dtype)
        check_positive_integer("capacity", capacity)
        self.capacity = capacity
        self.seed = seed
        self.seed_generator = keras.random.SeedGenerator(
            stream_seed("MutualInformation, keys", seed)
        )
        self._seed_of_draws = stream_seed("MutualInformation, draws", seed)
        # As a variable of the metric, the seed state also advances in a stateless update.
        self.seed_state = self.seed_generator.state
        self.built = False

    def build(self, amplitude_shape):
        """Create the state for amplitudes of shape `(..., 2K)`."""
        check_amplitude_shape(amplitude_shape)
        empty = keras.initializers.Constant(_EMPTY)
        self.keys = self._add("keys", (self.capacity,), empty)
        self.amplitudes = self._add("amplitudes", (self.capacity, amplitude_shape[-1]), "zeros")
        self.built = True

    def _add(self, name, shape, initializer):
        # Replicas of a distributed step draw the same keys for the joined batch, and write the
        # same values to the variable that they share.
        return self.add_variable(shape, initializer, "float32", aggregation="mean", name=name)

    def update_state(self, amplitude, sample_weight=None):
        mask = mask_of_encoded(amplitude)
        amplitude = ops.cast(amplitude_of(amplitude), "float32")
        if not self.built:
            self.build(amplitude.shape)
        weights = weights_of(sample_weight, amplitude[..., 0], mask)
        amplitude = without_unweighted(amplitude, ops.expand_dims(weights, -1))
        amplitude = ops.reshape(amplitude, (-1, amplitude.shape[-1]))
        amplitude = gather_from_mirrored_replicas(amplitude)
        weights = gather_from_mirrored_replicas(ops.reshape(weights, (-1,)))
        keys = keras.random.uniform(ops.shape(weights), dtype="float32", seed=self.seed_generator)
        keys = ops.where(weights > 0.0, keys, _EMPTY)
        keys = ops.concatenate([self.keys.value, keys])
        amplitudes = ops.concatenate([self.amplitudes.value, amplitude])
        keys, kept = ops.top_k(keys, self.capacity)
        self.keys.assign(keys)
        self.amplitudes.assign(ops.take(amplitudes, kept, axis=0))

    def result(self):
        if not self.built:
            return ops.zeros((), dtype=self.dtype)
        is_kept = self.keys.value > _EMPTY
        mean, log_stddev = normal_parameters(self.amplitudes.value)
        noise = keras.random.normal(mean.shape, dtype="float32", seed=self._seed_of_draws)
        z = mean + ops.exp(log_stddev) * noise
        zeros = ops.zeros_like(z[:, 0])
        log_weights = ops.where(is_kept, zeros, zeros - float("inf"))
        # All pairs at once would take capacity^2 K numbers.
        extra = -self.capacity % _ROWS
        blocks = ops.reshape(ops.pad(z, [[0, extra], [0, 0]]), (-1, _ROWS, z.shape[-1]))
        mixed = ops.map(
            lambda block: log_sum_of_densities(block, mean, log_stddev, log_weights), blocks
        )
        mixed = ops.reshape(mixed, (-1,))[: self.capacity]
        count = ops.sum(ops.cast(is_kept, "float32"))
        count = ops.where(count > 0.0, count, ops.ones_like(count))
        terms = log_densities(z, mean, log_stddev) - (mixed - ops.log(count))
        estimate = ops.sum(ops.where(is_kept, terms, zeros)) / count
        return ops.cast(estimate, self.dtype)

    def reset_state(self):
        """Remove all amplitudes. The random keys continue from their present state."""
        if self.built:
            self.keys.assign(ops.full_like(self.keys.value, _EMPTY))
            self.amplitudes.assign(ops.zeros_like(self.amplitudes.value))

    def get_config(self):
        return {**super().get_config(), "capacity": self.capacity, "seed": self.seed}
