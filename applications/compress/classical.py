"""JPEG, WebP, PNG and the fax code of Pillow: bytes and pixels of images that they store."""

import dataclasses
import io
import math
import struct

import numpy as np

from applications import extras

Image = extras.load("PIL.Image")

_ENCODINGS = {
    "JPEG": {"format": "JPEG", "optimize": True},
    "WebP": {"format": "WEBP", "method": 6},
    "WebP lossless": {"format": "WEBP", "lossless": True, "quality": 100, "method": 6},
    "PNG": {"format": "PNG", "optimize": True},
    "CCITT group 4": {"format": "TIFF", "compression": "group4"},
}
LOSSY = ("JPEG", "WebP")


@dataclasses.dataclass
class Stored:
    """What a codec makes of images."""

    codec: str  # name of the codec
    quality: int | None  # of a lossy codec
    bytes: float  # mean bytes of a file with one image
    payload_bytes: float  # without container and header, which all images of one shape could share
    mosaic_bytes: float  # bytes of one file with all images side by side, per image
    images: np.ndarray  # the decoded images of the files with one image, in [0, 1]
    mosaic_images: np.ndarray  # the same of the file with all images


def codecs_for(shades, shape):
    """Return the names of the codecs for images of these shades and this shape."""
    fax = shades == 2 and len(shape) == 2
    return [name for name in _ENCODINGS if fax or name != "CCITT group 4"]


def store(codec, images, shades, quality=None):
    """Store images one by one, and all of them in one file.

    Args:
        codec: String. A name that `codecs_for` returns.
        images: Array of pixels in [0, 1], of shape `(number, height, width)` or
            `(number, height, width, 3)`.
        shades: Integer. Number of values of a pixel.
        quality: Integer or None. Quality of a lossy codec.

    Returns:
        `Stored`.
    """
    options = dict(_ENCODINGS[codec])
    if quality is not None:
        options["quality"] = quality
    files = [_encode(image, shades, codec, options) for image in images]
    mosaic, cut = _mosaic(images)
    together = _encode(mosaic, shades, codec, options)
    return Stored(
        codec,
        quality,
        float(np.mean([len(file) for file in files])),
        float(np.mean([payload(file) for file in files])),
        len(together) / len(images),
        np.stack([_decode(file, image.shape) for file, image in zip(files, images)]),
        cut(_decode(together, mosaic.shape)),
    )


def _encode(image, shades, codec, options):
    picture = Image.fromarray(np.rint(255 * image).astype("uint8"))
    if shades == 2 and codec in ("PNG", "CCITT group 4"):
        picture = picture.convert("1", dither=Image.Dither.NONE)
    file = io.BytesIO()
    picture.save(file, **options)
    return file.getvalue()


def _decode(file, shape):
    picture = Image.open(io.BytesIO(file)).convert("RGB" if len(shape) == 3 else "L")
    return np.asarray(picture, "float32").reshape(shape) / 255


def _mosaic(images):
    """Return the images side by side as one image, and a function that cuts it again."""
    number, height, width = images.shape[:3]
    across = math.ceil(math.sqrt(number))
    down = math.ceil(number / across)
    mosaic = np.zeros((down, height, across, width, *images.shape[3:]), images.dtype)
    for index, image in enumerate(images):
        mosaic[index // across, :, index % across] = image

    def cut(picture):
        tiles = picture.reshape(mosaic.shape).swapaxes(1, 2)
        return tiles.reshape(down * across, *images.shape[1:])[:number]

    return mosaic.reshape(down * height, across * width, *images.shape[3:]), cut


def payload(file):
    """Return the bytes of a file that code pixels: without container, headers and tables.

    Args:
        file: Bytes of a JPEG, WebP, PNG or TIFF file.
    """
    if file[:2] == b"\xff\xd8":
        return _jpeg_payload(file)
    if file[:4] == b"RIFF":
        # VP8 begins with 10 bytes of signature and size, and VP8L with 5.
        return sum(size - {b"VP8 ": 10, b"VP8L": 5}.get(name, size) for name, size in _riff(file))
    if file[:4] == b"\x89PNG":
        # A zlib stream has 2 bytes of header and 4 of checksum.
        return sum(size for name, size in _png_chunks(file) if name == b"IDAT") - 6
    with Image.open(io.BytesIO(file)) as picture:
        return sum(picture.tag_v2[279])  # StripByteCounts


def _jpeg_payload(file):
    """Return the bytes between the header of the scan and the end of the image."""
    position = 2
    while True:
        marker, size = struct.unpack(">HH", file[position : position + 4])
        position += 2 + size
        if marker == 0xFFDA:  # start of scan
            return len(file) - position - 2


def _riff(file):
    """Yield names and sizes of the chunks of a RIFF file."""
    position = 12
    while position + 8 <= len(file):
        name, size = struct.unpack("<4sI", file[position : position + 8])
        yield name, size
        position += 8 + size + size % 2


def _png_chunks(file):
    """Yield names and sizes of the chunks of a PNG file."""
    position = 8
    while position < len(file):
        size, name = struct.unpack(">I4s", file[position : position + 8])
        yield name, size
        position += 12 + size
