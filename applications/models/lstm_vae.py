"""The LSTM VAE of the paper's Table 2 (section 6.2 and appendix F)."""

import dataclasses
import math

import keras
from keras import layers
from keras import ops

from applications.checks import check_positive
from applications.checks import check_positive_integer
from applications.models.lstm_decoder import LSTMDecoder
from applications.models.lstm_decoder import words_embedding
from applications.models.lstm_layer import cpu_kernel
from applications.models.lstm_stack import LSTMStack
from applications.training.backends import threads
from keras_slashed.layers import RateNormalization
from keras_slashed.layers import SlashedNormalSampling


@dataclasses.dataclass
class LSTMVAE:
    """The models of an LSTM VAE, which share their layers.

    Attributes:
        training: Model of rows of tokens to each row's reconstruction loss, the negative
            log-likelihood in nats at one draw of z. The KL is among its `losses`.
        encoder: Model of rows to amplitudes, `(batch, 2 * latent_dim)`; None without z.
        decoder: The `LSTMDecoder`, whose `logits` is the model of `[tokens, z]` to logits.
        log_likelihood: `log_likelihood(rows, z)` is log p(rows | z) in nats, `(batch,)`.
    """

    training: keras.Model
    encoder: keras.Model | None
    decoder: LSTMDecoder
    log_likelihood: keras.Model

    def compile(self, optimizer, **options):
        """Compile `training` for the evidence lower bound of a document.

        The loss is the mean over the documents of a batch of the reconstruction loss and,
        times `kl_weight`, the KL. The log shows both together as `loss`, and the mean
        reconstruction loss of a document as `reconstruction`. Rows of padding alone count
        in neither: they have a sample weight of 0, and no KL.

        `options` are those of `keras.Model.compile`. On TensorFlow without a GPU, where Keras'
        "auto" does without XLA, the default of `jit_compile` is True on more than one thread:
        on two, a step of the paper's size takes 0.8 of the time, and on one 1.4. Its noise is
        other draws.
        """
        if keras.backend.backend() == "tensorflow" and cpu_kernel() is not None:
            xla = threads() > 1 and not options.get("run_eagerly", False)
            options.setdefault("jit_compile", xla)
        metric = keras.metrics.MeanMetricWrapper(reconstruction_loss, name="reconstruction")
        loss = ReconstructionLoss()
        self.training.compile(optimizer, loss, weighted_metrics=[metric], **options)


class LogLikelihood(keras.Model):
    """The log-likelihood of rows of tokens, as a model that takes two arguments.

    A model and not a function, so that what compiles it finds its weights.
    """

    def __init__(self, reconstruction, **kwargs):
        super().__init__(**kwargs)
        self.reconstruction = reconstruction
        self.built = True

    def call(self, rows, z=None):
        return -self.reconstruction(rows if z is None else [rows, z])


class ReconstructionLoss(keras.losses.Loss):
    """`reconstruction_loss` as the mean over documents, rows with a sample weight of 1."""

    def __init__(self):
        super().__init__("reconstruction_loss", reduction="mean_with_sample_weight")

    def call(self, targets, negative_log_likelihood):
        return reconstruction_loss(targets, negative_log_likelihood)


def reconstruction_loss(targets, negative_log_likelihood):
    """Return what `training` puts out: the tokens it is held against are its input."""
    return negative_log_likelihood


