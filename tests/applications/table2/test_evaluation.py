"""Measures of a text model, held against NumPy, document by document."""

import numpy as np
import pytest
from scipy.special import log_softmax
from scipy.special import logsumexp

from applications.datasets.corpus import Corpus
from applications.datasets.vocabulary import Vocabulary
from applications.models import lstm_vae
from applications.table2 import evaluation

# Two lengths and one vocabulary: JAX compiles for each shape again.
DOCUMENTS = [["a", "b", "c"], ["d"], ["b", "b", "a"], ["c"], ["a", "d", "d"]]
WORDS = Vocabulary.build(DOCUMENTS)
CORPUS = Corpus.encode(DOCUMENTS, WORDS)
LENGTHS = [2, 4]


def build(latent_dim):
    model = lstm_vae.build(
        len(WORDS), latent_dim, num_layers=1, units=4, embedding_dim=3, dropout=0.0
    )
    rng = np.random.default_rng(3)
    for weight in model.training.trainable_weights:
        # Posteriors near the prior: importance weights that do not vary much.
        scale = 0.3 if "amplitude" in weight.path else 0.7
        weight.assign(scale * rng.normal(size=weight.shape))
    return model


def rows_of(length):
    """The documents of a length, and their numbers."""
    numbers = np.flatnonzero(CORPUS.lengths + 1 == length)
    return CORPUS.padded(numbers, length, WORDS), numbers


def test_a_language_model():
    model = build(latent_dim=None)
    expected = np.empty(len(CORPUS))
    for length in LENGTHS:
        rows, numbers = rows_of(length)
        logits = model.decoder.logits.predict_on_batch(rows[:, :-1]).astype("float64")
        logs = np.take_along_axis(log_softmax(logits, -1), rows[:, 1:, None], -1)
        expected[numbers] = -logs.sum((1, 2))
    measured = evaluation.evaluate(model, CORPUS, WORDS, lengths=LENGTHS)
    np.testing.assert_allclose(measured.nll_of_documents, expected, rtol=1e-5)
    assert measured.nll == pytest.approx(expected.mean(), rel=1e-5)
    assert measured.nll_error == pytest.approx(expected.std(ddof=1) / 5**0.5, rel=1e-4)
    # 3 + 1 + 3 + 1 + 3 tokens, and the end of each document
    assert measured.perplexity == pytest.approx(np.exp(expected.sum() / 16), rel=1e-5)
    assert measured.kl is None
    assert measured.unit_rates is None


def test_a_vae_of_one_latent_dimension():
    """The NLL by quadrature over z, the rates from the encoder's amplitudes."""
    model = build(latent_dim=1)
    measured = evaluation.evaluate(model, CORPUS, WORDS, 1000, LENGTHS, seed=0)
    z = np.linspace(-8, 8, 801)
    log_prior = -0.5 * z**2 - 0.5 * np.log(2 * np.pi) + np.log(z[1] - z[0])
    expected, amplitudes = np.empty(len(CORPUS)), np.empty((len(CORPUS), 2))
    for length in LENGTHS:
        rows, numbers = rows_of(length)
        amplitudes[numbers] = model.encoder.predict_on_batch(rows)
        # All documents at all z at once: one shape for each length.
        given = np.repeat(rows, len(z), axis=0), np.tile(z, len(rows))[:, None].astype("float32")
        nll = model.decoder.reconstruction.predict_on_batch(list(given)).reshape(len(rows), -1)
        expected[numbers] = -logsumexp(log_prior - nll, axis=1)
    assert np.ptp(expected) > 0.5
    # 1,000 draws: a standard error of a few hundredths
    np.testing.assert_allclose(measured.nll_of_documents, expected, atol=0.05)
    assert measured.nll == pytest.approx(expected.mean(), abs=0.03)
    assert measured.kl == pytest.approx(np.mean(np.sum(amplitudes**2, 1)), rel=1e-5)
    assert measured.kl > 0.05
    np.testing.assert_allclose(measured.unit_rates, [measured.kl], rtol=1e-6)
    variance = np.var(np.sqrt(2) * amplitudes[:, 0])
    np.testing.assert_allclose(measured.unit_variances, [variance], rtol=1e-4)
    assert measured.active_units == int(variance > 0.01)
    assert measured.mutual_information <= np.log(5) + 1e-6


def test_the_units_of_two_latent_dimensions():
    """A rate for each unit, of its real and its imaginary part; active above 0.01."""
    corpus = Corpus.encode([["a"] * (1 + n % 3) for n in range(12)], WORDS)
    model = lstm_vae.build(len(WORDS), 2, num_layers=1, units=4, embedding_dim=3)
    dense = model.encoder.get_layer("amplitude")
    kernel = np.zeros((4, 4), "float32")
    kernel[:, 0] = 0.4  # the first unit's mean differs a little between documents
    dense.set_weights([kernel, np.array([0.0, 0.5, 1.0, 0.25], "float32")])
    measured = evaluation.evaluate(model, corpus, WORDS, 2)
    variance = measured.unit_variances
    assert variance[1] == pytest.approx(0.0, abs=1e-9)
    rows = corpus.padded(range(12), 4, WORDS)
    amplitude = model.encoder.predict_on_batch(rows)
    rates = np.mean(amplitude**2, axis=0)
    np.testing.assert_allclose(measured.unit_rates, [rates[0] + rates[2], rates[1] + rates[3]],
                               rtol=1e-5)  # fmt: skip
    # A variance of 0.02.
    kernel[:, 0] *= np.sqrt(0.02 / variance[0])
    dense.set_weights([kernel, np.zeros(4, "float32")])
    measured = evaluation.evaluate(model, corpus, WORDS, 2)
    np.testing.assert_allclose(measured.unit_variances, [0.02, 0.0], atol=1e-4)
    assert measured.active_units == 1
