"""SlashedNormalSampling: a sample of the posterior, with its rate as a loss."""

import keras
import numpy as np
from keras import ops

from keras_slashed.backend import kept_losses
from keras_slashed.hyperparameters import number_in
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
from keras_slashed.validation import check_num_samples
from keras_slashed.validation import check_number
from keras_slashed.validation import check_posterior_shapes
from keras_slashed.validation import check_seed

INFERENCES = ("sample", "mean")


@keras.saving.register_keras_serializable(package="keras_slashed")
class SlashedNormalSampling(EveryLoss, AmplitudeLayer):
    """Draw from the normal posterior of an amplitude, and add its rate to the loss.

    `z = prior_mean + S0 (sqrt(2) a + P stdplus(sqrt(2) b) eps)`, where `eps` is standard
    normal noise and `a`, `b` are the first and last K entries of the amplitude. `S0` is
    `prior_stddev`, entry by entry, or the matrix `prior_scale`. `P` is the matrix `rotation`.

    The rate is `sum(a^2 + b^2)`, whatever the prior. It is exactly `KL(posterior || prior)`,
    unless `S0` drops dimensions: the KL divergence is then at most the rate. In every call the
    layer sums the rate over all axes but the first, averages it over the batch, and passes
    `kl_weight` times the result to `add_loss`. With a mask, the average is over the rows in
    which at least one position is not masked. The `sample_weight` and `class_weight` arguments
    of `fit()` do not reach any layer and do not weight this loss. Keras' own losses are means
    over the features: for the evidence lower bound of an input, multiply them by the number of
    features, as in `lambda x, mean: 784 * keras.losses.binary_crossentropy(x, mean)`. If your
    loss has one value for each position of a sequence, Keras averages it over the positions. Set
    `kl_weight` to 1 divided by the mean number of positions: the total is then minus the
    evidence lower bound per position.

    A prior and a rotation may come from other layers, for a hierarchy of latents or for a prior
    that a network computes. The loss of this layer never depends on them: they learn through z
    alone. A standard deviation or a scale matrix of the prior may have any sign and may be 0.

    The layer draws during training. By default it also draws at inference, so that the
    validation loss of a VAE is minus its evidence lower bound. With `inference="mean"` it
    returns the posterior mean, for serving and export. A SavedModel written by `model.export`
    can draw too, and starts with the same noise each time the file is loaded. Exporting to
    another format raises a ValueError unless `inference` is "mean".

    You can set the attributes `kl_weight` and `inference` at any time:

    - `layer.kl_weight = 0.5`, or `layer.kl_weight.assign(0.5)`, takes effect in the next step,
      in compiled functions too. In a training loop of your own on JAX it is part of the state:
      set it, then read the state again. It is a hyperparameter and not a weight: `get_config`
      returns its present value, and neither `load_weights` nor `set_weights` changes it.
      Annealing callbacks multiply it by a factor during training only, so that `val_loss`
      includes the KL with the full weight in every epoch.
    - `layer.inference = "mean"` takes effect in functions that are traced afterward. A model
      that has already predicted keeps its compiled function. Use
      `keras_slashed.layers.set_inference(model, "mean")` instead.

    In the cell of a recurrent layer on TensorFlow and JAX, unroll the loop over time with
    `keras.layers.RNN(cell, unroll=True)`, because other loops discard the loss.

    Args:
        kl_weight: Float, 0 or more. Weight of the rate in the loss (the beta of a beta-VAE).
        num_samples: Integer or None. Number S of draws from each posterior.
        inference: String. "sample" to draw at inference, or "mean" to return the posterior
            mean.
        seed: Integer from 0 to 2^31 - 1, or None. Seed of the noise, for reproducible draws. Two
            layers with the same seed draw the same noise. The forked workers of a PyTorch
            `DataLoader` whose data set calls the layer also draw the same noise, with any seed
            and in every epoch, since each worker has a copy of the layer. Seed that copy in
            `worker_init_fn` by `layer.seed_generator.state.assign(words)` with
            `words = np.random.SeedSequence(torch.initial_seed()).generate_state(2)`.
        free_bits: Float, 0 or more. Rate in nats up to which the loss does not penalize a
            latent dimension. In the loss, the mean rate of a dimension over the batch and over
            all other axes but the last counts as `max(free_bits, mean rate)`. Below
            `free_bits`, the loss pushes the rate neither down nor up.
        **kwargs: Base layer keyword arguments, such as `name` and `dtype`.

    Call arguments:
        amplitude: Float tensor of shape `(batch, ..., 2K)`.
        prior_mean: Float tensor or None. Prior mean, broadcastable to `(batch, ..., K)`, or to
            `(batch, ..., D)` with a prior scale. Defaults to 0.
        prior_stddev: Float tensor or None. Prior standard deviation, broadcastable to
            `(batch, ..., K)`. Defaults to 1.
        prior_scale: Float tensor or None. Matrix `S0` of the prior's covariance `S0 S0^T`, used
            instead of `prior_stddev`. Its shape is `(D, K)` or `(batch, ..., D, K)`. It may be
            singular, and D may be smaller or greater than K.
        rotation: Float tensor or None. Orthogonal matrix of shape `(K, K)` or
            `(batch, ..., K, K)`, as returned by `keras_slashed.ops.householder_rotation`. The
            layer does not check that it is orthogonal. Defaults to the identity.
        mask: Boolean tensor of shape `(batch, ...)`. Positions where it is False add nothing to
            the loss, whatever their values. The average does not include a row in which all
            positions are masked.
        training: Boolean. Whether the layer runs in training mode or in inference mode.
        amplitude_mask: Boolean tensor. Another name for `mask`. Keras passes the mask of the
            amplitude under this name if the call also has a prior.

    Input shape:
        `(batch, ..., 2K)`: real parts, then imaginary parts.

    Output shape:
        `(batch, ..., K)`, or `(batch, ..., S, K)` with `num_samples=S`. With a prior scale, D
        replaces K. A mask that Keras propagates has the shape without the last axis.

    Raises:
        ValueError: If an argument is out of range, the last axis has an odd length, the shape of
            a prior, rotation or mask does not fit that of the amplitude, or both `prior_stddev`
            and `prior_scale` are given. On TensorFlow and JAX, also if the layer is called in a
            loop over time that is not unrolled, which would discard the loss or the noise. In
            an export to a format that cannot draw, also if `inference` is "sample".

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
        # Annealing callbacks set this factor, which multiplies the weight during training.
        self.kl_annealing_factor = self.add_scalar("kl_annealing_factor", 1.0)
        # The factor of a `GECO` callback, from which a resumed training continues.
        self.geco_factor = 1.0
        self.num_samples = num_samples
        self._inference = inference
        self.seed = seed
        self.free_bits = float(free_bits)
        self.seed_generator = ReplicaSeedGenerator(seed)

    @property
    def kl_weight(self):
        """The weight of the rate in the loss, a scalar variable. Assign a number to change it."""
        return self._kl_weight

    def __setattr__(self, name, value):
        # Before a property setter refuses a variable, Keras would make it a weight of the layer.
        if name == "kl_weight":
            self._assign_kl_weight(value)
        else:
            super().__setattr__(name, value)

    def _assign_kl_weight(self, value):
        value = number_in(value)
        check_number("kl_weight", value, minimum=0)
        self._told_kl_weight = float(value)
        self._kl_weight.assign(self._told_kl_weight)

    @property
    def inference(self):
        """What the layer returns at inference: "sample" or "mean", the posterior mean."""
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
        check_posterior_shapes(
            amplitude.shape, *(None if x is None else tuple(x.shape) for x in given)
        )
        z = self.sampled(widen_amplitude(amplitude), mask, training, *given)
        return cast_in_range(z, self.compute_dtype)  # a float16 sample is rounded once

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
        """Return the output of `call`, not rounded, for a wide amplitude and inputs that fit it."""
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
        return on_prior(z, prior_mean, prior_stddev, prior_scale, samples)

    def _check_export_draws(self):
        # Only a SavedModel keeps the state of the noise. Without this check, other formats
        # give an error inside a converter, a file that no runtime can read or, with a fixed
        # batch size, the same noise in every call.
        format = export_format()
        if format not in (None, "tf_saved_model"):
            raise ValueError(
                f"Layer {self.path!r} draws at inference, but a model exported with "
                f"format={format!r} cannot draw. Expected: inference='mean' to return the "
                "posterior mean (set the attribute `inference` of this layer), or "
                "format='tf_saved_model'. "
                f"Received: inference={self.inference!r}, format={format!r}"
            )

    def save_own_variables(self, store):
        super().save_own_variables(store)
        if self.geco_factor != 1.0:
            store["geco_factor"] = np.asarray(self.geco_factor)

    def load_own_variables(self, store):
        super().load_own_variables(store)
        self.geco_factor = float(store["geco_factor"][()]) if "geco_factor" in store.keys() else 1.0

    def compute_mask(self, amplitude, mask=None):
        if mask is None or self.num_samples is None:
            return mask
        mask = ops.expand_dims(ops.convert_to_tensor(mask), -1)
        return ops.repeat(mask, self.num_samples, axis=-1)  # the draws of a position share its mask

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
