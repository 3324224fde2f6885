"""Codecs of Pillow: what a file's bytes are made of, and that its pixels come back."""

import io
import struct

import numpy as np
import pytest

from applications import extras
from applications.compress import classical

Image = extras.load("PIL.Image")


def random_images(shape, shades, number=5):
    rng = np.random.default_rng(0)
    return (rng.integers(0, shades, (number, *shape)) / (shades - 1)).astype("float32")


@pytest.mark.parametrize(
    ("shape", "shades"), [((8, 8), 17), ((28, 28), 2), ((28, 28), 256), ((32, 32, 3), 256)]
)
def test_lossless_codecs_return_the_pixels(shape, shades):
    images = random_images(shape, shades)
    names = classical.codecs_for(shades, shape)
    assert ("CCITT group 4" in names) == (shades == 2)
    for name in names:
        stored = classical.store(name, images, shades, 50 if name in classical.LOSSY else None)
        assert stored.images.shape == stored.mosaic_images.shape == images.shape
        assert 0 < stored.payload_bytes < stored.bytes
        if name not in classical.LOSSY:
            for decoded in (stored.images, stored.mosaic_images):
                # 1/16 is no multiple of 1/255.
                np.testing.assert_allclose(decoded, images, atol=0.5 / 255 + 1e-6)


def test_a_lower_quality_takes_fewer_bytes_and_loses_more():
    images = np.kron(random_images((8, 8), 256), np.ones((4, 4), "float32"))
    for name in classical.LOSSY:
        low, high = (classical.store(name, images, 256, quality) for quality in (0, 90))
        assert low.bytes < high.bytes
        assert low.mosaic_bytes < low.bytes, "one header for all"
        errors = [np.mean(np.square(x.images - images)) for x in (low, high)]
        assert errors[0] > errors[1]


def test_payloads_are_what_the_formats_say():
    """A PNG without compression stores every row with one byte in front, in one zlib block."""
    picture = Image.fromarray(np.arange(64, dtype="uint8").reshape(8, 8))
    file = io.BytesIO()
    picture.save(file, "PNG", compress_level=0)
    assert classical.payload(file.getvalue()) == 5 + 8 * (1 + 8)
    # In a JPEG, the last scan begins after its header, whose length the file states.
    file = io.BytesIO()
    picture.save(file, "JPEG")
    content = file.getvalue()
    scan = content.rindex(b"\xff\xda")
    (header,) = struct.unpack(">H", content[scan + 2 : scan + 4])
    assert content.endswith(b"\xff\xd9")
    assert classical.payload(content) == len(content) - scan - 2 - header - 2
    # An uncompressed TIFF with 8 x 8 bytes.
    file = io.BytesIO()
    picture.save(file, "TIFF")
    assert classical.payload(file.getvalue()) == 64
    # RIFF: 12 bytes, a chunk's header of 8, and the signature of the lossless format.
    file = io.BytesIO()
    picture.save(file, "WEBP", lossless=True)
    content = file.getvalue()
    (size,) = struct.unpack("<I", content[16:20])
    assert content[12:16] == b"VP8L"
    assert classical.payload(content) == size - 5
