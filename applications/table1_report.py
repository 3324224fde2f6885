"""Table 1 as Markdown, beside the paper's numbers."""

import numpy as np

from applications.fgsm import EPSILONS
from applications.paper_tables import TABLE1
from applications.presets import table_name
from applications.results import markdown_table
from applications.setting import default_setting

# Columns of a row that are its name, or shown in columns of their own.
_NAMES = ("dataset", "normalization", "r", "beta", "epochs", "seed")


def groups(rows):
    """Return rows that differ in their seed alone together, in the paper's order.

    Args:
        rows: Of the table, dicts of strings.

    Returns:
        A list of lists of rows.
    """
    deciding = [*default_setting("mnist").columns(), "data_sha256"]
    found = {}
    for row in rows:
        key = tuple(row[name] for name in deciding if name != "seed")
        found.setdefault(key, []).append(row)

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

    return sorted(found.values(), key=place)


def errors(group):
    """Return mean and standard deviation over seeds of the error at each eps.

    The standard deviation is the sample's, None for one seed.
    """
    values = np.array([[float(row[f"eps_{eps}"]) for eps in EPSILONS] for row in group])
    return values.mean(0), values.std(0, ddof=1) if len(group) > 1 else None


def paper_errors(row):
    """Return the paper's errors for a row of the data set it used, or None."""
    if row["dataset"] == "digits":
        return None
    return TABLE1[table_name(row["dataset"])].get((row["normalization"], row["r"]))


def differences(row):
    """Return what else sets a row apart from the paper's setting, as a text."""
    default = default_setting(row["dataset"]).columns()
    others = [
        f"{name}={row[name]}"
        for name, value in default.items()
        if name not in _NAMES and row[name] not in (value, "")
    ]
    return ", ".join(others)


def markdown(rows, title, file_name):
    """Return the text of the table's Markdown file."""
    lines = []
    for group in groups(rows):
        row = group[0]
        mean, deviation = errors(group)
        paper = paper_errors(row)
        cells = [
            row["normalization"],
            row["r"] or row["beta"],
            row["dataset"],
            row["epochs"],
            differences(row),
        ]
        cells.append(", ".join(sorted((one["seed"] for one in group), key=int)))
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
        *(f"eps {eps}" for eps in EPSILONS),
    ]
    return (
        f"# {title}, {table_name(rows[0]['dataset'])}\n\n"
        "Error in percent under FGSM, attacked pixels clipped to their range; of several seeds the "
        "mean ± the\nstandard deviation; in brackets the paper's number (400 epochs, the whole "
        "data) and the difference.\nWhat made each row is in "
        f"`{file_name}`, with the errors without clipping.\n\n{markdown_table(header, lines)}\n"
    )
