"""A layer's mean rate over an epoch, for `RateMonitor` to read."""

from keras import ops


class RateTracker:
    """Sums up the rates a layer sees, in training and at inference apart.

    The sums are a non-trainable weight of the layer, written in `call` and read
    between epochs: the one way that works on every backend without a train step
    of one's own (a `keras.metrics.Metric` updated in `call` fails on JAX).

    Attributes:
        at_inference: Whether inference is counted too. Off unless a
            `RateMonitor` is at work: a served or exported layer should not
            write to a variable.
    """

    def __init__(self, layer):
        self.at_inference = False
        # Rows: training, inference. Columns: sum of the rates, number of them.
        # With "mean", replicas of a distributed step add up to the right ratio.
        self._totals = layer.add_weight(
            shape=(2, 2),
            initializer="zeros",
            dtype="float32",
            trainable=False,
            autocast=False,
            aggregation="mean",
            name="rate_totals",
        )

    def update(self, rates, mask, training):
        """Count one batch of rates, of any shape, those that the mask leaves in."""
        if not training and not self.at_inference:
            return
        rates = ops.cast(rates, "float32")
        counts = ops.ones_like(rates)
        if mask is not None:
            mask = ops.cast(mask, "bool")
            counts = ops.cast(mask, "float32")
            rates = ops.where(mask, rates, 0.0)
        batch = ops.stack([ops.sum(rates), ops.sum(counts)])
        nothing = ops.zeros_like(batch)
        rows = [batch, nothing] if training else [nothing, batch]
        self._totals.assign_add(ops.stack(rows))

    def reset(self, training):
        """Start anew: for training, or for inference."""
        totals = ops.convert_to_numpy(self._totals.value).copy()
        totals[0 if training else 1] = 0.0
        self._totals.assign(totals)

    def result(self, training):
        """Return the mean rate since the last reset in nats, or None without any."""
        total, count = ops.convert_to_numpy(self._totals.value)[0 if training else 1]
        return float(total / count) if count else None
