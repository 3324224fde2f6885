"""A trained LSTM VAE in files: its weights, its setting and which words it knows."""

import dataclasses
import hashlib
import json

from applications.datasets.unpacking import read_unpacked
from applications.experiment import sealed_weights
from applications.models import lstm_vae
from applications.table2.config import TextSetting


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
    description["sha256"] = _checksum(description)
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
        ValueError: The model was trained with another vocabulary, or one of its two files is
            damaged.
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
        # Files of earlier days have none.
        checksum = description.pop("sha256", None)
        if checksum not in (None, _checksum(description)):
            raise ValueError("its content has another checksum than when it was written")
        return TextSetting(**description["setting"]), description["vocabulary_fingerprint"]
    except (AttributeError, KeyError, RecursionError, TypeError, ValueError) as error:
        # Damaged, it may be any text.
        raise ValueError(
            f"{path.name} is damaged or describes no LSTM VAE: {type(error).__name__}: {error}"
        ) from error


def _checksum(description):
    return hashlib.sha256(json.dumps(description, sort_keys=True).encode()).hexdigest()


def _beside(path):
    return path.with_name(path.name.removesuffix(".weights.h5") + ".json")
