"""The benchmark of the text VAE: its PyTorch model is ours, its batches are an epoch's."""

import keras
import numpy as np
import pytest

from applications.datasets.corpus import Corpus
from applications.datasets.vocabulary import SPECIAL
from applications.datasets.vocabulary import Vocabulary
from applications.experiment import csv_tables
from applications.models import lstm_vae
from benchmarks.text_throughput import __main__ as text_throughput
from benchmarks.text_throughput import batches as text
from benchmarks.text_throughput import nll as nll
from benchmarks.text_throughput import training as training
from benchmarks.text_throughput.torch_worker import TorchWorker
from benchmarks.text_throughput.torch_worker import torch_is_installed
from keras_slashed.distributions import SlashedNormal
from tests.support import to_numpy

# Its rival is in PyTorch.
pytestmark = pytest.mark.experiment("torch")
needs_torch = pytest.mark.skipif(not torch_is_installed(), reason="the model is in PyTorch")
TINY = dict(latent_dim=3, num_layers=2, units=6, embedding_dim=5, dropout=0.2)
ROWS = np.array([[2, 4, 5, 6, 3, 0], [2, 7, 3, 0, 0, 0], [2, 5, 5, 8, 5, 3]], "int32")


def few_documents(lengths):
    """Return a vocabulary and a corpus of documents of these lengths."""
    vocabulary = Vocabulary((*SPECIAL, *"abcdefgh"))
    offsets = np.concatenate([[0], np.cumsum(lengths)])
    numbers = np.random.default_rng(0).integers(len(SPECIAL), len(vocabulary), offsets[-1])
    return vocabulary, Corpus(numbers.astype("int32"), offsets)


def copy_weights(model, network):
    """Give a network of `hand_written_torch` the weights of an `LSTMVAE` of Keras."""
    import torch

    encoder, decoder = model.encoder, model.decoder.reconstruction
    modules = {
        network.encoder_words: encoder.get_layer("encoder_words"),
        network.posterior: encoder.get_layer("amplitude"),
        network.decoder_words: decoder.get_layer("decoder_words"),
        network.z_to_cells: decoder.get_layer("z_to_cells"),
        network.next_token: decoder.get_layer("next_token"),
    }
    pairs = []
    for module, layer in modules.items():
        parameters = list(module.parameters())
        weights = [to_numpy(weight) for weight in layer.weights]
        if len(weights) == 2:  # a linear map, whose matrix PyTorch has the other way round
            weights[0] = weights[0].T
        pairs += zip(parameters, weights)
    stacks = encoder.get_layer("encoder_lstm"), decoder.get_layer("decoder_lstm")
    for module, stack in zip((network.encoder, network.decoder), stacks):
        for index, lstm in enumerate(stack.lstms):
            kernel, recurrent, bias = (to_numpy(weight) for weight in lstm.weights)
            named = {"weight_ih": kernel.T, "weight_hh": recurrent.T}
            named |= {"bias_ih": bias, "bias_hh": np.zeros_like(bias)}
            pairs += [(getattr(module, f"{name}_l{index}"), w) for name, w in named.items()]
    assert len({id(parameter) for parameter, _ in pairs}) == len(list(network.parameters()))
    with torch.no_grad():
        for parameter, weights in pairs:
            assert parameter.shape == weights.shape
            parameter.copy_(torch.tensor(weights))


@needs_torch
@pytest.mark.parametrize("num_layers", [1, 3])
def test_the_model_in_pytorch_is_ours(num_layers):
    import torch

    from benchmarks.text_throughput.hand_written_torch import LSTMVAE

    options = {**TINY, "num_layers": num_layers}
    model = lstm_vae.build(12, **options)
    for weight in model.training.trainable_weights:  # none at 0, where a slip would not show
        weight.assign(weight + keras.random.normal(weight.shape, stddev=0.3, seed=num_layers))
    network = LSTMVAE(12, **options).eval()
    copy_weights(model, network)
    rows = torch.tensor(ROWS, dtype=torch.int64)

    amplitude = model.encoder(ROWS)
    with torch.no_grad():
        np.testing.assert_allclose(network.encode(rows), to_numpy(amplitude), atol=1e-6)

    noise = np.random.default_rng(0).normal(size=(3, 3)).astype("float32")
    posterior = SlashedNormal(amplitude)
    mean, stddev = to_numpy(posterior.mean), to_numpy(posterior.stddev)
    costs = -to_numpy(model.log_likelihood(ROWS, mean + stddev * noise))
    ours = np.mean(costs + to_numpy(posterior.kl_divergence()))
    given = [torch.tensor(array) for array in (mean, np.log(stddev), noise)]
    with torch.no_grad():
        theirs = float(network.loss(rows, *given))
        assert theirs == pytest.approx(ours, rel=1e-5)
        given[2] += 1.0
        assert abs(float(network.loss(rows, *given)) - theirs) > 1e-3


@needs_torch
def test_the_process_of_pytorch_learns():
    with TorchWorker(1, learning_rate=0.03, vocabulary_size=12, **TINY) as worker:
        calls = [worker.train([ROWS] * 20) for _ in range(3)]
    assert calls[-1].result < 0.7 * calls[0].result
    assert all(min(call.wall, call.processor) > 0 for call in calls)


