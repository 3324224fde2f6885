"""The rows of Table 1, at the paper's scale and at a short one."""

import dataclasses

from applications.paper_tables import TABLE1
from applications.setting import default_setting

# What a short run changes. CIFAR-10: the first 10,000 training and 2,000 test images.
_SHORT = {
    "mnist": {"epochs": 20},
    "digits": {"epochs": 20},
    "cifar10": {"dataset": "cifar10_small", "width": 16, "epochs": 4},
    "cifar10_small": {"width": 16, "epochs": 4},
}
PRESETS = ("paper", "short")


def table_name(dataset):
    """Return the name that a data set has in file names and in the paper's table."""
    return "cifar10" if dataset.startswith("cifar10") else dataset


def table1_rows(dataset, preset):
    """Return the settings of the paper's rows for a data set, in its order.

    Args:
        dataset: "mnist", "cifar10", or "digits" and "cifar10_small" in their place.
        preset: "paper", or "short": 20 epochs on MNIST; 4 epochs on 10,000 images with
            a ResNet18 of width 16 in place of CIFAR-10.
    """
    default = default_setting(dataset)
    if preset == "short":
        default = dataclasses.replace(default, **_SHORT[dataset])
    settings = []
    for row, r in TABLE1[table_name(dataset)]:
        changes = {"bottleneck": {"base": "none"}.get(row, row)}
        if r:
            changes = {"bottleneck": "vib", "normalization": row, "rate_multiplier": float(r)}
        settings.append(dataclasses.replace(default, **changes))
    return settings


def preset_of(setting):
    """Return the preset that a setting is of, whatever its seed, or ""."""
    setting = dataclasses.replace(setting, seed=0)
    for preset in PRESETS:
        for dataset in {setting.dataset, table_name(setting.dataset)}:
            if setting in table1_rows(dataset, preset):
                return preset
    return ""
