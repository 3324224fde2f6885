"""Decode a file of codes in a new process.

    python -m applications.compress.decode --codes FILE --model FILE

The command reads the file of codes and the decoder that `applications.compress` wrote, and
nothing else. It writes the first decoded images side by side to --output as decoded.png, and
all of them as decoded.npy, an array of pixels in [0, 1]. It refuses a damaged file, and a file
that was made for another decoder.
"""

import pathlib

import numpy as np

from applications.compress import code_file
from applications.compress.config import PIXELS
from applications.compress.figure import draw_rows
from applications.compress.pictures import pixels_of
from applications.experiment import command_line
from applications.experiment.table_command import table_command

_MODULE = "applications.compress.decode"


def parse_arguments(arguments=None):
    """Return the command line's arguments."""
    parser = command_line.Parser(_MODULE, __doc__, "runs/compress")
    parser.add("--codes", default="runs/compress/models/digits.codes", metavar="FILE")
    parser.add("--model", default="runs/compress/models/digits.keras", metavar="FILE",
               help="the decoder")  # fmt: skip
    parser.add("--pixels", default="shades", choices=PIXELS)
    parser.add("--shown", command_line.positive, 12, metavar="N", help="images in the picture")
    return parser.parse_args(arguments)


@table_command("Run the same command again.")
def main(arguments=None):
    """Decode all images of a file, and return them."""
    options = parse_arguments(arguments)
    images = pixels_of(code_file.read(options.codes, options.model), options.pixels)
    output = pathlib.Path(options.output)
    output.mkdir(parents=True, exist_ok=True)
    np.save(output / "decoded.npy", images)
    draw_rows([("decoded", images[: options.shown])], output / "decoded.png")
    size = pathlib.Path(options.codes).stat().st_size
    print(f"{len(images)} images from {size} bytes, written to {output / 'decoded.npy'}")
    return images


if __name__ == "__main__":
    main()
