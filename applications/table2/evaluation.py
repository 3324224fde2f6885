"""What Table 2 says of a trained model: NLL, KL, active units and mutual information."""

import dataclasses

import numpy as np

from applications.datasets.text_batches import TextBatches
from keras_slashed import metrics

# Logits of one computation at the most, which are what takes memory: 0.5 GB in float32.
_MOST_LOGITS = 2**27
_MOST_DOCUMENTS = 8  # of an importance-weighted batch, of like length


@dataclasses.dataclass
class TextEvaluation:
    """Measures over documents, in nats.

    Attributes:
        nll: Mean negative log-likelihood of a document, importance-weighted.
        nll_error: Its standard error, the documents being a sample.
        nll_of_documents: That of each, in the order of the corpus.
        perplexity: exp of the NLL of a token, the end token counted.
        kl: Mean rate of a document; None without z, as all that follows.
        unit_rates: The share in it of each latent dimension.
        unit_variances: Variance of the posterior mean of each.
        active_units: How many of them vary by more than 0.01.
        mutual_information: Of document and z, estimated.
        mutual_information_error: Its standard error.
    """

    nll: float
    nll_error: float
    nll_of_documents: np.ndarray
    perplexity: float
    kl: float | None = None
    unit_rates: np.ndarray | None = None
    unit_variances: np.ndarray | None = None
    active_units: int | None = None
    mutual_information: float | None = None
    mutual_information_error: float | None = None


def evaluate(model, corpus, vocabulary, num_samples=100, lengths=None, seed=0):
    """Measure a model on documents.

    Args:
        model: An `LSTMVAE`.
        corpus: A `Corpus`.
        vocabulary: The `Vocabulary` it was encoded with.
        num_samples: Draws of z for each document in the NLL.
        lengths: Lengths to pad to, see `TextBatches`.
        seed: Integer seed of the draws.

    Returns:
        A `TextEvaluation`.
    """

    def batches_of(size):
        # Without filling up: the metrics count each row as a document.
        return TextBatches(corpus, vocabulary, size, lengths=lengths, fill=False)

    longest = int(corpus.lengths.max()) + 1
    most_rows = max(1, _MOST_LOGITS // (longest * len(vocabulary)))
    if model.encoder is None:
        batches = batches_of(min(32, most_rows))
        nll = [-model.log_likelihood.predict_on_batch(batch[0]) for batch in _all(batches)]
        nll = np.concatenate(nll).astype("float64")
        return TextEvaluation(**_of_documents(nll, batches))
    batch_size = min(_MOST_DOCUMENTS, most_rows)
    batches = batches_of(batch_size)
    estimate = metrics.importance_weighted_nll(
        model.encoder,
        model.log_likelihood,
        batches,
        num_samples,
        chunk_size=max(1, min(num_samples, most_rows // batch_size)),
        seed=seed,
        return_values=True,
    )
    rows = batches_of(32)
    amplitude = [model.encoder.predict_on_batch(batch[0]) for batch in _all(rows)]
    amplitude = np.concatenate(amplitude).astype("float64")
    unit_rates = np.mean(amplitude**2, axis=0).reshape(2, -1).sum(axis=0)
    information = metrics.mutual_information(model.encoder, rows, seed=seed)
    variances = metrics.unit_variances(model.encoder, rows)
    return TextEvaluation(
        **_of_documents(estimate.values, batches),
        kl=float(unit_rates.sum()),
        unit_rates=unit_rates,
        unit_variances=variances,
        active_units=int(np.sum(variances > 0.01)),
        mutual_information=information.estimate,
        mutual_information_error=information.standard_error,
    )


def _all(batches):
    return (batches[index] for index in range(len(batches)))


def _of_documents(nll, batches):
    """Return what the NLL of each document says, given in the order of the batches."""
    order = np.concatenate(batches.rows)
    values = np.empty(len(order))
    values[order] = nll
    count = len(values)
    return {
        "nll": float(values.mean()),
        "nll_error": float(values.std(ddof=1) / np.sqrt(count)) if count > 1 else float("nan"),
        "nll_of_documents": values,
        "perplexity": float(np.exp(values.sum() / np.sum(batches.corpus.lengths + 1))),
    }
