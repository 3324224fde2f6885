"""The rows of Table 2, at the paper's scale and at a short one."""

import dataclasses

from applications.lstm_vae_variants import VARIANTS
from applications.text_setting import TextSetting

# What a short run changes. So that a learnable rate can move as far in 2 epochs as in the
# paper's 400, it moves faster.
_SHORT = {
    "num_layers": 1,
    "units": 128,
    "embedding_dim": 128,
    "epochs": 2,
    "learning_rate": 2e-3,
    "rate_scale": 100.0,
    "test_documents": 500,
}
PRESETS = ("paper", "short")


def table2_rows(dataset, preset):
    """Return the settings of the paper's rows for a text, in its order.

    Args:
        dataset: Name of the text.
        preset: "paper", or "short": one layer of width 128 in each part, 2 epochs.
    """
    changes = {"paper": {}, "short": _SHORT}[preset]
    return [TextSetting(dataset=dataset, row=row, **changes) for row in VARIANTS]


def preset_of(setting):
    """Return the preset that a setting is of, whatever its seed, or ""."""
    setting = dataclasses.replace(setting, seed=0)
    for preset in PRESETS:
        if setting in table2_rows(setting.dataset, preset):
            return preset
    return ""
