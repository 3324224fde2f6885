"""The sentences of both texts: what is dropped, and what they have in common."""

import collections
import itertools

import numpy as np
import pytest

from applications.token_attributions import data as sentences
from applications.token_attributions import grammar

PARTS = ("train", "valid", "test")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("pierre <unk> N years old will join", ["pierre <unk> years old will join"]),
        ("what is it ? it is a `` cat '' , $ 5 ! !", ["what is it", "it is a cat"]),
        ("mr. smith of the u.s. ca n't ... .. say", ["mr smith of the u.s ca n't", "say"]),
        ("_UNK 's well-known *** friend 's 2nd (", ["<unk> 's well-known friend 's"]),
        (". ? 12", []),
    ],
)
def test_normalized(text, expected):
    found = sentences.normalized(text.split())
    assert [" ".join(sentence) for sentence in found] == expected


def test_only_words_of_both_texts_are_in_the_vocabulary():
    one = [["a", "b", "c"], ["a", "b", "<unk>"]]
    other = [["a", "b", "d", "<unk>"], ["a", "b", "a", "<unk>"], ["c"]]
    assert sentences.shared_vocabulary(one, other, 2).tokens[4:] == ("a", "b")
    assert sentences.shared_vocabulary(one, other, 1).tokens[4:] == ("a", "b", "c")


@pytest.fixture
def folder(tmp_path):
    """Two texts of random words: 30 that both have, and 10 of one text each."""
    rng = np.random.default_rng(0)

    def text(own, lines, ends):
        # Letters alone, since words with digits are dropped.
        words = [f"w{chr(97 + i // 6)}{chr(97 + i % 6)}" for i in range(30)]
        words += [f"{own}{chr(97 + i)}" for i in range(10)]
        share = [0.95 / 30] * 30 + [0.05 / 10] * 10
        rows = [rng.choice(words, rng.integers(5, 12), p=share) for _ in range(lines)]
        return "".join(" ".join(row) + f" {ends}\n" for row in rows), words

    for name in ("ptb", "yahoo"):
        (tmp_path / name).mkdir()
    for part, lines in (("train", 400), ("valid", 60), ("test", 60)):
        (tmp_path / "ptb" / f"ptb.{part}.txt").write_text(text("p", lines, "N")[0])
    for part in ("valid", "test"):
        content, words = text("y", 300, "?")
        (tmp_path / "yahoo" / f"yahoo.{part}.txt").write_text(content)
    tokens = ["<pad>", "<unk>", "<s>", "</s>", "_UNK", "?", *words]
    entries = "".join(f"{token} {number}\n" for number, token in enumerate(tokens))
    (tmp_path / "yahoo" / "yahoo.dict").write_text(entries)
    return tmp_path


def test_the_source_shows_neither_in_the_length_nor_in_the_spelling(folder):
    data = sentences.load(folder, min_length=6, max_length=10, min_count=5)
    assert set(data.vocabulary.tokens[4:]) == {f"w{a}{b}" for a in "abcde" for b in "abcdef"}
    for name in PARTS:
        part = getattr(data, name)
        lengths = part.mask.sum(axis=1)
        assert lengths.min() >= 6
        assert lengths.max() <= 10
        # Padding is behind the sentence.
        assert np.all(part.mask == (np.arange(10) < lengths[:, None]))
        for label in (0, 1):
            assert collections.Counter(lengths[part.y == label]) == collections.Counter(
                lengths[part.y == 1 - label]
            )
        unknown = (part.ids == data.vocabulary.unknown).sum(axis=1)
        assert np.all(unknown <= 0.2 * lengths)
    for share in data.unknown_shares():
        assert 0 < share < 0.1
        assert f"{100 * share:.1f} %" in data.preparation


def test_no_sentence_is_in_two_parts(folder):
    for data in (sentences.load(folder, max_length=10, min_count=5), sentences.load(seed=1)):
        parts = [set(map(tuple, getattr(data, part).ids)) for part in PARTS]
        for one, other in itertools.combinations(parts, 2):
            assert not one & other


def test_a_limit_and_a_seed(folder):
    data = sentences.load(folder, max_length=10, train_sentences=100)
    assert len(data.train.y) == 100
    assert data.train.y.sum() == 50
    assert sentences.load(folder, max_length=10, train_sentences=100).sha256 == data.sha256
    assert sentences.load(folder, max_length=10, train_sentences=100, seed=1).sha256 != data.sha256


def test_nothing_is_left(folder):
    with pytest.raises(ValueError, match=r"must have sentences of one length.*0 and 0 sentences"):
        sentences.load(folder, min_length=20, max_length=30)


def test_one_noun_of_the_grammar_decides():
    data = sentences.load(seed=3)
    for ids, label in zip(data.test.ids, data.test.y):
        words = data.words(ids)
        assert len([word for word in words if word in grammar.DECIDING[label]]) == 1
        assert not set(words) & set(grammar.DECIDING[1 - label])
    assert data.unknown_shares() == [0, 0]
