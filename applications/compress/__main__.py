"""Store images in a number of bytes that is known before, with a VAE of fixed-rate blocks.

    python -m applications.compress --dataset mnist --data-dir DIR

The latent of the VAE consists of blocks. "instance" normalization gives each block of each
image exactly the same rate, so that `keras_slashed.coding.BlockCode` stores each block in the
same number of bits. The command trains a VAE for each of several rates, and a beta-VAE, whose
rate differs from block to block, for each of several KL weights. It encodes test images to one
file, whose size is known before, and decodes that file with a decoder loaded from another file.
For each model it measures the distortion of decoded draws and of draws from the posterior, and
the bytes of both. It compares with JPEG, WebP, PNG and, for binary images, the fax code (CCITT
group 4). For CIFAR-10, every position of a convolutional latent map is a block.

The command writes DATASET.csv and .md, DATASET_curves.png, DATASET_images.png, and below models/
the file of codes and its decoder, which `python -m applications.compress.decode` reads in a new
process. `python -m benchmarks.code_cost` measures the time.
"""

import dataclasses
import pathlib

import numpy as np

from applications.compress import code_file
from applications.compress import report
from applications.compress import table
from applications.compress.config import PIXELS
from applications.compress.config import PRESETS
from applications.compress.config import USUAL_PIXELS
from applications.compress.config import CoderSetting
from applications.compress.config import table_name
from applications.compress.figure import draw_curves
from applications.compress.figure import draw_rows
from applications.compress.measures import Measures
from applications.compress.pictures import Pictures
from applications.compress.pictures import pixels_of
from applications.compress.training import trained
from applications.datasets import images
from applications.experiment import command_line
from applications.experiment import csv_tables
from applications.experiment.provenance import describe_run
from applications.experiment.table_command import table_command
from keras_slashed.coding import bits_for

_MODULE = "applications.compress"
_DATASETS = ("digits", "mnist", "cifar10")
_QUALITIES = (0, 10, 25, 50)
_SHOWN = 10  # images in the picture


def parse_arguments(arguments=None):
    """Return the command line's arguments."""
    parser = command_line.Parser(_MODULE, __doc__, "runs/compress")
    parser.add_images(_DATASETS)
    parser.add_first_images()
    add, positive, number = parser.add, command_line.positive, command_line.positive_number
    preset = "default: that of the data set"
    add("--pixels", choices=PIXELS,
        help="binary or shades (default: binary for MNIST, otherwise shades)")  # fmt: skip
    add("--images", positive, metavar="N", help=f"first test images to encode ({preset})")
    add("--rate", number, metavar="R",
        help=f"rate in nats of a block of the model whose file is written ({preset})")  # fmt: skip
    add("--bits", command_line.integer(1, 24), metavar="B",
        help=f"bits of a block in this file ({preset})")  # fmt: skip
    add("--rates", number, metavar="R", nargs="*",
        help=f"rates in nats of a block of all models ({preset})")  # fmt: skip
    add("--betas", number, metavar="W", nargs="*", help=f"KL weights of beta-VAEs ({preset})")
    add("--margin", command_line.nonnegative_number, 2.5, metavar="B",
        help="bits of a block beyond its rate, where no bits are given")  # fmt: skip
    parser.add_argument("--no-folded", action="store_true",
        help="do not train the model of --rate with folded amplitudes too")  # fmt: skip
    add("--most-bits", command_line.integer(1, 24), 17, metavar="B",
        help="do not encode beta-VAEs whose blocks would need more bits")  # fmt: skip
    add("--units", positive, metavar="N", help=f"width of the hidden layers ({preset})")
    add("--epochs", positive, metavar="E", help=f"number of epochs ({preset})")
    add("--noise", number, 0.1, metavar="S",
        help="standard deviation of the likelihood of shades, for pixels in [0, 1]")  # fmt: skip
    add("--seed", command_line.seed, 0, metavar="S")
    add("--checkpoint-seconds", command_line.nonnegative_number, 20.0, metavar="S",
        help="minimum time between two checkpoints of a model")  # fmt: skip
    parser.set_defaults(blocks=None, block_dim=None)  # the preset has them
    options = parser.parse_args(arguments)
    options.pixels = options.pixels or USUAL_PIXELS[options.dataset]
    preset = PRESETS.get((options.dataset, options.pixels))
    if preset is None:
        parser.error(f"--pixels: {options.dataset} is not available as {options.pixels}")
    command_line.fill(options, preset)
    try:
        code_file.bytes_per_image(options.blocks, options.bits)
    except ValueError as error:
        parser.error(f"--bits: {error}")
    if options.bits < 5:
        parser.error(f"--bits: must be 5 or more, as 4 bits less are measured, not {options.bits}")
    return options


