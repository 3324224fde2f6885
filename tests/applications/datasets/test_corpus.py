import numpy as np
import pytest

from applications.datasets.corpus import Corpus
from applications.datasets.vocabulary import Vocabulary

DOCUMENTS = [["a", "b"], [], ["c"], ["a", "a", "b", "c"]]
WORDS = Vocabulary.build(DOCUMENTS)  # a 4, b 5, c 6


def test_documents_are_kept_in_order_and_empty_ones_counted():
    corpus = Corpus.encode(DOCUMENTS, WORDS)
    assert (len(corpus), corpus.empty, corpus.too_long) == (3, 1, 0)
    np.testing.assert_array_equal(corpus.lengths, [2, 1, 4])
    assert [list(corpus[index]) for index in range(3)] == [[4, 5], [6], [4, 4, 5, 6]]


def test_a_document_longer_than_the_limit_is_left_out():
    corpus = Corpus.encode(DOCUMENTS, WORDS, max_length=2)
    assert (len(corpus), corpus.empty, corpus.too_long) == (2, 1, 1)
    with pytest.raises(ValueError, match="1 were empty, and 3 were longer than max_length=0"):
        Corpus.encode(DOCUMENTS, WORDS, max_length=0)


def test_rows_are_begin_document_end_padding():
    rows = Corpus.encode(DOCUMENTS, WORDS).padded([2, 0], 5, WORDS, rows=3)
    np.testing.assert_array_equal(
        rows, [[2, 4, 4, 5, 6, 3], [2, 4, 5, 3, 0, 0], [0, 0, 0, 0, 0, 0]]
    )
    assert rows.dtype == np.int32


def test_select():
    some = Corpus.encode(DOCUMENTS, WORDS).select([2, 1])
    assert [list(some[index]) for index in range(len(some))] == [[4, 4, 5, 6], [6]]
