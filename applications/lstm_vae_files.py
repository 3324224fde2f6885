"""A trained LSTM VAE in files: its weights, its setting and which words it knows."""

import dataclasses
import json

from applications import lstm_vae
from applications import sealed_weights
from applications.text_setting import TextSetting


def save(model, setting, vocabulary, path):
    """Write a model's weights, and beside them what `load` needs.

    Args:
        model: An `LSTMVAE`.
        setting: The `TextSetting` it was built of.
        vocabulary: The `Vocabulary` it was trained with.
        path: Of the weights, ending in `.weights.h5`; the setting goes beside it.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    model.training.save_weights(path)
    sealed_weights.seal(path)
    description = {
        "setting": dataclasses.asdict(setting),
        "vocabulary_size": len(vocabulary),
        "vocabulary_fingerprint": vocabulary.fingerprint,
    }
    _beside(path).write_text(json.dumps(description, indent=2) + "\n")


def load(path, vocabulary):
    """Read a model that `save` wrote.

    Args:
        path: Of the weights.
        vocabulary: The `Vocabulary` it was trained with.

    Returns:
        An `LSTMVAE`.

    Raises:
        FileNotFoundError: A file is not there.
        ValueError: The model was trained with another vocabulary, or its weights are damaged.
    """
    description = json.loads(_beside(path).read_text())
    vocabulary.check_fingerprint(description["vocabulary_fingerprint"])
    setting = TextSetting(**description["setting"])
    model = lstm_vae.build(len(vocabulary), **setting.build_options())
    sealed_weights.check(path)
    model.training.load_weights(path)
    return model


def _beside(path):
    return path.with_name(path.name.removesuffix(".weights.h5") + ".json")
