"""The measures of Table 2 for a trained model: NLL, KL, active units, mutual information."""

import dataclasses

import numpy as np

from applications.datasets.text_batches import TextBatches
from keras_slashed import metrics

# Largest number of logits per batch, since they take most of the memory: 0.5 GB in float32.
_MOST_LOGITS = 2**27
_MOST_DOCUMENTS = 8  # in an importance-weighted batch of documents of similar length


@dataclasses.dataclass
class TextEvaluation:
    """Measures over documents, in nats. Without z, `kl` and all attributes after it are None."""

    nll: float  # mean importance-weighted negative log-likelihood per document
    nll_error: float  # its standard error, with the documents as a sample
    nll_of_documents: np.ndarray  # the NLL of each document, in the order of the corpus
    perplexity: float  # exp of the mean NLL per token, including end tokens
    kl: float | None = None  # mean rate per document
    unit_rates: np.ndarray | None = None  # the part of each latent dimension in the mean rate
    unit_variances: np.ndarray | None = None  # variance of each dimension's posterior mean
    active_units: int | None = None  # number of dimensions with a variance above 0.01
    mutual_information: float | None = None  # of document and z, estimated
    mutual_information_error: float | None = None  # its standard error


def evaluate(model, corpus, vocabulary, num_samples=100, lengths=None, seed=0):
    """Measure a model on documents.

    Args:
        model: `LSTMVAE` to measure.
        corpus: `Corpus` of the documents.
        vocabulary: `Vocabulary` that the corpus was encoded with.
        num_samples: Integer. Draws of z per document in the NLL.
        lengths: Sequence of integers or None. Lengths to pad to, as in `TextBatches`.
        seed: Integer. Seed of the draws.

    Returns:
        `TextEvaluation`.
    """

    def batches_of(size):
        # Without rows of padding, because the metrics count each row as a document.
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
    """Return the measures of the documents' NLL, which comes in the order of the batches."""
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
