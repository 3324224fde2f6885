"""MutualInformation: a metric that keeps a sample of the amplitudes it sees."""

import keras
from keras import ops

from keras_slashed.backend import gather_from_mirrored_replicas
from keras_slashed.metrics.pairs import log_densities
from keras_slashed.metrics.pairs import log_sum_of_densities
from keras_slashed.metrics.pairs import normal_parameters
from keras_slashed.metrics.posterior import amplitude_of
from keras_slashed.metrics.sample_weight import weights_of
from keras_slashed.metrics.sample_weight import without_unweighted
from keras_slashed.ops.stream_seed import stream_seed
from keras_slashed.validation import check_amplitude_shape
from keras_slashed.validation import check_positive_integer

_EMPTY = -1.0  # less than any key
_ROWS = 32  # draws that are compared with all normals at once


@keras.saving.register_keras_serializable(package="keras_slashed")
class MutualInformation(keras.metrics.Metric):
    """The mutual information within a sample of the amplitudes seen, in nats.

    It keeps a uniform sample of at most `capacity` amplitudes: each gets a random
    key when it is seen, and those with the greatest keys stay. The result is the
    estimate of `keras_slashed.metrics.mutual_information` with the M that were kept as
    the data and one draw from each: on average too low for all the data, at most
    `log M`, and near that it says little. A capacity well above `exp(I)`, and rates
    well below `log(capacity)`, make it a good one.

    The result takes time in `capacity^2 K` and memory in `capacity K`; its draws
    are the same each time. In `fit` and `evaluate` Keras computes the results of a
    model's metrics at every step: take a small capacity there, or the function after
    an epoch. The state is made at the first update, or in `build`, which must be
    called before a compiled JAX step. Where to use it: see `keras_slashed.metrics.Rate`.

    Args:
        capacity: Number of amplitudes that are kept.
        seed: Integer seed of the keys and of the draws, or None.
        name: Name of the metric.
        dtype: Dtype of the result.

    Call arguments:
        amplitude: Float tensor of shape `(batch, ..., 2K)`, whose leading axes are
            all alike instances, or a `SlashedNormal`.
        sample_weight: A mask of shape `(batch, ...)` or of its first axes: what has a
            weight of 0 is left out, and may be anything; all else counts alike.

    Raises:
        ValueError: The capacity is not a positive integer, the posterior has
            dependent dimensions, or a shape does not fit.

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
        # A variable of the metric, so that it advances in a stateless update.
        self.seed_state = self.seed_generator.state
        self.built = False

    def build(self, amplitude_shape):
        """Make the state, for amplitudes of shape `(..., 2K)`."""
        check_amplitude_shape(amplitude_shape)
        empty = keras.initializers.Constant(_EMPTY)
        self.keys = self._add("keys", (self.capacity,), empty)
        self.amplitudes = self._add("amplitudes", (self.capacity, amplitude_shape[-1]), "zeros")
        self.built = True

    def _add(self, name, shape, initializer):
        # Replicas of a distributed step draw the same keys for the joined batch, and all
        # write the same to the one variable they share.
        return self.add_variable(shape, initializer, "float32", aggregation="mean", name=name)

    def update_state(self, amplitude, sample_weight=None):
        amplitude = ops.cast(amplitude_of(amplitude), "float32")
        if not self.built:
            self.build(amplitude.shape)
        weights = weights_of(sample_weight, amplitude[..., 0])
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
        """Forget the amplitudes; the keys go on from where they are."""
        if self.built:
            self.keys.assign(ops.full_like(self.keys.value, _EMPTY))
            self.amplitudes.assign(ops.zeros_like(self.amplitudes.value))

    def get_config(self):
        return {**super().get_config(), "capacity": self.capacity, "seed": self.seed}
