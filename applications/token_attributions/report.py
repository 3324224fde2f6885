"""The results of `applications.token_attributions` as Markdown."""

from applications.attributions.report import criterion
from applications.experiment import provenance
from applications.experiment.csv_tables import markdown_table
from applications.token_attributions.evaluation import MEASURES

_HEAD = """# Nats per token

A transformer with {blocks} blocks, {heads} heads and {width} features tells sentences of {zero}
from sentences of {one} ({source}). It was trained for {epochs} epochs on {train_sentences}
sentences of {min_length} to {max_length} words, with a vocabulary of {vocabulary} tokens.
{preparation} The accuracy is {accuracy} on {test_sentences} test sentences. The first {sentences}
of them that it classifies correctly are attributed, with {num_samples} draws and beta {beta}. The
amplitude's prior has the mean and the standard deviation of each feature of the embedding, over
the words of the training sentences.

Each area is under the class probability ± the standard error over sentences, as tokens are chosen
in the order of a map. "Deletion" replaces them by the mean embedding, and "masking" removes them:
lower is better. "Insertion" puts them into a sentence of mean embeddings: higher is better. The
difference from "amplitude" with its own standard error is in parentheses. "Nats" is the mean rate
of a sentence. "Gradients" is the number of rows per sentence whose gradient is computed, and "ms"
is the processor time per sentence on {device}, {backend}, including compilation.

"""
_WORDS = """

## Words with the most nats

The mean over the attributed sentences of a class, for words that occur at least {least} times in
them.

"""
_SHOWN, _LEAST = 15, 3


def markdown(rows, words, classes, table):
    """Return the text of the Markdown file.

    Args:
        rows: Rows, one for each map.
        words: Rows, one for each word and class.
        classes: Tuple of two strings.
        table: String. Name of the CSV file.
    """
    cells = [
        [
            row["map"],
            *(criterion(row, kind) for kind in MEASURES),
            row["nats"],
            row["gradients"],
            row["processor_ms_per_sentence"],
        ]
        for row in rows
    ]
    first = rows[0]
    head = _HEAD.format(**first, zero=classes[0], one=classes[1])
    text = head + markdown_table(["map", *MEASURES, "nats", "gradients", "ms"], cells)
    text += _WORDS.format(least=_LEAST)
    columns = [_largest(words, name) for name in classes]
    longest = max(map(len, columns))
    columns = [column + [""] * (longest - len(column)) for column in columns]
    text += markdown_table(classes, zip(*columns))
    return f"{text}\n\n{provenance.made_at_once(rows, table)}"


def _largest(words, name):
    """Return the words of a class with the largest means, with these and their numbers."""
    rows = [row for row in words if row["class"] == name and int(row["occurrences"]) >= _LEAST]
    rows.sort(key=lambda row: -float(row["nats"]))
    return [
        f"{row['word']} {float(row['nats']):.2f} ({row['occurrences']})" for row in rows[:_SHOWN]
    ]
