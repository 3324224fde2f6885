import keras
import numpy as np
import pytest
from scipy.special import log_softmax

from applications.datasets.corpus import Corpus
from applications.datasets.text_batches import TextBatches
from applications.datasets.vocabulary import Vocabulary
from applications.models import lstm_vae
from applications.models.lstm_decoder import LSTMDecoder
from keras_slashed.callbacks import RateMonitor
from keras_slashed.rates import CommittedRate
from tests.support import BACKEND
from tests.support import at_once
from tests.support import to_numpy
from tests.support import total_loss

# One size for all tests of the model: JAX compiles for each shape again.
VOCABULARY_SIZE = 9
TINY = dict(latent_dim=3, num_layers=2, units=5, embedding_dim=4, dropout=0.0, seed=0)
# On TensorFlow a compiled step takes longer than many that are not; on JAX it is the reverse.
COMPILES_SLOWLY = BACKEND == "tensorflow"
ROWS = np.array([[2, 4, 5, 6, 3, 0], [2, 7, 3, 0, 0, 0], [2, 5, 5, 5, 5, 3]], "int32")


def build(**options):
    """A tiny model, with weights large enough for every token to matter."""
    model = lstm_vae.build(VOCABULARY_SIZE, **{**TINY, **options})
    rng = np.random.default_rng(0)
    for weight in model.training.trainable_weights:
        if len(weight.shape) > 0:
            weight.assign(0.6 * rng.normal(size=weight.shape))
    return model


def likelihood(model, rows, z):
    return -model.decoder.reconstruction.predict_on_batch([rows, z])


def padded(rows, columns):
    return np.pad(rows, [(0, 0), (0, columns)])


def test_the_seed_decides_all_weights():
    """So that a row of Table 2 is the same in another process."""
    found = []
    for seed in (0, 0, 1):
        keras.utils.set_random_seed(seed)
        found.append(lstm_vae.build(VOCABULARY_SIZE, **TINY).training.trainable_weights)
    for first, again, other in zip(*found, strict=True):
        first, again, other = map(to_numpy, (first, again, other))
        np.testing.assert_array_equal(first, again)
        if first.ndim > 1:
            assert not np.array_equal(first, other)
    encoder, decoder = (w for w in found[0] if w.path.endswith("words/embeddings"))
    assert not np.array_equal(to_numpy(encoder), to_numpy(decoder))


@pytest.fixture(scope="module")
def model():
    keras.utils.set_random_seed(0)
    return build()


def test_the_loss_is_the_evidence_lower_bound(model):
    """Against NumPy, from the decoder's logits and the encoder's amplitudes."""
    z = np.random.default_rng(1).normal(size=(3, 3)).astype("float32")
    logits = model.decoder.logits.predict_on_batch([ROWS[:, :-1], z])
    logs = log_softmax(logits.astype("float64"), axis=-1)
    expected = [
        sum(logs[n, t, token] for t, token in enumerate(row[1:]) if token)
        for n, row in enumerate(ROWS)
    ]
    received = to_numpy(at_once(model.log_likelihood)(ROWS, z))
    np.testing.assert_allclose(received, expected, rtol=1e-5)
    # what compiles it finds the decoder's weights
    found = {id(weight) for weight in model.log_likelihood.weights}
    assert found == {id(weight) for weight in model.decoder.reconstruction.weights}

    amplitude = model.encoder.predict_on_batch(ROWS).astype("float64")
    kl = np.mean(np.sum(amplitude**2, axis=-1))
    assert kl > 0.1
    model.compile(keras.optimizers.SGD(), run_eagerly=COMPILES_SLOWLY)
    no_target, weights = np.zeros(3, "float32"), np.ones(3, "float32")
    logs = model.training.test_on_batch(ROWS, no_target, weights, return_dict=True)
    assert logs["loss"] - logs["reconstruction"] == pytest.approx(kl, rel=1e-4)
    assert logs["reconstruction"] > 5.0


