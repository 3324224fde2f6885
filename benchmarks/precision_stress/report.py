"""The results of `benchmarks.precision_stress` as Markdown."""

import numpy as np

from applications.experiment import csv_tables
from applications.experiment.csv_tables import grouped
from applications.experiment.csv_tables import numbers
from benchmarks.precision_stress.steps import SPIKE
from benchmarks.precision_stress.steps import WINDOW

_PARTS = {
    "nan": "NaN",
    "infinity": "infinity",
    "spike": "spike",
    "any": "any of these",
    "skipped": "skipped",
}
# Other sources are shown as they are.
_DATA = {"original IDX files": "MNIST"}
_TITLE = "# Training in low precision\n"
_STRESS = """
## Heads under stress

The model is a VAE with {depth} ReLU layers of {width} units in encoder and decoder and 16 latent
dimensions. It is trained on {data} with Adam and batches of {batch_size}, for {steps} steps from
the start for each learning rate and each of {seeds} seeds, on {backend}, {device}. All heads start
with the same weights, noise and posterior.

The first number is the percentage of bad steps, whose loss is NaN, infinite, or above {spike:g}
times the median of the last {window} finite losses. The second number is the median loss of the
last tenth of the steps in nats, as a median over seeds. "float32" after a head means that its layer
computes in float32, as that of stdplus always does.
"""
_WRONG = """
## What went wrong

The table shows percentages of steps, averaged over learning rates and seeds. Loss scaling skips a
step if a gradient is not finite. A few skipped steps at the start are its search for a scale.
"""
_POLICIES = """
## Rate and error by policy

A VIB at log(10) = 2.302585 nats and a VAE are trained through `model.fit` for {epochs} epochs of
{data}. The table shows the mean over {seeds} seeds, with the standard deviation in parentheses.
With mixed_float16 the loss is scaled.
"""


def condition(row):
    """Return the text of a policy, including whether the loss was scaled."""
    return row["policy"] + (", scaled" if row["loss_scaling"] == "yes" else "")


def percent(rows, column):
    """Return the mean of a column of shares, in percent."""
    return 100.0 * float(numbers(rows, column).mean())


def final_loss(rows):
    """Return the median over rows of the final loss, or NaN if half of them have none."""
    # A run that ended without a finite loss counts as the worst.
    losses = numbers(rows, "final_loss")
    loss = float(np.median(np.where(np.isnan(losses), np.inf, losses)))
    return loss if np.isfinite(loss) else float("nan")


def markdown(stress, policies):
    """Return all tables as Markdown, from rows of the stress test and of the training by policy."""
    text = _TITLE
    if stress:
        settings = {**_settings(stress), "spike": SPIKE, "window": WINDOW}
        text += _STRESS.format(**settings)
        for rows in grouped(stress, "policy", "loss_scaling").values():
            text += f"\n### {condition(rows[0])}\n\n{_stress_table(rows)}\n"
        text += _WRONG + "\n" + _parts_table(stress) + "\n"
    if policies:
        text += _POLICIES.format(**_settings(policies)) + "\n"
        text += _policies_table(policies) + "\n"
    return text


def _settings(rows):
    data, seeds = rows[0]["data"], len({row["seed"] for row in rows})
    return {**rows[0], "data": _DATA.get(data, data), "seeds": seeds}


def _stress_table(rows):
    rates = sorted({row["learning_rate"] for row in rows}, key=float)
    cells = []
    for (head,), of_head in grouped(rows, "head").items():
        by_rate = grouped(of_head, "learning_rate")
        cells.append([head, *(_share_and_loss(by_rate[(rate,)]) for rate in rates)])
    return csv_tables.markdown_table(["head", *(f"lr {rate}" for rate in rates)], cells)


def _share_and_loss(rows):
    if not rows:
        return ""
    loss = final_loss(rows)
    return f"{percent(rows, 'any'):.2f} %, " + (f"{loss:.3g}" if np.isfinite(loss) else "no loss")


def _parts_table(rows):
    cells = []
    for group in grouped(rows, "policy", "loss_scaling", "head").values():
        shares = [f"{percent(group, column):.2f}" for column in _PARTS]
        cells.append([condition(group[0]), group[0]["head"], *shares])
    return csv_tables.markdown_table(["policy", "head", *_PARTS.values()], cells)


def _policies_table(rows):
    cells = []
    for (model, policy), group in grouped(rows, "model", "policy").items():
        spreads = [
            _spread(group, column, digits)
            for column, digits in (("rate_nats", 6), ("test_error", 3), ("test_elbo_nats", 5))
        ]
        cells.append([model, policy, *spreads])
    header = ["model", "policy", "rate, nats", "test error, %", "test ELBO, nats"]
    return csv_tables.markdown_table(header, cells)


def _spread(rows, column, digits):
    if any(row[column] == "" for row in rows):
        return ""
    values = numbers(rows, column)
    return f"{np.mean(values):.{digits}g} ({np.std(values):.2g})"
