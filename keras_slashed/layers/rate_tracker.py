"""The mean rate of a layer over an epoch, which `RateMonitor` reads."""

import keras
from keras import ops

from keras_slashed.backend import sum_over_mirrored_replicas
from keras_slashed.keras_faults.recurrent_call import recurrent_call
from keras_slashed.layers.recording import is_recording

# Marks a mean before the first call. No rate is negative.
_NOT_CALLED = -1.0


class RateTracker:
    """The mean rate of a layer, tracked separately for training and inference.

    The mean is a non-trainable weight of the layer. The layer updates it in `call`, and
    callbacks read it between epochs. This is the only way that works on every backend without
    a custom train step: updating a `keras.metrics.Metric` in `call` fails on JAX. On several
    devices the mean is over the joined batches. PyTorch processes are an exception: each has its
    own mean over its own instances.

    Attributes:
        at_inference: Boolean. Whether to track inference too. It is False unless a
            `RateMonitor` runs, since a served or exported layer should not write to a variable.
        variable: The weight that contains the means, or None before `build`.
    """

    def __init__(self):
        self.at_inference = False
        self.variable = None

    def build(self, layer):
        """Add the weight to a layer, unless a layer that shares the tracker already has it."""
        if self.variable is not None:
            return
        # Rows: training, inference. Columns: mean rate, or -1 before the first call, and
        # number of instances, which is still 0 after calls where all are masked. A float32 sum
        # instead of a running mean would drift by 1e-6 over 60,000 instances. With "mean", all
        # replicas of a distributed step write the same values to the variable that they share.
        self.variable = layer.add_weight(
            shape=(2, 2),
            initializer=keras.initializers.Constant([[_NOT_CALLED, 0.0], [_NOT_CALLED, 0.0]]),
            dtype="float32",
            trainable=False,
            autocast=False,
            aggregation="mean",
            name="mean_rates",
        )

    def update(self, rates, mask, training):
        """Include a batch of rates of any shape, if finite, except those that the mask excludes."""
        if is_recording() or recurrent_call() == "shape":
            return
        if not training and not self.at_inference:
            return
        rates = ops.cast(rates, "float32")
        # NaN would stay in the weight, which files contain.
        chosen = ops.isfinite(rates)
        if mask is not None:
            chosen = ops.logical_and(chosen, ops.cast(mask, "bool"))
        counts = ops.cast(chosen, "float32")
        rates = ops.where(chosen, rates, 0.0)
        means = ops.convert_to_tensor(self.variable)
        old_mean, old_count = ops.unstack(means[0 if training else 1])
        sums = sum_over_mirrored_replicas(ops.stack([ops.sum(rates), ops.sum(counts)]))
        added_rates, added_count = ops.unstack(sums)
        count = old_count + added_count
        old_mean = ops.where(old_count > 0.0, old_mean, 0.0)
        step = (added_rates - old_mean * added_count) / ops.where(count > 0.0, count, 1.0)
        row = ops.stack([old_mean + step, count])
        rows = [row, means[1]] if training else [means[0], row]
        self.variable.assign(ops.stack(rows))

    def reset(self, training):
        """Reset the mean for training or for inference."""
        if self.variable is None:
            return
        means = ops.convert_to_numpy(self.variable.value).copy()
        means[0 if training else 1] = _NOT_CALLED, 0.0
        self.variable.assign(means)

    def result(self, training):
        """Return the mean rate since the last reset in nats, or None if there is none."""
        if self.variable is None:
            return None
        mean, count = ops.convert_to_numpy(self.variable.value)[0 if training else 1]
        return float(mean) if count else None

    def is_idle(self):
        """Return whether there was no training call since the last reset, masked or not."""
        if self.variable is None:
            return True
        mean, _ = ops.convert_to_numpy(self.variable.value)[0]
        return bool(mean == _NOT_CALLED)
