"""SlashedNormalSampling: a sample of the posterior, and its rate as a loss."""

import keras
import numpy as np
from keras import ops

from keras_slashed.backend import kept_losses
from keras_slashed.hyperparameters import number_of
from keras_slashed.keras_faults.every_loss import EveryLoss
from keras_slashed.keras_faults.export_format import export_format
from keras_slashed.keras_faults.recurrent_call import check_recurrent_call
from keras_slashed.layers.amplitude_layer import AmplitudeLayer
from keras_slashed.layers.kl_loss import kl_loss
from keras_slashed.layers.kl_loss import kl_loss_with_free_bits
from keras_slashed.ops.amplitude import rate_of
from keras_slashed.ops.floats import cast_in_range
from keras_slashed.ops.floats import to_float_tensor
from keras_slashed.ops.floats import widen_amplitude
from keras_slashed.ops.mean_square import unmasked
from keras_slashed.ops.reparameterize import on_prior
from keras_slashed.ops.reparameterize import relative_sample
from keras_slashed.ops.replica_seed import ReplicaSeedGenerator
from keras_slashed.validation import check_amplitude_shape
from keras_slashed.validation import check_choice
from keras_slashed.validation import check_matrix_shape
from keras_slashed.validation import check_num_samples
from keras_slashed.validation import check_number
from keras_slashed.validation import check_prior_shape
from keras_slashed.validation import check_seed

INFERENCES = ("sample", "mean")


