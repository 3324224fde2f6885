"""The results of `applications.strong_attacks` as Markdown."""

import math

from applications.attacks.fgsm import EPSILONS
from applications.experiment import provenance
from applications.experiment.csv_tables import markdown_table
from applications.strong_attacks.row_runner import OWN_COLUMNS
from applications.strong_attacks.row_runner import STRENGTHS
from applications.table1.presets import table_name
from applications.table1.report import differences
from applications.table1.report import groups

# The keys are prefixes of the attacks' columns.
TITLES = {
    "fgsm": "FGSM",
    "fgsm_margin": "FGSM on the margin",
    "fgsm_one_draw": "FGSM, one draw",
    "fgsm_posterior_mean": "FGSM, posterior mean",
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
    """Return the name of a row: the classifier, and how it differs from the paper's."""
    r = f" r = {row['r']}" if row["r"] else ""
    name = f"{row['normalization']}{r}, {row['epochs']} epochs, seed {row['seed']}"
    calibrated = "calibrated" if row["calibrated"] == "True" else ""
    factor = float(row["rate_factor"])
    scaled = f"{factor:g} times the rate" if factor != 1.0 else ""
    logits = "mean logits" if row["average"] == "logits" else ""
    return ", ".join(filter(None, [name, differences(row), calibrated, scaled, logits]))


def has_attack(row, attack):
    """Return whether a row has the errors under an attack, which not every classifier has."""
    return bool(row[f"{attack}_eps_{STRENGTHS[0]}"])


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
    attacks, shares = [], []
    apart = provenance.telling_apart(rows)
    for row in in_order(rows):
        name = ", ".join(filter(None, [name_of(row), apart(row)]))
        table = [f"{float(row[f'table_eps_{eps}']):.2f}" for eps in EPSILONS]
        attacks.append([name, "FGSM, as in Table 1", "all", *table])
        for attack, title in TITLES.items():
            if not has_attack(row, attack):
                continue
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

The table shows the error in percent on the first test images ± the binomial standard error. Pixels
are clipped to their range. The first line of each row is from Table 1 and uses all test images.
PGD: {options}.
"On the margin" means that the attack follows the largest logit of another class minus the logit of
the true class, and not the cross-entropy. A classifier with a VIB classifies each attacked image
once, by the mean class probabilities of its draws. The attacks follow the gradient of these mean
probabilities, with new draws in every step. "One draw" follows the gradient of a single draw, and
"posterior mean" that of the same classifier where the mean of the posterior takes the place of a
draw. "Worst of all" compares the images of all attacks on an input, including weaker ones, and
takes the one that most of several further evaluations misclassify. Other attacks may be stronger.
For "calibrated" rows, `calibrate` first set the moving mean square to that of the training images,
as it was not in Table 1. "Times the rate" means that the moving mean square was divided by this
factor, which multiplies the rate at inference. "Mean logits" means that the classifier averages
the logits of its draws in place of their class probabilities.

{attacks}

The next table is about the same images before any attack. "Gradient is 0" is the percentage of
images for which the gradient of the cross-entropy that FGSM uses is exactly 0 in every pixel in
float32. "Cross-entropy is 0" is the percentage of images for which the probability of the true
class is 1 in float32, so that this class contributes nothing to the gradient. "Pixels of gradient
0" is the mean percentage of pixels in which the gradient is 0.

{shares}

`{file_name}` states what made each row.

{made_by}
"""
