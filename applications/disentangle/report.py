"""The table of `applications.disentangle` as Markdown."""

from applications.disentangle.config import ROWS
from applications.disentangle.config import Setting
from applications.disentangle.config import title
from applications.experiment import provenance
from applications.experiment.csv_tables import markdown_table
from applications.experiment.csv_tables import numbers

_COLUMNS = {
    "rate": "rate (nats)",
    "asked_rate": "asked",
    "mean_miss": "mean miss",
    "largest_miss": "largest",
    "inference_miss": "at inference",
    "reconstruction": "reconstruction (nats)",
    "mig": "MIG",
    "factor_vae": "FactorVAE",
    "disentanglement": "D",
    "completeness": "C",
    "informativeness": "I",
    "mig_of_draws": "MIG of draws",
    "disentanglement_of_draws": "D of draws",
    "active_units": "active units",
}
_HEAD = """# Disentanglement of {dataset}

VAEs with {latent_dim} latent dimensions after {epochs} epochs of {steps} steps with {batch_size}
images, measured on images that they were not trained on. With several seeds, the numbers are the
mean ± the standard deviation over seeds. `{file_name}` also has standard errors by the bootstrap
for each row.

"Asked" is the rate that a row was told at the end, in nats. The misses are distances between the
reached and the asked rate over the epochs of training: the mean, the largest, and the mean at
inference after each epoch. "Rate" and all other columns are measured after training, with
calibrated layers. D, C and I are disentanglement, completeness and informativeness, of posterior
means unless the column says "of draws", which are draws from the posteriors.

"""


def groups(rows):
    """Return groups of rows that differ only in their seed, in the order of `ROWS`."""
    found = provenance.groups_of_seeds(rows, [*Setting().columns(), "data_sha256"])
    order = list(ROWS)

    def place(group):
        row = group[0]
        return row["dataset"], order.index(row["row"]), float(row["gamma"] or 0)

    return sorted(found, key=place)


def markdown(rows, file_name):
    """Return the text of the table's Markdown file."""
    lines = [
        [title(group[0]), *(_cell(group, column) for column in _COLUMNS), len(group)]
        for group in groups(rows)
    ]
    head = _HEAD.format(**rows[0], file_name=file_name)
    table = markdown_table(["row", *_COLUMNS.values(), "seeds"], lines)
    return f"{head}{table}\n\n{provenance.made_by(rows)}\n"


def _cell(group, column):
    if group[0][column] == "":
        return ""
    values = numbers(group, column)
    mean = values.mean()
    if 0 < mean < 1e-3:
        return f"{mean:.0e}"
    digits = 1 if mean >= 20 else 2
    deviation = f" ± {values.std(ddof=1):.{digits}f}" if len(values) > 1 else ""
    return f"{mean:.{digits}f}{deviation}"
