"""The rows of Table 2, at the paper's scale and at a short one."""

import dataclasses

from applications.lstm_vae_variants import VARIANTS
from applications.text_setting import TextSetting

# What a short run changes. A learnable rate moves faster: just so much that it can fall from
# 80 nats to 0 in the run, and leaves the decoder what time there is to find a use for them.
_SHORT = {
    "num_layers": 1,
    "units": 128,
    "embedding_dim": 128,
    "epochs": 4,
    "learning_rate": 2e-3,
    "rate_scale": 20.0,
    "test_documents": 500,
}
PRESETS = ("paper", "short")


def table2_rows(dataset, preset):
    """Return the settings of the paper's rows for a text, in its order.

    Args:
        dataset: Name of the text.
        preset: "paper", or "short": one layer of width 128 in each part, 4 epochs.
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
