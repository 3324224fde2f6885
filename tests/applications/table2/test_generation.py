import numpy as np
import pytest

from applications.datasets.vocabulary import Vocabulary
from applications.models import lstm_vae
from applications.table2 import generation
from tests.applications.models.test_lstm_vae import TINY
from tests.support import to_numpy

WORDS = Vocabulary.build([["a", "b", "c", "d", "e"]])
ROWS = np.array([[2, 4, 5, 6, 3, 0], [2, 7, 8, 3, 0, 0]], "int32")
Z = np.array([[1.5, -1.0, 0.3], [-2.0, 0.5, 1.0], [0.0, 2.0, -1.0]], "float32")


@pytest.fixture(scope="module")
def model():
    model = lstm_vae.build(len(WORDS), **TINY, skip=True)
    rng = np.random.default_rng(3)
    for weight in model.training.trainable_weights:
        weight.assign(rng.normal(size=weight.shape))
    return model


def test_step_by_step_is_what_the_decoder_says_of_the_whole(model):
    """The most likely token after the text so far, from full passes over it."""
    texts = generation.generate(model.decoder, WORDS, Z, max_length=6)
    tokens = np.full((3, 7), WORDS.begin, "int32")
    for place in range(6):
        logits = model.decoder.logits.predict_on_batch([tokens[:, :-1], Z])[:, place].copy()
        logits[:, [0, WORDS.begin]] = -np.inf
        tokens[:, place + 1] = logits.argmax(axis=-1)
    assert texts == [WORDS.decode(row[1:]) for row in tokens]
    assert len(set(texts)) > 1


def test_draws_follow_the_model(model):
    z = np.repeat(Z[:1], 4000, axis=0)
    drawn = generation.generate(model.decoder, WORDS, z, max_length=1, temperature=2.0, seed=5)
    first = np.full((1, 1), WORDS.begin, "int32")
    logits = model.decoder.logits.predict_on_batch([first, Z[:1]])[0, 0].astype("float64") / 2.0
    logits[[0, WORDS.begin]] = -np.inf
    expected = np.exp(logits) / np.exp(logits).sum()
    for number in range(WORDS.end, len(WORDS)):
        text = WORDS.decode([number])
        share = np.mean([one == text for one in drawn])
        error = np.sqrt(expected[number] * (1 - expected[number]) / 4000)
        assert abs(share - expected[number]) < 5 * error + 1e-9
    again = generation.generate(model.decoder, WORDS, z, max_length=1, temperature=2.0, seed=5)
    assert again == drawn


def test_a_text_stops_at_its_end(model):
    bias = model.decoder._next_token.bias
    kept = to_numpy(bias).copy()
    bias.assign(kept + 100.0 * np.eye(len(WORDS))[WORDS.end])
    assert generation.generate(model.decoder, WORDS, Z, max_length=6) == ["", "", ""]
    bias.assign(kept - 100.0 * np.eye(len(WORDS))[WORDS.end])
    texts = generation.generate(model.decoder, WORDS, Z, max_length=6)
    assert [len(text.split()) for text in texts] == [6, 6, 6]
    bias.assign(kept)


def test_an_interpolation_begins_and_ends_with_the_reconstructions(model):
    reconstructions = generation.reconstruct(model, WORDS, ROWS, max_length=5)
    line = generation.interpolate(model, WORDS, ROWS, steps=4, max_length=5)
    assert len(line) == 4
    assert [line[0], line[-1]] == reconstructions
    amplitude = model.encoder.predict_on_batch(ROWS)
    means = generation.posterior_means(model.encoder, ROWS)
    np.testing.assert_allclose(means, np.sqrt(2.0) * amplitude[:, :3], rtol=1e-6)


def test_a_plain_language_model_writes_too():
    model = lstm_vae.build(len(WORDS), **{**TINY, "latent_dim": None})
    texts = generation.generate(model.decoder, WORDS, num_texts=4, max_length=3, temperature=1.0)
    assert len(texts) == 4
    assert all(set(text.split()) <= set("abcde") | {"<unk>"} for text in texts)
