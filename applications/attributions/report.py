"""The Markdown of `applications.attributions`."""

from applications.experiment import provenance
from applications.experiment.csv_tables import markdown_table

_HEAD = """# What a classifier looked at: maps compared

{model} on {dataset}, {epochs} epochs; {images} test images that it classifies right; {draws} draws;
amplitude with noise {noise} and beta {beta}. "x difference": times the image's difference from the
mean training image, as integrated gradients have it.

Areas under the class's probability as pixels are replaced by the mean training image
(deletion, lower is better) and put into the blurred image (insertion, higher is better), with
the standard error over images; in brackets the difference to "amplitude" with its own.
Random: Spearman's rank correlation of a map with that of the model whose last layer, or all
layers, have random weights: near 0 where a map depends on what was learnt. Cost: rows whose
gradient is taken for an image, and processor time on {device}, {backend}, compilation included.

"""
_COLUMNS = ("map", "deletion", "insertion", "random last layer", "all random", "gradients", "ms")


def markdown(rows, table):
    """Return the table for people.

    Args:
        rows: Dicts of strings, one for each map.
        table: Name of the CSV file.
    """
    cells = [
        [
            row["map"],
            _area(row, "deletion"),
            _area(row, "insertion"),
            row["random_last_layer"][:5],
            row["random_all_layers"][:5],
            row["gradients"],
            row["processor_ms_per_image"],
        ]
        for row in rows
    ]
    first = rows[0]
    model = f'{first["model"]} "{first["normalization"]}"'
    text = _HEAD.format(**{**first, "model": model}) + markdown_table(_COLUMNS, cells)
    made_by = f"`{first['command']}`, data sha256 {first['data_sha256'][:12]}"
    return (
        f"{text}\n\nMade by {made_by}; every number is in `{table}`.\n\n"
        f"{provenance.made_by(rows)}\n"
    )


def _area(row, kind):
    text = f"{float(row[kind]):.3f} ± {float(row[f'{kind}_error']):.3f}"
    if row["map"] == "amplitude":
        return text
    difference, error = (float(row[f"{kind}_less_amplitude{end}"]) for end in ("", "_error"))
    return f"{text} ({difference:+.3f} ± {error:.3f})"
