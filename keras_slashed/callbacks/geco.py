"""GECO: the weight of the KL that holds the reconstruction error at a target."""

import math

import keras

from keras_slashed.callbacks.named_layers import layers_with_a_weight
from keras_slashed.callbacks.named_layers import log_weights
from keras_slashed.callbacks.named_layers import set_annealing_factor
from keras_slashed.validation import check_choice
from keras_slashed.validation import check_number

_INTERVALS = ("step", "epoch")


class GECO(keras.callbacks.Callback):
    """Minimize the rate under a constraint: a reconstruction error of at most a target.

    The Lagrangian is `KL + lambda C`, with the constraint `C = E[error] - target`, at
    most 0, and a multiplier `lambda` that grows while it is violated:

    `lambda <- lambda exp(step_size M)`, with `M <- momentum M + (1 - momentum) C`.

    In the loss of a Keras model the error has weight 1, so this is trained as
    `error + kl_weight KL / lambda`, with a `lambda` that is 1 at first. Every
    `SlashedNormalSampling` and `FixedRateVIB` of the model whose `kl_weight` is not 0
    takes part (that of a `FixedRateVIB` is 0 unless you set it). As with `KLWarmup`,
    `lambda` counts in training alone: at inference the loss has the layers' `kl_weight`.

    The error is a metric of the model, without the rate, as `monitor` names it in the
    logs: `model.compile(loss="mse", metrics=["mse"])`, say, and `monitor="mse"`. The
    logs hold its mean since the beginning of the epoch, from which the callback finds
    the step's own (a last batch of fewer instances counts as less far from that mean
    than it is). M restarts with each epoch, at C. Only `lambda` outlives an epoch; the
    layers save it with their weights, so that a run resumed from a checkpoint continues
    as if it had not been interrupted, and so does another `fit` with this callback. After
    each epoch `history.history` holds `<layer name>_kl_weight`, what the last training
    step used. Works in compiled training on every backend.

    Args:
        monitor: Name of the error in the training logs.
        target: The value it shall not exceed, in its own units.
        by: "step", or "epoch" to change lambda once an epoch by the epoch's mean error,
            where C takes the place of M.
        step_size: How fast lambda changes, in one over the units of the error. Where
            the error lies 1 above its target, lambda grows e-fold in `1 / step_size`
            steps or epochs.
        momentum: Of the moving mean M, in [0, 1).
        max_multiplier: lambda stays between this and its reciprocal, so that a target
            that cannot be reached (or not be missed) leaves the loss finite.

    Raises:
        ValueError: An argument out of its range. In `fit`: the logs hold no such
            metric, or no layer's `kl_weight` can be changed.

    Example:

    >>> model = keras.Sequential([
    ...     keras.layers.Dense(8),
    ...     keras_slashed.layers.SlashedNormalSampling(name="latent"),
    ...     keras.layers.Dense(1),
    ... ])
    >>> model.compile("adam", "mse", metrics=["mse"])
    >>> history = model.fit(
    ...     keras.random.normal((64, 4)), keras.ops.zeros((64, 1)), epochs=2, verbose=0,
    ...     callbacks=[keras_slashed.callbacks.GECO("mse", target=0.0, step_size=0.1)],
    ... )
    >>> weights = history.history["latent_kl_weight"]
    >>> 1.0 > weights[0] > weights[1]  # the error is above 0 still
    True

    Reference:
        Rezende and Viola, Taming VAEs, 2018, Eq. 2 and Algorithm 1.
    """

    def __init__(
        self, monitor, target, by="step", step_size=0.01, momentum=0.99, max_multiplier=1e6
    ):
        super().__init__()
        check_number("target", target)
        check_choice("by", by, _INTERVALS)
        check_number("step_size", step_size, above=0)
        check_number("momentum", momentum, minimum=0, below=1)
        check_number("max_multiplier", max_multiplier, minimum=1)
        self.monitor = monitor
        self.target = float(target)
        self.by = by
        self.step_size = float(step_size)
        self.momentum = float(momentum)
        self.max_multiplier = float(max_multiplier)
        self._begin_epoch()

    def _begin_epoch(self):
        self._mean_constraint = None
        self._steps, self._mean_error = 0, 0.0

    def on_epoch_begin(self, epoch, logs=None):
        self._begin_epoch()
        # Not when training begins: a callback that restores a backup does so only then.
        for layer in layers_with_a_weight(self.model).values():
            layer.kl_annealing_factor.assign(layer.geco_factor)

    def on_train_batch_end(self, batch, logs=None):
        if self.by != "step":
            return
        # The mean over all steps so far, times their number, less the same before.
        mean, steps = self._monitored(logs), batch + 1
        share = steps / (steps - self._steps)
        error = self._mean_error + share * (mean - self._mean_error)
        self._steps, self._mean_error = steps, mean
        constraint = error - self.target
        if self._mean_constraint is None:
            self._mean_constraint = constraint
        self._mean_constraint += (1.0 - self.momentum) * (constraint - self._mean_constraint)
        self._update(self._mean_constraint)

    def on_epoch_end(self, epoch, logs=None):
        if self.by == "epoch":
            self._update(self._monitored(logs) - self.target)
        if logs is not None:
            log_weights(layers_with_a_weight(self.model), logs)

    def on_train_end(self, logs=None):
        set_annealing_factor(self.model, 1.0)

    def _monitored(self, logs):
        if self.monitor not in (logs or {}):
            raise ValueError(
                f"GECO found no metric {self.monitor!r} in the training logs, which hold "
                f"{sorted(logs or {})}. Give the error to `model.compile(metrics=[...])`."
            )
        return float(logs[self.monitor])

    def _update(self, constraint):
        """Move the weights against the constraint."""
        if not math.isfinite(constraint):
            return  # one broken step is no reason to lose the multiplier
        # exp() of the largest change that matters does not overflow.
        largest = 2.0 * math.log(self.max_multiplier)
        change = min(max(self.step_size * constraint, -largest), largest)
        # `self.model` as a property: on JAX `fit` then reads what is written here.
        layers = layers_with_a_weight(self.model)
        if not any(layer.get_config()["kl_weight"] for layer in layers.values()):
            raise ValueError(
                "GECO found no layer whose rate is weighed: expected a SlashedNormalSampling or "
                f"a FixedRateVIB made with a kl_weight other than 0. Received: {list(layers)}"
            )
        for layer in layers.values():
            factor = layer.geco_factor * math.exp(-change)
            factor = min(max(factor, 1.0 / self.max_multiplier), self.max_multiplier)
            layer.geco_factor = factor
            layer.kl_annealing_factor.assign(factor)
