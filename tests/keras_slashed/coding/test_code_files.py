"""Files of codes: read as written, or refused."""

import hashlib
import struct

import numpy as np
import pytest

from keras_slashed.coding import BlockCode
from keras_slashed.coding import load_codes
from keras_slashed.coding import save_codes

MODEL, OTHER = 64 * "a", 63 * "a" + "b"


@pytest.fixture
def path(tmp_path):
    return tmp_path / "latents.codes"


def saved(path, fingerprint=MODEL):
    indices = np.random.default_rng(0).integers(0, 2**11, (3, 5))
    save_codes(path, BlockCode(11, seed=9, candidate_stddev=1.5), indices, fingerprint)
    return indices


@pytest.mark.parametrize("fingerprint", [MODEL, None])
def test_round_trip(path, fingerprint):
    indices = saved(path, fingerprint)
    code, found = load_codes(path, fingerprint)
    assert (code.bits, code.seed, code.candidate_stddev) == (11, 9, 1.5)
    np.testing.assert_array_equal(found, indices)
    # 56 bytes, 8 for each axis, 15 times 11 bits and a checksum of 32 bytes
    assert path.stat().st_size == 56 + 2 * 8 + 21 + 32
    assert [file.name for file in path.parent.iterdir()] == [path.name]


@pytest.mark.parametrize("shape", [(), (0, 4), (7,), (2, 1, 3)])
def test_shapes(path, shape):
    indices = np.zeros(shape, "uint32")
    save_codes(path, BlockCode(3), indices)
    assert load_codes(path)[1].shape == shape


def test_every_flipped_byte_is_refused(path):
    saved(path)
    content = path.read_bytes()
    rng = np.random.default_rng(1)
    for place in range(len(content)):
        damaged = bytearray(content)
        damaged[place] ^= int(rng.integers(1, 256))
        refused(path, bytes(damaged), "damaged")


def test_every_truncation_and_surplus_is_refused(path):
    saved(path)
    content = path.read_bytes()
    for length in range(len(content)):
        refused(path, content[:length], "damaged")
    for surplus in (b"\0", b"\0" * 32, content):
        refused(path, content + surplus, "damaged")
        refused(path, surplus + content, "damaged")


def refused(path, content, words):
    path.write_bytes(content)
    with pytest.raises(ValueError, match=words) as error:
        load_codes(path, MODEL)
    assert path.name in str(error.value)


@pytest.mark.parametrize(("written", "read"), [(MODEL, OTHER), (MODEL, None), (None, MODEL)])
def test_a_file_of_another_model_is_refused(path, written, read):
    saved(path, written)
    with pytest.raises(ValueError, match="was saved with"):
        load_codes(path, read)


@pytest.mark.parametrize(
    ("place", "value", "words"),
    [
        (8, struct.pack("<B", 2), "version 2"),
        (9, struct.pack("<B", 33), "bits"),
        (9, struct.pack("<B", 12), "bytes"),
        (10, struct.pack("<B", 200), "not written"),
        (12, struct.pack("<I", 2**31), "seed"),
        (48, struct.pack("<d", np.nan), "candidate_stddev"),
        (56, struct.pack("<Q", 2**63), "bytes"),
    ],
)
def test_impossible_files_with_a_right_checksum_are_refused(path, place, value, words):
    saved(path)
    content = bytearray(path.read_bytes()[:-32])
    content[place : place + len(value)] = value
    refused(path, bytes(content) + hashlib.sha256(content).digest(), words)


@pytest.mark.parametrize("fingerprint", ["", "a", 64 * "g", 64 * "A", b"a" * 64, 5])
def test_what_is_no_fingerprint(path, fingerprint):
    with pytest.raises(ValueError, match="fingerprint"):
        save_codes(path, BlockCode(3), [1], fingerprint)
    assert not path.exists()


def test_a_failed_write_leaves_the_old_file(path, monkeypatch):
    indices = saved(path)
    before = path.read_bytes()

    def fail(*args):
        raise OSError("no space left")

    monkeypatch.setattr("os.replace", fail)
    with pytest.raises(OSError, match="no space"):
        save_codes(path, BlockCode(11), indices + 0)
    assert path.read_bytes() == before
    assert [file.name for file in path.parent.iterdir()] == [path.name]


def test_what_is_no_code(path):
    with pytest.raises(ValueError, match=r"`code` must be a BlockCode.*None"):
        save_codes(path, None, [1])
    assert not path.exists()
