"""The tables of distance, width and cost, from the rows of a CSV file."""

import numpy as np

from applications.experiment.csv_tables import grouped
from applications.experiment.csv_tables import markdown_table
from applications.experiment.csv_tables import numbers
from applications.experiment.provenance import made_by

_TEXT = """# A latent in a known number of bits

Distance is the Kolmogorov-Smirnov distance of decoded draws from the posterior, in the dimension
where it is largest. A margin is the number of bits beyond the rate:
bits = ceil(rate / log 2 + margin). Each kind of posterior has {directions} random amplitudes, one
of which has all its nats in one dimension. "mean" has b = 0, "narrow" has a = 0 and b < 0, "mean
and narrow" has b < 0, and "mean and wide" has b > 0. A cell has the largest distance of an
amplitude for {latent_dims} latent dimensions, and in brackets the median over the amplitudes for
the number of dimensions where that is largest. These distances are estimates that do not compute
the candidates. The last table compares them with the coder.
"""
_WIDTHS = """
## A posterior wider than its prior

Standard deviation of decoded draws of {rate} nats in {latent_dim} dimensions of equal b > 0, in
{bits} bits, and the same after `keras_slashed.ops.narrow_amplitude`.

"""
_COSTS = """
## Cost of a block

Processor time on one core. Neither the rate nor the posterior matters. Each bit more doubles the
time to encode, and does not change the time to decode.

"""
_CODER = """
## The estimate and the coder

Two amplitudes of each kind, for blocks of so few bits that the coder takes little time. The coder's
distance is that of a sample of at most 4000 draws, which is 0.014 on average for exact draws.

"""


def markdown(rows):
    """Return all tables as a text."""
    of = grouped(rows, "measure")
    estimated = of[("distance, estimated",)]
    latent_dims = ", ".join(latent_dim for (latent_dim,) in grouped(estimated, "latent_dim"))
    text = _TEXT.format(directions=estimated[0]["directions"], latent_dims=latent_dims)
    for (stddev,), group in grouped(estimated, "candidate_stddev").items():
        text += f"\n## Candidates {stddev} times as wide as the prior\n\n{_distances(group)}\n"
    widths = of[("width",)]
    text += _WIDTHS.format(**widths[0])
    header = ["posterior", "candidates", "standard deviation", "of decoded draws"]
    cells = [
        [row["direction"], row["candidate_stddev"], row["stddev"], row["decoded_stddev"]]
        for row in widths
    ]
    text += markdown_table(header, cells) + "\n" + _COSTS
    costs = of[("cost",)]
    header = [
        "bits",
        *(f"k = {k}: encode, ms | decode, us" for (k,) in grouped(costs, "latent_dim")),
    ]
    header = " | ".join(header).split(" | ")
    cells = [
        [bits, *(cell for row in group for cell in (row["encode_ms"], row["decode_us"]))]
        for (bits,), group in grouped(costs, "bits").items()
    ]
    text += markdown_table(header, cells) + "\n" + _CODER
    text += _comparison(of[("distance, coder",)], of[("distance, estimated for these",)])
    return f"{text}\n\n{made_by(rows)}\n"


def _distances(rows):
    """Return a table with the worst distance over the dimensions k, by direction and margin."""
    margins = list(grouped(rows, "margin"))
    header = ["direction", "rate", *(f"margin {margin}" for (margin,) in margins)]
    cells = []
    for (direction, rate), group in grouped(rows, "direction", "rate").items():
        by_margin = grouped(group, "margin")
        cells.append([direction, rate, *(_cell(by_margin[margin]) for margin in margins)])
    return markdown_table(header, cells)


def _cell(rows):
    worst, median = numbers(rows, "worst_distance"), numbers(rows, "median_distance")
    return f"{worst.max():.3f} [{median.max():.3f}]"


def _comparison(measured, estimated):
    if not measured:
        return "None of the blocks has so few bits."
    header = ["direction", "rows", "mean of the coder's", "mean of the estimates",
              "largest difference"]  # fmt: skip
    cells = []
    by_direction = grouped(estimated, "direction")
    for (direction,), group in grouped(measured, "direction").items():
        found = numbers(group, "worst_distance")
        expected = numbers(by_direction[(direction,)], "worst_distance")
        difference = np.abs(found - expected).max()
        values = (f"{x:.3f}" for x in (found.mean(), expected.mean(), difference))
        cells.append([direction, len(group), *values])
    return markdown_table(header, cells)
