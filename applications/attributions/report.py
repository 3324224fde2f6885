"""The results of `applications.attributions` as Markdown."""

from applications.experiment import provenance
from applications.experiment.csv_tables import markdown_table

_HEAD = """# Attribution maps compared

The classifier is {model} on {dataset} after {epochs} epochs. The maps are those of {images} test
images that it classifies correctly, with {draws} draws. The amplitude has noise {noise} and beta
{beta}. "x difference" means multiplied by the image's difference from the mean training image,
as in integrated gradients.

"Deletion" and "insertion" are areas under the class probability ± the standard error over images.
For deletion, pixels are replaced by the mean training image, and lower is better. For insertion,
pixels are inserted into the blurred image, and higher is better. The difference from "amplitude"
with its own standard error is in parentheses. "Random last layer" and "all random" are Spearman's
rank correlations of a map with the map of the model whose last layer, or all of whose layers, have
random weights. They are near 0 if the map depends on what the model learned. "Gradients" is the
number of rows per image whose gradient is computed, and "ms" is the processor time per image on
{device}, {backend}, including compilation.

"""
_COLUMNS = ("map", "deletion", "insertion", "random last layer", "all random", "gradients", "ms")


def markdown(rows, table):
    """Return the Markdown of rows, one for each map. `table` names their CSV file."""
    cells = [
        [
            row["map"],
            criterion(row, "deletion"),
            criterion(row, "insertion"),
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
    return f"{text}\n\n{provenance.made_at_once(rows, table)}"


def criterion(row, kind):
    """Return a criterion of a row with its error, and its difference from the amplitude."""
    text = f"{float(row[kind]):.3f} ± {float(row[f'{kind}_error']):.3f}"
    if row["map"] == "amplitude":
        return text
    difference, error = (float(row[f"{kind}_less_amplitude{end}"]) for end in ("", "_error"))
    return f"{text} ({difference:+.3f} ± {error:.3f})"