@table_command(
    "Run the same command again: the training of a model continues where it stopped, and the "
    "measurement starts over."
)
def main(arguments=None):
    """Train the models, write and read the file, measure, and return the rows of the table."""
    options = parse_arguments(arguments)
    run = describe_run(_MODULE)
    data = images.load(*command_line.image_source(options))
    pictures = Pictures.of(data, options.pixels)
    if options.images > len(pictures.test):
        raise csv_tables.TableError(
            f"--images: {data.name} has {len(pictures.test)} test images. "
            f"Received: {options.images}"
        )
    comparison = Comparison(pictures, options)
    rows = comparison.rows()
    described = {
        "images": str(options.images),
        "data": pictures.source,
        "data_sha256": pictures.sha256,
        **run,
    }
    rows = [{**row, "dataset": data.name, "pixels": options.pixels, **described} for row in rows]
    output, name = pathlib.Path(options.output), table_name(options.dataset, options.pixels)
    csv_tables.write_rows(output / f"{name}.csv", rows, table.COLUMNS)
    text = report.markdown(rows, comparison.file, pictures, f"{name}.csv")
    (output / f"{name}.md").write_text(text)
    words = f"{data.name}, {options.pixels}, {options.images} test images"
    draw_curves(rows, words, output / f"{name}_curves.png")
    draw_rows(comparison.shown, output / f"{name}_images.png")
    print(f"\n{text}\nwritten to {output}/{name}*")
    return rows


class Comparison:
    """The models and codecs of one command, and what they make of the test images.

    Args:
        pictures: `Pictures` to train on and to encode.
        options: Namespace of the command line's options.

    Attributes:
        shown: List of pairs of a text and images, for `figure.draw_rows`.
        file: Dict of what is known of the file of codes, for `report.markdown`.
    """

    def __init__(self, pictures, options):
        self._pictures, self._options = pictures, options
        self._images = pictures.test[: options.images]
        self.shown, self.file = [("original", self._images[:_SHOWN])], {}

    def rows(self):
        """Train and measure everything, and return the rows of the table."""
        options = self._options
        base = CoderSetting(
            **{field.name: getattr(options, field.name)
               for field in dataclasses.fields(CoderSetting)
               if hasattr(options, field.name) and field.name != "rate"}
        )  # fmt: skip
        rows = []
        for rate in dict.fromkeys([options.rate, *options.rates]):
            rows += self._fixed(dataclasses.replace(base, rate=rate))
        if not options.no_folded:
            rows += self._fixed(dataclasses.replace(base, rate=options.rate, folded=True))
        for beta in options.betas:
            rows += self._weighted(dataclasses.replace(base, beta=beta))
        noise = None if options.pixels == "binary" else options.noise
        of_codecs, smallest = table.codec_rows(self._pictures, self._images, _QUALITIES, noise)
        for name, stored in smallest.items():
            sizes = f"{stored.bytes:.0f} bytes\n({stored.mosaic_bytes:.0f} in one file)"
            self._show(f"{name}, smallest:\n{sizes}", stored.images)
        return rows + of_codecs

    def _fixed(self, setting):
        """Return the rows of a model with a fixed rate."""
        options = self._options
        vae, measures = self._measured(setting)
        chosen = [("margin", bits_for(setting.rate, options.margin))]
        if setting.folded or setting.rate != options.rate:
            chosen.append(("equal", options.bits))
        else:
            chosen += [("sweep", options.bits + more) for more in (-4, -2, 0, 2)]
            self._write_file(vae)
        return table.model_rows(setting, measures, chosen, options.most_bits)

    def _weighted(self, setting):
        """Return the rows of a beta-VAE."""
        options = self._options
        _, measures = self._measured(setting)
        size = code_file.bytes_per_image(options.blocks, options.bits)
        outputs = measures.outputs(options.bits)
        self._show(f"beta-VAE, beta {setting.beta:g}:\n{size} bytes", self._pixels(outputs))
        chosen = [
            ("equal", options.bits),
            ("quantile", table.quantile_bits(measures.rates, options.margin)),
        ]
        return table.model_rows(setting, measures, chosen, options.most_bits)

    def _measured(self, setting):
        """Return the trained model of a setting, and its measures."""
        options = self._options

        def report(epoch, logs):
            if logs:  # empty at the start
                print(f"{setting.name}: epoch {epoch}/{setting.epochs}, "
                      f"loss {logs['loss']:.2f}", flush=True)  # fmt: skip

        arguments = report, options.checkpoint_seconds
        vae, _ = trained(setting, self._pictures, options.output, *arguments)
        return vae, Measures(vae, self._images, options.seed)

    def _write_file(self, vae):
        """Encode the test images to a file, and decode them from it."""
        options = self._options
        folder = pathlib.Path(options.output) / "models"
        name = table_name(options.dataset, options.pixels)
        codes, model = folder / f"{name}.codes", folder / f"{name}.keras"
        bits = options.bits
        in_memory = code_file.write(
            self._images, vae.encoder, vae.decoder, bits, codes, model, options.seed
        )
        decoded = code_file.read(codes, model)
        size = code_file.bytes_per_image(options.blocks, bits)
        self.file = {
            "name": codes.name,
            "bytes": codes.stat().st_size,
            "payload": size * len(self._images),
            "of_image": size,
            "bits": bits,
            "images": len(self._images),
            "blocks": options.blocks,
            "rate": options.rate,
            "margin": options.margin,
            "same": np.array_equal(in_memory, decoded),
        }
        print(f"{codes}: {self.file['bytes']} bytes, {len(self._images)} images of {size} bytes "
              f"and {self.file['bytes'] - self.file['payload']} bytes of header")  # fmt: skip
        self._show(f"fixed rate,\nfrom the file:\n{size} bytes", self._pixels(decoded))

    def _pixels(self, outputs):
        return pixels_of(outputs, self._options.pixels)

    def _show(self, text, shown):
        self.shown.append((text, shown[:_SHOWN]))


if __name__ == "__main__":
    main()
