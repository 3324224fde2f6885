import gzip
import lzma

import pytest

from applications.datasets import published_sums
from applications.datasets.corpus import read_documents
from tests.damage import flipped_bits
from tests.damage import outcomes

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
    with pytest.raises(ValueError, match="not UTF-8: line 2 has the byte 0xef at position 2"):
        list(read_documents(path))


@pytest.mark.parametrize(
    ("suffix", "content", "message"),
    [
        (".gz", gzip.compress(TEXT.encode())[:-9], "damaged gzip"),
        (".xz", lzma.compress(TEXT.encode())[:-9], "damaged xz"),
        (".gz", TEXT.encode(), "expected it to start with 1f 8b, received 20 74"),
        (".xz", TEXT.encode(), "expected it to start with fd 37 7a 58 5a 00, received 20 74"),
        (".gz", b"", "expected it to start with 1f 8b, received nothing"),
        # zlib.error, where nothing is packed
        (".gz", b"\x1f\x8b\x08\x00\x00\x00\x00\x00\x00\x03\xff\xff", "damaged gzip"),
        # what follows the first stream
        (".xz", lzma.compress(b"a\n") + b"\xfe" + lzma.compress(b"b\n")[1:], "damaged xz"),
    ],
    ids=["cut gz", "cut xz", "no gz", "no xz", "empty gz", "no deflate", "second stream"],
)
def test_damaged_archive(tmp_path, suffix, content, message):
    path = tmp_path / f"text{suffix}"
    path.write_bytes(content)
    with pytest.raises(ValueError, match=rf"text{suffix} is .*{message}"):
        list(read_documents(path))


@pytest.mark.parametrize(("suffix", "pack"), [(".gz", gzip.compress), (".xz", lzma.compress)])
def test_a_flipped_bit_is_told_or_harmless(tmp_path, suffix, pack):
    path = tmp_path / f"text{suffix}"
    content = pack(TEXT.encode())
    told, harmless = outcomes(
        lambda: list(read_documents(path)), path, flipped_bits(content, number=200), DOCUMENTS
    )
    assert told > harmless


@pytest.mark.parametrize(("suffix", "pack"), [(".gz", gzip.compress), (".xz", lzma.compress)])
def test_several_streams_are_one_text(tmp_path, suffix, pack):
    path = tmp_path / f"text{suffix}"
    path.write_bytes(pack(b"a\nb") + bytes(4) + pack(b"c\n"))
    assert list(read_documents(path)) == [["a"], ["bc"]]


def test_a_byte_order_mark_belongs_to_no_token(tmp_path):
    path = tmp_path / "text.txt"
    path.write_text(TEXT, encoding="utf-8-sig", newline="")
    assert path.read_bytes().startswith(b"\xef\xbb\xbf")
    assert list(read_documents(path)) == DOCUMENTS
    path.write_text("a b", encoding="utf-8-sig")
    assert list(read_documents(path)) == [["a", "b"]]
    path.write_text("a b", encoding="utf-16")
    with pytest.raises(ValueError, match="not UTF-8: line 1 has the byte 0xff"):
        list(read_documents(path))


@pytest.mark.parametrize("content", [b"", b"\xef\xbb\xbf"], ids=["no byte", "a mark alone"])
@pytest.mark.parametrize(
    ("suffix", "pack"), [(".txt", bytes), (".gz", gzip.compress), (".xz", lzma.compress)]
)
def test_an_empty_file(tmp_path, content, suffix, pack):
    path = tmp_path / f"text{suffix}"
    path.write_bytes(pack(content))
    with pytest.raises(ValueError, match=rf"text{suffix} is empty"):
        list(read_documents(path))


def test_a_folder_in_place_of_a_file(tmp_path):
    with pytest.raises(ValueError, match=rf"{tmp_path.name} is a folder"):
        list(read_documents(tmp_path))


def test_another_part_of_penn_treebank(tmp_path, monkeypatch):
    sum_of_test = "60b725f10c9c85c70d97880dfe8191b3"  # of "a\n"
    monkeypatch.setitem(published_sums.SUMS, "ptb.test.txt", sum_of_test)
    for name in ("ptb.test.txt.xz", "mine.txt.xz"):
        (tmp_path / name).write_bytes(lzma.compress(b"a\n"))
        assert list(read_documents(tmp_path / name)) == [["a"]]
    (tmp_path / "ptb.train.txt").write_bytes(b"a\n")
    with pytest.raises(ValueError, match=r"ptb\.train\.txt has the wrong content.*ptb\.test\.txt"):
        list(read_documents(tmp_path / "ptb.train.txt"))


def test_missing_file(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"none\.txt"):
        list(read_documents(tmp_path / "none.txt"))
