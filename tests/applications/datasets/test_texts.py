import lzma
import pathlib
import re

import numpy as np
import pytest

from applications.datasets import texts
from applications.datasets.text_batches import TextBatches
from applications.datasets.text_batches import bucket_lengths
from tests.support import DATA
from tests.support import needs_data


@pytest.fixture
def numbered_file(tmp_path):
    """A file of 40 documents: number n is the word `w<n>` n + 1 times."""
    path = tmp_path / "numbers.txt"
    path.write_text("".join(" ".join([f"w{n}"] * (n + 1)) + "\n" for n in range(40)))
    return path


def test_a_file_is_split_and_its_vocabulary_is_the_training_part_s(numbered_file):
    data = texts.load(numbered_file)
    assert data.name == "numbers"
    np.testing.assert_array_equal(data.valid.lengths, [9, 19, 29, 39])
    np.testing.assert_array_equal(data.test.lengths, [10, 20, 30, 40])
    assert len(data.train) == 32
    assert len(data.vocabulary) == 4 + 32
    assert set(data.test.numbers) == {data.vocabulary.unknown}
    assert "train 32 documents" in data.describe()


@pytest.mark.parametrize(
    ("path", "name"),
    [
        ("some/folder/ptb.txt", "ptb_file"),
        ("ptb.gz", "ptb_file"),
        ("PTB.txt.xz", "PTB_file"),
        ("./yahoo", "yahoo_file"),
        ("data/ptb/ptb.train.txt.xz", "ptb_train"),
        ("yahoo.valid.txt", "yahoo_valid"),
        ("notes.v1.txt", "notes_v1"),
        ("notes.v2.txt", "notes_v2"),
        (".txt", "file"),
        (".gz", "file"),
        ("...", "file"),
        ("my text: a, b|c (2).txt", "my_text_a_b_c_2"),
        ("größe-β.txt", "größe-β"),
        ("../-rf *.txt", "rf"),
        ("a" * 300 + ".txt", "a" * 60),
    ],
)
def test_the_name_of_a_file(path, name):
    assert texts.file_name(path) == name


def test_a_file_of_the_name_of_a_known_text(numbered_file):
    for stem in ("ptb", "yahoo"):
        path = numbered_file.rename(numbered_file.with_name(f"{stem}.txt"))
        assert texts.load(path).name == f"{stem}_file"
        assert texts.load(str(path)).name == f"{stem}_file"
        numbered_file = path


def test_limits_and_a_vocabulary_of_one_s_own(numbered_file, tmp_path):
    data = texts.load(numbered_file, max_length=30, max_size=10, min_count=5)
    assert data.train.too_long == 8
    assert "8 too long left out" in data.describe()
    assert len(data.vocabulary) == 10
    data.vocabulary.write(tmp_path / "words.dict")
    again = texts.load(numbered_file, max_length=30, vocabulary=tmp_path / "words.dict")
    assert again.sha256 == data.sha256
    assert texts.load(numbered_file).sha256 != data.sha256
    with pytest.raises(ValueError, match=r"train part.*longer than max_length=0"):
        texts.load(numbered_file, max_length=0)


def test_parts_of_yahoo_are_split_anew(tmp_path):
    folder = tmp_path / "yahoo"
    folder.mkdir()
    (folder / "yahoo.dict").write_text("<pad> 0\n<unk> 1\n<s> 2\n</s> 3\n_UNK 4\nx 5\n")
    for part, length in (("valid", 1), ("test", 2)):
        text = (" ".join(["x"] * length) + "\n") * 20
        (folder / f"yahoo.{part}.txt.xz").write_bytes(lzma.compress(text.encode()))
    data = texts.load("yahoo", tmp_path)
    assert [len(part) for part in (data.train, data.valid, data.test)] == [32, 4, 4]
    np.testing.assert_array_equal(data.valid.lengths, [1, 1, 2, 2])
    assert "split again" in data.describe()


def test_a_part_twice(tmp_path):
    for name in ("ptb", "yahoo"):
        (tmp_path / name).mkdir()
    (tmp_path / "yahoo" / "yahoo.dict").write_text("<pad> 0\n<unk> 1\n<s> 2\n</s> 3\n")
    for part, text in (("train", "a b\n" * 9), ("valid", "a\n" * 20), ("test", "a\n" * 20)):
        (tmp_path / "ptb" / f"ptb.{part}.txt.xz").write_bytes(lzma.compress(text.encode()))
        (tmp_path / "yahoo" / f"yahoo.{part}.txt").write_text(text)
    for name in ("ptb", "yahoo"):
        with pytest.raises(ValueError, match=rf"{name}\.valid\.txt.* and {name}\.test\.txt.*twice"):
            texts.load(name, tmp_path)
    (tmp_path / "ptb" / "ptb.test.txt.xz").write_bytes(lzma.compress(b"b\n"))
    assert len(texts.load("ptb", tmp_path).test) == 1


def test_a_folder_in_place_of_a_file_and_a_text_too_short(tmp_path):
    (tmp_path / "ptb" / "ptb.train.txt").mkdir(parents=True)
    for part in ("valid", "test"):
        (tmp_path / "ptb" / f"ptb.{part}.txt").write_text("a\n")
    with pytest.raises(ValueError, match=r"ptb\.train\.txt is a folder"):
        texts.load("ptb", tmp_path)
    (tmp_path / "short.txt").write_text("a\nb\n")
    with pytest.raises(ValueError, match=r"valid part of short.*No document is left"):
        texts.load(tmp_path / "short.txt")


def test_a_known_text_has_its_own_vocabulary(tmp_path):
    with pytest.raises(ValueError, match=r"'ptb' has its own vocabulary.*words\.txt"):
        texts.load("ptb", tmp_path, vocabulary=tmp_path / "words.txt")


def test_missing_files(tmp_path):
    with pytest.raises(ValueError, match="'ptb' requires `data_dir`"):
        texts.load("ptb")
    with pytest.raises(FileNotFoundError, match=r"ptb\.train\.txt"):
        texts.load("ptb", tmp_path)


@needs_data
@pytest.mark.parametrize(
    ("name", "size", "documents", "tokens"),
    [("ptb", 10_002, 42_068, 887_521), ("yahoo", 20_001, 16_000, None)],
)
def test_the_original_texts(name, size, documents, tokens):
    data = texts.load(name, DATA)
    assert len(data.vocabulary) == size
    assert len(data.train) == documents
    assert data.train.empty == data.train.too_long == 0
    numbers = [data.train.numbers, data.valid.numbers, data.test.numbers]
    unknown = [np.sum(part == data.vocabulary.unknown) for part in numbers]
    if name == "ptb":
        assert len(numbers[0]) == tokens
        assert unknown == [45_020, 3_485, 4_794]
    else:
        assert sum(map(len, numbers)) == 790_680 + 788_673
        # of the two tokens that the vocabulary lacks
        text = b"".join(
            lzma.open(path).read() for path in pathlib.Path(DATA).glob("yahoo/*.txt.xz")
        )
        words = re.findall(rb"[^ \n]+", text)
        assert sum(unknown) == words.count(b"etorch.") + words.count(b"etorch..")
    lengths = bucket_lengths(data.train.lengths + 1)
    batches = TextBatches(data.train, data.vocabulary, 32, seed=0, lengths=lengths)
    assert batches.waste < 0.075
    assert len(batches.lengths) <= 13
