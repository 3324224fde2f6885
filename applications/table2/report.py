"""Table 2 as Markdown, next to the paper's numbers."""

import json
import pathlib

import numpy as np

from applications.experiment import provenance
from applications.experiment.csv_tables import markdown_table
from applications.experiment.csv_tables import numbers
from applications.table2.config import TextSetting
from applications.table2.variants import TABLE2
from applications.table2.variants import VARIANTS

_MEASURES = ("nll", "kl", "au", "mi")
# Columns that the table shows separately, or that apply only to some rows.
_NAMES = ("dataset", "row", "epochs", "seed", "latent_dim", "rate_scale")


def read_measures(folder, row):
    """Return the arrays that `row_runner` wrote for a row, such as `nll_of_documents`."""
    path = pathlib.Path(folder) / "measures" / f"{row['label']}.json"
    return {name: np.array(values) for name, values in json.loads(path.read_text()).items()}


def groups(rows):
    """Return groups of rows in the paper's order. The rows of a group differ only in their seed."""
    found = provenance.groups_of_seeds(rows, [*TextSetting().columns(), "data_sha256"])
    order = list(VARIANTS)
    return sorted(found, key=lambda group: order.index(group[0]["row"]))


def markdown(rows, folder, file_name):
    """Return the text of the table's Markdown file.

    Args:
        folder: Path of the folder that holds `measures`.
        file_name: String. Name of the table's file.
    """
    found = groups(rows)
    references = {_company(group[0]): group for group in found if group[0]["row"] == "vae"}
    apart = provenance.telling_apart(rows)
    scales = {row["rate_scale"] for row in rows} - {""}

    def differences(row):
        others = provenance.differences(row, TextSetting().columns(), _NAMES)
        scale = f"rate_scale={row['rate_scale']}" if row["rate_scale"] and len(scales) > 1 else ""
        return ", ".join(filter(None, [others, scale, apart(row)]))

    every = {differences(group[0]) for group in found}
    lines = []
    for group in found:
        row = group[0]
        paper = TABLE2[row["row"]]
        cells = [VARIANTS[row["row"]].title, row["epochs"], provenance.seeds_of(group)]
        if len(every) > 1:
            cells.insert(1, differences(row))
        cells += [_cell(group, *pair) for pair in zip(_MEASURES[:1], paper)]
        cells.append(_gain(folder, group, references.get(_company(row))))
        cells += [_cell(group, *pair) for pair in zip(_MEASURES[1:], paper[1:])]
        lines.append(cells)
    header = ["row", "epochs", "seeds", "NLL", "NLL minus LSTM VAE's", "KL", "AU", "MI"]
    if len(every) > 1:
        header.insert(1, "not the paper's")
    everywhere = ""
    if len(every) == 1 and min(every):
        everywhere = f"All rows differ from the paper in: {min(every)}.\n"
    return (
        f"# Table 2, {rows[0]['dataset']}\n\n"
        "NLL, KL and MI are in nats per test document: the negative log-likelihood by importance "
        "sampling (100\ndraws unless the file states another number), the rate, and the mutual "
        "information. AU is the number of\nactive units among 32. The column `documents` of the "
        "file has the number of test documents. For several\nseeds the table shows the mean ± the "
        "standard deviation. In parentheses is the paper's number, for a text\nthat it does not "
        "name. The difference in NLL compares the same documents, ± its standard error, for the\n"
        f"first seed that both have. `{file_name}` states what made each row.\n"
        f"{everywhere}\n{markdown_table(header, lines)}\n\n"
        f"{provenance.made_by(rows)}\n"
    )


def _cell(group, name, paper):
    if not group[0][name]:
        return ""
    values = numbers(group, name)
    digits = 0 if name == "au" and len(values) == 1 else 2
    cell = f"{values.mean():.{digits}f}"
    if len(values) > 1:
        cell += f" ± {values.std(ddof=1):.2f}"
    return f"{cell} ({paper:g})" if paper is not None else cell


def _company(row):
    """Return what is equal in rows that are trained in the same way on the same data."""
    names = [*TextSetting().columns(), "data_sha256", "documents"]
    left_out = ("row", "seed", "latent_dim", "rate_scale", "num_samples")
    company = tuple(row[name] for name in names if name not in left_out)
    return *company, provenance.backend_of(row)


def _gain(folder, group, reference):
    """Return the mean difference in NLL from the LSTM VAE of the first seed of both."""
    if reference is None or group is reference:
        return ""
    seeds = {row["seed"]: row for row in reference}
    row = next((row for row in group if row["seed"] in seeds), None)
    if row is None:
        return ""
    pair = row, seeds[row["seed"]]
    mine, its = (read_measures(folder, one)["nll_of_documents"] for one in pair)
    difference = mine - its
    error = difference.std(ddof=1) / np.sqrt(len(difference))
    return f"{difference.mean():+.2f} ± {error:.2f}"
