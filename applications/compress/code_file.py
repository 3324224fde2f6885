"""Images to one file of codes and back, with nothing but the file and the trained decoder."""

import pathlib

import keras
import numpy as np

from keras_slashed.coding import BlockCode
from keras_slashed.coding import fingerprint
from keras_slashed.coding import load_codes
from keras_slashed.coding import save_codes

_BATCH = 100


def bytes_per_image(blocks, bits):
    """Return the bytes of an image, an integer.

    Args:
        blocks: Integer. Blocks of an image.
        bits: Integer. Bits of a block.

    Raises:
        ValueError: If an image does not take whole bytes.
    """
    if blocks * bits % 8:
        raise ValueError(
            f"An image of {blocks} blocks with {bits} bits takes {blocks * bits} bits. "
            f"Expected: a multiple of 8, so that every image takes whole bytes"
        )
    return blocks * bits // 8


def write(images, encoder, decoder, bits, codes, model, seed=0):
    """Encode images to a file of codes, and save the decoder that reads it.

    Args:
        images: Array of images.
        encoder: `keras.Model` from images to amplitudes `(batch, blocks, 2 block_dim)`.
        decoder: `keras.Model` from latents `(batch, blocks, block_dim)` to outputs.
        bits: Integer. Bits of a block.
        codes: String or path. The file of codes. Every image takes `bytes_per_image`, next to a
            header and a checksum of 104 bytes together.
        model: String or path. The file of the decoder, which ends in `.keras`.
        seed: Integer. Seed of the draws.

    Returns:
        Array of the outputs, decoded from the indices in memory.
    """
    amplitude = encoder.predict(images, batch_size=_BATCH, verbose=0)
    bytes_per_image(amplitude.shape[1], bits)
    code = BlockCode(bits)
    indices = code.encode(amplitude, seed=seed)
    for path in (codes, model):
        pathlib.Path(path).parent.mkdir(parents=True, exist_ok=True)
    decoder.save(model)
    save_codes(codes, code, indices, fingerprint(decoder))
    z = keras.ops.convert_to_numpy(code.decode(indices, amplitude.shape[-1] // 2))
    return decoder.predict(z, batch_size=_BATCH, verbose=0)


def read(codes, model):
    """Decode the images of a file of codes.

    Args:
        codes: String or path. The file of codes.
        model: String or path. The file of the decoder.

    Returns:
        Array of the decoder's outputs.

    Raises:
        FileNotFoundError: If one of the files is missing.
        ValueError: If the file of codes is damaged, or was made for another decoder.
    """
    for path in (codes, model):
        if not pathlib.Path(path).exists():
            raise FileNotFoundError(f"{path} does not exist. `applications.compress` writes it.")
    decoder = keras.models.load_model(model, compile=False)
    code, indices = load_codes(codes, fingerprint(decoder))
    z = keras.ops.convert_to_numpy(code.decode(indices, decoder.input_shape[-1]))
    return decoder.predict(np.asarray(z), batch_size=_BATCH, verbose=0)
