"""The description that lies next to the weights of an LSTM VAE, damaged in every way."""

import json
import types

import pytest

from applications.datasets.vocabulary import Vocabulary
from applications.table2 import model_files
from applications.table2.config import TextSetting
from tests.damage import flipped_bits
from tests.damage import outcomes

WORDS = Vocabulary.build([["a", "b"]])
SETTING = TextSetting(row="vae", units=8, num_layers=1)


@pytest.fixture
def path(tmp_path, monkeypatch):
    """Weights that nothing reads, as what is damaged is seen before any model is built."""
    training = types.SimpleNamespace(
        save_weights=lambda path: path.write_bytes(b"weights"), load_weights=lambda path: None
    )

    def build(size, **options):
        return types.SimpleNamespace(training=training, options=(size, options))

    monkeypatch.setattr(model_files.lstm_vae, "build", build)
    path = tmp_path / "models" / "row.weights.h5"
    model_files.save(build(0), SETTING, WORDS, path)
    assert model_files.load(path, WORDS).options == (len(WORDS), SETTING.build_options())
    return path


def test_a_flipped_bit_is_told_or_harmless(path):
    description = path.with_name("row.json")
    contents = flipped_bits(description.read_bytes(), number=300)

    def read():
        return model_files.load(path, WORDS).options

    refused, harmless = outcomes(read, description, contents, expected=read())
    assert harmless < 40 < refused, "of white space, and of the key of the checksum"


@pytest.mark.parametrize(
    "content",
    [b"", b"\x89HDF", b"{}", b"[]", b"null", b'"text"', b"\xff\xfe", b"[" * 100_000,
     b'{"setting": [1], "vocabulary_fingerprint": ""}',
     b'{"setting": {"size": 3}, "vocabulary_fingerprint": ""}'],
)  # fmt: skip
def test_another_content(path, content):
    path.with_name("row.json").write_bytes(content)
    with pytest.raises(ValueError, match=r"row\.json is damaged or does not describe an LSTM VAE"):
        model_files.load(path, WORDS)


def test_folders_in_place_of_files(path):
    path.unlink()
    path.mkdir()
    with pytest.raises(ValueError, match=r"row\.weights\.h5 is damaged"):
        model_files.load(path, WORDS)
    description = path.with_name("row.json")
    description.unlink()
    description.mkdir()
    with pytest.raises(ValueError, match=r"row\.json is a folder"):
        model_files.load(path, WORDS)


def test_a_description_without_a_checksum_is_read(path):
    description = path.with_name("row.json")
    entries = json.loads(description.read_text())
    del entries["sha256"]
    description.write_text(json.dumps(entries))
    model_files.load(path, WORDS)
    with pytest.raises(ValueError, match="trained with another vocabulary"):
        model_files.load(path, Vocabulary.build([["others"]]))
