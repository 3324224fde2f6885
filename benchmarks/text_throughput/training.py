"""Training of the LSTM VAE through `model.fit`, compared with the same model in PyTorch."""

import contextlib

import keras
import numpy as np

from applications.models import lstm_vae
from applications.table2.variants import VARIANTS
from applications.training.backends import for_fit
from applications.training.backends import threads
from benchmarks.harness import timing
from benchmarks.text_throughput import batches as text
from benchmarks.text_throughput.torch_worker import TorchWorker
from benchmarks.text_throughput.torch_worker import timed
from benchmarks.text_throughput.torch_worker import torch_is_installed

SIZES = {
    "paper": dict(latent_dim=32, num_layers=3, units=512, embedding_dim=512, dropout=0.2),
    "short": dict(latent_dim=32, num_layers=1, units=128, embedding_dim=128, dropout=0.2),
}
VARIANT_NAMES = ("vae", "batch")
PLAIN = "PyTorch"
BUCKETS, LONGEST = "buckets", "longest of a random batch"
CLOCKS = ("wall", "processor")
# The batches of PyTorch when ours are buckets.
COMPARISONS = {"same_padding": BUCKETS, "buckets": LONGEST}
_LEARNING_RATE = 1e-3


class KerasTraining:
    """Train a row of Table 2 batch after batch, through `model.fit`.

    Args:
        variant: String. A name in `VARIANTS`.
        vocabulary_size: Integer. Number of tokens.
        **options: Further keyword arguments of `lstm_vae.build`.
    """

    def __init__(self, variant, vocabulary_size, **options):
        keras.utils.set_random_seed(0)
        options |= VARIANTS[variant].build_options()
        model = lstm_vae.build(vocabulary_size, seed=0, **options)
        model.compile(keras.optimizers.Adam(_LEARNING_RATE))
        self._model = model.training

    def train(self, batches):
        """Train on a list of arrays, and return the mean loss."""
        history = self._model.fit(for_fit(_Rows(batches)), verbose=0, shuffle=False)
        return history.history["loss"][0]


class _Rows(keras.utils.PyDataset):
    """Batches in the form that `fit` needs, with the shortest and the longest one first.

    If an axis has the same size in the first two batches, Keras on TensorFlow assumes that all
    batches have this size.
    """

    def __init__(self, batches):
        super().__init__()
        by_length = sorted(batches, key=lambda rows: rows.shape[1])
        self._batches = by_length[:1] + by_length[:0:-1]

    def __len__(self):
        return len(self._batches)

    def __getitem__(self, index):
        rows = self._batches[index]
        return rows, np.zeros(len(rows), "float32"), np.ones(len(rows), "float32")


def measure(size, corpus, vocabulary, batch_size, number, rounds):
    """Time all trainings in turns, in this process and in PyTorch's.

    Args:
        size: String. A name in `SIZES`.
        corpus: `Corpus` of documents to train on.
        vocabulary: `Vocabulary` of the documents.
        batch_size: Integer. Documents in a batch.
        number: Integer. Batches in one timing.
        rounds: Integer. Timings of each training.

    Returns:
        List of dicts. A row for each training, without provenance.
    """
    batches = {
        BUCKETS: text.bucketed(corpus, vocabulary, batch_size, number),
        LONGEST: text.padded_to_longest(corpus, vocabulary, batch_size, number),
    }
    sizes = {"vocabulary_size": len(vocabulary), **SIZES[size]}
    with contextlib.ExitStack() as stack:
        calls = {}
        for name in VARIANT_NAMES:
            calls[name, BUCKETS] = KerasTraining(name, **sizes).train
        if torch_is_installed():
            worker = TorchWorker(threads(), learning_rate=_LEARNING_RATE, **sizes)
            stack.enter_context(worker)
            calls |= {(PLAIN, kind): worker.train for kind in batches}
        samples = _by_turns(calls, batches, rounds)
    return [_row(key, samples, batches) for key in samples]


def _by_turns(calls, batches, rounds):
    """Return lists of `Timed` by the calls' keys. Each is called once to warm up."""
    samples = {key: [] for key in calls}
    for done in range(-1, rounds):
        for (name, kind), train in calls.items():
            call = train(batches[kind]) if name == PLAIN else timed(train, batches[kind])
            if done >= 0:
                samples[name, kind].append(call)
    return samples


def _row(key, samples, batches):
    name, kind = key
    row = {"model": name, "padded_to": kind, "padding": f"{text.padding(batches[kind]):.3f}"}
    trained = text.tokens(batches[kind])
    for clock in CLOCKS:
        median = timing.spread([getattr(call, clock) for call in samples[key]]).median
        row[f"tokens_per_{clock}_second"] = f"{trained / median:.0f}"
    for comparison, other in COMPARISONS.items():
        for clock in CLOCKS:
            names = [f"{comparison}_{clock}{end}" for end in ("", "_low", "_high")]
            cells = [""] * len(names)
            if name != PLAIN and (PLAIN, other) in samples:
                share = trained / text.tokens(batches[other])
                ratio = _faster(samples[key], samples[PLAIN, other], clock, share)
                cells = [f"{value:.3f}" for value in ratio]
            row |= zip(names, cells)
    return {**row, "rounds": len(samples[key])}


def _faster(ours, theirs, clock, share):
    """Return the `Spread` of our tokens per second over theirs, computed within each round.

    Args:
        ours: List of `Timed`.
        theirs: List of `Timed` of the same rounds.
        clock: String. The time to compare, "wall" or "processor".
        share: Float. Our tokens over theirs in one timing.
    """
    return timing.spread(
        [share * getattr(b, clock) / getattr(a, clock) for a, b in zip(ours, theirs)]
    )