def losses_and_gradients(model, rows):
    """The deterministic part of the loss, and a step of gradient descent on it."""
    z = np.random.default_rng(2).normal(size=(len(rows), 3)).astype("float32")
    decoder = model.decoder.reconstruction
    decoder.compile(
        keras.optimizers.SGD(1.0), lstm_vae.reconstruction_loss, run_eagerly=COMPILES_SLOWLY
    )
    before = [to_numpy(weight).copy() for weight in decoder.trainable_weights]
    loss = decoder.train_on_batch([rows, z], np.zeros(len(rows), "float32"))
    steps = [to_numpy(w) - b for w, b in zip(decoder.trainable_weights, before)]
    for weight, value in zip(decoder.trainable_weights, before):
        weight.assign(value)
    return float(loss), steps


def test_more_padding_changes_neither_loss_nor_gradients(model):
    few, steps = losses_and_gradients(model, ROWS)
    many, padded_steps = losses_and_gradients(model, padded(ROWS, 4))
    assert many == pytest.approx(few, rel=1e-5)
    for one, other in zip(steps, padded_steps):
        assert np.abs(one).max() > 0
        np.testing.assert_allclose(other, one, rtol=1e-3, atol=1e-5)


def test_the_encoder_reads_the_last_true_token(model):
    few = model.encoder.predict_on_batch(ROWS)
    many = model.encoder.predict_on_batch(padded(ROWS, 4))
    np.testing.assert_allclose(many, few, rtol=1e-4, atol=1e-5)
    # every token of the document, and none but by its place in it
    for place in range(1, 5):
        other = ROWS.copy()
        other[0, place] = 1
        changed = np.abs(model.encoder.predict_on_batch(other) - few).max(axis=-1)
        assert changed[0] > 1e-4
        np.testing.assert_array_equal(changed[1:], 0.0)


def test_a_token_costs_by_those_before_it_alone(model):
    z = np.zeros((3, 3), "float32")
    logits = model.decoder.logits.predict_on_batch([ROWS[:, :-1], z])
    later = ROWS[:, :-1].copy()
    later[:, 3:] = 7
    changed = np.abs(model.decoder.logits.predict_on_batch([later, z]) - logits)
    np.testing.assert_array_equal(changed[:, :3], 0.0)
    assert changed[:, 3].max() > 1e-3


def test_z_starts_the_states_and_joins_each_input(model):
    """The draw z matters without its part in the states, but not without both parts."""
    z = np.ones((3, 3), "float32")
    decoder = model.decoder
    inputs, start = decoder._stack.lstms[0].cell.kernel, decoder._z_to_cells.kernel
    kept = to_numpy(inputs).copy(), to_numpy(start).copy()

    def effect():
        likelihoods = [likelihood(model, ROWS, value) for value in (z, 0 * z)]
        return np.abs(likelihoods[0] - likelihoods[1]).max()

    assert effect() > 1e-2
    start.assign(np.zeros(start.shape))
    assert effect() > 1e-2
    inputs.assign(np.concatenate([kept[0][:4], np.zeros((3, 20))]))
    assert effect() == 0.0
    start.assign(kept[1])
    assert effect() > 1e-2
    inputs.assign(kept[0])


@pytest.mark.parametrize("skip", [False, True])
def test_a_plain_language_model_is_the_decoder_at_z_0(skip):
    language_model = build(latent_dim=None, skip=skip)
    vae = build(skip=skip)
    vae.decoder._z_to_cells.bias.assign(np.zeros(10))
    sources = {w.path: to_numpy(w) for w in language_model.decoder.logits.weights}
    for weight in vae.decoder.logits.weights:
        if weight.path in sources:
            source = sources.pop(weight.path)
            # where embeddings are joined with z, the rows for z come last
            extra = weight.shape[0] - source.shape[0]
            weight.assign(np.concatenate([source, np.ones((extra, *source.shape[1:]))]))
    assert not sources
    z = np.zeros((3, 3), "float32")
    expected = language_model.decoder.logits.predict_on_batch(ROWS)
    received = vae.decoder.logits.predict_on_batch([ROWS, z])
    np.testing.assert_allclose(received, expected, rtol=1e-4, atol=1e-5)
    plain = language_model.training.predict_on_batch(ROWS)
    np.testing.assert_allclose(likelihood(vae, ROWS, z), -plain, rtol=1e-4)
    assert language_model.encoder is None


