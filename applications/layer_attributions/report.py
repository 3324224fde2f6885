"""The table of `applications.layer_attributions` as Markdown."""

from applications.attributions.report import criterion
from applications.experiment import provenance
from applications.experiment.csv_tables import markdown_table

_HEAD = """# Attribution maps at layers compared

The classifier is {model} of width {width} on {dataset} after {epochs} epochs. It classifies
{accuracy:.1%} of the test images correctly. The maps are those of {images} of these images and of
{mosaics} mosaics of them. The amplitude and IBA have the same price, {beta} for the mean
information of all elements, {steps} steps of {draws} draws, and noise with the standard deviation
of each channel over training images.

Values are means ± standard errors. "Deletion" and "insertion" are areas under the class
probability. For deletion, pixels are replaced by the mean training image, and lower is better. For
insertion, pixels are inserted into the blurred image, and higher is better. The map of a layer is
interpolated to the size of the image. "Pointing" is the share of mosaics of 2 x 2 images of
different classes for which most of the map is in the quarter of the class that is asked for: chance
is 0.25. "Share" is the mean share of the map in that quarter. The difference from "amplitude" at
the same layer is in parentheses, with the standard error of paired differences. "Nats" is the
information per image. "Residual" is the mean distance of the amplitude from stationarity, between 0
and 2. "Random last layer" and "all random" are Spearman's rank correlations of maps
with those of the model whose last layer, or all of whose layers, have random weights, for
{sanity_images} images. "Gradients" is the number of rows per image whose gradient is computed, and
"ms" is the processor time per image on {device}, {backend}, including compilation.

"""
_CRITERIA = ("deletion", "insertion", "pointing")
_COLUMNS = (
    *("layer", "map", *_CRITERIA, "share", "nats", "residual"),
    *("random last layer", "all random", "gradients", "ms"),
)


def markdown(rows, table):
    """Return the Markdown of rows, one for each layer and map. `table` names their CSV file."""
    cells = [
        [
            f"{row['layer']} ({row['positions']})",
            row["map"],
            *(criterion(row, name) for name in _CRITERIA),
            f"{float(row['share']):.3f}",
            row["nats"] and f"{float(row['nats']):.3g}",
            row["residual"][:5],
            row["random_last_layer"][:5],
            row["random_all_layers"][:5],
            row["gradients"],
            row["processor_ms_per_image"],
        ]
        for row in rows
    ]
    first = rows[0]
    head = _HEAD.format(**{**first, "accuracy": float(first["accuracy"])})
    return f"{head}{markdown_table(_COLUMNS, cells)}\n\n{provenance.made_at_once(rows, table)}"
