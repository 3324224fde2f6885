"""GECO: adapt the weight of the KL to keep the reconstruction error at a target."""

import math

import keras

from keras_slashed.callbacks.named_layers import layers_with_a_weight
from keras_slashed.callbacks.named_layers import log_weights
from keras_slashed.callbacks.named_layers import set_annealing_factor
from keras_slashed.validation import check_choice
from keras_slashed.validation import check_number

_INTERVALS = ("step", "epoch")


class GECO(keras.callbacks.Callback):
    """Minimize the rate under the constraint that a reconstruction error is at most a target.

    The Lagrangian is `KL + lambda C`. The constraint `C = E[error] - target` should be at most 0,
    and the multiplier `lambda` grows while it is violated:

    `lambda <- lambda exp(step_size M)`, with `M <- momentum M + (1 - momentum) C`.

    In the loss of a Keras model the error has the weight 1. The training loss is therefore
    `error + kl_weight KL / lambda`, with an initial `lambda` of 1. The callback applies to every
    `SlashedNormalSampling` and `FixedRateVIB` of the model whose `kl_weight` is not 0. (The
    `kl_weight` of a `FixedRateVIB` is 0 unless you set it.) As with `KLWarmup`, `lambda` affects
    only training: at inference the loss uses the `kl_weight` of the layers.

    The error is a metric of the model that does not include the rate. `monitor` is its name in
    the logs: for example, use `model.compile(loss="mse", metrics=["mse"])` and `monitor="mse"`.
    The logs contain its mean since the beginning of the epoch, from which the callback computes
    the error of the step. (If the last batch has fewer instances, this understates the
    difference between its error and the mean.) M restarts with each epoch, at C. Only `lambda`
    continues from one epoch to the next. The layers save it with their weights, so that a run
    resumed from a checkpoint of the end of an epoch continues as if it had not been interrupted,
    whether `BackupAndRestore` or `ModelCheckpoint` comes before this callback or after it.
    Another `fit` with this callback also continues from it. After each epoch `history.history`
    contains `<layer name>_kl_weight`, the weight in the last training step. The callback works in
    compiled training on every backend.

    Args:
        monitor: String. Name of the error in the training logs.
        target: Float. Maximum of the error, in the units of the error.
        by: String. "step" to change lambda after each step, or "epoch" to change it once per
            epoch. With "epoch", the mean error of the epoch gives C, which replaces M.
        step_size: Float. Positive rate of change of lambda, in units of one over the error. If
            the error is 1 above its target, lambda grows by a factor of e in `1 / step_size`
            steps or epochs.
        momentum: Float in [0, 1). Momentum of the moving mean M.
        max_multiplier: Float, 1 or more. Upper bound of lambda, whose reciprocal is the lower
            bound. The bounds keep the loss finite if the error cannot reach the target, or
            cannot exceed it.

    Raises:
        ValueError: If an argument is out of range. In `fit`, if the logs do not contain the
            metric, or no layer has a `kl_weight` that can be changed.

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
    >>> 1.0 > weights[0] > weights[1]  # the error is still above 0
    True

    Reference:
        Rezende and Viola, Taming VAEs, 2018, Eq. 2 and Algorithm 1.
    """

    def __init__(
        self, monitor, target, by="step", step_size=0.01, momentum=0.99, max_multiplier=1e6
    ):
        super().__init__()
        if not isinstance(monitor, str):
            raise ValueError(
                f"Argument `monitor` must be the name of a metric. Received: monitor={monitor!r}"
            )
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
        self._factors = {}  # of the layers at the beginning of the epoch

    def on_epoch_begin(self, epoch, logs=None):
        self._begin_epoch()
        # `on_train_begin` is too early, since other callbacks restore a backup in it.
        self._apply_factors()
        layers = layers_with_a_weight(self.model).values()
        self._factors = {layer: layer.geco_factor for layer in layers}

    def on_train_batch_begin(self, batch, logs=None):
        if self.by == "step":
            self._apply_factors()

    def on_train_batch_end(self, batch, logs=None):
        if self.by == "epoch":
            # `on_epoch_end` would be too late for callbacks that come earlier in the list and save
            # the model in it. If the number of steps is not known, any step may be the last.
            steps = (self.params or {}).get("steps")
            if self.monitor in (logs or {}) and (steps is None or batch + 1 >= steps):
                self._update(self._factors, self._monitored(logs) - self.target)
            return
        # Mean times number of steps, minus the same product at the previous step.
        mean, steps = self._monitored(logs), batch + 1
        share = steps / (steps - self._steps)
        error = self._mean_error + share * (mean - self._mean_error)
        self._steps, self._mean_error = steps, mean
        constraint = error - self.target
        if self._mean_constraint is None:
            self._mean_constraint = constraint
        self._mean_constraint += (1.0 - self.momentum) * (constraint - self._mean_constraint)
        factors = {layer: layer.geco_factor for layer in self._weighted_layers()}
        self._update(factors, self._mean_constraint)

    def on_epoch_end(self, epoch, logs=None):
        if self.by == "epoch":
            factors = {
                layer: self._factors.get(layer, layer.geco_factor)
                for layer in self._weighted_layers()
            }
            self._update(factors, self._monitored(logs) - self.target)
        if logs is not None:
            log_weights(layers_with_a_weight(self.model), logs)

    def on_train_end(self, logs=None):
        set_annealing_factor(self.model, 1.0)

    def _monitored(self, logs):
        if self.monitor not in (logs or {}):
            raise ValueError(
                f"GECO found no metric {self.monitor!r} in the training logs. Add the error to "
                f"`model.compile(metrics=[...])`. Received logs: {sorted(logs or {})}"
            )
        return float(logs[self.monitor])

    def _apply_factors(self):
        """Have the next step use the present factors.

        They are not applied earlier, so that at the end of an epoch the layers still have the
        weights that its last step used.
        """
        # Accessing `self.model` makes `fit` on JAX read the values that are assigned here.
        for layer in layers_with_a_weight(self.model).values():
            layer.kl_annealing_factor.assign(layer.geco_factor)

    def _weighted_layers(self):
        """Return the layers with a weight, of which at least one is not 0."""
        layers = layers_with_a_weight(self.model)
        if not any(layer.get_config()["kl_weight"] for layer in layers.values()):
            raise ValueError(
                "GECO found no layer with a weighted rate. Expected: a SlashedNormalSampling or "
                f"FixedRateVIB layer with a kl_weight other than 0. Received: {list(layers)}"
            )
        return layers.values()

    def _update(self, factors, constraint):
        """Set the factors of layers to those in a dict, changed according to the constraint."""
        if not math.isfinite(constraint):
            constraint = 0.0  # keep the multiplier if a single step is not finite
        # A larger change would have the same effect, but exp() could overflow.
        largest = 2.0 * math.log(self.max_multiplier)
        change = min(max(self.step_size * constraint, -largest), largest)
        for layer, factor in factors.items():
            factor *= math.exp(-change)
            layer.geco_factor = min(max(factor, 1.0 / self.max_multiplier), self.max_multiplier)
