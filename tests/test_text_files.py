import gzip
import lzma

import pytest

from applications.text_files import read_documents

# A no-break space, a line separator and a tab are part of a token.
TEXT = " the cat sat \n\nna\u00efve\u00a0x a\u2028b  c\td\r\nlast"
DOCUMENTS = [["the", "cat", "sat"], [], ["na\u00efve\u00a0x", "a\u2028b", "c\td"], ["last"]]


@pytest.mark.parametrize(
    ("suffix", "pack"), [(".txt", bytes), (".gz", gzip.compress), (".xz", lzma.compress)]
)
def test_documents_are_lines_and_tokens_are_between_spaces(tmp_path, suffix, pack):
    path = tmp_path / f"text{suffix}"
    path.write_bytes(pack(TEXT.encode()))
    assert list(read_documents(path)) == DOCUMENTS
    assert list(read_documents(str(path))) == DOCUMENTS


@pytest.mark.parametrize(
    ("suffix", "pack"), [(".txt", bytes), (".gz", gzip.compress), (".xz", lzma.compress)]
)
def test_not_utf8(tmp_path, suffix, pack):
    path = tmp_path / f"text{suffix}"
    path.write_bytes(pack("fine\nna\u00efve".encode("latin-1")))
    with pytest.raises(ValueError, match="not UTF-8: line 2 holds the byte 0xef at position 2"):
        list(read_documents(path))


@pytest.mark.parametrize(
    ("suffix", "content"),
    [
        (".gz", gzip.compress(TEXT.encode())[:-9]),
        (".xz", lzma.compress(TEXT.encode())[:-9]),
        (".gz", TEXT.encode()),
        (".xz", TEXT.encode()),
    ],
    ids=["cut gz", "cut xz", "no gz", "no xz"],
)
def test_damaged_archive(tmp_path, suffix, content):
    path = tmp_path / f"text{suffix}"
    path.write_bytes(content)
    with pytest.raises(ValueError, match=f"damaged {suffix}"):
        list(read_documents(path))


def test_missing_file(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"none\.txt"):
        list(read_documents(tmp_path / "none.txt"))