@keras.saving.register_keras_serializable(package="keras_slashed")
class SlashedNormalSampling(EveryLoss, AmplitudeLayer):
    """Draw from the normal posterior of an amplitude; add its rate to the loss.

    `z = prior_mean + S0 (sqrt(2) a + P stdplus(sqrt(2) b) eps)`, with `eps`
    standard normal noise and `a`, `b` the first and last K entries of the
    amplitude; S0 is `prior_stddev`, entry by entry, or the matrix `prior_scale`,
    and P the matrix `rotation`. The rate paid is `sum(a^2 + b^2)`, whatever the
    prior: exactly `KL(posterior || prior)`, of which an S0 that drops dimensions
    leaves less. `kl_weight` times the mean over the batch of this rate, summed
    over all other axes, goes to `add_loss`, in every call of the layer. With a mask
    the mean is over the rows that have an instance that counts. `sample_weight` and
    `class_weight` of `fit()`, which never reach a layer, do not weight it. Keras divides its own
    losses by the number of entries that count: for a loss of each position of a sequence
    a `kl_weight` of 1 over the mean number of positions is the evidence lower bound of
    one position.

    A prior and a rotation may come from other layers, for a hierarchy of latents
    or a prior made by a network. The loss never depends on them: they learn
    through z alone. They may have any sign and may be 0.

    The layer draws in training. At inference it draws too by default, so that
    the validation loss of a VAE is its evidence lower bound; with
    `inference="mean"` it returns the posterior mean, for serving and export.
    `model.export` to a SavedModel draws as well, beginning with the same noise each time
    the file is loaded; to other formats it raises a ValueError unless `inference` is
    "mean".

    `kl_weight` and `inference` are attributes that can be set on a layer in use:

    - `layer.kl_weight = 0.5`, or `layer.kl_weight.assign(0.5)`, holds from the next step on,
      in compiled functions too. It is a hyperparameter and not a weight: `get_config` reports
      its present value, and neither `load_weights` nor `set_weights` changes it. Annealing
      callbacks multiply it by a factor in training alone, so that `val_loss` counts the KL
      with the full weight in every epoch.
    - `layer.inference = "mean"` holds for functions that are traced afterwards. A model that has
      predicted before keeps the function it compiled then; use
      `keras_slashed.layers.set_inference(model, "mean")`.

    In the cell of a recurrent layer, on TensorFlow and JAX, the loop over time has to be
    unrolled, `keras.layers.RNN(cell, unroll=True)`: no loss gets out of another loop.

    Args:
        kl_weight: Float, 0 or more. Weight of the rate in the loss (beta of a beta-VAE).
        num_samples: None, or the number S of draws from each posterior.
        inference: "sample" or "mean".
        seed: Integer seed of the noise, from 0 to 2^31 - 1, for reproducible draws. Two layers with
            the same seed draw the same noise. So do the forked workers of a PyTorch
            `DataLoader` whose data set calls the layer, with any seed and in every epoch:
            each has a copy of the layer. Have `worker_init_fn` seed that copy,
            `layer.seed_generator.state.assign(words)` with
            `words = np.random.SeedSequence(torch.initial_seed()).generate_state(2)`.
        free_bits: Rate in nats that each latent dimension has free: in the loss its
            mean rate over the batch (and over all other axes but the last) counts
            as `max(free_bits, mean rate)`. Below it nothing pushes the rate down,
            and nothing up.
        **kwargs: As for any `keras.layers.Layer` (`name`, `dtype`, ...).

    Call arguments:
        amplitude: Float tensor of shape `(batch, ..., 2K)`.
        prior_mean: Prior mean, broadcastable to `(batch, ..., K)`, or to
            `(batch, ..., D)` with a prior scale; 0 if None.
        prior_stddev: Prior standard deviation, broadcastable to
            `(batch, ..., K)`; 1 if None.
        prior_scale: Instead of `prior_stddev`, a matrix S0 of the prior's
            covariance `S0 S0^T`: shape `(D, K)` or `(batch, ..., D, K)`. It may
            be singular, and D may be smaller or greater than K.
        rotation: An orthogonal matrix of shape `(K, K)` or `(batch, ..., K, K)`,
            as `keras_slashed.ops.householder_rotation` makes it; whether it is
            orthogonal is not checked. The identity if None.
        mask: Boolean tensor of shape `(batch, ...)`. Positions where it is False
            add nothing to the loss, whatever they hold; a row of such positions alone
            does not count in its mean.
        training: Whether the layer is in training.
        amplitude_mask: Another name of `mask`, under which Keras passes the
            amplitude's own mask on where a prior is given too.

    Input shape:
        `(batch, ..., 2K)`: real parts, then imaginary parts.

    Output shape:
        `(batch, ..., K)`, or `(batch, ..., S, K)` with `num_samples=S`; with a
        prior scale D instead of K.

    Raises:
        ValueError: An argument out of its range, an odd last axis, a prior,
            rotation or mask whose shape does not fit the amplitude's, or both
            `prior_stddev` and `prior_scale`. In a loop over time that is not unrolled,
            on TensorFlow and JAX: the loss or the noise would be lost. In an export to
            a format that cannot draw: `inference` is "sample".

    Example:

    >>> layer = keras_slashed.layers.SlashedNormalSampling(seed=0)
    >>> z = layer(keras.ops.ones((5, 6)))  # a rate of 6 nats each
    >>> tuple(z.shape), float(layer.losses[0])
    ((5, 3), 6.0)

    Reference:
        Slashed Normal, Eq. 14 to 16, 19 and 22. Free bits: Kingma et al., Improving
        Variational Inference with Inverse Autoregressive Flow, 2016, Eq. 15.
    """

    HYPERPARAMETERS = ("_kl_weight",)
    TRAINING_STATE = ("kl_annealing_factor",)

    def __init__(
        self,
        kl_weight=1.0,
        num_samples=None,
        inference="sample",
        seed=None,
        free_bits=0.0,
        **kwargs,
    ):
        super().__init__(**kwargs)
        check_number("kl_weight", kl_weight, minimum=0)
        check_number("free_bits", free_bits, minimum=0)
        check_num_samples(num_samples)
        check_choice("inference", inference, INFERENCES)
        check_seed(seed)
        self._told_kl_weight = float(kl_weight)
        self._kl_weight = self.add_scalar("kl_weight", kl_weight)
        # What annealing callbacks multiply the weight by, in training.
        self.kl_annealing_factor = self.add_scalar("kl_annealing_factor", 1.0)
        # The factor that a `GECO` callback has found: training resumes from it.
        self.geco_factor = 1.0
        self.num_samples = num_samples
        self._inference = inference
        self.seed = seed
        self.free_bits = float(free_bits)
        self.seed_generator = ReplicaSeedGenerator(seed)

    @property
    def kl_weight(self):
        """The weight of the rate in the loss: a scalar variable, or a number to set it to."""
        return self._kl_weight

    @kl_weight.setter
    def kl_weight(self, value):
        check_number("kl_weight", value, minimum=0)
        self._told_kl_weight = float(value)
        self._kl_weight.assign(self._told_kl_weight)

    @property
    def inference(self):
        """What the layer returns at inference: "sample" or "mean"."""
        return self._inference

    @inference.setter
    def inference(self, value):
        check_choice("inference", value, INFERENCES)
        self._inference = value

    def build(self, amplitude_shape, **other_shapes):
        check_amplitude_shape(amplitude_shape)
        self.rate_tracker.build(self)

    def call(
        self,
        amplitude,
        prior_mean=None,
        prior_stddev=None,
        prior_scale=None,
        rotation=None,
        mask=None,
        training=None,
        amplitude_mask=None,
    ):
        amplitude, mask = self.checked(amplitude, mask, amplitude_mask)
        given = prior_mean, prior_stddev, prior_scale, rotation
        given = [None if x is None else to_float_tensor(x) for x in given]
        _check_shapes(amplitude.shape, *(None if x is None else tuple(x.shape) for x in given))
        return self.sampled(widen_amplitude(amplitude), mask, training, *given)

    def sampled(
        self,
        psi,
        mask,
        training,
        prior_mean=None,
        prior_stddev=None,
        prior_scale=None,
        rotation=None,
    ):
        """Return what `call` does, for a wide amplitude and other inputs that fit it."""
        draw = training or self.inference == "sample"
        if draw and not training:
            self._check_export_draws()
        check_recurrent_call(self, training, draw)
        counted = unmasked(psi, mask)
        rates = rate_of(counted)
        with kept_losses(self):
            self.rate_tracker.update(rates, mask, training)
        if self.free_bits:
            loss = kl_loss_with_free_bits(counted, self.free_bits, mask)
        else:
            loss = kl_loss(rates, mask)
        weight = ops.convert_to_tensor(self._kl_weight)
        if training:
            weight = weight * ops.convert_to_tensor(self.kl_annealing_factor)
        self.add_loss(ops.cast(weight, loss.dtype) * loss)

        z = relative_sample(psi, rotation, self.num_samples, self.seed_generator, draw=draw)
        samples = self.num_samples is not None
        z = on_prior(z, prior_mean, prior_stddev, prior_scale, samples)
        return cast_in_range(z, self.compute_dtype)  # a float16 sample is rounded once

    def _check_export_draws(self):
        # Only a SavedModel keeps the state of the noise. What came of other formats, else,
        # was an error from inside a converter, a file that no runtime reads or, for a
        # fixed batch size, the same noise in every call.
        format = export_format()
        if format not in (None, "tf_saved_model"):
            raise ValueError(
                f"The layer {self.path!r} draws at inference, which a model exported with "
                f"format={format!r} cannot. Expected: inference='mean', for the posterior mean "
                "(set the attribute `inference` of this layer), or format='tf_saved_model'. "
                f"Received: inference={self.inference!r}, format={format!r}"
            )

    def save_own_variables(self, store):
        super().save_own_variables(store)
        if self.geco_factor != 1.0:
            store["geco_factor"] = np.asarray(self.geco_factor)

    def load_own_variables(self, store):
        super().load_own_variables(store)
        self.geco_factor = float(store["geco_factor"][()]) if "geco_factor" in store.keys() else 1.0

    def compute_output_shape(
        self,
        amplitude_shape,
        prior_mean_shape=None,
        prior_stddev_shape=None,
        prior_scale_shape=None,
        rotation_shape=None,
    ):
        samples = () if self.num_samples is None else (self.num_samples,)
        size = amplitude_shape[-1] // 2 if prior_scale_shape is None else prior_scale_shape[-2]
        return (*amplitude_shape[:-1], *samples, size)

    def get_config(self):
        config = super().get_config()
        config.update(
            kl_weight=number_of(self._kl_weight, self._told_kl_weight),
            num_samples=self.num_samples,
            inference=self.inference,
            seed=self.seed,
            free_bits=self.free_bits,
        )
        return config


def _check_shapes(amplitude, prior_mean, prior_stddev, prior_scale, rotation):
    if prior_stddev is not None and prior_scale is not None:
        raise ValueError(
            "Only one of `prior_stddev` and `prior_scale` may be given: the former is the "
            "diagonal of the latter. Received both"
        )
    if prior_scale is not None:
        check_matrix_shape("prior_scale", prior_scale, amplitude)
    if rotation is not None:
        check_matrix_shape("rotation", rotation, amplitude, square=True)
    if prior_mean is not None:
        check_prior_shape("prior_mean", prior_mean, amplitude, prior_scale)
    if prior_stddev is not None:
        check_prior_shape("prior_stddev", prior_stddev, amplitude)
