"""Table 1 as Markdown, next to the paper's numbers."""

import numpy as np

from applications.attacks.fgsm import EPSILONS
from applications.experiment import provenance
from applications.experiment.csv_tables import markdown_table
from applications.experiment.csv_tables import numbers
from applications.table1.config import default_setting
from applications.table1.presets import TABLE1
from applications.table1.presets import table_name

_FAR = 0.1  # a larger relative difference between set rate and test rate gets a remark
# Columns that name a row, or that the table shows separately.
_NAMES = ("dataset", "normalization", "r", "beta", "epochs", "seed")


def groups(rows, more=()):
    """Return groups of rows in the paper's order. The rows of a group differ only in their seed.

    Args:
        more: Sequence of strings. Names of further columns that identify a row.

    Returns:
        List of lists of rows.
    """
    deciding = [*default_setting("mnist").columns(), "data_sha256", *more]
    found = provenance.groups_of_seeds(rows, deciding)

    def place(group):
        row = group[0]
        order = list(TABLE1["mnist"])
        name = row["normalization"], row["r"]
        # The paper has neither other values of r nor a beta-VIB. The former come after the
        # other rows of their normalization, and the latter comes last.
        known = order.index(name) if name in order else len(order)
        names = [*(row for row, _ in order), "beta_vib"]
        first = names.index(row["normalization"])
        return row["dataset"], int(row["epochs"]), first, known, float(row["beta"] or 0)

    return sorted(found, key=place)


def errors(group):
    """Return mean and standard deviation over seeds of the error at each eps.

    It is the sample standard deviation, and None for one seed.
    """
    values = np.array([numbers(group, f"eps_{eps}") for eps in EPSILONS])
    return values.mean(-1), values.std(-1, ddof=1) if len(group) > 1 else None


def paper_errors(row):
    """Return the paper's errors for a row, or None for a data set that it does not have."""
    if row["dataset"] == "digits":
        return None
    return TABLE1[table_name(row["dataset"])].get((row["normalization"], row["r"]))


def differences(row):
    """Return a text that states how else a row differs from the paper's setting."""
    return provenance.differences(row, default_setting(row["dataset"]).columns(), _NAMES)


def rates(group):
    """Return texts of set and test rate in nats, averaged over seeds. "" means no rate.

    A test rate that is far from the set rate gets an asterisk.
    """
    texts, values = [], []
    for column in ("target_nats", "test_rate_nats"):
        known = [float(row[column]) for row in group if row[column]]
        values.append(np.mean(known) if known else None)
        texts.append(f"{values[-1]:.3f}" if known else "")
    if None not in values and abs(values[1] / values[0] - 1) > _FAR:
        texts[1] += "\\*"
    return texts


def _data_of(row):
    """Return the name of a row's data, and which part of them it used."""
    _, part, first = row["data"].partition(";")[0].partition("the first ")
    return ", ".join(filter(None, [row["dataset"], part + first]))


def markdown(rows, title, file_name):
    """Return the text of the table's Markdown file."""
    lines = []
    apart = provenance.telling_apart(rows)
    for group in groups(rows):
        row = group[0]
        mean, deviation = errors(group)
        paper = paper_errors(row)
        cells = [
            row["normalization"],
            row["r"] or row["beta"],
            _data_of(row),
            row["epochs"],
            ", ".join(filter(None, [differences(row), apart(row)])),
            provenance.seeds_of(group),
            *rates(group),
        ]
        for index in range(len(EPSILONS)):
            cell = f"{mean[index]:.2f}"
            if deviation is not None:
                cell += f" ± {deviation[index]:.2f}"
            if paper:
                cell += f" ({paper[index]:.2f}, {mean[index] - paper[index]:+.2f})"
            cells.append(cell)
        lines.append(cells)
    header = [
        "row",
        "r (or beta)",
        "data",
        "epochs",
        "else",
        "seeds",
        "set rate",
        "test rate",
        *(f"eps {eps}" for eps in EPSILONS),
    ]
    far = _FAR_OFF if any(line[7].endswith("*") for line in lines) else ""
    return (
        f"# {title}, {table_name(rows[0]['dataset'])}\n\n"
        "The table shows the error in percent under FGSM, with attacked pixels clipped to their "
        "range. For\nseveral seeds it is the mean ± the standard deviation. In parentheses are "
        "the paper's number (400 epochs,\nthe whole data) and the difference from it. Rates are in "
        "nats per image and averaged over seeds: the rate\nthat was set, and the rate of the test "
        f"images at inference. `{file_name}` states what made each\nrow, and has the errors "
        f"without clipping.\n\n{markdown_table(header, lines)}\n"
        f"{far}\n{provenance.made_by(rows)}\n"
    )


_FAR_OFF = """
\\* The rate of the test images differs from the set rate by more than 10 %. This row was evaluated
and attacked at another rate than its r says. At inference "batch" and "feature" divide by the
moving mean square from training, which lags behind amplitudes that still grow. Calling
`keras_slashed.calibration.calibrate` after training corrects this, but it was not called here. If
only one part is normalized (part=mean), the rate of the other part is added.
"""
