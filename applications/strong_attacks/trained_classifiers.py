"""The trained classifiers in a folder that `applications.table1` or `classifier` wrote."""

import dataclasses

from applications.attacks.fgsm import EPSILONS
from applications.experiment.resumable_training import RowFiles
from applications.table1.config import Setting
from applications.table1.presets import table_name
from applications.table1.row_runner import result_table


def find_classifiers(folder, dataset, data_sha256, names=None):
    """Return the settings of trained classifiers, and their errors in the table.

    Args:
        folder: `pathlib.Path` of the output folder of the training.
        dataset: String. Name of the data set.
        data_sha256: String. Checksum of the data.
        names: Sequence of strings or None. Names of rows, like "base", "batch_r1" or "batch".
            With None, all rows are returned.

    Returns:
        List of pairs of a `Setting` and a tuple of strings, its errors under FGSM in percent at
        `EPSILONS`.

    Raises:
        ValueError: If a classifier is missing, in which case the message states the command
            that trains it, or if the table is damaged.
    """
    table = folder / f"table1_{table_name(dataset)}.csv"
    training = f"python -m applications.table1 --dataset {dataset}"
    if not table.exists():
        raise ValueError(
            f"No classifier was trained in {folder}: it has no {table.name}. Train them by\n"
            f"  {training} --output {folder}"
        )
    found = [
        (setting_of(row), row)
        for row in result_table(table).rows()
        if (row["dataset"], row["data_sha256"]) == (dataset, data_sha256)
    ]
    known = {name for setting, _ in found for name in names_of(setting)}
    missing = [name for name in names or () if name not in known]
    if missing or not found:
        rows = f" --rows {' '.join(missing)}" if missing else ""
        there = ", ".join(sorted({setting.short_name for setting, _ in found})) or "none"
        commands = sorted({row["command"] for _, row in found})
        like = "".join(f"\n  {command}" for command in commands)
        raise ValueError(
            f"{table} has no row {', '.join(missing)} of {dataset} with this data. It has: "
            f"{there}. Train the missing rows by\n  {training}{rows} --output {folder}"
            + (
                f"\nwith the options of the commands that made the other rows:{like}"
                if like
                else ""
            )
        )
    chosen = []
    for setting, row in found:
        if names is not None and not set(names) & set(names_of(setting)):
            continue
        path = RowFiles(folder, setting, data_sha256).model
        if not path.exists():
            raise ValueError(
                f"The weights of {setting.short_name} are not available: {path} is missing. Its "
                f"row was made by\n  {row['command']}\n"
                "Run this command with another --output to re-train it, because rows that are "
                "in the table are not trained again."
            )
        chosen.append((setting, tuple(row[f"eps_{eps}"] for eps in EPSILONS)))
    return chosen


def names_of(setting):
    """Return the names that select a setting: its row's name, without and with r."""
    return setting.row_name, setting.short_name


def setting_of(row):
    """Return the `Setting` of a row of the table, a dict of strings.

    Raises:
        ValueError: If the row and the setting disagree, because another version wrote the row.
    """
    values = dict(row, rate_multiplier=row["r"], bottleneck=_bottleneck(row["normalization"]))
    if values["bottleneck"] != "vib":
        del values["normalization"]
    kinds = {"bool": lambda text: text == "True", "int": int, "float": float, "str": str}
    given = {
        field.name: kinds[field.type.__name__](values[field.name])
        for field in dataclasses.fields(Setting)
        if values.get(field.name, "") != ""  # "" if the field does not apply to the row
    }
    setting = Setting(**given)
    differing = {
        name: (row.get(name), value)
        for name, value in setting.columns().items()
        if row.get(name) != value
    }
    if differing:
        raise ValueError(
            "The row was written by another version. These columns differ, as (value in the "
            f"row, value now): {differing}"
        )
    return setting


def _bottleneck(row_name):
    return {"base": "none", "dropout": "dropout", "beta_vib": "beta_vib"}.get(row_name, "vib")
