import keras
import numpy as np
import pytest

from applications.datasets.corpus import Corpus
from applications.datasets.text_batches import TextBatches
from applications.datasets.vocabulary import Vocabulary
from applications.training.epoch_seeds import EpochSeeds


def corpus_of(lengths):
    """A corpus of these lengths, document n made of the word n."""
    documents = [[f"w{n}"] * length for n, length in enumerate(lengths)]
    words = Vocabulary.build(documents)
    return Corpus.encode(documents, words), words


def lognormal_lengths(count, seed=0):
    return np.ceil(np.random.default_rng(seed).lognormal(3.0, 0.6, count)).astype(int)


def as_text(batches):
    """The documents of each batch, in order."""
    return [
        [batches.vocabulary.decode(row) for row in tokens if row.any()]
        for tokens, _, _ in map(batches.__getitem__, range(len(batches)))
    ]


@pytest.mark.parametrize("seed", [None, 3])
def test_each_document_comes_once_in_batches_of_one_size(seed):
    corpus, words = corpus_of(lognormal_lengths(203))
    batches = TextBatches(corpus, words, 16, seed)
    assert len(batches) == 13  # 203 / 16, rounded up
    texts = [text for batch in as_text(batches) for text in batch]
    assert sorted(texts) == sorted(words.decode(corpus[n]) for n in range(203))
    weights = []
    for tokens, target, weight in map(batches.__getitem__, range(len(batches))):
        assert tokens.shape[0] == len(target) == len(weight) == 16
        assert tokens.shape[1] - 1 in batches.lengths
        np.testing.assert_array_equal(weight, tokens.any(axis=1))
        weights.append(weight.sum())
    assert sorted(weights) == [203 - 12 * 16] + [16] * 12


def test_without_filling_up_every_row_is_a_document():
    corpus, words = corpus_of(lognormal_lengths(43))
    batches = TextBatches(corpus, words, 8, seed=0, fill=False)
    tokens = [batches[index][0] for index in range(len(batches))]
    assert all(rows.any(axis=1).all() for rows in tokens)
    assert sorted(map(len, tokens)) == [3, 8, 8, 8, 8, 8]


def test_padding_wastes_less_than_a_tenth():
    corpus, words = corpus_of(lognormal_lengths(3000))
    batches = TextBatches(corpus, words, 32, seed=0)
    tokens = [batches[index][0][:, 1:] for index in range(len(batches))]
    padding = sum((t == 0).sum() for t in tokens) / sum(t.size for t in tokens)
    assert padding < 0.1
    assert batches.waste == pytest.approx(padding)
    assert len({t.shape for t in tokens}) <= len(batches.lengths) <= 20


def test_the_order_depends_on_seed_and_epoch_alone():
    corpus, words = corpus_of(lognormal_lengths(100))

    def orders(seed, first=0):
        batches = TextBatches(corpus, words, 8, seed)
        for epoch in range(first, 3):
            batches.set_epoch(epoch)
            batches.on_epoch_begin()
            yield as_text(batches)

    run = list(orders(seed=1))
    assert run == list(orders(seed=1))
    assert run[0] != run[1] != run[2]
    assert run != list(orders(seed=2))
    assert list(orders(seed=1, first=2)) == run[2:]


def test_epochs_are_counted_without_the_callback():
    corpus, words = corpus_of(lognormal_lengths(50))
    batches = TextBatches(corpus, words, 8, seed=1)
    made = as_text(batches)
    batches.on_epoch_begin()
    assert as_text(batches) == made
    batches.on_epoch_begin()
    assert as_text(batches) != made


def test_lengths_of_another_part():
    corpus, words = corpus_of([3, 5, 9])
    batches = TextBatches(corpus, words, 2, lengths=[4, 7])
    np.testing.assert_array_equal(batches.lengths, [4, 7, 10])
    # 3 and 5 go together where neither fills a batch; the longest alone
    assert sorted(tokens.shape[1] for tokens, _, _ in (batches[0], batches[1])) == [8, 11]


def test_the_first_two_batches_differ_in_length():
    corpus, words = corpus_of([2] * 64 + [9] * 8)
    for epoch in range(5):
        batches = TextBatches(corpus, words, 8, seed=epoch, lengths=[3, 10])
        assert batches.row_lengths[0] != batches.row_lengths[1]


def test_fit_sees_every_token_of_every_epoch_and_resumes_where_it_was():
    """On each backend, with batches of several lengths: the tokens counted by a metric."""
    corpus, words = corpus_of(lognormal_lengths(60))
    rows = keras.Input((None,), dtype="int32")
    true = keras.ops.sum(keras.ops.cast(keras.ops.not_equal(rows, 0), "float32"), axis=-1)
    # a weight that a learning rate of 0 leaves at 1, for Keras to have one to train
    ones = dict(kernel_initializer="ones", use_bias=False)
    counted = keras.layers.Dense(1, **ones)(keras.ops.expand_dims(true, -1))
    model = keras.Model(rows, keras.ops.squeeze(counted, -1))
    metric = keras.metrics.MeanMetricWrapper(lambda targets, outputs: outputs, name="tokens")
    model.compile(
        keras.optimizers.SGD(0.0),
        loss=lambda targets, outputs: outputs,
        weighted_metrics=[metric],
    )
    seen = []

    class Orders(keras.callbacks.Callback):
        def on_epoch_end(self, epoch, logs=None):
            seen.append((epoch, batches.rows))

    batches = TextBatches(corpus, words, 8, seed=0)
    logs = model.evaluate(batches, verbose=0, return_dict=True)
    # begin and end next to the document's own
    expected = np.mean(corpus.lengths + 2)
    assert logs["tokens"] == pytest.approx(expected, rel=1e-5)
    common = dict(verbose=0, callbacks=[EpochSeeds(batches, seed=0), Orders()])
    model.fit(batches, epochs=3, **common)
    batches.set_epoch(7)
    model.fit(batches, epochs=3, initial_epoch=2, **common)
    assert [epoch for epoch, _ in seen] == [0, 1, 2, 2]
    for one, other in zip(seen[2][1], seen[3][1], strict=True):
        np.testing.assert_array_equal(one, other)


def test_bad_batch_size():
    corpus, words = corpus_of([3])
    with pytest.raises(ValueError, match="batch_size=0"):
        TextBatches(corpus, words, 0)