def test_batch_normalized_means_have_the_spread_gamma():
    model = build(batch_norm_gamma=0.6)
    rows = np.random.default_rng(0).integers(1, 8, (40, 6)).astype("int32")
    with_nothing = np.concatenate([rows, np.zeros((9, 6), "int32")])
    amplitude = to_numpy(model.encoder(with_nothing, training=True))[:40]
    means = np.sqrt(2.0) * amplitude[:, :3]
    np.testing.assert_allclose(means.std(axis=0), 0.6, rtol=5e-3)
    assert np.sum(means**2) / 40 >= 3 * 0.36 * 0.99
    # the shift trains, the scale is no weight
    names = [weight.name for weight in model.encoder.get_layer("batch_norm").trainable_weights]
    assert names == ["beta"]


def test_rows_without_a_document_count_nowhere():
    model = build(rate=CommittedRate(6.0), normalization="feature")
    some = np.concatenate([ROWS, np.zeros((2, 6), "int32")])
    costs = to_numpy(model.training(some, training=True))
    np.testing.assert_array_equal(costs[3:], 0.0)
    assert costs[:3].min() > 1.0
    # three documents of 7 nats, and two rows that are none
    assert total_loss(model.training) == pytest.approx(7.0, rel=1e-4)
    amplitude = to_numpy(model.encoder(some, training=True))
    assert np.mean(np.sum(amplitude[:3] ** 2, axis=-1)) == pytest.approx(7.0, rel=1e-4)


def test_loss_is_the_mean_over_documents():
    """Padding changes neither reconstruction nor KL, whatever else is in the batch."""
    losses = []
    for padding in (0, 2):
        model = build(rate=CommittedRate(6.0), normalization="instance", dropout=0.0)
        model.compile(keras.optimizers.SGD(0.0), run_eagerly=COMPILES_SLOWLY)
        model.training.get_layer("latent").inference = "mean"
        rows = np.concatenate([ROWS, np.zeros((padding, 6), "int32")])
        weights = np.any(rows, axis=-1).astype("float32")
        logs = model.training.test_on_batch(
            rows, np.zeros(len(rows), "float32"), weights, return_dict=True
        )
        assert logs["loss"] - logs["reconstruction"] == pytest.approx(7.0, rel=1e-4)
        losses.append(logs["loss"])
    assert losses[0] == pytest.approx(losses[1], rel=1e-5)


@pytest.mark.experiment("jax")
def test_fit_on_batches_of_several_lengths():
    rng = np.random.default_rng(0)
    documents = [["x"] * n + ["y"] * n for n in rng.integers(1, 6, 30)]
    words = Vocabulary.build(documents)
    batches = TextBatches(Corpus.encode(documents, words), words, 8, seed=0, lengths=[5, 11])
    model = lstm_vae.build(
        len(words), **{**TINY, "num_layers": 1}, rate=CommittedRate(2.0), momentum=0.9
    )
    model.compile(keras.optimizers.Adam(0.03))
    history = model.training.fit(batches, epochs=4, verbose=0, callbacks=[RateMonitor()]).history
    assert history["reconstruction"][-1] < 0.9 * history["reconstruction"][0]
    assert min(history["latent_rate"]) > 2.0


