"""Small CIFAR-10 files of known pixels, in every format, written without the code that reads them.

Six batches of `SIZE` images instead of 10,000.
"""

import io
import struct
import tarfile

import numpy as np

SIZE = 4
NAMES = (*(f"data_batch_{number}" for number in range(1, 6)), "test_batch")


def images_and_labels():
    """Return random images (6 SIZE, 32, 32, 3) and labels 0 to 9."""
    rng = np.random.default_rng(0)
    images = rng.integers(0, 256, (6 * SIZE, 32, 32, 3), dtype="uint8")
    return images, rng.integers(0, 10, 6 * SIZE, dtype="uint8")


def batches(images, labels):
    """Return for each batch its rows of 3,072 bytes (red, green, blue) and its labels."""
    rows = images.transpose(0, 3, 1, 2).reshape(6, -1, 3072)
    return list(zip(NAMES, rows, labels.reshape(6, -1)))


def python_files(images, labels):
    """Return the files of the python version by name."""
    return {name: pickled_batch(x, y) for name, x, y in batches(images, labels)}


def binary_files(images, labels):
    """Return the files of the binary version by name."""
    return {
        f"{name}.bin": np.concatenate([y[:, None], x], axis=1).tobytes()
        for name, x, y in batches(images, labels)
    }


def tar_gz(files, folder, order=None):
    """Return an archive of files in a folder, in the order of their names if none is given."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz", compresslevel=1) as archive:
        for name in order or sorted(files):
            member = tarfile.TarInfo(f"{folder}/{name}")
            member.size = len(files[name])
            archive.addfile(member, io.BytesIO(files[name]))
    return buffer.getvalue()


def pickled_batch(rows, labels):
    """Return a batch as Python 2 pickled the original ones, opcode by opcode."""

    def text(string):
        return b"U" + bytes([len(string)]) + string

    dtype = (
        b"cnumpy\ndtype\n" + text(b"u1") + b"K\x00K\x01\x87R"  # dtype("u1", 0, 1)
        + b"(K\x03" + text(b"|") + b"NNNJ\xff\xff\xff\xffJ\xff\xff\xff\xffK\x00tb"
    )  # fmt: skip
    shape = b"".join(b"J" + struct.pack("<i", length) for length in rows.shape) + b"\x86"
    content = rows.tobytes()
    array = (
        b"cnumpy.core.multiarray\n_reconstruct\ncnumpy\nndarray\nK\x00\x85" + text(b"b") + b"\x87R"
        + b"(K\x01" + shape + dtype + b"\x89T" + struct.pack("<i", len(content)) + content + b"tb"
    )  # fmt: skip
    numbers = b"".join(b"K" + bytes([label]) for label in labels)
    return (
        b"\x80\x02}("
        + text(b"batch_label") + text(b"a batch")
        + text(b"labels") + b"](" + numbers + b"e"
        + text(b"data") + array
        + text(b"filenames") + b"](" + text(b"automobile_s_000001.png") + b"e"
        + b"u."
    )  # fmt: skip