def build(
    vocabulary_size,
    latent_dim=32,
    num_layers=3,
    units=512,
    embedding_dim=512,
    dropout=0.2,
    skip=False,
    rate=None,
    normalization="batch",
    part="both",
    batch_norm_gamma=None,
    momentum=0.99,
    kl_weight=1.0,
    seed=None,
    name="lstm_vae",
):
    """Build the LSTM VAE as functional models.

    The encoder reads a document's tokens and its end; the last layer's output at the
    end, mapped linearly, is the amplitude. What follows, before `SlashedNormalSampling`:

    - nothing (`rate=None`): a plain VAE,
    - `RateNormalization`, for a `rate`: with the sampling it is a `FixedRateVIB` whose
      amplitude the encoder puts out, for the metrics,
    - with `batch_norm_gamma`, batch normalization of the posterior mean at a fixed scale
      (Zhu et al. 2020): KL >= K gamma^2 / 2.

    The paper does not say, and here it is so: encoder and decoder have embeddings of their
    own, uniform on +-0.1, and the output layer shares none; all else starts as Keras has
    it; z sets the decoder's first states and is joined to each of its inputs; dropout is
    between the decoder's layers alone. "Skip connections" are, here, a sum around each
    LSTM layer of both parts, and a linear map of z added to the decoder's last layer.

    Rows that hold padding alone are no documents: they count in no loss and no statistic.

    Args:
        vocabulary_size: Number of tokens; 0 is padding.
        latent_dim: Number K of latent dimensions; None for a plain language model.
        num_layers: LSTM layers of the encoder, and of the decoder.
        units: Their width.
        embedding_dim: Width of the tokens' embeddings.
        dropout: Rate of the dropout between the decoder's layers.
        skip: Whether there are skip connections.
        rate: None, a number of nats, or a layer of `keras_slashed.rates`.
        normalization: With a rate: "batch", "instance" or "feature".
        part: With a rate: "both" or "mean".
        batch_norm_gamma: None, or the standard deviation of each posterior mean.
        momentum: Of the moving statistics of either normalization.
        kl_weight: Weight of the KL in the loss.
        seed: Integer seed of the latent noise.
        name: Name of the training model.

    Returns:
        An `LSTMVAE`.

    Raises:
        ValueError: An argument out of its range, or options that exclude each other.
    """
    if latent_dim is not None:
        check_positive_integer("latent_dim", latent_dim)
    if batch_norm_gamma is not None:
        check_positive("batch_norm_gamma", batch_norm_gamma)
    if rate is not None and batch_norm_gamma is not None:
        raise ValueError("Only one of `rate` and `batch_norm_gamma` may be given. Received both")
    if latent_dim is None and (rate is not None or batch_norm_gamma is not None):
        raise ValueError("`rate` and `batch_norm_gamma` need latent dimensions: latent_dim=None")
    decoder = LSTMDecoder(
        vocabulary_size, latent_dim, num_layers, units, embedding_dim, dropout, skip
    )
    rows = keras.Input((None,), dtype="int32", name="rows")
    if latent_dim is None:
        training = keras.Model(rows, decoder.reconstruction(rows), name=name)
        return LSTMVAE(training, None, decoder, LogLikelihood(decoder.reconstruction))
    is_document = ops.any(ops.not_equal(rows, 0), axis=-1)
    amplitude = _raw_amplitude(
        rows, vocabulary_size, latent_dim, num_layers, units, embedding_dim, skip
    )
    if rate is not None:
        normalized = RateNormalization(rate, normalization, part, momentum, name="normalized")
        amplitude = normalized(amplitude, mask=is_document)
    elif batch_norm_gamma is not None:
        amplitude = _batch_normalized(amplitude, is_document, batch_norm_gamma, momentum)
    encoder = keras.Model(rows, amplitude, name="encoder")
    sampling = SlashedNormalSampling(kl_weight, seed=seed, name="latent")
    z = sampling(encoder(rows), mask=is_document)
    # 0 where there is no document; and Keras' own mask, which no layer of the decoder
    # takes, ends here
    z = ops.where(ops.expand_dims(is_document, -1), z, ops.zeros_like(z))
    training = keras.Model(rows, decoder.reconstruction([rows, z]), name=name)
    return LSTMVAE(training, encoder, decoder, LogLikelihood(decoder.reconstruction))


def _raw_amplitude(rows, vocabulary_size, latent_dim, num_layers, units, embedding_dim, skip):
    # Other names than the decoder's: on PyTorch Keras (3.15) zeroes, before each step, one
    # gradient for each path of a variable, and adds up the others from step to step.
    tokens = rows[:, 1:]
    embedded = words_embedding(vocabulary_size, embedding_dim, "encoder_words")(tokens)
    outputs, _ = LSTMStack(units, num_layers, skip=skip, name="encoder_lstm")(embedded)
    # A row is padded at its end: its last token is the one before padding begins.
    true = ops.cast(ops.not_equal(tokens, 0), outputs.dtype)
    following = ops.pad(true[:, 1:], [[0, 0], [0, 1]])
    last = ops.sum(outputs * ops.expand_dims(true - following, -1), axis=1)
    return layers.Dense(2 * latent_dim, name="amplitude")(last)


def _batch_normalized(amplitude, mask, gamma, momentum):
    real, imaginary = ops.split(amplitude, 2, axis=-1)
    # Next to none: with PyTorch's 1e-5 the encoder shrinks the variance of its output to
    # 3e-9 within an epoch on PTB, and the bound on the KL with it. (Keras has 1e-3.)
    batch_norm = layers.BatchNormalization(
        momentum=momentum, epsilon=1e-12, scale=False, name="batch_norm"
    )
    real = gamma / math.sqrt(2.0) * batch_norm(real, mask=mask)
    return ops.concatenate([real, imaginary], axis=-1)
