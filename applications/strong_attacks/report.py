"""What `applications.strong_attacks` found, as Markdown."""

import math

from applications.attacks.fgsm import EPSILONS
from applications.experiment import provenance
from applications.experiment.csv_tables import markdown_table
from applications.strong_attacks.row_runner import OWN_COLUMNS
from applications.strong_attacks.row_runner import STRENGTHS
from applications.table1.presets import table_name
from applications.table1.report import differences
from applications.table1.report import groups

# By the beginning of the names of an attack's columns.
TITLES = {
    "fgsm": "FGSM",
    "fgsm_margin": "FGSM on the margin",
    "pgd_crossentropy": "PGD",
    "pgd_margin": "PGD on the margin",
    "worst": "worst of all",
}
_SHARES = {
    "zero_gradient": "gradient is 0",
    "certain": "cross-entropy is 0",
    "zero_pixels": "pixels of gradient 0",
}


def name_of(row):
    """Return the name of a row: the classifier, and what else sets it apart."""
    r = f" r = {row['r']}" if row["r"] else ""
    name = f"{row['normalization']}{r}, {row['epochs']} epochs, seed {row['seed']}"
    others = differences(row)
    return f"{name}, {others}" if others else name


def errors_of(row, attack):
    """Return the errors under an attack at all `EPSILONS`, in percent."""
    return [float(row["eps_0.0"])] + [float(row[f"{attack}_eps_{eps}"]) for eps in STRENGTHS]


def standard_error(percent, images):
    """Return the binomial standard error of an error rate, both in percent."""
    share = float(percent) / 100
    return 100 * math.sqrt(share * (1 - share) / int(images))


def in_order(rows):
    """Return rows in the paper's order."""
    return [row for group in groups(rows, OWN_COLUMNS) for row in group]


def markdown(rows, file_name):
    """Return the text of the table's Markdown file."""
    rows = in_order(rows)
    attacks, shares = [], []
    apart = provenance.telling_apart(rows)
    for row in rows:
        name = ", ".join(filter(None, [name_of(row), apart(row)]))
        table = [f"{float(row[f'table_eps_{eps}']):.2f}" for eps in EPSILONS]
        attacks.append([name, "FGSM, as in Table 1", "all", *table])
        for attack, title in TITLES.items():
            cells = [
                f"{error:.1f} ± {standard_error(error, row['images']):.1f}"
                for error in errors_of(row, attack)
            ]
            attacks.append([name, title, row["images"], *cells])
        shares.append([name, *(f"{row[share]} %" for share in _SHARES)])
    used = {(row["steps"], row["restarts"], row["step_size"]) for row in rows}
    options = "; ".join(
        f"{steps} steps of {size} eps / {steps}, {restarts} random starts"
        for steps, restarts, size in sorted(used)
    )
    header = ["row", "attack", "test images", *(f"eps {eps}" for eps in EPSILONS)]
    return _TEXT.format(
        dataset=table_name(rows[0]["dataset"]),
        options=options,
        attacks=markdown_table(header, attacks),
        shares=markdown_table(["row", *_SHARES.values()], shares),
        file_name=file_name,
        made_by=provenance.made_by(rows),
    )


_TEXT = """# Stronger attacks than FGSM, {dataset}

Error in percent on the first test images, pixels kept in their range, ± the binomial standard
error; above them what Table 1 has for all test images. PGD: {options}.
"On the margin": what is followed is the greatest logit of another class less that of the true one,
in place of the cross-entropy. A classifier with a VIB is judged by the mean probabilities of its
draws, once for each image that an attack made, and attacked by the gradient of these, with fresh
draws in every step. "Worst of all": of an input's images of all attacks, weaker ones included, the
one that most of some further evaluations find wrong. The strongest attack there is may do more.

{attacks}

Of these images before any attack: the share whose gradient of the cross-entropy, as FGSM takes it
in float32, is exactly 0 in every pixel; the share whose cross-entropy is exactly 0, the probability
of the true class being 1 in float32, so that this class adds nothing to the gradient; and the mean
share of pixels in which the gradient is 0.

{shares}

What made each row is in `{file_name}`.

{made_by}
"""
