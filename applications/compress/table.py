"""The rows of the table: models at chosen bits, and the codecs of Pillow."""

import dataclasses
import math

import numpy as np

from applications.compress import classical
from applications.compress.config import CoderSetting
from applications.compress.measures import standard_error
from applications.compress.pictures import psnr
from applications.experiment import provenance
from applications.experiment.csv_tables import as_text
from keras_slashed.coding import bits_for

_QUANTILE = 0.99
_BITS_IN_A_BYTE = 8 * math.log(2)  # nats
_MEASURED = (
    "method", "model", "bits_chosen_by", "bits", "bytes", "bytes_alone", "bytes_without_header",
    "bound_bytes", "nats", "nats_error", "posterior_nats", "excess", "excess_error",
    "excess_of_tenth", "psnr", "posterior_psnr", "kl_mean", "kl_99", "kl_largest", "block_kl_99",
    "wider_than_prior", "widest", "folded_posterior_nats", "lossless_bytes",
)  # fmt: skip
_SETTING = tuple(field.name for field in dataclasses.fields(CoderSetting))
COLUMNS = (*_MEASURED, *_SETTING, "images", "data", "data_sha256", *provenance.COLUMNS)


def model_rows(setting, measures, chosen, most_bits):
    """Return the rows of a model, one for each choice of the bits of a block.

    Args:
        setting: `CoderSetting` of the model.
        measures: `Measures` of the model on the test images.
        chosen: List of pairs of how the bits were chosen and the bits of a block. The bits may
            be a sequence with those of each block of an image.
        most_bits: Integer. Rows with more bits in a block are not encoded.
    """
    rates = measures.rates
    of_image = rates.sum(axis=-1)
    posterior_nats, posterior_psnr = measures.posterior()
    of_model = {
        "method": "fixed rate" if setting.rate else "beta-VAE",
        "model": setting.name,
        "bound_bytes": as_text(of_image.mean() / _BITS_IN_A_BYTE),
        "posterior_nats": as_text(posterior_nats.mean()),
        "posterior_psnr": as_text(posterior_psnr),
        "kl_mean": as_text(of_image.mean()),
        "kl_99": as_text(np.quantile(of_image, _QUANTILE)),
        "kl_largest": as_text(of_image.max()),
        "block_kl_99": as_text(np.quantile(rates, _QUANTILE)),
        "wider_than_prior": as_text(np.mean(measures.stddev > 1)),
        "widest": as_text(measures.stddev.max()),
        "folded_posterior_nats": as_text(measures.folded().posterior()[0].mean()),
        **setting.columns(),
    }
    rows = []
    for how, bits in chosen:
        of_blocks = np.broadcast_to(bits, setting.blocks)
        size = of_blocks.sum() / 8
        row = {**of_model, "bits_chosen_by": how, "bits": as_text(of_blocks.mean()),
               "bytes": as_text(size)}  # fmt: skip
        if of_blocks.max() <= most_bits:
            nats, decibels = measures.coded(bits)
            excess = nats - posterior_nats
            largest = np.argsort(of_image)[-math.ceil(len(of_image) / 10) :]
            row |= {
                "nats": as_text(nats.mean()),
                "nats_error": as_text(standard_error(nats)),
                "excess": as_text(excess.mean()),
                "excess_error": as_text(standard_error(excess)),
                # With a fixed rate, no image has more than another.
                "excess_of_tenth": "" if setting.rate else as_text(excess[largest].mean()),
                "psnr": as_text(decibels),
            }
            if setting.pixels == "binary":
                row["lossless_bytes"] = as_text(size + nats.mean() / _BITS_IN_A_BYTE)
        rows.append(_complete(row))
    return rows


def quantile_bits(rates, margin):
    """Return the bits of each block of an image that suffice for 99 % of its rates.

    Args:
        rates: Array of shape `(number, blocks)`. Rates of the blocks in nats.
        margin: Float. Bits beyond the rate.
    """
    return bits_for(np.quantile(rates, _QUANTILE, axis=0), margin)


def codec_rows(pictures, images, qualities, noise):
    """Return the rows of the codecs of Pillow, and the decoded images of the smallest files.

    Args:
        pictures: `Pictures` that the images come from.
        images: Array of the images.
        qualities: Sequence of integers. Qualities of lossy codecs.
        noise: Float or None. Standard deviation of the normal likelihood, None for binary pixels,
            which a codec gives no probability.

    Returns:
        List of rows, and a dict from the name of each lossy codec to its `classical.Stored` at
        the lowest quality.
    """
    rows, smallest = [], {}
    for codec in classical.codecs_for(pictures.shades, images.shape[1:]):
        lossy = codec in classical.LOSSY
        for quality in sorted(qualities) if lossy else [None]:
            stored = classical.store(codec, images, pictures.shades, quality)
            if lossy:
                smallest.setdefault(codec, stored)
            row = {
                "method": codec,
                "model": f"quality {quality}" if lossy else "lossless",
                "bytes": as_text(stored.mosaic_bytes),
                "bytes_alone": as_text(stored.bytes),
                "bytes_without_header": as_text(stored.payload_bytes),
                "psnr": as_text(psnr(images, stored.images)),
            }
            if lossy and noise is not None:
                errors = np.square(images - stored.images).reshape(len(images), -1).sum(axis=-1)
                nats = errors / (2 * noise**2)
                row |= {"nats": as_text(nats.mean()), "nats_error": as_text(standard_error(nats))}
            if not lossy and pictures.shades == 2:
                row["lossless_bytes"] = row["bytes"]
            rows.append(_complete(row))
    return rows, smallest


def _complete(row):
    """Return a row with all columns that are measured or identify a model."""
    return {name: row.get(name, "") for name in (*_MEASURED, *_SETTING)}
