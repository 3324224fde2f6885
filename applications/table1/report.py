"""Table 1 as Markdown, beside the paper's numbers."""

import numpy as np

from applications.attacks.fgsm import EPSILONS
from applications.experiment import provenance
from applications.experiment.csv_tables import markdown_table
from applications.experiment.csv_tables import numbers
from applications.table1.config import default_setting
from applications.table1.presets import TABLE1
from applications.table1.presets import table_name

_FAR = 0.1  # how far off the set rate a test rate is remarked on
# Columns of a row that are its name, or shown in columns of their own.
_NAMES = ("dataset", "normalization", "r", "beta", "epochs", "seed")


def groups(rows, more=()):
    """Return rows that differ in their seed alone together, in the paper's order.

    Args:
        rows: Of the table, dicts of strings.
        more: Names of further columns that tell rows apart.

    Returns:
        A list of lists of rows.
    """
    deciding = [*default_setting("mnist").columns(), "data_sha256", *more]
    found = provenance.groups_of_seeds(rows, deciding)

    def place(group):
        row = group[0]
        order = list(TABLE1["mnist"])
        name = row["normalization"], row["r"]
        # Rows of an r that the paper lacks come after those of their normalization, and
        # a beta-VIB, which it lacks too, after all.
        known = order.index(name) if name in order else len(order)
        names = [*(row for row, _ in order), "beta_vib"]
        first = names.index(row["normalization"])
        return row["dataset"], int(row["epochs"]), first, known, float(row["beta"] or 0)

    return sorted(found, key=place)


def errors(group):
    """Return mean and standard deviation over seeds of the error at each eps.

    The standard deviation is the sample's, None for one seed.
    """
    values = np.array([numbers(group, f"eps_{eps}") for eps in EPSILONS])
    return values.mean(-1), values.std(-1, ddof=1) if len(group) > 1 else None


def paper_errors(row):
    """Return the paper's errors for a row of the data set it used, or None."""
    if row["dataset"] == "digits":
        return None
    return TABLE1[table_name(row["dataset"])].get((row["normalization"], row["r"]))


def differences(row):
    """Return what else sets a row apart from the paper's setting, as a text."""
    return provenance.differences(row, default_setting(row["dataset"]).columns(), _NAMES)


def rates(group):
    """Return set and test rate in nats, means over seeds, as texts: "" without one.

    A test rate that is far off the set one has an asterisk.
    """
    texts, values = [], []
    for column in ("target_nats", "test_rate_nats"):
        known = [float(row[column]) for row in group if row[column]]
        values.append(np.mean(known) if known else None)
        texts.append(f"{values[-1]:.3f}" if known else "")
    if None not in values and abs(values[1] / values[0] - 1) > _FAR:
        texts[1] += "\\*"
    return texts


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
            row["dataset"],
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
        "Error in percent under FGSM, attacked pixels clipped to their range; of several seeds the "
        "mean ± the\nstandard deviation; in brackets the paper's number (400 epochs, the whole "
        "data) and the difference.\nRates in nats an image: the one that was set, and the one that "
        "the test images had at inference (mean\nover seeds). What made each row is in "
        f"`{file_name}`, with the errors without clipping.\n\n{markdown_table(header, lines)}\n"
        f"{far}\n{provenance.made_by(rows)}\n"
    )


_FAR_OFF = """
\\* The rate on the test images is more than 10 % off the set one: this row was judged, and
attacked, at another rate than its r says. At inference "batch" and "feature" divide by the moving
mean square of the training, which lags behind amplitudes that still grow;
`keras_slashed.calibration.calibrate` after training mends it, and was not used here. Where a part
alone is normalized (part=mean), the rate of the other part comes on top.
"""
