"""Save and load a trained LSTM VAE: its weights, its setting and its vocabulary's checksum."""

import dataclasses
import hashlib
import json

from applications.datasets.unpacking import read_unpacked
from applications.experiment import sealed_weights
from applications.models import lstm_vae
from applications.table2.config import TextSetting


def save(model, setting, vocabulary, path):
    """Write a model's weights, and next to them a file with what `load` needs.

    Args:
        model: `LSTMVAE` to save.
        setting: `TextSetting` that the model was built from.
        vocabulary: `Vocabulary` that the model was trained with.
        path: `pathlib.Path` of the weights, which ends in `.weights.h5`. The setting is written
            to a file next to it.
    """
    sealed_weights.save(model.training, path)
    description = {
        "setting": dataclasses.asdict(setting),
        "vocabulary_size": len(vocabulary),
        "vocabulary_fingerprint": vocabulary.fingerprint,
    }
    description["sha256"] = _checksum(description)
    _beside(path).write_text(json.dumps(description, indent=2) + "\n")


def load(path, vocabulary):
    """Read a model that `save` wrote.

    Args:
        path: `pathlib.Path` of the weights.
        vocabulary: `Vocabulary` that the model was trained with.

    Returns:
        `LSTMVAE`.

    Raises:
        FileNotFoundError: If a file does not exist.
        ValueError: If the model was trained with another vocabulary, or if one of its two files
            is damaged.
    """
    setting, fingerprint = _read_description(_beside(path))
    vocabulary.check_fingerprint(fingerprint)
    model = lstm_vae.build(len(vocabulary), **setting.build_options())
    sealed_weights.check(path)
    model.training.load_weights(path)
    return model


def _read_description(path):
    content = read_unpacked(path)
    try:
        description = json.loads(content)
        # Older files have no checksum.
        checksum = description.pop("sha256", None)
        if checksum not in (None, _checksum(description)):
            raise ValueError("the checksum of its content has changed since it was written")
        return TextSetting(**description["setting"]), description["vocabulary_fingerprint"]
    except (AttributeError, KeyError, RecursionError, TypeError, ValueError) as error:
        # A damaged file may contain any text.
        raise ValueError(
            f"{path.name} is damaged or does not describe an LSTM VAE: "
            f"{type(error).__name__}: {error}"
        ) from error


def _checksum(description):
    return hashlib.sha256(json.dumps(description, sort_keys=True).encode()).hexdigest()


def _beside(path):
    return path.with_name(path.name.removesuffix(".weights.h5") + ".json")
