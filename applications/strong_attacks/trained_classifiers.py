"""The trained classifiers of a folder that `applications.table1` or `classifier` wrote."""

import dataclasses

from applications.attacks.fgsm import EPSILONS
from applications.experiment.resumable_training import RowFiles
from applications.table1.config import Setting
from applications.table1.presets import table_name
from applications.table1.row_runner import result_table


def find_classifiers(folder, dataset, data_sha256, names=None):
    """Return the settings of trained classifiers, and what their table says of them.

    Args:
        folder: The output folder of the training, a `pathlib.Path`.
        dataset: Name of the data set.
        data_sha256: Checksum of the data.
        names: Of rows, like "base", "batch_r1" or "batch"; all rows by default.

    Returns:
        A list of pairs of a `Setting` and a tuple of strings: its errors under FGSM in
        percent, at `EPSILONS`.

    Raises:
        ValueError: A classifier is not there, and the message says what trains it; or the
            table is damaged.
    """
    table = folder / f"table1_{table_name(dataset)}.csv"
    training = f"python -m applications.table1 --dataset {dataset}"
    if not table.exists():
        raise ValueError(
            f"No classifier was trained in {folder}: it has no {table.name}. They are trained by\n"
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
        presets = {row["preset"] for _, row in found} - {""}
        preset = f" --preset {presets.pop()}" if len(presets) == 1 else ""
        rows = f" --rows {' '.join(missing)}" if missing else ""
        there = ", ".join(sorted({setting.short_name for setting, _ in found})) or "none"
        raise ValueError(
            f"{table} has no row {', '.join(missing)} of {dataset} with this data; it has: "
            f"{there}. What is missing is trained by\n"
            f"  {training}{preset}{rows} --output {folder}"
        )
    chosen = []
    for setting, row in found:
        if names is not None and not set(names) & set(names_of(setting)):
            continue
        path = RowFiles(folder, setting, data_sha256).model
        if not path.exists():
            raise ValueError(
                f"The weights of {setting.short_name} are not at hand: {path} is missing. Its "
                f"row was made by\n  {row['command']}\n"
                "which trains it again in another --output: a row that is in the table is not."
            )
        chosen.append((setting, tuple(row[f"eps_{eps}"] for eps in EPSILONS)))
    return chosen


def names_of(setting):
    """Return the names by which a setting can be chosen: its row, and that with its r."""
    return setting.row_name, setting.short_name


def setting_of(row):
    """Return the `Setting` of a row of the table, a dict of strings.

    Raises:
        ValueError: The row says otherwise than the setting: it is of another version.
    """
    values = dict(row, rate_multiplier=row["r"], bottleneck=_bottleneck(row["normalization"]))
    if values["bottleneck"] != "vib":
        del values["normalization"]
    kinds = {"bool": lambda text: text == "True", "int": int, "float": float, "str": str}
    given = {
        field.name: kinds[field.type.__name__](values[field.name])
        for field in dataclasses.fields(Setting)
        if values.get(field.name, "") != ""  # what does not concern the row
    }
    setting = Setting(**given)
    differing = {
        name: (row.get(name), value)
        for name, value in setting.columns().items()
        if row.get(name) != value
    }
    if differing:
        raise ValueError(f"A row of another version: (its value, value now) of {differing}")
    return setting


def _bottleneck(row_name):
    return {"base": "none", "dropout": "dropout", "beta_vib": "beta_vib"}.get(row_name, "vib")
