import hashlib

import numpy as np
import pytest

from applications.datasets.vocabulary import SPECIAL
from applications.datasets.vocabulary import Vocabulary

DOCUMENTS = [["b", "a", "<unk>", "a"], ["c", "b", "a"], ["d", "<unk>"]]


def test_frequent_tokens_come_first_and_equals_in_order():
    words = Vocabulary.build(DOCUMENTS)
    assert words.tokens == ("<pad>", "<unk>", "<s>", "</s>", "a", "b", "c", "d")
    assert (words.unknown, words.begin, words.end, len(words)) == (1, 2, 3, 8)


@pytest.mark.parametrize(
    ("options", "tokens"),
    [(dict(max_size=6), ("a", "b")), (dict(min_count=2), ("a", "b")), (dict(max_size=5), ("a",))],
    ids=str,
)
def test_limits(options, tokens):
    assert Vocabulary.build(DOCUMENTS, **options).tokens == (*SPECIAL, *tokens)


def test_unknown_words_and_what_marks_no_part_of_a_text():
    words = Vocabulary.build(DOCUMENTS, max_size=6)
    numbers = words.encode(["a", "zebra", "<unk>", "<pad>", "<s>", "</s>", "b"])
    np.testing.assert_array_equal(numbers, [4, 1, 1, 1, 1, 1, 5])
    assert numbers.dtype == np.int32
    assert words.encode([]).shape == (0,)


def test_decoding_stops_at_the_end():
    words = Vocabulary.build(DOCUMENTS)
    assert words.decode([2, 4, 1, 5, 3, 4, 0, 0]) == "a <unk> b"
    assert words.decode(np.array([4, 4, 0])) == "a a"


def test_write_and_read(tmp_path):
    words = Vocabulary([*SPECIAL, "_UNK", "caf\u00e9", "a\u00a0b"])
    words.write(tmp_path / "words.dict")
    content = (tmp_path / "words.dict").read_bytes()
    assert content.startswith(b"<pad> 0\n<unk> 1\n<s> 2\n</s> 3\n_UNK 4\ncaf\xc3\xa9 5\n")
    assert Vocabulary.read(tmp_path / "words.dict").tokens == words.tokens


def test_the_order_of_lines_does_not_matter(tmp_path):
    path = tmp_path / "words.dict"
    path.write_text("x 4\n</s> 1\n<pad> 0\n<s> 3\n<unk> 2\n")
    words = Vocabulary.read(path)
    assert words.tokens == ("<pad>", "</s>", "<unk>", "<s>", "x")
    assert (words.end, words.unknown, words.begin) == (1, 2, 3)
    np.testing.assert_array_equal(words.encode(["x", "</s>", "y"]), [4, 2, 2])


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("<pad> 0\n<unk>\n", "Line 2 .*'<unk>'"),
        ("<pad> 0\nx one\n", "Line 2 .*'x one'"),
        ("<pad> 0\n<unk> 0\n", "number 0 twice"),
        ("<pad> 0\n<unk> 1\n<s> 3\n</s> 4\n", r"from 0 to 3\. Missing: \[2\]"),
        ("<unk> 0\n<pad> 1\n<s> 2\n</s> 3\n", "Token 0 .*<pad>"),
        ("<pad> 0\n<unk> 1\n<s> 2\n", r"Missing: \['</s>'\]"),
        ("<pad> 0\n<unk> 1\n<s> 2\n</s> 3\nx 4\nx 5\n", r"Repeated: \['x'\]"),
        (f"<pad> 0\nx {'9' * 5000}\n", "Line 2 .*'x 9999"),
        ("", "is empty"),
    ],
)
def test_bad_vocabulary_files(tmp_path, content, message):
    path = tmp_path / "words.dict"
    path.write_text(content)
    with pytest.raises(ValueError, match=message) as error:
        Vocabulary.read(path)
    assert "words.dict" in str(error.value)
    assert len(str(error.value)) < 300


def test_a_byte_order_mark_belongs_to_no_token(tmp_path):
    path = tmp_path / "words.dict"
    path.write_text("<pad> 0\n<unk> 1\n<s> 2\n</s> 3\nx 4\n", encoding="utf-8-sig")
    assert Vocabulary.read(path).tokens == (*SPECIAL, "x")


@pytest.mark.parametrize(
    ("options", "message"),
    [(dict(max_size=4), "max_size=4"), (dict(max_size=0), "0"), (dict(min_count=0), "min_count=0")],
    ids=str,
)
def test_bad_limits(options, message):
    with pytest.raises(ValueError, match=message):
        Vocabulary.build(DOCUMENTS, **options)


def test_a_checkpoint_of_another_vocabulary():
    words = Vocabulary.build(DOCUMENTS)
    joined = "<pad>\n<unk>\n<s>\n</s>\na\nb\nc\nd"
    assert words.fingerprint == hashlib.sha256(joined.encode()).hexdigest()
    words.check_fingerprint(words.fingerprint)
    swapped = Vocabulary([*words.tokens[:-2], "d", "c"])
    with pytest.raises(ValueError, match=f"another vocabulary.*{words.fingerprint[:12]}"):
        swapped.check_fingerprint(words.fingerprint)
