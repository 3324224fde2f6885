"""Checksums of the published data files."""

import hashlib

# Checksums of the unpacked files, which a re-packed copy shares. They are MD5, except for the
# binary version of CIFAR-10, for which only SHA-1 is published.
SUMS = {
    "train-images-idx3-ubyte": "6bbc9ace898e44ae57da46a324031adb",
    "train-labels-idx1-ubyte": "a25bea736e30d166cdddb491f175f624",
    "t10k-images-idx3-ubyte": "2646ac647ad5339dbf082846283269ea",
    "t10k-labels-idx1-ubyte": "27ae3e4e09519cfbb04c329615203637",
    "data_batch_1": "c99cafc152244af753f735de768cd75f",
    "data_batch_2": "d4bba439e000b95fd0a9bffe97cbabec",
    "data_batch_3": "54ebc095f3ab1f0389bbae665268c751",
    "data_batch_4": "634d18415352ddfa80567beed471001a",
    "data_batch_5": "482c414d41f54cd18b22e5b47cb7c3cb",
    "test_batch": "40351d587109b95175f43aff81a1287e",
    "data_batch_1.bin": "aadd24acce27caa71bf4b10992e9e7b2d74c2540",
    "data_batch_2.bin": "c0ba65cce70568cd57b4e03e9ac8d2a5367c1795",
    "data_batch_3.bin": "1dd00a74ab1d17a6e7d73e185b69dbf31242f295",
    "data_batch_4.bin": "aab85764eb3584312d3c7f65fd2fd016e36a258e",
    "data_batch_5.bin": "26e2849e66a845b7f1e4614ae70f4889ae604628",
    "test_batch.bin": "67eb016db431130d61cd03c7ad570b013799c88c",
    "ptb.train.txt": "f26c4b92c5fdc7b3f8c7cdcb991d8420",
    "ptb.valid.txt": "aa0affc06ff7c36e977d7cd49e3839bf",
    "ptb.test.txt": "8b80168b89c18661a38ef683c0dc3721",
}


def is_original(name, content, where):
    """Return whether a file has the content that was published under its name.

    Other content is not an error, because a subset or a modified copy is valid data too.

    Args:
        name: String. Name of the file. The result is False for names that are not in `SUMS`.
        content: Bytes. Content of the unpacked file.
        where: String. Name of the file in error messages.

    Raises:
        ValueError: If the content was published under another name, so that files were
            mixed up.
    """
    if name not in SUMS:
        return False
    kinds = (hashlib.md5, hashlib.sha1)
    sums = {kind(content, usedforsecurity=False).hexdigest() for kind in kinds}
    found = next((other for other, checksum in SUMS.items() if checksum in sums), None)
    if found not in (None, name):
        raise ValueError(
            f"{where} has the wrong content: expected that of {name}, received that of {found}"
        )
    return found == name