@needs_torch
def test_a_process_of_pytorch_that_fails_says_so(capfd):
    with pytest.raises(RuntimeError, match="PyTorch ended early"):
        TorchWorker(1, learning_rate=0.03, vocabulary_size=12, **{**TINY, "units": -1})
    assert "Traceback" in capfd.readouterr().err


def test_ours_learns_through_fit():
    ours = training.KerasTraining("batch", 12, **{**TINY, "num_layers": 1})
    batches = [ROWS, ROWS[:, :4].clip(max=3)] * 6
    losses = [ours.train(batches) for _ in range(3)]
    assert losses[-1] < losses[0]
    assert ours._model.optimizer.iterations == 3 * len(batches)


def test_buckets_have_less_padding():
    vocabulary, corpus = few_documents(np.random.default_rng(0).integers(1, 30, 400))
    lines = {}
    for batches in (text.bucketed, text.padded_to_longest):
        found = batches(corpus, vocabulary, 8)
        assert all(rows.shape[0] == 8 and (rows[:, 0] == vocabulary.begin).all() for rows in found)
        ends = sum(int(np.sum(rows == vocabulary.end)) for rows in found)
        assert ends == 8 * len(found), "each row is one document"
        lines[batches] = found
    # What each epoch holds: all documents, but for those of the one batch that is not full.
    assert len(lines[text.padded_to_longest]) == 50
    assert text.tokens(lines[text.padded_to_longest]) == corpus.lengths.sum() + 400
    assert text.padding(lines[text.bucketed]) < 0.15 < 0.3
    assert text.padding(lines[text.padded_to_longest]) > 0.3


def test_tokens_and_padding_of_batches():
    # 4, 2 and 5 tokens with the ends, of 15 positions after the begin
    assert text.tokens([ROWS]) == 11
    assert text.tokens([ROWS, ROWS[:1]]) == 15
    assert text.padding([ROWS]) == pytest.approx(4 / 15)


def test_representatives_have_the_shares_of_the_whole():
    kinds = ["a"] * 60 + ["b"] * 30 + ["c"] * 10
    assert text.representatives(kinds, 10) == ["a"] * 6 + ["b"] * 3 + ["c"]
    assert text.representatives([3, 1, 2], 1) == [1]
    assert text.representatives([3, 1, 2], 7) == [3, 1, 2]


def test_random_documents_have_the_lengths_of_penn_treebank():
    vocabulary, corpus, source = text.load(documents=20_000)
    assert source == "random documents"
    assert len(vocabulary) == 10_002
    assert corpus.numbers.min() >= len(SPECIAL)
    assert corpus.numbers.max() < 10_002
    assert corpus.lengths.mean() == pytest.approx(21.1, rel=0.02)
    assert corpus.lengths.std() == pytest.approx(10.1, rel=0.02)
    assert corpus.lengths.min() >= 1


def test_tables_and_a_page(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(training, "VARIANT_NAMES", ("vae",))
    monkeypatch.setitem(training.SIZES, "short", {**TINY, "num_layers": 1})
    lengths = np.random.default_rng(0).integers(1, 12, 200)
    monkeypatch.setattr(text, "load", lambda folder: (*few_documents(lengths), "few documents"))
    monkeypatch.setattr(text_throughput, "_NLL_CASE", text_throughput._NLL_CASE | {"length": 3})
    # A process that this one starts would else inherit the most that this one ever held.
    held = np.ones(2**28, "uint8")
    text_throughput.main(
        "--sizes short --batches 1 --batch-size 4 --repeats 1 --samples 2 "
        f"--output {tmp_path}".split()
    )
    (table,) = tmp_path.glob("text_throughput_*.csv")
    rows = csv_tables.read_rows(table)
    assert [(row["model"], row["padded_to"]) for row in rows] == [
        ("vae", "buckets"),
        *[("PyTorch", "buckets"), ("PyTorch", "longest of a random batch")] * torch_is_installed(),
    ]
    assert all(float(row["tokens_per_wall_second"]) > 0 for row in rows)
    for ours in rows[:1] if torch_is_installed() else []:
        for theirs, comparison in zip(rows[1:], ("same_padding", "buckets")):
            for clock in ("wall", "processor"):
                speeds = [float(row[f"tokens_per_{clock}_second"]) for row in (ours, theirs)]
                ratio = float(ours[f"{comparison}_{clock}"])
                assert ratio == pytest.approx(speeds[0] / speeds[1], rel=0.01, abs=0.002)
    (row,) = csv_tables.read_rows(next(tmp_path.glob("text_nll_*.csv")))
    assert 1 < float(row["mib_before"]) <= float(row["mib_peak"])
    assert float(row["mib_peak"]) < nll._resident("VmHWM") - held.size / 2**21
    assert float(row["documents_per_wall_second"]) > 0
    page = next(tmp_path.glob("*.md")).read_text()
    assert page in capsys.readouterr().out
    assert page.count("### ") == 2
    assert "| vae | buckets |" in page
