"""Compare attributions of a text classifier to tokens.

    python -m applications.token_attributions --data-dir DIR

A small transformer learns to tell sentences of Penn Treebank from sentences of Yahoo Answers, or,
without --data-dir, those of two classes of a small grammar. Numbers, punctuation and rare words
are dropped or replaced, so that the spelling of a text does not give it away. Each method ranks
the tokens of test sentences that are classified correctly: the nats of `keras_slashed.attribution`
at the embedding, gradients, integrated gradients, occlusion, attention and noise. Then tokens are
deleted (replaced by the mean embedding), masked or inserted in this order, and the area under the
probability of the class judges the ranking. The command writes tokens_DATA.csv and .md,
tokens_DATA_curves.csv and .png, tokens_DATA_words.csv (nats of each word) and tokens_DATA_nats.png,
sentences with nats as color. The default is a short training, of a few minutes on one core.
"""

import collections
import pathlib
import sys
import time

import keras
import numpy as np

from applications.experiment import command_line
from applications.experiment import csv_tables
from applications.experiment.provenance import describe_run
from applications.experiment.table_command import table_command
from applications.token_attributions import data as sentences
from applications.token_attributions import evaluation
from applications.token_attributions import figure
from applications.token_attributions import methods
from applications.token_attributions import model
from applications.token_attributions import report
from keras_slashed.attribution import plot_tokens

_MODULE = "applications.token_attributions"
_SHARES = np.linspace(0.0, 1.0, 21)
_DESCRIBED = ("min_length", "max_length", "min_count", "epochs", "batch_size", "learning_rate",
              "width", "heads", "blocks", "dropout", "beta", "steps", "num_samples",
              "seed")  # fmt: skip


def parse_arguments(arguments=None):
    """Return the command line's arguments."""
    parser = command_line.Parser(_MODULE, __doc__, "runs/attribution")
    add, positive = parser.add, command_line.positive
    positive_number = command_line.positive_number
    several = command_line.integer(2, expected="an integer of at least 2")
    add("--data-dir", metavar="DIR", help="folder that holds ptb/ and yahoo/")
    for name, kind, default, text in (
        ("min-length", positive, 6, "smallest number of words in a sentence"),
        ("max-length", positive, 24, "largest number of words in a sentence"),
        ("min-count", positive, 5, "how often a word must occur in each text"),
        ("train-sentences", several, 30_000, "largest number of sentences to train on"),
        ("epochs", positive, 4, ""),
        ("batch-size", positive, 64, ""),
        ("learning-rate", positive_number, 2e-3, "peak learning rate of Adam"),
        ("width", positive, 64, "features of the embedding"),
        ("heads", positive, 4, "attention heads"),
        ("blocks", positive, 2, "blocks of the transformer"),
        ("dropout", command_line.number(0, below=1), 0.2, "rate of dropout"),
        ("sentences", several, 200, "number of sentences to attribute"),
        ("beta", positive_number, 0.1, "price of a nat"),
        ("steps", positive, 20, "steps of the amplitude's iteration"),
        ("num-samples", positive, 32, "number of draws, and steps of integrated gradients"),
        ("pictured", positive, 8, "number of sentences in the picture"),
        ("seed", command_line.seed, 0, "seed of the choice of sentences, training and draws"),
    ):
        add(f"--{name}", kind, default, help=text, metavar="X")
    parser.add_quiet()
    options = parser.parse_args(arguments)
    if options.width % options.heads:
        parser.error(f"--width: must be a multiple of --heads, not {options.width}")
    return options


@table_command("Run the same command again: it starts over.")
def main(arguments=None):
    """Train the classifier, and compare the methods on it."""
    options = parse_arguments(arguments)
    chosen = ("data_dir", "min_length", "max_length", "min_count", "train_sentences", "seed")
    try:
        data = sentences.load(**{name: getattr(options, name) for name in chosen})
    except (FileNotFoundError, ValueError) as error:
        sys.exit(str(error))
    print(f"{data.source}: {len(data.vocabulary)} tokens; {len(data.train.y)}, "
          f"{len(data.valid.y)} and {len(data.test.y)} sentences")  # fmt: skip
    transformer, accuracy, seconds = trained(data, options)
    print(f"test accuracy {accuracy:.4f} after {seconds:.0f} s of training", flush=True)
    comparison = Comparison(transformer, data, options)
    description = {
        "classes": " ".join(data.classes),
        "train_sentences": str(len(data.train.y)),
        "test_sentences": str(len(data.test.y)),
        "vocabulary": str(len(data.vocabulary)),
        **{name: str(getattr(options, name)) for name in _DESCRIBED},
        "accuracy": f"{accuracy:.4f}",
        "train_seconds": f"{seconds:.0f}",
        "sentences": str(len(comparison.y)),
        "source": data.source,
        "preparation": data.preparation,
        "data_sha256": data.sha256,
        **describe_run(_MODULE),
    }
    rows = [{**row, **description} for row in comparison.rows()]
    words = comparison.words()
    output = pathlib.Path(options.output)
    name = f"tokens_{data.name}"
    csv_tables.write_rows(output / f"{name}.csv", rows)
    csv_tables.write_rows(output / f"{name}_curves.csv", comparison.curve_rows())
    csv_tables.write_rows(output / f"{name}_words.csv", words)
    text = report.markdown(rows, words, data.classes, f"{name}.csv")
    (output / f"{name}.md").write_text(text, encoding="utf-8")
    figure.draw_curves(comparison.curves, _SHARES, output / f"{name}_curves.png")
    comparison.draw(options.pictured, output / f"{name}_nats.png")
    print(f"\n{text}\nwritten to {output}/{name}*")
    return rows


