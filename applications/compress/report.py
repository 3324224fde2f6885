"""The results of `applications.compress` as Markdown."""

import math

from applications.experiment import provenance
from applications.experiment.csv_tables import markdown_table

_FILE = """# {dataset}, {pixels}: {images} images of {of_image} bytes

The file `{name}` has {bytes} bytes: {images} images of exactly {of_image} bytes, and {header}
bytes of header and checksum. An image is {blocks} blocks of {rate:g} nats ({bound:.1f} bits), each
of them in {bits} bits. Stored raw, an image takes {raw:g} bytes. The images that a decoder loaded
from another file decodes from it {same} those decoded from memory.

The models had {epochs} epochs, which is short. Other settings are options of the command.
{distortion}
"±" is the standard error over images. PSNR belongs to the mean squared error of all images.
"""
_NATS = {
    "binary": "Nats are those of a Bernoulli likelihood.",
    "shades": "Nats are `||x - y||^2 / (2 s^2)` with s = {noise}, for pixels in [0, 1].",
}
_MODELS = """
## Fixed rates

"Bound" is the rate divided by log 2. "Posterior" is the distortion of draws from the posterior,
which no code with these bytes can store for certain. "Decoded" is that of decoded draws. "Margin"
has the bits of `bits_for(rate, {margin:g})`, "sweep" other bits, and "equal" those of the file.

"""
_BETA = """
## Beta-VAEs: the rate differs

The same networks without a fixed rate. "Equal" codes each block in the {bits} bits of the file
above. "Quantile" gives block i of every image the bits that suffice for 99 % of the test images,
which a real code would have to choose without them. "99 %" and "largest" are of the KL of an
image, in nats. "Worst tenth" is the difference for the tenth of the images with the largest KL.
Nothing is decoded where a block would need more bits than the command allows.

"""
_CODECS = """
## Pillow's codecs

"One file" stores all {images} images side by side in one file. "Alone" is a file an image. "Without
header" leaves out container, headers and tables of that file.

"""
_WIDTH = """
## Posteriors wider than the prior

A block with a posterior that is wider than the prior (b > 0) needs more bits than its rate says.
"Wider" is the share of latent dimensions of the test images with b > 0. "Widest" is the largest
standard deviation, where the prior has 1. "Folded" replaces b by -|b| after training, which keeps
the rate. Models called "folded" were trained so.

"""
_LOSSLESS = """
## Lossless

With the decoder's probabilities, an arithmetic coder could store what is left of a binary image in
about its nats / log 2 bits. This column is computed, and no such file is written.

"""


def markdown(rows, file, pictures, table):
    """Return the text of the Markdown file.

    Args:
        rows: List of dicts of strings, the rows of the table.
        file: Dict of what is known of the file of codes.
        pictures: `Pictures` that the images come from.
        table: String. Name of the CSV file.
    """
    first = rows[0]
    fixed = [row for row in rows if row["method"] == "fixed rate"]
    beta = [row for row in rows if row["method"] == "beta-VAE"]
    codecs = [row for row in rows if row["bytes_alone"]]
    distortion = _NATS[first["pixels"]].format(noise=first["noise"])
    parts = [
        _FILE.format(
            **{**file, "same": "equal" if file["same"] else "differ from"},
            dataset=first["dataset"],
            pixels=first["pixels"],
            header=file["bytes"] - file["payload"],
            bound=file["rate"] / math.log(2),
            raw=pictures.raw_bytes,
            epochs=first["epochs"],
            distortion=distortion,
        ),
        _MODELS.format(**file) + _table_of(fixed, _COLUMNS),
    ]  # fmt: skip
    if beta:
        columns = ("model", "chosen", "bits", "bytes", "bound", "99 %", "largest", *_DISTORTION,
                   "worst tenth")  # fmt: skip
        parts.append(_BETA.format(**file) + _table_of(beta, columns))
    columns = ("codec", "quality", "one file", "alone", "without header", "PSNR, dB")
    parts.append(_CODECS.format(**file) + _table_of(codecs, columns))
    one_each = list({row["model"]: row for row in fixed + beta}.values())
    parts.append(_WIDTH + _table_of(one_each, ("model", "wider", "widest", "posterior", "folded")))
    lossless = [row for row in rows if row["lossless_bytes"]]
    if lossless:
        columns = ("method", "model", "bytes", "nats", "lossless bytes")
        parts.append(_LOSSLESS + _table_of(lossless, columns))
    made_by = f"`{first['command']}`, data sha256 {first['data_sha256'][:12]}"
    parts.append(
        f"\nMade by {made_by} ({first['data']}). All numbers are in `{table}`.\n\n"
        f"{provenance.made_by(rows)}\n"
    )
    return "".join(parts)


def _rounded(name, digits):
    return lambda row: f"{float(row[name]):.{digits}f}" if row[name] else ""


def _with_error(name, error):
    return lambda row: (
        f"{float(row[name]):.2f} ± {float(row[error]):.2f}" if row[name] else "not decoded"
    )


_DISTORTION = ("posterior, nats", "decoded, nats", "difference", "decoded, dB")
_COLUMNS = ("model", "chosen", "bits", "bytes", "bound", *_DISTORTION)
_CELLS = {  # how each column of the Markdown tables is written
    "model": lambda row: row["model"],
    "method": lambda row: row["method"],
    "codec": lambda row: row["method"],
    "quality": lambda row: row["model"].removeprefix("quality "),
    "chosen": lambda row: row["bits_chosen_by"],
    "bits": lambda row: f"{float(row['bits']):.4g}",
    "bytes": _rounded("bytes", 1),
    "bound": _rounded("bound_bytes", 1),
    "99 %": _rounded("kl_99", 1),
    "largest": _rounded("kl_largest", 1),
    "posterior, nats": _rounded("posterior_nats", 2),
    "decoded, nats": _with_error("nats", "nats_error"),
    "difference": _with_error("excess", "excess_error"),
    "worst tenth": _rounded("excess_of_tenth", 2),
    "decoded, dB": _rounded("psnr", 2),
    "PSNR, dB": _rounded("psnr", 2),
    "one file": _rounded("bytes", 1),
    "alone": _rounded("bytes_alone", 1),
    "without header": _rounded("bytes_without_header", 1),
    "wider": lambda row: f"{100 * float(row['wider_than_prior']):.2g} %",
    "widest": _rounded("widest", 3),
    "posterior": _rounded("posterior_nats", 2),
    "folded": _rounded("folded_posterior_nats", 2),
    "nats": _rounded("nats", 2),
    "lossless bytes": _rounded("lossless_bytes", 1),
}


def _table_of(rows, columns):
    cells = [[_CELLS[name](row) for name in columns] for row in rows]
    return markdown_table(columns, cells) + "\n"
