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
    """The models of an LSTM VAE, which share their layers."""

    # Maps rows of tokens to the reconstruction loss of each row, the negative log-likelihood in
    # nats at one draw of z. Its `losses` contain the KL.
    training: keras.Model
    encoder: keras.Model | None  # from rows to amplitudes `(batch, 2 * latent_dim)`; None without z
    decoder: LSTMDecoder  # its `logits` maps `[tokens, z]` to logits
    log_likelihood: keras.Model  # `log_likelihood(rows, z)` is log p(rows | z) in nats, `(batch,)`

    def compile(self, optimizer, **options):
        """Compile `training` for the evidence lower bound of a document.

        The loss is the reconstruction loss plus `kl_weight` times the KL, averaged over the
        documents of a batch. The log shows this sum as `loss`, and the mean reconstruction loss
        per document as `reconstruction`. Rows that contain only padding count in neither. They
        have a sample weight of 0 and no KL.

        `options` are those of `keras.Model.compile`. On TensorFlow without a GPU, Keras' "auto"
        does not use XLA. There the default of `jit_compile` is True on more than one thread: a
        step of the paper's size takes 0.8 of the time on two threads, and 1.4 times the time on
        one. XLA draws other noise.
        """
        if keras.backend.backend() == "tensorflow" and cpu_kernel() is not None:
            xla = threads() > 1 and not options.get("run_eagerly", False)
            options.setdefault("jit_compile", xla)
        metric = keras.metrics.MeanMetricWrapper(reconstruction_loss, name="reconstruction")
        loss = ReconstructionLoss()
        self.training.compile(optimizer, loss, weighted_metrics=[metric], **options)


class LogLikelihood(keras.Model):
    """The log-likelihood of rows of tokens, as a model that takes two arguments.

    It is a model and not a function, so that code that compiles it finds its weights.
    """

    def __init__(self, reconstruction, **kwargs):
        super().__init__(**kwargs)
        self.reconstruction = reconstruction
        self.built = True

    def call(self, rows, z=None):
        return -self.reconstruction(rows if z is None else [rows, z])


class ReconstructionLoss(keras.losses.Loss):
    """The mean of `reconstruction_loss` over documents, which have a sample weight of 1."""

    def __init__(self):
        super().__init__("reconstruction_loss", reduction="mean_with_sample_weight")

    def call(self, targets, negative_log_likelihood):
        return reconstruction_loss(targets, negative_log_likelihood)


def reconstruction_loss(targets, negative_log_likelihood):
    """Return the output of `training`, which already compares its output with its input."""
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

    The encoder reads the tokens of a document and its end. The amplitude is a linear map of the
    last layer's output at the end. One of these comes before `SlashedNormalSampling`:

    - nothing (`rate=None`), for a plain VAE,
    - `RateNormalization`, for a `rate`. Together with the sampling it is a `FixedRateVIB`, but
      the encoder returns its amplitude, which the metrics need,
    - batch normalization of the posterior mean at a fixed scale (Zhu et al. 2020), for
      `batch_norm_gamma`. Then KL >= K gamma^2 / 2.

    The paper leaves some choices open. Here encoder and decoder have separate embeddings, which
    start uniform in [-0.1, 0.1], and the output layer shares neither. All other initial values
    are Keras' defaults. z sets the decoder's initial states and is concatenated to each of its
    inputs. Dropout is applied only between the decoder's layers. "Skip connections" are a sum
    around each LSTM layer of encoder and decoder, and a linear map of z that is added to the
    output of the decoder's last layer.

    Rows that contain only padding are not documents and count in no loss and no statistic.

    Args:
        vocabulary_size: Integer. Number of tokens. Token 0 is padding.
        latent_dim: Integer or None. Number K of latent dimensions. With None the model is a
            plain language model.
        num_layers: Integer. Number of LSTM layers in the encoder and in the decoder.
        units: Integer. Width of the LSTM layers.
        embedding_dim: Integer. Width of the tokens' embeddings.
        dropout: Float. Rate of the dropout between the decoder's layers.
        skip: Boolean. Whether to add skip connections.
        rate: None, a number of nats, or a layer of `keras_slashed.rates`.
        normalization: String, "batch", "instance" or "feature". It requires a rate.
        part: String, "both" or "mean". It requires a rate.
        batch_norm_gamma: Float or None. Standard deviation of each posterior mean.
        momentum: Float in [0, 1). Momentum of the moving statistics of either normalization.
        kl_weight: Float. Weight of the KL in the loss.
        seed: Integer or None. Seed of the latent noise.
        name: String. Name of the training model.

    Returns:
        `LSTMVAE`.

    Raises:
        ValueError: If an argument is out of its range, or if options exclude each other.
    """
    if latent_dim is not None:
        check_positive_integer("latent_dim", latent_dim)
    if batch_norm_gamma is not None:
        check_positive("batch_norm_gamma", batch_norm_gamma)
    if rate is not None and batch_norm_gamma is not None:
        raise ValueError("Only one of `rate` and `batch_norm_gamma` can be given. Received: both")
    if latent_dim is None and (rate is not None or batch_norm_gamma is not None):
        raise ValueError(
            "`rate` and `batch_norm_gamma` require latent dimensions. Received: latent_dim=None"
        )
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
    # z is 0 in rows without a document. Keras' own mask ends here, since no layer of the
    # decoder supports it.
    z = ops.where(ops.expand_dims(is_document, -1), z, ops.zeros_like(z))
    training = keras.Model(rows, decoder.reconstruction([rows, z]), name=name)
    return LSTMVAE(training, encoder, decoder, LogLikelihood(decoder.reconstruction))


def _raw_amplitude(rows, vocabulary_size, latent_dim, num_layers, units, embedding_dim, skip):
    # The names differ from the decoder's, because on PyTorch Keras (3.15) zeroes only one
    # gradient per variable path before each step, and accumulates the others over the steps.
    tokens = rows[:, 1:]
    embedded = words_embedding(vocabulary_size, embedding_dim, "encoder_words")(tokens)
    outputs, _ = LSTMStack(units, num_layers, skip=skip, name="encoder_lstm")(embedded)
    # A row is padded at its end, so its last token is the one before the padding begins.
    true = ops.cast(ops.not_equal(tokens, 0), outputs.dtype)
    following = ops.pad(true[:, 1:], [[0, 0], [0, 1]])
    last = ops.sum(outputs * ops.expand_dims(true - following, -1), axis=1)
    return layers.Dense(2 * latent_dim, name="amplitude")(last)


def _batch_normalized(amplitude, mask, gamma, momentum):
    real, imaginary = ops.split(amplitude, 2, axis=-1)
    # A tiny epsilon. With PyTorch's 1e-5 the encoder shrinks the variance of its output to 3e-9
    # within an epoch on PTB, and the bound on the KL shrinks with it. Keras' default is 1e-3.
    batch_norm = layers.BatchNormalization(
        momentum=momentum, epsilon=1e-12, scale=False, name="batch_norm"
    )
    real = gamma / math.sqrt(2.0) * batch_norm(real, mask=mask)
    return ops.concatenate([real, imaginary], axis=-1)