@pytest.mark.experiment("tensorflow")
@pytest.mark.skipif(BACKEND != "tensorflow", reason="the others compile, or not, by Keras' choice")
def test_xla_trains_as_tensorflow_does(monkeypatch):
    """A step's loss and weights on two threads, by XLA, are those on one, without it.

    Of a model without z and dropout: XLA draws other numbers.
    """
    found = []
    for threads in ("2", "1"):
        monkeypatch.setenv("TF_NUM_INTRAOP_THREADS", threads)
        model = build(latent_dim=None)
        model.compile(keras.optimizers.SGD(0.1))
        loss = model.training.train_on_batch(ROWS, np.zeros(len(ROWS), "float32"))
        found.append([loss, *model.training.get_weights()])
        assert model.training.jit_compile == (threads == "2")
    for xla, graph in zip(*found, strict=True):
        np.testing.assert_allclose(xla, graph, rtol=1e-4, atol=1e-5)


def test_the_paper_s_size():
    """Check the paper's sizes, except for its vocabulary of 20,001, which is 11 here."""
    model = lstm_vae.build(11)
    lstm = sum(4 * 512 * (size + 512 + 1) for size in (512, 512, 512, 544, 512, 512))
    words = 2 * 11 * 512
    dense = 513 * 64 + 33 * 3 * 512 + 513 * 11
    assert sum(np.prod(w.shape) for w in model.training.trainable_weights) == lstm + words + dense


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (dict(latent_dim=0), "latent_dim=0"),
        (dict(latent_dim=None, rate=6.0), "latent_dim=None"),
        (dict(rate=6.0, batch_norm_gamma=0.6), "Received: both"),
        (dict(batch_norm_gamma=-1.0), "batch_norm_gamma=-1.0"),
        (dict(rate=6.0, normalization="layer"), "'layer'"),
        (dict(rate=-6.0), "rate=-6.0"),
    ],
    ids=str,
)
def test_bad_options(options, message):
    with pytest.raises(ValueError, match=message):
        lstm_vae.build(VOCABULARY_SIZE, **{**TINY, **options})


def test_what_the_documents_say_of_the_decoder():
    """C = W z + b, h = tanh(c); z at the output with skip connections; dropout between layers."""
    decoder = LSTMDecoder(9, 3, 2, 5, 4, 0.3, skip=True)
    z = np.random.default_rng(0).normal(size=(4, 3)).astype("float32")
    states = decoder.start.predict_on_batch(z)
    kernel = to_numpy(decoder._z_to_cells.kernel)
    cells = (z @ kernel).reshape(4, 2, 5)
    np.testing.assert_allclose(states, np.stack([np.tanh(cells), cells], 1), rtol=1e-4, atol=1e-5)
    # Of a decoder without any other way for z.
    decoder._z_to_cells.kernel.assign(np.zeros(kernel.shape))
    words = np.zeros(decoder._stack.lstms[0].cell.kernel.shape, "float32")
    decoder._stack.lstms[0].cell.kernel.assign(words)
    projection = to_numpy(decoder._stack.projection.kernel).copy()
    projection[-3:] = 0.0
    decoder._stack.projection.kernel.assign(projection)
    tokens = np.array([[2, 4, 5]] * 4, "int32")
    one, other = (decoder.logits.predict_on_batch([tokens, value]) for value in (z, 0 * z))
    through = z @ to_numpy(decoder._z_to_output.kernel) @ to_numpy(decoder._next_token.kernel)
    np.testing.assert_allclose(one - other, np.repeat(through[:, None], 3, 1), rtol=1e-3, atol=1e-4)
    assert [layer.rate for layer in decoder._stack.dropouts] == [0.3]
    embedding = to_numpy(decoder._embedding.embeddings)
    assert 0.05 < np.abs(embedding).max() <= 0.1


@pytest.mark.parametrize("skip", [False, True])
def test_what_the_documents_say_of_the_encoder(skip):
    """Skip connections around its layers as well, and no dropout."""
    model = lstm_vae.build(9, 3, num_layers=2, units=5, embedding_dim=4, dropout=0.3, skip=skip,
                           rate=1.0)  # fmt: skip
    stack = model.encoder.get_layer("encoder_lstm")
    assert (stack.skip, stack.dropout) == (skip, 0.0)
    normalization = model.encoder.get_layer("normalized")
    assert normalization.momentum == 0.99