def trained(data, options):
    """Return a trained `Transformer`, its accuracy, and the seconds of its training."""
    keras.utils.set_random_seed(options.seed)
    sizes = options.width, options.heads, options.blocks, options.dropout
    transformer = model.build(len(data.vocabulary), options.max_length, *sizes)
    start = time.monotonic()
    accuracy = model.train(
        transformer.model,
        data,
        options.epochs,
        options.batch_size,
        options.learning_rate,
        options.seed,
        verbose=0 if options.quiet else 2,
    )
    return transformer, accuracy, time.monotonic() - start


class Comparison:
    """The maps of each method for one classifier, and the measures that judge them.

    Args:
        transformer: `Transformer`, trained.
        data: `Sentences`.
        options: Namespace of the command line's options.

    Attributes:
        ids: Integer array. The first test sentences that are classified correctly.
        y: Integer array. Their classes.
        maps: Dict from the name of each map to an array of the shape of `ids`.
        curves: Dict `{kind: {map: array}}` of the curves at equally spaced shares of tokens.
    """

    def __init__(self, transformer, data, options):
        table, train = transformer.table, data.train
        known = table[train.ids[train.mask]]  # with the frequency of each word, without padding
        self._mean, noise = known.mean(axis=0), known.std(axis=0)
        self._data = data
        self._classifier = methods.Classifier(transformer)
        logits = self._classifier.logits(table[data.test.ids], data.test.mask)
        right = np.flatnonzero((logits > 0) == data.test.y)[: options.sentences]
        if len(right) < 2:
            sys.exit(f"Only {len(right)} test sentences are classified correctly. Train longer.")
        self.ids, self.y, self._mask = (
            array[right] for array in (data.test.ids, data.test.y, data.test.mask)
        )
        self._lengths = self._mask.sum(axis=1)
        self._x = table[self.ids]
        self._methods = methods.methods(
            self._classifier,
            self.ids,
            self._mean,
            noise,
            options.beta,
            options.steps,
            options.num_samples,
            options.seed,
        )
        self.maps = {}
        self.curves = {kind: {} for kind in evaluation.MEASURES}

    def rows(self):
        """Evaluate every method, and return a dict of strings for each map."""
        rows, reference = [], None
        for name, (function, gradients) in self._methods.items():
            start = time.process_time()
            maps = function(self._x, self._mask, self.y)
            seconds = time.process_time() - start
            self.maps[name] = maps
            areas = self._areas(name, maps)
            reference = reference or areas  # those of the amplitude, the first method
            row = {"map": name}
            for kind, values in areas.items():
                pairs = (kind, values), (f"{kind}_less_amplitude", values - reference[kind])
                for column, numbers in pairs:
                    mean, error = evaluation.mean_and_error(numbers)
                    row |= {column: f"{mean:.4f}", f"{column}_error": f"{error:.4f}"}
            nats = maps.sum(axis=1).mean() if name.startswith(methods.AMPLITUDE) else None
            row["nats"] = "" if nats is None else f"{nats:.2f}"
            row["gradients"] = str(gradients)
            row["processor_ms_per_sentence"] = f"{1000 * seconds / len(self.y):.3g}"
            rows.append(row)
            print(f"{name}: {row['deletion']} {row['masking']} {row['insertion']}", flush=True)
        return rows

    def _areas(self, name, maps):
        curves = evaluation.curves(
            self._classifier.probabilities, self._x, self._mask, self.y, maps, self._mean
        )
        for kind, values in curves.items():
            self.curves[kind][name] = evaluation.at_shares(values, self._lengths, _SHARES)
        return {kind: evaluation.areas(values, self._lengths) for kind, values in curves.items()}

    def curve_rows(self):
        """Return the mean curves, with a dict for each map and share of tokens."""
        rows = []
        for kind, by_name in self.curves.items():
            for name, values in by_name.items():
                for share, column in zip(_SHARES, values.T):
                    mean, error = evaluation.mean_and_error(column)
                    shown = {"share": f"{share:.2f}", "probability": f"{mean:.5f}"}
                    rows.append({"curve": kind, "map": name, **shown, "error": f"{error:.5f}"})
        return rows

    def words(self):
        """Return the mean nats of each word in the sentences of each class."""
        found = collections.defaultdict(list)
        for ids, nats, label in zip(self.ids, self.maps[methods.AMPLITUDE], self.y):
            for word, value in zip(self._data.words(ids), nats):
                found[word, self._data.classes[label]].append(value)
        return [
            {"word": word, "class": name, "occurrences": str(len(values)),
             "nats": f"{np.mean(values):.4f}"}
            for (word, name), values in sorted(found.items())
        ]  # fmt: skip

    def draw(self, number, path):
        """Draw the first sentences with the nats of each token as color."""
        shown = slice(number)
        plot_tokens(
            [self._data.words(ids) for ids in self.ids[shown]],
            self.maps[methods.AMPLITUDE][shown],
            titles=[self._data.classes[label] for label in self.y[shown]],
            path=path,
        )


if __name__ == "__main__":
    main()
